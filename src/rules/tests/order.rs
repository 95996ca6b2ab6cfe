//! Which account counts, held against MySQL's own order.

use proptest::prelude::*;

use super::*;

#[test]
fn accounts_that_judge_a_client_are_told_the_chosen_one_first() {
    let rules = Rules::new(Settings {
        default_requirement: Requirement::X509,
        ..rules(&[
            ("app@'db.test'", Requirement::X509),
            ("app@'10.%'", Requirement::Ssl),
            ("app@'20.0.0.0/8'", Requirement::Ssl),
            ("app", Requirement::None),
        ])
    })
    .expect("rules");
    let told = |name, address| {
        let accounts = rules.accounts(from(address, TLS).address, &user(name))?;
        Ok(accounts.into_iter().map(ToString::to_string).collect())
    };
    let everywhere = "'app'@'%' REQUIRE NONE".to_owned();
    let by_name = "'app'@'db.test' REQUIRE X509".to_owned();
    for (name, address, expected) in [
        (
            "other",
            "10.0.0.1",
            vec!["default-require REQUIRE X509".to_owned()],
        ),
        ("app", "socket", vec![everywhere.clone()]),
        ("app", "::1", vec![everywhere, by_name.clone()]),
        (
            "app",
            "10.0.0.1",
            vec!["'app'@'10.%' REQUIRE SSL".to_owned(), by_name],
        ),
        (
            "app",
            "20.0.0.1",
            vec!["'app'@'20.0.0.0/8' REQUIRE SSL".to_owned()],
        ),
    ] {
        let expected: Result<Vec<String>, Denial> = Ok(expected);
        assert_eq!(told(name, address), expected, "{name} {address}");
    }
}

#[test]
fn accounts_that_may_be_chosen_by_name_must_permit_too() {
    for strict in [
        "app@localhost",
        "app@'db.example.com'",
        "''@localhost",
        "app@'db%'",
    ] {
        let settings = || rules(&[("app", Requirement::Ssl), (strict, Requirement::X509)]);
        let strict: AccountName = strict.parse().expect("an account name");
        let denied = lacks(&strict.to_string(), Requirement::X509, Lacking::Certificate);
        assert_eq!(judge(settings(), &from("127.0.0.1", TLS), "app"), denied);
        assert_eq!(
            judge(settings(), &from("127.0.0.1", x509()), "app").as_deref(),
            Ok("'app'@'%'")
        );
    }
    let lax = rules(&[
        ("app", Requirement::Ssl),
        ("app@localhost", Requirement::None),
    ]);
    let denied = lacks("'app'@'%'", Requirement::Ssl, Lacking::Tls);
    assert_eq!(
        judge(lax, &from("127.0.0.1", Transport::Plaintext), "app"),
        denied
    );
}

#[test]
fn less_specific_accounts_have_no_say() {
    // MySQL takes an address before a name, and both before patterns.
    let settings = || {
        rules(&[
            ("app@'127.0.0.1'", Requirement::None),
            ("app@localhost", Requirement::Ssl),
            ("app@'127.%'", Requirement::X509),
            ("app", Requirement::X509),
        ])
    };
    let chosen = judge(settings(), &from("127.0.0.1", Transport::Plaintext), "app");
    assert_eq!(chosen.as_deref(), Ok("'app'@'127.0.0.1'"));
    let chosen = judge(
        settings(),
        &from("::ffff:127.0.0.1", Transport::Plaintext),
        "app",
    );
    assert_eq!(chosen.as_deref(), Ok("'app'@'127.0.0.1'"));
    let chosen = judge(settings(), &from("socket", TLS), "app");
    assert_eq!(chosen.as_deref(), Ok("'app'@'localhost'"));
}

// As MySQL 9.7 chose.
#[test]
fn the_host_counts_before_the_user() {
    for (anonymous, named, chosen) in [
        ("''@'127.0.5.2'", "'app'@'%'", "''@'127.0.5.2'"),
        ("''@'127.0.5.2'", "'app'@'127.0.5.2'", "'app'@'127.0.5.2'"),
        (
            "''@'127.0.5.0/24'",
            "'app'@'127.0.5.%'",
            "''@'127.0.5.0/24'",
        ),
        (
            "''@'127.0.5.0/24'",
            "'app'@'127.0.5.0/255.255.255.0'",
            "''@'127.0.5.0/24'",
        ),
        (
            "''@'127.0.5.0/255.255.255.0'",
            "'app'@'127.0.5.0/24'",
            "'app'@'127.0.5.0/24'",
        ),
        ("''@'127.0.5.%'", "'app'@'127.%'", "''@'127.0.5.%'"),
        ("''@'127.0.5.%'", "'app'@'127.0.5._'", "'app'@'127.0.5._'"),
        ("''@'_%'", "'app'@'%'", "''@'_%'"),
    ] {
        let settings = rules(&[(anonymous, Requirement::None), (named, Requirement::None)]);
        let permitted = judge(settings, &from("127.0.5.2", Transport::Plaintext), "app");
        assert_eq!(permitted.as_deref(), Ok(chosen), "{anonymous} {named}");
    }
}

