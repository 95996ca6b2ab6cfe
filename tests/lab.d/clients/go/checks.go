package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// checks prints one line a check and remembers whether one failed.
type checks struct{ failed bool }

func (c *checks) run(name string, check func() (any, error)) {
	result, err := check()
	if err != nil {
		c.failed = true
		fmt.Println("FAIL", name, "->", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println("ok  ", name, "->", result)
}

func (c *checks) end() error {
	if c.failed {
		return errors.New("checks failed")
	}
	return nil
}

func expect[T comparable](got, wanted T) (any, error) {
	if got != wanted {
		return nil, fmt.Errorf("%.80v instead of %.80v", got, wanted)
	}
	return got, nil
}

// one is a connection of its own, not a pool: what a check sets stays where it is.
func (o options) one() (*sql.Conn, error) {
	config, err := o.connector()
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector).Conn(context.Background())
}

func number(connection *sql.Conn, query string, arguments ...any) (n int, err error) {
	err = connection.QueryRowContext(context.Background(), query, arguments...).Scan(&n)
	return n, err
}

func session(o options) error {
	background := context.Background()
	connection, err := o.one()
	if err != nil {
		return err
	}
	var c checks
	c.run("go-sql-driver connect, query", func() (any, error) {
		var filler, user string
		err := connection.QueryRowContext(background, "SELECT REPEAT('x', 300000), CURRENT_USER()").Scan(&filler, &user)
		if err != nil || len(filler) != 300000 {
			return nil, fmt.Errorf("%d bytes, %w", len(filler), err)
		}
		return user, nil
	})
	c.run("go-sql-driver prepared", func() (any, error) {
		statement, err := connection.PrepareContext(background, "SELECT ? + 1, ?")
		if err != nil {
			return nil, err
		}
		defer statement.Close()
		text := strings.Repeat("é", 1000)
		for _, n := range []int{1, 41} {
			var sum int
			var same string
			if err := statement.QueryRow(n, text).Scan(&sum, &same); err != nil {
				return nil, err
			}
			if sum != n+1 || same != text {
				return nil, fmt.Errorf("%d and %d bytes", sum, len(same))
			}
		}
		return "twice", nil
	})
	c.run("go-sql-driver transaction", func() (any, error) {
		if _, err := connection.ExecContext(background, "CREATE TEMPORARY TABLE t (n INT) ENGINE=InnoDB"); err != nil {
			return nil, err
		}
		for _, commit := range []bool{true, false} {
			transaction, err := connection.BeginTx(background, nil)
			if err != nil {
				return nil, err
			}
			if _, err := transaction.Exec("INSERT INTO t VALUES (?), (?)", 1, 2); err != nil {
				return nil, err
			}
			end := transaction.Rollback
			if commit {
				end = transaction.Commit
			}
			if err := end(); err != nil {
				return nil, err
			}
		}
		n, err := number(connection, "SELECT COUNT(*) FROM t")
		if err != nil {
			return nil, err
		}
		return expect(n, 2)
	})
	c.run("go-sql-driver error, then on", func() (any, error) {
		_, err := connection.ExecContext(background, "SELEC 1")
		var refusal *mysql.MySQLError
		if !errors.As(err, &refusal) || refusal.Number != 1064 {
			return nil, fmt.Errorf("%v instead of 1064", err)
		}
		n, err := number(connection, "SELECT 7")
		if err != nil {
			return nil, err
		}
		return expect(n, 7)
	})
	c.run("go-sql-driver several results", func() (any, error) {
		rows, err := connection.QueryContext(background, "SELECT 1; SELECT 2; SELECT 3")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var got []int
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var n int
				if err := rows.Scan(&n); err != nil {
					return nil, err
				}
				got = append(got, n)
			}
		}
		return expect(fmt.Sprint(got, rows.Err()), "[1 2 3] <nil>")
	})
	// it closes the connection, and takes another one for what follows
	c.run("go-sql-driver cancels a query", func() (any, error) {
		sleeper, err := o.one()
		if err != nil {
			return nil, err
		}
		defer sleeper.Close()
		cancelled, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		_, err = sleeper.ExecContext(cancelled, "DO SLEEP(30)")
		if !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("not cancelled: %w", err)
		}
		n, err := number(connection, "SELECT 9")
		if err != nil {
			return nil, err
		}
		return expect(n, 9)
	})
	c.run("go-sql-driver killed, reconnects", func() (any, error) {
		for _, query := range []string{"KILL CONNECTION_ID()", "SELECT 1"} {
			if _, err := connection.ExecContext(background, query); err == nil {
				return nil, fmt.Errorf("the killed session answers %s", query)
			}
		}
		again, err := o.one()
		if err != nil {
			return nil, err
		}
		defer again.Close()
		n, err := number(again, "SELECT 8")
		if err != nil {
			return nil, err
		}
		return expect(n, 8)
	})
	return c.end()
}

