//! Configuration → handles → ports → wait → drain. The only place that wires things.

mod admin;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use thiserror::Error;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use self::admin::Admin;
use crate::admin::{RuleFile, RuleFileError, UsersError};
use crate::backend::{Backend, BackendError, Backends, KeptRoute};
use crate::config::Config;
use crate::logging::Logging;
use crate::net::ListenAddress;
use crate::net::listener::{ListenError, Listener};
use crate::process;
use crate::reload::{ReadConfig, Reloader};
use crate::rules::{self, InForce, RulesError};
use crate::session::{DataPort, Handles, PasswordKey, Sessions, Stop};
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
    /// Rules that were made at the admin port and cannot be read.
    #[error("{0}")]
    RuleFile(#[from] RuleFileError),
    /// A backend's section.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// Whoever may log in to the admin port.
    #[error("{0}")]
    AdminUsers(#[from] UsersError),
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
    let PortsTls {
        main: tls,
        admin: admin_tls,
    } = ports_tls(&config)?;
    let rule_file = RuleFile::new(config.state_dir.as_deref());
    let rules = Arc::new(InForce::new(all_rules(&config, &rule_file)?)?);
    let backends = Arc::new(backends(&config)?);
    let live = Sessions::default();
    let listeners = config
        .listen
        .iter()
        .map(Listener::bind)
        .collect::<Result<Vec<_>, _>>()?;

    let (background, stop) = (Background::default(), Stop::default());
    let sessions = TaskTracker::new();
    for backend in backends.all().iter().map(Arc::clone) {
        if let Some(import) = backend.import().map(Arc::clone) {
            let (backend, closing) = (Arc::clone(&backend), background.closing.clone());
            let keeping = async move { import.keep(&backend, closing).await };
            background.tasks.spawn(keeping);
        }
        background.spawn(async move { backend.learn_greeting().await });
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
        admin: admin_tls.clone(),
        backends: backends.all().to_vec(),
        rules: Arc::clone(&rules),
        logging,
        started: config.clone(),
        read,
        expiry: Mutex::default(),
    });
    let random = aws_lc_rs::default_provider().secure_random;
    let password_key = PasswordKey::new(config.state_dir.clone());
    let shared = admin::Shared {
        tls: Arc::clone(&tls),
        backends: Arc::clone(&backends),
        rules: Arc::clone(&rules),
        rule_file,
        sessions: live.clone(),
        password_key: password_key.clone(),
        random,
        reloader: Arc::clone(&reloader),
    };
    let admin = Admin::start(&config, admin_tls, shared)?;
    let port = Arc::new(DataPort::new(Handles {
        tls,
        rules,
        backends,
        limits: config.limits,
        tls_status: config.tls_status,
        random,
        password_key,
        sessions: live,
        stop: stop.clone(),
    }));
    background.spawn(Arc::clone(&port).report_left_out());
    for listener in listeners {
        background.spawn(Arc::clone(&port).listen(listener, sessions.clone()));
    }
    background.spawn({
        let reloader = Arc::clone(&reloader);
        async move { reloader.keep_looking().await }
    });
    background.spawn(async move {
        loop {
            hang_ups.next().await;
            reloader.reload().await;
        }
    });

    tokio::select! {
        () = ends.asked_to_end() => {}
        () = admin.asked_to_end() => {}
    }
    background.end().await;
    port.log_left_out();
    drain(&sessions, &stop, config.drain_max, &mut ends).await;
    admin.end().await;
    info!("ended");
    Ok(())
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

/// What goes on until the drain begins.
#[derive(Debug, Default)]
struct Background {
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Background {
    /// Runs a task until the drain begins, if it does not end before. It must be cancel safe.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks
            .spawn(async move { closing.run_until_cancelled(task).await });
    }

    async fn end(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
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

/// TLS towards the clients of both ports.
struct PortsTls {
    main: Arc<Channel<Acceptor>>,
    admin: Option<Arc<Channel<Acceptor>>>,
}

fn ports_tls(config: &Config) -> Result<PortsTls, RunError> {
    let mut ports = open_ports(config, Keep::new(config.state_dir.as_deref()));
    // A state directory that cannot be written must not cost TLS: what is made is then kept in memory.
    let fault = ports.all().find_map(|channel| channel.fault());
    if config.state_dir.is_some()
        && let Some(fault) = &fault
        && let LoadError::Acceptor(AcceptorError::Auto(error @ AutoError::File(_))) = &**fault
    {
        warn!(%error, "auto-tls keeps its certificate in memory: clients must trust a new CA after each start");
        ports = open_ports(config, Keep::default());
    }
    for channel in ports.all() {
        judge_start(channel, config)?;
        if channel.current().is_some() {
            info!(channel = %channel.name(), "secure connection is enabled");
        } else if channel.fault().is_none() {
            warn!(channel = %channel.name(), "secure connection is NOT ENABLED: no ssl-cert, and auto-tls is off");
        }
    }
    Ok(ports)
}

impl PortsTls {
    fn all(&self) -> impl Iterator<Item = &Arc<Channel<Acceptor>>> {
        std::iter::once(&self.main).chain(&self.admin)
    }
}

/// Where both make their own certificates, it is one and the same: it names the addresses of both.
fn open_ports(config: &Config, keep: Keep) -> PortsTls {
    let keep = Arc::new(keep);
    let admin_listen = config.admin.iter().flat_map(|admin| &admin.listen);
    let addresses: Vec<IpAddr> =
        listen_addresses(config.listen.iter().chain(admin_listen)).collect();
    let open = |name, reread, settings: &ServerSettings| {
        let (settings, keep, addresses) = (settings.clone(), Arc::clone(&keep), addresses.clone());
        let sources = settings.sources.clone();
        Channel::open(name, reread, sources, move |sources| {
            let settings = ServerSettings {
                sources,
                ..settings.clone()
            };
            Ok(Acceptor::load_keeping(&settings, &keep, &addresses)?)
        })
    };
    let reread = if config.reread_certificates {
        Reread::AtConnect
    } else {
        Reread::Never
    };
    let admin = config.admin.as_ref();
    PortsTls {
        main: open(ChannelName::MysqlMain, reread, &config.client_tls),
        admin: admin.map(|admin| open(ChannelName::MysqlAdmin, Reread::AtConnect, &admin.tls)),
    }
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

fn listen_addresses<'a>(
    listen: impl Iterator<Item = &'a ListenAddress>,
) -> impl Iterator<Item = IpAddr> {
    listen.filter_map(|address| match address {
        ListenAddress::Tcp(tcp) => Some(tcp.ip()).filter(|ip| !ip.is_unspecified()),
        ListenAddress::Unix(_) => None,
    })
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
