//! PROXY headers of mytls: what a server is told, and what becomes of a server that takes none.

use std::net::SocketAddr;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::grants::Grants;
use crate::support::handshake::Login;
use crate::support::packet::{Packet, err};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy};

const SEND: &str = "proxy-protocol: {send: true, accept-from: [127.0.0.5]}";

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A server that takes every header.
fn server() -> Server {
    Server::mysql().behind_proxy_header(|_| None)
}

fn log_in_as(client: &mut Client, user: &str) -> Packet {
    client.greeting();
    client.send_login(&Login::of(user));
    client.authenticate(ClientPlugin::with_password())
}

/// The header in front of this user's login.
#[track_caller]
fn header(backend: &Backend, user: &str) -> Vec<u8> {
    backend.wait_for("login", |events| {
        let is_its =
            |event: &Event| matches!(event, Event::Login(login) if login.user == user.as_bytes());
        events.iter().any(is_its).then(|| match &events[1] {
            Event::ProxyHeader(header) => header.clone(),
            other => panic!("no header but {other:?}"),
        })
    })
}

/// Written down from the specification.
fn version_2(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (family, length) = if from.is_ipv4() {
        (0x11, 12)
    } else {
        (0x21, 36)
    };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x21, family, 0, length]);
    for end in [from, to] {
        match end {
            SocketAddr::V4(end) => header.extend(end.ip().octets()),
            SocketAddr::V6(end) => header.extend(end.ip().octets()),
        }
    }
    for end in [from, to] {
        header.extend(end.port().to_be_bytes());
    }
    header
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

#[test]
fn a_server_without_the_key_gets_no_header() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::connect_from([127, 0, 0, 9], proxy.address);
    assert!(log_in_as(&mut client, "app").is_ok());
}

#[test]
fn a_server_is_told_both_ends_of_the_clients_connection() {
    let backend = Backend::start(server());
    let proxy = Proxy::start(Config::before(&backend).with(SEND));
    let mut client = Client::connect_from([127, 0, 0, 9], proxy.address);
    assert!(log_in_as(&mut client, "app").is_ok());
    let from = SocketAddr::from(([127, 0, 0, 9], client.wire.local_port()));
    assert_eq!(header(&backend, "app"), version_2(from, proxy.address));
}

#[test]
fn what_a_balancer_said_is_handed_on() {
    let backend = Backend::start(server());
    let proxy = Proxy::start(Config::before(&backend).with(SEND));
    for (user, line, from, to) in [
        (
            "a",
            "TCP4 10.1.2.3 192.0.2.1 1000 3306",
            "10.1.2.3:1000",
            "192.0.2.1:3306",
        ),
        (
            "b",
            "TCP6 2001:db8::3 2001:db8::1 1000 3306",
            "[2001:db8::3]:1000",
            "[2001:db8::1]:3306",
        ),
        (
            "c",
            "TCP6 ::ffff:10.1.2.3 ::ffff:192.0.2.1 1 2",
            "10.1.2.3:1",
            "192.0.2.1:2",
        ),
    ] {
        let mut client = Client::connect_from([127, 0, 0, 5], proxy.address);
        client.send_raw(format!("PROXY {line}\r\n").as_bytes());
        assert!(log_in_as(&mut client, user).is_ok());
        assert_eq!(
            header(&backend, user),
            version_2(address(from), address(to)),
            "{line}"
        );
    }
}

/// The server sees the address of mytls then, where these clients are.
#[test]
fn of_clients_without_an_address_of_their_own_nothing_is_told() {
    let backend = Backend::start(server());
    let proxy = Proxy::start(Config::before(&backend).unix_socket().with(SEND));
    let mut clients = [
        ("unix", Client::connect_unix(&proxy.unix_socket())),
        ("first", Client::connect(proxy.address)),
    ];
    for (user, client) in &mut clients {
        assert!(log_in_as(client, user).is_ok());
        assert_eq!(header(&backend, user), LOCAL, "{user}");
    }
}

#[test]
fn mytls_own_connections_are_its_own() {
    let grants = Grants::rows(&[["app", "%", "", "", "", "", ""]]);
    let backend = Backend::start(grants.of(server()));
    let import = format!("import-accounts: {{user: mytls, password: {PASSWORD}}}\n{SEND}");
    let proxy = Proxy::start(Config::before(&backend).with(&import));
    proxy.wait_for_log("accounts are imported");
    assert_eq!(header(&backend, "mytls"), LOCAL);
    let probe = backend.events()[0].clone();
    assert_eq!(probe[1], Event::ProxyHeader(LOCAL.to_vec()));
}

