"""`mytls ctl` as a person uses it, on a terminal of its own: terminal.py PROGRAM ADMIN_PORT.

One line a check: `ok   NAME -> result` or `FAIL NAME -> why`; exit status 1 if one failed."""

import fcntl
import os
import pty
import re
import select
import stat
import struct
import sys
import tempfile
import termios
import time

PROGRAM, PORT = sys.argv[1], sys.argv[2]
CTL = [PROGRAM, "ctl", "--admin-addr", f"127.0.0.1:{PORT}", "--user", "ops"]
PASSWORD = "admin-pw"
PROMPT = r"mytls> $"
PATIENCE = 30
ENTER, TAB, CONTROL_C, CONTROL_D, UP = "\r", "\t", "\x03", "\x04", "\x1b[A"
# what moves the cursor, colours and clears
SEQUENCE = re.compile(r"\r?\x1b\[[0-9;?]*[A-Za-z]")
STATE = tempfile.TemporaryDirectory(prefix="mytls-ctl.")
HISTORY = os.path.join(STATE.name, "state", "ctl_history")
failed = 0


class Terminal:
    """A terminal of 120 columns with `mytls ctl` on it."""

    def __init__(self, *options):
        self.seen = ""  # all of it
        self.unread = ""  # what came behind the last text that was waited for
        self.program, self.screen = pty.fork()
        if self.program == 0:
            # the first prompt must not come before the terminal has its size
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            os.environ.update(TERM="xterm", STATE_DIRECTORY=os.path.dirname(HISTORY))
            os.execv(CTL[0], [*CTL, *options])

    def type(self, keys):
        os.write(self.screen, keys.encode())

    def read(self):
        """More of what is shown; nothing when the program has ended."""
        ready, _, _ = select.select([self.screen], [], [], max(0, self.end - time.monotonic()))
        if not ready:
            raise AssertionError(f"waited in vain, shown is {self.unread!r}")
        try:
            more = os.read(self.screen, 4096).decode(errors="replace")
        except OSError:  # how a terminal ends
            return False
        self.seen += more
        # a sequence may come in two parts, so what is there already is looked at again
        self.unread = SEQUENCE.sub("", self.unread + more)
        return more != ""

    def wait_for(self, pattern):
        """What is shown up to this."""
        self.end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.unread)):
            if not self.read():
                raise AssertionError(f"ctl ended: {self.unread!r}")
        shown, self.unread = self.unread[: found.end()], self.unread[found.end() :]
        return shown

    def answer(self, keys, pattern):
        """Types, and waits for the answer and the next prompt."""
        self.type(keys)
        return self.wait_for(rf"(?s)\n{pattern}.*\n{PROMPT}")

    def log_in(self):
        self.wait_for("Password: $")
        self.type(PASSWORD + ENTER)
        self.wait_for(PROMPT)
        return self

    def status(self):
        """Waits for the end of the program, and gives its exit status."""
        self.end = time.monotonic() + PATIENCE
        while self.read():
            pass
        _, status = os.waitpid(self.program, 0)
        return os.waitstatus_to_exitcode(status)

    def is_as_before(self):
        """Whether the next program finds a terminal that shows what is typed, line by line."""
        usual = termios.ECHO | termios.ICANON | termios.ISIG
        return termios.tcgetattr(self.screen)[3] & usual == usual


def check(name, run):
    global failed
    try:
        good, why = True, run() or ""
    except Exception as error:
        good, why = False, f"{type(error).__name__}: {error}"
    failed += not good
    print("ok  " if good else "FAIL", name, "->", str(why).replace("\n", " ").replace("\r", "")[:300], flush=True)


def expect(good, why):
    if not good:
        raise AssertionError(why)


def wrong_password():
    terminal = Terminal("-p")
    terminal.wait_for("Password: $")
    terminal.type("wrong-pw" + ENTER)
    status = terminal.status()
    expect(status == 1, f"exit status {status}")
    expect("ERROR 1045 (28000)" in terminal.seen and "using password: YES" in terminal.seen, terminal.seen)
    expect("wrong" not in terminal.seen, f"the password is shown: {terminal.seen!r}")
    expect(terminal.is_as_before(), "the terminal shows no keys any more")
    return terminal.seen


def password_broken_off():
    terminal = Terminal("-p")
    terminal.wait_for("Password: $")
    terminal.type("half" + CONTROL_C)
    status = terminal.status()
    expect(status == 1 and "no password was given" in terminal.seen, f"{status}: {terminal.seen!r}")
    expect(terminal.is_as_before(), "the terminal shows no keys any more")


def conversation():
    """One sitting, step by step; its last statement is what the next sitting begins with."""
    terminal = Terminal("-p").log_in()
    check("the password is not shown", lambda: expect(PASSWORD not in terminal.seen, terminal.seen))
    frame = r"\+-----\+\r\n\| one \|\r\n\+-----\+\r\n\|   1 \|\r\n\+-----\+\r"
    check("a statement is answered in a frame", lambda: terminal.answer("SELECT 1 AS one;" + ENTER, frame) and None)
    check("a word is asked as SQL", lambda: terminal.answer("backends" + ENTER, r"\| Route +\| Current \|") and None)
    check(
        "several lines until the semicolon",
        lambda: terminal.answer(f"SELECT 2{ENTER}AS two{ENTER};{ENTER}", r"\| two \|\r\n[^\n]*\n\|   2 \|") and None,
    )
    check("Tab completes", lambda: completed(terminal))
    check("a refusal does not end the prompt", lambda: terminal.answer("nonsense;" + ENTER, r"mytls: .*ERROR 1064 ") and None)
    check("Control-C clears the line", lambda: cleared(terminal, "SELECT 'cleared'"))
    check("Control-C clears several lines", lambda: cleared(terminal, f"SELECT 'begun{ENTER}cleared'"))
    check("\\G asks for a line for each value", lambda: terminal.answer("SELECT 4 AS four\\G" + ENTER, r"\*+ 1\. row \*+\r\nfour: 4\r") and None)
    terminal.type(CONTROL_D)
    status = terminal.status()
    expect(status == 0, f"Control-D ends with {status}")
    expect(terminal.is_as_before(), "the terminal shows no keys any more")


def completed(terminal):
    terminal.type("show cert" + TAB)
    terminal.wait_for("SHOW CERTIFICATES$")
    terminal.answer(";" + ENTER, r"\| Channel +\|")


def cleared(terminal, keys):
    terminal.type(keys)
    terminal.wait_for("cleared'$")
    terminal.type(CONTROL_C)
    terminal.wait_for(PROMPT)
    # would be a part of the other statement
    terminal.answer("SELECT 3 AS three;" + ENTER, r"\| three \|")


def history():
    mode = stat.S_IMODE(os.stat(HISTORY).st_mode)
    expect(mode == 0o600, f"{HISTORY} has mode {mode:o}")
    terminal = Terminal("-p").log_in()
    terminal.type(UP)
    terminal.wait_for(r"SELECT 4 AS four\\G$")
    terminal.answer(ENTER, "[^\n]*\nfour: 4\r")
    terminal.type("exit" + ENTER)
    status = terminal.status()
    expect(status == 0, f"exit ends with {status}")
    with open(HISTORY, encoding="utf-8") as kept:
        expect(PASSWORD not in kept.read(), "the password is in the history")


check("a wrong password is not shown, and ends it with 1", wrong_password)
check("Control-C at the password ends it with 1", password_broken_off)
check("Control-D ends the prompt with 0", conversation)
check("Up brings back the last statement of an earlier prompt", history)
sys.exit(failed > 0)
