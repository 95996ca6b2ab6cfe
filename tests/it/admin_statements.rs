//! What can be asked of the admin port, and what it answers.
//!
//! Column definitions are those of MySQL 9.7, byte for byte.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use crate::import::imports;
use crate::support::admin::{
    ask, backend, config, done, kill_the_only_session, log_in, read_rows, refused, rows, start,
    without_deprecate_eof,
};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::transactional;
use crate::support::grants::Grants;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::message;
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy, wait_until};

#[test]
fn what_is_not_understood_is_refused_as_mysql_refuses_it() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    for (sql, code, state) in [
        ("", 1065, "42000"),
        ("/* nothing */", 1065, "42000"),
        ("SELEC 1", 1064, "42000"),
        ("SHUTDOWN; SHUTDOWN", 1064, "42000"),
        ("SELECT 1; SHUTDOWN", 1064, "42000"),
        ("INSERT INTO t VALUES (1)", 1235, "42000"),
        ("SHOW FULL USERS", 1235, "42000"),
        ("SHOW FULL", 1064, "42000"),
        ("SHOW STATUS WHERE Variable_name = 'x'", 1235, "42000"),
        ("CREATE USER 'a'@'%' IDENTIFIED BY 'b'", 1235, "42000"),
        ("SELECT @@nope", 1193, "HY000"),
        ("SET nope = 1", 1193, "HY000"),
        ("SET GLOBAL nope = 1", 1193, "HY000"),
        ("SET GLOBAL ssl_ca = 'a'", 1238, "HY000"),
        ("KILL 1", 1094, "HY000"),
        ("KILL 99999999999", 1094, "HY000"),
        ("SHOW TABLES", 1046, "3D000"),
        (&format!("SELECT 1{}", ",1".repeat(4_096)), 1117, "HY000"),
        ("ALTER INSTANCE RELOAD TLS FOR CHANNEL nope", 1149, "42000"),
    ] {
        assert_eq!(
            refused(&mut client, sql).code_and_state(),
            (code, state),
            "{sql}"
        );
    }
    let error = refused(&mut client, "SHOW\nSTATUS LIKE Ssl");
    assert!(error.message.ends_with("near 'Ssl' at line 2"), "{error:?}");
    client.command(b"\x03SELECT '\xff'");
    assert_eq!(
        client.read_answer(1)[0].error().map(|error| error.code),
        Some(1300)
    );
}

#[test]
fn commands_that_are_no_statements_are_answered() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    for (command, expected) in [
        (&b"\x0e"[..], None),
        (b"\x1f", None),
        (b"\x16SELECT 1", Some(1295)),
        (b"\x04table\0", Some(1146)),
        (b"\x11", Some(1047)),
        (b"\x12", Some(1047)),
        (b"\xfe", Some(1047)),
        (b"", Some(1047)),
    ] {
        client.command(command);
        let answer = &client.read_answer(1)[0];
        assert_eq!(
            answer.error().map(|error| error.code),
            expected,
            "{command:?}"
        );
        assert!(expected.is_some() || answer.is_ok(), "{command:?}");
    }
    client.command(b"\x1b\x01\0");
    assert_eq!(client.read_answer(1)[0].payload, b"\xfe\0\0\x02\0");
    client.command(b"\x09");
    assert!(client.read_answer(1)[0].payload.starts_with(b"Uptime: "));
    // these get no answer
    client.command(b"\x19\x01\0\0\0");
    client.command(b"\x0e");
    assert!(client.read_answer(1)[0].is_ok());
    client.command(b"\x01");
    client.expect_clean_end();
}

#[test]
fn a_statement_beyond_the_limit_is_refused_and_ends_the_connection() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    client.send_raw(&[0xff, 0xff, 0xff, 0, 0x03]);
    client.sequence = 1;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    client.expect_end();
    let mut client = log_in(&proxy);
    client.sequence = 5;
    client.send(b"\x0e");
    let packet = client.wire.read_packet().expect("an ERR");
    assert_eq!(packet.error().map(|error| error.code), Some(1156));
    // just below it is a statement like any other
    let mut client = log_in(&proxy);
    let sql = format!("SELECT '{}'", "a".repeat(128 * 1024 - 10));
    assert_eq!(ask(&mut client, &sql).payload, [1]);
}

