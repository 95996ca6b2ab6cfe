//! `REQUIRE` in all its forms: each requirement × each client × TLS version × full or resumed session × place of the rule,
//! against an oracle of a few lines.

mod clients;

use std::sync::Arc;

use rustls::{ClientConfig, ProtocolVersion, SupportedProtocolVersion};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Answer;
use crate::support::grants::Grants;
use crate::support::handshake::{ChangeUser, Greeting, Login};
use crate::support::packet::text;
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy};

use clients::CLIENTS;

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

/// Where the rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under `accounts`.
    File,
    /// In the server's grant tables, which are TiDB's: no others know `SAN`.
    GrantTables,
}

const PLACES: [Place; 2] = [Place::File, Place::GrantTables];

/// What becomes of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Permitted,
    /// By the rule.
    Denied,
    /// Whatever the rule.
    CertificateRefused,
}

/// What a client shows, in the words of the rules.
#[derive(Debug, Default)]
struct Shown {
    identity: Option<Identity>,
    /// The lines that are its subject's alone.
    subject: &'static [&'static str],
    issuer: &'static str,
    names: &'static [&'static str],
    /// Nobody should take its certificate.
    is_bad: bool,
}

impl Shown {
    /// The oracle.
    fn outcome(&self, needs: &[Need], cipher: &str) -> Outcome {
        match needs.iter().all(|need| self.meets(need, cipher)) {
            _ if self.is_bad => Outcome::CertificateRefused,
            true => Outcome::Permitted,
            false => Outcome::Denied,
        }
    }

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

/// mytls with an account for each requirement, `r0`, `r1` …, and both authorities in its `ssl-ca`.
fn proxy(backend: &Backend, place: Place) -> Proxy {
    let account = |(number, (text, _)): (usize, &(&str, _))| {
        format!("  - user: \"'r{number}'@'%'\"\n    require: {text}\n")
    };
    let accounts: String = REQUIREMENTS.iter().enumerate().map(account).collect();
    let rules = match place {
        Place::File => format!("accounts:\n{accounts}"),
        Place::GrantTables => {
            format!("import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}")
        }
    };
    let config = Config::before(backend)
        .unix_socket()
        .security("{ ssl-ca: both.pem, ssl-cert: server.pem, ssl-key: server.key }")
        .with(&rules);
    let [one, two] = &CLIENTS.authorities;
    let both = [&one.identity, &two.identity].map(|ca| ca.certificate_pem.as_str());
    std::fs::write(config.path("both.pem"), both.concat()).expect("write it");
    Proxy::start(config)
}

fn backend(place: Place) -> Backend {
    let server = match place {
        Place::File => Server::mysql(),
        Place::GrantTables => tidb(),
    };
    Backend::start(server.tls(PKI.backend_tls(&PKI.server)))
}

/// A TiDB that has the same accounts, and says of each session that it is of the user who logged in.
fn tidb() -> Server {
    let rows: Vec<_> = REQUIREMENTS
        .iter()
        .enumerate()
        .map(|(number, (_, needs))| (format!("r{number}"), privilege(needs)))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(user, privilege)| [user.as_str(), "%", "mysql_native_password", privilege])
        .collect();
    let grants = Grants::rows(&rows);
    Server::greeting(&Greeting::tidb()).on_command(move |conversation, command| {
        if !text(&command.payload).contains("CURRENT_USER()") {
            return grants.answer(conversation, command);
        }
        let account = format!("{}@%", text(&conversation.login().user));
        conversation.send_row(&[Some(account.as_bytes()), None])?;
        Ok(Answer::Done)
    })
}

/// `Priv` of TiDB's `mysql.global_priv`.
fn privilege(needs: &[Need]) -> String {
    let conditions: Vec<_> = needs
        .iter()
        .filter_map(|need| match need {
            Need::Tls | Need::Certificate => None,
            Need::Subject(line) => Some(("x509_subject", (*line).to_owned())),
            Need::Issuer(line) => Some(("x509_issuer", (*line).to_owned())),
            Need::Cipher(name) => Some(("ssl_cipher", (*name).to_owned())),
            Need::San(kinds) => Some(("san", kinds.concat().join(","))),
        })
        .collect();
    let ssl_type = match needs {
        [] => 0,
        [Need::Tls] => 1,
        [Need::Certificate] => 2,
        _ => 3,
    };
    let members: Vec<_> = conditions
        .into_iter()
        .map(|(name, value)| format!(r#","{name}":"{}""#, value.replace('\\', r"\\")))
        .collect();
    format!(r#"{{"ssl_type":{ssl_type}{}}}"#, members.concat())
}

/// Logs in, and compares with what should be.
fn check(
    proxy: &Proxy,
    backend: &Backend,
    mut client: Client,
    number: usize,
    expected: Outcome,
    case: &str,
) {
    let login = Login::of(&format!("r{number}"));
    let dials = backend.dials();
    client.send_login(&login);
    if expected == Outcome::Permitted {
        let last = client.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok(), "{case}: refused with {:?}", last.error());
        return;
    }
    let error = client.error();
    assert_eq!(error.code_and_state(), (1045, "28000"), "{case}: {error:?}");
    let message = match expected {
        Outcome::CertificateRefused => "Access denied: client certificate not accepted",
        Outcome::Denied | Outcome::Permitted => "Access denied for user",
    };
    assert!(error.message.starts_with(message), "{case}: {error:?}");
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
    let cipher = match version.version {
        ProtocolVersion::TLSv1_3 => TLS13_CIPHER,
        _ => TLS12_CIPHER,
    };
    for place in PLACES {
        let backend = backend(place);
        let proxy = proxy(&backend, place);
        for (name, shown) in &CLIENTS.all {
            let tls = tls(shown.identity.as_ref());
            for (number, (text, needs)) in REQUIREMENTS.iter().enumerate() {
                let expected = shown.outcome(needs, cipher);
                let case = format!("{place:?}, {text}, {name}, {:?}", version.version);
                let mut client = Client::greeted(proxy.address);
                client.start_tls(&Login::of(&format!("r{number}")), &tls);
                assert_eq!(client.wire.tls_resumed(), resumes && number > 0, "{case}");
                check(&proxy, &backend, client, number, expected, &case);
            }
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
    for place in PLACES {
        let backend = backend(place);
        let proxy = proxy(&backend, place);
        for (number, (text, needs)) in REQUIREMENTS.iter().enumerate() {
            let expected = if needs.is_empty() {
                Outcome::Permitted
            } else {
                Outcome::Denied
            };
            let mut socket = Client::connect_unix(&proxy.unix_socket());
            socket.greeting();
            let case = format!("{place:?}, {text}, Unix socket");
            check(&proxy, &backend, socket, number, expected, &case);
            let plaintext = Client::greeted(proxy.address);
            let case = format!("{place:?}, {text}, plaintext");
            check(&proxy, &backend, plaintext, number, expected, &case);
        }
    }
}

#[test]
fn change_to_a_user_of_another_subject_is_refused() {
    let backend = backend(Place::File);
    let proxy = proxy(&backend, Place::File);
    let number = |wanted: &str| {
        let found = REQUIREMENTS.iter().position(|(text, _)| *text == wanted);
        found.expect("a requirement")
    };
    let [lax, strict] = ["X509", "SUBJECT '/O=Lab/CN=dm'"].map(|text| format!("r{}", number(text)));
    for (name, shown) in &CLIENTS.all {
        let Some(identity) = shown.identity.as_ref().filter(|_| !shown.is_bad) else {
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
    let backend = backend(Place::File);
    let proxy = proxy(&backend, Place::File);
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
