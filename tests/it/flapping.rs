//! A backend that comes and goes: whom it harms, what is dialled meanwhile, and that all is well when it is back.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::admin::{ask, config as with_admin_port, done, log_in};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::metrics::{HTTP, Metrics};
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy, wait_for, wait_until};

/// Every connection meets the next of the faults, or none of them while the backend is well.
fn flapping(well: &Arc<AtomicU8>) -> Backend {
    let well = Arc::clone(well);
    let next = AtomicUsize::new(0);
    Backend::start_each(move |_| {
        let healthy = Server::mysql().tls(PKI.backend_tls(&PKI.server));
        if well.load(Ordering::Relaxed) != 0 {
            return healthy;
        }
        match next.fetch_add(1, Ordering::Relaxed) % 6 {
            0 => Server::hanging_up(),
            1 => Server::resetting_after(0),
            2 => Server::resetting_after(20),
            // its greeting offers TLS no more
            3 => Server::mysql(),
            4 => Server::mysql().tls(PKI.backend_tls(&PKI.expired_server)),
            _ => healthy.on_login(|it| {
                it.reset_on_close();
                Err(std::io::ErrorKind::ConnectionReset.into())
            }),
        }
    })
}

/// What a client may be told when its backend cannot be used.
const EXPECTED: [u16; 4] = [1043, 2003, 2013, 2026];

#[track_caller]
fn expect_answer(client: &mut Client) {
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
}

/// Logs in until it works.
#[track_caller]
fn log_in_again(proxy: &Proxy) -> Client {
    wait_for("a login", || {
        Client::try_to_log_in(proxy.address, &Login::of("app"), None)
            .ok()?
            .ok()
    })
}

/// Servers count each dial that ends so, and block our address for too many of them; so not every client may cause one.
#[test]
fn clients_of_a_backend_that_fails_in_every_way_are_told_and_cause_few_dials() {
    const CLIENTS: usize = 200;
    let well = Arc::new(AtomicU8::new(1));
    let backend = flapping(&well);
    let mut proxy = Proxy::start(Config::before(&backend));
    let mut bystander = log_in_again(&proxy);
    let descriptors = proxy.descriptors();
    well.store(0, Ordering::Relaxed);
    let dials = backend.dials();
    for number in 0..CLIENTS {
        let refused = Client::try_to_log_in(proxy.address, &Login::of("app"), None);
        let error = refused.expect("an answer").expect_err("no backend");
        assert!(EXPECTED.contains(&error.code), "{number}: {error:?}");
        assert!(!error.message.contains("127.0.0.1"), "{error:?}");
        expect_answer(&mut bystander);
    }
    let dials = backend.dials() - dials;
    assert!(dials < CLIENTS / 4, "{dials} dials for {CLIENTS} clients");
    well.store(1, Ordering::Relaxed);
    expect_answer(&mut log_in_again(&proxy));
    wait_until("the descriptors of the start", || {
        proxy.descriptors() <= descriptors
    });
    assert!(proxy.is_running());
}

/// Else many clients at once would make of one short fault a rest as long as of many in a row.
#[test]
fn one_fault_that_many_dials_meet_at_once_is_one_fault() {
    const CLIENTS: u32 = 8;
    let (well, gate) = (Arc::new(AtomicU8::new(1)), Arc::new(Mutex::new(())));
    let (is_well, behind) = (Arc::clone(&well), Arc::clone(&gate));
    let backend = Backend::start_each(move |_| {
        // the kernel connects those that wait here
        drop(behind.lock().unwrap_or_else(PoisonError::into_inner));
        match is_well.load(Ordering::Relaxed) {
            0 => Server::hanging_up(),
            _ => Server::mysql(),
        }
    });
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    log_in_again(&proxy);
    let dials = "mytls_backend_dials_total{route=\"source\"}";
    let before = Metrics::of(&proxy).number(dials);
    let closed = gate.lock().expect("nobody has panicked");
    let mut clients = Vec::new();
    for number in 1..=CLIENTS {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        clients.push(client);
        Metrics::wait_until(&proxy, "a dial more", |now| {
            now.number(dials) - before >= f64::from(number)
        });
    }
    well.store(0, Ordering::Relaxed);
    drop(closed);
    for client in &mut clients {
        assert!(EXPECTED.contains(&client.error().code));
    }
    well.store(1, Ordering::Relaxed);
    expect_answer(&mut log_in_again(&proxy));
}

#[test]
fn sessions_of_the_other_backend_are_not_harmed() {
    let well = Arc::new(AtomicU8::new(1));
    let (source, target) = (flapping(&well), Backend::start(Server::mysql()));
    let security = "{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }";
    let config = with_admin_port(&source, "").backend_security(&source, security);
    let proxy = Proxy::start(config.with(&format!("target-database: {{ {} }}", target.endpoint)));
    let mut admin = log_in(&proxy);
    done(&mut admin, "SET ROUTE TO target");
    let mut sessions: Vec<_> = (0..5).map(|_| log_in_again(&proxy)).collect();
    for round in 0..10 {
        well.store(round % 2, Ordering::Relaxed);
        // refused while the source is not well
        ask(&mut admin, "SET ROUTE TO source");
        // whatever it is told: nobody waits
        let _ = Client::try_to_log_in(proxy.address, &Login::of("app"), None);
        done(&mut admin, "SET ROUTE TO target");
        sessions.iter_mut().for_each(expect_answer);
        expect_answer(&mut log_in_again(&proxy));
    }
}
