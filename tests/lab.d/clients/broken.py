"""Connections that no client would make: python3 broken.py PORT COUNT. Each is dropped without a good-bye."""

import socket
import struct
import sys

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])


def packet(sequence, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


CLIENT_FLAGS = 0x000FA685  # PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH and usual company
LOGIN_HEAD = struct.pack("<IIB23x", CLIENT_FLAGS, 1 << 24, 255)
BROKEN = [
    b"",
    b"\x00",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\xff" * 300,
    packet(1, LOGIN_HEAD),  # asks for TLS and goes away
    packet(1, LOGIN_HEAD) + b"\x16\x03\x01\x02\x00\x01",  # a ClientHello cut short
    packet(1, LOGIN_HEAD) + b"not TLS at all" * 20,
    packet(7, LOGIN_HEAD),  # out of order
    packet(1, LOGIN_HEAD[:20]),
    packet(1, struct.pack("<IIB23x", CLIENT_FLAGS & ~0x800, 1 << 24, 255) + b"app\x00\xfeabc"),  # lying length
]

for n in range(COUNT):
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as connection:
        if n % 3:
            connection.recv(4096)  # the greeting
        try:
            connection.sendall(BROKEN[n % len(BROKEN)])
            if n % 2:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
        except OSError:
            pass  # refused while it was written
