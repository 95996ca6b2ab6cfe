//! What changes while mytls runs: certificates, accounts, the log's level. Asked for (SIGHUP, and what a statement will
//! call) or noticed, when files have changed or a certificate of our own making nears its end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::backend::Backend;
use crate::config::{Config, ConfigError};
use crate::logging::Logging;
use crate::rules::{InForce, Settings};
use crate::sandbox::Sandbox;
use crate::tls::{
    Acceptor, Channel, ChannelName, Expiry, ExpiryNotice, ExpiryWatch, LoadError, Loaded as _,
    OnError, Stage,
};

/// How often an idle proxy looks for itself. Certificates are replaced hours before they run out.
const POLL: Duration = Duration::from_secs(60);

/// Reads the configuration again, from where it was read at start.
pub type ReadConfig = dyn Fn() -> Result<Config, ConfigError> + Send + Sync;

/// A reload of certificates that failed. Every channel that is not in it has been reloaded.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// That place has no TLS.
    #[error("channel {0} has no TLS: it is not in the configuration, or in plaintext")]
    NoChannel(ChannelName),
    /// What was in force still is.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Failed(Vec<ChannelError>),
}

/// Why one channel was not reloaded.
#[derive(Debug, Error)]
#[error("channel {channel}: {error}")]
pub struct ChannelError {
    /// Which.
    pub channel: ChannelName,
    /// Why.
    #[source]
    pub error: Arc<LoadError>,
}

/// All that can change, and what it is changed from; made by `run`.
pub struct Reloader {
    /// TLS towards clients.
    pub tls: Arc<Channel<Acceptor>>,
    /// That of the admin port, if there is one.
    pub admin: Option<Arc<Channel<Acceptor>>>,
    /// With TLS towards each.
    pub backends: Vec<Arc<Backend>>,
    /// In force.
    pub rules: Arc<InForce>,
    /// Of this process.
    pub logging: Logging,
    /// As the process was started with it.
    pub started: Config,
    /// For the next one.
    pub read: Arc<ReadConfig>,
    /// What keeps files closed that a reload may want to read.
    pub sandbox: Arc<Sandbox>,
    /// What has been said about certificates that run out.
    pub expiry: Mutex<ExpiryWatch>,
}

impl Reloader {
    /// SIGHUP: the configuration file as far as it can change at run time, then all certificates. Either may fail without
    /// the other, so that a slip in a rule does not keep an expiring certificate in force.
    ///
    /// Cancel safe: what was begun goes on, but nothing else is begun.
    pub async fn reload(&self) {
        let configuration = self.reload_configuration().await;
        let tls = self.reload_tls(None, OnError::Keep).await;
        self.tell_of_expiry();
        if configuration.is_ok() && tls.is_ok() {
            info!("reloaded");
        } else {
            warn!("not reloaded whole: see the errors above");
        }
    }

    /// Reads certificates, keys and CAs again from the paths of the start: those of one channel, or of all. Each channel is
    /// replaced whole or not at all, and apart from the others. Connections that exist are not touched.
    ///
    /// [`OnError::TurnOff`] holds only while plaintext may come at all. Cancel safe: what was begun goes on.
    pub async fn reload_tls(
        &self,
        only: Option<ChannelName>,
        on_error: OnError,
    ) -> Result<(), ReloadError> {
        let is_meant = |name| only.is_none_or(|only| only == name);
        let (mut meant, mut failed) = (0, Vec::new());
        let mut note = |channel, result: Result<(), Arc<LoadError>>| {
            meant += 1;
            let Err(error) = result else { return };
            error!(%channel, %error, "TLS was not reloaded");
            failed.push(ChannelError { channel, error });
        };
        if is_meant(self.tls.name()) {
            let on_error = if self.started.rules.require_secure_transport {
                OnError::Keep
            } else {
                on_error
            };
            note(self.tls.name(), self.tls.reload(on_error).await);
        }
        if let Some(admin) = &self.admin
            && is_meant(admin.name())
        {
            // never turned off: whoever logs in by certificate could not turn it on again
            note(admin.name(), admin.reload(OnError::Keep).await);
        }
        for channel in self.backends.iter().filter_map(|backend| backend.channel()) {
            if is_meant(channel.name()) {
                note(channel.name(), channel.reload(on_error).await);
            }
        }
        match only {
            Some(only) if meant == 0 => Err(ReloadError::NoChannel(only)),
            _ if failed.is_empty() => Ok(()),
            _ => {
                self.tell_of_closed_files().await;
                Err(ReloadError::Failed(failed))
            }
        }
    }

