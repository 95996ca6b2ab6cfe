//! Whom we trust: the certificates of one `ssl-ca`, less what they have revoked, and the judgement of a chain by them.

use rustls::{
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, ServerName, SignatureVerificationAlgorithm,
        SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
    },
};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity};
use x509_parser::certificate::X509Certificate;

use crate::tls::{
    certificate::{
        SHORTEST_RSA_BITS, Validity, contents, flaw::Flaw, host_names, is_version_1, parse,
        rsa_bits,
    },
    sources::{oddity::Oddity, problem::Problem},
    trust::{
        revocations,
        revocations::{RevocationList, Revocations},
    },
};

/// What the peer's certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It is a client's.
    Client,
    /// It is a server's.
    Server,
}

impl Usage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "clientAuth",
            Self::Server => "serverAuth",
        }
    }

    /// Only where the extension is there: MySQL's own certificates, and those of its manual's recipe, have none.
    const fn required_if_present(self) -> KeyUsage {
        match self {
            Self::Client => KeyUsage::client_auth(),
            Self::Server => KeyUsage::server_auth(),
        }
    }
}

/// The certificates of one `ssl-ca`.
#[derive(Debug)]
pub(crate) struct Authorities {
    trusted: Vec<Authority>,
    revocations: Revocations,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
struct Authority {
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    key: SubjectPublicKeyInfoDer<'static>,
    validity: Validity,
    /// No signature by its key is accepted.
    is_weak: bool,
}

impl Authorities {
    /// The error is the position of the certificate that cannot be read.
    pub(crate) fn new(
        certificates: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, usize> {
        let trusted = certificates
            .into_iter()
            .enumerate()
            .map(|(position, certificate)| Authority::new(certificate).ok_or(position))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            trusted,
            revocations: Revocations::default(),
            algorithms,
        })
    }

