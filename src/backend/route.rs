//! Both backends, which of them new sessions go to, and what becomes of the sessions of the other.
//!
//! A session stays with the backend that it was greeted for. A cut-over changes where new ones go, and may ask the others
//! to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::connect::ConnectError;
use super::import::NotImported;
use super::{Backend, KeptRoute, Role};
use crate::protocol::capabilities::Capabilities;
use crate::tls::StoreError;

/// As good as never, and not beyond what a clock can count to.
const LONGEST_DRAIN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Both backends of a configuration, and which one new sessions go to.
#[derive(Debug)]
pub struct Backends {
    all: Vec<Arc<Backend>>,
    routed: ArcSwap<Backend>,
    kept: KeptRoute,
    /// One cut-over at a time: route, file and drains belong together.
    turn: Mutex<()>,
}

/// For how long a route that was set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Until another is set, over restarts.
    Kept,
    /// Until the process ends: there is no state directory.
    UntilRestart,
}

/// Why the route is as it was.
#[derive(Debug, Error)]
pub enum RouteError {
    /// There is no such backend.
    #[error("the configuration has no section `{}`", section(*.0))]
    NoSection(Role),
    /// Clients would be greeted with its greeting, and then refused.
    #[error("the {0} cannot be reached: {1}")]
    NotReached(Role, #[source] Arc<ConnectError>),
    /// Nobody could log in.
    #[error("nobody could log in to the {0}: {1}")]
    NotImported(Role, #[source] NotImported),
    /// A restart would undo it.
    #[error("the route cannot be kept: {0}")]
    NotKept(#[from] StoreError),
    /// mytls is ending.
    #[error("mytls is ending")]
    BrokenOff,
}

fn section(role: Role) -> &'static str {
    match role {
        Role::Source => "from",
        Role::Target => "target-database",
    }
}

impl Backends {
    /// New sessions go where the last `SET ROUTE` said, else where the configuration says; `None` if there is no such
    /// backend in the configuration. Blocks on the disk.
    pub fn new(all: Vec<Arc<Backend>>, configured: Role, kept: KeptRoute) -> Option<Self> {
        let by_role = |role| all.iter().find(|backend| backend.role == role);
        let configured = by_role(configured)?;
        // with one backend there is nothing to choose, and no reason to touch a directory
        let route = if all.len() > 1 {
            route_at_start(&kept, configured.role)
        } else {
            configured.role
        };
        let routed = ArcSwap::new(Arc::clone(by_role(route).unwrap_or(configured)));
        Some(Self {
            all,
            routed,
            kept,
            turn: Mutex::default(),
        })
    }

    /// Every backend.
    pub fn all(&self) -> &[Arc<Backend>] {
        &self.all
    }

    /// The backend that new sessions go to.
    pub fn routed(&self) -> Arc<Backend> {
        self.routed.load_full()
    }

    /// What every backend seen so far can do, as far as it can be relayed: what clients are offered, whichever
    /// backend they will speak to. Bit 0 says "not MariaDB" and is cleared only if all clear it.
    pub fn offered(&self) -> Capabilities {
        let seen = || {
            self.all
                .iter()
                .filter_map(|backend| backend.greeting())
                .map(|greeting| greeting.capabilities)
        };
        let common = seen().fold(Capabilities::RELAYED, |common, each| common & each);
        let any_is_mysql = seen().fold(Capabilities::default(), |any, each| any | each)
            & Capabilities::CLIENT_MYSQL;
        common | any_is_mysql
    }

    /// The cut-over: new sessions go to this backend. With `drain`, the sessions of the other are asked to end between
    /// transactions, and cut after that time; without it they stay as they are. Sessions of this backend that were asked
    /// to end before may go on.
    ///
    /// On an error the route is as it was. Not cancel safe: a server that has not answered a login yet is dialled.
    pub async fn set_route(
        self: Arc<Self>,
        to: Role,
        drain: Option<Duration>,
    ) -> Result<Keeping, RouteError> {
        let found = self.all.iter().find(|backend| backend.role == to);
        let backend = Arc::clone(found.ok_or(RouteError::NoSection(to))?);
        if self.routed().role != to {
            backend.be_ready().await?;
        }
        let changing = spawn_blocking(move || self.change(&backend, drain));
        changing.await.map_err(|_| RouteError::BrokenOff)?
    }

    fn change(&self, to: &Arc<Backend>, drain: Option<Duration>) -> Result<Keeping, RouteError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // first, since a restart must not send clients back to a server that they have left
        self.kept.write(to.role)?;
        to.drain.send_replace(None);
        let before = self.routed.swap(Arc::clone(to));
        if let Some(time) = drain {
            let end = Instant::now() + time.min(LONGEST_DRAIN);
            for other in self.all.iter().filter(|backend| backend.role != to.role) {
                other.drain.send_replace(Some(end));
            }
        }
        info!(
            route = %to.role,
            before = %before.role,
            drain_seconds = drain.map(|time| time.as_secs_f64()),
            "route set"
        );
        if self.kept.is_kept() {
            return Ok(Keeping::Kept);
        }
        warn!("there is no state directory: a restart takes the route of the configuration again");
        Ok(Keeping::UntilRestart)
    }
}

/// The route of the last `SET ROUTE`, else that of the configuration.
fn route_at_start(kept: &KeptRoute, configured: Role) -> Role {
    match kept.read() {
        Ok(None) => configured,
        Ok(Some(set)) => {
            info!(
                route = %set,
                %configured,
                "the route that SET ROUTE has set counts, not that of the configuration"
            );
            set
        }
        Err(error) => {
            error!(
                route = %configured,
                error = error.to_string(),
                "what SET ROUTE has set cannot be read; the route of the configuration counts"
            );
            configured
        }
    }
}

impl Backend {
    /// What new sessions need before the first of them can be greeted and judged.
    async fn be_ready(&self) -> Result<(), RouteError> {
        // One that has worked before is not asked: the way back must be open also when the server is too busy to greet.
        if !self.has_answered() {
            let probed = self.probe().await;
            let connection = probed.map_err(|error| RouteError::NotReached(self.role, error))?;
            connection.stream.close().await;
        }
        if let Some(import) = &self.import
            && import.latest().is_none()
        {
            let imported = import.next().await;
            imported.map_err(|error| RouteError::NotImported(self.role, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Endpoint, Security, Settings};
    use super::*;
    use crate::net::socket::KeepAlive;

    fn backends(roles: &[Role]) -> Arc<Backends> {
        let backend = |role: &Role| {
            let endpoint = Endpoint::Tcp {
                host: "localhost".to_owned(),
                port: 1,
            };
            let settings = Settings {
                role: *role,
                endpoints: vec![endpoint],
                security: Security::Plaintext,
                connect_time: Duration::from_secs(1),
                keep_alive: KeepAlive::default(),
                import: None,
                sends_proxy_header: false,
            };
            Arc::new(Backend::new(settings).expect("a backend"))
        };
        let all = roles.iter().map(backend).collect();
        let backends = Backends::new(all, Role::Source, KeptRoute::default());
        Arc::new(backends.expect("the route is one of them"))
    }

    #[tokio::test]
    async fn a_route_to_nowhere_is_refused() {
        let backends = backends(&[Role::Source]);
        let set = Arc::clone(&backends).set_route(Role::Target, None).await;
        assert!(matches!(set, Err(RouteError::NoSection(Role::Target))));
        assert_eq!(backends.routed().role(), Role::Source);
    }

    #[tokio::test]
    async fn without_a_state_directory_it_holds_until_the_restart() {
        let backends = backends(&Role::ALL);
        let set = Arc::clone(&backends).set_route(Role::Source, None).await;
        assert_eq!(set.expect("where it is already"), Keeping::UntilRestart);
    }

    /// A number of seconds that no clock can count to.
    #[tokio::test]
    async fn a_drain_may_be_as_long_as_a_number_can_say() {
        let backends = backends(&Role::ALL);
        let set = Arc::clone(&backends).set_route(Role::Source, Some(Duration::MAX));
        set.await.expect("where it is already");
        let drains = backends.all().iter();
        let drains: Vec<_> = drains
            .map(|backend| backend.drain().borrow().is_some())
            .collect();
        assert_eq!(drains, [false, true], "only the other one's sessions end");
    }
}
