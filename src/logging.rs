//! The log: lines to standard error, in UTC, for people or for machines.

use std::io;

use crate::config::{Log, LogFormat};

/// Starts logging; once in a process, before anything is logged.
pub fn start(log: Log) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_writer(io::stderr)
        .with_target(false);
    match log.format {
        // colours only where a person looks on
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
