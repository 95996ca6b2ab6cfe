//! How many clients there may be at once: in all, of one address, such as have not logged in, in a TLS handshake.
//!
//! Whoever connects and says nothing must not keep others out. Where all slots are taken, a new client gets that of the
//! one that came first among those that have not logged in and are to speak, or wait for an import of their name. So a
//! flood has to fill all slots before login again and again, each time within what an honest client takes to log in.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::Limits;
use super::at_once::AtOnce;
use super::failure::Failure;
use super::limit::Limit;
use crate::rules::ClientAddress;

/// Nobody gives way earlier. Without this, a rush of honest clients would end each of them before its turn came, and
/// nobody would be served; so those that came first are.
const AT_LEAST: Duration = Duration::from_millis(250);

/// Of an IPv6 address, so much tells clients apart: whoever has one address has its whole network.
const IPV6_NETWORK_BITS: u32 = 64;

/// All slots.
#[derive(Debug)]
pub(super) struct Slots {
    most: Limits,
    taken: Mutex<Taken>,
    /// A handshake has ended.
    handshake_ended: Notify,
}

/// Those that are taken.
#[derive(Debug, Default)]
struct Taken {
    /// Counts connections and handshakes, so that the lowest number came first.
    next: u64,
    connections: HashMap<u64, Connection>,
    of_network: HashMap<IpAddr, usize>,
    before_login: usize,
    /// Those that wait for their client, or for an import.
    waiting: BTreeMap<u64, oneshot::Sender<Limit>>,
    handshakes: BTreeMap<u64, Handshake>,
}

/// One client's connection.
#[derive(Debug)]
struct Connection {
    since: Instant,
    network: Option<IpAddr>,
    is_before_login: bool,
}

/// One TLS handshake.
#[derive(Debug)]
struct Handshake {
    since: Instant,
    asks: oneshot::Sender<Limit>,
}

/// What a client connection occupies, until this is dropped or the client gives way.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

/// How long a client that is to speak may take: until a deadline, or until it gives way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) deadline: tokio::time::Instant,
    /// None for one that has logged in already.
    pub(super) slot: Option<&'a Slot>,
    pub(super) at_once: &'a AtOnce,
}

impl Slots {
    pub(super) fn new(most: Limits) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: Mutex::default(),
            handshake_ended: Notify::new(),
        })
    }

    /// A slot for one more, or the limit that there is none for.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Result<Slot, Limit> {
        let mut taken = self.lock();
        if taken.connections.len() >= self.most.connections {
            taken.make_room(Limit::Connections, now)?;
        }
        if taken.before_login >= self.most.connections_before_login {
            taken.make_room(Limit::ConnectionsBeforeLogin, now)?;
        }
        let number = taken.number();
        taken.before_login += 1;
        taken.connections.insert(
            number,
            Connection {
                since: now,
                network: None,
                is_before_login: true,
            },
        );
        Ok(Slot {
            slots: Arc::clone(self),
            number,
        })
    }

    /// Whether this client has not too many already. To be asked first: nobody is to give way to one that is refused.
    pub(super) fn has_room_for(&self, client: ClientAddress) -> Result<(), Limit> {
        match self.network(client) {
            Some((network, most)) => self.lock().has_room_for(network, most),
            None => Ok(()),
        }
    }

    /// What the client is counted by, and the most of it; nothing where there is no limit.
    fn network(&self, client: ClientAddress) -> Option<(IpAddr, usize)> {
        match client {
            ClientAddress::Ip(ip) => Some((network(ip), self.most.connections_per_client?)),
            ClientAddress::UnixSocket => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a handshake if there are not too many, or one of them can be ended.
    fn begin_handshake(&self, now: Instant) -> Option<(Turn<'_>, oneshot::Receiver<Limit>)> {
        let mut taken = self.lock();
        if let Some(most) = self.most.handshakes
            && taken.handshakes.len() >= most
        {
            let oldest = taken.handshakes.first_entry()?;
            if now.duration_since(oldest.get().since) < AT_LEAST {
                return None;
            }
            // it may have come to its end just now, which is as good
            let _ = oldest.remove().asks.send(Limit::Handshakes);
        }
        let (asks, asked) = oneshot::channel();
        let number = taken.number();
        taken
            .handshakes
            .insert(number, Handshake { since: now, asks });
        Some((
            Turn {
                slots: self,
                number,
            },
            asked,
        ))
    }
}

impl Taken {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn has_room_for(&self, network: IpAddr, most: usize) -> Result<(), Limit> {
        let count = self.of_network.get(&network).copied().unwrap_or(0);
        if count < most {
            Ok(())
        } else {
            Err(Limit::ConnectionsPerClient)
        }
    }

    /// Ends the connection of the client that came first among those that are waited for.
    fn make_room(&mut self, full: Limit, now: Instant) -> Result<(), Limit> {
        let (&number, _) = self.waiting.first_key_value().ok_or(full)?;
        let is_young = |of: &Connection| now.duration_since(of.since) < AT_LEAST;
        if self.connections.get(&number).is_some_and(is_young) {
            return Err(full);
        }
        if let Some(asks) = self.waiting.remove(&number) {
            // whoever waits no longer has removed it
            let _ = asks.send(full);
        }
        self.release(number);
        Ok(())
    }

    /// Nothing if it has been released before.
    fn release(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        self.before_login -= usize::from(connection.is_before_login);
        if let Some(network) = connection.network
            && let Some(count) = self.of_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.of_network.remove(&network);
            }
        }
    }
}

