//! The import from real servers: what MySQL 9.7, MariaDB 10.11 and 11.8 store of each `REQUIRE`, read by an account with no
//! more than the privileges that docs/rules.md names, which logs in with each plugin and over each kind of side.
//!
//! `support::lab` says where they are.

use std::path::Path;

use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::lab::RealServer;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with};

const SERVERS: [&str; 3] = ["mysql97", "mariadb1011", "mariadb118"];

/// As docs/rules.md has them.
const MYSQL_GRANT: &str = "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin) ON mysql.user";
const MARIADB_GRANT: &str = "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin, is_role) ON mysql.user";
const MARIADB_SOCKET_GRANT: &str = "GRANT SELECT (User, Host, Priv) ON mysql.global_priv";

/// A server of the lab, and its root.
struct Server {
    at: RealServer,
    root: Client,
}

impl Server {
    fn find(name: &'static str) -> Option<Self> {
        let at = RealServer::find(name)?;
        let mut root = Client::connect_unix(&Path::new(&at.run).join(format!("{name}.sock")));
        root.greeting();
        let login = Login {
            charset: 45,
            ..Login::of("root").without_password()
        };
        root.send_login(&login);
        assert!(root.authenticate(ClientPlugin::default()).is_ok());
        Some(Self { at, root })
    }

    fn is_mysql(&self) -> bool {
        self.at.name == "mysql97"
    }

    #[track_caller]
    fn run(&mut self, sql: &str) {
        self.root.query(sql);
        let answer = &self.root.read_answer(1)[0];
        assert!(answer.is_ok(), "{sql}: {:?}", answer.error());
    }

    /// mytls' own account, from where mytls comes.
    fn own_account(&mut self, name: &str, identified: &str) {
        for host in ["localhost", "127.0.0.1"] {
            self.run(&format!("DROP USER IF EXISTS {name}@'{host}'"));
            self.run(&format!(
                "CREATE USER {name}@'{host}' IDENTIFIED {identified}"
            ));
            let grants = if self.is_mysql() {
                &[MYSQL_GRANT][..]
            } else {
                &[MARIADB_GRANT, MARIADB_SOCKET_GRANT]
            };
            for grant in grants {
                self.run(&format!("{grant} TO {name}@'{host}'"));
            }
        }
    }

    fn drop_own_account(&mut self, name: &str) {
        self.run(&format!("DROP USER {name}@localhost, {name}@'127.0.0.1'"));
    }
}

fn importing(from: &str, user: &str) -> Config {
    Config::to(&format!("{{ {from} }}"))
        .with(&format!(
            "import-accounts: {{ user: {user}, password: own-pw }}\nlog: {{ level: trace }}"
        ))
        .never_as_root()
}

#[test]
fn what_servers_store_of_each_require_is_imported() {
    let accounts = [
        ("imp_none@'%'", "NONE", "NONE"),
        ("imp_ssl@'%'", "SSL", "SSL"),
        ("imp_x509@'10.0.0.0/255.0.0.0'", "X509", "X509"),
        (
            "imp_subject@'%'",
            r"SUBJECT '/O=Lab/CN=a\\/b' ",
            r"SUBJECT '/O=Lab/CN=a\\/b'",
        ),
        (
            "imp_issuer@localhost",
            r"ISSUER '/O=Lab/CN=Zo\\xC3\\xAB'",
            r"ISSUER '/O=Lab/CN=Zo\\xC3\\xAB'",
        ),
        (
            "imp_all@'%'",
            "CIPHER 'A:B' AND ISSUER '/CN=ca' AND SUBJECT '/CN=dm'",
            "SUBJECT '/CN=dm' AND ISSUER '/CN=ca' AND CIPHER 'A:B'",
        ),
        ("`imp_jos\u{e9}`@'%'", "SSL", "SSL"),
    ];
    for mut server in SERVERS.into_iter().filter_map(Server::find) {
        server.own_account("imp_own", "BY 'own-pw'");
        // each server's own way with these (run)
        let (nothing, cipher) = if server.is_mysql() {
            ("X509", "CIPHER 'A'")
        } else {
            ("SSL", "CIPHER 'A' (without a certificate)")
        };
        let mut all = accounts.to_vec();
        all.push(("imp_empty@'%'", "SUBJECT ''", nothing));
        all.push(("imp_cipher@'%'", "CIPHER 'A'", cipher));
        server.run("DROP ROLE IF EXISTS imp_role");
        server.run("CREATE ROLE imp_role");
        for (name, require, _) in &all {
            server.run(&format!("DROP USER IF EXISTS {name}"));
            server.run(&format!(
                "CREATE USER {name} IDENTIFIED BY 'app-pw' REQUIRE {require}"
            ));
        }
        let proxy = Proxy::start_cold(importing(&server.at.tls(), "imp_own"));
        proxy.wait_for_log("accounts are imported");
        let log = proxy.log();
        for (name, require, imported) in &all {
            let (user, host) = name.split_once('@').expect("user@host");
            let (user, host) = (user.trim_matches('`'), host.trim_matches('\''));
            let line = format!(
                "user=\"{user}\" host=\"{host}\" requirement={imported:?} peer_credential=false"
            );
            assert!(
                log.contains(&line),
                "{}: {require}: {line}\n{log}",
                server.at.name
            );
        }
        // a role of MariaDB is no account; one of MySQL is
        assert_eq!(
            log.contains("user=\"imp_role\""),
            server.is_mysql(),
            "{log}"
        );
        for (name, ..) in &all {
            server.run(&format!("DROP USER {name}"));
        }
        server.run("DROP ROLE imp_role");
        server.drop_own_account("imp_own");
    }
}

