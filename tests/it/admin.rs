//! Who gets into the admin port, and who does not.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};

use crate::support::admin::{
    STORED_PASSWORD, ask, backend, config, log_in, rows, start, try_to_log_in,
};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::packet::ErrorPacket;
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD, caching_sha2_scramble};
use crate::support::proxy::{Config, Proxy, run_with};
use crate::support::rsa::encrypt;

#[track_caller]
fn expect_denied(error: &ErrorPacket, user: &str, using: &str) {
    assert_eq!(error.code_and_state(), (1045, "28000"), "{error:?}");
    let message = format!("Access denied for user '{user}'@'127.0.0.1' (using password: {using})");
    assert_eq!(error.message, message);
}

// The words are the same for whoever is unknown, whose password is wrong, and who has not shown what it must. Whoever
// fails is kept waiting for longer each time, so that each few have a mytls of their own.
#[test]
fn whoever_is_not_a_user_is_refused_in_the_same_words() {
    let backend = backend();
    for cases in [
        [
            ("nobody", Some(PASSWORD), None),
            ("", Some(PASSWORD), None),
            ("ops", Some("wrong"), None),
            ("ops", Some(STORED_PASSWORD), None),
        ],
        [
            ("hashed", Some(PASSWORD), None),
            ("rotate", Some(PASSWORD), None),
            ("other", Some(PASSWORD), Some(&PKI.client)),
            ("both", Some(PASSWORD), None),
        ],
        [
            ("both", Some("wrong"), Some(&PKI.client)),
            ("ops", None, None),
            ("nobody", None, None),
            ("rotate", None, None),
        ],
    ] {
        let proxy = start(&backend);
        for (user, password, identity) in cases {
            let refused = try_to_log_in(&proxy, user, password, identity).expect_err(user);
            let using = password.map_or("NO", |_| "YES");
            expect_denied(&refused, user, using);
        }
        let status = rows(
            &mut log_in(&proxy),
            "SHOW STATUS LIKE 'Mytls_admin_logins_failed'",
        );
        assert_eq!(status.value("Mytls_admin_logins_failed"), "4");
        let log = proxy.log();
        assert!(!log.contains(PASSWORD), "{log}");
        assert!(!log.contains(STORED_PASSWORD), "{log}");
    }
}

#[test]
fn a_user_that_is_unknown_is_asked_for_its_password_like_any_other() {
    let backend = backend();
    for user in ["nobody", "ops", "hashed", "rotate", "other", "both"] {
        let proxy = start(&backend);
        let mut client = Client::greeted(proxy.admin_address());
        let login = Login::of(user);
        client.start_tls(&login, &PKI.client_tls(None));
        client.send_login(&login);
        assert_eq!(client.read().payload, [1, 4], "{user}");
        client.send(b"wrong\0");
        expect_denied(&client.error(), user, "YES");
        client.expect_clean_end();
    }
}

#[test]
fn a_certificate_that_is_not_accepted_is_refused() {
    let backend = backend();
    let proxy = start(&backend);
    for identity in [
        &PKI.wrong_ca,
        &PKI.expired,
        &PKI.not_yet_valid,
        &PKI.server_auth_only,
    ] {
        for (user, password) in [("rotate", None), ("ops", Some(PASSWORD))] {
            let refused = try_to_log_in(&proxy, user, password, Some(identity)).expect_err(user);
            assert_eq!(refused.code_and_state(), (1045, "28000"));
            assert_eq!(
                refused.message,
                "Access denied: client certificate not accepted"
            );
        }
    }
}

#[test]
fn only_an_allowed_common_name_is_let_in_whatever_its_password() {
    let backend = backend();
    let proxy = Proxy::start(config(&backend, ", cert-allowed-cn: [client]"));
    for identity in [None, Some(&PKI.proxy_client)] {
        let refused = try_to_log_in(&proxy, "ops", Some(PASSWORD), identity).expect_err("ops");
        expect_denied(&refused, "ops", "YES");
    }
    for user in ["ops", "both", "rotate"] {
        try_to_log_in(&proxy, user, Some(PASSWORD), Some(&PKI.client)).expect(user);
    }
}