impl Slot {
    /// Counts it among those of its client; an error if there are too many of them. A Unix socket has no address, and
    /// its clients are not counted.
    pub(super) fn count_client(&self, client: ClientAddress) -> Result<(), Limit> {
        let Some((network, most)) = self.slots.network(client) else {
            return Ok(());
        };
        let mut taken = self.slots.lock();
        taken.has_room_for(network, most)?;
        if let Some(connection) = taken.connections.get_mut(&self.number) {
            connection.network = Some(network);
            *taken.of_network.entry(network).or_default() += 1;
        }
        Ok(())
    }

    /// Its client has logged in, or is being told why not: it is no longer one before login, and gives way to nobody.
    pub(super) fn end_login(&self) {
        let mut taken = self.slots.lock();
        if let Some(connection) = taken.connections.get_mut(&self.number)
            && connection.is_before_login
        {
            connection.is_before_login = false;
            taken.before_login -= 1;
        }
    }

    /// What waits for the client, or for what anybody could ask for. While it does, the client can be made to give way.
    ///
    /// As cancel safe as the work.
    pub(super) async fn wait_for_client<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (asks, mut asked) = oneshot::channel();
        self.slots.lock().waiting.insert(self.number, asks);
        let waiting = Waiting(self);
        let done = tokio::select! {
            biased;
            done = work => done,
            Ok(limit) = &mut asked => return Err(Failure::GaveWay { limit }),
        };
        drop(waiting);
        // from here on nobody asks, but somebody may have
        match asked.try_recv() {
            Ok(limit) => Err(Failure::GaveWay { limit }),
            Err(_) => done,
        }
    }

    /// A TLS handshake: waits for its turn where there are too many, and can be made to give way like a connection.
    ///
    /// As cancel safe as the work.
    pub(super) async fn handshake<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (_turn, asked) = loop {
            if let Some(turn) = self.slots.begin_handshake(Instant::now()) {
                break turn;
            }
            // by then the oldest can be made to give way
            let _ = timeout(AT_LEAST, self.slots.handshake_ended.notified()).await;
        };
        tokio::select! {
            biased;
            done = work => done,
            Ok(limit) = asked => Err(Failure::GaveWay { limit }),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().release(self.number);
    }
}

impl Patience<'_> {
    /// What waits for the client. The deadline is the caller's to keep.
    pub(super) async fn wait_for_client<T>(
        self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self.slot {
            Some(slot) => slot.wait_for_client(work).await,
            None => work.await,
        }
    }
}

/// While this lives, the client can be made to give way.
struct Waiting<'a>(&'a Slot);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.slots.lock().waiting.remove(&self.0.number);
    }
}

/// One handshake's turn.
struct Turn<'a> {
    slots: &'a Slots,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.slots.lock().handshakes.remove(&self.number);
        self.slots.handshake_ended.notify_one();
    }
}

