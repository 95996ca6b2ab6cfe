"""The logins: whom, from where, over what."""

import ssl
from dataclasses import dataclass, replace

import accounts
from accounts import PASSWORD, SEED

UTF8, LATIN1 = 45, 8
HOME = MYTLS = "127.0.0.1"  # mytls, too, comes to the server from there


@dataclass(frozen=True)
class Transport:
    """What a client speaks and shows."""

    name: str
    version: ssl.TLSVersion | None = None
    certificate: str | None = None
    cipher: str | None = None  # of TLS 1.2; in 1.3 Python and all servers of the lab take TLS_AES_256_GCM_SHA384
    resumed: bool = False


@dataclass(frozen=True)
class Case:
    """A login, and then perhaps a change of user."""

    user: tuple  # bytes and collation
    transport: Transport
    address: str = HOME
    password: bytes = PASSWORD
    change_to: tuple | None = None  # (user, password)

    @property
    def asks_for(self):
        """The bytes of the name that it ends up with."""
        return (self.change_to or (self.user,))[0][0]

    def __str__(self):
        name, collation = self.user
        charset = {UTF8: "", LATIN1: " in latin1"}.get(collation, f" in collation {collation}")
        password = {PASSWORD: ""}.get(self.password, f" with the password {self.password.decode()!r}")
        change = f", then {self.change_to[0][0]!r}" if self.change_to else ""
        return f"{name!r}{charset}{password}{change} from {self.address}, {self.transport.name}"


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
AES256, AES128 = "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"
PLAIN = Transport("plaintext")
TLS = Transport("TLS 1.3", V13)
WITH_DM = Transport("TLS 1.3, dm", V13, "dm")
WITH_WORKER = Transport("TLS 1.3, worker", V13, "worker")
USUAL = [PLAIN, TLS, WITH_DM]
OF_MYTLS = WITH_DM  # what mytls speaks to the server
SHORT = [
    *USUAL,
    Transport("TLS 1.2", V12, None, AES256),
    Transport("TLS 1.2, dm, AES128", V12, "dm", AES128),
    Transport("TLS 1.2, worker, AES128", V12, "worker", AES128),
    Transport("TLS 1.3, dm of the root", V13, "of-root"),
    Transport("TLS 1.3, dm, resumed", V13, "dm", resumed=True),
]
TRANSPORTS = [
    *SHORT,
    WITH_WORKER,
    Transport("TLS 1.2, dm", V12, "dm", AES256),
    Transport("TLS 1.2, AES128", V12, None, AES128),
    Transport("TLS 1.2, dm, resumed", V12, "dm", AES256, resumed=True),
    Transport("TLS 1.3, worker, resumed", V13, "worker", resumed=True),
]
# What no account takes, not even one without a requirement.
REFUSED = [
    Transport("TLS 1.3, dm of another CA", V13, "other-ca"),
    Transport("TLS 1.2, dm of another CA", V12, "other-ca", AES256),
    Transport("TLS 1.3, expired", V13, "expired"),
]


def user(name):
    return (name.encode(), UTF8)


def all_cases(server, subjects, long):
    """Every case, each once; `long` widens the products."""
    two = [PLAIN, WITH_DM]
    cases = requirements(TRANSPORTS if long else SHORT)
    cases += refused_certificates()
    cases += odd_certificates(subjects)
    cases += hosts(USUAL if long else [PLAIN])
    cases += several(USUAL if long else two)
    cases += anonymous(USUAL if long else two)
    cases += names([PLAIN, TLS] if long else [TLS])
    cases += states(server, USUAL if long else two)
    cases += changes(server, [TLS, WITH_DM, WITH_WORKER] if long else [TLS, WITH_DM])
    return list(dict.fromkeys(cases))


def requirements(transports):
    return [Case(user(f"r-{name}"), transport) for name in accounts.REQUIREMENTS for transport in transports]


def refused_certificates():
    return [Case(user(f"r-{name}"), transport) for name in ("none", "x509", "dm") for transport in REFUSED]