#[test]
fn ten_thousand_statements_in_one_stream_are_answered_in_order() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    let statement = message(0, b"\x03SELECT 7");
    let stream = statement.repeat(10_000);
    let before = proxy.status_number("VmHWM");
    // in parts, since one thread cannot send and read at once
    for part in stream.chunks(statement.len() * 500) {
        client.send_raw(part);
        for _ in 0..part.len() / statement.len() {
            let first = client.read_answer(1).remove(0);
            let answer = read_rows(&mut client, &first, true);
            assert_eq!(answer.rows, [[Some("7".to_owned())]]);
        }
    }
    let grown = proxy.status_number("VmHWM") - before;
    assert!(grown < 4 << 10, "{grown} KiB");
}

// As MySQL 9.7 describes them.
#[test]
fn columns_are_described_as_mysql_describes_them() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    let name = |table: &str, column: &str, length: &[u8; 4], flags: &[u8; 2]| {
        let mut bytes = b"\x03def\x12performance_schema".to_vec();
        for text in [table, table, column, column] {
            bytes.push(u8::try_from(text.len()).expect("short"));
            bytes.extend(text.bytes());
        }
        bytes.extend(b"\x0c\xff\0");
        bytes.extend(length);
        bytes.push(0xfd);
        bytes.extend(flags);
        bytes.extend([0, 0, 0]);
        bytes
    };
    for (sql, table) in [
        ("SHOW STATUS", "session_status"),
        ("SHOW GLOBAL STATUS", "global_status"),
        ("SHOW LOCAL VARIABLES", "session_variables"),
        ("SHOW GLOBAL VARIABLES", "global_variables"),
    ] {
        let definitions = rows(&mut client, sql).definitions;
        assert_eq!(
            definitions[0],
            name(table, "Variable_name", b"\0\x01\0\0", b"\x01\x10")
        );
        assert_eq!(definitions[1], name(table, "Value", b"\0\x10\0\0", b"\0\0"));
    }
    let table = "tls_channel_status";
    let channels = rows(
        &mut client,
        "SELECT * FROM performance_schema.tls_channel_status",
    );
    assert_eq!(
        channels.definitions[0],
        name(table, "CHANNEL", b"\0\x02\0\0", b"\x01\x10")
    );
    assert_eq!(
        channels.definitions[1],
        name(table, "PROPERTY", b"\0\x02\0\0", b"\x01\x10")
    );
    assert_eq!(
        channels.definitions[2],
        name(table, "VALUE", b"\0\x20\0\0", b"\x01\x10")
    );
    assert_eq!(
        rows(&mut client, "SELECT 1").definitions,
        [b"\x03def\0\0\0\x011\0\x0c?\0\x02\0\0\0\x08\x81\0\0\0\0"]
    );
    let processes = rows(&mut client, "SHOW PROCESSLIST").definitions;
    let mysql: [&[u8]; 8] = [
        b"\x03def\0\0\0\x02Id\0\x0c?\0\x16\0\0\0\x08\x81\0\0\0\0",
        b"\x03def\0\0\0\x04User\0\x0c\xff\0\x80\0\0\0\xfd\x01\0\x1f\0\0",
        b"\x03def\0\0\0\x04Host\0\x0c\xff\0\xfc\x03\0\0\xfd\x01\0\x1f\0\0",
        b"\x03def\0\0\0\x02db\0\x0c\xff\0\0\x01\0\0\xfd\0\0\x1f\0\0",
        b"\x03def\0\0\0\x07Command\0\x0c\xff\0@\0\0\0\xfd\x01\0\x1f\0\0",
        b"\x03def\0\0\0\x04Time\0\x0c?\0\x08\0\0\0\x03\x81\0\0\0\0",
        b"\x03def\0\0\0\x05State\0\x0c\xff\0x\0\0\0\xfd\0\0\x1f\0\0",
        b"\x03def\0\0\0\x04Info\0\x0c\xff\0\x90\x01\0\0\xfd\0\0\x1f\0\0",
    ];
    assert_eq!(processes[..8], mysql);
}

