//! What the ports work with: certificates, rules, backends and sessions, made of the configuration.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::crypto::{SecureRandom, aws_lc_rs};
use tracing::{info, warn};

use super::admin::Admin;
use super::metrics::Metrics;
use super::tls::{PortsTls, judge_start, ports_tls};
use super::{RunError, Start};
use crate::admin::{RuleFile, RuleFileError};
use crate::backend::{Backend, Backends, KeptRoute};
use crate::config::Config;
use crate::drain::Phases;
use crate::metrics::Counters;
use crate::net::workers::Workers;
use crate::reload::Reloader;
use crate::rules::{self, InForce};
use crate::session::{DataPort, Handles, PasswordKey, Sessions, Stop};
use crate::systemd::Sockets;
use crate::tls::{Acceptor, Channel};

/// What the ports share.
pub(super) struct Shared {
    /// TLS of the data port.
    pub(super) tls: Arc<Channel<Acceptor>>,
    pub(super) backends: Arc<Backends>,
    pub(super) rules: Arc<InForce>,
    pub(super) rule_file: Arc<RuleFile>,
    pub(super) sessions: Sessions,
    /// The threads that serve clients.
    pub(super) workers: Arc<Workers>,
    pub(super) password_key: PasswordKey,
    pub(super) random: &'static dyn SecureRandom,
    pub(super) reloader: Arc<Reloader>,
}

impl Shared {
    /// Loads certificates and rules; dials nothing. The sockets that were handed down are still to be opened.
    pub(super) fn load(config: &Config, start: Start) -> Result<(Self, Sockets), RunError> {
        let Start {
            logging,
            read,
            sockets,
            sandbox,
        } = start;
        let PortsTls { main: tls, admin } = ports_tls(config)?;
        let rule_file = Arc::new(RuleFile::new(config.state_dir.as_deref()));
        let rules = Arc::new(InForce::new(all_rules(config, &rule_file)?)?);
        let backends = Arc::new(backends(config)?);
        let reloader = Arc::new(Reloader {
            tls: Arc::clone(&tls),
            admin,
            backends: backends.all().to_vec(),
            rules: Arc::clone(&rules),
            logging,
            started: config.clone(),
            read,
            sandbox,
            expiry: Mutex::default(),
            results: Counters::default(),
        });
        let shared = Self {
            tls,
            backends,
            rules,
            rule_file,
            sessions: Sessions::default(),
            workers: Arc::new(Workers::start().map_err(RunError::Runtime)?),
            password_key: PasswordKey::new(config.state_dir.clone()),
            random: aws_lc_rs::default_provider().secure_random,
            reloader,
        };
        Ok((shared, sockets))
    }

    pub(super) fn metrics(&self, admin: &Admin, phases: &Phases, started: SystemTime) -> Metrics {
        Metrics {
            sessions: self.sessions.clone(),
            backends: Arc::clone(&self.backends),
            reloader: Arc::clone(&self.reloader),
            phase: phases.watch(),
            admin_logins: Arc::clone(&admin.logins),
            started,
        }
    }

    pub(super) fn data_port(self, config: &Config, stop: Stop) -> DataPort {
        DataPort::new(Handles {
            tls: self.tls,
            rules: self.rules,
            backends: self.backends,
            balancers: config.balancers.clone(),
            limits: config.limits.clone(),
            tls_status: config.tls_status,
            compression: config.compression,
            workers: self.workers,
            random: self.random,
            password_key: self.password_key,
            sessions: self.sessions,
            stop,
        })
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
