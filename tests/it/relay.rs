//! Commands and their answers: order kept, bytes kept, nothing unknown forwarded.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Conversation, Event};
use crate::support::handshake::Login;
use crate::support::packet::{
    COLUMN, LARGEST_PAYLOAD, Packet, err, length_encoded_bytes, ok, ok_as_end, one_value, packet,
};
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy};
use crate::support::wire::End;

const PING: &[u8] = &[0x0e];

/// A backend with this answer to commands, mytls, and a client that has logged in.
fn session(
    script: impl Fn(&mut Conversation, &Packet) -> std::io::Result<Answer> + Send + Sync + 'static,
) -> (Backend, Proxy, Client) {
    let backend = Backend::start(Server::mysql().on_command(script));
    let proxy = Proxy::start(Config::before(&backend));
    let client = Client::logged_in(proxy.address, &Login::of("app"));
    (backend, proxy, client)
}

fn ordinary_session() -> (Backend, Proxy, Client) {
    session(|_, _| Ok(Answer::Ordinary))
}

/// The first bytes of all commands that reached the backend.
fn commands(backend: &Backend) -> Vec<u8> {
    backend
        .events()
        .iter()
        .flatten()
        .filter_map(|event| match event {
            Event::Command(command) => command.payload.first().copied(),
            _ => None,
        })
        .collect()
}

/// MySQL's gone commands, those that hand the connection over to another protocol, and bytes that are none.
#[test]
fn unknown_command_is_answered_and_not_forwarded() {
    let (backend, _proxy, mut client) = ordinary_session();
    // COM_CONNECT_OUT, COM_TABLE_DUMP, COM_CLONE, COM_SUBSCRIBE_GROUP_REPLICATION_STREAM, COM_MULTI, none.
    for byte in [0x14, 0x13, 0x20, 0x21, 0xfe, 0x99, 0xff] {
        client.command(&[byte, 1, 2, 3]);
        let error = client.error();
        assert_eq!(
            (error.sequence, error.code_and_state()),
            (1, (1047, "08S01")),
            "{byte:#x}"
        );
    }
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    assert_eq!(commands(&backend), [0x03], "only the query was forwarded");
}

#[test]
fn unknown_command_waits_for_its_turn_behind_pipelined_ones() {
    let (_backend, _proxy, mut client) = ordinary_session();
    let all = [
        packet(0, b"\x03SELECT 1"),
        packet(0, b"\x99"),
        packet(0, PING),
        packet(0, b"\x03SELECT 2"),
    ];
    client.send_raw(&all.concat());
    client.expect_echo("SELECT 1");
    client.sequence = 1;
    assert_eq!(client.error().code, 1047);
    assert!(client.read_answer(1)[0].is_ok());
    client.expect_echo("SELECT 2");
}

#[test]
fn empty_command_does_not_reach_the_backend() {
    let (backend, _proxy, mut client) = ordinary_session();
    client.command(b"");
    let packet = client.wire.read_packet().expect("an ERR");
    assert!(packet.error().is_some(), "{packet:?}");
    assert_eq!(commands(&backend), b"");
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let (_backend, _proxy, mut client) = ordinary_session();
    let texts: Vec<String> = (0..200).map(|number| format!("SELECT {number}")).collect();
    let all: Vec<u8> = texts
        .iter()
        .flat_map(|text| packet(0, &[b"\x03", text.as_bytes()].concat()))
        .collect();
    client.send_raw(&all);
    for text in &texts {
        client.expect_echo(text);
    }
}

/// MariaDB's connectors send PREPARE, EXECUTE of statement −1, CLOSE and PING in one write.
#[test]
fn command_without_an_answer_does_not_upset_the_order() {
    let (backend, _proxy, mut client) = session(|_, command| match command.payload[0] {
        0x19 => Ok(Answer::Done), // COM_STMT_CLOSE
        _ => Ok(Answer::Ordinary),
    });
    let close = packet(0, b"\x19\xff\xff\xff\xff");
    client.send_raw(&[close, packet(0, b"\x03SELECT 1"), packet(0, PING)].concat());
    client.expect_echo("SELECT 1");
    assert!(client.read_answer(1)[0].is_ok());
    assert_eq!(commands(&backend), [0x19, 0x03, 0x0e]);
}