#[test]
fn both_endings_of_a_result_are_spoken() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = Client::greeted(proxy.admin_address());
    let login = without_deprecate_eof("ops");
    client.start_tls(&login, &PKI.client_tls(None));
    client.send_login(&login);
    assert!(client.authenticate(ClientPlugin::with(PASSWORD)).is_ok());
    let first = ask(&mut client, "SELECT NULL, 'a', @@autocommit");
    let answer = read_rows(&mut client, &first, false);
    assert_eq!(answer.columns, ["NULL", "a", "@@autocommit"]);
    assert_eq!(
        answer.rows,
        [[None, Some("a".to_owned()), Some("1".to_owned())]]
    );
}

#[test]
fn what_drivers_send_when_they_connect_is_done() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    for sql in [
        "SET NAMES utf8mb4",
        "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci'",
        "SET AUTOCOMMIT = 0",
        "SET character_set_results = NULL",
        "SET @@session.autocommit = OFF",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET sql_mode=concat(@@sql_mode,',STRICT_TRANS_TABLES')",
        // mysqld_exporter's first
        "SET lock_wait_timeout = 2",
        "BEGIN",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "USE shop",
    ] {
        done(&mut client, sql);
    }
    let warnings = rows(&mut client, "SHOW WARNINGS");
    assert_eq!(warnings.columns, ["Level", "Code", "Message"]);
    assert!(warnings.rows.is_empty());
    let databases = rows(&mut client, "SHOW DATABASES LIKE 'perf%'");
    assert_eq!(databases.columns, ["Database (perf%)"]);
    let tables = rows(
        &mut client,
        "SHOW TABLES FROM performance_schema LIKE 'tls%'",
    );
    assert_eq!(tables.columns, ["Tables_in_performance_schema (tls%)"]);
    assert_eq!(tables.rows, [[Some("tls_channel_status".to_owned())]]);
}

#[test]
fn status_tells_the_certificate_in_mysqls_words() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    let dates = rows(
        &mut client,
        r"SHOW GLOBAL STATUS LIKE 'Ssl\_server\_not\_%'",
    );
    assert_eq!(
        dates.column("Variable_name"),
        [Some("Ssl_server_not_after"), Some("Ssl_server_not_before")]
    );
    assert_eq!(
        dates.value("Ssl_server_not_after"),
        "Jan  1 00:00:00 4096 GMT"
    );
    let own = rows(&mut client, "SHOW STATUS LIKE 'Ssl_version'");
    assert_eq!(own.value("Ssl_version"), "TLSv1.3");
    let global = rows(&mut client, "SHOW GLOBAL STATUS LIKE 'ssl_VERSION'");
    assert_eq!(global.value("Ssl_version"), "");
    let variables = rows(&mut client, "SHOW VARIABLES LIKE 'ssl\\_c%'");
    assert!(variables.value("ssl_cert").ends_with("/server.pem"));
    let channel = rows(
        &mut client,
        "SELECT PROPERTY, VALUE FROM performance_schema.tls_channel_status WHERE CHANNEL = 'mysql_admin' AND PROPERTY \
         LIKE 'Ena%'",
    );
    assert_eq!(
        channel.rows,
        [[Some("Enabled".to_owned()), Some("Yes".to_owned())]]
    );
}

#[test]
fn a_login_is_ended_wherever_it_is() {
    let backend = backend();
    let proxy = start(&backend);
    let mut operator = log_in(&proxy);
    let mut greeted = Client::greeted(proxy.address);
    kill_the_only_session(&mut operator);
    greeted.expect_clean_end();
    wait_until("the session's end", || {
        rows(&mut operator, "SHOW PROCESSLIST").rows.is_empty()
    });

    let mut asked = Client::greeted(proxy.address);
    asked.send_login(&Login::of("app"));
    assert_eq!(asked.read().payload[0], 0xfe, "AuthSwitchRequest");
    kill_the_only_session(&mut operator);
    asked.expect_clean_end();
    backend.expect_ended_handshake_within(Duration::from_secs(5));
    assert!(proxy.session_line().contains("ended by KILL"));
}

