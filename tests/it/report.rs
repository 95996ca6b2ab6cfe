//! `enforcement: report`: whom mytls' own rules would refuse passes, and the log tells of it; all else is enforced.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};

const RULES: &str = "
default-require: X509
accounts:
  - { user: \"'strict'@'%'\", require: X509 }
  - { user: \"'lax'@'%'\", require: NONE }
  - { user: \"'far'@'10.0.0.0/8'\", require: NONE }
";

/// Before a backend, with more lines.
fn start(lines: &str) -> (Backend, Proxy) {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend).with(RULES).with(lines));
    (backend, proxy)
}

/// What a client shows.
#[derive(Clone, Copy)]
enum Shown {
    Plaintext,
    Tls,
    Certificate(&'static Identity),
}

/// The number of the ERR that a login came to.
fn log_in(proxy: &Proxy, user: &str, shown: Shown) -> Option<u16> {
    let mut client = Client::greeted(proxy.address);
    let login = Login::of(user);
    match shown {
        Shown::Plaintext => {}
        Shown::Tls => client.start_tls(&login, &PKI.client_tls(None)),
        Shown::Certificate(identity) => client.start_tls(&login, &PKI.client_tls(Some(identity))),
    }
    client.send_login(&login);
    let last = client.authenticate(ClientPlugin::with_password());
    last.error().map(|error| error.code)
}

/// The lines that tell of a client that would be refused.
fn reports(proxy: &Proxy) -> usize {
    proxy.log().matches("would be refused").count()
}

#[test]
fn what_report_lets_pass_enforce_refuses() {
    let transport = "require-secure-transport: true";
    for (lines, user, shown, code) in [
        ("", "strict", Shown::Tls, 1045),
        ("", "far", Shown::Plaintext, 1045),
        ("", "unnamed", Shown::Plaintext, 1045),
        (transport, "lax", Shown::Plaintext, 3159),
    ] {
        let (backend, proxy) = start(&format!("{lines}\nenforcement: enforce"));
        let dials = backend.dials();
        assert_eq!(log_in(&proxy, user, shown), Some(code), "{user}");
        assert_eq!(backend.dials(), dials, "{user}: the backend was dialled");
        assert_eq!(reports(&proxy), 0, "{user}");
        let (_backend, proxy) = start(&format!("{lines}\nenforcement: report"));
        assert_eq!(log_in(&proxy, user, shown), None, "{user}");
        proxy.wait_for_log("would be refused");
    }
}

#[test]
fn bad_certificate_is_refused_in_report_mode() {
    let (backend, proxy) = start("enforcement: report");
    let dials = backend.dials();
    for identity in [&PKI.wrong_ca, &PKI.expired, &PKI.server_auth_only] {
        for user in ["strict", "lax", "unnamed"] {
            assert_eq!(
                log_in(&proxy, user, Shown::Certificate(identity)),
                Some(1045),
                "{user}"
            );
        }
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

#[test]
fn report_names_account_client_and_reason() {
    let (_backend, proxy) = start("enforcement: report");
    proxy.wait_for_log("enforcement: accounts, default-require, require-secure-transport and");
    for (user, shown, account, reason) in [
        (
            "strict",
            Shown::Tls,
            "'strict'@'%'",
            "'strict'@'%' has REQUIRE X509, and the client has not shown a client certificate",
        ),
        (
            "far",
            Shown::Certificate(&PKI.client),
            "none",
            "no account of this user admits 127.0.0.1 (host names are not resolved)",
        ),
        (
            "unnamed",
            Shown::Plaintext,
            "default-require",
            "default-require has REQUIRE X509, and the client has not shown TLS",
        ),
    ] {
        assert_eq!(log_in(&proxy, user, shown), None, "{user}");
        let line = proxy.wait_for_log(reason);
        for part in [
            "WARN",
            "would be refused",
            &format!("user=\"{user}\""),
            &format!("account=\"{account}\""),
            "client=127.0.0.1",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    assert_eq!(reports(&proxy), 3);
}

#[test]
fn who_meets_the_rules_is_not_reported() {
    let (_backend, proxy) = start("enforcement: report\nrequire-secure-transport: true");
    for user in ["strict", "lax", "unnamed"] {
        assert_eq!(
            log_in(&proxy, user, Shown::Certificate(&PKI.client)),
            None,
            "{user}"
        );
    }
    assert_eq!(log_in(&proxy, "strict", Shown::Tls), None);
    proxy.wait_for_log("'strict'@'%' has REQUIRE X509");
    assert_eq!(reports(&proxy), 1);
}

#[test]
fn cert_allowed_cn_is_only_reported() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, cert-allowed-cn: [other] }";
    let config = Config::before(&backend).security(security);
    let proxy = Proxy::start(config.with("enforcement: report"));
    assert_eq!(log_in(&proxy, "app", Shown::Certificate(&PKI.client)), None);
    proxy.wait_for_log("has not exactly one common name that is in cert-allowed-cn");
}

#[test]
fn change_of_user_is_reported_like_a_login() {
    let (_backend, proxy) = start("enforcement: report");
    let tls = PKI.client_tls(None);
    let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("lax"), &tls);
    assert_eq!(reports(&proxy), 0);
    client.command(&ChangeUser::to("strict").payload());
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    let line = proxy.wait_for_log("would be refused");
    assert!(line.contains("user=\"strict\""), "{line}");
}

#[test]
fn reports_of_one_reason_do_not_flood_the_log() {
    let (_backend, mut proxy) = start("enforcement: report");
    for _ in 0..25 {
        assert_eq!(log_in(&proxy, "unnamed", Shown::Plaintext), None);
    }
    proxy.terminate();
    proxy.wait_for_log("would be refused, and not shown one by one count=15");
    proxy.exit_status();
    let log = proxy.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("would be refused id="));
    assert_eq!(lines.count(), 10, "{log}");
}
