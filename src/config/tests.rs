//! Whole files in, whole errors out.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use zeroize::Zeroizing;

use super::place::key_paths;
use super::*;
use crate::admin;
use crate::backend::own_account::{OwnAccount, PasswordSource};
use crate::backend::{Endpoint, Security};
use crate::protocol::user_name::UserName;
use crate::rules::{AccountName, AccountRule, Enforcement, Requirement};
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

/// `=== title`, a file, `=>`, the error: once for each case.
const WRONG_FILES: &str = include_str!("wrong_files.txt");

#[test]
fn a_wrong_file_is_shown_with_line_column_key_and_reason() {
    let mut cases = 0;
    for case in WRONG_FILES.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a title ends with its line");
        let (text, expected) = rest.split_once("=>\n").expect("a case has an error");
        assert_eq!(error(text), expected.trim_end(), "{title}");
        cases += 1;
    }
    assert!(cases > 70, "only {cases} cases were found");
}

#[test]
fn a_file_without_a_backend_is_wrong() {
    for text in ["", "---\n", "# nothing\n", "listen: 127.0.0.1:3307\n"] {
        assert!(
            matches!(read(text), Err(ConfigError::NoBackend { .. })),
            "{text}"
        );
    }
}

#[test]
fn what_the_rules_refuse_stands_at_its_line_in_their_own_words() {
    let account = "'app'@'10.0.0.0/99'"
        .parse::<AccountName>()
        .expect_err("no netmask")
        .to_string();
    let requirement = |text: &str| text.parse::<Requirement>().expect_err(text).to_string();
    let subject = "SUBJECT 'CN=app, O=Lab'";
    let cases = [
        (
            "default-require: SLL",
            "1:18: default-require",
            requirement("SLL"),
        ),
        (
            "accounts: [{user: \"'app'@'10.0.0.0/99'\", require: SSL}]",
            "1:19: accounts[0].user",
            account,
        ),
        (
            "accounts:\n- user: app\n  require: SUBJECT 'CN=app, O=Lab'",
            "3:12: accounts[0].require",
            requirement(subject),
        ),
    ];
    for (text, place, reason) in cases {
        assert_eq!(
            error(text).lines().next(),
            Some(&*format!("{place}: {reason}")),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/mytls.yaml"), &Environment::default());
    assert_eq!(
        error.map_err(|error| error.to_string()),
        Err("read /nowhere/mytls.yaml".to_owned())
    );
}

#[test]
fn a_wrong_file_in_the_log_is_one_line() {
    let wrong = |text: &str| read(text).expect_err("refused").in_one_line();
    assert_eq!(
        wrong(&format!("{LEAST}default-require: SLL\n"))
            .lines()
            .count(),
        1
    );
    let missing = Config::load(Path::new("/nowhere/mytls.yaml"), &Environment::default());
    assert_eq!(
        missing.expect_err("missing").in_one_line(),
        "read /nowhere/mytls.yaml: No such file or directory (os error 2)"
    );
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
        ("limits: {login-time: 7s}", &["limits.login-time"]),
        ("limits: {connect-time: 7s}", &["limits.connect-time"]),
        ("tls-status: backend", &["tls-status"]),
        ("compression: true", &["compression"]),
        ("drain: {max: 7s}", &["drain.max"]),
        ("state-dir: elsewhere", &["state-dir"]),
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
            import: None,
        }],
        route: Role::Source,
        tls_status: TlsStatus::Client,
        compression: false,
        limits: session::Limits {
            connections: 10_000,
            connections_before_login: 500,
            login_time: Duration::from_secs(10),
        },
        drain_max: Duration::from_secs(30),
        state_dir: Some("/state".into()),
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

#[test]
fn what_only_adds_and_is_not_built_is_a_warning() {
    let not_built = "mytls cannot do this yet: the key has no effect";
    let cases = [
        ("proxy-protocol: {send: true}", "proxy-protocol.send"),
        ("limits: {idle-time: 1h}", "limits.idle-time"),
        ("limits: {life-time: 1h}", "limits.life-time"),
        ("drain: {min: 5s}", "drain.min"),
        ("http: {listen: 127.0.0.1:9307}", "http"),
    ];
    for (text, key) in cases {
        assert_eq!(
            warnings(&format!("{LEAST}{text}\n")),
            [format!("2: {key}: {not_built}")],
            "{text}"
        );
    }
    for text in [
        "reread-certificates: true\nproxy-protocol: {send: false}",
        "limits: {idle-time: 0s, life-time: 0s, connections-per-client: 0}",
        "drain: {min: 0s}",
        "enforcement: enforce",
    ] {
        assert_eq!(
            warnings(&format!("{LEAST}{text}\n")),
            [""; 0],
            "what is so anyway: {text}"
        );
    }
}

#[test]
fn ciphers_and_revocation_lists_are_read_at_each_place() {
    let text = "\
security: {ssl-ca: ca.pem, ssl-crl: /pki/revoked.pem, tls-cipher: ECDHE-RSA-AES128-GCM-SHA256}
from:
  host: db
  security: {ssl-ca: ca.pem, ssl-crl: db.pem, tls-ciphersuites: 'tls_aes_256_gcm_sha384:TLS_AES_128_GCM_SHA256'}
";
    let config = right(text);
    let file = |path: &str| Some(tls::PemSource::File(path.into()));
    let all = Policy::default();
    let to_client = &config.client_tls;
    assert_eq!(to_client.sources.crl, file("/pki/revoked.pem"));
    let tls12 = to_client.policy.ciphers(TlsVersion::Tls12);
    assert_eq!(tls12, ["ECDHE-RSA-AES128-GCM-SHA256"]);
    let tls13 = to_client.policy.ciphers(TlsVersion::Tls13);
    assert_eq!(tls13, all.ciphers(TlsVersion::Tls13));
    let to_backend = tls(&config.backends[0].security).expect("TLS");
    assert_eq!(to_backend.sources.crl, file("/etc/mytls/db.pem"));
    let tls13 = to_backend.policy.ciphers(TlsVersion::Tls13);
    assert_eq!(tls13, ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]);
    let tls12 = to_backend.policy.ciphers(TlsVersion::Tls12);
    assert_eq!(tls12, all.ciphers(TlsVersion::Tls12));
}

