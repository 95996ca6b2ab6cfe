//! mytls as a client: logs in to a server with an account of its own and asks.
//!
//! The connection is made as for any session. A login that cannot go on is brought to its end all the same: a handshake
//! that is cut counts towards the server's `max_connect_errors`, one that is refused does not.

use std::sync::Arc;

use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Backend;
use super::connect::{ConnectError, Connection};
use super::own_account::{OwnAccount, PasswordFileError};
use super::proof;
use super::query::{self, Answer, QueryError, Row};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::attributes::Attributes;
use crate::protocol::auth_plugin::{
    AuthPlugin, LoginReply, read_more_data, switch_parts, switch_salt,
};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::login::{BackendLogin, LoginHead};
use crate::protocol::packet::{Malformed, PayloadReader};
use crate::protocol::server_kind::ServerKind;
use crate::tls::{Password, RsaPublicKey};

/// What a server says during a login is shorter: an RSA key has under 2 KiB.
const AUTH_BYTES: usize = 16 * 1024;

/// `utf8mb4_general_ci`: every server knows it.
const COLLATION: u8 = 45;

const MAX_PACKET_BYTES: u32 = 1 << 24;

/// A connection that is logged in.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    granted: Capabilities,
    server: ServerKind,
}

/// Why there is no [`Client`].
#[derive(Debug, Error)]
pub enum LoginError {
    /// No connection.
    #[error("{0}")]
    Connect(Arc<ConnectError>),
    /// The account's password.
    #[error(transparent)]
    Password(#[from] PasswordFileError),
    /// The backend's ERR.
    #[error("the backend refused the login: {} {}", .0.code, .0.message)]
    Refused(ErrPacket),
    /// The account is authenticated by something that mytls cannot do.
    #[error(
        "the account uses the plugin {0:?}, which mytls cannot speak: take caching_sha2_password, \
         mysql_native_password or parsec"
    )]
    Plugin(String),
    /// `mysql_clear_password` without TLS.
    #[error("the account uses the plugin {0:?}, which sends the password in clear: that needs TLS")]
    ClearText(String),
    /// The password must be encrypted, and the backend has no key for it.
    #[error(
        "the backend asks for the password itself and gives no RSA key to encrypt it with: that needs TLS"
    )]
    NoRsaKey,
    /// The connection failed.
    #[error("{}", .0.in_words())]
    Stream(#[from] StreamError),
    /// No packet of a login.
    #[error("the backend's part of the login cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// Not within `limits.connect-time`.
    #[error("the backend did not end the login within the connect time")]
    TooSlow,
}

