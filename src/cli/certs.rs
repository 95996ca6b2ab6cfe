//! `mytls certs` as it is written.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::certs::{CommonName, Order};
use crate::tls::{HostName, NewKey};

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
