//! One frame, compressed and decompressed by zlib or zstd.
//!
//! No frame depends on another, so what they work with is lent out frame by frame and belongs to no session.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zstd_safe::{CCtx, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::algorithm::Algorithm;

/// Log₂ of the longest stretch that a frame may look back over. No frame is longer; without the bound a few bytes could
/// ask for 128 MiB.
const LONGEST_WINDOW_LOG: u32 = 24;

/// What a decompressor of zstd may keep for the next frame: more than frames of clients' usual levels take.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What frames are compressed and decompressed with: of each kind one, made when it is first needed. They are large
/// (some 250 KiB for zlib, a megabyte for zstd), so those who have many sessions share them.
#[derive(Default)]
pub struct Codecs {
    deflate: Option<Compress>,
    inflate: Option<Decompress>,
    zstd_compress: Option<CCtx<'static>>,
    zstd_decompress: Option<DCtx<'static>>,
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codecs")
    }
}

impl Codecs {
    /// Compresses into `packed` and says how long it is; nothing where it would not be shorter than `packed`.
    pub(super) fn compress(
        &mut self,
        algorithm: Algorithm,
        plain: &[u8],
        packed: &mut [u8],
    ) -> Option<usize> {
        match algorithm {
            Algorithm::Zlib => {
                let deflate = self
                    .deflate
                    .get_or_insert_with(|| Compress::new(Compression::default(), true));
                deflate.reset();
                match deflate.compress(plain, packed, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).ok(),
                    _ => None,
                }
            }
            Algorithm::Zstd { level } => {
                if self.zstd_compress.is_none() {
                    self.zstd_compress = CCtx::try_create();
                }
                let compress = self.zstd_compress.as_mut()?;
                compress.compress(packed, plain, level.into()).ok()
            }
        }
    }

    /// Begins to decompress a frame; nothing when there is no memory for it.
    pub(super) fn begin(&mut self, algorithm: Algorithm) -> Option<Decompressor> {
        Some(match algorithm {
            Algorithm::Zlib => {
                let kept = self.inflate.take();
                Decompressor::Zlib(kept.unwrap_or_else(|| Decompress::new(true)))
            }
            Algorithm::Zstd { .. } => Decompressor::Zstd(match self.zstd_decompress.take() {
                Some(kept) => kept,
                None => limited_zstd()?,
            }),
        })
    }

    /// Keeps what a frame that has ended was decompressed with.
    pub(super) fn end(&mut self, decompressor: Decompressor) {
        match decompressor {
            Decompressor::Zlib(mut inflate) => {
                inflate.reset(true);
                self.inflate = Some(inflate);
            }
            Decompressor::Zstd(mut zstd) => {
                if zstd.sizeof() <= KEPT_BYTES
                    && zstd.reset(ResetDirective::SessionOnly).is_ok()
                {
                    self.zstd_decompress = Some(zstd);
                }
            }
        }
    }
}

fn limited_zstd() -> Option<DCtx<'static>> {
    let mut zstd = DCtx::try_create()?;
    zstd.set_parameter(DParameter::WindowLogMax(LONGEST_WINDOW_LOG))
        .ok()?;
    Some(zstd)
}

/// A frame that is being decompressed. With zlib it holds less than 50 KiB, with zstd as much as the frame looks back
/// over.
pub(super) enum Decompressor {
    Zlib(Decompress),
    Zstd(DCtx<'static>),
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zlib(_) => "Zlib",
            Self::Zstd(_) => "Zstd",
        })
    }
}

/// What some bytes of a frame came to.
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

impl Decompressor {
    /// Decompresses as far as both sides have room.
    pub(super) fn step(&mut self, packed: &[u8], plain: &mut [u8]) -> Result<Step, Corrupt> {
        match self {
            Self::Zlib(inflate) => {
                let before = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(packed, plain, FlushDecompress::None)
                    .map_err(|_| Corrupt)?;
                let progress = |after: u64, before: u64| {
                    usize::try_from(after - before).map_err(|_| Corrupt)
                };
                Ok(Step {
                    taken: progress(inflate.total_in(), before.0)?,
                    given: progress(inflate.total_out(), before.1)?,
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
