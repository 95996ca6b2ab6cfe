//! Where a client came from: the other end of its connection, or what a balancer says in a PROXY header.
//!
//! Whose connections must begin with a header is configured, never guessed: a header that anybody may send is anybody's
//! address.

use std::fmt;

use ipnet::IpNet;

use super::DataPort;
use super::failure::Failure;
use super::live::State;
use super::record::Record;
use super::slots::Slot;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::proxy_header::{Ends, ProxyHeader};
use crate::rules::ClientAddress;

/// Whose connections begin with a PROXY header (`proxy-protocol.accept-from`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balancers {
    /// IPv4 addresses are in IPv4 networks.
    pub networks: Vec<IpNet>,
    /// Whoever connects to a Unix socket.
    pub unix_socket: bool,
}

impl Balancers {
    pub(super) fn lists(&self, address: ClientAddress) -> bool {
        match address {
            ClientAddress::Ip(ip) => self.networks.iter().any(|network| network.contains(&ip)),
            ClientAddress::UnixSocket => self.unix_socket,
        }
    }
}

/// Where a client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// What rules and limits go by.
    pub(super) address: ClientAddress,
    /// The ends of its connection, as far as a backend is to be told; none if it was made to a Unix socket.
    pub(super) ends: Option<Ends>,
    /// Who handed its connection on.
    pub(super) via: Option<ClientAddress>,
}

impl Origin {
    /// What a balancer says of a connection, judged by where the balancer is.
    fn told(header: ProxyHeader, balancer: Self) -> Self {
        let ProxyHeader::Client(ends) = header else {
            return balancer;
        };
        let client = ClientAddress::from(ends.client().ip());
        // On the balancer's own machine, which is not ours: there it has the balancer's address.
        if client.is_this_machine() && !balancer.address.is_this_machine() {
            return Self {
                via: Some(balancer.address),
                ..balancer
            };
        }
        Self {
            address: client,
            ends: Some(ends),
            via: Some(balancer.address),
        }
    }
}

/// As it is written, with commas between.
impl fmt::Display for Balancers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        texts.extend(self.unix_socket.then(|| "unix".to_owned()));
        f.write_str(&texts.join(","))
    }
}

impl DataPort {
    /// Reads the PROXY header of a connection that must begin with one, and counts the connection among those of its client.
    /// What follows the header is the client's.
    ///
    /// Not bounded: the caller has a deadline. Cancel safe.
    pub(super) async fn origin(
        &self,
        client: &mut Stream,
        slot: &Slot,
        record: &mut Record,
    ) -> Result<Origin, Failure> {
        let peer = Origin {
            address: record.client,
            ends: client.ends(),
            via: None,
        };
        if !self.handles.balancers.lists(peer.address) {
            return Ok(peer);
        }
        let header = read_header(client).await?;
        if let ProxyHeader::Client(_) = header {
            client.set_handed_on();
        }
        let origin = Origin::told(header, peer);
        (record.client, record.via) = (origin.address, origin.via);
        record.show(State::LoggingIn);
        slot.count_client(origin.address)
            .map_err(|limit| Failure::TooManyConnections { limit })?;
        Ok(origin)
    }

    /// What a client that was not identified in time is told.
    pub(super) fn too_slow(&self, record: &Record) -> Failure {
        if !record.greeted && self.handles.balancers.lists(record.client) {
            Failure::NoProxyHeader
        } else {
            Failure::TooSlow
        }
    }
}

async fn read_header(client: &mut Stream) -> Result<ProxyHeader, Failure> {
    loop {
        if let Some((header, length)) = ProxyHeader::decode(client.received())? {
            client.consume(length);
            return Ok(header);
        }
        match client.fill().await {
            Ok(()) => {}
            Err(StreamError::Closed(_) | StreamError::Io(..)) if client.received().is_empty() => {
                return Err(Failure::Left);
            }
            Err(StreamError::Closed(_) | StreamError::Io(..)) => {
                return Err(Failure::ProxyHeaderCut);
            }
            Err(error) => return Err(Failure::Client(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> ClientAddress {
        ClientAddress::from(text.parse::<std::net::IpAddr>().expect("a literal address"))
    }

    fn at(address: ClientAddress) -> Origin {
        Origin {
            address,
            ends: None,
            via: None,
        }
    }

    fn header(client: &str) -> ProxyHeader {
        let end = |ip: &str| format!("{ip}:1").parse().expect("a literal address");
        ProxyHeader::Client(Ends::new(end(client), end("10.0.0.1")))
    }

    #[test]
    fn only_listed_addresses_are_balancers() {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));
        let mut balancers = Balancers {
            networks: networks.to_vec(),
            unix_socket: false,
        };
        for listed in [
            "10.0.0.1",
            "10.255.255.255",
            "::ffff:10.0.0.1",
            "2001:db8::1",
        ] {
            assert!(balancers.lists(ip(listed)), "{listed}");
        }
        for other in ["11.0.0.1", "127.0.0.1", "::1", "::a00:1", "2001:db9::1"] {
            assert!(!balancers.lists(ip(other)), "{other}");
        }
        assert!(!balancers.lists(ClientAddress::UnixSocket));
        balancers.unix_socket = true;
        assert!(balancers.lists(ClientAddress::UnixSocket));
        assert!(!Balancers::default().lists(ip("10.0.0.1")));
    }

    /// Else it would be taken for a client on the machine of mytls, which `localhost` accounts are for.
    #[test]
    fn a_client_on_another_machines_loopback_has_that_machines_address() {
        for loopback in ["127.0.0.1", "127.0.0.9", "[::1]"] {
            let origin = Origin::told(header(loopback), at(ip("10.0.0.5")));
            assert_eq!(origin.address, ip("10.0.0.5"), "{loopback}");
            assert_eq!(origin.via, Some(ip("10.0.0.5")));
            assert_eq!(origin.ends, None, "the server is told the balancer's");
        }
        for balancer in [ip("127.0.0.1"), ClientAddress::UnixSocket] {
            let origin = Origin::told(header("127.0.0.9"), at(balancer));
            assert_eq!(
                (origin.address, origin.via),
                (ip("127.0.0.9"), Some(balancer))
            );
        }
    }

    #[test]
    fn a_balancer_that_speaks_for_itself_is_a_client_like_any_other() {
        let balancer = at(ip("10.0.0.5"));
        assert_eq!(Origin::told(ProxyHeader::Local, balancer), balancer);
    }
}
