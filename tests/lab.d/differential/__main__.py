"""Who gets in directly, and who through mytls?

    differential prepare mysql|mariadb FOLDER PKI             certificates, statements, mytls' rules: all into FOLDER
    differential direct mysql|mariadb FOLDER PORT             logs in at the server and keeps what came of it
    differential compare mysql|mariadb FOLDER PORT PLACE MYTLS_PORT
                                                              logs in through mytls, and compares

Three logins at the server itself say what mytls must do with a login of the same client:

    direct   as the client comes to the server without mytls
    moved    the same from mytls' address: for the server, clients of mytls come from there
    own      the same from mytls' address over the TLS that mytls speaks to the server: its certificate, its cipher

With rules imported from the server (PLACE `imported`), mytls lets in exactly those that all three let in, as the account
of `own`; with the same rules in its file (PLACE `file`) those that `direct` and `own` let in. Where it refuses more,
`differences` names why. Whom it lets in although one of the three is refused: that is the failure this test looks for.

`direct` and `moved` are kept and `own` is always asked anew, so that between the two steps the server can be made lax:
then `own` lets almost everybody in, and mytls alone stands between.

LAB_LONG=1 asks more, LAB_IPV6=yes also from ::1. One line for each login: `ok   LOGIN -> outcome` or `FAIL LOGIN -> why`; then `note`s that count
where mytls and the server differ."""

import functools
import json
import multiprocessing
import os
import pathlib
import pickle
import ssl
import sys
from collections import Counter, defaultdict
from dataclasses import replace

import accounts
import cases
import certificates
import differences
from login import log_in

# More than cores: MariaDB answers a refused COM_CHANGE_USER after a second.
PROCESSES = 24


class Folder:
    """What the steps hand on to one another."""

    def __init__(self, server, folder):
        self.server, self.path = server, pathlib.Path(folder)

    @property
    def files(self):
        """Certificate file, key file and subject, by the certificates' names."""
        return json.loads((self.path / "certificates.json").read_text())

    @property
    def accounts(self):
        return accounts.of(self.server, self.subjects)

    @property
    def subjects(self):
        return {name: subject for name, (_, _, subject) in self.files.items()}

    @property
    def cases(self):
        every = cases.all_cases(self.server, self.subjects, "LAB_LONG" in os.environ)
        return [case for case in every if ":" not in case.address or os.environ.get("LAB_IPV6")]

    def write(self, name, lines):
        (self.path / name).write_text("".join(f"{line}\n" for line in lines))


def prepare(folder, pki):
    files = certificates.make(pki, folder.path)
    folder.write("certificates.json", [json.dumps(files, default=str)])
    folder.write("accounts.sql", accounts.sql(folder.server, folder.accounts))
    folder.write("lax.sql", accounts.lax_sql(folder.accounts))
    rules = [{"user": account.name, "require": account.require} for account in folder.accounts if account.in_file]
    folder.write("accounts.yaml", ["accounts:", *(f"  - {json.dumps(rule, ensure_ascii=False)}" for rule in rules)])


def direct(folder, port):
    asked = folder.cases
    outcomes = measure(folder, port, [*asked, *map(moved, asked)])
    (folder.path / "outcomes").write_bytes(pickle.dumps(outcomes))


def compare(folder, port, place, mytls_port):
    asked = folder.cases
    if place == "file":
        asked = [case for case in asked if not rests_on_more_than_rules(case, folder.accounts)]
    before = pickle.loads((folder.path / "outcomes").read_bytes())
    own_outcomes = measure(folder, port, [own(case) for case in asked])
    outcomes = measure(folder, mytls_port, asked)

    failed, used, differing, every = False, set(), defaultdict(list), []
    for case in asked:
        measured = differences.Measured(case, before[case], before[moved(case)], own_outcomes[own(case)], outcomes[case])
        good, what = differences.judge(measured, place, folder.server)
        print("ok  " if good else "FAIL", case, "->", what)
        failed |= not good
        used.add(what)
        every.append(measured)
        if good and measured.differs:
            differing[what].append(case)
    for reason in differences.unused(every, used, place, folder.server):
        failed = True
        print(f"FAIL listed, but no login needs it -> {reason}")
    for reason, found in sorted(differing.items()):
        print(f"note {len(found)} of {len(asked)} logins: {reason}; one is {found[0]}")
    count = Counter(outcome.accepted for outcome in outcomes.values())
    print(f"note {len(asked)} logins through mytls: {count[True]} accepted, {count[False]} refused")
    return failed


def moved(case):
    return replace(case, address=cases.MYTLS)


def own(case):
    return replace(case, address=cases.MYTLS, transport=cases.OF_MYTLS)


def rests_on_more_than_rules(case, all_accounts):
    """Whether rules in mytls' file cannot know whom the server would choose, or does not take them."""
    unknown = [account for account in all_accounts if not account.in_file]
    return any(
        account.host == case.address if account.user == "" else account.user.encode() == case.asks_for for account in unknown
    )


class Client:
    """Logs in; each process has its own, for its TLS contexts."""

    def __init__(self, files, port):
        self.files, self.port = files, int(port)

    def __call__(self, case):
        at = ("::1" if ":" in case.address else "127.0.0.1", self.port)
        login = (case.user, case.password)
        context = self.context(case.transport)
        session = None
        if case.transport.resumed:
            _, session = log_in(at, case.address, *login, (context, None))
        outcome, _ = log_in(at, case.address, *login, context and (context, session), case.change_to)
        return case, outcome

    @functools.cache
    def context(self, transport):
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


def measure(folder, port, asked):
    """The outcome of each case."""
    with multiprocessing.Pool(PROCESSES) as pool:
        return dict(pool.imap_unordered(Client(folder.files, port), dict.fromkeys(asked), chunksize=4))


if __name__ == "__main__":
    what, server, folder, *arguments = sys.argv[1:]
    steps = {"prepare": prepare, "direct": direct, "compare": compare}
    sys.exit(steps[what](Folder(server, folder), *arguments))
