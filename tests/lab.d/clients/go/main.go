// goclient is go-sql-driver against one port of the loopback, for checks and for load.
//
//	goclient session                             what an application does all day
//	goclient bulk                                very large rows, parameters, files and results
//	goclient admin                               the statements of the admin port
//	goclient idle     -n 1000                    hold n logged-in connections until stdin closes
//	goclient connrate -c 16 -t 5s                connect, TLS, login, quit, as often as possible
//	goclient down     -mb 200 -row 1000000       one large result set, in rows of that size
//	goclient up       -mb 200 -row 4000000       large statements to the server
//	goclient ping     -t 3s                      round trips of COM_PING on one connection
//
// All take -port, -user, -password and -ca (none: plaintext). A check prints `ok   NAME -> result` or
// `FAIL NAME -> why`; a load one line of words and numbers.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

type options struct {
	port           int
	user, password string
	ca             string
	connections    int
	workers        int
	duration       time.Duration
	megabytes      int
	rowBytes       int
	compress       bool
}

func main() {
	commands := map[string]func(options) error{
		"session": session, "bulk": bulk, "admin": admin,
		"idle": idle, "connrate": connectRate, "down": down, "up": up, "ping": ping,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: goclient session|bulk|admin|idle|connrate|down|up|ping -port PORT [options]")
		os.Exit(64)
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.IntVar(&o.port, "port", 0, "port on 127.0.0.1")
	flags.StringVar(&o.user, "user", "app_ssl", "account")
	flags.StringVar(&o.password, "password", "app-pw", "its password")
	flags.StringVar(&o.ca, "ca", "", "CA file; without it no TLS")
	flags.IntVar(&o.connections, "n", 1000, "connections")
	flags.IntVar(&o.workers, "c", 16, "workers")
	flags.DurationVar(&o.duration, "t", 5*time.Second, "time")
	flags.BoolVar(&o.compress, "compress", false, "zlib")
	flags.IntVar(&o.megabytes, "mb", 200, "megabytes")
	flags.IntVar(&o.rowBytes, "row", 1000000, "bytes in a row or statement")
	flags.Parse(os.Args[2:])

	if err := commands[os.Args[1]](o); err != nil {
		fmt.Fprintln(os.Stderr, "goclient:", err)
		os.Exit(1)
	}
}

// connector is the driver with these options; the server's certificate and name are verified.
func (o options) connector() (*mysql.Config, error) {
	config := mysql.NewConfig()
	config.User, config.Passwd = o.user, o.password
	config.Net, config.Addr = "tcp", fmt.Sprintf("127.0.0.1:%d", o.port)
	config.DBName = "sbtest"
	config.MaxAllowedPacket = 0 // ask the server
	config.MultiStatements = true
	config.Logger = quiet{}
	if err := config.Apply(mysql.EnableCompression(o.compress)); err != nil {
		return nil, err
	}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		config.TLS = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	}
	return config, nil
}

type quiet struct{}

func (quiet) Print(...any) {}
