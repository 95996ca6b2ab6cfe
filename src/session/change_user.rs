//! `COM_CHANGE_USER`: judged like a login, on what the client showed when it connected.

use tokio::time::Instant;
use tracing::info;
use zeroize::Zeroizing;

use super::at_once::AtOnce;
use super::authenticate::{Answer, authenticate};
use super::end::End;
use super::failure::Failure;
use super::hello::LOGIN_BYTES;
use super::identify::own_attributes;
use super::login::Login;
use super::record::Record;
use super::relay::Relay;
use super::slots::Patience;
use super::{DataPort, Session};
use crate::protocol::change_user::{BackendChangeUser, ChangeUser};
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::ok_packet::status_of_ok;
use crate::protocol::user_name::UserName;

impl DataPort {
    /// Deals with the command that the client's stream begins with. The session goes on after the backend's OK, and
    /// after its ERR: MySQL then closes the connection itself, and MariaDB keeps the old user.
    pub(super) async fn change_user(
        &self,
        relay: &mut Relay,
        session: &Session,
        record: &mut Record,
    ) -> Result<(), End> {
        let deadline = Instant::now() + self.handles.limits.login_time;
        relay.begin_packets();
        let changed = self.try_change_user(relay, session, record, deadline).await;
        if let Err(failure) = changed {
            if let Some(reply) = failure.reply(session.identity.address) {
                // the session ends either way
                let _ = relay.client.queue_packet(&reply.encode());
            }
            return Err(End::by(failure, End::ChangeUser));
        }
        relay.end_packets();
        Ok(())
    }

    async fn try_change_user(
        &self,
        relay: &mut Relay,
        Session {
            backend,
            identity,
            wishes,
            seen,
        }: &Session,
        record: &mut Record,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let at_once = AtOnce::of(&self.handles.stop.now, record.live());
        let packet = async {
            let packet = relay.client.read_packet(LOGIN_BYTES).await;
            packet.map(Zeroizing::new).map_err(Failure::Client)
        };
        let packet = at_once.in_time(deadline, packet).await?;
        let command = ChangeUser::decode(&packet, wishes.flags)?;
        let user = UserName::from_change_user(command.user, command.collation, wishes.server)?;
        let login = Login {
            identity,
            user: &user,
            using_password: command.using_password,
            granted: wishes.granted,
        };
        let permit = at_once
            .unless_asked(self.authorize(backend, login, deadline, record))
            .await?;

        let payload = BackendChangeUser {
            user: &user.encode(command.collation, wishes.server)?,
            using_password: command.using_password,
            database: command.database,
            collation: command.collation,
            attributes: &command.attributes.encode_behind(&own_attributes(record)),
        }
        .encode(wishes.granted);
        relay.backend.set_next_sequence(0);
        let asked = async {
            let written = relay.backend.write_packet(&payload).await;
            written.map_err(|error| Failure::Backend {
                route: record.route,
                error,
            })
        };
        at_once.in_time(deadline, asked).await?;
        let answer = authenticate(
            &mut relay.client,
            &mut relay.backend,
            record.route,
            &self.handles.password_key,
            Patience {
                deadline,
                slot: None,
                at_once: &at_once,
            },
        )
        .await?;
        let last_word = match &answer {
            Answer::Ok(ok) => {
                record.user = Some(user.as_str().to_owned());
                record.account = Some(permit.account().to_owned());
                let confirmed =
                    login.confirm(backend, (&mut relay.backend, *seen), deadline, record);
                let confirmed = at_once.unless_asked(confirmed).await?;
                relay.user_changed(status_of_ok(ok)?);
                relay.set_unconfirmed(confirmed.unless_certain(user));
                ok
            }
            Answer::Err(err) => {
                let error = ErrPacket::decode(err)?;
                record.count_refused_by_backend(&error);
                // MySQL closes the connection then, which alone would say nothing
                info!(
                    id = record.id,
                    user = ?user,
                    error = error.message,
                    code = error.code,
                    "the backend refused a change of user"
                );
                err
            }
        };
        let told = async {
            let written = relay.client.write_packet(last_word).await;
            written.map_err(Failure::Client)
        };
        at_once.in_time(deadline, told).await
    }
}
