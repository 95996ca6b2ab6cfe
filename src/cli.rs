//! The command line: its words, its help, and what a wrong one exits with.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

mod authorize;
mod certs;
mod check;
mod ctl;
mod health;
mod pages;
mod serve;

pub use authorize::{Authorize, OtherVersion};
pub use certs::{Certs, New, Show};
pub use check::Check;
pub use ctl::{Ctl, CtlUsage};
pub use health::{Asked, Health, Shutdown, Wait};
pub use pages::{Completions, Man};
pub use serve::Serve;

/// The exit status of wrong usage or a wrong configuration (`EX_USAGE` of sysexits.h). clap's own 2 says less.
pub const EXIT_USAGE: u8 = 64;

/// A TLS proxy in front of a MySQL-protocol server.
///
/// Clients connect to mytls with TLS and, where a rule demands it, with a certificate; only who may pass reaches the
/// server. mytls keeps no user's password.
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
    /// Reads the file, loads its certificates, connects to each address of its servers, and prints whose certificates they
    /// are and until when. Exits with 0 if all of that works, with 1 if not, and with 64 if the file itself is wrong.
    Check(Check),
    /// Say whether a client may pass, and which account and rule of a configuration file say so.
    ///
    /// Dials nobody and writes nothing: reads the file and `security.ssl-ca`, and judges as a running mytls would (`mytls
    /// check` says whether it could run). Exits with 0 if the client may pass, with 1 if not, and with 64 if the question
    /// or the file is wrong.
    Authorize(Authorize),
    /// Make certificates, or show what is in some.
    #[command(subcommand)]
    Certs(Certs),
    /// Ask a running mytls, or many, at the admin port.
    Ctl(Ctl),
    /// Print what makes a shell complete the words and options of mytls.
    Completions(Completions),
    /// Write the manual pages into a folder.
    Man(Man),
    /// Say whether the mytls that runs here is ready for clients.
    ///
    /// Prints a line. Exits with 0 if it is, with 1 if not or if nobody answers, and with 64 for wrong usage.
    Health(Health),
    /// Wait until the mytls that runs here is ready for clients.
    ///
    /// Prints a line. Exits with 0 when it is, with 1 if it is not in time, and with 64 for wrong usage.
    Wait(Wait),
    /// Ask the mytls that runs here to end, and wait until it has.
    ///
    /// As SIGTERM does: after `drain.min` no new clients, and those that are connected have `drain.max` to finish. Exits with
    /// 0 when it has ended, with 1 if none runs, or several do and none is named, and with 64 for wrong usage.
    Shutdown(Shutdown),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    pub(super) fn parse(line: &str) -> Result<Cli, u8> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| exit_status(error.kind()))
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
            "mytls serve --backend db --source s.yaml",
            "mytls serve --backend db --task t.yaml",
            "mytls serve --source",
            "mytls serve --backend db --listen 3307",
            "mytls serve --backend db --http-listen 9307",
            "mytls serve --backend db --listn 127.0.0.1:3307",
            "mytls completions",
            "mytls completions cmd",
            "mytls man",
            "mytls check",
            "mytls check a.yaml --backend db",
            "mytls certs",
            "mytls certs new",
            "mytls certs new a b",
            "mytls certs new a --days 0",
            "mytls certs new a --days 70000",
            "mytls certs new a --cn",
            "mytls certs new a --san db/a",
            "mytls certs show",
            "mytls authorize a.yaml --user app",
            "mytls authorize a.yaml --from ::1",
            "mytls authorize a.yaml --user 'app' --from ::1",
            "mytls authorize a.yaml --user app --from db.test",
            "mytls authorize a.yaml --user app --from 10.0.0.0/8",
            "mytls authorize a.yaml --user app --from ::1 --plaintext --cert c.pem",
            "mytls authorize a.yaml --user app --from ::1 --plaintext --tls-version TLSv1.3",
            "mytls authorize a.yaml --user app --from ::1 --tls-version TLSv1.1",
            "mytls authorize a.yaml --user app --from ::1 --cipher AES128-SHA",
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
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
