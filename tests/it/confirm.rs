//! Where accounts are imported: the account that the server chose is asked for behind its OK, and judged before the client
//! hears of it.
//!
//! The texts are those of MySQL 9.7: `app@%` is `CURRENT_USER()`, `'proxy'@'%'` is `@@proxy_user`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Conversation, Event};
use crate::support::grants::{Grants, Reply};
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::{Packet, err, flag, packet, text};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy};

/// The user of these has a lax account for everybody and a strict one for where mytls may be.
const ACCOUNTS: [[&str; 7]; 6] = [
    ["app", "%", "", "", "", "", ""],
    ["app", "10.0.0.7", "X509", "", "", "", ""],
    ["app", "10.0.0.9", "", "", "", "", ""],
    ["proxy", "%", "", "", "", "", ""],
    ["strict", "%", "X509", "", "", "", ""],
    ["free", "%", "", "", "", "", ""],
];

/// What the server says when it is asked which account it chose.
#[derive(Debug, Clone)]
enum Says {
    /// A row; `None` is NULL.
    Row(&'static [Option<&'static str>]),
    /// An ERR.
    Error(u16),
    /// It knows no `@@proxy_user`; to `CURRENT_USER()` alone it says this.
    WithoutProxies(&'static str),
    /// Nothing ever.
    Nothing,
    /// It closes the connection.
    Closes,
}

/// The server's words: one for each question, the last for all that follow.
#[derive(Debug, Clone)]
struct Word(Arc<Mutex<Vec<Says>>>);

impl Word {
    fn new(says: &[Says]) -> Self {
        Self(Arc::new(Mutex::new(says.to_vec())))
    }

    fn next(&self) -> Says {
        let mut says = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if says.len() > 1 {
            says.remove(0)
        } else {
            says[0].clone()
        }
    }

    fn answer(
        &self,
        grants: &Grants,
        conversation: &mut Conversation,
        command: &Packet,
    ) -> io::Result<Answer> {
        if command.payload.first() == Some(&0x18) {
            // COM_STMT_SEND_LONG_DATA has no answer
            return Ok(Answer::Done);
        }
        if !asks_for_account(command) {
            return grants.answer(conversation, command);
        }
        match self.next() {
            Says::Row(values) => {
                let values: Vec<_> = values
                    .iter()
                    .map(|value| value.map(str::as_bytes))
                    .collect();
                conversation.send_row(&values)?;
            }
            Says::Error(code) => conversation.send(&err(code, "HY000", "the server's reason"))?,
            Says::WithoutProxies(account) => {
                if text(&command.payload).contains("@@proxy_user") {
                    conversation.send(&err(1193, "HY000", "Unknown system variable"))?;
                } else {
                    conversation.send_row(&[Some(account.as_bytes())])?;
                }
            }
            Says::Nothing => {}
            Says::Closes => return Ok(Answer::Close),
        }
        Ok(Answer::Done)
    }
}

fn asks_for_account(command: &Packet) -> bool {
    command.payload.first() == Some(&0x03) && text(&command.payload).contains("CURRENT_USER()")
}

/// A server with [`ACCOUNTS`] that says this of every session, and mytls before it.
fn start(says: Says) -> (Backend, Proxy) {
    start_with(&[says], "")
}

fn start_with(says: &[Says], lines: &str) -> (Backend, Proxy) {
    let (word, grants) = (Word::new(says), Grants::rows(&ACCOUNTS));
    let server = Server::mysql()
        .on_command(move |conversation, command| word.answer(&grants, conversation, command));
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}\n{lines}"
    )));
    proxy.wait_for_log("accounts are imported");
    (backend, proxy)
}

fn log_in(proxy: &Proxy, user: &str) -> (Client, Packet) {
    let mut client = Client::greeted(proxy.address);
    let login = Login::of(user);
    client.send_login(&login);
    let last = client.authenticate(ClientPlugin::with_password());
    (client, last)
}

