//! What makes a session end: one side does not speak the protocol.

use super::super::Side;
use super::super::command::Command;

/// Why a session cannot go on: what one side sent is not the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet is missing, or one side has lost count.
    #[error("the {side} sent a packet with sequence number {got} where {expected} was due")]
    Sequence {
        /// Who sent it.
        side: Side,
        /// The number that was due.
        expected: u8,
        /// The number in its header.
        got: u8,
    },
    /// A command without a command byte, or without the number of its statement.
    #[error("the client sent a command that is too short")]
    ShortCommand,
    /// A response with no command that it could belong to.
    #[error("the backend sent a packet that nobody asked for")]
    Unasked,
    /// A response other than ERR while the client still sends its command or file.
    #[error("the backend answered {} before the client had sent all of it", .command.name())]
    Early {
        /// The command answered.
        command: Command,
    },
    /// A LOCAL INFILE request while more commands are on their way: client and server would disagree about what is
    /// file and what is command.
    #[error("the backend asked for a file while another command was in flight")]
    FileRequestAmongCommands,
    /// A response that is none of the forms which its command has.
    #[error("the backend's response to {} is malformed: {reason}", .command.name())]
    MalformedResponse {
        /// The command answered.
        command: Command,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Violation {
    /// Who broke the protocol.
    pub const fn side(&self) -> Side {
        match self {
            Self::Sequence { side, .. } => *side,
            Self::ShortCommand => Side::Client,
            Self::Unasked
            | Self::Early { .. }
            | Self::FileRequestAmongCommands
            | Self::MalformedResponse { .. } => Side::Backend,
        }
    }

    /// Whether a sequence number was wrong (error 1156); everything else is a malformed packet (error 1835).
    pub const fn is_out_of_order(&self) -> bool {
        matches!(self, Self::Sequence { .. })
    }
}
