//! What of a login the backend reads, and what never reaches it.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::flag;
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy};
use crate::support::wire::TlsPeer;

/// `mysql --default-auth=mysql_clear_password` puts the password into its first packet.
#[test]
fn nothing_that_the_client_sends_as_password_is_handed_on_unasked() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.plugin = Some("mysql_clear_password".to_owned());
    login.auth = [PASSWORD.as_bytes(), b"\0"].concat();
    Client::logged_in(proxy.address, &login);
    let seen = backend.login();
    assert_eq!(
        seen.auth.len(),
        20,
        "20 bytes stand for any password, so that the server says `using password: YES`"
    );
    let whole = seen.payload();
    assert!(
        !whole
            .windows(PASSWORD.len())
            .any(|window| window == PASSWORD.as_bytes())
    );
}

#[test]
fn client_without_a_password_sends_none_through_us() {
    let backend = Backend::start(Server::mysql().plugin(Plugin::Empty));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app").without_password());
    assert!(client.authenticate(Plugin::Empty.client()).is_ok());
    assert_eq!(backend.login().auth, b"");
}

/// The name of a plugin that it knows could let a server judge the filler as an answer.
#[test]
fn backend_is_offered_a_plugin_that_no_server_knows() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in(proxy.address, &Login::of("app"));
    let plugin = backend.login().plugin.expect("a plugin name");
    let known = [
        "",
        "mysql_native_password",
        "caching_sha2_password",
        "sha256_password",
        "mysql_clear_password",
        "client_ed25519",
        "parsec",
        "dialog",
        "auth_gssapi_client",
        "authentication_ldap_sasl_client",
        "authentication_webauthn_client",
        "mysql_old_password",
        "tidb_sm3_password",
        "tidb_auth_token",
    ];
    assert!(!known.contains(&plugin.as_str()), "{plugin}");
}

#[test]
fn database_and_flags_reach_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app").database("shop");
    Client::logged_in(proxy.address, &login);
    let seen = backend.login();
    assert_eq!(seen.database.as_deref(), Some(&b"shop"[..]));
    assert_eq!(seen.max_packet, login.max_packet);
    assert_eq!(seen.flags & flag::DEPRECATE_EOF, flag::DEPRECATE_EOF);
    assert_eq!(seen.flags & (flag::SSL | flag::COMPRESS | flag::ZSTD), 0);
    assert_eq!(seen.flags & 1, 1, "bit 0 is set");
    assert_eq!(seen.filler, [0; 23]);
}

/// mysql2 and Connector/Python do this.
#[test]
fn empty_database_name_is_no_database() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in(proxy.address, &Login::of("app").database(""));
    assert!(backend.login().database.is_none_or(|name| name.is_empty()));
}

/// libmysqlclient and mysql2 set bits that were never offered.
#[test]
fn flags_that_were_never_offered_do_not_reach_the_backend() {
    let backend = Backend::start(Server::greeting(&Greeting::tidb()));
    let proxy = Proxy::start(Config::before(&backend));
    let never_offered = 1 << 23 | 1 << 25 | 1 << 28 | flag::COMPRESS | flag::ZSTD; // tracking, metadata, factors
    Client::logged_in(
        proxy.address,
        &Login::of("app").with_flags(never_offered, 0),
    );
    assert_eq!(backend.login().flags & never_offered, 0);
}

/// Flagged, but not there: several drivers end the packet early.
#[test]
fn plugin_name_and_attributes_may_be_missing_at_the_end() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes.clear();
    let whole = login.payload();
    let without_attributes = &whole[..whole.len() - 1];
    let without_plugin = &whole[..whole.len() - 1 - "caching_sha2_password\0".len()];
    for bytes in [without_attributes, without_plugin] {
        let mut client = Client::greeted(proxy.address);
        client.send(bytes);
        assert!(
            client.authenticate(ClientPlugin::with_password()).is_ok(),
            "{} bytes",
            bytes.len()
        );
    }
}

