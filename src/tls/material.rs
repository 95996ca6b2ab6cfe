//! CA, certificate chain and key of one place, loaded whole and checked whole before anything uses them.

use std::{fmt, io, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    sign::{CertifiedKey, SigningKey},
};

use super::{
    PemSource, Sources, SslMode,
    authorities::{Authorities, Usage},
    certificate::{Validity, is_version_1, parse, timestamp},
    pem,
    refusal::Flaw,
};

/// What was loaded; each part may be absent.
#[derive(Debug)]
pub(super) struct Material {
    /// Whom we trust.
    pub(super) authorities: Option<Authorities>,
    /// What we show.
    pub(super) identity: Option<Arc<CertifiedKey>>,
}

impl Material {
    /// Loads and checks; `usage` is what our own certificate is for.
    pub(super) fn load(
        sources: &Sources,
        usage: Usage,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, MaterialError> {
        let authorities = sources.ca.as_ref().map(|source| {
            let place = Place::new("ssl-ca", source);
            authorities(source, provider, now).map_err(|problem| MaterialError::new(place, problem))
        });
        let identity = match (&sources.cert, &sources.key) {
            (Some(cert), Some(key)) => Some(identity(cert, key, usage, provider, now)?),
            (Some(cert), None) => {
                return Err(MaterialError::new(
                    Place::new("ssl-cert", cert),
                    Problem::KeyNotGiven,
                ));
            }
            (None, Some(key)) => {
                return Err(MaterialError::new(
                    Place::new("ssl-key", key),
                    Problem::CertificateNotGiven,
                ));
            }
            (None, None) => None,
        };
        Ok(Self {
            authorities: authorities.transpose()?,
            identity,
        })
    }
}

/// A source that cannot be used: which one, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MaterialError {
    place: String,
    problem: Problem,
}

