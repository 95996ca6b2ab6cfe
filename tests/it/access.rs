//! Who may log in: requirement × what the client shows × plugin. A denial reaches no backend.

use std::fmt;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::packet::ErrorPacket;
use crate::support::pki::{Identity, PKI};
use crate::support::plugin::Plugin;
use crate::support::proxy::{Config, Proxy};

/// How a client comes.
#[derive(Clone, Copy)]
enum Security {
    Plaintext,
    UnixSocket,
    Tls(
        &'static rustls::SupportedProtocolVersion,
        Option<&'static Identity>,
    ),
}

impl fmt::Debug for Security {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext => formatter.write_str("plaintext"),
            Self::UnixSocket => formatter.write_str("Unix socket"),
            Self::Tls(version, _) => write!(formatter, "{:?}", version.version),
        }
    }
}

const REQUIREMENTS: [&str; 3] = ["NONE", "SSL", "X509"];

/// The account of a requirement and a plugin; the scripted backend knows the plugin by the name.
fn account(requirement: &str, plugin: Plugin) -> String {
    format!("{requirement}_{plugin:?}")
}

/// A backend that authenticates each account by the plugin in its name.
fn backend(with_tls: bool) -> Backend {
    let server = Server::mysql().on_login(|conversation| {
        let user = String::from_utf8_lossy(&conversation.login().user).into_owned();
        let plugin = Plugin::ALL
            .into_iter()
            .find(|plugin| user.ends_with(&format!("_{plugin:?}")));
        plugin
            .expect("the account names its plugin")
            .serve(conversation)
    });
    Backend::start(if with_tls {
        server.tls(PKI.backend_tls(&PKI.server))
    } else {
        server
    })
}

fn proxy(backend: &Backend) -> Proxy {
    let account = |requirement, plugin| {
        let name = account(requirement, plugin);
        format!("  - {{ user: \"'{name}'@'%'\", require: {requirement} }}\n")
    };
    let accounts: Vec<String> = REQUIREMENTS
        .into_iter()
        .flat_map(|requirement| Plugin::ALL.map(|plugin| account(requirement, plugin)))
        .collect();
    Proxy::start(
        Config::before(backend)
            .unix_socket()
            .with(&format!("accounts:\n{}", accounts.concat())),
    )
}

/// Connects as far as the login packet.
fn log_in(proxy: &Proxy, security: Security, login: &Login) -> Client {
    let mut client = match security {
        Security::UnixSocket => Client::connect_unix(&proxy.unix_socket()),
        Security::Plaintext | Security::Tls(..) => Client::connect(proxy.address),
    };
    client.greeting();
    if let Security::Tls(version, identity) = security {
        client.start_tls(login, &PKI.client_tls_of(&[version], identity));
    }
    client.send_login(login);
    client
}

/// One row of the table: `allowed` says for each of [`REQUIREMENTS`] whether it is met.
fn check(security: Security, plugins: &[Plugin], allowed: [bool; 3]) {
    let backend = backend(!matches!(security, Security::Plaintext));
    let proxy = proxy(&backend);
    let host = if matches!(security, Security::UnixSocket) {
        "localhost"
    } else {
        "127.0.0.1"
    };
    let sequence = if matches!(security, Security::Tls(..)) {
        3
    } else {
        2
    };
    for (requirement, allowed) in REQUIREMENTS.into_iter().zip(allowed) {
        for &plugin in plugins {
            let user = account(requirement, plugin);
            let login = if plugin == Plugin::Empty {
                Login::of(&user).without_password()
            } else {
                Login::of(&user)
            };
            let dials = backend.dials();
            let mut client = log_in(&proxy, security, &login);
            let case = format!("{requirement}, {security:?}, {plugin:?}");
            if allowed {
                let last = client.authenticate(plugin.client());
                assert!(last.is_ok(), "{case}: refused with {:?}", last.error());
                client.query("SELECT 1");
                client.expect_echo("SELECT 1");
            } else {
                let using = if plugin == Plugin::Empty { "NO" } else { "YES" };
                let message =
                    format!("Access denied for user '{user}'@'{host}' (using password: {using})");
                assert_eq!(client.error(), access_denied(sequence, message), "{case}");
                client.expect_clean_end();
                assert_eq!(backend.dials(), dials, "{case}: the backend was dialled");
            }
        }
    }
}

