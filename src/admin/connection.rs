//! A connection that has logged in: one command after another, each answered before the next is read.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::AdminPort;
use super::answer::Answer;
use super::login::LoggedIn;
use super::parser::parse;
use super::refusal::Refusal;
use super::statement::{KillTarget, Show, Statement};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::result_set::{eof, ok, ok_with_warnings};

/// The longest command; `max_allowed_packet`. Far more than any statement needs.
const COMMAND_BYTES: usize = 128 * 1024;
/// A connection that says nothing for so long is closed; `wait_timeout`.
const IDLE: Duration = Duration::from_secs(8 * 60 * 60);
/// What a client has to take an answer; `net_write_timeout`.
const WRITE: Duration = Duration::from_secs(60);
/// So much of an answer is gathered before it is sent.
const CHUNK_BYTES: usize = 64 * 1024;

/// One connection.
pub(super) struct Connection<'a> {
    port: &'a AdminPort,
    client: Stream,
    session: LoggedIn,
    /// Of the last statement.
    warnings: Vec<Refusal>,
}

/// Why a connection ends.
enum End {
    /// The client has said goodbye, or is gone.
    Left,
    /// It does not read its answers.
    Stalled,
    /// It reads why.
    Told(ErrPacket),
    /// mytls ends.
    Stopped,
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::TooLarge { .. } => Self::Told(ErrPacket::new(
                1153,
                "08S01",
                "Got a packet bigger than 'max_allowed_packet' bytes",
            )),
            StreamError::Sequence { .. } => {
                Self::Told(ErrPacket::new(1156, "08S01", "Got packets out of order"))
            }
            StreamError::Closed(_)
            | StreamError::Io(..)
            | StreamError::Tls(..)
            // it offers no compression
            | StreamError::Frame(..) => Self::Left,
        }
    }
}

impl<'a> Connection<'a> {
    pub(super) fn new(port: &'a AdminPort, client: Stream, session: LoggedIn) -> Self {
        Self {
            port,
            client,
            session,
            warnings: Vec::new(),
        }
    }

    /// Answers commands until the client leaves.
    pub(super) async fn serve(mut self) {
        let end = loop {
            if let Err(end) = self.command().await {
                break end;
            }
        };
        let (id, user) = (self.session.id, &self.session.user);
        match end {
            End::Left => info!(id, user, "admin logged out"),
            End::Stalled => warn!(id, user, "admin logged out: it does not read its answers"),
            End::Stopped => info!(id, user, "admin logged out: mytls ends"),
            End::Told(error) => {
                warn!(id, user, error = error.message, "admin logged out");
                // it is closed next, either way
                let _ = self.client.queue_packet(&error.encode());
            }
        }
        self.client.close().await;
    }

