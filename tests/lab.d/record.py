#!/usr/bin/env python3
"""Records sessions of real clients with a real server, for the tests of the tracker.

    record.py NAME HOST PORT FOLDER     (the server's account app/app-pw; clients found through the variables below)

A relay in plaintext stands between; it leaves the login out and writes what follows, one file for each session:

    # how it came to be
    server 9.7.4
    capabilities 0x019ea205         granted by both sides, MariaDB's extended ones in bits 32 and up
    C 0300000003...                 what one side sent until the other spoke, in hexadecimal
    S 0100000101...

The first argument becomes part of the files' names. Clients: PyMySQL and mysqlclient of this Python, the shell
$RECORD_SHELL (mysql or mariadb), Node's mysql2 and mariadb below $RECORD_NODE. Statements that no client of these
sends (cursors, long data, pipelines) are sent as raw packets over a connection that PyMySQL has logged in.
"""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import pymysql
import pymysql.connections

DEPRECATE_EOF = 1 << 24
OPTIONAL_METADATA = 1 << 25
LOCAL_FILES = 1 << 7
MULTI_STATEMENTS = 1 << 16
CACHE_METADATA = 1 << 36
PROGRESS = 1 << 32

NAME, HOST, PORT, FOLDER = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
ACCOUNT = {"user": "app", "password": "app-pw", "database": "sbtest", "ssl_disabled": True}


class Login:
    """Finds the end of the login in both directions, and what was granted."""

    def __init__(self):
        self.buffers = {"C": b"", "S": b""}
        self.over = False
        self.server_capabilities = None
        self.granted = None
        self.version = None

    def feed(self, side, data):
        """Takes bytes of the login; returns what belongs to the time after it."""
        self.buffers[side] += data
        while not self.over and len(self.buffers[side]) >= 4:
            size = int.from_bytes(self.buffers[side][:3], "little")
            if len(self.buffers[side]) < 4 + size:
                break
            payload = self.buffers[side][4 : 4 + size]
            self.buffers[side] = self.buffers[side][4 + size :]
            self.packet(side, payload)
        if not self.over:
            return b""
        rest, self.buffers[side] = self.buffers[side], b""
        return rest

    def packet(self, side, payload):
        if side == "S" and self.server_capabilities is None:
            version, rest = payload[1:].split(b"\0", 1)
            self.version = version.decode()
            low, _, _, high = struct.unpack_from("<HBHH", rest, 13)
            capabilities = high << 16 | low
            if not capabilities & 1:
                capabilities |= struct.unpack_from("<I", rest, 27)[0] << 32
            self.server_capabilities = capabilities
        elif side == "C" and self.granted is None:
            capabilities = struct.unpack_from("<I", payload)[0]
            if not capabilities & 1:
                capabilities |= struct.unpack_from("<I", payload, 28)[0] << 32
            self.granted = capabilities & self.server_capabilities
        elif side == "S" and payload[0] == 0:
            self.over = True


