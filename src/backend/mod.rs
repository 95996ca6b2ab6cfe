//! The servers behind mytls: where they are, how they are reached, what they said when last greeted.
//!
//! `connect` makes every connection. Sessions hand a client's login on over theirs; `client` logs in with mytls' own
//! account, for which `proof` has the plugins' answers, and with it `import` reads the server's own accounts, out of
//! `grant_tables`. `route` says which backend new sessions go to, and `kept_route` keeps that from start to start.

mod back_off;
pub mod client;
pub mod connect;
mod counts;
mod grant_tables;
pub mod import;
mod kept_route;
pub mod own_account;
pub mod probe;
mod proof;
pub mod query;
mod route;
mod server;
mod state;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use self::back_off::BackOff;
use self::connect::{ConnectError, last_word};
pub use self::counts::{DialCounts, DialFailure};
use self::import::{Import, ImportSettings};
pub use self::kept_route::KeptRoute;
use self::own_account::PasswordFileError;
pub use self::route::{Backends, Keeping, RouteError};
pub use self::server::Server;
pub use self::state::EndpointState;
use crate::net::socket::KeepAlive;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::greeting::BackendGreeting;
use crate::tls::{Channel, ChannelName, ClientSettings, Connector, Expiry, Reread};

/// Which of the two backends of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The key `from` (alias `backend`).
    Source,
    /// The key `target-database`.
    Target,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Source, Self::Target];

    /// As `route:` and `SET ROUTE TO` have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One address of a backend, as written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`; the name is resolved at each connect.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// One of the addresses of a name, where each is a server of its own; its certificate is compared with the name.
    Resolved {
        /// The name.
        host: String,
        /// One of its addresses.
        address: SocketAddr,
    },
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Resolved { host, address } => {
                write!(f, "{host}:{} ({})", address.port(), address.ip())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether a backend is spoken to over TLS. There is no falling back from one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// In plaintext: to loopback, a Unix socket, or where `allow-plaintext: true` is written.
    Plaintext,
    /// As the server's greeting offers it. Only for `--backend` on this machine, where either is as good and the server
    /// may have no certificate.
    AsOffered(ClientSettings),
    /// Over TLS, or not at all.
    Tls(ClientSettings),
}

/// A backend's section, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which section it was.
    pub role: Role,
    /// Tried in order; at least one.
    pub endpoints: Vec<Endpoint>,
    /// TLS towards it or not.
    pub security: Security,
    /// One deadline over name resolution, dialling every endpoint, greeting and TLS (`limits.connect-time`).
    pub connect_time: Duration,
    /// How it is noticed that it is gone without a word (`limits.keep-alive`, `limits.unacknowledged-time`).
    pub keep_alive: KeepAlive,
    /// Whether accounts are imported out of its grant tables (`import-accounts`).
    pub import: Option<ImportSettings>,
    /// Whether it is told the client's address (`proxy-protocol.send`).
    pub sends_proxy_header: bool,
}

/// A backend cannot be used at all.
#[derive(Debug, Error)]
pub enum BackendError {
    /// `auth_socket` would log anybody in as root.
    #[error(
        "the {0} is on a Unix socket and mytls runs as root: a server lets root in there without a password \
         (auth_socket, unix_socket). Run mytls as an OS user that no account is named after"
    )]
    RootOnUnixSocket(Role),
    /// The password of our own account there.
    #[error("log in to the {0}: {1}")]
    Password(Role, #[source] PasswordFileError),
}

/// One backend.
#[derive(Debug)]
pub struct Backend {
    role: Role,
    endpoints: Vec<Arc<Known>>,
    tls: Option<Arc<Channel<Connector>>>,
    /// Whether a server that offers no TLS is an error.
    demands_tls: bool,
    connect_time: Duration,
    keep_alive: KeepAlive,
    /// What it greeted with when last dialled.
    greeting: Mutex<Option<Arc<BackendGreeting>>>,
    /// mytls' own OS user, if an endpoint is a Unix socket: to its name such a server gives away accounts without a
    /// password.
    own_os_user: Option<String>,
    import: Option<Arc<Import>>,
    /// Whether each connection begins with one.
    sends_proxy_header: bool,
    /// While its sessions are asked to end: when those that are left are cut.
    drain: watch::Sender<Option<Instant>>,
    counts: Arc<DialCounts>,
}