#[test]
fn what_weakens_or_admits_nobody_is_a_warning() {
    let nobody = "admits nobody: no client certificate can be verified without `security.ssl-ca`";
    let cases = [
        ("default-require: X509", format!("2: default-require: {nobody}")),
        ("accounts: [{user: a, require: X509}]", format!("2: accounts[0].require: {nobody}")),
        (
            "accounts: [{user: a, require: SUBJECT '/CN=a'}]",
            format!("2: accounts[0].require: {nobody}"),
        ),
        (
            "default-require: SSL\nsecurity: {auto-tls: false}",
            "2: default-require: admits nobody: there is no `security.ssl-cert`, and `auto-tls` is off".to_owned(),
        ),
        ("security: {cert-allowed-cn: [a]}", format!("2: security.cert-allowed-cn: {nobody}")),
        (
            "security: {ssl-ca: ca.pem, cert-allowed-cn: }",
            "2: security.cert-allowed-cn: admits nobody: the list is empty".to_owned(),
        ),
        (
            "target-database: {host: b, security: {ssl-ca: ca.pem, cert-allowed-cn: []}}",
            "2: target-database.security.cert-allowed-cn: admits nobody: the list is empty".to_owned(),
        ),
        (
            "default-require: CIPHER 'AES256-SHA'\nsecurity: {ssl-ca: ca.pem}",
            "2: default-require: admits nobody: no session has that cipher, only TLS_AES_256_GCM_SHA384, \
             TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, \
             ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-AES256-GCM-SHA384, \
             ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305, each by OpenSSL's name"
                .to_owned(),
        ),
        (
            "default-require: CIPHER 'TLS_AES_256_GCM_SHA384'\n\
             security: {ssl-ca: ca.pem, tls-version: TLSv1.3, tls-ciphersuites: TLS_AES_128_GCM_SHA256}",
            "2: default-require: admits nobody: no session has that cipher, only TLS_AES_128_GCM_SHA256, each by \
             OpenSSL's name"
                .to_owned(),
        ),
        (
            "target-database: {host: b, security: {}}",
            "2: target-database.security: the server's certificate is not verified, so that whoever stands between can \
             pass for it: the cure is `ssl-ca`"
                .to_owned(),
        ),
        (
            "target-database: {host: b, security: {ssl-ca: ca.pem, ssl-mode: REQUIRED}}",
            "2: target-database.security: ssl-mode is REQUIRED, which verifies nothing: `ssl-ca` has no effect".to_owned(),
        ),
        (
            "target-database: {host: localhost, security: {ssl-ca: ca.pem, ssl-mode: DISABLED}}",
            "2: target-database.security: ssl-mode is DISABLED: plaintext, and nothing else in this section has an \
             effect"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, hosts: ignore}",
            "2: import-accounts.hosts: users are not refused for coming from an address that none of their accounts admits"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, enforcement: report}",
            "2: import-accounts.enforcement: what the server's own accounts require is only reported: nobody is refused \
             for it"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, password: MKxn0Qo3m3XOyjCnhEMtsUCm83EhGQDZ/T4=}",
            "2: import-accounts.password: looks encrypted by `dmctl encrypt`, and mytls cannot decrypt it: it is taken as \
             it stands; write the password itself, best with `import-accounts.password-file`"
                .to_owned(),
        ),
        (
            "target-database: {host: localhost, user: a}",
            "2: target-database.user: has no effect without `import-accounts`: mytls logs in nowhere else".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(warnings(&format!("{LEAST}{text}\n")), [expected], "{text}");
    }
    let only_reported = warnings(&format!("{LEAST}enforcement: report\n"));
    assert_eq!(
        only_reported,
        [
            "2: enforcement: accounts, default-require, require-secure-transport and cert-allowed-cn refuse nobody: \
             whom they would refuse is only logged"
        ]
    );
    let with_ca = format!("{LEAST}default-require: X509\nsecurity: {{ssl-ca: ca.pem}}\n");
    assert_eq!(warnings(&with_ca), [""; 0]);
}

