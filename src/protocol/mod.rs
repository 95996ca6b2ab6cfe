//! MySQL's client/server protocol: bytes in, bytes out. No tokio, no rustls, no clock.

pub mod command;
pub mod response;
pub mod tracker;
