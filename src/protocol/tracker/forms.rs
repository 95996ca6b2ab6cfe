//! Each form of commands and responses by hand, refusals first. Bytes are those of MySQL's documentation.

use super::super::response::{FULL_PACKET_BYTES, Form};
use super::*;

const EOF: Form = Form {
    deprecate_eof: false,
    optional_metadata: false,
    cache_metadata: false,
};
const NO_EOF: Form = Form {
    deprecate_eof: true,
    ..EOF
};

const OK: &[u8] = b"\x00\x00\x00\x02\x00\x00\x00";
const ERR: &[u8] = b"\xff\x28\x04#42000syntax";
const END: &[u8] = b"\xfe\x00\x00\x02\x00";
const DEFINITION: &[u8] =
    b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00";
const FILE_REQUEST: &[u8] = b"\xfbdata.tsv";
const QUERY: &[u8] = b"\x03SELECT 1";
const PING: &[u8] = b"\x0e";
const PREPARE: &[u8] = b"\x16SELECT ?";
const EXECUTE: &[u8] = b"\x17\x07\x00\x00\x00\x01\x01\x00\x00\x00";
const FETCH: &[u8] = b"\x1c\x07\x00\x00\x00\x01\x00\x00\x00";
const CLOSE: &[u8] = b"\x19\x07\x00\x00\x00";
const LONG_DATA: &[u8] = b"\x18\x07\x00\x00\x00\x00\x00part";

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, ..] = u32::try_from(payload.len())
        .expect("test packets are short")
        .to_le_bytes();
    [&[low, middle, high, sequence], payload].concat()
}

/// Packets that count on from a number.
fn packets(sequence: u8, payloads: &[&[u8]]) -> Vec<u8> {
    (sequence..)
        .zip(payloads)
        .flat_map(|(sequence, payload)| packet(sequence, payload))
        .collect()
}

/// Commands that a client sends in one write.
fn commands(payloads: &[&[u8]]) -> Vec<u8> {
    payloads
        .iter()
        .flat_map(|payload| packet(0, payload))
        .collect()
}

/// A tracker that has forwarded these commands.
fn asked(form: Form, payloads: &[&[u8]]) -> Tracker {
    let mut tracker = Tracker::new(form);
    ask(&mut tracker, payloads);
    tracker
}

fn ask(tracker: &mut Tracker, payloads: &[&[u8]]) {
    let bytes = commands(payloads);
    assert_eq!(tracker.client_bytes(&bytes), Ok(forwarded(bytes.len())));
}

fn forwarded(forward: usize) -> ClientVerdict {
    ClientVerdict {
        forward,
        skip: 0,
        then: ClientThen::ReadMore,
    }
}

/// The backend answers the first command: packets from 1 on.
fn answer(tracker: &mut Tracker, payloads: &[&[u8]]) {
    assert_eq!(
        tracker.backend_bytes(&packets(1, payloads)),
        Ok(BackendThen::ReadMore)
    );
}

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
    let half = &packet(0, QUERY)[..9];
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
fn a_client_that_never_reads_is_stopped() {
    let mut tracker = Tracker::new(EOF);
    let pings = packet(0, PING).repeat(OUTSTANDING_LIMIT);
    assert_eq!(tracker.client_bytes(&pings), Ok(forwarded(pings.len())));
    assert_eq!(tracker.outstanding(), OUTSTANDING_LIMIT);
    let refused = tracker.client_bytes(&packet(0, PING));
    assert_eq!(refused, Err(Violation::TooManyCommands));
}

#[test]
fn a_command_that_is_not_in_the_table_is_dropped_whole_and_nothing_else_is() {
    let before = packet(0, QUERY);
    let unknown = packet(0, b"\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00");
    let bytes = [&before[..], &unknown, &packet(0, PING)].concat();
    let mut tracker = Tracker::new(EOF);
    let verdict = tracker.client_bytes(&bytes);
    assert_eq!(
        verdict,
        Ok(ClientVerdict {
            forward: before.len(),
            skip: unknown.len(),
            then: ClientThen::Refuse {
                command: 0x12,
                sequence: 0
            }
        })
    );
    assert_eq!(tracker.outstanding(), 1);
}

