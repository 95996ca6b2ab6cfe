//! What a statement came to.

use super::refusal::Refusal;
use crate::protocol::result_set::ResultSet;

/// What a statement came to.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It is done, and there is something to say about it.
    Warned(Vec<Refusal>),
    /// What was asked for.
    Rows(ResultSet),
}