/// An endpoint and what is known of it.
#[derive(Debug)]
struct Known {
    endpoint: Endpoint,
    back_off: Mutex<BackOff>,
    /// Whether a login has ever been answered there.
    has_answered: AtomicBool,
    /// Whether the log says that others are used in its place.
    is_passed_over: AtomicBool,
    /// The certificates that it has shown last.
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl Known {
    fn back_off(&self) -> MutexGuard<'_, BackOff> {
        self.back_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, Vec<CertificateDer<'static>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the certificates that the server has shown.
    fn has_shown(&self, chain: &[CertificateDer<'static>]) {
        let mut shown = self.shown();
        if *shown != chain {
            *shown = chain.to_vec();
        }
    }
}

/// An endpoint that was dialled, with one generation of TLS.
#[derive(Debug, Clone)]
pub struct Dialled {
    known: Arc<Known>,
    began: Instant,
    generation: u64,
    sent_proxy_header: bool,
    counts: Arc<DialCounts>,
}

impl Dialled {
    /// The server has answered a login, so it took our certificate too.
    pub fn answered(&self) {
        self.known.back_off().succeeded();
        self.known.has_answered.store(true, Ordering::Relaxed);
    }

    /// TLS failed behind its handshake: only there does TLS 1.3 let a server refuse our certificate. It counts that like
    /// any broken handshake, so the endpoint rests.
    pub fn tls_failed(&self, error: StreamError) -> Arc<ConnectError> {
        let error = Arc::new(ConnectError::Tls(error));
        self.counts.failures.count((&*error).into());
        self.rest_for(&error);
        error
    }

    /// The connection broke in a login. The server may be none for our PROXY header; one that ever answered a login is, and
    /// the error is given back.
    pub async fn cut(
        &self,
        stream: &mut Stream,
        error: StreamError,
    ) -> Result<Arc<ConnectError>, StreamError> {
        if !self.may_not_take_the_header() {
            return Err(error);
        }
        let error = Arc::new(ConnectError::behind_proxy_header(
            last_word(stream, &error).await,
            error,
        ));
        self.counts.failures.count((&*error).into());
        if error.may_be_counted() {
            self.rest_for(&error);
        }
        Ok(error)
    }

    /// Whether it may be the PROXY header that a server ended the connection for.
    fn may_not_take_the_header(&self) -> bool {
        self.sent_proxy_header && !self.known.has_answered.load(Ordering::Relaxed)
    }

    /// Leaves the endpoint alone for a while.
    fn rest_for(&self, reason: &Arc<ConnectError>) {
        self.known.back_off().failed(
            Instant::now(),
            self.began,
            self.generation,
            Arc::clone(reason),
        );
    }
}

impl Backend {
    /// Loads the backend's certificates and checks that it may be used; dials nothing. Certificates that cannot be used
    /// are [`channel`](Self::channel)'s fault: sessions fail until they can.
    pub fn new(settings: Settings) -> Result<Self, BackendError> {
        let Settings {
            role,
            endpoints,
            security,
            connect_time,
            keep_alive,
            import,
            sends_proxy_header,
        } = settings;
        let is_on_unix_socket = endpoints
            .iter()
            .any(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
        let own_uid = nix::unistd::geteuid();
        if is_on_unix_socket && own_uid.is_root() {
            return Err(BackendError::RootOnUnixSocket(role));
        }
        let own_os_user = is_on_unix_socket
            .then(|| nix::unistd::User::from_uid(own_uid).ok().flatten())
            .flatten()
            .map(|user| user.name);
        if is_on_unix_socket && own_os_user.is_none() {
            warn!(
                route = %role,
                uid = own_uid.as_raw(),
                "mytls' own OS user has no name here: if the server knows one for it, anybody may log in there by it without a \
                 password (auth_socket, unix_socket)"
            );
        }
        if let Some(import) = &import {
            let password = import.account.password.read();
            password.map_err(|error| BackendError::Password(role, error))?;
        }
        let import =
            import.map(|settings| Arc::new(Import::new(settings, role, is_on_unix_socket)));
        Ok(Self {
            keep_alive,
            own_os_user,
            import,
            sends_proxy_header,
            ..Self::without_clients(role, endpoints, security, connect_time)
        })
    }

    /// A server that no client is ever connected with: mytls only logs in itself. So it may stand on a Unix socket whoever
    /// mytls runs as.
    pub fn without_clients(
        role: Role,
        endpoints: Vec<Endpoint>,
        security: Security,
        connect_time: Duration,
    ) -> Self {
        let (wanted, demands_tls) = match security {
            Security::Plaintext => (None, false),
            Security::AsOffered(settings) => (Some(settings), false),
            Security::Tls(settings) => (Some(settings), true),
        };
        let endpoints = endpoints
            .into_iter()
            .map(|endpoint| {
                Arc::new(Known {
                    endpoint,
                    back_off: Mutex::default(),
                    has_answered: AtomicBool::default(),
                    is_passed_over: AtomicBool::default(),
                    shown: Mutex::default(),
                })
            })
            .collect();
        Self {
            role,
            endpoints,
            tls: wanted.map(|settings| channel(role, settings)),
            demands_tls,
            connect_time,
            keep_alive: KeepAlive::default(),
            greeting: Mutex::default(),
            own_os_user: None,
            import: None,
            sends_proxy_header: false,
            drain: watch::Sender::default(),
            counts: Arc::default(),
        }
    }

    /// Which backend it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// TLS towards it; none where it is spoken to in plaintext.
    pub fn channel(&self) -> Option<&Arc<Channel<Connector>>> {
        self.tls.as_ref()
    }

    /// Every endpoint, and why it is left alone just now, if it is.
    pub fn endpoints(&self) -> Vec<(String, Option<String>)> {
        let current = self.tls.as_ref().and_then(|channel| channel.current());
        let generation = current.map_or(0, |current| current.number);
        let resting = |known: &Known| {
            let back_off = known.back_off();
            back_off
                .reason(Instant::now(), generation)
                .map(ToString::to_string)
        };
        self.endpoints
            .iter()
            .map(|known| (known.endpoint.to_string(), resting(known)))
            .collect()
    }

    /// The ends of the certificates that its endpoints have shown last.
    pub fn shown(&self) -> Vec<Expiry> {
        self.endpoints
            .iter()
            .flat_map(|known| Expiry::of_all("shown by the server", known.shown().iter()))
            .collect()
    }

    /// What has come of its dials.
    pub fn counts(&self) -> &DialCounts {
        &self.counts
    }

    /// What it greeted with when last dialled; none before the first time.
    pub fn greeting(&self) -> Option<Arc<BackendGreeting>> {
        self.greeting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The accounts out of its grant tables; none if `import-accounts` is not written.
    pub fn import(&self) -> Option<&Arc<Import>> {
        self.import.as_ref()
    }

    /// Whether it has ever answered a login, so that certificates fit too.
    fn has_answered(&self) -> bool {
        self.endpoints
            .iter()
            .any(|known| known.has_answered.load(Ordering::Relaxed))
    }

    /// Whether its sessions are asked to end, and when those that are left are cut.
    pub fn drain(&self) -> watch::Receiver<Option<Instant>> {
        self.drain.subscribe()
    }

    /// Whether a server would take this name for mytls itself, and let it in without a password.
    pub fn gives_away(&self, user: &str) -> bool {
        self.own_os_user
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(user))
    }

    /// Keeps a greeting for the clients that come next.
    fn learn(&self, greeting: &BackendGreeting) {
        let mut learnt = self.greeting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = learnt.as_deref().is_none_or(|known| {
            (&known.version, known.capabilities, known.collation)
                != (&greeting.version, greeting.capabilities, greeting.collation)
        });
        if is_news {
            // quoted: a hostile server's text must not make lines of its own
            let version = String::from_utf8_lossy(&greeting.version);
            info!(route = %self.role, version = version.as_ref(), "backend greeted");
            *learnt = Some(Arc::new(greeting.clone()));
        }
    }
}

/// TLS towards a backend. As in DM, its files are looked at whenever a connection is made.
fn channel(role: Role, settings: ClientSettings) -> Arc<Channel<Connector>> {
    let name = match role {
        Role::Source => ChannelName::Source,
        Role::Target => ChannelName::Target,
    };
    let sources = settings.sources.clone();
    Channel::open(name, Reread::AtConnect, sources, move |sources| {
        let settings = ClientSettings {
            sources,
            ..settings.clone()
        };
        Ok(Some(Connector::load(&settings)?))
    })
}
