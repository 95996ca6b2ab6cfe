//! mytls from outside: the real binary between raw clients and a scripted backend whose bytes are made by hand.
//!
//! One file for each behaviour; `support` holds both ends. Nothing here uses the crate's own code. `scripted` tries the
//! two ends on each other, so that a mistake of theirs shows as theirs. Against real servers go `mysql_async_client`, a
//! client that we did not write, `reload_servers` with the same, `password_servers` with the raw client, `import_servers`,
//! `tls_status_servers` and `proxy_protocol_servers`. `MYTLS_TEST_SOAK=100000` makes the test of what sessions leave
//! behind a long one, `MYTLS_TEST_SESSIONS=10000` that of the tables of the admin port, `MYTLS_TEST_STALLED=1` that of a
//! client that reads no answers, `MYTLS_TEST_FLOOD_LOGINS` those of floods, `MYTLS_TEST_HANG_UPS` that of a storm of SIGHUP,
//! `MYTLS_TEST_SWAP_SECONDS` and `MYTLS_TEST_RELOADS` those of certificates that change under load.

mod access;
mod admin;
mod admin_attacks;
mod admin_statements;
mod admin_tables;
mod admin_users;
mod auth_relay;
mod authorize;
mod backend;
mod bypass;
mod certs;
mod change_user;
mod ciphers;
mod client_hello;
mod clock;
mod common_names;
mod compression;
mod compression_attacks;
mod confirm;
mod ctl;
mod drain;
mod flapping;
mod flood;
mod greeting;
mod handed_on;
mod health;
mod http;
mod import;
mod import_servers;
mod kill;
mod lifecycle;
mod limits;
mod login;
mod logs;
mod material;
mod metrics;
mod mysql_async_client;
mod password;
mod password_servers;
mod proxy_protocol;
mod proxy_protocol_sent;
mod proxy_protocol_servers;
mod relay;
mod reload;
mod reload_servers;
mod report;
mod requirements;
mod reread;
mod resets;
mod responses;
mod revoked;
mod route;
mod sandbox;
mod scripted;
mod secrets;
mod soak;
mod storms;
mod support;
mod systemd;
mod tls_status;
mod tls_status_servers;
mod unread;
mod user_name;
mod vanish;
