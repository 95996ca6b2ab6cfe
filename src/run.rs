//! Configuration → handles → ports → wait → drain. The only place that wires things.

mod admin;
mod background;
mod http;
mod tls;
mod try_it;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::{SecureRandom, aws_lc_rs};
use thiserror::Error;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::admin::Admin;
use self::background::Background;
use self::http::Http;
use self::tls::{PortsTls, judge_start, ports_tls};
use self::try_it::shell_lines;
use crate::admin::{RuleFile, RuleFileError, UsersError};
use crate::backend::{Backend, BackendError, Backends, KeptRoute};
use crate::config::Config;
use crate::drain::{Phase, Phases, drain, serve_on};
use crate::logging::Logging;
use crate::net::listener::ListenError;
use crate::process;
use crate::reload::{ReadConfig, Reloader};
use crate::rules::{self, InForce, RulesError};
use crate::sandbox::Sandbox;
use crate::session::{DataPort, Handles, PasswordKey, Sessions, Stop};
use crate::signals;
use crate::systemd::{self, Port, Sockets, SocketsError};
use crate::tls::{Acceptor, Channel, ChannelName, LoadError};

/// What `systemctl status` says while clients are welcome.
const SERVING: &str = "serving";

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

/// Serves until SIGTERM or SIGINT, then drains. `read` reads the configuration again.
pub fn serve(mut config: Config, logging: Logging, read: Arc<ReadConfig>) -> Result<(), RunError> {
    process::forbid_core_dumps();
    process::raise_descriptor_limit(config.limits.connections);
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
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.spawn(systemd::keep_alive());
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

async fn serve_async(config: Config, mut start: Start) -> Result<(), RunError> {
    let (mut ends, mut hang_ups) = signals::listen().map_err(RunError::Runtime)?;
    let PortsTls {
        main: tls,
        admin: admin_tls,
    } = ports_tls(&config)?;
    let rule_file = RuleFile::new(config.state_dir.as_deref());
    let rules = Arc::new(InForce::new(all_rules(&config, &rule_file)?)?);
    let backends = Arc::new(backends(&config)?);
    let live = Sessions::default();
    if start.sockets.has(Port::Mysql) {
        greet_before_the_queue(&backends, &config).await;
    }
    let listeners = config
        .listen
        .iter()
        .map(|address| start.sockets.open(Port::Mysql, address))
        .collect::<Result<Vec<_>, _>>()?;

    let (background, ports) = (Background::default(), Background::default());
    let (stop, phases) = (Stop::default(), Phases::default());
    keep_learning(&backends, &background);
    for listener in &listeners {
        info!(channel = "mysql_main", address = %listener, "listening");
    }
    if let (Some(listener), Some(generation)) = (listeners.first(), tls.current()) {
        for line in shell_lines(listener, &generation.tls) {
            info!("try it: {line}");
        }
    }
    let reloader = Arc::new(Reloader {
        tls: Arc::clone(&tls),
        admin: admin_tls.clone(),
        backends: backends.all().to_vec(),
        rules: Arc::clone(&rules),
        logging: start.logging,
        started: config.clone(),
        read: start.read,
        sandbox: start.sandbox,
        expiry: Mutex::default(),
    });
    let shared = Shared {
        tls,
        backends,
        rules,
        sessions: live,
        password_key: PasswordKey::new(config.state_dir.clone()),
        random: aws_lc_rs::default_provider().secure_random,
        reloader: Arc::clone(&reloader),
    };
    let admin = Admin::start(&config, admin_tls, rule_file, &shared, &mut start.sockets)?;
    let http = Http::start(&config, &shared, &phases, &mut start.sockets)?;
    let port = Arc::new(shared.data_port(&config, stop.clone()));
    let sessions = TaskTracker::new();
    background.spawn(Arc::clone(&port).report_left_out());
    for listener in listeners {
        let (port, closing) = (Arc::clone(&port), ports.closing.clone());
        let accepting = port.listen(listener, sessions.clone(), closing);
        ports.tasks.spawn(accepting);
    }
    background.spawn({
        let reloader = Arc::clone(&reloader);
        async move { reloader.keep_looking().await }
    });
    background.spawn(async move {
        loop {
            hang_ups.next().await;
            systemd::reloading();
            reloader.reload().await;
            systemd::ready(SERVING);
        }
    });
    systemd::ready(SERVING);

    tokio::select! {
        () = ends.asked_to_end() => {}
        () = admin.asked_to_end() => {}
    }
    let left = format!("draining: {} sessions were left", sessions.len());
    systemd::stopping(&left, config.drain_min + config.drain_max + TO_END);
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

/// What the ports share.
struct Shared {
    tls: Arc<Channel<Acceptor>>,
    backends: Arc<Backends>,
    rules: Arc<InForce>,
    sessions: Sessions,
    password_key: PasswordKey,
    random: &'static dyn SecureRandom,
    reloader: Arc<Reloader>,
}

impl Shared {
    fn data_port(self, config: &Config, stop: Stop) -> DataPort {
        DataPort::new(Handles {
            tls: self.tls,
            rules: self.rules,
            backends: self.backends,
            balancers: config.balancers.clone(),
            limits: config.limits.clone(),
            tls_status: config.tls_status,
            compression: config.compression,
            random: self.random,
            password_key: self.password_key,
            sessions: self.sessions,
            stop,
        })
    }
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

/// The rules of the file, and those that were made at the admin port, whether or not there is one today: a rule that
/// restricts somebody must not end with a restart.
fn all_rules(config: &Config, kept: &RuleFile) -> Result<rules::Settings, RuleFileError> {
    let admin_accounts = kept.read()?;
    if !admin_accounts.is_empty() {
        info!(
            accounts = admin_accounts.len(),
            file = kept.path().map(|path| path.display().to_string()),
            "account rules made at the admin port are in force"
        );
        if config.admin.is_none() {
            warn!("there is no admin port to change the account rules that were made at one");
        }
    }
    Ok(rules::Settings {
        admin_accounts,
        ..config.rules.clone()
    })
}

/// The backends, those with bad certificates too: their sessions fail until a reload or reread finds good ones.
fn backends(config: &Config) -> Result<Backends, RunError> {
    let all = config
        .backends
        .iter()
        .map(|each| Backend::new(each.clone()).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    for channel in all.iter().filter_map(|backend| backend.channel()) {
        judge_start(channel, config)?;
    }
    let kept = KeptRoute::new(config.state_dir.as_deref());
    Ok(Backends::new(all, config.route, kept)
        .expect("the configuration's route is one of its backends"))
}