#[test]
fn where_mysql_chooses_by_chance_all_must_permit() {
    for (lax, strict) in [
        ("app@'127.%'", "app@'127._.5.2'"),
        ("app@'127._.5.2'", "app@'127.%'"),
    ] {
        let settings = rules(&[(lax, Requirement::None), (strict, Requirement::Ssl)]);
        let denied = judge(settings, &from("127.0.5.2", Transport::Plaintext), "app");
        assert!(
            matches!(denied, Err(Denial::Requirement { .. })),
            "{denied:?}"
        );
    }
}

/// What MySQL would do, had it looked up `name` for the client: the first account in its order, by its own numbers.
/// The requirements of all accounts that are first.
fn slow_choice(
    accounts: &[AccountRule],
    address: ClientAddress,
    name: Option<&str>,
    user: &str,
) -> Vec<Requirement> {
    let texts: Vec<String> = name
        .map(str::to_owned)
        .into_iter()
        .chain([address.to_string()])
        .collect();
    let order = |rule: &AccountRule| {
        let host = rule.name.host.to_string();
        let wildcard = host.find(['%', '_']).map_or(0, |position| position + 1);
        let ip = host
            .split(['%', '_', '/'])
            .next()
            .is_some_and(|start| start.parse::<std::net::Ipv4Addr>().is_ok());
        let kind = match host.split_once('/') {
            _ if !ip => 3,
            None => 0,
            Some((_, mask)) => 1 + u8::from(mask.contains('.')),
        };
        let bits = match &rule.name.host {
            Host::Network(network, _) => network.prefix_len(),
            _ => 0,
        };
        let position = if wildcard == 0 { 128 } else { wildcard };
        (
            kind,
            32 - bits,
            128 - position,
            host == "%",
            rule.name.user.is_anonymous(),
        )
    };
    let admits = |rule: &&AccountRule| {
        let host = rule.name.host.to_string();
        let by_text = texts.iter().any(|text| slow_match(&host, text));
        let by_network = match (&rule.name.host, address) {
            (Host::Network(network, _), ClientAddress::Ip(IpAddr::V4(ip))) => network.contains(&ip),
            _ => false,
        };
        (by_text || by_network)
            && (rule.name.user.is_anonymous() || rule.name.user.as_str() == user)
    };
    let admitting: Vec<&AccountRule> = accounts.iter().filter(admits).collect();
    let Some(first) = admitting.iter().map(|rule| order(rule)).min() else {
        return Vec::new();
    };
    let firsts = admitting.into_iter().filter(|rule| order(rule) == first);
    firsts.map(|rule| rule.requirement.clone()).collect()
}

const HOSTS: [&str; 17] = [
    "%",
    "localhost",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "10.0.0.0/255.0.0.0",
    "10.0.0.2/32",
    "10.%",
    "10.0.0._",
    "10.%.1",
    "db.example.com",
    "%.example.com",
    "db%",
    "::1",
    "::%",
    "10.0.0.1%",
];

proptest! {
    /// Whatever name the client may have, MySQL's choice permits what we permit; without names, only that.
    #[test]
    fn nothing_is_permitted_that_some_name_would_refuse(
        accounts in prop::collection::btree_map((0..2_usize, prop::sample::select(&HOSTS[..])), 0..3_u8, 1..8),
        address in prop::sample::select(&["10.0.0.1", "10.0.0.2", "10.1.0.1", "127.0.0.1", "::1", "socket"][..]),
        shown in 0..3_u8,
    ) {
        let requirement = |number| match number {
            0 => Requirement::None,
            1 => Requirement::Ssl,
            _ => Requirement::X509,
        };
        let transport = match shown {
            0 => Transport::Plaintext,
            1 => TLS,
            _ => x509(),
        };
        let rule = |((user, host), required): (&(usize, &str), &u8)| {
            (format!("'{}'@'{host}'", ["app", ""][*user]), requirement(*required))
        };
        let accounts: Vec<(String, Requirement)> = accounts.iter().map(rule).collect();
        let accounts: Vec<(&str, Requirement)> = accounts.iter().map(|(name, r)| (name.as_str(), r.clone())).collect();
        let settings = rules(&accounts);
        let identity = from(address, transport);
        let names: &[Option<&str>] = match identity.address {
            ClientAddress::UnixSocket => &[None],
            ClientAddress::Ip(_) => {
                &[None, Some("localhost"), Some("db.example.com"), Some("web.example.com"), Some("dbx"), Some("1and1.com")]
            }
        };
        let every_choice_permits = names.iter().all(|name| {
            let choice = slow_choice(&settings.accounts, identity.address, *name, "app");
            !choice.is_empty() && choice.iter().all(|requirement| requirement.lacking(&identity.transport).is_none())
        });
        let only_addresses = settings.accounts.iter().all(|rule| !rule.name.host.to_string().contains(['l', 'd']));
        let permitted = judge(settings, &identity, "app").is_ok();
        prop_assert!(every_choice_permits || !permitted);
        prop_assert!(permitted || !every_choice_permits || !only_addresses);
    }
}