#[test]
fn a_unix_socket_as_an_alternative_of_a_mariadb_account_is_seen() {
    for mut server in SERVERS[1..].iter().copied().filter_map(Server::find) {
        server.own_account("imp_sees", "BY 'own-pw'");
        server.run("DROP USER IF EXISTS imp_peer@localhost");
        server.run(
            "CREATE USER imp_peer@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('app-pw') OR unix_socket",
        );
        let proxy = Proxy::start_cold(importing(&server.at.socket(), "imp_sees"));
        let line = proxy.wait_for_log("user=\"imp_peer\"");
        assert!(line.contains("peer_credential=true"), "{line}");
        let own = proxy.wait_for_log("user=\"imp_sees\"");
        assert!(own.contains("peer_credential=false"), "{own}");
        server.run("DROP USER imp_peer@localhost");
        server.drop_own_account("imp_sees");
    }
}

#[test]
fn mytls_logs_in_with_every_plugin_and_from_every_kind_of_side() {
    for mut server in SERVERS.into_iter().filter_map(Server::find) {
        let by_default = [("imp_default", "BY 'own-pw'")];
        let others = match server.at.name {
            "mysql97" => vec![("imp_sha256", "WITH sha256_password BY 'own-pw'")],
            "mariadb118" => vec![("imp_parsec", "VIA parsec USING PASSWORD('own-pw')")],
            _ => Vec::new(),
        };
        for (name, identified) in by_default.into_iter().chain(others) {
            server.own_account(name, identified);
            for from in [server.at.tls(), server.at.tcp(), server.at.socket()] {
                // cold, then warm
                if server.is_mysql() {
                    server.run("FLUSH PRIVILEGES");
                }
                for _ in 0..2 {
                    let run = run_with("check", &importing(&from, name));
                    assert_eq!(run.code, Some(0), "{name} {from}: {run:?}");
                    assert!(run.stdout.contains("accounts are imported"), "{run:?}");
                }
            }
            let wrong = Config::to(&format!("{{ {} }}", server.at.tls())).with(&format!(
                "import-accounts: {{ user: {name}, password: wrong }}"
            ));
            let refused = run_with("check", &wrong);
            assert!(
                refused
                    .stdout
                    .contains("the backend refused the login: 1045"),
                "{refused:?}"
            );
            server.drop_own_account(name);
        }
    }
}

#[test]
fn an_ed25519_account_is_refused_by_the_name_of_its_plugin() {
    for mut server in SERVERS[1..].iter().copied().filter_map(Server::find) {
        server.own_account("imp_ed25519", "VIA ed25519 USING PASSWORD('own-pw')");
        let run = run_with("check", &importing(&server.at.tls(), "imp_ed25519"));
        assert!(
            run.stdout
                .contains("the account uses the plugin \"client_ed25519\""),
            "{run:?}"
        );
        server.drop_own_account("imp_ed25519");
    }
}
