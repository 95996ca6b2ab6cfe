//! The grammar of responses: what the next packet is due to be, and what a packet means at its place.

use super::super::command::{Command, ResponseForm};
use super::super::response::{FIRST_BYTE_OF_END, FirstPacket, Form, Head, PrepareOk, Status};

/// A backend's packet by its place in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Due {
    /// The first packet of a response.
    #[default]
    Response,
    /// The first packet of a further result.
    NextResult,
    /// A definition, the first of so many that stand before something else.
    Definitions(u64, Before),
    /// The EOF behind definitions.
    EndOfDefinitions(Before),
    /// A row, or what ends the rows.
    Rows,
    /// An event of the binary log, or what ends them.
    Events,
}

/// What definitions stand before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The rows of a result set.
    Rows,
    /// So many definitions of a prepared statement's columns.
    Columns(u16),
    /// The end of the response.
    Nothing,
}

/// What the end of a backend's packet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum After {
    /// More of the same is due.
    #[default]
    Stay,
    /// Something else is due.
    Next(Due),
    /// The response has ended without an OK or EOF.
    Done,
    /// An OK or EOF has ended a result, and with it the response unless the flags say that more follows.
    Ended(Status),
    /// An ERR has ended the response.
    Failed,
    /// The client is to send a file.
    File,
    /// An ERR with this number answers no command: the backend has ended the session.
    Unasked(u16),
}

impl Due {
    /// What a packet that is no ERR means at this place of the response to `command`.
    pub(super) fn meaning(
        self,
        form: Form,
        command: Command,
        head: Head<'_>,
    ) -> Result<After, &'static str> {
        Ok(match self {
            Due::Rows => match head.end_of_rows(form)? {
                Some(status) => After::Ended(status),
                None => After::Stay,
            },
            Due::Definitions(left, before) => {
                definitions_left(form, left.saturating_sub(1), before)
            }
            Due::EndOfDefinitions(before) => {
                let status = head.end_of_definitions()?;
                match before {
                    // The rows stay behind the cursor.
                    Before::Rows if command == Command::StmtExecute && status.cursor_exists() => {
                        After::Ended(status)
                    }
                    Before::Nothing => After::Ended(status),
                    Before::Rows | Before::Columns(_) => behind_definitions(form, before),
                }
            }
            Due::Events => event(head, After::Stay)?,
            Due::NextResult => first_of_result(form, head)?,
            Due::Response => match command.response() {
                ResponseForm::Results => first_of_result(form, head)?,
                ResponseForm::Status => After::Ended(head.status()?),
                ResponseForm::Bare => After::Done,
                ResponseForm::Rows | ResponseForm::Definitions => match head.end_of_rows(form)? {
                    Some(status) => After::Ended(status),
                    None => After::Next(Due::Rows),
                },
                ResponseForm::Events => event(head, After::Next(Due::Events))?,
                ResponseForm::Prepared => behind_prepare_ok(form, head.prepare_ok(form)?),
                ResponseForm::Silence | ResponseForm::Login => return Err("it has none"),
            },
        })
    }
}

/// What the first packet of a result means.
fn first_of_result(form: Form, head: Head<'_>) -> Result<After, &'static str> {
    Ok(match head.first_of_result(form)? {
        FirstPacket::Ok(status) => After::Ended(status),
        FirstPacket::LocalInfile => After::File,
        FirstPacket::Columns { definitions } => definitions_left(form, definitions, Before::Rows),
    })
}

/// What a packet of the binary log means.
///
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_stream.html>
fn event(head: Head<'_>, more: After) -> Result<After, &'static str> {
    match head.payload.first() {
        Some(0x00) => Ok(more),
        Some(&FIRST_BYTE_OF_END) => Ok(After::Ended(head.status()?)),
        _ => Err("it is no event of the binary log"),
    }
}

/// What follows `COM_STMT_PREPARE_OK`.
fn behind_prepare_ok(form: Form, prepared: PrepareOk) -> After {
    let definitions = |count| if prepared.has_definitions { count } else { 0 };
    let columns = definitions(prepared.columns);
    match (prepared.parameters, prepared.columns) {
        (0, 0) => After::Done,
        (0, _) => definitions_left(form, u64::from(columns), Before::Nothing),
        (parameters, has_columns) => {
            let before = if has_columns == 0 {
                Before::Nothing
            } else {
                Before::Columns(columns)
            };
            definitions_left(form, u64::from(definitions(parameters)), before)
        }
    }
}

/// What follows when so many definitions are left.
fn definitions_left(form: Form, left: u64, before: Before) -> After {
    match left {
        0 if form.deprecate_eof => behind_definitions(form, before),
        0 => After::Next(Due::EndOfDefinitions(before)),
        _ => After::Next(Due::Definitions(left, before)),
    }
}

/// What follows the last definition and its EOF.
fn behind_definitions(form: Form, before: Before) -> After {
    match before {
        Before::Rows => After::Next(Due::Rows),
        Before::Columns(columns) => definitions_left(form, u64::from(columns), Before::Nothing),
        Before::Nothing => After::Done,
    }
}