class Recorder:
    """A relay for one connection after the other."""

    def __init__(self, title, comment):
        self.title, self.comment = title, comment
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions = []
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            session = {"login": Login(), "runs": [], "threads": []}
            self.sessions.append(session)
            backend = socket.create_connection((HOST, PORT))
            for side, source, sink in (("C", client, backend), ("S", backend, client)):
                thread = threading.Thread(target=self.copy, args=(session, side, source, sink), daemon=True)
                session["threads"].append(thread)
                thread.start()

    def copy(self, session, side, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self.lock:
                    after = session["login"].feed(side, data)
                    runs = session["runs"]
                    if after and runs and runs[-1][0] == side:
                        runs[-1][1] += after
                    elif after:
                        runs.append([side, bytearray(after)])
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def write(self):
        """Ends the recording and writes a file for each session that logged in."""
        self.listener.close()
        for number, session in enumerate(self.sessions):
            for thread in session["threads"]:
                thread.join(5)
            login = session["login"]
            if not session["runs"]:
                continue
            suffix = f"-{number + 1}" if number else ""
            path = FOLDER / f"{NAME}-{self.title}{suffix}.session"
            lines = [f"# {self.comment}", f"server {login.version}", f"capabilities {login.granted:#x}"]
            lines += [f"{side} {bytes(data).hex()}" for side, data in session["runs"]]
            path.write_text("\n".join(lines) + "\n")
            print(f"{path.name}: {path.stat().st_size} bytes, {len(session['runs'])} turns")


@contextlib.contextmanager
def recording(title, comment):
    recorder = Recorder(title, comment)
    yield recorder.port
    recorder.write()


def granting(extra, without=0):
    """Makes PyMySQL ask for capabilities that it does not know; it passes them on and sees none of the results."""

    class Packer:
        """PyMySQL's view of `struct`, with MariaDB's extended capabilities in the filler of the login packet."""

        def __getattr__(self, name):
            return getattr(struct, name)

        def pack(self, form, *values):
            if form != "<iIB23s":
                return struct.pack(form, *values)
            flags = (values[0] | extra) & ~without
            low = flags & 0xFFFFFFFF
            return struct.pack("<IIB19sI", low, values[1], values[2], b"", flags >> 32)

    return Packer()


class Raw:
    """Raw packets over a connection that has logged in."""

    def __init__(self, port, extra=0, without=0):
        pymysql.connections.struct = granting(extra, without)
        self.connection = pymysql.connect(host="127.0.0.1", port=port, autocommit=None, local_infile=True,
                                          init_command=None, client_flag=MULTI_STATEMENTS, **ACCOUNT)
        pymysql.connections.struct = struct
        self.socket = self.connection._sock
        self.setup()

    def setup(self):
        self.socket.settimeout(0.3)

    def send(self, *payloads, sequence=0):
        self.socket.sendall(b"".join(
            len(payload).to_bytes(3, "little") + bytes([sequence + place if sequence else 0]) + payload
            for place, payload in enumerate(payloads)))

    def read(self):
        """Everything the server has to say now."""
        received = b""
        with contextlib.suppress(TimeoutError):
            while data := self.socket.recv(65536):
                received += data
        return received

    def ask(self, *payloads):
        self.send(*payloads)
        return self.read()

    def query(self, text):
        return self.ask(b"\x03" + text.encode())

    def slow_query(self, text):
        """A statement without rows: its response ends with the first packet that is no progress report."""
        self.send(b"\x03" + text.encode())
        self.socket.settimeout(60)
        first = b"\xff\xff\xff"
        while first == b"\xff\xff\xff":
            header = self.socket.recv(4, socket.MSG_WAITALL)
            first = self.socket.recv(int.from_bytes(header[:3], "little"), socket.MSG_WAITALL)[:3]
        self.setup()

    def prepare(self, text):
        answer = self.ask(b"\x16" + text.encode())
        return answer[5:9]

    def quit(self):
        self.send(b"\x01")
        with contextlib.suppress(OSError):
            self.read()
        self.socket.close()


TABLES = """
    DROP TABLE IF EXISTS recorded; CREATE TABLE recorded (id INT PRIMARY KEY, name VARCHAR(40), body LONGTEXT);
    DROP PROCEDURE IF EXISTS two_results; DROP PROCEDURE IF EXISTS fails_late; DROP PROCEDURE IF EXISTS gives_out;
"""


def make_tables():
    connection = pymysql.connect(host=HOST, port=PORT, client_flag=MULTI_STATEMENTS, autocommit=True, **ACCOUNT)
    with connection.cursor() as cursor:
        for statement in TABLES.split(";"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("CREATE PROCEDURE two_results() BEGIN SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; END")
        cursor.execute("CREATE PROCEDURE fails_late() BEGIN START TRANSACTION; SELECT 1; "
                       "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'late'; END")
        cursor.execute("CREATE PROCEDURE gives_out(OUT answer INT) BEGIN SELECT 7; SET answer = 42; END")
        cursor.executemany("INSERT INTO recorded VALUES (%s, %s, %s)",
                           [(number, f"name {number}", "b" * (number * 7)) for number in range(30)])
    connection.close()


def everything_raw(port, extra, without=0):
    """Each command of the table, each form of its response."""
    raw = Raw(port, extra, without)
    raw.query("SELECT 1")
    raw.query("SELECT * FROM recorded")
    raw.query("SELECT * FROM recorded WHERE id < 0")
    raw.query("SELECT NULL, NULL, ''")
    raw.query("no such statement")
    raw.query("SELECT 1; DO 0; SELECT 2; nonsense; SELECT 3")
    raw.query("SELECT 1; SELECT 2")
    raw.query("CALL two_results()")
    raw.query("CALL fails_late()")
    raw.query("ROLLBACK")
    raw.query("BEGIN")
    raw.query("INSERT INTO recorded VALUES (1000, 'gone', NULL)")
    raw.query("ROLLBACK")
    raw.ask(b"\x02sbtest")
    raw.ask(b"\x02no_such_database")
    raw.ask(b"\x04recorded\x00")
    raw.ask(b"\x04no_such_table\x00")
    raw.ask(b"\x07\x01")
    raw.ask(b"\x09")
    raw.ask(b"\x0a")
    raw.ask(b"\x0c\xff\xff\xff\x7f")
    raw.ask(b"\x0d")
    raw.ask(b"\x0e")
    raw.ask(b"\x1b\x01\x00")
    raw.ask(b"\x1b\x00\x00")
    raw.query("SELECT 1; SELECT 2")
    raw.ask(b"\x1b\x00\x00")
    # Prepared statements: parameters and columns, neither, an error, long data, reset, close.
    execute = lambda number, flags, rest=b"": b"\x17" + number + bytes([flags]) + b"\x01\x00\x00\x00" + rest
    both = raw.prepare("SELECT id, name FROM recorded WHERE id < ? AND name <> ?")
    parameters = b"\x00\x01\x03\x00\xfd\x00" + struct.pack("<i", 12) + b"\x01x"
    raw.ask(execute(both, 0, parameters))
    raw.ask(execute(both, 0, parameters))
    raw.ask(execute(both, 1, parameters))
    raw.ask(b"\x1c" + both + b"\x05\x00\x00\x00")
    raw.ask(b"\x1c" + both + b"\x05\x00\x00\x00")
    raw.ask(b"\x1c" + both + b"\x05\x00\x00\x00")
    raw.ask(b"\x1c" + both + b"\x05\x00\x00\x00")
    raw.ask(execute(both, 1, parameters))
    raw.ask(b"\x1a" + both)
    raw.ask(execute(both, 1, parameters))
    raw.ask(b"\x19" + both, b"\x0e")
    raw.prepare("nonsense ?")
    nothing = raw.prepare("DO 0")
    raw.ask(execute(nothing, 0))
    columns = raw.prepare("SELECT 1, 2")
    raw.ask(execute(columns, 0))
    only_parameters = raw.prepare("REPLACE INTO recorded VALUES (2000, ?, ?)")
    raw.send(b"\x18" + only_parameters + b"\x00\x00" + b"long" * 50, b"\x18" + only_parameters + b"\x01\x00data",
             b"\x18" + only_parameters + b"\x01\x00data")
    raw.ask(execute(only_parameters, 0, b"\x00\x01\xfc\x00\xfc\x00"))
    call = raw.prepare("CALL gives_out(?)")
    raw.ask(execute(call, 0, b"\x00\x01\x03\x00\x00\x00\x00\x00"))
    raw.ask(execute(call, 1, b"\x00\x01\x03\x00\x00\x00\x00\x00"))
    call = raw.prepare("CALL two_results()")
    raw.ask(execute(call, 1))
    raw.ask(b"\x1c" + call + b"\x05\x00\x00\x00")
    raw.ask(b"\x1a" + call)
    raw.ask(execute(b"\x77\x77\x00\x00", 0))
    # LOCAL INFILE: alone, empty, among several results, and one the server refuses to read.
    load = b"\x03LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE recorded"
    answer = raw.ask(load)
    raw.send(b"3000\tone\tbody\n", b"3001\ttwo\tbody\n", b"", sequence=answer[3] + 1)
    raw.read()
    answer = raw.ask(load)
    raw.send(b"", sequence=answer[3] + 1)
    raw.read()
    raw.ask(b"\x1b\x00\x00")
    answer = raw.ask(b"\x03SELECT 1; " + load[1:] + b"; SELECT 2")
    raw.send(b"3002\tone\tbody\n", b"", sequence=answer_sequence(answer))
    raw.read()
    raw.ask(b"\x03LOAD DATA LOCAL INFILE 'x' INTO TABLE no_such_table")
    # Pipelined, with commands between that get no answer.
    closing = raw.prepare("SELECT 5")
    raw.ask(b"\x03SELECT 1; SELECT 2", b"\x0e", b"\x19" + closing, b"\x16SELECT ?", b"\x09", b"\x03nonsense", b"\x0e")
    raw.ask(b"\x1f")
    raw.query("SELECT 1")
    raw.quit()


def answer_sequence(answer):
    """The number that follows the last packet of `answer`."""
    sequence = 0
    while answer:
        size, sequence = int.from_bytes(answer[:3], "little"), answer[3]
        answer = answer[4 + size :]
    return (sequence + 1) % 256


def without_metadata(port, extra):
    """MySQL: the client has switched definitions off."""
    raw = Raw(port, extra | OPTIONAL_METADATA)
    raw.query("SELECT 1, 2")
    raw.prepare("SELECT ?, 2, 3")
    raw.query("SET resultset_metadata = NONE")
    raw.query("SELECT 1, 2")
    raw.query("SELECT id FROM recorded WHERE id < 0")
    raw.query("CALL two_results()")
    number = raw.prepare("SELECT id, name FROM recorded WHERE id < ?")
    raw.ask(b"\x17" + number + b"\x00\x01\x00\x00\x00\x00\x01\x03\x00\x07\x00\x00\x00")
    raw.ask(b"\x17" + number + b"\x01\x01\x00\x00\x00\x00\x01\x03\x00\x07\x00\x00\x00")
    raw.ask(b"\x1c" + number + b"\x05\x00\x00\x00")
    raw.ask(b"\x1c" + number + b"\x05\x00\x00\x00")
    raw.prepare("SELECT 1")
    raw.prepare("DO ?")
    raw.prepare("DO 1")
    raw.query("SET resultset_metadata = FULL")
    raw.query("SELECT 1, 2")
    raw.quit()


def cached_metadata(port, extra):
    """MariaDB: definitions are left out of the second and later executions."""
    raw = Raw(port, extra | CACHE_METADATA, without=1)
    raw.query("SELECT 1, 2")
    number = raw.prepare("SELECT id, name FROM recorded WHERE id < ?")
    for flags in (0, 0, 1):
        raw.ask(b"\x17" + number + bytes([flags]) + b"\x01\x00\x00\x00\x00\x01\x03\x00\x07\x00\x00\x00")
    raw.ask(b"\x1c" + number + b"\x05\x00\x00\x00")
    raw.ask(b"\x1c" + number + b"\x05\x00\x00\x00")
    raw.query("CALL two_results()")
    raw.quit()


def progress(port, extra):
    """MariaDB: progress reports stand before the response."""
    raw = Raw(port, extra | PROGRESS, without=1)
    raw.query("SET progress_report_time = 1")
    raw.query("DROP TABLE IF EXISTS progress")
    raw.query("CREATE TABLE progress (id INT, body VARCHAR(200)) ENGINE=Aria")
    raw.slow_query("INSERT INTO progress SELECT seq, REPEAT('x', 200) FROM seq_1_to_600000")
    raw.slow_query("ALTER TABLE progress ADD INDEX (body), ADD INDEX (id, body), FORCE, ALGORITHM=COPY")
    raw.slow_query("DROP TABLE progress")
    raw.quit()


def last_prepared(port, extra):
    """MariaDB: statements are executed by the number -1 before theirs is known."""
    raw = Raw(port, extra)
    last = b"\xff\xff\xff\xff"
    raw.ask(b"\x16SELECT ?", b"\x17" + last + b"\x00\x01\x00\x00\x00\x00\x01\x03\x00\x07\x00\x00\x00", b"\x19" + last, b"\x0e")
    raw.ask(b"\x16SELECT id FROM recorded", b"\x17" + last + b"\x01\x01\x00\x00\x00")
    raw.ask(b"\x1c" + last + b"\xe8\x03\x00\x00")
    raw.quit()


def idle_too_long(port):
    raw = Raw(port)
    raw.query("SET wait_timeout = 1")
    raw.socket.settimeout(5)
    raw.read()
    raw.socket.close()


def with_pymysql(port):
    connection = pymysql.connect(host="127.0.0.1", port=port, local_infile=True, **ACCOUNT)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join(f"{4000 + number}\tname\t{'f' * 300}\n" for number in range(12)))
        file.flush()
        with connection.cursor() as cursor:
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file.name}' REPLACE INTO TABLE recorded")
            cursor.execute("SELECT id, LEFT(body, 20) FROM recorded")
            cursor.fetchall()
            cursor.callproc("two_results")
            cursor.nextset()
    with connection.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("SELECT id FROM recorded")
        cursor.fetchone()
    connection.rollback()
    connection.ping()
    connection.close()


