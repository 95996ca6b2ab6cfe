//! What systemd, or another service manager that speaks its protocols, gives mytls and is told by it.

mod notify;
mod sockets;

pub use notify::{keep_alive, ready, reloading, stopping};
pub use sockets::{Addresses, Port, Sockets, SocketsError};
