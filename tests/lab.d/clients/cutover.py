"""Commits at speed while the route changes: cutover.py PORT ADMIN_PORT PKI SOURCE_SOCKET TARGET_SOCKET.

Every worker has numbers of its own and commits one after another, in autocommit or in transactions of two rows. What was
not acknowledged is tried again with the same number. In the end each number must be on one of the two servers, once, and
both rows of a transaction on the same; and no worker may have been disturbed between BEGIN and the answer to COMMIT.
One line a check: `ok   NAME -> result` or `FAIL NAME -> why`; exit status 1 if one failed."""

import ssl
import sys
import threading
import time

import MySQLdb
import pymysql

PORT, ADMIN_PORT, PKI = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SOCKETS = {"source": sys.argv[4], "target": sys.argv[5]}
AT = {"host": "127.0.0.1", "port": PORT, "user": "app_ssl", "password": "app-pw", "database": "cutover"}
CA = f"{PKI}/root-ca.pem"
TLS = ssl.create_default_context(cafile=CA)
# of the server that ends a session between transactions, and of a driver whose idle session was closed
CLEAN = {1053, 2006, 2013}
PATIENCE = 60
failed = 0
started = time.monotonic()


def pymysql_session(**more):
    return pymysql.connect(**AT, **more, ssl=TLS)


def mysqlclient_session(**more):
    return MySQLdb.connect(**AT, **more, ssl={"ca": CA})


def check(name, good, why):
    global failed
    failed += not good
    print("ok  " if good else "FAIL", name, "->", str(why).replace("\n", " ")[:300], flush=True)


def root(route):
    return pymysql.connect(unix_socket=SOCKETS[route], user="root", autocommit=True)


def asked(session, sql):
    with session.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"FAIL {what} -> waited in vain; {[worker.in_words() for worker in workers]}")
        time.sleep(0.01)


class Worker(threading.Thread):
    """Commits number after number until it is stopped."""

    def __init__(self, number, connect, explicit, pause=0):
        super().__init__(daemon=True)
        self.first, self.connect, self.explicit, self.pause = number * 10_000_000, connect, explicit, pause
        self.acknowledged, self.reconnects, self.errors = 0, 0, []
        self.stopped = False
        self.session = None

    def in_words(self):
        return f"{self.acknowledged} commits, {self.reconnects} reconnects, {self.errors[:2]}"

    def run(self):
        while not self.stopped:
            in_transaction = False
            try:
                if not self.session:
                    self.session = self.connect(autocommit=not self.explicit)
                number = self.first + self.acknowledged
                with self.session.cursor() as cursor:
                    cursor.execute("INSERT INTO one VALUES (%s)", (number,))
                    if self.explicit:
                        in_transaction = True
                        cursor.execute("INSERT INTO two VALUES (%s)", (number,))
                        self.session.commit()
                self.acknowledged += 1
                if self.pause:
                    time.sleep(self.pause)
            except Exception as error:
                code = error.args[0] if error.args else None
                if in_transaction or code not in CLEAN:
                    self.errors.append(f"{'in a transaction: ' if in_transaction else ''}{error!r}")
                    time.sleep(0.1)
                self.reconnects += 1
                self.end()
        self.end()

    def end(self):
        session, self.session = self.session, None
        try:
            session and session.close()
        except Exception:  # it is closed already
            pass


def every_worker_goes_on(commits):
    before = [worker.acknowledged for worker in workers]
    wait_until(
        "commits go on",
        lambda: all(worker.acknowledged >= was + (1 if worker.pause else commits) for worker, was in zip(workers, before)),
    )


def sessions_of(route):
    return sum(int(row[4]) for row in asked(admin, "SHOW BACKENDS") if row[0] == route)


def rows_of(route, table):
    with root(route) as session:
        return [number for (number,) in asked(session, f"SELECT id FROM cutover.{table}")]


