//! `mytls certs show`: what is in certificate files, or what a server shows.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::runtime;

use super::block::{self, Detail, line, printable};
use crate::backend::{Backend, BackendError};
use crate::config::{self, AddressError};
use crate::net::stream::Stream;
use crate::tls::{
    Item, MaterialError, Negotiated, Part, PublicHalf, RevocationSummary, Signer, inventory,
};

/// Why something could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Nothing of that name, and no address either.
    #[error("{0}: there is no such file; to look at a server, write HOST:PORT")]
    Missing(String),
    /// Neither a file nor an address.
    #[error("{0}: there is no such file, and {1}")]
    Address(String, AddressError),
    /// A file.
    #[error(transparent)]
    File(#[from] MaterialError),
    /// A server that may not be dialled.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// A server that could not be looked at.
    #[error("{server}: {error}")]
    Connect {
        /// As it was written.
        server: String,
        /// Why; a server may have a say in it.
        error: String,
    },
    /// Nobody reads the answer, or the operating system gives no sockets.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Shows each target, a file or `HOST:PORT`; true when all could be read and the first certificate of each is valid now.
pub fn show(targets: &[String], out: &mut impl Write) -> Result<bool, ShowError> {
    let now = UnixTime::now();
    let shown = targets
        .iter()
        .map(|target| Shown::get(target))
        .collect::<Result<Vec<_>, _>>()?;
    let all: Vec<_> = shown
        .iter()
        .flat_map(Shown::certificates)
        .cloned()
        .collect();
    let mut good = true;
    for (position, (target, each)) in targets.iter().zip(&shown).enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", printable(target))?;
        good &= match each {
            Shown::File(items) => print_file(out, items, &all, now)?,
            Shown::Server(server) => server.print(out, &all, now)?,
        };
    }
    Ok(good)
}

/// What there is behind a target.
enum Shown {
    File(Vec<Item>),
    Server(Server),
}

/// What a server has shown.
struct Server {
    version: String,
    tls: Option<Session>,
}

struct Session {
    negotiated: String,
    chain: Vec<CertificateDer<'static>>,
}

impl Shown {
    /// A file of that name comes first.
    fn get(target: &str) -> Result<Self, ShowError> {
        let path = Path::new(target);
        if path.exists() {
            return Ok(Self::File(inventory(path)?));
        }
        if !target.contains(':') {
            return Err(ShowError::Missing(printable(target)));
        }
        Server::look_at(target).map(Self::Server)
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let (items, chain) = match self {
            Self::File(items) => (items.as_slice(), &[][..]),
            Self::Server(server) => (
                &[][..],
                server
                    .tls
                    .as_ref()
                    .map_or(&[][..], |tls| tls.chain.as_slice()),
            ),
        };
        certificates(items).chain(chain)
    }
}

fn certificates(items: &[Item]) -> impl Iterator<Item = &CertificateDer<'static>> {
    items.iter().filter_map(|item| match item {
        Item::Certificate(certificate) => Some(certificate),
        Item::Key(_) | Item::RevocationList(_) | Item::Other(_) => None,
    })
}

