//! Where each kind of response ends. Behind every command stands one that is not known: it must be answered after the
//! whole response of the first, and nothing of that may be missing or left over.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Answer;
use crate::support::handshake::Login;
use crate::support::packet::{COLUMN, err, flag, length_encoded, ok, ok_as_end, packet};
use crate::support::proxy::{Config, Proxy};

const MORE_RESULTS: u16 = 8;
const CURSOR_EXISTS: u16 = 0x40;
const LAST_ROW_SENT: u16 = 0x80;
const SESSION_STATE_CHANGED: u16 = 0x4000;

const PING: &[u8] = &[0x0e];
/// A byte that is no command.
const UNKNOWN: &[u8] = &[0x99];

/// One command and the payloads of its response.
struct Case {
    name: &'static str,
    command: &'static [u8],
    response: Vec<Vec<u8>>,
}

fn case(name: &'static str, command: &'static [u8], response: &[&[u8]]) -> Case {
    Case {
        name,
        command,
        response: response.iter().map(|payload| payload.to_vec()).collect(),
    }
}

/// An EOF packet, as without `DEPRECATE_EOF`.
fn eof(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0xfe, 0, 0, low, high]
}

/// `COM_STMT_PREPARE_OK` of statement 1.
fn prepare_ok(columns: u8, parameters: u8) -> Vec<u8> {
    vec![0, 1, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0]
}

/// What does not depend on how result sets end.
fn common() -> Vec<Case> {
    let mut changed = ok(2 | SESSION_STATE_CHANGED);
    // An empty info, and one tracked variable.
    changed.extend(b"\x00\x12\x00\x10\x0acharset_xx\x04utf8");
    vec![
        case("OK", b"\x03SET x = 1", &[&ok(2)]),
        case("OK with tracked state", b"\x03SET NAMES utf8", &[&changed]),
        case(
            "OK with a long info",
            b"\x03UPDATE",
            &[&[&ok(2)[..], &[b'i'; 300]].concat()],
        ),
        case("ERR", b"\x03SELEC", &[&err(1064, "42000", "syntax")]),
        case(
            "several OK",
            b"\x03SET x = 1; SET y = 2",
            &[&ok(2 | MORE_RESULTS), &ok(2)],
        ),
        case(
            "OK, then ERR",
            b"\x03SET x = 1; SELEC",
            &[&ok(2 | MORE_RESULTS), &err(1064, "42000", "syntax")],
        ),
        case("COM_INIT_DB", b"\x02shop", &[&ok(2)]),
        case(
            "COM_INIT_DB refused",
            b"\x02none",
            &[&err(1049, "42000", "Unknown database 'none'")],
        ),
        case("COM_PING", PING, &[&ok(2)]),
        case("COM_STATISTICS", b"\x09", &[b"Uptime: 5  Threads: 2"]),
        case(
            "COM_STATISTICS that looks like an ERR",
            b"\x09",
            &[b"\xffUptime: 5"],
        ),
        case("COM_RESET_CONNECTION", b"\x1f", &[&ok(2)]),
        case("COM_STMT_RESET", b"\x1a\x01\0\0\0", &[&ok(2)]),
        case(
            "COM_STMT_RESET of none",
            b"\x1a\x09\0\0\0",
            &[&err(1243, "HY000", "Unknown prepared statement")],
        ),
        case("COM_SET_OPTION", b"\x1b\x00\x00", &[&eof(2)]),
        case("COM_DEBUG", b"\x0d", &[&eof(2)]),
        case("COM_STMT_CLOSE", b"\x19\x01\0\0\0", &[]),
        case("COM_STMT_SEND_LONG_DATA", b"\x18\x01\0\0\0\0\0long", &[]),
        case(
            "PREPARE refused",
            b"\x16SELEC",
            &[&err(1064, "42000", "syntax")],
        ),
        case(
            "PREPARE of nothing to see",
            b"\x16DO 1",
            &[&prepare_ok(0, 0)],
        ),
        case(
            "EXECUTE without rows",
            b"\x17\x01\0\0\0\0\x01\0\0\0",
            &[&ok(2)],
        ),
        case(
            "EXECUTE refused",
            b"\x17\x09\0\0\0\0\x01\0\0\0",
            &[&err(1243, "HY000", "Unknown prepared statement")],
        ),
    ]
}