impl MaterialError {
    pub(super) fn new(place: Place<'_>, problem: Problem) -> Self {
        Self {
            place: place.to_string(),
            problem,
        }
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// The configuration key and the file that an error is about.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// One of the sources.
    Source(&'static str, &'a PemSource),
    /// A key of `security` without a source.
    Key(&'static str),
}

impl<'a> Place<'a> {
    fn new(key: &'static str, source: &'a PemSource) -> Self {
        Self::Source(key, source)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(key, PemSource::File(path)) => write!(f, "{key} {}", path.display()),
            Self::Source(_, PemSource::Inline { key, .. }) => f.write_str(key),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// What is wrong with a source, and the cure where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No such file.
    #[error("there is no such file")]
    Missing,
    /// The operating system does not let us read it.
    #[error("the user that mytls runs as may not read it (permission denied)")]
    Unreadable,
    /// Any other failure of the operating system.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// Not the size of a certificate file.
    #[error("larger than 1 MiB, so it is no PEM file of certificates or keys")]
    TooLarge,
    /// Nothing, or only white space.
    #[error("is empty")]
    Empty,
    /// UTF-8 with a byte order mark.
    #[error(
        "begins with a byte order mark, which hides its first line; save it as UTF-8 without one"
    )]
    ByteOrderMark,
    /// Text in two-byte units.
    #[error("is UTF-16 text; save it as UTF-8 without a byte order mark")]
    Utf16,
    /// DER.
    #[error("is DER, not PEM; convert it: `openssl {tool} -inform DER -in FILE -out FILE.pem`")]
    Der {
        /// The command of `openssl` that converts it.
        tool: &'static str,
    },
    /// A PKCS#12 bundle.
    #[error(
        "is a PKCS#12 bundle, not PEM; take it apart: `openssl pkcs12 -in FILE -nokeys -out cert.pem` and `openssl pkcs12 \
         -in FILE -nocerts -nodes -out key.pem`"
    )]
    Pkcs12,
    /// A key that needs a password.
    #[error(
        "the key is encrypted, and there is nobody to ask for its password; decrypt it: `openssl pkey -in FILE -out FILE.plain`"
    )]
    EncryptedKey,
    /// PEM without a certificate.
    #[error("has no certificate in it, only: {found}")]
    NoCertificate {
        /// The labels of what it holds.
        found: String,
    },
    /// PEM without a private key.
    #[error("has no private key in it, only: {found}")]
    NoKey {
        /// The labels of what it holds.
        found: String,
    },
    /// A section without its end.
    #[error("ends inside a section (no -----END line): it was cut short or is being written")]
    Truncated,
    /// Damaged base64.
    #[error("a line between -----BEGIN and -----END is not base64: the file is damaged")]
    Base64,
    /// A broken marker line.
    #[error("a -----BEGIN or -----END line is damaged")]
    Marker,
    /// A section that is labelled a certificate and is none.
    #[error("certificate {number} in it is not a valid X.509 certificate")]
    BadCertificate {
        /// Counted from 1.
        number: usize,
    },
    /// A key that we cannot use.
    #[error(
        "the key is damaged or of a kind that is not supported (RSA of 2048 bits or more, P-256, P-384, P-521, Ed25519 are)"
    )]
    UnsupportedKey,
    /// The key belongs to no certificate of the chain.
    #[error("the key does not belong to this certificate")]
    KeyMismatch,
    /// The key belongs to another certificate of the chain.
    #[error(
        "the key belongs to certificate {number} in it; one's own certificate must be the first, then its issuers"
    )]
    ChainOrder {
        /// Counted from 1.
        number: usize,
    },
    /// `ssl-cert` without `ssl-key`.
    #[error("is given without ssl-key; give both (they may be the same file) or neither")]
    KeyNotGiven,
    /// `ssl-key` without `ssl-cert`.
    #[error("is given without ssl-cert; give both or neither")]
    CertificateNotGiven,
    /// Our own certificate has run out.
    #[error("the certificate expired at {}; renew it", timestamp(*.not_after))]
    Expired {
        /// Its last moment.
        not_after: UnixTime,
    },
    /// Our own certificate is for later.
    #[error("the certificate is not valid before {}; is the clock right?", timestamp(*.not_before))]
    NotYetValid {
        /// Its first moment.
        not_before: UnixTime,
    },
    /// All of `ssl-ca` is out of its dates.
    #[error("no certificate in it is valid now: all have expired or are for later")]
    NoValidAuthority,
    /// Our server certificate is X.509 version 1.
    #[error(
        "the certificate is X.509 version 1, which many clients refuse; sign it again with `openssl x509 -req … -extfile \
         FILE`, where FILE has the lines `basicConstraints=CA:FALSE` and `subjectAltName=DNS:…`"
    )]
    Version1,
    /// Our own certificate is for something else.
    #[error(
        "the certificate's extended key usage does not include {needed}, so the other side would refuse it"
    )]
    WrongPurpose {
        /// `clientAuth` or `serverAuth`.
        needed: &'static str,
    },
    /// A mode that verifies, and nothing to verify with.
    #[error("is not given, and ssl-mode {} verifies the backend's certificate by it", mode_name(*.mode))]
    CaNotGiven {
        /// The mode.
        mode: SslMode,
    },
}

const fn mode_name(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Required => "REQUIRED",
        SslMode::VerifyCa => "VERIFY_CA",
        SslMode::VerifyIdentity => "VERIFY_IDENTITY",
    }
}

