//! `REQUIRE SUBJECT`, `ISSUER`, `CIPHER`, `SAN`: each requirement × each client × TLS version × full or resumed session,
//! against an oracle of a few lines.

use std::sync::{Arc, LazyLock};

use rcgen::string::BmpString;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, SanType};
use rustls::{ClientConfig, ProtocolVersion, SupportedProtocolVersion};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::{Authority, Identity, PKI, authority_of, signed};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};

/// One clause of a requirement.
#[derive(Debug, Clone, Copy)]
enum Need {
    Tls,
    Certificate,
    Subject(&'static str),
    Issuer(&'static str),
    Cipher(&'static str),
    /// Of each list one.
    San(&'static [&'static [&'static str]]),
}

/// What a client shows, in the words of the rules.
#[derive(Debug, Default)]
struct Shown {
    identity: Option<Identity>,
    /// The lines that are its subject's alone.
    subject: &'static [&'static str],
    issuer: &'static str,
    names: &'static [&'static str],
}

impl Shown {
    /// The oracle.
    fn meets(&self, need: &Need, cipher: &str) -> bool {
        let has_certificate = self.identity.is_some();
        match need {
            Need::Tls => true,
            Need::Certificate => has_certificate,
            Need::Subject(line) => self.subject.contains(line),
            Need::Issuer(line) => self.issuer == *line,
            Need::Cipher(name) => has_certificate && cipher == *name,
            Need::San(kinds) => kinds
                .iter()
                .all(|kind| kind.iter().any(|name| self.names.contains(name))),
        }
    }
}

const ONE: &str = "/O=Lab/CN=one";
const TWO: &str = "/O=Lab/CN=two";
const DM: &str = "/O=Lab/CN=dm";
const SPLIT: &str = "/CN=dm/O=Lab";
const TLS13_CIPHER: &str = "TLS_AES_256_GCM_SHA384";
const TLS12_CIPHER: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";

const REQUIREMENTS: &[(&str, &[Need])] = &[
    ("NONE", &[]),
    ("SSL", &[Need::Tls]),
    ("X509", &[Need::Certificate]),
    ("SUBJECT '/O=Lab/CN=dm'", &[Need::Subject(DM)]),
    ("SUBJECT '/CN=dm/O=Lab'", &[Need::Subject(SPLIT)]),
    (
        r"SUBJECT '/CN=dm\\/O=Lab'",
        &[Need::Subject(r"/CN=dm\/O=Lab")],
    ),
    (
        "SUBJECT '/O=Lab/CN=dm/CN=app'",
        &[Need::Subject("/O=Lab/CN=dm/CN=app")],
    ),
    (
        "SUBJECT '/CN=HTTP/dm.test'",
        &[Need::Subject("/CN=HTTP/dm.test")],
    ),
    ("SUBJECT '/CN=dm'", &[Need::Subject("/CN=dm")]),
    ("ISSUER '/O=Lab/CN=one'", &[Need::Issuer(ONE)]),
    (
        "SUBJECT '/O=Lab/CN=dm' AND ISSUER '/O=Lab/CN=one'",
        &[Need::Subject(DM), Need::Issuer(ONE)],
    ),
    (
        "ISSUER '/O=Lab/CN=two' SUBJECT '/O=Lab/CN=dm'",
        &[Need::Subject(DM), Need::Issuer(TWO)],
    ),
    (
        "CIPHER 'TLS_AES_256_GCM_SHA384'",
        &[Need::Cipher(TLS13_CIPHER)],
    ),
    (
        "ISSUER '/O=Lab/CN=one' AND CIPHER 'ECDHE-ECDSA-AES256-GCM-SHA384'",
        &[Need::Issuer(ONE), Need::Cipher(TLS12_CIPHER)],
    ),
    ("SAN 'DNS:dm.test'", &[Need::San(&[&["DNS:dm.test"]])]),
    (
        "SAN 'URI:spiffe://lab/dm,URI:spiffe://lab/app'",
        &[Need::San(&[&[
            "URI:spiffe://lab/dm",
            "URI:spiffe://lab/app",
        ]])],
    ),
    (
        "SAN 'DNS:dm.test,URI:spiffe://lab/dm' AND SUBJECT '/O=Lab/CN=dm'",
        &[
            Need::San(&[&["DNS:dm.test"], &["URI:spiffe://lab/dm"]]),
            Need::Subject(DM),
        ],
    ),
    ("SAN 'IP:10.0.0.1'", &[Need::San(&[&["IP:10.0.0.1"]])]),
];

/// Two authorities that mytls trusts, and the clients of both.
struct Clients {
    authorities: [Authority; 2],
    all: Vec<(&'static str, Shown)>,
}

static CLIENTS: LazyLock<Clients> = LazyLock::new(|| {
    let [one, two] = ["one", "two"].map(|name| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "Lab");
        subject.push(DnType::CommonName, name);
        authority_of(subject)
    });
    let shown = |authority: &Authority, subject: DistinguishedName, names| {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        params.subject_alt_names = names;
        Some(signed(&params, authority))
    };
    let lab = |name: &str| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "Lab");
        subject.push(DnType::CommonName, name);
        subject
    };
    let common_name = |value: DnValue| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, value);
        subject
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("ASCII"));
    let uri = |uri: &str| SanType::URI(uri.try_into().expect("ASCII"));
    let ip = |octets: [u8; 4]| SanType::IpAddress(octets.into());
    let mut several = lab("dm");
    several.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "app");
    let mut split = common_name("dm".into());
    split.push(DnType::OrganizationName, "Lab");
    // U+646D has the bytes of `dm`
    let bmp = BmpString::try_from("\u{646d}").expect("a character");

    let all = vec![
        ("nothing", Shown::default()),
        (
            "dm",
            Shown {
                identity: shown(&one, lab("dm"), vec![]),
                subject: &[DM],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "dm of the other authority",
            Shown {
                identity: shown(&two, lab("dm"), vec![]),
                subject: &[DM],
                issuer: TWO,
                names: &[],
            },
        ),
        (
            "another subject",
            Shown {
                identity: shown(
                    &one,
                    lab("mallory"),
                    vec![dns("dm.test.evil"), dns("*.test")],
                ),
                subject: &["/O=Lab/CN=mallory"],
                issuer: ONE,
                names: &["DNS:dm.test.evil", "DNS:*.test"],
            },
        ),
        (
            "several common names",
            Shown {
                identity: shown(&one, several, vec![]),
                subject: &["/O=Lab/CN=dm/CN=app"],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "one attribute that prints like two",
            Shown {
                identity: shown(&one, common_name("dm/O=Lab".into()), vec![]),
                subject: &[r"/CN=dm\/O=Lab"],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "the two",
            Shown {
                identity: shown(&one, split, vec![]),
                subject: &[SPLIT],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "a slash",
            Shown {
                identity: shown(&one, common_name("HTTP/dm.test".into()), vec![]),
                subject: &[r"/CN=HTTP\/dm.test", "/CN=HTTP/dm.test"],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "two-byte characters",
            Shown {
                identity: shown(&one, common_name(DnValue::BmpString(bmp)), vec![]),
                subject: &[],
                issuer: ONE,
                names: &[],
            },
        ),
        (
            "a host and a SPIFFE id",
            Shown {
                identity: shown(
                    &one,
                    lab("dm"),
                    vec![uri("spiffe://lab/dm"), dns("db.test"), dns("dm.test")],
                ),
                subject: &[DM],
                issuer: ONE,
                names: &["DNS:db.test", "DNS:dm.test", "URI:spiffe://lab/dm"],
            },
        ),
        (
            "another SPIFFE id and an address",
            Shown {
                identity: shown(
                    &two,
                    lab("dm"),
                    vec![uri("spiffe://lab/app"), ip([10, 0, 0, 1]), dns("10.0.0.2")],
                ),
                subject: &[DM],
                issuer: TWO,
                names: &["URI:spiffe://lab/app", "IP:10.0.0.1", "DNS:10.0.0.2"],
            },
        ),
    ];
    Clients {
        authorities: [one, two],
        all,
    }
});

/// mytls with an account for each requirement, `r0`, `r1` …, and both authorities in its `ssl-ca`.
fn proxy(backend: &Backend) -> Proxy {
    let account = |(number, (text, _)): (usize, &(&str, _))| {
        format!("  - user: \"'r{number}'@'%'\"\n    require: {text}\n")
    };
    let accounts: String = REQUIREMENTS.iter().enumerate().map(account).collect();
    let config = Config::before(backend)
        .unix_socket()
        .security("{ ssl-ca: both.pem, ssl-cert: server.pem, ssl-key: server.key }")
        .with(&format!("accounts:\n{accounts}"));
    let [one, two] = &CLIENTS.authorities;
    let both = [&one.identity, &two.identity].map(|ca| ca.certificate_pem.as_str());
    std::fs::write(config.path("both.pem"), both.concat()).expect("write it");
    Proxy::start(config)
}

fn backend() -> Backend {
    Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)))
}