/// The commands of the session's connection, in order.
fn commands(backend: &Backend, user: &str) -> Vec<String> {
    backend.wait_for("the session's end", |events| {
        let is_its = events
            .iter()
            .any(|event| matches!(event, Event::Login(login) if login.user == user.as_bytes()));
        let over = matches!(events.last(), Some(Event::Closed(_) | Event::Failed(_)));
        (is_its && over).then(|| {
            events
                .iter()
                .filter_map(|event| match event {
                    Event::Command(packet) => Some(text(&packet.payload)),
                    _ => None,
                })
                .collect()
        })
    })
}

/// Of the statements of the session, none that has this word came to the server.
#[track_caller]
fn assert_secret_never_came(backend: &Backend, user: &str) {
    let commands = commands(backend, user);
    assert!(
        !commands.iter().any(|command| command.contains("secret")),
        "{commands:?}"
    );
}

#[test]
fn an_account_that_the_client_does_not_meet_is_refused_behind_the_servers_ok() {
    for says in [
        // the server sees another address than ours
        Says::Row(&[Some("app@10.0.0.7"), None]),
        Says::WithoutProxies("app@10.0.0.7"),
        // the proxy user is lax, the account that it became is not, and the other way round
        Says::Row(&[Some("strict@%"), Some("'proxy'@'%'")]),
        Says::Row(&[Some("app@%"), Some("'strict'@'%'")]),
        // nothing that could be judged
        Says::Row(&[None, None]),
        Says::Row(&[Some("app"), None]),
        Says::Row(&[Some("app@%"), Some("proxy@%")]),
        Says::Row(&[Some("app@%"), None, None]),
        // not even the next import has it
        Says::Row(&[Some("app@10.0.0.8"), None]),
        Says::Row(&[Some("APP@%"), None]),
    ] {
        let (backend, proxy) = start(says.clone());
        let (mut client, last) = log_in(&proxy, "app");
        let error = last
            .error()
            .unwrap_or_else(|| panic!("let in with {says:?}"));
        assert_eq!(error.code_and_state(), (1045, "28000"), "{says:?}");
        assert_eq!(
            error.message, "Access denied for user 'app'@'127.0.0.1' (using password: YES)",
            "{says:?}"
        );
        client.expect_clean_end();
        // not cut but left
        let commands = commands(&backend, "app");
        assert_eq!(
            commands.last().map(String::as_str),
            Some("\u{1}"),
            "{says:?}: {commands:?}"
        );
    }
}

#[test]
fn what_the_server_refuses_to_say_is_said_to_the_client() {
    // a spent quota, a failed init_connect
    for code in [1226, 1184] {
        let (_backend, proxy) = start(Says::Error(code));
        let (mut client, last) = log_in(&proxy, "app");
        let error = last.error().expect("refused");
        assert_eq!(
            (error.code, error.message.as_str()),
            (code, "the server's reason")
        );
        client.expect_clean_end();
    }
}

#[test]
fn a_server_that_says_nothing_or_leaves_lets_nobody_in() {
    let (_backend, proxy) = start_with(&[Says::Nothing], "limits: {login-time: 1s}");
    let (_, last) = log_in(&proxy, "app");
    assert_eq!(last.error().expect("refused").code, 1159);
    let (_backend, proxy) = start(Says::Closes);
    let (_, last) = log_in(&proxy, "app");
    assert_eq!(last.error().expect("refused").code, 2013);
}

#[test]
fn users_that_the_import_does_not_hold_or_whose_account_refuses_cost_the_server_nothing() {
    let (backend, proxy) = start(Says::Row(&[Some("app@%"), None]));
    for user in ["strict", "nobody", "APP"] {
        let (_, last) = log_in(&proxy, user);
        assert_eq!(last.error().expect("refused").code, 1045, "{user}");
    }
    assert!(
        backend.logins().iter().all(|login| login.user == b"mytls"),
        "{:?}",
        backend.logins()
    );
}

