//! Looks for a login or a change of user that mytls hands on although the oracle refuses it.
#![no_main]

#[path = "../properties/passing.rs"]
mod passing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| passing::nobody_passes_whom_the_oracle_refuses(data));
