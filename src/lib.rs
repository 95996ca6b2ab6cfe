//! The TLS front door for MySQL: a proxy that decides by each user's `REQUIRE` rule, on the client's own TLS session,
//! who may go on to the database. This page is the map of the code.
//!
//! # The life of a connection
//!
//! ```text
//! accept ─ PROXY header? ─ greeting ─ SSLRequest? ─ TLS ─ certificate judged ─ login packet read ─ AUTHORIZE
//!   ├ denial: ERR, close; no backend hears of it
//!   └ permit ─ connect the route's backend ─ TLS ─ its authentication, relayed ─ OK relayed ─
//!     relay … `COM_CHANGE_USER` → AUTHORIZE … ─ close both ─ one line in the log
//! ```
//!
//! Follow it from `main.rs` through [`run`] (wires everything), [`net::listener`] (accepts), [`net::workers`] (the thread that serves it), `session` (the steps above,
//! one file each: `origin`, `hello`, `identify`, `authenticate` with `password`, `relay`, `change_user`, `rewrite`), to [`net::stream`] (bytes, TLS and compression) and
//! [`protocol::tracker`] (where commands start and responses end).
//!
//! # Words
//!
//! | word | means |
//! | --- | --- |
//! | client, backend | the two ends of a session |
//! | source, target | the backend of the key `from`, and of `target-database` |
//! | route, cut-over | which of the two new sessions go to; the act that changes it |
//! | to drain | to ask sessions to end between transactions, and to cut those that are left |
//! | endpoint | `host:port` or a Unix socket of a backend |
//! | place | where rules stand: the file, the admin port, the grant tables of a server |
//! | session | one client connection with its backend connection, from accept to close |
//! | secure, insecure | a side with TLS or on a Unix socket; a side in plaintext over TCP |
//! | account, requirement | `'user'@'host'`, and its `REQUIRE` clause |
//! | identity | what a client has shown: address, transport, certificate |
//! | permit, denial | what *authorize* (ours, by rules) comes to; *authenticate* is by password, and the backend's |
//! | import | to read a backend's own accounts out of its grant tables; done with an account of mytls' own |
//! | balancer | whoever hands clients' connections on to mytls and says in a PROXY header whose they are |
//! | material | CA, revocation lists, certificate chain and key of one place, loaded and checked as one |
//! | channel | a place with material of its own: `mysql_main` (the data port), `mysql_admin`, `source`, `target` |
//! | generation | what was made of the material of a channel at one time; one is in force |
//! | reload, reread | asked for (SIGHUP); noticed, when a connection is made and files have changed |
//! | to track | to follow both directions of a session from packet header to packet header |
//!
//! # What holds everywhere
//!
//! - A backend is dialled for a client only with a [`rules::Permit`], and only [`rules`] can make one.
//! - What was judged is what is sent: the backend gets the canonical user name, never the client's bytes of it, and
//!   nothing of the client's first authentication data.
//! - mytls keeps no user's password, and reads one only where it must change its form between a secure and an insecure
//!   side. It has an account of its own ([`backend::own_account`]) only where it imports accounts, and [`ctl`] at admin ports.
//! - [`protocol`] and [`rules`] do no I/O and read no clock.
//! - What is counted is counted by whoever owns it, once, in the types of [`metrics`]; [`run`] puts it on the page.
//! - A module imports only modules to its left:
//!   metrics, protocol, rules | net, tls | backend | session | admin | drain, http | config | certs | ctl | authorize, check,
//!   cli, health, systemd, sandbox, reload, run, main (and the small process, logging, shell, signals).

#![forbid(unsafe_code)]

pub mod admin;
pub mod authorize;
pub mod backend;
pub mod certs;
pub mod check;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod drain;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod process;
pub mod protocol;
pub mod reload;
pub mod rules;
pub mod run;
pub mod sandbox;
pub mod session;
pub mod shell;
pub mod shutdown;
pub mod signals;
pub mod systemd;
pub mod tls;
