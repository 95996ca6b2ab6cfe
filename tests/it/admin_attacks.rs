//! What strangers and users of the admin port may try, and who else notices: nobody.

use std::io::Write;
use std::time::Duration;

use crate::support::admin::{ask, backend, log_in, read_rows, rows, start};
use crate::support::client::Client;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::message;
use crate::support::plugin::{PASSWORD, caching_sha2_scramble};
use crate::support::proxy::{Proxy, wait_at_most};

/// Another address of this machine than the one that clients have by themselves.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// Sends a login with the right password in plaintext.
fn send_password(client: &mut Client, greeting: &Greeting) {
    let mut login = Login::of("ops");
    login.auth = caching_sha2_scramble(PASSWORD, &greeting.salt);
    client.send_login(&login);
}

/// Logs in with the right password from [`ELSEWHERE`].
fn log_in_from_elsewhere(proxy: &Proxy) -> Client {
    let mut client = Client::connect_from(ELSEWHERE, proxy.admin_address());
    let greeting = client.greeting();
    send_password(&mut client, &greeting);
    assert_eq!(client.read().payload, [1, 3]);
    assert!(client.read().is_ok());
    client
}

/// A login with a wrong password that waits for its answer.
fn guess(proxy: &Proxy) -> Client {
    let mut client = Client::greeted(proxy.admin_address());
    client.send_login(&Login::of("ops").without_password());
    client
}

#[test]
fn no_command_is_answered_before_a_login() {
    let backend = backend();
    let proxy = start(&backend);
    for code in 0..=u8::MAX {
        for rest in [&b""[..], b"SHUTDOWN", &[0xff; 19]] {
            let mut client = Client::greeted(proxy.admin_address());
            client.send(&[&[code], rest].concat());
            let packet = client.wire.read_packet().expect("an answer");
            let error = packet.error().map(|error| error.code);
            assert!(matches!(error, Some(1043 | 1251)), "{code:#x}: {packet:?}");
            client.expect_clean_end();
        }
    }
    log_in(&proxy);
}

// The number of failed logins is what tells that the guess is still kept waiting when the other is in.
#[test]
fn who_guesses_waits_and_nobody_elsewhere_does() {
    let backend = backend();
    let proxy = start(&backend);
    for _ in 0..5 {
        assert_eq!(guess(&proxy).error().code, 1045);
    }
    let mut waiting = guess(&proxy);
    let mut client = log_in_from_elsewhere(&proxy);
    let failed = rows(&mut client, "SHOW STATUS LIKE 'Mytls_admin_logins_failed'");
    assert_eq!(failed.value("Mytls_admin_logins_failed"), "5");
    assert_eq!(waiting.error().code, 1045);
}

#[test]
fn one_address_cannot_take_every_place_before_login() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address();
    let _silent: Vec<_> = (0..20).map(|_| Client::greeted(address)).collect();
    assert_eq!(
        Client::connect(address)
            .wire
            .read_packet()
            .expect("an ERR")
            .payload[..3],
        [0xff, 0x10, 4]
    );
    log_in_from_elsewhere(&proxy);
}

#[test]
fn a_statement_of_16_mib_is_refused_and_the_port_lives() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    let before = proxy.status_number("VmHWM");
    let statement = message(
        0,
        &[&b"\x03SELECT '"[..], &vec![b'a'; 16 << 20], b"'"].concat(),
    );
    // it is closed before all of that is sent, so that the error may be lost on its way
    assert!(client.wire.write_all(&statement).is_err());
    proxy.wait_for_log("Got a packet bigger than 'max_allowed_packet' bytes");
    let grown = proxy.status_number("VmHWM") - before;
    assert!(grown < 4 << 10, "{grown} KiB");
    log_in(&proxy);
}

// One that reads nothing may ask until the buffers between are full; then mytls reads no more from it. That it is dropped
// in the end takes a minute, and is looked at only where that is asked for.
#[test]
fn who_reads_no_answers_is_not_listened_to_and_holds_nobody_up() {
    let backend = backend();
    let proxy = start(&backend);
    let mut greedy = log_in(&proxy);
    greedy.wire.set_write_patience(Duration::from_millis(300));
    let before = proxy.status_number("VmHWM");
    let sql = format!("SELECT '{}'", "a".repeat(100_000));
    let statement = message(0, &[b"\x03", sql.as_bytes()].concat());
    let stopped = (0..1_000).find(|_| greedy.wire.write_all(&statement).is_err());
    assert!(
        stopped.is_some(),
        "100 MB were read, and nobody took the answers"
    );
    let grown = proxy.status_number("VmHWM") - before;
    assert!(grown < 8 << 10, "{grown} KiB");
    let mut client = log_in(&proxy);
    let first = ask(&mut client, &sql);
    assert_eq!(read_rows(&mut client, &first, true).rows.len(), 1);
    if std::env::var_os("MYTLS_TEST_STALLED").is_some() {
        let descriptors = proxy.descriptors();
        wait_at_most(Duration::from_secs(90), "the end of the one", || {
            (proxy.descriptors() < descriptors).then_some(())
        });
        let log = proxy.log();
        assert!(log.contains("it does not read its answers"), "{log}");
    }
}