#[test]
fn a_change_to_an_account_that_the_client_does_not_meet_ends_the_session() {
    let says = [
        Says::Row(&[Some("app@%"), None]),
        Says::Row(&[Some("strict@%"), None]),
    ];
    let (_backend, proxy) = start_with(&says, "");
    let (mut client, last) = log_in(&proxy, "app");
    assert!(last.is_ok(), "{last:?}");
    client.command(&ChangeUser::to("free").payload());
    let last = client.authenticate(ClientPlugin::with_password());
    assert_eq!(
        last.error().expect("refused").code_and_state(),
        (1045, "28000")
    );
    client.expect_clean_end();
}

#[test]
fn the_question_is_nothing_to_the_client() {
    for flags in [0, flag::DEPRECATE_EOF] {
        let says = [
            Says::Row(&[Some("app@%"), None]),
            Says::Row(&[Some("free@%"), Some("")]),
        ];
        let (backend, proxy) = start_with(&says, "");
        let mut client = Client::greeted(proxy.address);
        let login = Login::of("app").with_flags(flags, flag::DEPRECATE_EOF & !flags);
        client.send_login(&login);
        let last = client.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok(), "{last:?}");
        client.command(&[0x0e]);
        assert!(client.read().is_ok());
        // also a change of user is confirmed, by an account of its own
        client.command(&ChangeUser::to("free").payload());
        let last = client.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok(), "{last:?}");
        client.command(&[0x0e]);
        assert!(client.read().is_ok());
        client.command(&[0x01]);
        let commands = commands(&backend, "app");
        let asked = commands
            .iter()
            .filter(|each| each.contains("CURRENT_USER()"));
        assert_eq!(asked.count(), 2, "{commands:?}");
        assert!(
            proxy.session_line().contains("account=\"'free'@'%'\""),
            "{}",
            proxy.log()
        );
    }
}

#[test]
fn a_certificate_meets_the_account_that_the_server_chose() {
    let (word, grants) = (
        Word::new(&[Says::Row(&[Some("app@10.0.0.7"), None])]),
        Grants::rows(&ACCOUNTS),
    );
    let server = Server::mysql()
        .tls(PKI.backend_tls(&PKI.server))
        .on_command(move |conversation, command| word.answer(&grants, conversation, command));
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, hosts: ignore}}"
    )));
    let mut client = Client::logged_in_over_tls(
        proxy.address,
        &Login::of("app"),
        &PKI.client_tls(Some(&PKI.client)),
    );
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
}

/// It has a password, a lock and privileges of its own.
#[test]
fn an_account_that_is_not_the_one_for_the_clients_address_is_refused() {
    let says = Says::Row(&[Some("app@10.0.0.9"), None]);
    let (_backend, proxy) = start(says.clone());
    let (_, last) = log_in(&proxy, "app");
    assert_eq!(last.error().expect("refused").code, 1045);
    proxy.wait_for_log(
        "for the address of mytls the server chose imported 'app'@'10.0.0.9', for the client's it would be imported 'app'@'%'",
    );
}

#[test]
fn an_account_that_is_new_to_the_import_is_imported_at_once() {
    let grants = Grants::rows(&ACCOUNTS[..1]);
    let word = Word::new(&[Says::Row(&[Some("app@127.0.0.1"), None])]);
    let server = Server::mysql().on_command({
        let grants = grants.clone();
        move |conversation, command| word.answer(&grants, conversation, command)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}"
    )));
    proxy.wait_for_log("accounts are imported");
    grants.set(Reply::rows(&[
        ACCOUNTS[0],
        ["app", "127.0.0.1", "", "", "", "", ""],
    ]));
    let (_client, last) = log_in(&proxy, "app");
    assert!(last.is_ok(), "{:?}", last.error());
}

// ---- expired passwords ------------------------------------------------------------------------------------------------

