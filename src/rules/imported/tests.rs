//! Imported accounts: whom they let pass before the server is dialled, and after its OK.

use proptest::prelude::*;

use super::super::tests::{TLS, from, rules, slow_match, user, x509};
use super::*;
use crate::protocol::server_kind::ServerKind::{MariaDb, MySql, OldMySql, TiDb};
use crate::rules::{ClientAddress, Lacking, Rules, Settings, Transport};

const ENFORCED: ImportPolicy = ImportPolicy {
    ignore_hosts: false,
    report_only: false,
    refuse_peer_credentials: false,
};

/// An account that nobody passes as.
const NOBODY: &str = "IMPOSSIBLE";

fn requirement(text: &str) -> Requirement {
    if text == NOBODY {
        Requirement::Impossible("its ssl_type is FOO".to_owned())
    } else {
        text.parse().expect("a requirement")
    }
}

/// Of users, hosts and requirements.
fn accounts(texts: &[(&str, &str, &str)]) -> Vec<ImportedAccount> {
    texts
        .iter()
        .map(|(user, host, require)| ImportedAccount {
            user: (*user).to_owned(),
            host: (*host).to_owned(),
            requirement: requirement(require),
            peer_credential: false,
        })
        .collect()
}

fn import(server: ServerKind, texts: &[(&str, &str, &str)]) -> ImportedAccounts {
    ImportedAccounts::new(accounts(texts), server, ENFORCED)
}

/// Judged before dialling, with no rule in the file: what is reported, or why it is refused.
fn judge(
    imported: &ImportedAccounts,
    identity: &Identity,
    name: &str,
) -> Result<Vec<Denial>, Denial> {
    Rules::new(Settings::default())
        .expect("rules")
        .authorize(identity, &user(name), Some(imported))
        .map(|permit| permit.reported().to_vec())
}

fn lacks(account: &str, require: &str, lacking: Lacking) -> Denial {
    Denial::Requirement {
        account: account.into(),
        requirement: requirement(require),
        lacking,
    }
}

#[test]
fn names_that_were_not_imported_are_refused() {
    let app = [("app", "%", "NONE")];
    let anonymous = [("", "%", "NONE")];
    for (server, accounts, name) in [
        (MySql, &[][..], "app"),
        (MySql, &app, "other"),
        (MySql, &app, "APP"),
        (MySql, &app, ""),
        // TiDB gives its anonymous account to nobody else.
        (TiDb, &anonymous, "app"),
    ] {
        let imported = import(server, accounts);
        assert!(!imported.holds(&user(name)), "{server:?} {name}");
        let judged = judge(&imported, &from("10.0.0.1", x509()), name);
        assert_eq!(judged, Err(Denial::NotImported), "{server:?} {name}");
    }
    for (server, accounts, name) in [
        (MySql, &app, "app"),
        (MySql, &anonymous, "app"),
        (MariaDb, &anonymous, "app"),
        (TiDb, &anonymous, ""),
    ] {
        let imported = import(server, accounts);
        assert!(imported.holds(&user(name)), "{server:?} {name}");
        let judged = judge(&imported, &from("10.0.0.1", Transport::Plaintext), name);
        assert_eq!(judged, Ok(vec![]), "{server:?} {name}");
    }
}

#[test]
fn users_without_an_account_for_the_address_are_refused() {
    for (server, host, address) in [
        (MySql, "20.%", "10.0.0.1"),
        (MySql, "localhost", "127.0.0.1"),
        (MySql, "10.0.0.1", "socket"),
        // Each of these four admits nobody, or nobody of that address (run).
        (MySql, "10.0.0.1/8", "10.0.0.1"),
        (MySql, "10.0.0", "10.0.0.1"),
        (MySql, "::ffff:10.0.0.1", "10.0.0.1"),
        (MariaDb, "10.0.0.0/8", "10.0.0.1"),
        (OldMySql, "10.0.0.0/8", "10.0.0.1"),
        (TiDb, "10.0.0.0/8", "10.0.0.1"),
        (MySql, "10.0.0.0/33", "10.0.0.1"),
        (MySql, "2001:DB8:0::1", "2001:db8::1"),
        (MariaDb, "", "10.0.0.1"),
    ] {
        let identity = from(address, x509());
        let imported = import(server, &[("app", host, "NONE")]);
        let denied = Err(Denial::NoImportedAccount {
            address: identity.address,
        });
        assert_eq!(
            judge(&imported, &identity, "app"),
            denied,
            "{server:?} {host}"
        );
        let ignoring = ImportPolicy {
            ignore_hosts: true,
            ..ENFORCED
        };
        let imported = ImportedAccounts::new(accounts(&[("app", host, "NONE")]), server, ignoring);
        assert_eq!(
            judge(&imported, &identity, "app"),
            Ok(vec![]),
            "{server:?} {host}"
        );
    }
}

