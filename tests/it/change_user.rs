//! `COM_CHANGE_USER` is a login on the same connection: judged again, rebuilt, and never ahead of other commands.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Conversation, Event};
use crate::support::handshake::{ChangeUser, Greeting, Login};
use crate::support::packet::{err, packet};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy};

const ACCOUNTS: &str =
    "accounts: [{ user: \"'strict'@'%'\", require: X509 }, { user: \"'app'@'%'\", require: NONE }]";

fn start(server: Server) -> (Backend, Proxy) {
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(ACCOUNTS));
    (backend, proxy)
}

/// The first `COM_CHANGE_USER` that reached the backend.
#[track_caller]
fn seen(backend: &Backend) -> ChangeUser {
    backend.wait_for("COM_CHANGE_USER", |events| {
        events.iter().find_map(|event| match event {
            Event::ChangeUser(change) => Some(change.clone()),
            _ => None,
        })
    })
}

fn saw_none(backend: &Backend) -> bool {
    !backend
        .events()
        .iter()
        .flatten()
        .any(|event| matches!(event, Event::ChangeUser(_)))
}

#[test]
fn change_to_a_stricter_user_is_refused_and_ends_the_session() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("strict").payload());
    client.expect_access_denied(1, "strict");
    client.expect_clean_end();
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(saw_none(&backend), "the backend saw it: {events:#?}");
    let quit = |event: &Event| matches!(event, Event::Command(command) if command.payload == [1]);
    assert!(
        events.iter().any(quit),
        "the server counts an aborted client: {events:#?}"
    );
}

#[test]
fn change_to_a_stricter_user_behind_pipelined_queries_is_refused_after_their_answers() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let change = ChangeUser::to("strict").payload();
    let all = [
        packet(0, b"\x03SELECT 1"),
        packet(0, b"\x03SELECT 2"),
        packet(0, &change),
        packet(0, b"\x03SELECT 3"),
    ];
    client.send_raw(&all.concat());
    client.expect_echo("SELECT 1");
    client.expect_echo("SELECT 2");
    client.sequence = 1;
    assert_eq!(client.error().code, 1045);
    client.expect_end();
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(saw_none(&backend), "the backend saw it: {events:#?}");
    let third =
        |event: &Event| matches!(event, Event::Command(command) if command.payload.ends_with(b"3"));
    assert!(
        !events.iter().any(third),
        "a command behind it was forwarded"
    );
}

#[test]
fn change_with_a_certificate_meets_x509() {
    let (backend, proxy) = start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let tls = PKI.client_tls(Some(&PKI.client));
    let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    client.command(&ChangeUser::to("strict").payload());
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    assert_eq!(seen(&backend).user, b"strict");
}

/// What was judged is what is sent: rebuilt, with our attributes, and without the client's answer.
#[test]
fn change_is_rebuilt_for_the_backend() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let mut change = ChangeUser::to("other");
    change.auth = [PASSWORD.as_bytes(), b"\0"].concat();
    change.plugin = Some("mysql_clear_password".to_owned());
    change.database = b"shop".to_vec();
    change
        .attributes
        .push(("_mytls_client_addr".to_owned(), "10.0.0.1".to_owned()));
    client.command(&change.payload());
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    let seen = seen(&backend);
    assert_eq!(
        (&seen.user[..], &seen.database[..]),
        (&b"other"[..], &b"shop"[..])
    );
    assert_eq!(seen.auth.len(), 20, "filler and no password");
    assert!(!change.auth.starts_with(&seen.auth));
    assert!(seen.charset.is_some());
    let plugin = seen.plugin.expect("a plugin name");
    assert!(
        !plugin.is_empty() && !plugin.starts_with("mysql_"),
        "{plugin}"
    );
    let addresses: Vec<_> = seen
        .attributes
        .iter()
        .filter(|(key, _)| key == "_mytls_client_addr")
        .collect();
    assert_eq!(addresses.len(), 1, "{:?}", seen.attributes);
    assert!(addresses[0].1.starts_with("127.0.0.1"));
    assert!(
        seen.attributes[0].0.starts_with("_mytls_"),
        "ours stand first: {:?}",
        seen.attributes
    );
    assert!(
        seen.attributes
            .contains(&("_client_name".to_owned(), "raw".to_owned()))
    );
}

/// Servers strip quotes at login only. A name that keeps them cannot be told from one that lost them, so it is refused.
#[test]
fn change_to_a_name_in_quotes_is_refused() {
    for name in ["'strict'", "'app'"] {
        let (backend, proxy) = start(Server::mysql());
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        client.command(&ChangeUser::to(name).payload());
        assert_eq!(client.error().code, 1045, "{name}");
        client.expect_end();
        assert!(saw_none(&backend), "{name}");
    }
}