// bulk checks what is larger than a packet (16 MiB), a buffer, or memory should be.
func bulk(o options) error {
	background := context.Background()
	connection, err := o.one()
	if err != nil {
		return err
	}
	var c checks
	c.run("a row of 40 MB", func() (any, error) {
		var row sql.RawBytes
		rows, err := connection.QueryContext(background, "SELECT REPEAT('0123456789', 4000000)")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		if !rows.Next() {
			return nil, rows.Err()
		}
		if err := rows.Scan(&row); err != nil {
			return nil, err
		}
		return expect(string(row) == strings.Repeat("0123456789", 4000000), true)
	})
	c.run("a parameter of 20 MB, as text and as long data", func() (any, error) {
		parameter := strings.Repeat("abcdefghi\n", 2000000)
		wanted := fmt.Sprintf("%x", sha256.Sum256([]byte(parameter)))
		for _, query := range []string{"SELECT SHA2(?, 256)", "SELECT SHA2('" + parameter + "', 256)"} {
			var arguments []any
			if strings.Contains(query, "?") {
				arguments = []any{parameter}
			}
			var got string
			if err := connection.QueryRowContext(background, query, arguments...).Scan(&got); err != nil {
				return nil, err
			}
			if got != wanted {
				return nil, fmt.Errorf("%s instead of %s", got, wanted)
			}
		}
		return wanted, nil
	})
	c.run("statements around 16 MiB", func() (any, error) {
		for _, bytes := range []int{1<<24 - 2, 1<<24 - 1, 1 << 24, 1<<25 - 2, 1<<25 - 1} {
			const before, after = "SELECT LENGTH('", "')"
			filler := bytes - 1 - len(before) - len(after) // the command byte is part of the packet
			n, err := number(connection, before+strings.Repeat("x", filler)+after)
			if err != nil || n != filler {
				return nil, fmt.Errorf("%d bytes: %d, %w", bytes, n, err)
			}
		}
		return "all whole", nil
	})
	c.run("200,000 rows", func() (any, error) {
		const digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
		query := fmt.Sprintf("SELECT a.d + 10*b.d + 100*c.d + 1000*d.d + 10000*e.d + 100000*f.d FROM %[1]s a, %[1]s b, %[1]s c, %[1]s d, %[1]s e, (SELECT 0 d UNION SELECT 1) f", digits)
		rows, err := connection.QueryContext(background, query)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		count, sum := 0, 0
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				return nil, err
			}
			count, sum = count+1, sum+n
		}
		return expect(fmt.Sprint(count, sum, rows.Err()), "200000 19999900000 <nil>")
	})
	c.run("LOAD DATA LOCAL of 300 MB", func() (any, error) {
		if _, err := connection.ExecContext(background, "DROP TABLE IF EXISTS hole"); err != nil {
			return nil, err
		}
		if _, err := connection.ExecContext(background, "CREATE TABLE hole (line VARCHAR(100)) ENGINE=BLACKHOLE"); err != nil {
			return nil, err
		}
		const lines = 3000000
		mysql.RegisterReaderHandler("lines", func() io.Reader {
			return io.LimitReader(endless(strings.Repeat("x", 99)+"\n"), 100*lines)
		})
		result, err := connection.ExecContext(background, "LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE hole")
		if err != nil {
			return nil, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, err
		}
		return expect(n, lines)
	})
	c.run("a statement after all that", func() (any, error) {
		n, err := number(connection, "SELECT 9")
		if err != nil {
			return nil, err
		}
		return expect(n, 9)
	})
	return c.end()
}

// endless reads the same line for ever.
type endless string

func (line endless) Read(into []byte) (int, error) {
	n := 0
	for n+len(line) <= len(into) {
		n += copy(into[n:], line)
	}
	return n, nil
}
