"""The Python clients against one port: python.py security|session PORT PKI.

security: who gets in, and that a client refuses a server it must not trust (accounts app_ssl and dm).
session:  what an application does all day, with the account LAB_USER, over TLS or (LAB_TLS=no) in plaintext.
One line a check: `ok   NAME -> result`, `FAIL NAME -> why`, or `skip NAME` if LAB_SKIP names it; exit status 1 if one
failed."""

import asyncio
import os
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

import aiomysql
import asyncmy
import mysql.connector
import MySQLdb
import pymysql

WHAT, PORT, PKI = sys.argv[1], int(sys.argv[2]), sys.argv[3]
USER, PASSWORD = os.environ.get("LAB_USER", "app_ssl"), "app-pw"
TLS = os.environ.get("LAB_TLS", "yes") == "yes"
AT = {"host": "127.0.0.1", "port": PORT}
CA, OTHER_CA = f"{PKI}/root-ca.pem", f"{PKI}/other-ca.pem"
CERT, KEY = f"{PKI}/client-dm-rsa.pem", f"{PKI}/client-dm-rsa.key"
FORGET = os.environ.get("LAB_FORGET")
ON_MARIADB = os.environ.get("LAB_SERVER") == "mariadb"
SKIPPED = os.environ.get("LAB_SKIP", "").split("\n")
BROKEN_SQL = "SELEC 1"
failed = 0


def check(name, run, refused=False):
    """One check: `run` returns, or with `refused` raises an error of the client's (not of this program's)."""
    global failed
    if name in SKIPPED:
        print("skip", name)
        return
    forget_passwords(name)
    try:
        good, why = not refused, repr(run())[:110]
    except Exception as error:
        good = refused and not isinstance(error, (ImportError, TypeError, AttributeError, AssertionError))
        why = f"{type(error).__name__}: {str(error)[:160]}"
    failed += not good
    print("ok  " if good else "FAIL", name, "->", why.replace("\n", " "), flush=True)


def forget_passwords(client):
    """The server behind LAB_FORGET needs the passwords themselves again; Connector/Python gives none without TLS."""
    if FORGET and (TLS or not client.startswith("Connector/Python")):
        with pymysql.connect(unix_socket=FORGET, user="root") as root:
            root.cursor().execute("FLUSH PRIVILEGES")


def tls(ca=CA, certificate=False):
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(CERT, KEY)
    return context


def text(value):
    return value if isinstance(value, str) else bytes(value).decode()


def expect(got, wanted):
    assert got == wanted, f"{got!r:.80} instead of {wanted!r:.80}"
    return got


def row(connection, sql, parameters=None, **cursor):
    """The first row of a query, all rows read."""
    with_cursor = connection.cursor(**cursor)
    with_cursor.execute(sql, parameters) if parameters else with_cursor.execute(sql)
    rows = with_cursor.fetchall()
    with_cursor.close()
    return rows[0]


def who(connection):
    """A query whose row is longer than a TLS record; closes the connection."""
    filler, user = row(connection, "SELECT REPEAT('x', 300000), CURRENT_USER()")
    connection.close()
    expect(len(filler), 300000)
    return text(user)


# --- security -----------------------------------------------------------------------------------------------------


def pymysql_to(user=USER, password=PASSWORD, **options):
    return pymysql.connect(**AT, user=user, password=password, **options)


