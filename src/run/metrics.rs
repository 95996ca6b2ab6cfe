//! The page of metrics: who is asked for what, when somebody asks for it. `docs/metrics.md` lists all of it.

mod backends;
mod sessions;
mod tls;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::admin::LoginResult;
use crate::backend::Backends;
use crate::drain::Phase;
use crate::metrics::{Counters, Kind, Page, process};
use crate::reload::Reloader;
use crate::session::Sessions;

/// Whoever has something to say there.
pub(super) struct Metrics {
    pub(super) sessions: Sessions,
    pub(super) backends: Arc<Backends>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) admin_logins: Arc<Counters<LoginResult>>,
    /// When mytls was started.
    pub(super) started: SystemTime,
}

impl Metrics {
    /// The page as it is now.
    pub(super) fn render(&self) -> String {
        let mut page = Page::default();
        let mut build = page.family(
            Kind::Gauge,
            "mytls_build_info",
            "Always 1; the labels say what is running.",
        );
        build.number(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.write_phase(&mut page);
        sessions::write(&mut page, &self.sessions, &self.backends);
        tls::write(&mut page, &self.reloader);
        backends::write(&mut page, &self.backends);
        page.family(
            Kind::Counter,
            "mytls_configuration_reloads_total",
            "SIGHUPs, by what became of the configuration file. After a failed one the rules and keys of before hold: run `mytls check`, see the log.",
        )
        .counters(&[], &self.reloader.results);
        page.family(
            Kind::Counter,
            "mytls_admin_logins_total",
            "Logins to the admin port. Many that are denied: somebody guesses, or a script has an old password.",
        )
        .counters(&[], &self.admin_logins);
        process::write(&mut page, self.started);
        page.into_text()
    }

    fn write_phase(&self, page: &mut Page) {
        let mut phases = page.family(
            Kind::Gauge,
            "mytls_phase",
            "1 for the phase that mytls is in: serving; not_ready (asked to end, still accepting); draining (accepting nobody).",
        );
        let now = *self.phase.borrow();
        for (phase, text) in [
            (Phase::Serving, "serving"),
            (Phase::NotReady, "not_ready"),
            (Phase::Draining, "draining"),
        ] {
            phases.yes(&[("phase", text)], phase == now);
        }
    }
}
