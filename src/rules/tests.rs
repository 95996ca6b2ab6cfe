//! The rules as a whole: which account counts, and what it lets through.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::protocol::server_kind::ServerKind;

pub(super) fn rules(accounts: &[(&str, Requirement)]) -> Settings {
    let rule = |(name, requirement): &(&str, Requirement)| AccountRule {
        name: name.parse().expect("an account name"),
        requirement: requirement.clone(),
    };
    Settings {
        accounts: accounts.iter().map(rule).collect(),
        ..Settings::default()
    }
}

pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).expect("a user name")
}

/// `socket`, or an IP address.
pub(super) fn from(address: &str, transport: Transport) -> Identity {
    let address = match address.parse::<IpAddr>() {
        Ok(ip) => ip.into(),
        Err(_) => ClientAddress::UnixSocket,
    };
    Identity { address, transport }
}

const CIPHER: &str = "TLS_AES_256_GCM_SHA384";

pub(super) const TLS: Transport = Transport::Tls {
    cipher: CIPHER,
    certificate: None,
};

pub(super) fn x509() -> Transport {
    of_common_name(Some("dm"))
}

fn of_common_name(common_name: Option<&str>) -> Transport {
    Transport::Tls {
        cipher: CIPHER,
        certificate: Some(Arc::new(Certificate {
            subject: Name::of(&[("CN", "dm")]),
            issuer: Name::of(&[("CN", "ca")]),
            common_name: common_name.map(str::to_owned),
            alternative_names: AlternativeNames::default(),
        })),
    }
}

fn judge(settings: Settings, identity: &Identity, name: &str) -> Result<String, Denial> {
    let rules = Rules::new(settings).expect("rules");
    rules
        .authorize(identity, &user(name), None)
        .map(|permit| permit.account().to_owned())
}

fn lacks(account: &str, requirement: Requirement, lacking: Lacking) -> Result<String, Denial> {
    Err(Denial::Requirement {
        account: account.into(),
        requirement,
        lacking,
    })
}

#[test]
fn one_account_with_two_rules_is_refused() {
    for (one, other) in [
        ("'app'@'%'", "app"),
        ("'app'@'localhost'", "app@LOCALHOST"),
        ("''@'%'", "''@''"),
        ("'app'@'2001:db8::1'", "'app'@'2001:DB8:0::1'"),
    ] {
        let settings = rules(&[
            (one, Requirement::Ssl),
            ("app@'10.%'", Requirement::None),
            (other, Requirement::X509),
        ]);
        let name = other.parse().expect("an account name");
        assert_eq!(
            Rules::new(settings).err(),
            Some(RulesError::Duplicate(name)),
            "{one} {other}"
        );
    }
}

/// The same rules at the admin port.
fn at_the_admin_port(accounts: &[(&str, Requirement)]) -> BTreeMap<AccountName, Requirement> {
    let rules = rules(accounts).accounts.into_iter();
    rules.map(|rule| (rule.name, rule.requirement)).collect()
}

#[test]
fn of_two_places_that_name_a_user_both_must_permit() {
    let settings = |file: &[(&str, Requirement)], admin: &[(&str, Requirement)]| Settings {
        admin_accounts: at_the_admin_port(admin),
        ..rules(file)
    };
    let lax = || ("app", Requirement::None);
    let strict = || ("app", Requirement::X509);
    let over_tls = from("10.0.0.1", TLS);
    let lacks_one = |account| lacks(account, Requirement::X509, Lacking::Certificate);
    for (settings, denied) in [
        (settings(&[strict()], &[lax()]), lacks_one("'app'@'%'")),
        (
            settings(&[lax()], &[strict()]),
            lacks_one("'app'@'%' (admin port)"),
        ),
        (
            settings(&[], &[strict()]),
            lacks_one("'app'@'%' (admin port)"),
        ),
        (settings(&[strict()], &[]), lacks_one("'app'@'%'")),
    ] {
        assert_eq!(judge(settings, &over_tls, "app"), denied);
    }
    for (settings, account) in [
        (settings(&[lax()], &[lax()]), "'app'@'%'"),
        (settings(&[], &[lax()]), "'app'@'%' (admin port)"),
        (
            settings(&[("other", Requirement::X509)], &[lax()]),
            "'app'@'%' (admin port)",
        ),
    ] {
        assert_eq!(judge(settings, &over_tls, "app").as_deref(), Ok(account));
    }
}

