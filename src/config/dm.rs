//! The files of TiDB Data Migration (DM) that a configuration may be read from: where its servers are, and its TLS there.
//!
//! Taken are `from` of a source file and `target-database` of a task file, with DM's `host`, `port`, `user`, `password` and
//! `security`. All else in them is about DM's own work.

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;

use super::ConfigError;
use super::file::{Backend, DmFile};
use crate::backend::Role;

/// What a configuration is read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// mytls' own file. Without it every key has its default.
    pub config: Option<PathBuf>,
    /// DM's source file.
    pub source: Option<PathBuf>,
    /// DM's task file.
    pub task: Option<PathBuf>,
}

impl From<&Path> for Files {
    fn from(path: &Path) -> Self {
        Self {
            config: Some(path.to_owned()),
            ..Self::default()
        }
    }
}

/// DM's files, read.
#[derive(Debug, Default)]
pub(super) struct DmFiles {
    files: Vec<DmSection>,
}

/// The section of one of DM's files.
#[derive(Debug)]
pub(super) struct DmSection {
    /// Which backend it is about.
    pub(super) role: Role,
    /// What is written about it.
    pub(super) section: Spanned<Backend>,
    path: PathBuf,
    text: String,
}

impl DmFiles {
    pub(super) fn read(files: &Files) -> Result<Self, ConfigError> {
        let named = [(Role::Source, &files.source), (Role::Target, &files.task)];
        let files = named
            .into_iter()
            .filter_map(|(role, path)| Some((role, path.as_deref()?)))
            .map(|(role, path)| DmSection::parse(role, path, super::read(path)?))
            .collect::<Result<_, _>>()?;
        Ok(Self { files })
    }

    /// All of them.
    pub(super) fn files(&self) -> &[DmSection] {
        &self.files
    }

    /// The one about this backend.
    pub(super) fn of(&self, role: Role) -> Option<&DmSection> {
        self.files.iter().find(|file| file.role == role)
    }

    /// The option that names it.
    pub(super) fn option(role: Role) -> &'static str {
        match role {
            Role::Source => "--source",
            Role::Target => "--task",
        }
    }

    /// Path and text that a position belongs to: of the file about this backend, or mytls' own.
    pub(super) fn place<'a>(
        &'a self,
        of_dm: Option<Role>,
        own: (&'a Path, &'a str),
    ) -> (&'a Path, &'a str) {
        of_dm
            .and_then(|role| self.of(role))
            .map_or(own, |file| (&file.path, &file.text))
    }
}

impl DmSection {
    fn parse(role: Role, path: &Path, text: String) -> Result<Self, ConfigError> {
        let file = DmFile::parse(&text)
            .map_err(|fault| ConfigError::File(Box::new(fault.into_problem(path, &text))))?;
        let key = match role {
            Role::Source => file.from,
            Role::Target => file.target_database,
        };
        let written = key.written().ok_or_else(|| ConfigError::NoSection {
            path: path.to_owned(),
            key: key_of(role),
        })?;
        let backend = written.value.clone().into();
        Ok(Self {
            role,
            section: Spanned::new(backend, written.referenced, written.defined),
            path: path.to_owned(),
            text,
        })
    }

    /// The section's key.
    pub(super) fn key(&self) -> &'static str {
        key_of(self.role)
    }

    /// Where relative paths begin.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

