//! The PROXY protocol's header: whoever hands a connection on says, before its first byte, whose it is.
//!
//! Versions 1 and 2 are read, version 2 is written.
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

const SIGNATURE_1: &[u8] = b"PROXY ";
const SIGNATURE_2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Of a line of version 1, with its CRLF.
const LINE_BYTES: usize = 107;

/// What every header of version 2 begins with: signature, version and command, family, length.
const HEAD_BYTES: usize = 16;

/// Of a whole header of version 2. Its length field could say 64 KiB; what balancers add (TLS, names, identifiers of the
/// connection) are some hundred bytes.
const HEADER_BYTES: usize = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPECIFIED: u8 = 0x00;
const TCP_4: u8 = 0x11;
const TCP_6: u8 = 0x21;

/// `PP2_TYPE_CRC32C`
const CHECKSUM: u8 = 0x03;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The sender speaks for itself, or does not know for whom (`LOCAL`, `UNKNOWN`): the connection is what it is.
    Local,
    /// The sender hands on a connection that somebody else has made.
    Client(Ends),
}

/// The ends of a TCP connection. IPv4 addresses are IPv4, and both are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    client: SocketAddr,
    server: SocketAddr,
}

/// Why a connection does not begin with a header that can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadHeader {
    /// It begins with something else.
    #[error("the connection does not begin with one")]
    None,
    /// A line over 107 bytes, or a header of version 2 over 4 KiB.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Not the line that version 1 prescribes.
    #[error("its line is not what version 1 of the protocol prescribes")]
    Line,
    /// Neither 1 nor 2.
    #[error("its version is {0}")]
    Version(u8),
    /// Neither `LOCAL` nor `PROXY`.
    #[error("its command is {0}")]
    Command(u8),
    /// A datagram, a Unix socket, or what nobody knows.
    #[error("it is not about a TCP connection but 0x{0:02x}")]
    Family(u8),
    /// Its length has no room for the addresses of its family.
    #[error("it is too short for its addresses")]
    Addresses,
    /// An extension longer than the header, or a checksum that has not four bytes.
    #[error("one of its extensions has an impossible length")]
    Extension,
    /// `PP2_TYPE_CRC32C`
    #[error("its checksum is wrong")]
    Checksum,
}

impl Ends {
    /// Where the two are of different families, the server's is left unspecified: a header has room for one.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (client, server) = (canonical(client), canonical(server));
        let unspecified = |ip: IpAddr| SocketAddr::new(ip, 0);
        let server = match (client.ip(), server.ip()) {
            (IpAddr::V4(_), IpAddr::V6(_)) => unspecified(Ipv4Addr::UNSPECIFIED.into()),
            (IpAddr::V6(_), IpAddr::V4(_)) => unspecified(Ipv6Addr::UNSPECIFIED.into()),
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => server,
        };
        Self { client, server }
    }

    /// Where the connection was made from.
    pub fn client(self) -> SocketAddr {
        self.client
    }

    /// Where it was made to.
    pub fn server(self) -> SocketAddr {
        self.server
    }
}

impl ProxyHeader {
    /// Reads the header that a connection begins with, and its length. `None`: more bytes are needed. What follows the
    /// header is not looked at.
    ///
    /// Of the extensions of version 2 the checksum is verified. The others are skipped, what they say of TLS too: what a
    /// client has shown to somebody else is no proof to us.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHeader> {
        if could_be(bytes, SIGNATURE_1) {
            decode_line(bytes)
        } else if could_be(bytes, SIGNATURE_2) {
            decode_binary(bytes)
        } else {
            Err(BadHeader::None)
        }
    }

    /// Whether these bytes begin with a header's signature. No packet of a MySQL client does.
    pub fn is_begun_by(bytes: &[u8]) -> bool {
        bytes.starts_with(SIGNATURE_1) || bytes.starts_with(SIGNATURE_2)
    }

    /// A header of version 2.
    pub fn encode(&self) -> Vec<u8> {
        let mut header = SIGNATURE_2.to_vec();
        match self {
            Self::Local => header.extend_from_slice(&[LOCAL, UNSPECIFIED, 0, 0]),
            Self::Client(Ends { client, server }) => {
                match client.ip() {
                    IpAddr::V4(_) => header.extend_from_slice(&[PROXY, TCP_4, 0, 12]),
                    IpAddr::V6(_) => header.extend_from_slice(&[PROXY, TCP_6, 0, 36]),
                }
                for end in [client, server] {
                    match end.ip() {
                        IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
                        IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
                    }
                }
                for end in [client, server] {
                    header.extend_from_slice(&end.port().to_be_bytes());
                }
            }
        }
        header
    }
}

