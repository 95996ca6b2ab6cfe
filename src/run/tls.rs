//! TLS of every place, loaded at start as far as it can be.

use std::net::IpAddr;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::RunError;
use crate::config::Config;
use crate::net::ListenAddress;
use crate::tls::{
    Acceptor, AcceptorError, AutoError, Channel, ChannelName, Keep, LoadError, Loaded, Reread,
    ServerSettings,
};

/// TLS towards the clients of both ports.
pub(super) struct PortsTls {
    pub(super) main: Arc<Channel<Acceptor>>,
    pub(super) admin: Option<Arc<Channel<Acceptor>>>,
}

/// Loads the certificates of both ports.
pub(super) fn ports_tls(config: &Config) -> Result<PortsTls, RunError> {
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
pub(super) fn judge_start<T: Loaded>(
    channel: &Channel<T>,
    config: &Config,
) -> Result<(), RunError> {
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
