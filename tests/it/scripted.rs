//! The two ends against each other, without mytls: what the other tests rely on.

use std::net::SocketAddr;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::{ChangeUser, Greeting, Login};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, Plugin};
use crate::support::wire::TlsPeer;

/// Where a backend listens.
fn address(backend: &Backend) -> SocketAddr {
    let port = backend
        .endpoint
        .rsplit(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn every_plugin_lets_the_right_password_in() {
    for plugin in Plugin::ALL {
        let backend = Backend::start(Server::mysql().plugin(plugin));
        let mut client = Client::greeted(address(&backend));
        client.send_login(&Login::of("app"));
        assert!(client.authenticate(plugin.client()).is_ok(), "{plugin:?}");
    }
}

#[test]
fn a_missing_password_is_refused() {
    let backend = Backend::start(Server::mysql().plugin(Plugin::Native));
    let mut client = Client::greeted(address(&backend));
    client.send_login(&Login::of("app").without_password());
    let refused = client.authenticate(Plugin::Empty.client());
    assert_eq!(refused.error().map(|error| error.code), Some(1045));
}

#[test]
fn the_backend_writes_down_what_it_saw() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let login = Login::of("app").database("shop");
    let tls = PKI.client_tls(Some(&PKI.client));
    let mut client = Client::logged_in_over_tls(address(&backend), &login, &tls);
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    let change = ChangeUser::to("other");
    client.command(&change.payload());
    assert!(
        client.authenticate(ClientPlugin::with_password()).is_ok(),
        "the new user is let in"
    );
    client.command(&[0x01]);
    client.wire.finish_writing().expect("close");
    let events = backend.closed_within(std::time::Duration::from_secs(10));
    assert_eq!(
        events[2],
        Event::Tls(TlsPeer {
            certificate: Some(PKI.client.certificate.to_vec()),
            resumed: false
        }),
        "{events:#?}"
    );
    assert!(
        matches!(&events[3], Event::Login(seen) if seen.user == b"app" && seen.attributes == login.attributes)
    );
    assert!(events.contains(&Event::ChangeUser(change)), "{events:#?}");
}

#[test]
fn greetings_are_read_as_they_were_made() {
    for greeting in [Greeting::mysql(), Greeting::mariadb(), Greeting::tidb()] {
        assert_eq!(Greeting::parse(&greeting.payload()), Some(greeting));
    }
}
