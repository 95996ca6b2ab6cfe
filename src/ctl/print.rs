//! How answers look: a table for a terminal, values between tabs for scripts (as `mysql --batch` has them), JSON.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::failure::Failure;
use super::fleet::Reply;
use super::statements::Statement;
use crate::backend::query::{Answer, Column, Row, Table};
use crate::certs::printable;

/// What stands for no value where texts stand.
const NULL: &str = "NULL";

/// The column that names the server, where there are several.
const ADDRESS: &str = "Address";

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// In a frame, for people.
    Table,
    /// Tabs between values, for scripts.
    Batch,
    /// A line of JSON for each server.
    Json,
}

impl Form {
    /// What suits standard output.
    pub(super) fn usual() -> Self {
        if io::stdout().is_terminal() {
            Self::Table
        } else {
            Self::Batch
        }
    }
}

/// Prints answers.
#[derive(Debug)]
pub(super) struct Printer {
    form: Form,
    /// Each answer says whose it is.
    several: bool,
    /// The headings that the last lines of this statement stand below.
    headings: Vec<String>,
}

impl Printer {
    pub(super) fn new(form: Form, several: bool) -> Self {
        Self {
            form,
            several,
            headings: Vec::new(),
        }
    }

    /// Whether failures are among what is printed.
    pub(super) fn tells_failures(&self) -> bool {
        self.form == Form::Json
    }

    /// Another statement's answers come next.
    pub(super) fn begin(&mut self) {
        self.headings.clear();
    }

    /// One server's answer.
    pub(super) fn reply(
        &mut self,
        out: &mut impl Write,
        statement: &Statement,
        reply: &Reply,
    ) -> io::Result<()> {
        match (self.form, &reply.answer) {
            (Form::Json, _) => Line::of(statement, reply).write(out),
            (Form::Batch, Answer::Done(_)) => Ok(()),
            (Form::Batch, Answer::Rows(table)) if statement.vertical => vertical(out, table),
            (Form::Batch, Answer::Rows(table)) => self.batch(out, &reply.address, table),
            (Form::Table, answer) => {
                if self.several {
                    writeln!(out, "{}", printable(&reply.address))?;
                }
                match answer {
                    Answer::Done(_) => writeln!(out, "OK"),
                    Answer::Rows(table) if table.rows.is_empty() => writeln!(out, "Empty set"),
                    Answer::Rows(table) if statement.vertical => vertical(out, table),
                    Answer::Rows(table) => framed(out, table),
                }
            }
        }
    }

    /// One server's failure, where they are printed.
    pub(super) fn failure(
        out: &mut impl Write,
        statement: Option<&Statement>,
        failure: &Failure,
    ) -> io::Result<()> {
        Line {
            address: &failure.address,
            statement: statement.map(|statement| statement.sql.as_str()),
            content: Content::Failed(failure),
        }
        .write(out)
    }

    fn batch(&mut self, out: &mut impl Write, address: &str, table: &Table) -> io::Result<()> {
        let names = table.columns.iter().map(|column| escaped(&column.name));
        let whose = self.several.then_some(ADDRESS.to_owned());
        let headings: Vec<String> = whose.into_iter().chain(names).collect();
        if self.headings != headings {
            writeln!(out, "{}", headings.join("\t"))?;
            self.headings = headings;
        }
        for row in &table.rows {
            let whose = self.several.then_some(address.to_owned());
            let values = row.iter().map(|value| match value {
                Some(bytes) => escaped(&String::from_utf8_lossy(bytes)),
                None => NULL.to_owned(),
            });
            let line: Vec<String> = whose.into_iter().chain(values).collect();
            writeln!(out, "{}", line.join("\t"))?;
        }
        Ok(())
    }
}

