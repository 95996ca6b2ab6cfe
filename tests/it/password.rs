//! A password that `caching_sha2_password` or `sha256_password` asks for, between a secure and an insecure side: encrypted
//! for mytls or by mytls, and never in clear where somebody could read it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Conversation, Event};
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::{err, ok};
use crate::support::pki::PKI;
use crate::support::plugin::{
    CACHING_SHA2_KEY_REQUEST, ClientPlugin, PASSWORD, Plugin, SALT, SHA256_KEY_REQUEST,
};
use crate::support::proxy::{Config, Proxy};
use crate::support::rsa::{SERVER_KEY, encrypt};
use crate::support::wire::Transport;

const SOON: Duration = Duration::from_secs(5);

/// The two plugins that ask for the password itself, and how a client asks for the key there.
const PLUGINS: [(Plugin, u8); 2] = [
    (Plugin::CachingSha2Full, CACHING_SHA2_KEY_REQUEST),
    (Plugin::Sha256, SHA256_KEY_REQUEST),
];

/// A backend on such a side, mytls before it on a port and on a Unix socket, and the folder that they are in.
fn start(side: Transport, server: Server) -> (Backend, Proxy, TempDir) {
    let folder = tempfile::tempdir().expect("make a folder");
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everybody).expect("open the folder to another OS user");
    let backend = match side {
        Transport::Plaintext => Backend::start(server),
        Transport::Tls => Backend::start(server.tls(PKI.backend_tls(&PKI.server))),
        Transport::UnixSocket => Backend::start_unix(&folder.path().join("mysqld.sock"), server),
    };
    let config = Config::before(&backend)
        .unix_socket()
        .never_as_root()
        .with("log: { level: trace }");
    (backend, Proxy::start(config), folder)
}

/// A client on such a side that has sent its login.
fn client(side: Transport, proxy: &Proxy) -> Client {
    let login = Login::of("app");
    let mut client = match side {
        Transport::UnixSocket => Client::connect_unix(&proxy.unix_socket()),
        Transport::Plaintext | Transport::Tls => Client::connect(proxy.address),
    };
    client.greeting();
    if side == Transport::Tls {
        client.start_tls(&login, &PKI.client_tls(None));
    }
    client.send_login(&login);
    client
}

/// Up to where the password is asked for.
fn asked(client: &mut Client, plugin: Plugin) {
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    if plugin == Plugin::CachingSha2Full {
        client.send(&[7; 32]);
        assert_eq!(client.read().payload, [0x01, 0x04]);
    }
}

/// The key that mytls gives to a client on an insecure side.
fn key_of_mytls(client: &mut Client, key_request: u8) -> Vec<u8> {
    client.send(&[key_request]);
    let packet = client.read();
    let pem = packet.payload.strip_prefix(&[0x01]).expect("AuthMoreData");
    assert!(pem.starts_with(b"-----BEGIN PUBLIC KEY-----\n"));
    assert!(pem.ends_with(b"\n-----END PUBLIC KEY-----\n"));
    pem.to_vec()
}

fn password_and_nul() -> Vec<u8> {
    [PASSWORD.as_bytes(), b"\0"].concat()
}

/// The client's packets that reached the backend at a login.
fn answers(events: &[Event]) -> Vec<&[u8]> {
    let answers = events.iter().filter_map(|event| match event {
        Event::AuthPacket(bytes) => Some(&bytes[..]),
        _ => None,
    });
    answers.collect()
}

/// Neither as text nor as Rust shows bytes.
fn check_log(proxy: &Proxy) {
    let log = proxy.log();
    let as_numbers = format!("{:?}", PASSWORD.as_bytes());
    for trace in [PASSWORD, as_numbers.trim_matches(['[', ']'])] {
        assert!(!log.contains(trace), "a password is in the log:\n{log}");
    }
}

// ---- a client in plaintext before a backend with TLS ---------------------------------------------------------------

