//! The backend's side: absent, broken, lying, without TLS, with a wrong certificate.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::{ErrorPacket, err_without_state, ok};
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with, wait_until};

/// A backend that is in order when mytls learns its greeting, and `later` for every connection after that.
fn turning(later: Server) -> Backend {
    let honest = Server::mysql();
    Backend::start_each(move |number| {
        if number == 0 {
            honest.clone()
        } else {
            later.clone()
        }
    })
}

/// The same with TLS at first.
fn turning_from_tls(later: Server) -> Backend {
    let honest = Server::mysql().tls(PKI.backend_tls(&PKI.server));
    Backend::start_each(move |number| {
        if number == 0 {
            honest.clone()
        } else {
            later.clone()
        }
    })
}

/// The ERR that a login without TLS ends in.
#[track_caller]
fn refused(proxy: &Proxy) -> ErrorPacket {
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let error = client.error();
    assert_eq!(error.sequence, 2, "{error:?}");
    client.expect_clean_end();
    error
}

/// It says which route is broken and gives away no address.
#[track_caller]
fn expect_no_backend(error: &ErrorPacket) {
    assert_eq!(error.code_and_state(), (2003, "HY000"), "{error:?}");
    assert!(error.message.contains("source"), "{error:?}");
    assert!(!error.message.contains("127.0.0.1"), "{error:?}");
}

#[track_caller]
fn expect_no_login(backend: &Backend) {
    assert_eq!(backend.logins(), [], "a login reached the backend");
}

#[test]
fn backend_that_hangs_up_is_an_error_that_names_the_route() {
    let backend = turning(Server::hanging_up());
    let proxy = Proxy::start(Config::before(&backend));
    expect_no_backend(&refused(&proxy));
}

#[test]
fn backend_that_says_nothing_is_given_up_after_the_connect_time() {
    let backend = Backend::silent();
    let proxy = Proxy::start_cold(Config::before(&backend).with("limits: { connect-time: 300ms }"));
    let error = Client::connect(proxy.address).error();
    assert_eq!((error.code, &error.state), (2003, &None), "{error:?}");
}

#[test]
fn refusal_of_our_address_by_the_backend_names_the_route_only() {
    for (code, message) in [
        (1040, "Too many connections"),
        (
            1129,
            "Host '10.1.2.3' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'",
        ),
        (
            1130,
            "Host '10.1.2.3' is not allowed to connect to this MySQL server",
        ),
    ] {
        let backend = turning(Server::first_packet(err_without_state(code, message)));
        let proxy = Proxy::start(Config::before(&backend));
        let error = refused(&proxy);
        expect_no_backend(&error);
        assert!(!error.message.contains("10.1.2.3"), "{error:?}");
        proxy.wait_for_log(&code.to_string());
    }
}

/// Each further dial would count towards `max_connect_errors` of the host that is blocked by it.
#[test]
fn endpoint_that_blocked_us_is_left_alone_for_a_while() {
    let blocked = err_without_state(1129, "Host is blocked because of many connection errors");
    let backend = turning(Server::first_packet(blocked));
    let proxy = Proxy::start(Config::before(&backend));
    expect_no_backend(&refused(&proxy));
    let dials = backend.dials();
    for _ in 0..10 {
        expect_no_backend(&refused(&proxy));
    }
    assert!(
        backend.dials() <= dials + 1,
        "dialled {} times more",
        backend.dials() - dials
    );
}

