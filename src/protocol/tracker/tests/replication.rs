//! The binary log, streamed to replicas. Packets are those of MySQL's documentation.

use super::*;

const REGISTER: &[u8] = b"\x15\x02\x00\x00\x00\x00\x00\x00\xea\x0c\x00\x00\x00\x00\x00\x00\x00\x00";
const DUMP: &[u8] = b"\x12\x04\x00\x00\x00\x00\x00\x02\x00\x00\x00binlog.000001";
const DUMP_GTID: &[u8] =
    b"\x1e\x04\x00\x02\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
/// A heartbeat's header stands for any event.
const EVENT: &[u8] =
    b"\x00\x00\x00\x00\x00\x1b\x01\x00\x00\x00\x13\x00\x00\x00\x9d\x00\x00\x00\x00\x00";
const ACK: &[u8] = b"\xef\x9d\x00\x00\x00\x00\x00\x00\x00binlog.000001";

fn replica() -> Tracker {
    let mut tracker = asked(NO_EOF, &[DUMP]);
    answer(&mut tracker, &[EVENT, EVENT]);
    tracker
}

#[test]
fn what_is_no_event_is_refused() {
    for payload in [&b"\x01"[..], b"", b"\xfb"] {
        let refused = replica().backend_bytes(&packet(3, payload));
        assert!(
            matches!(refused, Err(Violation::MalformedResponse { .. })),
            "{payload:?}: {refused:?}"
        );
    }
}

#[test]
fn commands_behind_a_stream_wait_for_its_end() {
    let mut tracker = replica();
    for command in [QUERY, WRITE, PING, CLOSE, DUMP] {
        let verdict = tracker.client_bytes(&packet(0, command));
        let held = ClientVerdict {
            forward: 0,
            skip: 0,
            then: ClientThen::Full,
        };
        assert_eq!(verdict, Ok(held));
        assert!(!tracker.takes_commands());
    }
    answer_from(&mut tracker, 3, END);
    assert!(tracker.takes_commands());
    ask(&mut tracker, &[WRITE]);
}

#[test]
fn a_change_of_user_behind_a_stream_is_left_where_it_is() {
    let verdict = replica().client_bytes(&packet(0, b"\x11app\x00"));
    assert_eq!(
        verdict.map(|verdict| (verdict.forward, verdict.then)),
        Ok((0, ClientThen::ChangeUser))
    );
}

#[test]
fn an_acknowledgement_is_nothing_outside_a_stream() {
    let verdict = Tracker::new(EOF).client_bytes(&packet(0, ACK));
    let refused = ClientVerdict {
        forward: 0,
        skip: HEADER_BYTES + ACK.len(),
        then: ClientThen::Refuse {
            command: 0xef,
            sequence: 0,
        },
    };
    assert_eq!(verdict, Ok(refused));
}

#[test]
fn a_replica_registers_and_reads_events_until_the_end() {
    let ends: [&[u8]; 3] = [END, b"\xfe\x00\x00\x02\x00\x00\x00", ERR];
    for (dump, end) in [DUMP, DUMP_GTID]
        .into_iter()
        .flat_map(|dump| ends.map(|end| (dump, end)))
    {
        let mut tracker = asked(NO_EOF, &[REGISTER]);
        answer(&mut tracker, &[OK]);
        ask(&mut tracker, &[dump]);
        answer(&mut tracker, &[EVENT, EVENT]);
        assert_eq!(tracker.outstanding(), 1);
        answer_from(&mut tracker, 3, end);
        assert_eq!(tracker.outstanding(), 0);
    }
}

#[test]
fn a_dump_may_fail_at_once() {
    let mut tracker = asked(EOF, &[DUMP]);
    answer(&mut tracker, &[ERR]);
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn semi_synchronous_sides_count_as_they_like() {
    let mut tracker = replica();
    for (ack, event) in [(0, 0), (0, 1), (7, 3)] {
        let bytes = packet(ack, ACK);
        assert_eq!(tracker.client_bytes(&bytes), Ok(forwarded(bytes.len())));
        answer_from(&mut tracker, event, EVENT);
    }
    assert_eq!(tracker.outstanding(), 1);
}

#[test]
fn an_event_of_more_than_one_packet_is_one_event() {
    let mut tracker = replica();
    let full = [
        &b"\xff\xff\xff\x03\x00"[..],
        &vec![0xfe; MAX_PAYLOAD_BYTES - 1],
    ]
    .concat();
    assert_eq!(tracker.backend_bytes(&full), Ok(BackendThen::ReadMore));
    // it starts as an EOF would
    answer_from(&mut tracker, 4, b"\xfe\x00\x00\x02\x00");
    assert_eq!(tracker.outstanding(), 1);
    answer_from(&mut tracker, 5, EVENT);
}

#[test]
fn a_replica_may_be_asked_to_end_at_any_time() {
    assert!(replica().is_between_transactions());
    let mut behind_a_query = asked(EOF, &[WRITE, DUMP]);
    assert!(!behind_a_query.is_between_transactions());
    answer(&mut behind_a_query, &[OK]);
    assert!(behind_a_query.is_between_transactions());
}

fn answer_from(tracker: &mut Tracker, sequence: u8, payload: &[u8]) {
    assert_eq!(
        tracker.backend_bytes(&packet(sequence, payload)),
        Ok(BackendThen::ReadMore)
    );
}