    /// All of them, in their order.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.trusted.iter().map(|authority| &authority.certificate)
    }

    /// Takes revocation lists, each of which must be one of these authorities' own.
    pub(crate) fn with_revocations(
        self,
        lists: &[CertificateRevocationListDer<'_>],
    ) -> Result<Self, Problem> {
        let lists = lists
            .iter()
            .zip(1..)
            .map(|(list, number)| self.revocation_list(list, number))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            revocations: Revocations::new(lists),
            ..self
        })
    }

    /// Those of whom there is no list although there are lists.
    pub(crate) fn without_list(&self, now: UnixTime) -> impl Iterator<Item = &CertificateDer<'_>> {
        self.valid(now)
            .filter(|authority| !self.revocations.have(&authority.anchor.subject))
            .map(|authority| &authority.certificate)
    }

    /// What was revoked, list by list.
    pub(crate) fn revocation_lists(&self) -> &[RevocationList] {
        self.revocations.lists()
    }

    fn revocation_list(
        &self,
        der: &CertificateRevocationListDer<'_>,
        number: usize,
    ) -> Result<RevocationList, Problem> {
        let parsed = revocations::parse(der).ok_or(Problem::BadRevocationList { number })?;
        if !revocations::is_whole(&parsed) {
            return Err(Problem::UnsupportedRevocationList { number });
        }
        let issuer = contents(parsed.issuer().as_raw());
        let mut keys = self
            .trusted
            .iter()
            .filter(|authority| authority.anchor.subject.as_ref() == issuer)
            .peekable();
        let list = RevocationList::from(&parsed);
        if keys.peek().is_none() {
            return Err(Problem::RevocationListIssuer {
                number,
                issuer: list.issuer_text,
            });
        }
        let message = parsed.tbs_cert_list.as_ref();
        let signature = &parsed.signature_value.data;
        if keys.any(|authority| signed_by(message, signature, &authority.key, self.algorithms.all))
        {
            Ok(list)
        } else {
            Err(Problem::RevocationListSignature {
                number,
                issuer: list.issuer_text,
            })
        }
    }

    /// That there is anybody to vouch for others. Some who do not are normal in a bundle.
    pub(crate) fn check(&self, now: UnixTime) -> Result<Vec<Oddity>, Problem> {
        let of = self.trusted.len();
        let valid = self.valid(now).count();
        let strong = self.valid(now).filter(|each| !each.is_weak).count();
        match (valid, strong) {
            (0, _) => return Err(Problem::NoValidAuthority),
            (_, 0) => return Err(Problem::WeakAuthority),
            _ => {}
        }
        let dead = Oddity::DeadAuthorities {
            count: of - valid,
            of,
        };
        let weak = Oddity::WeakAuthorities {
            count: valid - strong,
            of,
        };
        Ok([(dead, valid < of), (weak, strong < valid)]
            .into_iter()
            .filter_map(|(oddity, is_so)| is_so.then_some(oddity))
            .collect())
    }

    /// Whether a chain of ours, which is good in itself, leads to one of them.
    pub(crate) fn vouch_for(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> bool {
        let verdict = match usage {
            Usage::Client => self.verify(chain, usage, now),
            Usage::Server => self.verify_backend(chain, now),
        };
        !matches!(verdict, Err(Flaw::UnknownIssuer | Flaw::BadSignature))
    }

    /// Judges a chain, the peer's own certificate first.
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<(), Flaw> {
        let (leaf, intermediates) = chain.split_first().ok_or(Flaw::None)?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(|error| flaw(error, usage))?;
        // webpki does not look at an anchor's dates, OpenSSL does.
        let anchors: Vec<_> = self
            .valid(now)
            .map(|authority| borrowed(&authority.anchor))
            .collect();
        let path = end_entity
            .verify_for_usage(
                self.algorithms.all,
                &anchors,
                intermediates,
                now,
                usage.required_if_present(),
                None,
                None,
            )
            .map_err(|error| flaw(error, usage))?;
        self.revocations
            .check(end_entity.issuer(), end_entity.serial(), now)?;
        path.intermediate_certificates()
            .try_for_each(|above| self.revocations.check(above.issuer(), above.serial(), now))
    }

    /// Judges a backend's chain: as [`Self::verify`], but also takes what MySQL takes and webpki does not: an X.509 v1
    /// certificate signed by an authority itself, and one that is itself in `ssl-ca` (a self-signed one, handed out as
    /// its own CA).
    pub(crate) fn verify_backend(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Flaw> {
        let leaf = chain.first().ok_or(Flaw::None)?;
        let certificate = parse(leaf)?;
        if self
            .trusted
            .iter()
            .any(|authority| authority.certificate == *leaf)
        {
            Validity::of(&certificate).check(now)?;
        } else if is_version_1(&certificate) {
            self.verify_version_1(&certificate, now)?;
        } else {
            return self.verify(chain, Usage::Server, now);
        }
        let issuer = contents(certificate.issuer().as_raw());
        self.revocations
            .check(issuer, certificate.raw_serial(), now)
    }

    /// Version 1 has no extensions: issuer, signature and dates are all that there is to check.
    fn verify_version_1(
        &self,
        certificate: &X509Certificate<'_>,
        now: UnixTime,
    ) -> Result<(), Flaw> {
        Validity::of(certificate).check(now)?;
        let issuer = certificate.issuer().as_raw();
        let mut flaw = Flaw::UnknownIssuer;
        for authority in self.valid(now) {
            let parsed = parse(&authority.certificate)?;
            if parsed.subject().as_raw() != issuer || !(parsed.is_ca() || is_version_1(&parsed)) {
                continue;
            }
            let message = certificate.tbs_certificate.as_ref();
            let signature = &certificate.signature_value.data;
            if signed_by(message, signature, &authority.key, self.algorithms.all) {
                return Ok(());
            }
            flaw = Flaw::BadSignature;
        }
        Err(flaw)
    }

    fn valid(&self, now: UnixTime) -> impl Iterator<Item = &Authority> {
        self.trusted
            .iter()
            .filter(move |authority| authority.validity.check(now).is_ok())
    }
}

impl Authority {
    fn new(certificate: CertificateDer<'static>) -> Option<Self> {
        let anchor = webpki::anchor_from_trusted_cert(&certificate)
            .ok()?
            .to_owned();
        let parsed = parse(&certificate).ok()?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec());
        let validity = Validity::of(&parsed);
        let is_weak = rsa_bits(&parsed).is_some_and(|bits| bits < SHORTEST_RSA_BITS);
        Some(Self {
            certificate,
            anchor,
            key,
            validity,
            is_weak,
        })
    }
}

/// Does the certificate name this host? Only subjectAltName counts; the common name has not for twenty years.
pub(crate) fn verify_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Flaw> {
    let certificate = match EndEntityCert::try_from(leaf) {
        Ok(certificate) => certificate,
        // It has no extensions, so no subjectAltName either.
        Err(webpki::Error::UnsupportedCertVersion) => return Err(Flaw::NoName),
        Err(error) => return Err(flaw(error, Usage::Server)),
    };
    match certificate.verify_is_valid_for_subject_name(name) {
        Ok(()) => Ok(()),
        Err(webpki::Error::CertNotValidForName(_)) => {
            let presented = host_names(&parse(leaf)?);
            if presented.is_empty() {
                return Err(Flaw::NoName);
            }
            Err(Flaw::OtherName {
                expected: name.to_str().into_owned(),
                presented,
            })
        }
        Err(error) => Err(flaw(error, Usage::Server)),
    }
}

/// Which algorithm was used is told by the one that fits: the list has only sound ones.
pub(crate) fn signed_by(
    message: &[u8],
    signature: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    RawPublicKeyEntity::try_from(key).is_ok_and(|key| {
        algorithms
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
    })
}

