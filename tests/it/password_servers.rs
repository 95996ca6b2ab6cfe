//! Passwords between all kinds of sides, with a real MySQL 9.7 that has them forgotten before each try.
//!
//! `tests/lab` starts it and says where it is, as for `mysql_async_client`.

use std::env;

use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};
use crate::support::wire::Transport;

const PASSWORD: &str = "app-pw";

#[test]
fn mysql_9_7_with_a_cold_cache_takes_passwords_from_all_kinds_of_sides() {
    let Some((address, pki, run)) = lab() else {
        return;
    };
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let tcp = format!("host: {host}, port: {port}");
    for from in [
        format!("{{ {tcp}, security: {{ ssl-ca: {pki}/root-ca.pem }} }}"),
        format!("{{ {tcp} }}"),
        format!("{{ socket: {run}/mysql97.sock }}"),
    ] {
        let proxy = Proxy::start(Config::to(&from).unix_socket().never_as_root());
        let mut app = logged_in(&proxy, Transport::Tls, "app");
        for transport in Transport::ALL {
            for user in ["app", "app_sha256"] {
                forget_passwords(&mut app);
                let refused = connected(&proxy, transport, user)
                    .authenticate(ClientPlugin::with("wrong"))
                    .error();
                assert_eq!(
                    refused.map(|error| error.code),
                    Some(1045),
                    "{user}, {transport:?} to {from}"
                );
                let mut client = logged_in(&proxy, transport, user);
                for other in ["app_sha256", "app"] {
                    forget_passwords(&mut app);
                    client.command(&ChangeUser::to(other).payload());
                    let last = client.authenticate(ClientPlugin::with(PASSWORD));
                    assert!(
                        last.is_ok(),
                        "{user} to {other}, {transport:?} to {from}: {:?}",
                        last.error()
                    );
                }
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn lab() -> Option<(String, String, String)> {
    let variable = |name| env::var(name).ok();
    let lab = variable("MYTLS_TEST_MYSQL97").and_then(|address| {
        Some((
            address,
            variable("MYTLS_TEST_PKI")?,
            variable("MYTLS_TEST_RUN")?,
        ))
    });
    if lab.is_none() {
        assert!(
            env::var("MYTLS_LAB_REQUIRED").as_deref() != Ok("1"),
            "MYTLS_TEST_MYSQL97 and its kin are not set"
        );
        eprintln!("skipped: MYTLS_TEST_MYSQL97 and its kin are not set; run tests/lab test");
    }
    lab
}

/// Connected, and the login sent.
fn connected(proxy: &Proxy, transport: Transport, user: &str) -> Client {
    let login = Login::of(user);
    let mut client = match transport {
        Transport::UnixSocket => Client::connect_unix(&proxy.unix_socket()),
        Transport::Plaintext | Transport::Tls => Client::connect(proxy.address),
    };
    client.greeting();
    if transport == Transport::Tls {
        client.start_tls(&login, &PKI.client_tls(None));
    }
    client.send_login(&login);
    client
}

#[track_caller]
fn logged_in(proxy: &Proxy, transport: Transport, user: &str) -> Client {
    let mut client = connected(proxy, transport, user);
    let last = client.authenticate(ClientPlugin::with(PASSWORD));
    assert!(last.is_ok(), "{user}, {transport:?}: {:?}", last.error());
    client
}

/// After it the server needs the password itself once again.
#[track_caller]
fn forget_passwords(app: &mut Client) {
    app.query("FLUSH PRIVILEGES");
    let answer = &app.read_answer(1)[0];
    assert!(answer.is_ok(), "{:?}", answer.error());
}