#[test]
fn how_far_a_backend_is_verified_follows_from_ca_and_mode() {
    let cases = [
        ("host: localhost", None),
        ("host: 10.0.0.1, allow-plaintext: true", None),
        ("host: localhost, security: {ssl-mode: DISABLED}", None),
        ("host: db, security: ", Some(SslMode::Required)),
        ("host: db, security: {}", Some(SslMode::Required)),
        ("host: db, security: {ssl-ca: a}", Some(SslMode::VerifyCa)),
        (
            "host: db, security: {ssl-ca-bytes: a}",
            Some(SslMode::VerifyCa),
        ),
        (
            "host: db, security: {ssl-ca: a, ssl-mode: required}",
            Some(SslMode::Required),
        ),
        (
            "host: db, security: {ssl-ca: a, ssl-mode: VERIFY_IDENTITY}",
            Some(SslMode::VerifyIdentity),
        ),
        ("socket: s, security: {ssl-ca: a}", Some(SslMode::VerifyCa)),
    ];
    for (keys, expected) in cases {
        let config = right(&format!("from: {{{keys}}}\n"));
        let modes: Vec<_> = config
            .backends
            .iter()
            .map(|backend| mode(&backend.security))
            .collect();
        assert_eq!(modes, [expected], "{keys}");
    }
}

fn tls(security: &Security) -> Option<&tls::ClientSettings> {
    match security {
        Security::Plaintext => None,
        Security::AsOffered(settings) | Security::Tls(settings) => Some(settings),
    }
}

fn mode(security: &Security) -> Option<SslMode> {
    tls(security).map(|settings| settings.mode)
}

#[test]
fn pem_comes_from_files_beside_the_configuration_or_out_of_it() {
    let text = "
from:
  host: db
  security:
    ssl-ca: ca.pem
    ssl-cert-base64: |
      LS0tLS1C
      RUdJTg==
    ssl-key-bytes: [45, 45]
security:
  ssl-ca: /pki/ca.pem
  ssl-cert-bytes: |
    -----BEGIN
  ssl-key: ../server.key
";
    let config = right(text);
    let inline = |key: &str, pem: &str| {
        Some(tls::PemSource::Inline {
            key: key.to_owned(),
            pem: pem.into(),
        })
    };
    let file = |path: &str| Some(tls::PemSource::File(path.into()));
    assert_eq!(
        tls(&config.backends[0].security).map(|tls| &tls.sources),
        Some(&tls::Sources {
            ca: file("/etc/mytls/ca.pem"),
            cert: inline("from.security.ssl-cert-base64", "-----BEGIN"),
            key: inline("from.security.ssl-key-bytes", "--"),
            crl: None,
        })
    );
    assert_eq!(
        config.client_tls,
        tls::ServerSettings {
            sources: tls::Sources {
                ca: file("/pki/ca.pem"),
                cert: inline("security.ssl-cert-bytes", "-----BEGIN\n"),
                key: file("/etc/mytls/../server.key"),
                crl: None,
            },
            auto_tls: false,
            policy: Policy::default(),
        }
    );
}