/// As `mysql --batch` has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\0' => escaped.push_str("\\0"),
            '\\' => escaped.push_str("\\\\"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A value as a terminal may show it.
fn shown(value: Option<&[u8]>) -> String {
    value.map_or(NULL.to_owned(), |bytes| {
        printable(&String::from_utf8_lossy(bytes))
    })
}

fn framed(out: &mut impl Write, table: &Table) -> io::Result<()> {
    let headings: Vec<String> = table
        .columns
        .iter()
        .map(|column| printable(&column.name))
        .collect();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|value| shown(value.as_deref())).collect())
        .collect();
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        cells
            .chain(headings.get(place))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let rule = dashes.join("+");
    writeln!(out, "+{rule}+")?;
    write_cells(out, &headings, &widths, |_| false)?;
    writeln!(out, "+{rule}+")?;
    for row in &rows {
        let is_number = |place: usize| {
            let column: Option<&Column> = table.columns.get(place);
            column.is_some_and(|column| column.is_number)
        };
        write_cells(out, row, &widths, is_number)?;
    }
    writeln!(out, "+{rule}+")
}

/// Numbers stand to the right.
fn write_cells(
    out: &mut impl Write,
    cells: &[String],
    widths: &[usize],
    is_number: impl Fn(usize) -> bool,
) -> io::Result<()> {
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if is_number(place) {
            write!(out, "| {cell:>width$} ")?;
        } else {
            write!(out, "| {cell:<width$} ")?;
        }
    }
    writeln!(out, "|")
}

/// `\G`: a line for each value, names to the right.
fn vertical(out: &mut impl Write, table: &Table) -> io::Result<()> {
    let width = table
        .columns
        .iter()
        .map(|column| column.name.chars().count())
        .max()
        .unwrap_or_default();
    for (number, row) in table.rows.iter().enumerate() {
        let stars = "*".repeat(27);
        writeln!(out, "{stars} {}. row {stars}", number + 1)?;
        for (column, value) in table.columns.iter().zip(row) {
            let name = printable(&column.name);
            writeln!(out, "{name:>width$}: {}", shown(value.as_deref()))?;
        }
    }
    Ok(())
}

/// A line of JSON.
struct Line<'a> {
    address: &'a str,
    statement: Option<&'a str>,
    content: Content<'a>,
}

enum Content<'a> {
    Answered(&'a Reply),
    Failed(&'a Failure),
}

impl<'a> Line<'a> {
    fn of(statement: &'a Statement, reply: &'a Reply) -> Self {
        Self {
            address: &reply.address,
            statement: Some(&statement.sql),
            content: Content::Answered(reply),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("address", self.address)?;
        if let Some(statement) = self.statement {
            map.serialize_entry("statement", statement)?;
        }
        match self.content {
            Content::Answered(reply) => {
                match &reply.answer {
                    Answer::Done(ok) => map.serialize_entry("affected_rows", &ok.affected_rows)?,
                    Answer::Rows(table) => map.serialize_entry("rows", &Rows(table))?,
                }
                if !reply.warnings.is_empty() {
                    map.serialize_entry("warnings", &reply.warnings)?;
                }
            }
            Content::Failed(failure) => {
                if let Some(error) = failure.error.of_server() {
                    map.serialize_entry("code", &error.code)?;
                }
                map.serialize_entry("error", &failure.error.in_words())?;
            }
        }
        map.end()
    }
}

/// Objects, in the order of the columns.
struct Rows<'a>(&'a Table);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Table { columns, rows } = self.0;
        serializer.collect_seq(rows.iter().map(|row| Object { columns, row }))
    }
}

struct Object<'a> {
    columns: &'a [Column],
    row: &'a Row,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.columns.iter().zip(self.row);
        serializer.collect_map(
            values.map(|(column, value)| (&column.name, json(column, value.as_deref()))),
        )
    }
}

