//! Looks for a stream of commands through which a `COM_CHANGE_USER` reaches the server unjudged.
#![no_main]

#[path = "../properties/tracking.rs"]
mod tracking;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracking::no_change_of_user_is_forwarded(data));
