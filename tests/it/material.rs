//! Certificates, keys and CAs that are wrong in every way in which such files get wrong, made by openssl's own commands:
//! `mytls check` names file, problem and cure. Then those of other tools, which are right.

use std::fs;
use std::path::Path;

use crate::support::backend::{Backend, Server};
use crate::support::openssl::{run, write_ca_configuration};
use crate::support::proxy::{Config, run_with};

/// What `openssl` makes of the files, each line one command. `EC` is a new P-256 key; `SIGN`ed is by `ca.pem` as `openssl
/// ca` does it, `ISSUE`d as `openssl x509` does it.
const RECIPE: &str = "
req -x509 EC -keyout ca.key -out ca.pem -subj /CN=CA
req -x509 EC -keyout other-ca.key -out other-ca.pem -subj /CN=Other
req -x509 -newkey rsa:2048 -nodes -keyout rsa-ca.key -out rsa-ca.pem -subj /CN=RSA
req -x509 -newkey rsa:1024 -nodes -keyout weak-ca.key -out weak-ca.pem -subj /CN=Weak
req EC -keyout leaf.key -out leaf.csr -subj /CN=leaf
SIGN leaf.csr -out server.pem
SIGN leaf.csr -out expired.pem -startdate 20200101000000Z -enddate 20210101000000Z
SIGN leaf.csr -out early.pem -startdate 21000101000000Z -enddate 21010101000000Z
SIGN leaf.csr -out client-only.pem -extensions client
SIGN leaf.csr -out authority.pem -extensions authority
req EC -keyout below.key -out below.csr -subj /CN=below
SIGN below.csr -out below.pem -extensions authority
SIGN below.csr -out old-below.pem -extensions authority -startdate 20200101000000Z -enddate 20210101000000Z
ISSUE below -extfile ca.cnf -extensions leaf -out of-below.pem
ISSUE ca -out version-1.pem
ISSUE rsa-ca -md5 -extfile ca.cnf -extensions leaf -out md5.pem
ISSUE rsa-ca -sha1 -extfile ca.cnf -extensions leaf -out sha1.pem
ISSUE weak-ca -extfile ca.cnf -extensions leaf -out of-weak.pem
x509 -in server.pem -outform DER -out server.der
pkey -in leaf.key -outform DER -out leaf.der
pkcs12 -export -in server.pem -inkey leaf.key -passout pass:secret -out both.p12
pkcs8 -topk8 -in leaf.key -v2 aes256 -passout pass:secret -out encrypted.key
ec -in leaf.key -aes256 -passout pass:secret -out encrypted-sec1.key
rsa -in rsa-ca.key -traditional -aes256 -passout pass:secret -out encrypted-pkcs1.key
genrsa -out short.key 1024
ecparam -name secp256k1 -genkey -out odd.key
x509 -in server.pem -days 1 -signkey weak-ca.key -out weak.pem
";

/// What is made of those by hand.
fn garble(folder: &Path) {
    let read = |name: &str| fs::read(folder.join(name)).expect("made");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("write it");
    let server = read("server.pem");
    write("empty.pem", b"\n");
    write("large.pem", &vec![b'\n'; 1024 * 1024 + 1]);
    write("bom.pem", &[b"\xEF\xBB\xBF", &server[..]].concat());
    write("truncated.pem", &server[..server.len() / 2]);
    write("truncated.key", &read("leaf.key")[..80]);
    let garbled = String::from_utf8_lossy(&server).replacen("MII", "M!I", 1);
    write("garbled.pem", garbled.as_bytes());
    let utf16 = String::from_utf8_lossy(&server).encode_utf16().fold(
        vec![0xFF, 0xFE],
        |mut bytes, unit| {
            bytes.extend(unit.to_le_bytes());
            bytes
        },
    );
    write("utf16.pem", &utf16);
    let join = |name: &str, parts: &[&str]| {
        write(
            name,
            &parts
                .iter()
                .flat_map(|part| read(part))
                .collect::<Vec<u8>>(),
        );
    };
    join("backwards.pem", &["ca.pem", "server.pem"]);
    join("unrelated.pem", &["server.pem", "other-ca.pem"]);
    join("chain.pem", &["of-below.pem", "below.pem"]);
    join("old-chain.pem", &["of-below.pem", "old-below.pem"]);
    join("weak-chain.pem", &["of-weak.pem", "weak-ca.pem"]);
    join("old-bundle.pem", &["ca.pem", "expired.pem"]);
    join("weak-bundle.pem", &["ca.pem", "weak-ca.pem"]);
    join("key-and-chain.pem", &["leaf.key", "chain.pem"]);
    let windows = String::from_utf8_lossy(&read("key-and-chain.pem")).replace('\n', "\r\n");
    write("windows.pem", windows.as_bytes());
    let many: String = (0..200)
        .map(|_| String::from_utf8_lossy(&read("ca.pem")).into_owned())
        .collect();
    write("many.pem", many.as_bytes());
}

