//! The login packet: names, sizes, times, and what of it reaches the backend.

use std::time::{Duration, Instant};

use crate::support::backend::{Backend, Event, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::{Greeting, Login};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy, wait_for};
use crate::support::wire::{TlsPeer, err, flag, packet};

fn greeted(proxy: &Proxy) -> Client {
    let mut client = Client::connect(proxy.address);
    client.greeting();
    client
}

/// Sends this login packet in plaintext and expects an ERR; the backend must hear of none of it.
#[track_caller]
fn check_refused(greeting: &Greeting, login: &Login, accounts: &str, code: u16, case: &str) {
    let backend = Backend::start(Server::greeting(greeting));
    let proxy = Proxy::start(Config::before(&backend).with(accounts));
    let dials = backend.dials();
    let mut client = greeted(&proxy);
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

#[test]
fn login_larger_than_the_limit_is_refused_by_its_header() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    let header = [0xff, 0xff, 0xff, 1];
    client.send_raw(&[&header[..], &Login::of("app").payload()].concat());
    client.sequence = 2;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    client.expect_clean_end();
}

#[test]
fn login_with_sixty_thousand_bytes_of_attributes_passes() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes = vec![("long".to_owned(), "x".repeat(60_000))];
    Client::logged_in(proxy.address, &login);
}

#[test]
fn malformed_login_is_refused() {
    let whole = Login::of("app").payload();
    let mut lying_auth_length = whole.clone();
    lying_auth_length[36] = 0xfb;
    let mut lying_attributes_length = whole.clone();
    let attributes_length = whole.len() - 17; // "\x11" "\x0c_client_name" "\x03raw"
    assert_eq!(
        whole[attributes_length - 1],
        17,
        "the place of the attributes' length"
    );
    lying_attributes_length[attributes_length - 1] = 200;
    let cases: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("one byte", &whole[..1]),
        ("31 bytes", &whole[..31]),
        ("name without end", &whole[..34]),
        ("cut within the auth data", &whole[..50]),
        ("lying length of the auth data", &lying_auth_length),
        ("lying length of the attributes", &lying_attributes_length),
    ];
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    for (case, bytes) in cases {
        let mut client = greeted(&proxy);
        client.send(bytes);
        let error = client.error();
        assert_eq!(
            (error.sequence, error.code_and_state()),
            (2, (1043, "08S01")),
            "{case}"
        );
        client.expect_clean_end();
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

/// Cut anywhere, with a header that tells the truth about it: an ERR or, if only optional fields are gone, a login.
#[test]
fn login_cut_at_any_length_is_answered() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let whole = Login::of("app").database("shop").payload();
    for length in 0..whole.len() {
        let mut client = greeted(&proxy);
        client.send(&whole[..length]);
        let answer = client.read();
        let refused = answer.error().is_some_and(|error| error.code == 1043);
        assert!(
            refused || answer.payload[0] == 0xfe,
            "{length} bytes: {answer:?}"
        );
    }
}

/// Each byte in turn has all its bits turned over.
#[test]
fn login_with_any_byte_wrong_ends_only_itself() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let whole = Login::of("app").database("shop").payload();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        let mut client = greeted(&proxy);
        client.send(&bytes);
        client.wire.finish_writing().expect("close");
        client.expect_end();
    }
    Client::logged_in(proxy.address, &Login::of("app"));
}

/// What else the client has sent by then is read and dropped: unread it would make the kernel reset the connection,
/// and the ERR would be lost.
#[test]
fn error_is_read_by_a_client_that_goes_on_sending() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(STRICT));
    let login = Login::of("strict");
    for with_tls in [false, true] {
        let mut client = greeted(&proxy);
        if with_tls {
            client.start_tls(&login, &PKI.client_tls(None));
        }
        client.send_login(&login);
        client.send_raw(&vec![0x55; 512 << 10]);
        let error = client.error();
        assert_eq!(error.code_and_state(), (1045, "28000"), "TLS: {with_tls}");
        client.expect_clean_end();
    }
}

