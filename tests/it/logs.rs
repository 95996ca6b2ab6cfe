//! What the log says of sessions, and how much: a line that a machine can read for each, and few for a flood.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::support::admin::{config as with_admin_port, log_in, refused};
use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_until};
use crate::support::visit::{login, tls_backend};

/// More than the log shows of one reason in a minute.
const FLOOD: usize = 30;
/// As many as it shows.
const SHOWN: usize = 10;

/// What is said of a login packet that was cut.
const MALFORMED: &str = "authentication data is missing, cut off";

/// The keys of a JSON object in their order, also those that are there twice.
struct Keys(Vec<String>);

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                    keys.push(key);
                }
                if keys.is_empty() {
                    return Err(A::Error::custom("an empty object"));
                }
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Everything that a client and an operator may do, so that every kind of line is written.
fn live_a_little(proxy: &Proxy) {
    let tls = PKI.client_tls(Some(&PKI.client));
    let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    client.command(&ChangeUser::to("other \"quoted\"\n\u{1b}").payload());
    client.authenticate(ClientPlugin::with_password());
    drop(client);
    login(proxy, "strict");
    login(proxy, "reported");
    break_off_everywhere(proxy, 1);
    let mut admin = log_in(proxy);
    refused(&mut admin, "SHUT UP \"now\"");
    crate::support::admin::done(&mut admin, "CREATE USER 'a\"b'@'%' REQUIRE SSL");
    drop(admin);
    proxy.reload();
    proxy.wait_for_log("admin logged out");
}

/// What strangers send in place of a login, so often.
fn break_off_everywhere(proxy: &Proxy, times: usize) {
    for _ in 0..times {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01",
            &[0xff; 64],
        ] {
            let mut client = Client::greeted(proxy.address);
            client.send_raw(bytes);
            client.wire.finish_writing().expect("half a close");
            client.expect_end();
        }
        let mut client = Client::greeted(proxy.address);
        client.send(&ssl_request(&Login::of("app")));
        client.send_raw(b"GET / HTTP/1.1\r\n\r\n");
        client.expect_end();
    }
}

#[test]
fn every_line_of_json_is_an_object_with_each_key_once() {
    let backend = tls_backend();
    let config = with_admin_port(&backend, "")
        .with("accounts: [{ user: strict, require: \"SUBJECT '/CN=nobody'\" }]")
        .with("log: { format: json, level: trace }");
    let mut proxy = Proxy::start(config);
    live_a_little(&proxy);
    proxy.terminate();
    proxy.exit_status();
    let log = proxy.log();
    for line in log.lines() {
        let Keys(keys) =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(keys.iter().any(|found| found == key), "no {key} in {line}");
        }
        let different: HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "a key twice in {line}");
    }
    assert!(log.lines().count() > 30, "more was to be logged:\n{log}");
}