def cut_over(old, new):
    """The old server gets nothing more once no session is there."""
    asked(admin, f"SET ROUTE TO {new} DRAIN WITHIN {PATIENCE} SECONDS")
    wait_until(f"sessions leave the {old}", lambda: sessions_of(old) == 0)
    then = len(rows_of(old, "one"))
    every_worker_goes_on(100)
    now = len(rows_of(old, "one"))
    check(f"cut-over from {old} to {new}: nothing is written to the {old} any more", then == now, f"{then} rows, then {now}")


def a_transaction_that_takes_too_long():
    """It is cut, and its client told by the connection; the server rolls back."""
    asked(admin, "SET ROUTE TO source")
    session = pymysql_session(autocommit=False)
    asked(session, "INSERT INTO two VALUES (-1)")
    asked(admin, "SET ROUTE TO target DRAIN WITHIN 1 SECONDS")
    asked(session, "SELECT 1")
    wait_until("the deadline", lambda: sessions_of("source") == 0)
    try:
        session.commit()
        why = "COMMIT was answered"
    except pymysql.err.OperationalError as error:
        why = error
    there = [route for route in SOCKETS if -1 in rows_of(route, "two")]
    check("a transaction that is cut at the deadline is rolled back", not there and "2013" in str(why), f"{why}, on {there}")


for name in SOCKETS:
    with root(name) as session:
        asked(session, "DROP DATABASE IF EXISTS cutover")
        asked(session, "CREATE DATABASE cutover")
        for table in "one", "two":
            # no key: a number that is there twice must not be refused
            asked(session, f"CREATE TABLE cutover.{table} (id BIGINT NOT NULL)")
admin = pymysql.connect(host="127.0.0.1", port=ADMIN_PORT, user="ops", password="admin-pw")
KINDS = [(pymysql_session, False), (pymysql_session, True), (mysqlclient_session, False), (mysqlclient_session, True)]
workers = [Worker(number + 1, *kind) for number, kind in enumerate(KINDS * 4)]
workers += [Worker(len(workers) + 1 + number, *kind, pause=2) for number, kind in enumerate(KINDS)]
for worker in workers:
    worker.start()
every_worker_goes_on(100)
cut_over("source", "target")
cut_over("target", "source")
# back before the drain is over, at once and again
for route in ["target", "source", "target", "source"]:
    asked(admin, f"SET ROUTE TO {route} DRAIN WITHIN {PATIENCE} SECONDS")
every_worker_goes_on(100)
cut_over("source", "target")
for worker in workers:
    worker.stopped = True
for worker in workers:
    worker.join(PATIENCE)
seconds = time.monotonic() - started

count = sum(worker.acknowledged for worker in workers)
check("commits at speed", count > 1000, f"{count} in {seconds:.0f} s, {sum(w.reconnects for w in workers)} reconnects")
check("every worker was moved", all(w.reconnects >= 3 for w in workers), [w.reconnects for w in workers])
errors = [error for worker in workers for error in worker.errors]
check("reconnects were clean, none within a transaction", not errors, errors[:3] or "1053, or an idle session closed")
for table, among in ("one", workers), ("two", [worker for worker in workers if worker.explicit]):
    expected = {worker.first + n for worker in among for n in range(worker.acknowledged)}
    on_source, on_target = rows_of("source", table), rows_of("target", table)
    found = on_source + on_target
    where = f"{len(on_source)} on the source, {len(on_target)} on the target"
    check(f"table {table}: no acknowledged commit is lost", expected <= set(found), where)
    check(f"table {table}: none is there that was not acknowledged", set(found) <= expected, where)
    check(f"table {table}: none is there twice", len(found) == len(set(found)), where)
explicit = {worker.first + n for worker in workers if worker.explicit for n in range(worker.acknowledged)}
whole = all(set(rows_of(route, "two")) == explicit & set(rows_of(route, "one")) for route in SOCKETS)
check("both rows of a transaction are on the same server", whole, f"{len(explicit)} transactions")
a_transaction_that_takes_too_long()
for name in SOCKETS:
    with root(name) as session:
        asked(session, "DROP DATABASE cutover")
sys.exit(1 if failed else 0)
