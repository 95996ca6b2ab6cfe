//! MySQL's client/server protocol: bytes in, bytes out. No tokio, no rustls, no clock.

pub mod user_name;