/// Somebody in the middle can strip the flag; then not even an `SSLRequest` may follow.
#[test]
fn backend_that_lost_its_tls_gets_no_login() {
    let backend = turning_from_tls(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let error = refused(&proxy);
    assert_eq!(error.code_and_state(), (2026, "HY000"), "{error:?}");
    expect_no_login(&backend);
    assert!(!error.message.contains("127.0.0.1"), "{error:?}");
}

#[test]
fn endpoint_without_tls_is_left_alone_for_a_while() {
    let backend = turning_from_tls(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    refused(&proxy);
    let dials = backend.dials();
    for _ in 0..10 {
        assert_eq!(refused(&proxy).code, 2026, "the same error, undialled");
    }
    assert!(
        backend.dials() <= dials + 1,
        "dialled {} times more",
        backend.dials() - dials
    );
}

/// With TLS 1.3 the handshake is over for us before the server judges our certificate. It counts each such connection
/// towards `max_connect_errors`.
#[test]
fn endpoint_that_refuses_our_certificate_is_left_alone_for_a_while() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let config = Config::before(&backend).backend_security(
        &backend,
        "{ ssl-ca: ca.pem, ssl-cert: stranger.pem, ssl-key: stranger.key }",
    );
    let stranger = &PKI.wrong_ca;
    std::fs::write(config.path("stranger.pem"), &stranger.certificate_pem).expect("write it");
    std::fs::write(config.path("stranger.key"), stranger.key.serialize_pem()).expect("write it");
    let proxy = Proxy::start(config);
    assert_eq!(refused(&proxy).code, 2026);
    let dials = backend.dials();
    for _ in 0..10 {
        assert_eq!(refused(&proxy).code, 2026, "the same error, undialled");
    }
    assert!(
        backend.dials() <= dials + 1,
        "dialled {} times more",
        backend.dials() - dials
    );
}

/// `security` of the backend, its certificate, and whether a session comes to be.
fn check_certificate(security: &str, shown: &'static Identity, accepted: bool) {
    let backend = turning_from_tls(Server::mysql().tls(PKI.backend_tls(shown)));
    let proxy = Proxy::start(Config::before(&backend).backend_security(&backend, security));
    if accepted {
        Client::logged_in(proxy.address, &Login::of("app"));
    } else {
        let error = refused(&proxy);
        assert_eq!(error.code_and_state(), (2026, "HY000"), "{error:?}");
        assert!(!error.message.contains("127.0.0.1"), "{error:?}");
        expect_no_login(&backend);
    }
}

#[test]
fn certificate_of_another_ca_is_refused() {
    check_certificate("{ ssl-ca: ca.pem }", &PKI.other_server, false);
}

#[test]
fn client_certificate_in_a_servers_hand_is_refused() {
    check_certificate("{ ssl-ca: ca.pem }", &PKI.client, false);
}

#[test]
fn expired_certificate_is_refused() {
    check_certificate("{ ssl-ca: ca.pem }", &PKI.expired_server, false);
}

#[test]
fn certificate_without_a_host_is_accepted_under_verify_ca_only() {
    check_certificate("{ ssl-ca: ca.pem }", &PKI.server_without_name, true);
    check_certificate(
        "{ ssl-ca: ca.pem, ssl-mode: VERIFY_IDENTITY }",
        &PKI.server_without_name,
        false,
    );
}

#[test]
fn certificate_of_another_host_is_refused_under_verify_identity() {
    check_certificate(
        "{ ssl-ca: ca.pem, ssl-mode: VERIFY_IDENTITY }",
        &PKI.server_elsewhere,
        false,
    );
}

#[test]
fn certificate_of_another_host_is_accepted_under_verify_ca() {
    check_certificate("{ ssl-ca: ca.pem }", &PKI.server_elsewhere, true);
}

#[test]
fn certificate_of_the_host_is_accepted_under_verify_identity() {
    check_certificate(
        "{ ssl-ca: ca.pem, ssl-mode: VERIFY_IDENTITY }",
        &PKI.server,
        true,
    );
}

#[test]
fn any_certificate_is_accepted_under_required() {
    check_certificate("{ ssl-mode: REQUIRED }", &PKI.other_server, true);
}

/// No greeting may end more than its own session.
#[test]
fn lying_greeting_ends_that_session_alone() {
    let honest = Greeting::mysql().payload();
    let long_salt = Greeting {
        salt: vec![b'x'; 250],
        ..Greeting::mysql()
    }
    .payload();
    let mut lying_salt = honest.clone();
    let salt_length = "\x0a9.7.0\0".len() + 4 + 8 + 1 + 2 + 1 + 2 + 2;
    assert_eq!(
        lying_salt[salt_length], 21,
        "the place of the salt's length"
    );
    lying_salt[salt_length] = 255;
    let mut no_salt = honest.clone();
    no_salt[salt_length] = 0;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("long salt", long_salt),
        ("lying length of the salt", lying_salt),
        ("salt of no length", no_salt),
        ("cut within the version", honest[..4].to_vec()),
        ("cut within the salt", honest[..20].to_vec()),
        ("cut before the upper flags", honest[..30].to_vec()),
        ("protocol 9", [&[9], &honest[1..]].concat()),
        ("OK", ok(2)),
        ("half an ERR", vec![0xff, 0x10]),
        ("ERR and nothing else", vec![0xff]),
    ];
    for (case, greeting) in cases {
        let bad = Server::first_packet(greeting);
        let honest = Server::mysql();
        let backend = Backend::start_each(move |number| {
            if number == 1 {
                bad.clone()
            } else {
                honest.clone()
            }
        });
        let mut proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        let answer = client.read();
        if !case.contains("salt") {
            assert!(answer.error().is_some(), "{case}: {answer:?}");
        }
        drop(client);
        assert!(proxy.is_running(), "{case}");
        wait_until("a session after it", || {
            let mut client = Client::connect(proxy.address);
            if client.read().error().is_some() {
                return false;
            }
            client.send_login(&Login::of("app"));
            client.authenticate(ClientPlugin::with_password()).is_ok()
        });
    }
}

