//! TCP resets, of clients and of backends, in every state of a session: only that session ends.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::conversation::Answer;
use crate::support::handshake::Login;
use crate::support::packet::{length_encoded_bytes, one_column, packet};
use crate::support::pki::PKI;
use crate::support::plugin::SALT;
use crate::support::proxy::{Config, Proxy, wait_until};
use crate::support::visit::tls_backend;

/// Longer than anything here should take, and short of what mytls waits for when it is not told.
const SOON: Duration = Duration::from_secs(5);

/// Ends a client's connection with a reset.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is closed at the end of this"
)]
pub(crate) fn reset(client: Client) {
    client.wire.reset_on_close();
}

/// What has been done before the reset.
pub(crate) type Steps = fn(&Proxy) -> Client;

/// The same of a client that is logged in.
type MoreSteps = fn(&mut Client);

/// Whoever has not said who they are, and whether the log tells of it: one that stops in TLS, or behind it, may not like
/// what mytls shows.
pub(crate) const BEFORE_LOGIN: [(&str, bool, Steps); 6] = [
    ("connected", false, |proxy| Client::connect(proxy.address)),
    ("greeted", false, |proxy| Client::greeted(proxy.address)),
    ("within SSLRequest", false, |proxy| {
        let mut client = Client::greeted(proxy.address);
        client.send_raw(&packet(1, &ssl_request(&Login::of("app")))[..20]);
        client
    }),
    ("within ClientHello", true, |proxy| {
        let mut client = Client::greeted(proxy.address);
        client.send(&ssl_request(&Login::of("app")));
        client.send_raw(b"\x16\x03\x01\x02\x00\x01");
        client
    }),
    ("behind TLS", true, |proxy| {
        let mut client = Client::greeted(proxy.address);
        client.start_tls(&Login::of("app"), &PKI.client_tls(None));
        client
    }),
    ("within the login", false, |proxy| {
        let mut client = Client::greeted(proxy.address);
        client.send_raw(&packet(1, &Login::of("app").payload())[..50]);
        client
    }),
];

/// Scanners leave so. They cost the backend nothing.
#[test]
fn clients_that_reset_before_their_login_leave_nothing_behind() {
    let backend = tls_backend();
    let mut proxy = Proxy::start(Config::before(&backend));
    let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
    let (dials, descriptors) = (backend.dials(), proxy.descriptors());
    for (state, is_told, steps) in BEFORE_LOGIN {
        let lines = proxy.log().lines().count();
        for _ in 0..5 {
            reset(steps(&proxy));
        }
        wait_until(state, || proxy.descriptors() <= descriptors);
        let log = proxy.log();
        let new: Vec<_> = log.lines().skip(lines).collect();
        assert!(is_told || new.is_empty(), "{state}: {new:?}");
        bystander.query("SELECT 1");
        bystander.expect_echo("SELECT 1");
    }
    assert_eq!(backend.dials(), dials);
    assert!(proxy.is_running());
}

/// `max_connect_errors` counts a handshake that is cut, not a login that is refused.
#[test]
fn client_that_resets_in_the_auth_relay_is_a_refused_login_to_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    reset(client);
    backend.expect_ended_handshake_within(SOON);
}

/// Idle, within a command, while the backend works, within a result that fills every buffer on the way.
#[test]
fn clients_that_reset_when_they_are_logged_in_close_the_backend() {
    let row = length_encoded_bytes(&vec![b'x'; 1 << 20]);
    let states: [(&str, MoreSteps); 4] = [
        ("idle", |_| {}),
        ("within a command", |client| {
            client.send_raw(b"\x64\0\0\0\x03SELECT");
        }),
        ("while it waits", |client| {
            client.query("SELECT SLEEP(1000)");
        }),
        ("within a result", |client| {
            client.query("SELECT * FROM large");
            client.wire.read_packet().expect("the first packet");
        }),
    ];
    for (state, steps) in states {
        let row = row.clone();
        let backend = Backend::start(Server::mysql().on_command(move |conversation, command| {
            if command.payload.ends_with(b"large") {
                conversation.send_raw(&one_column())?;
                for sequence in (0..=u8::MAX).cycle().skip(3) {
                    // goes on until the write fails, as it must
                    conversation.send_raw(&packet(sequence, &row))?;
                }
            }
            conversation.read_end()?;
            Ok(Answer::Close)
        }));
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        steps(&mut client);
        reset(client);
        let events = backend.closed_within(SOON);
        assert!(!events.is_empty(), "{state}");
        proxy.session_line();
    }
}

