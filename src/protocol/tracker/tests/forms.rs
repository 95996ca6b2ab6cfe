//! Each form of commands and responses.

use super::*;

#[test]
fn a_command_that_is_not_in_the_table_is_dropped_whole_and_nothing_else_is() {
    let before = packet(0, QUERY);
    let unknown = packet(0, b"\x13\x04test\x01t");
    let bytes = [&before[..], &unknown, &packet(0, PING)].concat();
    let mut tracker = Tracker::new(EOF);
    let verdict = tracker.client_bytes(&bytes);
    assert_eq!(
        verdict,
        Ok(ClientVerdict {
            forward: before.len(),
            skip: unknown.len(),
            then: ClientThen::Refuse {
                command: 0x13,
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
        &b"\xff\xff\xff\x00\xfe"[..],
        &vec![0; MAX_PAYLOAD_BYTES - 1],
    ]
    .concat();
    assert_eq!(
        tracker.client_bytes(&full),
        skipped(full.len(), ClientThen::ReadMore)
    );
    let end = packet(1, b"\x03 DROP TABLE t");
    let then = ClientThen::Refuse {
        command: 0xfe,
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
        (WRITE, 6),
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
            &vec![0; MAX_PAYLOAD_BYTES - 1],
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
        &vec![0; MAX_PAYLOAD_BYTES - 1],
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
        &vec![0; MAX_PAYLOAD_BYTES - 1],
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
        &vec![0; MAX_PAYLOAD_BYTES - 1],
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
        &vec![0; MAX_PAYLOAD_BYTES - 1],
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
    let full = [&b"\xff\xff\xff\x02"[..], &vec![0; MAX_PAYLOAD_BYTES]].concat();
    let file = [full, packets(3, &[b"", b"\x01 no command", b""])].concat();
    assert_eq!(tracker.client_bytes(&file), Ok(forwarded(file.len())));
    let command = packet(0, PING);
    assert_eq!(tracker.client_bytes(&command), Ok(forwarded(command.len())));
    let responses = [packet(6, OK), packet(1, OK)].concat();
    assert_eq!(tracker.backend_bytes(&responses), Ok(BackendThen::ReadMore));
    assert_eq!(tracker.outstanding(), 0);
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
    let command = packet(0, WRITE);
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
fn only_commands_with_results_have_more_of_them() {
    let mut tracker = asked(EOF, &[FETCH, PING]);
    answer(&mut tracker, &[b"\x00\x00\x01", b"\xfe\x00\x00\x0a\x00"]);
    assert_eq!(tracker.outstanding(), 1);
    answer(&mut tracker, &[b"\x00\x00\x00\x0a\x00\x00\x00"]);
    assert_eq!(tracker.outstanding(), 0);
}

#[test]
fn a_bulk_execution_ends_with_an_ok_or_a_result_set() {
    const BULK: &[u8] = b"\xfa\x07\x00\x00\x00\x80\x00\x03\x00\x00\x00\x01\x00\x00\x00";
    let mut tracker = asked(EOF, &[BULK, BULK]);
    answer(&mut tracker, &[OK]);
    assert_eq!(tracker.outstanding(), 1);
    answer(
        &mut tracker,
        &[b"\x01", DEFINITION, END, b"\x00\x00\x01", END],
    );
    assert_eq!(tracker.outstanding(), 0);
}

/// In compressed frames, clients number a file's packets as frames; the backend goes by its own count.
#[test]
fn a_files_packets_are_numbered_anew_wherever_they_are_cut() {
    let numbered_otherwise = [packet(9, b"row 1"), packet(10, b"row 2"), packet(11, b"")].concat();
    let expected = packets(2, &[b"row 1", b"row 2", b""]);
    for cut in 0..numbered_otherwise.len() {
        let mut tracker = asked(EOF, &[QUERY]);
        answer(&mut tracker, &[FILE_REQUEST]);
        let (mut unread, mut sent) = (Vec::new(), Vec::new());
        for piece in [&numbered_otherwise[..cut], &numbered_otherwise[cut..]] {
            unread.extend_from_slice(piece);
            tracker.number_file(&mut unread);
            let verdict = tracker.client_bytes(&unread).expect("in order");
            sent.extend(unread.drain(..verdict.forward));
        }
        assert_eq!(sent, expected, "cut at {cut}");
        let mut command = packet(7, PING);
        tracker.number_file(&mut command);
        assert_eq!(command, packet(7, PING), "a command is left as it is");
    }
}
