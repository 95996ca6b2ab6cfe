//! A `ClientHello` of unusual size: what TLS allows passes, and nothing else takes memory.

use std::io::Write as _;
use std::sync::Arc;

use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::handshake::Login;
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy};

/// RFC 8446, section 5.1.
const LONGEST_FRAGMENT: usize = 1 << 14;

/// A record of the handshake protocol.
fn record(fragment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fragment.len()).expect("a record's length");
    [&[0x16, 3, 1][..], &length.to_be_bytes(), fragment].concat()
}

/// The first bytes of a `ClientHello` that says that it is so long.
fn client_hello_of(bytes: u32) -> Vec<u8> {
    [&[1][..], &bytes.to_be_bytes()[1..], &[3, 3]].concat()
}

fn asking_for_tls(proxy: &Proxy) -> Client {
    let mut client = Client::greeted(proxy.address);
    client.send(&ssl_request(&Login::of("app")));
    client
}

/// A post-quantum key share and a long list of something fill more than one record.
#[test]
fn client_hello_in_several_records_is_served() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut config = (*PKI.client_tls(None)).clone();
    config.alpn_protocols = (0..200_u8).map(|number| vec![number; 100]).collect();
    Client::logged_in_over_tls(proxy.address, &Login::of("app"), &Arc::new(config));
}

#[test]
fn record_longer_than_tls_allows_is_refused_by_its_header() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = asking_for_tls(&proxy);
    client.send_raw(&[0x16, 3, 1, 0xff, 0xff]);
    client.expect_end();
    proxy.wait_for_log("what the other side sent is not TLS, or is damaged");
}

/// Sixteen megabytes, which a peer may say that it will send, of each of many clients.
#[test]
fn client_hello_that_does_not_end_is_cut_and_takes_no_memory() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend));
    let before = proxy.status_number("VmRSS");
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = asking_for_tls(&proxy);
            client.send_raw(&record(&client_hello_of(0x00ff_ffff)));
            let more = record(&[0x5a; LONGEST_FRAGMENT]);
            // it fails as soon as mytls has heard enough
            let sent = (0..1024).take_while(|_| client.wire.write_all(&more).is_ok());
            let count = sent.count();
            assert!(count < 1024, "all of it was read");
            client
        })
        .collect();
    let grown = proxy.status_number("VmRSS").saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB");
    drop(clients);
    assert!(proxy.is_running());
    Client::logged_in(proxy.address, &Login::of("app"));
}

/// Each record holds one byte.
#[test]
fn client_hello_in_the_smallest_records_starves_nobody() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend));
    let mut client = asking_for_tls(&proxy);
    let hello = [client_hello_of(60_000), vec![0x5a; 59_000]].concat();
    let records: Vec<u8> = hello.iter().flat_map(|byte| record(&[*byte])).collect();
    let before = proxy.processor_ticks();
    let _ = client.wire.write_all(&records);
    Client::logged_in(proxy.address, &Login::of("app"));
    let ticks = proxy.processor_ticks() - before;
    assert!(ticks < 500, "{ticks} hundredths of a second for 60 kB");
    assert!(proxy.is_running());
}
