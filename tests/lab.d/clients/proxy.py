"""Clients with addresses of their own, through HAProxy and mytls, to a MariaDB that is told them.

usage: proxy.py PKI STATS PORT...: HAProxy's socket for statistics, and its ports, one for each kind of PROXY header.
"""

import csv
import io
import socket
import ssl
import sys
import time

import pymysql

PKI, STATS, *PORTS = sys.argv[1:]


def check(name, good, seen):
    print(f"ok   {name}" if good else f"FAIL {name} -> {seen!r}")


def connect(port, source, certificate=None):
    tls = ssl.create_default_context(cafile=f"{PKI}/root-ca.pem")
    tls.check_hostname = False
    if certificate:
        tls.load_cert_chain(f"{PKI}/{certificate}.pem", f"{PKI}/{certificate}.key")
    return pymysql.connect(
        host="127.0.0.1", port=int(port), bind_address=source, user="balanced", password="app-pw", ssl=tls
    )


def account_and_host(port, source, certificate=None):
    with connect(port, source, certificate) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT CURRENT_USER(), SUBSTRING_INDEX(HOST, ':', 1) FROM information_schema.PROCESSLIST"
            " WHERE ID = CONNECTION_ID()"
        )
        return cursor.fetchone()


def refusal(port, source):
    try:
        return account_and_host(port, source)
    except pymysql.err.OperationalError as error:
        return error.args


def statistics():
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(STATS)
        stats.sendall(b"show stat\n")
        text = stats.makefile().read().lstrip("# ")
    return [row for row in csv.DictReader(io.StringIO(text)) if row["svname"] == "mytls"]


def after_checks():
    """What HAProxy says of mytls after it has checked it some times."""
    deadline = time.monotonic() + 20
    while True:
        seen = [(row["status"], row["check_status"]) for row in statistics()]
        done = len(seen) == len(PORTS) and all(status != ("UP", "INI") and status[1] for status in seen)
        if done or time.monotonic() > deadline:
            return seen
        time.sleep(0.1)


for kind, port in zip(["version 1", "version 2", "version 2 with extensions"], PORTS, strict=True):
    seen = account_and_host(port, "127.0.0.9")
    check(f"{kind}: the server sees the client", seen == ("balanced@127.0.0.9", "127.0.0.9"), seen)
    seen = account_and_host(port, "127.0.0.8", "client-worker-rsa")
    check(f"{kind}: with a certificate", seen == ("balanced@127.0.0.8", "127.0.0.8"), seen)
    seen = refusal(port, "127.0.0.8")
    denied = (1045, "Access denied for user 'balanced'@'127.0.0.8' (using password: YES)")
    check(f"{kind}: rules go by the client's address", seen == denied, seen)
seen = after_checks()
check("HAProxy's own checks", seen == [("UP", "L4OK")] * len(PORTS), seen)
