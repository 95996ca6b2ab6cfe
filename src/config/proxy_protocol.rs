//! `proxy-protocol`: who tells us whose connections it hands on, and which servers we tell.

use std::net::IpAddr;

use ipnet::IpNet;

use super::file::{Key, ProxyProtocol};
use super::problem::{Fault, Wrong};
use super::value::choice;
use super::warning::{Notice, Remark};
use crate::backend::{Role, Settings};
use crate::session::Balancers;

/// Why a text of `accept-from` is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    /// Names are not looked up.
    #[error("`{0}` is no network: write 10.0.0.0/8, \"2001:db8::/32\", an address, or unix")]
    Network(String),
    /// `10.0.0.1/8`.
    #[error("`{0}` has bits outside of its mask: write {1}")]
    BitsOutsideMask(String, IpNet),
    /// `::ffff:10.0.0.0/104`.
    #[error("`{0}` would never fit: IPv4 addresses are written as IPv4")]
    MappedIpv4(String),
}

/// Which servers are sent a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendTo {
    Nobody,
    Everybody,
    Only(Role),
}

/// `proxy-protocol.accept-from`.
pub(super) fn balancers(
    key: &Key<ProxyProtocol>,
    remarks: &mut Vec<Remark>,
) -> Result<Balancers, Fault> {
    let mut balancers = Balancers::default();
    let section = key.or_empty();
    let Some(list) = section.accept_from.written() else {
        return Ok(balancers);
    };
    for text in &list.value {
        if text.value == "unix" {
            balancers.unix_socket = true;
            continue;
        }
        let network = parse_network(&text.value).map_err(|error| Fault::parse(text, error))?;
        if network.prefix_len() == 0 {
            remarks.push(Remark::key(text, Notice::EverybodyIsBalancer));
        }
        balancers.networks.push(network);
    }
    Ok(balancers)
}

/// `proxy-protocol.send`, into the settings of the servers that it is about.
pub(super) fn send(key: &Key<ProxyProtocol>, backends: &mut [Settings]) -> Result<(), Fault> {
    let section = key.or_empty();
    let choices = [
        ("false", SendTo::Nobody),
        ("true", SendTo::Everybody),
        ("source", SendTo::Only(Role::Source)),
        ("target", SendTo::Only(Role::Target)),
    ];
    let send_to = choice(&section.send, &choices, SendTo::Nobody)?;
    for backend in &mut *backends {
        backend.sends_proxy_header = match send_to {
            SendTo::Nobody => false,
            SendTo::Everybody => true,
            SendTo::Only(role) => role == backend.role,
        };
    }
    match (section.send.written(), send_to) {
        (Some(text), SendTo::Only(role)) if !backends.iter().any(|each| each.role == role) => {
            let section = match role {
                Role::Source => "a section `from`",
                Role::Target => "a section `target-database`",
            };
            Err(Fault::value(text, Wrong::Missing(section)))
        }
        _ => Ok(()),
    }
}

fn parse_network(text: &str) -> Result<IpNet, BalancerError> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| BalancerError::Network(text.to_owned()))?,
    };
    if network.addr() != network.network() {
        return Err(BalancerError::BitsOutsideMask(
            text.to_owned(),
            network.trunc(),
        ));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(BalancerError::MappedIpv4(text.to_owned()))
        }
        IpNet::V4(_) | IpNet::V6(_) => Ok(network),
    }
}
