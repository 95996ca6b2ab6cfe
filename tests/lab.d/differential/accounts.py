"""The accounts: every form of REQUIRE, of host and of name, and those whose login has its own ways."""

from dataclasses import dataclass

PASSWORD = b"app-pw"
SEED = b"client_ed25519 needs 32 bytes :-)"[:32]  # see login.ed25519
IMPORTER = "importer"


@dataclass(frozen=True)
class Account:
    user: str
    host: str = "%"
    require: str = "NONE"  # as in SQL, quoted
    password: bytes = PASSWORD
    plugin: str | None = None
    rest: str = ""
    beyond_file: bool = False  # whether the login rests on what rules in mytls' file do not know, such as passwords

    @property
    def name(self):
        return f"{quoted(self.user)}@{quoted(self.host)}"

    @property
    def in_file(self):
        return can_stand_in_file(self.host, self.require) and not self.beyond_file

    def create(self):
        password = quoted(self.password.decode())
        if self.plugin == "ed25519":
            by = f"IDENTIFIED VIA ed25519 USING PASSWORD({password})"
        elif self.plugin:
            by = f"IDENTIFIED WITH {self.plugin} BY {password}"
        else:
            by = f"IDENTIFIED BY {password}"
        return f"CREATE USER {self.name} {by} REQUIRE {self.require} {self.rest};"


