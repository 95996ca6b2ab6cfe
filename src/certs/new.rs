//! `mytls certs new`: a CA, a server's certificate and clients', each with its key, in one folder.
//!
//! What is there stays: a CA is used, a server's certificate is left alone, nothing is ever overwritten. Everything is made
//! and verified before the first file is written; if one cannot be written, those before it are taken away again.

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::files::{File, FilesError, Folder, Pair};
use super::paste::{self, Client};
use crate::tls::{HostName, IssueError, NewKey, Request, SigningCa, SigningCaError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where; made if it is not there.
    pub directory: PathBuf,
    /// Common names of clients, one certificate each; none is one named `client`, if there is none yet.
    pub clients: Vec<CommonName>,
    /// Hosts of the server, beside loopback; none is this machine.
    pub hosts: Vec<HostName>,
    /// How long the certificates are valid; a new CA at least ten years.
    pub days: u16,
    /// The kind of all keys that are made.
    pub key: NewKey,
}

/// A client's common name: such as `cert-allowed-cn` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonName(String);

/// No common name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a common name has 1 to 64 characters, and no control characters")]
pub struct NoCommonName;

impl FromStr for CommonName {
    type Err = NoCommonName;

    fn from_str(text: &str) -> Result<Self, NoCommonName> {
        // X.520 counts characters
        let fits = (1..=64).contains(&text.chars().count()) && !text.contains(char::is_control);
        fits.then(|| Self(text.to_owned())).ok_or(NoCommonName)
    }
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// What is there already, or cannot be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Two of the names make the same file.
    #[error("--cn {0} is there twice, or another one has the same file name")]
    Twice(String),
    /// The CA.
    #[error(transparent)]
    Ca(#[from] SigningCaError),
    /// A key or a certificate could not be made.
    #[error("make a certificate: {0}")]
    Issue(#[from] IssueError),
    /// Nobody reads what was done.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Makes what is missing, and prints what was made and how it is used.
pub fn new(order: &Order, out: &mut impl Write) -> Result<(), NewError> {
    let folder = Folder(&order.directory);
    let (files, clients) = make(order, &folder)?;
    folder.write(&files)?;
    if files.is_empty() {
        writeln!(
            out,
            "nothing to do: the certificates of a CA, a server and a client are there already\n\
             (--cn NAME makes one for another client)"
        )?;
        return Ok(());
    }
    writeln!(out, "made in {}:", order.directory.display())?;
    let longest = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
    for file in &files {
        writeln!(out, "  {:<longest$}  {}", file.name, file.purpose)?;
    }
    paste::print(out, &order.directory, &clients)?;
    Ok(())
}

/// What is missing, in the order in which it is to be written, and the clients among it.
fn make(order: &Order, folder: &Folder<'_>) -> Result<(Vec<File>, Vec<Client>), NewError> {
    let (ca_pair, server_pair) = (Pair::ca(), Pair::new("server"));
    let is_ca_there = folder.has(&ca_pair)?;
    let is_server_there = folder.has(&server_pair)?;
    // a new CA beside another one's certificate would not fit it
    if is_server_there && (!is_ca_there || !order.hosts.is_empty()) {
        return Err(FilesError::There(folder.path(&server_pair.certificate)).into());
    }
    let names = clients(folder, &order.clients)?;

    let (now, lifetime) = (UnixTime::now(), DAY * u32::from(order.days));
    let mut files = Vec::new();
    let ca = if is_ca_there {
        let (certificate, key) = (folder.path(&ca_pair.certificate), folder.path(&ca_pair.key));
        SigningCa::load(&certificate, &key, now)?
    } else {
        let (ca, made) = SigningCa::new(order.key, lifetime, now)?;
        files.extend(File::pair(&ca_pair, &made));
        ca
    };
    if !is_server_there {
        let request = Request::Server(hosts(&order.hosts));
        let made = ca.issue(&request, order.key, lifetime, now)?;
        files.extend(File::pair(&server_pair, &made));
    }
    let mut clients = Vec::new();
    for (name, pair) in names {
        let request = Request::Client(name.clone());
        let made = ca.issue(&request, order.key, lifetime, now)?;
        files.extend(File::pair(&pair, &made));
        clients.push(Client {
            name,
            pair,
            der: made.der,
        });
    }
    Ok((files, clients))
}

/// The server's: those asked for or this machine, and loopback.
fn hosts(asked: &[HostName]) -> Vec<HostName> {
    let mut hosts = asked.to_vec();
    if hosts.is_empty() {
        hosts.extend(HostName::of_this_machine());
    }
    for host in HostName::loopback() {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The clients and their files. A single one is `client-cert.pem`, as in the manuals, if there is none yet; others have
/// their name in the file's.
fn clients(folder: &Folder<'_>, names: &[CommonName]) -> Result<Vec<(String, Pair)>, NewError> {
    let plain = Pair::new("client");
    let is_plain_there = folder.exists(&plain.certificate) || folder.exists(&plain.key);
    let clients: Vec<_> = match names {
        [] if is_plain_there => return Ok(Vec::new()),
        [] => vec![("client".to_owned(), plain)],
        [CommonName(only)] if !is_plain_there => vec![(only.clone(), plain)],
        names => names
            .iter()
            .map(|CommonName(name)| (name.clone(), Pair::of_client(name)))
            .collect(),
    };
    for (position, (name, pair)) in clients.iter().enumerate() {
        if clients[..position].iter().any(|(_, other)| other == pair) {
            return Err(NewError::Twice(name.clone()));
        }
        for file in [&pair.certificate, &pair.key] {
            if folder.exists(file) {
                return Err(FilesError::There(folder.path(file)).into());
            }
        }
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_common_name_is_refused() {
        for text in ["", "a\nb", "a\0", &"a".repeat(65)] {
            assert_eq!(text.parse::<CommonName>(), Err(NoCommonName), "{text:?}");
        }
        assert!("\u{eb}".repeat(64).parse::<CommonName>().is_ok());
    }
}
