//! The backend authenticates the client: its packets go to the client and the client's to it, until OK or ERR.
//!
//! Used at login and in `COM_CHANGE_USER`. Only a password that must change its form between a secure and an insecure side
//! (`password`) is read here; it is wiped as soon as it is sent.

use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::hello::LOGIN_BYTES;
use super::password::Way;
use super::password_key::PasswordKey;
use super::slots::Patience;
use crate::backend::Role;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::Side;
use crate::protocol::auth_plugin::{
    AuthPlugin, LoginReply, is_password, more_data, read_more_data, switch_salt,
};
use crate::protocol::greeting::SALT_BYTES;
use crate::protocol::packet::{Malformed, OK};
use crate::tls::{Password, RsaPublicKey};

/// How long a backend gets to end a login that is given up.
const GIVE_UP: Duration = Duration::from_secs(1);

/// `COM_QUIT` as a packet's payload.
const COM_QUIT: &[u8] = &[0x01];

/// Whose packet is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Client,
    /// The client's, with its password.
    Password {
        /// How it asks for the RSA key.
        key_request: u8,
    },
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
    key: &PasswordKey,
    patience: Patience<'_>,
) -> Result<Answer, Failure> {
    let mut exchange = Exchange {
        client,
        backend,
        route,
        key,
        patience,
        plugin: AuthPlugin::Opaque,
        asked: false,
        salt: None,
        turn: Turn::Backend,
    };
    let result = patience
        .at_once
        .in_time(patience.deadline, exchange.run())
        .await;
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
    key: &'a PasswordKey,
    patience: Patience<'a>,
    plugin: AuthPlugin,
    /// The backend has sent an `AuthSwitchRequest`, so what the client proves is fresh.
    asked: bool,
    /// Of the last one.
    salt: Option<[u8; SALT_BYTES]>,
    turn: Turn,
}