// Else whoever may write into one place could open what the other closes.
#[test]
fn no_account_of_one_place_stands_in_for_those_of_the_other() {
    let elsewhere = ("app@192.168.0.1", Requirement::None);
    let everywhere = ("app", Requirement::None);
    let client = from("10.0.0.1", TLS);
    let denied = |place| {
        Err(Denial::NoAccount {
            address: client.address,
            place,
        })
    };
    for (file, admin, place) in [
        (&elsewhere, &everywhere, Place::File),
        (&everywhere, &elsewhere, Place::AdminPort),
    ] {
        let settings = Settings {
            admin_accounts: at_the_admin_port(std::slice::from_ref(admin)),
            ..rules(std::slice::from_ref(file))
        };
        assert_eq!(judge(settings, &client, "app"), denied(place));
    }
}

#[test]
fn default_require_is_for_users_that_neither_place_names() {
    let settings = |admin: &[(&str, Requirement)]| Settings {
        default_requirement: Requirement::X509,
        admin_accounts: at_the_admin_port(admin),
        ..Settings::default()
    };
    let over_tls = from("10.0.0.1", TLS);
    let by_default = || lacks("default-require", Requirement::X509, Lacking::Certificate);
    assert_eq!(
        judge(settings(&[("other", Requirement::None)]), &over_tls, "app"),
        by_default()
    );
    for account in ["app", "''@'10.%'"] {
        let judged = judge(settings(&[(account, Requirement::None)]), &over_tls, "app");
        assert!(judged.is_ok(), "{account}: {judged:?}");
    }
}

#[test]
fn what_is_changed_leaves_the_rest_as_it_is() {
    let rules_in_force = InForce::new(rules(&[("app", Requirement::Ssl)])).expect("rules");
    let change = rules_in_force.change(|settings| {
        settings.admin_accounts = at_the_admin_port(&[("dm", Requirement::X509)]);
    });
    change.expect("rules");
    let contradiction = rules(&[("app", Requirement::Ssl), ("app", Requirement::None)]);
    let change = rules_in_force.change(|settings| {
        *settings = contradiction;
    });
    assert!(matches!(change, Err(RulesError::Duplicate(_))));
    let rules_now = rules_in_force.load();
    let settings = rules_now.settings();
    assert_eq!(
        settings.accounts,
        rules(&[("app", Requirement::Ssl)]).accounts
    );
    assert_eq!(settings.admin_accounts.len(), 1);
}

#[test]
fn plaintext_is_refused_before_anything_else_is_asked() {
    let settings = |require_secure_transport| Settings {
        require_secure_transport,
        ..rules(&[("app", Requirement::X509)])
    };
    let plaintext = from("10.0.0.1", Transport::Plaintext);
    assert_eq!(
        judge(settings(true), &plaintext, "app"),
        Err(Denial::InsecureTransport)
    );
    assert_eq!(
        judge(settings(true), &plaintext, "other"),
        Err(Denial::InsecureTransport)
    );
    assert_eq!(
        judge(settings(false), &plaintext, "other").as_deref(),
        Ok("default-require")
    );
}

#[test]
fn only_clients_of_the_allowed_common_names_come_to_the_accounts() {
    let settings = |names: &[&str]| Settings {
        client_names: Some(ClientNames::new(
            names.iter().map(|name| (*name).to_owned()),
        )),
        ..rules(&[("app", Requirement::None)])
    };
    for (names, address, transport) in [
        (&["dm"][..], "10.0.0.1", Transport::Plaintext),
        (&["dm"], "socket", Transport::Plaintext),
        (&["dm"], "10.0.0.1", TLS),
        (&["dm"], "10.0.0.1", of_common_name(Some("DM"))),
        (&["dm"], "10.0.0.1", of_common_name(Some("dm "))),
        (&["dm"], "10.0.0.1", of_common_name(None)),
        (&["", "dm"], "10.0.0.1", of_common_name(None)),
        (&[], "10.0.0.1", x509()),
    ] {
        for user in ["app", "other"] {
            let denied = judge(settings(names), &from(address, transport.clone()), user);
            assert!(
                matches!(denied, Err(Denial::CommonName { .. })),
                "{names:?} {transport:?} {denied:?}"
            );
        }
    }
    let permitted = judge(settings(&["app", "dm"]), &from("10.0.0.1", x509()), "app");
    assert_eq!(permitted.as_deref(), Ok("'app'@'%'"));
}

