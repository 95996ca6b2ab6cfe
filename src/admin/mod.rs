//! The admin port: SQL about mytls itself, on a port of its own with its own users.
//!
//! accept → `login` (greeting, TLS, password or certificate) → one command after another (`connection`): its text becomes
//! a `Statement` in `parser` (over `lexer`), `execute` carries it out, `show` makes the tables; `accounts` changes account
//! rules, and `rule_file` keeps them. What it may show and do is handed to it in [`Parts`]. It has no way to a backend's data.

mod accounts;
mod answer;
mod attempts;
mod channels;
mod connection;
mod execute;
mod lexer;
mod like;
mod login;
mod parser;
mod password;
mod places;
mod refusal;
mod rule_file;
mod show;
mod statement;
mod status;
mod users;
pub(crate) mod variables;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::SecureRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::attempts::Attempts;
pub use self::channels::Channels;
use self::connection::Connection;
use self::login::Refused;
pub use self::password::PasswordError;
use self::places::{Place, Places};
pub use self::rule_file::{AccountRules, RuleFile, RuleFileError};
pub use self::users::{UserSettings, Users, UsersError};
pub use self::variables::Variables;
use crate::backend::Backends;
use crate::metrics::{Counters, labels};
use crate::net::ListenAddress;
use crate::net::listener::Listener;
use crate::net::socket::{KeepAlive, Socket};
use crate::net::stream::Stream;
use crate::protocol::Side;
use crate::rules::{ClientAddress, ClientNames, InForce};
use crate::session::repeats::{LeftOut, Repeats};
use crate::session::{Failure, PasswordKey, Sessions};
use crate::tls::{ChannelName, OnError, ServerSettings};

/// Connections at once. People and exporters: a few. Each may hold a statement and its result.
const CONNECTIONS: usize = 100;

/// `admin`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the port listens; at least one.
    pub listen: Vec<ListenAddress>,
    /// TLS towards its clients.
    pub tls: ServerSettings,
    /// `cert-allowed-cn`, where it is written.
    pub client_names: Option<ClientNames>,
    /// Who may log in; at least one.
    pub users: Vec<UserSettings>,
}

/// Reads certificates again, of one channel or of all.
pub type ReloadTls = dyn Fn(
        Option<ChannelName>,
        OnError,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotReloaded>> + Send>>
    + Send
    + Sync;

/// Why certificates are not in force.
#[derive(Debug)]
pub struct NotReloaded {
    /// Names every file, problem and cure.
    pub reason: String,
    /// Whether TLS was turned off somewhere for it, as was asked.
    pub turned_off: bool,
}

/// What the admin port works with, shows and asks for; made by `run`.
pub struct Parts {
    /// Who may log in.
    pub users: Users,
    /// One deadline from accept to the end of the login.
    pub login_time: Duration,
    /// For salts.
    pub random: &'static dyn SecureRandom,
    /// For passwords of clients on an insecure side.
    pub password_key: PasswordKey,
    /// TLS of every place.
    pub channels: Channels,
    /// The servers.
    pub backends: Arc<Backends>,
    /// Who may pass on the data port.
    pub rules: Arc<InForce>,
    /// Where those of them that are made here are kept.
    pub rule_file: Arc<RuleFile>,
    /// The sessions of the data port.
    pub sessions: Sessions,
    /// The configuration in force.
    pub variables: Variables,
    /// What sessions get that are asked to end, where the statement does not say.
    pub drain_max: Duration,
    /// `ALTER INSTANCE RELOAD TLS`
    pub reload_tls: Box<ReloadTls>,
    /// How logins went.
    pub logins: Arc<Counters<LoginResult>>,
    /// When mytls was started.
    pub started: Instant,
    /// `SHUTDOWN` cancels it.
    pub shutdown: CancellationToken,
    /// Ends the port's own connections.
    pub stop: CancellationToken,
}

/// How a login to the admin port went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginResult {
    /// Somebody is in.
    Accepted,
    /// Unknown, without the certificate, or with a wrong password.
    Denied,
    /// It did not come to that.
    Aborted,
}

