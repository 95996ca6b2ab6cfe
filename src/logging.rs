//! The log: lines to standard error, in UTC, for people or for machines.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// The log that is being written.
#[derive(Debug, Clone)]
pub struct Logging(reload::Handle<LevelFilter, Registry>);

/// Starts logging; once in a process, before anything is logged.
pub fn start(log: Log) -> Logging {
    let (level, handle) = reload::Layer::new(LevelFilter::from_level(log.level));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(level);
    match log.format {
        // colours only where a person looks on
        LogFormat::Text => registry
            .with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())))
            .init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    Logging(handle)
}

impl Logging {
    /// From now on, what is less severe is not written.
    pub fn set_level(&self, level: Level) {
        // it fails only when there is no log any more
        let _ = self.0.modify(|filter| *filter = level.into());
    }
}