def with_mysqlclient(port):
    import MySQLdb

    connection = MySQLdb.connect(host="127.0.0.1", port=port, user="app", passwd="app-pw", db="sbtest",
                                 ssl_mode="DISABLED")
    cursor = connection.cursor()
    cursor.execute("SELECT id, name FROM recorded LIMIT 5")
    cursor.fetchall()
    cursor.execute("SELECT 1; SELECT 2")
    while cursor.nextset():
        pass
    connection.change_user("app", "app-pw", "sbtest")
    cursor = connection.cursor()
    cursor.execute("SELECT 3")
    cursor.fetchall()
    connection.commit()
    connection.stat()
    connection.close()


def with_shell(port):
    shell = os.environ["RECORD_SHELL"]
    plain = ["--skip-ssl"] if "mariadb" in shell else ["--ssl-mode=DISABLED", "--get-server-public-key"]
    statements = ("SELECT id, name FROM recorded LIMIT 5; CALL two_results(); nonsense; SHOW WARNINGS;"
                  "SELECT 1 WHERE 0; use sbtest; status; BEGIN; SELECT 1; COMMIT")
    subprocess.run([shell, "--no-defaults", "--force", f"--port={port}", "--host=127.0.0.1", "--protocol=tcp",
                    "--user=app", "--password=app-pw", *plain, "sbtest", "-e", statements],
                   check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)