/// No answer tells what was wrong with it: the backend is asked with a wrong password, and its refusal is handed on.
#[test]
fn what_is_not_the_password_encrypted_for_us_is_a_wrong_password() {
    let other_salt = b"another-salt-20bytes";
    for (plugin, key_request) in PLUGINS {
        let (backend, proxy, _folder) = start(Transport::Tls, Server::mysql().plugin(plugin));
        let mut first = client(Transport::Plaintext, &proxy);
        asked(&mut first, plugin);
        let pem = key_of_mytls(&mut first, key_request);
        let garbage: [(&str, Vec<u8>); 11] = [
            ("nothing", Vec::new()),
            ("the question again", vec![key_request]),
            ("the password in clear", password_and_nul()),
            ("bytes", vec![0x55; 256]),
            ("too few bytes", vec![0x55; 255]),
            ("too many bytes", vec![0x55; 4096]),
            (
                "for another key",
                encrypt(SERVER_KEY.public_pem.as_bytes(), &password_and_nul(), SALT),
            ),
            (
                "with another salt",
                encrypt(&pem, &password_and_nul(), other_salt),
            ),
            ("without NUL", encrypt(&pem, PASSWORD.as_bytes(), SALT)),
            (
                "with more behind the NUL",
                encrypt(&pem, &[&password_and_nul()[..], b"more\0"].concat(), SALT),
            ),
            ("only NUL", encrypt(&pem, b"\0", SALT)),
        ];
        for (what, answer) in garbage {
            let mut client = client(Transport::Plaintext, &proxy);
            asked(&mut client, plugin);
            key_of_mytls(&mut client, key_request);
            client.send(&answer);
            let error = client.error();
            assert_eq!(
                error.code_and_state(),
                (1045, "28000"),
                "{plugin:?}: {what}"
            );
        }
        drop(first);
        let sent = backend.events().concat();
        for answer in answers(&sent) {
            let is_wrong =
                answer.len() > 8 && answer.ends_with(b"\0") && answer != password_and_nul();
            assert!(
                is_wrong || answer == [7; 32] || answer == [0],
                "no plausible password: {answer:?}"
            );
        }
        check_log(&proxy);
    }
}

#[test]
fn wrong_password_is_refused_by_the_backend() {
    for (plugin, _) in PLUGINS {
        let (_backend, proxy, _folder) = start(Transport::Tls, Server::mysql().plugin(plugin));
        let mut client = client(Transport::Plaintext, &proxy);
        let refused = client.authenticate(ClientPlugin::with("not it"));
        let error = refused.error().expect("an ERR");
        assert_eq!(error.code_and_state(), (1045, "28000"), "{plugin:?}");
    }
}

/// Nothing else is asked of the backend then, and its handshake is not cut.
#[test]
fn client_that_vanishes_with_our_key_is_a_refused_login_to_the_backend() {
    for (plugin, key_request) in PLUGINS {
        let (backend, proxy, _folder) = start(Transport::Tls, Server::mysql().plugin(plugin));
        let mut client = client(Transport::Plaintext, &proxy);
        asked(&mut client, plugin);
        key_of_mytls(&mut client, key_request);
        drop(client);
        let events = backend.closed_within(SOON);
        assert_eq!(answers(&events).last(), Some(&&[0][..]), "{events:#?}");
    }
}

/// The salt is what binds an encrypted password to its login.
#[test]
fn switch_with_too_short_a_salt_is_no_login_on_mixed_sides() {
    for side in [Transport::Plaintext, Transport::Tls] {
        let server = Server::mysql().on_login(|conversation| {
            conversation.switch("sha256_password", b"short\0")?;
            conversation.read()?;
            conversation.refuse()
        });
        let (backend, proxy, _folder) = start(side, server);
        let client_side = if side == Transport::Tls {
            Transport::Plaintext
        } else {
            Transport::Tls
        };
        let mut client = client(client_side, &proxy);
        client.read();
        client.send(&password_and_nul());
        assert_eq!(client.error().code, 1043);
        let events = backend.closed_within(SOON);
        assert_eq!(answers(&events), [[0]], "{events:#?}");
    }
}

#[test]
fn key_of_mytls_is_the_same_for_all_and_a_client_may_have_pinned_it() {
    let (backend, proxy, _folder) = start(Transport::Tls, Server::mysql().plugin(Plugin::Sha256));
    let [first, second] = [(); 2].map(|()| {
        let mut client = client(Transport::Plaintext, &proxy);
        asked(&mut client, Plugin::Sha256);
        key_of_mytls(&mut client, SHA256_KEY_REQUEST)
    });
    assert_eq!(first, second);
    let mut client = client(Transport::Plaintext, &proxy);
    let pinned = ClientPlugin::with_password().pinned(&first);
    assert!(client.authenticate(pinned).is_ok());
    let events = backend.wait_for("a login", |events| {
        events.contains(&Event::LoggedIn).then(|| events.to_vec())
    });
    assert_eq!(answers(&events), [password_and_nul()]);
}

