//! What can be wrong with a certificate, in words for an operator.

use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;

/// What is wrong with a certificate or its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not X.509, or not as RFC 5280 has it.
    #[error("it is malformed")]
    Malformed,
    /// X.509 version 1, where only version 3 is accepted.
    #[error(
        "it is X.509 version 1, which cannot say what it may be used for; sign it again with `openssl x509 -req … -extfile \
         FILE`, where FILE has the line `basicConstraints=CA:FALSE`"
    )]
    Version1,
    /// It or a certificate above it has run out.
    #[error("it, or a certificate above it, expired at {}", timestamp(*.not_after))]
    Expired {
        /// Its last moment.
        not_after: UnixTime,
    },
    /// It or a certificate above it is not valid yet.
    #[error("it, or a certificate above it, is not valid before {}", timestamp(*.not_before))]
    NotYetValid {
        /// Its first moment.
        not_before: UnixTime,
    },
    /// `ssl-crl` has it or a certificate above it.
    #[error("it, or a certificate above it, was revoked by its issuer (ssl-crl)")]
    Revoked,
    /// Whom the issuer has revoked since is not known.
    #[error(
        "the revocation list (ssl-crl) of its issuer, or of one above it, ran out at {}: get the CA's new one",
        timestamp(*.next_update)
    )]
    ListExpired {
        /// When a newer one was due.
        next_update: UnixTime,
    },
    /// A list of tomorrow.
    #[error(
        "the revocation list (ssl-crl) of its issuer, or of one above it, is for {} and later: is the clock right?",
        timestamp(*.this_update)
    )]
    ListNotYetValid {
        /// When it was made.
        this_update: UnixTime,
    },
    /// No chain leads from it to a trusted certificate.
    #[error("no chain leads from it to a certificate in ssl-ca that is valid now")]
    UnknownIssuer,
    /// A signature in its chain, or its own in the handshake, does not fit.
    #[error(
        "a signature does not fit: an issuer of the same name has another key, or the algorithm is not supported"
    )]
    BadSignature,
    /// Extended key usage is present and lacks what is needed.
    #[error("its extended key usage does not include {needed}")]
    WrongPurpose {
        /// `clientAuth` or `serverAuth`.
        needed: &'static str,
    },
    /// A CA's certificate, shown as one's own.
    #[error("it is a CA's certificate, which may not be shown as one's own")]
    CaAsLeaf,
    /// What is to sign others may not.
    #[error(
        "it is no CA's certificate (no basicConstraints with CA:TRUE), so nothing that it signed is accepted"
    )]
    NotACa,
    /// It names other hosts.
    #[error("it is for {}, not for {expected}", .presented.join(", "))]
    OtherName {
        /// The host that was dialled.
        expected: String,
        /// The names in it.
        presented: Vec<String>,
    },
    /// It names no host at all.
    #[error(
        "it names no host (no subjectAltName), as those that MySQL makes for itself; ssl-mode VERIFY_CA compares no names"
    )]
    NoName,
    /// `cert-allowed-cn` is written and does not have it.
    #[error("it has not exactly one common name that is in cert-allowed-cn")]
    NotAllowed,
    /// A resumed session without certificates.
    #[error("none was shown")]
    None,
    /// A certificate was shown although no `ssl-ca` says whom to trust.
    #[error("there is no ssl-ca to judge it by")]
    NoAuthorities,
    /// What is rare enough to have no words of ours.
    #[error("{0}")]
    Other(webpki::Error),
}

/// RFC 3339 in UTC, as the log prints its own times.
pub(crate) fn timestamp(time: UnixTime) -> String {
    /// `humantime` refuses later ones.
    const END_OF_YEAR_9999: u64 = 253_402_300_799;
    let seconds = time.as_secs().min(END_OF_YEAR_9999);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc_and_never_fail() {
        let at = |seconds| timestamp(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(1_609_459_200), "2021-01-01T00:00:00Z");
        assert_eq!(at(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
