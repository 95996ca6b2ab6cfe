//! `mytls certs new`: a CA, a server's certificate and clients', each with its key, in one folder.
//!
//! What is there stays: a CA is used, a server's certificate is left alone, nothing is ever overwritten. Everything is made
//! and verified before the first file is written; if one cannot be written, those before it are taken away again.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::paste::{self, Ready};
use crate::tls::{HostName, IssueError, NewIdentity, NewKey, Request, SigningCa, SigningCaError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The manuals' names.
const CA: Pair = Pair {
    certificate: "ca.pem",
    key: "ca-key.pem",
};
const SERVER: Pair = Pair {
    certificate: "server-cert.pem",
    key: "server-key.pem",
};

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
    /// Only half of a pair of files is there.
    #[error("{}: is there without {missing}; put that back, or move this one away", .there.display())]
    Half {
        /// The file that is there.
        there: PathBuf,
        /// The name of the one that is not.
        missing: &'static str,
    },
    /// Asked for, but there already.
    #[error("{}: is there already, and nothing is overwritten; move it and its key away, or name another folder", .0.display())]
    There(PathBuf),
    /// Two of the names make the same file.
    #[error("--cn {0} is there twice, or another one has the same file name")]
    Twice(String),
    /// The CA.
    #[error(transparent)]
    Ca(#[from] SigningCaError),
    /// A key or a certificate could not be made.
    #[error("make a certificate: {0}")]
    Issue(#[from] IssueError),
    /// The folder or a file in it.
    #[error("write {}: {error}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nobody reads what was done.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    certificate: &'static str,
    key: &'static str,
}

/// The files of a client, and its name.
#[derive(Debug, PartialEq, Eq)]
struct Client {
    name: String,
    certificate: String,
    key: String,
}

/// Makes what is missing, and prints what was made and how it is used.
pub fn new(order: &Order, out: &mut impl Write) -> Result<(), NewError> {
    let (now, folder) = (UnixTime::now(), Folder(&order.directory));
    let lifetime = DAY * u32::from(order.days);
    let is_server_there = folder.has(&SERVER)?;
    if is_server_there && !order.hosts.is_empty() {
        return Err(NewError::There(folder.path(SERVER.certificate)));
    }
    let clients = clients(&folder, &order.clients)?;

    let mut files = Vec::new();
    let ca = if folder.has(&CA)? {
        SigningCa::load(&folder.path(CA.certificate), &folder.path(CA.key), now)?
    } else {
        let (ca, made) = SigningCa::new(order.key, lifetime, now)?;
        files.push(File::key(CA.key, made.key.as_bytes()));
        files.push(File::certificate(CA.certificate, &made));
        ca
    };
    if !is_server_there {
        let request = Request::Server(hosts(&order.hosts));
        let made = ca.issue(&request, order.key, lifetime, now)?;
        files.push(File::key(SERVER.key, made.key.as_bytes()));
        files.push(File::certificate(SERVER.certificate, &made));
    }
    let mut identities = Vec::new();
    for client in &clients {
        let request = Request::Client(client.name.clone());
        let made = ca.issue(&request, order.key, lifetime, now)?;
        files.push(File::key(&client.key, made.key.as_bytes()));
        files.push(File::certificate(&client.certificate, &made));
        identities.push(made);
    }
    folder.write(&files)?;

    if files.is_empty() {
        writeln!(
            out,
            "nothing to do: CA, server's and client's certificate are there"
        )?;
        writeln!(out, "(--cn NAME makes one for another client)")?;
        return Ok(());
    }
    let longest = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
    writeln!(out, "made in {}:", order.directory.display())?;
    for file in &files {
        writeln!(out, "  {:<longest$}  {}", file.name, file.purpose)?;
    }
    let ready = Ready {
        folder: &order.directory,
        ca: CA.certificate,
        server: (SERVER.certificate, SERVER.key),
        clients: clients
            .iter()
            .zip(&identities)
            .map(|(client, made)| paste::Client {
                name: &client.name,
                certificate: &client.certificate,
                key: &client.key,
                der: &made.der,
            })
            .collect(),
    };
    ready.print(out)?;
    Ok(())
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

/// A single one is `client-cert.pem`, as in the manuals, if there is none yet; others have their name in the file's.
fn clients(folder: &Folder<'_>, names: &[CommonName]) -> Result<Vec<Client>, NewError> {
    let plain = |name: &str| Client {
        name: name.to_owned(),
        certificate: "client-cert.pem".to_owned(),
        key: "client-key.pem".to_owned(),
    };
    let is_plain_there = folder.exists("client-cert.pem") || folder.exists("client-key.pem");
    let clients: Vec<_> = match names {
        [] if is_plain_there => return Ok(Vec::new()),
        [] => vec![plain("client")],
        [CommonName(only)] if !is_plain_there => vec![plain(only)],
        names => names.iter().map(|CommonName(name)| named(name)).collect(),
    };
    for (position, client) in clients.iter().enumerate() {
        if clients[..position]
            .iter()
            .any(|other| other.key == client.key)
        {
            return Err(NewError::Twice(client.name.clone()));
        }
        for name in [&client.certificate, &client.key] {
            if folder.exists(name) {
                return Err(NewError::There(folder.path(name)));
            }
        }
    }
    Ok(clients)
}

fn named(name: &str) -> Client {
    // what a shell or a file system could take for something else
    let safe = |each: char| {
        if each.is_alphanumeric() || "._-@".contains(each) {
            each
        } else {
            '_'
        }
    };
    let file: String = name.chars().map(safe).collect();
    Client {
        name: name.to_owned(),
        certificate: format!("client-{file}-cert.pem"),
        key: format!("client-{file}-key.pem"),
    }
}

/// A file to be written.
struct File {
    name: String,
    text: zeroize::Zeroizing<Vec<u8>>,
    mode: u32,
    purpose: &'static str,
}

impl File {
    fn key(name: &str, text: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_vec().into(),
            mode: 0o600,
            purpose: "private key, readable by its owner only",
        }
    }

    fn certificate(name: &str, made: &NewIdentity) -> Self {
        Self {
            name: name.to_owned(),
            text: made.certificate.as_bytes().to_vec().into(),
            mode: 0o644,
            purpose: "certificate",
        }
    }
}

/// Where the files lie.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A link that leads nowhere is there, too: it would be written through.
    fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    fn has(&self, pair: &Pair) -> Result<bool, NewError> {
        match (self.exists(pair.certificate), self.exists(pair.key)) {
            (true, true) => Ok(true),
            (false, false) => Ok(false),
            (true, false) => Err(NewError::Half {
                there: self.path(pair.certificate),
                missing: pair.key,
            }),
            (false, true) => Err(NewError::Half {
                there: self.path(pair.key),
                missing: pair.certificate,
            }),
        }
    }

    /// All of them or none.
    fn write(&self, files: &[File]) -> Result<(), NewError> {
        fs::create_dir_all(self.0).map_err(|error| NewError::Write {
            path: self.0.to_owned(),
            error,
        })?;
        for (position, file) in files.iter().enumerate() {
            let path = self.path(&file.name);
            let Err((is_ours, error)) = create(&path, file) else {
                continue;
            };
            let written = &files[..position + usize::from(is_ours)];
            for file in written {
                // what cannot be taken away is left; the error says which file failed
                let _ = fs::remove_file(self.path(&file.name));
            }
            return Err(NewError::Write { path, error });
        }
        Ok(())
    }
}

/// Never over another file. An error says whether the file was made.
fn create(path: &Path, file: &File) -> Result<(), (bool, io::Error)> {
    let mut opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode)
        .open(path)
        .map_err(|error| (false, error))?;
    opened
        .write_all(&file.text)
        .and_then(|()| opened.sync_all())
        .map_err(|error| (true, error))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Another process has been faster, or the disk is full.
    #[test]
    fn what_was_written_before_a_failure_is_taken_away_and_nothing_else() {
        let directory = TempDir::new().expect("a folder");
        let theirs = directory.path().join("b");
        fs::write(&theirs, "theirs").expect("written");
        let files = ["a", "b", "c"].map(|name| File::key(name, b"ours"));
        let error = Folder(directory.path()).write(&files).expect_err("refused");
        assert!(
            matches!(&error, NewError::Write { path, .. } if *path == theirs),
            "{error}"
        );
        assert_eq!(fs::read(&theirs).expect("there"), b"theirs");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn link_that_leads_nowhere_is_not_written_through() {
        let directory = TempDir::new().expect("a folder");
        let outside = directory.path().join("outside");
        std::os::unix::fs::symlink(&outside, directory.path().join("ca.pem")).expect("linked");
        let folder = Folder(directory.path());
        assert!(matches!(folder.has(&CA), Err(NewError::Half { .. })));
        folder
            .write(&[File::key("ca.pem", b"")])
            .expect_err("refused");
        assert!(!outside.exists());
    }

    #[test]
    fn text_that_is_no_common_name_is_refused() {
        for text in ["", "a\nb", "a\0", &"a".repeat(65)] {
            assert_eq!(text.parse::<CommonName>(), Err(NoCommonName), "{text:?}");
        }
        assert!("\u{eb}".repeat(64).parse::<CommonName>().is_ok());
    }
}