#[test]
fn a_long_command_that_is_not_in_the_table_is_dropped_with_all_its_packets() {
    let mut tracker = Tracker::new(EOF);
    let skipped = |skip, then| {
        Ok(ClientVerdict {
            forward: 0,
            skip,
            then,
        })
    };
    let full = [
        &b"\xff\xff\xff\x00\xfa"[..],
        &vec![0; FULL_PACKET_BYTES - 1],
    ]
    .concat();
    assert_eq!(
        tracker.client_bytes(&full),
        skipped(full.len(), ClientThen::ReadMore)
    );
    let end = packet(1, b"\x03 DROP TABLE t");
    let then = ClientThen::Refuse {
        command: 0xfa,
        sequence: 1,
    };
    assert_eq!(tracker.client_bytes(&end), skipped(end.len(), then));
}

#[test]
fn a_change_of_user_is_left_where_it_is() {
    let before = commands(&[QUERY, PING]);
    let bytes = [&before[..], &packet(0, b"\x11app\x00"), &packet(0, QUERY)].concat();
    let mut tracker = Tracker::new(EOF);
    assert_eq!(
        tracker.client_bytes(&bytes),
        Ok(ClientVerdict {
            forward: before.len(),
            skip: 0,
            then: ClientThen::ChangeUser
        })
    );
    assert_eq!(tracker.outstanding(), 2);
}

#[test]
fn nothing_is_forwarded_behind_a_quit() {
    let quit = packet(0, b"\x01");
    let mut tracker = Tracker::new(EOF);
    let verdict = tracker.client_bytes(&[&quit[..], &packet(0, QUERY)].concat());
    let forward = quit.len();
    let then = ClientThen::Quit;
    assert_eq!(
        verdict,
        Ok(ClientVerdict {
            forward,
            skip: 0,
            then
        })
    );
    let rest = packet(0, QUERY);
    let skip = rest.len();
    assert_eq!(
        tracker.client_bytes(&rest),
        Ok(ClientVerdict {
            forward: 0,
            skip,
            then
        })
    );
}

#[test]
fn the_start_of_a_command_waits_until_it_can_be_told() {
    for (payload, head) in [
        (QUERY, 5),
        (PING, 5),
        (EXECUTE, 9),
        (b"\x11app\x00", 5),
        (b"\x12\x00", 5),
    ] {
        let bytes = packet(0, payload);
        for cut in 1..head {
            let verdict = Tracker::new(EOF).client_bytes(&bytes[..cut]);
            assert_eq!(verdict, Ok(forwarded(0)), "{payload:?} cut at {cut}");
        }
        let verdict = Tracker::new(EOF).client_bytes(&bytes[..head]);
        assert_ne!(verdict, Ok(forwarded(0)), "{payload:?}");
    }
}

