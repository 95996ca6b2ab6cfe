//! What a certificate says, for a person.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, extensions::ExtendedKeyUsage};

use super::certificate::{Validity, host_names, is_version_1, parse};
use super::flaw::{Flaw, timestamp};
use super::issuing::DAY;
use super::key_kind::{KeyKind, signature};
use super::names::{name, names};
use crate::rules::Certificate;

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
    pub key: KeyKind,
    /// OpenSSL's name of the algorithm that it was signed with.
    pub signature: String,
    /// SHA-256 over all of it, in hexadecimal.
    pub fingerprint: String,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// `serverAuth`, `clientAuth` and other extended key usages; none written is none here.
    pub purposes: Vec<String>,
    is_version_1: bool,
    is_signature_sound: bool,
    is_self_issued: bool,
    names_hosts: bool,
}

impl Description {
    /// Reads it.
    pub fn of(der: &CertificateDer<'_>) -> Result<Self, Flaw> {
        let certificate = parse(der)?;
        let validity = Validity::of(&certificate);
        let (signature, is_signature_sound) = signature(&certificate.signature_algorithm.algorithm);
        Ok(Self {
            names: names(der)?,
            serial: hexadecimal(certificate.raw_serial()),
            not_before: validity.not_before,
            not_after: validity.not_after,
            key: KeyKind::of(certificate.public_key()),
            signature,
            fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
            is_ca: certificate.is_ca(),
            purposes: purposes(&certificate),
            is_version_1: is_version_1(&certificate),
            is_signature_sound,
            is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            names_hosts: !host_names(&certificate).is_empty(),
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
                warnings.push(format!("it expires in less than {} days", days + 1));
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
        if !self.is_signature_sound && !self.is_self_issued {
            let name = &self.signature;
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
            Part::Unknown if self.is_ca || (self.is_version_1 && self.is_self_issued) => {
                Part::Authority
            }
            Part::Unknown if self.purposes.iter().any(|purpose| purpose == SERVER) => Part::Server,
            other => other,
        };
        match part {
            Part::Authority if self.is_ca || self.is_version_1 => None,
            Part::Authority => Some(Flaw::NotACa),
            Part::Unknown | Part::Server | Part::Client if self.is_version_1 => {
                Some(Flaw::Version1)
            }
            Part::Unknown => None,
            Part::Server | Part::Client if self.is_ca => Some(Flaw::CaAsLeaf),
            Part::Server if !allows(SERVER) => Some(Flaw::WrongPurpose { needed: SERVER }),
            Part::Client if !allows(CLIENT) => Some(Flaw::WrongPurpose { needed: CLIENT }),
            Part::Server if !self.names_hosts => Some(Flaw::NoName),
            Part::Server | Part::Client => None,
        }
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
        .filter_map(|(is_there, name)| is_there.then(|| name.to_owned()));
    known
        .chain(other.iter().map(|purpose| purpose.to_id_string()))
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