#[test]
fn change_without_a_character_set_is_malformed() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let change = ChangeUser {
        charset: None,
        ..ChangeUser::to("other")
    };
    client.command(&change.payload());
    assert_eq!(client.error().code, 1043);
    client.expect_end();
    assert!(saw_none(&backend));
}

#[test]
fn change_with_a_name_that_cannot_be_decoded_is_refused() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let change = ChangeUser {
        user: b"caf\xe9".to_vec(),
        ..ChangeUser::to("")
    };
    client.command(&change.payload());
    assert_eq!(client.error().code, 1045);
    client.expect_end();
    assert!(saw_none(&backend));
}

#[test]
fn change_works_with_every_plugin() {
    for plugin in [
        Plugin::Native,
        Plugin::CachingSha2Warm,
        Plugin::Ed25519,
        Plugin::Parsec,
    ] {
        let (_backend, proxy) = start(Server::mysql().plugin(plugin));
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        for user in ["one", "two"] {
            client.command(&ChangeUser::to(user).payload());
            let last = client.authenticate(plugin.client());
            assert!(last.is_ok(), "{plugin:?}: {:?}", last.error());
            client.query("SELECT 1");
            client.expect_echo("SELECT 1");
        }
    }
}

/// MariaDB's connectors end the packet behind the character set where they have no plugin to name.
#[test]
fn plugin_and_attributes_may_be_missing_at_the_end() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(
        &ChangeUser {
            plugin: None,
            ..ChangeUser::to("other")
        }
        .payload(),
    );
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    let seen = seen(&backend);
    assert!(
        seen.plugin.is_some(),
        "the backend is always named a plugin"
    );
    assert!(
        !seen.attributes.is_empty(),
        "without attributes MySQL refuses a client that had them"
    );
}

#[test]
fn malformed_change_ends_the_session() {
    let whole = ChangeUser::to("other").payload();
    let mut lying_length = whole.clone();
    lying_length[7] = 0xfa;
    for bytes in [&whole[..1], &whole[..4], &whole[..12], &lying_length] {
        let (backend, proxy) = start(Server::mysql());
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        client.command(bytes);
        let error = client.error();
        assert!([1043, 1835].contains(&error.code), "{error:?}");
        client.expect_end();
        assert!(saw_none(&backend));
    }
}

/// Nobody needs a change of user of 16 MiB.
#[test]
fn oversized_change_ends_the_session() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(&[0xff, 0xff, 0xff, 0, 0x11]);
    // The rest never comes: the header is enough.
    client.sequence = 1;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    client.expect_end();
    assert!(saw_none(&backend));
}

#[test]
fn commands_behind_a_change_wait_for_it() {
    let (_backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(
        &[
            packet(0, b"\x03SELECT 1"),
            packet(0, &ChangeUser::to("other").payload()),
        ]
        .concat(),
    );
    client.expect_echo("SELECT 1");
    client.sequence = 1;
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    client.query("SELECT 2");
    client.expect_echo("SELECT 2");
}

/// The server would take it for the answer to its plugin.
#[test]
fn command_sent_before_the_change_was_answered_is_not_forwarded() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let change = ChangeUser::to("other").payload();
    client.send_raw(&[packet(0, &change), packet(0, b"\x03DROP TABLE t")].concat());
    client.expect_end();
    let events = backend.closed_within(Duration::from_secs(5));
    let forwarded = |event: &Event| match event {
        Event::Command(command) => command.payload.starts_with(b"\x03"),
        Event::AuthPacket(answer) => answer.starts_with(b"\x03"),
        _ => false,
    };
    assert!(!events.iter().any(forwarded), "{events:#?}");
}

#[test]
fn change_to_an_account_with_a_clear_text_plugin_is_not_passed_to_an_insecure_client() {
    let server = Server::mysql().on_command(|conversation, command| {
        if command.payload.first() != Some(&0x11) {
            return Ok(Answer::Ordinary);
        }
        Plugin::Clear.serve(conversation).map(|()| Answer::Close)
    });
    let (backend, proxy) = start(server);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    client.error();
    client.expect_end();
    backend.expect_ended_handshake_within(Duration::from_secs(5));
}

/// Refuses every `COM_CHANGE_USER` after its plugin's turn.
fn refuse_changes(conversation: &mut Conversation) -> std::io::Result<()> {
    conversation.switch("mysql_native_password", b"backend-salt-20bytes\0")?;
    conversation.read()?;
    conversation.refuse()
}