#[test]
fn rows_that_look_like_something_else_are_rows() {
    let rows: &[&[u8]] = &[
        b"\xfb",
        b"\x00",
        b"\x00\x00\x00\x02\x00\x00\x00",
        b"\xfb\xfb",
        b"\x01\xfe",
    ];
    let mut tracker = asked(NO_EOF, &[QUERY]);
    answer(&mut tracker, &[&[b"\x01", DEFINITION], rows].concat());
    assert_eq!(tracker.outstanding(), 1);
    let end = packet(8, b"\xfe\x00\x00\x02\x00\x00\x00");
    assert_eq!(tracker.backend_bytes(&end), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn a_row_of_16_mib_is_no_end_and_neither_is_what_continues_it() {
    for (form, end) in [(EOF, END), (NO_EOF, &b"\xfe\x00\x00\x02\x00\x00\x00"[..])] {
        let mut tracker = asked(form, &[QUERY]);
        answer(&mut tracker, &[b"\x01", DEFINITION]);
        let mut sequence = 3;
        if form == EOF {
            assert_eq!(
                tracker.backend_bytes(&packet(3, END)),
                Ok(BackendThen::ReadMore)
            );
            sequence = 4;
        }
        let row = [
            &b"\xff\xff\xff"[..],
            &[sequence, 0xfe],
            &vec![0; FULL_PACKET_BYTES - 1],
        ]
        .concat();
        let rest = [packet(sequence + 1, END), packet(sequence + 2, b"\xfb")].concat();
        let bytes = [row, rest].concat();
        assert_eq!(tracker.backend_bytes(&bytes), Ok(BackendThen::ReadMore));
        assert_eq!(tracker.outstanding(), 1);
        assert_eq!(
            tracker.backend_bytes(&packet(sequence + 3, end)),
            Ok(BackendThen::ReadMore)
        );
        assert_eq!(tracker.outstanding(), 0);
    }
}

/// What continues the row looks like a row of its own, with the number that is due.
#[test]
fn a_row_of_16_mib_in_one_piece_is_continued() {
    let mut tracker = asked(NO_EOF, &[QUERY]);
    answer(&mut tracker, &[b"\x01", DEFINITION]);
    let row = [
        &b"\xff\xff\xff\x03\xfd"[..],
        &vec![0; FULL_PACKET_BYTES - 1],
    ]
    .concat();
    let bytes = [row, packet(4, ERR), packet(5, b"\x011")].concat();
    assert_eq!(tracker.backend_bytes(&bytes), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 1);
}

#[test]
fn a_row_cut_behind_its_header_is_not_taken_for_packets() {
    let mut tracker = asked(NO_EOF, &[QUERY]);
    answer(&mut tracker, &[b"\x01", DEFINITION]);
    let row = packet(3, &packet(3, b"\x011"));
    let bytes = [row, packet(4, ERR)].concat();
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    assert_eq!(tracker.backend_bytes(header), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.backend_bytes(rest), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 0);
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
fn sequence_numbers_wrap_around_in_a_long_response() {
    let mut tracker = asked(NO_EOF, &[QUERY]);
    answer(&mut tracker, &[b"\x01", DEFINITION]);
    for sequence in (3..=255).chain(0..=255) {
        let row = packet(sequence, b"\x011");
        assert_eq!(tracker.backend_bytes(&row), Ok(BackendThen::ReadMore));
    }
    assert_eq!(
        tracker.backend_bytes(&packet(0, ERR)),
        Ok(BackendThen::ReadMore)
    );
    assert_eq!(tracker.outstanding(), 0);
}

/// 255 full packets and an empty one: the response starts at 0, and its ERR is no unasked one.
#[test]
fn sequence_numbers_wrap_around_in_a_long_command() {
    let mut tracker = Tracker::new(EOF);
    let mut full = [
        &b"\xff\xff\xff\x00\x03"[..],
        &vec![0; FULL_PACKET_BYTES - 1],
    ]
    .concat();
    for sequence in 0..255 {
        full[3] = sequence;
        assert_eq!(tracker.client_bytes(&full), Ok(forwarded(full.len())));
    }
    assert_eq!(tracker.client_bytes(&packet(255, b"")), Ok(forwarded(4)));
    assert_eq!(
        tracker.backend_bytes(&packet(0, ERR)),
        Ok(BackendThen::ReadMore)
    );
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn a_backend_may_refuse_a_command_that_it_has_not_read_whole() {
    let mut tracker = Tracker::new(EOF);
    let full = [
        &b"\xff\xff\xff\x00\x03"[..],
        &vec![0; FULL_PACKET_BYTES - 1],
    ]
    .concat();
    assert_eq!(tracker.client_bytes(&full), Ok(forwarded(full.len())));
    assert_eq!(
        tracker.backend_bytes(&packet(1, ERR)),
        Ok(BackendThen::ReadMore)
    );
    assert_eq!(tracker.outstanding(), 0);
    assert!(!tracker.is_between_transactions());
    let rest = [packet(1, b"rest"), packet(0, PING)].concat();
    assert_eq!(tracker.client_bytes(&rest), Ok(forwarded(rest.len())));
    answer(&mut tracker, &[OK]);
    assert_eq!(tracker.outstanding(), 0);
}

/// As all three servers do at `max_allowed_packet`: the rest of the command is on its way by then.
#[test]
fn a_backend_may_refuse_a_command_at_an_earlier_packet_than_its_last() {
    let full = [
        &b"\xff\xff\xff\x00\x03"[..],
        &vec![0; FULL_PACKET_BYTES - 1],
    ]
    .concat();
    let command = [full, packet(1, b"rest")].concat();
    for (payload, sequence, accepted) in [
        (ERR, 1, true),
        (ERR, 2, true),
        (ERR, 3, false),
        (OK, 1, false),
    ] {
        let mut tracker = Tracker::new(EOF);
        assert_eq!(tracker.client_bytes(&command), Ok(forwarded(command.len())));
        let then = tracker.backend_bytes(&packet(sequence, payload));
        assert_eq!(then.is_ok(), accepted, "{payload:?} {sequence}");
        assert_eq!(tracker.outstanding(), usize::from(!accepted));
    }
}

#[test]
fn a_file_ends_with_an_empty_packet_that_continues_nothing() {
    let mut tracker = asked(EOF, &[QUERY]);
    answer(&mut tracker, &[FILE_REQUEST]);
    let full = [&b"\xff\xff\xff\x02"[..], &vec![0; FULL_PACKET_BYTES]].concat();
    let file = [full, packets(3, &[b"", b"\x01 no command", b""])].concat();
    assert_eq!(tracker.client_bytes(&file), Ok(forwarded(file.len())));
    let command = packet(0, PING);
    assert_eq!(tracker.client_bytes(&command), Ok(forwarded(command.len())));
    let responses = [packet(6, OK), packet(1, OK)].concat();
    assert_eq!(tracker.backend_bytes(&responses), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 0);
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

#[test]
fn progress_is_no_response() {
    let progress: &[u8] = b"\xff\xff\xff\x01\x01\x02\x82\x06\x00\x00";
    let mut tracker = asked(EOF, &[QUERY]);
    answer(&mut tracker, &[progress, progress]);
    assert_eq!(tracker.outstanding(), 1);
    assert_eq!(
        tracker.backend_bytes(&packet(3, OK)),
        Ok(BackendThen::ReadMore)
    );
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn an_unasked_err_is_told_once_it_is_whole() {
    let err = packet(
        0,
        b"\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity.",
    );
    let mut tracker = Tracker::new(EOF);
    let (most, last) = err.split_at(err.len() - 1);
    assert_eq!(tracker.backend_bytes(most), Ok(BackendThen::ReadMore));
    let error_code = 4031;
    assert_eq!(
        tracker.backend_bytes(last),
        Ok(BackendThen::Unasked { error_code })
    );
}

#[test]
fn an_unasked_err_may_cross_a_command_on_its_way() {
    let err = packet(0, b"\xff\xbf\x0f#HY000");
    let error_code = 4031;
    let mut tracker = asked(EOF, &[QUERY]);
    assert_eq!(
        tracker.backend_bytes(&err),
        Ok(BackendThen::Unasked { error_code })
    );
}

#[test]
fn a_response_has_ended_only_when_its_last_byte_has_come() {
    let mut tracker = asked(EOF, &[QUERY]);
    let ok = packet(1, &[OK, &[b'x'; 100]].concat());
    let (most, last) = ok.split_at(ok.len() - 1);
    assert_eq!(tracker.backend_bytes(most), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 1);
    assert_eq!(tracker.backend_bytes(last), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn an_err_of_our_own_fits_only_where_the_client_waits_for_a_packet() {
    let mut tracker = Tracker::new(EOF);
    assert_eq!(tracker.error_sequence(), None);
    let command = packet(0, QUERY);
    let (most, last) = command.split_at(command.len() - 1);
    for (bytes, expected) in [(most, None), (last, Some(1))] {
        assert_eq!(tracker.client_bytes(bytes), Ok(forwarded(bytes.len())));
        assert_eq!(tracker.error_sequence(), expected);
    }
    let response = packets(1, &[b"\x01", DEFINITION, END, b"\x011", END]);
    let expected = [
        (5, Some(2)),
        (6, None),
        (12, None),
        (5 + 4 + DEFINITION.len(), Some(3)),
    ];
    let mut given = 0;
    for (until, expected) in expected {
        let then = tracker.backend_bytes(&response[given..until]);
        assert_eq!(then, Ok(BackendThen::ReadMore));
        assert_eq!(tracker.error_sequence(), expected, "after {until} bytes");
        given = until;
    }
    assert_eq!(
        tracker.backend_bytes(&response[given..]),
        Ok(BackendThen::ReadMore)
    );
    assert_eq!(tracker.error_sequence(), None);
}

#[test]
fn a_bare_response_is_one_packet_whatever_it_says() {
    for text in [&b"Uptime: 1"[..], OK, ERR, b"", b"\xff", b"\xfb"] {
        let mut tracker = asked(EOF, &[b"\x09"]);
        answer(&mut tracker, &[text]);
        assert_eq!(tracker.outstanding(), 0, "{text:?}");
    }
}

#[test]
fn an_open_cursor_is_something_to_lose_until_its_last_row_or_its_end() {
    let opened: &[&[u8]] = &[b"\x01", DEFINITION, b"\xfe\x00\x00\x42\x00"];
    let ends: &[(&[u8], &[&[u8]])] = &[
        (FETCH, &[b"\x00\x00\x01", b"\xfe\x00\x00\x82\x00"]),
        (b"\x1a\x07\x00\x00\x00", &[OK]),
        (b"\x1f", &[OK]),
        (CLOSE, &[]),
    ];
    for (command, response) in ends {
        let mut tracker = asked(EOF, &[EXECUTE]);
        answer(&mut tracker, opened);
        assert_eq!(tracker.outstanding(), 0);
        assert!(!tracker.is_between_transactions());
        ask(&mut tracker, &[PING]);
        answer(&mut tracker, &[OK]);
        assert!(
            !tracker.is_between_transactions(),
            "an OK of another command"
        );
        ask(&mut tracker, &[command]);
        answer(&mut tracker, response);
        assert!(tracker.is_between_transactions(), "{command:?}");
    }
}

#[test]
fn a_cursor_closed_in_the_same_write_is_closed_after_it_was_opened() {
    let mut tracker = asked(EOF, &[EXECUTE, CLOSE]);
    assert_eq!(tracker.outstanding(), 2);
    answer(
        &mut tracker,
        &[b"\x01", DEFINITION, b"\xfe\x00\x00\x42\x00"],
    );
    assert_eq!(tracker.outstanding(), 0);
    assert!(tracker.is_between_transactions());
}

/// As MariaDB's connectors send it: the number of the statement is not known yet.
#[test]
fn a_cursor_of_the_statement_prepared_last_has_that_statements_number() {
    let execute_last: &[u8] = b"\x17\xff\xff\xff\xff\x01\x01\x00\x00\x00";
    let mut tracker = asked(NO_EOF, &[b"\x16SELECT 1", execute_last]);
    let prepared: &[u8] = b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    answer(&mut tracker, &[prepared, DEFINITION]);
    answer(
        &mut tracker,
        &[b"\x01", DEFINITION, b"\xfe\x00\x00\x42\x00\x00\x00"],
    );
    assert!(!tracker.is_between_transactions());
    ask(&mut tracker, &[CLOSE]);
    assert!(tracker.is_between_transactions());
}

#[test]
fn only_commands_with_results_have_more_of_them() {
    let mut tracker = asked(EOF, &[FETCH, PING]);
    answer(&mut tracker, &[b"\x00\x00\x01", b"\xfe\x00\x00\x0a\x00"]);
    assert_eq!(tracker.outstanding(), 1);
    answer(&mut tracker, &[b"\x00\x00\x00\x0a\x00\x00\x00"]);
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn long_data_is_something_to_lose_until_it_was_used() {
    let mut tracker = asked(EOF, &[LONG_DATA]);
    assert_eq!(tracker.outstanding(), 0);
    assert!(!tracker.is_between_transactions());
    ask(&mut tracker, &[PING]);
    answer(&mut tracker, &[OK]);
    assert!(!tracker.is_between_transactions());
    ask(&mut tracker, &[EXECUTE]);
    answer(&mut tracker, &[OK]);
    assert!(tracker.is_between_transactions());
}

#[test]
fn a_changed_user_starts_without_cursors_and_long_data() {
    let mut tracker = asked(EOF, &[LONG_DATA, EXECUTE]);
    answer(
        &mut tracker,
        &[b"\x01", DEFINITION, b"\xfe\x00\x00\x43\x00"],
    );
    ask(&mut tracker, &[LONG_DATA, QUERY]);
    answer(&mut tracker, &[ERR]);
    assert!(!tracker.is_between_transactions());
    tracker.user_changed(2);
    assert!(tracker.is_between_transactions());
    tracker.user_changed(3);
    assert!(!tracker.is_between_transactions());
}
