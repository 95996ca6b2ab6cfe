//! A statement of our own on a connection to a server, and its answer. For answers of a few packets: everything is kept.

use thiserror::Error;

use crate::net::stream::{Stream, StreamError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::ok_packet::OkPacket;
use crate::protocol::packet::{Malformed, PayloadReader};
use crate::protocol::response::{Failure, FirstPacket, Form, HEAD_BYTES, Head};

/// One row: each value as the server's text, `None` for NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// What a statement is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done, and has no rows.
    Done(OkPacket),
    /// Its rows, none perhaps.
    Rows(Table),
}

impl Answer {
    /// The rows; of a statement that has none, none.
    pub fn into_rows(self) -> Vec<Row> {
        match self {
            Self::Done(_) => Vec::new(),
            Self::Rows(table) => table.rows,
        }
    }
}

/// Columns and rows. A server that breaks the protocol may send a row of another length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// In the order of the values.
    pub columns: Vec<Column>,
    /// In the server's order.
    pub rows: Vec<Row>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether its values are numbers.
    pub is_number: bool,
}

/// What stands for NULL where a value's length would be.
const NULL: u8 = 0xFB;

/// The types of numbers: `DECIMAL`, `TINY` to `DOUBLE`, `LONGLONG`, `INT24`, `YEAR`, `NEWDECIMAL`.
///
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html>
const NUMBERS: [u8; 10] = [0, 1, 2, 3, 4, 5, 8, 9, 13, 246];

/// Column definitions are shorter.
const DEFINITION_BYTES: usize = 64 * 1024;

