//! The end of mytls: who is still served, what sessions have time for, and what a client reads.

use std::io::Read as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Event, transactional};
use crate::support::handshake::Login;
use crate::support::http::get;
use crate::support::packet::Packet;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_until};

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// Such a backend, mytls with these times, and a client within a transaction.
fn in_transaction(times: &str) -> (Backend, Proxy, Client) {
    let backend = Backend::start(Server::mysql().on_command(transactional));
    let proxy = Proxy::start(Config::before(&backend).with(&format!("drain: {{ {times} }}")));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query(BEGIN);
    assert!(client.read().is_ok());
    (backend, proxy, client)
}

/// The same, and it learns of the end.
fn draining(max: &str) -> (Backend, Proxy, Client) {
    let (backend, proxy, client) = in_transaction(&format!("max: {max}"));
    proxy.terminate();
    wait_for_closed_port(&proxy);
    (backend, proxy, client)
}

fn wait_for_closed_port(proxy: &Proxy) {
    wait_until("a closed port", || {
        TcpStream::connect(proxy.address).is_err()
    });
}

/// Drivers read the 1053 in answer to a command; pushed to an idle client they would see a lost connection.
#[test]
fn first_sigterm_lets_transactions_end_and_answers_the_next_command_with_1053() {
    let (backend, mut proxy, mut client) = draining("30s");
    client.query(COMMIT);
    assert!(client.read().is_ok());
    client.query("SELECT 1");
    let error = client.error();
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (1, (1053, "08S01"))
    );
    client.expect_clean_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
    let select = |event: &Event| matches!(event, Event::Command(command) if command.payload.starts_with(b"\x03SELECT"));
    assert!(
        !backend.events().iter().flatten().any(select),
        "it was forwarded"
    );
}

#[test]
fn client_that_leaves_while_mytls_drains_is_the_end_of_it() {
    let (_backend, mut proxy, client) = draining("600s");
    assert!(proxy.is_running(), "a session is still there");
    drop(client);
    assert_eq!(proxy.exit_status().code(), Some(0));
}

#[test]
fn idle_session_does_not_hold_up_the_end() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with("drain: { max: 600s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    proxy.terminate();
    client.expect_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

#[test]
fn sessions_are_cut_when_the_drain_time_is_over() {
    let asked = Instant::now();
    let (backend, mut proxy, mut client) = draining("500ms");
    client.expect_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "ended after {:?}",
        asked.elapsed()
    );
    backend.closed_within(Duration::from_secs(5));
}

#[test]
fn second_sigterm_ends_it_now() {
    let (_backend, mut proxy, mut client) = draining("600s");
    proxy.terminate();
    client.expect_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

#[test]
fn sigterm_without_sessions_ends_it_at_once() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with("drain: { max: 600s }"));
    proxy.terminate();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

