"""Who gets in directly, and who through mytls?

    differential prepare mysql|mariadb PKI FOLDER          writes certificates, accounts.sql and accounts.yaml
    differential compare mysql|mariadb imported|file SERVER_PORT MYTLS_PORT PKI FOLDER [long]

Three logins at the server itself say what mytls must do with a login of the same client:

    direct   as the client comes to the server without mytls
    moved    the same from mytls' address: for the server, clients of mytls come from there
    own      the same from mytls' address over the TLS that mytls speaks to the server: its certificate, its cipher

With rules imported from the server, mytls lets in exactly those that all three let in, as the account of `own`; with the
same rules in its file those that `direct` and `own` let in. Where it refuses more, `differences` names why. Whom it lets
in although one of the three is refused, that is the failure this test looks for.

One line for each login: `ok   LOGIN -> outcome` or `FAIL LOGIN -> why`; then `note`s that count the differences."""

import functools
import json
import multiprocessing
import pathlib
import ssl
import sys
from collections import Counter, defaultdict
from dataclasses import replace

import accounts
import cases
import certificates
import differences
from login import log_in

PROCESSES = 6


def prepare(server, pki, folder):
    folder = pathlib.Path(folder)
    files = certificates.make(pki, folder)
    written = {name: [str(certificate), str(key), subject] for name, (certificate, key, subject) in files.items()}
    (folder / "certificates.json").write_text(json.dumps(written))
    odd = cases.odd_accounts(written)
    statements = accounts.sql(server) + [account.create() for account in odd]
    (folder / "accounts.sql").write_text("\n".join(statements) + "\n")
    rules = [account for account in accounts.of(server) + odd if account.in_file]
    lines = [json.dumps({"user": account.name, "require": account.require}, ensure_ascii=False) for account in rules]
    (folder / "accounts.yaml").write_text("".join(f"  - {line}\n" for line in lines))


class Measurement:
    """Logs in; each process has its own, for its TLS contexts."""

    def __init__(self, ports, files):
        self.ports, self.files = ports, files

    def __call__(self, question):
        target, case = question
        at = ("::1" if ":" in case.address else "127.0.0.1", self.ports[target])
        login = (case.user, case.password)
        tls = self.tls(case.transport)
        if case.transport.resumed:
            # the session of a first login
            _, session = log_in(at, case.address, *login, (tls, None))
            return question, log_in(at, case.address, *login, (tls, session), case.change_to)[0]
        return question, log_in(at, case.address, *login, tls and (tls, None), case.change_to)[0]

    @functools.cache
    def tls(self, transport):
        if transport.version is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = transport.version
        if transport.cipher:
            context.set_ciphers(transport.cipher)
        if transport.certificate:
            context.load_cert_chain(*self.files[transport.certificate][:2])
        return context


def measure(measurement, questions):
    """The outcome of each (target, case)."""
    with multiprocessing.Pool(PROCESSES) as pool:
        return dict(pool.imap_unordered(measurement, questions, chunksize=8))


def compare(server, place, server_port, mytls_port, pki, folder, extent="short"):
    files = json.loads((pathlib.Path(folder) / "certificates.json").read_text())
    chosen = cases.all_cases(server, files, extent == "long")
    if place == "file":
        every = accounts.of(server) + cases.odd_accounts(files)
        not_in_file = {account.user.encode() for account in every if not account.in_file}
        chosen = [case for case in chosen if case.asks_for not in not_in_file]
    moved = {case: replace(case, address=cases.HOME) for case in chosen}
    own = {case: replace(case, address=cases.HOME, transport=cases.WITH_DM) for case in chosen}
    direct = {("server", case) for case in (*chosen, *moved.values(), *own.values())}
    measurement = Measurement({"server": int(server_port), "mytls": int(mytls_port)}, files)
    outcomes = measure(measurement, [*direct, *(("mytls", case) for case in chosen)])

    failed, seen = 0, defaultdict(list)
    for case in chosen:
        measured = differences.Measured(
            case,
            direct=outcomes["server", case],
            moved=outcomes["server", moved[case]],
            own=outcomes["server", own[case]],
            through=outcomes["mytls", case],
        )
        good, what = differences.judge(measured, place)
        failed += not good
        print("ok  " if good else "FAIL", case, "->", what)
        if good and measured.differs:
            seen[what].append(case)
    for reason, found in sorted(seen.items()):
        print(f"note {len(found)} of {len(chosen)} logins: {reason}; one is {found[0]}")
    alike = Counter(outcomes["mytls", case].accepted for case in chosen)
    print(f"note {len(chosen)} logins through mytls: {alike[True]} accepted, {alike[False]} refused")
    if not (alike[True] and alike[False]):
        print("FAIL the test -> everything was accepted, or nothing")
        failed += 1
    return failed


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    sys.exit({"prepare": prepare, "compare": compare}[what](*arguments) or 0 > 0)
