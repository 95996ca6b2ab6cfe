//! `KILL` with an id that mytls gave out: it ends what it means, and never another session's query.
//!
//! The scripted backend answers a query with its own text, so the answer shows what the backend was told.

use std::cell::RefCell;
use std::time::Duration;

use proptest::collection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::{Greeting, Login};
use crate::support::packet::{flag, one_value, packet};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_until};

/// No connection has it: a server says 1094 of it.
const NOBODY: &str = "4294967295";

/// The id that the backend gives to a connection, by its number.
fn backend_id(connection: usize) -> u32 {
    1000 + u32::try_from(connection).expect("few connections")
}

/// A server that counts its connections.
fn counting(connection: usize) -> Server {
    Server::greeting(&Greeting {
        connection_id: backend_id(connection),
        ..Greeting::mysql()
    })
}

fn start() -> (Backend, Proxy) {
    let backend = Backend::start_each(counting);
    let proxy = Proxy::start(Config::before(&backend));
    (backend, proxy)
}

/// A client that has read its greeting, and the id in it.
fn greeted(proxy: &Proxy) -> (Client, u32) {
    let mut client = Client::connect(proxy.address);
    let id = client.greeting().connection_id;
    (client, id)
}

/// The same, logged in.
fn logged_in(proxy: &Proxy) -> (Client, u32) {
    let (mut client, id) = greeted(proxy);
    client.send_login(&Login::of("app"));
    let last = client.authenticate(ClientPlugin::with_password());
    assert!(last.is_ok(), "refused with {:?}", last.error());
    (client, id)
}

/// The backend is told `expected` when a client says `sql`.
#[track_caller]
fn told(client: &mut Client, sql: &str, expected: &str) {
    client.query(sql);
    client.expect_echo(expected);
}

#[test]
fn an_id_of_a_session_that_is_not_logged_in_means_nobody() {
    let (_backend, proxy) = start();
    let (_waiting, id) = greeted(&proxy);
    let (mut client, _) = logged_in(&proxy);
    told(
        &mut client,
        &format!("KILL {id}"),
        &format!("KILL {NOBODY}"),
    );
}

#[test]
fn an_id_of_a_session_that_has_ended_goes_on_unchanged() {
    let (backend, proxy) = start();
    let (mut ended, id) = logged_in(&proxy);
    let (mut client, _) = logged_in(&proxy);
    ended.command(&[0x01]);
    ended.expect_clean_end();
    backend.closed_within(Duration::from_secs(5));
    proxy.wait_for_log(&format!("id={id}"));
    let kill = format!("KILL QUERY {id}");
    wait_until("the id to be forgotten", || {
        client.query(&kill);
        let answer = client.read_answer(4);
        let row = &answer[2].payload;
        let is_nobody = row.ends_with(format!("KILL QUERY {NOBODY}").as_bytes());
        let is_unchanged = row.ends_with(kill.as_bytes());
        assert!(is_nobody || is_unchanged, "somebody was named: {row:?}");
        is_unchanged
    });
}

/// Its number there may be the number of somebody else's connection here.
#[test]
fn an_id_of_a_session_on_another_server_means_nobody() {
    let one_session = |connection: usize| match connection {
        0 | 1 => counting(connection),
        _ => Server::hanging_up(),
    };
    let first = Backend::start_each(one_session);
    let second = Backend::start_each(counting);
    let endpoint = |backend: &Backend| {
        let port = backend.endpoint.rsplit(' ').next().unwrap_or_default();
        format!("\"127.0.0.1:{port}\"")
    };
    let endpoints = format!(
        "{{ endpoints: [{}, {}] }}",
        endpoint(&first),
        endpoint(&second)
    );
    let proxy = Proxy::start(Config::to(&endpoints));
    let (mut on_first, first_id) = logged_in(&proxy);
    let (mut on_second, second_id) = logged_in(&proxy);
    assert_eq!((first.logins().len(), second.logins().len()), (1, 1));
    for (client, other) in [(&mut on_first, second_id), (&mut on_second, first_id)] {
        told(client, &format!("KILL {other}"), &format!("KILL {NOBODY}"));
        client.command(&[&[0x0c], &other.to_le_bytes()[..]].concat());
        assert!(client.read_answer(1)[0].is_ok());
    }
    for backend in [&first, &second] {
        let command = backend.wait_for("COM_PROCESS_KILL", |events| {
            events.iter().find_map(|event| match event {
                Event::Command(command) if command.payload[0] == 0x0c => {
                    Some(command.payload.clone())
                }
                _ => None,
            })
        });
        assert_eq!(command, [0x0c, 0xff, 0xff, 0xff, 0xff]);
    }
}

#[test]
fn ids_that_are_not_ours_and_other_statements_go_on_unchanged() {
    let (_backend, proxy) = start();
    let (mut client, id) = logged_in(&proxy);
    for sql in [
        "KILL 1001",
        "KILL QUERY 2147483647",
        "KILL CONNECTION_ID()",
        "KILL QUERY ID 5",
        "KILL USER app",
        "KILL",
        "kill all",
        &format!("KILL QUERY ID {id}"),
        &format!("KILL {id} + 0"),
        &format!("KILL {id}; KILL {id}"),
        &format!("SELECT {id}"),
        &format!("KILL {id}{}", " ".repeat(4096)),
    ] {
        told(&mut client, sql, sql);
    }
}