def odd_certificates(subjects):
    """Each odd certificate for the accounts that name it, that name dm, and that want any."""
    named = [account.user for account in accounts.with_subjects(subjects)]
    cases = []
    for name in subjects:
        transport = Transport(f"TLS 1.3, certificate {name}", V13, name)
        wanted = [account for account in (f"s-{name}", f"o-{name}") if account in named]
        cases += [Case(user(account), transport) for account in ("r-none", "r-x509", "r-dm", *wanted)]
    return cases


def hosts(transports):
    addresses = [HOME, "127.0.0.4", "127.0.0.5", "127.0.0.9", "::1"]
    return [
        Case(user(f"h{number}"), transport, address)
        for number, _ in enumerate(accounts.HOSTS)
        for transport in transports
        for address in addresses
    ]


def several(transports):
    return [
        Case(user(name), transport, address)
        for name in accounts.SEVERAL
        for transport in transports
        for address in (HOME, "127.0.0.4", "127.0.0.5", "127.0.0.9", "::1")
    ]


def anonymous(transports):
    users = ["", "nobody", "r-none", "lax-here", "h8"]
    return [
        Case(user(name), transport, address, password)
        for name in users
        for transport in transports
        for address in ("127.0.0.7", "127.0.0.8", "127.0.0.9")
        for password in (PASSWORD, b"anonymous-pw")
    ]


def names(transports):
    """Each name as it is, and as a client may spell it."""
    spellings = []
    for name in accounts.NAMES:
        forms = [name, f"'{name}'", f'"{name}"', f"`{name}`", f"'{name}", name.upper(), name.lower(), f"{name} ", f" {name}"]
        spellings += [user(form) for form in forms]
        spellings += [(name.encode("latin1"), LATIN1)] if is_latin1(name) else []
    spellings += [
        ("été".encode(), LATIN1),
        ("été".encode("latin1"), UTF8),
        ("été".encode(), 33),
        ("été".encode(), 255),
        ("été".encode(), 0),
        ("été".encode("cp1250"), 26),
        ("дм".encode("koi8-r"), 7),
        ("дм".encode("cp1251"), 51),
        ("été".encode("utf-16be"), 35),
        user("a😀"),
        user("a\u20ac"),
        (b"a\xe9", 11),
        (b"a\xff", UTF8),
        user("l" * 33),
        user("'" + "l" * 33 + "'"),
        user("L" * 32),
        user("''quoted''"),
        user("'quoted'@'%'"),
        user("quoted@%"),
        user("quoted%"),
        user("_uoted"),
        user("role"),
        user("mysql.session"),
        user("mariadb.sys"),
        user("PUBLIC"),
    ]
    return [Case(spelling, transport) for spelling in spellings for transport in transports]


def is_latin1(name):
    return all(ord(character) < 256 for character in name)


def states(server, transports):
    cases = []
    for account in accounts.with_states(server):
        for transport in transports:
            for password in (account.password, b"", b"wrong-pw"):
                cases.append(Case(user(account.user), transport, HOME, password))
                cases.append(Case(user(account.user), transport, "127.0.0.5", password))
    return cases


def changes(server, transports):
    """COM_CHANGE_USER from an account that asks for nothing."""
    targets = [(f"r-{name}", PASSWORD) for name in accounts.REQUIREMENTS]
    targets += [(name, PASSWORD) for name in (*accounts.SEVERAL, "Case", "CASE", "été", "'quoted'", "nobody", "")]
    targets += [(account.user, account.password) for account in accounts.with_states(server)]
    targets += [("r-x509", b"wrong-pw"), ("r-none", b"wrong-pw")]
    start = Case(user("r-none"), PLAIN)
    return [
        replace(start, transport=transport, address=address, change_to=(user(name), password))
        for name, password in targets
        for transport in transports
        for address in ((HOME, "127.0.0.5") if name in accounts.SEVERAL else (HOME,))
    ]