#[test]
fn with_hosts_ignored_an_account_that_may_be_the_one_must_permit_all_the_same() {
    let policy = ImportPolicy {
        ignore_hosts: true,
        ..ENFORCED
    };
    for host in ["localhost", "db.test", "10.0.0.1/8", ""] {
        let account = accounts(&[("app", host, "X509"), ("app", "20.%", NOBODY)]);
        let imported = ImportedAccounts::new(account, MySql, policy);
        let name = account_name("app", host);
        let denied = lacks(&format!("imported {name}"), "X509", Lacking::Certificate);
        assert_eq!(
            judge(&imported, &from("10.0.0.1", TLS), "app"),
            Err(denied),
            "{host}"
        );
        assert_eq!(
            judge(&imported, &from("10.0.0.1", x509()), "app"),
            Ok(vec![]),
            "{host}"
        );
    }
}

// Were it left out, one that admits more people would count in its place.
#[test]
fn a_host_that_cannot_be_read_makes_its_account_judge_everybody() {
    for (server, host) in [
        (MySql, "10.0.0.1/8"),
        (MySql, "10.0.0.0/33"),
        (MySql, "1.2.3"),
        (MySql, "::ffff:10.0.0.1"),
        (MySql, ""),
        (MariaDb, "10.0.0.0/8"),
    ] {
        let accounts = [("app", host, "X509"), ("app", "10.0.0.1", "NONE")];
        let imported = import(server, &accounts);
        for address in ["10.0.0.1", "socket"] {
            let judged = judge(&imported, &from(address, TLS), "app");
            assert!(judged.is_err(), "{server:?} {host} {address}");
        }
        let permitted = judge(&imported, &from("10.0.0.1", x509()), "app");
        assert_eq!(permitted, Ok(vec![]), "{server:?} {host}");
    }
}

#[test]
fn where_the_server_may_choose_either_account_both_must_permit() {
    for (server, lax, strict) in [
        (MySql, ("app", "127.%"), ("app", "127._.5.2")),
        (MySql, ("app", "127.0.5.2"), ("app", "127.0.5.2/24")),
        (
            MariaDb,
            ("app", "127.0.5.2"),
            ("app", "127.0.5.0/255.255.255.0"),
        ),
        (
            MariaDb,
            ("app", "127.0.5.0/255.255.255.0"),
            ("app", "127.0.5.2"),
        ),
        (MariaDb, ("app", "127.0.5.2"), ("app", "db.test")),
        // run: MariaDB chooses the second, MySQL the first
        (MariaDb, ("app", "127.0.5.%"), ("app", "127.%.5.2")),
        (MariaDb, ("app", "127.0.5.%"), ("", "127.%.5.2")),
        (
            OldMySql,
            ("app", "127.0.5.2"),
            ("app", "127.0.0.0/255.0.0.0"),
        ),
        (TiDb, ("app", "127.0.5.2"), ("app", "127.0.5._")),
        (TiDb, ("app", "127.0.5.%"), ("app", "127.%")),
    ] {
        let imported = import(
            server,
            &[(lax.0, lax.1, "NONE"), (strict.0, strict.1, "SSL")],
        );
        let case = format!("{server:?} {lax:?} {strict:?}");
        let judged = judge(&imported, &from("127.0.5.2", Transport::Plaintext), "app");
        let account = format!("imported {}", account_name(strict.0, strict.1));
        assert_eq!(judged, Err(lacks(&account, "SSL", Lacking::Tls)), "{case}");
        let judged = judge(&imported, &from("127.0.5.2", TLS), "app");
        assert_eq!(judged, Ok(vec![]), "{case}");
    }
}

