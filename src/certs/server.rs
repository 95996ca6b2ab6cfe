//! A server that is only looked at: greeting, TLS with whatever certificate it shows, and away again without a login.

use std::io;

use rustls::pki_types::CertificateDer;
use tokio::runtime;

use super::block::printable;
use crate::backend::{Backend, BackendError};
use crate::config::{self, AddressError};
use crate::net::stream::Stream;
use crate::tls::Negotiated;

/// Why a server could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Not an address.
    #[error("{0}: there is no such file, and {1}")]
    Address(String, AddressError),
    /// A server that may not be dialled.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// A server that does not answer, or not as a MySQL server.
    #[error("{server}: {error}")]
    Connect {
        /// As it was written.
        server: String,
        /// Why; a server may have a say in it.
        error: String,
    },
    /// The operating system gives no sockets.
    #[error("start the runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// What a server has shown.
pub(super) struct Server {
    /// As it greets; it may say anything.
    pub(super) version: String,
    /// None if it does not offer TLS.
    pub(super) tls: Option<Session>,
}

/// A TLS session that was.
pub(super) struct Session {
    /// Version, cipher and key exchange.
    pub(super) negotiated: String,
    /// The server's certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Server {
    /// Dials it. The server counts that as an unfinished handshake.
    pub(super) fn look_at(target: &str) -> Result<Self, LookError> {
        let settings = config::server_to_look_at(target)
            .map_err(|error| LookError::Address(printable(target), error))?;
        let backend = Backend::new(settings)?;
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(Self::shown_by(&backend))
            .map_err(|error| LookError::Connect {
                server: printable(target),
                error: printable(&error),
            })
    }

    async fn shown_by(backend: &Backend) -> Result<Self, String> {
        let connection = backend.look().await.map_err(|error| error.to_string())?;
        let version = backend
            .greeting()
            .map(|greeting| String::from_utf8_lossy(&greeting.version).into_owned())
            .unwrap_or_default();
        let tls = Session::of(&connection.stream);
        connection.stream.close().await;
        Ok(Self { version, tls })
    }
}

impl Session {
    fn of(stream: &Stream) -> Option<Self> {
        let tls = stream.tls()?;
        let Negotiated { version, cipher } = Negotiated::of(tls)?;
        let group = tls
            .negotiated_key_exchange_group()
            .map(|group| format!(", {:?}", group.name()))
            .unwrap_or_default();
        let chain = tls.peer_certificates().unwrap_or_default();
        Some(Self {
            negotiated: format!("{version}, {cipher}{group}"),
            chain: chain
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
        })
    }
}
