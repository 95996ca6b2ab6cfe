//! What `GET /metrics` says, series by series.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::http::get;
use super::proxy::{Proxy, wait_for};

/// The line of a configuration that asks for the port.
pub(crate) const HTTP: &str = "http: { listen: 127.0.0.1:0 }";

/// A page at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metrics {
    /// Name and labels as they stand there → number.
    series: BTreeMap<String, f64>,
    /// Name → kind.
    pub(crate) kinds: BTreeMap<String, String>,
}

impl Metrics {
    /// Read now. Every line must be what the format says, and no series there twice.
    #[track_caller]
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self::at(proxy.http_address())
    }

    #[track_caller]
    fn at(address: SocketAddr) -> Self {
        let answer = get(address, "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut page = Self {
            series: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        for line in answer.body.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a kind");
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} begins twice");
            } else if !line.starts_with("# HELP ") {
                let (series, number) = line.rsplit_once(' ').expect("a number");
                let number = number.parse().expect("a number");
                let before = page.series.insert(series.to_owned(), number);
                assert_eq!(before, None, "{series} is there twice");
            }
        }
        page
    }

    /// The number of this series; 0 if it is not there.
    pub(crate) fn number(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// All series that begin with this.
    pub(crate) fn all<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let series = self.series.iter();
        series
            .filter(move |(series, _)| series.starts_with(start))
            .map(|(series, number)| (series.as_str(), *number))
    }

    /// What all series that begin with this come to.
    pub(crate) fn sum(&self, start: &str) -> f64 {
        self.all(start).map(|(_, number)| number).sum()
    }

    /// Which series that begin with this are others than they were, and by how much.
    pub(crate) fn grown<'a>(&'a self, before: &Self, start: &'a str) -> Vec<(&'a str, f64)> {
        self.all(start)
            .map(|(series, number)| (series, number - before.number(series)))
            .filter(|(_, more)| *more != 0.0)
            .collect()
    }

    /// The page as soon as it is so.
    #[track_caller]
    pub(crate) fn wait_until(proxy: &Proxy, what: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        let address = proxy.http_address();
        wait_for(what, || Some(Self::at(address)).filter(&is_so))
    }

    /// The page as soon as something that begins with this has grown, and that nothing else has.
    #[track_caller]
    pub(crate) fn expect_one_more(proxy: &Proxy, before: &Self, start: &str, series: &str) {
        let after = Self::wait_until(proxy, series, |now| !now.grown(before, start).is_empty());
        assert_eq!(after.grown(before, start), [(series, 1.0)]);
    }
}