fn authorities(
    source: &PemSource,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<Authorities, Problem> {
    let certificates = pem::certificates(&pem::read(source)?)?;
    let authorities = Authorities::new(certificates, provider.signature_verification_algorithms)
        .map_err(|position| Problem::BadCertificate {
            number: position + 1,
        })?;
    // One that has run out is normal in a bundle; it is passed over.
    if authorities.any_valid(now) {
        Ok(authorities)
    } else {
        Err(Problem::NoValidAuthority)
    }
}

fn identity(
    cert: &PemSource,
    key: &PemSource,
    usage: Usage,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<Arc<CertifiedKey>, MaterialError> {
    let of_cert = |problem| MaterialError::new(Place::new("ssl-cert", cert), problem);
    let chain = pem::read(cert)
        .and_then(|text| pem::certificates(&text))
        .map_err(of_cert)?;
    let key = pem::read(key)
        .and_then(|text| pem::private_key(&text))
        .and_then(|der| {
            provider
                .key_provider
                .load_private_key(der)
                .map_err(|_| Problem::UnsupportedKey)
        })
        .map_err(|problem| MaterialError::new(Place::new("ssl-key", key), problem))?;
    check_chain(&chain, key.as_ref(), usage, now).map_err(of_cert)?;
    // Not `from_der`: rustls cannot read the X.509 v1 client certificates that MySQL's manual makes.
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

fn check_chain(
    chain: &[CertificateDer<'_>],
    key: &dyn SigningKey,
    usage: Usage,
    now: UnixTime,
) -> Result<(), Problem> {
    let parsed = chain
        .iter()
        .enumerate()
        .map(|(position, der)| {
            parse(der).map_err(|_| Problem::BadCertificate {
                number: position + 1,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let public_key = key.public_key().ok_or(Problem::UnsupportedKey)?;
    match parsed
        .iter()
        .position(|certificate| certificate.public_key().raw == public_key.as_ref())
    {
        Some(0) => {}
        Some(position) => {
            return Err(Problem::ChainOrder {
                number: position + 1,
            });
        }
        None => return Err(Problem::KeyMismatch),
    }
    let Some(leaf) = parsed.first() else {
        return Err(Problem::KeyMismatch);
    };
    // An expired issuer in the chain is normal (cross-signed roots); who has the newer one does not need it.
    match Validity::of(leaf).check(now) {
        Err(Flaw::Expired { not_after }) => return Err(Problem::Expired { not_after }),
        Err(Flaw::NotYetValid { not_before }) => return Err(Problem::NotYetValid { not_before }),
        Err(_) | Ok(()) => {}
    }
    if is_version_1(leaf) {
        // MySQL and MariaDB take such a certificate from a client.
        return if usage == Usage::Server {
            Err(Problem::Version1)
        } else {
            Ok(())
        };
    }
    let purpose = leaf
        .extended_key_usage()
        .map_err(|_| Problem::BadCertificate { number: 1 })?;
    let fits = purpose.is_none_or(|purpose| match usage {
        Usage::Client => purpose.value.client_auth || purpose.value.any,
        Usage::Server => purpose.value.server_auth || purpose.value.any,
    });
    if fits {
        Ok(())
    } else {
        Err(Problem::WrongPurpose {
            needed: usage.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
    use tempfile::TempDir;

    use super::*;
    use crate::tls::{
        provider,
        testing::{Authority, Leaf, inline, mysql_manual_recipe, openssl},
    };

    fn load(sources: &Sources, usage: Usage) -> Result<Material, MaterialError> {
        Material::load(sources, usage, &provider(), UnixTime::now())
    }

    type IsExpected = fn(&Problem) -> bool;

    /// The problem with `ssl-ca`.
    fn ca_problem(source: PemSource) -> Problem {
        let sources = Sources {
            ca: Some(source),
            ..Sources::default()
        };
        load(&sources, Usage::Server).expect_err("refused").problem
    }

    /// The problem with a certificate or its key.
    fn identity_problem(cert: PemSource, key: PemSource, usage: Usage) -> Problem {
        let sources = Sources {
            ca: None,
            cert: Some(cert),
            key: Some(key),
        };
        load(&sources, usage).expect_err("refused").problem
    }

    fn file(path: &Path) -> PemSource {
        PemSource::File(path.to_owned())
    }

    fn bytes(pem: &[u8]) -> PemSource {
        PemSource::Inline {
            key: "test".to_owned(),
            pem: pem.to_vec(),
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let directory = TempDir::new().expect("a folder");
        let missing = directory.path().join("ca.pem");
        let sources = Sources {
            ca: Some(file(&missing)),
            ..Sources::default()
        };
        let error = load(&sources, Usage::Server).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("ssl-ca {}: there is no such file", missing.display())
        );
        assert!(
            matches!(ca_problem(file(directory.path())), Problem::Read(_)),
            "a folder"
        );
        assert!(matches!(
            ca_problem(file(Path::new("/dev/zero"))),
            Problem::TooLarge
        ));
    }

    #[test]
    fn text_of_the_configuration_is_named_by_its_key() {
        let ca = Some(PemSource::Inline {
            key: "from.security.ssl-ca-base64".to_owned(),
            pem: Vec::new(),
        });
        let error = load(
            &Sources {
                ca,
                ..Sources::default()
            },
            Usage::Client,
        )
        .expect_err("refused");
        assert_eq!(error.to_string(), "from.security.ssl-ca-base64: is empty");
    }

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
            (
                "no X.509",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
                |problem| matches!(problem, Problem::BadCertificate { number: 1 }),
            ),
        ];
        for (case, pem, expected) in table {
            let problem = ca_problem(bytes(&pem));
            assert!(expected(&problem), "{case}: {problem}");
        }
        let problem = identity_problem(inline(&leaf.chain), bytes(&read("key.der")), Usage::Server);
        assert!(
            matches!(problem, Problem::Der { tool: "pkey" }),
            "{problem}"
        );
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let directory = TempDir::new().expect("a folder");
        openssl(directory.path(), "genrsa -out rsa.pem 2048");
        openssl(directory.path(), "genrsa -out short.pem 1024");
        let encrypt = "-in rsa.pem -aes256 -passout pass:secret";
        openssl(
            directory.path(),
            &format!(
                "pkcs8 -topk8 {} -out pkcs8.pem",
                encrypt.replace("-aes256", "-v2 aes256")
            ),
        );
        openssl(
            directory.path(),
            &format!("rsa -traditional {encrypt} -out pkcs1.pem"),
        );
        let leaf = Authority::new("CA").leaf("db", |_| {});
        let problem = |name: &str| {
            identity_problem(
                inline(&leaf.chain),
                file(&directory.path().join(name)),
                Usage::Server,
            )
        };
        assert!(matches!(problem("pkcs8.pem"), Problem::EncryptedKey));
        assert!(matches!(problem("pkcs1.pem"), Problem::EncryptedKey));
        assert!(matches!(problem("short.pem"), Problem::UnsupportedKey));
        assert!(matches!(problem("rsa.pem"), Problem::KeyMismatch));
        let certificate_as_key =
            identity_problem(inline(&leaf.chain), inline(&leaf.chain), Usage::Server);
        assert!(
            matches!(&certificate_as_key, Problem::NoKey { found } if found == "CERTIFICATE"),
            "{certificate_as_key}"
        );
    }

    #[test]
    fn one_half_of_an_identity_is_refused() {
        let leaf = Authority::new("CA").leaf("db", |_| {});
        let without_key = Sources {
            cert: Some(inline(&leaf.chain)),
            ..Sources::default()
        };
        let without_certificate = Sources {
            key: Some(inline(&leaf.key)),
            ..Sources::default()
        };
        let problem = |sources| load(&sources, Usage::Server).expect_err("refused").problem;
        assert!(matches!(problem(without_key), Problem::KeyNotGiven));
        assert!(matches!(
            problem(without_certificate),
            Problem::CertificateNotGiven
        ));
    }

    #[test]
    fn a_certificate_that_the_other_side_would_refuse_is_refused_at_load() {
        let ca = Authority::new("CA");
        let problem = |usage, change: fn(&mut CertificateParams)| {
            let leaf = ca.leaf("db", change);
            identity_problem(inline(&leaf.chain), inline(&leaf.key), usage)
        };
        for usage in [Usage::Server, Usage::Client] {
            let expired = problem(usage, |leaf| leaf.not_after = date_time_ymd(2021, 1, 1));
            assert_eq!(
                expired.to_string(),
                "the certificate expired at 2021-01-01T00:00:00Z; renew it"
            );
            let early = problem(usage, |leaf| leaf.not_before = date_time_ymd(2999, 1, 1));
            assert!(matches!(early, Problem::NotYetValid { .. }), "{early}");
        }
        let for_clients = problem(Usage::Server, |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        assert!(
            matches!(
                for_clients,
                Problem::WrongPurpose {
                    needed: "serverAuth"
                }
            ),
            "{for_clients}"
        );
        let for_servers = problem(Usage::Client, |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        assert!(
            matches!(
                for_servers,
                Problem::WrongPurpose {
                    needed: "clientAuth"
                }
            ),
            "{for_servers}"
        );
    }

    #[test]
    fn a_chain_that_begins_with_the_issuer_is_refused() {
        let ca = Authority::new("CA");
        let leaf = ca.leaf("db", |_| {});
        let chain = format!("{}{}", ca.pem, leaf.chain);
        let problem = identity_problem(inline(&chain), inline(&leaf.key), Usage::Server);
        assert!(
            matches!(problem, Problem::ChainOrder { number: 2 }),
            "{problem}"
        );
    }

    #[test]
    fn a_version_1_certificate_is_refused_for_our_port_only() {
        let directory = TempDir::new().expect("a folder");
        mysql_manual_recipe(directory.path());
        let source = |name: &str| file(&directory.path().join(name));
        let problem = identity_problem(
            source("server-cert.pem"),
            source("server-key.pem"),
            Usage::Server,
        );
        assert!(matches!(problem, Problem::Version1), "{problem}");
        assert!(problem.to_string().contains("-extfile"), "{problem}");
        let (cert, key) = (
            Some(source("client-cert.pem")),
            Some(source("client-key.pem")),
        );
        assert!(
            load(
                &Sources {
                    ca: None,
                    cert,
                    key
                },
                Usage::Client
            )
            .is_ok()
        );
    }

    #[test]
    fn a_ca_file_counts_as_long_as_one_of_its_certificates_does() {
        let old = Authority::with("Old", |ca| ca.not_after = date_time_ymd(2021, 1, 1));
        let new = Authority::new("New");
        assert!(matches!(
            ca_problem(inline(&old.pem)),
            Problem::NoValidAuthority
        ));
        let both = inline(&format!("{}{}", old.pem, new.pem));
        assert!(
            load(
                &Sources {
                    ca: Some(both),
                    ..Sources::default()
                },
                Usage::Server
            )
            .is_ok()
        );
    }

    #[test]
    fn every_kind_of_key_loads() {
        let directory = TempDir::new().expect("a folder");
        let kinds = [
            "genrsa -traditional -out key.pem 2048",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem",
            "ecparam -name prime256v1 -genkey -out key.pem",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem",
            "genpkey -algorithm ED25519 -out key.pem",
        ];
        for kind in kinds {
            openssl(directory.path(), kind);
            openssl(
                directory.path(),
                "req -x509 -new -key key.pem -subj /CN=db -out cert.pem",
            );
            // One file for both, with Windows' line ends and text before the sections.
            let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("made");
            let both = format!("made by hand\n{}{}", read("key.pem"), read("cert.pem"))
                .replace('\n', "\r\n");
            let sources = Sources {
                ca: None,
                cert: Some(inline(&both)),
                key: Some(inline(&both)),
            };
            assert!(
                load(&sources, Usage::Server).is_ok_and(|material| material.identity.is_some()),
                "{kind}"
            );
        }
    }

    #[test]
    fn nothing_given_is_nothing_loaded() {
        let material = load(&Sources::default(), Usage::Client).expect("loads");
        assert!(material.identity.is_none() && material.authorities.is_none());
    }

    #[test]
    fn dates_are_those_of_the_clock_that_is_given() {
        let leaf = Leaf::self_signed("db", |leaf| leaf.not_after = date_time_ymd(2999, 1, 1));
        let later = UnixTime::since_unix_epoch(Duration::from_secs(32_503_680_000)); // the year 3000
        let error = Material::load(&leaf.sources(None), Usage::Server, &provider(), later)
            .expect_err("refused");
        assert!(
            matches!(error.problem(), Problem::Expired { .. }),
            "{error}"
        );
    }
}
