//! What the tracker costs for each read of the relay: 64 KiB of short rows, 64 KiB of long rows, a point select.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mytls::protocol::response::Form;
use mytls::protocol::tracker::Tracker;
use mytls::session::Relayed;

/// As much as the relay reads at once.
const READ_BYTES: usize = 64 * 1024;

const QUERY: &[u8] = b"\x03SELECT c FROM sbtest1 WHERE id=5042";
const COLUMN_COUNT: &[u8] = b"\x01";
const DEFINITION: &[u8] =
    b"\x03def\x06sbtest\x07sbtest1\x07sbtest1\x01c\x01c\x0c\xff\x00\xe0\x01\x00\x00\xfe\x01\x00\x00\x00";
const END: &[u8] = b"\xfe\x00\x00\x02\x00\x00\x00";

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("benchmarked packets are short");
    let [low, middle, high, _] = length.to_le_bytes();
    [&[low, middle, high, sequence], payload].concat()
}

/// A tracker that expects the first row of a result set, with sequence number 3.
fn before_rows() -> Tracker {
    let mut tracker = Tracker::new(Form {
        deprecate_eof: true,
        ..Form::default()
    });
    tracker.client_bytes(&packet(0, QUERY)).expect("a command");
    let start = [packet(1, COLUMN_COUNT), packet(2, DEFINITION)].concat();
    tracker.backend_bytes(&start).expect("a result set");
    tracker
}

fn short_rows(criterion: &mut Criterion) {
    let row: Vec<u8> = [&[99], &[b'r'; 99][..]].concat();
    // As many rows as it takes until reads and sequence numbers are where they were: 13 reads, 32 times 256 rows.
    let sequences = (3..=255).chain(0..3).cycle();
    let stream: Vec<u8> = sequences
        .take(32 * 256)
        .flat_map(|sequence| packet(sequence, &row))
        .collect();
    assert_eq!(stream.len(), 13 * READ_BYTES);
    let mut reads = stream.chunks(READ_BYTES).cycle();
    let mut tracker = before_rows();
    let mut group = criterion.benchmark_group("backend");
    group.throughput(Throughput::Bytes(READ_BYTES as u64));
    group.bench_function("64 KiB of 100-byte rows", |bencher| {
        bencher.iter(|| {
            let read = reads.next().unwrap_or_default();
            tracker.backend_bytes(black_box(read)).expect("rows")
        });
    });
    group.finish();
}

fn long_rows(criterion: &mut Criterion) {
    const READS_PER_ROW: usize = 16;
    let length = u32::try_from(READS_PER_ROW * READ_BYTES - 4).expect("a row of 1 MiB");
    let mut first = vec![b'r'; READ_BYTES];
    first[..3].copy_from_slice(&length.to_le_bytes()[..3]);
    first[3] = 3;
    let later = vec![b'r'; READ_BYTES];
    let mut tracker = before_rows();
    let mut group = criterion.benchmark_group("backend");
    group.throughput(Throughput::Bytes((READS_PER_ROW * READ_BYTES) as u64));
    group.bench_function("1 MiB row in reads of 64 KiB", |bencher| {
        bencher.iter(|| {
            tracker
                .backend_bytes(black_box(&first))
                .expect("a row's start");
            for _ in 1..READS_PER_ROW {
                tracker
                    .backend_bytes(black_box(&later))
                    .expect("a row's rest");
            }
            first[3] = first[3].wrapping_add(1);
        });
    });
    group.finish();
}

fn point_select(criterion: &mut Criterion) {
    let command = packet(0, QUERY);
    let row: Vec<u8> = [&[119], &[b'c'; 119][..]].concat();
    let response = [
        packet(1, COLUMN_COUNT),
        packet(2, DEFINITION),
        packet(3, &row),
        packet(4, END),
    ]
    .concat();
    let mut tracker = Tracker::new(Form {
        deprecate_eof: true,
        ..Form::default()
    });
    criterion.bench_function("point select, both directions", |bencher| {
        bencher.iter(|| {
            let verdict = tracker
                .client_bytes(black_box(&command))
                .expect("a command");
            let then = tracker
                .backend_bytes(black_box(&response))
                .expect("its response");
            (verdict, then)
        });
    });
    assert_eq!(tracker.outstanding(), 0);
}

/// What the relay counts of it: bytes, commands, and how long it took, by two looks at the clock.
fn counting(criterion: &mut Criterion) {
    let relayed = Relayed::default();
    let mut commands = 0;
    criterion.bench_function("point select, counted", |bencher| {
        bencher.iter(|| {
            relayed.from_client.add(black_box(40));
            commands += 1;
            relayed.commands.reach(black_box(commands));
            let since = black_box(Instant::now());
            relayed.from_backend.add(black_box(200));
            relayed.command_times.observe(since.elapsed());
        });
    });
}

criterion_group!(benches, short_rows, long_rows, point_select, counting);
criterion_main!(benches);
