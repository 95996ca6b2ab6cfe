//! What lies in a PEM file, all of it and in its order, for a person to look at.

use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime,
    pem::{PemObject as _, SectionKind},
};
use x509_parser::{
    prelude::FromDer as _, revocation_list::CertificateRevocationList, x509::SubjectPublicKeyInfo,
};
use zeroize::Zeroizing;

use crate::tls::{
    certificate::{algorithm::Algorithm, flaw::timestamp, names::name, parse, unix_time},
    provider,
    sources::{
        PemSource,
        pem::{private_key, problem, read, refuse_other_formats, sections},
        problem::{MaterialError, Place, Problem},
    },
    trust::authorities::signed_by,
};

/// One thing in a PEM file.
#[derive(Debug)]
pub enum Item {
    /// A certificate, unread.
    Certificate(CertificateDer<'static>),
    /// A private key, of which only the public half is kept.
    Key(PublicHalf),
    /// Whom a CA has revoked.
    RevocationList(RevocationSummary),
    /// Something else, by its label.
    Other(&'static str),
}

/// The public half of a private key.
#[derive(Debug)]
pub struct PublicHalf {
    /// Its kind.
    pub kind: Algorithm,
    public_key: SubjectPublicKeyInfoDer<'static>,
}

impl PublicHalf {
    /// Whether the key belongs to this certificate.
    pub fn fits(&self, certificate: &CertificateDer<'_>) -> bool {
        parse(certificate)
            .is_ok_and(|certificate| certificate.public_key().raw == self.public_key.as_ref())
    }
}

/// What a revocation list says of itself. Nothing is verified.
#[derive(Debug)]
pub struct RevocationSummary {
    /// The CA, in OpenSSL's one line.
    pub issuer: String,
    /// When it was made.
    pub this_update: UnixTime,
    /// When the next one is due; none is never.
    pub next_update: Option<UnixTime>,
    /// How many certificates it revokes.
    pub revoked: usize,
}

impl RevocationSummary {
    /// From when until when.
    pub fn validity(&self) -> String {
        match self.next_update {
            Some(next) => format!("{} until {}", timestamp(self.this_update), timestamp(next)),
            None => format!("{}, no end", timestamp(self.this_update)),
        }
    }
}

/// How one certificate relates to another that might have signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// It signed it.
    Signed,
    /// It has the issuer's name, and its key did not sign, or in a way that is not supported.
    NameOnly,
    /// It has another name.
    Other,
}

/// Certificates that may have signed others, each read once.
#[derive(Debug)]
pub struct Signers(Vec<Option<Signatory>>);

#[derive(Debug)]
struct Signatory {
    subject: Vec<u8>,
    key: SubjectPublicKeyInfoDer<'static>,
}

impl Signers {
    /// These, in their order.
    pub fn new(certificates: &[CertificateDer<'_>]) -> Self {
        let signatory = |der| {
            let certificate = parse(der).ok()?;
            Some(Signatory {
                subject: certificate.subject().as_raw().to_vec(),
                key: SubjectPublicKeyInfoDer::from(certificate.public_key().raw.to_vec()),
            })
        };
        Self(certificates.iter().map(signatory).collect())
    }

    /// What each of them is to this certificate. What cannot be read signs nothing.
    pub fn of(&self, certificate: &CertificateDer<'_>) -> Vec<Signer> {
        let parsed = parse(certificate).ok();
        let algorithms = provider().signature_verification_algorithms.all;
        let relation = |signatory: &Option<Signatory>| match (signatory, &parsed) {
            (Some(signatory), Some(parsed)) if signatory.subject == parsed.issuer().as_raw() => {
                let (message, signature) = (
                    parsed.tbs_certificate.as_ref(),
                    parsed.signature_value.data.as_ref(),
                );
                if signed_by(message, signature, &signatory.key, algorithms) {
                    Signer::Signed
                } else {
                    Signer::NameOnly
                }
            }
            _ => Signer::Other,
        };
        self.0.iter().map(relation).collect()
    }
}

/// Everything in a file; at least one thing.
pub fn inventory(path: &Path) -> Result<Vec<Item>, MaterialError> {
    let source = PemSource::File(path.to_owned());
    read(&source)
        .map(Zeroizing::new)
        .and_then(|text| items(&text))
        .map_err(|problem| MaterialError::new(Place::new("read", &source), problem))
}

/// The certificates of a source, as many as there are, for [`super::Description`].
pub fn certificates_in(
    key: &'static str,
    source: &PemSource,
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    read(source)
        .and_then(|text| crate::tls::sources::pem::certificates(&text))
        .map_err(|problem| MaterialError::new(Place::new(key, source), problem))
}

fn items(text: &[u8]) -> Result<Vec<Item>, Problem> {
    refuse_other_formats(text, "x509")?;
    // The parser passes over its label, or calls it damaged.
    let encrypted_key = matches!(private_key(text), Err(Problem::EncryptedKey));
    let mut items = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        match section {
            Ok((kind, der)) => items.push(item(kind, &Zeroizing::new(der))),
            Err(_) if encrypted_key => break,
            Err(error) => return Err(problem(&error)),
        }
    }
    if encrypted_key {
        items.push(Item::Other(
            "private key, encrypted (`openssl pkey -in FILE -out FILE.plain` decrypts it)",
        ));
    }
    if items.is_empty() {
        return Err(Problem::NoCertificate {
            found: sections(text),
        });
    }
    Ok(items)
}

/// What cannot be read is still something that lies there.
fn item(kind: SectionKind, der: &[u8]) -> Item {
    match kind {
        SectionKind::Certificate => Item::Certificate(CertificateDer::from(der.to_vec())),
        SectionKind::Crl => revocation_list(der).map_or(
            Item::Other("revocation list, damaged"),
            Item::RevocationList,
        ),
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
            public_half(kind, der).map_or(
                Item::Other("private key, damaged or of a kind that is not supported"),
                Item::Key,
            )
        }
        SectionKind::PublicKey => Item::Other("public key"),
        SectionKind::Csr => Item::Other("certificate request, which nobody has signed yet"),
        _ => Item::Other("section of another kind"),
    }
}

