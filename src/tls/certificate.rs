//! What stands in one certificate: names as MySQL prints them, dates, key.

use std::{net::IpAddr, time::Duration};

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::FromDer as _,
    time::ASN1Time,
    x509::{X509Name, X509Version},
};

use super::flaw::{Flaw, timestamp};
use crate::rules::Certificate;

/// The names in a certificate; nothing is verified here.
pub(super) fn names(der: &CertificateDer<'_>) -> Result<Certificate, Flaw> {
    let certificate = parse(der)?;
    Ok(Certificate {
        subject: one_line(certificate.subject()),
        issuer: one_line(certificate.issuer()),
    })
}

pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Flaw> {
    match X509Certificate::from_der(der.as_ref()) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(Flaw::Malformed),
    }
}

/// The version that came before extensions, and has none: whoever adds them to it is not believed.
pub(super) fn is_version_1(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1 && certificate.extensions().is_empty()
}

/// The key that a handshake's signature is checked with. webpki reads it, so that the key is the one whose certificate
/// webpki judges; it refuses X.509 v1, which has nothing of version 3 that could be read differently.
pub(super) fn public_key(
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

/// The hosts that a server's certificate is for, ready to log; enough of them to see the mistake.
pub(super) fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
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

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

/// First and last moment of a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    not_before: UnixTime,
    not_after: UnixTime,
}

impl Validity {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            not_before: unix_time(validity.not_before),
            not_after: unix_time(validity.not_after),
        }
    }

    pub(super) fn check(&self, now: UnixTime) -> Result<(), Flaw> {
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

/// What a certificate says, in one line for a person.
pub fn describe(der: &CertificateDer<'_>) -> String {
    match parse(der) {
        Ok(certificate) => format!(
            "subject {}, issuer {}, valid from {} until {}",
            one_line(certificate.subject()),
            one_line(certificate.issuer()),
            timestamp(Validity::of(&certificate).not_before),
            timestamp(Validity::of(&certificate).not_after),
        ),
        Err(flaw) => flaw.to_string(),
    }
}

/// Before 1970 is as good as 1970.
fn unix_time(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(time.timestamp()).unwrap_or(0),
    ))
}

/// A name as `X509_NAME_oneline` of OpenSSL 3 prints it (`/O=Lab/OU=clients/CN=dm`): `/` and `+` inside values are escaped,
/// all that is not printable ASCII is `\xHH`, so the text is also safe to log.
pub(super) fn one_line(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for relative_name in name.iter_rdn() {
        for (position, attribute) in relative_name.iter().enumerate() {
            line.push(if position == 0 { '/' } else { '+' });
            let oid = attribute.attr_type().to_id_string();
            line.push_str(short_name(&oid).unwrap_or(&oid));
            line.push('=');
            push_value(&mut line, attribute.attr_value().data);
        }
    }
    line
}

fn push_value(line: &mut String, value: &[u8]) {
    for &byte in value {
        match byte {
            b'/' | b'+' => {
                line.push('\\');
                line.push(char::from(byte));
            }
            b' '..=b'~' => line.push(char::from(byte)),
            _ => {
                line.push_str("\\x");
                for digit in [byte >> 4, byte & 0x0F] {
                    line.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
}

/// OpenSSL's short names of the attributes that stand in real subjects; it prints others as their number.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.16" => "postalAddress",
        "2.5.4.17" => "postalCode",
        "2.5.4.20" => "telephoneNumber",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.45" => "x500UniqueIdentifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.72" => "role",
        "2.5.4.97" => "organizationIdentifier",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        "1.2.840.113549.1.9.8" => "unstructuredAddress",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.3" => "mail",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::{openssl, openssl_words};

    /// `-nameopt compat` is `X509_NAME_oneline`, which MySQL compares with.
    #[test]
    fn names_are_written_as_openssl_writes_them() {
        let directory = TempDir::new().expect("a folder");
        openssl(
            directory.path(),
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key",
        );
        let subjects = [
            "/O=Lab/OU=clients/CN=dm",
            r"/CN=a\/b\+c=d,e",
            "/O=Multi+OU=Valued/CN=x",
            "/CN=Zo\u{eb} \u{1f600}",
            "/CN=tab\there",
            "/CN=first/CN=second",
            "/emailAddress=a@b.test/UID=u1/DC=test/serialNumber=42/title=Dr/GN=G/SN=S/initials=GS/street=Way 1",
            "/C=SE/ST=Scania/L=Lund/postalCode=22100/description=d/businessCategory=b/name=n/dnQualifier=q",
            "/pseudonym=p/generationQualifier=III/organizationIdentifier=VAT",
            "/telephoneNumber=1/role=r/unstructuredName=un/unstructuredAddress=ua/mail=m@b.test",
            "/jurisdictionL=l/jurisdictionST=st/jurisdictionC=SE",
            "/1.2.3.4.5=odd/CN=x",
        ];
        for subject in subjects {
            let request = "req -x509 -new -key key -utf8 -multivalue-rdn -out cert.pem -subj";
            openssl_words(
                directory.path(),
                &request.split(' ').chain([subject]).collect::<Vec<_>>(),
            );
            let printed = openssl(
                directory.path(),
                "x509 -in cert.pem -noout -subject -nameopt compat",
            );
            let expected = printed
                .trim_end()
                .strip_prefix("subject=")
                .expect("a subject")
                .trim_start();
            let der = CertificateDer::from_pem_file(directory.path().join("cert.pem"))
                .expect("a certificate");
            let certificate = names(&der).expect("readable");
            assert_eq!(certificate.subject, expected);
            assert_eq!(certificate.issuer, expected, "self-signed");
        }
    }

    #[test]
    fn what_is_no_certificate_is_malformed() {
        let der = CertificateDer::from(b"0\x03abc".as_slice());
        assert_eq!(names(&der), Err(Flaw::Malformed));
        assert_eq!(public_key(&der).map(|_| ()), Err(Flaw::Malformed));
    }

    #[test]
    fn times_are_printed_in_utc_and_never_fail() {
        let at = |seconds| timestamp(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(1_609_459_200), "2021-01-01T00:00:00Z");
        assert_eq!(at(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
