//! A stream's frames, once its client has logged in with compression.

use std::cell::RefCell;
use std::task::{Context, Poll};

use zeroize::Zeroizing;

use crate::protocol::compression::{Algorithm, Codecs, FrameError, Frames, Read};

/// Between two turns of other tasks so many bytes are compressed or decompressed at the least: a few milliseconds.
const TURN_BYTES: usize = 256 * 1024;

/// What of the buffer for frames stays with the thread: enough for what one read brings.
const KEPT_BYTES: usize = 256 * 1024;

/// What compresses and decompresses, and frames on their way out. They belong to the thread.
#[derive(Debug, Default)]
struct Shared {
    codecs: Codecs,
    frames: Vec<u8>,
}

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::default();
}

/// Compression of one stream, both ways.
#[derive(Debug)]
pub(super) struct Compressed {
    frames: Frames,
    /// What came and is not decompressed: less than one read brings. Empty unless the reader of the packets stopped us.
    pending: Zeroizing<Vec<u8>>,
    /// The last call gave all that there was room for.
    has_more: bool,
    /// Compressed and decompressed since the last turn of others, in bytes of packets.
    worked_bytes: usize,
}

impl Compressed {
    /// From the login on; `early` came behind it.
    pub(super) fn new(algorithm: Algorithm, early: Vec<u8>) -> Self {
        Self {
            frames: Frames::new(algorithm),
            has_more: !early.is_empty(),
            pending: early.into(),
            worked_bytes: 0,
        }
    }

    /// Whether there is something to give before more is read.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Decompresses what came, and says how many bytes it gave. What there is no room for is kept for
    /// [`read_more`](Self::read_more), which comes first.
    pub(super) fn read(&mut self, came: &[u8], plain: &mut [u8]) -> Result<usize, FrameError> {
        let read = self.decompress(came, plain)?;
        self.pending = came[read.taken..].to_vec().into();
        Ok(read.given)
    }

    /// Decompresses what was kept.
    pub(super) fn read_more(&mut self, plain: &mut [u8]) -> Result<usize, FrameError> {
        let mut pending = std::mem::take(&mut self.pending);
        let read = self.decompress(&pending, plain)?;
        pending.drain(..read.taken);
        if !pending.is_empty() {
            self.pending = pending;
        }
        Ok(read.given)
    }

    fn decompress(&mut self, came: &[u8], plain: &mut [u8]) -> Result<Read, FrameError> {
        let read =
            SHARED.with_borrow_mut(|shared| self.frames.read(came, plain, &mut shared.codecs))?;
        self.has_more = read.is_full;
        self.worked_bytes += read.given;
        Ok(read)
    }

    /// See [`Frames::answer`].
    pub(super) fn answer(&mut self) {
        self.frames.answer();
    }

    /// Has `send` send frames with these bytes of packets. The beginning of a packet may wait for the rest of it.
    pub(super) fn write<R>(
        &mut self,
        plain: &[u8],
        send: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, FrameError> {
        self.worked_bytes += plain.len();
        SHARED.with_borrow_mut(|Shared { codecs, frames }| {
            frames.clear();
            frames.shrink_to(KEPT_BYTES);
            self.frames.write(plain, frames, codecs)?;
            Ok(send(frames))
        })
    }

    /// Lets other tasks of the thread have their turn, if this one has worked for long. Ready when they had it.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.worked_bytes < TURN_BYTES {
            return Poll::Ready(());
        }
        self.worked_bytes = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
