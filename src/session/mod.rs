//! The data port: one client connection with its backend connection, from accept to close.
//!
//! accept → `identify` (greeting, TLS, certificate, login packet) → authorize (the rules make a [`Permit`]) →
//! connect to the backend → `authenticate` (the backend's own) → `relay`, with `change_user` on the way → close
//! both, one line in the log. A client that does not pass costs the backend nothing.

mod authenticate;
mod change_user;
mod confirm;
mod denials;
mod ending;
pub(crate) mod hello;
mod identify;
mod live;
mod outcome;
mod password;
mod password_key;
mod registry;
mod relay;
pub(crate) mod repeats;
mod rewrite;
mod tls_status;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::SecureRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use self::authenticate::{Answer, authenticate};
use self::confirm::Login;
pub use self::denials::{Refusals, Verdict};
pub use self::ending::Stop;
use self::ending::{Asked, Ending};
use self::identify::{Identified, Wishes};
pub use self::live::{Known, Live, Sessions, State, Totals};
use self::outcome::{End, Record, shutdown_in_progress};
pub(crate) use self::outcome::{Failure, access_denied};
pub use self::password_key::PasswordKey;
use self::registry::{Place, Registry, SessionId};
use self::relay::{Event, Relay};
use self::repeats::LeftOut;
use self::rewrite::one_statement;
pub use self::tls_status::TlsStatus;
use crate::backend::connect::Connection;
use crate::backend::{Backend, Backends};
use crate::net::listener::Listener;
use crate::net::socket::Socket;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::Side;
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::login::{BackendLogin, LoginHead};
use crate::protocol::response::Form;
use crate::protocol::tracker::Tracker;
use crate::protocol::user_name::UserName;
use crate::rules::{ClientAddress, Identity, InForce, Permit};
use crate::tls::{Acceptor, Channel, Negotiated};

/// A session that is asked to end and is between transactions waits so long for a command to answer with 1053. Drivers
/// see that error; of one that is pushed to an idle client they see only a lost connection.
const LAST_COMMAND: Duration = Duration::from_secs(1);
/// A longer one is not read for that.
const LAST_COMMAND_BYTES: usize = 1024 * 1024;

