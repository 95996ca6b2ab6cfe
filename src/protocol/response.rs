//! What the first bytes of a backend's packet say: OK, EOF, ERR, counts of definitions, status flags.
//!
//! Only what the tracker needs to find the end of a response; nothing here reads a value, a name or a message.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html>

use super::capabilities::Capabilities;
use super::ok_packet::status_of_ok;
use super::packet::{MAX_PAYLOAD_BYTES, PayloadReader};

/// No packet has to be seen further than this: an OK with its header, two integers of nine bytes, and the flags.
pub const HEAD_BYTES: usize = 1 + 9 + 9 + 2;

/// What an EOF, or an OK in its place, starts with. Only rows with a huge first value, and ERR, start with as much.
pub const FIRST_BYTE_OF_END: u8 = 0xfe;

/// An EOF packet is shorter than this. A longer packet with its first byte is a row with a huge first value.
const EOF_BYTES_LIMIT: usize = 9;

/// An EOF packet's header, warnings and flags.
const EOF_BYTES: usize = 5;

/// Status flags, as an OK or EOF packet carries them.
///
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// `SERVER_STATUS_IN_TRANS`: a transaction is open.
    pub const fn in_transaction(self) -> bool {
        self.0 & 0x0001 != 0
    }

    /// `SERVER_MORE_RESULTS_EXISTS`: another result of the same command follows.
    pub const fn more_results(self) -> bool {
        self.0 & 0x0008 != 0
    }

    /// `SERVER_STATUS_CURSOR_EXISTS`: a cursor was opened; its rows must be fetched.
    pub const fn cursor_exists(self) -> bool {
        self.0 & 0x0040 != 0
    }

    /// `SERVER_STATUS_LAST_ROW_SENT`: the cursor has given its last row and is closed.
    pub const fn last_row_sent(self) -> bool {
        self.0 & 0x0080 != 0
    }
}

/// What the capabilities of a session change in the form of its responses, and of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the protocol, by its name"
)]
pub struct Form {
    /// `CLIENT_DEPRECATE_EOF`: no EOF after definitions, and an OK in place of the EOF after rows.
    pub deprecate_eof: bool,
    /// `CLIENT_OPTIONAL_RESULTSET_METADATA` (MySQL): a byte after a column count, and one at the end of
    /// `COM_STMT_PREPARE_OK`, says whether definitions follow.
    pub optional_metadata: bool,
    /// `MARIADB_CLIENT_CACHE_METADATA` (MariaDB, extended): a byte after a column count says whether definitions
    /// follow.
    pub cache_metadata: bool,
    /// `CLIENT_QUERY_ATTRIBUTES` (MySQL): the text of a `COM_QUERY` stands behind parameters.
    pub query_attributes: bool,
}

impl Form {
    /// That of a session in which these capabilities were granted.
    pub fn of(granted: Capabilities) -> Self {
        Self {
            deprecate_eof: granted.contains(Capabilities::DEPRECATE_EOF),
            optional_metadata: granted.contains(Capabilities::OPTIONAL_RESULTSET_METADATA),
            cache_metadata: granted.contains(Capabilities::MARIADB_CACHE_METADATA),
            query_attributes: granted.contains(Capabilities::QUERY_ATTRIBUTES),
        }
    }
}

/// The first packet of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstPacket {
    /// No rows: the result is over.
    Ok(Status),
    /// The backend wants a file from the client.
    LocalInfile,
    /// A result set with this many columns; so many definitions follow.
    Columns {
        /// Definitions to come: as many as columns, or none where metadata were left out.
        definitions: u64,
    },
}

/// `COM_STMT_PREPARE_OK`, as far as it tells what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrepareOk {
    /// The number that the backend gave to the statement.
    pub statement: u32,
    /// Parameters that the statement has.
    pub parameters: u16,
    /// Columns of its rows.
    pub columns: u16,
    /// Whether they are defined; the EOF behind each kind of definition comes even where those are left out.
    pub has_definitions: bool,
}

/// How a backend reports a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The command failed; its response is over.
    Error {
        /// The server's error number.
        code: u16,
    },
    /// MariaDB's progress report, which looks like an ERR with the code 0xFFFF and ends nothing.
    Progress,
}