/// The server keeps 512 bytes and of duplicates the first.
#[test]
fn our_attributes_stand_first_and_cannot_be_forged() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    let forged = [
        ("_mytls_client_addr", "10.0.0.1"),
        ("_mytls_client_subject", "/CN=root"),
        ("_mytls_new", "x"),
    ];
    login
        .attributes
        .extend(forged.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let tls = PKI.client_tls(Some(&PKI.client));
    let client = Client::logged_in_over_tls(proxy.address, &login, &tls);
    let attributes = backend.login().attributes;
    let ours: Vec<_> = attributes
        .iter()
        .take_while(|(key, _)| key.starts_with("_mytls_"))
        .collect();
    let value = |name: &str| {
        ours.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert!(
        value("_mytls_client_addr").is_some_and(|address| address.starts_with("127.0.0.1")),
        "{attributes:?}"
    );
    assert_eq!(value("_mytls_client_subject"), Some("/O=Lab/CN=client"));
    assert_eq!(value("_mytls_tls_version"), Some("TLSv1.3"));
    assert!(
        value("_mytls_tls_cipher").is_some_and(|cipher| cipher.starts_with("TLS_")),
        "{attributes:?}"
    );
    assert_eq!(
        attributes[ours.len()..],
        [("_client_name".to_owned(), "raw".to_owned())]
    );
    drop(client);
}

#[test]
fn client_without_attributes_gets_ours_alone() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in(
        proxy.address,
        &Login::of("app").with_flags(0, flag::CONNECT_ATTRS),
    );
    let attributes = backend.login().attributes;
    assert!(!attributes.is_empty());
    assert!(
        attributes.iter().all(|(key, _)| key.starts_with("_mytls_")),
        "{attributes:?}"
    );
}

/// Kerberos tickets and LDAP tokens are longer than the 250 bytes that one byte can count.
#[test]
fn long_first_answer_of_a_client_is_read_by_its_length() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    for length in [250, 251, 3000] {
        let mut login = Login::of("app").database("shop");
        login.auth = vec![0x7f; length];
        Client::logged_in(proxy.address, &login);
    }
    let databases: Vec<_> = backend
        .logins()
        .into_iter()
        .filter_map(|login| login.database)
        .collect();
    assert_eq!(databases, vec![b"shop".to_vec(); 3]);
}

/// The server takes flags, size and character set from the `SSLRequest`; differing ones are a bad handshake.
#[test]
fn ssl_request_to_the_backend_repeats_the_head_of_the_login() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.charset = 45;
    login.max_packet = 0x0123_4567;
    Client::logged_in_over_tls(proxy.address, &login, &PKI.client_tls(None));
    let (request, seen) = backend.wait_for("login over TLS", |events| match events {
        [
            Event::Dialled,
            Event::SslRequest(request),
            Event::Tls(_),
            Event::Login(login),
            ..,
        ] => Some((request.clone(), login.clone())),
        _ => None,
    });
    assert_eq!(request, seen.head());
    assert_eq!((seen.charset, seen.max_packet), (45, 0x0123_4567));
}

/// What the backend's TLS knows of each login, in order.
#[track_caller]
fn tls_peers(backend: &Backend) -> Vec<TlsPeer> {
    let logged_in = |events: &[Event]| match events {
        [_, _, Event::Tls(peer), Event::Login(_), ..] => Some(peer.clone()),
        _ => None,
    };
    backend
        .events()
        .iter()
        .filter_map(|events| logged_in(events))
        .collect()
}

#[test]
fn backend_sees_our_client_certificate() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
    let ours = Some(PKI.proxy_client.certificate.to_vec());
    assert_eq!(tls_peers(&backend)[0].certificate, ours);
}

/// A resumed handshake costs half of a whole one.
#[test]
fn tls_session_with_the_backend_is_resumed() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    for _ in 0..3 {
        let tls = PKI.client_tls(None);
        let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
    }
    let peers = tls_peers(&backend);
    assert!(
        peers.iter().skip(1).all(|peer| peer.resumed),
        "{} logins",
        peers.len()
    );
}