#[test]
fn with_an_expired_password_every_account_of_the_name_must_permit() {
    let (_backend, proxy) = start(Says::Error(1820));
    let (_client, last) = log_in(&proxy, "app");
    assert_eq!(
        last.error().expect("refused").code,
        1045,
        "one account has REQUIRE X509"
    );
}

#[test]
fn once_the_password_is_new_the_server_is_asked_again() {
    let says = [
        Says::Error(1820),
        Says::Error(1820),
        Says::Row(&[Some("free@%"), None]),
    ];
    let (backend, proxy) = start_with(&says, "");
    let (mut client, last) = log_in(&proxy, "free");
    assert!(last.is_ok(), "{:?}", last.error());
    // still expired: the client is served all the same
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    client.query("ALTER USER USER() IDENTIFIED BY 'new'");
    client.expect_echo("ALTER USER USER() IDENTIFIED BY 'new'");
    for _ in 0..2 {
        client.query("SELECT 2");
        client.expect_echo("SELECT 2");
    }
    client.command(&[0x01]);
    let asked: Vec<_> = commands(&backend, "free")
        .iter()
        .map(|command| command.contains("CURRENT_USER()"))
        .collect();
    // behind the login and behind each answer, until it was told
    assert_eq!(asked, [true, false, true, false, true, false, false, false]);
}

#[test]
fn once_the_password_is_new_a_stricter_account_ends_the_session() {
    let says = [
        Says::Error(1820),
        Says::Row(&[Some("strict@%"), Some("'free'@'%'")]),
    ];
    let (backend, proxy) = start_with(&says, "");
    let (mut client, last) = log_in(&proxy, "free");
    assert!(last.is_ok(), "{:?}", last.error());
    client.query("ALTER USER USER() IDENTIFIED BY 'new'");
    client.expect_echo("ALTER USER USER() IDENTIFIED BY 'new'");
    // pushed to a client that says nothing, drivers would not show it
    client.query("SELECT 1");
    client.expect_access_denied(1, "free");
    client.expect_clean_end();
    let commands = commands(&backend, "free");
    assert_eq!(
        commands.last().map(String::as_str),
        Some("\u{1}"),
        "{commands:?}"
    );
    proxy.wait_for_log("after a new password: imported 'strict'@'%' has REQUIRE X509");
}

/// The server chose a strict account, and says so only once the password is new.
fn start_strict_behind_expired() -> (Backend, Proxy) {
    let says = [
        Says::Error(1820),
        Says::Row(&[Some("strict@%"), Some("'free'@'%'")]),
    ];
    start_with(&says, "")
}

#[test]
fn what_is_sent_behind_a_new_password_waits_for_the_server_to_be_asked() {
    let (backend, proxy) = start_strict_behind_expired();
    let (mut client, last) = log_in(&proxy, "free");
    assert!(last.is_ok(), "{:?}", last.error());
    let alter = "ALTER USER USER() IDENTIFIED BY 'new'";
    client.send_raw(
        &[
            packet(0, format!("\x03{alter}").as_bytes()),
            packet(0, b"\x03SELECT secret"),
            packet(0, b"\x0e"),
        ]
        .concat(),
    );
    client.expect_echo(alter);
    client.sequence = 1;
    let error = client.error();
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (1, (1045, "28000"))
    );
    client.expect_clean_end();
    assert_secret_never_came(&backend, "free");
}

