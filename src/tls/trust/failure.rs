//! Why a handshake failed, in words for an operator. rustls names what it saw; who reads a log wants to know what to do.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::tls::trust::refusal::CertificateRefusal;

/// The reason of a failed handshake with a client or a backend ("the other side").
///
/// In TLS 1.3 a server judges our certificate after our handshake is done: its alert comes with the first read.
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
            "no cipher suite or key exchange in common; here are ECDHE suites with AES-GCM or ChaCha20 only, or those of them \
             that tls-cipher and tls-ciphersuites list",
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
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "it left",
        _ => return format!("the other side ended the handshake with the TLS alert {alert:?}"),
    };
    format!("the other side ended the handshake: {meaning} (TLS alert {alert:?})")
}

#[cfg(test)]
mod tests {
    use rustls::ServerConnection;

    use super::*;
    use crate::tls::{Acceptor, policy::Policy, settings::ServerSettings, sources::Sources};

    /// What a server of ours says of these bytes.
    fn reason(bytes: &[u8]) -> String {
        let settings = ServerSettings {
            sources: Sources::default(),
            auto_tls: true,
            policy: Policy::default(),
        };
        let acceptor = Acceptor::load(&settings, None, &[])
            .expect("loads")
            .expect("has TLS");
        let mut connection =
            ServerConnection::new(acceptor.config().clone()).expect("a connection");
        connection
            .read_tls(&mut &*bytes)
            .expect("memory is read whole");
        handshake_reason(&connection.process_new_packets().expect_err("refused"))
    }

    /// RFC 5246, 7.4.1.2 and 6.2.1, by hand: `openssl s_client` of today no longer speaks these.
    fn client_hello(version: [u8; 2], suite: [u8; 2], extensions: &[u8]) -> Vec<u8> {
        let mut body = [version.as_slice(), &[7; 32], &[0], &[0, 2], &suite, &[1, 0]].concat();
        if !extensions.is_empty() {
            body.extend(
                u16::try_from(extensions.len())
                    .expect("short")
                    .to_be_bytes(),
            );
            body.extend(extensions);
        }
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
        let message = [[1, 0].as_slice(), &length(&body), &body].concat();
        [[22, 3, 1].as_slice(), &length(&message), &message].concat()
    }

    #[test]
    fn a_client_of_tls_1_1_is_told_from_others() {
        let reason = reason(&client_hello([3, 2], [0xC0, 0x13], &[]));
        assert_eq!(
            reason,
            "the other side speaks only TLS versions older than the lowest that is allowed here"
        );
    }

    #[test]
    fn no_common_suite_is_said_so() {
        // Static RSA with CBC; signature_algorithms: RSA with SHA-256.
        let reason = reason(&client_hello(
            [3, 3],
            [0x00, 0x2F],
            &[0, 13, 0, 4, 0, 2, 4, 1],
        ));
        assert!(
            reason.starts_with("no cipher suite or key exchange in common"),
            "{reason}"
        );
    }

    #[test]
    fn what_is_not_tls_is_said_so() {
        let reason = reason(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(reason, "what the other side sent is not TLS, or is damaged");
    }

    #[test]
    fn an_alert_is_explained() {
        let reason = handshake_reason(&Error::AlertReceived(AlertDescription::UnknownCA));
        assert!(
            reason.contains("does not trust the CA") && reason.contains("UnknownCA"),
            "{reason}"
        );
    }
}
