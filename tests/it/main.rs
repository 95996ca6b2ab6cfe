//! mytls from outside: the real binary between raw clients and a scripted backend whose bytes are made by hand.
//!
//! One file for each behaviour; `support` holds both ends. Nothing here uses the crate's own code.

mod scripted;
mod support;
