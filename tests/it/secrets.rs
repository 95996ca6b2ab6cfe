//! Passwords and keys that are planted wherever mytls meets one, and looked for in everything that it lets out.
//!
//! The log is at its most talkative throughout, and of both formats.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::support::admin::{STORED, config as with_admin_port, log_in, rows, try_to_log_in};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::pki::{PKI, replace};
use crate::support::plugin::{PASSWORD, Plugin};
use crate::support::proxy::{Config, Proxy, Run, run_with, run_with_input};
use crate::support::secret::{Secret, expect_none_shown};
use crate::support::visit::tls_backend;

/// Of mytls' own account at the server.
const OWN_PASSWORD: &str = "planted-0wn-pw";
/// What somebody tries at the admin port.
const WRONG_PASSWORD: &str = "planted-Wr0ng-pw";
/// Within SQL.
const SQL_PASSWORD: &str = "planted-5ql-pw";

/// The `log` sections that the tests run with.
const FORMATS: [&str; 2] = ["text", "json"];

fn log_all(format: &str) -> String {
    format!("log: {{ format: {format}, level: trace }}")
}

fn passwords() -> Vec<Secret> {
    vec![
        Secret::text("a user's password", PASSWORD),
        Secret::text("mytls' own password", OWN_PASSWORD),
        Secret::text("a wrong password", WRONG_PASSWORD),
        Secret::text("a password in SQL", SQL_PASSWORD),
        Secret::text("a hash", STORED),
        Secret::key("the server's key", &PKI.server),
        Secret::key("the key towards the backend", &PKI.proxy_client),
    ]
}

/// The log, and what any user of the machine may read of a process.
fn let_out(proxy: &Proxy) -> String {
    format!("{}\n{}", proxy.log(), proxy.command_line())
}

/// A client that gives its password to the backend's plugin and as its first answer too, changes its user, and has SQL with
/// a password in it.
#[test]
fn passwords_of_clients_are_shown_nowhere() {
    for (plugin, format) in Plugin::ALL
        .into_iter()
        .flat_map(|plugin| FORMATS.map(|format| (plugin, format)))
    {
        let server = Server::mysql().plugin(plugin);
        let backend = Backend::start(server.tls(PKI.backend_tls(&PKI.server)));
        let proxy = Proxy::start(Config::before(&backend).with(&log_all(format)));
        let mut login = Login::of("app");
        login.auth = PASSWORD.as_bytes().to_vec();
        let mut client = Client::greeted(proxy.address);
        client.start_tls(&login, &PKI.client_tls(None));
        client.send_login(&login);
        assert!(client.authenticate(plugin.client()).is_ok(), "{plugin:?}");
        client.sequence = 0;
        let mut change = ChangeUser::to("other");
        change.auth = PASSWORD.as_bytes().to_vec();
        client.command(&change.payload());
        assert!(client.authenticate(plugin.client()).is_ok(), "{plugin:?}");
        client.query(&format!("ALTER USER u IDENTIFIED BY '{SQL_PASSWORD}'"));
        client.wire.read_packet().expect("an answer");
        drop(client);
        backend.closed_within(Duration::from_secs(5));
        proxy.session_line();
        let whereabouts = format!("{plugin:?}, {format}");
        expect_none_shown(&passwords(), &whereabouts, &let_out(&proxy));
    }
}

/// In plaintext too, where mytls has a key of its own for them; and in logins that are cut or refused.
#[test]
fn passwords_of_logins_that_fail_are_shown_nowhere() {
    let backend = tls_backend();
    let lines = "accounts: [{ user: strict, require: X509 }]";
    let config = Config::before(&backend).with(lines).with(&log_all("json"));
    let proxy = Proxy::start(config);
    let mut replies = String::new();
    for user in ["app", "strict"] {
        let mut login = Login::of(user);
        login.auth = WRONG_PASSWORD.as_bytes().to_vec();
        login.plugin = Some("mysql_clear_password".to_owned());
        let mut client = Client::greeted(proxy.address);
        client.send_login(&login);
        let mut packet = client.read();
        if packet.error().is_none() {
            client.send(WRONG_PASSWORD.as_bytes());
            packet = client.read();
        }
        let error = packet.error().expect("refused");
        writeln!(replies, "{error:?}").expect("a string takes all");
    }
    // the length of its attributes lies
    let mut broken = Login::of("app").payload();
    broken.extend(WRONG_PASSWORD.as_bytes());
    for bytes in [&broken[..], WRONG_PASSWORD.as_bytes()] {
        let mut client = Client::greeted(proxy.address);
        client.send(bytes);
        writeln!(replies, "{:?}", client.wire.read_packet()).expect("a string takes all");
    }
    let second = "session ended";
    proxy.wait_for_log(second);
    expect_none_shown(&passwords(), "the log", &let_out(&proxy));
    expect_none_shown(&passwords(), "an answer", &replies);
}

