//! Who is there? mytls' own server side of `caching_sha2_password`. Nothing is answered before a login.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>

use std::sync::Arc;
use std::time::Instant;

use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::AdminPort;
use super::password::Verifier;
use super::users::{NotAdmitted, Proof};
use super::variables::VERSION;
use crate::net::stream::Stream;
use crate::protocol::Side;
use crate::protocol::auth_plugin::{is_password, more_data, switch_request};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::greeting::{ClientGreeting, SALT_BYTES};
use crate::protocol::result_set::ok;
use crate::protocol::server_kind::ServerKind;
use crate::protocol::user_name::UserName;
use crate::rules::ClientAddress;
use crate::session::hello::{Hello, LOGIN_BYTES, salt};
use crate::session::{Failure, access_denied, too_many_connections};
use crate::tls::{Negotiated, Password};

/// The only plugin here; MySQL 9 has no older one either.
const PLUGIN: &[u8] = b"caching_sha2_password";
/// `utf8mb4_0900_ai_ci`
const COLLATION: u8 = 255;
/// The scramble was enough.
const FAST_AUTH_SUCCEEDED: u8 = 3;
/// It was not: send the password itself.
const FULL_AUTHENTICATION: u8 = 4;
/// A client on an insecure side asks for the RSA key.
const KEY_REQUEST: &[u8] = &[2];

/// What is offered. Several statements in one query and prepared ones are not.
const OFFERED: [Capabilities; 14] = [
    Capabilities::CLIENT_MYSQL,
    Capabilities::FOUND_ROWS,
    Capabilities::LONG_FLAG,
    Capabilities::CONNECT_WITH_DB,
    Capabilities::ODBC,
    Capabilities::IGNORE_SPACE,
    Capabilities::PROTOCOL_41,
    Capabilities::INTERACTIVE,
    Capabilities::TRANSACTIONS,
    Capabilities::SECURE_CONNECTION,
    Capabilities::PLUGIN_AUTH,
    Capabilities::CONNECT_ATTRS,
    Capabilities::PLUGIN_AUTH_LENENC_CLIENT_DATA,
    Capabilities::DEPRECATE_EOF,
];

/// Why somebody is not let in. The text is the operator's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// There are as many as there may be.
    #[error("too many connections: {0}")]
    Full(&'static str),
    /// Before it came to a password.
    #[error(transparent)]
    Early(#[from] Failure),
    /// Whatever it was, the client reads the same.
    #[error("{}", .reason.map_or_else(|| "the password is wrong".to_owned(), |reason| reason.to_string()))]
    Denied {
        /// None is a wrong password.
        reason: Option<NotAdmitted>,
        user: String,
        using_password: bool,
    },
}

/// A client that is let in.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) user: String,
    pub(super) address: ClientAddress,
    pub(super) id: u32,
    pub(super) database: Option<String>,
    pub(super) tls: Option<Negotiated>,
    /// What both sides speak.
    pub(super) capabilities: Capabilities,
}

/// A client's answer to the plugin, with the salt that it was made with.
struct Answer {
    bytes: Zeroizing<Vec<u8>>,
    salt: [u8; SALT_BYTES],
}

impl Refused {
    /// What the client reads. It does not tell which of them it was.
    pub(super) fn reply(&self, address: ClientAddress) -> Option<ErrPacket> {
        match self {
            Self::Full(_) => Some(too_many_connections()),
            Self::Early(failure) => failure.reply(address),
            Self::Denied {
                user,
                using_password,
                ..
            } => Some(access_denied(user, address, *using_password)),
        }
    }
}

