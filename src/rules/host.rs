//! The host part of an account: which clients it admits, and how specific it is.

use std::cmp::Reverse;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::identity::ClientAddress;

/// The host part of `'user'@'host'`, as MySQL understands it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `10.0.0.1`, `::1`.
    Address(IpAddr),
    /// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`. IPv4 only, as in MySQL.
    Network {
        /// The address, all bits outside of the mask zero.
        address: Ipv4Addr,
        /// The bits that count. Not always a prefix: MySQL takes any mask.
        mask: Ipv4Addr,
        /// How the mask was written, which has a say in how specific the account is.
        notation: Notation,
    },
    /// `localhost` or a name, in lower case.
    Name(String),
    /// With `%` or `_`, in lower case; `\` takes a wildcard's meaning away.
    Pattern(String),
}

/// How a network's mask is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notation {
    /// `/8`
    Cidr,
    /// `/255.0.0.0`
    Netmask,
}

/// Whether an account's host admits a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Whatever the client's name.
    Certain,
    /// If the client's name is the right one: mytls resolves no names.
    Possible,
    /// Never.
    No,
}

/// How specific a host is; the smaller counts first. The order of MySQL's manual, "Access Control, Stage 1":
/// <https://dev.mysql.com/doc/refman/9.7/en/connection-access.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    /// One IPv4 address.
    Ipv4Address,
    /// An IPv4 network: all CIDR before all netmasks, the numerically greater mask first.
    Ipv4Network(Notation, Reverse<Ipv4Addr>),
    /// A name or an IPv6 address.
    Literal,
    /// The later the first wildcard stands, the more specific.
    Pattern(Reverse<usize>),
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `10.0.0.0/33`
    #[error("`{0}` is not a network: write 10.0.0.0/8 or 10.0.0.0/255.0.0.0 (IPv4 only)")]
    Network(String),
    /// `10.0.0.1/8`, which in MySQL never matches.
    #[error("`{0}` has bits outside of its mask and would never match")]
    BitsOutsideMask(String),
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let text = text.to_lowercase();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical()));
        }
        if let Some((address, mask)) = text.split_once('/') {
            return network(address, mask).ok_or_else(|| HostError::Network(text.clone()))?;
        }
        Ok(if text.is_empty() {
            Self::Pattern("%".into())
        } else if first_wildcard(&text).is_some() {
            Self::Pattern(text)
        } else {
            Self::Name(text)
        })
    }
}

fn network(address: &str, mask: &str) -> Option<Result<Host, HostError>> {
    let address: Ipv4Addr = address.parse().ok()?;
    let (mask, notation) = match mask.parse::<Ipv4Addr>() {
        Ok(mask) => (mask, Notation::Netmask),
        Err(_) => {
            let bits: u8 = mask.parse().ok()?;
            let net = ipnet::Ipv4Net::new(address, bits).ok()?;
            (net.netmask(), Notation::Cidr)
        }
    };
    let host = Host::Network {
        address,
        mask,
        notation,
    };
    Some(if address & mask == address {
        Ok(host)
    } else {
        Err(HostError::BitsOutsideMask(host.to_string()))
    })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Network {
                address,
                mask,
                notation: Notation::Cidr,
            } => {
                write!(f, "{address}/{}", mask.to_bits().leading_ones())
            }
            Self::Network {
                address,
                mask,
                notation: Notation::Netmask,
            } => write!(f, "{address}/{mask}"),
            Self::Name(text) | Self::Pattern(text) => f.write_str(text),
        }
    }
}

impl Host {
    pub(super) fn rank(&self) -> HostRank {
        match self {
            Self::Address(IpAddr::V4(_)) => HostRank::Ipv4Address,
            Self::Network { mask, notation, .. } => {
                HostRank::Ipv4Network(*notation, Reverse(*mask))
            }
            Self::Address(IpAddr::V6(_)) | Self::Name(_) => HostRank::Literal,
            Self::Pattern(text) => {
                HostRank::Pattern(Reverse(first_wildcard(text).unwrap_or(0).min(126)))
            }
        }
    }

    pub(super) fn fit(&self, client: &Client) -> Fit {
        match (self, client.address) {
            (Self::Address(ip), ClientAddress::Ip(client)) => Fit::sure(*ip == client),
            (Self::Network { address, mask, .. }, ClientAddress::Ip(IpAddr::V4(client))) => {
                Fit::sure(client & *mask == *address)
            }
            (Self::Name(_), ClientAddress::Ip(_)) => Fit::Possible,
            (Self::Name(name), ClientAddress::UnixSocket) => Fit::sure(name == "localhost"),
            (Self::Pattern(pattern), address) => {
                if matches(pattern.as_bytes(), client.text()) {
                    Fit::Certain
                } else if matches!(address, ClientAddress::Ip(_)) && could_be_a_name(pattern) {
                    Fit::Possible
                } else {
                    Fit::No
                }
            }
            (Self::Address(_) | Self::Network { .. }, _) => Fit::No,
        }
    }
}

impl Fit {
    fn sure(fits: bool) -> Self {
        if fits { Self::Certain } else { Self::No }
    }
}

/// A client's address with its text, which patterns are matched against.
#[derive(Debug)]
pub(super) struct Client {
    address: ClientAddress,
    text: [u8; Self::LONGEST],
    length: usize,
}

impl Client {
    /// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
    const LONGEST: usize = 45;

    pub(super) fn new(address: ClientAddress) -> Self {
        let mut text = [0; Self::LONGEST];
        let mut rest = &mut text[..];
        write!(rest, "{address}").expect("no address is longer");
        let length = Self::LONGEST - rest.len();
        Self {
            address,
            text,
            length,
        }
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Where the first wildcard stands.
fn first_wildcard(pattern: &str) -> Option<usize> {
    let mut bytes = pattern.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'%' | b'_' => return Some(position),
            _ => {}
        }
    }
    None
}

/// Whether a pattern that does not match a client's address could match its name. A name has no colon, and MySQL takes
/// none that starts with digits and a dot, since `10.%` is meant for addresses.
fn could_be_a_name(pattern: &str) -> bool {
    let after_digits = pattern.trim_start_matches(|c: char| c.is_ascii_digit());
    let numeric = after_digits.len() < pattern.len() && after_digits.starts_with('.');
    !numeric && !pattern.contains(':')
}

/// MySQL's wildcards: `%` any text, `_` one character, `\` the next one as it is. No recursion: the last `%` alone is
/// tried again, so no pattern makes this slow.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            None if t == text.len() => return true,
            None => None,
            Some(b'_') if t < text.len() => Some(1),
            Some(b'\\') if pattern.get(p + 1).is_some() => {
                (pattern.get(p + 1) == text.get(t)).then_some(2)
            }
            Some(byte) => (Some(byte) == text.get(t)).then_some(1),
        };
        match (step, retry) {
            (Some(step), _) => {
                p += step;
                t += 1;
            }
            (None, Some((after, from))) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            (None, _) => return false,
        }
    }
}
