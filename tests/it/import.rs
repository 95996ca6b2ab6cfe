//! Accounts out of the server's own grant tables: mytls' own login there, what it asks, and what goes wrong.

use crate::support::backend::{Backend, Server};
use crate::support::conversation::Event;
use crate::support::grants::{Grants, Reply};
use crate::support::handshake::Greeting;
use crate::support::packet::text;
use crate::support::pki::PKI;
use crate::support::plugin::{PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy, run_with, run_with_arguments, wait_until};

/// An account as MySQL has it.
const APP: [&str; 7] = ["app", "%", "X509", "", "", "", "caching_sha2_password"];

/// The configuration of most tests: `interval` is the shortest that has an effect.
fn importing(backend: &Backend) -> Config {
    Config::before(backend).with(&format!(
        "import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1s}}\nlog: {{level: trace}}"
    ))
}

pub(crate) fn imports(backend: &Backend) -> usize {
    let events = backend.events();
    events
        .iter()
        .flatten()
        .filter(|event| is_import(event))
        .count()
}

fn is_import(event: &Event) -> bool {
    matches!(event, Event::Command(packet) if text(&packet.payload).contains("FROM mysql.user"))
}

/// What `mytls check` says of a backend that it cannot import from.
#[track_caller]
fn failure(config: &Config) -> String {
    let run = run_with("check", config);
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = run.stdout.lines().last().expect("a line");
    let failure = line
        .strip_prefix("FAILED   source ")
        .and_then(|line| line.split_once(": "));
    failure.unwrap_or_else(|| panic!("{run:?}")).1.to_owned()
}

#[test]
fn an_account_that_the_server_refuses_is_said_to_be_and_tried_again_quietly() {
    let backend = Backend::start(Server::mysql().on_login(|conversation| {
        conversation.switch("mysql_native_password", b"backend-salt-20bytes\0")?;
        conversation.read()?;
        conversation.refuse()
    }));
    let refused = "the backend refused the login: 1045 Access denied for user";
    assert_eq!(failure(&importing(&backend)), refused);
    let proxy = Proxy::start(importing(&backend));
    let before = backend.logins().len();
    wait_until("three more logins", || backend.logins().len() >= before + 3);
    let log = proxy.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(refused)).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("nobody may log in"), "{log}");
}

#[test]
fn lacking_privileges_are_named() {
    for (greeting, grant) in [
        (
            Greeting::mysql(),
            "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin) ON mysql.user",
        ),
        (Greeting::mariadb(), "plugin, is_role) ON mysql.user"),
        (Greeting::tidb(), "GRANT SELECT ON mysql.global_priv"),
    ] {
        for code in [1142, 1143] {
            let backend =
                Backend::start(Grants::new(Reply::Error(code)).of(Server::greeting(&greeting)));
            let failure = failure(&importing(&backend));
            assert!(
                failure.starts_with(&format!("{code} command denied to user: mytls needs GRANT"))
                    && failure.contains(grant),
                "{failure}"
            );
        }
    }
}

