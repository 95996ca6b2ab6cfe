//! The name that is judged is the name that the backend reads.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{Greeting, Login};
use crate::support::proxy::{Config, Proxy};

/// Sends this login packet in plaintext and expects an ERR; the backend must hear of none of it.
#[track_caller]
fn check_refused(greeting: &Greeting, login: &Login, accounts: &str, code: u16, case: &str) {
    let backend = Backend::start(Server::greeting(greeting));
    let proxy = Proxy::start(Config::before(&backend).with(accounts));
    let dials = backend.dials();
    let mut client = Client::greeted(proxy.address);
    client.send_login(login);
    let error = client.error();
    assert_eq!((error.sequence, error.code), (2, code), "{case}: {error:?}");
    client.expect_clean_end();
    assert_eq!(backend.dials(), dials, "{case}: the backend was dialled");
}

/// Logs in with this user name and gives the name that the backend read.
#[track_caller]
fn name_at_backend(greeting: &Greeting, login: &Login) -> (Vec<u8>, u8) {
    let backend = Backend::start(Server::greeting(greeting));
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in(proxy.address, login);
    let seen = backend.login();
    (seen.user, seen.charset)
}

const STRICT: &str = "accounts: [{ user: \"'strict'@'%'\", require: X509 }]";

/// Every server strips one pair: `'strict'` logs in as strict.
#[test]
fn quotes_around_a_name_do_not_hide_it_from_the_rules() {
    check_refused(
        &Greeting::mysql(),
        &Login::of("'strict'"),
        STRICT,
        1045,
        "quoted",
    );
}

#[test]
fn name_is_sent_on_without_its_quotes() {
    assert_eq!(
        name_at_backend(&Greeting::mysql(), &Login::of("'app'")).0,
        b"app"
    );
}

/// latin1: E9 is é, as is C3 A9 in utf8mb4. What was judged is what is sent.
#[test]
fn name_in_latin1_is_judged_by_its_characters() {
    let mut login = Login::of("");
    login.user = b"caf\xe9".to_vec();
    login.charset = 8;
    check_refused(
        &Greeting::mysql(),
        &login,
        "accounts: [{ user: \"'café'@'%'\", require: X509 }]",
        1045,
        "latin1",
    );
}

#[test]
fn name_in_latin1_reaches_the_backend_as_the_same_characters() {
    let mut login = Login::of("");
    login.user = b"caf\xe9".to_vec();
    login.charset = 8;
    let (name, charset) = name_at_backend(&Greeting::mysql(), &login);
    let in_latin1 = charset == 8 && name == b"caf\xe9";
    let in_utf8 = [33, 45, 46, 192, 224, 255].contains(&charset) && name == "café".as_bytes();
    assert!(in_latin1 || in_utf8, "{name:?} in character set {charset}");
}

#[test]
fn name_that_cannot_be_decoded_is_refused() {
    let mut login = Login::of("");
    login.user = b"caf\xe9".to_vec(); // not UTF-8
    check_refused(&Greeting::mysql(), &login, "", 1045, "broken UTF-8");
}

#[test]
fn name_in_a_character_set_that_nobody_knows_is_refused() {
    let mut login = Login::of("caf\u{e9}");
    login.charset = 251; // assigned to no collation
    check_refused(
        &Greeting::mysql(),
        &login,
        "",
        1045,
        "unknown character set",
    );
}

/// Servers turn such a character into `?`: `a😀` would log in as `a?`.
#[test]
fn name_with_a_character_above_the_basic_plane_is_refused() {
    check_refused(&Greeting::mysql(), &Login::of("a😀"), "", 1045, "emoji");
}

#[test]
fn name_of_32_characters_passes_mysql_and_33_do_not() {
    let longest = "ä".repeat(32);
    assert_eq!(
        name_at_backend(&Greeting::mysql(), &Login::of(&longest)).0,
        longest.as_bytes()
    );
    check_refused(
        &Greeting::mysql(),
        &Login::of(&"a".repeat(33)),
        "",
        1045,
        "33 characters",
    );
}

/// MariaDB clips: a name of 129 characters would log in as its first 128.
#[test]
fn name_of_128_characters_passes_mariadb_and_129_do_not() {
    let longest = "a".repeat(128);
    let mut login = Login::of(&longest);
    login.charset = 45;
    assert_eq!(
        name_at_backend(&Greeting::mariadb(), &login).0,
        longest.as_bytes()
    );
    login.user.push(b'a');
    check_refused(&Greeting::mariadb(), &login, "", 1045, "129 characters");
}
