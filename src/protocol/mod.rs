//! MySQL's client/server protocol: bytes in, bytes out. No tokio, no rustls, no clock.

pub mod attributes;
pub mod auth_plugin;
pub mod capabilities;
pub mod change_user;
mod character_set;
pub mod command;
pub mod err_packet;
pub mod greeting;
pub mod login;
pub mod ok_packet;
pub mod packet;
pub mod response;
pub mod server_kind;
mod side;
pub mod tracker;
pub mod user_name;

pub use self::side::Side;
