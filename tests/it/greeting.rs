//! The first packets: what mytls greets with, and how a client may begin TLS or fail to.

use std::collections::HashSet;

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::{flag, packet};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_until};

/// Without `#SQLSTATE`: shells would print it as a part of the message.
#[test]
fn unknown_backend_gives_an_error_without_sqlstate_in_place_of_the_greeting() {
    let proxy = Proxy::start_cold(Config::before(&Backend::nobody()));
    let mut client = Client::connect(proxy.address);
    let error = client.error();
    assert_eq!((error.sequence, error.code, error.state), (0, 2003, None));
    assert!(
        error.message.contains("source"),
        "the message names the route: {}",
        error.message
    );
    assert!(
        !error.message.contains("127.0.0.1"),
        "the message names no address: {}",
        error.message
    );
    client.expect_clean_end();
}

/// It comes in plaintext, before anybody knows who the server is.
#[test]
fn version_of_a_backend_makes_no_line_in_the_log() {
    let greeting = Greeting {
        version: "9.7.0\n2026-01-01T00:00:00Z  INFO all is well".to_owned(),
        ..Greeting::mysql()
    };
    let backend = Backend::start(Server::greeting(&greeting));
    let proxy = Proxy::start(Config::before(&backend));
    let line = proxy.wait_for_log("all is well");
    assert!(line.contains("backend greeted"), "{}", proxy.log());
}

#[test]
fn greeting_is_learnt_once_the_backend_answers() {
    let backend = Backend::start_each(|number| match number {
        0 => Server::hanging_up(),
        _ => Server::mysql(),
    });
    let proxy = Proxy::start_cold(Config::before(&backend));
    wait_until("a greeting", || {
        Client::connect(proxy.address).read().error().is_none()
    });
}

/// Otherwise a scanner, a health check or a refused client would cost the backend a connection.
#[test]
fn clients_that_come_and_go_are_not_heard_of_by_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    for _ in 0..20 {
        Client::connect(proxy.address).greeting();
    }
    assert_eq!(backend.dials(), dials);
}

#[test]
fn version_and_character_set_are_the_backends() {
    for learnt in [Greeting::mysql(), Greeting::mariadb(), Greeting::tidb()] {
        let backend = Backend::start(Server::greeting(&learnt));
        let proxy = Proxy::start(Config::before(&backend));
        let greeting = Client::connect(proxy.address).greeting();
        assert_eq!(
            (&greeting.version, greeting.charset),
            (&learnt.version, learnt.charset)
        );
        assert_eq!(
            greeting.status, 2,
            "autocommit, as in every server's greeting"
        );
        assert_eq!(greeting.plugin, "caching_sha2_password");
    }
}

#[test]
fn capabilities_are_those_of_the_backend_and_never_more() {
    for learnt in [Greeting::mysql(), Greeting::mariadb(), Greeting::tidb()] {
        let backend = Backend::start(Server::greeting(&learnt));
        let proxy = Proxy::start(Config::before(&backend));
        let greeting = Client::connect(proxy.address).greeting();
        let version = &learnt.version;
        let ours = flag::SSL | flag::PLUGIN_AUTH | flag::CONNECT_ATTRS;
        let more = greeting.capabilities & !(learnt.capabilities | ours);
        assert_eq!(
            more, 0,
            "{version}: offered more than the backend: {more:#x}"
        );
        assert_eq!(
            greeting.capabilities & (flag::COMPRESS | flag::ZSTD),
            0,
            "{version}: compression is offered"
        );
        assert_ne!(
            greeting.capabilities & flag::SSL,
            0,
            "{version}: TLS is not offered"
        );
        for (name, bit) in [
            ("PROTOCOL_41", flag::PROTOCOL_41),
            ("CONNECT_WITH_DB", flag::CONNECT_WITH_DB),
            ("TRANSACTIONS", flag::TRANSACTIONS),
            ("SECURE_CONNECTION", flag::SECURE_CONNECTION),
            ("MULTI_STATEMENTS", flag::MULTI_STATEMENTS),
            ("MULTI_RESULTS", flag::MULTI_RESULTS),
            ("PLUGIN_AUTH", flag::PLUGIN_AUTH),
            ("CONNECT_ATTRS", flag::CONNECT_ATTRS),
            ("DEPRECATE_EOF", flag::DEPRECATE_EOF),
            ("LOCAL_FILES", flag::LOCAL_FILES),
        ] {
            assert_ne!(
                greeting.capabilities & bit,
                0,
                "{version}: {name} is not offered"
            );
        }
        assert_eq!(
            greeting.capabilities & 1,
            learnt.capabilities & 1,
            "{version}: bit 0 says who defines the rest"
        );
        assert_eq!(
            greeting.extended & !learnt.extended,
            0,
            "{version}: extended capabilities out of nowhere"
        );
    }
}

