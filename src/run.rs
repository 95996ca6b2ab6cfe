//! Configuration → handles → ports → wait → drain. The only place that wires things.

mod admin;
mod background;
mod http;
mod metrics;
mod shared;
mod tls;
mod try_it;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::admin::Admin;
use self::background::Background;
use self::http::Http;
use self::shared::Shared;
use self::try_it::shell_lines;
use crate::admin::{RuleFileError, UsersError};
use crate::backend::{BackendError, Backends};
use crate::config::Config;
use crate::drain::{Phase, Phases, drain, serve_on};
use crate::logging::Logging;
use crate::net::listener::ListenError;
use crate::net::workers::Workers;
use crate::process;
use crate::reload::{ReadConfig, Reloader};
use crate::rules::RulesError;
use crate::sandbox::Sandbox;
use crate::session::Stop;
use crate::signals::{self, HangUps};
use crate::systemd::{self, Port, Sockets, SocketsError};
use crate::tls::{ChannelName, LoadError};

/// What `systemctl status` says while clients are welcome.
const SERVING: &str = "serving";

/// Sessions have [`Workers`] of their own. What is left accepts clients, answers at the other ports, probes and imports;
/// two, so that none of that waits for another.
const THREADS_BESIDE_WORKERS: usize = 2;

/// What the end may take beside the drain: ports and connections are closed.
const TO_END: Duration = Duration::from_secs(10);

