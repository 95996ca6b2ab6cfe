//! `mytls certs`: making certificates that work at the first try, and saying what is in those that exist.
//!
//! Reading, making and judging them is [`crate::tls`]'s; here are files, words and what to do with them.

mod block;
mod files;
mod new;
mod paste;
mod server;
mod show;

pub use block::{Detail, print, printable};
pub use files::FilesError;
pub use new::{CommonName, NewError, Order, new};
pub use server::LookError;
pub use show::{ShowError, show};
