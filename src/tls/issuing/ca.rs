//! A CA with its key, for `mytls certs new` to sign with: made here, or found in its two files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, Issuer, KeyIdMethod, KeyPair,
    PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::{
    asn1_rs::Tag,
    certificate::X509Certificate,
    extensions::ParsedExtension,
    x509::{AttributeTypeAndValue, X509Name},
};
use zeroize::Zeroizing;

use crate::tls::{
    certificate::{DAY, Validity, flaw::Flaw, parse},
    issuing::{Desk, HostName, IssueError, Issued, Leaf, NewKey, later},
    provider,
    sources::{
        PemSource, pem,
        problem::{MaterialError, Place, Problem},
    },
    trust::authorities::{Authorities, Usage},
};

/// Ten years, or as long as what it is to sign.
const LIFETIME: Duration = DAY.saturating_mul(10 * 365);

/// A CA that can sign.
pub struct SigningCa {
    certificate: CertificateDer<'static>,
    not_after: UnixTime,
    issuer: Issuer<'static, KeyPair>,
}

/// Why there is none, or why it did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SigningCaError {
    /// One of its files.
    #[error(transparent)]
    File(#[from] MaterialError),
    /// A certificate that may not sign others.
    #[error("{}: it is no CA's certificate (its basicConstraints do not say CA:TRUE)", .0.display())]
    NoCa(PathBuf),
    /// It cannot be used today.
    #[error("{}: {flaw}", .path.display())]
    Dates {
        /// The certificate's file.
        path: PathBuf,
        /// Expired, or not yet valid.
        flaw: Flaw,
    },
    /// A name that would not be the same when it is written as an issuer's.
    #[error(
        "{}: its subject has a part that mytls cannot write (joined, of an old kind of string, or twice of one kind); sign \
         with `openssl x509 -req -extfile` instead", .0.display()
    )]
    Subject(PathBuf),
    /// What it signed would be refused by those who trust it: a constraint of its own says so.
    #[error("the CA may not sign such a certificate: {0}")]
    Refused(Flaw),
    /// A key or a certificate could not be made.
    #[error("make a certificate: {0}")]
    Issue(#[from] IssueError),
}

/// A certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// For a server of these hosts; the first is its common name too.
    Server(Vec<HostName>),
    /// For a client of this common name.
    Client(String),
}

/// A certificate and its key, as the text of their files.
#[derive(Debug)]
pub struct NewIdentity {
    /// The certificate, without its issuers.
    pub certificate: String,
    /// Its key, PKCS#8.
    pub key: Zeroizing<String>,
    /// The certificate again.
    pub der: CertificateDer<'static>,
}

impl SigningCa {
    /// Makes one that outlives what it is to sign, and returns its files' texts with it.
    pub fn new(
        key: NewKey,
        signs_for: Duration,
        now: UnixTime,
    ) -> Result<(Self, NewIdentity), IssueError> {
        let provider = provider();
        let desk = Desk {
            provider: &provider,
            now,
        };
        let key = key.generate()?;
        let lifetime = signs_for.max(LIFETIME);
        let Issued { pem, der } = desk.issue_ca(&key, lifetime)?;
        let files = NewIdentity {
            certificate: pem,
            key: Zeroizing::new(key.serialize_pem()),
            der: der.clone(),
        };
        let ca = Self {
            certificate: der,
            not_after: later(now, lifetime),
            issuer: Issuer::new(super::ca_parameters(&key), key),
        };
        Ok((ca, files))
    }

