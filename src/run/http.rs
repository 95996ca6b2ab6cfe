//! The HTTP port: what it shows put together, its listeners, its end.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::metrics::Metrics;
use super::{RunError, Shared};
use crate::config::Config;
use crate::drain::{CUT, Phases};
use crate::http::{Handles, HttpPort};
use crate::systemd::{Port, Sockets};

/// The HTTP port while mytls runs; nothing where there is none.
#[derive(Debug, Default)]
pub(super) struct Http {
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Http {
    /// Opens the port, if the configuration has one.
    pub(super) fn start(
        config: &Config,
        shared: &Shared,
        phases: &Phases,
        metrics: Metrics,
        sockets: &mut Sockets,
    ) -> Result<Self, RunError> {
        let http = Self::default();
        let Some(settings) = &config.http else {
            return Ok(http);
        };
        let reloader = Arc::clone(&shared.reloader);
        let handles = Handles {
            metrics: Arc::new(move || metrics.render()),
            expiries: Box::new(move || reloader.expiries()),
            tls: Arc::clone(&shared.tls),
            backends: Arc::clone(&shared.backends),
            sessions: shared.sessions.clone(),
            workers: Arc::clone(&shared.workers),
            phase: phases.watch(),
            started: Instant::now(),
            stop: http.stop.clone(),
        };
        let port = Arc::new(HttpPort::new(settings, handles));
        for address in &settings.listen {
            let listener = sockets.open(Port::Http, address)?;
            info!(port = "http", address = %listener, "listening");
            let accepting = Arc::clone(&port).listen(listener, http.connections.clone());
            let stop = http.stop.clone();
            http.connections
                .spawn(async move { stop.run_until_cancelled(accepting).await });
        }
        Ok(http)
    }

    /// Closes the port and its connections. It answers to the end of everything else.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.connections.close();
        if timeout(CUT, self.connections.wait()).await.is_err() {
            warn!("HTTP connections did not close in time");
        }
    }
}
