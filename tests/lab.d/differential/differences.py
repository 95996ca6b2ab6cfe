"""Whether a login through mytls came out right; where mytls and the server may differ, and why."""

from dataclasses import dataclass

import accounts
from cases import UTF8, Case
from login import Outcome


@dataclass(frozen=True)
class Measured:
    """One login, four times; see `__main__`."""

    case: Case
    direct: Outcome
    moved: Outcome
    own: Outcome
    through: Outcome

    @property
    def differs(self):
        """Whether a client sees another outcome through mytls."""
        return self.direct.account != self.through.account

    def __str__(self):
        return (
            f"direct {self.direct}, from mytls' address {self.moved}, as mytls {self.own}, through mytls {self.through}"
        )


def judge(measured, place, server):
    """Whether the outcome is right, and what it is: one of the reasons below, or text that begins otherwise."""
    through = measured.through
    parts = [measured.direct, measured.own]
    if place == "imported":
        parts.append(measured.moved)
    if not all(outcome.heard for outcome in (*parts, through)):
        return False, f"nobody answered: {measured}"
    if through.accepted and not all(part.accepted for part in parts):
        reason = first_of(LENIENT, measured.case, place, server)
        return bool(reason), reason or f"LET IN: {measured}"
    if through.accepted and through.account != measured.own.account:
        return False, f"let in as another account: {measured}"
    if through.accepted:
        return True, BY_MYTLS_ADDRESS if measured.differs else "let in"
    if not measured.direct.accepted:
        return True, f"refused by both: {measured.direct.error}, {through.error}"
    if not all(part.accepted for part in parts):
        return True, NOT_FROM_MYTLS_ADDRESS
    reason = first_of(STRICTER, measured.case, place, server)
    return bool(reason), reason or f"refused, and nothing says why: {measured}"


def first_of(reasons, *about):
    return next((reason for reason, applies in reasons if applies(*about)), None)


def unused(cases, used, place, server):
    """The reasons that should have been needed for one of the cases, and were not: the lists must not rot."""
    return [
        reason
        for reason, applies in STRICTER + LENIENT
        if reason not in used and any(applies(case, place, server) for case in cases)
    ]


def shows(*certificates):
    return lambda case, place, server: case.transport.certificate in certificates


def has_host_name(case, place, server):
    """Whether one of the user's accounts has a host of letters."""
    hosts = [host for number, host in enumerate(accounts.HOSTS) if case.asks_for == f"h{number}".encode()]
    hosts += [host for host, _ in accounts.SEVERAL.get(case.asks_for.decode("latin1"), [])]
    return any(host.lower().startswith("local") for host in hosts)


def is_uncertain(case, place, server):
    """Whether servers read the name by guessing, each its own way."""
    name, collation = (case.change_to or (case.user,))[0]
    is_ascii = all(byte < 128 for byte in name)
    return not is_ascii and (collation != UTF8 or name in (b"a\xff", "a😀".encode()))


def is_mariadbs_cipher(case, place, server):
    """Whether the account wants a cipher alone, for which MariaDB wants no certificate."""
    alone = case.asks_for.startswith(b"r-cipher-") and not case.asks_for.endswith(b"-dm")
    return (place, server) == ("file", "mariadb") and alone and not case.transport.certificate


def is_mysqls_network(case, place, server):
    """Whether it is about 127.0.0.4/30, which means nothing to MariaDB."""
    return (place, server) == ("file", "mariadb") and case.asks_for.startswith(b"network")


def is_older_escaping(case, place, server):
    """Whether the account has the certificate's subject as OpenSSL printed it before 3.0."""
    return case.asks_for == f"o-{case.transport.certificate}".encode() and case.transport.certificate in ("slash", "plus")


def is_mysqls_order(case, place, server):
    """Whether it is about `localhost` beside 127.0.0.1: MySQL takes the address, MariaDB the name."""
    return (place, server) == ("file", "mariadb") and case.asks_for == b"strict-localhost-named"


BY_MYTLS_ADDRESS = "the server chooses the account by mytls' address"
NOT_FROM_MYTLS_ADDRESS = "for mytls' address the server has no account, or one that asks for more"
# Each stands in the README.
STRICTER = [
    ("an X.509 v1 certificate is not taken from a client", shows("v1")),
    ("a certificate authority's own certificate is not taken from a client", shows("ca-leaf")),
    ("a subject that can be read in two ways is no subject", shows("backslash-x", "backslash-end", "nul", "bmp")),
    ("host names are not resolved, so an account with one admits nobody by itself", has_host_name),
    ("a user name is refused that cannot be decoded with certainty", is_uncertain),
    ("CIPHER in mytls' file wants a certificate, as in MySQL", is_mariadbs_cipher),
    ("a network in mytls' file is what it is to MySQL", is_mysqls_network),
]
# What mytls lets in although the server would not. No other certificate has such a subject, so nobody gains by it.
LENIENT = [
    ("a subject is taken in the escaping of older releases of OpenSSL, too", is_older_escaping),
    ("which account counts is decided in mytls' file as in MySQL, not as in MariaDB", is_mysqls_order),
]
