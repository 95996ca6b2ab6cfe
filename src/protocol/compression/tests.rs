//! Frames recorded from MySQL 9.7 and its shell, decoded there by Python's zlib and by libzstd; and what is wrong with others.

use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use std::io::Write as _;

use super::super::packet::Header;
use super::frame_header::FrameHeader;
use super::*;

/// `select repeat('x',300), 'compressed …'`, from the shell.
const ZLIB_QUERY: &[u8] = b"6\x00\x00\x00c\x00\x00x^\x8bg```f`,N\xcdIM.Q(J-HM,\xd1P\xafP\xd7160\xd0\xd4QPO\xce\xcf-(J-.NMQ \x93\xa9\x0e\x00\x13V!\xf3";
const ZSTD_QUERY: &[u8] = b"=\x00\x00\x00c\x00\x00(\xb5/\xfd c\xa5\x01\x00\xc4\x02_\x00\x00\x00\x03\x00\x01select repeat('x',300), 'compressed '\x01\x00\xa3\xcfR\x06";
/// The server's answers.
const ZLIB_ANSWER: &[u8] = b"l\x00\x00\x01\x0b\x02\x00x\x9ccd``dRe``bNIMc``\xe0/J-HM,\xd1P\xafP\xd7160\xd0d\xe0\xf9\xcf\xb0\x81\x85\x81\xe1/\x03\x83<\x03C\x04\x03\x033T\xa1Sr~nAQjqqj\x8a\x02\x99L\x90\xd9\x1c\x8c@\xb3\x19Af\x1712\xb0\xfc\xd1a\xac\x18\x05D\x03*\xc4\x01;\x03\x03\xeb?`\xf4\x03c\x14\x00\x0f\xba\xd0)";
const ZSTD_ANSWER: &[u8] = b"s\x00\x00\x01\x0b\x02\x00(\xb5/\xfd`\x0b\x01M\x03\x00r\xc5\x14\"\xa0\xa7\x19\x03\x16\xaa\xaa\xea\xfa\xff\x7f\xab\xedV\xcb\xbc\xc9\x0f\x04\x0e=\xeb\xc5\xd9\x9e\x8d\x81\xd9\xccZ\xf6\x92-S?z\xc6\xf1\x88T\xb6P+\xd4\xf9\x9a4nc\\\xf8\x0e\x88\x82 \xfd\xe0\x99\x9f\xaf\x147\x94\x01\xad\x05\xd8\x92\xebI\x10\xf6-\\~\xc3\xba\x84\xdeA\xfa\x1a\x06\x00p\xb8P\x80\x82S\x0e[_X\x01]N\x12\xe6*(";
/// `COM_QUIT`, too short to be compressed.
const QUIT: &[u8] = b"\x05\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01";

const COMPRESSED: &str = "compressed compressed compressed compressed compressed compressed ";
const ZSTD: Algorithm = Algorithm::Zstd { level: 3 };
const BOTH: [Algorithm; 2] = [Algorithm::Zlib, ZSTD];

fn query() -> Vec<u8> {
    let text = format!("select repeat('x',300), '{COMPRESSED}'");
    [b"\x5f\0\0\0\x03\0\x01", text.as_bytes()].concat()
}

fn answer() -> Vec<u8> {
    let columns = b"\x01\0\0\x01\x02%\0\0\x02\x03def\0\0\0\x0frepeat('x',300)\0\x0c\xff\0\xb0\x04\0\0\xfd\0\0\x1f\0\0X\0\0\x03\x03def\0\0\0B";
    [
        &columns[..],
        COMPRESSED.as_bytes(),
        b"\0\x0c\xff\0\x08\x01\0\0\xfd\x01\0\x1f\0\0r\x01\0\x04\xfc,\x01",
        &[b'x'; 300],
        b"B",
        COMPRESSED.as_bytes(),
        b"\x07\0\0\x05\xfe\0\0\x02\0\0\0",
    ]
    .concat()
}

