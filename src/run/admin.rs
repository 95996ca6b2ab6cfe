//! The admin port: what it may show and do put together, its listeners, its end.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{RunError, Shared};
use crate::admin::{
    AdminPort, Channels, LoginResult, NotReloaded, Parts, Settings, Users, Variables,
};
use crate::config::Config;
use crate::drain::CUT;
use crate::metrics::Counters;
use crate::reload::ReloadError;
use crate::systemd::{Port, Sockets};
use crate::tls::{Acceptor, Channel, ChannelName, OnError};

/// The admin port while mytls runs; nothing where there is none.
#[derive(Debug, Default)]
pub(super) struct Admin {
    connections: TaskTracker,
    stop: CancellationToken,
    shutdown: CancellationToken,
    /// How logins went.
    pub(super) logins: Arc<Counters<LoginResult>>,
}

impl Admin {
    /// Reads the users' passwords and opens the port, if the configuration has one.
    pub(super) fn start(
        config: &Config,
        shared: &Shared,
        sockets: &mut Sockets,
    ) -> Result<Self, RunError> {
        let admin = Self::default();
        let (Some(settings), Some(tls)) = (&config.admin, &shared.reloader.admin) else {
            return Ok(admin);
        };
        let parts = admin.parts(config, settings, Arc::clone(tls), shared)?;
        let port = Arc::new(AdminPort::new(parts));
        let telling = Arc::clone(&port).report_left_out();
        admin.connections.spawn(telling);
        for address in &settings.listen {
            let listener = sockets.open(Port::Admin, address)?;
            info!(channel = %ChannelName::MysqlAdmin, address = %listener, "listening");
            let accepting = Arc::clone(&port).listen(listener, admin.connections.clone());
            let stop = admin.stop.clone();
            admin
                .connections
                .spawn(async move { stop.run_until_cancelled(accepting).await });
        }
        Ok(admin)
    }

    fn parts(
        &self,
        config: &Config,
        settings: &Settings,
        tls: Arc<Channel<Acceptor>>,
        shared: &Shared,
    ) -> Result<Parts, RunError> {
        let (users, names) = (settings.users.clone(), settings.client_names.clone());
        let reload = Arc::clone(&shared.reloader);
        let keeps_tls = config.rules.require_secure_transport;
        Ok(Parts {
            users: Users::load(users, names, shared.random)?,
            login_time: config.limits.login_time,
            random: shared.random,
            password_key: shared.password_key.clone(),
            channels: Channels {
                main: Arc::clone(&shared.tls),
                admin: tls,
                backends: Arc::clone(&shared.backends),
                policies: [
                    config.client_tls.policy.clone(),
                    settings.tls.policy.clone(),
                ],
            },
            rules: Arc::clone(&shared.rules),
            rule_file: Arc::clone(&shared.rule_file),
            sessions: shared.sessions.clone(),
            variables: Variables::new(config.variables(), Arc::clone(&shared.backends)),
            backends: Arc::clone(&shared.backends),
            drain_max: config.drain_max,
            reload_tls: Box::new(move |channel, on_error| {
                let reload = Arc::clone(&reload);
                Box::pin(async move {
                    let result = reload.reload_tls(channel, on_error).await;
                    result.map_err(|error| not_reloaded(&error, on_error, keeps_tls))
                })
            }),
            logins: Arc::clone(&self.logins),
            started: Instant::now(),
            shutdown: self.shutdown.clone(),
            stop: self.stop.clone(),
        })
    }

    /// Somebody has said `SHUTDOWN`. Cancel safe.
    pub(super) async fn asked_to_end(&self) {
        self.shutdown.cancelled().await;
        info!("asked to end by SHUTDOWN");
    }

    /// Closes the port and its connections. It answers to the end of everything else.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.connections.close();
        if timeout(CUT, self.connections.wait()).await.is_err() {
            let connections = self.connections.len();
            warn!(connections, "admin connections did not close in time");
        }
    }
}

/// `keeps_tls`: the data port's is required, and never turned off.
fn not_reloaded(error: &ReloadError, on_error: OnError, keeps_tls: bool) -> NotReloaded {
    let is_off = |channel| match channel {
        ChannelName::MysqlMain => !keeps_tls,
        ChannelName::MysqlAdmin => false,
        ChannelName::Source | ChannelName::Target => true,
    };
    let turned_off = match (error, on_error) {
        (ReloadError::Failed(channels), OnError::TurnOff) => {
            channels.iter().any(|failed| is_off(failed.channel))
        }
        (ReloadError::Failed(_), OnError::Keep) | (ReloadError::NoChannel(_), _) => false,
    };
    NotReloaded {
        reason: error.to_string(),
        turned_off,
    }
}
