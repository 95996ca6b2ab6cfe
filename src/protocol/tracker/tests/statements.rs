//! Statements that may have to be changed: the tracker stops before each of them, once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::statement::LONGEST_BYTES;

const KILL: &[u8] = b"\x03KILL QUERY 2147483649";

fn stopped(forward: usize) -> ClientVerdict {
    ClientVerdict {
        forward,
        skip: 0,
        then: ClientThen::Read,
    }
}

#[test]
fn a_statement_is_not_forwarded_before_it_was_read() {
    let mut tracker = Tracker::new(EOF);
    let bytes = commands(&[PING, KILL, PING]);
    let ping = packet(0, PING).len();
    assert_eq!(tracker.client_bytes(&bytes), Ok(stopped(ping)));
    assert_eq!(tracker.client_bytes(&bytes[ping..]), Ok(stopped(0)));
    tracker.was_read();
    let rest = bytes.len() - ping;
    assert_eq!(tracker.client_bytes(&bytes[ping..]), Ok(forwarded(rest)));
    assert_eq!(tracker.outstanding(), 3);
}

#[test]
fn each_statement_is_read() {
    let mut tracker = Tracker::new(EOF);
    for _ in 0..3 {
        assert_eq!(tracker.client_bytes(&packet(0, KILL)), Ok(stopped(0)));
        tracker.was_read();
        ask(&mut tracker, &[KILL]);
    }
}

#[test]
fn a_file_is_not_wanted_of_a_client_whose_statement_is_held_back() {
    for sent in [&packet(0, KILL)[..], &packet(0, KILL)[..9]] {
        let mut tracker = asked(EOF, &[QUERY]);
        tracker.client_bytes(sent).expect("held back");
        assert_eq!(
            tracker.backend_bytes(&packet(1, FILE_REQUEST)),
            Err(Violation::FileRequestAmongCommands)
        );
    }
}

#[test]
fn a_statement_out_of_order_is_refused_before_it_is_read() {
    let mut tracker = Tracker::new(EOF);
    assert!(tracker.client_bytes(&packet(1, KILL)).is_err());
}

#[test]
fn a_long_statement_is_never_held_back() {
    let longest = [KILL, &vec![b' '; LONGEST_BYTES - KILL.len()]].concat();
    let mut tracker = Tracker::new(EOF);
    assert_eq!(tracker.client_bytes(&packet(0, &longest)), Ok(stopped(0)));
    let longer = packet(0, &[&longest, &b" "[..]].concat());
    let start = HEADER_BYTES + KILL.len();
    assert_eq!(tracker.client_bytes(&longer[..start]), Ok(forwarded(start)));
}

#[test]
fn the_command_that_took_its_place_is_tracked() {
    let mut tracker = Tracker::new(EOF);
    assert_eq!(tracker.client_bytes(&packet(0, KILL)), Ok(stopped(0)));
    tracker.was_read();
    ask(&mut tracker, &[b"\x03KILL QUERY 7"]);
    answer(&mut tracker, &[OK]);
    assert!(tracker.is_between_transactions());
}

#[test]
fn behind_attributes_the_text_is_found() {
    let form = Form {
        query_attributes: true,
        ..EOF
    };
    let with_one = b"\x03\x01\x01\x00\x01\xfe\x00\x04name\x05valueKILL 5";
    for (form, command, is_read) in [
        (form, &b"\x03\x00\x01KILL 5"[..], true),
        (form, with_one, true),
        (form, b"\x16KILL 5", true),
        (EOF, b"\x03\x00\x01KILL 5", false),
        (form, b"\x03\x00\x01SELECT 1", false),
    ] {
        let bytes = packet(0, command);
        let expected = if is_read {
            stopped(0)
        } else {
            forwarded(bytes.len())
        };
        assert_eq!(
            Tracker::new(form).client_bytes(&bytes),
            Ok(expected),
            "{command:?}"
        );
    }
}

proptest! {
    /// However a stream is cut, the tracker stops before the same commands and forwards everything else as it is.
    #[test]
    fn pieces_of_any_size_are_stopped_at_the_same_places(
        payloads in vec(prop::sample::select(vec![
            PING, QUERY, KILL, b"\x16/* x */ kill 5", b"\x0c\x01\x00\x00\x80", b"\x03SHOW STATUS LIKE 'Ssl_cipher'",
            b"\x03SELECT ssl", b"\x03-- a\nINSERT", b"\x16SET x", CLOSE,
        ]), 1..8),
        sizes in vec(1_usize..20, 1..20),
    ) {
        let stream = commands(&payloads);
        let mut tracker = Tracker::new(EOF);
        let (mut kept, mut sent, mut stops) = (Vec::new(), Vec::new(), 0);
        let (mut rest, mut sizes) = (&stream[..], sizes.into_iter().cycle());
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).min(rest.len());
            kept.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            loop {
                let verdict = tracker.client_bytes(&kept).expect("commands in order");
                sent.extend(kept.drain(..verdict.forward));
                if verdict.then != ClientThen::Read {
                    break;
                }
                stops += 1;
                tracker.was_read();
            }
        }
        let read = payloads.iter().filter(|payload| {
            let text = String::from_utf8_lossy(payload).to_lowercase();
            payload[0] == 0x0c || text.contains("kill") || text.contains("ssl")
        });
        prop_assert_eq!(stops, read.count());
        prop_assert_eq!(sent, stream);
    }
}
