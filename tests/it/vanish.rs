//! One end is gone: the other's connection ends within a second, and politely where the backend counts broken logins.

use std::time::{Duration, Instant};

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::conversation::{Answer, Event};
use crate::support::handshake::Login;
use crate::support::packet::{length_encoded_bytes, one_column, one_value, packet};
use crate::support::pki::PKI;
use crate::support::plugin::{Plugin, SALT};
use crate::support::proxy::{Config, Proxy};
use crate::support::wire::End;

/// A second, and a little for a busy machine.
const SOON: Duration = Duration::from_millis(1500);

/// Before the login packet is whole nobody has dialled.
#[test]
fn client_that_vanishes_before_its_login_is_not_heard_of_by_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    let login = Login::of("app");
    let request = packet(1, &ssl_request(&login));
    drop(Client::connect(proxy.address));
    drop(Client::greeted(proxy.address));
    for bytes in [
        &request[..3],
        &request[..20],
        &request,
        &[&request[..], b"\x16\x03\x01\x00\xff\x01"].concat(),
    ] {
        Client::greeted(proxy.address).send_raw(bytes);
    }
    let mut under_tls = Client::greeted(proxy.address);
    under_tls.start_tls(&login, &PKI.client_tls(None));
    drop(under_tls);
    let whole = packet(1, &login.payload());
    Client::greeted(proxy.address).send_raw(&whole[..whole.len() - 1]);
    // A whole session after them all, so that mytls has had its turn.
    drop(Client::logged_in(proxy.address, &login));
    assert_eq!(backend.logins().len(), 1);
    assert_eq!(backend.dials(), dials + 1);
}

/// Leaves the login when the backend waits for the client, and gives the backend's events.
fn leave_at_the_clients_turn(server: Server) -> Vec<Event> {
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    drop(client);
    backend.closed_within(SOON)
}

/// `max_connect_errors` counts a handshake that is cut, not a login that is refused.
#[test]
fn client_that_vanishes_at_its_turn_is_a_refused_login_to_the_backend() {
    let events = leave_at_the_clients_turn(Server::mysql());
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "no empty packet: {events:#?}"
    );
    assert!(!events.contains(&Event::LoggedIn), "{events:#?}");
}

/// Where an empty packet would be a broken handshake, as MySQL 9.7 and MariaDB count it.
#[test]
fn client_that_vanishes_before_it_gives_its_password_is_a_refused_login_to_the_backend() {
    for (plugin, no_password) in [
        (Plugin::CachingSha2Full, &[0][..]),
        (Plugin::Ed25519, &[0; 64][..]),
    ] {
        let tls = PKI.backend_tls(&PKI.server);
        let backend = Backend::start(Server::mysql().tls(tls).plugin(plugin));
        let proxy = Proxy::start(Config::before(&backend));
        let login = Login::of("app");
        let mut client = Client::greeted(proxy.address);
        client.start_tls(&login, &PKI.client_tls(None));
        client.send_login(&login);
        client.read(); // AuthSwitchRequest
        if plugin == Plugin::CachingSha2Full {
            client.send(&[7; 32]);
            assert_eq!(client.read().payload, [0x01, 0x04]);
        }
        drop(client);
        let events = backend.closed_within(SOON);
        assert!(
            events.contains(&Event::AuthPacket(no_password.to_vec())),
            "{plugin:?}: {events:#?}"
        );
    }
}

#[test]
fn client_that_vanishes_before_an_account_without_password_is_logged_out() {
    let events = leave_at_the_clients_turn(Server::mysql().plugin(Plugin::Empty));
    let [.., Event::LoggedIn, Event::Command(last), Event::Closed(_)] = &events[..] else {
        panic!("no COM_QUIT: {events:#?}");
    };
    assert_eq!(last.payload, [0x01]);
}

#[test]
fn backend_that_asks_on_after_an_empty_packet_is_left() {
    let events = leave_at_the_clients_turn(Server::mysql().on_login(|conversation| {
        conversation.switch("parsec", &[0x5a; 32])?;
        conversation.read()?;
        conversation.send(b"P\x00eighteen-byte-salt")?;
        conversation.read_end().map(drop)
    }));
    assert!(
        matches!(events.last(), Some(Event::Closed(_))),
        "{events:#?}"
    );
}

#[test]
fn backend_that_says_nothing_to_an_empty_packet_is_left_within_a_second() {
    leave_at_the_clients_turn(Server::mysql().on_login(|conversation| {
        conversation.switch("mysql_native_password", SALT)?;
        conversation.read()?;
        conversation.read_end().map(drop)
    }));
}