/// How often the log is told what it does not show.
const LEFT_OUT_EVERY: Duration = Duration::from_secs(60);

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
        let take = |slots: &Arc<Semaphore>, limit| {
            Arc::clone(slots)
                .try_acquire_owned()
                .map_err(|_| Failure::TooManyConnections { limit })
        };
        Ok(Slots {
            _connection: take(&self.slots, "limits.connections")?,
            before_login: take(&self.slots_before_login, "limits.connections-before-login")?,
        })
    }

    /// Everything up to the backend's OK, which the client has been told.
    async fn login(
        &self,
        client: &mut Stream,
        address: ClientAddress,
        backend: Arc<Backend>,
        record: &mut Record,
    ) -> Result<Authenticated, Failure> {
        let deadline = Instant::now() + self.handles.limits.login_time;
        let Identified {
            identity,
            user,
            wishes,
        } = timeout_at(deadline, self.identify(client, address, &backend, record))
            .await
            .unwrap_or(Err(Failure::TooSlow))?;
        record.show(State::LoggingIn);

        let login = Login {
            identity: &identity,
            user: &user,
            using_password: wishes.using_password,
            granted: wishes.granted,
        };
        let permit = self.authorize(&backend, login, deadline, record).await?;
        record.account = Some(permit.account().to_owned());
        if backend.drain().borrow().is_some() {
            return Err(Failure::Draining);
        }
        record.show(State::Connecting);

        let Connection {
            mut stream,
            endpoint,
            server,
            connection_id,
            ..
        } = self
            .connect(&backend, &user, &wishes, &permit, record)
            .await?;
        let answer = authenticate(
            client,
            &mut stream,
            record.route,
            &self.handles.password_key,
            deadline,
        )
        .await
        .map_err(|failure| match failure {
            Failure::Backend {
                route,
                error: error @ StreamError::Tls(..),
            } => Failure::Connect {
                route,
                error: endpoint.tls_failed(error),
            },
            other => other,
        })?;
        endpoint.answered();
        match answer {
            Answer::Ok(ok) => {
                let confirmed = match login.confirm(&backend, &mut stream, deadline, record).await {
                    Ok(confirmed) => confirmed,
                    Err(failure) => {
                        quit(stream).await;
                        return Err(failure);
                    }
                };
                client.write_packet(&ok).await.map_err(Failure::Client)?;
                record.logged_in();
                Ok(Authenticated {
                    unconfirmed: confirmed.unless_certain(user),
                    stream,
                    place: Place {
                        server,
                        id: connection_id,
                    },
                    session: Session {
                        backend,
                        identity,
                        wishes: Wishes {
                            attributes: Vec::new(),
                            database: None,
                            ..wishes
                        },
                    },
                })
            }
            Answer::Err(err) => {
                client.write_packet(&err).await.map_err(Failure::Client)?;
                Err(Failure::RefusedByBackend(ErrPacket::decode(&err)?))
            }
        }
    }

    /// Judges by the rules, at login and in `COM_CHANGE_USER`. Where the backend's accounts are judged too, a name that
    /// the last import does not hold waits for the next.
    async fn authorize(
        &self,
        backend: &Backend,
        login: Login<'_>,
        deadline: Instant,
        record: &Record,
    ) -> Result<Permit, Failure> {
        let Login {
            identity,
            user,
            using_password,
            ..
        } = login;
        if backend.gives_away(user.as_str()) {
            return Err(Failure::OwnOsUser {
                user: user.as_str().to_owned(),
                using_password,
            });
        }
        let imported = match backend.import() {
            None => None,
            Some(import) => Some(
                timeout_at(deadline, import.accounts_for(user))
                    .await
                    .map_err(|_| Failure::TooSlow)?
                    .map_err(|error| login.not_imported(error))?,
            ),
        };
        let permit = self
            .handles
            .rules
            .load()
            .authorize(identity, user, imported.as_deref())
            .map_err(|denial| login.denied(denial))?;
        for denial in permit.reported() {
            record.log_reported(user, permit.account(), denial);
        }
        Ok(permit)
    }

    /// Dials the backend for a client that may pass, and hands its login on.
    ///
    /// Not bounded by the login's deadline but by the backend's own (`limits.connect-time`), and not ended by a client
    /// that leaves: a handshake that is cut counts against us at the server.
    async fn connect(
        &self,
        backend: &Backend,
        user: &UserName,
        wishes: &Wishes,
        _permit: &Permit,
        record: &mut Record,
    ) -> Result<Connection, Failure> {
        let route = backend.role();
        let head = LoginHead {
            capabilities: wishes.granted,
            max_packet_bytes: wishes.max_packet_bytes,
            collation: wishes.collation,
        };
        let mut connection = backend
            .connect(head)
            .await
            .map_err(|error| Failure::Connect { route, error })?;
        record.backend_id = Some(connection.connection_id);
        record.backend_tls = connection.stream.tls().and_then(|tls| Negotiated::of(tls));
        let payload = BackendLogin {
            head: connection.head,
            user: &user.encode(u16::from(wishes.collation), wishes.server)?,
            using_password: wishes.using_password,
            database: wishes.database.as_deref(),
            attributes: &wishes.attributes,
        }
        .encode();
        connection
            .stream
            .write_packet(&payload)
            .await
            .map_err(|error| Failure::Backend { route, error })?;
        Ok(connection)
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

    /// Tells a client why it may not log in, and closes.
    async fn refuse(&self, mut client: Stream, record: &Record, failure: &Failure) {
        self.log_failure(record, failure);
        if let Some(reply) = failure.reply(record.client) {
            // it is closed next, either way
            let _ = client.queue_packet(&reply.encode());
        }
        client.close().await;
    }

    /// The same for a client that was not greeted. Nothing of its own can be on the way, so nothing is waited for.
    async fn refuse_in_place_of_greeting(
        &self,
        mut client: Stream,
        record: &Record,
        failure: &Failure,
    ) {
        self.log_failure(record, failure);
        if let Some(reply) = failure.reply(record.client) {
            let _ = client
                .write_packet(&reply.encode_in_place_of_greeting())
                .await;
        }
    }

    fn log_failure(&self, record: &Record, failure: &Failure) {
        record.count_failure(failure);
        // One user's many refusals must not hide another's.
        let reason = match &record.user {
            Some(user) => format!("{user}: {failure}"),
            None => failure.to_string(),
        };
        let sessions = &self.handles.sessions;
        if matches!(failure, Failure::Left) || sessions.shows(Verdict::Refused, &reason) {
            record.log_failure(failure);
        }
    }

    /// Tells the log each minute how many refusals it does not show.
    ///
    /// Cancel safe.
    pub async fn report_left_out(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LEFT_OUT_EVERY).await;
            self.log_left_out();
        }
    }

    /// Tells the log how many refusals it does not show since it was last told.
    pub fn log_left_out(&self) {
        let sessions = &self.handles.sessions;
        for LeftOut { reason, count } in sessions.take_left_out(Verdict::Refused) {
            warn!(count, reason, "refused, and not shown one by one");
        }
        for LeftOut { reason, count } in sessions.take_left_out(Verdict::Reported) {
            warn!(count, reason, "would be refused, and not shown one by one");
        }
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

/// Leaves a backend that has logged us in.
async fn quit(mut backend: Stream) {
    backend.set_next_sequence(0);
    // it is closed next, either way
    let _ = backend.queue_packet(&[Command::Quit as u8]);
    backend.close().await;
}