def quoted(text):
    """A string in SQL, and in mytls' rules."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def subject(text):
    return f"SUBJECT {quoted(text)}"


def issuer(text):
    return f"ISSUER {quoted(text)}"


def cipher(text):
    return f"CIPHER {quoted(text)}"


DM, WORKER = subject("/O=Lab/OU=clients/CN=dm"), subject("/O=Lab/OU=clients/CN=worker")
LAB_CA, ROOT_CA = issuer("/O=Lab/CN=Lab Intermediate CA"), issuer("/O=Lab/CN=Lab Root CA")
CIPHER_13, CIPHER_12 = cipher("TLS_AES_256_GCM_SHA384"), cipher("ECDHE-RSA-AES128-GCM-SHA256")

REQUIREMENTS = {
    "none": "NONE",
    "ssl": "SSL",
    "x509": "X509",
    "dm": DM,
    "worker": WORKER,
    "dm-lower": subject("/o=lab/ou=clients/cn=dm"),
    "dm-upper": subject("/O=Lab/OU=clients/CN=DM"),
    "dm-part": subject("/CN=dm"),
    "dm-less": subject("/O=Lab/OU=clients"),
    "dm-more": subject("/O=Lab/OU=clients/CN=dm/CN=app"),
    "dm-space": subject("/O=Lab/OU=clients/CN=dm "),
    "dm-comma": subject("O = Lab, OU = clients, CN = dm"),
    "dm-percent": subject("/O=Lab/OU=clients/CN=%"),
    "lab-ca": LAB_CA,
    "root-ca": ROOT_CA,
    "other-ca": issuer("/O=Elsewhere/CN=Unrelated CA"),
    "dm-of-lab": f"{DM} AND {LAB_CA}",
    "lab-and-dm": f"{LAB_CA} {DM}",
    "dm-of-root": f"{DM} AND {ROOT_CA}",
    "worker-of-lab": f"{WORKER} AND {LAB_CA}",
    "cipher-13": CIPHER_13,
    "cipher-12": CIPHER_12,
    "cipher-lower": cipher("tls_aes_256_gcm_sha384"),
    "cipher-list": cipher("TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256"),
    "cipher-unknown": cipher("NO-SUCH-CIPHER"),
    "cipher-13-dm": f"{CIPHER_13} AND {DM}",
    "cipher-12-dm": f"{CIPHER_12} AND {DM}",
    "all-three": f"{DM} AND {LAB_CA} AND {CIPHER_13}",
    "all-three-worker": f"{WORKER} AND {LAB_CA} AND {CIPHER_13}",
    "subject-empty": "SUBJECT ''",
    "issuer-empty": "ISSUER ''",
    "cipher-empty": "CIPHER ''",
    "all-empty": "SUBJECT '' AND ISSUER '' AND CIPHER ''",
    "subject-empty-lab": f"SUBJECT '' AND {LAB_CA}",
    "issuer-empty-dm": f"{DM} AND ISSUER ''",
    "cipher-empty-dm": f"{DM} AND CIPHER ''",
}

HOSTS = [
    "%",
    "",
    "127.0.0.1",
    "127.0.0.5",
    "127.0.0.%",
    "127.0.0._",
    "127.%",
    "127.0.0.1%",
    "1%",
    "%.5",
    "_27.0.0.5",
    "%:%",
    "127.0.0.0/255.255.255.0",
    "127.0.0.4/255.255.255.252",
    "127.0.0.5/255.255.255.255",
    "127.0.0.4/30",
    "127.0.0.0/8",
    "127.0.0.5/32",
    "127.0.0.0/0",
    "0.0.0.0/0.0.0.0",
    "localhost",
    "LOCALHOST",
    "local%",
    "localhost.localdomain",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::%",
    "::1/128",
    "::ffff:127.0.0.5",
    "127.0.0.05",
    "127.0.0.5 ",
    "10.0.0.%",
    "db.example.test",
]

# Several accounts of one name: which of them counts?
SEVERAL = {
    "strict-here": [("%", "NONE"), ("127.0.0.5", "X509")],
    "lax-here": [("%", "X509"), ("127.0.0.5", "NONE")],
    "lax-at-mytls": [("127.0.0.1", "NONE"), ("127.0.0.%", "X509")],
    "strict-at-mytls": [("127.0.0.1", DM), ("127.0.0.%", "NONE")],
    "strict-localhost": [("localhost", "X509"), ("127.0.0.%", "NONE")],
    "lax-localhost": [("localhost", "NONE"), ("127.0.0.%", "X509")],
    "strict-localhost-named": [("localhost", "X509"), ("127.0.0.1", "NONE")],
    "nested": [("%", "NONE"), ("127.%", "SSL"), ("127.0.0.%", "X509"), ("127.0.0.5", DM)],
    "nested-back": [("%", DM), ("127.%", "X509"), ("127.0.0.%", "SSL"), ("127.0.0.5", "NONE")],
    "mask-and-pattern": [("127.0.0.4/255.255.255.252", "X509"), ("127.0.0.%", "NONE")],
    "pattern-and-mask": [("127.0.0.4/255.255.255.252", "NONE"), ("127.0.0.%", "X509")],
    "mask-and-literal": [("127.0.0.4/255.255.255.252", "X509"), ("127.0.0.5", "NONE")],
    "masks": [("127.0.0.0/255.0.0.0", "NONE"), ("127.0.0.4/255.255.255.252", "X509")],
    "networks": [("127.0.0.0/8", "NONE"), ("127.0.0.4/30", "X509")],
    "network-and-mask": [("127.0.0.4/30", "X509"), ("127.0.0.0/255.0.0.0", "NONE")],
    "network-and-pattern": [("127.0.0.4/30", "X509"), ("127.0.0.%", "NONE")],
    "patterns": [("127.0.0._", "X509"), ("127.0.0.%", "NONE")],
    "patterns-alike": [("127.0.%.5", "X509"), ("127.%.0.5", "NONE")],
    "only-five": [("127.0.0.5", "NONE")],
    "six": [("127.0.0.%", "NONE"), ("::1", "X509")],
    "six-only": [("::1", "NONE")],
}

# What mytls does not take in its file, saying what to write; a server may have it all the same.
NOT_IN_FILE = {"", "127.0.0.0/0", "0.0.0.0/0.0.0.0", "::1/128", "127.0.0.05"}


def can_stand_in_file(host, require):
    is_empty = any(f"{word} ''" in require for word in ("SUBJECT", "ISSUER", "CIPHER"))
    return host not in NOT_IN_FILE and not is_empty and "O = Lab" not in require


# The anonymous user stands in everybody's way at these addresses.
ANONYMOUS = [
    Account("", "127.0.0.7", "X509"),
    Account("", "127.0.0.8", "NONE", password=b"anonymous-pw", beyond_file=True),
]

NAMES = [
    "Case",
    "case",
    "o'neil",
    'dou"ble',
    "back`tick",
    "back\\slash",
    "a@b",
    "a@localhost",
    "with space",
    "été",
    "ÉTÉ",
    "ete",
    "дм",
    "a?",
    "100%",
    "under_score",
    "l" * 32,
    "'",
    "quoted",
]


def of(server, subjects):
    """All accounts of `mysql` or `mariadb`; `subjects` are those of the certificates, by their names."""
    accounts = [Account(f"r-{name}", require=text) for name, text in REQUIREMENTS.items()]
    accounts += [Account(f"h{number}", host) for number, host in enumerate(HOSTS)]
    accounts += [Account(name, *at) for name, hosts in SEVERAL.items() for at in hosts]
    accounts += ANONYMOUS
    # Names that are one another's or stand for one another, of different strictness.
    accounts += [Account(name, require="NONE" if number % 2 else "SSL") for number, name in enumerate(NAMES)]
    accounts += with_states(server)
    accounts += with_subjects(subjects)
    return accounts


def with_subjects(subjects):
    """Accounts that want the subjects, in OpenSSL 3's escaping and in that of older releases."""
    accounts = []
    for name, text in subjects.items():
        accounts.append(Account(f"s-{name}", require=subject(text)))
        older = text.replace("\\/", "/").replace("\\+", "+")
        if older != text:
            accounts.append(Account(f"o-{name}", require=subject(older)))
    return accounts


