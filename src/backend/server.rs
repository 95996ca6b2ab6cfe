//! Which server a connection leads to, as far as its address tells.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Endpoint, Role};
use crate::net::socket::Socket;

/// A server. Connection ids of two connections to the same one name the same things. An address behind which a balancer
/// spreads connections over several servers looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    role: Role,
    address: Address,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    /// What the endpoint's name was resolved to.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Server {
    /// The server at the other end of a socket that an endpoint was dialled with.
    pub(super) fn of(role: Role, endpoint: &Endpoint, socket: &Socket) -> io::Result<Self> {
        let address = match endpoint {
            Endpoint::Tcp { .. } | Endpoint::Resolved { .. } => {
                Address::Tcp(socket.peer_address()?)
            }
            Endpoint::Unix(path) => Address::Unix(path.clone()),
        };
        Ok(Self { role, address })
    }

    /// For tests of those who compare servers.
    #[cfg(test)]
    pub(crate) fn at(role: Role, address: SocketAddr) -> Self {
        Self {
            role,
            address: Address::Tcp(address),
        }
    }
}
