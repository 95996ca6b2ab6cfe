//! The TLS front door for MySQL.

pub mod backend;
pub mod cli;
pub mod config;
pub mod net;
pub mod protocol;
pub mod rules;
pub mod session;
pub mod tls;
