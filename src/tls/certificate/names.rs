//! The names in a certificate, for rules to compare: subject, issuer, common name, alternative names.
//!
//! Nothing is verified here. What can be read in more than one way is not read at all.

use rustls::pki_types::CertificateDer;
use x509_parser::{
    asn1_rs::{Any, Class, Tag},
    certificate::X509Certificate,
    extensions::GeneralName,
    x509::X509Name,
};

use crate::{
    rules::{AlternativeNames, Attribute, Certificate, Name},
    tls::certificate::{flaw::Flaw, ip_address, parse},
};

/// The longest common name of X.520, in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// The names in a certificate.
pub(crate) fn names(der: &CertificateDer<'_>) -> Result<Certificate, Flaw> {
    let certificate = parse(der)?;
    Ok(Certificate {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        common_name: common_name(certificate.subject()).map(str::to_owned),
        alternative_names: alternative_names(&certificate),
    })
}

/// A name as OpenSSL prints it in one line.
pub(crate) fn name(name: &X509Name<'_>) -> Name {
    // kept, so that attributes can borrow them
    let kinds: Vec<Vec<String>> = name
        .iter_rdn()
        .map(|attributes| {
            let kinds = attributes
                .iter()
                .map(|attribute| attribute.attr_type().to_id_string());
            kinds.collect()
        })
        .collect();
    let relative_names: Vec<Vec<Attribute<'_>>> = name
        .iter_rdn()
        .zip(&kinds)
        .map(|(attributes, kinds)| {
            let attributes = attributes.iter().zip(kinds);
            attributes
                .map(|(attribute, kind)| Attribute {
                    kind: short_name(kind).unwrap_or(kind),
                    value: attribute.attr_value().data,
                    text: text(attribute.attr_value()),
                })
                .collect()
        })
        .collect();
    Name::new(&relative_names)
}

/// The only common name of a subject. Several, an empty or overlong one, and one that others may read as another (NUL,
/// control characters, two-byte strings) are as good as none.
pub(crate) fn common_name<'a>(subject: &'a X509Name<'_>) -> Option<&'a str> {
    let mut common_names = subject.iter_common_name();
    let (only, None) = (common_names.next()?, common_names.next()) else {
        return None;
    };
    text(only.attr_value()).filter(|name| {
        (1..=LONGEST_COMMON_NAME).contains(&name.chars().count())
            && !name.contains(char::is_control)
    })
}

/// A string's text. ASCII is itself in nearly every kind of string; of other characters only UTF-8 is certain: what
/// stands in a `TeletexString` depends on who reads it, and a `BMPString` of two Chinese characters has the bytes of four
/// letters.
fn text<'a>(value: &'a Any<'_>) -> Option<&'a str> {
    if value.header.is_constructed() || value.class() != Class::Universal {
        return None;
    }
    let text = str::from_utf8(value.data).ok()?;
    match value.tag() {
        Tag::Utf8String => Some(text),
        Tag::PrintableString
        | Tag::Ia5String
        | Tag::VisibleString
        | Tag::NumericString
        | Tag::TeletexString => Some(text).filter(|text| text.is_ascii()),
        _ => None,
    }
}

