//! What a certificate says, for a person.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::{asn1_rs::Oid, certificate::X509Certificate, extensions::ExtendedKeyUsage};

use crate::{
    rules::Certificate,
    tls::certificate::{
        DAY, Validity,
        algorithm::Algorithm,
        flaw::{Flaw, timestamp},
        is_version_1,
        names::{name, names},
        parse,
    },
};

/// What a certificate says, in one line for a person.
pub fn describe(der: &CertificateDer<'_>) -> String {
    match parse(der) {
        Ok(certificate) => format!(
            "subject {}, issuer {}, valid from {} until {}",
            name(certificate.subject()),
            name(certificate.issuer()),
            timestamp(Validity::of(&certificate).not_before),
            timestamp(Validity::of(&certificate).not_after),
        ),
        Err(flaw) => flaw.to_string(),
    }
}

/// What a certificate is looked at as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A server's own.
    Server,
    /// A client's own.
    Client,
    /// One that signs others.
    Authority,
    /// Nobody said: what it says of itself counts.
    Unknown,
}

/// Everything in a certificate that an operator asks for. Nothing is verified.
#[derive(Debug, Clone)]
pub struct Description {
    /// Subject, issuer and other names, as rules see them.
    pub names: Certificate,
    /// In hexadecimal, as OpenSSL prints it.
    pub serial: String,
    /// First moment.
    pub not_before: UnixTime,
    /// Last moment.
    pub not_after: UnixTime,
    /// Its key.
    pub key: Algorithm,
    /// How it was signed.
    pub signature: Algorithm,
    /// SHA-256 over all of it, in hexadecimal.
    pub fingerprint: String,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// `serverAuth`, `clientAuth` and other extended key usages; none written is none here.
    pub purposes: Vec<String>,
    is_version_1: bool,
}

impl Description {
    /// Reads it.
    pub fn of(der: &CertificateDer<'_>) -> Result<Self, Flaw> {
        let certificate = parse(der)?;
        let validity = Validity::of(&certificate);
        Ok(Self {
            names: names(der)?,
            serial: hexadecimal(number(certificate.raw_serial())),
            not_before: validity.not_before,
            not_after: validity.not_after,
            key: Algorithm::of_key(certificate.public_key()),
            signature: Algorithm::of_signature(&certificate.signature_algorithm.algorithm),
            fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
            is_ca: certificate.is_ca(),
            purposes: purposes(&certificate),
            is_version_1: is_version_1(&certificate),
        })
    }

    /// From when until when, and how much of it is left.
    pub fn validity(&self, now: UnixTime) -> String {
        let left = match self.state(now) {
            State::Later => "not yet valid".to_owned(),
            State::Now(1) => "1 day left".to_owned(),
            State::Now(days) => format!("{days} days left"),
            State::Over => "EXPIRED".to_owned(),
        };
        format!(
            "{} until {} ({left})",
            timestamp(self.not_before),
            timestamp(self.not_after)
        )
    }

    /// Whether it is in its dates.
    pub fn is_valid(&self, now: UnixTime) -> bool {
        matches!(self.state(now), State::Now(_))
    }

