//! Bytes in and out: ports, sockets, and streams that speak packets, TLS or both, compressed or not.

pub mod buffers;
mod compressed;
pub mod listener;
pub mod socket;
pub mod stream;

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
