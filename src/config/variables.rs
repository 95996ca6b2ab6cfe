//! The configuration in force as `SHOW VARIABLES` tells it: each key by its path joined by `_`, and by MySQL's own name
//! where MySQL has the variable.

use std::path::Path;
use std::time::Duration;

use super::{Config, LogFormat};
use crate::admin::variables::{chosen_ciphers, versions};
use crate::backend::{Role, Security};
use crate::net::ListenAddress;
use crate::rules::Enforcement;
use crate::tls::{ClientSettings, PemSource, Policy, ServerSettings, Sources, SslMode, TlsVersion};

type Rows = Vec<(String, String)>;

impl Config {
    /// Names and values. No password, no key and nobody's rules are among them.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut rows = self.by_mysqls_names();
        rows.extend(self.by_paths());
        for backend in &self.backends {
            let section = match backend.role {
                Role::Source => "from",
                Role::Target => "target_database",
            };
            let endpoints = joined(&backend.endpoints);
            push(&mut rows, &format!("{section}_endpoints"), &endpoints);
            let (mode, settings) = match &backend.security {
                Security::Plaintext => ("DISABLED", None),
                Security::AsOffered(settings) => ("PREFERRED", Some(settings)),
                Security::Tls(settings) => (ssl_mode(settings), Some(settings)),
            };
            push(&mut rows, &format!("{section}_security_ssl_mode"), mode);
            if let Some(settings) = settings {
                let section = format!("{section}_security");
                push_security(&mut rows, &section, &settings.sources, &settings.policy);
            }
            if let Some(import) = &backend.import {
                push(&mut rows, "import_accounts", "ON");
                push(
                    &mut rows,
                    "import_accounts_interval",
                    &seconds(import.interval),
                );
                let enforcement = if import.report_only {
                    "report"
                } else {
                    "enforce"
                };
                push(&mut rows, "import_accounts_enforcement", enforcement);
                let hosts = if import.ignore_hosts {
                    "ignore"
                } else {
                    "check"
                };
                push(&mut rows, "import_accounts_hosts", hosts);
            }
        }
        rows.sort();
        rows.dedup();
        rows
    }

    fn by_mysqls_names(&self) -> Rows {
        let mut rows = Rows::new();
        let (address, port) = first_tcp(&self.listen);
        push(&mut rows, "bind_address", &address);
        push(&mut rows, "port", &port);
        push(&mut rows, "socket", &first_socket(&self.listen));
        if let Some(admin) = &self.admin {
            let (address, port) = first_tcp(&admin.listen);
            push(&mut rows, "admin_address", &address);
            push(&mut rows, "admin_port", &port);
        }
        for (name, source) in named(&self.client_tls.sources) {
            push(&mut rows, name, &shown(source));
        }
        let policy = &self.client_tls.policy;
        push(&mut rows, "tls_version", versions(policy.lowest_version));
        for (name, version) in [
            ("ssl_cipher", TlsVersion::Tls12),
            ("tls_ciphersuites", TlsVersion::Tls13),
        ] {
            push(&mut rows, name, &chosen_ciphers(policy, version));
        }
        let required = on(self.rules.require_secure_transport);
        push(&mut rows, "require_secure_transport", required);
        let algorithms = if self.compression {
            "zlib,zstd,uncompressed"
        } else {
            "uncompressed"
        };
        push(&mut rows, "protocol_compression_algorithms", algorithms);
        let limits = &self.limits;
        push(
            &mut rows,
            "max_connections",
            &limits.connections.to_string(),
        );
        push(&mut rows, "connect_timeout", &seconds(limits.login_time));
        rows
    }

    fn by_paths(&self) -> Rows {
        let mut rows = Rows::new();
        push(&mut rows, "listen", &joined(&self.listen));
        push_port(&mut rows, "security", &self.client_tls);
        if let Some(admin) = &self.admin {
            push(&mut rows, "admin_listen", &joined(&admin.listen));
            push_port(&mut rows, "admin_security", &admin.tls);
        }
        if let Some(http) = &self.http {
            push(&mut rows, "http_listen", &joined(&http.listen));
            push(&mut rows, "http_hosts", &joined(&http.hosts));
        }
        let rules = &self.rules;
        let enforcement = match rules.enforcement {
            Enforcement::Enforce => "enforce",
            Enforcement::Report => "report",
        };
        push(&mut rows, "enforcement", enforcement);
        push(
            &mut rows,
            "default_require",
            &rules.default_requirement.to_string(),
        );
        push(&mut rows, "accounts", &rules.accounts.len().to_string());
        push(&mut rows, "route", &self.route.to_string());
        push(
            &mut rows,
            "proxy_protocol_accept_from",
            &self.balancers.to_string(),
        );
        let told: Vec<_> = self
            .backends
            .iter()
            .filter(|each| each.sends_proxy_header)
            .collect();
        let send = match told.as_slice() {
            [] => "OFF",
            [backend] if self.backends.len() > 1 => backend.role.name(),
            _ => "ON",
        };
        push(&mut rows, "proxy_protocol_send", send);
        for (name, value) in [
            (
                "require_valid_certificates",
                self.require_valid_certificates,
            ),
            ("reread_certificates", self.reread_certificates),
            ("sandbox", self.sandbox),
            ("compression", self.compression),
        ] {
            push(&mut rows, name, on(value));
        }
        let limits = &self.limits;
        for (name, value) in [
            ("limits_connections", limits.connections.to_string()),
            (
                "limits_connections_per_client",
                limits.connections_per_client.unwrap_or(0).to_string(),
            ),
            (
                "limits_connections_before_login",
                limits.connections_before_login.to_string(),
            ),
            (
                "limits_handshakes",
                limits.handshakes.unwrap_or(0).to_string(),
            ),
            ("limits_login_time", seconds(limits.login_time)),
            ("limits_connect_time", seconds(self.connect_time())),
            ("limits_idle_time", seconds_or_never(limits.idle_time)),
            ("limits_life_time", seconds_or_never(limits.life_time)),
            (
                "limits_keep_alive",
                seconds_or_never(limits.keep_alive.after),
            ),
            (
                "limits_unacknowledged_time",
                seconds_or_never(limits.keep_alive.unacknowledged),
            ),
            ("drain_min", seconds(self.drain_min)),
            ("drain_max", seconds(self.drain_max)),
            ("state_dir", path(self.state_dir.as_deref())),
            ("log_level", self.log.level.to_string().to_ascii_lowercase()),
        ] {
            push(&mut rows, name, &value);
        }
        let format = match self.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        push(&mut rows, "log_format", format);
        rows
    }

    /// One for all backends.
    fn connect_time(&self) -> Duration {
        let times = self.backends.iter().map(|backend| backend.connect_time);
        times.max().unwrap_or_default()
    }
}