/// Reads it all, in such pieces and with so much room at once.
fn read_in(
    algorithm: Algorithm,
    wire: &[u8],
    piece: usize,
    room: usize,
) -> Result<Vec<u8>, FrameError> {
    let (mut frames, mut codecs) = (Frames::new(algorithm), Codecs::default());
    let (mut packets, mut plain) = (Vec::new(), vec![0; room]);
    for piece in wire.chunks(piece) {
        let mut rest = piece;
        loop {
            let read = frames.read(rest, &mut plain, &mut codecs)?;
            packets.extend_from_slice(&plain[..read.given]);
            rest = &rest[read.taken..];
            if !read.is_full {
                assert!(rest.is_empty(), "bytes are left over without a reason");
                break;
            }
        }
    }
    Ok(packets)
}

fn read(algorithm: Algorithm, wire: &[u8]) -> Result<Vec<u8>, FrameError> {
    read_in(algorithm, wire, usize::MAX, 64 * 1024)
}

/// A frame's header with other lengths.
fn relabelled(frame: &[u8], payload_bytes: usize, plain_bytes: usize) -> Vec<u8> {
    let mut relabelled = frame.to_vec();
    relabelled[..3].copy_from_slice(&payload_bytes.to_le_bytes()[..3]);
    relabelled[4..7].copy_from_slice(&plain_bytes.to_le_bytes()[..3]);
    relabelled
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// Frames as they stand on the wire: number, what is in them, whether it was compressed.
fn split(algorithm: Algorithm, mut wire: &[u8]) -> Vec<(u8, Vec<u8>, bool)> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = wire.split_first_chunk::<7>() {
        let FrameHeader {
            payload_bytes,
            sequence,
            plain_bytes,
        } = FrameHeader::decode(*header);
        let (payload, rest) = rest.split_at(payload_bytes);
        wire = rest;
        let plain = match algorithm {
            _ if plain_bytes == 0 => payload.to_vec(),
            Algorithm::Zlib => {
                let mut plain = Vec::new();
                let mut decoder = flate2::write::ZlibDecoder::new(&mut plain);
                decoder.write_all(payload).expect("zlib");
                decoder.finish().expect("zlib");
                plain
            }
            Algorithm::Zstd { .. } => {
                let mut plain = Vec::with_capacity(plain_bytes);
                zstd_safe::decompress(&mut plain, payload).expect("zstd");
                plain
            }
        };
        if plain_bytes > 0 {
            assert_eq!(plain.len(), plain_bytes, "the length is another");
        }
        frames.push((sequence, plain, plain_bytes > 0));
    }
    assert!(wire.is_empty(), "a piece of a frame");
    frames
}

/// What leaves of these pieces.
fn written(algorithm: Algorithm, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut frames, mut codecs) = (Frames::new(algorithm), Codecs::default());
    let mut wire = Vec::new();
    for piece in pieces {
        frames.write(piece, &mut wire, &mut codecs).expect("memory");
    }
    wire
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let header = Header {
        payload_bytes: payload.len(),
        sequence: 1,
    };
    [&header.encode(), payload].concat()
}

/// Bytes that do not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise: Vec<u8> = (0..=bytes / 8).flat_map(|_| next()).collect();
    noise.truncate(bytes);
    noise
}

// ---- what is refused -----------------------------------------------------------------------------------------------