#[test]
fn a_session_is_shown_and_ended() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    assert!(rows(&mut client, "SHOW PROCESSLIST").rows.is_empty());
    let tls = PKI.client_tls(Some(&PKI.client));
    let login = Login::of("app").database("shop");
    let mut session = Client::logged_in_over_tls(proxy.address, &login, &tls);
    session.query("SELECT 1");
    session.expect_echo("SELECT 1");
    let list = rows(&mut client, "SHOW FULL PROCESSLIST");
    assert_eq!(list.rows.len(), 1);
    for (column, value) in [
        ("User", "app"),
        ("Host", "127.0.0.1"),
        ("db", "shop"),
        ("Command", "Relay"),
        ("Route", "source"),
        ("Tls", "TLSv1.3"),
        ("Tls_subject", "/O=Lab/CN=client"),
        ("Account", "default-require"),
        ("Bytes_from_client", "13"),
    ] {
        assert_eq!(list.column(column), [Some(value)], "{column}");
    }
    let id = list.column("Id")[0].expect("an id").to_owned();
    assert_eq!(refused(&mut client, &format!("KILL QUERY {id}")).code, 1235);
    let status = rows(&mut client, "SHOW GLOBAL STATUS");
    assert_eq!(status.value("Threads_connected"), "1");
    assert_eq!(status.value("Mytls_logins"), "1");
    assert_eq!(status.value("Ssl_accepts"), "1");

    done(&mut client, &format!("KILL {id}"));
    session.expect_end();
    wait_until("the session's end", || {
        rows(&mut client, "SHOW PROCESSLIST").rows.is_empty()
    });
    assert_eq!(refused(&mut client, &format!("KILL {id}")).code, 1094);
    assert!(proxy.session_line().contains("ended by KILL"));
}

#[test]
fn backends_are_shown_with_what_they_greeted_with() {
    let backend = backend();
    let proxy = start(&backend);
    let mut client = log_in(&proxy);
    let version = rows(&mut client, "SHOW FULL BACKENDS");
    assert_eq!(version.column("Version"), [Some("9.7.0")]);
    let backends = rows(&mut client, "SHOW BACKENDS");
    for (column, value) in [
        ("Route", "source"),
        ("Current", "YES"),
        ("Tls", "NO"),
        ("Sessions", "0"),
        ("State", "ready"),
    ] {
        assert_eq!(backends.column(column), [Some(value)], "{column}");
    }
}

/// The server certificate of the data port alone, in files of its own.
fn with_own_files(config: Config) -> Config {
    let folder = config.path("");
    PKI.server.replace(&folder, "main");
    config.security("{ ssl-ca: ca.pem, ssl-cert: main.pem, ssl-key: main.key }")
}

fn generation(client: &mut Client, channel: &str) -> String {
    let name = format!("Mytls_tls_generation_{channel}");
    rows(client, "SHOW STATUS LIKE 'Mytls_tls_gen%'")
        .value(&name)
        .to_owned()
}

fn can_use_tls(proxy: &Proxy) -> bool {
    const SSL: u32 = 1 << 11;
    Client::connect(proxy.address).greeting().capabilities & SSL != 0
}

#[test]
fn a_reload_that_fails_names_the_file_and_changes_nothing() {
    let backend = backend();
    let proxy = Proxy::start(with_own_files(config(&backend, "")));
    let mut client = log_in(&proxy);
    fs::write(proxy.path("main.pem"), "no certificate").expect("write");
    for sql in [
        "ALTER INSTANCE RELOAD TLS",
        "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main",
    ] {
        let error = refused(&mut client, sql);
        assert_eq!(error.code_and_state(), (3888, "HY000"));
        assert!(error.message.contains("main.pem"), "{error:?}");
    }
    assert_eq!(generation(&mut client, "mysql_main"), "1");
    assert!(can_use_tls(&proxy));
    done(
        &mut client,
        "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_admin",
    );
    for words in ["", " NO ROLLBACK ON ERROR"] {
        let sql = format!("ALTER INSTANCE RELOAD TLS FOR CHANNEL target{words}");
        assert_eq!(refused(&mut client, &sql).code, 3888, "{sql}");
    }
}

