//! The compressed protocol: behind the login, packets of both directions travel in frames. A frame holds a piece of the
//! stream of packets, of any length and cut anywhere, compressed by itself or as it is.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>

mod algorithm;
mod frames;
mod one_frame;

pub use self::algorithm::{Algorithm, WrongLevel};
pub use self::frames::{FrameError, Frames, Read};
pub use self::one_frame::Codecs;