    /// Reads a command and answers it.
    async fn command(&mut self) -> Result<(), End> {
        self.client.set_next_sequence(0);
        let packet = tokio::select! {
            packet = timeout(IDLE, self.client.read_packet(COMMAND_BYTES)) => match packet {
                Ok(packet) => packet?,
                Err(_) => return Err(End::Left),
            },
            () = self.port.parts.stop.cancelled() => return Err(End::Stopped),
        };
        let (code, arguments) = packet.split_first().unwrap_or((&0, &[]));
        match Command::from_byte(*code) {
            Some(Command::Quit) => Err(End::Left),
            Some(Command::Query) => {
                let answer = self.query(arguments).await;
                self.answer(answer).await
            }
            Some(Command::InitDb) => {
                let database = String::from_utf8_lossy(arguments).into_owned();
                let answer = self.execute(Statement::Use(database)).await;
                self.answer(answer).await
            }
            Some(Command::ProcessInfo) => {
                let show = Statement::Show(Show::Processlist { full: false });
                let answer = self.execute(show).await;
                self.answer(answer).await
            }
            Some(Command::ProcessKill) => {
                let answer = self.process_kill(arguments).await;
                self.answer(answer).await
            }
            Some(Command::Shutdown) => {
                let answer = self.execute(Statement::Shutdown).await;
                self.answer(answer).await
            }
            Some(Command::FieldList) => {
                let table = arguments.split(|byte| *byte == 0).next();
                let table = String::from_utf8_lossy(table.unwrap_or_default()).into_owned();
                self.answer(Err(Refusal::UnknownTable(table))).await
            }
            Some(Command::Ping | Command::ResetConnection) => self.write(&[ok()]).await,
            Some(Command::SetOption) => self.write(&[eof()]).await,
            Some(Command::Statistics) => {
                let text = self.port.statistics().into_bytes();
                self.write(&[text]).await
            }
            Some(Command::StmtPrepare) => self.answer(Err(Refusal::Prepared)).await,
            // nothing was prepared, and they get no answer
            Some(Command::StmtClose | Command::StmtSendLongData) => Ok(()),
            Some(
                Command::CreateDb
                | Command::DropDb
                | Command::Refresh
                | Command::Debug
                | Command::ChangeUser
                | Command::BinlogDump
                | Command::BinlogDumpGtid
                | Command::RegisterSlave
                | Command::StmtExecute
                | Command::StmtBulkExecute
                | Command::StmtReset
                | Command::StmtFetch,
            )
            | None => self.answer(Err(Refusal::UnknownCommand)).await,
        }
    }

    async fn query(&mut self, text: &[u8]) -> Result<Answer, Refusal> {
        let sql = std::str::from_utf8(text).map_err(|_| Refusal::NotUtf8)?;
        let statement = parse(sql)?;
        self.execute(statement).await
    }

    async fn process_kill(&mut self, arguments: &[u8]) -> Result<Answer, Refusal> {
        let id: [u8; 4] = arguments.try_into().map_err(|_| Refusal::UnknownCommand)?;
        let kill = Statement::Kill {
            target: KillTarget::Connection,
            id: u32::from_le_bytes(id).into(),
        };
        self.execute(kill).await
    }

    async fn execute(&mut self, statement: Statement) -> Result<Answer, Refusal> {
        if statement.changes_something() {
            let (id, user) = (self.session.id, &self.session.user);
            let statement = statement.to_string();
            info!(id, user, statement, "admin statement");
        }
        let asks_for_warnings = statement == Statement::Show(Show::Warnings);
        let answer = self
            .port
            .execute(statement, &mut self.session, &self.warnings)
            .await;
        if !asks_for_warnings {
            self.warnings.clear();
        }
        answer
    }

    async fn answer(&mut self, answer: Result<Answer, Refusal>) -> Result<(), End> {
        match answer {
            Ok(Answer::Done) => self.write(&[ok()]).await,
            Ok(Answer::Warned(warnings)) => {
                let count = u16::try_from(warnings.len()).unwrap_or(u16::MAX);
                self.warnings = warnings;
                self.write(&[ok_with_warnings(count)]).await
            }
            Ok(Answer::Rows(rows)) => {
                let payloads: Vec<_> = rows.payloads(self.session.capabilities).collect();
                self.write(&payloads).await
            }
            Err(refusal) => {
                let packet = refusal.packet().encode();
                self.warnings = vec![refusal];
                self.write(&[packet]).await
            }
        }
    }

    /// Writes an answer. A client that does not read it in time is cut off: it holds the whole of it in our memory.
    async fn write(&mut self, payloads: &[Vec<u8>]) -> Result<(), End> {
        let client = &mut self.client;
        let writing = async {
            let mut gathered = 0;
            for payload in payloads {
                client.queue_packet(payload)?;
                gathered += payload.len();
                if gathered > CHUNK_BYTES {
                    client.flush().await?;
                    gathered = 0;
                }
            }
            client.flush().await
        };
        match timeout(WRITE, writing).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Stalled),
        }
    }
}