#[test]
fn on_a_unix_socket_mariadbs_alternatives_must_be_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    open_to_everybody(folder.path());
    let socket = folder.path().join("server.sock");
    let grants = Grants::new(Reply::Error(1142));
    let backend = Backend::start_unix(&socket, grants.of(Server::greeting(&Greeting::mariadb())));
    let config = importing(&backend).never_as_root();
    let failure = failure(&config);
    assert!(
        failure.contains("GRANT SELECT (User, Host, Priv) ON mysql.global_priv"),
        "{failure}"
    );
    let app = ["app", "%", "", "", "", "", "mysql_native_password", "N"];
    let row = |plugins| {
        let mut row = [""; 9];
        row[..8].copy_from_slice(&app);
        row[8] = plugins;
        row
    };
    for (plugins, peer) in [
        (r#"["mysql_native_password", "unix_socket"]"#, true),
        ("NULL", true),
        (r#"["mysql_native_password"]"#, false),
    ] {
        grants.set(Reply::rows(&[row(plugins)]));
        let proxy = Proxy::start_cold(importing(&backend).never_as_root());
        let line = proxy.wait_for_log("imported route");
        assert!(line.contains(&format!("peer_credential={peer}")), "{line}");
    }
}

fn open_to_everybody(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("set");
}

#[test]
fn what_is_no_list_of_accounts_is_refused_whole() {
    let garbled = ["app", "%", "X509"];
    for (reply, why) in [
        (Reply::Garbage, "the backend's answer cannot be read"),
        (Reply::Closed, "the backend closed the connection"),
        (
            Reply::lost_behind(&APP),
            "the backend closed the connection",
        ),
        (
            Reply::rows(&[garbled]),
            "a row of the grant tables cannot be read",
        ),
        (
            Reply::Long(1 << 20, 70),
            "the backend's answer takes more than 67108864 bytes",
        ),
        // not many bytes, but many values
        (
            Reply::Rows(vec![vec![None; 250]; 6000]),
            "the backend's answer takes more than 67108864 bytes",
        ),
        (Reply::Error(1226), "1226 command denied to user"),
    ] {
        let backend = Backend::start(Grants::new(reply).of(Server::mysql()));
        let failure = failure(&importing(&backend));
        assert!(failure.starts_with(why), "{failure}");
    }
}

#[test]
fn a_failure_is_logged_once_and_so_is_the_recovery() {
    let grants = Grants::rows(&[APP]);
    let backend = Backend::start(grants.of(Server::mysql()));
    let proxy = Proxy::start_cold(importing(&backend));
    proxy.wait_for_log("accounts are imported route=source accounts=1");
    grants.set(Reply::Error(1142));
    proxy.wait_for_log("those of the last import stay in force");
    let before = imports(&backend);
    wait_until("more imports", || imports(&backend) >= before + 3);
    grants.set(Reply::rows(&[APP, APP]));
    proxy.wait_for_log("accounts are imported route=source accounts=2");
    let log = proxy.log();
    assert_eq!(
        log.matches("accounts cannot be imported").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("accounts are imported").count(), 2, "{log}");
}

#[test]
fn one_connection_serves_every_import_and_is_told_when_it_is_over() {
    let backend = Backend::start(Grants::rows(&[APP]).of(Server::mysql()));
    let proxy = Proxy::start_cold(importing(&backend));
    let statements = |events: &[Event]| -> Vec<String> {
        let command = |event: &Event| match event {
            Event::Command(packet) => Some(text(&packet.payload)),
            _ => None,
        };
        events.iter().filter_map(command).collect()
    };
    // answered to the end, so that none is under way when mytls is told to end
    wait_until("three imports", || {
        proxy.log().matches("imported route").count() >= 3
    });
    backend.wait_for("three imports on one connection", |events| {
        (events.iter().filter(|event| is_import(event)).count() >= 3).then_some(())
    });
    assert_eq!(backend.logins().len(), 1);
    proxy.terminate();
    let commands = backend.wait_for("the end", |events| {
        matches!(events.last(), Some(Event::Closed(_)))
            .then(|| statements(events))
            .filter(|commands| !commands.is_empty())
    });
    assert!(commands[0].starts_with("\u{3}SET character_set_client = utf8mb4"));
    assert_eq!(
        commands.last().map(String::as_str),
        Some("\u{1}"),
        "COM_QUIT"
    );
}

#[test]
fn a_kept_connection_that_broke_is_no_failure() {
    let grants = Grants::rows(&[APP]);
    let backend = Backend::start_each({
        let grants = grants.clone();
        move |_| {
            let grants = grants.clone();
            let asked = std::sync::atomic::AtomicUsize::new(0);
            Server::mysql().on_command(move |conversation, command| {
                // the server's patience: two imports each
                if is_import(&Event::Command(command.clone()))
                    && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2
                {
                    return Ok(crate::support::conversation::Answer::Close);
                }
                grants.answer(conversation, command)
            })
        }
    });
    let proxy = Proxy::start_cold(importing(&backend));
    wait_until("three connections", || backend.logins().len() >= 3);
    let log = proxy.log();
    assert!(!log.contains("cannot be imported"), "{log}");
    assert_eq!(log.matches("accounts are imported").count(), 1, "{log}");
}

#[test]
fn accounts_of_every_kind_of_server_are_read() {
    let mysql = [
        APP,
        [
            "josé",
            "10.0.0.0/8",
            "SPECIFIED",
            "A:B",
            "",
            r"/CN=a\/b",
            "sha256_password",
        ],
        ["", "localhost", "OTHER", "", "", "", "auth_socket"],
    ];
    let mariadb = [
        ["app", "%", "SPECIFIED", "A", "", "", "ed25519", "N"],
        ["reader", "", "", "", "", "", "", "Y"],
    ];
    let tidb = [
        ["app", "%", "mysql_native_password", "NULL"],
        [
            "dm",
            "%",
            "",
            r#"{"ssl_type":3,"san":"URI:spiffe://lab/dm"}"#,
        ],
        ["broken", "%", "", "{"],
    ];
    for (greeting, grants, expected) in [
        (
            Greeting::mysql(),
            Grants::rows(&mysql),
            &[
                "user=\"app\" host=\"%\" requirement=\"X509\" peer_credential=false",
                "user=\"josé\" host=\"10.0.0.0/8\" requirement=\"SUBJECT '/CN=a\\\\\\\\/b' AND CIPHER 'A:B'\" peer_credential=false",
                "user=\"\" host=\"localhost\" requirement=",
                r#"(its ssl_type is \\\"OTHER\\\")" peer_credential=true"#,
                "accounts=3",
            ][..],
        ),
        (
            Greeting::mariadb(),
            Grants::rows(&mariadb),
            &["user=\"app\" host=\"%\" requirement=", "accounts=1"],
        ),
        (
            Greeting::tidb(),
            Grants::rows(&tidb),
            &[
                "user=\"app\" host=\"%\" requirement=\"NONE\"",
                "user=\"dm\" host=\"%\" requirement=\"SAN 'URI:spiffe://lab/dm'\"",
                "does not parse",
                "accounts=3",
            ],
        ),
    ] {
        let backend = Backend::start(grants.of(Server::greeting(&greeting)));
        let proxy = Proxy::start_cold(importing(&backend));
        for part in expected {
            proxy.wait_for_log(part);
        }
    }
}

// ---- our own login ----------------------------------------------------------------------------------------------------

#[test]
fn a_plugin_that_cannot_be_spoken_is_named_and_the_handshake_is_ended() {
    for (plugin, name, last) in [
        (Plugin::Ed25519, "client_ed25519", vec![0; 64]),
        (Plugin::Clear, "mysql_clear_password", Vec::new()),
    ] {
        let backend = Backend::start(Grants::rows(&[APP]).of(Server::mysql().plugin(plugin)));
        let failure = failure(&importing(&backend));
        assert!(
            failure.starts_with(&format!("the account uses the plugin {name:?}")),
            "{failure}"
        );
        // not cut: the server refuses it, which does not count against us
        let events = backend.closed_within(std::time::Duration::from_secs(20));
        assert!(events.contains(&Event::AuthPacket(last)), "{events:?}");
        assert!(
            matches!(events.last(), Some(Event::Closed(_))),
            "{events:?}"
        );
    }
}

#[test]
fn tidb_gets_no_password_in_clear_over_plaintext() {
    let server = Server::greeting(&Greeting::tidb()).on_login(|conversation| {
        conversation.switch("caching_sha2_password", b"backend-salt-20bytes\0")?;
        conversation.read()?;
        conversation.more(&[0x04])?;
        conversation.read()?;
        conversation.refuse()
    });
    let backend = Backend::start(server);
    let failure = failure(&importing(&backend));
    assert!(failure.contains("gives no RSA key"), "{failure}");
    for event in backend.events().into_iter().flatten() {
        if let Event::AuthPacket(packet) = event {
            assert!(!text(&packet).contains(PASSWORD));
        }
    }
}

#[test]
fn every_other_plugin_logs_in_from_every_kind_of_side() {
    let plugins = [
        Plugin::Native,
        Plugin::CachingSha2Warm,
        Plugin::CachingSha2Full,
        Plugin::Sha256,
    ];
    let folder = tempfile::tempdir().expect("a folder");
    open_to_everybody(folder.path());
    for plugin in plugins {
        let server = || Grants::rows(&[APP]).of(Server::mysql().plugin(plugin));
        let socket = folder.path().join(format!("{plugin:?}.sock"));
        let encrypted = Server::tls(server(), PKI.backend_tls(&PKI.server));
        for (side, backend) in [
            ("plaintext", Backend::start(server())),
            ("TLS", Backend::start(encrypted)),
            ("socket", Backend::start_unix(&socket, server())),
        ] {
            let run = run_with("check", &importing(&backend).never_as_root());
            assert_eq!(run.code, Some(0), "{plugin:?}, {side}: {run:?}");
            assert!(run.stdout.contains("1 accounts are imported"), "{run:?}");
            let login = &backend.logins()[0];
            let ours = ("program_name".to_owned(), "mytls".to_owned());
            assert!(login.attributes.contains(&ours), "{login:?}");
        }
    }
    let clear = Server::mysql()
        .plugin(Plugin::Clear)
        .tls(PKI.backend_tls(&PKI.server));
    let backend = Backend::start(Grants::rows(&[APP]).of(clear));
    assert_eq!(run_with("check", &importing(&backend)).code, Some(0));
}

#[test]
fn an_account_without_a_password_logs_in() {
    let backend = Backend::start(Grants::rows(&[APP]).of(Server::mysql().plugin(Plugin::Empty)));
    let config = Config::before(&backend).with("import-accounts: {user: mytls}");
    let run = run_with("check", &config);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(backend.login().auth, b"");
}

#[test]
fn a_password_file_is_read_for_each_login_and_its_password_shown_nowhere() {
    let backend = Backend::start(Grants::new(Reply::Closed).of(Server::mysql()));
    let config = Config::before(&backend).with(
        "import-accounts: {user: mytls, password-file: own.secret, interval: 1s}\nlog: {level: trace}",
    );
    let run = run_with("serve", &config);
    assert_eq!(run.code, Some(64));
    assert!(
        run.stderr.contains("read password file") && run.stderr.contains("own.secret"),
        "{run:?}"
    );
    let secret = config.path("own.secret");
    std::fs::write(&secret, "wrong\n").expect("written");
    let proxy = Proxy::start_cold(config);
    proxy.wait_for_log("the backend refused the login: 1045");
    std::fs::write(&secret, format!("{PASSWORD}\n")).expect("written");
    backend.wait_for("a login", |events| {
        events.contains(&Event::LoggedIn).then_some(())
    });
    assert!(!proxy.log().contains(PASSWORD));
}

#[test]
fn authorize_says_that_the_servers_own_accounts_are_not_known() {
    let config = Config::before(&Backend::nobody()).with("import-accounts: {user: mytls}");
    let arguments = ["--user", "app", "--from", "10.0.0.7"];
    let run = run_with_arguments("authorize", &config, &arguments);
    assert_eq!(run.code, Some(0), "{run:?}");
    let note = "note         import-accounts: the server's own accounts judge too";
    assert!(run.stdout.contains(note), "{run:?}");
}
