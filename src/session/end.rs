//! How a session that had logged in ended, and the last word that its client reads.

use thiserror::Error;

use super::counts::Outcome;
use super::failure::{Failure, out_of_order};
use super::limit::Limit;
use crate::net::stream::StreamError;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::tracker::Violation;

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
    /// Of a session that had logged in, and failed at something; `failed` is what that is called if nobody asked for it.
    pub(super) fn by(failure: Failure, failed: impl FnOnce(Failure) -> Self) -> Self {
        match failure {
            Failure::Killed => Self::Killed,
            Failure::Draining => Self::Cut,
            failure => failed(failure),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Quit => Outcome::Quit,
            Self::ClientClosed => Outcome::ClientClosed,
            Self::BackendClosed => Outcome::BackendClosed,
            Self::BackendEnded(_) => Outcome::BackendEnded,
            Self::Violation { .. } => Outcome::Violation,
            Self::Stream(_) => Outcome::ConnectionFailed,
            Self::NotConfirmed(_) => Outcome::NotConfirmed,
            Self::ChangeUser(_) => Outcome::ChangeUser,
            Self::Drained => Outcome::Drained,
            Self::Cut => Outcome::Cut,
            Self::Killed => Outcome::Killed,
            Self::Idle => Outcome::Idle,
            Self::Old => Outcome::Old,
        }
    }

    /// The limit that the session ran into, if it was one.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self {
            Self::Idle => Some(Limit::IdleTime),
            Self::Old => Some(Limit::LifeTime),
            Self::ChangeUser(failure) | Self::NotConfirmed(failure) => failure.limit(),
            _ => None,
        }
    }

    /// Whether it is mytls that ends the session, and both sides are there.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Drained | Self::Idle | Self::Old | Self::Killed | Self::Cut => true,
            Self::ChangeUser(failure) | Self::NotConfirmed(failure) => {
                failure.is_between_commands()
            }
            _ => false,
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
