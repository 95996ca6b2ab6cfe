//! The command line: its words, its help, and what a wrong one exits with.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Environment};
use crate::net::ListenAddress;

/// The exit status of wrong usage or a wrong configuration (`EX_USAGE` of sysexits.h). clap's own 2 says less.
pub const EXIT_USAGE: u8 = 64;

/// A TLS proxy in front of a MySQL-protocol server.
///
/// Clients connect to mytls with TLS and, where a rule demands it, with a certificate; only who may pass reaches the
/// server. mytls keeps no password.
#[derive(Debug, Parser)]
#[command(name = "mytls", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What mytls can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accept clients and connect them with the server.
    Serve(Serve),
    /// Say whether a configuration file is right, without serving anybody.
    ///
    /// Reads the file, loads its certificates, and connects to its servers. Exits with 0 if all of that works, with 1 if
    /// not, and with 64 if the file itself is wrong.
    Check(Check),
}

/// `mytls serve`.
#[derive(Debug, Args)]
#[command(override_usage = "\
mytls serve CONFIG [--listen IP:PORT]...
       mytls serve --backend HOST:PORT [--listen IP:PORT]...")]
#[command(after_help = "\
Examples:
  mytls serve /etc/mytls/mytls.yaml
  mytls serve --backend db.internal:3306 --listen 127.0.0.1:3307

SIGTERM ends mytls: no new clients, and those that are connected have `drain.max` to finish.")]
pub struct Serve {
    /// The configuration file (YAML).
    #[arg(
        value_name = "CONFIG",
        required_unless_present = "backend",
        conflicts_with = "backend"
    )]
    pub config: Option<PathBuf>,

    /// The server, where no file is needed: HOST, HOST:PORT or unix:PATH; an IPv6 address in brackets.
    ///
    /// mytls makes its own certificate and listens on 127.0.0.1:3307. A server on another machine is reached over TLS,
    /// never in plaintext; its certificate can only be verified with a file that names `ssl-ca`.
    #[arg(long, value_name = "HOST:PORT")]
    pub backend: Option<String>,

    /// Where to listen for clients, in place of what the file says: IP:PORT or unix:PATH. May be repeated.
    #[arg(long, value_name = "IP:PORT", value_parser = config::parse_listen)]
    pub listen: Vec<ListenAddress>,
}

/// `mytls check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file (YAML).
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
}

impl Cli {
    /// Reads the command line. What is no command (wrong usage, but also `--help`) is printed, and the exit status is
    /// returned in the command's place.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        Self::try_parse_from(arguments).map_err(|error| {
            // Nothing can be said about a closed standard error.
            let _ = error.print();
            ExitCode::from(exit_status(error.kind()))
        })
    }
}

fn exit_status(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => EXIT_USAGE,
    }
}

impl Serve {
    /// The configuration that the arguments name.
    pub fn configuration(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let mut configuration = match (&self.config, &self.backend) {
            (Some(path), _) => Config::load(path, environment)?,
            (None, backend) => {
                Config::for_backend(backend.as_deref().unwrap_or_default(), environment)?
            }
        };
        if !self.listen.is_empty() {
            configuration.listen.clone_from(&self.listen);
        }
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, u8> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| exit_status(error.kind()))
    }

    fn serve(line: &str) -> Option<Serve> {
        match parse(line).ok()?.command {
            Command::Serve(serve) => Some(serve),
            Command::Check(_) => None,
        }
    }

    #[test]
    fn wrong_usage_exits_with_64() {
        let lines = [
            "mytls",
            "mytls serv",
            "mytls serve",
            "mytls serve a.yaml b.yaml",
            "mytls serve a.yaml --backend db",
            "mytls serve --backend",
            "mytls serve --backend db --listen 3307",
            "mytls serve --backend db --listn 127.0.0.1:3307",
            "mytls check",
            "mytls check a.yaml --backend db",
        ];
        for line in lines {
            assert_eq!(parse(line).err(), Some(64), "{line}");
        }
    }

    #[test]
    fn help_and_version_exit_with_0() {
        for line in [
            "mytls --help",
            "mytls -V",
            "mytls serve --help",
            "mytls help check",
        ] {
            assert_eq!(parse(line).err(), Some(0), "{line}");
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
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