// ---- a client with TLS or on a Unix socket before a backend in plaintext -------------------------------------------

/// The server's part up to where it is asked for its key, then `answer`.
fn without_key(
    answer: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
) -> Server {
    Server::mysql().on_login(move |conversation| {
        conversation.switch("caching_sha2_password", b"backend-salt-20bytes\0")?;
        conversation.read()?;
        conversation.more(&[0x04])?;
        if conversation.read()? != [CACHING_SHA2_KEY_REQUEST] {
            return conversation.refuse();
        }
        answer(conversation)?;
        // what still comes is written down
        conversation.read()?;
        conversation.refuse()
    })
}

/// TiDB takes the question for the password, and refuses it.
#[test]
fn backend_that_refuses_the_question_for_its_key_gets_no_password() {
    let tidb = |conversation: &mut Conversation| {
        conversation.send(&err(
            1045,
            "28000",
            "Access denied for user 'app'@'10.0.0.1'",
        ))
    };
    let (backend, proxy, _folder) = start(Transport::Plaintext, without_key(tidb));
    let mut client = client(Transport::Tls, &proxy);
    let refused = client.authenticate(ClientPlugin::with_password());
    let error = refused.error().expect("an ERR");
    assert_eq!(error.code_and_state(), (1045, "28000"));
    assert_eq!(error.message, "Access denied for user 'app'@'10.0.0.1'");
    let events = backend.closed_within(SOON);
    assert_eq!(
        answers(&events).last(),
        Some(&&[CACHING_SHA2_KEY_REQUEST][..])
    );
}

/// Its handshake is brought to an end: one that is cut counts towards `max_connect_errors`.
#[test]
fn backend_that_answers_the_question_for_its_key_with_something_else_gets_no_password() {
    let ec = rcgen::KeyPair::generate()
        .expect("make a key")
        .public_key_pem();
    let something: [Vec<u8>; 6] = [
        vec![0x01, 0x04],
        vec![0x01],
        b"\x01not a key".to_vec(),
        [b"\x01", ec.as_bytes()].concat(),
        SERVER_KEY.public_pem.as_bytes().to_vec(),
        b"\xfemysql_clear_password\0".to_vec(),
    ];
    for answer in something {
        let shown = format!("{answer:?}");
        let server = without_key(move |conversation| conversation.send(&answer));
        let (backend, proxy, _folder) = start(Transport::Plaintext, server);
        let mut client = client(Transport::Tls, &proxy);
        let refused = client.authenticate(ClientPlugin::with_password());
        let error = refused.error().expect("an ERR");
        assert_eq!(error.code_and_state(), (1045, "28000"), "{shown}");
        client.expect_clean_end();
        let events = backend.closed_within(SOON);
        assert_eq!(answers(&events).last(), Some(&&[0][..]), "{shown}");
        check_log(&proxy);
    }
}

/// Nobody has shown a password by then.
#[test]
fn backend_that_answers_the_question_for_its_key_with_ok_logs_nobody_in() {
    let server = without_key(|conversation| conversation.send(&ok(2)));
    let (backend, proxy, _folder) = start(Transport::Plaintext, server);
    let mut client = client(Transport::Tls, &proxy);
    let refused = client.authenticate(ClientPlugin::with_password());
    assert_eq!(refused.error().map(|error| error.code), Some(1045));
    let events = backend.closed_within(SOON);
    assert!(
        !answers(&events).contains(&&password_and_nul()[..]),
        "{events:#?}"
    );
}

/// What the server cannot decrypt to a password, it refuses itself.
#[test]
fn what_cannot_be_a_password_reaches_the_backend_as_a_wrong_one() {
    let too_long = [&[b'a'; 300][..], b"\0"].concat();
    for (plugin, key_request) in PLUGINS {
        for answer in [
            &too_long[..],
            PASSWORD.as_bytes(),
            b"two\0nuls\0",
            &[key_request],
        ] {
            let (backend, proxy, _folder) =
                start(Transport::Plaintext, Server::mysql().plugin(plugin));
            let mut client = client(Transport::Tls, &proxy);
            asked(&mut client, plugin);
            client.send(answer);
            let error = client.error();
            assert_eq!(error.code_and_state(), (1045, "28000"), "{plugin:?}");
            let events = backend.closed_within(SOON);
            let answers = answers(&events);
            let last = answers.last().expect("an answer");
            let plaintext = SERVER_KEY
                .decrypt(last, SALT)
                .expect("for the server's key");
            assert!(plaintext.len() > 1 && plaintext.ends_with(b"\0"));
        }
    }
}