/// Run on MySQL 9.7: a proxy user with an expired password reads as the account behind it in the same `COM_QUERY`.
#[test]
fn with_an_expired_password_the_server_gets_one_statement_at_a_time() {
    for several in [
        "ALTER USER USER() IDENTIFIED BY 'new'; SELECT secret",
        "ALTER USER USER() IDENTIFIED BY 'it''s'/*!;SELECT secret*/",
        r"ALTER USER USER() IDENTIFIED BY 'new\'; SELECT secret -- ",
        "ALTER USER USER() IDENTIFIED BY 'n\u{eb}w'; SELECT secret",
    ] {
        let (backend, proxy) = start(Says::Error(1820));
        let (mut client, last) = log_in(&proxy, "free");
        assert!(last.is_ok(), "{:?}", last.error());
        client.query(several);
        client.expect_echo("DO 1");
        // far too long to be looked at
        client.query(&format!("{several}{}", " ".repeat(5000)));
        assert_eq!(client.error().code, 1047);
        client.command(&[0x01]);
        assert_secret_never_came(&backend, "free");
    }
    let (_backend, proxy) = start(Says::Error(1820));
    let (mut client, _) = log_in(&proxy, "free");
    for single in [
        "ALTER USER USER() IDENTIFIED BY 'a;b' ; ",
        "ALTER USER USER() IDENTIFIED BY 'n\u{eb}w'",
        "SELECT 1 -- a; b",
    ] {
        client.query(single);
        client.expect_echo(single);
    }
}

#[test]
fn the_server_is_not_asked_within_a_command_of_the_client() {
    let (backend, proxy) = start(Says::Error(1820));
    let (mut client, last) = log_in(&proxy, "free");
    assert!(last.is_ok(), "{:?}", last.error());
    let long_data = packet(0, b"\x18\x01\0\0\0\0\0a part of a parameter");
    let (front, rest) = long_data.split_at(15);
    client.send_raw(&[&packet(0, b"\x0e"), front].concat());
    client.sequence = 1;
    assert!(client.read().is_ok());
    client.send_raw(&[rest, &packet(0, b"\x0e")].concat());
    client.sequence = 1;
    assert!(client.read().is_ok());
    client.command(&[0x01]);
    let commands = commands(&backend, "free");
    assert!(
        commands
            .iter()
            .any(|command| command.ends_with("\0\0a part of a parameter")),
        "{commands:?}"
    );
}

#[test]
fn an_expired_password_in_a_change_of_user_is_asked_about_like_one_at_login() {
    let says = [
        Says::Row(&[Some("app@%"), None]),
        Says::Error(1820),
        Says::Row(&[Some("strict@%"), Some("'free'@'%'")]),
    ];
    let (backend, proxy) = start_with(&says, "");
    let (mut client, last) = log_in(&proxy, "app");
    assert!(last.is_ok(), "{:?}", last.error());
    client.command(&ChangeUser::to("free").payload());
    let last = client.authenticate(ClientPlugin::with_password());
    assert!(last.is_ok(), "{:?}", last.error());
    client.send_raw(&[packet(0, b"\x0e"), packet(0, b"\x03SELECT secret")].concat());
    client.sequence = 1;
    assert!(client.read().is_ok());
    client.sequence = 1;
    assert_eq!(client.error().code, 1045);
    client.expect_clean_end();
    assert_secret_never_came(&backend, "app");
}

/// A server that is not MySQL keeps the old user then.
#[test]
fn a_change_of_user_that_is_refused_leaves_the_expired_password_to_be_asked_about() {
    let says = [
        Says::Error(1820),
        Says::Row(&[Some("strict@%"), Some("'free'@'%'")]),
    ];
    let (word, grants) = (Word::new(&says), Grants::rows(&ACCOUNTS));
    let server = Server::mysql().on_command(move |conversation, command| {
        if command.payload.first() == Some(&0x11) {
            conversation.refuse()?;
            return Ok(Answer::Done);
        }
        word.answer(&grants, conversation, command)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}"
    )));
    proxy.wait_for_log("accounts are imported");
    let (mut client, last) = log_in(&proxy, "free");
    assert!(last.is_ok(), "{:?}", last.error());
    client.command(&ChangeUser::to("proxy").payload());
    assert_eq!(client.error().code, 1045);
    client.send_raw(&[packet(0, b"\x0e"), packet(0, b"\x03SELECT secret")].concat());
    client.sequence = 1;
    assert!(client.read().is_ok());
    client.sequence = 1;
    assert_eq!(client.error().code, 1045);
    client.expect_clean_end();
    assert_secret_never_came(&backend, "free");
}
