"""A rolling restart: drain.py PKI SERVER_SOCKET SERVER_PORT OLD_PORT OLD_CONFIG NEW_PORT NEW_CONFIG MYTLS….

Two mytls are started before the same server. Every worker commits number after number, with reconnects, at the
old one until that is closed, then at the new one. The old one gets SIGTERM. In the end each number must be on the server,
once; nobody may have been refused before `drain.min` (DRAIN_MIN seconds) was over, nor disturbed within a transaction. The
new one ends idle sessions, of which clients must read what they read from the server itself.
One line a check: `ok   NAME -> result` or `FAIL NAME -> why`; exit status 1 if one failed."""

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import mysql.connector
import MySQLdb
import pymysql

PKI, SOCKET, SERVER, OLD, OLD_CONFIG, NEW, NEW_CONFIG, *MYTLS = sys.argv[1:]
SERVER, OLD, NEW = int(SERVER), int(OLD), int(NEW)
DRAIN_MIN = float(os.environ["DRAIN_MIN"])
AT = {"host": "127.0.0.1", "user": "app_ssl", "password": "app-pw"}
CA = f"{PKI}/root-ca.pem"
TLS = ssl.create_default_context(cafile=CA)
# of the server that ends a session between transactions, and of a driver whose idle session was closed
CLEAN = {1053, 2006, 2013}
# nobody listens
REFUSED = {2002, 2003}
PATIENCE = 60
failed = 0


def pymysql_session(**more):
    return pymysql.connect(**AT, **more, ssl=TLS)


def mysqlclient_session(**more):
    return MySQLdb.connect(**AT, **more, ssl={"ca": CA})


def connector_session(**more):
    return mysql.connector.connect(**AT, **more, ssl_ca=CA, use_pure=True)


def check(name, good, why):
    global failed
    failed += not good
    print("ok  " if good else "FAIL", name, "->", str(why).replace("\n", " ")[:300], flush=True)


def asked(session, sql):
    cursor = session.cursor()
    cursor.execute(sql)
    rows = cursor.fetchall() if cursor.description else ()
    cursor.close()
    return rows


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"FAIL {what} -> waited in vain; {[worker.in_words() for worker in workers]}")
        time.sleep(0.01)


def is_ready(port):
    try:
        pymysql_session(port=port).close()
        return True
    except pymysql.err.OperationalError:
        return False


class Worker(threading.Thread):
    """Commits number after number until it is stopped, some of them in each session."""

    def __init__(self, number, connect, explicit):
        super().__init__(daemon=True)
        self.first, self.connect, self.explicit = number * 10_000_000, connect, explicit
        self.acknowledged, self.refused, self.errors = 0, None, []
        self.stopped = False

    def in_words(self):
        return f"{self.acknowledged} commits, refused {self.refused}, {self.errors[:2]}"

    def run(self):
        while not self.stopped:
            try:
                session = self.connect(port=NEW if self.refused else OLD, database="drained", autocommit=not self.explicit)
            except Exception as error:
                if error.args[0] not in CLEAN | REFUSED or self.refused:
                    self.errors.append(f"at the new one: {self.refused is not None}: {error!r}")
                self.refused = self.refused or time.monotonic()
                continue
            self.work(session)
            try:
                session.close()
            except Exception:  # it is closed already
                pass

    def work(self, session):
        for _ in range(10):
            in_transaction = False
            number = self.first + self.acknowledged
            try:
                asked(session, f"INSERT INTO numbers VALUES ({number})")
                if self.explicit:
                    in_transaction = True
                    asked(session, "SELECT 1")
                    session.commit()
                self.acknowledged += 1
            except Exception as error:
                if in_transaction or error.args[0] not in CLEAN:
                    self.errors.append(f"{'in a transaction: ' if in_transaction else ''}{error!r}")
                return


def every_worker_goes_on(commits):
    before = [worker.acknowledged for worker in workers]
    wait_until("commits go on", lambda: all(w.acknowledged >= was + commits for w, was in zip(workers, before)))


def read_when_idle(connect, port, before):
    """What the driver says of a session that was idle for too long."""
    session = connect(port=port)
    cursor = session.cursor()
    cursor.execute(before)
    time.sleep(2)
    try:
        cursor.execute("SELECT 1")
        return "no error"
    except Exception as error:
        return error.args[0]


def check_idle_sessions():
    drivers = {"PyMySQL": pymysql_session, "mysqlclient": mysqlclient_session, "Connector/Python": connector_session}
    with ThreadPoolExecutor() as pool:
        ask = lambda port, before: [pool.submit(read_when_idle, connect, port, before) for connect in drivers.values()]
        directly, through = ask(SERVER, "SET wait_timeout = 1"), ask(NEW, "SET @nothing = 1")
        for name, server, ours in zip(drivers, directly, through):
            server, ours = server.result(), ours.result()
            check(f"{name} reads of an idle session what the server says", server == ours, f"{server} directly, {ours}")


root = pymysql.connect(unix_socket=SOCKET, user="root", autocommit=True)
asked(root, "DROP DATABASE IF EXISTS drained")
asked(root, "CREATE DATABASE drained")
# no key: a number that is there twice must not be refused
asked(root, "CREATE TABLE drained.numbers (id BIGINT NOT NULL)")
workers = []
old, new = (subprocess.Popen([*MYTLS, "serve", config]) for config in (OLD_CONFIG, NEW_CONFIG))
for port in OLD, NEW:
    wait_until("mytls serves", lambda: is_ready(port))
KINDS = [(pymysql_session, False), (pymysql_session, True), (mysqlclient_session, False), (mysqlclient_session, True)]
workers = [Worker(number + 1, *kind) for number, kind in enumerate(KINDS * 3)]
for worker in workers:
    worker.start()
every_worker_goes_on(20)
told = time.monotonic()
old.send_signal(signal.SIGTERM)
status = old.wait(PATIENCE)
check("the old one ends with status 0", status == 0, status)
wait_until("all are moved", lambda: all(worker.refused for worker in workers))
every_worker_goes_on(20)
for worker in workers:
    worker.stopped = True
for worker in workers:
    worker.join(PATIENCE)

earliest = min(worker.refused for worker in workers) - told
check("nobody is refused before drain.min is over", earliest >= DRAIN_MIN, f"the first after {earliest:.2f} s")
errors = [error for worker in workers for error in worker.errors]
check("nobody is disturbed within a transaction", not errors, errors[:3] or "1053, an idle session closed, or refused")
expected = {worker.first + n for worker in workers for n in range(worker.acknowledged)}
found = [number for (number,) in asked(root, "SELECT id FROM drained.numbers")]
check("no acknowledged commit is lost", expected <= set(found), f"{len(expected)} commits")
check("none is there that was not acknowledged", set(found) <= expected, f"{len(set(found) - expected)}")
check("none is there twice", len(found) == len(set(found)), f"{len(found)} rows")
asked(root, "DROP DATABASE drained")

check_idle_sessions()
new.send_signal(signal.SIGTERM)
status = new.wait(PATIENCE)
check("the new one ends with status 0", status == 0, status)
sys.exit(1 if failed else 0)
