//! Ways around a rule that somebody might try, where no other file has them: a login that is not what it was announced
//! to be, what stands behind one, a ticket from elsewhere, a `COM_CHANGE_USER` in disguise.

use std::time::Duration;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Event};
use crate::support::grants::Grants;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::{flag, packet, text};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy};

const ACCOUNTS: &str =
    "accounts: [{ user: \"'strict'@'%'\", require: X509 }, { user: \"'app'@'%'\", require: NONE }]";

fn start() -> (Backend, Proxy) {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(ACCOUNTS));
    (backend, proxy)
}

/// A server that has this account, and says of every session that it is of it.
fn server_with(user: &'static str, ssl_type: &'static str) -> Server {
    let grants = Grants::rows(&[[user, "%", ssl_type, "", "", "", ""]]);
    Server::mysql().on_command(move |conversation, command| {
        if !text(&command.payload).contains("CURRENT_USER()") {
            return grants.answer(conversation, command);
        }
        conversation.send_row(&[Some(format!("{user}@%").as_bytes()), None])?;
        Ok(Answer::Done)
    })
}

fn importing(backend: &Backend) -> Config {
    Config::before(backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}"
    ))
}

/// The outcome of a login in plaintext: an error code, or none.
fn log_in(proxy: &Proxy, user: &str) -> Option<u16> {
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of(user));
    let last = client.authenticate(ClientPlugin::with_password());
    last.error().map(|error| error.code)
}

// ---- what a login was announced to be ---------------------------------------------------------------------------------

