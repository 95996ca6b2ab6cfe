//! Result sets in text form, as mytls itself answers.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html>

use std::borrow::Cow;

use super::capabilities::Capabilities;
use super::packet::{EOF, OK, put_length_encoded_bytes, put_length_encoded_integer};

/// `SERVER_STATUS_AUTOCOMMIT`
const STATUS: u16 = 2;
/// `utf8mb4_0900_ai_ci`; the collation of every text.
const UTF8MB4: u16 = 255;
/// The collation of what is no text.
const BINARY: u16 = 63;
/// The longest character of UTF-8, by which lengths in characters become lengths in bytes.
const BYTES_PER_CHARACTER: u32 = 4;
/// Stands for NULL in a row.
const NULL: u8 = 0xFB;

const NOT_NULL_FLAG: u16 = 0x0001;
const UNSIGNED_FLAG: u16 = 0x0020;
const BINARY_FLAG: u16 = 0x0080;
const NO_DEFAULT_VALUE_FLAG: u16 = 0x1000;

/// A column as MySQL describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    schema: &'static str,
    table: &'static str,
    name: Cow<'static, str>,
    kind: Kind,
    flags: u16,
    length_bytes: u32,
    decimals: u8,
}

/// Types of MySQL that mytls has values of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Long = 3,
    Null = 6,
    LongLong = 8,
    VarString = 253,
}

impl Column {
    fn new(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self {
            schema: "",
            table: "",
            name: name.into(),
            kind,
            flags: 0,
            length_bytes: 0,
            decimals: 0,
        }
    }

    /// Text of at most so many characters.
    pub fn text(name: impl Into<Cow<'static, str>>, characters: u32) -> Self {
        Self {
            length_bytes: characters.saturating_mul(BYTES_PER_CHARACTER),
            // of a text that is no column of a table: MySQL says "not fixed"
            decimals: 31,
            ..Self::new(name, Kind::VarString)
        }
    }

    /// A whole number of 64 bits, `digits` wide on a screen.
    pub fn number(name: impl Into<Cow<'static, str>>, digits: u32) -> Self {
        Self {
            flags: BINARY_FLAG,
            length_bytes: digits,
            ..Self::new(name, Kind::LongLong)
        }
    }

    /// One of 32 bits.
    pub fn small_number(name: impl Into<Cow<'static, str>>, digits: u32) -> Self {
        Self {
            kind: Kind::Long,
            ..Self::number(name, digits)
        }
    }

    /// `NULL` and nothing else.
    pub fn null(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            flags: BINARY_FLAG,
            ..Self::new(name, Kind::Null)
        }
    }

    /// Never NULL.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        self.flags |= NOT_NULL_FLAG;
        self
    }

    /// Never negative.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.flags |= UNSIGNED_FLAG;
        self
    }

    /// A column of this table.
    #[must_use]
    pub fn of(mut self, schema: &'static str, table: &'static str) -> Self {
        (self.schema, self.table, self.decimals) = (schema, table, 0);
        if self.flags & NOT_NULL_FLAG != 0 {
            self.flags |= NO_DEFAULT_VALUE_FLAG;
        }
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let (schema, table, name) = (self.schema, self.table, &*self.name);
        let original_name = if table.is_empty() { "" } else { name };
        for text in ["def", schema, table, table, name, original_name] {
            put_length_encoded_bytes(&mut payload, text.as_bytes());
        }
        let collation = if self.kind == Kind::VarString {
            UTF8MB4
        } else {
            BINARY
        };
        // the length of what follows
        payload.push(0x0C);
        payload.extend_from_slice(&collation.to_le_bytes());
        payload.extend_from_slice(&self.length_bytes.to_le_bytes());
        payload.push(self.kind as u8);
        payload.extend_from_slice(&self.flags.to_le_bytes());
        payload.extend_from_slice(&[self.decimals, 0, 0]);
        payload
    }
}

/// A value in a row; none is NULL.
pub type Value = Option<String>;

/// Columns and rows; every row has as many values as there are columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSet {
    /// At least one.
    pub columns: Vec<Column>,
    /// Their values.
    pub rows: Vec<Vec<Value>>,
}

impl ResultSet {
    /// The payloads, one after another, ended as the client asks for it by its flags.
    pub fn payloads(&self, client: Capabilities) -> impl Iterator<Item = Vec<u8>> + '_ {
        let deprecate_eof = client.contains(Capabilities::DEPRECATE_EOF);
        let mut count = Vec::new();
        put_length_encoded_integer(&mut count, self.columns.len() as u64);
        let between = (!deprecate_eof).then(eof);
        let end = if deprecate_eof {
            status_packet(EOF)
        } else {
            eof()
        };
        std::iter::once(count)
            .chain(self.columns.iter().map(Column::encode))
            .chain(between)
            .chain(self.rows.iter().map(|row| encode_row(row)))
            .chain(std::iter::once(end))
    }
}

fn encode_row(row: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    for value in row {
        match value {
            Some(text) => put_length_encoded_bytes(&mut payload, text.as_bytes()),
            None => payload.push(NULL),
        }
    }
    payload
}

/// An OK payload: nothing was changed, nothing is to be warned of.
pub fn ok() -> Vec<u8> {
    status_packet(OK)
}

/// An OK payload: it is done, and `SHOW WARNINGS` has so many things to say about it.
pub fn ok_with_warnings(count: u16) -> Vec<u8> {
    let [low, high] = STATUS.to_le_bytes();
    let [count_low, count_high] = count.to_le_bytes();
    vec![OK, 0, 0, low, high, count_low, count_high]
}

/// An EOF payload.
pub fn eof() -> Vec<u8> {
    let [low, high] = STATUS.to_le_bytes();
    vec![EOF, 0, 0, low, high]
}

fn status_packet(first: u8) -> Vec<u8> {
    let [low, high] = STATUS.to_le_bytes();
    vec![first, 0, 0, low, high, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> ResultSet {
        ResultSet {
            columns: vec![Column::number("1", 2).not_null()],
            rows: vec![vec![Some("1".to_owned())], vec![None]],
        }
    }

    // The column definition of `SELECT 1` is MySQL 9.7's own.
    const DEFINITION: &[u8] =
        b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x02\x00\x00\x00\x08\x81\x00\x00\x00\x00";

    #[test]
    fn a_result_ends_as_the_client_asks_for_it() {
        let old: Vec<_> = number().payloads(Capabilities::default()).collect();
        let new: Vec<_> = number().payloads(Capabilities::DEPRECATE_EOF).collect();
        let eof = b"\xfe\x00\x00\x02\x00".to_vec();
        let rows = [b"\x011".to_vec(), b"\xfb".to_vec()];
        assert_eq!(old[0], b"\x01");
        let [one, other] = rows.clone();
        assert_eq!(old[2..], [eof.clone(), one, other, eof]);
        let ok = b"\xfe\x00\x00\x02\x00\x00\x00".to_vec();
        assert_eq!(new[2..], [&rows[..], &[ok]].concat());
    }

    #[test]
    fn a_number_is_described_as_mysql_does() {
        let definition = number()
            .payloads(Capabilities::default())
            .nth(1)
            .expect("one column");
        assert_eq!(definition, DEFINITION);
    }
}
