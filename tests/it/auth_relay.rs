//! Between login packet and OK: the backend's plugin and the client talk through mytls, but never of a password in clear
//! where a side is insecure.

use std::time::Duration;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::err;
use crate::support::pki::PKI;
use crate::support::plugin::{PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy};

/// TiDB answers so at once, before any `AuthSwitchRequest`, for a user that does not exist.
#[test]
fn refusal_by_the_backend_before_any_plugin_is_relayed() {
    let backend = Backend::start(
        Server::greeting(&Greeting::tidb()).on_login(|conversation| {
            conversation.send(&err(
                1045,
                "28000",
                "Access denied for user 'app'@'127.0.0.1' (using password: YES)",
            ))
        }),
    );
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    client.expect_access_denied(2, "app");
}

#[test]
fn refusal_by_the_backend_after_the_password_is_relayed() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let refused = client.authenticate(Plugin::Empty.client());
    assert_eq!(
        refused.error().map(|error| (error.sequence, error.code)),
        Some((4, 1045))
    );
}

/// MariaDB counts an answer of a wrong length towards `max_connect_errors`: anybody could get mytls' address blocked.
#[test]
fn answer_of_a_length_that_the_plugin_does_not_have_is_a_wrong_password_to_the_backend() {
    for (plugin, answer, sent) in [
        (Plugin::Native, &b"short"[..], &[0; 20][..]),
        (Plugin::Ed25519, b"", &[0; 64]),
    ] {
        let backend = Backend::start(Server::mysql().plugin(plugin));
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        client.read(); // AuthSwitchRequest
        client.send(answer);
        assert_eq!(client.error().code, 1045, "{plugin:?}");
        let events = backend.closed_within(Duration::from_secs(2));
        assert!(
            events.contains(&Event::AuthPacket(sent.to_vec())),
            "{plugin:?}: {events:#?}"
        );
    }
}

/// A password in clear is never asked of a client that would send it in plaintext.
#[test]
fn switch_to_a_clear_text_plugin_is_not_passed_to_an_insecure_client() {
    for plugin in ["mysql_clear_password", "dialog"] {
        let backend = Backend::start(Server::mysql().on_login(move |conversation| {
            conversation.switch(plugin, b"")?;
            conversation.read()?;
            conversation.refuse()
        }));
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        let error = client.error();
        assert_ne!(error.code, 0, "an ERR in place of the switch");
        let events = backend.closed_within(Duration::from_secs(2));
        assert!(
            events.contains(&Event::AuthPacket(Vec::new())),
            "{plugin}: the handshake was cut: {events:#?}"
        );
    }
}

/// Neither is an answer of it handed to a backend in plaintext.
#[test]
fn clear_password_of_a_secure_client_does_not_reach_an_insecure_backend() {
    let backend = Backend::start(Server::mysql().plugin(Plugin::Clear));
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app");
    let mut client = Client::greeted(proxy.address);
    client.start_tls(&login, &PKI.client_tls(None));
    client.send_login(&login);
    let refused = client.authenticate(Plugin::Clear.client());
    assert!(
        refused.error().is_some(),
        "logged in over a plaintext backend"
    );
    let events = backend.closed_within(Duration::from_secs(5));
    let leaked = events.iter().any(
        |event| matches!(event, Event::AuthPacket(bytes) if bytes.starts_with(PASSWORD.as_bytes())),
    );
    assert!(
        !leaked,
        "the password reached the backend in plaintext: {events:#?}"
    );
}

/// With the cache warm no password is sent, so that security on the two sides may differ.
#[test]
fn mixed_security_is_no_obstacle_where_no_password_is_sent() {
    for plugin in [
        Plugin::Native,
        Plugin::CachingSha2Warm,
        Plugin::Ed25519,
        Plugin::Parsec,
    ] {
        let backend = Backend::start(Server::mysql().plugin(plugin));
        let proxy = Proxy::start(Config::before(&backend));
        Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
        let backend = Backend::start(
            Server::mysql()
                .plugin(plugin)
                .tls(PKI.backend_tls(&PKI.server)),
        );
        let proxy = Proxy::start(Config::before(&backend));
        Client::logged_in(proxy.address, &Login::of("app"));
    }
}

/// An insecure client asks the server for its RSA key itself and encrypts for it; both sides insecure: forwarded.
#[test]
fn key_request_between_two_insecure_sides_is_forwarded() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.switch("caching_sha2_password", b"backend-salt-20bytes\0")?;
        conversation.read()?;
        conversation.more(&[0x04])?;
        if conversation.read()? != [0x02] {
            return conversation.refuse();
        }
        conversation.more(b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n")?;
        if conversation.read()? == [0x99; 256] {
            conversation.welcome()
        } else {
            conversation.refuse()
        }
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe);
    client.send(&[0x11; 32]);
    assert_eq!(client.read().payload, [0x01, 0x04]);
    client.send(&[0x02]);
    assert!(
        client
            .read()
            .payload
            .starts_with(b"\x01-----BEGIN PUBLIC KEY-----")
    );
    client.send(&[0x99; 256]);
    assert!(client.read().is_ok());
}
