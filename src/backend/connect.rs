//! Dialling a backend: an endpoint that answers, its greeting, TLS as configured. Never plaintext instead.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::HandshakeKind;
use rustls::pki_types::UnixTime;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::{Backend, Dialled, Endpoint, Known, Server};
use crate::net::socket::{KeepAlive, Socket};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::Side;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::greeting::BackendGreeting;
use crate::protocol::login::LoginHead;
use crate::protocol::packet::{ERR, Malformed};
use crate::protocol::proxy_header::{Ends, ProxyHeader};
use crate::rules::SeenAddress;
use crate::tls::{self, CertificateRefusal, Connector, Generation, LoadError};

/// Greetings are under 200 bytes; an ERR in their place under 600.
const GREETING_BYTES: usize = 4096;

/// `ER_HOST_IS_BLOCKED`
pub(super) const HOST_IS_BLOCKED: u16 = 1129;
/// `ER_HOST_NOT_PRIVILEGED`: also of MariaDB, when it takes a PROXY header from nobody at our address.
const HOST_IS_NOT_PRIVILEGED: u16 = 1130;

/// A connection that waits for its login.
#[derive(Debug)]
pub struct Connection {
    /// In TLS, where the configuration says so.
    pub stream: Stream,
    /// What the login must begin with: what was in the `SSLRequest`.
    pub head: LoginHead,
    /// Whom it leads to.
    pub server: Server,
    /// The server's own id of the connection.
    pub connection_id: u32,
    /// Whom to tell how the login went on.
    pub endpoint: Dialled,
    /// Whose address the server sees.
    pub seen: SeenAddress,
}

/// How a backend is to be spoken to just now.
enum InForce {
    Plaintext,
    Tls(Arc<Generation<Connector>>),
    /// Over TLS, whose certificates cannot be used.
    Fault(Arc<LoadError>),
}

impl InForce {
    /// For how long a rest holds.
    fn generation(&self) -> u64 {
        match self {
            Self::Plaintext | Self::Fault(_) => 0,
            Self::Tls(generation) => generation.number,
        }
    }
}