def connector_to(user=USER, password=PASSWORD, **options):
    verified = {"use_pure": True, "ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
    return mysql.connector.connect(**AT, user=user, password=password, **{**verified, **options})


def mysqlclient_to(user=USER, password=PASSWORD, **options):
    return MySQLdb.connect(**AT, user=user, passwd=password, **options)


async def async_who(module, **options):
    connection = await module.connect(**AT, **options)
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT REPEAT('x', 300000), CURRENT_USER()")
        filler, user = await cursor.fetchone()
    await async_close(connection)
    expect(len(filler), 300000)
    return user


async def async_close(connection):
    closing = connection.close()  # a coroutine in one of the two
    if asyncio.iscoroutine(closing):
        await closing


def security():
    check("PyMySQL", lambda: who(pymysql_to(ssl=tls())))
    check("PyMySQL wrong CA", lambda: who(pymysql_to(ssl=tls(OTHER_CA))), refused=True)
    check("PyMySQL no TLS", lambda: who(pymysql_to(ssl_disabled=True)), refused=True)
    check("PyMySQL dm, client certificate", lambda: who(pymysql_to("dm", "dm-pw", ssl=tls(certificate=True))))
    check("PyMySQL dm, no certificate", lambda: who(pymysql_to("dm", "dm-pw", ssl=tls())), refused=True)
    check("PyMySQL wrong password", lambda: who(pymysql_to(password="no", ssl=tls())), refused=True)

    check("Connector/Python", lambda: who(connector_to()))
    check("Connector/Python wrong CA", lambda: who(connector_to(ssl_ca=OTHER_CA)), refused=True)
    check("Connector/Python dm, client certificate", lambda: who(connector_to("dm", "dm-pw", ssl_cert=CERT, ssl_key=KEY)))
    check("Connector/Python compressed", lambda: who(connector_to(compress=True)))

    check("mysqlclient", lambda: who(mysqlclient_to(ssl={"ca": CA})))
    check("mysqlclient dm, client certificate", lambda: who(mysqlclient_to("dm", "dm-pw", ssl={"ca": CA, "cert": CERT, "key": KEY})))
    check("mysqlclient compressed", lambda: who(mysqlclient_to(ssl={"ca": CA}, compress=True)))

    for module in (aiomysql, asyncmy):
        name = module.__name__
        as_user = {"user": USER, "password": PASSWORD}
        as_dm = {"user": "dm", "password": "dm-pw", "ssl": tls(certificate=True)}
        check(name, lambda: asyncio.run(async_who(module, **as_user, ssl=tls())))
        check(f"{name} wrong CA", lambda: asyncio.run(async_who(module, **as_user, ssl=tls(OTHER_CA))), refused=True)
        check(f"{name} dm, client certificate", lambda: asyncio.run(async_who(module, **as_dm)))


# --- session ------------------------------------------------------------------------------------------------------


def transaction(connection, table):
    """A committed row stays and a rolled back one does not, as a second transaction sees it."""
    cursor = connection.cursor()
    cursor.execute(f"CREATE TEMPORARY TABLE {table} (n INT) ENGINE=InnoDB")
    cursor.execute(f"INSERT INTO {table} VALUES (1), (2)")
    connection.commit()
    cursor.execute(f"INSERT INTO {table} VALUES (3)")
    connection.rollback()
    cursor.execute(f"SELECT COUNT(*) FROM {table}")
    count = cursor.fetchall()[0][0]
    return expect(count, 2)


def error_then_on(connection, error_class):
    try:
        row(connection, BROKEN_SQL)
    except error_class as error:
        expect(error.args[0] if isinstance(error.args[0], int) else error.errno, 1064)
        return expect(row(connection, "SELECT 7")[0], 7)
    raise AssertionError("a syntax error was not reported")


def killed_then_again(connect, error_class):
    """The server ends the session; the client sees it, connects again and works."""
    connection = connect()
    for sql in ("KILL CONNECTION_ID()", "SELECT 1"):
        try:
            row(connection, sql)
        except error_class as error:
            lost = str(error)[:60]
        else:
            raise AssertionError(f"the killed session answers {sql}")
    return expect(row(connect(), "SELECT 8")[0], 8), lost


def query_killed(connect, kill):
    """One session ends another's query by the id that the other knows itself by, and not a third session's."""
    victim, bystander, killer = connect(), connect(), connect()
    query = f"SELECT SLEEP(30) /* PyMySQL {os.getpid()} */"
    with ThreadPoolExecutor() as threads:
        interrupted, undisturbed = threads.submit(slept, victim, query), threads.submit(slept, bystander, "SELECT SLEEP(3)")
        while not row(killer, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s", (query,))[0]:
            pass
        kill(killer, victim.thread_id())
        how = interrupted.result()
        assert how in (1, 1317), f"the query went on: {how}"
        expect(undisturbed.result(), 0)
    return expect(row(victim, "SELECT 7")[0], 7), how


def slept(connection, query):
    """What SLEEP says (1: it was interrupted), or the number of the error."""
    try:
        return row(connection, query)[0]
    except pymysql.err.MySQLError as error:
        return error.args[0]


def kill_query(killer, victim):
    with killer.cursor() as cursor:
        cursor.execute(f"KILL QUERY {victim}")


def session_killed(connect):
    """COM_PROCESS_KILL, which only MariaDB still has, ends the session that is meant and no other."""
    victim, bystander, killer = connect(), connect(), connect()
    killer.kill(victim.thread_id())
    lost = slept(victim, "SELECT SLEEP(0)")
    assert lost in (1927, 2006, 2013), lost
    return expect(slept(bystander, "SELECT SLEEP(0)"), 0), lost


def several_results(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1; SELECT 2 AS a, 3 AS b; DO 0; SELECT 4")
    rows = [cursor.fetchall()]
    while cursor.nextset():
        rows.append(cursor.fetchall())
    cursor.close()
    return expect([r for r in rows if r], [((1,),), ((2, 3),), ((4,),)])


def prepared(connection):
    cursor = connection.cursor(prepared=True)
    for n in (1, 41):
        cursor.execute("SELECT ? + 1, ?", (n, "é" * 1000))
        got = cursor.fetchall()[0]
        expect((int(got[0]), got[1]), (n + 1, "é" * 1000))
    cursor.close()
    return int(got[0])


def change_user(connection, change):
    row(connection, "SELECT @mine := 1")
    change()
    name, mine = row(connection, "SELECT CURRENT_USER(), @mine")
    return expect((text(name).split("@")[0], mine), (USER, None))


def reset(connection, change):
    row(connection, "SELECT @mine := 1")
    change()
    return expect(row(connection, "SELECT @mine")[0], None)


async def async_session(module, error_class, **options):
    connection = await module.connect(**AT, user=USER, password=PASSWORD, db="sbtest", **options)
    async with connection.cursor() as cursor:
        table = f"t_{module.__name__}"
        await cursor.execute(f"CREATE TEMPORARY TABLE {table} (n INT) ENGINE=InnoDB")
        await cursor.execute(f"INSERT INTO {table} VALUES (%s), (%s)", (1, 2))
        await connection.commit()
        await cursor.execute(f"INSERT INTO {table} VALUES (3)")
        await connection.rollback()
        try:
            await cursor.execute(BROKEN_SQL)
            raise AssertionError("a syntax error was not reported")
        except error_class as error:
            expect(error.args[0], 1064)
        await cursor.execute(f"SELECT COUNT(*) FROM {table}")
        count = (await cursor.fetchone())[0]
    await connection.ping()
    await async_close(connection)
    return expect(count, 2)


def session():
    py = {"ssl": tls()} if TLS else {"ssl_disabled": True}
    pure = {} if TLS else {"ssl_ca": None, "ssl_verify_cert": False, "ssl_verify_identity": False, "ssl_disabled": True}
    c = {"ssl": {"ca": CA}} if TLS else {"ssl_mode": "DISABLED"}
    several = pymysql.constants.CLIENT.MULTI_STATEMENTS

    forget_passwords("PyMySQL")
    connection = pymysql_to(database="sbtest", client_flag=several, **py)
    check("PyMySQL transaction", lambda: transaction(connection, "t_pymysql"))
    check("PyMySQL error, then on", lambda: error_then_on(connection, pymysql.err.ProgrammingError))
    check("PyMySQL several results", lambda: several_results(connection))
    check("PyMySQL ping, other database", lambda: (connection.ping(), connection.select_db("mysql"), row(connection, "SELECT DATABASE()")[0]))
    check("PyMySQL KILL QUERY by its own id", lambda: query_killed(lambda: pymysql_to(**py), kill_query))
    if ON_MARIADB:
        check("PyMySQL COM_PROCESS_KILL", lambda: session_killed(lambda: pymysql_to(**py)))
    check("PyMySQL killed, reconnects", lambda: killed_then_again(lambda: pymysql_to(**py), pymysql.err.MySQLError))

    forget_passwords("Connector/Python")
    pure_connection = connector_to(database="sbtest", **pure)
    check("Connector/Python transaction", lambda: transaction(pure_connection, "t_connector"))
    check("Connector/Python error, then on", lambda: error_then_on(pure_connection, mysql.connector.ProgrammingError))
    check("Connector/Python prepared", lambda: prepared(pure_connection))
    check("Connector/Python COM_CHANGE_USER", lambda: change_user(pure_connection, lambda: pure_connection.cmd_change_user(USER, PASSWORD, "sbtest")))
    check("Connector/Python COM_RESET_CONNECTION", lambda: reset(pure_connection, pure_connection.cmd_reset_connection))
    check("Connector/Python COM_STATISTICS", lambda: pure_connection.cmd_statistics()["Uptime"])
    check("Connector/Python killed, reconnects", lambda: killed_then_again(lambda: connector_to(**pure), mysql.connector.Error))

    forget_passwords("mysqlclient")
    c_connection = mysqlclient_to(database="sbtest", client_flag=several, **c)
    check("mysqlclient transaction", lambda: transaction(c_connection, "t_mysqlclient"))
    check("mysqlclient error, then on", lambda: error_then_on(c_connection, MySQLdb.ProgrammingError))
    check("mysqlclient several results", lambda: several_results(c_connection))
    check("mysqlclient COM_CHANGE_USER", lambda: change_user(c_connection, lambda: c_connection.change_user(USER, PASSWORD, "sbtest")))
    check("mysqlclient COM_STATISTICS, ping", lambda: (c_connection.stat()[:20], c_connection.ping()))
    check("mysqlclient killed, reconnects", lambda: killed_then_again(lambda: mysqlclient_to(**c), MySQLdb.Error))

    for module, error_class in ((aiomysql, aiomysql.ProgrammingError), (asyncmy, asyncmy.errors.ProgrammingError)):
        options = {"ssl": tls()} if TLS else {}
        check(f"{module.__name__} session", lambda: asyncio.run(async_session(module, error_class, **options)))


{"security": security, "session": session}[WHAT]()
sys.exit(failed > 0)
