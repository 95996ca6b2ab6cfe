//! Counters, histograms, and the page that Prometheus reads them from.
//!
//! Each module counts what it owns: a [`Channel`](crate::tls::Channel) its handshakes, a backend its dials, the sessions
//! theirs. [`run`](crate::run) puts them on one [`Page`] when it is asked for; what others can tell at any time (sessions,
//! dates of certificates, routes) is asked of them then, and counted nowhere else. So the admin port's `SHOW STATUS` and
//! the page never differ.
//!
//! There is no library in it. Their registries want to own each number, and find it by its labels' text; here a number
//! stands where it is counted, and a label is an enum, so nothing that a client sends can become one. What would be left
//! for a library to do is [`Page`].

mod counters;
mod histogram;
mod page;
pub mod process;

pub(crate) use self::counters::labels;
pub use self::counters::{Count, Counters, Labels};
pub use self::histogram::{Distribution, Histogram};
pub use self::page::{Family, Kind, Page};