    /// The one in these files. Of a bundle, the certificate that the key belongs to.
    pub fn load(certificate: &Path, key: &Path, now: UnixTime) -> Result<Self, SigningCaError> {
        let chain = read(certificate, pem::certificates)?;
        let pair = read(key, |text| {
            let der: PrivateKeyDer<'_> = pem::private_key(text)?;
            KeyPair::try_from(&der).map_err(|_| Problem::UnsupportedKey)
        })?;
        let mut found = None;
        for (position, der) in chain.iter().enumerate() {
            let parsed = parse(der).map_err(|_| {
                in_file(
                    certificate,
                    Problem::BadCertificate {
                        number: position + 1,
                    },
                )
            })?;
            if parsed.public_key().raw == pair.subject_public_key_info() {
                found = Some((der, parsed));
                break;
            }
        }
        let (der, parsed) = found.ok_or_else(|| in_file(key, Problem::KeyMismatch))?;
        if !parsed.is_ca() {
            return Err(SigningCaError::NoCa(certificate.to_owned()));
        }
        let validity = Validity::of(&parsed);
        validity.check(now).map_err(|flaw| SigningCaError::Dates {
            path: certificate.to_owned(),
            flaw,
        })?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rewritable(parsed.subject())
            .ok_or_else(|| SigningCaError::Subject(certificate.to_owned()))?;
        if let Some(identifier) = key_identifier(&parsed) {
            parameters.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        Ok(Self {
            certificate: der.clone(),
            not_after: validity.not_after,
            issuer: Issuer::new(parameters, pair),
        })
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Makes a key and a certificate, valid for so long or until the CA's own end, and verifies it as a peer would.
    pub fn issue(
        &self,
        request: &Request,
        key: NewKey,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<NewIdentity, SigningCaError> {
        let provider = provider();
        let desk = Desk {
            provider: &provider,
            now,
        };
        let key = key.generate()?;
        let not_after = later(now, lifetime).min(self.not_after);
        let (usage, common_name, hosts) = match request {
            Request::Client(name) => (Usage::Client, name.as_str(), &[][..]),
            Request::Server(hosts) => {
                (Usage::Server, &*server_common_name(hosts), hosts.as_slice())
            }
        };
        let leaf = Leaf {
            common_name,
            hosts,
            usage,
            not_after,
        };
        let Issued { pem, der } = desk.issue(&leaf, &key, &self.issuer)?;
        Authorities::new(
            vec![self.certificate.clone()],
            provider.signature_verification_algorithms,
        )
        .map_err(|_| Flaw::Malformed)
        .and_then(|trusted| trusted.verify(std::slice::from_ref(&der), usage, now))
        .map_err(SigningCaError::Refused)?;
        Ok(NewIdentity {
            certificate: pem,
            key: Zeroizing::new(key.serialize_pem()),
            der,
        })
    }
}

/// The first host where it fits (X.520 allows 64 characters): clients of long ago look for it there.
fn server_common_name(hosts: &[HostName]) -> String {
    const LONGEST: usize = 64;
    hosts
        .first()
        .map(ToString::to_string)
        .filter(|name| name.len() <= LONGEST)
        .unwrap_or_else(|| "server".to_owned())
}

fn read<T>(
    path: &Path,
    take: impl FnOnce(&[u8]) -> Result<T, Problem>,
) -> Result<T, MaterialError> {
    pem::read(&PemSource::File(path.to_owned()))
        .map(Zeroizing::new)
        .and_then(|text| take(&text))
        .map_err(|problem| in_file(path, problem))
}

fn in_file(path: &Path, problem: Problem) -> MaterialError {
    MaterialError::new(
        Place::new("read", &PemSource::File(path.to_owned())),
        problem,
    )
}

fn key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        })
}

