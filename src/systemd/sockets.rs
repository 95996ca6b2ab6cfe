//! Ports that systemd has opened (`sd_listen_fds(3)`): they take the place of `listen`, each by the name that its socket unit
//! gives it (`FileDescriptorName=`).

use std::{env, fmt, io};

use listenfd::ListenFd;
use socket2::SockRef;
use thiserror::Error;

use crate::config::Config;
use crate::net::ListenAddress;
use crate::net::listener::{Handed, ListenError, Listener};

/// Whom a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The data port.
    Mysql,
    /// The admin port.
    Admin,
    /// Metrics and health.
    Http,
}

/// Why the sockets that were handed down cannot be used.
#[derive(Debug, Error)]
pub enum SocketsError {
    /// It has the name of no port.
    #[error(
        "the socket unit calls socket {number} `{name}`: FileDescriptorName= has to be mysql, admin or http"
    )]
    Name {
        /// Counted from 0.
        number: usize,
        /// As it was given.
        name: String,
    },
    /// It is a datagram socket, a file, or nothing.
    #[error("socket {number} of the socket unit is no TCP or Unix stream socket: {source}")]
    Kind {
        /// Counted from 0.
        number: usize,
        /// What was looked for last.
        source: io::Error,
    },
    /// It is connected, or nothing yet: `Accept=yes` hands down the client.
    #[error("socket {number} of the socket unit does not listen: it must have Accept=no")]
    NotListening {
        /// Counted from 0.
        number: usize,
    },
    /// Its port is not in the configuration: nobody would ever answer there.
    #[error("the socket unit opens a port `{0}`, and the configuration has no such section")]
    NoSection(Port),
}

/// What was handed down and is not yet in use.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(Port, ListenAddress, Handed)>);

/// Where it listens.
#[derive(Debug, Clone, Default)]
pub struct Addresses(Vec<(Port, ListenAddress)>);

impl Sockets {
    /// Those of this process, none if nobody hands any down. Call it once, before there are threads: it takes them out of
    /// the environment.
    pub fn handed_down() -> Result<Self, SocketsError> {
        let names = env::var("LISTEN_FDNAMES").ok();
        let mut descriptors = ListenFd::from_env();
        let mut sockets = Vec::new();
        for number in 0..descriptors.len() {
            let port = port_of(number, names.as_deref())?;
            let handed = take(&mut descriptors, number)?;
            let address = handed
                .address()
                .map_err(|source| SocketsError::Kind { number, source })?;
            sockets.push((port, address, handed));
        }
        Ok(Self(sockets))
    }

    /// Where they listen.
    pub fn addresses(&self) -> Addresses {
        let each = self.0.iter();
        Addresses(
            each.map(|(port, address, _)| (*port, address.clone()))
                .collect(),
        )
    }

    /// Whether any is for this port.
    pub fn has(&self, port: Port) -> bool {
        self.0.iter().any(|(of, ..)| *of == port)
    }

    /// The socket of this port and address; one that was not handed down is opened now.
    pub fn open(&mut self, port: Port, address: &ListenAddress) -> Result<Listener, ListenError> {
        let is_it = |(of, at, _): &(Port, ListenAddress, Handed)| *of == port && at == address;
        match self.0.iter().position(is_it) {
            Some(index) => Listener::of(self.0.swap_remove(index).2)
                .map_err(|error| ListenError::new(address, error)),
            None => Listener::bind(address),
        }
    }
}

impl Addresses {
    /// Puts them in the place of `listen`.
    pub fn replace_in(&self, config: &mut Config) -> Result<(), SocketsError> {
        for port in [Port::Mysql, Port::Admin, Port::Http] {
            let of_port = self.0.iter().filter(|(of, _)| *of == port);
            let addresses: Vec<_> = of_port.map(|(_, address)| address.clone()).collect();
            if addresses.is_empty() {
                continue;
            }
            *listen_of(port, config).ok_or(SocketsError::NoSection(port))? = addresses;
        }
        Ok(())
    }
}

fn listen_of(port: Port, config: &mut Config) -> Option<&mut Vec<ListenAddress>> {
    match port {
        Port::Mysql => Some(&mut config.listen),
        Port::Admin => config.admin.as_mut().map(|admin| &mut admin.listen),
        Port::Http => config.http.as_mut().map(|http| &mut http.listen),
    }
}

/// Without names (`systemd-socket-activate` gives none unasked) it is the data port.
fn port_of(number: usize, names: Option<&str>) -> Result<Port, SocketsError> {
    let Some(names) = names else {
        return Ok(Port::Mysql);
    };
    let name = names.split(':').nth(number).unwrap_or_default();
    let ports = [Port::Mysql, Port::Admin, Port::Http];
    let port = ports.into_iter().find(|port| port.to_string() == name);
    port.ok_or_else(|| SocketsError::Name {
        number,
        name: name.to_owned(),
    })
}

fn take(descriptors: &mut ListenFd, number: usize) -> Result<Handed, SocketsError> {
    let kind = |source| SocketsError::Kind { number, source };
    let handed = match descriptors.take_tcp_listener(number) {
        Ok(Some(tcp)) => Handed::Tcp(tcp),
        Ok(None) => return Err(kind(io::ErrorKind::NotFound.into())),
        Err(_) => match descriptors.take_unix_listener(number) {
            Ok(Some(unix)) => Handed::Unix(unix),
            Ok(None) => return Err(kind(io::ErrorKind::NotFound.into())),
            Err(error) => return Err(kind(error)),
        },
    };
    let listens = match &handed {
        Handed::Tcp(tcp) => SockRef::from(tcp).is_listener(),
        Handed::Unix(unix) => SockRef::from(unix).is_listener(),
    };
    if listens.map_err(kind)? {
        Ok(handed)
    } else {
        Err(SocketsError::NotListening { number })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mysql => "mysql",
            Self::Admin => "admin",
            Self::Http => "http",
        })
    }
}
