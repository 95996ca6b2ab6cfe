//! What a server has answered belongs to the client, however slowly it reads: no polite end takes it away.

use crate::compression;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, transactional};
use crate::support::frames::Method;
use crate::support::handshake::Login;
use crate::support::packet::{COLUMN, length_encoded_bytes, ok_as_end};
use crate::support::proxy::{Config, Proxy};

/// It fits no buffer of a socket, and mytls holds it whole: a packet that is compressed leaves in one frame.
const ROW_BYTES: usize = 14_000_000;

/// A server that answers `LARGE` with a row that cannot be compressed, and knows about transactions.
fn server() -> Server {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    let row = length_encoded_bytes(&noise.take(ROW_BYTES).collect::<Vec<_>>());
    Server::mysql().on_command(move |conversation, command| {
        if command.payload != b"\x03LARGE" {
            return transactional(conversation, command);
        }
        conversation.send(&[1])?;
        conversation.send(COLUMN)?;
        conversation.send_message(&row)?;
        conversation.send(&ok_as_end(2))?;
        Ok(Answer::Done)
    })
}

/// mytls with these lines, and a client that has asked and reads nothing yet.
fn asked(lines: &str) -> (Backend, Proxy, Client) {
    let backend = Backend::start(server());
    let lines = format!("compression: true\n{lines}");
    let proxy = Proxy::start(Config::before(&backend).with(&lines));
    let mut client = compression::session(&proxy, Method::Zlib);
    client.query("LARGE");
    (backend, proxy, client)
}

#[track_caller]
fn expect_it_all(client: &mut Client) {
    client.sequence = 1;
    let packets: Vec<_> = (0..4).map(|_| client.read()).collect();
    assert_eq!(packets[2].payload.len(), 1 + 3 + ROW_BYTES);
    assert!(
        packets[3].payload.starts_with(&[0xfe]),
        "the end of the rows"
    );
}

fn idle_one(proxy: &Proxy) -> Client {
    let mut other = Client::logged_in(proxy.address, &Login::of("app"));
    other.query("SELECT 1");
    other.expect_echo("SELECT 1");
    other
}

#[test]
fn a_client_that_has_not_read_its_answer_is_not_idle() {
    let (_backend, proxy, mut client) = asked("limits: { idle-time: 1s }");
    // each is idle for as long as the client would have to be; behind the second, its close would have been over as well
    for _ in 0..2 {
        let mut other = idle_one(&proxy);
        other.sequence = 0;
        assert_eq!(other.error().code, 4031);
        other.expect_clean_end();
    }
    expect_it_all(&mut client);
    client.query("SELECT 2");
    client.expect_echo("SELECT 2");
}

#[test]
fn the_drain_waits_for_a_client_that_reads_slowly() {
    let (_backend, mut proxy, mut client) = asked("drain: { max: 600s }");
    let mut others = [(); 3].map(|()| idle_one(&proxy));
    for other in &mut others {
        other.query("BEGIN");
        assert!(other.read().is_ok());
    }
    proxy.terminate();
    // each takes as long as the client would have been waited for
    for mut other in others {
        other.query("COMMIT");
        assert!(other.read().is_ok());
        other.expect_clean_end();
    }
    expect_it_all(&mut client);
    client.expect_clean_end();
    assert!(proxy.exit_status().success());
}
