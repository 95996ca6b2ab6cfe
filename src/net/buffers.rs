//! The buffers that bytes pass through. They belong to the thread, so an idle connection owns none.

use std::cell::RefCell;

use zeroize::Zeroize as _;

/// One read takes at most so much from a socket: eight whole TLS records. Large results cost a tenth less of processor
/// time than with half of it, and twice as much gains nothing that shows.
const WIRE_BYTES: usize = 128 * 1024;

/// What one read brings, as it came and decrypted.
#[derive(Debug)]
pub struct Buffers {
    /// As it came.
    pub(super) wire: Box<[u8]>,
    /// Decrypted; with what a record begun earlier adds, up to one record more than `wire` holds.
    pub(super) plain: Vec<u8>,
    /// Decompressed; made when a thread first has a session with compression.
    pub(super) decompressed: Box<[u8]>,
}

impl Buffers {
    /// Room for what one read brings, or a part of it if that says much in few bytes.
    pub(super) fn make_room_for_decompressed(&mut self) {
        if self.decompressed.is_empty() {
            self.decompressed = vec![0; WIRE_BYTES].into_boxed_slice();
        }
    }

    /// Forgets what one read brought, `count` bytes in clear.
    pub(super) fn wipe(&mut self, count: usize) {
        // in plaintext the clear bytes are the wire's
        let in_plaintext = count.min(self.wire.len());
        self.wire[..in_plaintext].zeroize();
        self.plain.as_mut_slice().zeroize();
        let decompressed = count.min(self.decompressed.len());
        self.decompressed[..decompressed].zeroize();
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        wire: vec![0; WIRE_BYTES].into_boxed_slice(),
        plain: Vec::with_capacity(WIRE_BYTES + 16 * 1024),
        decompressed: Box::default(),
    });
}

/// Lends this thread's buffers for one poll. Not to be nested: the inner call would find them taken and panic.
pub fn with_buffers<R>(work: impl FnOnce(&mut Buffers) -> R) -> R {
    BUFFERS.with_borrow_mut(work)
}
