//! mytls from outside: the real binary between raw clients and a scripted backend whose bytes are made by hand.
//!
//! One file for each behaviour; `support` holds both ends. Nothing here uses the crate's own code. `scripted` tries the
//! two ends on each other, so that a mistake of theirs shows as theirs; `mysql_async_client` is a client that we did not
//! write, against real servers, and `password_servers` the raw client against one. `MYTLS_TEST_CONNECTS=10000` makes the
//! test of what sessions leave behind a long one.

mod access;
mod auth_relay;
mod authorize;
mod backend;
mod change_user;
mod ciphers;
mod common_names;
mod greeting;
mod handed_on;
mod lifecycle;
mod limits;
mod login;
mod material;
mod mysql_async_client;
mod password;
mod password_servers;
mod relay;
mod requirements;
mod responses;
mod revoked;
mod scripted;
mod support;
mod user_name;
mod vanish;