    /// What an operator should know of it, each as a sentence about "it".
    pub fn warnings(&self, part: Part, now: UnixTime) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.state(now) {
            State::Over => warnings.push("it has expired; renew it".to_owned()),
            State::Later => warnings.push("it is not valid yet; is the clock right?".to_owned()),
            State::Now(days) if days < SOON_DAYS => {
                warnings.push("it expires soon; renew it".to_owned());
            }
            State::Now(_) => {}
        }
        if !self.key.is_sound {
            let name = &self.key.name;
            warnings.push(format!(
                "its key ({name}) is too weak, or of a kind that is not supported"
            ));
        }
        // nobody checks what a root says of itself
        if !self.signature.is_sound && !self.is_self_issued() {
            let name = &self.signature.name;
            warnings.push(format!(
                "its signature ({name}) is too weak, or not supported"
            ));
        }
        warnings.extend(self.unfit(part).iter().map(ToString::to_string));
        warnings
    }

    /// Why it does not serve as what it is looked at as.
    fn unfit(&self, part: Part) -> Option<Flaw> {
        let allows = |needed| {
            self.purposes.is_empty()
                || self
                    .purposes
                    .iter()
                    .any(|purpose| purpose == needed || purpose == ANY)
        };
        let part = match part {
            Part::Unknown if self.is_ca || (self.is_version_1 && self.is_self_issued()) => {
                Part::Authority
            }
            Part::Unknown if self.purposes.iter().any(|purpose| purpose == SERVER) => Part::Server,
            other => other,
        };
        match part {
            Part::Authority if self.is_ca || self.is_version_1 => None,
            Part::Authority => Some(Flaw::NotACa),
            Part::Server | Part::Client | Part::Unknown if self.is_version_1 => {
                Some(Flaw::Version1)
            }
            Part::Server | Part::Client if self.is_ca => Some(Flaw::CaAsLeaf),
            Part::Server if !allows(SERVER) => Some(Flaw::WrongPurpose { needed: SERVER }),
            Part::Client if !allows(CLIENT) => Some(Flaw::WrongPurpose { needed: CLIENT }),
            Part::Server if !self.names_hosts() => Some(Flaw::NoName),
            Part::Server | Part::Client | Part::Unknown => None,
        }
    }

    fn is_self_issued(&self) -> bool {
        self.names.subject == self.names.issuer
    }

    fn names_hosts(&self) -> bool {
        let names = &self.names.alternative_names;
        !names.dns.is_empty() || !names.addresses.is_empty()
    }

    fn state(&self, now: UnixTime) -> State {
        if now < self.not_before {
            State::Later
        } else if now > self.not_after {
            State::Over
        } else {
            let left = self.not_after.as_secs().saturating_sub(now.as_secs());
            State::Now(Duration::from_secs(left).as_secs() / DAY.as_secs())
        }
    }
}

/// Fewer whole days than this are soon.
const SOON_DAYS: u64 = 30;

const SERVER: &str = "serverAuth";
const CLIENT: &str = "clientAuth";
const ANY: &str = "anyExtendedKeyUsage";

/// Where in its dates a certificate is.
enum State {
    Later,
    /// With so many whole days left.
    Now(u64),
    Over,
}

/// In RFC 5280's words; others by their number.
fn purposes(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
        other,
    } = extension.value;
    let known = [
        (*any, ANY),
        (*server_auth, SERVER),
        (*client_auth, CLIENT),
        (*code_signing, "codeSigning"),
        (*email_protection, "emailProtection"),
        (*time_stamping, "timeStamping"),
        (*ocsp_signing, "OCSPSigning"),
    ];
    let known = known
        .into_iter()
        .filter(|(is_there, _)| *is_there)
        .map(|(_, name)| name.to_owned());
    known.chain(other.iter().map(Oid::to_id_string)).collect()
}

