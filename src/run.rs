//! Configuration → handles → ports → wait → drain. The only place that wires things.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use thiserror::Error;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::backend::{Backend, BackendError, Backends, Settings};
use crate::config::Config;
use crate::net::ListenAddress;
use crate::net::listener::{ListenError, Listener};
use crate::process;
use crate::rules::{Rules, RulesError};
use crate::session::{DataPort, Handles, PasswordKey, Stop};
use crate::shell::pasted;
use crate::signals::Signals;
use crate::tls::{Acceptor, AcceptorError, AutoError, Connector, ServerSettings};

/// What sessions that are cut get to close their connections.
const CUT: Duration = Duration::from_secs(2);

/// Why mytls cannot serve.
#[derive(Debug, Error)]
pub enum RunError {
    /// The operating system gives no threads or signals.
    #[error("start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// Bad certificates, and `require-valid-certificates`.
    #[error("load the certificates shown to clients: {0}")]
    Acceptor(#[from] AcceptorError),
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

/// Serves until SIGTERM or SIGINT, then drains.
pub fn serve(config: Config) -> Result<(), RunError> {
    process::forbid_core_dumps();
    process::raise_descriptor_limit(config.limits.connections);
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?
        .block_on(serve_async(config))
}

async fn serve_async(config: Config) -> Result<(), RunError> {
    let mut signals = Signals::listen().map_err(RunError::Runtime)?;
    let acceptor = acceptor(&config)?;
    let rules = Rules::new(config.rules)?;
    let backends = backends(config.backends, config.route)?;
    let listeners = config
        .listen
        .iter()
        .map(Listener::bind)
        .collect::<Result<Vec<_>, _>>()?;

    let (closing, stop) = (CancellationToken::new(), Stop::default());
    let (background, sessions) = (TaskTracker::new(), TaskTracker::new());
    for backend in backends.all() {
        for warning in backend.tls().map(Connector::warnings).unwrap_or_default() {
            warn!(channel = %backend.role(), "{warning}");
        }
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
    if let (Some(listener), Some(acceptor)) = (listeners.first(), &acceptor) {
        for line in shell_lines(listener, acceptor) {
            info!("try it: {line}");
        }
    }
    let port = Arc::new(DataPort::new(Handles {
        acceptor,
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

    signals.asked_to_end().await;
    closing.cancel();
    background.close();
    background.wait().await;
    port.log_left_out();
    drain(&sessions, &stop, config.drain_max, &mut signals).await;
    Ok(())
}

/// Lets sessions end: between transactions until `most` or a second signal, then at once.
async fn drain(sessions: &TaskTracker, stop: &Stop, most: Duration, signals: &mut Signals) {
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
        () = signals.asked_to_end() => {}
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

fn backends(settings: Vec<Settings>, route: crate::backend::Role) -> Result<Backends, RunError> {
    let all = settings
        .into_iter()
        .map(|each| Backend::new(each).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Backends::new(all, route).expect("the configuration's route is one of its backends"))
}

/// TLS towards clients. As in TiDB, bad material does not stop the server: it serves plaintext as far as the rules let
/// it, and says so.
fn acceptor(config: &Config) -> Result<Option<Acceptor>, RunError> {
    let addresses = listen_addresses(&config.listen);
    let settings = &config.client_tls;
    match load(settings, config.state_dir.as_deref(), &addresses) {
        Ok(Some(acceptor)) => {
            for warning in acceptor.warnings() {
                warn!(channel = "mysql_main", "{warning}");
            }
            info!(channel = "mysql_main", "secure connection is enabled");
            Ok(Some(acceptor))
        }
        Ok(None) => {
            warn!(
                channel = "mysql_main",
                "secure connection is NOT ENABLED: no ssl-cert, and auto-tls is off"
            );
            Ok(None)
        }
        Err(error) if config.require_valid_certificates => Err(error.into()),
        Err(error) => {
            error!(channel = "mysql_main", %error, "secure connection is NOT ENABLED");
            Ok(None)
        }
    }
}

/// A state directory that cannot be written must not cost TLS: what is made is then kept in memory.
fn load(
    settings: &ServerSettings,
    state: Option<&Path>,
    addresses: &[IpAddr],
) -> Result<Option<Acceptor>, AcceptorError> {
    match Acceptor::load(settings, state, addresses) {
        Err(AcceptorError::Auto(error @ AutoError::File(_))) if state.is_some() => {
            warn!(%error, "auto-tls keeps its certificate in memory: clients must trust a new CA after each start");
            Acceptor::load(settings, None, addresses)
        }
        other => other,
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