/// Whatever clients put into names must not look like a line of its own, or colour a terminal.
#[test]
fn every_line_of_text_begins_with_its_time_and_holds_no_control_character() {
    let backend = tls_backend();
    let config = with_admin_port(&backend, "")
        .with("accounts: [{ user: strict, require: \"SUBJECT '/CN=nobody'\" }]")
        .with("log: { format: text, level: trace }");
    let mut proxy = Proxy::start(config);
    live_a_little(&proxy);
    for user in ["a\nb", "a\r\x1b[31m", "\u{85}\u{2028}x", "\u{202e}x"] {
        login(&proxy, user);
    }
    proxy.terminate();
    proxy.exit_status();
    for line in proxy.log().lines() {
        let time = line.split(' ').next().unwrap_or_default();
        assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn a_probe_that_connects_and_leaves_is_logged_at_debug_only() {
    for (level, lines) in [("info", 0), ("debug", 1)] {
        let backend = Backend::start(Server::mysql());
        let config = Config::before(&backend).with(&format!("log: {{ level: {level} }}"));
        let mut proxy = Proxy::start_cold(config);
        proxy.wait_for_log("backend is reachable");
        drop(Client::greeted(proxy.address));
        drop(Client::logged_in(proxy.address, &Login::of("app")));
        proxy.session_line();
        proxy.terminate();
        proxy.exit_status();
        let log = proxy.log();
        let probes = log
            .lines()
            .filter(|line| line.contains("the client left before it logged in"));
        assert_eq!(probes.count(), lines, "{level}:\n{log}");
    }
}

/// Counts the lines of each reason, among them the one of those that were not shown.
#[track_caller]
fn expect_few_lines(proxy: &mut Proxy, reasons: &[&str]) {
    proxy.terminate();
    proxy.exit_status();
    let log = proxy.log();
    for reason in reasons {
        let (sums, lines): (Vec<_>, Vec<_>) = log
            .lines()
            .filter(|line| line.contains(reason))
            .partition(|line| line.contains("not shown one by one"));
        assert_eq!(lines.len(), SHOWN, "{reason}:\n{log}");
        let sum = format!("count={}", FLOOD - SHOWN);
        assert_eq!(sums.len(), 1, "{reason}:\n{log}");
        assert!(sums[0].contains(&sum), "{reason}: {}", sums[0]);
    }
}

#[test]
fn floods_of_what_is_no_login_give_few_lines_and_a_sum() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend));
    let tls = PKI.client_tls(Some(&PKI.wrong_ca));
    for _ in 0..FLOOD {
        let mut not_tls = Client::greeted(proxy.address);
        not_tls.send(&ssl_request(&Login::of("app")));
        not_tls.send_raw(b"GET / HTTP/1.1\r\n\r\n");
        not_tls.expect_end();
        let mut malformed = Client::greeted(proxy.address);
        malformed.send(&Login::of("app").payload()[..40]);
        malformed.expect_end();
        let mut out_of_turn = Client::greeted(proxy.address);
        out_of_turn.send_raw(&[1, 0, 0, 7, 0]);
        out_of_turn.expect_end();
        let mut wrong_ca = Client::greeted(proxy.address);
        wrong_ca.start_tls(&Login::of("app"), &tls);
        wrong_ca.send_login(&Login::of("app"));
        assert_eq!(wrong_ca.error().code, 1045);
    }
    expect_few_lines(
        &mut proxy,
        &[
            "is not TLS",
            MALFORMED,
            "sequence number 7",
            "a signature does not fit",
        ],
    );
}

/// From a balancer's address something else than its header, and a header from elsewhere.
#[test]
fn floods_of_wrong_proxy_headers_give_few_lines_and_a_sum() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with("proxy-protocol: { accept-from: [127.0.0.5] }");
    let mut proxy = Proxy::start(config);
    for _ in 0..FLOOD {
        let mut balancer = Client::connect_from([127, 0, 0, 5], proxy.address);
        balancer.send_raw(b"GET / HTTP/1.1\r\n\r\n");
        balancer.expect_end();
        let mut stranger = Client::greeted(proxy.address);
        stranger.send_raw(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
        stranger.expect_end();
    }
    expect_few_lines(&mut proxy, &["does not begin with", "does not list"]);
}

#[test]
fn floods_of_connections_beyond_the_limit_give_few_lines_and_a_sum() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start_cold(Config::before(&backend).with("limits: { connections: 1 }"));
    proxy.wait_for_log("backend is reachable");
    let mut held = Client::greeted(proxy.address);
    for _ in 0..FLOOD {
        assert_eq!(Client::connect(proxy.address).error().code, 1040);
    }
    held.send_login(&Login::of("app"));
    assert!(held.authenticate(ClientPlugin::with_password()).is_ok());
    drop(held);
    expect_few_lines(&mut proxy, &["too many connections"]);
}

/// One that is down while the other is up, for which nobody need be told at each session.
#[test]
fn sessions_around_a_dead_endpoint_do_not_flood_the_log() {
    let (dead, alive) = (Backend::nobody(), Backend::start(Server::mysql()));
    let address = |backend: &Backend| {
        backend
            .endpoint
            .replace("host: ", "")
            .replace(", port: ", ":")
    };
    let endpoints = format!(
        "{{ endpoints: [\"{}\", \"{}\"] }}",
        address(&dead),
        address(&alive)
    );
    let proxy = Proxy::start(Config::to(&endpoints));
    for _ in 0..FLOOD {
        drop(Client::logged_in(proxy.address, &Login::of("app")));
    }
    let ended = || {
        let log = proxy.log();
        let all = log.lines().filter(|line| line.contains("account="));
        all.count() >= FLOOD
    };
    wait_until("the end of every session", ended);
    let log = proxy.log();
    let passed_over = log.lines().filter(|line| line.contains("passed over"));
    assert_eq!(passed_over.count(), 1, "{log}");
}

#[test]
fn floods_of_logins_at_the_admin_port_give_few_lines_and_a_sum() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(with_admin_port(&backend, ""));
    for _ in 0..FLOOD {
        let mut client = Client::greeted(proxy.admin_address());
        client.send(&Login::of("app").payload()[..40]);
        client.expect_end();
    }
    expect_few_lines(&mut proxy, &[MALFORMED]);
}