fn print_file(
    out: &mut impl Write,
    items: &[Item],
    all: &[CertificateDer<'static>],
    now: UnixTime,
) -> io::Result<bool> {
    let chain: Vec<_> = certificates(items).cloned().collect();
    let good = print_chain(out, &chain, all, Part::Unknown, now)?;
    for item in items {
        match item {
            Item::Certificate(_) => {}
            Item::Key(key) => print_key(out, key, all)?,
            Item::RevocationList(list) => print_list(out, list, now)?,
            Item::Other(what) => writeln!(out, "{what}")?,
        }
    }
    Ok(good)
}

/// A server's certificate, or the first of a file, and those behind it.
fn print_chain(
    out: &mut impl Write,
    chain: &[CertificateDer<'_>],
    all: &[CertificateDer<'_>],
    first: Part,
    now: UnixTime,
) -> io::Result<bool> {
    let mut good = true;
    for (position, certificate) in chain.iter().enumerate() {
        if chain.len() > 1 {
            writeln!(out, "certificate {} of {}", position + 1, chain.len())?;
        } else {
            writeln!(out, "certificate")?;
        }
        let part = match (position, first) {
            (0, first) => first,
            (_, Part::Unknown) => Part::Unknown,
            (_, Part::Server | Part::Client | Part::Authority) => Part::Authority,
        };
        let is_valid = block::print(out, certificate, part, Detail::Full, now)?;
        good &= is_valid || position > 0;
        line(out, "signer", &signer(certificate, chain, all).to_string())?;
    }
    Ok(good)
}

/// Who signed a certificate, as far as it lies beside it.
enum SignedBy {
    Itself,
    Number(usize),
    Namesake(usize),
    Another,
    Nobody,
}

/// Looked for in its own file or chain first, then in all that is shown.
fn signer(
    certificate: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    all: &[CertificateDer<'_>],
) -> SignedBy {
    if Signer::of(certificate, certificate) == Signer::Signed {
        return SignedBy::Itself;
    }
    let signed = |issuer| Signer::of(certificate, issuer) == Signer::Signed;
    let mut found = if all.iter().any(signed) {
        SignedBy::Another
    } else {
        SignedBy::Nobody
    };
    for (position, issuer) in chain.iter().enumerate() {
        match Signer::of(certificate, issuer) {
            Signer::Signed => return SignedBy::Number(position + 1),
            Signer::NameOnly if matches!(found, SignedBy::Nobody) => {
                found = SignedBy::Namesake(position + 1);
            }
            Signer::NameOnly | Signer::Other => {}
        }
    }
    found
}

impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("itself: a root, or self-signed"),
            Self::Number(number) => write!(f, "certificate {number}"),
            Self::Namesake(number) => write!(
                f,
                "certificate {number} by its name, but not by its key (or the algorithm is not supported)"
            ),
            Self::Another => f.write_str("another certificate that is shown here"),
            Self::Nobody => f.write_str("not shown here"),
        }
    }
}

fn print_key(
    out: &mut impl Write,
    key: &PublicHalf,
    all: &[CertificateDer<'static>],
) -> io::Result<()> {
    writeln!(out, "private key")?;
    line(out, "key", &key.kind.name)?;
    if !all.is_empty() {
        let fitting = all.iter().any(|certificate| key.fits(certificate));
        let text = if fitting {
            "a certificate that is shown here"
        } else {
            "no certificate that is shown here"
        };
        line(out, "fits", text)?;
    }
    if !key.kind.is_sound {
        line(
            out,
            "WARNING",
            "it is too weak, or of a kind that is not supported",
        )?;
    }
    Ok(())
}

fn print_list(out: &mut impl Write, list: &RevocationSummary, now: UnixTime) -> io::Result<()> {
    writeln!(out, "revocation list")?;
    line(out, "issuer", &list.issuer)?;
    line(out, "valid", &list.validity())?;
    line(out, "revoked", &list.revoked.to_string())?;
    if list.next_update.is_some_and(|next| next < now) {
        line(
            out,
            "WARNING",
            "a newer list is due: whom the CA revoked since is not known",
        )?;
    }
    Ok(())
}

impl Server {
    /// Greeting and TLS, and away again.
    fn look_at(target: &str) -> Result<Self, ShowError> {
        let settings = config::server_to_look_at(target)
            .map_err(|error| ShowError::Address(printable(target), error))?;
        let backend = Backend::new(settings)?;
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let connection = backend.look().await.map_err(|error| ShowError::Connect {
                    server: printable(target),
                    error: printable(&error.to_string()),
                })?;
                let version = backend
                    .greeting()
                    .map(|greeting| String::from_utf8_lossy(&greeting.version).into_owned());
                let tls = Session::of(&connection.stream);
                connection.stream.close().await;
                Ok(Self {
                    version: version.unwrap_or_default(),
                    tls,
                })
            })
    }

    fn print(
        &self,
        out: &mut impl Write,
        all: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> io::Result<bool> {
        line(out, "version", &self.version)?;
        let Some(tls) = &self.tls else {
            line(out, "TLS", "none: the server does not offer it")?;
            return Ok(false);
        };
        line(out, "TLS", &tls.negotiated)?;
        print_chain(out, &tls.chain, all, Part::Server, now)
    }
}

impl Session {
    fn of(stream: &Stream) -> Option<Self> {
        let tls = stream.tls()?;
        let Negotiated { version, cipher } = Negotiated::of(tls)?;
        let group = tls
            .negotiated_key_exchange_group()
            .map(|group| format!(", {:?}", group.name()))
            .unwrap_or_default();
        Some(Self {
            negotiated: format!("{version}, {cipher}{group}"),
            chain: tls
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
        })
    }
}