/// Its answer could come in the same moment as the end, so it has a second more.
#[test]
fn client_that_has_not_logged_in_is_told_and_does_not_hold_up_the_end() {
    let backend = Backend::start(Server::mysql());
    let times = "limits: { login-time: 600s }\ndrain: { max: 600s }";
    let mut proxy = Proxy::start(Config::before(&backend).with(times));
    let mut silent = Client::greeted(proxy.address);
    proxy.terminate();
    assert_eq!(silent.error().code_and_state(), (1053, "08S01"));
    silent.expect_clean_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

/// MariaDB counts a handshake that is cut towards `max_connect_errors`, and blocks us in the end.
#[test]
fn login_that_is_under_way_at_the_end_does_not_cut_the_backends_handshake() {
    let backend = Backend::start(Server::mysql());
    let times = "limits: { login-time: 600s }\ndrain: { max: 500ms }";
    let mut proxy = Proxy::start(Config::before(&backend).with(times));
    let mut clients = [(); 3].map(|()| Client::greeted(proxy.address));
    for client in &mut clients {
        client.send_login(&Login::of("app"));
        assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    }
    proxy.terminate();
    for client in &mut clients {
        assert_eq!(client.error().code_and_state(), (1053, "08S01"));
        client.expect_clean_end();
    }
    assert_eq!(proxy.exit_status().code(), Some(0));
    wait_until("the end of each handshake", || {
        let ended = |events: &Vec<Event>| events.contains(&Event::AuthPacket(Vec::new()));
        backend.events().iter().filter(|each| ended(each)).count() == clients.len()
    });
}

#[test]
fn login_that_comes_during_the_drain_is_answered_with_1053_and_nobody_is_dialled() {
    let (backend, proxy, mut bystander) = in_transaction("max: 600s");
    let mut late = Client::greeted(proxy.address);
    let dials = backend.dials();
    proxy.terminate();
    wait_for_closed_port(&proxy);
    late.send_login(&Login::of("app"));
    // on a busy machine its time may be over before the login is read, and the packet's number is 1 in place of 2
    let packet = late.wire.read_packet().expect("an ERR");
    let error = packet.error().expect("an ERR");
    assert_eq!(error.code_and_state(), (1053, "08S01"));
    assert_eq!(backend.dials(), dials);
    bystander.query(COMMIT);
    assert!(bystander.read().is_ok());
}

#[test]
fn clients_are_served_as_before_until_drain_min_is_over() {
    let (_backend, mut proxy, _client) =
        in_transaction("min: 600s, max: 600s }\nhttp: { listen: 127.0.0.1:0");
    let http = proxy.http_address();
    assert_eq!(get(http, "/readyz").status, 200);
    proxy.terminate();
    proxy.wait_for_log("not ready; clients are served on");
    assert_eq!(get(http, "/readyz").status, 503);
    assert_eq!(get(http, "/livez").status, 200);
    let mut idle = Client::logged_in(proxy.address, &Login::of("app"));
    let tls = PKI.client_tls(None);
    let mut later = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    for client in [&mut idle, &mut later] {
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
    }
    assert!(!proxy.log().contains("draining: no new clients"));
    // a second signal does not wait for drain.min, nor for drain.max
    proxy.terminate();
    idle.expect_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

/// What one client did until it was told to go elsewhere.
#[derive(Debug, Default)]
struct Work {
    commits: usize,
    /// When it could connect no more.
    refused: Option<Instant>,
}

impl Work {
    /// Commits, three times a connection, until no connection can be made. Panics where a transaction is disturbed.
    fn until_refused(proxy: &Proxy) -> Self {
        let mut work = Self::default();
        loop {
            let Ok(stream) = TcpStream::connect(proxy.address) else {
                work.refused.get_or_insert_with(Instant::now);
                return work;
            };
            work.session(Client::connected(stream));
        }
    }

    /// Ends early where mytls says so, between transactions.
    fn session(&mut self, mut client: Client) {
        let is_told = |packet: &Packet| packet.error().map(|error| error.code) == Some(1053);
        // a client that came in the very moment in which the port was closed
        let Ok(first) = client.wire.read_packet() else {
            self.refused.get_or_insert_with(Instant::now);
            return;
        };
        if is_told(&first) {
            self.refused.get_or_insert_with(Instant::now);
            return;
        }
        assert!(first.error().is_none(), "{first:?}");
        client.sequence = 1;
        client.send_login(&Login::of("app"));
        let last = client.authenticate(ClientPlugin::with_password());
        if is_told(&last) {
            return;
        }
        assert!(last.is_ok(), "{last:?}");
        for _ in 0..3 {
            client.query(BEGIN);
            // closed while it was idle, or told
            let Ok(begun) = client.wire.read_packet() else {
                return;
            };
            if is_told(&begun) {
                return;
            }
            assert!(begun.is_ok(), "{begun:?}");
            client.query(COMMIT);
            let committed = client.read_answer(1);
            assert!(committed[0].is_ok(), "{committed:?}");
            self.commits += 1;
        }
    }
}

#[test]
fn under_load_nobody_is_refused_before_drain_min_is_over_and_no_transaction_is_cut() {
    let backend = Backend::start(Server::mysql().on_command(transactional));
    let min = Duration::from_millis(700);
    let times = format!("drain: {{ min: {}ms, max: 600s }}", min.as_millis());
    let mut proxy = Proxy::start(Config::before(&backend).with(&times));
    let terminated = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Work::until_refused(&proxy)))
            .collect();
        wait_until("load", || backend.logins().len() > 50);
        let terminated = Instant::now();
        proxy.terminate();
        let work: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().expect("an undisturbed worker"))
            .collect();
        for work in &work {
            let refused = work.refused.expect("an end");
            assert!(refused - terminated >= min, "refused early: {work:?}");
            assert!(work.commits > 0, "{work:?}");
        }
        terminated
    });
    assert_eq!(proxy.exit_status().code(), Some(0));
    assert!(terminated.elapsed() >= min);
}

/// The kernel connects clients before mytls accepts them, and resets those that nobody has accepted when a port closes.
#[test]
fn clients_that_are_connected_and_not_accepted_yet_are_served_or_told() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).unix_socket();
    let limits = "limits: { connections-before-login: 1000 }\ndrain: { max: 600s }";
    let mut proxy = Proxy::start(config.with(limits));
    proxy.suspend();
    // so many that the end comes while they are being accepted
    let mut queued: Vec<_> = (0..600).map(|_| Client::connect(proxy.address)).collect();
    queued.extend((0..50).map(|_| Client::connect_unix(&proxy.unix_socket())));
    proxy.terminate();
    proxy.resume();
    for mut client in queued {
        let packet = client.read();
        if let Some(error) = packet.error() {
            assert_eq!((error.code, error.state), (1053, None));
        }
        let mut rest = Vec::new();
        let ended = client.wire.read_to_end(&mut rest);
        assert!(ended.is_ok(), "reset: {ended:?}");
    }
    assert_eq!(proxy.exit_status().code(), Some(0));
}

#[test]
fn certificates_can_be_reloaded_and_the_admin_port_answers_while_mytls_drains() {
    let backend = Backend::start(Server::mysql().on_command(transactional));
    let mut proxy = Proxy::start(admin::config(&backend, "").with("drain: { max: 600s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query(BEGIN);
    assert!(client.read().is_ok());
    let mut operator = admin::log_in(&proxy);
    admin::done(&mut operator, "SHUTDOWN");
    wait_for_closed_port(&proxy);
    assert!(proxy.reload().contains("reloaded"));
    let mut operator = admin::log_in(&proxy);
    admin::done(&mut operator, "ALTER INSTANCE RELOAD TLS");
    drop(client);
    assert_eq!(proxy.exit_status().code(), Some(0));
}
