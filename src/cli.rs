//! The command line: its words, its help, and what a wrong one exits with.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::authorize::{self, Client};
use crate::certs::{CommonName, Order};
use crate::check::Network;
use crate::config::{self, Config, ConfigError, Environment, Files};
use crate::net::ListenAddress;
use crate::protocol::user_name::UserName;
use crate::rules::ClientAddress;
use crate::tls::{CIPHERS, HostName, NewKey, TlsVersion};

mod ctl;
mod health;
mod pages;

pub use ctl::{Ctl, CtlUsage};
pub use health::{Asked, Health, Shutdown, Wait};
pub use pages::{Completions, Man};

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
    /// As SIGTERM does: no new clients, and those that are connected have `drain.max` to finish. Exits with 0 when it has
    /// ended, with 1 if none runs, or several do and none is named, and with 64 for wrong usage.
    Shutdown(Shutdown),
}

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

SIGTERM ends mytls: no new clients, and those that are connected have `drain.max` to finish.
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

/// `mytls check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file (YAML).
    #[arg(value_name = "CONFIG", required_unless_present_any = ["source", "task"])]
    pub config: Option<PathBuf>,

    /// The source file of TiDB Data Migration, for its `from`.
    #[arg(long, value_name = "FILE")]
    pub source: Option<PathBuf>,

    /// The task file of TiDB Data Migration, for its `target-database`.
    #[arg(long, value_name = "FILE")]
    pub task: Option<PathBuf>,

    /// Connect to nobody: for where the servers cannot be reached.
    #[arg(long)]
    pub offline: bool,
}

impl Check {
    /// The configuration that the arguments name.
    pub fn configuration(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let files = Files {
            config: self.config.clone(),
            source: self.source.clone(),
            task: self.task.clone(),
        };
        Config::load_files(&files, environment)
    }

    /// Whether anybody is dialled.
    pub fn network(&self) -> Network {
        if self.offline {
            Network::Unused
        } else {
            Network::Used
        }
    }
}

/// `mytls certs`.
#[derive(Debug, Subcommand)]
pub enum Certs {
    /// Make a CA, a certificate for a server and one for each client, with their keys.
    New(New),
    /// Show what certificate files contain, or what a server shows.
    ///
    /// A file may hold certificates, private keys (of which it is said whether they fit a certificate that is shown too) and
    /// revocation lists, as PEM. Subject, issuer and alternative names are printed as `REQUIRE` takes them. Exits with 0;
    /// with 1 if a file or a server cannot be read, or the first certificate in it is not valid now.
    Show(Show),
}

/// `mytls certs new`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls certs new certs --san db.example --cn app --cn report
  mytls certs new certs --cn another      # later, signed by the CA in certs

The files have the names of MySQL's manual: ca.pem, ca-key.pem, server-cert.pem, server-key.pem, client-cert.pem and \
client-key.pem; of several clients, and of those that come later, client-NAME-cert.pem and client-NAME-key.pem.")]
pub struct New {
    /// The folder, made if it is not there. A CA in it (ca.pem, ca-key.pem) is used; nothing in it is overwritten.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// A client's common name. May be repeated: each gets a certificate. [default: client]
    #[arg(long = "cn", value_name = "NAME")]
    pub clients: Vec<CommonName>,

    /// A host name or IP address of the server, beside `localhost`, `127.0.0.1` and `::1`. May be repeated. [default: this
    /// machine's name]
    #[arg(long = "san", value_name = "HOST")]
    pub hosts: Vec<HostName>,

    /// How many days the certificates are valid, from now. A new CA is valid for ten years, or for as long.
    #[arg(long, value_name = "N", default_value = "730", value_parser = clap::value_parser!(u16).range(1..))]
    pub days: u16,

    /// Make RSA keys of 2048 bits in place of ECDSA P-256: for what is too old for those.
    #[arg(long)]
    pub rsa: bool,
}

impl New {
    /// What is to be made.
    pub fn order(self) -> Order {
        let key = if self.rsa { NewKey::Rsa } else { NewKey::P256 };
        Order {
            directory: self.directory,
            clients: self.clients,
            hosts: self.hosts,
            days: self.days,
            key,
        }
    }
}

/// `mytls certs show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls certs show server-cert.pem server-key.pem
  mytls certs show db.example:3306

A server is greeted, asked for TLS, and left; nobody logs in. It counts that as an unfinished handshake of this machine \
(max_connect_errors), so do not do it every minute.")]
pub struct Show {
    /// A PEM file, or HOST:PORT of a MySQL server.
    #[arg(value_name = "FILE|HOST:PORT", required = true)]
    pub targets: Vec<String>,
}

/// `mytls authorize`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls authorize mytls.yaml --user app --from 10.0.0.7 --cert client.pem
  mytls authorize mytls.yaml --user app --from localhost --plaintext")]
pub struct Authorize {
    /// The configuration file (YAML).
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// The user that the client logs in as.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    pub user: UserName,

    /// Where the client comes from: its IP address, or `localhost` (or `unix`) for a Unix socket.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_from)]
    pub from: ClientAddress,