fn key_of(role: Role) -> &'static str {
    match role {
        Role::Source => "from",
        Role::Target => "target-database",
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::super::{Config, Environment};
    use super::*;
    use crate::backend::{Endpoint, Security, Settings};
    use crate::tls::{PemSource, SslMode};

    /// The keys of DM's own example of a source file.
    const SOURCE: &str = "
server-id: 101
source-id: replica-01
flavor: mysql
enable-relay: false
relay-binlog-name: ''
enable-gtid: true
enable: true
from:
  host: 10.0.0.1
  user: dm
  password: MKxn0Qo3m3XOyjCnhEMtsUCm83EhGQDZ/T4=
  port: 3306
  max-allowed-packet: 67108864
  session: { sql_mode: ANSI }
  security:
    ssl-ca: /certs/ca.pem
    ssl-cert: client.pem
    ssl-key: client.key
purge: { interval: 3600 }
checker: { check-enable: true, backoff-max: 5m0s }
filters:
  - { schema-pattern: test, events: [all dml], action: Do }
";

    /// The keys of DM's own example of a task file; the security is what its manual has for TiDB.
    fn task(ca: &str) -> String {
        format!(
            "---
name: move
task-mode: all
is-sharding: true
meta-schema: dm_meta
enable-heartbeat: false
target-database:
  host: 192.168.0.1
  port: 4000
  user: root
  password: ''
  security: {{ ssl-ca-base64: {ca}, cert-allowed-cn: [tidb] }}
mysql-instances:
  - source-id: replica-01
    meta: {{ binlog-name: mysql-bin.000001, binlog-pos: 4 }}
    block-allow-list: instance
    mydumper: {{ threads: 4 }}
block-allow-list:
  instance: {{ do-dbs: ['~^test.*'] }}
routes:
  rule: {{ schema-pattern: test_*, target-schema: test }}
loaders: {{ global: {{ dir: ./dumped_data }} }}
"
        )
    }

    fn dm(source: Option<&str>, task: Option<&str>) -> Result<DmFiles, ConfigError> {
        let named = [
            (Role::Source, "/dm/source.yaml", source),
            (Role::Target, "/dm/task.yaml", task),
        ];
        let files = named
            .into_iter()
            .filter_map(|(role, path, text)| Some((role, path, text?)))
            .map(|(role, path, text)| DmSection::parse(role, path.as_ref(), text.to_owned()))
            .collect::<Result<_, _>>()?;
        Ok(DmFiles { files })
    }

    fn config(own: &str, source: Option<&str>, task: Option<&str>) -> Result<Config, ConfigError> {
        let files = dm(source, task)?;
        Config::parse(
            "/etc/mytls.yaml".as_ref(),
            own,
            &files,
            &Environment::default(),
        )
    }

    fn error(own: &str, source: Option<&str>, task: Option<&str>) -> String {
        config(own, source, task)
            .expect_err("something is wrong")
            .in_one_line()
    }

    #[track_caller]
    fn assert_begins(text: &str, begin: &str) {
        assert!(text.starts_with(begin), "{text}");
    }

    fn where_it_is(settings: &Settings) -> (Role, String) {
        let endpoints: Vec<String> = settings.endpoints.iter().map(Endpoint::to_string).collect();
        (settings.role, endpoints.join(" "))
    }

    #[test]
    fn what_is_wrong_in_a_file_of_dm_is_shown_there() {
        let misspelt = SOURCE.replace("ssl-ca:", "ssl-cer:");
        let place = "/dm/source.yaml:17:5: from.security.ssl-cer: unknown key";
        assert_begins(&error("", Some(&misspelt), None), place);
        let lost = SOURCE.replace("  security:", "  securty:");
        assert!(error("", Some(&lost), None).contains("the nearest known key is `security`"));
        let half = SOURCE.replace("    ssl-key: client.key\n", "");
        let place = "/dm/source.yaml:18:5: from.security.ssl-cert: needs `ssl-key`";
        assert_begins(&error("", Some(&half), None), place);
        let plain = "from: { host: 10.0.0.1, user: dm }";
        let place = "/dm/source.yaml:1:1: from: 10.0.0.1:3306 would be reached in plaintext";
        assert_begins(&error("", Some(plain), None), place);
    }

    #[test]
    fn a_server_is_named_in_one_place() {
        let own = "from: { host: localhost }";
        let place = "/etc/mytls.yaml:1:1: from: cannot stand together with `--source`";
        assert_begins(&error(own, Some(SOURCE), None), place);
    }

    #[test]
    fn another_file_of_dm_is_refused() {
        let error = error("", None, Some(SOURCE));
        assert_begins(&error, "/dm/task.yaml: there is no `target-database` in it");
    }

    #[test]
    fn servers_and_their_tls_are_taken_and_the_rest_is_passed_over() {
        let ca = BASE64.encode("a CA");
        let own = "route: target\nlisten: 127.0.0.1:3399\n";
        let config = config(own, Some(SOURCE), Some(&task(&ca))).expect("right");
        let servers: Vec<_> = config.backends.iter().map(where_it_is).collect();
        assert_eq!(
            servers,
            [
                (Role::Source, "10.0.0.1:3306".to_owned()),
                (Role::Target, "192.168.0.1:4000".to_owned())
            ]
        );
        assert_eq!(config.route, Role::Target);
        let Security::Tls(source) = &config.backends[0].security else {
            panic!("{config:?}")
        };
        assert_eq!(source.mode, SslMode::VerifyCa);
        assert_eq!(
            source.sources.cert,
            Some(PemSource::File("/dm/client.pem".into()))
        );
        let Security::Tls(target) = &config.backends[1].security else {
            panic!("{config:?}")
        };
        assert!(matches!(
            &target.sources.ca,
            Some(PemSource::Inline { pem, .. }) if pem == b"a CA"
        ));
        let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
        assert!(
            !warnings.iter().any(|warning| warning.contains("/dm/")),
            "{warnings:?}"
        );
    }

    #[test]
    fn an_import_logs_in_with_the_account_of_dm_and_warns_of_an_encrypted_password() {
        let config = config("import-accounts: {}", Some(SOURCE), None).expect("right");
        let import = config.backends[0].import.as_ref().expect("an import");
        assert_eq!(import.account.user.as_str(), "dm");
        let warning = config.warnings.iter().map(ToString::to_string);
        let place = "/dm/source.yaml:12: from.password: looks encrypted";
        assert!(warning.into_iter().any(|text| text.starts_with(place)));
    }
}
