//! Whatever frames a client sends, they say the same, or are refused, in whatever pieces they come and are given on.

use mytls::protocol::compression::{Algorithm, Codecs, FrameError, Frames};

/// Three bytes choose the algorithm and the pieces; the rest is what the client sends.
pub(crate) fn pieces_do_not_matter(data: &[u8]) {
    let Some((&[algorithm, piece, room], wire)) = data.split_first_chunk() else {
        return;
    };
    let algorithm = match algorithm % 2 {
        0 => Algorithm::Zlib,
        _ => Algorithm::Zstd { level: 3 },
    };
    let whole = read(algorithm, wire, wire.len().max(1), 1 << 16);
    let pieces = read(
        algorithm,
        wire,
        usize::from(piece) + 1,
        usize::from(room) + 1,
    );
    assert_eq!(whole.ok(), pieces.ok(), "{algorithm:?}: {wire:?}");
}

/// Bombs are cut off here.
const LONGEST_BYTES: usize = 1 << 18;

fn read(
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
            assert!(read.is_full || read.taken == rest.len(), "bytes are left");
            packets.extend_from_slice(&plain[..read.given]);
            if packets.len() >= LONGEST_BYTES {
                packets.truncate(LONGEST_BYTES);
                return Ok(packets);
            }
            rest = &rest[read.taken..];
            if !read.is_full {
                break;
            }
        }
    }
    Ok(packets)
}
