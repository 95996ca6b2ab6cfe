//! What is lost when a session ends, beyond the flag of an open transaction.

use super::*;

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
