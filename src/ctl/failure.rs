//! Why a server did not answer, in words for whoever asked it. To ctl an admin port is no backend.

use std::io;

use thiserror::Error;

use crate::backend::client::LoginError;
use crate::backend::connect::ConnectError;
use crate::backend::query::QueryError;
use crate::net::stream::StreamError;
use crate::protocol::err_packet::ErrPacket;
use crate::tls::handshake_reason;

/// Why one server has no answer.
#[derive(Debug, Error)]
#[error("{address}: {}", .error.in_words())]
pub(super) struct Failure {
    /// The server.
    pub(super) address: String,
    /// Why.
    pub(super) error: AskError,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// Its name has no address.
    Resolve(io::Error),
    /// It lets us in no further.
    Login(LoginError),
    /// It refuses the statement, or breaks off.
    Query(QueryError),
}

impl AskError {
    /// The server's own ERR, if that is what it comes to.
    pub(super) fn of_server(&self) -> Option<&ErrPacket> {
        match self {
            Self::Login(LoginError::Refused(error)) | Self::Query(QueryError::Refused(error)) => {
                Some(error)
            }
            Self::Login(LoginError::Connect(error)) => match &**error {
                ConnectError::Refused(error, _) => Some(error),
                ConnectError::ProxyHeaderRefused(_)
                | ConnectError::ProxyHeader(_)
                | ConnectError::Dial { .. }
                | ConnectError::TooSlow { .. }
                | ConnectError::Greeting(_)
                | ConnectError::Stream(_)
                | ConnectError::NoTls
                | ConnectError::NoCertificates(_)
                | ConnectError::Tls(_)
                | ConnectError::Certificate(_)
                | ConnectError::Lacking(_) => None,
            },
            Self::Resolve(_) | Self::Login(_) | Self::Query(_) => None,
        }
    }

    /// Without the address.
    pub(super) fn in_words(&self) -> String {
        if let Some(ErrPacket {
            code,
            sql_state,
            message,
        }) = self.of_server()
        {
            return if sql_state.is_empty() {
                format!("ERROR {code}: {message}")
            } else {
                format!("ERROR {code} ({sql_state}): {message}")
            };
        }
        match self {
            Self::Resolve(error) => format!("find the name: {error}"),
            Self::Login(LoginError::Connect(error)) => connect_in_words(error),
            Self::Login(LoginError::Stream(error)) | Self::Query(QueryError::Stream(error)) => {
                stream_in_words(error)
            }
            Self::Login(LoginError::TooSlow) => "it did not end the login in time".to_owned(),
            Self::Login(error) => error.to_string(),
            Self::Query(error) => error.to_string(),
        }
    }
}

fn connect_in_words(error: &ConnectError) -> String {
    match error {
        ConnectError::Dial { source, .. } => format!("connect: {source}"),
        ConnectError::TooSlow { .. } => "no greeting and TLS in time".to_owned(),
        ConnectError::NoTls => {
            "it offers no TLS: for plaintext, on this machine, write --ssl-mode=DISABLED".to_owned()
        }
        ConnectError::NoCertificates(error) => error.to_string(),
        ConnectError::Stream(error) | ConnectError::Tls(error) => stream_in_words(error),
        ConnectError::Certificate(refusal) => format!("TLS: its {refusal}"),
        ConnectError::Greeting(error) => format!("it is no MySQL port: {error}"),
        ConnectError::Refused(..)
        | ConnectError::ProxyHeaderRefused(_)
        | ConnectError::ProxyHeader(_)
        | ConnectError::Lacking(_) => error.to_string(),
    }
}

fn stream_in_words(error: &StreamError) -> String {
    match error {
        StreamError::Closed(_) => "it closed the connection".to_owned(),
        StreamError::Io(_, error) => format!("the connection failed: {error}"),
        StreamError::Tls(_, error) => format!("TLS failed: {}", handshake_reason(error)),
        StreamError::Frame(..) | StreamError::Sequence { .. } | StreamError::TooLarge { .. } => {
            error.to_string()
        }
    }
}
