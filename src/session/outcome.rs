//! How a session ended: what the client is told, and the one line in the log.

use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use tracing::{debug, info, warn};

use super::denials::Verdict;
use super::limit::Limit;
use super::live::{Entered, Known, Live, State};
use crate::backend::Role;
use crate::backend::connect::ConnectError;
use crate::backend::import::NotImported;
use crate::backend::query::QueryError;
use crate::net::stream::StreamError;
use crate::protocol::Side;
use crate::protocol::compression::{FrameError, WrongLevel};
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::packet::Malformed;
use crate::protocol::proxy_header::BadHeader;
use crate::protocol::tracker::Violation;
use crate::protocol::user_name::{UserName, UserNameError};
use crate::rules::{ClientAddress, Denial};
use crate::tls::{CertificateRefusal, Negotiated};

/// Why a login did not come to be. The text is the operator's; [`Failure::reply`] is the client's.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the client left before it logged in")]
    Left,
    #[error("too many connections: {limit}")]
    TooManyConnections { limit: &'static str },
    #[error(
        "proxy-protocol.accept-from lists this address, and no PROXY header came within limits.login-time"
    )]
    NoProxyHeader,
    #[error(
        "proxy-protocol.accept-from lists this address, and its PROXY header is not accepted: {0}"
    )]
    ProxyHeader(#[from] BadHeader),
    #[error("the connection ended within its PROXY header")]
    ProxyHeaderCut,
    #[error("a PROXY header from {0}, which proxy-protocol.accept-from does not list")]
    UnlistedBalancer(ClientAddress),
    #[error("too many connections: {limit}")]
    NoSlot { limit: Limit },
    /// It has not logged in, and is to speak.
    #[error("the client gave way to another: {limit}")]
    GaveWay { limit: Limit },
    #[error("no greeting of the {0} was ever seen")]
    BackendNotSeen(Role),
    #[error("{}", .0.in_words())]
    Client(#[source] StreamError),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    ClientBreaks(&'static str),
    #[error("{0}")]
    WrongLevel(#[from] WrongLevel),
    #[error("the system gives no random bytes")]
    NoRandom,
    #[error("the client speaks a protocol without authentication plugins")]
    OldClient,
    #[error("the login took longer than limits.login-time")]
    TooSlow,
    #[error("{0}")]
    UserName(#[from] UserNameError),
    #[error("{0}")]
    Certificate(#[from] CertificateRefusal),
    #[error("{denial}")]
    Denied {
        denial: Denial,
        user: String,
        using_password: bool,
    },
    #[error("{error}")]
    NotImported {
        error: NotImported,
        user: String,
        using_password: bool,
    },
    #[error("the backend is on a Unix socket and would take this name for mytls' own OS user")]
    OwnOsUser { user: String, using_password: bool },
    #[error("no new sessions: mytls ends, or they go to the other backend")]
    Draining,
    #[error("{error}")]
    Connect {
        route: Role,
        error: Arc<ConnectError>,
    },
    #[error("{error}")]
    Backend { route: Role, error: StreamError },
    #[error("the backend logged the client in without asking for its password")]
    NotAsked,
    #[error("the backend asks for the password scramble of before MySQL 4.1")]
    OldPassword,
    #[error("the account's plugin sends the password in clear, and the {0}'s side is insecure")]
    ClearText(Side),
    #[error(
        "the account's plugin needs the password itself, the {0}'s side is insecure, and there is no RSA key to encrypt it with"
    )]
    NoRsaKey(Side),
    /// It logged the client in. The client gets its ERR in place of the OK.
    #[error("the backend does not say which account it chose: {} {}", .0.code, .0.message)]
    NotConfirmed(ErrPacket),
    #[error("ask the backend which account it chose: {error}")]
    Confirm { route: Role, error: QueryError },
    #[error("the backend does not say which account it chose")]
    NoAccountNamed { user: String, using_password: bool },
    /// The backend's ERR has been handed on.
    #[error("the backend refused the login: {} {}", .0.code, .0.message)]
    RefusedByBackend(ErrPacket),
}

/// `Access denied`, word for word as servers say it.
pub(crate) fn access_denied(user: &str, address: ClientAddress, using_password: bool) -> ErrPacket {
    let using = if using_password { "YES" } else { "NO" };
    ErrPacket::new(
        1045,
        "28000",
        format!("Access denied for user '{user}'@'{address}' (using password: {using})"),
    )
}

impl Failure {
    /// Whether somebody was refused, by us or by the backend; else the login came to nothing.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::UserName(_)
                | Self::Certificate(_)
                | Self::Denied { .. }
                | Self::NotImported { .. }
                | Self::OwnOsUser { .. }
                | Self::ClearText(_)
                | Self::NoRsaKey(_)
                | Self::NotConfirmed(_)
                | Self::NoAccountNamed { .. }
                | Self::RefusedByBackend(_)
        )
    }

    /// The limit that the client ran into, if it was one.
    fn limit(&self) -> Option<Limit> {
        match self {
            Self::NoSlot { limit } | Self::GaveWay { limit } => Some(*limit),
            Self::TooSlow | Self::NoProxyHeader => Some(Limit::LoginTime),
            Self::Client(StreamError::TooLarge { .. }) => Some(Limit::LoginPacket),
            Self::Connect { error, .. } => match **error {
                ConnectError::TooSlow { .. } => Some(Limit::ConnectTime),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the client reads, if there is still somebody to read it. Neither rules nor addresses nor paths are in it.
    pub(crate) fn reply(&self, address: ClientAddress) -> Option<ErrPacket> {
        Some(match self {
            Self::Client(StreamError::TooLarge { .. }) => ErrPacket::new(
                1153,
                "08S01",
                "Got a packet bigger than 'max_allowed_packet' bytes",
            ),
            Self::Client(StreamError::Frame(_, error)) => broken_frame(*error),
            Self::WrongLevel(_) => ErrPacket::new(
                3923,
                "HY000",
                "Invalid zstd compression level for algorithm 'zstd'.",
            ),
            Self::Client(StreamError::Sequence { .. })
            | Self::Malformed(_)
            | Self::ClientBreaks(_)
            | Self::ProxyHeader(_)
            | Self::UnlistedBalancer(_)
            | Self::NotAsked => bad_handshake(),
            // nobody is left to read it, TLS never came to be, or the backend's own word was handed on
            Self::Client(_)
            | Self::Left
            | Self::ProxyHeaderCut
            | Self::NoRandom
            | Self::RefusedByBackend(_) => {
                return None;
            }
            Self::TooManyConnections { .. } | Self::NoSlot { .. } | Self::GaveWay { .. } => {
                ErrPacket::new(1040, "08004", "Too many connections")
            }
            Self::BackendNotSeen(route) => cannot_connect(*route),
            Self::OldClient | Self::OldPassword => ErrPacket::new(
                1251,
                "08004",
                "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
            ),
            Self::TooSlow | Self::NoProxyHeader => {
                ErrPacket::new(1159, "08S01", "Got timeout reading communication packets")
            }
            Self::UserName(_) => {
                ErrPacket::new(1045, "28000", "Access denied: user name not accepted")
            }
            Self::Certificate(_) => ErrPacket::new(
                1045,
                "28000",
                "Access denied: client certificate not accepted",
            ),
            Self::Denied {
                denial: Denial::InsecureTransport,
                ..
            } => ErrPacket::new(
                3159,
                "HY000",
                "Connections using insecure transport are prohibited while --require_secure_transport=ON.",
            ),
            Self::Denied {
                user,
                using_password,
                ..
            }
            | Self::OwnOsUser {
                user,
                using_password,
            }
            | Self::NotImported {
                user,
                using_password,
                ..
            }
            | Self::NoAccountNamed {
                user,
                using_password,
            } => access_denied(user, address, *using_password),
            Self::Draining => shutdown_in_progress(),
            Self::Connect { route, error } => connect_reply(*route, error),
            Self::NotConfirmed(error) => error.clone(),
            Self::Backend { route, .. } | Self::Confirm { route, .. } => ErrPacket::new(
                2013,
                "HY000",
                format!("Lost connection to the MySQL server of route '{route}'"),
            ),
            Self::ClearText(_) => ErrPacket::new(
                2061,
                "HY000",
                "Authentication requires secure connection: the account's plugin sends the password in clear",
            ),
            Self::NoRsaKey(_) => ErrPacket::new(
                1045,
                "28000",
                "Access denied: there is no secure way to send the password to the server",
            ),
        })
    }
}

/// What a client reads when no backend could be used.
fn connect_reply(route: Role, error: &ConnectError) -> ErrPacket {
    match error {
        ConnectError::Lacking(_) => bad_handshake(),
        ConnectError::NoTls
        | ConnectError::NoCertificates(_)
        | ConnectError::Tls(_)
        | ConnectError::Certificate(_) => ErrPacket::new(
            2026,
            "HY000",
            format!(
                "SSL connection error: no trusted TLS connection to the MySQL server of route '{route}'"
            ),
        ),
        ConnectError::Dial { .. }
        | ConnectError::TooSlow { .. }
        | ConnectError::Refused(_)
        | ConnectError::ProxyHeaderRefused(_)
        | ConnectError::ProxyHeader(_)
        | ConnectError::Greeting(_)
        | ConnectError::Stream(_) => cannot_connect(route),
    }
}

/// What a client reads that is to come again: it finds another route, or another mytls.
pub(super) fn shutdown_in_progress() -> ErrPacket {
    ErrPacket::new(1053, "08S01", "Server shutdown in progress")
}

/// What a client reads whose packets do not follow one another.
fn out_of_order() -> ErrPacket {
    ErrPacket::new(1156, "08S01", "Got packets out of order")
}

/// What a client reads whose compressed frames are wrong.
pub(super) fn broken_frame(error: FrameError) -> ErrPacket {
    match error {
        FrameError::Sequence { .. } => out_of_order(),
        FrameError::Corrupt | FrameError::Length { .. } | FrameError::NoMemory => {
            ErrPacket::new(1157, "08S01", "Couldn't uncompress communication packet")
        }
    }
}

fn bad_handshake() -> ErrPacket {
    ErrPacket::new(1043, "08S01", "Bad handshake")
}

fn cannot_connect(route: Role) -> ErrPacket {
    ErrPacket::new(
        2003,
        "HY000",
        format!("Can't connect to MySQL server of route '{route}'"),
    )
}

/// How a session that had logged in ended.
#[derive(Debug, Error)]
pub(super) enum End {
    #[error("the client quit")]
    Quit,
    #[error("the client closed the connection")]
    ClientClosed,
    #[error("the backend closed the connection")]
    BackendClosed,
    #[error("the backend ended the session with error {0}")]
    BackendEnded(u16),
    #[error("{violation}")]
    Violation {
        violation: Violation,
        /// With this sequence number the client can still be told.
        error_sequence: Option<u8>,
    },
    #[error("{}", .0.in_words())]
    Stream(#[from] StreamError),
    /// The server at last told its account.
    #[error("after a new password: {0}")]
    NotConfirmed(Failure),
    #[error("change of user: {0}")]
    ChangeUser(Failure),
    #[error("ended between transactions, for the drain")]
    Drained,
    #[error("cut by the drain")]
    Cut,
    #[error("idle for longer than {}", Limit::IdleTime)]
    Idle,
    #[error("older than {}, ended between transactions", Limit::LifeTime)]
    Old,
    #[error("ended by KILL on the admin port")]
    Killed,
}

impl End {
    /// The limit that the session ran into, if it was one.
    fn limit(&self) -> Option<Limit> {
        match self {
            Self::Idle => Some(Limit::IdleTime),
            Self::Old => Some(Limit::LifeTime),
            Self::ChangeUser(failure) | Self::NotConfirmed(failure) => failure.limit(),
            _ => None,
        }
    }

    /// What the client is told, with which sequence number, where that cannot be taken for part of a response.
    pub(super) fn last_word(&self) -> Option<(u8, ErrPacket)> {
        match self {
            Self::Violation {
                violation,
                error_sequence,
            } => {
                let error = if violation.is_out_of_order() {
                    out_of_order()
                } else {
                    ErrPacket::new(1835, "HY000", "Malformed communication packet.")
                };
                error_sequence.map(|sequence| (sequence, error))
            }
            // as MySQL says it, unasked
            Self::Idle => Some((
                0,
                ErrPacket::new(
                    4031,
                    "HY000",
                    "The client was disconnected by the server because of inactivity. See wait_timeout and \
                     interactive_timeout for configuring this behavior.",
                ),
            )),
            _ => None,
        }
    }
}

/// One line for each session. Fields that are not known are left out.
macro_rules! session_line {
    ($level:ident, $record:expr, $outcome:expr) => {
        $level!(
            id = $record.id,
            user = $record.user,
            account = $record.account,
            client = %$record.client,
            via = $record.via.map(tracing::field::display),
            client_tls = $record.client_tls.map(|tls| tls.version),
            client_cipher = $record.client_tls.map(|tls| tls.cipher),
            client_subject = $record.subject,
            route = %$record.route,
            backend_id = $record.backend_id,
            backend_tls = $record.backend_tls.map(|tls| tls.version),
            bytes_from_client = $record.entered.live().bytes_from_client(),
            bytes_from_backend = $record.entered.live().bytes_from_backend(),
            seconds = $record.started.elapsed().as_secs_f64(),
            outcome = $outcome.to_string(),
            "session ended"
        )
    };
}

/// What is known of a session, gathered on its way, for its line in the log.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    pub(super) client: ClientAddress,
    /// Until then an error is told in place of the greeting.
    pub(super) greeted: bool,
    /// The balancer that handed the connection on, if it told whose it is.
    pub(super) via: Option<ClientAddress>,
    pub(super) route: Role,
    pub(super) user: Option<String>,
    pub(super) account: Option<String>,
    pub(super) client_tls: Option<Negotiated>,
    pub(super) subject: Option<String>,
    pub(super) backend_tls: Option<Negotiated>,
    pub(super) backend_id: Option<u32>,
    /// The database named in the login; not logged.
    pub(super) database: Option<String>,
    /// Where others see it.
    entered: Entered,
    pub(super) started: Instant,
}

impl Record {
    pub(super) fn new(entered: Entered, route: Role) -> Self {
        let live = entered.live();
        Self {
            id: live.id,
            client: live.known().client,
            greeted: false,
            via: None,
            route,
            user: None,
            account: None,
            client_tls: None,
            subject: None,
            backend_tls: None,
            backend_id: None,
            database: None,
            started: live.since,
            entered,
        }
    }

    /// Lets others see what is known by now.
    pub(super) fn show(&self, state: State) {
        self.entered.show(Known {
            state,
            client: self.client,
            route: self.route,
            user: self.user.clone(),
            account: self.account.clone(),
            database: self.database.clone(),
            client_tls: self.client_tls,
            subject: self.subject.clone(),
            backend_tls: self.backend_tls,
            backend_id: self.backend_id,
        });
    }

    /// The client has been told that it is logged in.
    pub(super) fn logged_in(&self) {
        self.entered.sessions().count_login();
        self.show(State::Relaying);
    }

    /// A TLS handshake with the client is done.
    pub(super) fn over_tls(&mut self, tls: Negotiated) {
        self.client_tls = Some(tls);
        self.entered.sessions().count_tls();
    }

    /// Where the session's bytes are counted.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(self.entered.live())
    }

    /// Somebody has ended the session. Cancel safe.
    pub(super) async fn killed(&self) {
        self.entered.killed().await;
    }

    /// Tells of a client that is let pass, but would be refused were rules not only reported. `user` and `account` are
    /// those that it asks for, at login or in `COM_CHANGE_USER`.
    pub(super) fn log_reported(&self, user: &UserName, account: &str, denial: &Denial) {
        let (sessions, reason) = (self.entered.sessions(), denial.to_string());
        sessions.note_denial(Some(user.as_str()), self.client, Verdict::Reported, &reason);
        if !sessions.shows(Verdict::Reported, &format!("{user}: {reason}")) {
            return;
        }
        warn!(
            id = self.id,
            ?user,
            account,
            client = %self.client,
            via = self.via.map(tracing::field::display),
            client_tls = self.client_tls.map(|tls| tls.version),
            client_subject = self.subject,
            reason,
            "would be refused"
        );
    }

    /// Remembers whom mytls itself has refused.
    fn note(&self, failure: &Failure) {
        let user = match failure {
            Failure::RefusedByBackend(_) => return,
            // in a change of user it is another
            Failure::Denied { user, .. }
            | Failure::NotImported { user, .. }
            | Failure::OwnOsUser { user, .. } => Some(user.as_str()),
            _ => self.user.as_deref(),
        };
        let reason = failure.to_string();
        let sessions = self.entered.sessions();
        sessions.note_denial(user, self.client, Verdict::Refused, &reason);
    }

    /// Writes the line of a session that logged in.
    pub(super) fn log_end(&self, end: &End) {
        if let End::ChangeUser(failure) | End::NotConfirmed(failure) = end
            && failure.is_refusal()
        {
            self.note(failure);
        }
        self.count_limit(end.limit());
        match end {
            End::Quit
            | End::ClientClosed
            | End::BackendClosed
            | End::BackendEnded(_)
            | End::Drained
            | End::Idle
            | End::Old
            | End::Killed => {
                session_line!(info, self, end);
            }
            End::Violation { .. }
            | End::Stream(_)
            | End::NotConfirmed(_)
            | End::ChangeUser(_)
            | End::Cut => {
                session_line!(warn, self, end);
            }
        }
    }

    /// Counts a login that failed, whether or not its line is written.
    pub(super) fn count_failure(&self, failure: &Failure) {
        self.count_limit(failure.limit());
        if failure.is_refusal() {
            self.entered.sessions().count_refusal();
            self.note(failure);
        } else {
            self.entered.sessions().count_abort();
        }
    }

    fn count_limit(&self, hit: Option<Limit>) {
        if let Some(limit) = hit {
            self.entered.sessions().count_limit(limit);
        }
    }

    /// Writes the line of a login that failed. A probe that connects and leaves is nothing to read about.
    pub(super) fn log_failure(&self, failure: &Failure) {
        match failure {
            Failure::Left => session_line!(debug, self, failure),
            Failure::RefusedByBackend(_) | Failure::Draining => {
                session_line!(info, self, failure);
            }
            _ => session_line!(warn, self, failure),
        }
    }
}
