//! Refusals in the log: whoever is refused can come again as often as they like, and the log must not flood.
//!
//! Of refusals that say the same, the first ones of a minute are written and the others counted. No clock here: whoever
//! asks for the counts ends the minute.

use std::collections::HashMap;
use std::mem;

/// So many lines of one reason, in a minute.
const LINES: u64 = 10;
/// So many reasons are told apart, in a minute. Strangers choose part of their text: user names, names in certificates.
const REASONS: usize = 100;
/// So much of a reason's text tells it apart.
const REASON_CHARACTERS: usize = 300;
/// Those that are not told apart.
const OTHERS: &str = "various";

/// What was refused in this minute.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    seen: HashMap<String, u64>,
}

/// What the log does not show.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

impl Repeats {
    /// Counts a refusal; true if it is to be written.
    pub(crate) fn admit(&mut self, reason: &str) -> bool {
        let mut reason: String = reason.chars().take(REASON_CHARACTERS).collect();
        if self.seen.len() >= REASONS && !self.seen.contains_key(&reason) {
            OTHERS.clone_into(&mut reason);
        }
        let count = self.seen.entry(reason).or_default();
        *count += 1;
        *count <= LINES
    }

    /// Ends the minute: what was not written in it, by reason.
    pub(crate) fn take_left_out(&mut self) -> Vec<LeftOut> {
        let mut left_out: Vec<_> = mem::take(&mut self.seen)
            .into_iter()
            .filter(|(_, count)| *count > LINES)
            .map(|(reason, count)| LeftOut {
                reason,
                count: count - LINES,
            })
            .collect();
        left_out.sort_by(|one, other| one.reason.cmp(&other.reason));
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many are written.
    fn written(repeats: &mut Repeats, reason: &str, count: u64) -> u64 {
        (0..count).map(|_| u64::from(repeats.admit(reason))).sum()
    }

    #[test]
    fn the_first_of_each_reason_are_written_and_the_others_counted() {
        let mut repeats = Repeats::default();
        assert_eq!(written(&mut repeats, "expired", 1000), 10);
        assert_eq!(written(&mut repeats, "no rule", 3), 3);
        let expected = [LeftOut {
            reason: "expired".to_owned(),
            count: 990,
        }];
        assert_eq!(repeats.take_left_out(), expected);
    }

    #[test]
    fn each_minute_begins_anew() {
        let mut repeats = Repeats::default();
        written(&mut repeats, "expired", 1000);
        repeats.take_left_out();
        assert_eq!(written(&mut repeats, "expired", 1000), 10);
        repeats.take_left_out();
        assert_eq!(repeats.take_left_out(), []);
    }

    #[test]
    fn reasons_that_a_stranger_makes_up_do_not_add_up() {
        let mut repeats = Repeats::default();
        let all: u64 = (0..10_000)
            .map(|number| written(&mut repeats, &format!("user {number}"), 1))
            .sum();
        assert_eq!(all, 110);
        let long = "x".repeat(100_000);
        assert!(!repeats.admit(&long));
        assert_eq!(written(&mut repeats, "user 7", 10), 9, "already known");
        assert_eq!(repeats.seen.len(), 101);
        let left_out = repeats.take_left_out();
        let left_out: Vec<_> = left_out
            .iter()
            .map(|LeftOut { reason, count }| (reason.as_str(), *count))
            .collect();
        assert_eq!(left_out, [("user 7", 1), ("various", 9891)]);
    }
}
