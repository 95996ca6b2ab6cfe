//! zlib and zstd, each for one frame at a time.
//!
//! No frame depends on another, so what they work with is lent out frame by frame and belongs to no session.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::algorithm::Algorithm;

/// Log₂ of the longest stretch that a frame may look back over. No frame is longer; without the bound a few bytes could
/// ask for 128 MiB.
const LONGEST_WINDOW_LOG: u32 = 24;

/// The same of frames that mytls makes: half a MiB. A session in the middle of a long packet holds some MiB by it, and with
/// zstd's own choice 40.
const OWN_WINDOW_LOG: u32 = 19;

/// What a decompressor of zstd may keep for the next frame: more than frames of clients' usual levels take.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Room for what a step gives, at the least.
const STEP_BYTES: usize = 1024;

/// What frames are compressed and decompressed with: of each kind one, made when it is first needed. They are large
/// (some 250 KiB for zlib, some MiB for zstd), so those who have many sessions share them.
#[derive(Debug, Default)]
pub struct Codecs {
    zlib_compressor: Option<Compressor>,
    zstd_compressor: Option<Compressor>,
    zlib_decompressor: Option<Decompressor>,
    zstd_decompressor: Option<Decompressor>,
}

/// A frame that is being compressed.
pub(super) enum Compressor {
    Zlib(Compress),
    Zstd(CCtx<'static>),
}

/// A frame that is being decompressed. With zlib it holds less than 50 KiB, with zstd as much as the frame looks back
/// over.
pub(super) enum Decompressor {
    Zlib(Decompress),
    Zstd(DCtx<'static>),
}

/// What some bytes of a compressed frame came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// So many were taken.
    pub(super) taken: usize,
    /// So many were given.
    pub(super) given: usize,
    /// The compressed data has ended.
    pub(super) ended: bool,
}

/// It is not what the algorithm makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

impl Codecs {
    /// For a frame of so many bytes; nothing when there is no memory for it.
    pub(super) fn compressor(
        &mut self,
        algorithm: Algorithm,
        plain_bytes: usize,
    ) -> Option<Compressor> {
        match algorithm {
            Algorithm::Zlib => {
                Some(self.zlib_compressor.take().unwrap_or_else(|| {
                    Compressor::Zlib(Compress::new(Compression::default(), true))
                }))
            }
            Algorithm::Zstd { level } => {
                let mut kept = match self.zstd_compressor.take() {
                    Some(kept) => kept,
                    None => Compressor::Zstd(CCtx::try_create()?),
                };
                if let Compressor::Zstd(zstd) = &mut kept {
                    zstd.set_parameter(CParameter::CompressionLevel(level.into()))
                        .ok()?;
                    zstd.set_parameter(CParameter::WindowLog(OWN_WINDOW_LOG))
                        .ok()?;
                    zstd.set_pledged_src_size(Some(plain_bytes as u64)).ok()?;
                }
                Some(kept)
            }
        }
    }

    /// Nothing when there is no memory for it.
    pub(super) fn decompressor(&mut self, algorithm: Algorithm) -> Option<Decompressor> {
        match algorithm {
            Algorithm::Zlib => Some(
                self.zlib_decompressor
                    .take()
                    .unwrap_or_else(|| Decompressor::Zlib(Decompress::new(true))),
            ),
            Algorithm::Zstd { .. } => self.zstd_decompressor.take().or_else(|| {
                let mut zstd = DCtx::try_create()?;
                zstd.set_parameter(DParameter::WindowLogMax(LONGEST_WINDOW_LOG))
                    .ok()?;
                Some(Decompressor::Zstd(zstd))
            }),
        }
    }

    /// Keeps what a frame that has ended was compressed with.
    pub(super) fn keep_compressor(&mut self, mut compressor: Compressor) {
        match &mut compressor {
            Compressor::Zlib(zlib) => {
                zlib.reset();
                self.zlib_compressor = Some(compressor);
            }
            Compressor::Zstd(zstd) => {
                if zstd.reset(ResetDirective::SessionOnly).is_ok() {
                    self.zstd_compressor = Some(compressor);
                }
            }
        }
    }

    /// Keeps what a frame that has ended was decompressed with.
    pub(super) fn keep_decompressor(&mut self, mut decompressor: Decompressor) {
        match &mut decompressor {
            Decompressor::Zlib(zlib) => {
                zlib.reset(true);
                self.zlib_decompressor = Some(decompressor);
            }
            Decompressor::Zstd(zstd) => {
                if zstd.sizeof() <= KEPT_BYTES && zstd.reset(ResetDirective::SessionOnly).is_ok() {
                    self.zstd_decompressor = Some(decompressor);
                }
            }
        }
    }
}

impl Compressor {
    /// Compresses the next bytes, which may be the last; appends what comes of them by now. Fails only for want of memory.
    pub(super) fn step(&mut self, plain: &[u8], is_last: bool, packed: &mut Vec<u8>) -> Option<()> {
        let mut plain = plain;
        loop {
            packed.reserve(STEP_BYTES.max(plain.len() / 2));
            let (taken, ended) = match self {
                Self::Zlib(zlib) => {
                    let flush = if is_last {
                        FlushCompress::Finish
                    } else {
                        FlushCompress::None
                    };
                    let before = zlib.total_in();
                    let status = zlib.compress_vec(plain, packed, flush).ok()?;
                    let taken = usize::try_from(zlib.total_in() - before).ok()?;
                    let has_room = packed.len() < packed.capacity();
                    (taken, status == Status::StreamEnd || !is_last && has_room)
                }
                Self::Zstd(zstd) => {
                    let mut input = InBuffer::around(plain);
                    let at = packed.len();
                    let mut output = OutBuffer::around_pos(packed, at);
                    // behind the end that has begun, even nothing would begin another frame of zstd's own
                    if !plain.is_empty() {
                        zstd.compress_stream(&mut output, &mut input).ok()?;
                    }
                    let taken = input.pos();
                    let is_done = taken == plain.len();
                    let ended = is_done && (!is_last || zstd.end_stream(&mut output).ok()? == 0);
                    (taken, ended)
                }
            };
            plain = plain.get(taken..)?;
            if ended && plain.is_empty() {
                return Some(());
            }
        }
    }
}

impl Decompressor {
    /// Decompresses as far as both sides have room.
    pub(super) fn step(&mut self, packed: &[u8], plain: &mut [u8]) -> Result<Step, Corrupt> {
        match self {
            Self::Zlib(zlib) => {
                let before = (zlib.total_in(), zlib.total_out());
                let status = zlib
                    .decompress(packed, plain, FlushDecompress::None)
                    .map_err(|_| Corrupt)?;
                let progress =
                    |after: u64, before: u64| usize::try_from(after - before).map_err(|_| Corrupt);
                Ok(Step {
                    taken: progress(zlib.total_in(), before.0)?,
                    given: progress(zlib.total_out(), before.1)?,
                    ended: status == Status::StreamEnd,
                })
            }
            Self::Zstd(zstd) => {
                let mut input = InBuffer::around(packed);
                let mut output = OutBuffer::around(plain);
                let wanted = zstd
                    .decompress_stream(&mut output, &mut input)
                    .map_err(|_| Corrupt)?;
                Ok(Step {
                    taken: input.pos(),
                    given: output.pos(),
                    ended: wanted == 0,
                })
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zlib(_) => "Zlib",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zlib(_) => "Zlib",
            Self::Zstd(_) => "Zstd",
        })
    }
}