/// The same name in rcgen's words. It must come out byte for byte: issuers are found by that.
fn rewritable(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut written = DistinguishedName::new();
    for relative in name.iter_rdn() {
        let mut attributes = relative.iter();
        let (only, None) = (attributes.next()?, attributes.next()) else {
            return None;
        };
        let kind = DnType::CustomDnType(only.attr_type().iter()?.collect());
        if written.get(&kind).is_some() {
            return None;
        }
        written.push(kind, value(only)?);
    }
    Some(written)
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<DnValue> {
    let text = str::from_utf8(attribute.attr_value().data).ok()?;
    Some(match attribute.attr_value().tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().ok()?),
        Tag::Ia5String => DnValue::Ia5String(text.try_into().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::{mysql_manual_recipe, openssl, openssl_words};

    fn load(folder: &Path) -> Result<SigningCa, SigningCaError> {
        SigningCa::load(
            &folder.join("ca.pem"),
            &folder.join("ca-key.pem"),
            UnixTime::now(),
        )
    }

    fn failure(folder: &Path) -> SigningCaError {
        load(folder).err().expect("refused")
    }

    /// A CA of openssl's with this subject, extensions and kind of key.
    fn openssl_ca(folder: &Path, subject: &str, extension: &str, key: &str) {
        openssl(folder, key);
        let request =
            "req -x509 -new -key ca-key.pem -utf8 -multivalue-rdn -days 30 -out ca.pem -addext";
        let words: Vec<_> = request
            .split(' ')
            .chain([extension, "-subj", subject])
            .collect();
        openssl_words(folder, &words);
    }

    const CA: &str = "keyUsage=critical,keyCertSign";
    const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca-key.pem";

    #[test]
    fn files_that_are_no_ca_are_refused() {
        let folder = TempDir::new().expect("a folder");
        let error = failure(folder.path());
        assert!(
            error.to_string().ends_with("ca.pem: there is no such file"),
            "{error}"
        );

        openssl_ca(
            folder.path(),
            "/CN=a",
            "basicConstraints=critical,CA:FALSE",
            P256,
        );
        let leaf = SigningCa::new(NewKey::P256, DAY, UnixTime::now())
            .expect("made")
            .0;
        let leaf = leaf
            .issue(
                &Request::Client("a".to_owned()),
                NewKey::P256,
                DAY,
                UnixTime::now(),
            )
            .expect("issued");
        fs::write(folder.path().join("ca.pem"), &leaf.certificate).expect("written");
        let error = failure(folder.path());
        assert!(error.to_string().contains("does not belong"), "{error}");
        fs::write(folder.path().join("ca-key.pem"), leaf.key.as_bytes()).expect("written");
        assert!(matches!(failure(folder.path()), SigningCaError::NoCa(_)));
    }

    #[test]
    fn ca_that_is_not_valid_now_is_refused() {
        let folder = TempDir::new().expect("a folder");
        openssl_ca(folder.path(), "/CN=a", CA, P256);
        for now in [
            later(UnixTime::now(), 31 * DAY),
            UnixTime::since_unix_epoch(DAY),
        ] {
            let loaded = SigningCa::load(
                &folder.path().join("ca.pem"),
                &folder.path().join("ca-key.pem"),
                now,
            );
            assert!(matches!(loaded.err(), Some(SigningCaError::Dates { .. })));
        }
    }

    #[test]
    fn subject_that_would_come_out_otherwise_is_refused() {
        for subject in ["/DC=test/DC=lab", "/O=Lab+CN=ca"] {
            let folder = TempDir::new().expect("a folder");
            openssl_ca(folder.path(), subject, CA, P256);
            assert!(
                matches!(failure(folder.path()), SigningCaError::Subject(_)),
                "{subject}"
            );
        }
    }

    #[test]
    fn what_the_cas_own_constraints_forbid_is_not_made() {
        let folder = TempDir::new().expect("a folder");
        let constraint = "nameConstraints=critical,permitted;DNS:lab.test";
        openssl_ca(folder.path(), "/CN=ca", constraint, P256);
        let ca = load(folder.path()).expect("loads");
        let issue = |name: &str| {
            let hosts = vec![name.parse().expect("a name")];
            ca.issue(&Request::Server(hosts), NewKey::P256, DAY, UnixTime::now())
        };
        assert!(matches!(
            issue("db.other").err(),
            Some(SigningCaError::Refused(_))
        ));
        assert!(issue("db.lab.test").is_ok());
    }

    #[test]
    fn cas_of_others_sign_what_openssl_verifies() {
        const KEYS: [&str; 5] = [
            P256,
            "ecparam -name secp384r1 -genkey -noout -out ca-key.pem",
            "genrsa -traditional -out ca-key.pem 2048",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out ca-key.pem",
            "genpkey -algorithm ED25519 -out ca-key.pem",
        ];
        for (key, subject) in KEYS.iter().zip([
            "/CN=ca",
            "/C=SE/ST=Scania/O=Lab & Sons/OU=a/CN=Zo\u{eb}",
            "/O=a\\/b/emailAddress=ca@lab.test",
            "/CN=ca\\+b",
            "/DC=test/CN=ca",
        ]) {
            let folder = TempDir::new().expect("a folder");
            openssl_ca(folder.path(), subject, CA, key);
            let ca = load(folder.path()).expect("loads");
            let made = ca
                .issue(
                    &Request::Client("dm".to_owned()),
                    NewKey::Rsa,
                    60 * DAY,
                    UnixTime::now(),
                )
                .expect("issued");
            fs::write(folder.path().join("made.pem"), made.certificate).expect("written");
            let verify = "verify -x509_strict -purpose sslclient -CAfile ca.pem made.pem";
            openssl(folder.path(), verify);
            // no longer than the CA
            let end =
                |file: &str| openssl(folder.path(), &format!("x509 -in {file} -noout -enddate"));
            assert_eq!(end("made.pem"), end("ca.pem"));
        }
    }

    /// Its CA has no key usage; `-x509_strict` would complain of that.
    #[test]
    fn ca_of_the_manuals_recipe_signs() {
        let folder = TempDir::new().expect("a folder");
        mysql_manual_recipe(folder.path());
        let made = load(folder.path())
            .expect("loads")
            .issue(
                &Request::Server(HostName::loopback().to_vec()),
                NewKey::P256,
                DAY,
                UnixTime::now(),
            )
            .expect("issued");
        fs::write(folder.path().join("made.pem"), made.certificate).expect("written");
        openssl(
            folder.path(),
            "verify -purpose sslserver -verify_ip ::1 -CAfile ca.pem made.pem",
        );
    }
}
