//! MySQL's client/server protocol: bytes in, bytes out. No tokio, no rustls, no clock.

mod character_set;
pub mod server_kind;
pub mod user_name;
