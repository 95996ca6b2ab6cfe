"""The certificates that clients show: the lab's own, and odd ones that are signed here by its intermediate authority."""

import datetime
import pathlib
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

O, OU, CN = NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME
DM = [(O, "Lab"), (OU, "clients"), (CN, "dm")]
LAB = {
    "dm": "client-dm-rsa",
    "dm-p256": "client-dm-p256",
    "worker": "client-worker-rsa",
    "other-ca": "client-dm-otherca",
    "expired": "client-dm-expired",
    "of-root": "client-dm-root",
}
# Odd subjects: a list of RDNs, each of one attribute or several.
SUBJECTS = {
    "slash": [(CN, "a/b")],
    "plus": [(CN, "a+b")],
    "backslash": [(CN, "a\\b")],
    "backslash-x": [(CN, "a\\x41")],
    "backslash-end": [(CN, "a\\")],
    "pasted": [(O, "Lab/OU=clients/CN=dm")],
    "reversed": list(reversed(DM)),
    "two-cn": DM + [(CN, "app")],
    "one-rdn": [[(O, "Lab"), (CN, "dm")]],
    "utf8": [(CN, "dé")],
    "cyrillic": [(CN, "дм")],
    "control": [(CN, "a\nb")],
    "nul": [(CN, "dm\0x")],
    "quote": [(CN, "o'neil\"")],
    "space": [(CN, " dm ")],
    "bmp": [(CN, "dm", _ASN1Type.BMPString)],
    "t61": [(CN, "dm", _ASN1Type.T61String)],
    "printable": [(CN, "dm", _ASN1Type.PrintableString)],
    "email": [(O, "Lab"), (NameOID.EMAIL_ADDRESS, "dm@lab.test")],
    "domain": [(NameOID.DOMAIN_COMPONENT, "lab"), (NameOID.USER_ID, "dm"), (NameOID.SERIAL_NUMBER, "7")],
    "unknown-oid": [(ObjectIdentifier("1.3.6.1.4.1.99999.1"), "dm")],
    "no-subject": [],
}
USAGES = {
    "no-eku": None,
    "any-eku": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server-auth": ExtendedKeyUsageOID.SERVER_AUTH,
}
# Certificates that should not do as a client's, or may: dm's subject and something about the rest.
KINDS = ["no-eku", "any-eku", "server-auth", "ca-leaf", "not-yet", "self-signed", "v1"]


def make(pki, folder):
    """Writes all of them; returns name → (certificate file, key file, subject in one line as OpenSSL prints it)."""
    pki, folder = pathlib.Path(pki), pathlib.Path(folder)
    files = {name: (pki / f"{file}.pem", pki / f"{file}.key") for name, file in LAB.items()}
    issuer = x509.load_pem_x509_certificate((pki / "intermediate-ca.pem").read_bytes())
    issuer_key = serialization.load_pem_private_key((pki / "intermediate-ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    key_file = folder / "client.key"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))

    def write(name, certificate, chain=True):
        files[name] = (folder / f"{name}.pem", key_file)
        chained = (pki / "intermediate-ca.pem").read_bytes() if chain else b""
        files[name][0].write_bytes(certificate + chained)

    for name, subject in SUBJECTS.items():
        write(name, leaf(subject, key, issuer, issuer_key).public_bytes(pem))
    for name in KINDS[:-1]:
        certificate = leaf(DM, key, issuer, issuer_key, name)
        write(name, certificate.public_bytes(pem), chain=name != "self-signed")
    write("v1", version_1(pki, folder, key_file))
    return {name: (*file, subject_of(file[0])) for name, file in files.items()}


def leaf(subject, key, issuer, issuer_key, kind=""):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    name = x509.Name([rdn(attributes) for attributes in subject])
    signer, signer_key = (name, key) if kind == "self-signed" else (issuer.subject, issuer_key)
    builder = (
        x509.CertificateBuilder(subject_name=name, issuer_name=signer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + day if kind == "not-yet" else now - day)
        .not_valid_after(now + 30 * day)
        .add_extension(x509.BasicConstraints(kind == "ca-leaf", None), critical=True)
    )
    if usage := USAGES.get(kind, ExtendedKeyUsageOID.CLIENT_AUTH):
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if not subject:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("dm.test")]), critical=True)
    return builder.sign(signer_key, hashes.SHA256())


def rdn(attributes):
    attributes = attributes if isinstance(attributes, list) else [attributes]
    return x509.RelativeDistinguishedName(
        [x509.NameAttribute(oid, value, *kind, _validate=False) for oid, value, *kind in attributes]
    )


def version_1(pki, folder, key_file):
    """As the MySQL manual makes them."""
    request = folder / "v1.csr"
    run("openssl", "req", "-new", "-key", key_file, "-subj", "/O=Lab/OU=clients/CN=dm", "-out", request)
    ca = ["-CA", pki / "intermediate-ca.pem", "-CAkey", pki / "intermediate-ca.key", "-set_serial", "7"]
    return run("openssl", "x509", "-req", "-in", request, "-days", "30", *ca)


def subject_of(file):
    """`subject=/O=Lab/CN=dm`, as MySQL and MariaDB compare it."""
    line = run("openssl", "x509", "-in", file, "-noout", "-subject", "-nameopt", "compat")
    return line.decode().removeprefix("subject=").strip("\n")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout
