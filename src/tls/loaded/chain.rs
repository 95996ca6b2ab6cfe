//! The certificates that we show: what the other side would refuse, and what it may stumble over.

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;

use crate::tls::{
    certificate::{SHORTEST_RSA_BITS, Validity, flaw::Flaw, is_version_1, parse, rsa_bits},
    sources::{oddity::Oddity, problem::Problem},
    trust::authorities::Usage,
};

/// Checks a chain, one's own certificate first, and that its key is this one (its `SubjectPublicKeyInfo`).
pub(crate) fn check(
    chain: &[CertificateDer<'_>],
    key: &[u8],
    usage: Usage,
    now: UnixTime,
) -> Result<Vec<Oddity>, Problem> {
    let parsed = chain
        .iter()
        .zip(1..)
        .map(|(der, number)| parse(der).map_err(|_| Problem::BadCertificate { number }))
        .collect::<Result<Vec<_>, _>>()?;
    let (leaf, issuers) = parsed.split_first().ok_or(Problem::KeyMismatch)?;
    check_key(&parsed, key)?;
    // An expired issuer is no problem yet: of cross-signed ones, the other side may have the newer.
    match Validity::of(leaf).check(now) {
        Err(Flaw::Expired { not_after }) => return Err(Problem::Expired { not_after }),
        Err(Flaw::NotYetValid { not_before }) => return Err(Problem::NotYetValid { not_before }),
        Err(_) | Ok(()) => {}
    }
    check_strength(&parsed)?;
    check_usage(leaf, usage)?;
    Ok(oddities(leaf, issuers, now))
}

fn check_key(parsed: &[X509Certificate<'_>], key: &[u8]) -> Result<(), Problem> {
    match parsed
        .iter()
        .position(|certificate| certificate.public_key().raw == key)
    {
        Some(0) => Ok(()),
        Some(position) => Err(Problem::ChainOrder {
            number: position + 1,
        }),
        None => Err(Problem::KeyMismatch),
    }
}

/// OpenSSL (from its security level 1 on), Go, Java and rustls refuse what these signed or signed with.
fn check_strength(parsed: &[X509Certificate<'_>]) -> Result<(), Problem> {
    for (certificate, number) in parsed.iter().zip(1..) {
        if let Some(bits) = rsa_bits(certificate).filter(|bits| *bits < SHORTEST_RSA_BITS) {
            return Err(Problem::WeakKey { number, bits });
        }
        // Nobody needs the signature of one's own name.
        if let Some(hash) = weak_hash(certificate)
            && certificate.subject().as_raw() != certificate.issuer().as_raw()
        {
            return Err(Problem::WeakSignature { number, hash });
        }
    }
    Ok(())
}

fn weak_hash(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    match certificate
        .signature_algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.2.840.113549.1.1.2" => Some("MD2"),
        "1.2.840.113549.1.1.4" => Some("MD5"),
        // RSA, DSA, ECDSA
        "1.2.840.113549.1.1.5" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => Some("SHA-1"),
        _ => None,
    }
}

fn check_usage(leaf: &X509Certificate<'_>, usage: Usage) -> Result<(), Problem> {
    if is_version_1(leaf) {
        // MySQL and MariaDB take such a certificate from a client.
        return match usage {
            Usage::Server => Err(Problem::Version1),
            Usage::Client => Ok(()),
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

fn oddities(
    leaf: &X509Certificate<'_>,
    issuers: &[X509Certificate<'_>],
    now: UnixTime,
) -> Vec<Oddity> {
    let mut oddities = Vec::new();
    if leaf.is_ca() {
        oddities.push(Oddity::CaAsLeaf);
    }
    let mut below = leaf;
    for (issuer, number) in issuers.iter().zip(2..) {
        if below.issuer().as_raw() != issuer.subject().as_raw() {
            oddities.push(Oddity::BrokenChain { number });
        }
        if Validity::of(issuer).check(now).is_err() {
            oddities.push(Oddity::DeadIssuer { number });
        }
        below = issuer;
    }
    oddities
}
