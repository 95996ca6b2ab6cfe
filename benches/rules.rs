//! What judging a login costs among 10,000 account rules, and as many imported accounts.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use mytls::protocol::server_kind::ServerKind;
use mytls::protocol::user_name::UserName;
use mytls::rules::{
    AccountRule, ClientAddress, Identity, ImportPolicy, ImportedAccount, ImportedAccounts,
    Requirement, Rules, SeenAddress, Settings, Transport,
};

const ACCOUNTS: usize = 10_000;

fn rules() -> Rules {
    let accounts = (0..ACCOUNTS)
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

fn imported() -> ImportedAccounts {
    let accounts = (0..ACCOUNTS)
        .map(|number| ImportedAccount {
            user: format!("user{number}"),
            host: "10.%".to_owned(),
            requirement: Requirement::Ssl,
            peer_credential: false,
        })
        .collect();
    ImportedAccounts::new(accounts, ServerKind::MySql, ImportPolicy::default())
}

fn authorize(criterion: &mut Criterion) {
    let identity = Identity {
        address: ClientAddress::from(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))),
        transport: Transport::Tls {
            cipher: "TLS_AES_128_GCM_SHA256",
            certificate: None,
        },
    };
    let user = UserName::new("user4711").expect("a name");
    let (rules, imported) = (rules(), imported());
    for (name, imported) in [
        ("authorize among 10,000 rules", None),
        (
            "authorize among 10,000 rules and 10,000 imported",
            Some(&imported),
        ),
    ] {
        assert!(rules.authorize(&identity, &user, imported).is_ok());
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| rules.authorize(black_box(&identity), black_box(&user), imported));
        });
    }
    assert!(
        imported
            .confirm_login(&identity, &user, ("user4711", "10.%"), SeenAddress::Mytls)
            .is_ok()
    );
    criterion.bench_function("confirm among 10,000 imported", |bencher| {
        bencher.iter(|| {
            imported.confirm_login(
                black_box(&identity),
                &user,
                (black_box("user4711"), "10.%"),
                SeenAddress::Mytls,
            )
        });
    });
}

criterion_group!(judging, authorize);
criterion_main!(judging);
