//! A server's grant tables: what the scripted backend answers whoever reads its accounts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::Server;
use super::conversation::{Answer, Conversation};
use super::packet::{COLUMN, EOF, Packet, err, text, text_row};

/// The answer to a statement that reads accounts.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These rows; `None` is NULL.
    Rows(Vec<Vec<Option<Vec<u8>>>>),
    /// An ERR with this code.
    Error(u16),
    /// The first row, and the connection is closed.
    Lost(Vec<Option<Vec<u8>>>),
    /// The connection is closed at once.
    Closed,
    /// One packet that is none of a result's.
    Garbage,
    /// Rows of one value of so many bytes, this many times.
    Long(usize, usize),
}

/// What a server says of its accounts; may be changed while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Grants(Arc<Mutex<Reply>>);

impl Grants {
    pub(crate) fn new(reply: Reply) -> Self {
        Self(Arc::new(Mutex::new(reply)))
    }

    /// Rows as written here: `NULL` is NULL.
    pub(crate) fn rows<const N: usize>(rows: &[[&str; N]]) -> Self {
        Self::new(Reply::rows(rows))
    }

    pub(crate) fn set(&self, reply: Reply) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// The server, with these accounts.
    pub(crate) fn of(&self, server: Server) -> Server {
        let grants = self.clone();
        server.on_command(move |conversation, command| grants.answer(conversation, command))
    }

    /// Answers statements about accounts, and `SET`; whatever else is asked is not its own.
    pub(crate) fn answer(
        &self,
        conversation: &mut Conversation,
        command: &Packet,
    ) -> io::Result<Answer> {
        let Some(statement) = command.payload.strip_prefix(&[0x03]) else {
            return Ok(Answer::Ordinary);
        };
        let statement = text(statement);
        if statement.starts_with("SET ") {
            conversation.send(&super::packet::ok(2))?;
            return Ok(Answer::Done);
        }
        if !statement.contains("FROM mysql.user") {
            return Ok(Answer::Ordinary);
        }
        let reply = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match reply {
            Reply::Rows(rows) => {
                let columns = rows.first().map_or(7, Vec::len);
                begin(conversation, columns)?;
                for row in rows {
                    send_row(conversation, &row)?;
                }
                conversation.send(EOF)?;
            }
            Reply::Error(code) => {
                conversation.send(&err(code, "42000", "command denied to user"))?;
            }
            Reply::Lost(row) => {
                begin(conversation, row.len())?;
                send_row(conversation, &row)?;
                return Ok(Answer::Close);
            }
            Reply::Closed => return Ok(Answer::Close),
            Reply::Garbage => conversation.send(&[0x00])?,
            Reply::Long(bytes, times) => {
                begin(conversation, 1)?;
                for _ in 0..times {
                    send_row(conversation, &[Some(vec![b'a'; bytes])])?;
                }
                conversation.send(EOF)?;
            }
        }
        Ok(Answer::Done)
    }
}

impl Reply {
    /// As [`Grants::rows`].
    pub(crate) fn rows<const N: usize>(rows: &[[&str; N]]) -> Self {
        Self::Rows(rows.iter().map(|row| values(row)).collect())
    }

    /// Only the first row arrives.
    pub(crate) fn lost_behind<const N: usize>(row: &[&str; N]) -> Self {
        Self::Lost(values(row))
    }
}

fn values(row: &[&str]) -> Vec<Option<Vec<u8>>> {
    row.iter()
        .map(|value| (*value != "NULL").then(|| value.as_bytes().to_vec()))
        .collect()
}

/// Column count and definitions, with the EOF that clients without `DEPRECATE_EOF` get.
fn begin(conversation: &mut Conversation, columns: usize) -> io::Result<()> {
    conversation.send(&[u8::try_from(columns).expect("few columns")])?;
    for _ in 0..columns {
        conversation.send(COLUMN)?;
    }
    conversation.send(EOF)
}

fn send_row(conversation: &mut Conversation, row: &[Option<Vec<u8>>]) -> io::Result<()> {
    let values: Vec<_> = row.iter().map(Option::as_deref).collect();
    conversation.send(&text_row(&values))
}
