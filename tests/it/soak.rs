//! Many connections of every kind, and back to the start: what they took is there again.
//!
//! `MYTLS_TEST_SOAK` says how many; `tests/lab soak` runs a hundred thousand in a release build and prints the figures.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::resets::{BEFORE_LOGIN, reset};
use crate::support::admin::{config as with_admin_port, log_in, rows};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Proxy, number_from_environment, wait_at_most, wait_until};
use crate::support::visit::tls_backend;

/// At the same time.
const CLIENTS: usize = 4;
/// The first ones fill caches, start threads, and show how much an allocator keeps for itself.
const WARM_UP: usize = 300;
/// An allocator's arenas fill up differently each time; what a session would leak is far more in a long run.
const LEEWAY_KIB: usize = 8 << 10;
/// Threads for what blocks (an admin's password, a certificate's file) end after 10 s without work, and each look at
/// the admin port may start one.
const THREADS_END: Duration = Duration::from_secs(60);

fn connections() -> usize {
    number_from_environment("MYTLS_TEST_SOAK").unwrap_or(1000)
}

/// What clients of every kind do, in turn.
struct Crowd<'a> {
    proxy: &'a Proxy,
    full: Arc<ClientConfig>,
    resuming: Arc<ClientConfig>,
}

impl Crowd<'_> {
    fn visit(&self, number: usize) {
        let address = self.proxy.address;
        let app = Login::of("app");
        match number % 10 {
            0 => work(Client::logged_in(address, &app)),
            1 | 2 => work(Client::logged_in_over_tls(address, &app, &self.full)),
            3..=5 => work(Client::logged_in_over_tls(address, &app, &self.resuming)),
            6 => self.be_refused(),
            7 => {
                let (_, _, steps) = BEFORE_LOGIN[number / 10 % BEFORE_LOGIN.len()];
                reset(steps(self.proxy));
            }
            8 => self.send_garbage(number),
            _ => {
                let mut client = Client::logged_in_over_tls(address, &app, &self.full);
                client.command(&ChangeUser::to("other").payload());
                assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
                client.send_raw(b"\x64\0\0\0\x03SELECT");
                reset(client);
            }
        }
    }

    /// By a rule of ours.
    fn be_refused(&self) {
        let mut client = Client::greeted(self.proxy.address);
        client.start_tls(&Login::of("strict"), &self.full);
        client.send_login(&Login::of("strict"));
        assert_eq!(client.error().code, 1045);
    }

    /// Whatever comes back: the refusal, or a reset.
    fn send_garbage(&self, number: usize) {
        let mut client = Client::greeted(self.proxy.address);
        if number.is_multiple_of(20) {
            client.send(&ssl_request(&Login::of("app")));
        }
        let _ = client.wire.write_all(&[0xa5; 2000]);
        let _ = client.wire.read_end();
    }
}

/// A query, and a farewell.
fn work(mut client: Client) {
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    client.command(&[0x01]);
    client.expect_end();
}

/// What mytls occupies when nobody is there.
#[derive(Debug, Clone, Copy)]
struct Occupied {
    descriptors: usize,
    threads: usize,
    resident_kib: usize,
}

impl Occupied {
    #[track_caller]
    fn when_calm(proxy: &Proxy) -> Self {
        wait_until("the end of every session", || {
            let mut admin = log_in(proxy);
            rows(&mut admin, "SHOW GLOBAL STATUS").value("Threads_connected") == "0"
        });
        let mut before = 0;
        wait_until("calm", || {
            let now = proxy.descriptors();
            std::mem::replace(&mut before, now) == now
        });
        Self::now(proxy)
    }

    fn now(proxy: &Proxy) -> Self {
        Self {
            descriptors: proxy.descriptors(),
            threads: proxy.status_number("Threads"),
            resident_kib: proxy.status_number("VmRSS"),
        }
    }
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            descriptors,
            threads,
            resident_kib,
        } = self;
        write!(
            f,
            "{descriptors} descriptors, {threads} threads, {resident_kib} KiB resident"
        )
    }
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "the figures of a long run are what one wants to see"
)]
fn soak_of_every_kind_of_connection_leaves_nothing_behind() {
    let backend = tls_backend();
    let config = with_admin_port(&backend, "")
        .with("accounts: [{ user: strict, require: \"SUBJECT '/CN=nobody'\" }]");
    let mut proxy = Proxy::start(config);
    let crowd = Crowd {
        proxy: &proxy,
        full: PKI.client_tls(Some(&PKI.client)),
        resuming: PKI.resuming_client_tls(None),
    };
    let run = |number: usize| {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        match next.fetch_add(1, Ordering::Relaxed) {
                            turn if turn < number => crowd.visit(turn),
                            _ => break,
                        }
                    }
                });
            }
        });
    };
    run(WARM_UP);
    let before = Occupied::when_calm(&proxy);
    let began = Instant::now();
    run(connections());
    let seconds = began.elapsed().as_secs_f64();
    let mut after = Occupied::when_calm(&proxy);
    wait_at_most(
        THREADS_END,
        "as few descriptors and threads as before",
        || {
            after = Occupied::now(&proxy);
            (after.descriptors <= before.descriptors && after.threads <= before.threads)
                .then_some(())
        },
    );
    eprintln!("before: {before}");
    eprintln!(
        "after {} connections in {seconds:.0} s: {after}",
        connections()
    );
    assert!(
        after.resident_kib <= before.resident_kib + LEEWAY_KIB,
        "{before}, {after}"
    );
    let lines = proxy.log().lines().count();
    // a line for each session, few for those that never were one
    assert!(
        lines < connections() + WARM_UP + 500,
        "{lines} lines of log"
    );
    assert!(proxy.is_running());
}
