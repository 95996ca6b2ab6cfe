//! The host part of an account: which clients it admits, and how specific it is.

use std::cmp::Reverse;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::identity::ClientAddress;
use crate::protocol::server_kind::ServerKind;

/// The host part of `'user'@'host'`, as MySQL understands it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `10.0.0.1`, `::1`.
    Address(IpAddr),
    /// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`.
    Network(Ipv4Net, Notation),
    /// `localhost` or another name, in lower case.
    Name(String),
    /// With `%`, `_` or `\` (which takes a wildcard's meaning away), in lower case.
    Pattern(String),
}

/// How a network's mask is written: MySQL takes one for more specific than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notation {
    /// `/8`
    PrefixLength,
    /// `/255.0.0.0`
    Netmask,
}

/// How specific a host is; the smaller counts first. As MySQL 9.7 chooses among two accounts (run; MariaDB orders
/// patterns differently). <https://dev.mysql.com/doc/refman/9.7/en/connection-access.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    /// Of a host that cannot be read.
    Unknown,
    /// One IPv4 address.
    Ipv4Address,
    /// A whole IPv4 address and a wildcard behind it, `10.0.0.1%`: MySQL reads the address and stops.
    Ipv4AddressPattern(Reverse<usize>),
    /// The more bits count, the more specific, but every prefix length before every netmask.
    Ipv4Network(Notation, Reverse<u8>),
    /// A name or an IPv6 address.
    Literal,
    /// The later the first wildcard stands, the more specific.
    Pattern(Reverse<usize>),
    /// `%`
    Everywhere,
}

/// Whether an account's host admits a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Whatever the client's name is.
    Certain,
    /// If the client has the right name: mytls resolves none.
    Possible,
    /// Never.
    No,
}

/// Why a text is no host. Each of these MySQL stores, and then admits nobody or somebody else with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `10.0.0.0/33`, `10.0.0.0/255.0.0.255`, `::1/64`.
    #[error("`{0}` is not an IPv4 network: write 10.0.0.0/8 or 10.0.0.0/255.0.0.0")]
    Network(String),
    /// `10.0.0.1/8`.
    #[error("`{0}` has bits outside of its mask and would admit nobody: write {1}")]
    BitsOutsideMask(String, Ipv4Net),
    /// `0.0.0.0/0`.
    #[error("`{0}` admits nobody in MySQL: write '%'")]
    NoBits(String),
    /// `10.0.0`, `010.0.0.1`.
    #[error("`{0}` is neither an address nor a name")]
    Address(String),
}

impl FromStr for Host {
    type Err = HostError;

    /// As in MySQL's `CREATE USER`. An empty host is any host.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let text = text.to_lowercase();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical()));
        }
        if text.contains('/') {
            return network(text);
        }
        Ok(if text.is_empty() {
            Self::Pattern("%".into())
        } else if text.contains(['%', '_', '\\']) {
            Self::Pattern(text)
        } else if text.contains(':')
            || text
                .bytes()
                .all(|byte| byte == b'.' || byte.is_ascii_digit())
        {
            return Err(HostError::Address(text));
        } else {
            Self::Name(text)
        })
    }
}

fn network(text: String) -> Result<Host, HostError> {
    let parsed = text.split_once('/').and_then(|(address, mask)| {
        let address = address.parse().ok()?;
        match mask.parse::<Ipv4Addr>() {
            Ok(mask) => Some((
                Ipv4Net::with_netmask(address, mask).ok()?,
                Notation::Netmask,
            )),
            Err(_) => Some((
                Ipv4Net::new(address, mask.parse().ok()?).ok()?,
                Notation::PrefixLength,
            )),
        }
    });
    match parsed {
        None => Err(HostError::Network(text)),
        Some((network, _)) if network != network.trunc() => {
            Err(HostError::BitsOutsideMask(text, network.trunc()))
        }
        Some((network, _)) if network.prefix_len() == 0 => Err(HostError::NoBits(text)),
        Some((network, notation)) => Ok(Host::Network(network, notation)),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Network(network, Notation::PrefixLength) => network.fmt(f),
            Self::Network(network, Notation::Netmask) => {
                write!(f, "{}/{}", network.addr(), network.netmask())
            }
            Self::Name(text) | Self::Pattern(text) => f.write_str(text),
        }
    }
}

