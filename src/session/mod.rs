//! The data port: one client connection with its backend connection, from accept to close.
//!
//! accept → `origin` (a PROXY header, if a balancer hands the connection on) → `identify` (greeting, TLS, certificate, login packet) → `login`: the rules make a
//! [`Permit`](crate::rules::Permit), the backend is dialled, it does its part (`authenticate`), and says which account that
//! is (`confirm`) → `relay`, with `change_user` on the way → close both, one line in the log. Who does not pass (`refuse`)
//! costs the backend nothing.

mod at_once;
mod authenticate;
mod change_user;
mod confirm;
mod counts;
mod denials;
mod end;
mod ending;
mod failure;
pub(crate) mod hello;
mod identify;
mod idle;
mod limit;
mod live;
mod login;
mod origin;
mod password;
mod password_key;
mod place;
mod reachable;
mod record;
mod refusal;
mod refuse;
mod relay;
pub(crate) mod repeats;
mod rewrite;
mod slots;
mod tls_status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::SecureRandom;
use tokio::task::coop::unconstrained;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

pub use self::counts::{Outcome, Relayed, SessionCounts};
pub use self::denials::{Refusals, Verdict};
use self::end::End;
pub use self::ending::Stop;
use self::ending::{Asked, Ending};
use self::failure::shutdown_in_progress;
pub(crate) use self::failure::{Failure, access_denied, too_many_connections};
use self::identify::Wishes;
use self::idle::Idle;
pub use self::limit::Limit;
pub use self::live::{Known, Live, Sessions, State, Totals};
pub use self::origin::Balancers;
pub use self::password_key::PasswordKey;
use self::place::Place;
use self::reachable::Reachable;
use self::record::Record;
pub use self::refusal::{Abort, BackendRefusal, Refusal};
use self::relay::{Event, Relay};
use self::rewrite::one_statement;
use self::slots::{Slot, Slots};
pub use self::tls_status::TlsStatus;
use crate::backend::{Backend, Backends};
use crate::net::listener::Listener;
use crate::net::socket::{KeepAlive, Socket};
use crate::net::stream::Stream;
use crate::net::workers::Workers;
use crate::protocol::Side;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::response::Form;
use crate::protocol::tracker::Tracker;
use crate::protocol::user_name::UserName;
use crate::rules::{ClientAddress, Identity, InForce, SeenAddress};
use crate::tls::{Acceptor, Channel};

/// A session that is asked to end and is between transactions waits so long for a command to answer with 1053, and for a
/// login. Drivers see that error; of one that is pushed to an idle client they see only a lost connection.
const LAST_COMMAND: Duration = Duration::from_secs(1);
/// A longer one is not read for that.
const LAST_COMMAND_BYTES: usize = 1024 * 1024;

/// `limits`, as far as they concern sessions. `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, all together.
    pub connections: usize,
    /// Client connections at once of one address, or of one IPv6 network of 64 bits.
    pub connections_per_client: Option<usize>,
    /// Client connections at once that have not logged in yet.
    pub connections_before_login: usize,
    /// TLS handshakes with clients at once.
    pub handshakes: Option<usize>,
    /// One deadline from accept to the backend's OK.
    pub login_time: Duration,
    /// How long a session may go without a command.
    pub idle_time: Option<Duration>,
    /// How old a session may become, give or take a tenth.
    pub life_time: Option<Duration>,
    /// How dead clients are noticed; `backend::Settings` has it for servers.
    pub keep_alive: KeepAlive,
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
    /// Who tells whose connections it hands on.
    pub balancers: Balancers,
    /// How many, how long.
    pub limits: Limits,
    /// Whose TLS the status variables of a session tell of.
    pub tls_status: TlsStatus,
    /// Whether clients are offered compression.
    pub compression: bool,
    /// The threads that serve.
    pub workers: Arc<Workers>,
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
    slots: Arc<Slots>,
}

