//! What a login costs in the codec: greeting made, login read, login made for the backend.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mytls::protocol::capabilities::Capabilities;
use mytls::protocol::greeting::{BackendGreeting, ClientGreeting};
use mytls::protocol::login::{BackendLogin, Login, LoginHead};

/// The `HandshakeResponse41` with attributes of MySQL 5.6.6 that the manual shows.
const LOGIN: &[u8] = b"\x8d\xa6\x0f\x00\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00pam\x00\x14\xab\x09\xee\xf6\xbc\xb1\x32\x3e\x61\x14\x38\x65\xc0\x99\x1d\x95\x7d\x75\xd4\x47test\x00mysql_native_password\x00";

/// The greeting of a MySQL 5.5.2 that the manual shows.
const GREETING: &[u8] = b"\x0a5.5.2-m2\x00\x0b\x00\x00\x00\x64\x76\x48\x40\x49\x2d\x43\x4a\x00\xff\xf7\x08\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2a\x34\x64\x7c\x63\x5a\x77\x6b\x34\x5e\x5d\x3a\x00";

fn greeting(criterion: &mut Criterion) {
    criterion.bench_function("read a backend's greeting", |bencher| {
        bencher.iter(|| BackendGreeting::decode(black_box(GREETING)));
    });
    criterion.bench_function("greet a client", |bencher| {
        let greeting = ClientGreeting {
            version: b"9.7.4",
            connection_id: 0x8000_0001,
            salt: b"abcdefghijklmnopqrst",
            capabilities: Capabilities::RELAYED,
            collation: 255,
        };
        bencher.iter(|| black_box(&greeting).encode());
    });
}

fn login(criterion: &mut Criterion) {
    let head = LoginHead::decode(LOGIN).expect("the manual's own bytes");
    criterion.bench_function("read a login", |bencher| {
        bencher.iter(|| Login::decode(black_box(LOGIN), head.capabilities));
    });
    criterion.bench_function("hand a login on", |bencher| {
        let login = BackendLogin {
            head,
            user: b"pam",
            using_password: true,
            database: Some(b"test"),
            attributes: b"",
        };
        bencher.iter(|| black_box(&login).encode());
    });
}

criterion_group!(codec, greeting, login);
criterion_main!(codec);
