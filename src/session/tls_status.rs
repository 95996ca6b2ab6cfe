//! What status variables say of a session's TLS: that of its client.

use rustls::HandshakeKind;

use crate::net::stream::Stream;
use crate::protocol::server_kind::ServerKind;
use crate::tls::{Acceptor, Negotiated};

/// `tls-status`: whose TLS the status variables of a session tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsStatus {
    /// That between the client and mytls.
    Client,
    /// That between mytls and the backend, as the backend itself says.
    Backend,
}

/// OpenSSL's way to say "no limit of the server's own".
const ANY_DEPTH: &str = "18446744073709551615";
/// `SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE`: a certificate is asked for, and none is an answer too.
const ASKED_FOR: &str = "5";

/// The variables that this kind of server has for a session's own TLS, with the client's values. Its counters and caches
/// are of its own port, and stay the server's.
///
/// <https://dev.mysql.com/doc/refman/9.7/en/server-status-variables.html>
pub(super) fn of_client(
    client: &Stream,
    acceptor: Option<&Acceptor>,
    server: ServerKind,
) -> Vec<(&'static str, String)> {
    let tls = client.tls();
    let acceptor_under_tls = acceptor.filter(|_| tls.is_some());
    let negotiated = tls.and_then(|tls| Negotiated::of(tls));
    let is_resumed = tls.is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed));
    let verifies = acceptor_under_tls.is_some_and(Acceptor::verifies_clients);
    let lifetime = acceptor_under_tls.map_or(0, |acceptor| acceptor.config().ticketer.lifetime());
    // run: in plaintext, MySQL shows the dates of its certificate, MariaDB does not
    let dates = match server {
        ServerKind::MariaDb => acceptor_under_tls,
        _ => acceptor,
    }
    .and_then(Acceptor::dates);

    let mut values = vec![
        (
            "Ssl_cipher",
            negotiated.map_or("", |tls| tls.cipher).to_owned(),
        ),
        (
            "Ssl_cipher_list",
            acceptor_under_tls.map_or("", Acceptor::ciphers).to_owned(),
        ),
        (
            "Ssl_server_not_after",
            dates.map_or(String::new(), |dates| dates.not_after.clone()),
        ),
        (
            "Ssl_server_not_before",
            dates.map_or(String::new(), |dates| dates.not_before.clone()),
        ),
        (
            "Ssl_verify_mode",
            if verifies { ASKED_FOR } else { "0" }.to_owned(),
        ),
        (
            "Ssl_version",
            negotiated.map_or("", |tls| tls.version).to_owned(),
        ),
    ];
    if server != ServerKind::TiDb {
        values.extend([
            ("Ssl_default_timeout", lifetime.to_string()),
            ("Ssl_sessions_reused", u8::from(is_resumed).to_string()),
            (
                "Ssl_verify_depth",
                if tls.is_some() { ANY_DEPTH } else { "0" }.to_owned(),
            ),
        ]);
    }
    values
}
