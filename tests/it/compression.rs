//! Compression ends at mytls: the client's packets travel in frames, the backend's as ever.

use std::io::Write as _;
use std::net::TcpStream;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Event};
use crate::support::frames::{Method, labelled};
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::{COLUMN, flag, ok, ok_as_end, one_column, packet};
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, wait_until};

const ON: &str = "compression: true";
const BOTH: u32 = flag::COMPRESS | flag::ZSTD;

fn start(server: Server, lines: &str) -> (Backend, Proxy) {
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with(lines));
    (backend, proxy)
}

/// As a client asks for it.
pub(crate) fn login(method: Method) -> Login {
    let (flags, zstd_level) = match method {
        Method::Zlib => (flag::COMPRESS, None),
        Method::Zstd => (flag::ZSTD, Some(3)),
    };
    Login {
        zstd_level,
        ..Login::of("app").with_flags(flags | flag::LOCAL_FILES, 0)
    }
}

/// Logged in, in plaintext, and compressed from there on.
#[track_caller]
pub(crate) fn session(proxy: &Proxy, method: Method) -> Client {
    let mut client = Client::logged_in(proxy.address, &login(method));
    client.wire.compress(method);
    client
}

#[track_caller]
fn session_over_tls(proxy: &Proxy, method: Method) -> Client {
    let tls = PKI.client_tls(None);
    let mut client = Client::logged_in_over_tls(proxy.address, &login(method), &tls);
    client.wire.compress(method);
    client
}

// ---- what is offered, and what is chosen ---------------------------------------------------------------------------

/// Some clients set flags that were never offered.
#[test]
fn without_the_key_it_is_not_offered_and_not_spoken() {
    let (backend, proxy) = start(Server::mysql(), "");
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.greeting().capabilities & BOTH, 0);
    for method in Method::ALL {
        let mut client = Client::logged_in(proxy.address, &login(method));
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
    }
    assert_eq!(backend.login().flags & BOTH, 0);
}

/// MySQL 9.7 says the same, before it asks for a password.
#[test]
fn a_level_that_zstd_does_not_have_is_refused_and_the_backend_hears_nothing() {
    let (backend, proxy) = start(Server::mysql(), ON);
    for level in [None, Some(0), Some(23), Some(255)] {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login {
            zstd_level: level,
            ..login(Method::Zstd)
        });
        let error = client.error();
        assert_eq!(
            (error.code_and_state(), error.message.as_str()),
            (
                (3923, "HY000"),
                "Invalid zstd compression level for algorithm 'zstd'."
            ),
            "{level:?}"
        );
        client.expect_clean_end();
    }
    assert_eq!(backend.logins(), []);
}

#[test]
fn it_is_offered_and_the_backend_is_never_asked_for_it() {
    let (backend, proxy) = start(Server::mysql(), ON);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.greeting().capabilities & BOTH, BOTH);
    let mut client = session(&proxy, Method::Zstd);
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    assert_eq!(backend.login().flags & BOTH, 0);
}

/// As MySQL 9.7 and TiDB choose.
#[test]
fn a_client_that_can_do_both_gets_zlib() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let both = login(Method::Zstd).with_flags(flag::COMPRESS, 0);
    let mut client = Client::logged_in(proxy.address, &both);
    client.wire.compress(Method::Zlib);
    let sql = format!("SELECT '{}'", "z".repeat(100));
    client.query(&sql);
    client.expect_echo(&sql);
}

#[test]
fn a_client_that_asks_for_none_gets_none() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let sql = format!("SELECT '{}'", "z".repeat(100));
    client.query(&sql);
    client.expect_echo(&sql);
}

// ---- commands and answers ------------------------------------------------------------------------------------------

#[test]
fn commands_and_answers_of_any_length_pass() {
    let (backend, proxy) = start(Server::mysql(), ON);
    for method in Method::ALL {
        for over_tls in [false, true] {
            let mut client = if over_tls {
                session_over_tls(&proxy, method)
            } else {
                session(&proxy, method)
            };
            for length in [1, 100, 250_000] {
                let sql = format!("SELECT '{}'", "z".repeat(length));
                client.query(&sql);
                client.expect_echo(&sql);
            }
            client.command(&[0x01]);
            client.expect_clean_end();
        }
    }
    assert_eq!(backend.logins().len(), 4);
}