// The client hears 3159 or 1045.
#[test]
fn secure_transport_is_asked_for_first_then_the_common_name_then_the_account() {
    let settings = || Settings {
        require_secure_transport: true,
        client_names: Some(ClientNames::new([])),
        ..rules(&[("app@'20.%'", Requirement::X509)])
    };
    let plaintext = from("10.0.0.1", Transport::Plaintext);
    assert_eq!(
        judge(settings(), &plaintext, "app"),
        Err(Denial::InsecureTransport)
    );
    assert!(matches!(
        judge(settings(), &from("10.0.0.1", x509()), "app"),
        Err(Denial::CommonName { .. })
    ));
}

#[test]
fn a_unix_socket_is_a_secure_transport_but_no_tls() {
    let settings = |requirement| Settings {
        require_secure_transport: true,
        ..rules(&[("app@localhost", requirement)])
    };
    let socket = from("socket", Transport::Plaintext);
    let denied = lacks("'app'@'localhost'", Requirement::Ssl, Lacking::Tls);
    assert_eq!(judge(settings(Requirement::Ssl), &socket, "app"), denied);
    assert_eq!(
        judge(settings(Requirement::None), &socket, "app").as_deref(),
        Ok("'app'@'localhost'")
    );
}

#[test]
fn users_that_no_account_names_get_the_default() {
    let settings = || Settings {
        default_requirement: Requirement::Ssl,
        ..rules(&[("app@'10.%'", Requirement::None)])
    };
    let denied = lacks("default-require", Requirement::Ssl, Lacking::Tls);
    assert_eq!(
        judge(settings(), &from("10.0.0.1", Transport::Plaintext), "other"),
        denied
    );
    assert_eq!(
        judge(settings(), &from("10.0.0.1", Transport::Plaintext), "APP"),
        denied
    );
    assert_eq!(
        judge(settings(), &from("10.0.0.1", Transport::Plaintext), ""),
        denied
    );
    assert_eq!(
        judge(settings(), &from("10.0.0.1", TLS), "other").as_deref(),
        Ok("default-require")
    );
}

// Were it `default-require`, coming from elsewhere would be a way around a strict account.
#[test]
fn users_from_hosts_without_an_account_are_refused() {
    for (accounts, name, address) in [
        (&[("app@'10.%'", Requirement::X509)][..], "app", "20.0.0.1"),
        (&[("app@'10.%'", Requirement::X509)], "app", "::1"),
        (&[("app@'10.0.0.0/8'", Requirement::None)], "app", "socket"),
        (&[("''@'10.%'", Requirement::None)], "app", "20.0.0.1"),
        (
            &[
                ("app@'20.%'", Requirement::None),
                ("''@'10.%'", Requirement::None),
            ],
            "other",
            "20.0.0.1",
        ),
        (&[("app@localhost", Requirement::None)], "app", "127.0.0.1"),
        (
            &[("app@'db.example.com'", Requirement::None)],
            "app",
            "10.0.0.1",
        ),
    ] {
        let identity = from(address, x509());
        let denied = Err(Denial::NoAccount {
            address: identity.address,
            place: Place::File,
        });
        assert_eq!(
            judge(rules(accounts), &identity, name),
            denied,
            "{accounts:?} {name} {address}"
        );
    }
}

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