// As each server chose, but TiDB, which is by its source.
#[test]
fn the_account_that_the_server_chooses_judges_alone() {
    let client = "127.0.5.2";
    for (server, chosen, other) in [
        (MySql, ("app", client), ("app", "127.0.5.0/255.255.255.0")),
        (MySql, ("app", "127.0.5.0/24"), ("app", "%")),
        (MySql, ("app", "127.0.5.%"), ("app", "127.%.5.2")),
        (MySql, ("", client), ("app", "127.0.5.0/255.255.255.0")),
        (MySql, ("", client), ("app", "%")),
        (MariaDb, ("app", client), ("app", "127.0.5._")),
        (MariaDb, ("app", client), ("app", "%")),
        (
            MariaDb,
            ("app", "127.0.5.0/255.255.255.0"),
            ("app", "127.0.5._"),
        ),
        (MariaDb, ("app", "127.0.5.0/255.255.255.0"), ("", client)),
        (MariaDb, ("app", "_%"), ("app", "%")),
        (MariaDb, ("", client), ("app", "%")),
        (MariaDb, ("app", "%"), ("", "%")),
        (OldMySql, ("app", client), ("app", "127.%")),
        (TiDb, ("app", client), ("app", "127.%")),
        (TiDb, ("app", "127.%"), ("app", "%")),
        (TiDb, ("app", "%"), ("", client)),
    ] {
        let imported = import(
            server,
            &[(other.0, other.1, NOBODY), (chosen.0, chosen.1, "SSL")],
        );
        let case = format!("{server:?} {chosen:?} {other:?}");
        assert_eq!(
            judge(&imported, &from(client, TLS), "app"),
            Ok(vec![]),
            "{case}"
        );
    }
}

#[test]
fn file_and_import_must_both_permit() {
    let settings = |default: &str, accounts: &[(&str, Requirement)]| Settings {
        default_requirement: requirement(default),
        ..rules(accounts)
    };
    let named = [("app", Requirement::Ssl)];
    let imported = |require| import(MySql, &[("app", "%", require)]);
    let file = |account| lacks(account, "SSL", Lacking::Tls);
    for (settings, require, expected) in [
        (settings("NONE", &named), "NONE", Err(file("'app'@'%'"))),
        // also where the server's accounts name the user
        (settings("SSL", &[]), "NONE", Err(file("default-require"))),
        (
            settings("NONE", &[]),
            "SSL",
            Err(file("imported 'app'@'%'")),
        ),
        (settings("NONE", &[]), "NONE", Ok("default-require")),
    ] {
        let rules = Rules::new(settings).expect("rules");
        let (identity, user) = (from("10.0.0.1", Transport::Plaintext), user("app"));
        let judged = rules.authorize(&identity, &user, Some(&imported(require)));
        let judged = judged.as_ref().map(super::super::Permit::account);
        assert_eq!(judged.map_err(Clone::clone), expected);
    }
}

#[test]
fn what_nobody_can_read_nobody_can_meet() {
    let imported = import(MySql, &[("app", "%", NOBODY)]);
    let denied = judge(&imported, &from("10.0.0.1", x509()), "app").expect_err("it is impossible");
    assert_eq!(
        denied.to_string(),
        "imported 'app'@'%' has REQUIRE (its ssl_type is FOO), and the client has not shown what it takes, as nobody can"
    );
}