/// Why there are no rows. After any but [`QueryError::Refused`] the connection is of no more use.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The backend's ERR.
    #[error("{} {}", .0.code, .0.message)]
    Refused(ErrPacket),
    /// The connection failed.
    #[error("{}", .0.in_words())]
    Stream(#[from] StreamError),
    /// No answer as the protocol has them.
    #[error("the backend's answer cannot be read: {0}")]
    Answer(&'static str),
    /// The same, within a packet.
    #[error("the backend's answer cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// More than the caller takes.
    #[error("the backend's answer is longer than {most_bytes} bytes")]
    TooLong {
        /// What it takes.
        most_bytes: usize,
    },
}

/// Runs one statement as [`ask`] does, and keeps its rows alone.
///
/// Not cancel safe: half an answer stays on the connection.
pub async fn query(
    backend: &mut Stream,
    granted: Capabilities,
    statement: &str,
    most_bytes: usize,
) -> Result<Vec<Row>, QueryError> {
    ask(backend, granted, statement, most_bytes)
        .await
        .map(Answer::into_rows)
}

/// Runs one statement on a connection that is between commands. `granted` is what both sides of it speak; the text is in
/// its character set. Rows of more than `most_bytes` in all are an error.
///
/// Not cancel safe: half an answer stays on the connection.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>
pub async fn ask(
    backend: &mut Stream,
    granted: Capabilities,
    statement: &str,
    most_bytes: usize,
) -> Result<Answer, QueryError> {
    let form = Form::of(granted);
    let mut command = vec![Command::Query as u8];
    if granted.contains(Capabilities::QUERY_ATTRIBUTES) {
        // no attributes, in one set
        command.extend_from_slice(&[0, 1]);
    }
    command.extend_from_slice(statement.as_bytes());
    backend.set_next_sequence(0);
    backend.write_packet(&command).await?;

    let first = read(backend, DEFINITION_BYTES).await?;
    let definitions = match head(&first)
        .first_of_result(form)
        .map_err(QueryError::Answer)?
    {
        FirstPacket::Ok(_) => return Ok(Answer::Done(OkPacket::decode(&first)?)),
        FirstPacket::LocalInfile => return Err(QueryError::Answer("it asks for a file")),
        FirstPacket::Columns { definitions } => definitions,
    };
    let mut columns = Vec::new();
    for _ in 0..definitions {
        columns.push(column(&read(backend, DEFINITION_BYTES).await?)?);
    }
    if !form.deprecate_eof {
        let packet = read(backend, DEFINITION_BYTES).await?;
        head(&packet)
            .end_of_definitions()
            .map_err(QueryError::Answer)?;
    }
    let mut rows = Vec::new();
    let mut left = most_bytes;
    loop {
        let packet = match read(backend, left).await {
            Err(QueryError::Stream(StreamError::TooLarge { .. })) => {
                return Err(QueryError::TooLong { most_bytes });
            }
            other => other?,
        };
        if let Some(status) = head(&packet)
            .end_of_rows(form)
            .map_err(QueryError::Answer)?
        {
            return if status.more_results() {
                Err(QueryError::Answer("it has more than one result"))
            } else {
                Ok(Answer::Rows(Table { columns, rows }))
            };
        }
        left = left.saturating_sub(packet.len());
        rows.push(row(&packet)?);
    }
}

/// One packet that is neither ERR nor a report of progress.
async fn read(backend: &mut Stream, most_bytes: usize) -> Result<Vec<u8>, QueryError> {
    loop {
        let packet = backend.read_packet(most_bytes).await?;
        match head(&packet).failure().map_err(QueryError::Answer)? {
            None => return Ok(packet),
            Some(Failure::Progress) => {}
            Some(Failure::Error { .. }) => {
                return Err(QueryError::Refused(ErrPacket::decode(&packet)?));
            }
        }
    }
}

fn head(packet: &[u8]) -> Head<'_> {
    Head {
        payload_bytes: packet.len(),
        payload: &packet[..packet.len().min(HEAD_BYTES)],
    }
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html>
fn column(packet: &[u8]) -> Result<Column, Malformed> {
    let mut reader = PayloadReader::new(packet);
    for field in ["catalog", "schema", "table", "original table"] {
        reader.length_encoded_bytes(field)?;
    }
    let name = reader.length_encoded_bytes("column name")?;
    reader.length_encoded_bytes("original column name")?;
    // the length of what follows, character set, length in bytes
    reader.bytes(1 + 2 + 4, "column definition")?;
    Ok(Column {
        name: String::from_utf8_lossy(name).into_owned(),
        is_number: NUMBERS.contains(&reader.u8("column type")?),
    })
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html>
fn row(packet: &[u8]) -> Result<Row, Malformed> {
    let mut reader = PayloadReader::new(packet);
    let mut row = Row::new();
    while !reader.is_empty() {
        let mut ahead = reader;
        row.push(if ahead.u8("value")? == NULL {
            reader = ahead;
            None
        } else {
            Some(reader.length_encoded_bytes("value")?.to_vec())
        });
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_cut_short_is_refused() {
        for packet in [&b"\x04abc"[..], b"\x01a\xfc\x00", b"\xff"] {
            assert!(row(packet).is_err(), "{packet:?}");
        }
    }

    #[test]
    fn a_column_definition_that_is_cut_short_is_refused() {
        let whole = b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x02\x00\x00\x00\x08";
        for length in 0..whole.len() {
            assert!(column(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    // Both are MySQL 9.7's own: of `SELECT 1` and of `SELECT CURRENT_USER()`.
    #[test]
    fn a_column_has_a_name_and_perhaps_numbers() {
        let number =
            b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x02\x00\x00\x00\x08\x81\x00\x00\x00\x00";
        let text = b"\x03def\x00\x00\x00\x0eCURRENT_USER()\x00\x0c\xff\x00\x80\x04\x00\x00\xfd\x01\x00\x1f\x00\x00";
        for (definition, name, is_number) in [
            (&number[..], "1", true),
            (&text[..], "CURRENT_USER()", false),
        ] {
            let name = name.to_owned();
            assert_eq!(column(definition), Ok(Column { name, is_number }));
        }
    }

    #[test]
    fn a_row_has_texts_and_nulls() {
        // the form that the manual gives
        assert_eq!(
            row(b"\x03app\xfb\x00\x01%"),
            Ok(vec![
                Some(b"app".to_vec()),
                None,
                Some(Vec::new()),
                Some(b"%".to_vec())
            ])
        );
    }
}
