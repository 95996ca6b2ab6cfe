//! `mytls serve` as it is written.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Config, ConfigError, Environment, Files};
use crate::http;
use crate::net::ListenAddress;

/// `mytls serve`.
#[derive(Debug, Args)]
#[command(override_usage = "\
mytls serve CONFIG [--listen IP:PORT]...
       mytls serve [CONFIG] --source FILE --task FILE [--listen IP:PORT]...
       mytls serve --backend HOST:PORT [--listen IP:PORT]...")]
#[command(after_help = "\
Examples:
  mytls serve /etc/mytls/mytls.yaml
  mytls serve --backend db.internal:3306 --listen 127.0.0.1:3307

SIGTERM ends mytls: after `drain.min` no new clients, and those that are connected have `drain.max` to finish.
SIGHUP reads certificates, `accounts`, `default-require` and `log.level` again.")]
pub struct Serve {
    /// The configuration file (YAML).
    #[arg(
        value_name = "CONFIG",
        required_unless_present_any = ["backend", "source", "task"],
        conflicts_with = "backend"
    )]
    pub config: Option<PathBuf>,

    /// The source file of TiDB Data Migration: its `from` is the server. CONFIG may say the rest.
    #[arg(long, value_name = "FILE", conflicts_with = "backend")]
    pub source: Option<PathBuf>,

    /// The task file of TiDB Data Migration, for its `target-database`.
    #[arg(long, value_name = "FILE", conflicts_with = "backend")]
    pub task: Option<PathBuf>,

    /// The server, where no file is needed: HOST, HOST:PORT or unix:PATH; an IPv6 address in brackets.
    ///
    /// mytls makes its own certificate and listens on 127.0.0.1:3307. A server on another machine is reached over TLS,
    /// never in plaintext; its certificate can only be verified with a file that names `ssl-ca`.
    #[arg(long, value_name = "HOST:PORT")]
    pub backend: Option<String>,

    /// Where to listen for clients, in place of what the file says: IP:PORT or unix:PATH. May be repeated.
    #[arg(long, value_name = "IP:PORT", value_parser = config::parse_listen)]
    pub listen: Vec<ListenAddress>,

    /// Where to listen for metrics and probes, in place of what the file says: IP:PORT or unix:PATH. May be repeated.
    #[arg(long, value_name = "IP:PORT", value_parser = config::parse_listen)]
    pub http_listen: Vec<ListenAddress>,
}

impl Serve {
    /// The configuration that the arguments name.
    pub fn configuration(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let mut configuration = if let Some(backend) = &self.backend {
            Config::for_backend(backend, environment)?
        } else {
            let files = Files {
                config: self.config.clone(),
                source: self.source.clone(),
                task: self.task.clone(),
            };
            Config::load_files(&files, environment)?
        };
        if !self.listen.is_empty() {
            configuration.listen.clone_from(&self.listen);
        }
        if !self.http_listen.is_empty() {
            let hosts = configuration.http.map(|http| http.hosts);
            configuration.http = Some(http::Settings {
                listen: self.http_listen.clone(),
                hosts: hosts.unwrap_or_default(),
            });
        }
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, tests::parse};
    use super::*;

    fn serve(line: &str) -> Option<Serve> {
        match parse(line).ok()?.command {
            Command::Serve(serve) => Some(serve),
            _ => None,
        }
    }

    #[test]
    fn listen_replaces_what_the_configuration_says() {
        let serve =
            serve("mytls serve --backend db --listen 127.0.0.1:0 --listen unix:/run/s.sock");
        let configuration = serve.map(|serve| serve.configuration(&Environment::default()));
        let listen = configuration
            .and_then(Result::ok)
            .map(|configuration| configuration.listen);
        let expected = ["127.0.0.1:0", "unix:/run/s.sock"].map(config::parse_listen);
        assert_eq!(
            listen.map(|listen| listen.into_iter().map(Ok).collect()),
            Some(expected.to_vec())
        );
    }

    #[test]
    fn an_http_port_can_be_had_without_a_file() {
        let http = |line| {
            serve(line)?
                .configuration(&Environment::default())
                .ok()?
                .http
        };
        assert_eq!(http("mytls serve --backend db"), None);
        let listen =
            http("mytls serve --backend db --http-listen 127.0.0.1:1 --http-listen unix:/h");
        let listen = listen.map(|http| http.listen.into_iter().map(Ok).collect());
        let expected = ["127.0.0.1:1", "unix:/h"].map(config::parse_listen);
        assert_eq!(listen, Some(expected.to_vec()));
    }
}