#[test]
fn command_may_come_byte_by_byte() {
    let (_backend, _proxy, mut client) = ordinary_session();
    for byte in packet(0, b"\x03SELECT 1") {
        client.send_raw(&[byte]);
    }
    client.expect_echo("SELECT 1");
}

#[test]
fn answer_may_come_byte_by_byte() {
    let (_backend, _proxy, mut client) = session(|conversation, command| {
        for byte in one_value(&command.payload[1..]) {
            conversation.send_raw(&[byte])?;
        }
        Ok(Answer::Done)
    });
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
}

/// 16 MiB, one less and one more: the lengths at which a message gets one packet more.
#[test]
fn multi_packet_messages_pass_unchanged_both_ways() {
    for with_tls in [false, true] {
        let server = Server::mysql().on_command(|conversation, command| {
            if command.payload == PING {
                return Ok(Answer::Ordinary);
            }
            // The whole command comes back as a row.
            conversation.send(&[1])?;
            conversation.send(COLUMN)?;
            conversation.send_message(&command.payload)?;
            conversation.send(&ok_as_end(2))?;
            Ok(Answer::Done)
        });
        let server = if with_tls {
            server.tls(PKI.backend_tls(&PKI.server))
        } else {
            server
        };
        let backend = Backend::start(server);
        let proxy = Proxy::start(Config::before(&backend));
        let login = Login::of("app");
        let mut client = if with_tls {
            Client::logged_in_over_tls(proxy.address, &login, &PKI.client_tls(None))
        } else {
            Client::logged_in(proxy.address, &login)
        };
        for length in [LARGEST_PAYLOAD - 1, LARGEST_PAYLOAD, LARGEST_PAYLOAD + 1] {
            // Not repeating with any power of two, so that a shifted copy would be seen.
            let mut sent = (0..251).collect::<Vec<u8>>().repeat(length / 251 + 1);
            sent[0] = 0x03;
            sent.truncate(length);
            client.command(&sent);
            assert_eq!(client.read().payload, [1]);
            assert_eq!(client.read().payload, COLUMN);
            let row = client.wire.read_message().expect("a row");
            assert_eq!(row.sequence, client.sequence);
            assert!(
                row.payload == sent,
                "TLS: {with_tls}: {length} bytes did not come back as they went"
            );
            client.sequence = row.next_sequence();
            assert_eq!(client.read().payload, ok_as_end(2));
        }
        client.command(PING);
        assert!(client.read().is_ok(), "the session goes on");
    }
}

#[test]
fn sequence_numbers_wrap_around_in_a_long_result() {
    let (_backend, _proxy, mut client) = session(|conversation, command| {
        if command.payload[0] != 0x03 {
            return Ok(Answer::Ordinary);
        }
        conversation.send(&[1])?;
        conversation.send(COLUMN)?;
        for _ in 0..1000 {
            conversation.send(b"\x01x")?;
        }
        conversation.send(&ok_as_end(2))?;
        Ok(Answer::Done)
    });
    client.query("SELECT many");
    for _ in 0..1003 {
        client.read();
    }
    client.command(PING);
    assert!(client.read().is_ok());
}

