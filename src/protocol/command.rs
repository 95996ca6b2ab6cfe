//! The closed table of the commands that are passed on: code, name and the form of the response.
//!
//! A command that is not here is never forwarded, because nobody could say where its response ends. Absent on
//! purpose: `COM_CLONE`, `COM_SUBSCRIBE_GROUP_REPLICATION_STREAM`, `COM_TABLE_DUMP`, `COM_CONNECT_OUT`, `COM_MULTI`, and
//! those that exist only inside the server (`COM_SLEEP`, `COM_DAEMON` …).
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>,
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html>; MariaDB's `COM_STMT_BULK_EXECUTE`:
//! <https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_bulk_execute>

/// What a backend answers to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseForm {
    /// Nothing at all.
    Silence,
    /// One packet: OK, EOF (older servers answer some commands so) or ERR.
    Status,
    /// One packet that is no OK, EOF or ERR, whatever its first byte is.
    Bare,
    /// One or more results: OK, LOCAL INFILE request or result set each; ERR ends them.
    Results,
    /// `COM_STMT_PREPARE_OK` with the definitions of parameters and columns, or ERR.
    Prepared,
    /// Rows without a column count, up to an EOF, OK or ERR.
    Rows,
    /// Column definitions without a count, up to an EOF, OK or ERR.
    Definitions,
    /// Events of the binary log, each behind a zero byte, up to an EOF, OK or ERR, or for as long as the session lives.
    Events,
    /// A login of its own. The tracker never sees it: the session carries it out.
    Login,
}

/// Writes the table once, as the enum, the look-up by code, the name and the form.
macro_rules! commands {
    ($($variant:ident $code:literal $name:literal $form:ident)*) => {
        /// A command that is passed on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Command {
            $(#[doc = concat!("`", $name, "`")] $variant = $code,)*
        }

        impl Command {
            /// The command of a packet's first byte, if it is in the table.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name that the manual gives it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The form of its response.
            pub const fn response(self) -> ResponseForm {
                match self {
                    $(Self::$variant => ResponseForm::$form,)*
                }
            }
        }
    };
}

commands! {
    Quit             0x01  "COM_QUIT"                 Silence
    InitDb           0x02  "COM_INIT_DB"              Status
    Query            0x03  "COM_QUERY"                Results
    FieldList        0x04  "COM_FIELD_LIST"           Definitions
    CreateDb         0x05  "COM_CREATE_DB"            Status
    DropDb           0x06  "COM_DROP_DB"              Status
    Refresh          0x07  "COM_REFRESH"              Status
    Shutdown         0x08  "COM_SHUTDOWN"             Status
    Statistics       0x09  "COM_STATISTICS"           Bare
    ProcessInfo      0x0a  "COM_PROCESS_INFO"         Results
    ProcessKill      0x0c  "COM_PROCESS_KILL"         Status
    Debug            0x0d  "COM_DEBUG"                Status
    Ping             0x0e  "COM_PING"                 Status
    ChangeUser       0x11  "COM_CHANGE_USER"          Login
    BinlogDump       0x12  "COM_BINLOG_DUMP"          Events
    RegisterSlave    0x15  "COM_REGISTER_SLAVE"       Status
    StmtPrepare      0x16  "COM_STMT_PREPARE"         Prepared
    StmtExecute      0x17  "COM_STMT_EXECUTE"         Results
    StmtSendLongData 0x18  "COM_STMT_SEND_LONG_DATA"  Silence
    StmtClose        0x19  "COM_STMT_CLOSE"           Silence
    StmtReset        0x1a  "COM_STMT_RESET"           Status
    SetOption        0x1b  "COM_SET_OPTION"           Status
    StmtFetch        0x1c  "COM_STMT_FETCH"           Rows
    BinlogDumpGtid   0x1e  "COM_BINLOG_DUMP_GTID"     Events
    ResetConnection  0x1f  "COM_RESET_CONNECTION"     Status
    StmtBulkExecute  0xfa  "COM_STMT_BULK_EXECUTE"    Results
}

impl Command {
    /// Whether four bytes with the number of a prepared statement follow the command byte.
    pub const fn names_statement(self) -> bool {
        matches!(
            self,
            Self::StmtExecute
                | Self::StmtBulkExecute
                | Self::StmtSendLongData
                | Self::StmtClose
                | Self::StmtReset
                | Self::StmtFetch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_the_tracker_cannot_follow_are_not_in_the_table() {
        let refused = [
            0x00, 0x0b, 0x0f, 0x10, 0x13, 0x14, 0x1d, 0x20, 0x21, 0x22, 0x7f, 0xef, 0xf0, 0xfb,
            0xfc, 0xfd, 0xfe, 0xff,
        ];
        for byte in refused {
            assert_eq!(Command::from_byte(byte), None, "{byte:#04x}");
        }
    }

    #[test]
    fn the_table_has_the_commands_of_the_manual_and_no_other() {
        let known: Vec<&str> = (0..=255)
            .filter_map(Command::from_byte)
            .map(Command::name)
            .collect();
        assert_eq!(
            known,
            [
                "COM_QUIT",
                "COM_INIT_DB",
                "COM_QUERY",
                "COM_FIELD_LIST",
                "COM_CREATE_DB",
                "COM_DROP_DB",
                "COM_REFRESH",
                "COM_SHUTDOWN",
                "COM_STATISTICS",
                "COM_PROCESS_INFO",
                "COM_PROCESS_KILL",
                "COM_DEBUG",
                "COM_PING",
                "COM_CHANGE_USER",
                "COM_BINLOG_DUMP",
                "COM_REGISTER_SLAVE",
                "COM_STMT_PREPARE",
                "COM_STMT_EXECUTE",
                "COM_STMT_SEND_LONG_DATA",
                "COM_STMT_CLOSE",
                "COM_STMT_RESET",
                "COM_SET_OPTION",
                "COM_STMT_FETCH",
                "COM_BINLOG_DUMP_GTID",
                "COM_RESET_CONNECTION",
                "COM_STMT_BULK_EXECUTE",
            ]
        );
    }
}
