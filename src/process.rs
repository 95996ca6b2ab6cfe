//! What a process does to itself before it serves: limits of the operating system.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors that are not sessions: connections of the admin port (100) and the HTTP port (64), listeners, the runtime's own,
/// standard streams. A probe that finds none would have mytls ended for being busy.
const OTHER_DESCRIPTORS: u64 = 256;

/// What tokio opens for the runtime of one thread that serves clients: two for epoll, one to be woken by, one for signals.
const DESCRIPTORS_OF_A_WORKER: u64 = 4;

/// Raises the limit of open files as far as allowed: each session needs two.
pub fn raise_descriptor_limit(connections: usize, workers: usize) {
    let needed =
        2 * connections as u64 + DESCRIPTORS_OF_A_WORKER * workers as u64 + OTHER_DESCRIPTORS;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match raised {
        Ok(allowed) if allowed < needed => warn!(
            allowed,
            needed,
            "the limit of open files is too low for limits.connections; raise it (ulimit -n, LimitNOFILE=)"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "raise the limit of open files"),
    }
}

/// Core dumps would hold private keys.
pub fn forbid_core_dumps() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        warn!(%error, "turn core dumps off");
    }
}