impl Host {
    pub(super) fn rank(&self) -> HostRank {
        match self {
            Self::Address(IpAddr::V4(_)) => HostRank::Ipv4Address,
            Self::Network(network, notation) => {
                HostRank::Ipv4Network(*notation, Reverse(network.prefix_len()))
            }
            Self::Address(IpAddr::V6(_)) | Self::Name(_) => HostRank::Literal,
            Self::Pattern(pattern) if pattern == "%" => HostRank::Everywhere,
            Self::Pattern(pattern) => match first_wildcard(pattern) {
                None => HostRank::Literal,
                Some(position) if pattern[..position].parse::<Ipv4Addr>().is_ok() => {
                    HostRank::Ipv4AddressPattern(Reverse(position))
                }
                // MySQL counts no further.
                Some(position) => HostRank::Pattern(Reverse(position.min(126))),
            },
        }
    }

    /// What of the order is certain on servers that have another than MySQL 8. They know three kinds of hosts: without a
    /// wildcard, with one, and `%`. Those without are all alike (run, MariaDB 10.11 and 11.8: networks too). TiDB only asks
    /// whether a host ends in a wildcard.
    pub(super) fn coarse_rank(&self, server: ServerKind) -> HostRank {
        match self {
            Self::Pattern(pattern) if pattern == "%" => HostRank::Everywhere,
            Self::Pattern(pattern) if has_wildcard(pattern, server) => {
                HostRank::Pattern(Reverse(0))
            }
            Self::Address(_) | Self::Network(..) | Self::Name(_) | Self::Pattern(_) => {
                HostRank::Literal
            }
        }
    }

    pub(super) fn fit(&self, client: &Client) -> Fit {
        match (self, client.address) {
            (Self::Address(ip), ClientAddress::Ip(client)) => Fit::certain_if(*ip == client),
            (Self::Network(network, _), ClientAddress::Ip(IpAddr::V4(client))) => {
                Fit::certain_if(network.contains(&client))
            }
            (Self::Name(_), ClientAddress::Ip(_)) => Fit::Possible,
            (Self::Name(name), ClientAddress::UnixSocket) => Fit::certain_if(name == "localhost"),
            (Self::Pattern(pattern), _) if matches(pattern.as_bytes(), client.text()) => {
                Fit::Certain
            }
            (Self::Pattern(pattern), ClientAddress::Ip(_)) if could_match_a_name(pattern) => {
                Fit::Possible
            }
            (Self::Address(_) | Self::Network(..) | Self::Pattern(_), _) => Fit::No,
        }
    }
}

impl Fit {
    fn certain_if(admitted: bool) -> Self {
        if admitted { Self::Certain } else { Self::No }
    }
}

/// A client's address, and its text without an allocation: patterns are matched against text.
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
        let mut free = &mut text[..];
        write!(free, "{address}").expect("no address is longer than the buffer");
        let length = Self::LONGEST - free.len();
        Self {
            address,
            text,
            length,
        }
    }

    pub(super) fn address(&self) -> ClientAddress {
        self.address
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

fn has_wildcard(pattern: &str, server: ServerKind) -> bool {
    match server {
        ServerKind::TiDb => pattern.ends_with('%'),
        ServerKind::OldMySql | ServerKind::MySql | ServerKind::MariaDb => {
            first_wildcard(pattern).is_some()
        }
    }
}

/// Where the first wildcard stands, in bytes.
fn first_wildcard(pattern: &str) -> Option<usize> {
    let mut bytes = pattern.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'%' | b'_' => return Some(position),
            _ => {}
        }
    }
    None
}

