//! One statement is carried out.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::info;

use super::accounts::{DOES_NOT_EXIST, Operation};
use super::answer::Answer;
use super::login::LoggedIn;
use super::refusal::Refusal;
use super::show;
use super::statement::{
    Assignment, Drain, Expression, Function, KillTarget, Scope, Select, Show, Statement,
};
use super::status;
use super::variables::{ROUTE, VERSION, Variables, selected};
use super::{AdminPort, LoginResult, NotReloaded};
use crate::backend::{Keeping, Role};
use crate::protocol::result_set::{Column, ResultSet, Value};
use crate::tls::{ChannelName, OnError};

impl Statement {
    /// Whether the log tells who did it.
    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::ReloadTls { .. }
            | Self::Kill { .. }
            | Self::CreateUser { .. }
            | Self::AlterUser { .. }
            | Self::DropUser { .. }
            | Self::FlushPrivileges
            | Self::SetRoute { .. }
            | Self::Shutdown => true,
            Self::Set(assignments) => assignments.iter().any(|assignment| {
                matches!(
                    assignment,
                    Assignment::Variable {
                        scope: Scope::Global,
                        ..
                    }
                )
            }),
            Self::Show(_)
            | Self::Select(_)
            | Self::ChannelStatus { .. }
            | Self::Use(_)
            | Self::Begin
            | Self::Commit
            | Self::Rollback => false,
        }
    }
}

impl AdminPort {
    /// Carries a statement out for a connection. `warnings` are those of its last statement.
    pub(super) async fn execute(
        &self,
        statement: Statement,
        session: &mut LoggedIn,
        warnings: &[Refusal],
    ) -> Result<Answer, Refusal> {
        match statement {
            Statement::ReloadTls { channel, on_error } => self.reload_tls(channel, on_error).await,
            Statement::Show(show) => self.show(show, session, warnings).map(Answer::Rows),
            Statement::Kill { target, id } => self.kill(target, id),
            Statement::FlushPrivileges => Ok(self.flush_privileges()),
            Statement::SetRoute { to, drain } => self.set_route(to, drain).await,
            Statement::Set(assignments) => self.set(&assignments).await,
            Statement::Select(select) => self.select(select, session).map(Answer::Rows),
            Statement::ChannelStatus {
                columns,
                conditions,
            } => {
                let views = self.parts.channels.views();
                let rows = status::channel_status(&views, &columns, &conditions);
                Ok(Answer::Rows(rows))
            }
            Statement::Shutdown => {
                self.parts.shutdown.cancel();
                Ok(Answer::Done)
            }
            Statement::Use(database) => {
                session.database = Some(database);
                Ok(Answer::Done)
            }
            Statement::Begin | Statement::Commit | Statement::Rollback => Ok(Answer::Done),
            Statement::CreateUser {
                if_not_exists,
                accounts,
                requirement,
            } => {
                let operation = Operation::Create(requirement);
                self.change_accounts(operation, accounts, if_not_exists)
                    .await
            }
            Statement::AlterUser {
                if_exists,
                accounts,
                requirement,
            } => {
                let operation = Operation::Alter(requirement);
                self.change_accounts(operation, accounts, if_exists).await
            }
            Statement::DropUser {
                if_exists,
                accounts,
            } => {
                self.change_accounts(Operation::Drop, accounts, if_exists)
                    .await
            }
        }
    }

    /// `COM_STATISTICS`, the line of `mysqladmin status`.
    pub(super) fn statistics(&self) -> String {
        format!(
            "Uptime: {}  Threads: {}  Connections: {}",
            self.parts.started.elapsed().as_secs(),
            self.parts.sessions.count(),
            self.parts.sessions.totals().accepted,
        )
    }