/// Logs in, and compares with what should be.
fn check(
    proxy: &Proxy,
    backend: &Backend,
    mut client: Client,
    number: usize,
    allowed: bool,
    case: &str,
) {
    let login = Login::of(&format!("r{number}"));
    let dials = backend.dials();
    client.send_login(&login);
    if allowed {
        let last = client.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok(), "{case}: refused with {:?}", last.error());
        return;
    }
    let error = client.error();
    assert_eq!(error.code_and_state(), (1045, "28000"), "{case}: {error:?}");
    assert!(
        error.message.starts_with("Access denied for user"),
        "{case}: {error:?}"
    );
    assert_eq!(
        backend.dials(),
        dials,
        "{case}: the backend was dialled\n{}",
        proxy.log()
    );
}

/// One row for each client; the first session of each is a full one, and all others are resumed if `resumes` says so.
fn check_all(
    version: &'static SupportedProtocolVersion,
    tls: impl Fn(Option<&Identity>) -> Arc<ClientConfig>,
    resumes: bool,
) {
    let backend = backend();
    let proxy = proxy(&backend);
    let cipher = match version.version {
        ProtocolVersion::TLSv1_3 => TLS13_CIPHER,
        _ => TLS12_CIPHER,
    };
    for (name, shown) in &CLIENTS.all {
        let tls = tls(shown.identity.as_ref());
        for (number, (text, needs)) in REQUIREMENTS.iter().enumerate() {
            let allowed = needs.iter().all(|need| shown.meets(need, cipher));
            let case = format!("REQUIRE {text}, {name}, {:?}", version.version);
            let mut client = Client::greeted(proxy.address);
            client.start_tls(&Login::of(&format!("r{number}")), &tls);
            assert_eq!(client.wire.tls_resumed(), resumes && number > 0, "{case}");
            check(&proxy, &backend, client, number, allowed, &case);
        }
    }
}

