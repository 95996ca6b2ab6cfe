//! What the tests stand on: mytls as a process, a raw client, a scripted backend, certificates.

pub(crate) mod admin;
pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod conversation;
pub(crate) mod frames;
pub(crate) mod grants;
pub(crate) mod handshake;
pub(crate) mod http;
pub(crate) mod lab;
pub(crate) mod metrics;
pub(crate) mod openssl;
pub(crate) mod packet;
pub(crate) mod pki;
pub(crate) mod plugin;
pub(crate) mod proxy;
pub(crate) mod rsa;
pub(crate) mod secret;
pub(crate) mod visit;
pub(crate) mod wire;