fn borrowed<'a>(anchor: &'a TrustAnchor<'_>) -> TrustAnchor<'a> {
    TrustAnchor {
        subject: anchor.subject.as_ref().into(),
        subject_public_key_info: anchor.subject_public_key_info.as_ref().into(),
        name_constraints: anchor
            .name_constraints
            .as_ref()
            .map(|constraints| constraints.as_ref().into()),
    }
}

fn flaw(error: webpki::Error, usage: Usage) -> Flaw {
    use webpki::Error;
    match error {
        Error::BadDer
        | Error::BadDerTime
        | Error::TrailingData(_)
        | Error::InvalidCertValidity
        | Error::InvalidSerialNumber
        | Error::ExtensionValueInvalid
        | Error::MalformedExtensions
        | Error::EmptyEkuExtension => Flaw::Malformed,
        Error::UnsupportedCertVersion => Flaw::Version1,
        Error::CertExpired { not_after, .. } => Flaw::Expired { not_after },
        Error::CertNotValidYet { not_before, .. } => Flaw::NotYetValid { not_before },
        Error::UnknownIssuer => Flaw::UnknownIssuer,
        Error::InvalidSignatureForPublicKey
        | Error::SignatureAlgorithmMismatch
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Flaw::BadSignature,
        Error::RequiredEkuNotFoundContext(_) => Flaw::WrongPurpose {
            needed: usage.name(),
        },
        Error::CaUsedAsEndEntity => Flaw::CaAsLeaf,
        other => Flaw::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, slice};

    use rustls::pki_types::pem::PemObject as _;
    use tempfile::TempDir;

    use super::*;
    use crate::tls::{
        certificate::{names::names, public_key},
        provider,
        testing::{Authority, mysql_manual_recipe, openssl},
    };

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    /// Tag and length of the whole, before the signed part.
    const OUTER_HEADER_BYTES: usize = 4;

    /// Each byte that is signed counts, and each of the signature, also in the version 1 path that is our own; and none makes
    /// a reader fail.
    fn assert_no_damage_passes(ca: &str, leaf: &CertificateDer<'_>) {
        let authorities = Authorities::new(
            vec![certificate(ca)],
            provider().signature_verification_algorithms,
        );
        let authorities = authorities.expect("a CA");
        let now = UnixTime::now();
        assert_eq!(
            authorities.verify_backend(slice::from_ref(leaf), now),
            Ok(())
        );
        let parsed = parse(leaf).expect("a certificate");
        // Between the two stands, a second time, which algorithm was used: not signed, and not looked at.
        let signed = ..OUTER_HEADER_BYTES + parsed.tbs_certificate.as_ref().len();
        let signature = leaf.len() - parsed.signature_value.data.len()..;
        for position in (0..leaf.len()).filter(|at| signed.contains(at) || signature.contains(at)) {
            let mut damaged = leaf.to_vec();
            damaged[position] ^= 0x01 << (position % 8);
            let damaged = CertificateDer::from(damaged);
            assert!(
                authorities
                    .verify_backend(slice::from_ref(&damaged), now)
                    .is_err(),
                "byte {position}"
            );
            // Whatever they say.
            let _ = (
                names(&damaged),
                public_key(&damaged),
                parse(&damaged).map(|it| host_names(&it)),
            );
            let cut = CertificateDer::from(leaf[..position].to_vec());
            assert!(
                authorities.verify_backend(&[cut], now).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn no_damaged_certificate_passes() {
        let ca = Authority::new("CA");
        assert_no_damage_passes(&ca.pem, &certificate(&ca.leaf("db", |_| {}).chain));
    }

    #[test]
    fn no_damaged_version_1_certificate_passes() {
        let directory = TempDir::new().expect("a folder");
        mysql_manual_recipe(directory.path());
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("made");
        assert_no_damage_passes(&read("ca.pem"), &certificate(&read("server-cert.pem")));
    }

    #[test]
    fn a_certificate_that_is_no_ca_vouches_for_no_version_1_certificate() {
        // A self-signed server certificate in ssl-ca, whose key signed another: CA:FALSE stands in it.
        let directory = TempDir::new().expect("a folder");
        mysql_manual_recipe(directory.path());
        let run = |arguments: &str| openssl(directory.path(), arguments);
        run(
            "req -x509 -new -key ca-key.pem -subj /CN=manual-ca -addext basicConstraints=CA:FALSE -out leaf.pem",
        );
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("made");
        let authorities = Authorities::new(
            vec![certificate(&read("leaf.pem"))],
            provider().signature_verification_algorithms,
        );
        let shown = certificate(&read("server-cert.pem"));
        let verdict = authorities
            .expect("a certificate")
            .verify_backend(&[shown], UnixTime::now());
        assert_eq!(verdict, Err(Flaw::UnknownIssuer));
    }
}