/// The folder of a configuration, with all these files.
fn with_files(config: Config) -> Config {
    const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let folder = config.path("");
    write_ca_configuration(&folder);
    for line in RECIPE.trim().lines() {
        let line = line.replace(" EC ", &format!(" {EC} "));
        let line = match line.split_once(' ').expect("a command with its options") {
            ("SIGN", rest) => format!("ca -batch -notext -config ca.cnf -in {rest}"),
            ("ISSUE", rest) => {
                let (issuer, rest) = rest.split_once(' ').expect("an issuer");
                format!(
                    "x509 -req -in leaf.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial {rest}"
                )
            }
            _ => line,
        };
        run(&folder, &format!("openssl {line}"));
    }
    garble(&folder);
    config
}

/// For each `security`, what `check` says of it: the key, its file, and what is wrong.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "ssl-ca: none.pem",
        "ssl-ca none.pem",
        "there is no such file",
    ),
    ("ssl-ca: .", "ssl-ca .", "is a folder; name one file in it"),
    ("ssl-ca: empty.pem", "ssl-ca empty.pem", "is empty"),
    (
        "ssl-ca: large.pem",
        "ssl-ca large.pem",
        "is larger than 1 MiB",
    ),
    (
        "ssl-ca: server.der",
        "ssl-ca server.der",
        "convert it: `openssl x509 -inform DER -in FILE -out FILE.pem`",
    ),
    (
        "ssl-ca: both.p12",
        "ssl-ca both.p12",
        "take it apart: `openssl pkcs12 -in FILE -nokeys -out cert.pem`",
    ),
    (
        "ssl-ca: bom.pem",
        "ssl-ca bom.pem",
        "save it as UTF-8 without one",
    ),
    (
        "ssl-ca: utf16.pem",
        "ssl-ca utf16.pem",
        "is UTF-16 text; save it as UTF-8",
    ),
    (
        "ssl-ca: truncated.pem",
        "ssl-ca truncated.pem",
        "it was cut short or is being written",
    ),
    (
        "ssl-ca: garbled.pem",
        "ssl-ca garbled.pem",
        "is not base64: the file is damaged",
    ),
    (
        "ssl-ca: ca.key",
        "ssl-ca ca.key",
        "has no certificate in it, only: PRIVATE KEY",
    ),
    (
        "ssl-ca: leaf.csr",
        "ssl-ca leaf.csr",
        "has no certificate in it, only: CERTIFICATE REQUEST",
    ),
    (
        "ssl-ca: expired.pem",
        "ssl-ca expired.pem",
        "no certificate in it is valid now",
    ),
    (
        "ssl-ca: weak-ca.pem",
        "ssl-ca weak-ca.pem",
        "RSA keys of less than 2048 bits, and no signature by such a key is accepted; make a new CA",
    ),
    (
        "ssl-cert: none.pem, ssl-key: leaf.key",
        "ssl-cert none.pem",
        "there is no such file",
    ),
    (
        "ssl-cert: leaf.key, ssl-key: server.pem",
        "ssl-cert leaf.key",
        "has no certificate in it, only: PRIVATE KEY",
    ),
    (
        "ssl-cert: server.pem, ssl-key: server.pem",
        "ssl-key server.pem",
        "has no private key in it, only: CERTIFICATE",
    ),
    (
        "ssl-cert: server.pem, ssl-key: none.key",
        "ssl-key none.key",
        "there is no such file",
    ),
    (
        "ssl-cert: server.pem, ssl-key: leaf.der",
        "ssl-key leaf.der",
        "convert it: `openssl pkey -inform DER",
    ),
    (
        "ssl-cert: server.pem, ssl-key: truncated.key",
        "ssl-key truncated.key",
        "it was cut short or is being written",
    ),
    (
        "ssl-cert: server.pem, ssl-key: encrypted.key",
        "ssl-key encrypted.key",
        "decrypt it: `openssl pkey -in FILE -out FILE.plain`",
    ),
    (
        "ssl-cert: server.pem, ssl-key: encrypted-sec1.key",
        "ssl-key encrypted-sec1.key",
        "the key is encrypted",
    ),
    (
        "ssl-cert: server.pem, ssl-key: encrypted-pkcs1.key",
        "ssl-key encrypted-pkcs1.key",
        "the key is encrypted",
    ),
    (
        "ssl-cert: server.pem, ssl-key: short.key",
        "ssl-key short.key",
        "RSA of 2048 bits or more",
    ),
    (
        "ssl-cert: server.pem, ssl-key: odd.key",
        "ssl-key odd.key",
        "of a kind that is not supported",
    ),
    (
        "ssl-cert: server.pem, ssl-key: below.key",
        "ssl-cert server.pem",
        "the key does not belong to this certificate",
    ),
    (
        "ssl-cert: backwards.pem, ssl-key: leaf.key",
        "ssl-cert backwards.pem",
        "one's own certificate must be the first, then its issuers",
    ),
    (
        "ssl-cert: expired.pem, ssl-key: leaf.key",
        "ssl-cert expired.pem",
        "expired at 2021-01-01T00:00:00Z; renew it",
    ),
    (
        "ssl-cert: early.pem, ssl-key: leaf.key",
        "ssl-cert early.pem",
        "not valid before 2100-01-01T00:00:00Z; is the clock right?",
    ),
    (
        "ssl-cert: version-1.pem, ssl-key: leaf.key",
        "ssl-cert version-1.pem",
        "sign it again with `openssl x509 -req … -extfile FILE`",
    ),
    (
        "ssl-cert: client-only.pem, ssl-key: leaf.key",
        "ssl-cert client-only.pem",
        "does not include serverAuth",
    ),
    (
        "ssl-cert: md5.pem, ssl-key: leaf.key",
        "ssl-cert md5.pem",
        "certificate 1 in it is signed with MD5",
    ),
    (
        "ssl-cert: sha1.pem, ssl-key: leaf.key",
        "ssl-cert sha1.pem",
        "sign it again with `openssl x509 -req -sha256 …`",
    ),
    (
        "ssl-cert: weak-chain.pem, ssl-key: leaf.key",
        "ssl-cert weak-chain.pem",
        "certificate 2 in it has an RSA key of 1024 bits",
    ),
];

