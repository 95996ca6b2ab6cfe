//! The servers that are asked, all at the same time, each over a connection that is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;

use super::failure::{AskError, Failure};
use crate::backend::client::Client;
use crate::backend::own_account::OwnAccount;
use crate::backend::query::{Answer, QueryError, Row};
use crate::backend::{Backend, Endpoint, Role, Security};
use crate::tls::LoadError;

/// One deadline over dialling, greeting and TLS, and one over the login.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Ten thousand sessions in a process list are under 8 MiB.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The name of this machine, which is one server however many addresses it has.
const THIS_MACHINE: &str = "localhost";

/// What one server has answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// The server.
    pub(super) address: String,
    /// Its answer.
    pub(super) answer: Answer,
    /// What it warns of.
    pub(super) warnings: Vec<String>,
}

/// All servers, in the order in which they were named.
#[derive(Debug)]
pub(super) struct Fleet {
    servers: Vec<Server>,
    /// Some were left out.
    has_lost: bool,
}

#[derive(Debug)]
struct Server {
    address: String,
    backend: Backend,
    account: Arc<OwnAccount>,
    /// None before it is logged in, and when the connection broke.
    client: Option<Client>,
    /// It failed at the last statement.
    failed: bool,
}

impl Fleet {
    /// Finds the addresses of names. Nobody is dialled yet.
    pub(super) async fn new(
        named: Vec<(Endpoint, Security)>,
        account: OwnAccount,
    ) -> (Self, Vec<Failure>) {
        let account = Arc::new(account);
        let (mut servers, mut unknown) = (Vec::new(), Vec::new());
        for (endpoint, security) in named {
            let endpoints = match addresses(&endpoint).await {
                Ok(endpoints) => endpoints,
                Err(error) => {
                    unknown.push(Failure {
                        address: endpoint.to_string(),
                        error: AskError::Resolve(error),
                    });
                    continue;
                }
            };
            servers.extend(endpoints.into_iter().map(|endpoint| Server {
                address: endpoint.to_string(),
                backend: Backend::without_clients(
                    Role::Source,
                    vec![endpoint],
                    security.clone(),
                    CONNECT_TIME,
                ),
                account: Arc::clone(&account),
                client: None,
                failed: false,
            }));
        }
        let fleet = Self {
            servers,
            has_lost: false,
        };
        (fleet, unknown)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    /// What is wrong with the files about TLS, which are the same for all.
    pub(super) fn fault(&self) -> Option<Arc<LoadError>> {
        let mut channels = self
            .servers
            .iter()
            .filter_map(|server| server.backend.channel());
        channels.find_map(|channel| channel.fault())
    }

    /// Leaves out those that failed at the last statement.
    pub(super) fn drop_failed(&mut self) {
        let before = self.servers.len();
        self.servers.retain(|server| !server.failed);
        self.has_lost |= self.servers.len() < before;
    }

    /// Whether nobody was left out.
    pub(super) fn is_whole(&self) -> bool {
        !self.has_lost
    }

    /// Logs in everywhere; gives those that let us in no further.
    pub(super) async fn log_in(&mut self) -> Vec<Failure> {
        let logged_in = self.all(|mut server| async {
            let result = server.client().await.map(|_| ());
            (server, result)
        });
        logged_in
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    /// Asks everywhere, logging in again where the connection broke.
    pub(super) async fn ask(&mut self, statement: &str) -> Vec<Result<Reply, Failure>> {
        let statement: Arc<str> = statement.into();
        self.all(|mut server| {
            let statement = Arc::clone(&statement);
            async move {
                let result = server.ask(&statement).await;
                (server, result)
            }
        })
        .await
    }

    /// Says goodbye.
    pub(super) async fn close(&mut self) {
        for server in &mut self.servers {
            if let Some(client) = server.client.take() {
                client.close().await;
            }
        }
    }

    /// Does something with all servers at the same time; the results are in the servers' order.
    async fn all<T, F>(&mut self, act: impl Fn(Server) -> F) -> Vec<Result<T, Failure>>
    where
        T: Send + 'static,
        F: Future<Output = (Server, Result<T, AskError>)> + Send + 'static,
    {
        let mut acts = JoinSet::new();
        for (place, server) in std::mem::take(&mut self.servers).into_iter().enumerate() {
            let act = act(server);
            acts.spawn(async move { (place, act.await) });
        }
        let mut done = acts.join_all().await;
        done.sort_by_key(|(place, _)| *place);
        let mut results = Vec::new();
        for (_, (mut server, result)) in done {
            server.failed = result.is_err();
            results.push(result.map_err(|error| Failure {
                address: server.address.clone(),
                error,
            }));
            self.servers.push(server);
        }
        results
    }
}

impl Server {
    /// The connection, logged in.
    async fn client(&mut self) -> Result<&mut Client, AskError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::log_in(&self.backend, &self.account)
                .await
                .map_err(AskError::Login)?,
        };
        Ok(self.client.insert(client))
    }