#[test]
fn answer_to_a_plugin_larger_than_the_limit_ends_the_login() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe);
    client.send_raw(&[0xff, 0xff, 0xff, client.sequence, 0, 0, 0]);
    client.sequence += 1;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

#[test]
fn login_with_a_wrong_sequence_number_is_refused() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    for wrong in [0, 2, 7, 255] {
        let mut client = greeted(&proxy);
        client.sequence = wrong;
        client.send(&Login::of("app").payload());
        let packet = client.wire.read_packet().expect("an ERR");
        assert_eq!(
            packet.error().map(|error| error.code),
            Some(1043),
            "number {wrong}"
        );
    }
}

#[test]
fn login_may_come_byte_by_byte() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    for byte in packet(1, &Login::of("app").payload()) {
        client.send_raw(&[byte]);
    }
    client.sequence = 2;
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
}

/// The deadline is one: for silence before the first packet, within TLS, and between TLS and login.
#[test]
fn slow_login_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 400ms }"));
    let started = Instant::now();
    let mut silent = greeted(&proxy);
    let error = silent.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    silent.expect_clean_end();
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "ended early"
    );

    let login = Login::of("app");
    let mut mid_tls = greeted(&proxy);
    mid_tls.send(&ssl_request(&login));
    mid_tls.send_raw(b"\x16\x03\x01\x02\x00\x01"); // the start of a ClientHello
    mid_tls.expect_end();

    let mut after_tls = greeted(&proxy);
    after_tls.start_tls(&login, &PKI.client_tls(None));
    let error = after_tls.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    after_tls.expect_clean_end();
}

#[test]
fn client_that_is_slow_in_the_auth_relay_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 700ms }"));
    let mut client = greeted(&proxy);
    client.send_login(&Login::of("app"));
    client.read(); // AuthSwitchRequest, which stays unanswered
    assert_eq!(client.error().code_and_state(), (1159, "08S01"));
    let events = backend.closed_within(Duration::from_secs(10));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// A client that was greeted and not refused for want of a place: those of closed connections become free soon.
#[track_caller]
fn placed(proxy: &Proxy) -> Client {
    wait_for("a place", || {
        let mut client = Client::connect(proxy.address);
        client.read().error().is_none().then_some(client)
    })
}

#[test]
fn one_connection_too_many_is_refused_and_a_place_becomes_free_again() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { connections: 2 }"));
    let _first = placed(&proxy);
    let second = placed(&proxy);
    let mut third = Client::connect(proxy.address);
    let error = third.error();
    assert_eq!((error.sequence, error.code, error.state), (0, 1040, None));
    third.expect_clean_end();
    drop(second);
    placed(&proxy);
}

#[test]
fn connections_before_login_have_a_limit_of_their_own() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with("limits: { connections-before-login: 1 }");
    let proxy = Proxy::start(config);
    let logged_in = || {
        let mut client = placed(&proxy);
        client.send_login(&Login::of("app"));
        assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
        client
    };
    let _first = logged_in();
    let _second = logged_in();
    let _third = placed(&proxy);
    assert_eq!(Client::connect(proxy.address).error().code, 1040);
}

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
    let mut client = greeted(&proxy);
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
        let mut client = greeted(&proxy);
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

/// TiDB answers so at once, before any `AuthSwitchRequest`, for a user that does not exist.
#[test]
fn refusal_by_the_backend_before_any_plugin_is_relayed() {
    let backend = Backend::start(
        Server::greeting(&Greeting::tidb()).on_login(|conversation| {
            conversation.send(&err(
                1045,
                "28000",
                "Access denied for user 'app'@'127.0.0.1' (using password: YES)",
            ))
        }),
    );
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    client.send_login(&Login::of("app"));
    let error = client.error();
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (2, (1045, "28000"))
    );
    assert_eq!(
        error.message,
        "Access denied for user 'app'@'127.0.0.1' (using password: YES)"
    );
}

