"""Whether a login through mytls came out right; where mytls and the server may differ, and why."""

from dataclasses import dataclass

import accounts
from cases import HOME, UTF8, Case
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
    def user(self):
        """The name that it ends up with."""
        return (self.case.change_to or (self.case.user,))[0][0].decode("latin1")

    def parts(self, place):
        """What it is compared with."""
        return [self.direct, self.own] + ([self.moved] if place == "imported" else [])

    @property
    def differs(self):
        """Whether a client sees another outcome through mytls."""
        return self.direct.account != self.through.account

    def __str__(self):
        return (
            f"direct {self.direct}, from mytls' address {self.moved}, as mytls {self.own}, through mytls {self.through}"
        )


def judge(measured, place, server):
    """Whether the outcome is right, and what it is."""
    through, parts = measured.through, measured.parts(place)
    if not all(outcome.heard for outcome in (*parts, through)):
        return False, f"nobody answered: {measured}"
    if through.accepted and not all(part.accepted for part in parts):
        reason = first_of(LENIENT, measured, place, server)
        return bool(reason), reason or f"LET IN: {measured}"
    if through.accepted and through.account != measured.own.account:
        return False, f"let in as another account: {measured}"
    if through.accepted:
        return True, BY_MYTLS_ADDRESS if measured.differs else "let in"
    if not measured.direct.accepted:
        return True, f"refused by both: {measured.direct.error}, {through.error}"
    if not all(part.accepted for part in parts):
        return True, NOT_FROM_MYTLS_ADDRESS
    reason = first_of(STRICTER, measured, place, server)
    return bool(reason), reason or f"refused, and nothing says why: {measured}"


def first_of(reasons, *about):
    return next((reason for reason, applies in reasons if applies(*about)), None)


def unused(every, used, place, server):
    """The reasons that apply to one of the logins, and that none needed: the lists must not rot."""
    for measured in every:
        all_let_in = all(part.accepted for part in measured.parts(place))
        reason = first_of(STRICTER if all_let_in else LENIENT, measured, place, server)
        if reason and reason not in used and measured.own.accepted:
            used.add(reason)
            yield reason


def shows(*certificates):
    return lambda measured, place, server: measured.case.transport.certificate in certificates


def shows_subject(*certificates):
    """Whether it shows one of these certificates to an account that names its subject."""
    return lambda measured, place, server: (
        measured.case.transport.certificate in certificates
        and measured.user == f"s-{measured.case.transport.certificate}"
    )


def has_host_name(measured, place, server):
    """Whether one of the user's accounts has a host of letters."""
    hosts = [host for number, host in enumerate(accounts.HOSTS) if measured.user == f"h{number}"]
    hosts += [host for host, _ in accounts.SEVERAL.get(measured.user, [])]
    return any(host.lower().startswith("local") for host in hosts)


def is_uncertain(measured, place, server):
    """Whether servers read the name by guessing, each its own way."""
    name, collation = (measured.case.change_to or (measured.case.user,))[0]
    is_ascii = all(byte < 128 for byte in name)
    return not is_ascii and (collation != UTF8 or name in (b"a\xff", "a😀".encode()))


def has_empty_host(measured, place, server):
    """Whether an account has the host '', which MySQL takes for everywhere, but not for `%`."""
    return server == "mysql" and measured.user in ("percent-and-empty", f"h{accounts.HOSTS.index('')}")


def has_expired(measured, place, server):
    """Whether the server tells nothing until the password is changed."""
    return place == "imported" and measured.user == "expired"


def is_proxy_user(measured, place, server):
    return place == "imported" and measured.user == "proxy-strict"


def is_mariadbs_cipher(measured, place, server):
    """Whether the account wants a cipher alone, for which MariaDB wants no certificate."""
    alone = measured.user.startswith("r-cipher-") and not measured.user.endswith("-dm")
    return (place, server) == ("file", "mariadb") and alone and not measured.case.transport.certificate


def is_mysqls_network(measured, place, server):
    """Whether it is about 127.0.0.4/30, which to MariaDB is a name that nobody has."""
    return server == "mariadb" and measured.user.startswith("network")


def is_mariadbs_order(measured, place, server):
    """Whether several patterns admit the client: which of them MariaDB takes is not taken for certain."""
    return (place, server) == ("imported", "mariadb") and measured.user == "nested-back"


def is_older_escaping(measured, place, server):
    """Whether the account has the certificate's subject as OpenSSL printed it before 3.0. No other certificate has it."""
    certificate = measured.case.transport.certificate
    return certificate in ("slash", "plus") and measured.user == f"o-{certificate}"


def is_mysqls_order(measured, place, server):
    """Whether it is about `localhost` beside 127.0.0.1: MySQL takes the address, MariaDB the name."""
    is_it = measured.user == "strict-localhost-named" and measured.case.address == HOME
    return (place, server) == ("file", "mariadb") and is_it


def is_other_account(measured, place, server):
    """Whether the server has one account for the client's address and another for mytls'."""
    return place == "imported" and measured.direct.account != measured.own.account


BY_MYTLS_ADDRESS = "the server chooses the account by mytls' address"
NOT_FROM_MYTLS_ADDRESS = "for mytls' address the server has no account, or one that asks for more"
# What mytls refuses although the server would not. Each stands in docs/rules.md.
STRICTER = [
    ("an X.509 v1 certificate is not taken from a client", shows("v1")),
    ("a certificate authority's own certificate is not taken from a client", shows("ca-leaf")),
    ("a subject that can be read in two ways is no subject", shows_subject("backslash-x", "backslash-end", "nul", "bmp")),
    ("host names are not resolved, so an account with one admits nobody by itself", has_host_name),
    ("a user name is refused that cannot be decoded with certainty", is_uncertain),
    ("an account with the host '' is one that nobody is sure to be", has_empty_host),
    ("an expired password hides the account: all that it could be must permit, anonymous ones too", has_expired),
    ("a proxy user must meet what both of its accounts require", is_proxy_user),
    ("CIPHER in mytls' file wants a certificate, as in MySQL", is_mariadbs_cipher),
    ("a prefix length is a network in mytls' file; imported from MariaDB it could be anything", is_mysqls_network),
    ("which of several patterns MariaDB takes is not certain, so all must permit", is_mariadbs_order),
    ("the account for mytls' address must be the one for the client's", is_other_account),
]
# What mytls lets in although the server would not. Each stands in docs/rules.md, too.
LENIENT = [
    ("a subject is taken in the escaping of older releases of OpenSSL, too", is_older_escaping),
    ("which account counts is decided in mytls' file as in MySQL, not as in MariaDB", is_mysqls_order),
]
