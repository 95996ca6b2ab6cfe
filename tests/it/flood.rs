//! Floods of clients that never log in: others log in all the while, and what the flood took comes back.
//!
//! `MYTLS_TEST_FLOOD_LOGINS` says how many log in during each flood.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustls::ClientConfig;

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::Login;
use crate::support::packet::packet;
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy, number_from_environment, wait_for, wait_until};

/// How far a stranger gets before it does what it came for.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It has been greeted, and has not answered.
    Greeted,
    /// It is to send a `ClientHello`.
    WithinTls,
    /// TLS is up, and the login packet is due.
    BehindTls,
}

/// What it came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Nothing more.
    Silence,
    /// Bytes that mean nothing.
    Garbage,
    /// What is due, byte by byte, each time that it comes round.
    Slowness,
}

/// So many flood at the same time, and each holds so many connections: several times what there is room for.
const ATTACKERS: usize = 3;
const HELD: usize = 60;
const ROOM: &str = "limits: { connections-before-login: 30, login-time: 600s }";

/// A stranger's connection.
struct Stranger {
    client: Client,
    /// What it sends slowly.
    due: Vec<u8>,
    sent: usize,
}

impl Stranger {
    fn arrive(proxy: &Proxy, stage: Stage, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        let login = Login::of("app");
        let mut client = Client::connect(proxy.address);
        client.wire.read_packet()?;
        let request = packet(1, &ssl_request(&login));
        let due = match stage {
            Stage::Greeted => packet(1, &login.payload()),
            Stage::WithinTls => {
                client.wire.write_all(&request)?;
                // a handshake record of 512 bytes, and the start of a ClientHello
                [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x5a; 200]].concat()
            }
            Stage::BehindTls => {
                client.wire.start_tls_as_client(tls, &request)?;
                packet(2, &login.payload())
            }
        };
        Ok(Self {
            client,
            due,
            sent: 0,
        })
    }

    fn act(&mut self, deed: Deed) -> io::Result<()> {
        match deed {
            Deed::Silence => Ok(()),
            Deed::Garbage => self.client.wire.write_all(&[0xa5; 300]),
            Deed::Slowness => {
                // never the last byte
                let due = &self.due[..self.due.len() - 1];
                let next = &due[self.sent.min(due.len())..][..usize::from(self.sent < due.len())];
                self.sent += 1;
                self.client.wire.write_all(next)
            }
        }
    }
}

/// Comes again and again until told to stop.
fn attack(proxy: &Proxy, stage: Stage, deed: Deed, stop: &AtomicBool) {
    let tls = PKI.client_tls(None);
    let mut held = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut stranger) = Stranger::arrive(proxy, stage, &tls)
            && stranger.act(deed).is_ok()
        {
            held.push_back(stranger);
        }
        if deed == Deed::Slowness {
            held.retain_mut(|stranger| stranger.act(deed).is_ok());
        }
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

/// One honest client. Like a driver's pool it comes again where there is no room, and is served in the end.
#[track_caller]
fn log_in(proxy: &Proxy, tls: &Arc<ClientConfig>) -> Client {
    wait_for("a login", || {
        match Client::try_to_log_in(proxy.address, &Login::of("app"), Some(tls)) {
            Ok(Ok(client)) => Some(client),
            Ok(Err(error)) => {
                assert_eq!(error.code, 1040, "{error:?}");
                None
            }
            // it gave way within its handshake
            Err(_) => None,
        }
    })
}

#[track_caller]
fn expect_served_during(stage: Stage, deed: Deed) {
    let logins = number_from_environment("MYTLS_TEST_FLOOD_LOGINS").unwrap_or(10);
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with(ROOM));
    let tls = PKI.client_tls(None);
    let mut bystander = log_in(&proxy, &tls);
    let descriptors = proxy.descriptors();
    let stop = AtomicBool::new(false);
    let resident = thread::scope(|scope| {
        for _ in 0..ATTACKERS {
            scope.spawn(|| attack(&proxy, stage, deed, &stop));
        }
        let mut resident = 0;
        for number in 0..logins {
            let mut client = log_in(&proxy, &tls);
            for client in [&mut client, &mut bystander] {
                client.query("SELECT 1");
                client.expect_echo("SELECT 1");
            }
            if number == logins / 2 {
                resident = proxy.status_number("VmRSS");
            }
        }
        stop.store(true, Ordering::Relaxed);
        resident
    });
    wait_until("the descriptors of the start", || {
        proxy.descriptors() <= descriptors
    });
    let grown = proxy.status_number("VmRSS").saturating_sub(resident);
    assert!(grown < 6 << 10, "{grown} KiB more than amid the flood");
    assert!(proxy.is_running());
    let lines = proxy.log().lines().count();
    assert!(lines < 200 + 3 * logins, "{lines} lines of log");
}

#[test]
fn silence_before_the_answer_to_the_greeting_starves_nobody() {
    expect_served_during(Stage::Greeted, Deed::Silence);
}

#[test]
fn silence_within_tls_starves_nobody() {
    expect_served_during(Stage::WithinTls, Deed::Silence);
}

#[test]
fn silence_behind_tls_starves_nobody() {
    expect_served_during(Stage::BehindTls, Deed::Silence);
}

#[test]
fn garbage_in_place_of_an_answer_to_the_greeting_starves_nobody() {
    expect_served_during(Stage::Greeted, Deed::Garbage);
}

#[test]
fn garbage_within_tls_starves_nobody() {
    expect_served_during(Stage::WithinTls, Deed::Garbage);
}

#[test]
fn garbage_behind_tls_starves_nobody() {
    expect_served_during(Stage::BehindTls, Deed::Garbage);
}

#[test]
fn slow_answers_to_the_greeting_starve_nobody() {
    expect_served_during(Stage::Greeted, Deed::Slowness);
}

#[test]
fn slow_client_hellos_starve_nobody() {
    expect_served_during(Stage::WithinTls, Deed::Slowness);
}

#[test]
fn slow_logins_behind_tls_starve_nobody() {
    expect_served_during(Stage::BehindTls, Deed::Slowness);
}
