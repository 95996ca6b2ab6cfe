//! What mytls says and asks on its own account: the admin port, its variables, the import.

use zeroize::Zeroizing;

use super::*;
use crate::backend::own_account::{OwnAccount, PasswordSource};
use crate::protocol::user_name::UserName;

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
fn variables_tell_the_configuration_without_secrets() {
    let text = "security: {ssl-ca: ca.pem, ssl-cert: c.pem, ssl-key-base64: LS0tLS1CRUdJTg==}\nlimits: {login-time: 1500ms, connections-per-client: 20, idle-time: 8h}\ndrain: {min: 5s}\n";
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
        ("limits_connections_per_client", "20"),
        ("limits_handshakes", "0"),
        ("limits_idle_time", "28800"),
        ("limits_life_time", "0"),
        ("limits_keep_alive", "60"),
        ("drain_min", "5"),
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

#[test]
fn an_http_port_is_on_this_machine_alone_unless_it_is_written() {
    let http = |text: &str| right(&format!("{LEAST}{text}\n")).http;
    assert_eq!(http(""), None);
    let usual = crate::http::Settings {
        listen: vec![ListenAddress::Tcp(HTTP_LISTEN)],
        hosts: Vec::new(),
    };
    for text in ["http:", "http: {}", "http: {listen: 127.0.0.1:9307}"] {
        assert_eq!(http(text).as_ref(), Some(&usual), "{text}");
    }
    let config = right(&format!("{LEAST}http: {{hosts: [db.example, a.b]}}\n"));
    let variables = config.variables();
    for (name, value) in [
        ("http_listen", "127.0.0.1:9307"),
        ("http_hosts", "db.example,a.b"),
    ] {
        let row = (name.to_owned(), value.to_owned());
        assert!(variables.contains(&row), "{name}");
    }
    assert_eq!(right(LEAST).keys_for_a_restart(&config), ["http"]);
    let quiet = ["http: {listen: unix:/h}", "http: {listen: \"[::1]:1\"}"];
    let open = [
        "http: {listen: 0.0.0.0:1}",
        "http: {listen: [127.0.0.1:1, 10.0.0.1:1]}",
    ];
    let says = |text: &str| warnings(&format!("{LEAST}{text}\n"));
    assert!(quiet.iter().all(|text| says(text).is_empty()));
    for text in open {
        let said = says(text);
        assert!(
            said[0].starts_with("2: http.listen: without TLS and login"),
            "{said:?}"
        );
    }
}
