package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// admin does what somebody who looks after mytls does, on its admin port.
func admin(o options) error {
	config, err := o.connector()
	if err != nil {
		return err
	}
	config.DBName, config.MultiStatements = "", false
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	connection, err := db.Conn(context.Background())
	if err == nil {
		err = administer(connection)
	}
	if err != nil {
		fmt.Println("FAIL go-sql-driver ->", err)
		return err
	}
	fmt.Println("ok   go-sql-driver -> status read, certificates reloaded")
	return nil
}

func administer(connection *sql.Conn) error {
	ctx := context.Background()
	var name string
	var uptime int64
	if err := connection.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &uptime); err != nil {
		return err
	}
	if _, err := connection.ExecContext(ctx, "ALTER INSTANCE RELOAD TLS"); err != nil {
		return err
	}
	_, err := connection.ExecContext(ctx, "SHOW ENGINES")
	if refused, ok := err.(*mysql.MySQLError); !ok || refused.Number != 1235 {
		return fmt.Errorf("SHOW ENGINES: %v", err)
	}
	return connection.PingContext(ctx)
}
