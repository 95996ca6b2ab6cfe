//! The HTTP port: metrics for machines, probes for whoever starts and stops mytls, a status page for people.
//!
//! There is nothing to send here, only to read: whoever reaches the port can change nothing. `answer` says what is where,
//! `host` keeps web pages from reading it, `probe` judges, `status` gathers what `page` shows. Each connection has one
//! request and one deadline over all of it, and `places` bounds how many there are.

mod answer;
mod host;
mod page;
mod places;
mod probe;
mod status;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use self::answer::Answers;
use self::places::Places;
use crate::backend::Backends;
use crate::drain::Phase;
use crate::net::ListenAddress;
use crate::net::listener::Listener;
use crate::net::socket::{KeepAlive, Socket};
use crate::net::workers::Workers;
use crate::rules::ClientAddress;
use crate::session::Sessions;
use crate::tls::{Acceptor, Channel, ChannelName, Expiry};

/// From accept to the last byte of the answer. Probes take a millisecond; a table of metrics may have a long way to go.
const CONNECTION: Duration = Duration::from_secs(10);

/// A request's line and headers in all; hyper takes no less as a limit. Browsers send under 1 KiB.
const HEAD_BYTES: usize = 8 * 1024;

/// Headers of a request. Browsers send about 15.
const HEADERS: usize = 64;

/// `http`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the port listens; at least one.
    pub listen: Vec<ListenAddress>,
    /// Names with a dot that it answers to.
    pub hosts: Vec<String>,
}

/// What the HTTP port shows; made by `run`.
pub struct Handles {
    /// `/metrics`, in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Every certificate in force, by place.
    pub expiries: Box<dyn Fn() -> Vec<(ChannelName, Expiry)> + Send + Sync>,
    /// TLS towards clients.
    pub tls: Arc<Channel<Acceptor>>,
    /// The servers and the route.
    pub backends: Arc<Backends>,
    /// The sessions of the data port.
    pub sessions: Sessions,
    /// The threads that serve clients.
    pub workers: Arc<Workers>,
    /// How far the drain is.
    pub phase: watch::Receiver<Phase>,
    /// When mytls was started.
    pub started: Instant,
    /// Ends the port's own connections.
    pub stop: CancellationToken,
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

/// Everything that the connections of the HTTP port share.
#[derive(Debug)]
pub struct HttpPort {
    answers: Answers,
    places: Arc<Places>,
    stop: CancellationToken,
}

impl HttpPort {
    /// Ready to serve listeners.
    pub fn new(settings: &Settings, handles: Handles) -> Self {
        Self {
            stop: handles.stop.clone(),
            answers: Answers::new(&settings.hosts, handles),
            places: Arc::default(),
        }
    }

    /// Accepts connections until dropped; each is a task of `connections`.
    ///
    /// Cancel safe: connections live on.
    pub async fn listen(self: Arc<Self>, listener: Listener, connections: TaskTracker) {
        loop {
            let (socket, peer) = listener.accept(KeepAlive::default()).await;
            connections.spawn(Arc::clone(&self).serve(socket, peer));
        }
    }

    /// One connection, from accept to close.
    async fn serve(self: Arc<Self>, socket: Socket, peer: ClientAddress) {
        let place = Places::take(&self.places);
        let serving = async {
            match socket {
                Socket::Tcp(stream) => self.answer_one(stream, peer).await,
                Socket::Unix(stream) => self.answer_one(stream, peer).await,
            }
        };
        let end = tokio::select! {
            served = timeout(CONNECTION, serving) => match served {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "too slow".to_owned(),
            },
            () = place.lost() => "others need its place".to_owned(),
            () = self.stop.cancelled() => return,
        };
        debug!(client = %peer, reason = end, "HTTP connection ended");
    }

    /// A second request needs a second connection: whoever asks every few seconds does not mind, and nobody idle keeps a
    /// place.
    async fn answer_one<S>(&self, stream: S, peer: ClientAddress) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let answer = service_fn(|request| {
            let answers = &self.answers;
            async move { Ok::<_, Infallible>(answers.to(&request, peer).await) }
        });
        http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), answer)
            .await
    }
}