/// Without `DEPRECATE_EOF` (MariaDB's shell, `PyMySQL`) an EOF stands behind the columns and behind the rows.
#[test]
fn result_with_eof_packets_ends_at_the_second() {
    let backend = Backend::start(Server::mysql().on_command(|conversation, command| {
        if command.payload[0] != 0x03 {
            return Ok(Answer::Ordinary);
        }
        let eof = [0xfe, 0, 0, 2, 0];
        let answer = [
            packet(1, &[1]),
            packet(2, COLUMN),
            packet(3, &eof),
            packet(4, b"\x01x"),
            packet(5, &eof),
        ];
        conversation.send_raw(&answer.concat())?;
        Ok(Answer::Done)
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let login = Login::of("app").with_flags(0, crate::support::packet::flag::DEPRECATE_EOF);
    let mut client = Client::logged_in(proxy.address, &login);
    client.send_raw(
        &[
            packet(0, b"\x03SELECT"),
            packet(0, b"\x99"),
            packet(0, PING),
        ]
        .concat(),
    );
    client.read_answer(5);
    client.sequence = 1;
    assert_eq!(
        client.error().code,
        1047,
        "the answer to the second command, after the whole first one"
    );
    assert!(client.read_answer(1)[0].is_ok());
}

/// Answers `LOAD DATA` by asking for the file, and counts its bytes in the OK.
fn load_data(conversation: &mut Conversation, command: &Packet) -> std::io::Result<Answer> {
    if !command.payload.starts_with(b"\x03LOAD DATA") {
        return Ok(Answer::Ordinary);
    }
    conversation.send(b"\xfbrows.csv")?;
    let mut bytes = 0;
    loop {
        let part = conversation.read_raw()?;
        bytes += part.payload.len();
        if part.payload.is_empty() {
            break;
        }
    }
    let mut answer = ok(2);
    answer.extend(bytes.to_string().bytes());
    conversation.send(&answer)?;
    Ok(Answer::Done)
}

#[test]
fn local_infile_is_sent_on_and_the_session_goes_on() {
    let (backend, _proxy, mut client) = session(load_data);
    client.query("LOAD DATA LOCAL INFILE 'rows.csv'");
    assert_eq!(client.read().payload, b"\xfbrows.csv");
    // The first bytes look like commands; they are file.
    for part in [&b"\x01"[..], b"\x11root\0", b"\x03DROP TABLE t"] {
        client.send(part);
    }
    client.send(b"");
    let answer = client.read();
    assert!(
        answer.is_ok() && answer.payload.ends_with(b"20"),
        "{answer:?}"
    );
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    assert_eq!(commands(&backend), [0x03, 0x03]);
}

/// Client and server would disagree about what is file and what is command.
#[test]
fn local_infile_while_another_command_is_in_flight_ends_the_session() {
    let (backend, proxy, mut client) = session(load_data);
    client.send_raw(
        &[
            packet(0, b"\x03LOAD DATA LOCAL"),
            packet(0, b"\x03DROP TABLE t"),
        ]
        .concat(),
    );
    client.expect_end();
    backend.closed_within(std::time::Duration::from_secs(5));
    proxy.session_line();
}

#[test]
fn command_with_a_wrong_sequence_number_ends_the_session() {
    let (backend, proxy, mut client) = ordinary_session();
    client.send_raw(&packet(5, b"\x03SELECT 1"));
    let packet = client.wire.read_packet().expect("an ERR");
    let error = packet.error().expect("an ERR");
    assert_eq!(error.code_and_state(), (1156, "08S01"));
    assert_eq!(client.expect_end(), End::Clean);
    backend.closed_within(std::time::Duration::from_secs(5));
    assert_eq!(commands(&backend), b"");
    proxy.wait_for_log("outcome=\"the client");
}

#[test]
fn answer_with_a_wrong_sequence_number_ends_the_session() {
    let (backend, proxy, mut client) = session(|conversation, _| {
        conversation.send_raw(&packet(7, &ok(2)))?;
        conversation.read_end()?;
        Ok(Answer::Close)
    });
    client.command(PING);
    client.expect_end();
    backend.closed_within(std::time::Duration::from_secs(5));
    proxy.wait_for_log("outcome=\"the backend");
}

#[test]
fn malformed_answer_ends_the_session() {
    for answer in [packet(1, b""), packet(1, b"\xfd\x01"), packet(1, b"\xff")] {
        let (backend, _proxy, mut client) = session(move |conversation, _| {
            conversation.send_raw(&answer)?;
            conversation.read_end()?;
            Ok(Answer::Close)
        });
        client.query("SELECT 1");
        client.expect_end();
        backend.closed_within(std::time::Duration::from_secs(5));
    }
}

/// 9.7 says so at `wait_timeout`.
#[test]
fn unasked_err_is_relayed_and_both_sides_are_closed() {
    let text = "The client was disconnected by the server because of inactivity.";
    let (backend, _proxy, mut client) = session(move |conversation, _| {
        conversation
            .send_raw(&[packet(1, &ok(2)), packet(0, &err(4031, "HY000", text))].concat())?;
        conversation.read_end()?;
        Ok(Answer::Close)
    });
    client.command(PING);
    assert!(client.read().is_ok());
    client.sequence = 0;
    let error = client.error();
    assert_eq!(
        (error.code_and_state(), error.message.as_str()),
        ((4031, "HY000"), text)
    );
    client.expect_clean_end();
    backend.closed_within(std::time::Duration::from_secs(5));
}

#[test]
fn anything_else_unasked_ends_the_session() {
    let (backend, _proxy, mut client) = session(|conversation, _| {
        conversation.send_raw(&[packet(1, &ok(2)), packet(0, &ok(2))].concat())?;
        conversation.read_end()?;
        Ok(Answer::Close)
    });
    client.command(PING);
    client.expect_end();
    backend.closed_within(std::time::Duration::from_secs(5));
}

#[test]
fn quit_reaches_the_backend_and_ends_the_session() {
    let (backend, proxy, mut client) = ordinary_session();
    client.command(&[0x01]);
    client.expect_clean_end();
    backend.closed_within(std::time::Duration::from_secs(5));
    assert_eq!(commands(&backend), [0x01]);
    proxy.session_line();
}

/// The server answers all that stands before it, so the client reads it, as without mytls.
#[test]
fn quit_behind_a_query_does_not_lose_the_answer() {
    let backend = Backend::start(Server::mysql().on_command(|conversation, command| {
        if command.payload == b"\x03SELECT 1" {
            // An answer that comes when mytls has seen the COM_QUIT, which waits in the backend's socket.
            let quit = conversation.read_raw()?;
            assert_eq!(quit.payload, [0x01]);
            conversation.send_raw(&one_value(b"SELECT 1"))?;
            return Ok(Answer::Close);
        }
        Ok(Answer::Ordinary)
    }));
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.send_raw(&[packet(0, b"\x03SELECT 1"), packet(0, &[0x01])].concat());
    client.expect_echo("SELECT 1");
    client.expect_end();
}

#[test]
fn statistics_are_one_bare_string() {
    let (_backend, _proxy, mut client) =
        session(|conversation, command| match command.payload[0] {
            0x09 => conversation
                .send(b"Uptime: 1  Threads: 1")
                .map(|()| Answer::Done),
            _ => Ok(Answer::Ordinary),
        });
    client.send_raw(&[packet(0, &[0x09]), packet(0, PING)].concat());
    assert_eq!(client.read_answer(1)[0].payload, b"Uptime: 1  Threads: 1");
    assert!(client.read_answer(1)[0].is_ok());
}

/// A client that sends and does not read must not fill mytls' memory.
#[test]
fn client_that_does_not_read_stops_the_backend() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let (_backend, proxy, mut client) = session(move |conversation, _| {
        let row = length_encoded_bytes(&vec![b'x'; 1 << 20]);
        conversation.send(&[1])?;
        conversation.send(COLUMN)?;
        for _ in 0..200 {
            conversation.send(&row)?;
            counter.fetch_add(row.len(), Ordering::Relaxed);
        }
        conversation.send(&ok_as_end(2))?;
        Ok(Answer::Done)
    });
    client.query("SELECT * FROM large");
    client.read_answer(2);
    let mut last = usize::MAX;
    // Until nothing moves any more: the buffers of the kernel are full.
    while sent.load(Ordering::Relaxed) != last {
        last = sent.load(Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    assert!(
        last < 150 << 20,
        "{last} bytes went somewhere while nobody read"
    );
    let resident = proxy.status_number("VmRSS");
    assert!(resident < 60 << 10, "{resident} KiB resident");
    client.sequence = 3;
    for _ in 0..200 {
        assert_eq!(client.read().payload.len(), (1 << 20) + 4);
    }
    assert_eq!(client.read().payload, ok_as_end(2));
}

/// TLS 1.3 lets either peer of mytls ask for new keys at any time.
#[test]
fn new_keys_of_either_side_go_unnoticed() {
    let server = Server::mysql()
        .tls(PKI.backend_tls(&PKI.server))
        .on_command(|conversation, _| {
            conversation.refresh_keys()?;
            Ok(Answer::Ordinary)
        });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend));
    let mut client =
        Client::logged_in_over_tls(proxy.address, &Login::of("app"), &PKI.client_tls(None));
    for number in 0..100 {
        client.wire.refresh_keys().expect("new keys");
        let sql = format!("SELECT {number}");
        client.query(&sql);
        client.expect_echo(&sql);
    }
}