/// A parameter of 20 MB takes two packets, and a row of 17 MB as well.
#[test]
fn packets_of_16_mib_pass_in_as_few_frames_as_they_can() {
    let row = [
        &[0xfe][..],
        &17_000_000_u64.to_le_bytes(),
        &vec![b'r'; 17_000_000],
    ]
    .concat();
    let row_bytes = row.len();
    let server = Server::mysql().on_command(move |conversation, command| {
        assert_eq!(command.payload.len(), 1 + 20_000_000);
        conversation.send(&[1])?;
        conversation.send(COLUMN)?;
        conversation.send_message(&row)?;
        conversation.send(&ok_as_end(2))?;
        Ok(Answer::Done)
    });
    let (_backend, proxy) = start(server, ON);
    for method in Method::ALL {
        let mut client = session(&proxy, method);
        client.query(&"q".repeat(20_000_000));
        // the command took two packets, which is what the backend's numbers go by
        client.sequence = 2;
        let packets: Vec<_> = (0..5).map(|_| client.read()).collect();
        assert_eq!(
            packets[2].payload.len() + packets[3].payload.len(),
            row_bytes
        );
        let came = &client.wire.frames().came;
        let long = came.iter().filter(|(length, _)| *length > 200_000).count();
        assert!(long <= 2, "{method:?}: {came:?}");
    }
}

#[test]
fn frames_may_cut_a_command_anywhere_and_come_in_any_pieces() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let sql = format!("SELECT {}", "x".repeat(300));
    let command = packet(0, &[&[0x03], sql.as_bytes()].concat());
    for method in Method::ALL {
        for cut in [1, 3, 61, 100, 1000] {
            let mut client = session(&proxy, method);
            let mut number = 0_u8;
            for piece in command.chunks(cut) {
                for byte in method.frame(number, piece) {
                    client.wire.write_frames(&[byte]).expect("send a byte");
                }
                number = number.wrapping_add(1);
            }
            client.wire.frames().sequence = number;
            client.expect_echo(&sql);
        }
    }
}

#[test]
fn a_frame_may_hold_several_commands() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let queries: Vec<String> = (0..5).map(|n| format!("SELECT {n}")).collect();
    let commands: Vec<u8> = queries
        .iter()
        .flat_map(|sql| packet(0, &[&[0x03], sql.as_bytes()].concat()))
        .collect();
    for method in Method::ALL {
        let mut client = session(&proxy, method);
        client
            .wire
            .write_frames(&method.frame(0, &commands))
            .expect("send a frame");
        client.wire.frames().sequence = 1;
        for sql in &queries {
            client.expect_echo(sql);
        }
    }
}

/// A server reads a command when it has answered the last one: each response is numbered behind its own command.
#[test]
fn a_command_that_comes_early_does_not_number_the_response_before_it_anew() {
    let server = Server::mysql().on_command(|conversation, command| {
        if !command.payload.ends_with(b"LONG") {
            return Ok(Answer::Ordinary);
        }
        conversation.send_raw(&[one_column(), packet(3, b"\x011")].concat())?;
        conversation.read_raw()?;
        conversation.send_raw(&[packet(4, b"\x012"), packet(5, &ok_as_end(2))].concat())?;
        // not before the client has read that
        conversation.read_raw()?;
        conversation.send_raw(&packet(1, &ok(2)))?;
        conversation.send_raw(&packet(1, &ok(2)))?;
        Ok(Answer::Done)
    });
    let (_backend, proxy) = start(server, ON);
    for method in Method::ALL {
        let mut client = session(&proxy, method);
        client.query("SELECT LONG");
        client.read_answer(3);
        let early = labelled(0, &packet(0, b"\x0e"), 0);
        client.wire.write_frames(&early).expect("send a frame");
        assert_eq!(client.read().payload, b"\x012");
        client.read();
        client.wire.write_frames(&early).expect("send a frame");
        client.wire.frames().sequence = 1;
        client.read_answer(1);
        // in whatever frame: it came too early for one of its own
        client.read_answer(1);
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
    }
}

