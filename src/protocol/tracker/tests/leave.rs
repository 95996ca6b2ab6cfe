//! A tracker that lets one command on, and then another only when it is told to.

use super::*;
use crate::protocol::statement::LONGEST_BYTES;

fn with_leave_for_one() -> Tracker {
    let mut tracker = Tracker::new(EOF);
    tracker.give(Leave::One);
    tracker
}

fn held_back(then: ClientThen) -> ClientVerdict {
    ClientVerdict {
        forward: 0,
        skip: 0,
        then,
    }
}

#[test]
fn a_second_command_waits_however_the_stream_is_cut() {
    // with an answer, without, and one of which the backend must not be asked amid
    for first in [PING, CLOSE, LONG_DATA, EXECUTE] {
        let length = packet(0, first).len();
        let stream = commands(&[first, PING]);
        for cut in 1..stream.len() {
            let mut tracker = with_leave_for_one();
            let mut kept = Vec::new();
            let mut sent = 0;
            for piece in [&stream[..cut], &stream[cut..]] {
                kept.extend_from_slice(piece);
                let verdict = tracker.client_bytes(&kept).expect("in order");
                kept.drain(..verdict.forward);
                sent += verdict.forward;
                assert_eq!(verdict.skip, 0);
            }
            assert_eq!(sent, length, "{first:?} cut at {cut}");
            assert!(!tracker.takes_commands());
        }
    }
}

#[test]
fn leave_is_spent_when_the_command_has_gone_and_its_answer_has_come() {
    let mut tracker = with_leave_for_one();
    assert!(!tracker.has_spent_leave());
    let bytes = packet(0, LONG_DATA);
    let (front, rest) = bytes.split_at(bytes.len() - 1);
    assert_eq!(tracker.client_bytes(front), Ok(forwarded(front.len())));
    assert_eq!(tracker.outstanding(), 0);
    assert!(!tracker.has_spent_leave(), "a part of it is not there");
    assert_eq!(tracker.client_bytes(rest), Ok(forwarded(rest.len())));
    assert!(tracker.has_spent_leave());

    tracker.give(Leave::One);
    ask(&mut tracker, &[PING]);
    assert!(!tracker.has_spent_leave(), "it is not answered");
    answer(&mut tracker, &[OK]);
    assert!(tracker.has_spent_leave());

    tracker.give(Leave::All);
    assert!(tracker.takes_commands());
    ask(&mut tracker, &[PING, PING]);
}

#[test]
fn every_statement_is_read_and_one_that_is_too_long_refused() {
    let mut tracker = with_leave_for_one();
    let bytes = packet(0, WRITE);
    for length in HEADER_BYTES + 1..bytes.len() {
        let part = tracker.client_bytes(&bytes[..length]);
        assert_eq!(part, Ok(held_back(ClientThen::ReadMore)), "{length}");
    }
    assert_eq!(
        tracker.client_bytes(&bytes),
        Ok(held_back(ClientThen::Read))
    );
    tracker.was_read();
    assert_eq!(tracker.client_bytes(&bytes), Ok(forwarded(bytes.len())));

    let mut tracker = with_leave_for_one();
    let long = packet(0, &[WRITE, &[b' '; LONGEST_BYTES]].concat());
    let refused = ClientVerdict {
        forward: 0,
        skip: long.len(),
        then: ClientThen::Refuse {
            command: 0x03,
            sequence: 0,
        },
    };
    assert_eq!(tracker.client_bytes(&long), Ok(refused));
    assert!(tracker.takes_commands(), "nothing has gone on");
}
