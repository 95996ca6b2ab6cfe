//! The data port: one client connection with its backend connection, from accept to close.
//!
//! accept → `identify` (greeting, TLS, certificate, login packet) → `login`: the rules make a
//! [`Permit`](crate::rules::Permit), the backend is dialled, it does its part (`authenticate`), and says which account that
//! is (`confirm`) → `relay`, with `change_user` on the way → close both, one line in the log. Who does not pass (`refuse`)
//! costs the backend nothing.

mod authenticate;
mod change_user;
mod confirm;
mod counts;
mod denials;
mod ending;
pub(crate) mod hello;
mod identify;
mod limit;
mod live;
mod login;
mod outcome;
mod password;
mod password_key;
mod refusal;
mod refuse;
mod registry;
mod relay;
pub(crate) mod repeats;
mod rewrite;
mod tls_status;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::SecureRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

pub use self::counts::{Abort, Outcome, Relayed, SessionCounts};
pub use self::denials::{Refusals, Verdict};
pub use self::ending::Stop;
use self::ending::{Asked, Ending};
use self::identify::Wishes;
pub use self::limit::Limit;
pub use self::live::{Known, Live, Sessions, State, Totals};
use self::outcome::{End, Record, shutdown_in_progress};
pub(crate) use self::outcome::{Failure, access_denied};
pub use self::password_key::PasswordKey;
pub use self::refusal::{BackendRefusal, Refusal};
use self::registry::{Place, Registry, SessionId};
use self::relay::{Event, Relay};
use self::rewrite::one_statement;
pub use self::tls_status::TlsStatus;
use crate::backend::{Backend, Backends};
use crate::net::listener::Listener;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::protocol::Side;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::response::Form;
use crate::protocol::tracker::Tracker;
use crate::protocol::user_name::UserName;
use crate::rules::{ClientAddress, Identity, InForce};
use crate::tls::{Acceptor, Channel};

/// A session that is asked to end and is between transactions waits so long for a command to answer with 1053. Drivers
/// see that error; of one that is pushed to an idle client they see only a lost connection.
const LAST_COMMAND: Duration = Duration::from_secs(1);
/// A longer one is not read for that.
const LAST_COMMAND_BYTES: usize = 1024 * 1024;

/// `limits`, as far as they concern sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, all together.
    pub connections: usize,
    /// Client connections at once that have not logged in yet.
    pub connections_before_login: usize,
    /// One deadline from accept to the backend's OK.
    pub login_time: Duration,
}

/// What the data port works with; made by `run`.
#[derive(Debug)]
pub struct Handles {
    /// TLS towards clients. Without one in force there is only plaintext.
    pub tls: Arc<Channel<Acceptor>>,
    /// Who may pass. Replaced whole while sessions go on; each login and change of user is judged by those of then.
    pub rules: Arc<InForce>,
    /// Where to.
    pub backends: Arc<Backends>,
    /// How many, how long.
    pub limits: Limits,
    /// Whose TLS the status variables of a session tell of.
    pub tls_status: TlsStatus,
    /// For ids and salts.
    pub random: &'static dyn SecureRandom,
    /// For passwords of clients on an insecure side.
    pub password_key: PasswordKey,
    /// Where every session is to be seen.
    pub sessions: Sessions,
    /// The end.
    pub stop: Stop,
}

/// Everything that the sessions of the data port share.
#[derive(Debug)]
pub struct DataPort {
    handles: Handles,
    slots: Arc<Semaphore>,
    slots_before_login: Arc<Semaphore>,
    registry: Registry,
}

/// What a client connection occupies.
#[derive(Debug)]
struct Slots {
    /// Until it is closed.
    _connection: OwnedSemaphorePermit,
    /// Until it has logged in.
    before_login: OwnedSemaphorePermit,
}

/// What a session keeps from its login on.
#[derive(Debug)]
struct Session {
    /// It stays with it, wherever new ones go.
    backend: Arc<Backend>,
    identity: Identity,
    /// Without database and attributes: a change of user brings its own.
    wishes: Wishes,
}

/// A session whose client the backend has authenticated.
#[derive(Debug)]
struct Authenticated {
    session: Session,
    stream: Stream,
    place: Place,
    /// Whose account the backend does not tell before it has a new password.
    unconfirmed: Option<UserName>,
}

impl DataPort {
    /// Ready to serve listeners.
    pub fn new(handles: Handles) -> Self {
        let limits = &handles.limits;
        Self {
            slots: Arc::new(Semaphore::new(limits.connections)),
            slots_before_login: Arc::new(Semaphore::new(limits.connections_before_login)),
            registry: Registry::new(handles.random),
            handles,
        }
    }

