//! The backend authenticates the client: its packets go to the client and the client's to it, until OK or ERR.
//!
//! Used at login and in `COM_CHANGE_USER`. No secret is kept or read here.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::identify::LOGIN_BYTES;
use super::outcome::Failure;
use crate::backend::Role;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::Side;
use crate::protocol::auth_plugin::{AuthPlugin, LoginReply};
use crate::protocol::packet::OK;

/// How long a backend gets to end a login that is given up.
const GIVE_UP: Duration = Duration::from_secs(1);

/// `COM_QUIT` as a packet's payload.
const COM_QUIT: &[u8] = &[0x01];

/// Whose packet is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Client,
    Backend,
}

/// The backend's last word, not handed on yet.
#[derive(Debug)]
pub(super) enum Answer {
    /// An OK packet's payload.
    Ok(Vec<u8>),
    /// An ERR packet's payload.
    Err(Vec<u8>),
}

/// Waits for the backend's answer to a login or `COM_CHANGE_USER` that was just written, and carries what lies between.
///
/// Where it fails on our side, the backend's handshake is brought to an end all the same: one that is cut counts
/// towards `max_connect_errors`, and anybody could get our address blocked.
pub(super) async fn authenticate(
    client: &mut Stream,
    backend: &mut Stream,
    route: Role,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let mut exchange = Exchange {
        client,
        backend,
        route,
        plugin: AuthPlugin::Opaque,
        turn: Turn::Backend,
        asked: false,
    };
    let result = timeout_at(deadline, exchange.run())
        .await
        .unwrap_or(Err(Failure::TooSlow));
    if result.is_err() {
        // an error here ends the same way: the connection is closed
        let _ = timeout(GIVE_UP, exchange.give_up()).await;
    }
    result
}

struct Exchange<'a> {
    client: &'a mut Stream,
    backend: &'a mut Stream,
    route: Role,
    plugin: AuthPlugin,
    turn: Turn,
    /// The backend has sent an `AuthSwitchRequest`, so what the client proves is fresh.
    asked: bool,
}

impl Exchange<'_> {
    /// Cancel safe in that [`Exchange::give_up`] may follow: whole packets are queued before they are awaited.
    async fn run(&mut self) -> Result<Answer, Failure> {
        loop {
            match self.turn {
                Turn::Client => {
                    let packet = self
                        .client
                        .read_packet(LOGIN_BYTES)
                        .await
                        .map_err(Failure::Client)?;
                    self.turn = Turn::Backend;
                    self.backend
                        .write_packet(self.plugin.presentable(&packet))
                        .await
                        .map_err(self.backend_failed())?;
                }
                Turn::Backend => {
                    let packet = tokio::select! {
                        biased;
                        packet = self.backend.read_packet(LOGIN_BYTES) => packet.map_err(self.backend_failed())?,
                        error = self.client.gone() => return Err(Failure::Client(error)),
                    };
                    match LoginReply::read(&packet, self.plugin) {
                        LoginReply::Ok if self.asked => return Ok(Answer::Ok(packet)),
                        LoginReply::Ok => return Err(Failure::NotAsked),
                        LoginReply::Err => return Ok(Answer::Err(packet)),
                        LoginReply::FastAuthSucceeded => {}
                        reply => {
                            self.turn = Turn::Client;
                            self.clients_turn(reply)?;
                        }
                    }
                    self.client
                        .write_packet(&packet)
                        .await
                        .map_err(Failure::Client)?;
                }
            }
        }
    }

    /// Whether the client may answer this. A password must not come in clear over an insecure side, nor leave so.
    fn clients_turn(&mut self, reply: LoginReply) -> Result<(), Failure> {
        let (client, backend) = (self.client.is_secure(), self.backend.is_secure());
        match reply {
            LoginReply::SwitchToOldPassword => return Err(Failure::OldPassword),
            LoginReply::Switch(plugin) => {
                self.asked = true;
                self.plugin = plugin;
                match plugin {
                    AuthPlugin::ClearText if !client => {
                        return Err(Failure::ClearText(Side::Client));
                    }
                    AuthPlugin::ClearText if !backend => {
                        return Err(Failure::ClearText(Side::Backend));
                    }
                    AuthPlugin::Sha256 if client != backend => return Err(Failure::MixedSides),
                    _ => {}
                }
            }
            LoginReply::FullAuthentication if client != backend => return Err(Failure::MixedSides),
            _ => {}
        }
        Ok(())
    }

    fn backend_failed(&self) -> impl FnOnce(StreamError) -> Failure + use<> {
        let route = self.route;
        move |error| Failure::Backend { route, error }
    }

    /// Ends the backend's handshake without a client: "no password" when it waits for an answer, then one packet more. An
    /// account without a password may be let in by that, so it is told to quit.
    async fn give_up(&mut self) -> Result<(), StreamError> {
        if self.turn == Turn::Backend {
            let packet = self.backend.read_packet(LOGIN_BYTES).await?;
            match LoginReply::read(&packet, self.plugin) {
                LoginReply::Ok => return self.quit().await,
                LoginReply::Err => return Ok(()),
                LoginReply::FastAuthSucceeded => {}
                reply => {
                    if let LoginReply::Switch(plugin) = reply {
                        self.plugin = plugin;
                    }
                    self.answer_nothing().await?;
                }
            }
        } else {
            self.answer_nothing().await?;
        }
        match self.backend.read_packet(LOGIN_BYTES).await?.first() {
            Some(&OK) => self.quit().await,
            _ => Ok(()),
        }
    }

    async fn answer_nothing(&mut self) -> Result<(), StreamError> {
        self.backend.write_packet(self.plugin.no_password()).await
    }

    async fn quit(&mut self) -> Result<(), StreamError> {
        self.backend.set_next_sequence(0);
        self.backend.write_packet(COM_QUIT).await
    }
}
