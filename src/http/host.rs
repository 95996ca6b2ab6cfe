//! Which names the port answers to: the answer to DNS rebinding.
//!
//! A web page that a browser has from `evil.example` may read whatever `http://evil.example:9307/` answers, and its owner
//! can let that name point to 127.0.0.1 a moment later. The browser still says the name in `Host`, so a name that nobody has
//! told mytls is refused. An address cannot be pointed elsewhere, nor can `localhost`; a name without a dot (a service in a
//! compose file, a host of one's own network) is nobody's to buy.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Names with a dot that are answered to.
#[derive(Debug)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// `http.hosts`
    pub(super) fn new(written: &[String]) -> Self {
        Self(written.iter().map(|name| plain(name)).collect())
    }

    /// Whether a request for this host, with or without a port, is answered.
    pub(super) fn admit(&self, host: &str) -> bool {
        let name = without_port(host);
        if let Some(inner) = name.strip_prefix('[') {
            let inner = inner.strip_suffix(']');
            return inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
        }
        is_one_word(name) || name.parse::<Ipv4Addr>().is_ok() || self.0.contains(&plain(name))
    }
}

/// A name without a dot.
fn is_one_word(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_letter)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Case and the root's dot make no other name.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_point_here_are_answered_to() {
        let hosts = Hosts::new(&["db.Example".to_owned(), "a.internal.".to_owned()]);
        for host in [
            "evil.example",
            "evil.example:9307",
            "db.example.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "localhost.evil.example",
            "ai.",
            "",
            ":9307",
            "[::1",
            "[::1].evil.example",
            "[evil.example]",
            "::1",
        ] {
            assert!(!hosts.admit(host), "{host:?}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:9307",
            "10.1.2.3:80",
            "[::1]",
            "[fe80::1]:9307",
            "localhost",
            "LOCALHOST:9307",
            "mytls:9307",
            "db.example",
            "DB.example.:9307",
            "a.internal",
        ] {
            assert!(hosts.admit(host), "{host:?}");
        }
    }
}
