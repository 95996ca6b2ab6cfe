//! Making keys and certificates: what auto-tls and `mytls certs new` have in common.
//!
//! What is made is version 3, with a random serial number, a subject alternative name for each host, and the extensions
//! that `openssl verify -x509_strict` asks for.

pub(crate) mod auto;
pub(crate) mod ca;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber,
    SigningKey,
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, DnsName, ServerName, UnixTime},
};

use crate::tls::{certificate::DAY, trust::authorities::Usage};

/// Clients' clocks may be behind ours.
pub(crate) const BACKDATED: Duration = DAY;

/// Which key is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewKey {
    /// ECDSA on P-256: small and fast.
    #[default]
    P256,
    /// RSA of 2048 bits, as MySQL makes for itself: for what knows nothing else.
    Rsa,
}

impl NewKey {
    pub(crate) fn generate(self) -> Result<KeyPair, IssueError> {
        Ok(match self {
            Self::P256 => KeyPair::generate()?,
            Self::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        })
    }
}

/// A key or a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The certificate library.
    #[error("{0}")]
    Make(#[from] rcgen::Error),
    /// The random number generator.
    #[error("{0}")]
    Random(#[from] rustls::Error),
}

/// A host that a server's certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// A DNS name; its first label may be `*`.
    Dns(String),
    /// An IP address.
    Address(IpAddr),
}

/// Not a host's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a host name (db.example, *.db.example) nor an IP address")]
pub struct NoHostName;

impl HostName {
    /// This machine, if it has a name that DNS could have.
    pub fn of_this_machine() -> Option<Self> {
        let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
        name.parse().ok()
    }

    /// What every machine calls itself.
    pub fn loopback() -> [Self; 3] {
        [
            Self::Dns("localhost".to_owned()),
            Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Self::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ]
    }

    /// As a client that verifies asks for it; none of a wildcard.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Dns(name) => ServerName::try_from(name.clone()).ok(),
            Self::Address(address) => Some(ServerName::from(*address)),
        }
    }

    fn alternative_name(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }
}

impl FromStr for HostName {
    type Err = NoHostName;

    /// With or without the `DNS:` or `IP:` of OpenSSL and of `REQUIRE SAN` before it.
    fn from_str(text: &str) -> Result<Self, NoHostName> {
        let (dns, ip) = (text.strip_prefix("DNS:"), text.strip_prefix("IP:"));
        if let Ok(address) = ip.unwrap_or(text).parse() {
            return Ok(Self::Address(address));
        }
        let name = dns.unwrap_or(text);
        DnsName::try_from(name.strip_prefix("*.").unwrap_or(name))
            .map(|_| Self::Dns(name.to_owned()))
            .map_err(|_| NoHostName)
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A certificate in both of its forms.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

impl From<rcgen::Certificate> for Issued {
    fn from(certificate: rcgen::Certificate) -> Self {
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
        }
    }
}

/// What is to stand in a certificate that is no CA's.
pub(crate) struct Leaf<'a> {
    pub(crate) common_name: &'a str,
    pub(crate) hosts: &'a [HostName],
    pub(crate) usage: Usage,
    pub(crate) not_after: UnixTime,
}

/// Where certificates are issued.
pub(crate) struct Desk<'a> {
    pub(crate) provider: &'a CryptoProvider,
    pub(crate) now: UnixTime,
}

impl Desk<'_> {
    pub(crate) fn issue_ca(&self, key: &KeyPair, lifetime: Duration) -> Result<Issued, IssueError> {
        let mut parameters = ca_parameters(key);
        self.date(&mut parameters, later(self.now, lifetime));
        parameters.serial_number = Some(self.serial_number()?);
        Ok(parameters.self_signed(key)?.into())
    }

    pub(crate) fn issue(
        &self,
        leaf: &Leaf<'_>,
        key: &KeyPair,
        issuer: &Issuer<'_, impl SigningKey>,
    ) -> Result<Issued, IssueError> {
        let mut parameters = named(leaf.common_name);
        self.date(&mut parameters, leaf.not_after);
        parameters.serial_number = Some(self.serial_number()?);
        parameters.subject_alt_names = leaf
            .hosts
            .iter()
            .map(HostName::alternative_name)
            .collect::<Result<_, _>>()?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.is_compatible(&PKCS_RSA_SHA256) {
            // for key exchanges of before TLS 1.3, which whoever needs RSA may need too
            parameters.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        parameters.extended_key_usages = vec![match leaf.usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        parameters.use_authority_key_identifier_extension = true;
        Ok(parameters.signed_by(key, issuer)?.into())
    }

    fn date(&self, parameters: &mut CertificateParams, not_after: UnixTime) {
        let at = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
        parameters.not_before = (at(self.now) - BACKDATED).into();
        parameters.not_after = at(not_after).into();
    }

    /// Random: rcgen's own is made of the key, and auto-tls' stays the same while certificates may not share a number.
    fn serial_number(&self) -> Result<SerialNumber, IssueError> {
        let mut bytes = [0; 16];
        self.provider
            .secure_random
            .fill(&mut bytes)
            .map_err(rustls::Error::from)?;
        // Positive, and without a leading zero.
        bytes[0] = bytes[0] & 0x7F | 0x40;
        Ok(SerialNumber::from_slice(&bytes))
    }
}

pub(crate) fn later(time: UnixTime, by: Duration) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs()).saturating_add(by))
}

/// The CA's name carries part of its key's identifier: OpenSSL finds an issuer by name, and two hosts' CAs may stand in one
/// bundle.
pub(crate) fn ca_parameters(key: &KeyPair) -> CertificateParams {
    let key_identifier = CertificateParams::default().key_identifier(key);
    let short = key_identifier
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let mut parameters = named(&format!("mytls CA {short:08x}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn named(common_name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_name_is_refused() {
        for text in [
            "",
            "a b",
            "*",
            "*.*.a",
            "a.*",
            "DNS:",
            "IP:a.test",
            "10.0.0.0/8",
            "URI:a",
            "-a",
            "a,b",
            "DNS:IP:10.0.0.1",
        ] {
            assert_eq!(text.parse::<HostName>(), Err(NoHostName), "{text}");
        }
    }

    #[test]
    fn host_names_are_read_in_openssls_words_too() {
        let dns = |name: &str| Ok(HostName::Dns(name.to_owned()));
        for text in ["db.test", "DNS:db.test"] {
            assert_eq!(text.parse(), dns("db.test"));
        }
        assert_eq!("*.db.test".parse(), dns("*.db.test"));
        for text in ["::1", "IP:::1"] {
            assert_eq!(text.parse(), Ok(HostName::loopback()[2].clone()));
        }
    }
}