#[test]
fn every_setting_that_is_built_is_read() {
    let text = r#"
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
limits: { connections: 7, connections-before-login: 3, login-time: 1s, connect-time: 250ms }
"#;
    let config = right(text);
    let address = |text: &str| address::parse_listen(text, Path::new("")).expect("a right address");
    let tcp = |host: &str, port| Endpoint::Tcp {
        host: host.to_owned(),
        port,
    };
    assert_eq!(
        config.listen,
        [
            address("127.0.0.1:0"),
            address("unix:/etc/mytls/mysql.sock")
        ]
    );
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
    let limits = session::Limits {
        connections: 7,
        connections_before_login: 3,
        login_time: Duration::from_secs(1),
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn the_only_backend_is_the_route() {
    assert_eq!(
        right("target-database: {host: localhost}\n").route,
        Role::Target
    );
    assert_eq!(
        right("target-database: {host: localhost}\nfrom: {host: localhost}\n").route,
        Role::Source
    );
}

#[test]
fn a_backend_alone_is_never_plaintext_over_a_network() {
    let alone = |endpoint: &str| Config::for_backend(endpoint, &Environment::default());
    for endpoint in ["", "db:", "a b", "unix:"] {
        assert!(
            matches!(alone(endpoint), Err(ConfigError::Backend(_))),
            "{endpoint}"
        );
    }
    let unverified = tls::ClientSettings {
        sources: tls::Sources::default(),
        mode: SslMode::Required,
        policy: Policy::default(),
        backend_names: None,
    };
    let (as_offered, over_tls) = (
        Security::AsOffered(unverified.clone()),
        Security::Tls(unverified),
    );
    for (endpoint, expected) in [
        ("127.0.0.1:3306", &as_offered),
        ("[::1]:3306", &as_offered),
        ("unix:/run/mysqld.sock", &Security::Plaintext),
        ("db", &over_tls),
        ("10.0.0.1:4000", &over_tls),
    ] {
        let config = alone(endpoint).expect(endpoint);
        let [backend] = &config.backends[..] else {
            panic!("one backend")
        };
        assert_eq!(&backend.security, expected, "{endpoint}");
        let notices: Vec<_> = config
            .warnings
            .into_iter()
            .map(|warning| warning.notice)
            .collect();
        let weak = (expected == &over_tls).then_some(Notice::NotVerified);
        let expected: Vec<_> = [Notice::NoStateDirectory].into_iter().chain(weak).collect();
        assert_eq!(notices, expected, "{endpoint}");
    }
}

proptest::proptest! {
    /// Whatever is in the file, there is a configuration or an error that can be printed.
    #[test]
    fn no_text_makes_the_reader_panic(at in 0..EXAMPLE.len(), cut in 0_usize..40, put in r#"[\[\]{}:,&*!|>'"%@#~ \n\t0-9a-z-]{0,12}|\\PC{0,12}"#) {
        let (Some(before), Some(after)) = (EXAMPLE.get(..at), EXAMPLE.get(at + cut..)) else { return Ok(()) };
        for text in [put.clone(), format!("{before}{put}{after}"), example_uncommented().replacen("127", &put, 3)] {
            match read(&text) {
                Ok(config) => config.warnings.iter().for_each(|warning| assert_ne!(warning.to_string(), "")),
                Err(error) => assert_ne!(error.to_string(), ""),
            }
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for bracket in ["[", "{a: ", "- "] {
        let error = read(&format!("listen: {}", bracket.repeat(100_000)));
        assert!(error.is_err(), "{bracket}");
    }
}

#[test]
fn accounts_are_imported_with_the_account_that_is_nearest() {
    let account = |user: &str, password| OwnAccount {
        user: UserName::new(user).expect("a name"),
        password,
    };
    let inline = |text: &str| PasswordSource::Inline(Zeroizing::new(text.to_owned()));
    let file = |path: &str| PasswordSource::File(path.into());
    let own = "{host: localhost, user: own, password: own-pw}";
    for (text, expected) in [
        (
            format!("from: {own}\nimport-accounts:\n"),
            account("own", inline("own-pw")),
        ),
        (
            format!("from: {own}\nimport-accounts: {{user: all, password-file: all.secret}}\n"),
            account("all", file("/etc/mytls/all.secret")),
        ),
        (
            format!(
                "from: {own}\nimport-accounts: {{user: all, password-file: /run/all.secret}}\n"
            ),
            account("all", file("/run/all.secret")),
        ),
        // the password belongs to its user
        (
            format!("from: {own}\nimport-accounts: {{user: all}}\n"),
            account("all", PasswordSource::None),
        ),
        (
            format!("from: {own}\nimport-accounts: {{user: all, password: all-pw}}\n"),
            account("all", inline("all-pw")),
        ),
        (
            "from: {host: localhost, user: own}\nimport-accounts: {}\n".to_owned(),
            account("own", PasswordSource::None),
        ),
    ] {
        let config = right(&text);
        let import = config.backends[0].import.as_ref().expect("it is written");
        assert_eq!(import.account, expected, "{text}");
        assert_eq!(import.interval, Duration::from_secs(60));
        assert!(!import.ignore_hosts && !import.report_only);
    }
    let both = format!(
        "from: {own}\ntarget-database: {{host: localhost, user: other}}\n\
         import-accounts: {{interval: 5m, hosts: ignore, enforcement: report}}\n"
    );
    let imports: Vec<_> = right(&both)
        .backends
        .into_iter()
        .filter_map(|backend| backend.import)
        .collect();
    let users: Vec<_> = imports
        .iter()
        .map(|import| import.account.user.as_str())
        .collect();
    assert_eq!(users, ["own", "other"]);
    for import in imports {
        assert_eq!(import.interval, Duration::from_secs(300));
        assert!(import.ignore_hosts && import.report_only);
    }
    assert_eq!(right(&format!("from: {own}\n")).backends[0].import, None);
}

#[test]
fn a_password_file_that_everybody_can_read_is_a_warning() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("secret");
    fs::write(&file, "open").expect("written");
    let text = format!(
        "{LEAST}import-accounts: {{user: a, password-file: {}}}\n",
        file.display()
    );
    for (mode, expected) in [
        (
            0o644,
            &[
                "2: import-accounts.password-file: every user of this machine can read the file: chmod o-r",
            ][..],
        ),
        (0o640, &[]),
    ] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(warnings(&text), expected, "{mode:o}");
    }
}

#[test]
fn the_admin_port_listens_beside_the_data_port_and_reads_its_users() {
    assert_eq!(right(LEAST).admin, None);
    let text = "admin:\n  security: {ssl-ca: ca.pem, cert-allowed-cn: [ops]}\n  users:\n  - {user: ops, password-file: ops.secret}\n  - {user: rotate, require: X509}\n";
    let admin = right(&format!("{LEAST}{text}")).admin.expect("written");
    let user = |name: &str, password_file: Option<&str>, requirement| admin::UserSettings {
        name: UserName::new(name).expect("a name"),
        password_file: password_file.map(PathBuf::from),
        requirement,
    };
    assert_eq!(
        admin,
        admin::Settings {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 3308).into())],
            tls: tls::ServerSettings {
                sources: tls::Sources {
                    ca: Some(tls::PemSource::File("/etc/mytls/ca.pem".into())),
                    ..tls::Sources::default()
                },
                auto_tls: true,
                policy: Policy::default(),
            },
            client_names: Some(rules::ClientNames::new(["ops".to_owned()])),
            users: vec![
                user("ops", Some("/etc/mytls/ops.secret"), Requirement::None),
                user("rotate", None, Requirement::X509),
            ],
        }
    );
}