/// What is used all the same.
const ODD: &[(&str, &str, &str)] = &[
    (
        "ssl-ca: old-bundle.pem",
        "ssl-ca old-bundle.pem",
        "1 of the 2 certificates in it are not valid now",
    ),
    (
        "ssl-ca: weak-bundle.pem",
        "ssl-ca weak-bundle.pem",
        "1 of the 2 certificates in it have RSA keys of less than 2048 bits",
    ),
    (
        "ssl-cert: authority.pem, ssl-key: leaf.key",
        "ssl-cert authority.pem",
        "the certificate is a CA's",
    ),
    (
        "ssl-cert: unrelated.pem, ssl-key: leaf.key",
        "ssl-cert unrelated.pem",
        "certificate 2 in it did not issue the one before it",
    ),
    (
        "ssl-cert: old-chain.pem, ssl-key: leaf.key",
        "ssl-cert old-chain.pem",
        "certificate 2 in it, an issuer, is not valid now",
    ),
    (
        "ssl-ca: other-ca.pem, ssl-cert: chain.pem, ssl-key: leaf.key",
        "ssl-cert chain.pem",
        "no chain leads from it to a certificate in ssl-ca",
    ),
    (
        "ssl-ca: ca.pem, ssl-cert: of-below.pem, ssl-key: leaf.key",
        "ssl-cert of-below.pem",
        "an intermediate certificate is missing behind it",
    ),
];

/// What is right, and says nothing.
const RIGHT: &[&str] = &[
    "ssl-ca: ca.pem",
    "ssl-ca: many.pem, ssl-cert: server.pem, ssl-key: leaf.key",
    "ssl-ca: ca.pem, ssl-cert: chain.pem, ssl-key: leaf.key",
    "ssl-ca: ca.pem, ssl-cert: windows.pem, ssl-key: windows.pem",
    "ssl-cert: key-and-chain.pem, ssl-key: key-and-chain.pem",
];

/// What `check` says with this `security` towards clients, the folder's name taken out.
fn checked(config: Config, security: &str) -> (Config, String) {
    let config = config.security(&format!("{{ {security} }}"));
    let said = run_with("check", &config).stdout;
    let folder = config.path("").to_string_lossy().into_owned();
    let said = said.replace(&folder, "");
    (config, said)
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_the_cure() {
    let backend = Backend::start(Server::mysql());
    let mut config = with_files(Config::before(&backend));
    for (security, place, problem) in WRONG {
        let (again, said) = checked(config, security);
        config = again;
        let line = said.lines().find(|line| line.starts_with("FAILED"));
        let line = line.unwrap_or_else(|| panic!("{security}: {said}"));
        assert!(
            line.starts_with(&format!("FAILED   security: {place}: ")),
            "{line}"
        );
        assert!(line.contains(problem), "{line}");
    }
}

#[test]
fn what_is_odd_is_a_warning() {
    let backend = Backend::start(Server::mysql());
    let mut config = with_files(Config::before(&backend));
    for (security, place, oddity) in ODD {
        let (again, said) = checked(config, security);
        config = again;
        assert!(!said.contains("FAILED"), "{security}: {said}");
        let expected = format!("warning  {place}: ");
        let line = said.lines().find(|line| line.starts_with(&expected));
        let line = line.unwrap_or_else(|| panic!("{security}: {said}"));
        assert!(line.contains(oddity), "{line}");
    }
    for security in RIGHT {
        let (again, said) = checked(config, security);
        config = again;
        assert!(
            !said.contains("FAILED") && !said.contains("warning"),
            "{security}: {said}"
        );
    }
}
