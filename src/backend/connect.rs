//! Dialling a backend: an endpoint that answers, its greeting, TLS as configured. Never plaintext instead.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::HandshakeKind;
use rustls::pki_types::UnixTime;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::{Backend, Dialled, Endpoint, Known, Server};
use crate::net::socket::Socket;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::Side;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::greeting::BackendGreeting;
use crate::protocol::login::LoginHead;
use crate::protocol::packet::{ERR, Malformed};
use crate::tls::{self, CertificateRefusal, Connector, Generation, LoadError};

/// Greetings are under 200 bytes; an ERR in their place under 600.
const GREETING_BYTES: usize = 4096;

/// `ER_HOST_IS_BLOCKED`
pub(super) const HOST_IS_BLOCKED: u16 = 1129;

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
    /// An ERR in place of a greeting.
    #[error("the backend refused the connection: {} {}{}", .0.code, .0.message, cure(.0))]
    Refused(ErrPacket),
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
    /// Whether the server may have counted this dial as a failed handshake, or blocks us already.
    fn may_be_counted(&self) -> bool {
        match self {
            Self::Dial { .. } | Self::NoCertificates(_) => false,
            Self::Refused(error) => error.code == HOST_IS_BLOCKED,
            Self::TooSlow { .. }
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
    /// Connects to the first endpoint that can be used, to log in with this head (without the SSL flag).
    ///
    /// Not cancel safe: a connection that is dropped here counts towards the server's `max_connect_errors`.
    pub async fn connect(&self, head: LoginHead) -> Result<Connection, Arc<ConnectError>> {
        let deadline = Instant::now() + self.connect_time;
        let tls = self.tls_in_force(deadline).await?;
        let mut failed: Vec<(&Arc<Known>, Arc<ConnectError>)> = Vec::new();
        for (index, known) in self.endpoints.iter().enumerate() {
            // one that is silent leaves time for the others
            let now = Instant::now();
            let left = u32::try_from(self.endpoints.len() - index).unwrap_or(u32::MAX);
            let until = now + deadline.saturating_duration_since(now) / left;
            match self.connect_to(known, &tls, head, until).await {
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
        head: LoginHead,
        until: Instant,
    ) -> Result<Connection, Arc<ConnectError>> {
        let generation = tls.generation();
        if let Some(reason) = known.back_off().reason(Instant::now(), generation) {
            self.counts.withheld.count();
            return Err(Arc::clone(reason));
        }
        let dialled = Dialled {
            known: Arc::clone(known),
            generation,
            counts: Arc::clone(&self.counts),
        };
        let endpoint = &known.endpoint;
        let began = Instant::now();
        self.counts.dials.count();
        let connected = timeout_at(until, self.dial(&dialled, tls, head))
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::TooSlow {
                    endpoint: endpoint.to_string(),
                })
            });
        match connected {
            Ok(connection) => {
                self.counts.times.observe(began.elapsed());
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
    ) -> Result<Connection, ConnectError> {
        let endpoint = &dialled.known.endpoint;
        let failed = |source| ConnectError::Dial {
            endpoint: endpoint.to_string(),
            source,
        };
        let socket = open(endpoint).await.map_err(failed)?;
        // fails only where the server is gone already
        socket.keep_alive(self.keep_alive).map_err(failed)?;
        let server = Server::of(self.role, endpoint, &socket).map_err(failed)?;
        let mut stream = Stream::new(Side::Backend, socket);
        let payload = stream
            .read_packet(GREETING_BYTES)
            .await
            .map_err(ConnectError::Stream)?;
        if payload.first() == Some(&ERR) {
            return Err(ConnectError::Refused(ErrPacket::decode(&payload)?));
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
            stream
                .write_packet(&head.encode())
                .await
                .map_err(ConnectError::Tls)?;
            let name = tls::server_name(match endpoint {
                Endpoint::Tcp { host, .. } | Endpoint::Resolved { host, .. } => host,
                Endpoint::Unix(_) => "localhost",
            });
            stream
                .connect_tls(connector.config().clone(), name.clone(), channel.counts())
                .await
                .map_err(ConnectError::Tls)?;
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
        })
    }
}

async fn open(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            Socket::tcp(TcpStream::connect((host.as_str(), *port)).await?)
        }
        Endpoint::Resolved { address, .. } => Socket::tcp(TcpStream::connect(address).await?),
        Endpoint::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
    }
}
