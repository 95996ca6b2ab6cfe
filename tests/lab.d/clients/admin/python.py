"""PyMySQL, Connector/Python and mysqlclient against the admin port, as they connect by themselves: python.py PORT.

One line a check: `ok   NAME -> result` or `FAIL NAME -> why`; exit status 1 if one failed."""

import sys

import mysql.connector
import MySQLdb
import pymysql

AT = {"host": "127.0.0.1", "port": int(sys.argv[1])}
USER = {"user": "ops", "password": "admin-pw"}
DRIVERS = {
    "PyMySQL": pymysql.connect,
    "PyMySQL with TLS": lambda **to: pymysql.connect(**to, ssl={"check_hostname": False}),
    "Connector/Python": mysql.connector.connect,
    "mysqlclient": MySQLdb.connect,
}
failed = 0


def check(name, run, refused=False):
    global failed
    try:
        good, why = not refused, repr(run())[:110]
    except Exception as error:
        good = refused and "1045" in str(error)
        why = f"{type(error).__name__}: {str(error)[:160]}"
    failed += not good
    print("ok  " if good else "FAIL", name, "->", why.replace("\n", " "), flush=True)


def whole(connect):
    """What somebody who looks after mytls does."""
    connection = connect(**AT, **USER)
    cursor = connection.cursor()

    def rows(sql):
        cursor.execute(sql)
        return [tuple(text(value) for value in row) for row in cursor.fetchall() or ()] if cursor.description else []

    status = dict(rows("SHOW GLOBAL STATUS"))
    assert int(status["Uptime"]) >= 0 and status["Ssl_server_not_after"].endswith(" GMT"), status
    cursor.execute("ALTER INSTANCE RELOAD TLS")
    assert len(rows("SHOW PROCESSLIST")) == 0
    assert rows("SHOW BACKENDS")[0][0] == "source"
    assert len(rows("SHOW CERTIFICATES")) > 1
    assert rows("SELECT 1, NULL, 'x'") == [(1, None, "x")]
    try:
        cursor.execute("SHOW ENGINES")
        raise AssertionError("SHOW ENGINES was answered")
    except Exception as error:
        assert "1235" in str(error), error
    connection.commit()
    user = rows("SELECT CURRENT_USER()")[0][0]
    connection.close()
    return user


def text(value):
    return bytes(value).decode() if isinstance(value, (bytes, bytearray)) else value


for name, connect in DRIVERS.items():
    check(name, lambda: whole(connect))
check("PyMySQL wrong password", lambda: pymysql.connect(**AT, user="ops", password="no"), refused=True)
sys.exit(failed > 0)