// The server would read the name in the one, the rules in the other.
#[test]
fn login_in_another_character_set_than_its_ssl_request_is_malformed() {
    let (backend, proxy) = start();
    let dials = backend.dials();
    for (announced, sent) in [(8, 45), (45, 8), (255, 45)] {
        let login = |charset| Login {
            charset,
            ..Login::of("app")
        };
        let mut client = Client::greeted(proxy.address);
        client.start_tls(&login(announced), &PKI.client_tls(None));
        client.send_login(&login(sent));
        assert_eq!(
            client.error().code_and_state(),
            (1043, "08S01"),
            "{announced}, {sent}"
        );
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

#[test]
fn login_is_laid_out_as_its_ssl_request_says() {
    let (backend, proxy) = start();
    let announced = Login::of("app");
    // with other flags, but what these flags would add is missing: read by them, it would be another login
    let sent = Login {
        flags: announced.flags | flag::CONNECT_WITH_DB,
        ..announced.clone()
    };
    let mut client = Client::greeted(proxy.address);
    client.start_tls(&announced, &PKI.client_tls(None));
    client.send_login(&sent);
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    let logins = backend.logins();
    let seen = logins.last().expect("a login");
    assert_eq!((seen.user.as_slice(), &seen.database), (&b"app"[..], &None));
}

#[test]
fn login_in_plaintext_that_says_it_is_under_tls_is_malformed() {
    let (backend, proxy) = start();
    let dials = backend.dials();
    for user in ["app", "strict"] {
        let mut client = Client::greeted(proxy.address);
        client.send(&Login::of(user).with_flags(flag::SSL, 0).payload());
        assert_eq!(client.error().code_and_state(), (1043, "08S01"), "{user}");
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

// ---- what stands behind a login ---------------------------------------------------------------------------------------

// Pipelined behind the password, it is in our buffers when the server says OK.
#[test]
fn statement_behind_a_login_that_is_refused_after_the_servers_ok_does_not_reach_it() {
    let grants = Grants::rows(&[
        ["app", "%", "", "", "", "", ""],
        ["strict", "%", "X509", "", "", "", ""],
    ]);
    let server = Server::mysql().on_command(move |conversation, command| {
        if !text(&command.payload).contains("CURRENT_USER()") {
            return grants.answer(conversation, command);
        }
        conversation.send_row(&[Some(b"strict@%"), None])?;
        Ok(Answer::Done)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(importing(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let switch = client.read();
    let mut plugin = ClientPlugin::with_password();
    let answer = plugin.answer(&switch.payload, client.wire.transport());
    let answer = answer.expect("an answer");
    client.send_raw(
        &[
            packet(switch.sequence + 1, &answer),
            packet(0, b"\x03DROP TABLE t"),
        ]
        .concat(),
    );
    let last = client.wire.read_packet().expect("an ERR");
    assert_eq!(last.error().map(|error| error.code), Some(1045));
    client.expect_end();
    let dropped = |event: &Event| matches!(event, Event::Command(command) if command.payload.starts_with(b"\x03DROP"));
    let events = backend.wait_for("the session's end", |events| {
        let is_its = |event: &Event| matches!(event, Event::Login(login) if login.user == b"app");
        let over = matches!(events.last(), Some(Event::Closed(_) | Event::Failed(_)));
        (over && events.iter().any(is_its)).then(|| events.to_vec())
    });
    assert!(!events.iter().any(dropped), "{events:#?}");
}

// ---- several places ---------------------------------------------------------------------------------------------------

#[test]
fn rules_of_every_place_must_permit() {
    for (imported, in_file, expected) in [
        ("", "X509", Some(1045)),
        ("X509", "NONE", Some(1045)),
        ("", "NONE", None),
    ] {
        let backend = Backend::start(server_with("app", imported));
        let rule = format!("accounts: [{{ user: \"'app'@'%'\", require: {in_file} }}]");
        let proxy = Proxy::start(importing(&backend).with(&rule));
        assert_eq!(
            log_in(&proxy, "app"),
            expected,
            "imported {imported:?}, in the file {in_file}"
        );
    }
}

// ---- tickets ----------------------------------------------------------------------------------------------------------

// A ticket holds a certificate that was shown elsewhere; whether it was judged there, and by which CA, nobody knows here.
#[test]
fn ticket_of_another_mytls_is_worth_nothing() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (_one, first) = start();
        let (_two, second) = start();
        let tls = PKI.resuming_client_tls_of(&[version], Some(&PKI.client));
        let resumed = |proxy: &Proxy| {
            let client = Client::logged_in_over_tls(proxy.address, &Login::of("strict"), &tls);
            client.wire.tls_resumed()
        };
        assert_eq!(
            [
                resumed(&first),
                resumed(&first),
                resumed(&second),
                resumed(&second)
            ],
            [false, true, false, true],
            "{:?}",
            version.version
        );
    }
}

// ---- COM_CHANGE_USER --------------------------------------------------------------------------------------------------

/// The client is told, the session ends, and the backend never hears of it.
#[track_caller]
fn expect_refused_change(backend: &Backend, client: &mut Client) {
    let packet = client.wire.read_packet().expect("an ERR");
    let error = packet.error().expect("an ERR");
    assert_eq!(error.code_and_state(), (1045, "28000"));
    client.expect_end();
    let events = backend.closed_within(Duration::from_secs(5));
    let is_strict =
        |event: &Event| matches!(event, Event::ChangeUser(change) if change.user == b"strict");
    assert!(!events.iter().any(is_strict), "{events:#?}");
}

#[test]
fn change_to_a_stricter_user_byte_by_byte_is_refused() {
    let (backend, proxy) = start();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    for byte in packet(0, &ChangeUser::to("strict").payload()) {
        client.send_raw(&[byte]);
    }
    expect_refused_change(&backend, &mut client);
}

// These have no response that it could wait for.
#[test]
fn change_to_a_stricter_user_behind_commands_without_an_answer_is_refused() {
    let (backend, proxy) = start();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let all = [
        packet(0, b"\x19\x01\0\0\0"),
        packet(0, b"\x18\x01\0\0\0\0\0data"),
        packet(0, &ChangeUser::to("strict").payload()),
    ];
    client.send_raw(&all.concat());
    expect_refused_change(&backend, &mut client);
}

#[test]
fn change_to_a_stricter_user_behind_one_that_was_permitted_is_refused() {
    let (backend, proxy) = start();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    for _ in 0..2 {
        client.command(&ChangeUser::to("app").payload());
        assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    }
    client.command(&ChangeUser::to("strict").payload());
    expect_refused_change(&backend, &mut client);
}