/// What a client reads where the backend resets before its OK; the first connection, mytls' own, goes well.
#[track_caller]
fn expect_told(state: &str, server: Server, expected: u16) {
    let tls = PKI.backend_tls(&PKI.server);
    let healthy = Server::mysql().tls(tls);
    let backend = Backend::start_each(move |number| {
        let resets = number > 0;
        if resets {
            server.clone()
        } else {
            healthy.clone()
        }
    });
    let security = "{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }";
    let config = Config::before(&backend).backend_security(&backend, security);
    let mut proxy = Proxy::start(config);
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let mut packet = client.read();
    if packet.payload[0] == 0xfe {
        client.send(&[0x11; 20]);
        packet = client.read();
    }
    let error = packet
        .error()
        .unwrap_or_else(|| panic!("{state}: {packet:?}"));
    assert_eq!(error.code, expected, "{state}: {error:?}");
    assert!(!error.message.contains("127.0.0.1"), "{state}: {error:?}");
    client.expect_clean_end();
    assert!(proxy.is_running());
}

#[test]
fn backend_that_resets_before_its_ok_is_an_error_that_names_the_route() {
    let tls = || PKI.backend_tls(&PKI.server);
    let gone = |conversation: &crate::support::conversation::Conversation| {
        conversation.reset_on_close();
        Err(io::Error::other("reset, as scripted"))
    };
    for bytes in [0, 1, 4, 30] {
        let state = format!("behind {bytes} bytes of its greeting");
        expect_told(&state, Server::resetting_after(bytes).tls(tls()), 2003);
    }
    expect_told(
        "at the login",
        Server::mysql().tls(tls()).on_login(move |it| gone(it)),
        2013,
    );
    expect_told(
        "behind AuthSwitchRequest",
        Server::mysql().tls(tls()).on_login(move |it| {
            it.switch("mysql_native_password", SALT)?;
            it.read()?;
            gone(it)
        }),
        2013,
    );
}

/// What was read before the reset is the client's; no ERR can follow half a result.
#[test]
fn backends_that_reset_within_a_session_close_its_client_only() {
    let states: [(&str, usize); 3] = [
        ("before an answer", 0),
        ("within a packet", 6),
        ("within a result", 40),
    ];
    for (state, bytes) in states {
        let backend = Backend::start(Server::mysql().on_command(move |conversation, command| {
            if !command.payload.ends_with(b"reset") {
                return Ok(Answer::Ordinary);
            }
            conversation.send_raw(&one_column()[..bytes.min(one_column().len())])?;
            conversation.reset_on_close();
            Ok(Answer::Close)
        }));
        let mut proxy = Proxy::start(Config::before(&backend));
        let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        client.query("reset");
        client.expect_end();
        let mut line = proxy.session_line();
        line.retain(|c| c != '"');
        assert!(line.contains("backend"), "{state}: {line}");
        bystander.query("SELECT 1");
        bystander.expect_echo("SELECT 1");
        assert!(proxy.is_running());
    }
}

/// A reset overtakes what a client has not read, so mytls must never send one itself.
#[test]
fn what_a_client_sends_behind_a_refusal_does_not_cost_it_the_error() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("default-require: X509"));
    for _ in 0..20 {
        let mut client = Client::greeted(proxy.address);
        let login = packet(1, &Login::of("app").payload());
        let much = [&login[..], &vec![0xff; 100_000]].concat();
        // all of it may not be read by the time of the close
        let _ = client.wire.write_all(&much);
        client.sequence = 2;
        assert_eq!(client.error().code, 1045);
    }
}