#[test]
fn an_admin_user_that_nobody_can_be_is_a_warning() {
    for (text, warning) in [
        (
            "admin: {users: [{user: a, require: X509}]}",
            "2: admin.users[0].require: admits nobody: no client certificate can be verified without `security.ssl-ca`",
        ),
        (
            "admin: {security: {auto-tls: false}, users: [{user: a, password-file: b, require: SSL}]}",
            "2: admin.users[0].require: admits nobody: there is no `security.ssl-cert`, and `auto-tls` is off",
        ),
        (
            "admin: {security: {ssl-ca: ca.pem, cert-allowed-cn: []}, users: [{user: a, require: X509}]}",
            "2: admin.security.cert-allowed-cn: admits nobody: the list is empty",
        ),
    ] {
        assert_eq!(warnings(&format!("{LEAST}{text}\n")), [warning], "{text}");
    }
}

#[test]
fn variables_tell_the_configuration_without_secrets() {
    let text = "security: {ssl-ca: ca.pem, ssl-cert: c.pem, ssl-key-base64: LS0tLS1CRUdJTg==}\nlimits: {login-time: 1500ms}\n";
    let variables = right(&format!("{LEAST}{text}")).variables();
    let value = |name: &str| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    for (name, expected) in [
        ("ssl_ca", "/etc/mytls/ca.pem"),
        ("ssl_key", "security.ssl-key-base64"),
        ("security_ssl_cert", "/etc/mytls/c.pem"),
        ("tls_version", "TLSv1.2,TLSv1.3"),
        ("require_secure_transport", "OFF"),
        ("max_connections", "10000"),
        ("limits_login_time", "2"),
        ("from_endpoints", "127.0.0.1:3306"),
        ("from_security_ssl_mode", "DISABLED"),
        ("port", "3307"),
        ("state_dir", "/state"),
        ("log_level", "info"),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    assert!(!variables.iter().any(|(_, value)| value.contains("BEGIN")));
}
