//! What ends a session, and what is held back.

use super::*;

#[test]
fn a_command_must_start_at_sequence_0() {
    let refused = Tracker::new(EOF).client_bytes(&packet(1, QUERY));
    let violation = Violation::Sequence {
        side: Side::Client,
        expected: 0,
        got: 1,
    };
    assert_eq!(refused, Err(violation));
    assert!(violation.is_out_of_order());
    assert_eq!(violation.side(), Side::Client);
}

#[test]
fn a_response_must_follow_its_command() {
    for got in [0, 2, 255] {
        let refused = asked(EOF, &[QUERY]).backend_bytes(&packet(got, OK));
        let violation = Violation::Sequence {
            side: Side::Backend,
            expected: 1,
            got,
        };
        assert_eq!(refused, Err(violation));
    }
}

#[test]
fn packets_of_a_response_are_counted() {
    let mut tracker = asked(EOF, &[QUERY]);
    answer(&mut tracker, &[b"\x01", DEFINITION]);
    assert_eq!(
        tracker.backend_bytes(&packet(4, END)),
        Err(Violation::Sequence {
            side: Side::Backend,
            expected: 3,
            got: 4
        })
    );
}

#[test]
fn a_command_without_a_command_byte_or_statement_is_refused() {
    let short = [
        &b""[..],
        b"\x17",
        b"\x17\x01\x00\x00",
        b"\x18\x01",
        b"\x19",
        b"\x1a\x00\x00\x00",
        b"\x1c",
    ];
    for payload in short {
        let refused = Tracker::new(EOF).client_bytes(&packet(0, payload));
        assert_eq!(refused, Err(Violation::ShortCommand), "{payload:?}");
    }
}

#[test]
fn a_packet_that_nobody_asked_for_is_refused() {
    for payload in [OK, END, b"\x01", b"", b"\xff", b"\xff\xff\xff\x01"] {
        let refused = Tracker::new(EOF).backend_bytes(&packet(0, payload));
        assert_eq!(refused, Err(Violation::Unasked), "{payload:?}");
    }
}

#[test]
fn a_response_to_half_a_command_is_refused() {
    let mut tracker = Tracker::new(EOF);
    let half = &packet(0, WRITE)[..9];
    assert_eq!(tracker.client_bytes(half), Ok(forwarded(9)));
    let refused = tracker.backend_bytes(&packet(1, OK));
    let command = Command::Query;
    assert_eq!(refused, Err(Violation::Early { command }));
}