#[test]
fn frames_that_are_not_as_long_as_they_say_are_refused() {
    for (algorithm, frame) in [(Algorithm::Zlib, ZLIB_QUERY), (ZSTD, ZSTD_QUERY)] {
        let packed = frame.len() - 7;
        for plain_bytes in [1, 98, 100, 0xFF_FFFF] {
            let read = read(algorithm, &relabelled(frame, packed, plain_bytes));
            assert_eq!(
                read,
                Err(FrameError::Length { plain_bytes }),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn frames_that_end_early_or_late_are_refused() {
    for (algorithm, frame) in [(Algorithm::Zlib, ZLIB_QUERY), (ZSTD, ZSTD_QUERY)] {
        let packed = frame.len() - 7;
        for cut in 0..packed {
            let wire = relabelled(&frame[..7 + cut], cut, 99);
            let read = read(algorithm, &wire);
            assert!(
                matches!(read, Err(FrameError::Corrupt | FrameError::Length { .. })),
                "{algorithm:?}, cut after {cut}: {read:?}"
            );
        }
        let longer = relabelled(&[frame, &[0]].concat(), packed + 1, 99);
        assert_eq!(read(algorithm, &longer), Err(FrameError::Corrupt));
    }
}

#[test]
fn what_the_algorithm_did_not_make_is_refused() {
    for (algorithm, frame) in [(Algorithm::Zlib, ZSTD_QUERY), (ZSTD, ZLIB_QUERY)] {
        assert_eq!(read(algorithm, frame), Err(FrameError::Corrupt));
    }
    // its last bytes are a checksum
    let mut changed = ZLIB_QUERY.to_vec();
    changed[ZLIB_QUERY.len() - 1] ^= 1;
    assert_eq!(read(Algorithm::Zlib, &changed), Err(FrameError::Corrupt));
}

/// RFC 8878, 3.1.1.1: no single segment, no content size, a window of 32 MiB, and of 16.
#[test]
fn a_frame_of_zstd_that_looks_back_further_than_any_frame_is_long_is_refused() {
    let begin = |window_log: u8| {
        let packed = [0x28, 0xB5, 0x2F, 0xFD, 0x00, (window_log - 10) << 3];
        [&[200, 0, 0, 0, 200, 0, 0], &packed[..], &[0x01, 0, 0]].concat()
    };
    assert_eq!(read(ZSTD, &begin(25)), Err(FrameError::Corrupt));
    assert_ne!(read(ZSTD, &begin(24)[..13]), Err(FrameError::Corrupt));
}

#[test]
fn a_frame_that_continues_nothing_is_refused() {
    let mut wire = [QUIT, QUIT].concat();
    for (number, expected) in [(0, true), (1, true), (2, false), (255, false)] {
        wire[QUIT.len() + 3] = number;
        assert_eq!(read(Algorithm::Zlib, &wire).is_ok(), expected, "{number}");
    }
}

/// 16 MiB in 16 KiB come out by as much at a time as there is room for.
#[test]
fn a_bomb_goes_off_in_small_pieces() {
    let plain = vec![b' '; 0xFF_FFFF];
    let packed = zlib(&plain);
    assert!(packed.len() < 20_000, "{}", packed.len());
    let header = relabelled(&[0; 7], packed.len(), plain.len());
    let wire = [header, packed].concat();
    assert_eq!(read_in(Algorithm::Zlib, &wire, 1000, 4096), Ok(plain));
}

// ---- what servers and shells send ----------------------------------------------------------------------------------

#[test]
fn recorded_frames_are_read_in_whatever_pieces_they_come() {
    for (algorithm, frames) in [
        (Algorithm::Zlib, [ZLIB_QUERY, QUIT, ZLIB_ANSWER]),
        (ZSTD, [ZSTD_QUERY, QUIT, ZSTD_ANSWER]),
    ] {
        let packets = [&query(), &b"\x01\0\0\0\x01"[..], &answer()].concat();
        let wire = frames.concat();
        for piece in [1, 2, 3, 7, 50, 1000] {
            for room in [1, 2, 99, 1000] {
                assert_eq!(
                    read_in(algorithm, &wire, piece, room).as_ref(),
                    Ok(&packets),
                    "{algorithm:?} in pieces of {piece} with room for {room}"
                );
            }
        }
    }
}

// ---- what leaves ---------------------------------------------------------------------------------------------------

#[test]
fn short_packets_leave_as_they_are_and_what_does_not_get_shorter_too() {
    for algorithm in BOTH {
        let (shortest, longer) = (packet(&[b'x'; 45]), packet(&[b'x'; 46]));
        let random = packet(&noise(5000));
        let wire = written(algorithm, &[&shortest, &longer, &random]);
        assert_eq!(
            split(algorithm, &wire),
            [(0, shortest, false), (1, longer, true), (2, random, false)]
        );
    }
}

#[test]
fn packets_that_come_together_leave_together() {
    for algorithm in BOTH {
        let packets = answer();
        let wire = written(algorithm, &[&packets]);
        assert_eq!(split(algorithm, &wire), [(0, packets, true)]);
        assert!(wire.len() < 150, "{} bytes", wire.len());
    }
}

/// Connector/Python loses the rest otherwise.
#[test]
fn no_packet_is_cut_but_those_of_nearly_16_mib_and_those_once() {
    for algorithm in BOTH {
        for plain in [vec![b'x'; 0xFF_FFFF], noise(0xFF_FFFF)] {
            for long in [200_000, 0xFF_FFFF - 128 * 1024, 0xFF_FFFF] {
                let packets = [packet(b"first"), packet(&plain[..long]), packet(b"last")].concat();
                let pieces: Vec<&[u8]> = packets.chunks(100_003).collect();
                let frames = split(algorithm, &written(algorithm, &pieces));
                let lengths: Vec<usize> = frames.iter().map(|(_, plain, _)| plain.len()).collect();
                let in_the_middle = &lengths[1..lengths.len() - 1];
                assert!(
                    in_the_middle.len() <= 2 && lengths[0] == 9,
                    "{algorithm:?}: {lengths:?}"
                );
                let left: Vec<u8> = frames.into_iter().flat_map(|(_, plain, _)| plain).collect();
                assert!(left == packets, "{algorithm:?}: other bytes leave");
            }
        }
    }
}

#[test]
fn answers_are_numbered_behind_their_commands() {
    let (mut frames, mut codecs) = (Frames::new(Algorithm::Zlib), Codecs::default());
    let (mut plain, mut wire) = ([0; 1000], Vec::new());
    for (command, expected) in [(ZLIB_QUERY, 1), (QUIT, 1)] {
        frames
            .read(command, &mut plain, &mut codecs)
            .expect("a recorded frame");
        frames.answer();
        for number in [expected, expected + 1] {
            wire.clear();
            frames
                .write(&packet(b"row"), &mut wire, &mut codecs)
                .expect("memory");
            assert_eq!(wire[3], number);
        }
    }
}

#[test]
fn a_command_that_comes_early_is_answered_behind_the_response_before_it() {
    let (mut frames, mut codecs) = (Frames::new(Algorithm::Zlib), Codecs::default());
    let mut number_of_next = |early: Option<&[u8]>, begins: bool| {
        if let Some(frame) = early {
            let mut plain = [0; 1000];
            frames
                .read(frame, &mut plain, &mut codecs)
                .expect("a recorded frame");
        }
        if begins {
            frames.answer();
        }
        let mut wire = Vec::new();
        frames
            .write(&packet(b"row"), &mut wire, &mut codecs)
            .expect("memory");
        wire[3]
    };
    assert_eq!(number_of_next(Some(ZLIB_QUERY), true), 1);
    assert_eq!(number_of_next(Some(QUIT), false), 2);
    assert_eq!(number_of_next(None, false), 3);
    assert_eq!(number_of_next(None, true), 1);
    // the second command of one frame
    assert_eq!(number_of_next(None, true), 2);
}

proptest! {
    /// In whatever pieces packets come and frames are read.
    #[test]
    fn what_is_written_is_read_again(
        lengths in prop::collection::vec(0_usize..3000, 1..8),
        compressible: bool,
        zstd: bool,
        piece in 1_usize..5000,
        wire_piece in 1_usize..3000,
        room in 1_usize..5000,
    ) {
        let algorithm = BOTH[usize::from(zstd)];
        let bytes = if compressible { vec![b'x'; 3000] } else { noise(3000) };
        let packets: Vec<u8> = lengths.iter().flat_map(|&length| packet(&bytes[..length])).collect();
        let wire = written(algorithm, &packets.chunks(piece).collect::<Vec<_>>());
        prop_assert_eq!(read_in(algorithm, &wire, wire_piece, room), Ok(packets));
    }

    #[test]
    fn nothing_that_comes_makes_the_reader_panic(
        wire in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte: u8,
        room in 1_usize..300,
    ) {
        for (algorithm, recorded) in [(Algorithm::Zlib, ZLIB_ANSWER), (ZSTD, ZSTD_ANSWER)] {
            let mut changed = recorded.to_vec();
            changed[at.index(recorded.len())] = byte;
            // to be corrupt only inside
            changed[3] = 0;
            let _ = read_in(algorithm, &changed, 13, room);
            let _ = read_in(algorithm, &wire, 13, room);
        }
    }
}