    /// Accepts clients until dropped; every session is a task of `sessions`.
    ///
    /// Cancel safe: sessions live on.
    pub async fn listen(self: Arc<Self>, listener: Listener, sessions: TaskTracker) {
        loop {
            let (socket, address) = listener.accept().await;
            sessions.spawn(Arc::clone(&self).serve(socket, address));
        }
    }

    /// One session, from accept to close.
    async fn serve(self: Arc<Self>, socket: Socket, address: ClientAddress) {
        let mut client = Stream::new(Side::Client, socket);
        let Some(id) = self.registry.enter() else {
            return error!("the system gives no random bytes; a client was turned away");
        };
        // from here on the route is fixed, wherever others go
        let backend = self.handles.backends.routed();
        let route = backend.role();
        let entered = self.handles.sessions.enter(id.get(), address, route);
        let mut record = Record::new(entered, route);
        let Slots {
            _connection,
            before_login,
        } = match self.slots() {
            Ok(slots) => slots,
            Err(full) => {
                return self
                    .refuse_in_place_of_greeting(client, &record, &full)
                    .await;
            }
        };
        // boxed, so that what only a login needs is given back before the relay
        let authenticated = Box::pin(self.login(&mut client, address, backend, &mut record)).await;
        drop(before_login);
        match authenticated {
            Ok(authenticated) => self.relay(client, authenticated, &id, &mut record).await,
            Err(failure @ Failure::BackendNotSeen(_)) => {
                self.refuse_in_place_of_greeting(client, &record, &failure)
                    .await;
            }
            Err(failure) => self.refuse(client, &record, &failure).await,
        }
    }

    fn slots(&self) -> Result<Slots, Failure> {
        let take = |slots: &Arc<Semaphore>, limit, name| {
            Arc::clone(slots).try_acquire_owned().map_err(|_| {
                self.handles.sessions.counts().limits.count(limit);
                Failure::TooManyConnections { limit: name }
            })
        };
        Ok(Slots {
            _connection: take(&self.slots, Limit::Connections, "limits.connections")?,
            before_login: take(
                &self.slots_before_login,
                Limit::ConnectionsBeforeLogin,
                "limits.connections-before-login",
            )?,
        })
    }

    /// From the backend's OK to the close of both connections.
    async fn relay(
        &self,
        client: Stream,
        authenticated: Authenticated,
        id: &SessionId,
        record: &mut Record,
    ) {
        let Authenticated {
            session,
            stream,
            place,
            unconfirmed,
        } = authenticated;
        let reachable = id.reachable_at(place);
        let tracker = Tracker::new(Form::of(session.wishes.granted));
        let mut relay = Relay::new(client, stream, tracker, unconfirmed, record.live());
        let mut ending = Ending::of(&self.handles.stop, &session.backend);
        relay.ends_between_transactions = ending.asked() == Asked::EndBetweenTransactions;
        let end = loop {
            let event = tokio::select! {
                biased;
                event = relay.run() => event,
                () = record.killed() => Event::End(End::Killed),
                asked = ending.next() => match asked {
                    Asked::EndNow => Event::End(End::Cut),
                    Asked::GoOn | Asked::EndBetweenTransactions => {
                        relay.ends_between_transactions = asked == Asked::EndBetweenTransactions;
                        continue;
                    }
                },
            };
            let carried_on = match event {
                Event::ChangeUser => {
                    let changed = Box::pin(self.change_user(&mut relay, &session, record)).await;
                    record.show(State::Relaying);
                    changed
                }
                Event::Answered => Box::pin(self.confirm_again(&mut relay, &session, record)).await,
                Event::Read => {
                    let is_confirmed = relay.unconfirmed().is_none();
                    relay.change_command(|payload, client| {
                        if is_confirmed {
                            self.rewritten(payload, client, &session.wishes, &reachable.place)
                        } else {
                            one_statement(payload, &session.wishes)
                        }
                    });
                    Ok(())
                }
                Event::Refuse { command, sequence } => {
                    debug!(id = record.id, command, "command not relayed");
                    relay.answer(sequence, &unknown_command())
                }
                Event::BetweenTransactions => Err(last_command(&mut relay).await),
                Event::End(end) => Err(end),
            };
            if let Err(end) = carried_on {
                break end;
            }
        };
        // whoever names it now must not hit what a server that starts again calls the same
        drop(reachable);
        record.log_end(&end);
        relay.close(&end).await;
    }
}

fn unknown_command() -> ErrPacket {
    ErrPacket::new(1047, "08S01", "Unknown command")
}

/// Waits for the command of a client that is to be ended, so that it reads why.
async fn last_command(relay: &mut Relay) -> End {
    relay.begin_packets();
    if let Ok(Ok(_)) = timeout(LAST_COMMAND, relay.client.read_packet(LAST_COMMAND_BYTES)).await {
        // it is closed next, either way
        let _ = relay.client.queue_packet(&shutdown_in_progress().encode());
    }
    End::Drained
}