/// What tells clients apart.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let mask = u128::MAX << (u128::BITS - IPV6_NETWORK_BITS);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::socket::KeepAlive;

    const NONE: Limits = Limits {
        connections: 100,
        connections_per_client: None,
        connections_before_login: 100,
        handshakes: None,
        login_time: Duration::from_secs(10),
        idle_time: None,
        life_time: None,
        keep_alive: KeepAlive {
            after: None,
            unacknowledged: None,
        },
    };

    fn before_login(most: usize) -> Arc<Slots> {
        Slots::new(Limits {
            connections_before_login: most,
            ..NONE
        })
    }

    /// A client that says nothing; what comes of it.
    fn silent(slot: Slot) -> tokio::task::JoinHandle<Limit> {
        tokio::spawn(async move {
            let never = slot.wait_for_client::<()>(std::future::pending()).await;
            match never {
                Err(Failure::GaveWay { limit }) => limit,
                other => panic!("{other:?}"),
            }
        })
    }

    #[tokio::test]
    async fn the_client_that_came_first_gives_way_and_no_other() {
        let (slots, start) = (before_login(2), Instant::now());
        let first = silent(slots.take(start).expect("a slot"));
        let second = silent(slots.take(start).expect("another"));
        tokio::task::yield_now().await;
        let third = slots.take(start + AT_LEAST).expect("the first one's");
        assert_eq!(first.await.ok(), Some(Limit::ConnectionsBeforeLogin));
        assert!(!second.is_finished());
        assert_eq!(slots.lock().before_login, 2);
        drop(third);
        assert_eq!(slots.lock().before_login, 1);
    }

    #[tokio::test]
    async fn nobody_gives_way_at_once_or_for_whom_it_would_not_help() {
        let (slots, start) = (before_login(2), Instant::now());
        let full = Err(Limit::ConnectionsBeforeLogin);
        let refused = |after| slots.take(start + after).map(drop);
        // one that waits for the backend
        let busy = slots.take(start).expect("a slot");
        let waiting = silent(slots.take(start).expect("another"));
        tokio::task::yield_now().await;
        assert_eq!(refused(AT_LEAST / 2), full, "a rush");
        assert_eq!(refused(AT_LEAST), Ok(()));
        assert!(waiting.await.is_ok());
        let _third = slots.take(start + AT_LEAST).expect("a slot");
        assert_eq!(refused(AT_LEAST * 9), full, "both are busy");
        busy.end_login();
        assert_eq!(refused(AT_LEAST * 9), Ok(()));
    }

    #[tokio::test]
    async fn sessions_give_way_to_nobody() {
        let slots = Slots::new(Limits {
            connections: 2,
            ..NONE
        });
        let start = Instant::now();
        let session = slots.take(start).expect("a slot");
        session.end_login();
        let waiting = silent(slots.take(start).expect("another"));
        tokio::task::yield_now().await;
        let third = slots.take(start + AT_LEAST).expect("that of a silent one");
        assert_eq!(waiting.await.ok(), Some(Limit::Connections));
        third.end_login();
        let refused = slots.take(start + AT_LEAST * 9).map(drop);
        assert_eq!(refused, Err(Limit::Connections));
    }

    #[tokio::test]
    async fn whoever_gave_way_in_the_last_moment_does_not_go_on() {
        let (slots, start) = (before_login(1), Instant::now());
        let slot = slots.take(start).expect("a slot");
        let work = async {
            // a new client comes while this one's last byte is read
            drop(slots.take(start + AT_LEAST));
            Ok(())
        };
        let done = slot.wait_for_client(work).await;
        assert!(matches!(done, Err(Failure::GaveWay { .. })), "{done:?}");
        drop(slot);
        assert_eq!(slots.lock().before_login, 0);
    }

    #[test]
    fn clients_are_told_apart_by_address_or_ipv6_network() {
        let slots = Slots::new(Limits {
            connections_per_client: Some(1),
            ..NONE
        });
        let client = |address: &str| {
            let ip: IpAddr = address.parse().expect("an address");
            let slot = slots.take(Instant::now()).expect("a slot");
            slot.count_client(ClientAddress::from(ip)).map(|()| slot)
        };
        let mut counted = Vec::new();
        for (address, is_first) in [
            ("10.0.0.1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", false),
            ("2001:db8:0:2::1", true),
        ] {
            let slot = client(address);
            assert_eq!(slot.is_ok(), is_first, "{address}");
            counted.extend(slot);
        }
        for _ in 0..2 {
            let slot = slots.take(Instant::now()).expect("a slot");
            assert_eq!(slot.count_client(ClientAddress::UnixSocket), Ok(()));
            counted.push(slot);
        }
        drop(counted);
        assert!(client("10.0.0.1").is_ok(), "as at the start");
        assert!(slots.lock().of_network.is_empty());
    }

    #[tokio::test]
    async fn a_handshake_waits_for_its_turn_and_a_silent_one_gives_way() {
        let slots = Slots::new(Limits {
            handshakes: Some(1),
            ..NONE
        });
        let take = || slots.take(Instant::now()).expect("a slot");
        let (silent, honest) = (take(), take());
        let silence = silent.handshake::<()>(std::future::pending());
        let handshake = honest.handshake(async { Ok(()) });
        let (silence, handshake) = tokio::join!(silence, handshake);
        assert!(matches!(
            silence,
            Err(Failure::GaveWay {
                limit: Limit::Handshakes
            })
        ));
        assert!(handshake.is_ok());
        assert!(slots.lock().handshakes.is_empty());
    }
}