/// Whether a pattern that does not match a client's address could match its name. Names have no colon, and MySQL
/// believes none that starts with digits and a dot, so that `10.%` stays a pattern for addresses.
fn could_match_a_name(pattern: &str) -> bool {
    let after_digits = pattern.trim_start_matches(|character: char| character.is_ascii_digit());
    let starts_like_address = after_digits.len() < pattern.len() && after_digits.starts_with('.');
    !starts_like_address && !pattern.contains(':')
}

/// MySQL's wildcards: `%` any text, `_` one character, `\` the next one as it is. Only the last `%` is ever tried
/// again, so that no pattern takes more than pattern times text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut last_many = None;
    loop {
        let matched = match (pattern.get(at), text.get(read)) {
            (Some(b'%'), _) => {
                at += 1;
                last_many = Some((at, read));
                continue;
            }
            (None, None) => return true,
            (Some(b'_'), Some(_)) => Some(1),
            (Some(b'\\'), byte) if at + 1 < pattern.len() => {
                (pattern.get(at + 1) == byte).then_some(2)
            }
            (byte, other) => (byte == other).then_some(1),
        };
        if let Some(step) = matched {
            (at, read) = (at + step, read + 1);
        } else {
            match last_many {
                Some((behind, from)) if from < text.len() => {
                    last_many = Some((behind, from + 1));
                    (at, read) = (behind, from + 1);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> Host {
        text.parse().expect("a host")
    }

    fn client(text: &str) -> Client {
        Client::new(
            text.parse::<IpAddr>()
                .map_or(ClientAddress::UnixSocket, ClientAddress::from),
        )
    }

    #[test]
    fn hosts_that_admit_nobody_are_refused() {
        let network = |text: &str| HostError::Network(text.into());
        let address = |text: &str| HostError::Address(text.into());
        for (text, error) in [
            ("10.0.0.0/33", network("10.0.0.0/33")),
            ("10.0.0.0/", network("10.0.0.0/")),
            ("10.0.0.0/ 8", network("10.0.0.0/ 8")),
            ("10.0.0.0/255.0.0.255", network("10.0.0.0/255.0.0.255")),
            ("10.%/8", network("10.%/8")),
            ("::1/64", network("::1/64")),
            ("db/8", network("db/8")),
            ("10.0.0", address("10.0.0")),
            ("10.0.0.256", address("10.0.0.256")),
            ("010.0.0.1", address("010.0.0.1")),
            ("1:2", address("1:2")),
            ("0.0.0.0/0", HostError::NoBits("0.0.0.0/0".into())),
            (
                "0.0.0.0/0.0.0.0",
                HostError::NoBits("0.0.0.0/0.0.0.0".into()),
            ),
        ] {
            assert_eq!(text.parse::<Host>(), Err(error), "{text}");
        }
        assert!(matches!(
            "10.0.0.1/8".parse::<Host>(),
            Err(HostError::BitsOutsideMask(..))
        ));
        assert!(matches!(
            "10.0.0.1/255.0.0.0".parse::<Host>(),
            Err(HostError::BitsOutsideMask(..))
        ));
    }

    // Each line that names an IPv4 address or a socket was tried on MySQL 9.7.
    #[test]
    fn clients_of_other_hosts_do_not_fit() {
        for (text, from) in [
            ("127.0.5.1", "127.0.5.2"),
            ("127.0.6.0/24", "127.0.5.2"),
            ("127.0.6.0/255.255.255.0", "127.0.5.2"),
            ("127.0.5._", "127.0.5.23"),
            ("127.0.5.2_", "127.0.5.2"),
            ("127.%.3", "127.0.5.2"),
            (r"127.0.5.\_", "127.0.5.2"),
            (r"127.0.5.2\", "127.0.5.2"),
            ("10.%", "127.0.5.2"),
            ("163.%", "127.0.5.2"),
            ("::1", "127.0.0.1"),
            ("127.0.0.1", "::1"),
            ("10.0.0.0/8", "::1"),
            ("fe80:%", "::1"),
            ("127.0.0.1", "socket"),
            ("127.%", "socket"),
            ("127.0.0.0/8", "socket"),
            ("::1", "socket"),
            ("db.example.com", "socket"),
            ("%.example.com", "socket"),
        ] {
            assert_eq!(host(text).fit(&client(from)), Fit::No, "{text} {from}");
        }
    }

    #[test]
    fn names_are_neither_believed_nor_forgotten() {
        for (text, from) in [
            ("localhost", "127.0.0.1"),
            ("localhost", "10.0.0.1"),
            ("db.example.com", "10.0.0.1"),
            ("%.example.com", "::1"),
            ("l%", "127.0.0.1"),
            ("1%", "20.0.0.1"),
            (r"db\_1", "10.0.0.1"),
        ] {
            assert_eq!(
                host(text).fit(&client(from)),
                Fit::Possible,
                "{text} {from}"
            );
        }
    }

    #[test]
    fn clients_fit_as_in_mysql() {
        for (text, from) in [
            ("127.0.5.2", "127.0.5.2"),
            ("127.0.5.2", "::ffff:127.0.5.2"),
            ("127.0.5.0/30", "127.0.5.2"),
            ("127.0.0.0/255.0.0.0", "127.0.5.2"),
            ("127.0.5._", "127.0.5.2"),
            ("%.0.5.2", "127.0.5.2"),
            ("1%.0.%.2", "127.0.5.2"),
            ("127.0.5.2%", "127.0.5.23"),
            ("_%", "127.0.5.2"),
            (r"127\.0.5.2", "127.0.5.2"),
            ("", "127.0.5.2"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("2001:db8:%", "2001:db8::1"),
            ("%", "socket"),
            ("LocalHost", "socket"),
            ("L%", "socket"),
            ("_ocalhost", "socket"),
        ] {
            assert_eq!(host(text).fit(&client(from)), Fit::Certain, "{text} {from}");
        }
    }

    // Which account MySQL 9.7 chose for a client that two hosts admit; each two were tried. Of two in one line it chose
    // the one that was created later, or the earlier.
    #[test]
    fn more_specific_hosts_come_first() {
        let lines: [&[&str]; 16] = [
            &["127.0.5.2"],
            &["127.0.5.2%", "127.0.5.2_"],
            &["127.0.5.2/32"],
            &["127.0.5.0/30"],
            &["127.0.5.0/24"],
            &["127.0.0.0/8"],
            &["127.0.5.2/255.255.255.255"],
            &["127.0.5.0/255.255.255.0"],
            &["127.0.0.0/255.0.0.0"],
            &["localhost", r"127\.0.5.2"],
            &["127.0.5.%", "127.0.5._"],
            &["127.0.%.2", "127.0._.%"],
            &["127.%", "127._.5.2"],
            &["1%.0.5.2"],
            &["%2", "%.2", "_%", "%.0.5.2", "%%"],
            &["%"],
        ];
        for line in lines {
            for text in line {
                assert_eq!(host(text).rank(), host(line[0]).rank(), "{text}");
            }
        }
        for pair in lines.windows(2) {
            assert!(
                host(pair[0][0]).rank() < host(pair[1][0]).rank(),
                "{pair:?}"
            );
        }
    }

    /// The same as [`matches`], said as simply as possible.
    fn slow_match(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([b'%', pattern @ ..], text) => {
                (0..=text.len()).any(|skip| slow_match(pattern, &text[skip..]))
            }
            ([b'_', pattern @ ..], [_, text @ ..]) => slow_match(pattern, text),
            ([b'\\', literal, pattern @ ..] | [literal, pattern @ ..], [byte, text @ ..]) => {
                literal == byte && slow_match(pattern, text)
            }
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_the_simplest_matcher_says(pattern in r"[ab%_\\]{0,10}", text in "[ab%_]{0,10}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), slow_match(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn hosts_read_back_as_printed(text in "[0-9a-f:.%_/\\\\]{0,18}") {
            if let Ok(host) = text.parse::<Host>() {
                prop_assert_eq!(host.to_string().parse::<Host>(), Ok(host));
            }
        }

        #[test]
        fn no_host_panics(text: String, ip: IpAddr) {
            if let Ok(host) = text.parse::<Host>() {
                host.rank();
                host.fit(&Client::new(ip.into()));
            }
        }
    }
}