fn access_denied(sequence: u8, message: String) -> ErrorPacket {
    ErrorPacket {
        sequence,
        code: 1045,
        state: Some("28000".to_owned()),
        message,
    }
}

/// A certificate that is not accepted shuts out every account, also one that needs none.
fn check_bad_certificate(identity: &'static Identity) {
    let backend = backend(true);
    let proxy = proxy(&backend);
    let dials = backend.dials();
    for version in rustls::ALL_VERSIONS {
        for requirement in REQUIREMENTS {
            let login = Login::of(&account(requirement, Plugin::Native));
            let mut client = log_in(&proxy, Security::Tls(version, Some(identity)), &login);
            let refused = access_denied(
                3,
                "Access denied: client certificate not accepted".to_owned(),
            );
            assert_eq!(client.error(), refused, "{requirement}, {version:?}");
            client.expect_clean_end();
        }
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

#[test]
fn certificate_of_another_ca_is_refused() {
    check_bad_certificate(&PKI.wrong_ca);
}

#[test]
fn expired_certificate_is_refused() {
    check_bad_certificate(&PKI.expired);
}

#[test]
fn certificate_that_is_not_valid_yet_is_refused() {
    check_bad_certificate(&PKI.not_yet_valid);
}

#[test]
fn server_certificate_in_a_clients_hand_is_refused() {
    check_bad_certificate(&PKI.server_auth_only);
}

#[test]
fn ca_certificate_in_a_clients_hand_is_refused() {
    check_bad_certificate(&PKI.ca);
}

#[test]
fn plaintext_meets_no_requirement() {
    let plugins = Plugin::ALL
        .into_iter()
        .filter(|plugin| !plugin.needs_secure_sides())
        .collect::<Vec<_>>();
    check(Security::Plaintext, &plugins, [true, false, false]);
}

#[test]
fn unix_socket_meets_no_requirement() {
    check(Security::UnixSocket, &Plugin::ALL, [true, false, false]);
}

#[test]
fn tls_without_a_certificate_meets_ssl() {
    check(
        Security::Tls(&rustls::version::TLS13, None),
        &Plugin::ALL,
        [true, true, false],
    );
}

#[test]
fn tls_1_2_without_a_certificate_meets_ssl() {
    check(
        Security::Tls(&rustls::version::TLS12, None),
        &Plugin::ALL,
        [true, true, false],
    );
}

#[test]
fn tls_with_a_good_certificate_meets_all() {
    check(
        Security::Tls(&rustls::version::TLS13, Some(&PKI.client)),
        &Plugin::ALL,
        [true, true, true],
    );
}

#[test]
fn tls_1_2_with_a_good_certificate_meets_all() {
    check(
        Security::Tls(&rustls::version::TLS12, Some(&PKI.client)),
        &Plugin::ALL,
        [true, true, true],
    );
}

/// The certificate is judged again in a resumed session, which rustls itself does not do; mytls may also give no
/// tickets, so that no session is ever resumed.
#[test]
fn resumed_session_is_judged_by_its_certificate() {
    let backend = backend(true);
    let proxy = proxy(&backend);
    for (identity, allowed) in [(Some(&PKI.client), true), (None, false)] {
        let tls = PKI.resuming_client_tls(identity);
        for _ in 0..3 {
            let mut client = Client::greeted(proxy.address);
            let login = Login::of(&account("X509", Plugin::Native));
            client.start_tls(&login, &tls);
            client.send_login(&login);
            let resumed = client.wire.tls_resumed();
            let last = client.authenticate(Plugin::Native.client());
            assert_eq!(
                last.is_ok(),
                allowed,
                "certificate: {}, resumed: {resumed}",
                identity.is_some()
            );
        }
    }
}

#[test]
fn certificate_that_is_not_verified_by_a_port_without_ca_is_refused() {
    let backend = backend(true);
    let config = Config::before(&backend)
        .security("{ ssl-cert: server.pem, ssl-key: server.key }")
        .with("accounts: [{ user: \"'X509_Native'@'%'\", require: X509 }]");
    let proxy = Proxy::start(config);
    let login = Login::of("X509_Native");
    let security = Security::Tls(&rustls::version::TLS13, Some(&PKI.client));
    let mut client = log_in(&proxy, security, &login);
    assert_eq!(client.error().code_and_state(), (1045, "28000"));
}

#[test]
fn default_requirement_holds_for_users_that_no_account_names() {
    let backend = backend(false);
    let config = Config::before(&backend)
        .with("default-require: SSL")
        .with("accounts: [{ user: \"'NONE_Native'@'%'\", require: NONE }]");
    let proxy = Proxy::start(config);
    let mut stranger = log_in(&proxy, Security::Plaintext, &Login::of("other_Native"));
    assert_eq!(stranger.error().code_and_state(), (1045, "28000"));
    Client::logged_in(proxy.address, &Login::of("NONE_Native"));
}

/// MySQL's choice: the host is compared before the user, so the anonymous account of the nearer host counts.
#[test]
fn anonymous_account_of_a_nearer_host_beats_a_named_one() {
    let backend = backend(false);
    let config = Config::before(&backend).with(
        "accounts:\n  - { user: \"'app_Native'@'%'\", require: NONE }\n  - { user: \"''@'127.0.0.1'\", require: SSL }",
    );
    let proxy = Proxy::start(config);
    let mut client = log_in(&proxy, Security::Plaintext, &Login::of("app_Native"));
    assert_eq!(client.error().code_and_state(), (1045, "28000"));
}

/// A dual-stack port sees an IPv4 client under an IPv6 address; its rules are those of IPv4.
#[test]
fn ipv4_client_of_an_ipv6_port_is_an_ipv4_client() {
    let backend = backend(false);
    let config = Config::before(&backend)
        .listen("\"[::ffff:127.0.0.1]:0\"")
        .with("accounts: [{ user: \"'app_Native'@'127.0.0.1'\", require: SSL }]");
    let proxy = Proxy::start(config);
    let mut client = log_in(&proxy, Security::Plaintext, &Login::of("app_Native"));
    let message = "Access denied for user 'app_Native'@'127.0.0.1' (using password: YES)";
    assert_eq!(client.error(), access_denied(2, message.to_owned()));
}

#[test]
fn require_secure_transport_refuses_plaintext_and_takes_tls_and_unix_sockets() {
    let backend = backend(true);
    let proxy = Proxy::start(
        Config::before(&backend)
            .unix_socket()
            .with("require-secure-transport: true"),
    );
    let dials = backend.dials();
    let login = Login::of("app_Native");
    let mut plain = log_in(&proxy, Security::Plaintext, &login);
    let message =
        "Connections using insecure transport are prohibited while --require_secure_transport=ON.";
    let refused = ErrorPacket {
        sequence: 2,
        code: 3159,
        state: Some("HY000".to_owned()),
        message: message.to_owned(),
    };
    assert_eq!(plain.error(), refused);
    plain.expect_clean_end();
    assert_eq!(backend.dials(), dials, "the backend was dialled");
    for security in [
        Security::UnixSocket,
        Security::Tls(&rustls::version::TLS13, None),
    ] {
        let mut client = log_in(&proxy, security, &login);
        assert!(
            client.authenticate(Plugin::Native.client()).is_ok(),
            "{security:?}"
        );
    }
}