#[test]
fn a_reload_takes_new_files_for_one_channel_or_for_all() {
    let backend = backend();
    let proxy = Proxy::start(with_own_files(config(&backend, "")));
    let mut client = log_in(&proxy);
    done(
        &mut client,
        "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main",
    );
    let generations = |client: &mut Client| {
        (
            generation(client, "mysql_main"),
            generation(client, "mysql_admin"),
        )
    };
    assert_eq!(generations(&mut client), ("2".to_owned(), "1".to_owned()));
    done(&mut client, "alter instance reload tls;");
    assert_eq!(generations(&mut client), ("3".to_owned(), "2".to_owned()));
    // the one that asked goes on, and so does who comes next
    assert_eq!(rows(&mut client, "SELECT 1").rows.len(), 1);
    let tls = PKI.client_tls(Some(&PKI.client));
    Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    assert!(
        proxy
            .log()
            .contains("statement=\"ALTER INSTANCE RELOAD TLS\"")
    );
}

#[test]
fn no_rollback_on_error_turns_tls_off_unless_it_is_required() {
    let backend = backend();
    let proxy = Proxy::start(with_own_files(config(&backend, "")));
    let mut client = log_in(&proxy);
    fs::write(proxy.path("main.pem"), "no certificate").expect("write");
    let sql = "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main NO ROLLBACK ON ERROR";
    let ok = done(&mut client, sql);
    assert_eq!(ok.payload[5..7], [1, 0], "one warning");
    let warnings = rows(&mut client, "SHOW WARNINGS");
    assert_eq!(warnings.column("Level"), [Some("Warning")]);
    assert_eq!(warnings.column("Code"), [Some("3888")]);
    assert!(!can_use_tls(&proxy));

    let lines = "require-secure-transport: true";
    let strict = Proxy::start(with_own_files(config(&backend, "")).with(lines));
    let mut client = log_in(&strict);
    fs::write(strict.path("main.pem"), "no certificate").expect("write");
    assert_eq!(refused(&mut client, sql).code, 3888);
    assert!(
        can_use_tls(&strict),
        "TLS was turned off though it is required"
    );
}

#[test]
fn certificates_in_force_are_shown() {
    let backend = backend();
    let proxy = start(&backend);
    let list = rows(&mut log_in(&proxy), "SHOW FULL CERTIFICATES");
    let places: Vec<_> = list
        .column("Channel")
        .into_iter()
        .zip(list.column("What"))
        .collect();
    let expected = [
        ("mysql_main", "ssl-cert"),
        ("mysql_main", "ssl-ca"),
        ("mysql_admin", "ssl-cert"),
        ("mysql_admin", "ssl-ca"),
    ]
    .map(|(channel, what)| (Some(channel), Some(what)));
    assert_eq!(places, expected);
    let file = list.column("File")[0].expect("a file");
    assert!(file.ends_with("/server.pem"), "{file}");
    assert_eq!(list.column("Issuer")[0], Some("/CN=mytls test CA"));
}

#[test]
fn shutdown_drains_and_ends_with_status_0() {
    let backend = Backend::start(Server::mysql().on_command(transactional));
    let mut proxy = start(&backend);
    let mut client = log_in(&proxy);
    let mut session = Client::logged_in(proxy.address, &Login::of("app"));
    session.query("BEGIN");
    assert!(session.read().is_ok());
    done(&mut client, "SHUTDOWN");
    wait_until("a closed port", || {
        TcpStream::connect(proxy.address).is_err()
    });
    // it answers to the end; who came before the port was closed is in the list until mytls takes notice that he has left
    wait_until("no session but the one in a transaction", || {
        rows(&mut client, "SHOW PROCESSLIST").rows.len() == 1
    });
    session.query("COMMIT");
    assert!(session.read().is_ok());
    session.query("SELECT 1");
    assert_eq!(session.error().code_and_state(), (1053, "08S01"));
    assert_eq!(proxy.exit_status().code(), Some(0));
    client.expect_end();
}

#[test]
fn an_admin_port_on_a_socket_takes_passwords_in_clear() {
    let backend = backend();
    let config = Config::before(&backend);
    fs::write(config.path("ops.secret"), PASSWORD).expect("write");
    let socket = config.path("admin.sock");
    let section = format!(
        "admin: {{ listen: \"unix:{}\", users: [{{ user: ops, password-file: ops.secret }}] }}",
        socket.display()
    );
    let _proxy = Proxy::start(config.with(&section));
    wait_until("the socket", || socket.exists());
    let mut client = Client::connect_unix(&socket);
    client.greeting();
    client.send_login(&Login::of("ops"));
    assert!(client.authenticate(ClientPlugin::with(PASSWORD)).is_ok());
    let user = rows(&mut client, "SELECT USER()");
    assert_eq!(user.rows[0][0].as_deref(), Some("ops@localhost"));
}