#[test]
fn nothing_is_answered_before_a_login() {
    let backend = backend();
    let proxy = start(&backend);
    for command in [
        &b"\x03SELECT 1"[..],
        b"\x03SHUTDOWN and thirty-two bytes more, so that it is long enough",
        b"\x08",
        b"\x0e",
        b"",
    ] {
        let mut client = Client::greeted(proxy.admin_address());
        client.send(command);
        let packet = client.wire.read_packet().expect("an answer");
        let code = packet.error().map(|error| error.code);
        assert!(matches!(code, Some(1043 | 1251)), "{command:?}: {packet:?}");
        client.expect_clean_end();
    }
    // a statement behind a login that fails
    let mut client = Client::greeted(proxy.admin_address());
    let login = Login::of("ops").without_password();
    client.send_login(&login);
    client.send_raw(b"\x09\0\0\0\x03SHUTDOWN");
    expect_denied(&client.error(), "ops", "NO");
    client.expect_clean_end();
    log_in(&proxy);
}

#[test]
fn a_login_that_takes_too_long_or_is_too_large_is_ended() {
    let backend = backend();
    let slow = Proxy::start(config(&backend, "").with("limits: { login-time: 300ms }"));
    let mut client = Client::greeted(slow.admin_address());
    assert_eq!(client.error().code_and_state(), (1159, "08S01"));
    client.expect_clean_end();
    let proxy = start(&backend);
    let mut client = Client::greeted(proxy.admin_address());
    client.send_raw(&[0, 0, 0x10, 1]);
    client.sequence = 2;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
}

#[test]
fn many_that_do_not_log_in_are_turned_away() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address();
    let mut silent: Vec<_> = (0..20).map(|_| Client::greeted(address)).collect();
    let packet = Client::connect(address).wire.read_packet().expect("an ERR");
    assert!(
        packet.payload.starts_with(b"\xff\x10\x04Too many"),
        "{packet:?}"
    );
    // as soon as one of them is gone another may come
    silent.pop();
    crate::support::proxy::wait_until("a free place", || {
        Client::connect(address).read().error().is_none()
    });
}

#[test]
fn a_scramble_is_enough_where_the_password_is_known() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = Client::connect(proxy.admin_address());
    let greeting = client.greeting();
    let mut login = Login::of("ops");
    login.auth = caching_sha2_scramble(PASSWORD, &greeting.salt);
    client.send_login(&login);
    assert_eq!(client.read().payload, [1, 3]);
    assert!(client.read().is_ok());
    assert_eq!(
        greeting.version,
        format!("8.4.0-mytls-{}", env!("CARGO_PKG_VERSION"))
    );
    assert!(
        greeting.connection_id < 0x8000_0000,
        "no session of the data port"
    );
}

#[test]
fn a_password_of_which_only_the_hash_is_known_is_asked_for_once() {
    let backend = backend();
    let proxy = start(&backend);
    try_to_log_in(&proxy, "hashed", Some(STORED_PASSWORD), None).expect("the password itself");
    let mut client = Client::connect(proxy.admin_address());
    let salt = client.greeting().salt;
    let mut login = Login::of("hashed");
    login.auth = caching_sha2_scramble(STORED_PASSWORD, &salt);
    client.send_login(&login);
    assert_eq!(client.read().payload, [1, 3]);
    assert!(client.read().is_ok());
}

#[test]
fn in_plaintext_the_password_comes_encrypted_or_not_at_all() {
    let backend = backend();
    let proxy = start(&backend);
    let full = || {
        let mut client = Client::connect(proxy.admin_address());
        let salt = client.greeting().salt;
        client.send_login(&Login::of("hashed"));
        assert_eq!(client.read().payload, [1, 4]);
        (client, salt)
    };
    let (mut client, _) = full();
    client.send(format!("{STORED_PASSWORD}\0").as_bytes());
    expect_denied(&client.error(), "hashed", "YES");

    let (mut client, salt) = full();
    client.send(&[2]);
    let pem = client.read().payload[1..].to_vec();
    let other_salt = encrypt(&pem, b"admin-pw\0", b"not-this-salt-but-20");
    client.send(&other_salt);
    expect_denied(&client.error(), "hashed", "YES");

    let (mut client, _) = full();
    client.send(&[2]);
    client.read();
    client.send(&encrypt(&pem, b"admin-pw\0", &salt));
    expect_denied(&client.error(), "hashed", "YES");

    let (mut client, salt) = full();
    client.send(&[2]);
    client.read();
    client.send(&encrypt(&pem, b"admin-pw\0", &salt));
    assert!(client.read().is_ok());
    // a client that has the key does not ask for it
    let mut client = Client::connect(proxy.admin_address());
    let salt = client.greeting().salt;
    let mut login = Login::of("ops");
    login.auth = vec![7; 32];
    client.send_login(&login);
    let pinned = ClientPlugin::with(PASSWORD)
        .greeted_with(&salt)
        .pinned(&pem);
    assert!(client.authenticate(pinned).is_ok());
}