#[test]
fn an_id_of_ours_becomes_the_backends() {
    let (_backend, proxy) = start();
    let (_first, first_id) = logged_in(&proxy);
    let (mut second, second_id) = logged_in(&proxy);
    // mytls' own probe was the first connection
    for (id, theirs) in [(first_id, backend_id(1)), (second_id, backend_id(2))] {
        assert!(id >= 0x8000_0000);
        let signed = id.cast_signed();
        for (before, number, behind) in [
            ("KILL ", id.to_string(), ""),
            ("kill query ", id.to_string(), ";"),
            (
                "/* ApplicationName=x */ KILL CONNECTION ",
                id.to_string(),
                " -- it hangs",
            ),
            ("KILL /*!50000 QUERY */ ", id.to_string(), ""),
            ("KILL QUERY ", signed.to_string(), ""),
            ("KILL ", i64::from(signed).cast_unsigned().to_string(), ""),
        ] {
            told(
                &mut second,
                &format!("{before}{number}{behind}"),
                &format!("{before}{theirs}{behind}"),
            );
        }
    }
}

#[test]
fn it_may_come_byte_by_byte_and_among_other_commands() {
    let (_backend, proxy) = start();
    let (_first, id) = logged_in(&proxy);
    let (mut client, _) = logged_in(&proxy);
    let query = |sql: &str| packet(0, &[&[0x03], sql.as_bytes()].concat());
    let all = [
        query("SELECT 1"),
        query(&format!("KILL QUERY {id}")),
        query("SELECT 2"),
    ];
    let expected = ["SELECT 1", "KILL QUERY 1001", "SELECT 2"];
    client.send_raw(&all.concat());
    for sql in expected {
        client.expect_echo(sql);
    }
    for byte in all.concat() {
        client.send_raw(&[byte]);
    }
    for sql in expected {
        client.expect_echo(sql);
    }
}

/// What stands before the text stays there.
#[test]
fn it_may_stand_behind_query_attributes() {
    const QUERY_ATTRIBUTES: u32 = 1 << 27;
    let (backend, proxy) = start();
    let (mut client, id) = greeted(&proxy);
    client.send_login(&Login::of("app").with_flags(QUERY_ATTRIBUTES | flag::DEPRECATE_EOF, 0));
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    for attributes in [
        &b"\x00\x01"[..],
        b"\x01\x01\x00\x01\xfe\x00\x04name\x0aKILL value",
    ] {
        let kill = |id: &str| [b"\x03", attributes, b"KILL ", id.as_bytes()].concat();
        client.command(&kill(&id.to_string()));
        let expected = kill("1001");
        let answer = client.read_answer(4);
        let echo = one_value(&expected[1..]);
        assert!(
            echo.windows(answer[2].payload.len())
                .any(|part| part == answer[2].payload)
        );
        backend.wait_for("the KILL", |events| {
            let mut commands = events.iter().filter_map(|event| match event {
                Event::Command(command) => Some(&command.payload),
                _ => None,
            });
            commands.any(|payload| *payload == expected).then_some(())
        });
    }
}

/// Prepared, too: the text is changed, and the backend prepares it.
#[test]
fn it_may_be_prepared() {
    let (backend, proxy) = start();
    let (mut client, id) = logged_in(&proxy);
    client.command(format!("\u{16}KILL QUERY {id}").as_bytes());
    backend.wait_for("the statement", |events| {
        let prepared = |event: &Event| matches!(event, Event::Command(command) if command.payload == b"\x16KILL QUERY 1001");
        events.iter().any(prepared).then_some(())
    });
}

/// Whatever else is sent arrives as it was sent, in its order, however it is cut.
#[test]
fn nothing_else_in_a_stream_is_changed() {
    let (_backend, proxy) = start();
    let (_first, id) = logged_in(&proxy);
    let (client, _) = logged_in(&proxy);
    let client = RefCell::new(client);
    let unchanged = |text: String| (text.clone(), text);
    let texts = vec![
        (format!("KILL {id}"), "KILL 1001".to_owned()),
        (
            format!("/* {id} */kill query {id} ;"),
            format!("/* {id} */kill query 1001 ;"),
        ),
        unchanged("SELECT 1".to_owned()),
        unchanged(format!("SELECT 'KILL {id}'")),
        unchanged(format!("-- {id}\nSELECT ssl")),
        unchanged(format!("INSERT {id}")),
        unchanged("S".to_owned()),
        unchanged("/*".to_owned()),
        unchanged(format!("K{}", "I".repeat(5000))),
    ];
    let commands = collection::vec(prop::sample::select(texts), 1..10);
    let sizes = collection::vec(prop_oneof![1_usize..20, 1_usize..6000], 1..20);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(50));
    let ran = runner.run(&(commands, sizes), |(commands, sizes)| {
        let mut client = client.borrow_mut();
        let query = |text: &str| packet(0, &[&[0x03], text.as_bytes()].concat());
        let stream: Vec<u8> = commands.iter().flat_map(|(sent, _)| query(sent)).collect();
        let mut rest = &stream[..];
        for size in sizes.into_iter().cycle() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            client.send_raw(now);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        for (_, told) in &commands {
            client.expect_echo(told);
        }
        Ok(())
    });
    ran.expect("every stream arrives");
}