/// Result sets that end in an OK with the header of an EOF.
fn with_deprecate_eof() -> Vec<Case> {
    let end = ok_as_end(2);
    let more = ok_as_end(2 | MORE_RESULTS);
    let count = length_encoded(300);
    let many = [vec![&count[..]], vec![COLUMN; 300], vec![&end]].concat();
    vec![
        case(
            "rows",
            b"\x03SELECT 1",
            &[&[1], COLUMN, b"\x011", b"\x012", &end],
        ),
        case("no rows", b"\x03SELECT none", &[&[1], COLUMN, &end]),
        case("300 columns", b"\x03SELECT many", &many),
        case(
            "ERR among rows",
            b"\x03SELECT 1/0",
            &[&[1], COLUMN, b"\x011", &err(1365, "22012", "Division by 0")],
        ),
        case(
            "ERR instead of rows",
            b"\x03SELECT bad",
            &[&[1], COLUMN, &err(1317, "70100", "interrupted")],
        ),
        case(
            "rows that begin with NULL",
            b"\x03SELECT NULL",
            &[&[1], COLUMN, b"\xfb", &end],
        ),
        case(
            "rows that begin with an empty value",
            b"\x03SELECT ''",
            &[&[1], COLUMN, b"\x00", &end],
        ),
        case(
            "several result sets",
            b"\x03SELECT 1; SELECT 2",
            &[&[1], COLUMN, b"\x011", &more, &[1], COLUMN, &end],
        ),
        case(
            "a procedure's result",
            b"\x03CALL p()",
            &[&[1], COLUMN, b"\x011", &more, &ok(2)],
        ),
        case(
            "an OK among result sets",
            b"\x03A; B; C",
            &[&ok(2 | MORE_RESULTS), &[1], COLUMN, &more, &ok(2)],
        ),
        case(
            "PREPARE",
            b"\x16SELECT ?",
            &[&prepare_ok(1, 1), COLUMN, COLUMN],
        ),
        case(
            "PREPARE with parameters only",
            b"\x16DO ?, ?",
            &[&prepare_ok(0, 2), COLUMN, COLUMN],
        ),
        case(
            "EXECUTE",
            b"\x17\x01\0\0\0\0\x01\0\0\0",
            &[&[1], COLUMN, b"\x00\x00\x011", &end],
        ),
        case(
            "EXECUTE with a cursor",
            b"\x17\x01\0\0\0\x01\x01\0\0\0",
            &[&[1], COLUMN, &ok_as_end(2 | CURSOR_EXISTS)],
        ),
        case(
            "FETCH",
            b"\x1c\x01\0\0\0\x02\0\0\0",
            &[
                b"\x00\x00\x011",
                b"\x00\x00\x012",
                &ok_as_end(2 | CURSOR_EXISTS),
            ],
        ),
        case(
            "FETCH of the last row",
            b"\x1c\x01\0\0\0\x02\0\0\0",
            &[b"\x00\x00\x011", &ok_as_end(2 | LAST_ROW_SENT)],
        ),
        case(
            "FETCH without a cursor",
            b"\x1c\x01\0\0\0\x02\0\0\0",
            &[&err(1421, "HY000", "no open cursor")],
        ),
        case("COM_SET_OPTION with an OK", b"\x1b\x00\x00", &[&end]),
    ]
}