    /// The client's certificate (PEM), intermediates behind it; without it the client has TLS but no certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "plaintext")]
    pub cert: Option<PathBuf>,

    /// The TLS version of the session: TLSv1.2 or TLSv1.3. [default: that of --cipher, or else TLSv1.3]
    #[arg(long, value_name = "VERSION", value_parser = parse_tls_version, conflicts_with = "plaintext")]
    pub tls_version: Option<TlsVersion>,

    /// The cipher of the session, by OpenSSL's name; it matters where a rule has CIPHER. [default: a usual one]
    #[arg(long, value_name = "NAME", value_parser = parse_cipher, conflicts_with = "plaintext")]
    pub cipher: Option<&'static str>,

    /// The client does no TLS.
    #[arg(long)]
    pub plaintext: bool,
}

/// `--cipher` and `--tls-version` that never meet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {version} session has the cipher {cipher}")]
pub struct OtherVersion {
    cipher: &'static str,
    version: TlsVersion,
}

impl Authorize {
    /// The client that is asked about.
    pub fn client(&self) -> Result<Client, OtherVersion> {
        let of_cipher = self.cipher.map(TlsVersion::of_cipher);
        if let (Some(cipher), Some(version)) = (self.cipher, self.tls_version)
            && of_cipher != Some(version)
        {
            return Err(OtherVersion { cipher, version });
        }
        let security = if self.plaintext {
            authorize::Security::Plaintext
        } else {
            authorize::Security::Tls {
                version: self.tls_version.or(of_cipher).unwrap_or(TlsVersion::Tls13),
                cipher: self.cipher,
                certificate: self.cert.clone(),
            }
        };
        Ok(Client {
            user: self.user.clone(),
            address: self.from,
            security,
        })
    }
}

fn parse_from(text: &str) -> Result<ClientAddress, &'static str> {
    match text {
        "localhost" | "unix" => Ok(ClientAddress::UnixSocket),
        _ => text
            .parse::<IpAddr>()
            .map(ClientAddress::from)
            .map_err(|_| "neither an IP address nor `localhost`: mytls resolves no names"),
    }
}

fn parse_tls_version(text: &str) -> Result<TlsVersion, &'static str> {
    [TlsVersion::Tls12, TlsVersion::Tls13]
        .into_iter()
        .find(|version| version.to_string().eq_ignore_ascii_case(text))
        .ok_or("neither TLSv1.2 nor TLSv1.3")
}

fn parse_cipher(text: &str) -> Result<&'static str, String> {
    CIPHERS
        .into_iter()
        .find(|cipher| *cipher == text)
        .ok_or_else(|| format!("no session has it; write one of {}", CIPHERS.join(", ")))
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
            configuration.http = Some(crate::http::Settings {
                listen: self.http_listen.clone(),
                hosts: hosts.unwrap_or_default(),
            });
        }
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::tls::Policy;

    pub(super) fn parse(line: &str) -> Result<Cli, u8> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| exit_status(error.kind()))
    }

    fn serve(line: &str) -> Option<Serve> {
        match parse(line).ok()?.command {
            Command::Serve(serve) => Some(serve),
            _ => None,
        }
    }

    fn client(line: &str) -> Option<Result<Client, OtherVersion>> {
        match parse(line).ok()?.command {
            Command::Authorize(authorize) => Some(authorize.client()),
            _ => None,
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

    #[test]
    fn cipher_of_another_version_is_wrong() {
        for (version, cipher) in [
            (TlsVersion::Tls12, "TLS_AES_128_GCM_SHA256"),
            (TlsVersion::Tls13, "ECDHE-RSA-AES128-GCM-SHA256"),
        ] {
            let line = format!(
                "mytls authorize a --user u --from ::1 --tls-version {version} --cipher {cipher}"
            );
            let wrong = client(&line).expect("read").map(|_| ());
            assert_eq!(wrong, Err(OtherVersion { cipher, version }));
        }
    }

    #[test]
    fn client_is_asked_about_as_mytls_would_see_it() {
        for (options, expected) in [
            (
                "--from unix --plaintext",
                "\"u\" on a Unix socket, without TLS",
            ),
            (
                "--from ::ffff:10.0.0.7 --cert c.pem",
                "\"u\" from 10.0.0.7, TLSv1.3 (TLS_AES_256_GCM_SHA384, assumed) with a certificate",
            ),
            (
                "--from localhost --tls-version tlsv1.2",
                "\"u\" on a Unix socket, TLSv1.2 (ECDHE-ECDSA-AES256-GCM-SHA384, assumed) without a certificate",
            ),
            (
                "--from ::1 --cipher ECDHE-RSA-AES128-GCM-SHA256",
                "\"u\" from ::1, TLSv1.2 (ECDHE-RSA-AES128-GCM-SHA256) without a certificate",
            ),
        ] {
            let client = client(&format!("mytls authorize a.yaml --user u {options}"));
            let client = client
                .and_then(Result::ok)
                .map(|client| client.in_words(&Policy::default()));
            assert_eq!(client.as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
