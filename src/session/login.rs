//! The second step: may this client pass? Judged by the rules, dialled for, authenticated by the backend, confirmed.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout_at};

use super::at_once::AtOnce;
use super::authenticate::{Answer, authenticate};
use super::failure::Failure;
use super::identify::{Identified, Wishes};
use super::live::State;
use super::place::Place;
use super::record::Record;
use super::slots::{Patience, Slot};
use super::{Authenticated, DataPort, LAST_COMMAND, Session};
use crate::backend::connect::Connection;
use crate::backend::import::NotImported;
use crate::backend::{Backend, Role};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::login::{BackendLogin, LoginHead};
use crate::protocol::proxy_header::Ends;
use crate::protocol::user_name::UserName;
use crate::rules::{Denial, Identity, Permit};
use crate::tls::Negotiated;

/// A login, or a `COM_CHANGE_USER`, to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) identity: &'a Identity,
    pub(super) user: &'a UserName,
    pub(super) using_password: bool,
    /// What is spoken on the backend's connection.
    pub(super) granted: Capabilities,
}

impl DataPort {
    /// Everything up to the backend's OK, which the client has been told.
    pub(super) async fn login(
        &self,
        client: &mut Stream,
        slot: &Slot,
        backend: Arc<Backend>,
        record: &mut Record,
    ) -> Result<Authenticated, Failure> {
        let deadline = Instant::now() + self.handles.limits.login_time;
        let at_once = AtOnce::of(&self.handles.stop.now, record.live());
        let (origin, identified) = {
            let told_and_identified = async {
                let origin = self.origin(client, slot, record).await?;
                let identified = self.identify(client, slot, &backend, record).await?;
                Ok((origin, identified))
            };
            let waited = slot.wait_for_client(told_and_identified);
            tokio::select! {
                biased;
                told_and_identified = timeout_at(deadline, waited) => told_and_identified,
                () = self.last_login() => return Err(Failure::Draining),
                failure = at_once.asked() => return Err(failure),
            }
        }
        .unwrap_or_else(|_| Err(self.too_slow(record)))?;
        let Identified {
            identity,
            user,
            wishes,
        } = identified;
        record.show(State::LoggingIn);

        let login = Login {
            identity: &identity,
            user: &user,
            using_password: wishes.using_password,
            granted: wishes.granted,
        };
        // a name that nobody has costs nothing, and may wait for an import: it must not keep others out
        let authorized = slot.wait_for_client(self.authorize(&backend, login, deadline, record));
        let permit = at_once.unless_asked(authorized).await?;
        record.account = Some(permit.account().to_owned());
        if backend.drain().borrow().is_some() || self.handles.stop.politely.is_cancelled() {
            return Err(Failure::Draining);
        }
        record.show(State::Connecting);

        let connection = self.connect(&backend, (&user, &permit), &wishes, origin.ends, record);
        let mut connection = at_once.unless_overdue(connection).await?;
        let patience = Patience {
            deadline,
            slot: Some(slot),
            at_once: &at_once,
        };
        let answer = self
            .ask(client, &mut connection, record.route, patience)
            .await?;
        let Connection {
            mut stream,
            server,
            connection_id,
            seen,
            ..
        } = connection;
        match answer {
            Answer::Ok(ok) => {
                let confirmed = login.confirm(&backend, (&mut stream, seen), deadline, record);
                let confirmed = match at_once.unless_asked(confirmed).await {
                    Ok(confirmed) => confirmed,
                    Err(failure) => {
                        quit(stream).await;
                        return Err(failure);
                    }
                };
                let told = async { client.write_packet(&ok).await.map_err(Failure::Client) };
                at_once.unless_asked(told).await?;
                if let Some(algorithm) = wishes.compression {
                    client.compress(algorithm);
                }
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
                        seen,
                    },
                })
            }
            Answer::Err(err) => {
                let told = async { client.write_packet(&err).await.map_err(Failure::Client) };
                at_once.unless_asked(told).await?;
                Err(Failure::RefusedByBackend(ErrPacket::decode(&err)?))
            }
        }
    }

    /// Waits until whoever has not sent its login would only hold up the end. Cancel safe.
    async fn last_login(&self) {
        self.handles.stop.politely.cancelled().await;
        sleep(LAST_COMMAND).await;
    }

    /// The backend's answer to the login that it was sent.
    async fn ask(
        &self,
        client: &mut Stream,
        connection: &mut Connection,
        route: Role,
        patience: Patience<'_>,
    ) -> Result<Answer, Failure> {
        let key = &self.handles.password_key;
        let answer = authenticate(client, &mut connection.stream, route, key, patience).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return Err(explained(failure, connection).await),
        };
        connection.endpoint.answered();
        Ok(answer)
    }

    /// Judges by the rules, at login and in `COM_CHANGE_USER`. Where the backend's accounts are judged too, a name that
    /// the last import does not hold waits for the next.
    pub(super) async fn authorize(
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
        (user, _permit): (&UserName, &Permit),
        wishes: &Wishes,
        ends: Option<Ends>,
        record: &mut Record,
    ) -> Result<Connection, Failure> {
        let route = backend.role();
        let head = LoginHead {
            capabilities: wishes.granted,
            max_packet_bytes: wishes.max_packet_bytes,
            collation: wishes.collation,
        };
        let mut connection = backend
            .connect(head, ends)
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
        match connection.stream.write_packet(&payload).await {
            Ok(()) => Ok(connection),
            Err(error) => Err(explained(Failure::Backend { route, error }, &mut connection).await),
        }
    }
}

/// Why a backend's part of a login failed, where more is known: it may be our certificate, or our PROXY header, that it
/// does not take.
async fn explained(failure: Failure, connection: &mut Connection) -> Failure {
    match failure {
        Failure::Backend {
            route,
            error: error @ StreamError::Tls(..),
        } => Failure::Connect {
            route,
            error: connection.endpoint.tls_failed(error),
        },
        Failure::Backend { route, error } => {
            match connection.endpoint.cut(&mut connection.stream, error).await {
                Ok(error) => Failure::Connect { route, error },
                Err(error) => Failure::Backend { route, error },
            }
        }
        other => other,
    }
}

impl Login<'_> {
    pub(super) fn denied(self, denial: Denial) -> Failure {
        Failure::Denied {
            denial,
            user: self.user.as_str().to_owned(),
            using_password: self.using_password,
        }
    }

    pub(super) fn not_imported(self, error: NotImported) -> Failure {
        Failure::NotImported {
            error,
            user: self.user.as_str().to_owned(),
            using_password: self.using_password,
        }
    }
}

/// Leaves a backend that has logged us in.
async fn quit(mut backend: Stream) {
    backend.set_next_sequence(0);
    // it is closed next, either way
    let _ = backend.queue_packet(&[Command::Quit as u8]);
    backend.close().await;
}