#[test]
fn report_lets_pass_whom_the_rules_would_refuse_and_says_why() {
    let settings = |names: &[&str], require_secure_transport, enforcement| Settings {
        default_requirement: Requirement::X509,
        require_secure_transport,
        client_names: (!names.is_empty())
            .then(|| ClientNames::new(names.iter().map(|name| (*name).to_owned()))),
        enforcement,
        ..rules(&[("app", Requirement::Ssl), ("far@'10.%'", Requirement::None)])
    };
    let elsewhere = from("20.0.0.1", x509());
    let no_account = Denial::NoAccount {
        address: elsewhere.address,
        place: Place::File,
    };
    let no_name = Denial::CommonName { shown: None };
    let no_tls = lacks("'app'@'%'", Requirement::Ssl, Lacking::Tls).expect_err("a denial");
    let no_certificate =
        lacks("default-require", Requirement::X509, Lacking::Certificate).expect_err("a denial");
    let plaintext = from("10.0.0.1", Transport::Plaintext);
    let tls = from("10.0.0.1", TLS);
    for (names, secure, identity, name, account, reported) in [
        (
            &[][..],
            true,
            &plaintext,
            "app",
            "'app'@'%'",
            Some(Denial::InsecureTransport),
        ),
        (
            &["dm"],
            false,
            &plaintext,
            "app",
            "'app'@'%'",
            Some(no_name),
        ),
        (&[], false, &plaintext, "app", "'app'@'%'", Some(no_tls)),
        (
            &[],
            false,
            &tls,
            "other",
            "default-require",
            Some(no_certificate),
        ),
        (&[], false, &elsewhere, "far", "none", Some(no_account)),
        (&[], true, &tls, "app", "'app'@'%'", None),
        (
            &["dm"],
            true,
            &from("10.0.0.1", x509()),
            "other",
            "default-require",
            None,
        ),
    ] {
        let settings = |enforcement| settings(names, secure, enforcement);
        let reporting = Rules::new(settings(Enforcement::Report)).expect("rules");
        let permit = reporting.authorize(identity, &user(name), None);
        let permit = permit.expect("nobody is refused");
        assert_eq!(permit.account(), account, "{identity:?} {name}");
        assert_eq!(
            permit.reported(),
            reported.as_slice(),
            "{identity:?} {name}"
        );
        let enforced = judge(settings(Enforcement::Enforce), identity, name);
        assert_eq!(enforced.err(), reported, "{identity:?} {name}");
    }
}

#[test]
fn report_of_the_file_does_not_relax_what_is_imported_nor_the_other_way_round() {
    let authorize = |enforcement, report_only| {
        let settings = Settings {
            enforcement,
            ..rules(&[("app", Requirement::Ssl)])
        };
        let account = ImportedAccount {
            user: "app".to_owned(),
            host: "%".to_owned(),
            requirement: Requirement::X509,
            peer_credential: false,
        };
        let policy = ImportPolicy {
            report_only,
            ..ImportPolicy::default()
        };
        let imported = ImportedAccounts::new(vec![account], ServerKind::MySql, policy);
        let plaintext = from("10.0.0.1", Transport::Plaintext);
        Rules::new(settings)
            .expect("rules")
            .authorize(&plaintext, &user("app"), Some(&imported))
            .map(|permit| permit.reported().to_vec())
    };
    let denial =
        |account, requirement| lacks(account, requirement, Lacking::Tls).expect_err("a denial");
    let of_file = denial("'app'@'%'", Requirement::Ssl);
    let of_import = denial("imported 'app'@'%'", Requirement::X509);
    for (enforcement, report_only, expected) in [
        (Enforcement::Enforce, false, Err(of_file.clone())),
        (Enforcement::Enforce, true, Err(of_file.clone())),
        (Enforcement::Report, false, Err(of_import.clone())),
        (Enforcement::Report, true, Ok(vec![of_file, of_import])),
    ] {
        let judged = authorize(enforcement, report_only);
        assert_eq!(judged, expected, "{enforcement:?} {report_only}");
    }
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

#[test]
fn denials_tell_the_operator_why() {
    let settings = || rules(&[("app@'10.%'", Requirement::X509)]);
    for (identity, text) in [
        (
            from("10.0.0.1", TLS),
            "'app'@'10.%' has REQUIRE X509, and the client has not shown a client certificate",
        ),
        (
            from("20.0.0.1", TLS),
            "no account of this user admits 20.0.0.1 (host names are not resolved)",
        ),
    ] {
        assert_eq!(
            judge(settings(), &identity, "app").map_err(|denial| denial.to_string()),
            Err(text.into())
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

pub(super) fn slow_match(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => (0..=text.len()).any(|skip| slow_match(&pattern[1..], &text[skip..])),
        Some(first) => text.chars().next().is_some_and(|other| {
            (first == '_' || first == other) && slow_match(&pattern[1..], &text[1..])
        }),
    }
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