    async fn reload_tls(
        &self,
        channel: Option<String>,
        on_error: OnError,
    ) -> Result<Answer, Refusal> {
        let only = channel
            .map(|name| {
                name.to_ascii_lowercase()
                    .parse()
                    .map_err(|_| unknown_channel(name))
            })
            .transpose()?;
        match (self.parts.reload_tls)(only, on_error).await {
            Ok(()) => Ok(Answer::Done),
            Err(NotReloaded { reason, turned_off }) if turned_off => {
                Ok(Answer::Warned(vec![Refusal::Tls(reason)]))
            }
            Err(NotReloaded { reason, .. }) => Err(Refusal::Tls(reason)),
        }
    }

    fn kill(&self, target: KillTarget, id: u64) -> Result<Answer, Refusal> {
        if target == KillTarget::Query {
            return Err(Refusal::Unsupported(
                "KILL QUERY (on the data port, KILL QUERY with an id of mytls reaches the server)"
                    .to_owned(),
            ));
        }
        match u32::try_from(id) {
            Ok(short) if self.parts.sessions.kill(short) => Ok(Answer::Done),
            _ => Err(Refusal::UnknownSession(id)),
        }
    }

    /// Rules are imported again, soon; those in force stay until then.
    fn flush_privileges(&self) -> Answer {
        for backend in self.parts.backends.all() {
            if let Some(import) = backend.import() {
                info!(route = %backend.role(), "import asked for");
                import.request();
            }
        }
        Answer::Done
    }

    async fn set_route(&self, to: Role, drain: Drain) -> Result<Answer, Refusal> {
        let time = match drain {
            Drain::No => None,
            Drain::Between => Some(self.parts.drain_max),
            Drain::Within { seconds } => Some(Duration::from_secs(seconds)),
        };
        let set = Arc::clone(&self.parts.backends).set_route(to, time).await;
        match set {
            Ok(Keeping::Kept) => Ok(Answer::Done),
            Ok(Keeping::UntilRestart) => Ok(Answer::Warned(vec![Refusal::RouteNotKept])),
            Err(error) => Err(Refusal::Route {
                to: to.to_string(),
                reason: error.to_string(),
            }),
        }
    }

    /// All that is assigned can be assigned, or nothing is.
    async fn set(&self, assignments: &[Assignment]) -> Result<Answer, Refusal> {
        let mut route = None;
        for assignment in assignments {
            let Assignment::Variable { scope, name, value } = assignment else {
                continue;
            };
            match scope {
                Scope::Session if Variables::is_of_session(name) => {}
                Scope::Global if name == ROUTE => route = Some(role(value.as_deref())?),
                Scope::Session if name == ROUTE => {
                    return Err(Refusal::GlobalVariable(name.clone()));
                }
                _ if self.parts.variables.get(name).is_some() => {
                    return Err(Refusal::ReadOnly(name.clone()));
                }
                _ => return Err(Refusal::UnknownVariable(name.clone())),
            }
        }
        match route {
            Some(to) => self.set_route(to, Drain::No).await,
            None => Ok(Answer::Done),
        }
    }

    fn select(&self, select: Select, session: &LoggedIn) -> Result<ResultSet, Refusal> {
        let (mut columns, mut row) = (Vec::new(), Vec::new());
        for item in select.items {
            let (column, value) = self.evaluate(item.expression, item.name, session)?;
            columns.push(column);
            row.push(value);
        }
        let rows = match select.limit {
            Some(0) => Vec::new(),
            _ => vec![row],
        };
        Ok(ResultSet { columns, rows })
    }

