//! Bytes in and out: ports, sockets, streams that speak packets, TLS or both, compressed or
//! not, and the threads that serve them.

pub mod buffers;
mod compressed;
pub mod listener;
pub mod socket;
pub mod stream;
pub mod workers;

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a port listens (`listen`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:3307`, `[::]:3307`.
    Tcp(SocketAddr),
    /// `unix:/run/mytls/mysql.sock`.
    Unix(PathBuf),
}