fn public_half(kind: SectionKind, der: &[u8]) -> Option<PublicHalf> {
    let key = PrivateKeyDer::from_pem(kind, der.to_vec())?;
    let key = provider().key_provider.load_private_key(key).ok()?;
    let public_key = key.public_key()?.into_owned();
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&public_key).ok()?;
    Some(PublicHalf {
        kind: Algorithm::of_key(&parsed),
        public_key: public_key.clone(),
    })
}

fn revocation_list(der: &[u8]) -> Option<RevocationSummary> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(RevocationSummary {
        issuer: name(list.issuer()).to_string(),
        this_update: unix_time(list.last_update()),
        next_update: list.next_update().map(unix_time),
        revoked: list.iter_revoked_certificates().count(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Signer::{NameOnly, Other, Signed};
    use super::*;
    use crate::tls::testing::{Authority, Leaf};

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    #[test]
    fn namesake_of_an_issuer_has_signed_nothing() {
        let (ca, namesake) = (Authority::new("CA"), Authority::new("CA"));
        let intermediate = ca.intermediate("Intermediate");
        let leaf = intermediate.leaf("db", |_| {});
        let all = [&leaf.chain, &intermediate.pem, &namesake.pem, &ca.pem].map(|pem| der(pem));
        let signers = Signers::new(&all);
        let relations = |position: usize| signers.of(&all[position]);
        assert_eq!(relations(0), [Other, Signed, Other, Other]);
        assert_eq!(relations(1), [Other, Other, NameOnly, Signed]);
        assert_eq!(relations(3), [Other, Other, NameOnly, Signed]);
    }

    #[test]
    fn key_fits_its_own_certificate_only() {
        let [one, other] = ["db", "db"].map(|name| Leaf::self_signed(name, |_| {}));
        let items = items(format!("{}{}", one.key, one.chain).as_bytes()).expect("read");
        let [Item::Key(key), Item::Certificate(certificate)] = items.as_slice() else {
            panic!("{items:?}");
        };
        assert!(key.fits(certificate));
        assert!(!key.fits(&der(&other.chain)));
        assert!(!key.fits(&CertificateDer::from(vec![])));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_does_not_hide_the_rest() {
        let leaf = Leaf::self_signed("db", |_| {});
        let odd = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n\
                   -----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let items = items(format!("{odd}{}", leaf.chain).as_bytes()).expect("read");
        assert!(
            matches!(
                items.as_slice(),
                [
                    Item::Other("revocation list, damaged"),
                    Item::Other("private key, damaged or of a kind that is not supported"),
                    Item::Certificate(_)
                ]
            ),
            "{items:?}"
        );
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(-----(BEGIN|END) (CERTIFICATE|X509 CRL|PRIVATE KEY|ENCRYPTED PRIVATE KEY)-----\n|[A-Za-z0-9+/=]{0,64}\n|.){0,20}") {
            let _ = items(text.as_bytes());
        }
    }
}