/// Everything that may stand in the configuration, as text and as files.
fn full_of_secrets(backend: &Backend, format: &str) -> Config {
    let key = BASE64_STANDARD.encode(PKI.proxy_client.key.serialize_pem());
    let security =
        format!("{{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key-base64: {key} }}");
    with_admin_port(backend, "")
        .backend_security(backend, &security)
        .with(&format!(
            "import-accounts: {{ user: mytls, password: {OWN_PASSWORD} }}"
        ))
        .with("http: { listen: 127.0.0.1:0 }")
        .with(&log_all(format))
}

/// The statements of the admin port that show something.
const SHOWING: [&str; 11] = [
    "SHOW GLOBAL VARIABLES",
    "SHOW GLOBAL STATUS",
    "SHOW FULL PROCESSLIST",
    "SHOW FULL DENIALS",
    "SHOW FULL BACKENDS",
    "SHOW FULL CERTIFICATES",
    "SHOW USERS",
    "SHOW WARNINGS",
    "SHOW CREATE USER app",
    "SELECT * FROM performance_schema.tls_channel_status",
    "SELECT @@version_comment",
];

#[test]
fn secrets_of_the_configuration_are_shown_nowhere() {
    for format in FORMATS {
        let backend = tls_backend();
        let config = full_of_secrets(&backend, format);
        let Run { stdout, stderr, .. } = run_with("check", &config);
        expect_none_shown(&passwords(), "check", &format!("{stdout}\n{stderr}"));
        let proxy = Proxy::start(config);
        proxy.reload();
        let mut admin = log_in(&proxy);
        for statement in SHOWING {
            admin.query(statement);
            admin.sequence = 1;
            let first = admin.read();
            let shown = match first.error() {
                Some(error) => format!("{error:?}"),
                None => format!(
                    "{:?}",
                    crate::support::admin::read_rows(&mut admin, &first, true).rows
                ),
            };
            expect_none_shown(&passwords(), statement, &shown);
        }
        expect_none_shown(&passwords(), format, &let_out(&proxy));
    }
}

/// The line of a mistake is shown to whoever made it, and stands in the journal at a reload.
#[test]
fn a_broken_file_shows_none_of_its_secrets() {
    let backend = tls_backend();
    let key = BASE64_STANDARD.encode(PKI.proxy_client.key.serialize_pem());
    let pem = PKI.proxy_client.key.serialize_pem().replace('\n', "\n    ");
    for lines in [
        // beside another mistake
        format!("import-accounts: {{ user: mytls, password: {OWN_PASSWORD}, hots: a }}"),
        format!("import-accounts: {{ user: mytls, password:\n  {OWN_PASSWORD}, hots: a }}"),
        format!("import-accounts:\n  password:\n    {OWN_PASSWORD}\n    user: mytls"),
        format!("import-accounts:\n  password: >\n   {OWN_PASSWORD}\n  {OWN_PASSWORD}\n"),
        format!("import-accounts: {{ user: mytls, passwrd: {OWN_PASSWORD} }}"),
        format!("import-accounts: {{ user: mytls, Password: {OWN_PASSWORD} }}"),
        format!("import-accounts: {{ user: mytls, pass: {OWN_PASSWORD} }}"),
        // of another kind
        format!("import-accounts: {{ user: mytls, password: [{OWN_PASSWORD}] }}"),
        format!("import-accounts: {{ user: mytls, password: {{ {OWN_PASSWORD}: a }} }}"),
        format!("import-accounts: {{ user: mytls, password: *{OWN_PASSWORD} }}"),
        format!("import-accounts: {{ user: mytls, password: !{OWN_PASSWORD} a }}"),
        format!("import-accounts: {{ user: mytls, password: @{OWN_PASSWORD} }}"),
        format!("import-accounts: {{ user: mytls, password: \"\\{OWN_PASSWORD}\" }}"),
        format!("import-accounts: {{ user: mytls, password: \"{OWN_PASSWORD} }}"),
        // in the wrong place
        format!("password: {OWN_PASSWORD}"),
        format!("admin: {{ users: [{{ user: ops, password: {OWN_PASSWORD} }}] }}"),
        format!("admin:\n  users:\n  - user: ops\n    password: {OWN_PASSWORD}\n    x: y"),
        // keys
        format!("admin: {{ security: {{ ssl-key-base64: {key}, x: y }} }}"),
        format!("admin:\n  security:\n    ssl-key-base64:\n      {key}\n    x: y"),
        format!("admin:\n  security:\n   ssl-key-bytes: |\n    {pem}\n   x: y"),
        format!("admin:\n  security:\n   ssl-key-bytes: |\n     {pem}\n   x: y"),
        // where the name of a file is due
        format!(
            "target-database:\n  host: 127.0.0.1\n  security:\n   ssl-cert: server.pem\n   ssl-key: |\n    {pem}"
        ),
        format!(
            "target-database:\n  host: 127.0.0.1\n  security:\n   ssl-cert: server.pem\n   ssl-key: {key}"
        ),
        format!(
            "target-database:\n  host: 127.0.0.1\n  security:\n   ssl-cert-base64: {key}\n   ssl-key: server.key"
        ),
    ] {
        let run = run_with("check", &Config::before(&backend).with(&lines));
        assert_ne!(run.code, Some(0), "{lines}");
        expect_none_shown(
            &passwords(),
            "check",
            &format!("{}{}", run.stdout, run.stderr),
        );
        let proxy = Proxy::start(Config::before(&backend).with(&log_all("text")));
        let file = proxy.path("mytls.yaml");
        let text = fs::read_to_string(&file).expect("read the configuration");
        replace(&file, &format!("{text}\n{lines}\n"));
        let log = proxy.reload();
        expect_none_shown(&passwords(), "a reload", &log);
    }
}

