//! The login packet: whole, in pieces, cut and garbled.

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::packet::packet;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};

#[test]
fn malformed_login_is_refused() {
    let whole = Login::of("app").payload();
    let mut lying_auth_length = whole.clone();
    lying_auth_length[36] = 0xfb;
    let mut lying_attributes_length = whole.clone();
    let attributes_length = whole.len() - 17; // "\x11" "\x0c_client_name" "\x03raw"
    assert_eq!(
        whole[attributes_length - 1],
        17,
        "the place of the attributes' length"
    );
    lying_attributes_length[attributes_length - 1] = 200;
    let cases: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("one byte", &whole[..1]),
        ("31 bytes", &whole[..31]),
        ("name without end", &whole[..34]),
        ("cut within the auth data", &whole[..50]),
        ("lying length of the auth data", &lying_auth_length),
        ("lying length of the attributes", &lying_attributes_length),
    ];
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let dials = backend.dials();
    for (case, bytes) in cases {
        let mut client = Client::greeted(proxy.address);
        client.send(bytes);
        let error = client.error();
        assert_eq!(
            (error.sequence, error.code_and_state()),
            (2, (1043, "08S01")),
            "{case}"
        );
        client.expect_clean_end();
    }
    assert_eq!(backend.dials(), dials, "the backend was dialled");
}

/// Cut anywhere, with a header that tells the truth about it: an ERR or, if only optional fields are gone, a login.
#[test]
fn login_cut_at_any_length_is_answered() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let whole = Login::of("app").database("shop").payload();
    for length in 0..whole.len() {
        let mut client = Client::greeted(proxy.address);
        client.send(&whole[..length]);
        let answer = client.read();
        let refused = answer.error().is_some_and(|error| error.code == 1043);
        assert!(
            refused || answer.payload[0] == 0xfe,
            "{length} bytes: {answer:?}"
        );
    }
}

/// Each byte in turn has all its bits turned over.
#[test]
fn login_with_any_byte_wrong_ends_only_itself() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let whole = Login::of("app").database("shop").payload();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        let mut client = Client::greeted(proxy.address);
        client.send(&bytes);
        client.wire.finish_writing().expect("close");
        client.expect_end();
    }
    Client::logged_in(proxy.address, &Login::of("app"));
}

/// What else the client has sent by then is read and dropped: unread it would make the kernel reset the connection,
/// and the ERR would be lost.
#[test]
fn error_is_read_by_a_client_that_goes_on_sending() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(
        Config::before(&backend).with("accounts: [{ user: \"'strict'@'%'\", require: X509 }]"),
    );
    let login = Login::of("strict");
    for with_tls in [false, true] {
        let mut client = Client::greeted(proxy.address);
        if with_tls {
            client.start_tls(&login, &PKI.client_tls(None));
        }
        client.send_login(&login);
        client.send_raw(&vec![0x55; 512 << 10]);
        let error = client.error();
        assert_eq!(error.code_and_state(), (1045, "28000"), "TLS: {with_tls}");
        client.expect_clean_end();
    }
}

#[test]
fn login_with_a_wrong_sequence_number_is_refused() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    for wrong in [0, 2, 7, 255] {
        let mut client = Client::greeted(proxy.address);
        client.sequence = wrong;
        client.send(&Login::of("app").payload());
        let packet = client.wire.read_packet().expect("an ERR");
        assert_eq!(
            packet.error().map(|error| error.code),
            Some(1043),
            "number {wrong}"
        );
    }
}

#[test]
fn login_may_come_byte_by_byte() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    for byte in packet(1, &Login::of("app").payload()) {
        client.send_raw(&[byte]);
    }
    client.sequence = 2;
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
}
