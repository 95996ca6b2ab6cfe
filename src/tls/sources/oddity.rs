//! What is odd about a source of certificates that is used all the same: somebody should look at it before somebody else
//! is locked out.

use rustls::pki_types::UnixTime;

use crate::tls::{certificate::flaw::timestamp, sources::problem::Place};

/// A source that is used, and what is odd about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {oddity}")]
pub struct MaterialWarning {
    place: String,
    oddity: Oddity,
}

impl MaterialWarning {
    pub(crate) fn new(place: Place<'_>, oddity: Oddity) -> Self {
        Self {
            place: place.to_string(),
            oddity,
        }
    }

    /// What is odd about it.
    pub fn oddity(&self) -> &Oddity {
        &self.oddity
    }
}

/// What is odd, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// Some of `ssl-ca` are out of their dates; that is normal in a bundle.
    #[error("{count} of the {of} certificates in it are not valid now, and vouch for nobody")]
    DeadAuthorities {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// Some of `ssl-ca` have keys that are too short.
    #[error(
        "{count} of the {of} certificates in it have RSA keys of less than 2048 bits, and vouch for nobody"
    )]
    WeakAuthorities {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// Somebody in `ssl-ca` has no revocation list.
    #[error(
        "there is no revocation list of {issuer}, which is in ssl-ca: none of its certificates counts as revoked"
    )]
    NoList {
        /// Who.
        issuer: String,
    },
    /// A revocation list has run out.
    #[error(
        "the revocation list of {issuer} ran out at {}: every certificate of that issuer is refused until a newer list is \
         there",
        timestamp(*.next_update)
    )]
    ListExpired {
        /// Whose it is.
        issuer: String,
        /// When a newer one was due.
        next_update: UnixTime,
    },
    /// A revocation list of tomorrow.
    #[error(
        "the revocation list of {issuer} is for {} and later: every certificate of that issuer is refused; is the clock \
         right?",
        timestamp(*.this_update)
    )]
    ListNotYetValid {
        /// Whose it is.
        issuer: String,
        /// When it was made.
        this_update: UnixTime,
    },
    /// Our own certificate is not of a CA in `ssl-ca`.
    #[error(
        "no chain leads from it to a certificate in ssl-ca; that is right if the other side trusts another CA, and else an \
         intermediate certificate is missing behind it"
    )]
    OtherAuthority,
    /// The certificates of our chain do not follow from one another.
    #[error(
        "certificate {number} in it did not issue the one before it; the order is one's own, its issuer, that one's issuer"
    )]
    BrokenChain {
        /// Counted from 1.
        number: usize,
    },
    /// An issuer in our chain is out of its dates; who has a newer one does not need it.
    #[error(
        "certificate {number} in it, an issuer, is not valid now; put the newer one in its place"
    )]
    DeadIssuer {
        /// Counted from 1.
        number: usize,
    },
    /// `tls-cipher` has only suites for certificates of another kind.
    #[error(
        "has only cipher suites for the other kind of certificate (ECDSA, RSA) than ssl-cert: with TLS 1.2 nobody can connect"
    )]
    NoSuiteForKey,
    /// Our own certificate is one of a CA, as `openssl req -x509` makes it.
    #[error(
        "the certificate is a CA's, which some clients refuse; make one with basicConstraints=CA:FALSE"
    )]
    CaAsLeaf,
}
