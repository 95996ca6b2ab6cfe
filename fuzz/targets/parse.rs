//! Looks for bytes of a client, of a server or of a configuration that make a parser panic.
#![no_main]

#[path = "../properties/parsing.rs"]
mod parsing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parsing::nothing_panics(data));
