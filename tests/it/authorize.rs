//! `mytls authorize`: its answers, and that they are those of a running mytls.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, Run, run_with_arguments};

const ACCOUNTS: &str = "
default-require: SSL
accounts:
  - { user: \"'none'@'%'\", require: NONE }
  - { user: \"'ssl'@'%'\", require: SSL }
  - { user: \"'x509'@'%'\", require: X509 }
  - { user: \"'far'@'10.0.0.0/8'\", require: NONE }
  - { user: \"'far'@'db.test'\", require: NONE }
  - { user: \"'named'@'%'\", require: SSL }
  - { user: \"'named'@'localhost'\", require: X509 }
  - { user: \"'app'@'%'\", require: SUBJECT '/O=Lab/CN=client' AND ISSUER '/CN=mytls test CA' }
  - { user: \"'other'@'%'\", require: SUBJECT '/O=Lab/CN=other' }
  - { user: \"'old'@'%'\", require: CIPHER 'ECDHE-ECDSA-AES256-GCM-SHA384' }
";

const USERS: [&str; 9] = [
    "none", "ssl", "x509", "far", "named", "app", "other", "old", "unnamed",
];

/// The certificates that clients show, by the name of their file.
fn certificates() -> [(&'static str, &'static Identity); 5] {
    [
        ("client.pem", &PKI.client),
        ("wrong-ca.pem", &PKI.wrong_ca),
        ("expired.pem", &PKI.expired),
        ("not-yet-valid.pem", &PKI.not_yet_valid),
        ("server-auth-only.pem", &PKI.server_auth_only),
    ]
}

fn backend() -> Backend {
    Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)))
}

fn config(backend: &Backend) -> Config {
    let config = Config::before(backend).unix_socket().with(ACCOUNTS);
    for (file, identity) in certificates() {
        std::fs::write(config.path(file), &identity.certificate_pem).expect("write it");
    }
    config
}

/// Asks about a user, with more options; `FOLDER` in them is that of the configuration.
fn ask(config: &Config, user: &str, options: &str) -> Run {
    let folder = config.path("");
    let options = options.replace("FOLDER/", &folder.to_string_lossy());
    let arguments = ["--user", user].into_iter().chain(options.split(' '));
    run_with_arguments("authorize", config, &arguments.collect::<Vec<_>>())
}

/// Expects an exit status, and parts of what is printed.
#[track_caller]
fn check(config: &Config, (user, options): (&str, &str), code: i32, expected: &[&str]) {
    let run = ask(config, user, options);
    let text = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(code), "{user} {options}: {text}");
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn question_that_cannot_be_answered_is_wrong_usage() {
    let backend = backend();
    let config = config(&backend);
    for (options, expected) in [
        (
            "--from 127.0.0.1 --cert FOLDER/missing.pem",
            "there is no such file",
        ),
        ("--from 127.0.0.1 --cert FOLDER/server.key", "PRIVATE KEY"),
        ("--from db.test", "mytls resolves no names"),
        (
            "--from ::1 --tls-version TLSv1.2 --cipher TLS_AES_128_GCM_SHA256",
            "no TLSv1.2 session has the cipher TLS_AES_128_GCM_SHA256",
        ),
    ] {
        check(&config, ("app", options), 64, &[expected]);
    }
    let wrong = Config::before(&backend).with("acounts: []");
    check(&wrong, ("app", "--from ::1"), 64, &["`accounts`"]);
}

#[test]
fn refusal_names_account_and_rule_and_what_is_missing() {
    let backend = backend();
    let config = config(&backend);
    for (question, expected) in [
        (
            ("x509", "--from 127.0.0.1"),
            "REFUSED      'x509'@'%' has REQUIRE X509, and the client has not shown a client certificate",
        ),
        (
            ("other", "--from ::1 --cert FOLDER/client.pem"),
            "REFUSED      'other'@'%' has REQUIRE SUBJECT '/O=Lab/CN=other', and the client has not shown that subject but /O=Lab/CN=client",
        ),
        (
            ("old", "--from ::1 --cert FOLDER/client.pem"),
            "and the client has not shown that cipher but TLS_AES_256_GCM_SHA384",
        ),
        (
            ("far", "--from 127.0.0.1"),
            "REFUSED      no account of this user admits 127.0.0.1 (host names are not resolved)",
        ),
        (
            ("unnamed", "--from 127.0.0.1 --plaintext"),
            "REFUSED      default-require has REQUIRE SSL, and the client has not shown TLS",
        ),
        (
            ("none", "--from ::1 --cert FOLDER/expired.pem"),
            "REFUSED      certificate /O=Lab/CN=client issued by /CN=mytls test CA: it, or a certificate above it, expired at 2002-01-01T00:00:00Z",
        ),
    ] {
        check(&config, question, 1, &[expected]);
    }
    // both accounts are shown, the chosen one first
    let accounts = "account      'named'@'%' REQUIRE SSL\naccount      'named'@'localhost' REQUIRE X509\nREFUSED ";
    check(&config, ("named", "--from 127.0.0.1"), 1, &[accounts]);
}

#[test]
fn version_below_the_lowest_is_refused() {
    let backend = backend();
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, tls-version: TLSv1.3 }";
    let config = config(&backend).security(security);
    let question = ("none", "--from ::1 --tls-version TLSv1.2");
    check(&config, question, 1, &["security.tls-version is TLSv1.3"]);
}

#[test]
fn broken_or_absent_tls_is_said() {
    let backend = backend();
    for (security, expected) in [
        ("{ auto-tls: false }", "no ssl-cert, and auto-tls is off"),
        ("{ ssl-ca: missing.pem }", "there is no such file"),
    ] {
        let config = config(&backend).security(security);
        check(&config, ("none", "--from ::1"), 1, &[expected]);
        check(&config, ("none", "--from ::1 --plaintext"), 0, &[]);
    }
}

#[test]
fn certificate_is_printed_as_a_rule_that_it_meets() {
    let backend = backend();
    let config = config(&backend);
    let expected = [
        "for a rule   SUBJECT '/O=Lab/CN=client' AND ISSUER '/CN=mytls test CA'\n",
        "account      'app'@'%' REQUIRE SUBJECT '/O=Lab/CN=client' AND ISSUER '/CN=mytls test CA'\n",
        "MAY PASS     as 'app'@'%'",
    ];
    let question = ("app", "--from 10.0.0.7 --cert FOLDER/client.pem");
    check(&config, question, 0, &expected);
}

#[test]
fn nothing_is_written_nobody_is_dialled_and_our_key_is_not_read() {
    let backend = backend();
    let config = config(&backend);
    std::fs::remove_file(config.path("server.key")).expect("it was there");
    let question = ("x509", "--from 127.0.0.1 --cert FOLDER/client.pem");
    check(&config, question, 0, &[]);
    assert!(!config.path("state").exists());
    assert_eq!(backend.dials(), 0);
}

/// Asks about every user with every client, and then lets each log in.
fn check_agreement(config: Config) {
    let mut clients = vec![
        ("--from localhost --plaintext".to_owned(), None),
        ("--from 127.0.0.1 --plaintext".to_owned(), None),
    ];
    for (version, name) in [
        (&rustls::version::TLS12, "TLSv1.2"),
        (&rustls::version::TLS13, "TLSv1.3"),
    ] {
        let options = format!("--from 127.0.0.1 --tls-version {name}");
        clients.push((options.clone(), Some(PKI.client_tls_of(&[version], None))));
        for (file, identity) in certificates() {
            clients.push((
                format!("{options} --cert FOLDER/{file}"),
                Some(PKI.client_tls_of(&[version], Some(identity))),
            ));
        }
    }
    let questions = || {
        clients
            .iter()
            .flat_map(|client| USERS.map(|user| (user, client)))
    };
    let answers: Vec<Run> = questions()
        .map(|(user, (options, _))| ask(&config, user, options))
        .collect();

    let proxy = Proxy::start(config);
    for ((user, (options, tls)), answer) in questions().zip(answers) {
        let login = Login::of(user);
        let mut client = if options.contains("localhost") {
            Client::connect_unix(&proxy.unix_socket())
        } else {
            Client::connect(proxy.address)
        };
        client.greeting();
        if let Some(tls) = tls {
            client.start_tls(&login, tls);
        }
        client.send_login(&login);
        let passed = client.authenticate(ClientPlugin::with_password()).is_ok();
        let text = &answer.stdout;
        assert_eq!(
            answer.code,
            Some(i32::from(!passed)),
            "{user} {options}: {text}"
        );
        if let Some((_, reason)) = text.split_once("REFUSED      ") {
            proxy.wait_for_log(reason.trim_end());
        }
    }
}

#[test]
fn running_mytls_agrees() {
    check_agreement(config(&backend()));
}

#[test]
fn running_mytls_agrees_without_an_authority() {
    let backend = backend();
    let config = config(&backend).security("{ ssl-cert: server.pem, ssl-key: server.key }");
    let question = ("x509", "--from 127.0.0.1 --cert FOLDER/client.pem");
    let note = "security has no ssl-ca: no certificate can be verified";
    check(&config, question, 1, &[note]);
    check_agreement(config);
}

#[test]
fn running_mytls_agrees_on_what_holds_for_all_accounts() {
    let backend = backend();
    check_agreement(config(&backend).with("require-secure-transport: true"));
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, cert-allowed-cn: [other] }";
    check_agreement(config(&backend).security(security));
}

#[test]
fn running_mytls_agrees_on_what_is_only_reported() {
    let backend = backend();
    let report = "enforcement: report\nrequire-secure-transport: true";
    let config = config(&backend).with(report);
    for (question, expected) in [
        (
            ("other", "--from ::1 --cert FOLDER/client.pem"),
            "reported     would be refused: 'other'@'%' has REQUIRE SUBJECT '/O=Lab/CN=other', and the client has not shown that subject but /O=Lab/CN=client\nMAY PASS     as 'other'@'%', because enforcement is report",
        ),
        (
            ("none", "--from ::1 --plaintext"),
            "reported     would be refused: require-secure-transport is on",
        ),
        (
            ("none", "--from ::1"),
            "MAY PASS     as 'none'@'%'; the server asks",
        ),
    ] {
        check(&config, question, 0, &[expected]);
    }
    let expired = ("none", "--from ::1 --cert FOLDER/expired.pem");
    check(&config, expired, 1, &["REFUSED      certificate"]);
    check_agreement(config);
}