    /// What was reread or reloaded may have failed for that. Cancel safe.
    async fn tell_of_closed_files(&self) {
        let sandbox = Arc::clone(&self.sandbox);
        // fails only where the process is ending
        let _ = spawn_blocking(move || sandbox.tell_of_closed_files()).await;
    }

    /// Accounts, `default-require` and the log's level, all or nothing. What is wrong has been logged.
    async fn reload_configuration(&self) -> Result<(), ()> {
        let read = Arc::clone(&self.read);
        let Ok(config) = spawn_blocking(move || read()).await else {
            // the process is ending
            return Err(());
        };
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                let error = error.in_one_line();
                error!(error, "the configuration was not reloaded");
                self.tell_of_closed_files().await;
                return Err(());
            }
        };
        for warning in &config.warnings {
            if !self.started.warnings.contains(warning) {
                warn!("{warning}");
            }
        }
        for key in self.started.keys_for_a_restart(&config) {
            warn!(key, "this key has changed; it needs a restart");
        }
        let Settings {
            accounts,
            default_requirement,
            // the policy of the port is that of the start
            require_secure_transport: _,
            client_names: _,
            enforcement: _,
            // not in the file
            admin_accounts: _,
        } = config.rules;
        let count = accounts.len();
        self.rules
            .change(|settings| {
                settings.accounts = accounts;
                settings.default_requirement = default_requirement;
            })
            .map_err(|error| error!(%error, "the configuration was not reloaded"))?;
        self.logging.set_level(config.log.level);
        info!(accounts = count, "configuration reloaded");
        Ok(())
    }

    /// Looks after what nobody asks for, until dropped. Cancel safe.
    pub async fn keep_looking(&self) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Files that have changed, certificates that are to be made anew, certificates that run out.
    async fn look(&self) {
        for channel in std::iter::once(&self.tls).chain(&self.admin) {
            channel.poll().await;
            let current = channel.current();
            if current.is_some_and(|current| current.tls.is_due(UnixTime::now())) {
                channel.renew().await;
            }
        }
        for channel in self.backends.iter().filter_map(|backend| backend.channel()) {
            channel.poll().await;
        }
        self.tell_of_closed_files().await;
        self.tell_of_expiry();
    }

    /// The end of every certificate in force, by place: ours, CAs, and what servers have shown.
    pub fn expiries(&self) -> Vec<(ChannelName, Expiry)> {
        let mut all = Vec::new();
        let mut add = |channel, expiries: &[Expiry]| {
            all.extend(expiries.iter().map(|expiry| (channel, expiry.clone())));
        };
        for channel in std::iter::once(&self.tls).chain(&self.admin) {
            if let Some(current) = channel.current() {
                add(channel.name(), current.tls.certificates());
            }
        }
        for backend in &self.backends {
            let Some(channel) = backend.channel() else {
                continue;
            };
            if let Some(current) = channel.current() {
                add(channel.name(), current.tls.certificates());
            }
            add(channel.name(), &backend.shown());
        }
        all
    }

    fn tell_of_expiry(&self) {
        let in_force = self.expiries();
        let notices = self
            .expiry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(in_force, UnixTime::now());
        for notice in notices {
            log_expiry(&notice);
        }
    }
}

fn log_expiry(notice: &ExpiryNotice) {
    let ExpiryNotice {
        channel,
        certificate,
        stage,
    } = notice;
    let (what, subject, not_after) = (certificate.what, &certificate.subject, certificate.end());
    match stage {
        Stage::Expired => {
            error!(%channel, certificate = what, subject, not_after, "a certificate in force has expired");
        }
        Stage::Far | Stage::Month | Stage::Week | Stage::Day => {
            warn!(%channel, certificate = what, subject, not_after, "a certificate in force expires soon");
        }
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}
