//! What judging a login costs among 10,000 account rules.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use mytls::protocol::user_name::UserName;
use mytls::rules::{AccountRule, ClientAddress, Identity, Rules, Settings, Transport};

const RULES: usize = 10_000;

fn rules() -> Rules {
    let accounts = (0..RULES)
        .map(|number| AccountRule {
            name: format!("'user{number}'@'10.%'")
                .parse()
                .expect("an account"),
            requirement: "SSL".parse().expect("a requirement"),
        })
        .collect();
    Rules::new(Settings {
        accounts,
        ..Settings::default()
    })
    .expect("no contradictions")
}

fn authorize(criterion: &mut Criterion) {
    let rules = rules();
    let identity = Identity {
        address: ClientAddress::from(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))),
        transport: Transport::Tls {
            cipher: "TLS_AES_128_GCM_SHA256",
            certificate: None,
        },
    };
    let user = UserName::new("user4711").expect("a name");
    assert!(rules.authorize(&identity, &user, None).is_ok());
    criterion.bench_function("authorize among 10,000 rules", |bencher| {
        bencher.iter(|| rules.authorize(black_box(&identity), black_box(&user), None));
    });
}

criterion_group!(judging, authorize);
criterion_main!(judging);
