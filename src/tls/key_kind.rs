//! What kind of key a certificate or a key file has, and what kind of signature, in the words of a person.

use x509_parser::{asn1_rs::Oid, public_key::PublicKey, x509::SubjectPublicKeyInfo};

/// A public key's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyKind {
    /// `RSA, 2048 bits`, `EC, P-256`, `Ed25519`; what has no name here has its number.
    pub name: String,
    /// Whether TLS of today takes it.
    pub is_sound: bool,
}

impl KeyKind {
    pub(super) fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
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

/// OpenSSL's name of a signature algorithm, and whether it is sound.
pub(super) fn signature(algorithm: &Oid<'_>) -> (String, bool) {
    let number = algorithm.to_id_string();
    let (name, is_sound) = match number.as_str() {
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
    };
    (name.to_owned(), is_sound)
}