/// A key in the wrong place, or cut, is described by what it is.
#[test]
fn broken_key_files_are_not_quoted() {
    let backend = tls_backend();
    let config = with_admin_port(&backend, "").with(&log_all("text"));
    let proxy = Proxy::start(config);
    let key = PKI.server.key.serialize_pem();
    let body = key.lines().nth(2).expect("a line of base64");
    for (file, text) in [
        ("server.pem", key.clone()),
        ("ca.pem", key.clone()),
        ("server.key", key.replace("-----END PRIVATE KEY-----", "")),
        ("server.key", key.replace("-----BEGIN PRIVATE KEY-----", "")),
        ("server.key", key.replace(body, &format!("{body}!"))),
        ("server.key", PKI.proxy_client.key.serialize_pem()),
        ("proxy-client.key", key.clone()),
        ("ops.secret", format!("{PASSWORD}\n{PASSWORD}\n")),
        ("ops.secret", format!("{PASSWORD}\0{PASSWORD}\n")),
    ] {
        let path = proxy.path(file);
        let good = fs::read(&path).expect("read a file");
        replace(&path, &text);
        let log = proxy.reload();
        expect_none_shown(&passwords(), file, &log);
        let run = run_with_input(&["certs", "show", &path.display().to_string()], &[], "");
        let shown = format!("{}{}", run.stdout, run.stderr);
        expect_none_shown(&passwords(), "certs show", &shown);
        fs::write(&path, good).expect("put it back");
    }
    expect_none_shown(&passwords(), "the log", &let_out(&proxy));
}

#[test]
fn passwords_at_the_admin_port_are_shown_nowhere() {
    for format in FORMATS {
        let backend = tls_backend();
        let proxy = Proxy::start(with_admin_port(&backend, "").with(&log_all(format)));
        let mut admin = log_in(&proxy);
        for user in ["ops", "hashed", "nobody"] {
            let refused = try_to_log_in(&proxy, user, Some(WRONG_PASSWORD), None);
            let error = refused.expect_err("a wrong password");
            expect_none_shown(&passwords(), "an answer", &format!("{error:?}"));
        }
        for statement in [
            format!("CREATE USER 'new'@'%' IDENTIFIED BY '{SQL_PASSWORD}' REQUIRE SSL"),
            format!(
                "ALTER USER 'new'@'%' IDENTIFIED WITH mysql_native_password BY '{SQL_PASSWORD}'"
            ),
            format!("SET PASSWORD = '{SQL_PASSWORD}'"),
            format!("SET PASSWORD FOR new = PASSWORD('{SQL_PASSWORD}')"),
            format!("CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD = '{SQL_PASSWORD}'"),
            format!("GRANT ALL ON *.* TO new IDENTIFIED BY '{SQL_PASSWORD}'"),
        ] {
            admin.query(&statement);
            admin.sequence = 1;
            assert!(admin.read().error().is_some(), "{statement}");
        }
        // the client knows what it asked; others do not
        let mut other = log_in(&proxy);
        for statement in SHOWING {
            let shown = match statement {
                "SHOW CREATE USER app" => continue,
                _ => format!("{:?}", rows(&mut other, statement).rows),
            };
            expect_none_shown(&passwords(), statement, &shown);
        }
        drop(admin);
        proxy.wait_for_log("admin logged out");
        expect_none_shown(&passwords(), format, &let_out(&proxy));
    }
}

#[test]
fn what_ctl_is_given_as_password_it_does_not_print() {
    let backend = tls_backend();
    let proxy = Proxy::start(with_admin_port(&backend, ""));
    let address = proxy.admin_address().to_string();
    let broken = proxy.path("broken.secret");
    fs::write(&broken, format!("{WRONG_PASSWORD}\n{WRONG_PASSWORD}\n")).expect("write a file");
    let broken = broken.display().to_string();
    let base = ["ctl", "--admin-addr", &address, "--user", "ops"];
    for (more, environment) in [
        (
            &["status"][..],
            &[("MYTLS_CTL_PASSWORD", WRONG_PASSWORD)][..],
        ),
        (&["--password-file", &broken, "status"], &[]),
        (&["--json", "status"], &[("MYTLS_CTL_PASSWORD", PASSWORD)]),
        (
            &["--json", "variables"],
            &[("MYTLS_CTL_PASSWORD", PASSWORD)],
        ),
    ] {
        let run = run_with_input(&[&base[..], more].concat(), environment, "");
        let shown = format!("{}{}", run.stdout, run.stderr);
        expect_none_shown(&passwords(), &format!("{more:?}"), &shown);
    }
}
