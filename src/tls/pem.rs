//! PEM text to certificates and keys.
//!
//! The parser itself is rustls'. What stands here is the sniffing before it: its answers to the usual mistakes ("no items
//! found" for a password, an empty list for a DER file) tell nobody what to do.

use std::{fs::File, io, io::Read as _};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};

use super::{PemSource, material::Problem};

/// A file that is larger is no certificate file; a limit, because the path may name anything, even `/dev/zero`.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Reads the PEM of one source.
pub(super) fn read(source: &PemSource) -> Result<Vec<u8>, Problem> {
    let path = match source {
        PemSource::File(path) => path,
        PemSource::Inline { pem, .. } => return Ok(pem.clone()),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            io::ErrorKind::PermissionDenied => Problem::Unreadable,
            _ => Problem::Read(error),
        })?;
    if bytes.len() as u64 > MAX_PEM_BYTES {
        return Err(Problem::TooLarge);
    }
    Ok(bytes)
}

/// All certificates in the text, at least one, in their order.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    refuse_other_formats(text, "x509")?;
    let certificates = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| problem(&error))?;
    if certificates.is_empty() {
        return Err(Problem::NoCertificate {
            found: sections(text),
        });
    }
    Ok(certificates)
}

/// The first private key in the text.
pub(super) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    refuse_other_formats(text, "pkey")?;
    if contains(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || contains(text, b"Proc-Type: 4,ENCRYPTED")
    {
        return Err(Problem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => Problem::NoKey {
            found: sections(text),
        },
        other => problem(&other),
    })
}

fn problem(error: &pem::Error) -> Problem {
    match error {
        pem::Error::MissingSectionEnd { .. } => Problem::Truncated,
        pem::Error::Base64Decode(_) => Problem::Base64,
        _ => Problem::Marker,
    }
}

/// `tool` is the `openssl` command that converts this kind of thing from DER.
fn refuse_other_formats(text: &[u8], tool: &'static str) -> Result<(), Problem> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::Empty);
    }
    match text {
        [0xEF, 0xBB, 0xBF, ..] => Err(Problem::ByteOrderMark),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Err(Problem::Utf16),
        [0x30, ..] if !contains(text, b"-----BEGIN") => Err(if is_pkcs12(text) {
            Problem::Pkcs12
        } else {
            Problem::Der { tool }
        }),
        _ => Ok(()),
    }
}

/// A PFX (RFC 7292) begins with version 3; neither certificates nor keys do.
fn is_pkcs12(der: &[u8]) -> bool {
    let length_octets = match der.get(1) {
        Some(long) if long & 0x80 != 0 => usize::from(long & 0x7F),
        _ => 0,
    };
    der.get(2 + length_octets..)
        .is_some_and(|content| content.starts_with(&[0x02, 0x01, 0x03]))
}

/// What the text does hold, for the error message.
fn sections(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let labels: Vec<_> = text
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("-----BEGIN ")?
                .strip_suffix("-----")
        })
        .map(|label| label.escape_debug().to_string())
        .take(3)
        .collect();
    if labels.is_empty() {
        "no -----BEGIN line".to_owned()
    } else {
        labels.join(", ")
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
