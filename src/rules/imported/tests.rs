//! Imported accounts: whom they let pass before the server is dialled, and after its OK.

mod confirmed;
mod order;

use super::super::tests::{TLS, from, rules, user, x509};
use super::*;
use crate::protocol::server_kind::ServerKind::{MariaDb, MySql, OldMySql, TiDb};
use crate::rules::{Lacking, Rules, Settings, Transport};

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
