//! `cert-allowed-cn`: towards clients the clients', towards backends the backends'.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::packet::ErrorPacket;
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with};
use crate::support::visit::login_over_tls;

fn backend() -> Backend {
    Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)))
}

/// mytls with this list towards clients, and more lines.
fn proxy(backend: &Backend, names: &str, lines: &str) -> Proxy {
    let security = format!(
        "{{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, cert-allowed-cn: {names} }}"
    );
    let config = Config::before(backend).unix_socket().security(&security);
    Proxy::start(config.with(lines))
}

/// A login over TLS: its ERR, or none if it came to be.
fn over_tls(proxy: &Proxy, user: &str, identity: Option<&Identity>) -> Option<ErrorPacket> {
    login_over_tls(proxy, user, &PKI.client_tls(identity)).err()
}

#[track_caller]
fn expect_denied(error: Option<ErrorPacket>) {
    let error = error.expect("refused");
    assert_eq!(error.code_and_state(), (1045, "28000"), "{error:?}");
    assert!(
        error.message.starts_with("Access denied for user"),
        "{error:?}"
    );
}

#[test]
fn only_clients_with_an_allowed_common_name_reach_the_backend() {
    let backend = backend();
    for names in ["[app]", "[Client, client., clien]", "[]", ""] {
        let proxy = proxy(&backend, names, "");
        let dials = backend.dials();
        expect_denied(over_tls(&proxy, "app", Some(&PKI.client)));
        expect_denied(over_tls(&proxy, "app", None));
        assert_eq!(backend.dials(), dials, "{names}: the backend was dialled");
    }
    let proxy = proxy(&backend, "[app, client]", "");
    assert_eq!(over_tls(&proxy, "app", Some(&PKI.client)), None);
    expect_denied(over_tls(&proxy, "app", Some(&PKI.proxy_client)));
    expect_denied(over_tls(&proxy, "app", None));
}

#[test]
fn resumed_sessions_have_the_name_that_they_had() {
    let backend = backend();
    let proxy = proxy(&backend, "[client]", "");
    for (identity, allowed) in [(&PKI.client, true), (&PKI.proxy_client, false)] {
        let tls = PKI.resuming_client_tls(Some(identity));
        for resumed in [false, true] {
            let mut client = Client::greeted(proxy.address);
            let login = Login::of("app");
            client.start_tls(&login, &tls);
            client.send_login(&login);
            assert_eq!(client.wire.tls_resumed(), resumed);
            let last = client.authenticate(ClientPlugin::with_password());
            assert_eq!(last.is_ok(), allowed, "{last:?}");
        }
    }
}

#[test]
fn nobody_comes_without_tls() {
    let backend = backend();
    let proxy = proxy(&backend, "[client]", "");
    let dials = backend.dials();
    let mut plaintext = Client::greeted(proxy.address);
    plaintext.send_login(&Login::of("app"));
    expect_denied(Some(plaintext.error()));
    let mut socket = Client::connect_unix(&proxy.unix_socket());
    socket.greeting();
    socket.send_login(&Login::of("app"));
    expect_denied(Some(socket.error()));
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

#[test]
fn a_name_from_an_unknown_authority_is_no_name() {
    let backend = backend();
    let proxy = proxy(&backend, "[client]", "");
    let error = over_tls(&proxy, "app", Some(&PKI.wrong_ca)).expect("refused");
    let message = "Access denied: client certificate not accepted";
    assert_eq!((error.code, error.message.as_str()), (1045, message));
}

#[test]
fn secure_transport_is_asked_for_before_and_the_account_after_the_common_name() {
    let backend = backend();
    let lines = "require-secure-transport: true\naccounts: [{ user: strict, require: \"SUBJECT '/CN=x'\" }]";
    let proxy = proxy(&backend, "[client]", lines);
    let mut plaintext = Client::greeted(proxy.address);
    plaintext.send_login(&Login::of("strict"));
    assert_eq!(plaintext.error().code, 3159);
    expect_denied(over_tls(&proxy, "strict", Some(&PKI.proxy_client)));
    proxy
        .wait_for_log("the certificate /O=Lab/CN=mytls has not exactly one common name that is in");
    expect_denied(over_tls(&proxy, "strict", Some(&PKI.client)));
    proxy.wait_for_log("has not shown that subject but /O=Lab/CN=client");
    assert_eq!(over_tls(&proxy, "app", Some(&PKI.client)), None);
}

/// A backend that shows `shown` once its greeting is learnt, and what a login comes to.
fn login_to(security: &str, shown: &'static Identity) -> (Backend, Option<ErrorPacket>) {
    let backend = Backend::start_each(move |number| {
        let identity = if number == 0 { &PKI.server } else { shown };
        Server::mysql().tls(PKI.backend_tls(identity))
    });
    let proxy = Proxy::start(Config::before(&backend).backend_security(&backend, security));
    let error = over_tls(&proxy, "app", None);
    (backend, error)
}

#[test]
fn a_backend_of_another_common_name_gets_no_login() {
    let security = "{ ssl-ca: ca.pem, cert-allowed-cn: [server, db] }";
    for shown in [&PKI.server_without_name, &PKI.client, &PKI.other_server] {
        let (backend, error) = login_to(security, shown);
        let error = error.expect("refused");
        assert_eq!(error.code_and_state(), (2026, "HY000"), "{error:?}");
        assert_eq!(backend.logins(), [], "a login reached the backend");
    }
    let (_, error) = login_to(security, &PKI.server);
    assert_eq!(error, None);
}

#[test]
fn check_names_a_backend_of_another_common_name() {
    let backend = backend();
    let security = "{ ssl-ca: ca.pem, cert-allowed-cn: [db] }";
    let run = run_with(
        "check",
        &Config::before(&backend).backend_security(&backend, security),
    );
    assert_eq!(run.code, Some(1));
    let expected = "/CN=server issued by /CN=mytls test CA: it has not exactly one common name that is in cert-allowed-cn";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}
