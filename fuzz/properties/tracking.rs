//! Nothing that a client sends makes the tracker forward a `COM_CHANGE_USER`, in whatever pieces it comes.
//!
//! The oracle follows only the client's packets. A server that never asks for a file (LOCAL INFILE) makes every packet a
//! command that does not continue one of 16 MiB.

use mytls::protocol::response::Form;
use mytls::protocol::tracker::{ClientThen, Tracker};

const COM_CHANGE_USER: u8 = 0x11;

/// One byte says how long the pieces are; the rest is the client's stream.
pub(crate) fn no_change_of_user_is_forwarded(data: &[u8]) {
    if let Some((&length, stream)) = data.split_first() {
        assert_no_change_of_user(&forwarded(stream.chunks(usize::from(length) + 1)));
    }
}

/// What the tracker forwards, up to the first command that the session has to deal with itself.
fn forwarded<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut tracker = Tracker::new(Form::default());
    let (mut unread, mut forwarded) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let Ok(verdict) = tracker.client_bytes(&unread) else {
                return forwarded;
            };
            forwarded.extend(unread.drain(..verdict.forward));
            unread.drain(..verdict.skip);
            match verdict.then {
                ClientThen::ReadMore => break,
                ClientThen::Refuse { .. } => {}
                ClientThen::Read => tracker.was_read(),
                ClientThen::ChangeUser | ClientThen::Full | ClientThen::Quit => return forwarded,
            }
        }
    }
    forwarded
}

fn assert_no_change_of_user(forwarded: &[u8]) {
    let mut packets = forwarded;
    let mut continues = false;
    while let Some((&[low, middle, high, _], rest)) = packets.split_first_chunk() {
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        assert!(
            continues || rest.first() != Some(&COM_CHANGE_USER) || length == 0,
            "a COM_CHANGE_USER is forwarded: {forwarded:?}"
        );
        continues = length == 0xFF_FFFF;
        packets = rest.get(length..).unwrap_or_default();
    }
}