#[test]
fn malformed_responses_are_refused() {
    /// Command, good packets of its response, the one that is refused.
    type Case = (&'static [u8], &'static [&'static [u8]], &'static [u8]);
    const RESULT_SET: &[&[u8]] = &[b"\x01", DEFINITION];
    let cases: &[Case] = &[
        (QUERY, &[], b""),
        (QUERY, &[], b"\xff"),
        (QUERY, &[], b"\xff\x28"),
        (QUERY, &[], b"\x00"),
        (QUERY, &[], b"\x00\x00\x00\x02"),
        (QUERY, &[], b"\x00\xfb\x00\x02\x00"),
        (QUERY, &[], b"\x00\xfe\x01\x02\x03"),
        (QUERY, &[], b"\xfc\x01"),
        (QUERY, &[], END),
        (QUERY, RESULT_SET, OK),
        (QUERY, RESULT_SET, b"\xfe\x00\x00\x00\x00\x00\x00\x00\x00"),
        (QUERY, &[b"\x01", DEFINITION, END], b""),
        (QUERY, &[b"\x01", DEFINITION, END], b"\xfe\x00\x00\x02"),
        (PING, &[], b"\x01"),
        (PING, &[], b""),
        (PREPARE, &[], OK),
        (
            PREPARE,
            &[],
            b"\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        ),
        (PREPARE, &[], b"\x00\x01\x00\x00\x00\x00\x00\x01\x00"),
        (
            PREPARE,
            &[
                b"\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
                DEFINITION,
            ],
            OK,
        ),
    ];
    for (command, before, last) in cases {
        let mut tracker = asked(EOF, &[command]);
        let sequence = 1 + u8::try_from(before.len()).expect("few packets");
        answer(&mut tracker, before);
        let refused = tracker.backend_bytes(&packet(sequence, last));
        assert!(
            matches!(refused, Err(Violation::MalformedResponse { .. })),
            "{command:?}: {last:?}: {refused:?}"
        );
    }
}

#[test]
fn a_file_is_not_asked_for_while_another_command_is_in_flight() {
    let behind: &[&[u8]] = &[PING, CLOSE, LONG_DATA, b"\x03", b"\x1e\x00"];
    for other in behind {
        let mut tracker = Tracker::new(EOF);
        let then = tracker.client_bytes(&commands(&[QUERY, other]));
        assert!(then.is_ok(), "{other:?}");
        let refused = tracker.backend_bytes(&packet(1, FILE_REQUEST));
        assert_eq!(
            refused,
            Err(Violation::FileRequestAmongCommands),
            "{other:?}"
        );
    }
}

#[test]
fn a_file_is_not_asked_for_while_a_command_is_half_sent_or_held_back() {
    let behind: &[&[u8]] = &[
        &packet(0, QUERY)[..7],
        &packet(0, b"\x1e\x00")[..5],
        &packet(0, b"\x11app\x00"),
    ];
    for other in behind {
        let mut tracker = Tracker::new(EOF);
        let then = tracker.client_bytes(&[&packet(0, QUERY)[..], other].concat());
        assert!(then.is_ok(), "{other:?}");
        let refused = tracker.backend_bytes(&packet(1, FILE_REQUEST));
        assert_eq!(
            refused,
            Err(Violation::FileRequestAmongCommands),
            "{other:?}"
        );
    }
}

#[test]
fn many_commands_at_once_leave_no_room_behind_when_they_are_answered() {
    let mut tracker = Tracker::new(EOF);
    let pings = packet(0, PING).repeat(OUTSTANDING_LIMIT);
    assert_eq!(tracker.client_bytes(&pings), Ok(forwarded(pings.len())));
    for _ in 0..OUTSTANDING_LIMIT {
        answer(&mut tracker, &[OK]);
    }
    assert!(tracker.commands.capacity() <= KEPT_COMMANDS);
}

#[test]
fn a_client_that_never_reads_is_held_back_until_half_is_answered() {
    let mut tracker = Tracker::new(EOF);
    let pings = packet(0, PING).repeat(OUTSTANDING_LIMIT);
    assert_eq!(tracker.client_bytes(&pings), Ok(forwarded(pings.len())));
    assert_eq!(tracker.outstanding(), OUTSTANDING_LIMIT);
    let one_more = packet(0, PING);
    let held = ClientVerdict {
        forward: 0,
        skip: 0,
        then: ClientThen::Full,
    };
    assert_eq!(tracker.client_bytes(&one_more), Ok(held));
    assert!(!tracker.takes_commands());
    for _ in 0..OUTSTANDING_LIMIT / 2 {
        answer(&mut tracker, &[OK]);
    }
    assert!(tracker.takes_commands());
    assert_eq!(
        tracker.client_bytes(&one_more),
        Ok(forwarded(one_more.len()))
    );
}

#[test]
fn rows_are_counted() {
    let mut tracker = asked(NO_EOF, &[QUERY]);
    answer(&mut tracker, &[b"\x01", DEFINITION, b"\x011"]);
    let refused = tracker.backend_bytes(&[packet(4, b"\x011"), packet(6, b"\x011")].concat());
    let violation = Violation::Sequence {
        side: Side::Backend,
        expected: 5,
        got: 6,
    };
    assert_eq!(refused, Err(violation));
}

#[test]
fn a_file_counts_on_from_the_request() {
    let mut tracker = asked(EOF, &[QUERY]);
    answer(&mut tracker, &[FILE_REQUEST]);
    let refused = tracker.client_bytes(&packet(0, QUERY));
    let violation = Violation::Sequence {
        side: Side::Client,
        expected: 2,
        got: 0,
    };
    assert_eq!(refused, Err(violation));
}
