"""One login in raw packets: the bytes of the user name, the collation and the source address are the caller's."""

import hashlib
import socket
import ssl
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SSL = 1 << 11
PLUGIN_AUTH = 1 << 19
# LONG_PASSWORD, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, CAN_HANDLE_EXPIRED_PASSWORDS
FLAGS = 1 | 1 << 9 | 1 << 13 | 1 << 15 | PLUGIN_AUTH | 1 << 22
CHANGE_USER = b"\x11"
QUERY = b"\x03"
SECONDS = 20
NO_ANSWER = "no answer"
SALT_BYTES = {b"client_ed25519": 32}
WHO = b"SELECT HEX(CONVERT(CURRENT_USER() USING utf8mb4))"


@dataclass(frozen=True)
class Outcome:
    """What came of a login: the account that the server took it for, or why there is none."""

    account: str | None
    error: str = ""

    @property
    def accepted(self):
        return self.account is not None

    @property
    def heard(self):
        """Whether anybody answered at all: silence is no refusal."""
        return self.error != NO_ANSWER

    def __str__(self):
        return f"accepted as {self.account}" if self.accepted else f"refused ({self.error})"


class Refused(Exception):
    """The server's ERR, or the end of the connection."""


class Connection:
    """A connection up to the end of its login."""

    def __init__(self, address, port, source):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(SECONDS)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.bind((source, 0))
            self.socket.connect((address, port))
        except BaseException:
            self.socket.close()
            raise
        self.sequence = 0
        self.secure = False

    def send(self, payload):
        self.socket.sendall(struct.pack("<I", len(payload))[:3] + bytes([self.sequence]) + payload)
        self.sequence = (self.sequence + 1) % 256

    def bytes(self, count):
        data = b""
        while len(data) < count:
            some = self.socket.recv(count - len(data))
            if not some:
                raise Refused("connection closed")
            data += some
        return data

    def packet(self):
        """The next payload; an ERR is raised."""
        head = self.bytes(4)
        self.sequence = (head[3] + 1) % 256
        payload = self.bytes(int.from_bytes(head[:3], "little"))
        if payload[:1] == b"\xff":
            raise Refused(str(struct.unpack_from("<H", payload, 1)[0]))
        return payload

    def log_in(self, user, collation, password, tls):
        greeting = self.packet()
        rest = greeting[greeting.index(b"\0", 1) + 1 :]
        salt = rest[4:12] + rest[27:39]
        plugin = rest[40:].split(b"\0")[0]
        head = struct.pack("<IIB23x", FLAGS | (SSL if tls else 0), 1 << 24, collation)
        if tls:
            self.send(head)
            context, session = tls
            self.socket = context.wrap_socket(self.socket, session=session)
            self.secure = True
        answer = first_answer(plugin, password, salt)
        self.send(head + user + b"\0" + bytes([len(answer)]) + answer + plugin + b"\0")
        self.authenticate(plugin, salt, password)

    def change_user(self, user, collation, password):
        """As a client that does not know the plugin yet: the server asks for it."""
        self.sequence = 0
        answer = b"x" if password else b""
        self.send(
            CHANGE_USER + user + b"\0" + bytes([len(answer)]) + answer + b"\0"
            + struct.pack("<H", collation) + b"unknown\0"
        )
        self.authenticate(b"unknown", b"", password)

    def authenticate(self, plugin, salt, password):
        """Answers until OK."""
        while (packet := self.packet())[:1] != b"\0":
            if packet[:1] == b"\xfe":
                plugin, salt = packet[1:].split(b"\0", 1)
                salt = salt[: SALT_BYTES.get(plugin, 20)]
                self.send(first_answer(plugin, password, salt, self.secure))
            elif packet == b"\x01\x04" and self.secure:
                self.send(password + b"\0")
            elif packet == b"\x01\x04":
                self.send(b"\x02")
                self.send_encrypted(self.packet()[1:], password, salt)
            elif packet[:1] == b"\x01" and packet != b"\x01\x03":
                self.send_encrypted(packet[1:], password, salt)

    def send_encrypted(self, key, password, salt):
        """The password for caching_sha2_password and sha256_password in plaintext."""
        clear = bytes(byte ^ salt[n % len(salt)] for n, byte in enumerate(password + b"\0"))
        self.send(load_pem_public_key(key).encrypt(clear, padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)))

    def current_user(self):
        """The account that the server took the login for."""
        self.sequence = 0
        self.send(QUERY + WHO)
        self.packet()
        while self.packet()[:1] != b"\xfe":  # the column, then EOF
            pass
        row = self.packet()
        return bytes.fromhex(row[1:].decode()).decode()


def first_answer(plugin, password, salt, secure=False):
    """What a client answers when the plugin asks first."""
    if plugin == b"client_ed25519":
        return ed25519(password, salt)
    if not password:
        return b""
    if plugin == b"caching_sha2_password":
        return scramble(hashlib.sha256, password, salt, stored_first=True)
    if plugin == b"mysql_native_password":
        return scramble(hashlib.sha1, password, salt, stored_first=False)
    if plugin == b"sha256_password":
        return password + b"\0" if secure else b"\x01"
    return b"x"


def scramble(digest, password, salt, stored_first):
    once = digest(password).digest()
    twice = digest(once).digest()
    mask = digest(twice + salt if stored_first else salt + twice).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


def ed25519(password, salt):
    """MariaDB's plugin signs with the password as seed; only one of 32 bytes is also a seed of the standard's."""
    return Ed25519PrivateKey.from_private_bytes(password.ljust(32)[:32]).sign(salt)


def log_in(at, source, user, password, tls, change_to=None):
    """Logs in at an (address, port) from `source`; then, if asked to, changes to another (user, password).

    A user is (bytes, collation); `tls` is None, or an SSLContext with a session to resume."""
    connection = None
    try:
        connection = Connection(*at, source)
        connection.log_in(*user, password, tls)
        if change_to:
            connection.change_user(*change_to[0], change_to[1])
        try:
            account = connection.current_user()
        except Refused as refused:
            if str(refused) != "1820":  # logged in, but must change the password first
                raise
            account = "with an expired password"
        return Outcome(account), getattr(connection.socket, "session", None)
    except Refused as refused:
        return Outcome(None, str(refused)), None
    except ssl.SSLError as error:
        return Outcome(None, f"TLS: {error.reason}"), None
    except (TimeoutError, ConnectionRefusedError):
        return Outcome(None, NO_ANSWER), None
    except OSError as error:
        return Outcome(None, type(error).__name__), None
    finally:
        if connection:
            connection.socket.close()