impl Client {
    /// Connects and logs in, each within `limits.connect-time`.
    ///
    /// Not cancel safe: a connection that is dropped here counts towards the server's `max_connect_errors`.
    pub async fn log_in(backend: &Backend, account: &OwnAccount) -> Result<Self, LoginError> {
        // a small file of this machine's: it is not worth a thread of its own
        let password = account.password.read()?;
        let granted =
            Capabilities::REQUIRED | Capabilities::CLIENT_MYSQL | Capabilities::CONNECT_ATTRS;
        let head = LoginHead {
            capabilities: granted,
            max_packet_bytes: MAX_PACKET_BYTES,
            collation: COLLATION,
        };
        let Connection {
            mut stream,
            head,
            endpoint,
            ..
        } = backend
            .connect(head, None)
            .await
            .map_err(LoginError::Connect)?;
        // what it just greeted with
        let server = backend
            .greeting()
            .map_or(ServerKind::MySql, |greeting| greeting.server_kind());
        let attributes = Attributes::default().encode_behind(&[
            ("program_name", "mytls".to_owned()),
            ("_client_name", "mytls".to_owned()),
            ("_client_version", env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        let login = BackendLogin {
            head,
            // in the collation's character set
            user: account.user.as_str().as_bytes(),
            using_password: !password.is_empty(),
            database: None,
            attributes: &attributes,
        };
        let mut exchange = Exchange {
            stream: &mut stream,
            password: &password,
            plugin: AuthPlugin::Opaque,
            data: Vec::new(),
            asked_for_key: false,
        };
        let logged_in = timeout(backend.connect_time, exchange.run(&login.encode()))
            .await
            .unwrap_or(Err(LoginError::TooSlow));
        match logged_in {
            Err(LoginError::Stream(error @ StreamError::Tls(..))) => {
                return Err(LoginError::Connect(endpoint.tls_failed(error)));
            }
            Err(LoginError::Stream(error)) => {
                return Err(match endpoint.cut(&mut stream, error).await {
                    Ok(error) => LoginError::Connect(error),
                    Err(error) => LoginError::Stream(error),
                });
            }
            Err(LoginError::TooSlow) => {}
            _ => endpoint.answered(),
        }
        logged_in?;
        Ok(Self {
            stream,
            granted,
            server,
        })
    }

    /// Which kind of server it is logged in to.
    pub fn server(&self) -> ServerKind {
        self.server
    }

    /// Runs one statement; rows of more than `most_bytes` in all are an error. Not cancel safe.
    pub async fn query(
        &mut self,
        statement: &str,
        most_bytes: usize,
    ) -> Result<Vec<Row>, QueryError> {
        query::query(&mut self.stream, self.granted, statement, most_bytes).await
    }

    /// Runs one statement, for all that it is answered with. Not cancel safe.
    pub async fn ask(&mut self, statement: &str, most_bytes: usize) -> Result<Answer, QueryError> {
        query::ask(&mut self.stream, self.granted, statement, most_bytes).await
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        // it is closed next, either way
        let _ = quit(&mut self.stream).await;
        self.stream.close().await;
    }
}

/// From our login packet to the server's OK.
struct Exchange<'a> {
    stream: &'a mut Stream,
    password: &'a str,
    plugin: AuthPlugin,
    /// What the plugin said first: a salt.
    data: Vec<u8>,
    /// The server owes us its RSA key.
    asked_for_key: bool,
}

impl Exchange<'_> {
    async fn run(&mut self, login: &[u8]) -> Result<(), LoginError> {
        self.stream.write_packet(login).await?;
        loop {
            let packet = self.stream.read_packet(AUTH_BYTES).await?;
            let reply = LoginReply::read(&packet, self.plugin);
            let answer = match reply {
                LoginReply::Ok => return Ok(()),
                // TiDB takes the question for the password
                LoginReply::Err if self.asked_for_key => return Err(LoginError::NoRsaKey),
                LoginReply::Err => return Err(LoginError::Refused(ErrPacket::decode(&packet)?)),
                LoginReply::FastAuthSucceeded => continue,
                LoginReply::SwitchToOldPassword => {
                    Err(LoginError::Plugin("mysql_old_password".to_owned()))
                }
                LoginReply::Switch(plugin) => self.first_answer(plugin, &packet),
                LoginReply::FullAuthentication => self.password_itself(),
                LoginReply::PluginData => self.next_answer(&packet),
            };
            match answer {
                Ok(answer) => self.stream.write_packet(&answer).await?,
                Err(error) => {
                    // an error here ends the same way: the connection is closed
                    let _ = self.give_up().await;
                    return Err(error);
                }
            }
        }
    }

    /// To an `AuthSwitchRequest`.
    fn first_answer(
        &mut self,
        plugin: AuthPlugin,
        packet: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, LoginError> {
        self.plugin = plugin;
        let (name, data) = switch_parts(packet)?;
        data.clone_into(&mut self.data);
        let name = || String::from_utf8_lossy(name).into_owned();
        let password = self.password.as_bytes();
        if password.is_empty() && plugin != AuthPlugin::Parsec {
            return Ok(Zeroizing::new(plugin.no_password().to_vec()));
        }
        let answer = match plugin {
            AuthPlugin::Native => proof::native(password, &switch_salt(packet)?),
            AuthPlugin::CachingSha2 => proof::caching_sha2(password, &switch_salt(packet)?),
            AuthPlugin::Sha256 => return self.password_itself(),
            // it asks for the rest of the salt
            AuthPlugin::Parsec => Vec::new(),
            AuthPlugin::ClearText if name() != "mysql_clear_password" => {
                return Err(LoginError::Plugin(name()));
            }
            AuthPlugin::ClearText if self.stream.tls().is_none() => {
                return Err(LoginError::ClearText(name()));
            }
            AuthPlugin::ClearText => self.clear().as_clear().to_vec(),
            AuthPlugin::Ed25519 | AuthPlugin::Opaque => return Err(LoginError::Plugin(name())),
        };
        Ok(Zeroizing::new(answer))
    }

    /// In clear where nobody else can read it; else encrypted, for which the server's key is needed first.
    fn password_itself(&mut self) -> Result<Zeroizing<Vec<u8>>, LoginError> {
        let in_clear = self.stream.tls().is_some()
            || self.stream.is_unix_socket() && self.plugin.trusts_unix_sockets();
        let answer = match self.plugin.key_request() {
            _ if in_clear => self.clear().as_clear().to_vec(),
            Some(key_request) => {
                self.asked_for_key = true;
                vec![key_request]
            }
            None => return Err(LoginError::NoRsaKey),
        };
        Ok(Zeroizing::new(answer))
    }

    /// To whatever else a plugin says: the server's key, or the rest of `parsec`'s salt.
    fn next_answer(&mut self, packet: &[u8]) -> Result<Zeroizing<Vec<u8>>, LoginError> {
        let answer = if self.asked_for_key {
            self.asked_for_key = false;
            let salt = PayloadReader::new(&self.data).array("auth switch: salt")?;
            let key = read_more_data(packet).and_then(RsaPublicKey::from_pem);
            key.and_then(|key| self.clear().encrypt(&key, salt))
                .ok_or(LoginError::NoRsaKey)?
        } else if self.plugin == AuthPlugin::Parsec {
            // MariaDB 11.8 puts it into an AuthMoreData (run)
            let salt = read_more_data(packet).unwrap_or(packet);
            proof::parsec(self.password.as_bytes(), &self.data, salt)?
        } else {
            return Err(Malformed {
                field: "authentication data",
            }
            .into());
        };
        Ok(Zeroizing::new(answer))
    }

    /// The password with its NUL.
    fn clear(&self) -> Password {
        let with_nul = Zeroizing::new([self.password.as_bytes(), b"\0"].concat());
        Password::from_clear(&with_nul)
    }

    /// "No password", and one packet more. An account without a password may be let in by that, so it is told to quit.
    async fn give_up(&mut self) -> Result<(), StreamError> {
        self.stream.write_packet(self.plugin.no_password()).await?;
        let packet = self.stream.read_packet(AUTH_BYTES).await?;
        match LoginReply::read(&packet, self.plugin) {
            LoginReply::Ok => quit(self.stream).await,
            _ => Ok(()),
        }
    }
}

async fn quit(stream: &mut Stream) -> Result<(), StreamError> {
    stream.set_next_sequence(0);
    stream.write_packet(&[Command::Quit as u8]).await
}