def with_states(server):
    """Accounts whose login has its own ways."""
    accounts = [
        Account("no-password", password=b""),
        Account("no-password-x509", password=b"", require="X509"),
        Account("locked", rest="ACCOUNT LOCK"),
        Account("locked-x509", require="X509", rest="ACCOUNT LOCK"),
        Account("expired", rest="PASSWORD EXPIRE"),
        Account("expired-x509", require="X509", rest="PASSWORD EXPIRE"),
        # The password, the lock and the date belong to one of the accounts of a name.
        Account("other-password", "%", password=b"elsewhere-pw", beyond_file=True),
        Account("other-password", "127.0.0.5", password=b"here-pw", beyond_file=True),
        Account("locked-here", "%", beyond_file=True),
        Account("locked-here", "127.0.0.5", rest="ACCOUNT LOCK", beyond_file=True),
        Account("locked-at-mytls", "127.0.0.5", beyond_file=True),
        Account("locked-at-mytls", "%", rest="ACCOUNT LOCK", beyond_file=True),
    ]
    if server == "mysql":
        return accounts + [
            Account("percent-and-empty", "%"),
            Account("percent-and-empty", "", "X509"),  # two hosts to MySQL, one to MariaDB
            Account("sha256", plugin="sha256_password"),
            Account("sha256-x509", plugin="sha256_password", require="X509"),
            Account("proxied", require="X509", password=b"nobody knows"),
            Account("proxied-lax", password=b"nobody knows"),
            Account("proxy", plugin="sha256_password", beyond_file=True),
            Account("proxy-strict", plugin="sha256_password", require="X509", beyond_file=True),
        ]
    return accounts + [
        Account("ed25519", plugin="ed25519", password=SEED),
        Account("ed25519-x509", plugin="ed25519", password=SEED, require="X509"),
    ]


def sql(server, accounts):
    """The statements that make them, and the account that mytls imports with."""
    columns = "User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin"
    if server == "mariadb":
        columns += ", is_role"
    statements = [account.create() for account in accounts]
    statements += [
        f"CREATE USER {IMPORTER} IDENTIFIED BY {quoted(PASSWORD.decode())};",
        f"GRANT SELECT ({columns}) ON mysql.user TO {IMPORTER};",
        "CREATE ROLE role;",
    ]
    if server == "mysql":
        statements += ["GRANT PROXY ON proxied TO proxy;", "GRANT PROXY ON 'proxied-lax' TO 'proxy-strict';"]
    # Until then some servers judge by more than their tables: SUBJECT '' fits nobody at first, and later everybody (run).
    return statements + ["FLUSH PRIVILEGES;"]


def lax_sql(accounts):
    """Takes mytls' grant back, then every requirement: from then on only mytls requires anything, as it last read."""
    statements = [f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {IMPORTER};"]
    return statements + [f"ALTER USER {a.name} REQUIRE NONE;" for a in accounts if a.require != "NONE"]