#[test]
fn a_client_that_begins_with_another_plugin_is_asked_for_ours() {
    let backend = backend();
    let proxy = start(&backend);
    for plugin in [
        "mysql_native_password",
        "mysql_clear_password",
        "sha256_password",
        "",
    ] {
        let mut client = Client::greeted(proxy.admin_address());
        let mut login = Login::of("ops");
        login.plugin = Some(plugin.to_owned());
        login.auth = b"whatever".to_vec();
        client.send_login(&login);
        let switch = client.read();
        assert!(
            switch.payload.starts_with(b"\xfecaching_sha2_password\0"),
            "{switch:?}"
        );
        assert_eq!(
            switch.payload.len(),
            1 + 22 + 21,
            "a salt of 20 bytes and a NUL"
        );
        let salt = &switch.payload[23..43];
        client.send(&caching_sha2_scramble(PASSWORD, salt));
        assert_eq!(client.read().payload, [1, 3], "{plugin}");
        assert!(client.read().is_ok());
    }
}

#[test]
fn a_certificate_alone_is_enough_where_it_is_said_so() {
    let backend = backend();
    let proxy = start(&backend);
    for password in [None, Some(PASSWORD), Some("whatever")] {
        let mut client = try_to_log_in(&proxy, "rotate", password, Some(&PKI.client)).expect("in");
        let user = rows(&mut client, "SELECT CURRENT_USER()");
        assert_eq!(user.rows[0][0].as_deref(), Some("rotate@127.0.0.1"));
    }
}

#[test]
fn the_database_of_a_login_is_the_current_one() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = Client::connect(proxy.admin_address());
    let salt = client.greeting().salt;
    let mut login = Login::of("ops").database("performance_schema");
    login.auth = caching_sha2_scramble(PASSWORD, &salt);
    client.send_login(&login);
    client.read();
    assert!(client.read().is_ok());
    let database = rows(&mut client, "SELECT DATABASE()");
    assert_eq!(database.rows[0][0].as_deref(), Some("performance_schema"));
    client.sequence = 0;
    client.command(b"\x02shop");
    assert!(client.read_answer(1)[0].is_ok());
    assert_eq!(ask(&mut client, "SHOW TABLES").payload, [1]);
}

#[test]
fn a_password_file_that_says_no_password_stops_the_start_and_is_found_by_check() {
    let backend = backend();
    for (content, reason) in [
        (None, "No such file"),
        (Some(""), "it is empty"),
        (Some("\n"), "it is empty"),
    ] {
        let config: Config = config(&backend, "");
        let path = config.path("ops.secret");
        match content {
            Some(content) => std::fs::write(&path, content).expect("write"),
            None => std::fs::remove_file(&path).expect("remove"),
        }
        for (command, code) in [("serve", 64), ("check", 1)] {
            let run = run_with(command, &config);
            assert_eq!(run.code, Some(code), "{}", run.stderr);
            let said = run.stdout + &run.stderr;
            assert!(said.contains("ops.secret"), "{said}");
            assert!(said.contains(reason), "{said}");
        }
    }
}

// A client that we did not write, as it connects by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn mysql_async_logs_in_and_reads_results() {
    let backend = backend();
    let proxy = start(&backend);
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(proxy.admin_address().port())
        .user(Some("ops"));
    let wrong = Conn::new(options.clone().pass(Some("wrong"))).await;
    assert!(matches!(wrong, Err(Error::Server(error)) if error.code == 1045));
    let mut conn = Conn::new(options.pass(Some(PASSWORD))).await.expect("in");
    let uptime: Option<(String, u64)> = conn
        .query_first("SHOW GLOBAL STATUS LIKE 'Uptime'")
        .await
        .expect("a status");
    assert!(uptime.is_some_and(|(name, _)| name == "Uptime"));
    conn.query_drop("ALTER INSTANCE RELOAD TLS")
        .await
        .expect("reloaded");
    conn.ping().await.expect("alive");
    conn.disconnect().await.expect("a clean end");
}
