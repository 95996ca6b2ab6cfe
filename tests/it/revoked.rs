//! `ssl-crl`: certificates that their CA has revoked, towards clients and towards backends. The lists are made by
//! `openssl ca`.

use std::path::Path;

use rustls::version::{TLS12, TLS13};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::openssl::{run, write_ca_configuration};
use crate::support::packet::ErrorPacket;
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with, run_with_arguments};
use crate::support::visit::login_over_tls;

pub(crate) const WITH_LIST: &str =
    "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, ssl-crl: revoked.pem }";
const IN_2020: &str = "-crl_lastupdate 20200101000000Z -crl_nextupdate 20210101000000Z";

/// Writes `revoked.pem`: the CA's list with these certificates on it; `options` of `openssl ca -gencrl`.
pub(crate) fn write_list(folder: &Path, revoked: &[&Identity], options: &str) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("write it");
    write("ca.key", &PKI.ca.key.serialize_pem());
    write_ca_configuration(folder);
    for identity in revoked {
        write("stolen.pem", &identity.certificate_pem);
        run(folder, "openssl ca -config ca.cnf -revoke stolen.pem");
    }
    run(
        folder,
        &format!("openssl ca -config ca.cnf -gencrl -out revoked.pem {options}"),
    );
}

fn backend() -> Backend {
    Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)))
}

/// The configuration with a list towards clients.
fn config(backend: &Backend, revoked: &[&Identity], options: &str) -> Config {
    let config = Config::before(backend).security(WITH_LIST);
    write_list(&config.path(""), revoked, options);
    config
}

/// A login over TLS: its ERR, or none if it came to be.
fn login(proxy: &Proxy, identity: Option<&Identity>) -> Option<ErrorPacket> {
    login_over_tls(proxy, "app", &PKI.client_tls(identity)).err()
}

#[track_caller]
fn expect_not_accepted(error: Option<ErrorPacket>) {
    let error = error.expect("refused");
    let message = "Access denied: client certificate not accepted";
    assert_eq!((error.code, error.message.as_str()), (1045, message));
}

