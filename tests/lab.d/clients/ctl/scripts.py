"""`mytls ctl` as scripts use it, and DM's files: scripts.py PROGRAM ADMIN_PORT DM_FOLDER SOURCE_PORT TARGET_PORT.

One line a check: `ok   NAME -> result` or `FAIL NAME -> why`; exit status 1 if one failed."""

import json
import os
import subprocess
import sys
import tempfile

PROGRAM, PORT, DM, SOURCE, TARGET = sys.argv[1:]
HERE, ALSO_HERE, NOBODY = f"127.0.0.1:{PORT}", f"localhost:{PORT}", "127.0.0.1:1"
failed = 0


def run(*arguments, text="", status=0):
    """What it prints and complains of; anything but this exit status is an error."""
    environment = {**os.environ, "MYTLS_CTL_PASSWORD": "admin-pw"}
    done = subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True, timeout=60, env=environment)
    said = (done.stdout, done.stderr)
    if done.returncode != status:
        raise AssertionError(f"exit status {done.returncode}, not {status}: {said}")
    return said


def ctl(*arguments, address=HERE, **more):
    return run("ctl", "--admin-addr", address, "--user", "ops", *arguments, **more)


def check(name, act):
    global failed
    try:
        good, why = True, act() or ""
    except Exception as error:
        good, why = False, f"{type(error).__name__}: {error}"
    failed += not good
    print("ok  " if good else "FAIL", name, "->", str(why).replace("\n", " ")[:400], flush=True)


def same(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")


def lines_of_json(*arguments, **more):
    return [json.loads(line) for line in ctl("--json", *arguments, **more)[0].splitlines()]


def statements():
    same(ctl("-e", "SELECT 1 AS one; SELECT 2 AS two"), ("one\n1\ntwo\n2\n", ""))
    same(ctl(text="SELECT 1 AS one;\nSELECT 2\nAS two"), ("one\n1\ntwo\n2\n", ""))


def refused():
    printed, complaint = ctl(text="SELECT 1; nonsense; SELECT 2;", status=1)
    same(printed, "1\n1\n")
    same(complaint.startswith(f"mytls: {HERE}: ERROR 1064 (42000)"), True)
    return complaint


def as_json():
    answers = lines_of_json("-e", "SELECT 1 AS one, NULL AS none, 'x' AS text; ALTER INSTANCE RELOAD TLS")
    same([answer["address"] for answer in answers], [HERE, HERE])
    same(answers[0]["rows"], [{"one": 1, "none": None, "text": "x"}])
    same(answers[1]["affected_rows"], 0)


def several():
    addresses = f"{HERE},{NOBODY},{ALSO_HERE}"
    printed, complaint = ctl("-e", "SELECT 1 AS one", address=addresses, status=1)
    same(printed, f"Address\tone\n{HERE}\t1\n{ALSO_HERE}\t1\n")
    same(complaint.startswith(f"mytls: {NOBODY}: "), True)
    answers = lines_of_json("-e", "SELECT 1 AS one", address=addresses, status=1)
    same([answer.get("rows") for answer in answers], [[{"one": 1}], None, [{"one": 1}]])
    same("refused" in answers[1]["error"], True)
    return complaint


def route():
    """The two servers are those of DM's files."""
    for to in ["target", "source"]:
        same(ctl("route", to), ("", ""))
        rows = lines_of_json("backends")[0]["rows"]
        found = [(row["Route"], row["Current"], row["Endpoint"]) for row in rows]
        current = [("YES" if to == role else "NO") for role in ["source", "target"]]
        same(found, [("source", current[0], f"127.0.0.1:{SOURCE}"), ("target", current[1], f"127.0.0.1:{TARGET}")])


def names_of_dm():
    same(run("ctl", "--master-addr", HERE, "-u", "ops", "-e", "SELECT CURRENT_USER() AS me"), ("me\nops@127.0.0.1\n", ""))
    certs = f"{DM}/certs"
    tls = [f"--ssl-ca={certs}/root-ca.pem", f"--ssl-cert={certs}/client-worker-rsa.pem", f"--ssl-key={certs}/client-worker-rsa.key"]
    alone = run("ctl", "--master-addr", HERE, "-u", "rotate", *tls, "-e", "SELECT CURRENT_USER() AS me")
    same(alone, ("me\nrotate@127.0.0.1\n", ""))


def files_of_dm():
    printed, _ = run("check", "--source", f"{DM}/source.yaml", "--task", f"{DM}/task.yaml")
    for role, port in [("source", SOURCE), ("target", TARGET)]:
        same(any(line.startswith(f"ok       {role} 127.0.0.1:{port}") for line in printed.splitlines()), True)


def misspelt_file_of_dm():
    with open(f"{DM}/source.yaml", encoding="utf-8") as file, tempfile.NamedTemporaryFile("w", suffix=".yaml") as wrong:
        wrong.write(file.read().replace("ssl-ca:", "ssl-cer:"))
        wrong.flush()
        _, complaint = run("check", "--source", wrong.name, status=64)
    same("from.security.ssl-cer: unknown key" in complaint, True)


check("-e and standard input", statements)
check("a statement that is refused is the last", refused)
check("JSON", as_json)
check("several addresses, one of them down", several)
check("the route, there and back", route)
check("DM's names of options", names_of_dm)
check("DM's files are checked with the servers that they name", files_of_dm)
check("a misspelt key in DM's file is an error", misspelt_file_of_dm)
sys.exit(failed > 0)
