//! Certificates, keys and TLS policy of every side: what is shown, who is trusted, and what a peer has shown.
//!
//! Nothing here knows MySQL's protocol: it turns settings into rustls configurations and judges certificates.
//!
//! | room | has |
//! | --- | --- |
//! | `certificate` | what stands in one certificate, and what can be wrong with it ([`Flaw`]) |
//! | `sources` | the PEM that a place is made from: reading it, and words for what is wrong with it ([`Problem`], [`Oddity`]) |
//! | `trust` | whom we trust: chains, revocations, the proof of a key; why not ([`CertificateRefusal`]) |
//! | `policy` | which versions and suites there are, by their names |
//! | `settings` | a `security` section of the configuration |
//! | `issuing` | making certificates: auto-tls, and [`SigningCa`] for `mytls certs new` |
//! | `loaded` | one immutable generation, loaded and checked whole: [`Acceptor`] towards clients, [`Connector`] towards a backend |
//! | `channel` | the generation of one place that is in force, and what replaces it: a reload that was asked for, or changed files; what is counted of a place |
//! | `inventory` | everything in a PEM file, for a person |
//! | `password` | no part of TLS: [`Password`] and [`RsaKey`], for a side without |
//! | `store` | files that are made and kept, also for other modules |

mod certificate;
mod channel;
mod channel_name;
mod inventory;
mod issuing;
mod loaded;
mod password;
mod policy;
mod settings;
mod sources;
mod ssl_mode;
mod store;
#[cfg(test)]
mod testing;
mod trust;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(crate) use self::store::Store;
pub use self::{
    certificate::{
        algorithm::Algorithm,
        dates::{CertificateDates, openssl_date},
        description::{Description, Part, describe},
        flaw::Flaw,
    },
    channel::{
        Channel, Generation, LoadError, OnError, Reread,
        counts::{
            Handshake, HandshakeFailure, KeyExchange, LoadCause, LoadResult, Resumption, TlsCounts,
        },
    },
    channel_name::{ChannelName, UnknownChannel},
    inventory::{Item, PublicHalf, RevocationSummary, Signer, Signers, certificates_in, inventory},
    issuing::{
        HostName, IssueError, NewKey, NoHostName,
        auto::{AutoCa, AutoError},
        ca::{NewIdentity, Request, SigningCa, SigningCaError},
    },
    loaded::{
        Loaded,
        acceptor::{Acceptor, AcceptorError},
        connector::{Connector, ConnectorError, server_name},
        expiry::{Expiry, ExpiryNotice, ExpiryWatch, Stage},
    },
    password::{
        Password,
        rsa::{RsaKey, RsaKeyError, RsaPublicKey},
    },
    policy::{
        Policy,
        cipher_list::{CipherList, CipherListError},
        negotiated::{CIPHERS, Negotiated},
        version::TlsVersion,
    },
    settings::{ClientSettings, ServerSettings},
    sources::{
        PemSource, Sources,
        oddity::{MaterialWarning, Oddity},
        pem::client_chain,
        problem::{MaterialError, Problem},
    },
    ssl_mode::SslMode,
    store::{Keep, StoreError},
    trust::{backend_names::BackendNames, failure::handshake_reason, refusal::CertificateRefusal},
};

/// The one cryptography. Always named, never the process-wide default: that is a global, and panics when a second provider
/// is compiled in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