const RULES: &str = "accounts:
  - { user: \"'strict'@'%'\", require: \"SUBJECT '/CN=it''s' AND ISSUER '/CN=ca'\" }
  - { user: \"'app'@'10.0.0.0/8'\", require: SSL }
default-require: NONE";

#[test]
fn rules_are_shown_as_they_would_be_written() {
    let backend = backend();
    let proxy = Proxy::start(config(&backend, "").with(RULES));
    let mut client = log_in(&proxy);
    assert_eq!(refused(&mut client, "SHOW CREATE USER nobody").code, 1396);
    let users = rows(&mut client, "SHOW USERS");
    let expected = [
        ("'app'@'10.0.0.0/8'", "SSL"),
        ("'strict'@'%'", "SUBJECT '/CN=it''s' AND ISSUER '/CN=ca'"),
        ("default-require", "NONE"),
    ]
    .map(|(account, requirement)| (Some(account), Some(requirement)));
    let shown = users
        .column("Account")
        .into_iter()
        .zip(users.column("Require"));
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let created = rows(&mut client, "SHOW CREATE USER app@'10.0.0.0/8'");
    assert_eq!(created.columns, ["CREATE USER for app@10.0.0.0/8", "Place"]);
    assert_eq!(
        created.rows[0][0].as_deref(),
        Some("CREATE USER `app`@`10.0.0.0/8` REQUIRE SSL")
    );
}

#[test]
fn who_was_refused_is_shown_and_who_would_be() {
    let backend = backend();
    for (lines, verdict, code) in [
        (RULES.to_owned(), "refused", Some(1045)),
        (format!("{RULES}\nenforcement: report"), "reported", None),
    ] {
        let proxy = Proxy::start(config(&backend, "").with(&lines));
        let mut client = log_in(&proxy);
        assert!(rows(&mut client, "SHOW DENIALS").rows.is_empty());
        // more than the log shows
        for _ in 0..15 {
            let mut session = Client::greeted(proxy.address);
            session.send_login(&Login::of("strict"));
            let last = session.authenticate(ClientPlugin::with_password());
            assert_eq!(last.error().map(|error| error.code), code);
        }
        let cut = rows(&mut client, "SHOW DENIALS");
        let cut = cut.column("Reason")[0]
            .expect("a reason")
            .trim_end_matches('…');
        let denials = rows(&mut client, "SHOW FULL DENIALS");
        for (column, value) in [
            ("User", "strict"),
            ("Host", "127.0.0.1"),
            ("Verdict", verdict),
            ("Count", "15"),
        ] {
            assert_eq!(denials.column(column), [Some(value)], "{column}");
        }
        let reason = denials.column("Reason")[0].expect("a reason");
        assert!(reason.contains("'strict'@'%'"), "{reason}");
        assert!(reason.len() > cut.len() && reason.starts_with(cut), "{cut}");
        let first = denials.column("First")[0].expect("a time");
        assert!(first.starts_with("20") && first.ends_with('Z'), "{first}");
    }
}

#[test]
fn rules_of_a_server_are_shown_and_read_again_when_asked() {
    let accounts = [["app", "%", "X509", "", "", "", "caching_sha2_password"]];
    let grants = Grants::rows(&accounts);
    let backend = Backend::start(grants.of(Server::greeting(&Greeting::mysql())));
    let lines = format!("import-accounts: {{user: mytls, password: {PASSWORD}, interval: 1h}}");
    let proxy = Proxy::start(config(&backend, "").with(&lines));
    proxy.wait_for_log("accounts are imported");
    let mut client = log_in(&proxy);
    let users = rows(&mut client, "SHOW USERS");
    assert_eq!(users.column("Place"), [Some("file"), Some("source")]);
    assert_eq!(users.column("Account")[1], Some("'app'@'%'"));
    assert_eq!(users.column("Require")[1], Some("X509"));
    assert_eq!(imports(&backend), 1);
    done(&mut client, "FLUSH PRIVILEGES");
    wait_until("an import", || imports(&backend) == 2);
}
