//! The places with TLS, as statements show them.

use std::sync::Arc;

use super::variables::{chosen_ciphers, versions};
use crate::backend::{Backend, Backends};
use crate::tls::{
    Acceptor, Channel, ChannelName, Expiry, Loaded, PemSource, Policy, Sources, TlsVersion,
};

/// The channels of a running mytls.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Of the data port.
    pub main: Arc<Channel<Acceptor>>,
    /// Of the admin port.
    pub admin: Arc<Channel<Acceptor>>,
    /// Some of which have one.
    pub backends: Arc<Backends>,
    /// What the two ports accept.
    pub policies: [Policy; 2],
}

/// One channel as it is now.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: ChannelName,
    pub(super) is_enabled: bool,
    /// Why the last attempt to load its certificates failed.
    pub(super) fault: Option<String>,
    /// Generations so far; 0 while there was none.
    pub(super) generation: u64,
    /// Handshakes brought to their end.
    pub(super) handshakes: u64,
    /// What is accepted; only of ports.
    policy: Option<Policy>,
    sources: Sources,
    /// In force: those shown and trusted, and those that the other side has shown.
    pub(super) certificates: Vec<Expiry>,
}

impl Channels {
    /// All of them.
    pub(super) fn views(&self) -> Vec<View> {
        let [_, admin] = &self.policies;
        let mut views = vec![self.main(), view(&self.admin, Some(admin))];
        views.extend(self.backends.all().iter().filter_map(backend));
        views
    }

    /// The data port's.
    pub(super) fn main(&self) -> View {
        let [main, _] = &self.policies;
        view(&self.main, Some(main))
    }
}

impl View {
    /// Where the certificates of this kind (`ssl-ca`, `ssl-cert`) come from: a file, or a key of the configuration.
    pub(super) fn source(&self, what: &str) -> String {
        let source = match what {
            "ssl-ca" => &self.sources.ca,
            "ssl-cert" => &self.sources.cert,
            "ssl-key" => &self.sources.key,
            "ssl-crl" => &self.sources.crl,
            _ => &None,
        };
        match source {
            Some(PemSource::File(path) | PemSource::Read { path, .. }) => {
                path.display().to_string()
            }
            Some(PemSource::Inline { key, .. }) => key.clone(),
            None => String::new(),
        }
    }

    /// As MySQL's `tls_version` lists them; empty of a backend.
    pub(super) fn versions(&self) -> &'static str {
        let policy = self.policy.as_ref();
        policy.map_or("", |policy| versions(policy.lowest_version))
    }

    /// The cipher suites of a version, where they are chosen; empty is all that there are.
    pub(super) fn ciphers(&self, version: TlsVersion) -> String {
        self.policy
            .as_ref()
            .map_or(String::new(), |policy| chosen_ciphers(policy, version))
    }

    /// The certificate that is shown.
    pub(super) fn own(&self) -> Option<&Expiry> {
        self.certificates
            .iter()
            .find(|certificate| matches!(certificate.what, "ssl-cert" | "auto-tls"))
    }
}

fn backend(backend: &Arc<Backend>) -> Option<View> {
    let mut view = view(backend.channel()?, None);
    view.certificates.extend(backend.shown());
    Some(view)
}

fn view<T: Loaded>(channel: &Channel<T>, policy: Option<&Policy>) -> View {
    let current = channel.current();
    View {
        name: channel.name(),
        is_enabled: current.is_some(),
        fault: channel.fault().map(|error| error.to_string()),
        generation: current.as_ref().map_or(0, |current| current.number),
        handshakes: channel.counts().handshakes.total(),
        policy: policy.cloned(),
        sources: channel.sources().clone(),
        certificates: current
            .map(|current| current.tls.certificates().to_vec())
            .unwrap_or_default(),
    }
}
