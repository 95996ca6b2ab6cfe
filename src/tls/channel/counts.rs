//! What has come of a place's handshakes and of its certificates' files, since the start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::{
    AlertDescription, CommonState, Error, HandshakeKind, NamedGroup, PeerIncompatible,
    ProtocolVersion,
};

use crate::metrics::{Counters, Histogram, labels};
use crate::tls::TlsVersion;

/// What the keys of a session were agreed on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// Safe from the quantum computers of tomorrow.
    X25519MlKem768,
    /// Curve25519
    X25519,
    /// P-256
    Secp256r1,
    /// P-384
    Secp384r1,
    /// Another group.
    Other,
    /// None, in a resumed session of TLS 1.2.
    None,
}

/// Whether a handshake went on from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// It did not.
    Full,
    /// It did.
    Resumed,
}

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// No TLS version in common.
    Version,
    /// No cipher suite, key exchange or signature algorithm in common.
    Cipher,
    /// The peer's certificate, or the signature with it, is not accepted here.
    PeerCertificate,
    /// The peer does not accept the certificate that it was shown, or demands one.
    OwnCertificate,
    /// What came is not TLS.
    NotTls,
    /// The peer closed the connection.
    Closed,
    /// The connection failed.
    Connection,
    /// It took too long, or was given up.
    TooSlow,
    /// What is rare enough to be looked up in the log.
    Other,
}

/// Why certificates were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadCause {
    /// mytls was started.
    Start,
    /// A statement or SIGHUP.
    Asked,
    /// Files have changed.
    Changed,
    /// One of our own making was to be made anew.
    Renewal,
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadResult {
    /// What was loaded is in force.
    Ok,
    /// Nothing has changed.
    Failed,
}

labels! {
    TlsVersion, "version" { Tls12 => "TLSv1.2", Tls13 => "TLSv1.3" }
    KeyExchange, "group" {
        X25519MlKem768 => "X25519MLKEM768",
        X25519 => "X25519",
        Secp256r1 => "secp256r1",
        Secp384r1 => "secp384r1",
        Other => "other",
        None => "none",
    }
    Resumption, "kind" { Full => "full", Resumed => "resumed" }
    HandshakeFailure, "reason" {
        Version => "no_common_version",
        Cipher => "no_common_cipher",
        PeerCertificate => "peer_certificate",
        OwnCertificate => "own_certificate",
        NotTls => "not_tls",
        Closed => "closed",
        Connection => "connection_failed",
        TooSlow => "too_slow",
        Other => "other",
    }
    LoadCause, "cause" {
        Start => "start",
        Asked => "asked",
        Changed => "changed",
        Renewal => "renewal",
    }
    LoadResult, "result" { Ok => "ok", Failed => "failed" }
}

/// Of one place.
#[derive(Debug)]
pub struct TlsCounts {
    /// Handshakes that were brought to their end.
    pub handshakes: Counters<(TlsVersion, KeyExchange, Resumption)>,
    /// Those that were not.
    pub failures: Counters<HandshakeFailure>,
    /// How long those took that were.
    pub times: Histogram,
    /// Loads of the certificates' files.
    pub loads: Counters<(LoadCause, LoadResult)>,
    /// Seconds since 1970; 0 is never.
    loaded: AtomicU64,
}

/// A handshake that has begun. One that is dropped was given up.
#[derive(Debug)]
pub struct Handshake<'a> {
    counts: &'a TlsCounts,
    began: Instant,
    is_counted: bool,
}

impl Default for TlsCounts {
    fn default() -> Self {
        Self {
            handshakes: Counters::default(),
            failures: Counters::default(),
            // work of under a millisecond, and a round trip or two
            times: Histogram::of_round_trips(Duration::from_micros(500)),
            loads: Counters::default(),
            loaded: AtomicU64::default(),
        }
    }
}

impl TlsCounts {
    /// A handshake begins.
    pub fn begin(&self) -> Handshake<'_> {
        Handshake {
            counts: self,
            began: Instant::now(),
            is_counted: false,
        }
    }

    /// When files were last put in force, in seconds since 1970; none if never.
    pub fn loaded(&self) -> Option<u64> {
        Some(self.loaded.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0)
    }

    pub(super) fn count_load(&self, cause: LoadCause, result: LoadResult) {
        self.loads.count((cause, result));
        if result == LoadResult::Ok {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let seconds = now.unwrap_or_default().as_secs();
            self.loaded.store(seconds, Ordering::Relaxed);
        }
    }
}

impl Handshake<'_> {
    /// It is done; this is what was agreed on.
    pub fn done(mut self, connection: &CommonState) {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            // there are but two
            _ => TlsVersion::Tls12,
        };
        let resumption = match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Resumption::Resumed,
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => {
                Resumption::Full
            }
        };
        let group = connection.negotiated_key_exchange_group();
        let group = group.map_or(KeyExchange::None, |group| group.name().into());
        self.counts.handshakes.count((version, group, resumption));
        self.counts.times.observe(self.began.elapsed());
        self.is_counted = true;
    }

    /// It failed.
    pub fn failed(mut self, why: HandshakeFailure) {
        self.counts.failures.count(why);
        self.is_counted = true;
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        if !self.is_counted {
            self.counts.failures.count(HandshakeFailure::TooSlow);
        }
    }
}

impl From<NamedGroup> for KeyExchange {
    fn from(group: NamedGroup) -> Self {
        match group {
            NamedGroup::X25519MLKEM768 => Self::X25519MlKem768,
            NamedGroup::X25519 => Self::X25519,
            NamedGroup::secp256r1 => Self::Secp256r1,
            NamedGroup::secp384r1 => Self::Secp384r1,
            _ => Self::Other,
        }
    }
}

/// Sorted as [`handshake_reason`](crate::tls::handshake_reason) words them.
impl From<&Error> for HandshakeFailure {
    fn from(error: &Error) -> Self {
        match error {
            Error::AlertReceived(alert) => (*alert).into(),
            Error::PeerIncompatible(reason) => reason.into(),
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Self::PeerCertificate,
            Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        }
    }
}

impl From<AlertDescription> for HandshakeFailure {
    fn from(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateRequired
            // a CA of the same name with another key
            | AlertDescription::DecryptError => Self::OwnCertificate,
            AlertDescription::ProtocolVersion => Self::Version,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::Cipher
            }
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => Self::Closed,
            _ => Self::Other,
        }
    }
}

impl From<&PeerIncompatible> for HandshakeFailure {
    fn from(reason: &PeerIncompatible) -> Self {
        match reason {
            PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::Version,
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => Self::Cipher,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_is_given_up_is_counted_once() {
        let counts = TlsCounts::default();
        drop(counts.begin());
        counts.begin().failed(HandshakeFailure::NotTls);
        assert_eq!(counts.failures.get(HandshakeFailure::TooSlow), 1);
        assert_eq!(counts.failures.get(HandshakeFailure::NotTls), 1);
        assert_eq!((counts.failures.total(), counts.handshakes.total()), (2, 0));
    }

    #[test]
    fn only_what_was_put_in_force_has_a_time() {
        let counts = TlsCounts::default();
        counts.count_load(LoadCause::Start, LoadResult::Failed);
        assert_eq!(counts.loaded(), None);
        counts.count_load(LoadCause::Asked, LoadResult::Ok);
        assert!(counts.loaded().is_some());
    }
}