    async fn ask(&mut self, statement: &str) -> Result<Reply, AskError> {
        let asked = ask(self.client().await?, statement).await;
        if !matches!(asked, Ok(_) | Err(QueryError::Refused(_))) {
            // it is of no more use
            self.client = None;
        }
        let (answer, warnings) = asked.map_err(AskError::Query)?;
        Ok(Reply {
            address: self.address.clone(),
            answer,
            warnings,
        })
    }
}

async fn ask(client: &mut Client, statement: &str) -> Result<(Answer, Vec<String>), QueryError> {
    let answer = client.ask(statement, MOST_BYTES).await?;
    let has_warnings = matches!(&answer, Answer::Done(ok) if ok.warnings > 0);
    let warnings = if has_warnings {
        client.query("SHOW WARNINGS", MOST_BYTES).await?
    } else {
        Vec::new()
    };
    Ok((answer, warnings.iter().map(in_one_line).collect()))
}

/// Level, code and message of a warning; the message alone is for people.
fn in_one_line(row: &Row) -> String {
    let message = row.last().and_then(Option::as_deref).unwrap_or_default();
    String::from_utf8_lossy(message).into_owned()
}

/// A name stands for all its addresses; an address, a socket and this machine for themselves.
async fn addresses(endpoint: &Endpoint) -> std::io::Result<Vec<Endpoint>> {
    match endpoint {
        Endpoint::Tcp { host, port } if is_name(host) => {
            let found = lookup_host((host.as_str(), *port)).await?;
            Ok(each_server(endpoint, host, found.collect()))
        }
        Endpoint::Tcp { .. } | Endpoint::Resolved { .. } | Endpoint::Unix(_) => {
            Ok(vec![endpoint.clone()])
        }
    }
}

fn is_name(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_err() && !host.eq_ignore_ascii_case(THIS_MACHINE)
}

/// A server that has addresses of IPv4 and of IPv6 would be asked twice, so only the kind counts that the resolver prefers.
fn each_server(endpoint: &Endpoint, host: &str, mut found: Vec<SocketAddr>) -> Vec<Endpoint> {
    let preferred = found.first().is_some_and(SocketAddr::is_ipv6);
    found.retain(|address| address.is_ipv6() == preferred);
    found.sort_unstable();
    found.dedup();
    if found.len() < 2 {
        return vec![endpoint.clone()];
    }
    found
        .into_iter()
        .map(|address| Endpoint::Resolved {
            host: host.to_owned(),
            address,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(found: &[&str]) -> Vec<String> {
        let endpoint = Endpoint::Tcp {
            host: "fleet.internal".to_owned(),
            port: 3308,
        };
        let found = found.iter().map(|text| text.parse().expect("an address"));
        each_server(&endpoint, "fleet.internal", found.collect())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_address_of_a_name_is_a_server() {
        assert_eq!(asked(&[]), ["fleet.internal:3308"]);
        assert_eq!(asked(&["10.0.0.1:3308"]), ["fleet.internal:3308"]);
        assert_eq!(
            asked(&["10.0.0.2:3308", "10.0.0.1:3308", "10.0.0.2:3308"]),
            [
                "fleet.internal:3308 (10.0.0.1)",
                "fleet.internal:3308 (10.0.0.2)"
            ]
        );
    }

    #[test]
    fn a_server_of_both_families_is_asked_once() {
        assert_eq!(
            asked(&["[fd00::1]:3308", "10.0.0.1:3308"]),
            ["fleet.internal:3308"]
        );
        assert_eq!(
            asked(&["[fd00::1]:3308", "[fd00::2]:3308", "10.0.0.1:3308"]),
            [
                "fleet.internal:3308 (fd00::1)",
                "fleet.internal:3308 (fd00::2)"
            ]
        );
    }

    #[test]
    fn this_machine_and_addresses_are_one_server() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "::1"] {
            assert!(!is_name(host), "{host}");
        }
        assert!(is_name("localhost.internal"));
    }
}
