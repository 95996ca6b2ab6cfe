//! The tracker by hand, refusals first, and over recorded sessions. Bytes are those of MySQL's documentation.

mod forms;
mod leave;
mod recorded;
mod refusals;
mod replication;
mod statements;
mod transactions;

use super::super::packet::{HEADER_BYTES, Header, MAX_PAYLOAD_BYTES};
use super::super::response::Form;
use super::*;

const EOF: Form = Form {
    deprecate_eof: false,
    optional_metadata: false,
    cache_metadata: false,
    query_attributes: false,
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
/// One that is never held back.
const WRITE: &[u8] = b"\x03DELETE 1";
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