/// The same with an EOF behind the columns and another behind the rows.
fn without_deprecate_eof() -> Vec<Case> {
    let end = eof(2);
    let more = eof(2 | MORE_RESULTS);
    vec![
        case(
            "rows",
            b"\x03SELECT 1",
            &[&[1], COLUMN, &end, b"\x011", b"\x012", &end],
        ),
        case("no rows", b"\x03SELECT none", &[&[1], COLUMN, &end, &end]),
        case(
            "ERR among rows",
            b"\x03SELECT 1/0",
            &[
                &[1],
                COLUMN,
                &end,
                b"\x011",
                &err(1365, "22012", "Division"),
            ],
        ),
        case(
            "rows that begin with NULL",
            b"\x03SELECT NULL",
            &[&[1], COLUMN, &end, b"\xfb", &end],
        ),
        case(
            "several result sets",
            b"\x03SELECT 1; SELECT 2",
            &[
                &[1],
                COLUMN,
                &end,
                b"\x011",
                &more,
                &[1],
                COLUMN,
                &end,
                &end,
            ],
        ),
        case(
            "a procedure's result",
            b"\x03CALL p()",
            &[&[1], COLUMN, &end, b"\x011", &more, &ok(2)],
        ),
        case(
            "PREPARE",
            b"\x16SELECT ?",
            &[&prepare_ok(1, 1), COLUMN, &end, COLUMN, &end],
        ),
        case(
            "PREPARE with parameters only",
            b"\x16DO ?, ?",
            &[&prepare_ok(0, 2), COLUMN, COLUMN, &end],
        ),
        case(
            "PREPARE with columns only",
            b"\x16SELECT 1",
            &[&prepare_ok(1, 0), COLUMN, &end],
        ),
        case(
            "EXECUTE",
            b"\x17\x01\0\0\0\0\x01\0\0\0",
            &[&[1], COLUMN, &end, b"\x00\x00\x011", &end],
        ),
        case(
            "EXECUTE with a cursor",
            b"\x17\x01\0\0\0\x01\x01\0\0\0",
            &[&[1], COLUMN, &eof(2 | CURSOR_EXISTS)],
        ),
        case(
            "FETCH",
            b"\x1c\x01\0\0\0\x02\0\0\0",
            &[b"\x00\x00\x011", &eof(2 | CURSOR_EXISTS)],
        ),
        case(
            "FETCH of the last row",
            b"\x1c\x01\0\0\0\x02\0\0\0",
            &[b"\x00\x00\x011", &eof(2 | LAST_ROW_SENT)],
        ),
        case("COM_FIELD_LIST", b"\x04table\0", &[COLUMN, COLUMN, &end]),
    ]
}

/// Each case in a session of its own, its response sent whole and then byte by byte.
fn check(cases: Vec<Case>, login: &Login) {
    for Case {
        name,
        command,
        response,
    } in cases
    {
        for whole in [true, false] {
            let bytes: Vec<u8> = response
                .iter()
                .zip((0..=255).cycle().skip(1))
                .flat_map(|(payload, sequence)| packet(sequence, payload))
                .collect();
            let backend = Backend::start(Server::mysql().on_command(move |conversation, seen| {
                if seen.payload != command {
                    return Ok(Answer::Ordinary);
                }
                if whole {
                    conversation.send_raw(&bytes)?;
                } else {
                    bytes
                        .iter()
                        .try_for_each(|&byte| conversation.send_raw(&[byte]))?;
                }
                Ok(Answer::Done)
            }));
            let proxy = Proxy::start(Config::before(&backend));
            let mut client = Client::logged_in(proxy.address, login);
            client.send_raw(&[packet(0, command), packet(0, UNKNOWN), packet(0, PING)].concat());
            client.sequence = 1;
            for (place, payload) in response.iter().enumerate() {
                let read = client.read();
                assert_eq!(
                    &read.payload, payload,
                    "{name}, whole: {whole}: packet {place}"
                );
            }
            client.sequence = 1;
            assert_eq!(client.error().code, 1047, "{name}, whole: {whole}");
            assert!(
                client.read_answer(1)[0].is_ok(),
                "{name}, whole: {whole}: the session goes on"
            );
        }
    }
}

#[test]
fn responses_without_rows_end_where_they_end() {
    check(common(), &Login::of("app"));
}

#[test]
fn responses_with_rows_end_at_the_ok_under_deprecate_eof() {
    check(with_deprecate_eof(), &Login::of("app"));
}