#[test]
fn a_revoked_client_is_refused_in_full_and_resumed_sessions() {
    let backend = backend();
    let proxy = Proxy::start(config(&backend, &[&PKI.client], ""));
    let dials = backend.dials();
    for version in [&TLS12, &TLS13] {
        let tls = PKI.resuming_client_tls_of(&[version], Some(&PKI.client));
        for resumed in [false, true] {
            let mut client = Client::greeted(proxy.address);
            let login = Login::of("app");
            client.start_tls(&login, &tls);
            client.send_login(&login);
            assert_eq!(client.wire.tls_resumed(), resumed);
            expect_not_accepted(Some(client.error()));
        }
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
    proxy.wait_for_log(
        "/CN=client issued by /CN=mytls test CA: it, or a certificate above it, was revoked",
    );
    assert_eq!(login(&proxy, Some(&PKI.proxy_client)), None);
    assert_eq!(login(&proxy, None), None);
}

#[test]
fn a_list_that_has_run_out_lets_no_certificate_through() {
    let backend = backend();
    let proxy = Proxy::start(config(&backend, &[], IN_2020));
    proxy.wait_for_log("the revocation list of /CN=mytls test CA ran out at 2021-01-01T00:00:00Z");
    expect_not_accepted(login(&proxy, Some(&PKI.client)));
    proxy.wait_for_log("of its issuer, or of one above it, ran out at 2021-01-01T00:00:00Z");
    assert_eq!(login(&proxy, None), None);
}

#[test]
fn a_list_that_cannot_be_used_is_no_list() {
    let backend = backend();
    for (list, expected) in [
        (None, "there is no such file"),
        (Some(""), "is empty"),
        (
            Some(PKI.ca.certificate_pem.as_str()),
            "has no revocation list (X509 CRL) in it, only: CERTIFICATE",
        ),
    ] {
        let config = Config::before(&backend)
            .security(WITH_LIST)
            .with("require-valid-certificates: true");
        let file = config.path("revoked.pem");
        if let Some(text) = list {
            std::fs::write(&file, text).expect("write it");
        }
        let expected = format!("ssl-crl {}: {expected}", file.display());
        let checked = run_with("check", &config);
        assert_eq!(checked.code, Some(1));
        assert!(checked.stdout.contains(&expected), "{}", checked.stdout);
        let served = run_with("serve", &config);
        assert_eq!(served.code, Some(1));
        assert!(served.stderr.contains(&expected), "{}", served.stderr);
    }
}

#[test]
fn a_revoked_backend_gets_no_login() {
    // Its greeting is learnt while it still shows another certificate.
    let backend = Backend::start_each(|number| {
        let shown = if number == 0 {
            &PKI.server_without_name
        } else {
            &PKI.server
        };
        Server::mysql().tls(PKI.backend_tls(shown))
    });
    let security = "{ ssl-ca: ca.pem, ssl-crl: revoked.pem }";
    let config = Config::before(&backend).backend_security(&backend, security);
    write_list(&config.path(""), &[&PKI.server], "");
    let proxy = Proxy::start(config);
    let error = login(&proxy, None).expect("refused");
    assert_eq!(error.code_and_state(), (2026, "HY000"), "{error:?}");
    assert_eq!(backend.logins(), [], "a login reached the backend");
    proxy.wait_for_log("was revoked by its issuer (ssl-crl)");
}

#[test]
fn check_tells_of_a_revoked_backend_and_of_the_list() {
    let backend = backend();
    let security = "{ ssl-ca: ca.pem, ssl-crl: revoked.pem }";
    let config = Config::before(&backend).backend_security(&backend, security);
    write_list(&config.path(""), &[&PKI.server], "");
    let run = run_with("check", &config);
    assert_eq!(run.code, Some(1));
    for expected in [
        "/CN=server issued by /CN=mytls test CA: it, or a certificate above it, was revoked by its issuer (ssl-crl)",
        "revocation list issuer /CN=mytls test CA, 1 revoked, valid from ",
    ] {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    write_list(&config.path(""), &[], "");
    let run = run_with("check", &config);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    write_list(&config.path(""), &[], IN_2020);
    let run = run_with("check", &config);
    assert_eq!(run.code, Some(1));
    let expected = "ran out at 2021-01-01T00:00:00Z: every certificate of that issuer is refused";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

#[test]
fn authorize_looks_the_certificate_up() {
    let backend = backend();
    let config = config(&backend, &[&PKI.client], "");
    for (name, identity, code, expected) in [
        (
            "client",
            &PKI.client,
            1,
            "REFUSED      certificate /O=Lab/CN=client",
        ),
        ("other", &PKI.proxy_client, 0, "MAY PASS"),
    ] {
        let file = config.path(name);
        std::fs::write(&file, &identity.certificate_pem).expect("write it");
        let file = file.to_string_lossy();
        let arguments = ["--user", "app", "--from", "127.0.0.1", "--cert", &file];
        let run = run_with_arguments("authorize", &config, &arguments);
        assert_eq!(run.code, Some(code), "{}", run.stdout);
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
}

/// Also for who holds a ticket of before; who is in stays in.
#[test]
fn a_list_that_is_put_in_place_counts_from_the_next_connection_on() {
    for reread in [true, false] {
        let backend = backend();
        let config = config(&backend, &[], "");
        let proxy = Proxy::start(config.with(&format!("reread-certificates: {reread}")));
        let tls = PKI.resuming_client_tls(Some(&PKI.client));
        let log_in = || {
            let mut client = Client::greeted(proxy.address);
            client.start_tls(&Login::of("app"), &tls);
            client.send_login(&Login::of("app"));
            let resumed = client.wire.tls_resumed();
            let last = client.authenticate(ClientPlugin::with_password());
            (client, resumed, last.error())
        };
        let (mut before, ..) = log_in();
        let (_, resumed, error) = log_in();
        assert_eq!((resumed, error), (true, None));

        write_list(proxy.folder(), &[&PKI.client], "");
        if !reread {
            proxy.reload();
        }
        let (_, resumed, error) = log_in();
        assert!(!resumed);
        expect_not_accepted(error);

        std::fs::write(proxy.folder().join("revoked.pem"), "damaged").expect("write it");
        let log = proxy.reload();
        assert!(log.contains("ssl-crl ") && log.contains("ERROR"), "{log}");
        expect_not_accepted(log_in().2);
        before.query("SELECT 1");
        before.expect_echo("SELECT 1");
    }
}