MYSQL2 = """
const mysql = require('mysql2/promise');
(async () => {
  const c = await mysql.createConnection({host: '127.0.0.1', port: PORT, user: 'app', password: 'app-pw',
    database: 'sbtest', multipleStatements: true});
  await c.query('SELECT id, name FROM recorded LIMIT 3; SELECT 2; CALL two_results()');
  for (const limit of [3, 4, 5])
    await c.execute('SELECT id, name, body FROM recorded WHERE id < ? AND name <> ?', [limit, 'x']);
  await c.execute('CALL two_results()');
  await c.unprepare('CALL two_results()');
  await c.execute('SELECT ? + ?', [1, 2]);
  await c.query('nonsense').catch(() => {});
  await c.changeUser({user: 'app', password: 'app-pw', database: 'sbtest'});
  await c.beginTransaction(); await c.query('SELECT 1'); await c.rollback();
  await c.ping(); await c.end();
})().catch(error => { console.error(error); process.exit(1); });
"""

MARIADB = """
const mariadb = require('mariadb');
(async () => {
  const c = await mariadb.createConnection({host: '127.0.0.1', port: PORT, user: 'app', password: 'app-pw',
    database: 'sbtest', multipleStatements: true, allowPublicKeyRetrieval: true, bulk: false, pipelining: true});
  await Promise.all([c.query('SELECT id, name FROM recorded LIMIT 3'), c.query('SELECT 2; DO 0'), c.ping(),
    c.execute('SELECT id FROM recorded WHERE id < ?', [4]), c.query('nonsense').catch(() => {}),
    c.execute('SELECT id FROM recorded WHERE id < ?', [5])]);
  await c.changeUser({user: 'app', password: 'app-pw', database: 'sbtest'}).catch(() => {});  // not with MySQL
  await c.reset(); await c.query('SELECT 1'); await c.end();
})().catch(error => { console.error(error); process.exit(1); });
"""