impl Exchange<'_> {
    /// Cancel safe in that [`Exchange::give_up`] may follow: whole packets are queued before they are awaited.
    async fn run(&mut self) -> Result<Answer, Failure> {
        loop {
            let answer = match self.turn {
                Turn::Client => {
                    let packet = self.read_client().await?;
                    self.tell_backend(self.plugin.presentable(&packet)).await?;
                    None
                }
                Turn::Password { key_request } => self.carry_password(key_request).await?,
                Turn::Backend => self.carry_reply().await?,
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// One packet of the backend, to the client if it is not the last.
    async fn carry_reply(&mut self) -> Result<Option<Answer>, Failure> {
        let packet = self.read_backend().await?;
        match LoginReply::read(&packet, self.plugin) {
            LoginReply::Ok if self.asked => return Ok(Some(Answer::Ok(packet))),
            LoginReply::Ok => return Err(Failure::NotAsked),
            LoginReply::Err => return Ok(Some(Answer::Err(packet))),
            LoginReply::FastAuthSucceeded => {}
            reply => self.clients_turn(reply, &packet)?,
        }
        self.client
            .write_packet(&packet)
            .await
            .map_err(Failure::Client)?;
        Ok(None)
    }

    /// Whether the client may answer this, and with what. A password must not come in clear over an insecure side, nor
    /// leave so.
    fn clients_turn(&mut self, reply: LoginReply, packet: &[u8]) -> Result<(), Failure> {
        self.turn = Turn::Client;
        match reply {
            LoginReply::SwitchToOldPassword => return Err(Failure::OldPassword),
            LoginReply::Switch(plugin) => {
                self.asked = true;
                self.plugin = plugin;
                self.salt = switch_salt(packet).ok();
            }
            _ => {}
        }
        match self.plugin {
            AuthPlugin::ClearText if !self.client.is_secure() => {
                return Err(Failure::ClearText(Side::Client));
            }
            AuthPlugin::ClearText if !self.backend.is_secure() => {
                return Err(Failure::ClearText(Side::Backend));
            }
            // its first answer is a scramble
            AuthPlugin::CachingSha2 if matches!(reply, LoginReply::Switch(_)) => {}
            plugin => {
                if let Some(key_request) = plugin.key_request() {
                    self.turn = Turn::Password { key_request };
                }
            }
        }
        Ok(())
    }

    /// The client's password, in the form that it must have on the backend's side. What cannot be a password goes on as
    /// a wrong one, so that nobody learns more than the backend says.
    async fn carry_password(&mut self, key_request: u8) -> Result<Option<Answer>, Failure> {
        let answer = self.read_client().await?;
        let in_clear = |side: &Stream| {
            side.tls().is_some() || side.is_unix_socket() && self.plugin.trusts_unix_sockets()
        };
        // "no password" needs no protection
        match Way::between(in_clear(self.client), in_clear(self.backend)) {
            Way::Decrypt if is_password(&answer) => {
                let password = self.decrypt_from_client(answer, key_request).await?;
                self.tell_backend(password.as_clear()).await?;
                Ok(None)
            }
            Way::Encrypt if is_password(&answer) => {
                let password = Password::from_clear(&answer);
                self.encrypt_for_backend(&password, key_request).await
            }
            Way::AsItComes | Way::Decrypt | Way::Encrypt => {
                self.tell_backend(self.plugin.presentable(&answer)).await?;
                Ok(None)
            }
        }
    }

    /// Gives the client our RSA key if it asks for it; one with a pinned key does not.
    async fn decrypt_from_client(
        &mut self,
        answer: Zeroizing<Vec<u8>>,
        key_request: u8,
    ) -> Result<Password, Failure> {
        let salt = self.salt()?;
        let key = self
            .key
            .get()
            .await
            .ok_or(Failure::NoRsaKey(Side::Client))?;
        if **answer != [key_request] {
            return Ok(Password::decrypt(&answer, key, salt));
        }
        self.client
            .write_packet(&more_data(key.public_pem().as_bytes()))
            .await
            .map_err(Failure::Client)?;
        let encrypted = self.read_client().await?;
        Ok(Password::decrypt(&encrypted, key, salt))
    }

    /// Asks the backend for its RSA key. Without one it gets no password: TiDB takes the question for one, and refuses it.
    async fn encrypt_for_backend(
        &mut self,
        password: &Password,
        key_request: u8,
    ) -> Result<Option<Answer>, Failure> {
        let salt = self.salt()?;
        self.tell_backend(&[key_request]).await?;
        let packet = self.read_backend().await?;
        match LoginReply::read(&packet, self.plugin) {
            LoginReply::Err => return Ok(Some(Answer::Err(packet))),
            LoginReply::Ok => {
                // nobody has proved anything
                self.quit().await.map_err(self.backend_failed())?;
                return Err(Failure::NoRsaKey(Side::Backend));
            }
            _ => self.turn = Turn::Password { key_request },
        }
        let encrypted = read_more_data(&packet)
            .and_then(RsaPublicKey::from_pem)
            .and_then(|key| password.encrypt(&key, salt))
            .ok_or(Failure::NoRsaKey(Side::Backend))?;
        self.tell_backend(&encrypted).await?;
        Ok(None)
    }

    fn salt(&self) -> Result<[u8; SALT_BYTES], Malformed> {
        self.salt.ok_or(Malformed {
            field: "auth switch: salt",
        })
    }

    /// One packet, wiped when it is dropped: it may be a password.
    async fn read_client(&mut self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let packet = async {
            let packet = self.client.read_packet(LOGIN_BYTES).await;
            packet.map(Zeroizing::new).map_err(Failure::Client)
        };
        self.patience.wait_for_client(packet).await
    }

    async fn read_backend(&mut self) -> Result<Vec<u8>, Failure> {
        tokio::select! {
            biased;
            packet = self.backend.read_packet(LOGIN_BYTES) => packet.map_err(self.backend_failed()),
            error = self.client.gone() => Err(Failure::Client(error)),
        }
    }

    async fn tell_backend(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.turn = Turn::Backend;
        self.backend
            .write_packet(payload)
            .await
            .map_err(self.backend_failed())
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