// The server sees mytls' address, not the client's, so that no host keeps such an account from being chosen.
#[test]
fn accounts_with_a_peer_credential_are_refused_on_a_unix_socket() {
    let imported = |policy| {
        let mut accounts = accounts(&[
            ("app", "%", "NONE"),
            ("app", "20.0.0.1", "NONE"),
            ("other", "%", "NONE"),
        ]);
        accounts[1].peer_credential = true;
        ImportedAccounts::new(accounts, MySql, policy)
    };
    let on_socket = ImportPolicy {
        ignore_hosts: true,
        report_only: true,
        refuse_peer_credentials: true,
    };
    let identity = from("10.0.0.1", x509());
    let denial = Denial::PeerCredential {
        account: "imported 'app'@'20.0.0.1'".into(),
    };
    let refusing = imported(on_socket);
    assert_eq!(judge(&refusing, &identity, "app"), Err(denial.clone()));
    let confirmed = refusing.confirm(&identity, "app", "20.0.0.1");
    assert_eq!(confirmed.err(), Some(denial.clone()));
    let confirmed = refusing.confirm_expired(&identity, &user("app"));
    assert_eq!(confirmed.err(), Some(denial));
    assert!(refusing.confirm(&identity, "app", "%").is_ok());
    assert_eq!(judge(&refusing, &identity, "other"), Ok(vec![]));
    assert_eq!(judge(&imported(ENFORCED), &identity, "app"), Ok(vec![]));

    let mut anonymous = accounts(&[("app", "%", "NONE"), ("", "localhost", "NONE")]);
    anonymous[1].peer_credential = true;
    let anonymous = ImportedAccounts::new(anonymous, MariaDb, on_socket);
    assert!(matches!(
        judge(&anonymous, &identity, "app"),
        Err(Denial::PeerCredential { .. })
    ));
}

#[test]
fn an_account_that_was_not_imported_is_not_confirmed() {
    let imported = import(
        MySql,
        &[
            ("app", "%", "NONE"),
            ("app", "10.0.0.0/8", "NONE"),
            ("", "20.%", "NONE"),
        ],
    );
    for (user, host) in [
        ("app", "localhost"),
        ("app", "20.%"),
        ("app", "10.0.0.0/255.0.0.0"),
        ("app", "10.0.0.1"),
        ("APP", "%"),
        ("app ", "%"),
        ("other", "%"),
        ("other", "20.%"),
        ("", "%"),
    ] {
        let confirmed = imported.confirm(&from("10.0.0.1", x509()), user, host);
        let account = account_name(user, host);
        assert_eq!(confirmed.err(), Some(Denial::UnknownAccount { account }));
    }
}

#[test]
fn the_account_that_the_server_chose_must_permit() {
    let long = "u".repeat(200);
    let imported = import(
        MySql,
        &[
            ("app", "%", "NONE"),
            ("app", "localhost", "X509"),
            ("app", "LOCALHOST", "SSL"),
            ("a@b", "%", "X509"),
            ("", "10.%", "X509"),
            ("app", "1.2.3", "X509"),
            ("app", "10.0.0.1/8", "X509"),
            ("app", "", "X509"),
            (&long, "%", "X509"),
            ("a😀", "%", "X509"),
        ],
    );
    for (user, host) in [
        ("app", "localhost"),
        ("app", "LocalHost"),
        ("a@b", "%"),
        ("", "10.%"),
        ("app", "1.2.3"),
        ("app", "10.0.0.1/8"),
        ("app", ""),
        (&long, "%"),
        ("a😀", "%"),
    ] {
        let confirmed = imported.confirm(&from("10.0.0.1", TLS), user, host);
        let denied = matches!(
            confirmed,
            Err(Denial::Requirement {
                lacking: Lacking::Certificate,
                ..
            })
        );
        assert!(denied, "{user} {host}");
        let confirmed = imported.confirm(&from("10.0.0.1", x509()), user, host);
        let account = confirmed.map(|confirmed| confirmed.account().to_ascii_lowercase());
        let expected = format!("imported {}", account_name(user, host)).to_ascii_lowercase();
        assert_eq!(account, Ok(expected));
    }
}