#[test]
fn short_packets_are_not_compressed_and_longer_ones_are() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let mut client = session(&proxy, Method::Zlib);
    client.command(&[0x0e]);
    assert!(client.read().is_ok());
    assert_eq!(client.wire.frames().came, [(11, false)]);
    let sql = "z".repeat(1000);
    client.query(&sql);
    client.expect_echo(&sql);
    let (_, was_compressed) = client.wire.frames().came[1];
    assert!(was_compressed);
}

// ---- everything else that packets are for --------------------------------------------------------------------------

#[test]
fn a_change_of_user_is_compressed_too() {
    let accounts = "accounts: [{ user: \"'strict'@'%'\", require: X509 }]";
    let (backend, proxy) = start(Server::mysql(), &format!("{ON}\n{accounts}"));
    for method in Method::ALL {
        let mut client = session(&proxy, method);
        client.command(&ChangeUser::to("other").payload());
        assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
        client.command(&ChangeUser::to("strict").payload());
        assert_eq!(client.error().code_and_state(), (1045, "28000"));
        client.expect_clean_end();
    }
    backend.wait_for("COM_CHANGE_USER", |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::ChangeUser(_)))
            .then_some(())
    });
}

/// The shell of MySQL 9.7 numbers a file's packets as frames (run): behind five packets in one frame, from 2 on.
#[test]
fn a_files_packets_are_numbered_as_the_backend_expects() {
    let server = Server::mysql().on_command(|conversation, command| {
        if !command.payload.starts_with(b"\x03LOAD") {
            return Ok(Answer::Ordinary);
        }
        let more_results = 8 | 2;
        let first = [
            one_column(),
            packet(3, b"\x011"),
            packet(4, &ok_as_end(more_results)),
        ];
        conversation.send_raw(&[&first.concat()[..], &packet(5, b"\xfbrows.csv")].concat())?;
        for expected in [6, 7, 8] {
            let part = conversation.read_raw()?;
            assert_eq!(part.sequence, expected, "{part:?}");
        }
        conversation.send(&ok(2))?;
        Ok(Answer::Done)
    });
    let (_backend, proxy) = start(server, ON);
    for method in Method::ALL {
        for cut in [1, 5, 1000] {
            let mut client = session(&proxy, method);
            client.query("LOAD; SELECT 1; LOAD DATA LOCAL INFILE 'rows.csv'");
            client.read_answer(5);
            let next = client.wire.frames().sequence;
            let parts = [
                packet(next, b"\x11root\0"),
                packet(next + 1, b"\x03DROP TABLE t"),
                packet(next + 2, b""),
            ];
            for piece in parts.concat().chunks(cut) {
                client.wire.write_all(piece).expect("send a piece");
            }
            client.sequence = 9;
            assert!(client.read().is_ok());
            client.query("SELECT 1");
            client.expect_echo("SELECT 1");
        }
    }
}

#[test]
fn a_polite_end_is_told_in_a_frame() {
    let (_backend, mut proxy) = start(Server::mysql(), ON);
    let mut client = session(&proxy, Method::Zstd);
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
    proxy.terminate();
    wait_until("a closed port", || {
        TcpStream::connect(proxy.address).is_err()
    });
    client.query("SELECT 2");
    client.sequence = 1;
    assert_eq!(client.error().code_and_state(), (1053, "08S01"));
    client.expect_clean_end();
    assert!(proxy.exit_status().success());
}

#[test]
fn an_empty_frame_is_nothing() {
    let (_backend, proxy) = start(Server::mysql(), ON);
    let mut client = session(&proxy, Method::Zlib);
    client
        .wire
        .write_frames(&labelled(0, &[], 0))
        .expect("send");
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
}
