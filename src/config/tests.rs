//! Whole files in, whole errors out.

mod backends;
mod errors;
mod own_ports;
mod proxy_protocol;
mod warnings;

use std::collections::BTreeMap;

use super::place::key_paths;
use super::*;
use crate::admin;
use crate::backend::{Endpoint, Security};
use crate::rules::{AccountRule, Enforcement, Requirement};
use crate::tls::TlsVersion;

const EXAMPLE: &str = include_str!("../../config/mytls.yaml");

/// The least that a file may say.
const LEAST: &str = "from: {host: 127.0.0.1}\n";

fn read(text: &str) -> Result<Config, ConfigError> {
    let environment = Environment {
        state_directory: Some("/state".to_owned()),
        xdg_state_home: None,
        ..Environment::default()
    };
    let (path, dm) = (Path::new("/etc/mytls/mytls.yaml"), DmFiles::default());
    Config::parse(path, text, &dm, &environment)
}

fn right(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn tls(security: &Security) -> Option<&tls::ClientSettings> {
    match security {
        Security::Plaintext => None,
        Security::AsOffered(settings) | Security::Tls(settings) => Some(settings),
    }
}

/// What is printed, without the file's name, which is the same everywhere.
fn error(text: &str) -> String {
    let error = read(text).expect_err(text).to_string();
    error
        .strip_prefix("/etc/mytls/mytls.yaml:")
        .expect("every error names the file")
        .to_owned()
}

fn warnings(text: &str) -> Vec<String> {
    let name = "/etc/mytls/mytls.yaml:";
    right(text)
        .warnings
        .iter()
        .map(|warning| warning.to_string().replacen(name, "", 1))
        .collect()
}

/// Whoever changes such a key and reloads must be told that it did nothing; what is written as it is by default has not
/// changed.
#[test]
fn every_key_that_a_reload_leaves_alone_is_named_when_it_changes() {
    let before = right(LEAST);
    let cases = [
        ("listen: 127.0.0.1:3307", &[][..]),
        ("accounts: [{user: app, require: SSL}]", &[]),
        ("default-require: SSL", &[]),
        ("log: {level: debug}", &[]),
        ("listen: 127.0.0.1:3308", &["listen"]),
        ("security: {tls-version: TLSv1.3}", &["security"]),
        ("security: {ssl-ca: ca.pem}", &["security"]),
        (
            "security: {cert-allowed-cn: [dm]}",
            &["security.cert-allowed-cn"],
        ),
        (
            "require-secure-transport: true",
            &["require-secure-transport"],
        ),
        (
            "require-valid-certificates: true",
            &["require-valid-certificates"],
        ),
        ("reread-certificates: true", &["reread-certificates"]),
        ("enforcement: report", &["enforcement"]),
        (
            "import-accounts: {user: mytls, password: secret}",
            &["import-accounts"],
        ),
        ("target-database: {host: 127.0.0.1}", &["target-database"]),
        ("admin: {users: [{user: a, require: X509}]}", &["admin"]),
        ("limits: {connections: 7}", &["limits.connections"]),
        (
            "limits: {connections-before-login: 7}",
            &["limits.connections-before-login"],
        ),
        (
            "limits: {connections-per-client: 7}",
            &["limits.connections-per-client"],
        ),
        ("limits: {handshakes: 7}", &["limits.handshakes"]),
        ("limits: {login-time: 7s}", &["limits.login-time"]),
        ("limits: {idle-time: 7s}", &["limits.idle-time"]),
        ("limits: {life-time: 7s}", &["limits.life-time"]),
        ("limits: {keep-alive: 7s}", &["limits.keep-alive"]),
        (
            "limits: {unacknowledged-time: 7s}",
            &["limits.unacknowledged-time"],
        ),
        ("drain: {min: 7s}", &["drain.min"]),
        ("limits: {connect-time: 7s}", &["limits.connect-time"]),
        ("tls-status: backend", &["tls-status"]),
        ("compression: true", &["compression"]),
        ("drain: {max: 7s}", &["drain.max"]),
        ("state-dir: elsewhere", &["state-dir"]),
        ("sandbox: false", &["sandbox"]),
        ("log: {format: json}", &["log.format"]),
    ];
    for (text, expected) in cases {
        let after = right(&format!("{LEAST}{text}\n"));
        assert_eq!(before.keys_for_a_restart(&after), expected, "{text}");
        assert_eq!(after.keys_for_a_restart(&before), expected, "{text}, back");
    }
    let both = format!("{LEAST}target-database: {{host: 127.0.0.1}}\n");
    let routed = right(&format!("{both}route: target\n"));
    assert_eq!(right(&both).keys_for_a_restart(&routed), ["route"]);
    let elsewhere = right("from: {host: 127.0.0.2}");
    assert_eq!(before.keys_for_a_restart(&elsewhere), ["from"]);
}

#[test]
fn defaults_are_what_the_design_says() {
    let expected = Config {
        listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 3307).into())],
        client_tls: tls::ServerSettings {
            sources: tls::Sources::default(),
            auto_tls: true,
            policy: Policy::default(),
        },
        admin: None,
        http: None,
        require_valid_certificates: false,
        reread_certificates: false,
        rules: rules::Settings {
            admin_accounts: BTreeMap::new(),
            accounts: Vec::new(),
            default_requirement: Requirement::None,
            require_secure_transport: false,
            client_names: None,
            enforcement: Enforcement::Enforce,
        },
        backends: vec![backend::Settings {
            role: Role::Source,
            endpoints: vec![Endpoint::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 3306,
            }],
            security: Security::Plaintext,
            connect_time: Duration::from_secs(5),
            keep_alive: KeepAlive::default(),
            import: None,
            sends_proxy_header: false,
        }],
        route: Role::Source,
        tls_status: TlsStatus::Client,
        compression: false,
        balancers: session::Balancers::default(),
        limits: session::Limits {
            connections: 10_000,
            connections_per_client: None,
            connections_before_login: 500,
            handshakes: None,
            login_time: Duration::from_secs(10),
            idle_time: None,
            life_time: None,
            keep_alive: KeepAlive {
                after: Some(Duration::from_secs(60)),
                unacknowledged: None,
            },
        },
        drain_min: Duration::ZERO,
        drain_max: Duration::from_secs(30),
        state_dir: Some("/state".into()),
        sandbox: true,
        files: Vec::new(),
        log: Log {
            format: LogFormat::Text,
            level: Level::INFO,
        },
        warnings: Vec::new(),
    };
    assert_eq!(right(LEAST), expected);
    assert_eq!(
        right(EXAMPLE),
        expected,
        "config/mytls.yaml shows the defaults"
    );
}