#[test]
fn refusal_by_the_backend_after_the_password_is_relayed() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    client.send_login(&Login::of("app"));
    let refused = client.authenticate(Plugin::Empty.client());
    assert_eq!(
        refused.error().map(|error| (error.sequence, error.code)),
        Some((4, 1045))
    );
}

/// A password in clear is never asked of a client that would send it in plaintext.
#[test]
fn switch_to_a_clear_text_plugin_is_not_passed_to_an_insecure_client() {
    for plugin in ["mysql_clear_password", "dialog"] {
        let backend = Backend::start(Server::mysql().on_login(move |conversation| {
            conversation.switch(plugin, b"")?;
            conversation.read()?;
            conversation.refuse()
        }));
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = greeted(&proxy);
        client.send_login(&Login::of("app"));
        let error = client.error();
        assert_ne!(error.code, 0, "an ERR in place of the switch");
        let events = backend.closed_within(Duration::from_secs(2));
        assert!(
            events.contains(&Event::AuthPacket(Vec::new())),
            "{plugin}: the handshake was cut: {events:#?}"
        );
    }
}

/// Neither is an answer of it handed to a backend in plaintext.
#[test]
fn clear_password_of_a_secure_client_does_not_reach_an_insecure_backend() {
    for plugin in [Plugin::Clear, Plugin::Sha256, Plugin::CachingSha2Full] {
        let backend = Backend::start(Server::mysql().plugin(plugin));
        let proxy = Proxy::start(Config::before(&backend));
        let login = Login::of("app");
        let mut client = greeted(&proxy);
        client.start_tls(&login, &PKI.client_tls(None));
        client.send_login(&login);
        let refused = client.authenticate(plugin.client());
        assert!(
            refused.error().is_some(),
            "{plugin:?}: logged in over a plaintext backend"
        );
        let events = backend.closed_within(Duration::from_secs(5));
        let leaked = events.iter().any(
            |event| matches!(event, Event::AuthPacket(bytes) if bytes.starts_with(PASSWORD.as_bytes())),
        );
        assert!(
            !leaked,
            "{plugin:?}: the password reached the backend in plaintext: {events:#?}"
        );
    }
}

/// With the cache warm no password is sent, so that security on the two sides may differ.
#[test]
fn mixed_security_is_no_obstacle_where_no_password_is_sent() {
    for plugin in [
        Plugin::Native,
        Plugin::CachingSha2Warm,
        Plugin::Ed25519,
        Plugin::Parsec,
    ] {
        let backend = Backend::start(Server::mysql().plugin(plugin));
        let proxy = Proxy::start(Config::before(&backend));
        Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
        let backend = Backend::start(
            Server::mysql()
                .plugin(plugin)
                .tls(PKI.backend_tls(&PKI.server)),
        );
        let proxy = Proxy::start(Config::before(&backend));
        Client::logged_in(proxy.address, &Login::of("app"));
    }
}

/// An insecure client asks the server for its RSA key itself and encrypts for it; both sides insecure: forwarded.
#[test]
fn key_request_between_two_insecure_sides_is_forwarded() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.switch("caching_sha2_password", b"backend-salt-20bytes\0")?;
        conversation.read()?;
        conversation.more(&[0x04])?;
        if conversation.read()? != [0x02] {
            return conversation.refuse();
        }
        conversation.more(b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n")?;
        if conversation.read()? == [0x99; 256] {
            conversation.welcome()
        } else {
            conversation.refuse()
        }
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = greeted(&proxy);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe);
    client.send(&[0x11; 32]);
    assert_eq!(client.read().payload, [0x01, 0x04]);
    client.send(&[0x02]);
    assert!(
        client
            .read()
            .payload
            .starts_with(b"\x01-----BEGIN PUBLIC KEY-----")
    );
    client.send(&[0x99; 256]);
    assert!(client.read().is_ok());
}
