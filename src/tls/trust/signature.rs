//! The signature of a handshake: proof that the peer holds the key of the certificate that it shows.
//!
//! It is always checked, on both sides and in every mode, by the bare key: so X.509 v1 certificates, which rustls does not
//! read, can be shown by a backend, and by a client until its certificate is judged.

use rustls::{
    CertificateError, DigitallySignedStruct, Error,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer},
};
use webpki::RawPublicKeyEntity;

use crate::tls::{certificate::public_key, trust::refusal::CertificateRefusal};

/// TLS 1.2 names a scheme that several algorithms fit.
pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = shown_key(certificate)?;
    let entity = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, candidates)| candidates.iter())
        .any(|algorithm| {
            entity
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        })
        .then(HandshakeSignatureValid::assertion)
        .ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
}

/// TLS 1.3 names exactly one algorithm.
pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = shown_key(certificate)?;
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}

fn shown_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    public_key(certificate).map_err(|flaw| CertificateRefusal::new(Some(certificate), flaw).into())
}