    fn evaluate(
        &self,
        expression: Expression,
        name: String,
        session: &LoggedIn,
    ) -> Result<(Column, Value), Refusal> {
        // MySQL's own lengths, in characters
        const NAME: u32 = 64;
        const ACCOUNT: u32 = 288;
        const USER_VARIABLE: u32 = 16_383;
        Ok(match expression {
            Expression::Null => (Column::null(name), None),
            Expression::UserVariable(_) => (Column::text(name, USER_VARIABLE), None),
            Expression::Number(number) => {
                let digits = number.to_string();
                // a place for the sign
                let width = u32::try_from(digits.len() + 1).unwrap_or(u32::MAX);
                (Column::number(name, width).not_null(), Some(digits))
            }
            Expression::Text(text) => {
                let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                (Column::text(name, length).not_null(), Some(text))
            }
            Expression::Variable { name: variable, .. } => {
                let value = self.parts.variables.get(&variable);
                let value = value.ok_or(Refusal::UnknownVariable(variable))?;
                let (column, value) = selected(name, value);
                (column, Some(value))
            }
            Expression::Function(Function::Version) => {
                let length = u32::try_from(VERSION.len()).unwrap_or(u32::MAX);
                let column = Column::text(name, length).not_null();
                (column, Some(VERSION.to_owned()))
            }
            Expression::Function(Function::User | Function::CurrentUser) => {
                let account = format!("{}@{}", session.user, session.address);
                (Column::text(name, ACCOUNT), Some(account))
            }
            Expression::Function(Function::Database) => {
                (Column::text(name, NAME), session.database.clone())
            }
            Expression::Function(Function::ConnectionId) => {
                let column = Column::number(name, 21).not_null().unsigned();
                (column, Some(session.id.to_string()))
            }
        })
    }

    fn show(
        &self,
        show: Show,
        session: &LoggedIn,
        warnings: &[Refusal],
    ) -> Result<ResultSet, Refusal> {
        let parts = &self.parts;
        Ok(match show {
            Show::Status { scope, like } => {
                let rows = status::status(&self.facts(scope, session));
                show::values(scope, "status", rows, like.as_deref())
            }
            Show::Variables { scope, like } => {
                let rows = parts.variables.all();
                let rows = rows.map(|(name, value)| (name.to_owned(), value.to_owned()));
                show::values(scope, "variables", rows.collect(), like.as_deref())
            }
            Show::Processlist { full } => show::processlist(&parts.sessions.all(), full),
            Show::Certificates { full } => show::certificates(&parts.channels.views(), now(), full),
            Show::Backends { full } => show::backends(&parts.backends, &parts.sessions.all(), full),
            Show::Warnings => show::warnings(warnings),
            Show::Databases { like } => show::databases(like.as_deref()),
            Show::Tables {
                full,
                database,
                like,
            } => {
                let database = database.or_else(|| session.database.clone());
                let database = database.ok_or(Refusal::NoDatabase)?;
                show::tables(&database, full, like.as_deref())
            }
            Show::Users => show::users(&parts.rules.load(), &parts.backends),
            Show::CreateUser(account) => {
                let created = show::create_user(&parts.rules.load(), &account);
                created.ok_or_else(|| Refusal::Operation {
                    operation: "SHOW CREATE USER",
                    accounts: vec![account],
                    reason: DOES_NOT_EXIST,
                })?
            }
            Show::Denials { full } => show::denials(parts.sessions.denials(), full),
        })
    }

    /// What `SHOW STATUS` is made of.
    fn facts(&self, scope: Scope, session: &LoggedIn) -> status::Facts {
        let parts = &self.parts;
        status::Facts {
            uptime_seconds: parts.started.elapsed().as_secs(),
            route: parts.backends.routed().role(),
            live: parts.sessions.count(),
            totals: parts.sessions.totals(),
            admin_logins_failed: parts.logins.get(LoginResult::Denied),
            channels: parts.channels.views(),
            own_tls: session.tls.filter(|_| scope == Scope::Session),
        }
    }
}

/// The value of `SET GLOBAL route`.
fn role(value: Option<&str>) -> Result<Role, Refusal> {
    let text = value.unwrap_or_default();
    let named = Role::ALL
        .into_iter()
        .find(|role| role.name().eq_ignore_ascii_case(text));
    named.ok_or_else(|| Refusal::Route {
        to: text.to_owned(),
        reason: "it is source or target".to_owned(),
    })
}

fn unknown_channel(name: String) -> Refusal {
    let channels = ChannelName::ALL.map(|channel| channel.to_string());
    Refusal::UnknownChannel {
        name,
        channels: channels.join(", "),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
