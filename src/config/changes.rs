//! What differs between two configurations and counts only from the next start on, key by key.
//!
//! Every field is named, without `..`: whoever adds one must decide whether a reload takes it.

use std::time::Duration;

use super::{Config, Log};
use crate::backend::{self, Role};
use crate::net::socket::KeepAlive;
use crate::{rules, session};

/// A key, and whether it differs.
type Change = (&'static str, bool);

impl Config {
    /// The keys that differ in `other` and that a reload leaves alone: all but `accounts`, `default-require` and
    /// `log.level`.
    pub fn keys_for_a_restart(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            listen,
            client_tls,
            require_valid_certificates,
            reread_certificates,
            rules,
            backends,
            route,
            tls_status,
            compression,
            balancers,
            admin,
            http,
            limits,
            drain_min,
            drain_max,
            state_dir,
            sandbox,
            log: Log { format, level: _ },
            // named on the command line
            files: _,
            warnings: _,
        } = self;
        let own = [
            ("listen", *listen != other.listen),
            ("security", *client_tls != other.client_tls),
            (
                "require-valid-certificates",
                *require_valid_certificates != other.require_valid_certificates,
            ),
            (
                "reread-certificates",
                *reread_certificates != other.reread_certificates,
            ),
            ("route", *route != other.route),
            ("tls-status", *tls_status != other.tls_status),
            ("compression", *compression != other.compression),
            ("proxy-protocol.accept-from", *balancers != other.balancers),
            ("admin", *admin != other.admin),
            ("http", *http != other.http),
            ("drain.min", *drain_min != other.drain_min),
            ("drain.max", *drain_max != other.drain_max),
            ("state-dir", *state_dir != other.state_dir),
            ("sandbox", *sandbox != other.sandbox),
            ("log.format", *format != other.log.format),
        ];
        let all = own
            .into_iter()
            .chain(changed_rules(rules, &other.rules))
            .chain(changed_backends(backends, &other.backends))
            .chain(changed_limits(limits, &other.limits));
        all.filter_map(|(key, differs)| differs.then_some(key))
            .collect()
    }
}

fn changed_rules(rules: &rules::Settings, other: &rules::Settings) -> [Change; 3] {
    let rules::Settings {
        accounts: _,
        admin_accounts: _,
        default_requirement: _,
        require_secure_transport,
        client_names,
        enforcement,
    } = rules;
    [
        (
            "security.cert-allowed-cn",
            *client_names != other.client_names,
        ),
        (
            "require-secure-transport",
            *require_secure_transport != other.require_secure_transport,
        ),
        ("enforcement", *enforcement != other.enforcement),
    ]
}

/// What all backends have in common has keys of its own.
fn changed_backends(backends: &[backend::Settings], other: &[backend::Settings]) -> [Change; 5] {
    let section = |backends: &[backend::Settings], role| {
        let of_role = backends.iter().find(|backend| backend.role == role)?;
        Some(backend::Settings {
            connect_time: Duration::ZERO,
            keep_alive: KeepAlive::default(),
            import: None,
            sends_proxy_header: false,
            ..of_role.clone()
        })
    };
    let differs = |role| section(backends, role) != section(other, role);
    let told = |backends: &[backend::Settings]| -> Vec<Role> {
        let told = backends.iter().filter(|backend| backend.sends_proxy_header);
        told.map(|backend| backend.role).collect()
    };
    let common = |backends: &[backend::Settings]| {
        let any = backends.first()?;
        Some((any.connect_time, any.import.clone()))
    };
    let ((connect_time, import), (other_connect_time, other_import)) =
        (common(backends).unzip(), common(other).unzip());
    [
        ("from", differs(Role::Source)),
        ("target-database", differs(Role::Target)),
        ("limits.connect-time", connect_time != other_connect_time),
        ("import-accounts", import != other_import),
        ("proxy-protocol.send", told(backends) != told(other)),
    ]
}

fn changed_limits(limits: &session::Limits, other: &session::Limits) -> [Change; 9] {
    let session::Limits {
        connections,
        connections_per_client,
        connections_before_login,
        handshakes,
        login_time,
        idle_time,
        life_time,
        keep_alive: KeepAlive {
            after,
            unacknowledged,
        },
    } = limits;
    let other_keep_alive = &other.keep_alive;
    [
        ("limits.connections", *connections != other.connections),
        (
            "limits.connections-per-client",
            *connections_per_client != other.connections_per_client,
        ),
        (
            "limits.connections-before-login",
            *connections_before_login != other.connections_before_login,
        ),
        ("limits.handshakes", *handshakes != other.handshakes),
        ("limits.login-time", *login_time != other.login_time),
        ("limits.idle-time", *idle_time != other.idle_time),
        ("limits.life-time", *life_time != other.life_time),
        ("limits.keep-alive", *after != other_keep_alive.after),
        (
            "limits.unacknowledged-time",
            *unacknowledged != other_keep_alive.unacknowledged,
        ),
    ]
}
