//! What a client has shown: its address, and its TLS session with the certificate in it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::alternative_names::AlternativeNames;
use super::name::Name;

/// Where a client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// TCP. Made by [`ClientAddress::from`], so that IPv4 is IPv4.
    Ip(IpAddr),
    /// A Unix socket, which MySQL calls `localhost`.
    UnixSocket,
}

impl ClientAddress {
    /// Whether the client is on the machine that mytls runs on, for certain.
    pub fn is_this_machine(self) -> bool {
        match self {
            Self::Ip(ip) => ip.is_loopback(),
            Self::UnixSocket => true,
        }
    }
}

impl From<IpAddr> for ClientAddress {
    /// A dual-stack listener shows IPv4 clients as `::ffff:10.0.0.1`; rules are written for `10.0.0.1`.
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }
}

impl fmt::Display for ClientAddress {
    /// As it stands in MySQL's `Access denied for user 'u'@'h'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::UnixSocket => f.write_str("localhost"),
        }
    }
}

/// A client's certificate. Holding one says that it was verified: chain, dates, signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// The subject's common name; none if it has not exactly one that can be read in only one way.
    pub common_name: Option<String>,
    /// Its other names.
    pub alternative_names: AlternativeNames,
}

/// How a client's bytes travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Without TLS: TCP in plaintext, or a Unix socket.
    Plaintext,
    /// Over TLS.
    Tls {
        /// OpenSSL's name of the session's cipher.
        cipher: &'static str,
        /// The client's certificate, if it sent one.
        certificate: Option<Arc<Certificate>>,
    },
}

impl Transport {
    /// The client's certificate, if it sent one.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        match self {
            Self::Plaintext => None,
            Self::Tls { certificate, .. } => certificate.as_ref(),
        }
    }
}

/// All that rules judge, but for the user name, which `COM_CHANGE_USER` changes while the identity stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where the client came from.
    pub address: ClientAddress,
    /// How it speaks to us.
    pub transport: Transport,
}

impl Identity {
    /// Whether nobody on a network can read along: TLS, or a Unix socket.
    pub fn is_secure(&self) -> bool {
        match (self.address, &self.transport) {
            (ClientAddress::UnixSocket, _) | (_, Transport::Tls { .. }) => true,
            (ClientAddress::Ip(_), Transport::Plaintext) => false,
        }
    }
}
