//! Addresses as they are written: `host:port`, `[::1]:3306`, `unix:/path`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::backend::Endpoint;
use crate::net::ListenAddress;

/// Where MySQL listens when nothing else is said.
pub(super) const MYSQL_PORT: u16 = 3306;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing is written.
    #[error("the address is empty")]
    Empty,
    /// A port is listened on at an IP address.
    #[error(
        "`{0}` is no address to listen on: write IP and port (127.0.0.1:3307, \"[::]:3307\") or unix:/path"
    )]
    Listen(String),
    /// `:` is not followed by a port.
    #[error("`{0}` is no port: a number from 1 to 65535")]
    Port(String),
    /// Brackets are for IPv6 addresses.
    #[error("`{0}` is no IPv6 address")]
    Ipv6(String),
    /// Not a host name.
    #[error("`{0}` is no host name and no IP address")]
    Host(String),
    /// `unix:` and no path.
    #[error("`unix:` needs the path of a socket behind it")]
    SocketPath,
}

/// Reads an address to listen on.
pub(super) fn parse_listen(text: &str, folder: &Path) -> Result<ListenAddress, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(path, folder).map(ListenAddress::Unix);
    }
    text.parse::<SocketAddr>()
        .map(ListenAddress::Tcp)
        .map_err(|_| AddressError::Listen(text.to_owned()))
}

/// Reads a backend's address.
pub(super) fn parse_endpoint(text: &str, folder: &Path) -> Result<Endpoint, AddressError> {
    parse_endpoint_at(text, folder, MYSQL_PORT)
}

/// Reads the address of a server that has this port if none is written.
pub(super) fn parse_endpoint_at(
    text: &str,
    folder: &Path,
    default_port: u16,
) -> Result<Endpoint, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(path, folder).map(Endpoint::Unix);
    }
    let (host, port) = if text.starts_with('[') || text.parse::<Ipv6Addr>().is_ok() {
        match text.split_once("]:") {
            Some((host, port)) => (&text[..=host.len()], Some(port)),
            None => (text, None),
        }
    } else {
        match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port.map(str::parse) {
        None => default_port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(AddressError::Port(port.unwrap_or_default().to_owned())),
    };
    Ok(Endpoint::Tcp {
        host: parse_host(host)?,
        port,
    })
}

/// Reads a host: a name or an IP address, the latter with or without brackets.
pub(super) fn parse_host(text: &str) -> Result<String, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address
            .map(|address| address.to_string())
            .ok_or_else(|| AddressError::Ipv6(text.to_owned()));
    }
    let is_name = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if is_name || text.parse::<Ipv6Addr>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(AddressError::Host(text.to_owned()))
    }
}

fn socket_path(path: &str, folder: &Path) -> Result<PathBuf, AddressError> {
    if path.is_empty() {
        Err(AddressError::SocketPath)
    } else {
        Ok(folder.join(path))
    }
}

/// Does the way to this endpoint stay on this machine?
pub(super) fn is_local(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Unix(_) => true,
        Endpoint::Resolved { address, .. } => address.ip().to_canonical().is_loopback(),
        Endpoint::Tcp { host, .. } => {
            host.eq_ignore_ascii_case("localhost")
                || host
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.to_canonical().is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> &'static Path {
        Path::new("/etc/mytls")
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        let cases: [(&str, AddressError); 12] = [
            ("", AddressError::Empty),
            (":3306", AddressError::Empty),
            ("db:", AddressError::Port(String::new())),
            ("db:0", AddressError::Port("0".into())),
            ("db:65536", AddressError::Port("65536".into())),
            ("db:port", AddressError::Port("port".into())),
            ("a:b:3306", AddressError::Host("a:b".into())),
            ("user@db:3306", AddressError::Host("user@db".into())),
            (
                "/run/mysqld.sock",
                AddressError::Host("/run/mysqld.sock".into()),
            ),
            ("[db]:3306", AddressError::Ipv6("[db]".into())),
            ("[::1", AddressError::Ipv6("[::1".into())),
            ("unix:", AddressError::SocketPath),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_endpoint(text, folder()), Err(expected), "{text}");
        }
    }

    #[test]
    fn endpoints_are_read_in_every_form() {
        let cases = [
            ("db", "db", 3306),
            ("db.internal:4000", "db.internal", 4000),
            ("127.0.0.1:3307", "127.0.0.1", 3307),
            ("[::1]:3307", "::1", 3307),
            ("[::1]", "::1", 3306),
            ("2001:db8::1", "2001:db8::1", 3306),
        ];
        for (text, host, port) in cases {
            let expected = Endpoint::Tcp {
                host: host.to_owned(),
                port,
            };
            assert_eq!(parse_endpoint(text, folder()), Ok(expected), "{text}");
        }
        let socket = |path: &str| Ok(Endpoint::Unix(PathBuf::from(path)));
        assert_eq!(
            parse_endpoint("unix:/run/mysqld.sock", folder()),
            socket("/run/mysqld.sock")
        );
        assert_eq!(
            parse_endpoint("unix:mysqld.sock", folder()),
            socket("/etc/mytls/mysqld.sock")
        );
    }

    #[test]
    fn an_address_to_listen_on_needs_ip_and_port() {
        for text in [
            "3307",
            "127.0.0.1",
            "localhost:3307",
            "[::]",
            ":3307",
            "127.0.0.1:70000",
        ] {
            assert_eq!(
                parse_listen(text, folder()),
                Err(AddressError::Listen(text.to_owned()))
            );
        }
        assert_eq!(
            parse_listen("unix:", folder()),
            Err(AddressError::SocketPath)
        );
        let tcp = |address: &str| {
            Ok(ListenAddress::Tcp(
                address.parse().expect("a literal address"),
            ))
        };
        assert_eq!(parse_listen("[::]:3307", folder()), tcp("[::]:3307"));
        assert_eq!(parse_listen("127.0.0.1:0", folder()), tcp("127.0.0.1:0"));
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for text in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.8.8.8:3306",
            "[::1]:3306",
            "unix:/s",
        ] {
            assert!(
                parse_endpoint(text, folder()).is_ok_and(|endpoint| is_local(&endpoint)),
                "{text}"
            );
        }
        assert!(
            parse_endpoint("[::ffff:127.0.0.1]:1", folder())
                .is_ok_and(|endpoint| is_local(&endpoint))
        );
        for text in [
            "db",
            "0.0.0.0",
            "10.0.0.1",
            "[::]:3306",
            "localhost.example.com",
        ] {
            assert!(
                parse_endpoint(text, folder()).is_ok_and(|endpoint| !is_local(&endpoint)),
                "{text}"
            );
        }
    }
}
