//! mytls from outside: the real binary between raw clients and a scripted backend whose bytes are made by hand.
//!
//! One file for each behaviour; `support` holds both ends. Nothing here uses the crate's own code.

mod access;
mod backend;
mod change_user;
mod greeting;
mod lifecycle;
mod login;
mod relay;
mod responses;
mod scripted;
mod support;
mod vanish;