#[test]
fn salts_and_connection_ids_are_our_own_and_never_repeat() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let (mut ids, mut salts) = (HashSet::new(), HashSet::new());
    let clients: Vec<Client> = (0..50).map(|_| Client::connect(proxy.address)).collect();
    for mut client in clients {
        let greeting = client.greeting();
        assert!(
            greeting.connection_id >= 0x8000_0000,
            "{:#x} looks like a backend's",
            greeting.connection_id
        );
        assert_eq!(greeting.salt.len(), 20);
        assert!(
            !greeting.salt.contains(&0),
            "clients read the salt up to a NUL"
        );
        assert!(ids.insert(greeting.connection_id), "an id twice");
        assert_ne!(greeting.salt, Greeting::mysql().salt);
        assert!(salts.insert(greeting.salt), "a salt twice");
    }
}

/// go-sql-driver does this.
#[test]
fn client_hello_may_come_with_the_ssl_request() {
    // `start_tls` always sends both in one write.
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
}

#[test]
fn client_hello_may_come_apart_from_the_ssl_request() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app");
    let mut client = Client::greeted(proxy.address);
    for byte in packet(1, &ssl_request(&login)) {
        client.send_raw(&[byte]);
    }
    client
        .wire
        .start_tls_as_client(&PKI.client_tls(None), &[])
        .expect("start TLS");
    client.sequence = 2;
    client.send_login(&login);
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
}

/// testssl.sh does this.
#[test]
fn ssl_request_may_come_before_the_greeting_was_read() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app");
    let mut client = Client::connect(proxy.address);
    client.send_raw(&packet(1, &ssl_request(&login)));
    client.greeting();
    client
        .wire
        .start_tls_as_client(&PKI.client_tls(None), &[])
        .expect("start TLS");
    client.sequence = 2;
    client.send_login(&login);
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
}

/// The bytes behind an `SSLRequest` belong to TLS: somebody in the middle could have put them there.
#[test]
fn plaintext_login_in_one_segment_with_the_ssl_request_is_no_login() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    let login = Login::of("app");
    let mut client = Client::greeted(proxy.address);
    let both = [
        packet(1, &ssl_request(&login)),
        packet(2, &login.clone().with_flags(flag::SSL, 0).payload()),
    ];
    client.send_raw(&both.concat());
    client.expect_end();
    assert_eq!(backend.dials(), dials, "the backend was dialled");
    proxy.wait_for_log("outcome=\"TLS with the client");
}

#[test]
fn second_ssl_request_inside_tls_is_malformed() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app");
    let mut client = Client::greeted(proxy.address);
    client.start_tls(&login, &PKI.client_tls(None));
    client.send(&ssl_request(&login));
    let error = client.error();
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (3, (1043, "08S01"))
    );
    client.expect_clean_end();
}

/// Without them the backend would check the client's scramble against a salt that the client never saw.
#[test]
fn client_without_a_needed_capability_is_told_to_upgrade() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    for missing in [
        flag::PROTOCOL_41,
        flag::SECURE_CONNECTION,
        flag::PLUGIN_AUTH,
    ] {
        let mut login = Login::of("app").with_flags(0, missing);
        if missing == flag::PLUGIN_AUTH {
            login.plugin = None;
        }
        let mut client = Client::greeted(proxy.address);
        client.send_login(&login);
        let error = client.error();
        // A client without PROTOCOL_41 reads no SQLSTATE; both forms are right for it.
        assert_eq!(
            (error.sequence, error.code),
            (2, 1251),
            "without {missing:#x}"
        );
        client.expect_clean_end();
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

#[test]
fn tls_version_below_the_configured_one_is_refused() {
    let backend = Backend::start(Server::mysql());
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, tls-version: TLSv1.3 }";
    let proxy = Proxy::start(Config::before(&backend).security(security));
    let request = packet(1, &ssl_request(&Login::of("app")));
    let start = |version| {
        let mut client = Client::greeted(proxy.address);
        client
            .wire
            .start_tls_as_client(&PKI.client_tls_of(&[version], None), &request)
    };
    start(&rustls::version::TLS12).expect_err("TLS 1.2 is too old");
    start(&rustls::version::TLS13).expect("TLS 1.3 is new enough");
}

#[test]
fn auto_tls_serves_a_certificate_of_its_own_making() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).security("{}"));
    let greeting = Client::connect(proxy.address).greeting();
    assert_ne!(
        greeting.capabilities & flag::SSL,
        0,
        "TLS is offered without any certificate configured"
    );
}

#[test]
fn ssl_request_to_a_port_without_tls_is_an_error() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).security("{ auto-tls: false }"));
    let mut client = Client::connect(proxy.address);
    assert_eq!(
        client.greeting().capabilities & flag::SSL,
        0,
        "TLS is not offered"
    );
    client.send(&ssl_request(&Login::of("app")));
    assert_eq!(client.error().code, 1043);
}