#[test]
fn client_that_vanishes_at_the_backends_turn_ends_the_login() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.switch("mysql_native_password", SALT)?;
        conversation.read()?;
        conversation.read_end().map(drop) // never an answer
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    client.read();
    client.send(&[0x11; 20]);
    backend.wait_for("answer", |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::AuthPacket(_)))
            .then_some(())
    });
    drop(client);
    backend.closed_within(SOON);
}

#[test]
fn client_that_vanishes_while_idle_closes_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    drop(Client::logged_in(proxy.address, &Login::of("app")));
    backend.closed_within(SOON);
}

#[test]
fn client_that_vanishes_under_tls_closes_the_backend() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let client =
        Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
    drop(client); // without close_notify, as go-sql-driver does
    let events = backend.closed_within(SOON);
    assert_eq!(
        events.last(),
        Some(&Event::Closed(End::Clean)),
        "the backend was told properly"
    );
}

#[test]
fn client_that_closes_its_tls_properly_closes_the_backend() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let tls = PKI.client_tls(None);
    let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    client.wire.finish_writing().expect("close");
    let events = backend.closed_within(SOON);
    assert_eq!(events.last(), Some(&Event::Closed(End::Clean)));
    assert_eq!(client.expect_end(), End::Clean, "mytls says goodbye too");
}

#[test]
fn client_that_vanishes_within_a_command_closes_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(b"\x64\0\0\0\x03SELECT");
    drop(client);
    backend.closed_within(SOON);
}

#[test]
fn client_that_vanishes_while_a_query_runs_closes_the_backend() {
    let backend = Backend::start(Server::mysql().on_command(|conversation, _| {
        conversation.read_end()?;
        Ok(Answer::Close)
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("SELECT SLEEP(1000)");
    backend.wait_for("query", |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::Command(_)))
            .then_some(())
    });
    drop(client);
    backend.closed_within(SOON);
}

/// A client that reads nothing has filled every buffer on the way.
#[test]
fn client_that_vanishes_within_a_large_result_closes_the_backend() {
    let row = length_encoded_bytes(&vec![b'x'; 1 << 20]);
    let backend = Backend::start(Server::mysql().on_command(move |conversation, _| {
        conversation.send_raw(&one_column())?;
        let mut sequence = 3_u8;
        loop {
            // Goes on until the write fails, as it must.
            conversation.send_raw(&packet(sequence, &row))?;
            sequence = sequence.wrapping_add(1);
        }
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("SELECT * FROM large");
    client.wire.read_packet().expect("the first packet");
    drop(client);
    backend.closed_within(Duration::from_secs(5));
}

/// What the backend sent before it went reaches the client whole.
#[test]
fn backend_that_vanishes_after_a_result_closes_the_client_behind_it() {
    for with_tls in [false, true] {
        let large = vec![b'y'; 3 << 20];
        let answer = one_value(&large);
        let server = Server::mysql().on_command(move |conversation, _| {
            conversation.send_raw(&answer)?;
            Ok(Answer::Close)
        });
        let server = if with_tls {
            server.tls(PKI.backend_tls(&PKI.server))
        } else {
            server
        };
        let backend = Backend::start(server);
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = if with_tls {
            Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None))
        } else {
            Client::logged_in(proxy.address, &Login::of("app"))
        };
        client.query("SELECT large");
        let rows = client.read_answer(4);
        assert!(rows[2].payload.ends_with(&large), "TLS: {with_tls}");
        let answered = Instant::now();
        assert_eq!(client.expect_end(), End::Clean, "TLS: {with_tls}");
        assert!(
            answered.elapsed() < SOON,
            "TLS: {with_tls}: closed after {:?}",
            answered.elapsed()
        );
    }
}

#[test]
fn backend_that_vanishes_while_idle_closes_the_client() {
    let backend = Backend::start(Server::mysql().on_command(|_, _| Ok(Answer::Close)));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&[0x0e]);
    let asked = Instant::now();
    client.expect_end();
    assert!(asked.elapsed() < SOON, "closed after {:?}", asked.elapsed());
}

#[test]
fn backend_that_vanishes_within_the_login_is_an_error_to_the_client() {
    let backend = Backend::start(
        Server::mysql().on_login(|_| Err(std::io::Error::other("gone, as scripted"))),
    );
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let error = client.error();
    assert_eq!(error.code_and_state(), (2013, "HY000"), "{error:?}");
    assert!(
        error.message.contains("source"),
        "the message names the route: {error:?}"
    );
    client.expect_clean_end();
}