/// MariaDB stays logged in as the old user, and so do we: under the old rule.
#[test]
fn change_that_mariadb_refuses_leaves_the_old_user() {
    let server = Server::greeting(&Greeting::mariadb()).on_command(|conversation, command| {
        if command.payload.first() == Some(&0x11) {
            return refuse_changes(conversation).map(|()| Answer::Done);
        }
        Ok(Answer::Ordinary)
    });
    let (backend, proxy) = start(server);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    let refused = client.authenticate(ClientPlugin::with_password());
    assert_eq!(refused.error().map(|error| error.code), Some(1045));
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    client.command(&[0x01]);
    client.expect_end();
    backend.closed_within(Duration::from_secs(5));
    let line = proxy.session_line();
    assert!(
        line.contains("app") && !line.contains("other"),
        "the session is still the old user's: {line}"
    );
}

/// MySQL 9.7 closes.
#[test]
fn change_that_mysql_refuses_ends_the_session() {
    let server = Server::mysql().on_command(|conversation, command| {
        if command.payload.first() == Some(&0x11) {
            return refuse_changes(conversation).map(|()| Answer::Close);
        }
        Ok(Answer::Ordinary)
    });
    let (_backend, proxy) = start(server);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    let refused = client.authenticate(ClientPlugin::with_password());
    assert_eq!(refused.error().map(|error| error.code), Some(1045));
    client.expect_end();
}

/// A refusal without any plugin's turn, as TiDB answers for a user that does not exist.
#[test]
fn change_that_is_refused_at_once_is_relayed() {
    let server = Server::mysql().on_command(|conversation, command| {
        if command.payload.first() == Some(&0x11) {
            conversation.send(&err(1045, "28000", "Access denied"))?;
            return Ok(Answer::Close);
        }
        Ok(Answer::Ordinary)
    });
    let (_backend, proxy) = start(server);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    let error = client.error();
    assert_eq!(
        (error.sequence, error.message.as_str()),
        (1, "Access denied")
    );
}

/// Otherwise the change of user could be done with no password at all.
#[test]
fn ok_to_a_change_without_any_plugin_ends_the_session() {
    let server = Server::mysql().on_command(|conversation, command| {
        if command.payload.first() == Some(&0x11) {
            return conversation.welcome().map(|()| Answer::Done);
        }
        Ok(Answer::Ordinary)
    });
    let (_backend, proxy) = start(server);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    let packet = client.wire.read_packet();
    assert!(
        !packet.is_ok_and(|packet| packet.is_ok()),
        "the OK was relayed"
    );
}

#[test]
fn kill_within_a_change_ends_it_and_the_backends_handshake() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(admin::config(&backend, ""));
    let mut operator = admin::log_in(&proxy);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    admin::kill_the_only_session(&mut operator);
    client.expect_clean_end();
    backend.expect_ended_handshake_within(Duration::from_secs(5));
    assert!(proxy.session_line().contains("ended by KILL"));
}

#[test]
fn client_that_vanishes_within_a_change_ends_the_backends_handshake() {
    let (backend, proxy) = start(Server::mysql());
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.command(&ChangeUser::to("other").payload());
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    drop(client);
    backend.expect_ended_handshake_within(Duration::from_secs(5));
}

/// A server that hangs takes no command; the session must still end, however much of the change it has not taken.
#[test]
fn change_that_the_backend_does_not_take_is_ended_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everybody).expect("open to another OS user");
    let going_on = Arc::new(Mutex::new(()));
    let hanging = going_on.lock().expect("nobody has panicked");
    let server = Server::mysql().on_command({
        let going_on = Arc::clone(&going_on);
        move |_, _| {
            drop(going_on.lock());
            Ok(Answer::Close)
        }
    });
    let backend = Backend::start_unix(&folder.path().join("server.sock"), server);
    let config = Config::before(&backend).never_as_root();
    let proxy = Proxy::start(config.with("limits: { login-time: 2s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    // COM_STMT_SEND_LONG_DATA, which has no answer: the server hangs at the first, the socket takes the second, and not the change
    for bytes in [0, 150_000] {
        client.command(&[&[0x18, 1, 0, 0, 0, 0, 0][..], &vec![b'x'; bytes]].concat());
    }
    let change = ChangeUser {
        database: vec![b'x'; 120_000],
        ..ChangeUser::to("other")
    };
    client.command(&change.payload());
    assert_eq!(client.error().code_and_state(), (1159, "08S01"));
    client.expect_clean_end();
    drop(hanging);
}
