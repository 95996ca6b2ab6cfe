//! The accounts of one place (the file, a server's grant tables), and which of them counts for a client.

use std::collections::HashMap;

use super::account::Rank;
use super::host::{Client, Fit, Host};
use super::judgement::Judgement;

/// A place's accounts by user. `A` is an [`Account`] with what else the place knows of it.
#[derive(Debug)]
pub(super) struct Accounts<A> {
    named: HashMap<String, Vec<A>>,
    /// These compete for every user.
    everybodys: Vec<A>,
}

/// An account with what is worked out once.
#[derive(Debug)]
pub(super) struct Account {
    /// `None`: whom it admits cannot be known, so that it might be anybody.
    pub(super) host: Option<Host>,
    pub(super) rank: Rank,
    pub(super) judgement: Judgement,
}

impl<A> Accounts<A> {
    pub(super) fn new() -> Self {
        Self {
            named: HashMap::new(),
            everybodys: Vec::new(),
        }
    }

    /// Adds an account of one user; that of the empty name is then nobody else's.
    pub(super) fn add(&mut self, user: &str, account: A) {
        self.named.entry(user.to_owned()).or_default().push(account);
    }

    /// Adds an anonymous account that is one of every user.
    pub(super) fn add_everybodys(&mut self, account: A) {
        self.everybodys.push(account);
    }

    /// The accounts that compete for a user.
    pub(super) fn of<'a>(&'a self, user: &str) -> impl Iterator<Item = &'a A> + Clone + use<'a, A> {
        self.of_that_name(user).iter().chain(&self.everybodys)
    }

    /// The accounts with exactly that name; the empty one is that of anonymous accounts.
    pub(super) fn named<'a>(
        &'a self,
        user: &str,
    ) -> impl Iterator<Item = &'a A> + Clone + use<'a, A> {
        let anonymous = if user.is_empty() {
            self.everybodys.as_slice()
        } else {
            &[]
        };
        self.of_that_name(user).iter().chain(anonymous)
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &A> {
        self.named.values().flatten().chain(&self.everybodys)
    }

    fn of_that_name(&self, user: &str) -> &[A] {
        self.named.get(user).map_or(&[], Vec::as_slice)
    }
}

impl Account {
    pub(super) fn fit(&self, client: &Client) -> Fit {
        match &self.host {
            Some(host) => host.fit(client),
            None => Fit::Possible,
        }
    }
}

/// Of the accounts that compete for a user, the one that counts, if one surely does, and all that must permit.
///
/// mytls resolves no names, so an account with a host name may or may not be the one: there must be an account without
/// it, and both must permit. The same holds where the server's choice is chance (`10.%` and `10._.0.1`). Where no account
/// surely counts, all that might be it must permit.
pub(super) fn counting<'a>(
    accounts: impl Iterator<Item = &'a Account> + Clone,
    client: &Client,
) -> (
    Option<&'a Judgement>,
    impl Iterator<Item = &'a Judgement> + Clone,
) {
    let best = accounts
        .clone()
        .filter(|account| account.fit(client) == Fit::Certain)
        .min_by_key(|account| account.rank);
    let must_permit = move |account: &&Account| {
        best.is_none_or(|best| account.rank <= best.rank) && account.fit(client) != Fit::No
    };
    let all = accounts
        .filter(must_permit)
        .map(|account| &account.judgement);
    (best.map(|account| &account.judgement), all)
}