/// A number where the column has numbers and JSON can hold it.
fn json(column: &Column, value: Option<&[u8]>) -> serde_json::Value {
    let Some(bytes) = value else {
        return serde_json::Value::Null;
    };
    let text = String::from_utf8_lossy(bytes);
    let number = serde_json::from_str::<serde_json::Number>(&text);
    match number {
        Ok(number) if column.is_number => number.into(),
        _ => text.into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::query::QueryError;
    use crate::ctl::failure::AskError;
    use crate::protocol::err_packet::ErrPacket;
    use crate::protocol::ok_packet::OkPacket;

    const SHOW: &str = "SHOW BACKENDS";

    fn statement(vertical: bool) -> Statement {
        Statement {
            sql: SHOW.to_owned(),
            vertical,
        }
    }

    fn reply(address: &str, rows: &[(&str, Option<&str>)]) -> Reply {
        let column = |name: &str, is_number| Column {
            name: name.to_owned(),
            is_number,
        };
        let bytes = |text: &str| text.as_bytes().to_vec();
        let rows = rows
            .iter()
            .map(|(name, number)| vec![Some(bytes(name)), number.map(bytes)])
            .collect();
        Reply {
            address: address.to_owned(),
            answer: Answer::Rows(Table {
                columns: vec![column("Name", false), column("Value", true)],
                rows,
            }),
            warnings: Vec::new(),
        }
    }

    fn printed(form: Form, vertical: bool, replies: &[Reply]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(form, replies.len() > 1);
        for reply in replies {
            printer
                .reply(&mut out, &statement(vertical), reply)
                .expect("a vector takes all");
        }
        String::from_utf8(out).expect("text")
    }

    // What a server says must not move the cursor of whoever asks.
    #[test]
    fn a_terminal_is_shown_nothing_that_it_obeys() {
        let replies = [reply("a:1", &[("\u{1b}[2J\n", Some("1"))])];
        for vertical in [false, true] {
            let text = printed(Form::Table, vertical, &replies);
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }

    #[test]
    fn a_table_has_a_frame_and_numbers_to_the_right() {
        let replies = [reply("a:1", &[("one", Some("1")), ("Zoë", None)])];
        let expected = "\
+------+-------+
| Name | Value |
+------+-------+
| one  |     1 |
| Zoë  |  NULL |
+------+-------+
";
        assert_eq!(printed(Form::Table, false, &replies), expected);
    }

    // The escapes are those of the manual's page on --batch.
    #[test]
    fn a_script_gets_a_line_for_a_row() {
        let one = [reply("a:1", &[("a\tb\n\\", Some("1")), ("b", None)])];
        assert_eq!(
            printed(Form::Batch, false, &one),
            "Name\tValue\na\\tb\\n\\\\\t1\nb\tNULL\n"
        );
        let two = [
            reply("a:1", &[("x", Some("1"))]),
            reply("b:1", &[("x", Some("2"))]),
        ];
        assert_eq!(
            printed(Form::Batch, false, &two),
            "Address\tName\tValue\na:1\tx\t1\nb:1\tx\t2\n"
        );
    }

    #[test]
    fn vertical_has_a_line_for_a_value() {
        let text = printed(Form::Table, true, &[reply("a:1", &[("x", Some("1"))])]);
        let mut lines = text.lines().skip(1);
        assert_eq!(lines.next(), Some(" Name: x"));
        assert_eq!(lines.next(), Some("Value: 1"));
    }

    #[test]
    fn json_keeps_the_order_of_columns_and_numbers() {
        let replies = [reply(
            "a:1",
            &[("7", Some("18446744073709551615")), ("b", None)],
        )];
        assert_eq!(
            printed(Form::Json, false, &replies),
            "{\"address\":\"a:1\",\"statement\":\"SHOW BACKENDS\",\"rows\":[\
             {\"Name\":\"7\",\"Value\":18446744073709551615},{\"Name\":\"b\",\"Value\":null}]}\n"
        );
    }

    #[test]
    fn json_tells_of_failures_and_warnings() {
        let mut out = Vec::new();
        let failure = Failure {
            address: "a:1".to_owned(),
            error: AskError::Query(QueryError::Refused(ErrPacket::new(1235, "42000", "no"))),
        };
        Printer::failure(&mut out, Some(&statement(false)), &failure).expect("a vector takes all");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "{\"address\":\"a:1\",\"statement\":\"SHOW BACKENDS\",\"code\":1235,\
             \"error\":\"ERROR 1235 (42000): no\"}\n"
        );
        let done = Reply {
            address: "a:1".to_owned(),
            answer: Answer::Done(OkPacket {
                affected_rows: 0,
                warnings: 1,
            }),
            warnings: vec!["TLS is off".to_owned()],
        };
        assert_eq!(
            printed(Form::Json, false, &[done]),
            "{\"address\":\"a:1\",\"statement\":\"SHOW BACKENDS\",\"affected_rows\":0,\"warnings\":[\"TLS is off\"]}\n"
        );
    }
}
