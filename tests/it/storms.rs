//! Many signals at once: reloads that pile up, reloads while mytls ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::admin::{config as with_admin_port, done, log_in, rows};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy, number_from_environment, wait_until};

/// `MYTLS_TEST_HANG_UPS` makes it a longer one.
fn hang_ups() -> usize {
    number_from_environment("MYTLS_TEST_HANG_UPS").unwrap_or(300)
}

fn reloads(proxy: &Proxy) -> usize {
    let log = proxy.log();
    log.lines()
        .filter(|line| line.ends_with(" reloaded"))
        .count()
}

/// Signals that come during a reload are one more reload, not a queue of them.
#[test]
fn a_storm_of_sighup_neither_piles_up_nor_disturbs_sessions() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let mut proxy = Proxy::start(Config::before(&backend));
    let tls = PKI.client_tls(None);
    let mut bystander = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    proxy.reload();
    let before = (
        proxy.descriptors(),
        proxy.status_number("VmRSS"),
        reloads(&proxy),
    );
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            (0..hang_ups()).for_each(|_| proxy.hang_up());
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            bystander.query("SELECT 1");
            bystander.expect_echo("SELECT 1");
            let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
            client.query("SELECT 2");
            client.expect_echo("SELECT 2");
        }
    });
    // one that came after the storm's last
    proxy.reload();
    assert!(reloads(&proxy) - before.2 <= hang_ups() + 1);
    wait_until("the descriptors of the start", || {
        proxy.descriptors() <= before.0
    });
    let grown = proxy.status_number("VmRSS").saturating_sub(before.1);
    assert!(grown < 12 << 10, "{grown} KiB more");
    assert!(proxy.is_running());
}

/// Each kind of reload at once, each of them with an answer.
#[test]
fn reloads_by_signal_and_by_statement_at_once_all_end() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(with_admin_port(&backend, ""));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut admin = log_in(&proxy);
                for _ in 0..20 {
                    proxy.hang_up();
                    done(&mut admin, "ALTER INSTANCE RELOAD TLS");
                }
            });
        }
    });
    let mut admin = log_in(&proxy);
    rows(&mut admin, "SHOW GLOBAL STATUS");
    drop(Client::logged_in(proxy.address, &Login::of("app")));
}

/// Whoever rotates certificates does not know that mytls is about to end.
#[test]
fn sighup_while_mytls_drains_neither_ends_it_nor_opens_it_again() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with("drain: { min: 1s, max: 600s }");
    let mut proxy = Proxy::start(config);
    // within a command, so that it is not between transactions
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(b"\x09\0\0\0\x03SELECT");
    proxy.terminate();
    (0..20).for_each(|_| proxy.hang_up());
    proxy.wait_for_log("draining");
    wait_until("a closed port", || {
        (0..20).for_each(|_| proxy.hang_up());
        std::net::TcpStream::connect(proxy.address).is_err()
    });
    (0..20).for_each(|_| proxy.hang_up());
    assert!(proxy.is_running(), "a session is still there");
    client.send_raw(b" 1");
    client.expect_echo("SELECT 1");
    drop(client);
    assert_eq!(proxy.exit_status().code(), Some(0));
}
