//! Learning a backend's greeting before the first client needs it.
//!
//! Once: a handshake that is not finished counts towards the server's `max_connect_errors`, so there are no
//! greeting-only probes on an interval. Every later session brings the greeting anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::Backend;
use super::connect::{ConnectError, Connection};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::login::LoginHead;
use crate::tls::Negotiated;

/// A server that refuses our certificate under TLS 1.3 says so only behind the handshake. One that takes it is silent
/// until our login comes, so it is given a moment.
const REFUSAL: Duration = Duration::from_millis(300);

/// Before the first greeting, dials follow each other so. One that the server may count rests longer by itself.
const RETRY: Duration = Duration::from_secs(1);

/// What a probe says in its `SSLRequest`; it never logs in.
const HEAD: LoginHead = LoginHead {
    capabilities: Capabilities::REQUIRED,
    max_packet_bytes: 1 << 24,
    // utf8mb4_general_ci: every server knows it
    collation: 45,
};

impl Backend {
    /// Dials once: greeting and TLS, as a session would, without a login.
    pub async fn probe(&self) -> Result<Connection, Arc<ConnectError>> {
        let mut connection = self.connect(HEAD, None).await?;
        if connection.stream.tls().is_some()
            && let Ok(error) = timeout(REFUSAL, connection.stream.gone()).await
        {
            return Err(connection.endpoint.tls_failed(error));
        }
        Ok(connection)
    }

    /// Dials once, only to look: a certificate that we do not show cannot be refused, so there is nothing to wait for.
    pub async fn look(&self) -> Result<Connection, Arc<ConnectError>> {
        self.connect(HEAD, None).await
    }

    /// Dials until the greeting is learnt, by this or by a session. Cancel safe.
    pub async fn learn_greeting(&self) {
        let mut last = String::new();
        while self.greeting().is_none() {
            match self.probe().await {
                Ok(connection) => {
                    let tls = connection.stream.tls().and_then(|tls| Negotiated::of(tls));
                    info!(
                        route = %self.role,
                        backend_tls = tls.map(|tls| tls.version),
                        "backend is reachable"
                    );
                    connection.stream.close().await;
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != last {
                        // quoted: a hostile server's text must not make lines of its own
                        warn!(route = %self.role, error, "backend is not reachable; trying again");
                        last = error;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
