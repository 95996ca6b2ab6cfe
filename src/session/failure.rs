//! Why a login, or a change of user, did not come to be, and what its client is told.

use std::sync::Arc;

use thiserror::Error;

use super::limit::Limit;
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
use crate::protocol::user_name::UserNameError;
use crate::rules::{ClientAddress, Denial};
use crate::tls::CertificateRefusal;

/// Why a login did not come to be. The text is the operator's; [`Failure::reply`] is the client's.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the client left before it logged in")]
    Left,
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
    TooManyConnections { limit: Limit },
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
    #[error("ended by KILL on the admin port")]
    Killed,
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

/// What a client reads for whom there is no room, word for word as servers say it.
pub(crate) fn too_many_connections() -> ErrPacket {
    ErrPacket::new(1040, "08004", "Too many connections")
}

impl Failure {
    /// The limit that the client ran into, if it was one.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self {
            Self::TooManyConnections { limit } | Self::GaveWay { limit } => Some(*limit),
            Self::TooSlow | Self::NoProxyHeader => Some(Limit::LoginTime),
            Self::Client(StreamError::TooLarge { .. }) => Some(Limit::LoginPacket),
            Self::Connect { error, .. } => match **error {
                ConnectError::TooSlow { .. } => Some(Limit::ConnectTime),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether mytls refuses while the backend waits for a command. Only of a change of user, and of a new password.
    pub(super) fn is_between_commands(&self) -> bool {
        matches!(
            self,
            Self::UserName(_)
                | Self::Denied { .. }
                | Self::OwnOsUser { .. }
                | Self::NotImported { .. }
                | Self::NotConfirmed(_)
                | Self::NoAccountNamed { .. }
        )
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
            // nobody is left to read it, TLS never came to be, the backend's own word was handed on, or nothing is said of it
            Self::Client(_)
            | Self::Left
            | Self::ProxyHeaderCut
            | Self::NoRandom
            | Self::Killed
            | Self::RefusedByBackend(_) => {
                return None;
            }
            Self::TooManyConnections { .. } | Self::GaveWay { .. } => too_many_connections(),
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
        | ConnectError::Refused(..)
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
pub(super) fn out_of_order() -> ErrPacket {
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
