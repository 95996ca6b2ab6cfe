//! Looks for compressed frames that say something else when they come in other pieces.
#![no_main]

#[path = "../properties/framing.rs"]
mod framing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| framing::pieces_do_not_matter(data));
