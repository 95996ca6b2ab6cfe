//! PEM text to certificates and keys.
//!
//! The parser itself is rustls'. What stands here is the sniffing before it: its answers to the usual mistakes ("no items
//! found" for a password, an empty list for a DER file) tell nobody what to do.

use std::{fs::File, io, io::Read as _, path::Path};

use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem, pem::PemObject as _,
};

use crate::tls::{
    certificate::contents,
    sources::{
        PemSource,
        problem::{MaterialError, Place, Problem},
    },
};

/// A file that is larger is no file of certificates or keys; a limit, because the path may name anything, even `/dev/zero`.
const MAX_PEM_MIB: u64 = 1;
/// A revocation list has some 50 bytes of PEM for each certificate.
const MAX_LISTS_MIB: u64 = 32;

/// Reads the PEM of certificates or a key.
pub(crate) fn read(source: &PemSource) -> Result<Vec<u8>, Problem> {
    read_at_most(source, MAX_PEM_MIB)
}

/// Reads the PEM of revocation lists.
pub(crate) fn read_lists(source: &PemSource) -> Result<Vec<u8>, Problem> {
    read_at_most(source, MAX_LISTS_MIB)
}

fn read_at_most(source: &PemSource, most_mib: u64) -> Result<Vec<u8>, Problem> {
    let path = match source {
        PemSource::File(path) => path,
        PemSource::Inline { pem, .. } => return Ok(pem.clone()),
        PemSource::Read { pem, .. } => return Ok(pem.to_vec()),
    };
    let most_bytes = most_mib * 1024 * 1024;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most_bytes + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            io::ErrorKind::PermissionDenied => Problem::Unreadable,
            io::ErrorKind::IsADirectory => Problem::Directory,
            _ => Problem::Read(error),
        })?;
    if bytes.len() as u64 > most_bytes {
        return Err(Problem::TooLarge { most_mib });
    }
    Ok(bytes)
}

/// The certificates in a client's file, its own first, for [`Acceptor::judge`](crate::tls::Acceptor::judge). Nothing is
/// verified here.
pub fn client_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let source = PemSource::File(path.to_owned());
    read(&source)
        .and_then(|text| certificates(&text))
        .map_err(|problem| MaterialError::new(Place::new("--cert", &source), problem))
}

/// All certificates in the text, at least one, in their order.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
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

/// All revocation lists in the text, at least one.
pub(crate) fn revocation_lists(
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    refuse_other_formats(text, "crl")?;
    let lists = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| problem(&error))?;
    if lists.is_empty() {
        return Err(Problem::NoRevocationList {
            found: sections(text),
        });
    }
    Ok(lists)
}

/// The first private key in the text.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
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

pub(crate) fn problem(error: &pem::Error) -> Problem {
    match error {
        pem::Error::MissingSectionEnd { .. } => Problem::Truncated,
        pem::Error::Base64Decode(_) => Problem::Base64,
        _ => Problem::Marker,
    }
}

/// `tool` is the `openssl` command that converts this kind of thing from DER.
pub(crate) fn refuse_other_formats(text: &[u8], tool: &'static str) -> Result<(), Problem> {
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
    contents(der).starts_with(&[0x02, 0x01, 0x03])
}

/// What the text does hold, for the error message.
pub(crate) fn sections(text: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::{Authority, openssl};

    type IsExpected = fn(&Problem) -> bool;

    #[test]
    fn what_is_no_pem_is_told_apart() {
        let directory = TempDir::new().expect("a folder");
        let leaf = Authority::new("CA").leaf("db", |_| {});
        fs::write(directory.path().join("cert.pem"), &leaf.chain).expect("written");
        fs::write(directory.path().join("key.pem"), &leaf.key).expect("written");
        openssl(
            directory.path(),
            "x509 -in cert.pem -outform DER -out cert.der",
        );
        openssl(
            directory.path(),
            "pkey -in key.pem -outform DER -out key.der",
        );
        openssl(
            directory.path(),
            "pkcs12 -export -in cert.pem -inkey key.pem -passout pass:secret -out both.p12",
        );
        let read = |name: &str| fs::read(directory.path().join(name)).expect("made");
        let with_mark = [b"\xEF\xBB\xBF".as_slice(), leaf.chain.as_bytes()].concat();
        let utf16: Vec<u8> = "\u{feff}-----BEGIN"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let cut = leaf.chain.split_at(leaf.chain.len() / 2).0;
        let damaged = leaf.chain.replacen("MII", "M!I", 1);
        let no_certificate = leaf.chain.replace("CERTIFICATE", "CERTIFICATE REQUEST");
        let table: Vec<(&str, Vec<u8>, IsExpected)> = vec![
            ("empty", b"\n \n".to_vec(), |problem| {
                matches!(problem, Problem::Empty)
            }),
            ("byte order mark", with_mark, |problem| {
                matches!(problem, Problem::ByteOrderMark)
            }),
            ("UTF-16", utf16, |problem| matches!(problem, Problem::Utf16)),
            ("DER", read("cert.der"), |problem| {
                matches!(problem, Problem::Der { tool: "x509" })
            }),
            ("PKCS#12", read("both.p12"), |problem| {
                matches!(problem, Problem::Pkcs12)
            }),
            ("cut", cut.as_bytes().to_vec(), |problem| {
                matches!(problem, Problem::Truncated)
            }),
            ("base64", damaged.into_bytes(), |problem| {
                matches!(problem, Problem::Base64)
            }),
            (
                "a key",
                leaf.key.clone().into_bytes(),
                |problem| matches!(problem, Problem::NoCertificate { found } if found == "PRIVATE KEY"),
            ),
            (
                "a request",
                no_certificate.into_bytes(),
                |problem| matches!(problem, Problem::NoCertificate { found } if found == "CERTIFICATE REQUEST"),
            ),
            (
                "text",
                b"ca.pem".to_vec(),
                |problem| matches!(problem, Problem::NoCertificate { found } if found == "no -----BEGIN line"),
            ),
        ];
        for (case, pem, expected) in table {
            let problem = certificates(&pem).expect_err("refused");
            assert!(expected(&problem), "{case}: {problem}");
        }
        let problem = private_key(&read("key.der")).expect_err("refused");
        assert!(
            matches!(problem, Problem::Der { tool: "pkey" }),
            "{problem}"
        );
    }
}