/// Without the zero that only says "positive".
fn number(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        other => other,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // a string takes all
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType, date_time_ymd};
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::tls::issuing::later;
    use crate::tls::testing::{Authority, Leaf};

    fn description(change: impl FnOnce(&mut CertificateParams)) -> Description {
        let leaf = Leaf::self_signed("db", change);
        let der = CertificateDer::from_pem_slice(leaf.chain.as_bytes()).expect("a certificate");
        Description::of(&der).expect("readable")
    }

    fn at(year: i32, month: u8, day: u8) -> UnixTime {
        let seconds = date_time_ymd(year, month, day).unix_timestamp();
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).expect("later")))
    }

    #[test]
    fn days_left_are_whole_days() {
        let description = description(|leaf| {
            leaf.not_before = date_time_ymd(2030, 1, 1);
            leaf.not_after = date_time_ymd(2030, 3, 2);
        });
        let second = Duration::from_secs(1);
        let end = at(2030, 3, 2);
        for (now, left, is_valid) in [
            (at(2029, 12, 31), "not yet valid", false),
            (at(2030, 1, 1), "60 days left", true),
            (at(2030, 2, 28), "2 days left", true),
            (later(at(2030, 2, 28), second), "1 day left", true),
            (end, "0 days left", true),
            (later(end, second), "EXPIRED", false),
        ] {
            let validity = format!("2030-01-01T00:00:00Z until 2030-03-02T00:00:00Z ({left})");
            assert_eq!(description.validity(now), validity);
            assert_eq!(description.is_valid(now), is_valid);
        }
        let soon = "it expires soon; renew it".to_owned();
        assert!(
            !description
                .warnings(Part::Client, at(2030, 1, 31))
                .contains(&soon)
        );
        assert!(
            description
                .warnings(Part::Client, at(2030, 2, 1))
                .contains(&soon)
        );
    }

    #[test]
    fn certificate_is_warned_of_as_what_it_is_looked_at_as() {
        let purpose = |purpose| description(move |leaf| leaf.extended_key_usages = vec![purpose]);
        let server = || {
            description(|leaf| {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                leaf.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())];
            })
        };
        let ca = || {
            let ca = Authority::new("CA");
            let der = CertificateDer::from_pem_slice(ca.pem.as_bytes()).expect("a certificate");
            Description::of(&der).expect("readable")
        };
        for (description, part, expected) in [
            (description(|_| {}), Part::Client, None),
            (description(|_| {}), Part::Unknown, None),
            (description(|_| {}), Part::Server, Some(Flaw::NoName)),
            (description(|_| {}), Part::Authority, Some(Flaw::NotACa)),
            (server(), Part::Server, None),
            (server(), Part::Unknown, None),
            (
                server(),
                Part::Client,
                Some(Flaw::WrongPurpose {
                    needed: "clientAuth",
                }),
            ),
            (
                purpose(ExtendedKeyUsagePurpose::ServerAuth),
                Part::Unknown,
                Some(Flaw::NoName),
            ),
            (
                purpose(ExtendedKeyUsagePurpose::ClientAuth),
                Part::Unknown,
                None,
            ),
            (purpose(ExtendedKeyUsagePurpose::Any), Part::Client, None),
            (
                purpose(ExtendedKeyUsagePurpose::ClientAuth),
                Part::Server,
                Some(Flaw::WrongPurpose {
                    needed: "serverAuth",
                }),
            ),
            (ca(), Part::Unknown, None),
            (ca(), Part::Authority, None),
            (ca(), Part::Server, Some(Flaw::CaAsLeaf)),
            (ca(), Part::Client, Some(Flaw::CaAsLeaf)),
        ] {
            assert_eq!(
                description.unfit(part),
                expected,
                "{part:?} {description:?}"
            );
        }
    }

    /// Every byte of a certificate changed, and every length cut.
    #[test]
    fn damaged_certificates_are_described_or_refused() {
        let leaf = Leaf::self_signed("db", |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            leaf.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())];
        });
        let der = CertificateDer::from_pem_slice(leaf.chain.as_bytes()).expect("a certificate");
        let mut refused = 0;
        let mut describe = |bytes: &[u8]| match Description::of(&CertificateDer::from(bytes)) {
            Ok(description) => drop(description.warnings(Part::Unknown, at(2030, 1, 1))),
            Err(_) => refused += 1,
        };
        for position in 0..der.len() {
            describe(&der[..position]);
            for value in [0, 0x7F, 0x80, 0xFF, der[position].wrapping_add(1)] {
                let mut bytes = der.to_vec();
                bytes[position] = value;
                describe(&bytes);
            }
        }
        assert!(refused > der.len(), "{refused}");
    }
}