/// True also while there are too few bytes to tell.
fn could_be(bytes: &[u8], signature: &[u8]) -> bool {
    let known = bytes.len().min(signature.len());
    bytes[..known] == signature[..known]
}

// ---- version 1 -------------------------------------------------------------------------------------------------------

fn decode_line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, BadHeader> {
    let window = &bytes[..bytes.len().min(LINE_BYTES)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() == LINE_BYTES {
            Err(BadHeader::TooLong(LINE_BYTES))
        } else {
            Ok(None)
        };
    };
    let line = window[..end]
        .strip_prefix(SIGNATURE_1)
        .and_then(|line| line.strip_suffix(b"\r"))
        .ok_or(BadHeader::Line)?;
    let header = if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        ProxyHeader::Local
    } else {
        let ends = str::from_utf8(line).ok().and_then(ends_of_line);
        ProxyHeader::Client(ends.ok_or(BadHeader::Line)?)
    };
    Ok(Some((header, end + 1)))
}

fn ends_of_line(line: &str) -> Option<Ends> {
    let mut words = line.split(' ');
    match words.next()? {
        "TCP4" => ends_of_words::<Ipv4Addr>(words),
        "TCP6" => ends_of_words::<Ipv6Addr>(words),
        _ => None,
    }
}

fn ends_of_words<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<Ends> {
    let client: A = words.next()?.parse().ok()?;
    let server: A = words.next()?.parse().ok()?;
    let client = SocketAddr::new(client.into(), port(words.next()?)?);
    let server = SocketAddr::new(server.into(), port(words.next()?)?);
    words.next().is_none().then(|| Ends::new(client, server))
}

/// In one way of writing only: no sign and no leading zero.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

// ---- version 2 -------------------------------------------------------------------------------------------------------

fn decode_binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, BadHeader> {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let [.., version_and_command, family, high, low] = *head;
    if version_and_command >> 4 != 2 {
        return Err(BadHeader::Version(version_and_command >> 4));
    }
    let length = HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES {
        return Err(BadHeader::TooLong(HEADER_BYTES));
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    let said = match (version_and_command, family) {
        // whatever else stands in it must be ignored
        (LOCAL, _) | (PROXY, UNSPECIFIED) => ProxyHeader::Local,
        (PROXY, TCP_4) => ProxyHeader::Client(ends_of_binary::<4, Ipv4Addr>(header)?),
        (PROXY, TCP_6) => ProxyHeader::Client(ends_of_binary::<16, Ipv6Addr>(header)?),
        (PROXY, other) => return Err(BadHeader::Family(other)),
        (other, _) => return Err(BadHeader::Command(other & 0x0F)),
    };
    Ok(Some((said, length)))
}

fn ends_of_binary<const N: usize, A: From<[u8; N]> + Into<IpAddr>>(
    header: &[u8],
) -> Result<Ends, BadHeader> {
    let read = |rest| -> Option<(Ends, &[u8])> {
        let (client, rest): (&[u8; N], &[u8]) = <[u8]>::split_first_chunk(rest)?;
        let (server, rest): (&[u8; N], _) = rest.split_first_chunk()?;
        let (client_port, rest) = rest.split_first_chunk()?;
        let (server_port, rest) = rest.split_first_chunk()?;
        let end = |ip: [u8; N], port| SocketAddr::new(A::from(ip).into(), u16::from_be_bytes(port));
        let ends = Ends::new(end(*client, *client_port), end(*server, *server_port));
        Some((ends, rest))
    };
    let (ends, extensions) = read(&header[HEAD_BYTES..]).ok_or(BadHeader::Addresses)?;
    verify(header, extensions)?;
    Ok(ends)
}

/// Walks through the extensions that a header ends with, and verifies its checksum if one is among them.
fn verify(header: &[u8], mut extensions: &[u8]) -> Result<(), BadHeader> {
    while let [kind, rest @ ..] = extensions {
        let (value, rest) = rest
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(u16::from_be_bytes(*length).into()))
            .ok_or(BadHeader::Extension)?;
        if *kind == CHECKSUM {
            let checksum: [u8; 4] = value.try_into().map_err(|_| BadHeader::Extension)?;
            let behind = header.len() - rest.len();
            let before = &header[..behind - checksum.len()];
            let with_zeros = [before, &[0; 4], rest].concat();
            if crc32c(&with_zeros) != u32::from_be_bytes(checksum) {
                return Err(BadHeader::Checksum);
            }
        }
        extensions = rest;
    }
    Ok(())
}

/// CRC-32C (Castagnoli), bit by bit: headers are short and come once in a connection.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests;
