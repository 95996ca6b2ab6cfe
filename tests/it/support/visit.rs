//! Whole visits of a client, where only what came of them counts.

use std::sync::Arc;

use rustls::ClientConfig;

use super::backend::{Backend, Server};
use super::client::Client;
use super::handshake::Login;
use super::packet::ErrorPacket;
use super::pki::PKI;
use super::plugin::ClientPlugin;
use super::proxy::{Config, Proxy};

/// A backend with TLS, and mytls before it with these further lines.
pub(crate) fn started(lines: &str) -> (Backend, Proxy) {
    let backend = tls_backend();
    let proxy = Proxy::start(Config::before(&backend).with(lines));
    (backend, proxy)
}

pub(crate) fn tls_backend() -> Backend {
    Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)))
}

/// The certificate that a client that trusts both CAs is shown, in a session that logs in and gets an answer.
#[track_caller]
pub(crate) fn shown_to_a_client(proxy: &Proxy) -> Vec<u8> {
    let tls = PKI.client_tls_trusting_both(None);
    let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    client.wire.server_certificate().expect("TLS").to_vec()
}

/// The OK or ERR of a login under TLS.
#[track_caller]
pub(crate) fn login_over_tls(
    proxy: &Proxy,
    user: &str,
    tls: &Arc<ClientConfig>,
) -> Result<(), ErrorPacket> {
    let mut client = Client::greeted(proxy.address);
    let login = Login::of(user);
    client.start_tls(&login, tls);
    client.send_login(&login);
    let last = client.authenticate(ClientPlugin::with_password());
    last.error().map_or(Ok(()), Err)
}

/// The code of the ERR of a login without TLS, if it is refused.
#[track_caller]
pub(crate) fn login(proxy: &Proxy, user: &str) -> Option<u16> {
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of(user));
    let last = client.authenticate(ClientPlugin::with_password());
    last.error().map(|error| error.code)
}

#[track_caller]
pub(crate) fn expect_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
