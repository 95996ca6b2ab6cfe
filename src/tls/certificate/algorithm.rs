//! Kinds of keys and of signatures, by name, and whether they are sound.

use x509_parser::{
    asn1_rs::{Oid, Tag},
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

/// The kind of a public key, or of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm {
    /// Of a key `RSA, 2048 bits`, `EC, P-256`, `Ed25519`; of a signature OpenSSL's name. What has no name here has its number.
    pub name: String,
    /// Whether TLS of today takes it.
    pub is_sound: bool,
}

impl Algorithm {
    pub(crate) fn of_key(key: &SubjectPublicKeyInfo<'_>) -> Self {
        let (name, is_sound) = match key.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => rsa(key),
            "1.2.840.10045.2.1" => curve(key),
            "1.3.101.112" => ("Ed25519".to_owned(), true),
            "1.3.101.113" => ("Ed448".to_owned(), false),
            "1.2.840.10040.4.1" => ("DSA".to_owned(), false),
            other => (other.to_owned(), false),
        };
        Self { name, is_sound }
    }

    pub(crate) fn of_signature(algorithm: &Oid<'_>) -> Self {
        let number = algorithm.to_id_string();
        let (name, is_sound) = signature(&number);
        Self {
            name: name.to_owned(),
            is_sound,
        }
    }
}

fn rsa(key: &SubjectPublicKeyInfo<'_>) -> (String, bool) {
    /// Fewer are in reach of those who would break them; aws-lc takes none with more than 8192.
    const SOUND: std::ops::RangeInclusive<usize> = 2048..=8192;
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else {
        return ("RSA, damaged".to_owned(), false);
    };
    let significant = rsa.modulus.iter().skip_while(|byte| **byte == 0);
    let bits = significant.clone().count() * 8
        - significant
            .clone()
            .next()
            .map_or(0, |first| first.leading_zeros() as usize);
    (format!("RSA, {bits} bits"), SOUND.contains(&bits))
}

fn curve(key: &SubjectPublicKeyInfo<'_>) -> (String, bool) {
    let curve = key
        .algorithm
        .parameters
        .as_ref()
        // a curve written out is a sequence, which `Oid` would take too
        .filter(|parameters| parameters.tag() == Tag::Oid)
        .and_then(|parameters| Oid::try_from(parameters.clone()).ok())
        .map(|curve| curve.to_id_string());
    let (name, is_sound) = match curve.as_deref() {
        Some("1.2.840.10045.3.1.7") => ("P-256", true),
        Some("1.3.132.0.34") => ("P-384", true),
        Some("1.3.132.0.35") => ("P-521", true),
        Some("1.3.132.0.10") => ("secp256k1", false),
        Some(other) => (other, false),
        None => ("a curve of its own", false),
    };
    (format!("EC, {name}"), is_sound)
}

fn signature(number: &str) -> (&str, bool) {
    match number {
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", false),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", false),
        "1.2.840.113549.1.1.10" => ("rsassaPss", true),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", true),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", true),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", true),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", true),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", true),
        "1.3.101.112" => ("ED25519", true),
        "1.3.101.113" => ("ED448", false),
        other => (other, false),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    use tempfile::TempDir;

    use super::*;
    use crate::tls::{certificate::parse, testing::openssl};

    #[test]
    fn keys_and_signatures_are_named_as_openssl_made_them() {
        let folder = TempDir::new().expect("a folder");
        for (key, digest, name, signed, is_sound) in [
            (
                "RSA -pkeyopt rsa_keygen_bits:1024",
                "-sha1",
                "RSA, 1024 bits",
                "sha1WithRSAEncryption",
                [false, false],
            ),
            (
                "RSA -pkeyopt rsa_keygen_bits:2047",
                "-sha384",
                "RSA, 2047 bits",
                "sha384WithRSAEncryption",
                [false, true],
            ),
            (
                "RSA -pkeyopt rsa_keygen_bits:2048",
                "-sha512",
                "RSA, 2048 bits",
                "sha512WithRSAEncryption",
                [true, true],
            ),
            (
                "RSA -pkeyopt rsa_keygen_bits:2048",
                "-sha256 -sigopt rsa_padding_mode:pss",
                "RSA, 2048 bits",
                "rsassaPss",
                [true, true],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:P-256",
                "-sha256",
                "EC, P-256",
                "ecdsa-with-SHA256",
                [true, true],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:P-384",
                "-sha1",
                "EC, P-384",
                "ecdsa-with-SHA1",
                [true, false],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:P-521",
                "-sha512",
                "EC, P-521",
                "ecdsa-with-SHA512",
                [true, true],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:secp256k1",
                "-sha256",
                "EC, secp256k1",
                "ecdsa-with-SHA256",
                [false, true],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
                "-sha256",
                "EC, 1.3.36.3.3.2.8.1.1.7",
                "ecdsa-with-SHA256",
                [false, true],
            ),
            (
                "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
                "-sha256",
                "EC, a curve of its own",
                "ecdsa-with-SHA256",
                [false, true],
            ),
            ("ED25519", "-sha256", "Ed25519", "ED25519", [true, true]),
            ("ED448", "-sha256", "Ed448", "ED448", [false, false]),
        ] {
            openssl(
                folder.path(),
                &format!("genpkey -algorithm {key} -out key.pem"),
            );
            openssl(
                folder.path(),
                &format!("req -x509 -new -key key.pem {digest} -subj /CN=a -out cert.pem"),
            );
            let der = CertificateDer::from_pem_file(folder.path().join("cert.pem"))
                .expect("a certificate");
            let certificate = parse(&der).expect("readable");
            let kind = Algorithm::of_key(certificate.public_key());
            let signature = Algorithm::of_signature(&certificate.signature_algorithm.algorithm);
            assert_eq!(
                (kind.name.as_str(), signature.name.as_str()),
                (name, signed)
            );
            assert_eq!([kind.is_sound, signature.is_sound], is_sound, "{key}");
        }
    }
}