#[test]
fn requirements_in_full_tls_1_3_sessions() {
    let version = &rustls::version::TLS13;
    check_all(
        version,
        |identity| PKI.client_tls_of(&[version], identity),
        false,
    );
}

#[test]
fn requirements_in_full_tls_1_2_sessions() {
    let version = &rustls::version::TLS12;
    check_all(
        version,
        |identity| PKI.client_tls_of(&[version], identity),
        false,
    );
}

#[test]
fn requirements_in_resumed_tls_1_3_sessions() {
    let version = &rustls::version::TLS13;
    check_all(
        version,
        |identity| PKI.resuming_client_tls_of(&[version], identity),
        true,
    );
}

#[test]
fn requirements_in_resumed_tls_1_2_sessions() {
    let version = &rustls::version::TLS12;
    check_all(
        version,
        |identity| PKI.resuming_client_tls_of(&[version], identity),
        true,
    );
}

#[test]
fn no_requirement_but_none_is_met_without_tls() {
    let backend = backend();
    let proxy = proxy(&backend);
    for (number, (text, needs)) in REQUIREMENTS.iter().enumerate() {
        let allowed = needs.is_empty();
        let mut socket = Client::connect_unix(&proxy.unix_socket());
        socket.greeting();
        check(
            &proxy,
            &backend,
            socket,
            number,
            allowed,
            &format!("{text}, Unix socket"),
        );
        let plaintext = Client::greeted(proxy.address);
        check(
            &proxy,
            &backend,
            plaintext,
            number,
            allowed,
            &format!("{text}, plaintext"),
        );
    }
}

#[test]
fn change_to_a_user_of_another_subject_is_refused() {
    let backend = backend();
    let proxy = proxy(&backend);
    let number = |wanted: &str| {
        let found = REQUIREMENTS.iter().position(|(text, _)| *text == wanted);
        found.expect("a requirement")
    };
    let [lax, strict] = ["X509", "SUBJECT '/O=Lab/CN=dm'"].map(|text| format!("r{}", number(text)));
    for (name, shown) in &CLIENTS.all {
        let Some(identity) = &shown.identity else {
            continue;
        };
        let tls = PKI.client_tls(Some(identity));
        let mut client = Client::logged_in_over_tls(proxy.address, &Login::of(&lax), &tls);
        client.command(&ChangeUser::to(&strict).payload());
        let last = client.authenticate(ClientPlugin::with_password());
        let refused = last.error().map(|error| error.code);
        let expected = (!shown.subject.contains(&DM)).then_some(1045);
        assert_eq!(refused, expected, "{name}");
    }
}

#[test]
fn log_says_what_was_shown_instead_and_the_client_hears_nothing_of_it() {
    let backend = backend();
    let proxy = proxy(&backend);
    let mallory = CLIENTS
        .all
        .iter()
        .find(|(name, _)| *name == "another subject");
    let (_, mallory) = mallory.expect("a client");
    let tls = PKI.client_tls(mallory.identity.as_ref());
    let mut client = Client::greeted(proxy.address);
    let login = Login::of("r3");
    client.start_tls(&login, &tls);
    client.send_login(&login);
    let message = "Access denied for user 'r3'@'127.0.0.1' (using password: YES)";
    assert_eq!(client.error().message, message);
    let shown = "has REQUIRE SUBJECT '/O=Lab/CN=dm', and the client has not shown that subject but /O=Lab/CN=mallory";
    proxy.wait_for_log(shown);
}