labels! {
    LoginResult, "result" {
        Accepted => "accepted",
        Denied => "denied",
        Aborted => "aborted",
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Everything that the connections of the admin port share.
#[derive(Debug)]
pub struct AdminPort {
    parts: Parts,
    attempts: Attempts,
    /// Failed logins of this minute, so that they do not flood the log.
    failed: Mutex<Repeats>,
    slots: Arc<Semaphore>,
    /// Those that have not logged in yet.
    places_before_login: Arc<Places>,
    /// Small numbers, which no session of the data port has.
    next_id: AtomicU32,
}

impl AdminPort {
    /// Ready to serve listeners.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            attempts: Attempts::default(),
            failed: Mutex::default(),
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            places_before_login: Arc::default(),
            next_id: AtomicU32::new(1),
        }
    }

    /// Accepts clients until dropped; every connection is a task of `connections`.
    ///
    /// Cancel safe: connections live on.
    pub async fn listen(self: Arc<Self>, listener: Listener, connections: TaskTracker) {
        loop {
            let (socket, address) = listener.accept(KeepAlive::default()).await;
            connections.spawn(Arc::clone(&self).serve(socket, address));
        }
    }

    /// One connection, from accept to close.
    async fn serve(self: Arc<Self>, socket: Socket, address: ClientAddress) {
        let mut client = Stream::new(Side::Client, socket);
        let (_slot, before_login) = match self.places(address) {
            Ok(places) => places,
            Err(full) => {
                let reply = full.reply(address);
                self.log_refused(&full, address);
                if let Some(reply) = reply {
                    // it is closed next, either way
                    let _ = client.queue_packet(&reply.encode_in_place_of_greeting());
                    client.close().await;
                }
                return;
            }
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) & 0x7FFF_FFFF;
        let login = timeout(self.parts.login_time, self.login(&mut client, address, id));
        let logged_in = tokio::select! {
            login = login => login.unwrap_or(Err(Refused::Early(Failure::TooSlow))),
            () = self.parts.stop.cancelled() => return client.close().await,
        };
        drop(before_login);
        match logged_in {
            Ok(logged_in) => {
                self.parts.logins.count(LoginResult::Accepted);
                info!(id, user = logged_in.user, client = %address, "admin logged in");
                Connection::new(&self, client, logged_in).serve().await;
            }
            Err(refused) => {
                self.log_refused(&refused, address);
                if let Some(reply) = refused.reply(address) {
                    let _ = client.queue_packet(&reply.encode());
                }
                client.close().await;
            }
        }
    }

    fn places(&self, address: ClientAddress) -> Result<(OwnedSemaphorePermit, Place), Refused> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| Refused::Full("on the admin port"))?;
        let place = self.places_before_login.take(address);
        let place = place.ok_or(Refused::Full("on the admin port, before login"))?;
        Ok((slot, place))
    }

    /// A probe that connects and leaves is nothing to read about; of the others the first ones of a minute are written.
    fn log_refused(&self, refused: &Refused, address: ClientAddress) {
        let reason = refused.to_string();
        self.parts.logins.count(match refused {
            Refused::Denied { .. } => LoginResult::Denied,
            Refused::Full(_) | Refused::Early(_) => LoginResult::Aborted,
        });
        match refused {
            Refused::Early(Failure::Left) => {
                debug!(client = %address, reason, "admin login failed");
            }
            _ if !self.is_to_be_written(&reason) => {}
            Refused::Full(_) | Refused::Early(_) => {
                warn!(client = %address, reason, "admin login failed");
            }
            Refused::Denied { user, .. } => {
                warn!(user, client = %address, reason, "admin login failed");
            }
        }
    }

    fn is_to_be_written(&self, reason: &str) -> bool {
        self.failed().admit(reason)
    }

    /// Tells the log each minute, and at the end, how many failed logins it does not show.
    pub async fn report_left_out(self: Arc<Self>) {
        const EVERY: Duration = Duration::from_secs(60);
        let stop = &self.parts.stop;
        loop {
            let goes_on = stop.run_until_cancelled(sleep(EVERY)).await.is_some();
            for LeftOut { reason, count } in self.failed().take_left_out() {
                warn!(
                    count,
                    reason, "admin logins failed, and not shown one by one"
                );
            }
            if !goes_on {
                return;
            }
        }
    }

    fn failed(&self) -> MutexGuard<'_, Repeats> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
