//! Frames that are broken, that lie, or that say much in few bytes.

use std::time::Duration;

use crate::compression::session;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Event};
use crate::support::frames::{Method, labelled};
use crate::support::packet::{ErrorPacket, ok, packet};
use crate::support::proxy::{Config, Proxy};

fn start(server: Server) -> (Backend, Proxy) {
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with("compression: true"));
    (backend, proxy)
}

fn query() -> Vec<u8> {
    packet(0, &[b"\x03SELECT ", &[b'q'; 100][..]].concat())
}

/// What the client reads that sends this between two commands; then the session is over.
#[track_caller]
fn refused(client: &mut Client, frame: &[u8]) -> ErrorPacket {
    client.wire.write_frames(frame).expect("send a frame");
    client.wire.frames().sequence = frame[3].wrapping_add(1);
    client.sequence = 1;
    let error = client.error();
    client.expect_clean_end();
    error
}

#[test]
fn a_broken_frame_ends_the_session_with_an_error_and_a_reason() {
    let (backend, proxy) = start(Server::mysql());
    for method in Method::ALL {
        let plain = query();
        let packed = method.compress(&plain);
        for (frame, reason) in [
            (labelled(0, &query(), plain.len()), "is broken"),
            (
                labelled(0, &packed, plain.len() - 1),
                "is not 111 bytes long",
            ),
            (
                labelled(0, &packed, plain.len() + 1),
                "is not 113 bytes long",
            ),
            (
                labelled(0, &packed[..packed.len() - 1], plain.len()),
                "is broken",
            ),
            (
                labelled(0, &[&packed[..], b"x"].concat(), plain.len()),
                "is broken",
            ),
            (labelled(0, &[], plain.len()), "is broken"),
        ] {
            let error = refused(&mut session(&proxy, method), &frame);
            assert_eq!(
                (error.code_and_state(), error.message.as_str()),
                ((1157, "08S01"), "Couldn't uncompress communication packet"),
                "{method:?}: {reason}"
            );
            proxy.wait_for_log(reason);
        }
    }
    let commands = backend.events().concat();
    assert!(
        !commands
            .iter()
            .any(|event| matches!(event, Event::Command(command) if command.payload != [0x01]))
    );
}

#[test]
fn a_frame_that_continues_nothing_ends_the_session() {
    let (_backend, proxy) = start(Server::mysql());
    let error = refused(
        &mut session(&proxy, Method::Zlib),
        &labelled(7, &query(), 0),
    );
    assert_eq!(error.code_and_state(), (1156, "08S01"));
    proxy.wait_for_log("a compressed frame has number 7");
}

/// It would be taken for a part of the answer.
#[test]
fn a_broken_frame_behind_a_command_that_is_not_answered_yet_ends_the_session_without_a_word() {
    let (backend, proxy) = start(Server::mysql().on_command(|conversation, _| {
        conversation.read_end()?;
        Ok(Answer::Close)
    }));
    let mut client = session(&proxy, Method::Zlib);
    client
        .wire
        .write_frames(&labelled(0, &query(), 0))
        .expect("send a command");
    backend.wait_for("command", |events| {
        let is_command = |event: &Event| matches!(event, Event::Command(_));
        events.iter().any(is_command).then_some(())
    });
    client
        .wire
        .write_frames(&labelled(0, b"broken", 100))
        .expect("send a broken frame");
    client.expect_clean_end();
    backend.closed_within(Duration::from_secs(5));
}

/// A frame of zstd may ask its reader to look back over up to 2 GiB; 16 MiB is as long as frames are.
#[test]
fn a_frame_that_asks_for_much_memory_is_broken() {
    let (_backend, proxy) = start(Server::mysql());
    let window_of_128_mib = [
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x00,
        17 << 3,
        0x03,
        0x00,
        0x00,
        b'x',
    ];
    let error = refused(
        &mut session(&proxy, Method::Zstd),
        &labelled(0, &window_of_128_mib, 0x00ff_ffff),
    );
    assert_eq!(error.code_and_state(), (1157, "08S01"));
}

/// Each says 16 MB in 16 KiB.
#[test]
fn many_bombs_together_take_little_memory() {
    const SESSIONS: usize = 60;
    let (_backend, proxy) = start(Server::mysql().on_command(|conversation, _| {
        conversation.send(&ok(2))?;
        Ok(Answer::Done)
    }));
    let plain = packet(0, &[&[0x03][..], &vec![b' '; 16_000_000]].concat());
    let bomb = Method::Zlib.frame(0, &plain);
    assert!(bomb.len() < 30_000, "{} bytes", bomb.len());
    let mut clients: Vec<Client> = (0..SESSIONS)
        .map(|_| session(&proxy, Method::Zlib))
        .collect();
    let before = proxy.status_number("VmRSS");
    for client in &mut clients {
        // all but the last bytes, so that none of them ends
        client
            .wire
            .write_frames(&bomb[..bomb.len() - 100])
            .expect("send most of a frame");
    }
    for client in &mut clients {
        client
            .wire
            .write_frames(&bomb[bomb.len() - 100..])
            .expect("send the rest");
        client.wire.frames().sequence = 1;
        client.sequence = 1;
        let answer = client.wire.read_packet().expect("an answer");
        assert!(answer.is_ok(), "{answer:?}");
    }
    let most = proxy.status_number("VmHWM");
    assert!(
        most < before + SESSIONS * 1024,
        "{before} KiB before, {most} KiB at the most, for {SESSIONS} frames of 16 MiB"
    );
}

/// The codecs are the threads'.
#[test]
fn an_idle_session_keeps_nothing_of_its_frames() {
    const SESSIONS: usize = 200;
    let (_backend, proxy) = start(Server::mysql());
    let sql = "z".repeat(20_000);
    let talk = |client: &mut Client| {
        client.query(&sql);
        client.expect_echo(&sql);
    };
    let mut first: Vec<Client> = (0..8).map(|_| session(&proxy, Method::Zstd)).collect();
    first.iter_mut().for_each(talk);
    let before = proxy.status_number("VmRSS");
    let mut clients: Vec<Client> = (0..SESSIONS)
        .map(|_| session(&proxy, Method::Zstd))
        .collect();
    clients.iter_mut().for_each(talk);
    let after = proxy.status_number("VmRSS");
    assert!(
        after < before + SESSIONS * 100,
        "{before} KiB before {SESSIONS} sessions, {after} KiB with them"
    );
}
