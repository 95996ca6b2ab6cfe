//! `mytls certs show`: what is in certificate files, or what a server shows, and how the parts fit together.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::block::{self, Detail, line, printable};
use super::server::{LookError, Server};
use crate::tls::{
    Item, MaterialError, Part, PublicHalf, RevocationSummary, Signer, Signers, inventory,
};

/// Why something could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Nothing of that name, and no address either.
    #[error("{0}: there is no such file; to look at a server, write HOST:PORT")]
    Missing(String),
    /// A file.
    #[error(transparent)]
    File(#[from] MaterialError),
    /// A server.
    #[error(transparent)]
    Server(#[from] LookError),
    /// Nobody reads the answer.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Shows each target, a file or `HOST:PORT`; true when all could be read and the first certificate of each is valid now.
pub fn show(targets: &[String], out: &mut impl Write) -> Result<bool, ShowError> {
    let shown = targets
        .iter()
        .map(|target| Shown::get(target))
        .collect::<Result<Vec<_>, _>>()?;
    let whole = Whole::new(
        shown
            .iter()
            .flat_map(Shown::certificates)
            .cloned()
            .collect(),
    );
    let mut good = true;
    for (position, (target, each)) in targets.iter().zip(&shown).enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", printable(target))?;
        good &= match each {
            Shown::File(items) => print_file(out, items, &whole)?,
            Shown::Server(server) => print_server(out, server, &whole)?,
        };
    }
    Ok(good)
}

/// Everything that is shown, for what one part says of another.
struct Whole {
    certificates: Vec<CertificateDer<'static>>,
    signers: Signers,
    now: UnixTime,
}

impl Whole {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self {
            signers: Signers::new(&certificates),
            certificates,
            now: UnixTime::now(),
        }
    }
}

/// What there is behind a target.
enum Shown {
    File(Vec<Item>),
    Server(Server),
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
        Ok(Self::Server(Server::look_at(target)?))
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

fn print_file(out: &mut impl Write, items: &[Item], whole: &Whole) -> io::Result<bool> {
    let chain: Vec<_> = certificates(items).cloned().collect();
    let good = print_chain(out, &chain, Part::Unknown, whole)?;
    for item in items {
        match item {
            Item::Certificate(_) => {}
            Item::Key(key) => print_key(out, key, whole)?,
            Item::RevocationList(list) => print_list(out, list, whole.now)?,
            Item::Other(what) => writeln!(out, "{what}")?,
        }
    }
    Ok(good)
}

/// A server without TLS is no good answer to this question.
fn print_server(out: &mut impl Write, server: &Server, whole: &Whole) -> io::Result<bool> {
    line(out, "version", &server.version)?;
    let Some(tls) = &server.tls else {
        line(out, "TLS", "none: the server does not offer it")?;
        return Ok(false);
    };
    line(out, "TLS", &tls.negotiated)?;
    print_chain(out, &tls.chain, Part::Server, whole)
}

/// A server's certificate, or the first of a file, and those behind it.
fn print_chain(
    out: &mut impl Write,
    chain: &[CertificateDer<'_>],
    first: Part,
    whole: &Whole,
) -> io::Result<bool> {
    let signers = Signers::new(chain);
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
        let is_valid = block::print(out, certificate, part, Detail::Full, whole.now)?;
        good &= is_valid || position > 0;
        let signer = SignedBy::of(certificate, position, &signers, &whole.signers);
        line(out, "signer", &signer.to_string())?;
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

impl SignedBy {
    /// Looked for in its own file or chain first, where it has a position counted from 0, then in all that is shown.
    fn of(
        certificate: &CertificateDer<'_>,
        position: usize,
        chain: &Signers,
        all: &Signers,
    ) -> Self {
        let beside = chain.of(certificate);
        let first = |wanted| beside.iter().position(|signer| *signer == wanted);
        if beside.get(position) == Some(&Signer::Signed) {
            Self::Itself
        } else if let Some(number) = first(Signer::Signed) {
            Self::Number(number + 1)
        } else if all.of(certificate).contains(&Signer::Signed) {
            Self::Another
        } else if let Some(number) = first(Signer::NameOnly) {
            Self::Namesake(number + 1)
        } else {
            Self::Nobody
        }
    }
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

fn print_key(out: &mut impl Write, key: &PublicHalf, whole: &Whole) -> io::Result<()> {
    writeln!(out, "private key")?;
    line(out, "key", &key.kind.name)?;
    if !whole.certificates.is_empty() {
        let fitting = whole
            .certificates
            .iter()
            .any(|certificate| key.fits(certificate));
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