/// What a session keeps from its login on.
#[derive(Debug)]
struct Session {
    /// It stays with it, wherever new ones go.
    backend: Arc<Backend>,
    identity: Identity,
    /// Without database and attributes: a change of user brings its own.
    wishes: Wishes,
    /// Whose address the backend sees.
    seen: SeenAddress,
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
        Self {
            slots: Slots::new(handles.limits.clone()),
            handles,
        }
    }

    /// Accepts clients until `closing`; every session is a task of `sessions`. Clients that were connected by then
    /// and not accepted yet are told of the end, since closing the port would reset them.
    pub async fn listen(
        self: Arc<Self>,
        listener: Listener,
        sessions: TaskTracker,
        closing: CancellationToken,
    ) {
        let keep_alive = self.handles.limits.keep_alive;
        while let Some((socket, address)) = closing
            .run_until_cancelled(listener.accept(keep_alive))
            .await
        {
            let port = Arc::clone(&self);
            self.handles
                .workers
                .serve(&sessions, socket, move |socket| port.serve(socket, address));
        }
        for (socket, address) in listener.close(keep_alive) {
            sessions.spawn(Arc::clone(&self).turn_away(socket, address));
        }
    }

    /// One session, from accept to close.
    async fn serve(self: Arc<Self>, socket: Socket, address: ClientAddress) {
        let mut client = Stream::new(Side::Client, socket);
        let Some((mut record, backend)) = self.record(address) else {
            return;
        };
        let slot = match self.slot(address) {
            Ok(slot) => slot,
            Err(limit) => {
                let full = Failure::TooManyConnections { limit };
                return self
                    .refuse_in_place_of_greeting(client, &record, &full)
                    .await;
            }
        };
        let login = self.login(&mut client, &slot, backend, &mut record);
        // boxed, so that what only a login needs is given back before the relay
        let login = Box::pin(login).await;
        slot.end_login();
        match login {
            Ok(authenticated) => self.relay(client, authenticated, &mut record).await,
            Err(failure) if !record.greeted => {
                self.refuse_in_place_of_greeting(client, &record, &failure)
                    .await;
            }
            Err(failure) => self.refuse(client, &record, &failure).await,
        }
    }

    /// A client that has come too late.
    async fn turn_away(self: Arc<Self>, socket: Socket, address: ClientAddress) {
        if let Some((record, _)) = self.record(address) {
            let client = Stream::new(Side::Client, socket);
            self.refuse_in_place_of_greeting(client, &record, &Failure::Draining)
                .await;
        }
    }

    /// Begins the record of a session. From here on its route is fixed, wherever others go.
    fn record(&self, address: ClientAddress) -> Option<(Record, Arc<Backend>)> {
        let backend = self.handles.backends.routed();
        let route = backend.role();
        let random = self.handles.random;
        let Some(entered) = self.handles.sessions.enter(random, address, route) else {
            error!("the system gives no random bytes; a client was turned away");
            return None;
        };
        Some((Record::new(entered, route), backend))
    }

    fn slot(&self, address: ClientAddress) -> Result<Slot, Limit> {
        if self.handles.balancers.lists(address) {
            // whose connection it hands on is known later
            return self.slots.take(Instant::now());
        }
        self.slots.has_room_for(address)?;
        let slot = self.slots.take(Instant::now())?;
        slot.count_client(address)?;
        Ok(slot)
    }

    /// From the backend's OK to the close of both connections.
    async fn relay(&self, client: Stream, authenticated: Authenticated, record: &mut Record) {
        let Authenticated {
            session,
            stream,
            place,
            unconfirmed,
        } = authenticated;
        let reachable = Reachable::at(record.live(), place);
        let tracker = Tracker::new(Form::of(session.wishes.granted));
        let mut relay = Relay::new(client, stream, tracker, unconfirmed, record.live());
        let limits = &self.handles.limits;
        let live = record.live();
        let mut ending = Ending::of(
            &self.handles.stop,
            &session.backend,
            &live,
            limits.life_time,
        );
        let mut idle = Idle::new(limits.idle_time, live);
        relay.ends_between_transactions = ending.asked() == Asked::EndBetweenTransactions;
        let end = loop {
            let event = next_event(&mut relay, &mut ending, &mut idle, record).await;
            let carried_on = match event {
                Event::ChangeUser => {
                    let changed = Box::pin(self.change_user(&mut relay, &session, record)).await;
                    record.show(State::Relaying);
                    idle.begin_anew();
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
                Event::BetweenTransactions => {
                    last_command(&mut relay, &shutdown_in_progress()).await;
                    Err(ending.reason())
                }
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

/// Relays until something happens, or somebody or something ends the session.
async fn next_event(
    relay: &mut Relay,
    ending: &mut Ending,
    idle: &mut Idle,
    record: &Record,
) -> Event {
    loop {
        tokio::select! {
            biased;
            event = relay.run() => return event,
            () = record.killed() => return Event::End(End::Killed),
            // a relay that has much to do leaves no budget, and must not outlive its end by it
            asked = unconstrained(ending.next()) => match asked {
                Asked::EndNow => return Event::End(End::Cut),
                Asked::GoOn | Asked::EndBetweenTransactions => {
                    relay.ends_between_transactions = asked == Asked::EndBetweenTransactions;
                }
            },
            () = unconstrained(idle.is_due()) => {
                if idle.is_over(relay.awaits_answer()) {
                    return Event::End(End::Idle);
                }
            }
        }
    }
}

/// Waits for the command of a client that is to be ended, so that it reads why. A replica sends none.
async fn last_command(relay: &mut Relay, why: &ErrPacket) {
    if relay.has_command() {
        return;
    }
    relay.begin_packets();
    if let Ok(Ok(_)) = timeout(LAST_COMMAND, relay.client.read_packet(LAST_COMMAND_BYTES)).await {
        // it is closed next, either way
        let _ = relay.client.queue_packet(&why.encode());
    }
}
