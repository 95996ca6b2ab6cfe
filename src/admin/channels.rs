//! The places with TLS, as statements show them.

use std::sync::Arc;

use crate::backend::{Backend, Backends};
use crate::tls::{
    Acceptor, Certificates, Channel, ChannelName, Expiry, PemSource, Sources, TlsVersion,
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
    /// The lowest version of each of the two ports.
    pub lowest_versions: [TlsVersion; 2],
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
    /// `TLSv1.2,TLSv1.3`, as in MySQL; only of ports.
    pub(super) versions: &'static str,
    sources: Sources,
    /// In force: those shown and trusted, and those that the other side has shown.
    pub(super) certificates: Vec<Expiry>,
}

impl Channels {
    /// All of them.
    pub(super) fn views(&self) -> Vec<View> {
        let [main, admin] = self.lowest_versions.map(versions);
        let mut views = vec![view(&self.main, main), view(&self.admin, admin)];
        views.extend(self.backends.all().iter().filter_map(backend));
        views
    }

    /// The data port's.
    pub(super) fn main(&self) -> View {
        view(&self.main, versions(self.lowest_versions[0]))
    }
}

impl View {
    /// Where the certificates of this kind (`ssl-ca`, `ssl-cert`) come from: a file, or a key of the configuration.
    pub(super) fn source(&self, what: &str) -> String {
        let source = match what {
            "ssl-ca" => &self.sources.ca,
            "ssl-cert" => &self.sources.cert,
            "ssl-key" => &self.sources.key,
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

    /// The certificate that is shown.
    pub(super) fn own(&self) -> Option<&Expiry> {
        self.certificates
            .iter()
            .find(|certificate| matches!(certificate.what, "ssl-cert" | "auto-tls"))
    }
}

fn backend(backend: &Arc<Backend>) -> Option<View> {
    let mut view = view(backend.channel()?, "");
    view.certificates.extend(backend.shown());
    Some(view)
}

fn view<T: Certificates>(channel: &Channel<T>, versions: &'static str) -> View {
    let current = channel.current();
    View {
        name: channel.name(),
        is_enabled: current.is_some(),
        fault: channel.fault().map(|error| error.to_string()),
        generation: current.as_ref().map_or(0, |current| current.number),
        versions,
        sources: channel.sources().clone(),
        certificates: current
            .map(|current| current.tls.certificates().to_vec())
            .unwrap_or_default(),
    }
}

/// As MySQL's `tls_version` lists them.
pub(super) fn versions(lowest: TlsVersion) -> &'static str {
    match lowest {
        TlsVersion::Tls12 => "TLSv1.2,TLSv1.3",
        TlsVersion::Tls13 => "TLSv1.3",
    }
}
