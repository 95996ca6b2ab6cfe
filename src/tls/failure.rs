//! Why a handshake failed, in words for an operator. rustls names what it saw; who reads a log wants to know what to do.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::refusal::CertificateRefusal;

/// The reason of a failed handshake with a client or a backend ("the other side").
pub fn handshake_reason(error: &Error) -> String {
    if let Some(refusal) = CertificateRefusal::of(error) {
        return format!("its {refusal}");
    }
    match error {
        Error::AlertReceived(alert) => return alert_reason(*alert),
        Error::PeerIncompatible(reason) => incompatibility(reason),
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            Some("the other side does not hold the key of the certificate that it shows")
        }
        Error::InvalidMessage(_) => Some("what the other side sent is not TLS, or is damaged"),
        Error::NoCertificatesPresented => Some("the other side showed no certificate"),
        Error::PeerSentOversizedRecord => {
            Some("the other side sent a TLS record that is too large")
        }
        _ => None,
    }
    .map_or_else(|| error.to_string(), str::to_owned)
}

fn incompatibility(reason: &PeerIncompatible) -> Option<&'static str> {
    match reason {
        // A client of TLS 1.1 or older sends no signature algorithms; that is the first thing rustls misses.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Some(
            "the other side speaks only TLS versions older than the lowest that is allowed here",
        ),
        // Without a common suite rustls looks for a key exchange of the wrong kind and misses that first.
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired => Some(
            "no cipher suite or key exchange in common; here are ECDHE suites with AES-GCM or ChaCha20 only",
        ),
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            Some("no signature algorithm in common that fits the certificate's key")
        }
        _ => None,
    }
}

fn alert_reason(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::UnknownCA => {
            "it does not trust the CA of the certificate that it was shown"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => {
            "it does not accept the certificate that it was shown"
        }
        AlertDescription::CertificateExpired => {
            "it takes the certificate that it was shown for expired"
        }
        AlertDescription::CertificateRevoked => {
            "it takes the certificate that it was shown for revoked"
        }
        AlertDescription::CertificateRequired => "it demands a certificate",
        AlertDescription::ProtocolVersion => "no TLS version in common",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "no cipher suite in common, or a certificate that it demands is missing"
        }
        _ => return format!("the other side ended the handshake with the TLS alert {alert:?}"),
    };
    format!("the other side ended the handshake: {meaning} (TLS alert {alert:?})")
}
