//! Configuration → handles → ports → wait → drain. The only place that wires things.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use thiserror::Error;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::backend::{Backend, BackendError, Backends};
use crate::config::Config;
use crate::logging::Logging;
use crate::net::ListenAddress;
use crate::net::listener::{ListenError, Listener};
use crate::process;
use crate::reload::{ReadConfig, Reloader};
use crate::rules::{Rules, RulesError};
use crate::session::{DataPort, Handles, PasswordKey, Stop};
use crate::shell::pasted;
use crate::signals::{self, Ends};
use crate::tls::{
    Acceptor, AcceptorError, AutoError, Channel, ChannelName, Keep, LoadError, Loaded, Reread,
    ServerSettings,
};

/// What sessions that are cut get to close their connections.
const CUT: Duration = Duration::from_secs(2);

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
    /// A backend's section.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// A port is taken, or not ours to take.
    #[error("{0}")]
    Listen(#[from] ListenError),
}

/// Serves until SIGTERM or SIGINT, then drains. `read` reads the configuration again.
pub fn serve(config: Config, logging: Logging, read: Arc<ReadConfig>) -> Result<(), RunError> {
    process::forbid_core_dumps();
    process::raise_descriptor_limit(config.limits.connections);
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let ended = runtime.block_on(serve_async(config, logging, read));
    // a file system that hangs in the middle of a reload must not hold up the end
    runtime.shutdown_background();
    ended
}

async fn serve_async(
    config: Config,
    logging: Logging,
    read: Arc<ReadConfig>,
) -> Result<(), RunError> {
    let (mut ends, mut hang_ups) = signals::listen().map_err(RunError::Runtime)?;
    let tls = client_tls(&config)?;
    let rules = Arc::new(ArcSwap::from_pointee(Rules::new(config.rules.clone())?));
    let backends = backends(&config)?;
    let listeners = config
        .listen
        .iter()
        .map(Listener::bind)
        .collect::<Result<Vec<_>, _>>()?;

    let (closing, stop) = (CancellationToken::new(), Stop::default());
    let (background, sessions) = (TaskTracker::new(), TaskTracker::new());
    for backend in backends.all() {
        let backend = Arc::clone(backend);
        let closing = closing.clone();
        background.spawn({
            let (backend, closing) = (Arc::clone(&backend), closing.clone());
            async move { closing.run_until_cancelled(backend.learn_greeting()).await }
        });
        if let Some(import) = backend.import().map(Arc::clone) {
            background.spawn(async move { import.keep(&backend, closing).await });
        }
    }
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
        backends: backends.all().to_vec(),
        rules: Arc::clone(&rules),
        logging,
        started: config.clone(),
        read,
        expiry: Mutex::default(),
    });
    let port = Arc::new(DataPort::new(Handles {
        tls,
        rules,
        backends,
        limits: config.limits,
        tls_status: config.tls_status,
        random: aws_lc_rs::default_provider().secure_random,
        password_key: PasswordKey::new(config.state_dir),
        stop: stop.clone(),
    }));
    let reporting = Arc::clone(&port).report_left_out();
    background.spawn({
        let closing = closing.clone();
        async move { closing.run_until_cancelled(reporting).await }
    });
    for listener in listeners {
        let accepting = Arc::clone(&port).listen(listener, sessions.clone());
        let closing = closing.clone();
        background.spawn(async move { closing.run_until_cancelled(accepting).await });
    }
    background.spawn({
        let (reloader, closing) = (Arc::clone(&reloader), closing.clone());
        async move { closing.run_until_cancelled(reloader.keep_looking()).await }
    });
    background.spawn({
        let closing = closing.clone();
        let reloading = async move {
            loop {
                hang_ups.next().await;
                reloader.reload().await;
            }
        };
        async move { closing.run_until_cancelled(reloading).await }
    });

    ends.asked_to_end().await;
    closing.cancel();
    background.close();
    background.wait().await;
    port.log_left_out();
    drain(&sessions, &stop, config.drain_max, &mut ends).await;
    Ok(())
}

