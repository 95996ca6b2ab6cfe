//! Why a stream can go on no longer.

use std::io;

use thiserror::Error;

use crate::protocol::Side;
use crate::protocol::compression::FrameError;
use crate::tls::{HandshakeFailure, handshake_reason};

/// Why a stream can go on no longer.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The peer closed the connection where more was expected.
    #[error("the {0} closed the connection")]
    Closed(Side),
    /// The socket failed.
    #[error("the connection to the {0} failed: {1}")]
    Io(Side, #[source] io::Error),
    /// TLS failed.
    #[error("TLS with the {0} failed: {1}")]
    Tls(Side, #[source] rustls::Error),
    /// Compression failed.
    #[error("compression with the {0}: {1}")]
    Frame(Side, #[source] FrameError),
    /// A packet out of order.
    #[error("the {side} sent a packet with sequence number {got} in place of {expected}")]
    Sequence {
        /// Who sent it.
        side: Side,
        /// What it had to be.
        expected: u8,
        /// What it was.
        got: u8,
    },
    /// A packet longer than its place allows.
    #[error("the {side} sent a packet of {bytes} bytes where {limit} are allowed")]
    TooLarge {
        /// Who sent it.
        side: Side,
        /// Its length, as far as its header says.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
}

impl StreamError {
    /// What it is when a handshake ends by it.
    pub fn handshake_failure(&self) -> HandshakeFailure {
        match self {
            Self::Closed(_) => HandshakeFailure::Closed,
            Self::Io(..) => HandshakeFailure::Connection,
            Self::Tls(_, error) => error.into(),
            // of packets, which there are none of before its end
            Self::Frame(..) | Self::Sequence { .. } | Self::TooLarge { .. } => {
                HandshakeFailure::Other
            }
        }
    }

    /// The reason for an operator: what rustls saw, said in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Tls(side, error) => {
                format!("TLS with the {side} failed: {}", handshake_reason(error))
            }
            other => other.to_string(),
        }
    }
}