/// A granted capability cannot be taken back; the new greeting counts for the next client.
#[test]
fn backend_that_lost_a_granted_capability_ends_the_session_and_is_learnt_again() {
    let fewer = Greeting::tidb();
    let backend = turning(Server::greeting(&fewer));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::connect(proxy.address);
    let offered = client.greeting().capabilities;
    assert_ne!(
        offered & !fewer.capabilities,
        0,
        "the first greeting grants more than the second has"
    );
    let login = Login::of("app");
    client.send_login(&login.clone().with_flags(offered & 0x0fff_0000, 0));
    assert_eq!(client.error().code, 1043);
    expect_no_login(&backend);
    let greeting = Client::connect(proxy.address).greeting();
    assert_eq!(
        greeting.version, fewer.version,
        "the greeting is the new one"
    );
}

/// It would mean that the server took our filler for an answer.
#[test]
fn ok_without_any_plugin_is_no_login() {
    let backend = Backend::start(
        Server::mysql().on_login(crate::support::conversation::Conversation::welcome),
    );
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    let answer = client.read();
    assert!(answer.error().is_some(), "{answer:?}");
    client.expect_end();
}

/// Nothing of a login is as large; a length alone must not make mytls allocate.
#[test]
fn huge_packet_of_the_backend_ends_the_login() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.send_raw(&[0xff, 0xff, 0xff, 2, 0xfe])?;
        conversation.send_raw(&vec![b'x'; 1 << 22])?;
        conversation.read_end().map(drop)
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert!(client.read().error().is_some(), "an ERR and not the packet");
    client.expect_end();
}

/// Of before MySQL 4.1: a lone 0xfe asks for the old scramble, which is no secret any more.
#[test]
fn old_password_scramble_is_not_asked_of_a_client() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.send(&[0xfe])?;
        conversation.read()?;
        conversation.refuse()
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.error().code, 1251);
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

#[test]
fn nonsense_in_place_of_a_plugin_is_no_login() {
    let nonsense: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\xff",
        b"\xff\x15\x04",
        b"\xfename-without-end",
        b"\xfe\xc3\x28\x00salt",
        b"\xfe\x00",
    ];
    let count = nonsense.len();
    let backend = Backend::start_each(move |number| {
        Server::mysql().on_login(move |conversation| {
            conversation.send(nonsense[number.saturating_sub(1) % count])?;
            conversation.read_end().map(drop)
        })
    });
    let mut proxy = Proxy::start(Config::before(&backend));
    for number in 0..count {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        client.wire.finish_writing().expect("close");
        let answer = client.wire.read_packet();
        assert!(
            !answer.is_ok_and(|packet| packet.is_ok()),
            "nonsense {number} is a login"
        );
    }
    assert!(proxy.is_running());
}

#[test]
fn wrong_sequence_number_of_the_backend_ends_the_login() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.send_raw(&crate::support::packet::packet(
            9,
            b"\xfemysql_native_password\0backend-salt-20bytes\0",
        ))?;
        conversation.read_end().map(drop)
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert!(client.read().error().is_some(), "an ERR and not the packet");
    backend.closed_within(Duration::from_secs(5));
}

