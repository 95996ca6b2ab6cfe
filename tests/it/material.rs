//! Certificates, keys and CAs that are wrong in every way in which such files get wrong, made by openssl's own commands:
//! `mytls check` names file, problem and cure. Then those of other tools, which are right.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::backend::{Backend, Server};
use crate::support::openssl::{is_installed, run, shell, write_ca_configuration};
use crate::support::proxy::{Config, Proxy, run_with, run_with_arguments};

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
    (
        "ssl-cert: server.pem, ssl-key: leaf.key, tls-cipher: ECDHE-RSA-AES128-GCM-SHA256",
        "tls-cipher",
        "with TLS 1.2 nobody can connect",
    ),
];

/// What is right, and says nothing.
const RIGHT: &[&str] = &[
    "ssl-ca: ca.pem",
    "ssl-ca: many.pem, ssl-cert: server.pem, ssl-key: leaf.key",
    "ssl-ca: ca.pem, ssl-cert: chain.pem, ssl-key: leaf.key",
    "ssl-ca: ca.pem, ssl-cert: windows.pem, ssl-key: windows.pem",
    "ssl-cert: key-and-chain.pem, ssl-key: key-and-chain.pem",
    "ssl-cert: server.pem, ssl-key: leaf.key, tls-version: TLSv1.3, tls-cipher: ECDHE-RSA-AES128-GCM-SHA256",
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

#[test]
fn a_key_that_mytls_may_not_read_is_named() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).never_as_root();
    let key = config.path("server.key");
    fs::set_permissions(&key, Permissions::from_mode(0o000)).expect("close it");
    let said = run_with("check", &config).stdout;
    let expected = format!(
        "ssl-key {}: the user that mytls runs as may not read it (permission denied)",
        key.display()
    );
    assert!(said.contains(&expected), "{said}");
}

/// As easy-rsa's own README has it: `revoked.pem` with one of two clients on it.
const EASY_RSA: &str = "
export PATH=$PATH:/usr/share/easy-rsa EASYRSA_BATCH=1
easyrsa init-pki
EASYRSA_REQ_CN=CA easyrsa build-ca nopass
easyrsa --subject-alt-name=DNS:localhost build-server-full server nopass
easyrsa build-client-full good nopass
easyrsa build-client-full stolen nopass
cp pki/issued/stolen.crt stolen.pem
easyrsa revoke stolen
easyrsa gen-crl
cp pki/ca.crt ca.pem
cp pki/issued/server.crt server.pem
cp pki/private/server.key server.key
cp pki/issued/good.crt good.pem
cp pki/crl.pem revoked.pem
";

/// As cfssl's own README has it, with an intermediate CA; its list of revoked serial numbers is made by hand.
const CFSSL: &str = r#"
echo '{"signing":{"default":{"expiry":"24h"},"profiles":{
  "below":{"usages":["cert sign","crl sign"],"expiry":"24h","ca_constraint":{"is_ca":true}},
  "server":{"usages":["digital signature","server auth"],"expiry":"24h"},
  "client":{"usages":["digital signature","client auth"],"expiry":"24h"}}}}' > profiles.json
csr() { printf '{"CN":"%s","hosts":["%s"],"key":{"algo":"ecdsa","size":256}}' "$1" "$2" > $1.json; }
csr Root ''; cfssl gencert -initca Root.json | cfssljson -bare root
sign() { csr $1 "$4"; cfssl gencert -ca $3.pem -ca-key $3-key.pem -config profiles.json -profile $2 $1.json | cfssljson -bare $1; }
sign below below root ''
sign server server below localhost
sign good client below ''
sign stolen client below ''
python3 -c 'import sys; print(int(sys.argv[1], 16), end="")' "$(openssl x509 -in stolen.pem -noout -serial | cut -d= -f2)" > serials
cfssl gencrl serials below.pem below-key.pem | base64 -d | openssl crl -inform DER -out revoked.pem
cat root.pem below.pem > ca.pem
cat server.pem below.pem > chain.pem; mv chain.pem server.pem
mv server-key.pem server.key
"#;

/// What both of them come to: the server's certificate is good for OpenSSL, one client passes, the other is revoked.
fn works_with_files_of(recipe: &str) {
    let backend = Backend::start(Server::mysql());
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, ssl-crl: revoked.pem }";
    let config = Config::before(&backend).security(security);
    let folder = config.path("");
    shell(&folder, recipe);
    let said = run_with("check", &config).stdout;
    let warnings: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert!(!said.contains("FAILED"), "{said}");
    assert!(
        warnings
            .iter()
            .all(|line| line.contains("there is no revocation list of /CN=Root")),
        "{said}"
    );
    for (name, code, expected) in [
        ("good.pem", 0, "MAY PASS"),
        ("stolen.pem", 1, "was revoked by its issuer (ssl-crl)"),
    ] {
        let file = config.path(name).to_string_lossy().into_owned();
        let arguments = ["--user", "app", "--from", "127.0.0.1", "--cert", &file];
        let run = run_with_arguments("authorize", &config, &arguments);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stdout);
        assert!(run.stdout.contains(expected), "{name}: {}", run.stdout);
    }
    fs::copy(config.path("ca.pem"), folder.join("root.pem")).expect("copy it");
    let proxy = Proxy::start(config);
    let line = format!(
        "openssl s_client -starttls mysql -connect {} -CAfile root.pem -verify_return_error -verify_hostname localhost",
        proxy.address
    );
    shell(&folder, &format!("{line} </dev/null"));
}

#[test]
fn files_of_easy_rsa_work() {
    if is_installed("/usr/share/easy-rsa/easyrsa") {
        works_with_files_of(EASY_RSA);
    }
}

#[test]
fn files_of_cfssl_work() {
    if is_installed("cfssl") {
        works_with_files_of(CFSSL);
    }
}