/// A packet's length and first bytes.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Length of the payload, without the parts that follow a full packet.
    pub payload_bytes: usize,
    /// The first [`HEAD_BYTES`] bytes of the payload, or all of it.
    pub payload: &'a [u8],
}

impl Head<'_> {
    /// An ERR packet. No row, count or definition starts with its first byte.
    pub fn failure(&self) -> Result<Option<Failure>, &'static str> {
        match *self.payload {
            [0xff, 0xff, 0xff, ..] => Ok(Some(Failure::Progress)),
            [0xff, low, high, ..] => Ok(Some(Failure::Error {
                code: u16::from_le_bytes([low, high]),
            })),
            [0xff, ..] => Err("an ERR packet is cut short"),
            _ => Ok(None),
        }
    }

    /// The packet that ends rows or definitions: EOF, or OK with EOF's first byte. `None`: it is a row.
    ///
    /// A row whose first value is 16 MiB long has that first byte too, and then fills its packet.
    pub fn end_of_rows(&self, form: Form) -> Result<Option<Status>, &'static str> {
        let limit = if form.deprecate_eof {
            MAX_PAYLOAD_BYTES
        } else {
            EOF_BYTES_LIMIT
        };
        match self.payload.first() {
            None => Err("a row is empty"),
            Some(&FIRST_BYTE_OF_END) if self.payload_bytes < limit => self.end_status().map(Some),
            Some(_) => Ok(None),
        }
    }

    /// The EOF that divides definitions from what follows.
    pub fn end_of_definitions(&self) -> Result<Status, &'static str> {
        match self.payload.first() {
            Some(&FIRST_BYTE_OF_END) if self.payload_bytes < EOF_BYTES_LIMIT => self.end_status(),
            _ => Err("no EOF packet follows the definitions"),
        }
    }

    /// The answer to a command that has no result: OK or EOF.
    pub fn status(&self) -> Result<Status, &'static str> {
        match self.payload.first() {
            Some(0x00) => self.ok_status(),
            Some(&FIRST_BYTE_OF_END) => self.end_status(),
            _ => Err("the response is neither OK, EOF nor ERR"),
        }
    }

    /// The first packet of a result.
    pub fn first_of_result(&self, form: Form) -> Result<FirstPacket, &'static str> {
        match self.payload.first() {
            Some(0x00) => return Ok(FirstPacket::Ok(self.ok_status()?)),
            Some(0xfb) => return Ok(FirstPacket::LocalInfile),
            _ => {}
        }
        let mut reader = PayloadReader::new(self.payload);
        let columns = reader
            .length_encoded_integer("column count")
            .map_err(|_| "a column count is cut short")?;
        let definitions = match (form.optional_metadata || form.cache_metadata, reader.rest()) {
            (false, _) | (true, [1, ..]) => columns,
            (true, [0, ..]) => 0,
            (true, _) => return Err("a column count does not say whether definitions follow"),
        };
        Ok(FirstPacket::Columns { definitions })
    }

    /// The first packet of the response to `COM_STMT_PREPARE`.
    ///
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html>
    pub fn prepare_ok(&self, form: Form) -> Result<PrepareOk, &'static str> {
        let [0x00, s0, s1, s2, s3, c0, c1, p0, p1, _filler, rest @ ..] = self.payload else {
            return Err("a COM_STMT_PREPARE_OK packet is malformed");
        };
        Ok(PrepareOk {
            statement: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
            parameters: u16::from_le_bytes([*p0, *p1]),
            columns: u16::from_le_bytes([*c0, *c1]),
            has_definitions: !(form.optional_metadata && matches!(rest, [_, _, 0, ..])),
        })
    }

    /// Flags of an EOF, or of an OK with EOF's first byte: EOF has five bytes, OK at least seven.
    fn end_status(&self) -> Result<Status, &'static str> {
        match *self.payload {
            [_, _, _, low, high] if self.payload_bytes == EOF_BYTES => {
                Ok(Status(u16::from_le_bytes([low, high])))
            }
            _ => self.ok_status(),
        }
    }

    /// Flags of an OK: they stand behind two integers.
    fn ok_status(&self) -> Result<Status, &'static str> {
        status_of_ok(self.payload)
            .map(Status)
            .map_err(|_| "an OK or EOF packet is malformed")
    }
}