#[test]
fn mariadb_flags_towards_a_mariadb_backend_are_its_own() {
    let backend = Backend::start(Server::greeting(&Greeting::mariadb()));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::connect(proxy.address);
    let offered = client.greeting();
    // A MariaDB client clears bit 0 and says its extended capabilities in the last four bytes of the filler.
    let mut login = Login::of("app").with_flags(0, 1);
    login.filler[19..].copy_from_slice(&offered.extended.to_le_bytes());
    client.send_login(&login);
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    let seen = backend.login();
    let extended = u32::from_le_bytes([
        seen.filler[19],
        seen.filler[20],
        seen.filler[21],
        seen.filler[22],
    ]);
    assert_eq!(seen.filler[..19], [0; 19]);
    assert_eq!(
        extended & !offered.extended,
        0,
        "extended capabilities that were never offered"
    );
    if seen.flags & 1 == 1 {
        assert_eq!(extended, 0, "with bit 0 set the filler is zero");
    }
}

/// A backend on a Unix socket and mytls before it, which is not root.
fn before_unix_socket(folder: &TempDir) -> (Backend, Config) {
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everybody).expect("open the folder to another OS user");
    let backend = Backend::start_unix(&folder.path().join("mysqld.sock"), Server::mysql());
    let config = Config::before(&backend).never_as_root();
    (backend, config)
}

#[test]
fn unix_socket_backend_serves_tls_clients() {
    let folder = tempfile::tempdir().expect("make a folder");
    let (_backend, config) = before_unix_socket(&folder);
    let proxy = Proxy::start(config);
    Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
}

/// Such a backend would log `auth_socket` accounts in as the OS user that mytls runs as, without a password.
#[test]
fn name_of_our_own_os_user_is_refused_before_a_unix_socket_backend() {
    for enforcement in ["enforce", "report"] {
        let folder = tempfile::tempdir().expect("make a folder");
        let (backend, config) = before_unix_socket(&folder);
        let own = User::from_uid(config.os_user())
            .expect("read the OS users")
            .expect("the OS user has a name");
        let proxy = Proxy::start(config.with(&format!("enforcement: {enforcement}")));
        let dials = backend.dials();
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of(&own.name));
        assert_eq!(client.error().code, 1045, "{enforcement}");
        assert_eq!(backend.dials(), dials, "the backend was dialled");
    }
}

/// In a container, say, where no user is listed. The server may know a name for the number all the same.
#[test]
fn os_user_without_a_name_before_a_unix_socket_backend_is_warned_of() {
    const NAMELESS: u32 = 54_321;
    let has_name = User::from_uid(NAMELESS.into()).is_ok_and(|user| user.is_some());
    if !geteuid().is_root() || has_name {
        return; // only root can try
    }
    let folder = tempfile::tempdir().expect("make a folder");
    let (_backend, config) = before_unix_socket(&folder);
    let proxy = Proxy::start(config.under_os_user(NAMELESS));
    let line = proxy.wait_for_log("has no name here");
    assert!(line.contains("WARN") && line.contains("54321"), "{line}");
}

#[test]
fn root_does_not_stand_before_a_unix_socket_backend() {
    if !geteuid().is_root() {
        return; // only root can try
    }
    let folder = tempfile::tempdir().expect("make a folder");
    let backend = Backend::start_unix(&folder.path().join("mysqld.sock"), Server::mysql());
    let run = run_with("serve", &Config::before(&backend));
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("root"), "{}", run.stderr);
}

/// The handshake that teaches mytls a greeting sends no login, whatever comes.
#[test]
fn greeting_is_learnt_without_a_login() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let _proxy = Proxy::start(Config::before(&backend));
    expect_no_login(&backend);
    assert_eq!(backend.dials(), 1);
    assert_eq!(backend.events()[0][0], Event::Dialled);
}

/// On this machine TLS and plaintext are as good, and only the first can carry every password from a client with TLS.
#[test]
fn backend_without_a_file_is_spoken_to_as_it_offers() {
    for (server, with_tls) in [
        (Server::mysql(), false),
        (Server::mysql().tls(PKI.backend_tls(&PKI.server)), true),
    ] {
        let backend = Backend::start(server);
        // `host: 127.0.0.1, port: 3306` in a file
        let address = backend
            .endpoint
            .replace("host: ", "")
            .replace(", port: ", ":");
        let proxy = Proxy::start(Config::before(&backend).without_file(&address));
        Client::logged_in(proxy.address, &Login::of("app"));
        let had_tls = backend.wait_for("session", |events| {
            let is_tls = |event: &Event| matches!(event, Event::Tls(_));
            let is_login = |event: &Event| matches!(event, Event::LoggedIn);
            events
                .iter()
                .any(is_login)
                .then(|| events.iter().any(is_tls))
        });
        assert_eq!(had_tls, with_tls);
    }
}
