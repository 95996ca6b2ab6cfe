//! What stands in one certificate: dates, key, hosts.

pub(crate) mod algorithm;
pub(crate) mod dates;
pub(crate) mod description;
pub(crate) mod flaw;
pub(crate) mod names;

use std::{net::IpAddr, time::Duration};

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    public_key::PublicKey, time::ASN1Time, x509::X509Version,
};

use crate::tls::certificate::flaw::Flaw;

pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Flaw> {
    match X509Certificate::from_der(der.as_ref()) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(Flaw::Malformed),
    }
}

/// The version that came before extensions, and has none: whoever adds them to it is not believed.
pub(crate) fn is_version_1(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1 && certificate.extensions().is_empty()
}

/// The key that a handshake's signature is checked with. webpki reads it, so that the key is the one whose certificate
/// webpki judges; it refuses X.509 v1, which has nothing of version 3 that could be read differently.
pub(crate) fn public_key(
    der: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, Flaw> {
    match webpki::EndEntityCert::try_from(der) {
        Ok(certificate) => Ok(certificate.subject_public_key_info()),
        Err(webpki::Error::UnsupportedCertVersion) => Ok(SubjectPublicKeyInfoDer::from(
            parse(der)?.public_key().raw.to_vec(),
        )),
        Err(_) => Err(Flaw::Malformed),
    }
}

/// Shorter ones are broken, and no signature by them is accepted.
pub(crate) const SHORTEST_RSA_BITS: usize = 2048;

/// The length of an RSA key; none for keys of other kinds.
pub(crate) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    }
}

/// The hosts that a server's certificate is for, ready to log; enough of them to see the mistake.
pub(crate) fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    const ENOUGH: usize = 5;
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.escape_debug().to_string()),
            GeneralName::IPAddress(octets) => ip_address(octets).map(|address| address.to_string()),
            _ => None,
        })
        .take(ENOUGH)
        .collect()
}

pub(crate) fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

/// What stands behind the outer tag and length of a DER value; webpki has names so.
pub(crate) fn contents(der: &[u8]) -> &[u8] {
    let length_octets = match der.get(1) {
        Some(long) if long & 0x80 != 0 => usize::from(long & 0x7F),
        _ => 0,
    };
    der.get(2 + length_octets..).unwrap_or_default()
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// First and last moment of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

impl Validity {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            not_before: unix_time(validity.not_before),
            not_after: unix_time(validity.not_after),
        }
    }

    pub(crate) fn check(&self, now: UnixTime) -> Result<(), Flaw> {
        if now < self.not_before {
            Err(Flaw::NotYetValid {
                not_before: self.not_before,
            })
        } else if now > self.not_after {
            Err(Flaw::Expired {
                not_after: self.not_after,
            })
        } else {
            Ok(())
        }
    }
}

/// Before 1970 is as good as 1970.
pub(crate) fn unix_time(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(time.timestamp()).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_malformed() {
        let der = CertificateDer::from(b"0\x03abc".as_slice());
        assert_eq!(parse(&der).map(|_| ()), Err(Flaw::Malformed));
        assert_eq!(public_key(&der).map(|_| ()), Err(Flaw::Malformed));
    }
}