/// Why no endpoint could be used. The last endpoint's reason counts.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nobody answered.
    #[error("dial {endpoint}: {source}")]
    Dial {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// Not within the deadline (`limits.connect-time`).
    #[error("dial {endpoint}: no greeting and TLS within the connect time")]
    TooSlow {
        /// Where.
        endpoint: String,
    },
    /// An ERR in place of a greeting, by a server that sees this address.
    #[error("the backend refused the connection: {} {}{}", .0.code, .0.message, cure(.0))]
    Refused(ErrPacket, SeenAddress),
    /// An ERR behind our PROXY header, of a server that may take none.
    #[error("the backend refused the connection behind our PROXY header: {} {} (does proxy-protocol.send fit this server?)", .0.code, .0.message)]
    ProxyHeaderRefused(ErrPacket),
    /// The connection ended behind our PROXY header, to a server that may take none.
    #[error("{} behind our PROXY header: does proxy-protocol.send fit this server?", .0.in_words())]
    ProxyHeader(#[source] StreamError),
    /// No MySQL server, or a hostile one.
    #[error("the backend's greeting cannot be read: {0}")]
    Greeting(#[from] Malformed),
    /// The connection failed before or within the greeting.
    #[error("{}", .0.in_words())]
    Stream(#[source] StreamError),
    /// TLS is configured, and the backend has none.
    #[error("the backend offers no TLS, and its `security` demands it")]
    NoTls,
    /// TLS is configured, and its certificates cannot be used. The server is not dialled.
    #[error("no TLS with the backend: {0}")]
    NoCertificates(Arc<LoadError>),
    /// The handshake failed, or the backend's certificate was not accepted.
    #[error("{}", .0.in_words())]
    Tls(#[source] StreamError),
    /// The certificate of a resumed session is accepted no longer.
    #[error("TLS with the backend: its {0}")]
    Certificate(#[from] CertificateRefusal),
    /// The backend can do less than when it was last greeted.
    #[error("the backend no longer has a capability that the client was granted (0x{:x})", .0.mysql())]
    Lacking(Capabilities),
}

fn cure(error: &ErrPacket) -> &'static str {
    if error.code == HOST_IS_BLOCKED {
        " (run FLUSH HOSTS or TRUNCATE performance_schema.host_cache there, and raise max_connect_errors)"
    } else {
        ""
    }
}

impl ConnectError {
    /// Of a connection that ended behind our PROXY header before a server took it.
    pub(super) fn behind_proxy_header(said: Option<ErrPacket>, error: StreamError) -> Self {
        match said {
            Some(refused) => Self::ProxyHeaderRefused(refused),
            None => Self::ProxyHeader(error),
        }
    }

    /// Whether the server may have counted this dial as a failed handshake of ours, or blocks us already. Where it sees the
    /// client's address, it is that one that it blocks.
    pub(super) fn may_be_counted(&self) -> bool {
        match self {
            Self::Dial { .. } | Self::NoCertificates(_) => false,
            Self::Refused(error, seen) => {
                error.code == HOST_IS_BLOCKED && *seen == SeenAddress::Mytls
            }
            // these may be about the client's address too
            Self::ProxyHeaderRefused(error) => {
                !matches!(error.code, HOST_IS_BLOCKED | HOST_IS_NOT_PRIVILEGED)
            }
            Self::ProxyHeader(_)
            | Self::TooSlow { .. }
            | Self::Greeting(_)
            | Self::Stream(_)
            | Self::NoTls
            | Self::Tls(_)
            | Self::Certificate(_)
            | Self::Lacking(_) => true,
        }
    }
}

impl Backend {
    /// Connects to the first endpoint that can be used, to log in with this head (without the SSL flag). `client` is
    /// whom a PROXY header tells of, where the server is to get one; `None` for a connection of mytls' own, and for a
    /// client that has no address.
    ///
    /// Not cancel safe: a connection that is dropped here counts towards the server's `max_connect_errors`.
    pub async fn connect(
        &self,
        head: LoginHead,
        client: Option<Ends>,
    ) -> Result<Connection, Arc<ConnectError>> {
        let deadline = Instant::now() + self.connect_time;
        let tls = self.tls_in_force(deadline).await?;
        let mut failed: Vec<(&Arc<Known>, Arc<ConnectError>)> = Vec::new();
        for (index, known) in self.endpoints.iter().enumerate() {
            // one that is silent leaves time for the others
            let now = Instant::now();
            let left = u32::try_from(self.endpoints.len() - index).unwrap_or(u32::MAX);
            let until = now + deadline.saturating_duration_since(now) / left;
            match self.connect_to(known, &tls, (head, client), until).await {
                Ok(connection) => {
                    self.tell_of_changes(known, &failed);
                    return Ok(connection);
                }
                Err(error) => failed.push((known, error)),
            }
        }
        let (_, last) = failed.pop().expect("a backend has at least one endpoint");
        Err(last)
    }

    /// Logs which endpoints are passed over: once for each time that it begins, and that it ends, not at each connection.
    fn tell_of_changes(&self, used: &Known, passed_over: &[(&Arc<Known>, Arc<ConnectError>)]) {
        for (known, error) in passed_over {
            if !known.is_passed_over.swap(true, Ordering::Relaxed) {
                let endpoint = &known.endpoint;
                warn!(route = %self.role, %endpoint, error = error.to_string(), "an endpoint is passed over");
            }
        }
        if used.is_passed_over.swap(false, Ordering::Relaxed) {
            info!(route = %self.role, endpoint = %used.endpoint, "an endpoint is used again");
        }
    }

    /// What to dial with. While its certificates cannot be used, a server is dialled only to learn its greeting.
    async fn tls_in_force(&self, deadline: Instant) -> Result<InForce, Arc<ConnectError>> {
        let Some(channel) = &self.tls else {
            return Ok(InForce::Plaintext);
        };
        let current = timeout_at(deadline, channel.fresh())
            .await
            .unwrap_or_else(|_| channel.current());
        if let Some(generation) = current {
            return Ok(InForce::Tls(generation));
        }
        let fault = channel.fault().unwrap_or(Arc::new(LoadError::BrokenOff));
        if self.greeting().is_some() {
            return Err(Arc::new(ConnectError::NoCertificates(fault)));
        }
        Ok(InForce::Fault(fault))
    }

    /// An endpoint that rests gives the error that it rests for.
    async fn connect_to(
        &self,
        known: &Arc<Known>,
        tls: &InForce,
        (head, client): (LoginHead, Option<Ends>),
        until: Instant,
    ) -> Result<Connection, Arc<ConnectError>> {
        let generation = tls.generation();
        if let Some(reason) = known.back_off().reason(Instant::now(), generation) {
            self.counts.withheld.count();
            return Err(Arc::clone(reason));
        }
        let dialled = Dialled {
            known: Arc::clone(known),
            began: Instant::now(),
            generation,
            sent_proxy_header: self.sends_proxy_header,
            counts: Arc::clone(&self.counts),
        };
        let endpoint = &known.endpoint;
        self.counts.dials.count();
        let connected = timeout_at(until, self.dial(&dialled, tls, head, client))
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::TooSlow {
                    endpoint: endpoint.to_string(),
                })
            });
        match connected {
            Ok(connection) => {
                self.counts.times.observe(dialled.began.elapsed());
                Ok(connection)
            }
            Err(error) => {
                self.counts.failures.count((&error).into());
                // whoever asked for the connection logs the failure
                debug!(route = %self.role, %endpoint, error = error.to_string(), "connect to backend");
                let error = Arc::new(error);
                if error.may_be_counted() {
                    dialled.rest_for(&error);
                }
                Err(error)
            }
        }
    }

    async fn dial(
        &self,
        dialled: &Dialled,
        tls: &InForce,
        mut head: LoginHead,
        client: Option<Ends>,
    ) -> Result<Connection, ConnectError> {
        let endpoint = &dialled.known.endpoint;
        let failed = |source| ConnectError::Dial {
            endpoint: endpoint.to_string(),
            source,
        };
        let socket = open(endpoint, self.keep_alive).await.map_err(failed)?;
        let server = Server::of(self.role, endpoint, &socket).map_err(failed)?;
        let header = self
            .sends_proxy_header
            .then(|| proxy_header(client, &socket));
        let seen = match header {
            Some(ProxyHeader::Client(_)) => SeenAddress::Client,
            Some(ProxyHeader::Local) | None => SeenAddress::Mytls,
        };
        let mut stream = Stream::new(Side::Backend, socket);
        if let Some(header) = header {
            let written = stream.write_bytes(&header.encode()).await;
            written.map_err(ConnectError::Stream)?;
        }
        let payload = stream
            .read_packet(GREETING_BYTES)
            .await
            .map_err(ConnectError::Stream)?;
        if payload.first() == Some(&ERR) {
            return Err(ConnectError::Refused(ErrPacket::decode(&payload)?, seen));
        }
        let greeting = BackendGreeting::decode(&payload)?;
        debug!(route = %self.role, %endpoint, backend_id = greeting.connection_id, "backend greeted");
        self.learn(&greeting);
        let lacking = (head.capabilities | Capabilities::REQUIRED)
            .without(greeting.capabilities)
            .without(Capabilities::CLIENT_MYSQL);
        if !lacking.is_empty() {
            return Err(ConnectError::Lacking(lacking));
        }
        let offers_tls = greeting.capabilities.contains(Capabilities::SSL);
        if self.demands_tls && !offers_tls {
            return Err(ConnectError::NoTls);
        }
        let connector = match tls {
            InForce::Tls(generation) if offers_tls => Some(&generation.tls),
            InForce::Tls(_) | InForce::Plaintext => None,
            InForce::Fault(fault) => return Err(ConnectError::NoCertificates(Arc::clone(fault))),
        };
        if let (Some(connector), Some(channel)) = (connector, &self.tls) {
            head.capabilities = head.capabilities | Capabilities::SSL;
            let asked = stream.write_packet(&head.encode()).await;
            if let Err(error) = asked {
                return Err(dialled.no_tls(&mut stream, error, seen).await);
            }
            let name = tls::server_name(match endpoint {
                Endpoint::Tcp { host, .. } | Endpoint::Resolved { host, .. } => host,
                Endpoint::Unix(_) => "localhost",
            });
            let begun = stream
                .connect_tls(connector.config().clone(), name.clone(), channel.counts())
                .await;
            if let Err(error) = begun {
                return Err(dialled.no_tls(&mut stream, error, seen).await);
            }
            if let Some(session) = stream.tls() {
                let shown = session.peer_certificates();
                // rustls does not verify the certificate of a resumed session again
                if session.handshake_kind() == Some(HandshakeKind::Resumed) {
                    connector.judge(shown, &name, UnixTime::now())?;
                }
                dialled.known.has_shown(shown.unwrap_or_default());
            }
        }
        Ok(Connection {
            stream,
            head,
            server,
            connection_id: greeting.connection_id,
            endpoint: dialled.clone(),
            seen,
        })
    }
}

impl Dialled {
    /// Why there is no TLS: a server that refuses us behind its greeting says so in plaintext.
    async fn no_tls(
        &self,
        stream: &mut Stream,
        error: StreamError,
        seen: SeenAddress,
    ) -> ConnectError {
        let refused = last_word(stream, &error).await;
        let may_be_the_header = self.may_not_take_the_header();
        match (refused, error) {
            (refused, error @ (StreamError::Closed(_) | StreamError::Io(..)))
                if may_be_the_header =>
            {
                ConnectError::behind_proxy_header(refused, error)
            }
            (Some(refused), error) if may_be_the_header => {
                ConnectError::behind_proxy_header(Some(refused), error)
            }
            (Some(refused), _) if self.sent_proxy_header => ConnectError::Refused(refused, seen),
            (Some(_) | None, error) => ConnectError::Tls(error),
        }
    }
}

/// The ERR packet that a server sent before it ended a connection, which a reset may have overtaken.
pub(super) async fn last_word(stream: &mut Stream, error: &StreamError) -> Option<ErrPacket> {
    if let StreamError::Io(..) = error {
        // the connection is dead, so this does not wait: there is something to read or there is not
        let _ = stream.fill().await;
    }
    ErrPacket::find(stream.received())
}

/// What a server is told of a client. If it has no address that means the same machine there as here, the server is told
/// nothing, and sees the address of mytls, where the client is.
fn proxy_header(client: Option<Ends>, server: &Socket) -> ProxyHeader {
    let Some(ends) = client else {
        return ProxyHeader::Local;
    };
    let ip = ends.client().ip();
    // Percona Server refuses headers with these two; a server here sees us at one of them anyhow
    let is_localhost = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
    let is_of_elsewhere = ip.is_loopback() && !server.stays_on_this_machine();
    if is_localhost || is_of_elsewhere {
        ProxyHeader::Local
    } else {
        ProxyHeader::Client(ends)
    }
}

async fn open(endpoint: &Endpoint, keep_alive: KeepAlive) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Tcp { host, port } => Socket::tcp(
            TcpStream::connect((host.as_str(), *port)).await?,
            keep_alive,
        ),
        Endpoint::Resolved { address, .. } => {
            Socket::tcp(TcpStream::connect(address).await?, keep_alive)
        }
        Endpoint::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
    }
}