#[test]
fn the_account_that_the_server_chose_must_be_the_one_for_the_clients_address() {
    let texts = [
        ("app", "10.%", "NONE"),
        ("app", "127.%", "NONE"),
        ("app", "20.0.0.1", "NONE"),
        ("app", "localhost", "NONE"),
        ("", "10.0.0.1", "NONE"),
    ];
    let confirm = |policy, address: &str, user_part: &str, host: &str| {
        let imported = ImportedAccounts::new(accounts(&texts), MySql, policy);
        imported
            .confirm_login(
                &from(address, TLS),
                &user("app"),
                (user_part, host),
                SeenAddress::Mytls,
            )
            .map(|confirmed| confirmed.reported().cloned())
    };
    let other = |account: &str, own: &str| Denial::OtherAccount {
        account: account.into(),
        own: own.into(),
    };
    for (address, user_part, host, own) in [
        ("10.0.0.2", "app", "20.0.0.1", "imported 'app'@'10.%'"),
        ("10.0.0.2", "", "10.0.0.1", "imported 'app'@'10.%'"),
        ("10.0.0.1", "app", "10.%", "imported ''@'10.0.0.1'"),
        ("20.0.0.1", "app", "10.%", "imported 'app'@'20.0.0.1'"),
        ("20.0.0.1", "app", "localhost", "imported 'app'@'20.0.0.1'"),
        // that is the name of mytls' address
        ("10.0.0.2", "app", "localhost", "imported 'app'@'10.%'"),
    ] {
        let denial = other(&format!("imported {}", account_name(user_part, host)), own);
        let judged = confirm(ENFORCED, address, user_part, host);
        assert_eq!(judged, Err(denial.clone()), "{address}");
        let report = ImportPolicy {
            report_only: true,
            ..ENFORCED
        };
        let judged = confirm(report, address, user_part, host);
        assert_eq!(judged, Ok(Some(denial)), "{address}");
        let ignore = ImportPolicy {
            ignore_hosts: true,
            ..ENFORCED
        };
        assert_eq!(
            confirm(ignore, address, user_part, host),
            Ok(None),
            "{address}"
        );
    }
    for (address, user_part, host) in [
        ("10.0.0.2", "app", "10.%"),
        // and perhaps that of this client's
        ("127.0.0.1", "app", "localhost"),
        ("127.0.0.1", "app", "127.%"),
        ("20.0.0.1", "app", "20.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ] {
        assert_eq!(
            confirm(ENFORCED, address, user_part, host),
            Ok(None),
            "{address}"
        );
    }
}

#[test]
fn with_an_expired_password_every_account_of_the_name_must_permit() {
    let imported = import(
        MySql,
        &[
            ("app", "20.%", "X509"),
            ("app", "%", "NONE"),
            ("", "localhost", "SSL"),
            ("strict", "%", NOBODY),
        ],
    );
    let confirm = |transport, name| {
        let confirmed = imported.confirm_expired(&from("10.0.0.1", transport), &user(name));
        confirmed.map(|confirmed| confirmed.reported().cloned())
    };
    let certificate = lacks("imported 'app'@'20.%'", "X509", Lacking::Certificate);
    assert_eq!(confirm(TLS, "app"), Err(certificate));
    let tls = lacks("imported ''@'localhost'", "SSL", Lacking::Tls);
    assert_eq!(confirm(Transport::Plaintext, "other"), Err(tls));
    assert_eq!(confirm(TLS, "other"), Ok(None));
    assert_eq!(confirm(x509(), "app"), Ok(None));
    assert!(confirm(x509(), "strict").is_err());

    let confirmed = import(MySql, &[("app", "%", "NONE")])
        .confirm_expired(&from("10.0.0.1", x509()), &user("other"));
    assert_eq!(confirmed.err(), Some(Denial::NotImported));
}

#[test]
fn report_lets_requirements_and_hosts_pass_and_unknown_names_never() {
    let policy = ImportPolicy {
        report_only: true,
        ..ENFORCED
    };
    let texts = [("app", "10.%", "SSL"), ("app", "20.%", "NONE")];
    let imported = ImportedAccounts::new(accounts(&texts), MySql, policy);
    let plaintext = |address| from(address, Transport::Plaintext);
    let denial = lacks("imported 'app'@'10.%'", "SSL", Lacking::Tls);
    let elsewhere = plaintext("30.0.0.1");
    let no_account = Denial::NoImportedAccount {
        address: elsewhere.address,
    };
    for (identity, name, expected) in [
        (&plaintext("10.0.0.1"), "other", Err(Denial::NotImported)),
        (&plaintext("10.0.0.1"), "app", Ok(vec![denial.clone()])),
        (&elsewhere, "app", Ok(vec![no_account])),
        (&plaintext("20.0.0.1"), "app", Ok(vec![])),
        (&from("10.0.0.1", TLS), "app", Ok(vec![])),
    ] {
        assert_eq!(
            judge(&imported, identity, name),
            expected,
            "{identity:?} {name}"
        );
    }
    let confirm = |host| imported.confirm(&plaintext("20.0.0.1"), "app", host);
    assert!(matches!(confirm("%"), Err(Denial::UnknownAccount { .. })));
    let confirmed = confirm("10.%").expect("it is only reported");
    assert_eq!(confirmed.reported(), Some(&denial));
    let confirmed = confirm("20.%").expect("nothing is asked");
    assert_eq!(confirmed.reported(), None);
    let confirmed = imported.confirm_expired(&plaintext("20.0.0.1"), &user("app"));
    let confirmed = confirmed.expect("it is only reported");
    assert_eq!(confirmed.reported(), Some(&denial));
}

/// Where MariaDB or TiDB sorts an account; the smaller counts first, and equal ones by chance. MariaDB: the more texts fit
/// a host, the later, and the anonymous user behind the named. TiDB: hosts that end in `%` behind others, shorter ones
/// behind longer ones, `%` last.
fn order(server: ServerKind, host: &str, anonymous: bool) -> (bool, usize, usize, bool) {
    let many = host.matches('%').count();
    let one = host.matches('_').count();
    match server {
        TiDb => {
            let length = if host.ends_with('%') {
                100 - host.len()
            } else {
                0
            };
            (host == "%", length, 0, false)
        }
        _ if many == 0 => (false, one, 0, anonymous),
        _ => (true, 60 - (host.len() - many), many, anonymous),
    }
}

const HOSTS: [&str; 16] = [
    "%",
    "localhost",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.0/24",
    "10.0.0.0/255.255.255.0",
    "10.0.0.0/255.0.0.0",
    "10.%",
    "10.0.0._",
    "10.%.1",
    "10.0.0.%",
    "%.0.1",
    "db.example.com",
    "db%",
    "::1",
    "10.0.0.1/8",
];

proptest! {
    /// Whatever name the client may have, and whatever chance chooses, the server's account permits whom we permit.
    #[test]
    fn nothing_is_permitted_that_another_server_would_refuse(
        server in prop::sample::select(&[MariaDb, TiDb][..]),
        accounts in prop::collection::btree_map((0..2_usize, prop::sample::select(&HOSTS[..])), 0..3_usize, 1..8),
        address in prop::sample::select(&["10.0.0.1", "10.0.0.2", "10.1.0.1", "127.0.0.1", "::1", "socket"][..]),
        shown in 0..3_usize,
    ) {
        let texts: Vec<(&str, &str, &str)> = accounts
            .iter()
            .map(|((user, host), required)| (["app", ""][*user], *host, ["NONE", "SSL", "X509"][*required]))
            .collect();
        let identity = from(address, [Transport::Plaintext, TLS, x509()][shown].clone());
        let permitted = judge(&import(server, &texts), &identity, "app").is_ok();
        let names: &[&str] = match identity.address {
            ClientAddress::UnixSocket => &["localhost"],
            ClientAddress::Ip(_) => &["", "localhost", "db.example.com", "dbx"],
        };
        for name in names {
            let admits = |(user, host, _): &&(&str, &str, &str)| {
                let by_network = host.parse::<Host>().is_ok_and(|read| {
                    matches!(read, Host::Network(_, Notation::Netmask))
                        && read.fit(&Client::new(identity.address)) == Fit::Certain
                });
                (*user == "app" || server != TiDb)
                    && (by_network || slow_match(host, name) || slow_match(host, &identity.address.to_string()))
            };
            let admitting: Vec<_> = texts.iter().filter(admits).collect();
            let first = admitting.iter().map(|(user, host, _)| order(server, host, user.is_empty())).min();
            let chosen = || admitting.iter().filter(|(user, host, _)| Some(order(server, host, user.is_empty())) == first);
            let permits = |required: &str| requirement(required).lacking(&identity.transport).is_none();
            prop_assert!(!permitted || first.is_some());
            prop_assert!(!permitted || chosen().all(|(_, _, required)| permits(required)), "{name}");
        }
    }
}