#[test]
fn responses_with_rows_end_at_the_second_eof_without_deprecate_eof() {
    check(
        without_deprecate_eof(),
        &Login::of("app").with_flags(0, flag::DEPRECATE_EOF),
    );
}

/// Its first value is longer than 16 MiB, so that the row begins as an EOF does: with 0xfe.
#[test]
fn huge_row_is_no_end_of_its_result() {
    for (flags, ends) in [
        (0, [ok_as_end(2), ok_as_end(2)]),
        (flag::DEPRECATE_EOF, [eof(2), eof(2)]),
    ] {
        let [_, end] = ends;
        let value = vec![b'x'; 17 << 20];
        let mut row = vec![0xfe];
        row.extend((17_u64 << 20).to_le_bytes());
        row.extend(&value);
        let (sent_row, sent_end, after_columns) = (row.clone(), end.clone(), flags != 0);
        let backend = Backend::start(Server::mysql().on_command(move |conversation, command| {
            if command.payload == PING {
                return Ok(Answer::Ordinary);
            }
            conversation.send(&[1])?;
            conversation.send(COLUMN)?;
            if after_columns {
                conversation.send(&sent_end)?;
            }
            conversation.send_message(&sent_row)?;
            conversation.send(&sent_end)?;
            Ok(Answer::Done)
        }));
        let proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::logged_in(proxy.address, &Login::of("app").with_flags(0, flags));
        client.query("SELECT REPEAT('x', 17825792)");
        for _ in 0..if after_columns { 3 } else { 2 } {
            client.read();
        }
        let read = client.wire.read_message().expect("the row");
        assert!(read.payload == row, "the row is another");
        client.sequence = read.next_sequence();
        assert_eq!(client.read().payload, end);
        client.send_raw(&[packet(0, UNKNOWN), packet(0, PING)].concat());
        client.sequence = 1;
        assert_eq!(client.error().code, 1047);
        assert!(client.read_answer(1)[0].is_ok());
    }
}

/// A batch of MariaDB's connectors is sent whole before the first answer is read, however large.
#[test]
fn very_many_pipelined_commands_are_all_answered() {
    const COMMANDS: usize = 40_000;
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(&packet(0, PING).repeat(COMMANDS));
    for _ in 0..COMMANDS {
        assert!(client.read_answer(1)[0].is_ok());
    }
}

/// What waits for answers must not pile up in mytls.
#[test]
fn flood_of_commands_to_a_backend_that_does_not_answer_is_held_back() {
    for command in [PING, UNKNOWN, b"\x19\x01\0\0\0"] {
        // It takes all that comes and never answers.
        let backend = Backend::start(Server::mysql().on_command(|conversation, _| {
            conversation.read_end()?;
            Ok(Answer::Close)
        }));
        let mut proxy = Proxy::start(Config::before(&backend));
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        client.query("SELECT SLEEP(1000)");
        let flood = packet(0, command).repeat(10_000);
        // The write ends when mytls takes no more.
        client
            .wire
            .set_write_patience(std::time::Duration::from_millis(500));
        for _ in 0..500 {
            if std::io::Write::write_all(&mut client.wire, &flood).is_err() {
                break;
            }
        }
        let resident = proxy.status_number("VmRSS");
        assert!(resident < 30 << 10, "{command:?}: {resident} KiB resident");
        assert!(proxy.is_running());
    }
}

/// Waiting for it to read must not make a session that nothing can end.
#[test]
fn client_that_reads_no_refusals_is_cut_at_the_end_of_the_drain() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with("drain: { max: 100ms }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client
        .wire
        .set_write_patience(std::time::Duration::from_millis(500));
    let flood = packet(0, UNKNOWN).repeat(10_000);
    while std::io::Write::write_all(&mut client.wire, &flood).is_ok() {}
    proxy.terminate();
    assert!(proxy.exit_status().success());
    proxy.wait_for_line("its end", |line| line.contains("cut by the drain"));
}