#[test]
fn client_that_vanishes_while_the_key_is_asked_for_is_a_refused_login_to_the_backend() {
    let (send, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let server = without_key(move |conversation| {
        // until the client is gone
        let _ = gone.lock().expect("one connection").recv();
        conversation.more(SERVER_KEY.public_pem.as_bytes())
    });
    let (backend, proxy, _folder) = start(Transport::Plaintext, server);
    let mut client = client(Transport::Tls, &proxy);
    asked(&mut client, Plugin::CachingSha2Full);
    client.send(&password_and_nul());
    backend.wait_for("the question for the key", |events| {
        let asked = answers(events).contains(&&[CACHING_SHA2_KEY_REQUEST][..]);
        asked.then_some(())
    });
    drop(client);
    drop(send);
    let events = backend.closed_within(SOON);
    // no password, or, if the key was read first, the client's: whole either way
    let cut = matches!(events.last(), Some(Event::Failed(_)));
    assert!(!cut && !events.contains(&Event::LoggedIn), "{events:#?}");
}

// ---- every side with every other -----------------------------------------------------------------------------------

/// Sequence numbers are checked at both ends; they differ by what mytls says itself.
#[test]
fn password_passes_between_all_kinds_of_sides_at_login_and_in_a_change_of_user() {
    for (plugin, _) in PLUGINS {
        for backend_side in Transport::ALL {
            let (backend, proxy, _folder) = start(backend_side, Server::mysql().plugin(plugin));
            for client_side in Transport::ALL {
                let case = format!("{plugin:?}, {client_side:?} to {backend_side:?}");
                let mut client = client(client_side, &proxy);
                let last = client.authenticate(ClientPlugin::with_password());
                assert!(last.is_ok(), "{case}: {:?}", last.error());
                client.query("SELECT 1");
                client.expect_echo("SELECT 1");
                for user in ["one", "two"] {
                    client.command(&ChangeUser::to(user).payload());
                    let last = client.authenticate(ClientPlugin::with_password());
                    assert!(last.is_ok(), "{case}, change: {:?}", last.error());
                    client.query("SELECT 2");
                    client.expect_echo("SELECT 2");
                }
            }
            let clear = backend
                .events()
                .concat()
                .contains(&Event::AuthPacket(password_and_nul()));
            assert_eq!(
                clear,
                plugin.in_clear(backend_side),
                "{plugin:?}, {backend_side:?}"
            );
            check_log(&proxy);
        }
    }
}

#[test]
fn wrong_password_is_refused_between_all_kinds_of_sides() {
    for (plugin, _) in PLUGINS {
        for backend_side in Transport::ALL {
            let (_backend, proxy, _folder) = start(backend_side, Server::mysql().plugin(plugin));
            for client_side in Transport::ALL {
                let mut client = client(client_side, &proxy);
                let last = client.authenticate(ClientPlugin::with("not it"));
                let error = last.error().expect("an ERR");
                assert_eq!(
                    error.code, 1045,
                    "{plugin:?}, {client_side:?} to {backend_side:?}"
                );
            }
        }
    }
}

/// Clients say so with one NUL or with nothing; it needs no protection.
#[test]
fn empty_password_passes_between_all_kinds_of_sides() {
    let server = Server::mysql().on_login(|conversation| {
        conversation.switch("sha256_password", b"backend-salt-20bytes\0")?;
        if matches!(conversation.read()?[..], [] | [0]) {
            conversation.welcome()
        } else {
            conversation.refuse()
        }
    });
    for backend_side in Transport::ALL {
        let (_backend, proxy, _folder) = start(backend_side, server.clone());
        for client_side in Transport::ALL {
            for nothing in [&b"\0"[..], b""] {
                let mut client = client(client_side, &proxy);
                client.read();
                client.send(nothing);
                assert!(client.read().is_ok(), "{client_side:?} to {backend_side:?}");
            }
        }
    }
}
