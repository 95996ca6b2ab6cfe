//! Why a client may not pass.

use std::fmt;
use std::sync::Arc;

use super::identity::{Certificate, ClientAddress};
use super::requirement::{Lacking, Requirement};

/// Why the rules do not let this client pass. For the operator: a client hears only an error code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Plaintext over TCP although `require-secure-transport` is on (3159).
    InsecureTransport,
    /// `cert-allowed-cn` is written and does not have this client's common name (1045).
    CommonName {
        /// Its certificate, if it sent one.
        shown: Option<Arc<Certificate>>,
    },
    /// The user has accounts, but none that surely admits this address (1045).
    NoAccount {
        /// Where the client came from.
        address: ClientAddress,
    },
    /// The server's grant tables, as last read, have no account of this user (1045).
    NotImported,
    /// The user has accounts in the server's grant tables, but none that surely admits this address (1045).
    NoImportedAccount {
        /// Where the client came from.
        address: ClientAddress,
    },
    /// The server's grant tables, as last read, do not have the account that the server has chosen (1045).
    UnknownAccount {
        /// As MySQL prints it.
        account: String,
    },
    /// The server took the client, whose address it does not see, for another account than it would have (1045).
    OtherAccount {
        /// As [`Permit::account`](super::Permit::account) prints it.
        account: Arc<str>,
        /// The one for the client's own address.
        own: Arc<str>,
    },
    /// On a Unix socket, the server would take the client for mytls' own OS user (1045).
    PeerCredential {
        /// The account that is authenticated by OS user.
        account: Arc<str>,
    },
    /// The client has not shown what an account requires (1045).
    Requirement {
        /// The account, as [`Permit::account`](super::Permit::account) prints it.
        account: Arc<str>,
        /// What it requires.
        requirement: Requirement,
        /// What of it is missing.
        lacking: Lacking,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InsecureTransport => f.write_str(
                "require-secure-transport is on, and the client speaks plaintext over TCP",
            ),
            Self::CommonName { shown: None } => f.write_str(
                "cert-allowed-cn is set, and the client has not shown a client certificate",
            ),
            Self::CommonName { shown: Some(shown) } => write!(
                f,
                "the certificate {} has not exactly one common name that is in cert-allowed-cn",
                shown.subject
            ),
            Self::NoAccount { address } => {
                write!(
                    f,
                    "no account of this user admits {address} (host names are not resolved)"
                )
            }
            Self::NotImported => {
                f.write_str("the server's grant tables, as last read, have no account of this user")
            }
            Self::NoImportedAccount { address } => write!(
                f,
                "no imported account of this user surely admits {address} (host names are not resolved)"
            ),
            Self::UnknownAccount { account } => write!(
                f,
                "the server took the client for {account}, which its grant tables, as last read, do not have"
            ),
            Self::OtherAccount { account, own } => write!(
                f,
                "for the address of mytls the server chose {account}, for the client's it would be {own} \
                 (import-accounts.hosts: ignore lets such clients in)"
            ),
            Self::PeerCredential { account } => write!(
                f,
                "the backend is on a Unix socket and authenticates {account} by OS user, which would be mytls' own"
            ),
            Self::Requirement {
                account,
                requirement,
                lacking,
            } => {
                write!(
                    f,
                    "{account} has REQUIRE {requirement}, and the client has not shown {lacking}"
                )
            }
        }
    }
}