/// Those that a rule can ask for. Unreadable ones are none.
fn alternative_names(certificate: &X509Certificate<'_>) -> AlternativeNames {
    let mut names = AlternativeNames::default();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return names;
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::IPAddress(octets) => names.addresses.extend(ip_address(octets)),
            _ => {}
        }
    }
    names
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
    use rcgen::{
        CertificateParams, DistinguishedName, DnType, DnValue, SanType,
        string::{BmpString, TeletexString},
    };
    use rustls::pki_types::pem::PemObject as _;
    use tempfile::TempDir;
    use x509_parser::asn1_rs::FromBer as _;

    use super::*;
    use crate::tls::testing::{Leaf, openssl, openssl_words};

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
            assert_eq!(certificate.subject.to_string(), expected);
            assert!(certificate.subject.is_written(expected), "{expected}");
            assert_eq!(certificate.issuer, certificate.subject, "self-signed");
        }
    }

    fn named(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let leaf = Leaf::self_signed("dm", change);
        let der = CertificateDer::from_pem_slice(leaf.chain.as_bytes()).expect("a certificate");
        names(&der).expect("readable")
    }

    /// A subject of these common names. Two of one kind must have different types in rcgen.
    fn common_names(values: Vec<DnValue>) -> Certificate {
        const SAME: [fn() -> DnType; 2] = [
            || DnType::CommonName,
            || DnType::CustomDnType(vec![2, 5, 4, 3]),
        ];
        named(|leaf| {
            leaf.distinguished_name = DistinguishedName::new();
            for (kind, value) in SAME.iter().zip(values) {
                leaf.distinguished_name.push(kind(), value);
            }
        })
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn a_common_name_that_could_be_another_is_none() {
        let bmp = |text: &str| DnValue::BmpString(BmpString::try_from(text).expect("characters"));
        for (case, values) in [
            ("none", vec![]),
            ("empty", vec![utf8("")]),
            ("several", vec![utf8("dm"), utf8("app")]),
            ("twice the same", vec![utf8("dm"), utf8("dm")]),
            ("NUL", vec![utf8("dm\0.evil.test")]),
            ("a line break", vec![utf8("dm\n")]),
            ("two-byte letters", vec![bmp("dm")]),
            (
                "two-byte characters whose bytes are letters",
                vec![bmp("\u{646d}")],
            ),
            ("65 characters", vec![utf8(&"d".repeat(65))]),
        ] {
            assert_eq!(common_names(values).common_name, None, "{case}");
        }
    }

    #[test]
    fn a_common_name_is_read_in_ascii_and_in_utf_8() {
        let teletex = TeletexString::try_from("dm").expect("ASCII");
        let long = "\u{eb}".repeat(64);
        for (value, expected) in [
            (utf8("dm"), "dm"),
            (DnValue::TeletexString(teletex), "dm"),
            (utf8("Zo\u{eb} \u{1f600}"), "Zo\u{eb} \u{1f600}"),
            (utf8(&long), &long),
        ] {
            let certificate = common_names(vec![value]);
            assert_eq!(certificate.common_name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn no_rule_names_a_subject_whose_bytes_are_not_surely_its_text() {
        let bmp = BmpString::try_from("\u{646d}").expect("a character");
        let certificate = common_names(vec![DnValue::BmpString(bmp)]);
        assert_eq!(certificate.subject.to_string(), "/CN=dm");
        assert!(!certificate.subject.is_written("/CN=dm"));
    }

    #[test]
    fn text_is_read_only_where_it_can_be_read_in_one_way() {
        for (case, bytes, expected) in [
            ("UTF-8", &b"\x0C\x02\xC3\xAB"[..], Some("\u{eb}")),
            ("printable", b"\x13\x02dm", Some("dm")),
            ("ASCII", b"\x16\x02dm", Some("dm")),
            ("Teletex of ASCII", b"\x14\x02dm", Some("dm")),
            ("no UTF-8", b"\x0C\x02\xEB\xEB", None),
            ("Teletex of more", b"\x14\x02\xC3\xAB", None),
            ("printable that is not", b"\x13\x02\xC3\xAB", None),
            ("two-byte", b"\x1E\x02dm", None),
            ("four-byte", b"\x1C\x04\0\0\0d", None),
            ("bits", b"\x03\x02dm", None),
            ("in pieces", b"\x2C\x04\x0C\x02dm", None),
            ("no string", b"\x8C\x02dm", None),
        ] {
            let (rest, value) = Any::from_ber(bytes).expect(case);
            assert_eq!((rest, text(&value)), (&[][..], expected), "{case}");
        }
    }

    #[test]
    fn alternative_names_are_read_by_kind() {
        let certificate = named(|leaf| {
            let text = |text: &str| text.try_into().expect("ASCII");
            leaf.subject_alt_names = vec![
                SanType::DnsName(text("*.lab.test")),
                SanType::URI(text("spiffe://lab/dm")),
                SanType::Rfc822Name(text("dm@lab.test")),
                SanType::IpAddress([10, 0, 0, 1].into()),
                SanType::IpAddress([0, 0, 0, 0, 0, 0, 0, 1_u16].into()),
                SanType::DnsName(text("dm.lab.test")),
            ];
        });
        let expected = "DNS:*.lab.test,DNS:dm.lab.test,URI:spiffe://lab/dm,IP:10.0.0.1,IP:::1";
        assert_eq!(certificate.alternative_names.to_string(), expected);
        assert_eq!(named(|_| {}).alternative_names, AlternativeNames::default());
    }
}
