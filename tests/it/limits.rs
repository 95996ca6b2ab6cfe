//! Limits of a login: its size, its time, the number of connections.

use std::time::{Duration, Instant};

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::conversation::Event;
use crate::support::handshake::Login;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_for};

#[test]
fn login_larger_than_the_limit_is_refused_by_its_header() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    let header = [0xff, 0xff, 0xff, 1];
    client.send_raw(&[&header[..], &Login::of("app").payload()].concat());
    client.sequence = 2;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    client.expect_clean_end();
}

#[test]
fn login_with_sixty_thousand_bytes_of_attributes_passes() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes = vec![("long".to_owned(), "x".repeat(60_000))];
    Client::logged_in(proxy.address, &login);
}

#[test]
fn large_logins_leave_no_memory_behind_in_their_sessions() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    drop(Client::logged_in(proxy.address, &login));
    let before = proxy.status_number("VmRSS");
    login.attributes = vec![("long".to_owned(), "x".repeat(60_000)); 2];
    let sessions: Vec<Client> = (0..200)
        .map(|_| Client::logged_in(proxy.address, &login))
        .collect();
    let grown = proxy.status_number("VmRSS").saturating_sub(before) / sessions.len();
    assert!(grown < 60, "{grown} KiB for each idle session");
}

/// Servers refuse more than 65,535 bytes of them in all, and count that towards `max_connect_errors`.
#[test]
fn attributes_that_no_server_takes_do_not_reach_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes = vec![
        ("small".to_owned(), "kept".to_owned()),
        ("large".to_owned(), "x".repeat(65_500)),
    ];
    Client::logged_in(proxy.address, &login);
    let names: Vec<String> = backend
        .login()
        .attributes
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["_mytls_client_addr", "small"]);
}

#[test]
fn answer_to_a_plugin_larger_than_the_limit_ends_the_login() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe);
    client.send_raw(&[0xff, 0xff, 0xff, client.sequence, 0, 0, 0]);
    client.sequence += 1;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// The deadline is one: for silence before the first packet, within TLS, and between TLS and login.
#[test]
fn slow_login_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 400ms }"));
    let started = Instant::now();
    let mut silent = Client::greeted(proxy.address);
    let error = silent.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    silent.expect_clean_end();
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "ended early"
    );

    let login = Login::of("app");
    let mut mid_tls = Client::greeted(proxy.address);
    mid_tls.send(&ssl_request(&login));
    mid_tls.send_raw(b"\x16\x03\x01\x02\x00\x01"); // the start of a ClientHello
    mid_tls.expect_end();

    let mut after_tls = Client::greeted(proxy.address);
    after_tls.start_tls(&login, &PKI.client_tls(None));
    let error = after_tls.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    after_tls.expect_clean_end();
}

#[test]
fn client_that_is_slow_in_the_auth_relay_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 700ms }"));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    client.read(); // AuthSwitchRequest, which stays unanswered
    assert_eq!(client.error().code_and_state(), (1159, "08S01"));
    let events = backend.closed_within(Duration::from_secs(10));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// A client that was greeted and not refused for want of a place: those of closed connections become free soon.
#[track_caller]
fn placed(proxy: &Proxy) -> Client {
    wait_for("a place", || {
        let mut client = Client::connect(proxy.address);
        client.read().error().is_none().then_some(client)
    })
}

#[test]
fn one_connection_too_many_is_refused_and_a_place_becomes_free_again() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { connections: 2 }"));
    let _first = placed(&proxy);
    let second = placed(&proxy);
    let mut third = Client::connect(proxy.address);
    let error = third.error();
    assert_eq!((error.sequence, error.code, error.state), (0, 1040, None));
    third.expect_clean_end();
    drop(second);
    placed(&proxy);
}

#[test]
fn connections_before_login_have_a_limit_of_their_own() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with("limits: { connections-before-login: 1 }");
    let proxy = Proxy::start(config);
    let logged_in = || {
        let mut client = placed(&proxy);
        client.send_login(&Login::of("app"));
        assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
        client
    };
    let _first = logged_in();
    let _second = logged_in();
    let _third = placed(&proxy);
    assert_eq!(Client::connect(proxy.address).error().code, 1040);
}

#[test]
fn refusals_for_one_reason_do_not_flood_the_log() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with("default-require: SSL"));
    let refused = |user: &str| {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of(user));
        assert_eq!(client.error().code, 1045);
    };
    for _ in 0..25 {
        refused("one");
    }
    refused("other");
    proxy.terminate();
    proxy.wait_for_log("refused, and not shown one by one count=15");
    proxy.exit_status();
    let log = proxy.log();
    let lines = |user: &str| {
        let part = format!("user=\"{user}\"");
        log.lines().filter(|line| line.contains(&part)).count()
    };
    assert_eq!((lines("one"), lines("other")), (10, 1), "{log}");
}