impl AdminPort {
    /// Greets a client, and lets it in or not.
    pub(super) async fn login(
        &self,
        client: &mut Stream,
        address: ClientAddress,
        id: u32,
    ) -> Result<LoggedIn, Refused> {
        let greeting_salt = salt(self.parts.random)?;
        // one generation from the greeting to the judgement
        let tls = self.parts.channels.admin.fresh().await;
        let acceptor = tls.as_deref().map(|generation| &generation.tls);
        let ssl = acceptor.map_or(Capabilities::default(), |_| Capabilities::SSL);
        let offered = OFFERED.into_iter().fold(ssl, |all, one| all | one);
        let greeting = ClientGreeting {
            version: VERSION.as_bytes(),
            connection_id: id,
            salt: &greeting_salt,
            capabilities: offered,
            collation: COLLATION,
        };
        client
            .write_packet(&greeting.encode())
            .await
            .map_err(|_| Failure::Left)?;
        let hello = Hello::hear(client, acceptor, None, self.parts.channels.admin.counts()).await?;
        let login = hello.packet.login()?;
        let user = UserName::from_login(login.user, login.head.collation, ServerKind::MySql)
            .map_err(Failure::from)?;
        let transport = hello.transport.map_err(Failure::from)?;

        tokio::time::sleep(self.attempts.delay(address, Instant::now())).await;
        let answer = if login.auth_plugin == PLUGIN {
            Answer {
                bytes: Zeroizing::new(login.auth_data.0.to_vec()),
                salt: greeting_salt,
            }
        } else {
            self.switch(client).await?
        };
        let using_password = is_password(&answer.bytes);
        let (proof, admitted) = self.parts.users.proof(&user, &transport);
        let proved = self.prove(client, proof, answer).await?;
        let reason = match admitted {
            Ok(()) if proved => {
                let database = login
                    .database
                    .filter(|name| !name.is_empty())
                    .map(|name| String::from_utf8_lossy(name).into_owned());
                let capabilities = hello.packet.head.capabilities & offered;
                client.write_packet(&ok()).await.map_err(Failure::Client)?;
                return Ok(LoggedIn {
                    user: user.as_str().to_owned(),
                    address,
                    id,
                    database,
                    tls: client.tls().and_then(|tls| Negotiated::of(tls)),
                    capabilities,
                });
            }
            Ok(()) => None,
            Err(reason) => Some(reason),
        };
        self.attempts.failed_from(address, Instant::now());
        Err(Refused::Denied {
            reason,
            user: user.as_str().to_owned(),
            using_password,
        })
    }

    /// Asks a client that began with another plugin for the answer to ours.
    async fn switch(&self, client: &mut Stream) -> Result<Answer, Failure> {
        let salt = salt(self.parts.random)?;
        client
            .write_packet(&switch_request(PLUGIN, &salt))
            .await
            .map_err(Failure::Client)?;
        let bytes = read(client).await?;
        Ok(Answer { bytes, salt })
    }

    /// Whether the client is who it says.
    async fn prove(
        &self,
        client: &mut Stream,
        proof: Proof,
        answer: Answer,
    ) -> Result<bool, Failure> {
        let verifier = match proof {
            Proof::Given if is_password(&answer.bytes) => {
                say(client, FAST_AUTH_SUCCEEDED).await?;
                return Ok(true);
            }
            Proof::Given => return Ok(true),
            Proof::Password(verifier) => verifier,
        };
        if !is_password(&answer.bytes) {
            return Ok(false);
        }
        if verifier.proves(&answer.bytes, &answer.salt) {
            say(client, FAST_AUTH_SUCCEEDED).await?;
            return Ok(true);
        }
        say(client, FULL_AUTHENTICATION).await?;
        let password = self.password(client, answer.salt).await?;
        Ok(is_right(verifier, password).await)
    }

    /// The password itself: in clear where nobody can read along, else encrypted with our RSA key, which the client may
    /// have from before.
    async fn password(
        &self,
        client: &mut Stream,
        salt: [u8; SALT_BYTES],
    ) -> Result<Password, Failure> {
        let mut answer = read(client).await?;
        if client.is_secure() {
            return Ok(Password::from_clear(&answer));
        }
        let key = self.parts.password_key.get().await;
        let key = key.ok_or(Failure::NoRsaKey(Side::Client))?;
        if *answer == KEY_REQUEST {
            client
                .write_packet(&more_data(key.public_pem().as_bytes()))
                .await
                .map_err(Failure::Client)?;
            answer = read(client).await?;
        }
        Ok(Password::decrypt(&answer, key, salt))
    }
}

async fn read(client: &mut Stream) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let packet = client.read_packet(LOGIN_BYTES).await;
    packet.map(Zeroizing::new).map_err(Failure::Client)
}

async fn say(client: &mut Stream, word: u8) -> Result<(), Failure> {
    client
        .write_packet(&more_data(&[word]))
        .await
        .map_err(Failure::Client)
}

/// Not on a thread that serves sessions: a hash may ask for millions of rounds.
async fn is_right(verifier: Arc<Verifier>, password: Password) -> bool {
    spawn_blocking(move || {
        let text = password.as_clear();
        verifier.is_right(text.strip_suffix(&[0]).unwrap_or(text))
    })
    .await
    .unwrap_or(false)
}