#[test]
fn only_the_server_that_is_named_gets_a_header() {
    let (source, target) = (Backend::start(server()), Backend::start(Server::mysql()));
    let proxy = Proxy::start(Config::before(&source).with(&format!(
        "target-database: {{ {} }}\nproxy-protocol: {{send: source}}",
        target.endpoint
    )));
    let mut client = Client::connect_from([127, 0, 0, 9], proxy.address);
    assert!(log_in_as(&mut client, "app").is_ok());
    header(&source, "app");
    target.wait_for("the probe's end", |events| {
        matches!(events, [Event::Dialled, Event::Closed(_)]).then_some(())
    });
}

#[test]
fn tls_begins_behind_the_header_and_is_resumed() {
    let backend = Backend::start(server().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend).with(SEND));
    for user in ["a", "b"] {
        let mut client = Client::connect_from([127, 0, 0, 9], proxy.address);
        assert!(log_in_as(&mut client, user).is_ok());
        assert_eq!(header(&backend, user).len(), 28, "{user}");
    }
    let is_resumed = |event: &Event| matches!(event, Event::Tls(peer) if peer.resumed);
    assert!(backend.events().iter().flatten().any(is_resumed));
}

/// This is how MySQL 9.7 answers: it takes the header for a packet.
#[test]
fn a_server_that_takes_no_header_is_named_in_the_log() {
    for tls in [false, true] {
        let mut server = Server::mysql()
            .behind_proxy_header(|_| Some(err(1156, "08S01", "Got packets out of order")));
        if tls {
            server = server.tls(PKI.backend_tls(&PKI.server));
        }
        let backend = Backend::start(server);
        let proxy = Proxy::start(Config::before(&backend).with(SEND));
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        assert_eq!(client.error().code, 2003);
        let line = proxy.session_line();
        assert!(line.contains("1156 Got packets out of order"), "{line}");
        assert!(
            line.contains("does proxy-protocol.send fit this server?"),
            "{line}"
        );
    }
}

#[test]
fn a_server_that_closes_at_the_header_is_named_in_the_log() {
    let server = Server::mysql().on_login(|_| Err(std::io::Error::other("closes")));
    let backend = Backend::start(server.behind_proxy_header(|_| None));
    let proxy = Proxy::start(Config::before(&backend).with(SEND));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.error().code, 2003);
    proxy.wait_for_log("does proxy-protocol.send fit this server?");
}

/// Else anybody could close the server to everybody, from an address that it has blocked.
#[test]
fn a_client_whose_address_the_server_refuses_is_refused_alone() {
    for code in [1129, 1130] {
        let refuse = move |header: &[u8]| {
            let blocked = header.get(16..20) == Some(&[127, 0, 0, 8]);
            blocked.then(|| err(code, "HY000", "Host '127.0.0.8' is blocked"))
        };
        let server = Server::mysql().behind_proxy_header(refuse);
        let backend = Backend::start(server.tls(PKI.backend_tls(&PKI.server)));
        let proxy = Proxy::start(Config::before(&backend).with(SEND));
        for _ in 0..2 {
            let mut blocked = Client::connect_from([127, 0, 0, 8], proxy.address);
            assert_eq!(
                log_in_as(&mut blocked, "app")
                    .error()
                    .expect("refused")
                    .code,
                2003
            );
            let mut other = Client::connect_from([127, 0, 0, 9], proxy.address);
            assert!(log_in_as(&mut other, "app").is_ok(), "{code}");
        }
        proxy.wait_for_line("the reason", |line| {
            line.contains("Host '127.0.0.8' is blocked")
        });
    }
}

/// A client on this machine has the address of mytls there.
#[test]
fn a_server_that_blocks_mytls_itself_is_left_alone() {
    let blocked = err(1129, "HY000", "Host '127.0.0.1' is blocked");
    let backend = Backend::start_each(move |number| match number {
        0 => server(),
        _ => Server::first_packet(blocked.clone()).behind_proxy_header(|_| None),
    });
    let proxy = Proxy::start(Config::before(&backend).with(SEND));
    for _ in 0..2 {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        assert_eq!(client.error().code, 2003);
    }
    proxy.wait_for_line("the reason", |line| {
        line.contains("Host '127.0.0.1' is blocked")
    });
    assert_eq!(backend.dials(), 2, "the probe and one client");
}