fn push(rows: &mut Rows, name: &str, value: &str) {
    rows.push((name.to_owned(), value.to_owned()));
}

fn push_port(rows: &mut Rows, section: &str, settings: &ServerSettings) {
    push(rows, &format!("{section}_auto_tls"), on(settings.auto_tls));
    push_security(rows, section, &settings.sources, &settings.policy);
}

fn push_security(rows: &mut Rows, section: &str, sources: &Sources, policy: &Policy) {
    for (name, source) in named(sources) {
        push(rows, &format!("{section}_{name}"), &shown(source));
    }
    let version = policy.lowest_version.to_string();
    push(rows, &format!("{section}_tls_version"), &version);
    for (name, version) in [
        ("tls_cipher", TlsVersion::Tls12),
        ("tls_ciphersuites", TlsVersion::Tls13),
    ] {
        let ciphers = chosen_ciphers(policy, version);
        push(rows, &format!("{section}_{name}"), &ciphers);
    }
}

/// Each source with its variable.
fn named(sources: &Sources) -> [(&'static str, Option<&PemSource>); 4] {
    let Sources { ca, cert, key, crl } = sources;
    [
        ("ssl_ca", ca.as_ref()),
        ("ssl_cert", cert.as_ref()),
        ("ssl_key", key.as_ref()),
        ("ssl_crl", crl.as_ref()),
    ]
}

/// Where it comes from, never what it is.
fn shown(source: Option<&PemSource>) -> String {
    match source {
        Some(PemSource::File(path) | PemSource::Read { path, .. }) => path.display().to_string(),
        Some(PemSource::Inline { key, .. }) => key.clone(),
        None => String::new(),
    }
}

fn ssl_mode(settings: &ClientSettings) -> &'static str {
    match settings.mode {
        SslMode::Required => "REQUIRED",
        SslMode::VerifyCa => "VERIFY_CA",
        SslMode::VerifyIdentity => "VERIFY_IDENTITY",
    }
}

fn first_tcp(listen: &[ListenAddress]) -> (String, String) {
    let tcp = listen.iter().find_map(|address| match address {
        ListenAddress::Tcp(tcp) => Some(tcp),
        ListenAddress::Unix(_) => None,
    });
    match tcp {
        Some(tcp) => (tcp.ip().to_string(), tcp.port().to_string()),
        None => (String::new(), "0".to_owned()),
    }
}

fn first_socket(listen: &[ListenAddress]) -> String {
    let socket = listen.iter().find_map(|address| match address {
        ListenAddress::Unix(path) => Some(path.as_path()),
        ListenAddress::Tcp(_) => None,
    });
    path(socket)
}

fn path(path: Option<&Path>) -> String {
    path.map_or(String::new(), |path| path.display().to_string())
}

fn joined(list: &[impl ToString]) -> String {
    let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// Whole seconds, as in MySQL; up, so that a short time is not shown as none.
fn seconds(duration: Duration) -> String {
    let up = u64::from(duration.subsec_nanos() > 0);
    (duration.as_secs() + up).to_string()
}

/// 0: never.
fn seconds_or_never(duration: Option<Duration>) -> String {
    seconds(duration.unwrap_or_default())
}

fn on(value: bool) -> &'static str {
    if value { "ON" } else { "OFF" }
}
