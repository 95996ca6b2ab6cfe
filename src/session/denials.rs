//! Who was refused, or would have been, and why: the last ones, for `SHOW DENIALS`.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::rules::ClientAddress;

/// So many are remembered; then the one that was seen longest ago makes room.
const MOST: usize = 1_000;
/// So much of a reason is kept: strangers choose part of its text.
const REASON_CHARACTERS: usize = 300;

/// Whether a client was let pass all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It was refused.
    Refused,
    /// It was let pass, and would be refused were rules enforced.
    Reported,
}

/// Refusals that say the same of the same user and client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// Whom the client said that it was; none if it did not get so far.
    pub user: Option<String>,
    /// Where it came from.
    pub client: ClientAddress,
    /// What became of it.
    pub verdict: Verdict,
    /// Why; as in the log.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// When it was first.
    pub first: SystemTime,
    /// When it was last.
    pub last: SystemTime,
}

type Key = (Option<String>, ClientAddress, Verdict, String);

/// Those that are remembered.
#[derive(Debug, Default)]
pub(super) struct Denials(HashMap<Key, Refusals>);

impl Denials {
    /// One more.
    pub(super) fn note(
        &mut self,
        user: Option<&str>,
        client: ClientAddress,
        verdict: Verdict,
        reason: &str,
        now: SystemTime,
    ) {
        let reason: String = reason.chars().take(REASON_CHARACTERS).collect();
        let key = (user.map(str::to_owned), client, verdict, reason);
        if let Some(known) = self.0.get_mut(&key) {
            (known.count, known.last) = (known.count.saturating_add(1), now);
            return;
        }
        if self.0.len() >= MOST {
            self.forget_the_oldest();
        }
        let (user, client, verdict, reason) = key.clone();
        let refusals = Refusals {
            user,
            client,
            verdict,
            reason,
            count: 1,
            first: now,
            last: now,
        };
        self.0.insert(key, refusals);
    }

    /// The last one first.
    pub(super) fn all(&self) -> Vec<Refusals> {
        let mut all: Vec<_> = self.0.values().cloned().collect();
        all.sort_by(|one, other| (other.last, &one.user).cmp(&(one.last, &other.user)));
        all
    }

    fn forget_the_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, refusals)| refusals.last);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn note(denials: &mut Denials, user: &str, seconds: u64) {
        let client = ClientAddress::UnixSocket;
        denials.note(Some(user), client, Verdict::Refused, "because", at(seconds));
    }

    #[test]
    fn what_says_the_same_is_counted() {
        let mut denials = Denials::default();
        note(&mut denials, "app", 1);
        note(&mut denials, "dm", 2);
        note(&mut denials, "app", 3);
        let all = denials.all();
        let seen: Vec<_> = all
            .iter()
            .map(|each| (each.user.as_deref(), each.count, each.first, each.last))
            .collect();
        let expected = [
            (Some("app"), 2, at(1), at(3)),
            (Some("dm"), 1, at(2), at(2)),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn strangers_take_no_more_room() {
        let mut denials = Denials::default();
        for second in 0..3_000 {
            note(&mut denials, &format!("user{second}"), second);
        }
        let all = denials.all();
        assert_eq!(all.len(), MOST);
        assert_eq!(all[0].user.as_deref(), Some("user2999"));
        let long = "x".repeat(10_000);
        denials.note(
            None,
            ClientAddress::UnixSocket,
            Verdict::Reported,
            &long,
            at(9_999),
        );
        assert_eq!(denials.all()[0].reason.len(), REASON_CHARACTERS);
    }
}
