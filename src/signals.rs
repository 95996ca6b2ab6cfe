//! Signals: those that end the process, and SIGHUP, which reloads.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// What an operator or supervisor sends to end the process.
#[derive(Debug)]
pub struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

/// What is sent to make it read its files again.
#[derive(Debug)]
pub struct HangUps(Signal);

/// From here on, none of them kills the process by itself. Needs a runtime.
pub fn listen() -> io::Result<(Ends, HangUps)> {
    let ends = Ends {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    Ok((ends, HangUps(signal(SignalKind::hangup())?)))
}

impl Ends {
    /// Waits for the next SIGTERM or SIGINT. Cancel safe.
    pub async fn asked_to_end(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "asked to end");
    }
}

impl HangUps {
    /// Waits for the next SIGHUP. Those that come meanwhile are one. Cancel safe.
    pub async fn next(&mut self) {
        // None only when the runtime ends
        let _ = self.0.recv().await;
    }
}
