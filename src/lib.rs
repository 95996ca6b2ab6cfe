//! The TLS front door for MySQL.

pub mod backend;
pub mod check;
pub mod cli;
pub mod config;
pub mod logging;
pub mod net;
pub mod process;
pub mod protocol;
pub mod rules;
pub mod run;
pub mod session;
pub mod signals;
pub mod tls;