/// Why mytls cannot serve.
#[derive(Debug, Error)]
pub enum RunError {
    /// The operating system gives no threads or signals.
    #[error("start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// Bad certificates, and `require-valid-certificates`.
    #[error("load the certificates of {0}: {1}")]
    Certificates(ChannelName, #[source] Arc<LoadError>),
    /// Rules that contradict each other.
    #[error("{0}")]
    Rules(#[from] RulesError),
    /// Rules that were made at the admin port and cannot be read.
    #[error("{0}")]
    RuleFile(#[from] RuleFileError),
    /// A backend's section.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// Whoever may log in to the admin port.
    #[error("{0}")]
    AdminUsers(#[from] UsersError),
    /// The sockets of a systemd socket unit.
    #[error("{0}")]
    Sockets(#[from] SocketsError),
    /// A port is taken, or not ours to take.
    #[error("{0}")]
    Listen(#[from] ListenError),
}

impl RunError {
    /// Whether what is wrong stands in the configuration or beside it, so that starting again is no cure.
    pub fn is_of_configuration(&self) -> bool {
        match self {
            Self::Rules(_)
            | Self::RuleFile(_)
            | Self::Backend(_)
            | Self::AdminUsers(_)
            | Self::Sockets(_) => true,
            Self::Runtime(_) | Self::Certificates(..) | Self::Listen(_) => false,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains. `read` reads the configuration again.
pub fn serve(mut config: Config, logging: Logging, read: Arc<ReadConfig>) -> Result<(), RunError> {
    process::forbid_core_dumps();
    process::raise_descriptor_limit(config.limits.connections, Workers::number().get());
    let sockets = Sockets::handed_down()?;
    let addresses = sockets.addresses();
    addresses.replace_in(&mut config)?;
    let start = Start {
        logging,
        read: Arc::new(move || {
            let mut config = read()?;
            // a section that is gone is a change that needs a restart, and told as such
            let _ = addresses.replace_in(&mut config);
            Ok(config)
        }),
        sockets,
        // before the runtime: its threads are to be in it
        sandbox: Arc::new(Sandbox::enter(&config)),
    };
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS_BESIDE_WORKERS)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let ended = runtime.block_on(serve_async(config, start));
    // a file system that hangs in the middle of a reload must not hold up the end
    runtime.shutdown_background();
    ended
}

/// What the process has before it has a runtime.
struct Start {
    logging: Logging,
    read: Arc<ReadConfig>,
    sockets: Sockets,
    sandbox: Arc<Sandbox>,
}

async fn serve_async(config: Config, start: Start) -> Result<(), RunError> {
    let started = SystemTime::now();
    let (mut ends, hang_ups) = signals::listen().map_err(RunError::Runtime)?;
    let (shared, mut sockets) = Shared::load(&config, start)?;
    tokio::spawn(systemd::keep_alive(Arc::clone(&shared.workers)));
    if sockets.has(Port::Mysql) {
        greet_before_the_queue(&shared.backends, &config).await;
    }
    let listeners = config
        .listen
        .iter()
        .map(|address| sockets.open(Port::Mysql, address))
        .collect::<Result<Vec<_>, _>>()?;
    let (background, ports) = (Background::default(), Background::default());
    let (stop, phases) = (Stop::default(), Phases::default());
    keep_learning(&shared.backends, &background);
    for listener in &listeners {
        info!(channel = "mysql_main", address = %listener, "listening");
    }
    if let (Some(listener), Some(generation)) = (listeners.first(), shared.tls.current()) {
        for line in shell_lines(listener, &generation.tls) {
            info!("try it: {line}");
        }
    }
    let admin = Admin::start(&config, &shared, &mut sockets)?;
    let metrics = shared.metrics(&admin, &phases, started);
    let http = Http::start(&config, &shared, &phases, metrics, &mut sockets)?;
    keep_current(&shared.reloader, hang_ups, phases.watch(), &background);
    let port = Arc::new(shared.data_port(&config, stop.clone()));
    background.spawn(Arc::clone(&port).report_left_out());
    let sessions = TaskTracker::new();
    for listener in listeners {
        let (port, closing) = (Arc::clone(&port), ports.closing.clone());
        let accepting = port.listen(listener, sessions.clone(), closing);
        ports.tasks.spawn(accepting);
    }
    systemd::ready(SERVING);

    tokio::select! {
        () = ends.asked_to_end() => {}
        () = admin.asked_to_end() => {}
    }
    let left = format!(
        "draining; {} sessions were left when it began",
        sessions.len()
    );
    systemd::stopping(&left, drain_time(&config));
    let at_once = serve_on(&phases, config.drain_min, &mut ends).await;
    phases.enter(Phase::Draining);
    ports.end().await;
    let most = if at_once {
        Duration::ZERO
    } else {
        config.drain_max
    };
    drain(&sessions, &stop, most, &mut ends).await;
    port.log_left_out();
    background.end().await;
    admin.end().await;
    http.end().await;
    info!("ended");
    Ok(())
}

/// How long the end may take at most.
fn drain_time(config: &Config) -> Duration {
    let drain = config.drain_min.saturating_add(config.drain_max);
    drain.saturating_add(TO_END)
}

/// Clients already wait in the queue of a socket that was handed down. They may as well wait for the greeting of the server
/// that they will get to, as far as it takes no longer than a dial may.
async fn greet_before_the_queue(backends: &Backends, config: &Config) {
    let patience = config.backends.iter().map(|backend| backend.connect_time);
    // whether it came or not, they are served
    let _ = timeout(
        patience.max().unwrap_or_default(),
        backends.routed().learn_greeting(),
    )
    .await;
}

/// Greetings are learnt before clients come, accounts imported as long as they do.
fn keep_learning(backends: &Backends, background: &Background) {
    for backend in backends.all().iter().map(Arc::clone) {
        if let Some(import) = backend.import().map(Arc::clone) {
            let (backend, closing) = (Arc::clone(&backend), background.closing.clone());
            let keeping = async move { import.keep(&backend, closing).await };
            background.tasks.spawn(keeping);
        }
        background.spawn(async move { backend.learn_greeting().await });
    }
}

/// What is in force is replaced when somebody asks for it, and when files have changed.
fn keep_current(
    reloader: &Arc<Reloader>,
    mut hang_ups: HangUps,
    phase: watch::Receiver<Phase>,
    background: &Background,
) {
    let (looking, asked) = (Arc::clone(reloader), Arc::clone(reloader));
    background.spawn(async move { looking.keep_looking().await });
    background.spawn(async move {
        loop {
            hang_ups.next().await;
            // systemd has been told of the end by then, which no reload takes back
            let is_serving = || *phase.borrow() == Phase::Serving;
            if is_serving() {
                systemd::reloading();
            }
            asked.reload().await;
            if is_serving() {
                systemd::ready(SERVING);
            }
        }
    });
}
