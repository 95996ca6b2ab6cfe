//! PROXY headers of balancers: who may send them, what is refused, and that the client's address is what counts.
//!
//! 127.0.0.5 is the balancer. What HAProxy sends is tried by `tests/lab proxy`.

use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::packet::{Packet, packet};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};

const BALANCER: [u8; 4] = [127, 0, 0, 5];

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2: 10.1.2.3, port 1000, has connected to 192.0.2.1, port 3306.
const FROM_10_1_2_3: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\xc0\0\x02\x01\x03\xe8\x0c\xea";

/// `app` needs nothing at 10.1.2.3 and at the balancer, and a certificate elsewhere.
const ACCOUNTS: &str = "\
proxy-protocol: {accept-from: [127.0.0.5, unix]}
accounts:
  - {user: \"'app'@'10.1.2.3'\", require: NONE}
  - {user: \"'app'@'2001:db8::3'\", require: NONE}
  - {user: \"'app'@'127.0.0.5'\", require: NONE}
  - {user: \"'app'@'localhost'\", require: NONE}
  - {user: \"'app'@'%'\", require: X509}
";

fn start(lines: &str) -> (Backend, Proxy) {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).unix_socket().with(ACCOUNTS);
    let proxy = Proxy::start(config.with(lines));
    (backend, proxy)
}

/// A connection of the balancer that begins so.
fn handed_on(proxy: &Proxy, header: &[u8]) -> Client {
    let mut client = Client::connect_from(BALANCER, proxy.address);
    client.send_raw(header);
    client
}

fn log_in(client: &mut Client) -> Packet {
    client.greeting();
    client.send_login(&Login::of("app"));
    client.authenticate(ClientPlugin::with_password())
}

#[test]
fn a_header_from_an_address_that_is_not_listed_is_refused_and_the_log_says_so() {
    let (backend, proxy) = start("");
    for header in [
        FROM_10_1_2_3,
        b"PROXY TCP4 10.1.2.3 192.0.2.1 1000 3306\r\n",
    ] {
        let mut client = Client::greeted(proxy.address);
        client.send_raw(header);
        client.sequence = 1;
        assert_eq!(client.error().code_and_state(), (1043, "08S01"));
        client.expect_clean_end();
    }
    let line = proxy.wait_for_log(
        "a PROXY header from 127.0.0.1, which proxy-protocol.accept-from does not list",
    );
    assert!(line.contains("client=127.0.0.1"), "{line}");
    assert_eq!(backend.dials(), 1, "only the one that learns the greeting");
}

#[test]
fn a_second_header_is_no_login() {
    let (_backend, proxy) = start("");
    let mut client = handed_on(&proxy, FROM_10_1_2_3);
    client.greeting();
    client.send_raw(FROM_10_1_2_3);
    assert_eq!(client.error().code_and_state(), (1043, "08S01"));
    proxy.wait_for_log("sequence number 10 in place of 1");
}

#[test]
fn a_listed_address_that_sends_no_header_is_not_greeted() {
    let (_backend, proxy) = start("limits: {login-time: 300ms}");
    let mut client = Client::connect_from(BALANCER, proxy.address);
    assert_eq!(client.error().code, 1159);
    client.expect_end();
    let line = proxy.wait_for_log("no PROXY header came within limits.login-time");
    assert!(line.contains("client=127.0.0.5"), "{line}");
}

#[test]
fn headers_that_are_none_are_refused_in_place_of_the_greeting() {
    let binary = |rest: &[u8]| [SIGNATURE, rest].concat();
    let (_backend, proxy) = start("");
    for (header, reason) in [
        (
            b"\x20\0\0\x01".to_vec(),
            "the connection does not begin with one",
        ),
        (
            b"PROXY TCP4 10.1.2.3 192.0.2.1 01 2\r\n".to_vec(),
            "its line is not what",
        ),
        (
            [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(),
            "longer than 107 bytes",
        ),
        (binary(b"\x11\x11\0\0"), "its version is 1"),
        (binary(b"\x22\x11\0\0"), "its command is 2"),
        (
            binary(&[&b"\x21\x31\0\xd8"[..], &[0; 216]].concat()),
            "not about a TCP connection but 0x31",
        ),
        (
            binary(&[&b"\x21\x12\0\x0c"[..], &[0; 12]].concat()),
            "not about a TCP connection but 0x12",
        ),
        (
            binary(b"\x21\x11\0\x04\0\0\0\0"),
            "too short for its addresses",
        ),
        (binary(b"\x21\x11\xff\xff"), "longer than 4096 bytes"),
        (
            binary(&[&b"\x21\x11\0\x13"[..], &[0; 12], b"\x03\0\x04\0\0\0\0"].concat()),
            "its checksum is wrong",
        ),
    ] {
        let mut client = handed_on(&proxy, &header);
        assert_eq!(client.error().code, 1043, "{reason}");
        client.expect_end();
        proxy.wait_for_log(reason);
    }
}

#[test]
fn a_header_that_is_cut_off_is_told_from_one_that_never_came() {
    let (_backend, proxy) = start("log: {level: debug}");
    drop(Client::connect_from(BALANCER, proxy.address));
    let line = proxy.wait_for_log("the client left before it logged in");
    assert!(line.contains("DEBUG"), "{line}");
    drop(handed_on(&proxy, &FROM_10_1_2_3[..20]));
    proxy.wait_for_log("the connection ended within its PROXY header");
}

#[test]
fn rules_log_and_backend_go_by_the_address_in_the_header() {
    let (backend, proxy) = start("");
    let mut stranger = handed_on(&proxy, b"PROXY TCP4 10.1.2.4 192.0.2.1 1000 3306\r\n");
    let refused = log_in(&mut stranger).error().expect("refused");
    assert_eq!(
        refused.message,
        "Access denied for user 'app'@'10.1.2.4' (using password: YES)"
    );
    let line = proxy.wait_for_log("client=10.1.2.4");
    assert!(line.contains("via=127.0.0.5"), "{line}");

    let mut client = handed_on(&proxy, FROM_10_1_2_3);
    assert!(log_in(&mut client).is_ok());
    let (name, address) = backend.login().attributes[0].clone();
    assert_eq!((&*name, &*address), ("_mytls_client_addr", "10.1.2.3"));
    drop(client);
    let line = proxy.session_line();
    assert!(
        line.contains("client=10.1.2.3") && line.contains("via=127.0.0.5"),
        "{line}"
    );
}

#[test]
fn clients_of_one_balancer_are_counted_by_their_own_addresses() {
    let (_backend, proxy) = start("limits: {connections-per-client: 1}");
    let mut first = handed_on(&proxy, FROM_10_1_2_3);
    assert!(log_in(&mut first).is_ok());
    let mut other = handed_on(&proxy, b"PROXY TCP6 2001:db8::3 ::1 1 2\r\n");
    assert!(log_in(&mut other).is_ok(), "another client");
    let mut second = handed_on(&proxy, FROM_10_1_2_3);
    assert_eq!(second.error().code, 1040);
    proxy.wait_for_log("too many connections: limits.connections-per-client");
}

#[test]
fn addresses_of_ipv6_count_too_and_ipv4_in_them_is_ipv4() {
    let (_backend, proxy) = start("");
    for address in ["2001:db8::3", "::ffff:10.1.2.3"] {
        let header = format!("PROXY TCP6 {address} 2001:db8::1 1000 3306\r\n");
        assert!(
            log_in(&mut handed_on(&proxy, header.as_bytes())).is_ok(),
            "{address}"
        );
    }
    let mut other = handed_on(&proxy, b"PROXY TCP6 2001:db8::4 2001:db8::1 1000 3306\r\n");
    assert!(log_in(&mut other).error().is_some());
}

#[test]
fn a_balancer_that_speaks_for_itself_has_its_own_address() {
    let (_backend, proxy) = start("");
    let local = [SIGNATURE, b"\x20\0\0\0"].concat();
    for header in [
        &local[..],
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 10.9.9.9 10.9.9.9 1 2\r\n",
    ] {
        assert!(log_in(&mut handed_on(&proxy, header)).is_ok(), "{header:?}");
    }
    let line = proxy.session_line();
    assert!(
        line.contains("client=127.0.0.5") && !line.contains("via="),
        "{line}"
    );
}

#[test]
fn a_health_check_is_nothing_to_read_about() {
    let (_backend, proxy) = start("");
    for header in [
        &b""[..],
        b"PROXY UNKNOWN\r\n",
        &[SIGNATURE, b"\x20\0\0\0"].concat(),
        FROM_10_1_2_3,
    ] {
        let mut check = handed_on(&proxy, header);
        if !header.is_empty() {
            check.greeting();
        }
    }
    // behind them in time
    drop(log_in(&mut handed_on(
        &proxy,
        b"PROXY TCP4 10.1.2.4 192.0.2.1 1000 3306\r\n",
    )));
    proxy.wait_for_log("client=10.1.2.4");
    let log = proxy.log();
    let told = |client| log.lines().any(|line| line.contains(client));
    assert!(
        !told("client=127.0.0.5") && !told("client=10.1.2.3"),
        "{log}"
    );
}

#[test]
fn a_header_may_come_in_pieces_or_with_the_login_behind_it() {
    let (_backend, proxy) = start("");
    let mut client = Client::connect_from(BALANCER, proxy.address);
    for byte in FROM_10_1_2_3 {
        client.send_raw(&[*byte]);
    }
    assert!(log_in(&mut client).is_ok(), "byte by byte");

    let login = packet(1, &Login::of("app").payload());
    let mut client = handed_on(&proxy, &[FROM_10_1_2_3, &login].concat());
    client.greeting();
    client.sequence = 2;
    assert!(
        client.authenticate(ClientPlugin::with_password()).is_ok(),
        "glued"
    );
}

#[test]
fn tls_begins_behind_the_header() {
    let (_backend, proxy) = start("");
    let mut client = handed_on(&proxy, b"PROXY TCP4 10.7.7.7 192.0.2.1 1000 3306\r\n");
    client.greeting();
    let login = Login::of("app");
    client.start_tls(&login, &PKI.client_tls(Some(&PKI.client)));
    client.send_login(&login);
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
}

/// The Unix socket is the balancer's, and who comes through it over a network is on no secure side.
#[test]
fn clients_of_a_balancer_on_a_unix_socket_are_not_on_one() {
    let (_backend, proxy) = start("require-secure-transport: true");
    let mut client = Client::connect_unix(&proxy.unix_socket());
    client.send_raw(FROM_10_1_2_3);
    let refused = log_in(&mut client).error().expect("refused");
    assert_eq!(refused.code, 3159);
    let line = proxy.wait_for_log("client=10.1.2.3");
    assert!(line.contains("via=localhost"), "{line}");

    let mut itself = Client::connect_unix(&proxy.unix_socket());
    itself.send_raw(&[SIGNATURE, b"\x20\0\0\0"].concat());
    assert!(log_in(&mut itself).is_ok());
}

#[test]
fn the_process_list_has_the_clients_address() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(admin::config(&backend, "").with(ACCOUNTS));
    let mut client = handed_on(&proxy, FROM_10_1_2_3);
    assert!(log_in(&mut client).is_ok());
    let list = admin::rows(&mut admin::log_in(&proxy), "SHOW PROCESSLIST");
    assert_eq!(list.column("Host"), [Some("10.1.2.3")]);
}
