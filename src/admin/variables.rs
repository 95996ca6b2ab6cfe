//! What `SHOW VARIABLES` and `@@name` tell: the configuration in force, and what drivers ask every server for.

use std::sync::Arc;

use crate::backend::Backends;
use crate::protocol::result_set::Column;
use crate::tls::{Policy, TlsVersion};

/// What the admin port greets with, and speaks as.
pub(super) const VERSION: &str = concat!("8.4.0-mytls-", env!("CARGO_PKG_VERSION"));

/// What drivers ask for when they connect. It has no effect here: there is one character set, no transaction, no time zone.
const OF_SESSIONS: [(&str, &str); 41] = [
    ("auto_increment_increment", "1"),
    ("autocommit", "ON"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_0900_ai_ci"),
    ("collation_database", "utf8mb4_0900_ai_ci"),
    ("collation_server", "utf8mb4_0900_ai_ci"),
    ("foreign_key_checks", "ON"),
    ("group_concat_max_len", "1024"),
    ("init_connect", ""),
    ("interactive_timeout", "28800"),
    ("license", "Apache-2.0"),
    ("lock_wait_timeout", "31536000"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "131072"),
    ("max_execution_time", "0"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "30"),
    ("net_write_timeout", "60"),
    ("performance_schema", "ON"),
    ("protocol_version", "10"),
    ("read_only", "OFF"),
    ("session_track_gtids", "OFF"),
    ("session_track_schema", "OFF"),
    ("session_track_state_change", "OFF"),
    ("session_track_system_variables", ""),
    ("sql_auto_is_null", "OFF"),
    ("sql_mode", ""),
    ("sql_safe_updates", "OFF"),
    ("sql_select_limit", "18446744073709551615"),
    ("system_time_zone", "UTC"),
    ("time_zone", "SYSTEM"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "OFF"),
    ("tx_isolation", "REPEATABLE-READ"),
    ("tx_read_only", "OFF"),
    ("unique_checks", "ON"),
    ("wait_timeout", "28800"),
];

/// The one that can change while mytls runs.
pub(super) const ROUTE: &str = "route";

/// Names and values, in the order of the names.
#[derive(Debug)]
pub struct Variables {
    all: Vec<(String, String)>,
    /// They know the route.
    backends: Arc<Backends>,
}

impl Variables {
    /// The configuration in force, and all that drivers ask for.
    pub fn new(
        configuration: impl IntoIterator<Item = (String, String)>,
        backends: Arc<Backends>,
    ) -> Self {
        let own = [
            ("version", VERSION),
            ("version_comment", "mytls admin port"),
        ];
        let constant = OF_SESSIONS.into_iter().chain(own);
        let mut all: Vec<_> = constant
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(configuration)
            .collect();
        all.sort();
        Self { all, backends }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let route = self.backends.routed().role().name();
        self.all.iter().map(move |(name, value)| {
            let value = if name == ROUTE { route } else { value };
            (name.as_str(), value)
        })
    }

    /// One of them; names are in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Whether a connection may set it, without an effect.
    pub(super) fn is_of_session(name: &str) -> bool {
        OF_SESSIONS.iter().any(|(known, _)| *known == name)
    }
}

/// As MySQL's `tls_version` lists those that are spoken.
pub(crate) fn versions(lowest: TlsVersion) -> &'static str {
    match lowest {
        TlsVersion::Tls12 => "TLSv1.2,TLSv1.3",
        TlsVersion::Tls13 => "TLSv1.3",
    }
}

/// As MySQL's `ssl_cipher` and `tls_ciphersuites` list the suites that the configuration names; empty where it names none.
pub(crate) fn chosen_ciphers(policy: &Policy, version: TlsVersion) -> String {
    let chosen = match version {
        TlsVersion::Tls12 => &policy.tls12,
        TlsVersion::Tls13 => &policy.tls13,
    };
    match chosen {
        Some(_) => policy.ciphers(version).join(":"),
        None => String::new(),
    }
}

/// How `SELECT @@name` shows a value: as in MySQL a number is one, and a switch too.
pub(super) fn selected(name: String, value: &str) -> (Column, String) {
    let number = match value {
        "ON" => Some(1),
        "OFF" => Some(0),
        _ => value.parse::<u64>().ok(),
    };
    match number {
        Some(number) => (Column::number(name, 21), number.to_string()),
        None => (Column::text(name, 21_845), value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::{Backend, Endpoint, KeptRoute, Role, Security, Settings};
    use crate::net::socket::KeepAlive;

    #[test]
    fn numbers_and_switches_are_numbers_where_they_are_selected() {
        for (value, shown) in [("ON", "1"), ("OFF", "0"), ("28800", "28800")] {
            let name = || "a".to_owned();
            let number = (Column::number("a", 21), shown.to_owned());
            assert_eq!(selected(name(), value), number);
        }
        let (column, value) = selected("a".to_owned(), "8.4.0");
        assert_eq!(
            (column, value.as_str()),
            (Column::text("a", 21_845), "8.4.0")
        );
    }

    fn backends() -> Arc<Backends> {
        let settings = Settings {
            role: Role::Target,
            endpoints: vec![Endpoint::Tcp {
                host: "localhost".to_owned(),
                port: 4000,
            }],
            security: Security::Plaintext,
            connect_time: Duration::from_secs(1),
            keep_alive: KeepAlive::default(),
            import: None,
            sends_proxy_header: false,
        };
        let backend = Arc::new(Backend::new(settings).expect("a backend"));
        let backends = Backends::new(vec![backend], Role::Target, KeptRoute::default());
        Arc::new(backends.expect("the route leads somewhere"))
    }

    #[test]
    fn variables_are_in_the_order_of_their_names() {
        let configuration = [("ssl_ca", "ca.pem"), (ROUTE, "as configured")];
        let configuration = configuration.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = Variables::new(configuration, backends());
        assert_eq!(variables.get(ROUTE), Some("target"), "as it is now");
        assert_eq!(variables.get("ssl_ca"), Some("ca.pem"));
        assert_eq!(variables.get("nope"), None);
        assert!(variables.all().is_sorted());
    }
}
