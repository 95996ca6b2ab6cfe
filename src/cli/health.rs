//! `mytls health`, `mytls wait` and `mytls shutdown` as they are written.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::backend::Endpoint;
use crate::config::{self, Config, ConfigError, Environment};
use crate::health::{Port, Question};
use crate::shutdown::Waiting;

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Asked {
    /// The configuration file (YAML) of the mytls that is asked: at its `http.listen`, or without one at `listen`.
    #[arg(value_name = "CONFIG", conflicts_with = "http_addr")]
    pub config: Option<PathBuf>,

    /// Its HTTP port: HOST, HOST:PORT or unix:PATH. The port is 9307 if none is written. [default: 127.0.0.1:9307, and if
    /// nobody listens there, the data port at 127.0.0.1:3307]
    #[arg(long, value_name = "HOST:PORT", value_parser = config::parse_http_address)]
    pub http_addr: Option<Endpoint>,
}

impl Asked {
    /// The port to ask.
    pub fn port(&self, environment: &Environment) -> Result<Port, ConfigError> {
        match (&self.http_addr, &self.config) {
            (Some(address), _) => Ok(Port::Http(address.clone())),
            (None, Some(config)) => Ok(Port::of(&Config::load(config, environment)?)),
            (None, None) => Ok(Port::Usual),
        }
    }
}

/// `mytls health`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls health                                   # HEALTHCHECK of an image that has no shell
  mytls health --http-addr 127.0.0.1:9307 --live # a liveness probe

Without an HTTP port the data port is asked for its greeting, which mytls gives by itself: the server behind it hears \
nothing of it.")]
pub struct Health {
    /// Whom to ask.
    #[command(flatten)]
    pub asked: Asked,

    /// Ask whether it answers at all, not whether it is ready.
    #[arg(long)]
    pub live: bool,
}

impl Health {
    /// What to ask.
    pub fn question(&self) -> Question {
        if self.live {
            Question::Live
        } else {
            Question::Ready
        }
    }
}

/// `mytls wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mytls wait --timeout 2m && exec the-application")]
pub struct Wait {
    /// Whom to ask.
    #[command(flatten)]
    pub asked: Asked,

    /// For how long; 0s asks once.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// `mytls shutdown`.
#[derive(Debug, Args)]
#[command(after_help = "\
Who may: the user that it runs as, and root. From another container or machine: mytls ctl shutdown.
A mytls that is ending already cuts the sessions that are left, as at a second SIGTERM.")]
pub struct Shutdown {
    /// The one with this process id, where several run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,

    /// Do not wait for the end.
    #[arg(long)]
    pub no_wait: bool,
}

impl Shutdown {
    /// Whether to wait.
    pub fn waiting(&self) -> Waiting {
        if self.no_wait {
            Waiting::No
        } else {
            Waiting::UntilItEnds
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::super::{Cli, Command};
    use super::*;

    fn port(line: &str) -> Option<Port> {
        let asked = match parse(line).ok()?.command {
            Command::Health(health) => health.asked,
            Command::Wait(wait) => wait.asked,
            _ => return None,
        };
        asked.port(&Environment::default()).ok()
    }

    #[test]
    fn wrong_usage_exits_with_64() {
        for line in [
            "mytls health a.yaml b.yaml",
            "mytls health a.yaml --http-addr localhost",
            "mytls health --http-addr :1",
            "mytls health --http-addr a:b:c",
            "mytls health --timeout 1s",
            "mytls wait --live",
            "mytls wait --timeout soon",
            "mytls wait --timeout -1s",
            "mytls shutdown 7",
            "mytls shutdown --pid 0",
            "mytls shutdown --pid -1",
            "mytls shutdown --pid x",
        ] {
            let status = parse(line).map(|Cli { command }| format!("{command:?}"));
            assert_eq!(status, Err(64), "{line}");
        }
    }

    #[test]
    fn the_http_port_is_9307_if_none_is_written() {
        let endpoint = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        for (option, expected) in [
            ("mytls", endpoint("mytls", 9307)),
            ("[::1]:1", endpoint("::1", 1)),
            ("unix:/h.sock", Endpoint::Unix("/h.sock".into())),
        ] {
            for command in ["health", "wait"] {
                let line = format!("mytls {command} --http-addr {option}");
                assert_eq!(port(&line), Some(Port::Http(expected.clone())));
            }
        }
        assert_eq!(port("mytls health --live"), Some(Port::Usual));
    }
}
