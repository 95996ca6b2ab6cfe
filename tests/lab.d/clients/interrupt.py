"""Ctrl-C in a database shell: interrupt.py COMMAND… starts it on a terminal of its own, as a person sits at.

The query that runs there is ended, the session goes on, and a query of another session is not ended."""

import os
import pty
import re
import signal
import subprocess
import sys

SHELL = sys.argv[1:]
QUERY = "SELECT SLEEP(30) AS slept"


def asked(sql):
    """What a shell of its own answers."""
    done = subprocess.run([*SHELL, "--batch", "--skip-column-names", "-e", sql], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def read_until(terminal, pattern):
    """What the terminal shows, up to what it is waited for."""
    shown = ""
    while not re.search(pattern, shown):
        try:
            more = os.read(terminal, 4096)
        except OSError:  # how a terminal ends
            more = b""
        if not more:
            sys.exit(f"the shell ended: {shown!r}")
        shown += more.decode()
    return shown


signal.alarm(60)  # ends this program if the shell never shows what it is waited for
shell, terminal = pty.fork()
if shell == 0:
    os.environ["TERM"] = "dumb"
    os.execvp(SHELL[0], SHELL)
bystander = subprocess.Popen([*SHELL, "--batch", "--skip-column-names", "-e", "SELECT SLEEP(5)"], stdout=subprocess.PIPE)
read_until(terminal, r"(?:mysql|(?:MariaDB|MySQL) \S+)> $")
os.write(terminal, f"{QUERY};\n".encode())
while asked(f"SELECT COUNT(*) FROM information_schema.processlist WHERE info = '{QUERY}'") == "0":
    pass
os.write(terminal, b"\x03")
# some show an error, some a row of 1, MariaDB's no row at all
if re.search(r"\(30\.\d+ sec\)", read_until(terminal, r"(?s)\^C.*> $")):
    sys.exit("the query went on to its end")
os.write(terminal, b"SELECT 6 * 7;\n")
read_until(terminal, r"(?s)\| +42 \|.*> $")
os.write(terminal, b"quit\n")
os.waitpid(shell, 0)
undisturbed = bystander.communicate()[0].decode().strip()
if undisturbed != "0":
    sys.exit(f"another session's query was ended: {undisturbed!r}")
print("ended the query, went on")