def with_node(port, script):
    subprocess.run(["node", "-e", script.replace("PORT", str(port))], check=True, timeout=30,
                   cwd=os.environ["RECORD_NODE"])


def main():
    make_tables()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for end, flags in (("eof", 0), ("deprecated-eof", DEPRECATE_EOF)):
        with recording(f"every-command-{end}", "every command, as raw packets") as port:
            everything_raw(port, flags)
        if NAME.startswith("mysql"):
            with recording(f"without-metadata-{end}", "result sets without definitions, as raw packets") as port:
                without_metadata(port, flags)
        else:
            with recording(f"cached-metadata-{end}", "definitions left out, as raw packets") as port:
                cached_metadata(port, flags)
            with recording(f"last-prepared-{end}", "statement number -1, as raw packets") as port:
                last_prepared(port, flags)
    if not NAME.startswith("mysql"):
        with recording("progress", "progress reports, as raw packets") as port:
            progress(port, DEPRECATE_EOF)
    if NAME.startswith("mysql"):  # MariaDB closes without a word
        with recording("idle-too-long", "wait_timeout of one second") as port:
            idle_too_long(port)
    with recording("pymysql", "PyMySQL") as port:
        with_pymysql(port)
    with recording("mysqlclient", "mysqlclient") as port:
        with_mysqlclient(port)
    with recording("shell", os.environ["RECORD_SHELL"].rsplit("/", 1)[-1]) as port:
        with_shell(port)
    with recording("mysql2", "Node's mysql2") as port:
        with_node(port, MYSQL2)
    with recording("mariadb-npm", "Node's mariadb, pipelining") as port:
        with_node(port, MARIADB)


main()