/// The example with the `#` before each key removed.
fn example_uncommented() -> String {
    let uncomment = |line: &str| {
        let (indent, rest) = line.split_once("# ")?;
        let key = rest.trim_start().split([' ', ':']).next()?;
        let is_key = indent.trim().is_empty()
            && (key == "-" || rest.trim_start().starts_with(&format!("{key}:")))
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        is_key.then(|| format!("{indent}{rest}"))
    };
    EXAMPLE
        .lines()
        .map(|line| uncomment(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}

/// The keys of a section, as serde tells them to who writes a wrong one.
fn known_keys<T: serde::de::DeserializeOwned>() -> Vec<&'static str> {
    match serde_saphyr::from_str::<T>("no-such-key: 1").map(|_| ()) {
        Err(error) => match error.without_snippet() {
            serde_saphyr::Error::SerdeUnknownField { expected, .. } => expected.clone(),
            other => panic!("{other}"),
        },
        Ok(()) => panic!("an unknown key was accepted"),
    }
}

#[test]
fn the_example_mentions_every_key_and_no_other() {
    let text = example_uncommented();
    File::parse(&text)
        .map_err(|fault| fault.into_problem(Path::new("example"), &text))
        .expect("only known keys");
    let mentioned = key_paths(&text);
    let sections = [
        ("", known_keys::<File>()),
        ("security.", known_keys::<file::Security>()),
        ("accounts[0].", known_keys::<file::Account>()),
        ("import-accounts.", known_keys::<file::ImportAccounts>()),
        ("from.", known_keys::<file::Backend>()),
        ("proxy-protocol.", known_keys::<file::ProxyProtocol>()),
        ("admin.", known_keys::<file::Admin>()),
        ("http.", known_keys::<file::Http>()),
        ("log.", known_keys::<file::Log>()),
        ("drain.", known_keys::<file::Drain>()),
        ("limits.", known_keys::<file::Limits>()),
    ];
    for (section, keys) in sections {
        for key in keys {
            let elsewhere = match key {
                // The other name of `from`, and the one key of `security` that only backends have.
                "backend" => EXAMPLE.contains("`backend:`"),
                "ssl-mode" => mentioned.contains(&"from.security.ssl-mode".to_owned()),
                _ => false,
            };
            assert!(
                elsewhere || mentioned.contains(&format!("{section}{key}")),
                "{section}{key}"
            );
        }
    }
    for key in known_keys::<file::AdminUser>() {
        assert!(
            mentioned
                .iter()
                .any(|path| path.starts_with("admin.users[") && path.ends_with(key)),
            "{key}"
        );
    }
}

/// Nothing in it is a default.
const EVERY_SETTING: &str = r#"
listen: [127.0.0.1:0, "unix:mysql.sock"]
security: { auto-tls: false, tls-version: TLSv1.3, ssl-ca: ca.pem, cert-allowed-cn: [dm, app] }
require-secure-transport: true
require-valid-certificates: true
default-require: ssl
accounts:
  - { user: "'app'@'10.0.0.0/8'", require: X509 }
backend: { endpoints: [localhost, "[::1]:3307", "unix:/run/mysqld.sock"] }
target-database: { host: "::1", port: 4000, security: { ssl-ca: ca.pem, cert-allowed-cn: [tidb] } }
route: target
state-dir: state
log: { format: json, level: debug }
drain: { max: 1m 30s }
tls-status: backend
compression: true
limits:
  connections: 7
  connections-per-client: 2
  connections-before-login: 3
  handshakes: 4
  login-time: 1s
  connect-time: 250ms
  idle-time: 8h
  life-time: 1day
  keep-alive: 0s
  unacknowledged-time: 30s
"#;

#[test]
fn every_setting_that_is_built_is_read() {
    let config = right(EVERY_SETTING);
    let address = |text: &str| address::parse_listen(text, Path::new("")).expect("a right address");
    let tcp = |host: &str, port| Endpoint::Tcp {
        host: host.to_owned(),
        port,
    };
    let listen = ["127.0.0.1:0", "unix:/etc/mytls/mysql.sock"].map(address);
    assert_eq!(config.listen, listen);
    assert_eq!(
        (
            config.client_tls.auto_tls,
            config.client_tls.policy.lowest_version
        ),
        (false, TlsVersion::Tls13)
    );
    assert!(config.require_valid_certificates && config.rules.require_secure_transport);
    assert_eq!(config.rules.default_requirement, Requirement::Ssl);
    let names = ["app", "dm"].map(str::to_owned);
    assert_eq!(
        config.rules.client_names,
        Some(rules::ClientNames::new(names))
    );
    let rule = AccountRule {
        name: "'app'@'10.0.0.0/8'".parse().expect("a right account"),
        requirement: Requirement::X509,
    };
    assert_eq!(config.rules.accounts, [rule]);
    let [source, target] = &config.backends[..] else {
        panic!("two backends")
    };
    assert_eq!(
        (source.role, target.role, config.route),
        (Role::Source, Role::Target, Role::Target)
    );
    let socket = Endpoint::Unix("/run/mysqld.sock".into());
    assert_eq!(
        source.endpoints,
        [tcp("localhost", 3306), tcp("::1", 3307), socket]
    );
    assert_eq!(target.endpoints, [tcp("::1", 4000)]);
    let names = tls(&target.security).and_then(|tls| tls.backend_names.clone());
    assert_eq!(names, Some(tls::BackendNames::new(["tidb".to_owned()])));
    assert_eq!(target.connect_time, Duration::from_millis(250));
    assert_eq!(config.state_dir, Some("/etc/mytls/state".into()));
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Json,
            level: Level::DEBUG
        }
    );
    assert_eq!(config.drain_max, Duration::from_secs(90));
    assert_eq!(config.tls_status, TlsStatus::Backend);
    assert!(config.compression);
}

#[test]
fn every_limit_is_read() {
    let config = right(EVERY_SETTING);
    let keep_alive = KeepAlive {
        after: None,
        unacknowledged: Some(Duration::from_secs(30)),
    };
    for backend in &config.backends {
        assert_eq!(backend.keep_alive, keep_alive);
    }
    let limits = session::Limits {
        connections: 7,
        connections_per_client: Some(2),
        connections_before_login: 3,
        handshakes: Some(4),
        login_time: Duration::from_secs(1),
        idle_time: Some(Duration::from_secs(8 * 60 * 60)),
        life_time: Some(Duration::from_secs(24 * 60 * 60)),
        keep_alive,
    };
    assert_eq!(config.limits, limits);
}
