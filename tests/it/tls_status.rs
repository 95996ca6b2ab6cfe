//! What a session is told of its TLS: the client's side of it, whatever the backend's is.
//!
//! The scripted backend answers a query with its own text, so the answer shows what the backend was asked. What real
//! servers make of it is in `tests/lab`.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{Greeting, Login};
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy};

/// The text that the backend is asked when a client says `sql`.
#[track_caller]
fn asked(client: &mut Client, sql: &str) -> String {
    client.query(sql);
    let row = client.read_answer(4).swap_remove(2).payload;
    // the value's length stands in front of it
    let start = if row[0] < 251 { 1 } else { 3 };
    String::from_utf8(row[start..].to_vec()).expect("a text")
}

/// What a variable is said to be in the statement that the backend is asked.
#[track_caller]
fn value<'a>(asked: &'a str, name: &str) -> &'a str {
    let (_, behind) = asked
        .split_once(&format!("WHEN '{name}' THEN '"))
        .unwrap_or_else(|| panic!("no {name} in {asked}"));
    behind.split('\'').next().expect("a quote")
}

fn start(server: Server, lines: &str) -> (Backend, Proxy) {
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(lines));
    (backend, proxy)
}

const SHOW: &str = "SHOW SESSION STATUS LIKE 'Ssl_%'";

#[test]
fn with_the_backends_side_wanted_nothing_is_changed() {
    let (_backend, proxy) = start(Server::mysql(), "tls-status: backend");
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    for sql in [
        SHOW,
        "SELECT * FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
    ] {
        assert_eq!(asked(&mut client, sql), sql);
    }
}

#[test]
fn other_questions_go_on_unchanged() {
    let (_backend, proxy) = start(Server::mysql(), "");
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    for sql in [
        "SHOW STATUS",
        "SHOW STATUS LIKE 'Threads%'",
        "SHOW VARIABLES LIKE 'ssl%'",
        "SHOW STATUS LIKE 'Ssl%'; SELECT 1",
        r"SHOW STATUS LIKE 'Ssl\'%'",
        "SHOW STATUS LIKE 'Ssl%' /*! x */",
        "SHOW STATUS LIKE 'Ssl\u{e9}'",
        "SELECT 'Ssl_cipher'",
        "SELECT * FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Uptime'",
        "SELECT * FROM performance_schema.tls_channel_status WHERE PROPERTY LIKE 'ssl%'",
    ] {
        assert_eq!(asked(&mut client, sql), sql);
    }
}

/// The backend has TLS, the client has none: a client must not think that it has.
#[test]
fn a_client_in_plaintext_is_told_so() {
    let server = Server::mysql().tls(PKI.backend_tls(&PKI.server));
    let (_backend, proxy) = start(server, "");
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let told = asked(&mut client, SHOW);
    for (name, expected) in [
        ("Ssl_cipher", ""),
        ("Ssl_cipher_list", ""),
        ("Ssl_version", ""),
        ("Ssl_verify_mode", "0"),
        ("Ssl_verify_depth", "0"),
        ("Ssl_default_timeout", "0"),
        ("Ssl_sessions_reused", "0"),
    ] {
        assert_eq!(value(&told, name), expected, "{name}");
    }
    assert!(value(&told, "Ssl_server_not_after").ends_with(" GMT"));
}

#[test]
fn a_client_with_tls_is_told_of_its_own() {
    let (_backend, proxy) = start(Server::mysql(), "");
    let tls = PKI.resuming_client_tls(Some(&PKI.client));
    for resumed in ["0", "1"] {
        let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
        let told = asked(&mut client, SHOW);
        assert_eq!(value(&told, "Ssl_version"), "TLSv1.3");
        let cipher = value(&told, "Ssl_cipher");
        assert!(cipher.starts_with("TLS_"), "{cipher}");
        let list = value(&told, "Ssl_cipher_list");
        assert!(list.split(':').any(|each| each == cipher), "{list}");
        assert!(list.contains(":ECDHE-RSA-AES128-GCM-SHA256"), "{list}");
        assert_eq!(value(&told, "Ssl_verify_mode"), "5");
        assert_eq!(value(&told, "Ssl_verify_depth"), "18446744073709551615");
        assert_eq!(value(&told, "Ssl_sessions_reused"), resumed);
        // TLS 1.3 tickets come behind the login
        drop(client);
    }
}

/// Names and tables differ between servers; what is asked for stays the client's text.
#[test]
fn each_kind_of_server_is_asked_in_its_own_way() {
    for (greeting, table) in [
        (Greeting::mysql(), "FROM performance_schema.session_status)"),
        (
            Greeting::mariadb(),
            "FROM information_schema.session_status)",
        ),
        (Greeting::tidb(), "SELECT _utf8mb4'Ssl_version' COLLATE"),
    ] {
        let (_backend, proxy) = start(Server::greeting(&greeting), "");
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        let told = asked(&mut client, SHOW);
        assert!(told.contains(table), "{told}");
        assert!(told.ends_with(" AS session_status WHERE Variable_name LIKE 'Ssl_%'"));
    }
}