/// Lets sessions end: between transactions until `most` or a second signal, then at once.
async fn drain(sessions: &TaskTracker, stop: &Stop, most: Duration, ends: &mut Ends) {
    info!(
        sessions = sessions.len(),
        seconds = most.as_secs_f64(),
        "draining: no new clients"
    );
    sessions.close();
    stop.politely.cancel();
    tokio::select! {
        () = sessions.wait() => {}
        () = tokio::time::sleep(most) => {}
        () = ends.asked_to_end() => {}
    }
    if !sessions.is_empty() {
        warn!(
            sessions = sessions.len(),
            "cutting the sessions that are left"
        );
        stop.now.cancel();
        if timeout(CUT, sessions.wait()).await.is_err() {
            warn!(sessions = sessions.len(), "sessions did not close in time");
        }
    }
    info!("ended");
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
    Ok(Backends::new(all, config.route).expect("the configuration's route is one of its backends"))
}

/// TLS towards clients.
fn client_tls(config: &Config) -> Result<Arc<Channel<Acceptor>>, RunError> {
    let open = |keep: Keep| {
        let reread = if config.reread_certificates {
            Reread::AtConnect
        } else {
            Reread::Never
        };
        let settings = config.client_tls.clone();
        let addresses = listen_addresses(&config.listen);
        let sources = settings.sources.clone();
        Channel::open(ChannelName::MysqlMain, reread, sources, move |sources| {
            let settings = ServerSettings {
                sources,
                ..settings.clone()
            };
            Ok(Acceptor::load_keeping(&settings, &keep, &addresses)?)
        })
    };
    let mut channel = open(Keep::new(config.state_dir.as_deref()));
    // A state directory that cannot be written must not cost TLS: what is made is then kept in memory.
    if let (Some(LoadError::Acceptor(AcceptorError::Auto(error @ AutoError::File(_)))), Some(_)) =
        (channel.fault().as_deref(), &config.state_dir)
    {
        warn!(%error, "auto-tls keeps its certificate in memory: clients must trust a new CA after each start");
        channel = open(Keep::default());
    }
    judge_start(&channel, config)?;
    if channel.current().is_some() {
        info!(channel = %channel.name(), "secure connection is enabled");
    } else if channel.fault().is_none() {
        warn!(channel = %channel.name(), "secure connection is NOT ENABLED: no ssl-cert, and auto-tls is off");
    }
    Ok(channel)
}

/// As in TiDB, bad material does not stop the server: it serves without it as far as that goes, and says so.
fn judge_start<T: Loaded>(channel: &Channel<T>, config: &Config) -> Result<(), RunError> {
    match channel.fault() {
        None => Ok(()),
        Some(error) if config.require_valid_certificates => {
            Err(RunError::Certificates(channel.name(), error))
        }
        Some(error) => {
            error!(channel = %channel.name(), %error, "secure connection is NOT ENABLED");
            Ok(())
        }
    }
}

fn listen_addresses(listen: &[ListenAddress]) -> Vec<IpAddr> {
    listen
        .iter()
        .filter_map(|address| match address {
            ListenAddress::Tcp(tcp) => Some(tcp.ip()).filter(|ip| !ip.is_unspecified()),
            ListenAddress::Unix(_) => None,
        })
        .collect()
}

/// Command lines that work when they are pasted: for MySQL's shell, and for MariaDB's, which is `mysql` in Debian.
fn shell_lines(listener: &Listener, acceptor: &Acceptor) -> [String; 2] {
    let target = match listener.tcp_address() {
        Some(address) => {
            let host = if address.ip().is_unspecified() {
                "127.0.0.1".to_owned()
            } else {
                address.ip().to_string()
            };
            format!("--host={host} --port={}", address.port())
        }
        None => format!(
            "--socket={}",
            pasted(Path::new(listener.to_string().trim_start_matches("unix:")))
        ),
    };
    match acceptor.auto_ca().and_then(|ca| ca.path.as_deref()) {
        Some(ca) => {
            let ca = pasted(ca);
            [
                format!("mysql {target} --ssl-mode=VERIFY_CA --ssl-ca={ca} --user=USER -p"),
                format!("mariadb {target} --ssl-verify-server-cert --ssl-ca={ca} --user=USER -p"),
            ]
        }
        None => [
            format!("mysql {target} --ssl-mode=REQUIRED --user=USER -p"),
            format!("mariadb {target} --ssl --user=USER -p"),
        ],
    }
}
