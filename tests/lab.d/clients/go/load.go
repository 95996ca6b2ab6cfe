package main

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// percentile of durations, in milliseconds.
func percentile(durations []time.Duration, share float64) float64 {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	return float64(durations[int(float64(len(durations)-1)*share)].Microseconds()) / 1000
}

func (o options) open() (driver.Connector, error) {
	config, err := o.connector()
	if err != nil {
		return nil, err
	}
	return mysql.NewConnector(config)
}

// connect opens connections with so many workers; visit is called for each that was made, until it says stop.
func connect(connector driver.Connector, workers int, visit func(driver.Conn, time.Duration) bool) (failed int64, first error) {
	var failures atomic.Int64
	var once sync.Once
	var wait sync.WaitGroup
	for range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				start := time.Now()
				connection, err := connector.Connect(context.Background())
				if err != nil {
					failures.Add(1)
					once.Do(func() { first = err })
					connection = nil
				}
				if !visit(connection, time.Since(start)) {
					return
				}
			}
		}()
	}
	wait.Wait()
	return failures.Load(), first
}

func idle(o options) error {
	connector, err := o.open()
	if err != nil {
		return err
	}
	var mutex sync.Mutex
	var held []driver.Conn
	var tried atomic.Int64
	failed, first := connect(connector, 8, func(connection driver.Conn, _ time.Duration) bool {
		if connection != nil {
			mutex.Lock()
			held = append(held, connection)
			mutex.Unlock()
		}
		return tried.Add(1) <= int64(o.connections)-8
	})
	fmt.Printf("ready %d failed %d %v\n", len(held), failed, first)
	bufio.NewReader(os.Stdin).ReadString('\n')
	alive := 0
	for _, connection := range held {
		if connection.(driver.Pinger).Ping(context.Background()) == nil {
			alive++
		}
		connection.Close()
	}
	fmt.Printf("alive %d\n", alive)
	return nil
}

func connectRate(o options) error {
	connector, err := o.open()
	if err != nil {
		return err
	}
	var mutex sync.Mutex
	var all []time.Duration
	start := time.Now()
	failed, first := connect(connector, o.workers, func(connection driver.Conn, took time.Duration) bool {
		if connection != nil {
			connection.Close()
			mutex.Lock()
			all = append(all, took)
			mutex.Unlock()
		}
		return time.Since(start) < o.duration
	})
	seconds := time.Since(start).Seconds()
	fmt.Printf("conns %d per_s %.0f p50_ms %.1f p95_ms %.1f failed %d %v\n", len(all), float64(len(all))/seconds,
		percentile(all, .5), percentile(all, .95), failed, first)
	return nil
}

func down(o options) error {
	connection, err := o.one()
	if err != nil {
		return err
	}
	count := o.megabytes * 1000000 / o.rowBytes
	// Any server has this: a small derived table crossed with itself, cut by LIMIT.
	const digits = "(SELECT 0 a UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	tables := []string{digits + " t"}
	for rows := 10; rows < count; rows *= 10 {
		tables = append(tables, fmt.Sprintf("%s t%d", digits, rows))
	}
	query := fmt.Sprintf("SELECT REPEAT('x', %d) FROM %s LIMIT %d", o.rowBytes, strings.Join(tables, ","), count)
	start := time.Now()
	rows, err := connection.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	var bytes int
	for rows.Next() {
		var row sql.RawBytes
		if err := rows.Scan(&row); err != nil {
			return err
		}
		bytes += len(row)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return transferred(bytes, start)
}

func up(o options) error {
	connection, err := o.one()
	if err != nil {
		return err
	}
	query := "SELECT LENGTH('" + strings.Repeat("x", o.rowBytes) + "')"
	start := time.Now()
	bytes := 0
	for bytes < o.megabytes*1000000 {
		n, err := number(connection, query)
		if err != nil {
			return err
		}
		if n != o.rowBytes {
			return errors.New("wrong length back")
		}
		bytes += n
	}
	return transferred(bytes, start)
}

func transferred(bytes int, start time.Time) error {
	megabytes, seconds := float64(bytes)/1e6, time.Since(start).Seconds()
	fmt.Printf("mb %.0f seconds %.2f mb_per_s %.0f\n", megabytes, seconds, megabytes/seconds)
	return nil
}

func ping(o options) error {
	connector, err := o.open()
	if err != nil {
		return err
	}
	connection, err := connector.Connect(context.Background())
	if err != nil {
		return err
	}
	var all []time.Duration
	for end := time.Now().Add(o.duration); time.Now().Before(end); {
		start := time.Now()
		if err := connection.(driver.Pinger).Ping(context.Background()); err != nil {
			return err
		}
		all = append(all, time.Since(start))
	}
	fmt.Printf("pings %d p50_us %.0f p99_us %.0f\n", len(all), percentile(all, .5)*1000, percentile(all, .99)*1000)
	return nil
}
