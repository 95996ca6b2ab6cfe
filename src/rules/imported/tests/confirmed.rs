//! After the server's OK: the account that it chose.

use super::*;

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

/// What it finds out of the name of an address is the client's then, but for `localhost`: a balancer between us may have
/// taken the header off.
#[test]
fn a_server_that_sees_the_client_may_know_its_name() {
    let texts = [
        ("app", "10.%", "NONE"),
        ("app", "app1.internal", "NONE"),
        ("app", "app%", "NONE"),
        ("app", "localhost", "NONE"),
        ("app", "local%", "NONE"),
        ("app", "20.0.0.1", "NONE"),
    ];
    let imported = ImportedAccounts::new(accounts(&texts), MySql, ENFORCED);
    let confirm = |host, seen| {
        let client = from("10.0.0.2", TLS);
        let confirmed = imported.confirm_login(&client, &user("app"), ("app", host), seen);
        confirmed.map(|confirmed| confirmed.account().to_owned())
    };
    let denied = |host: &str| {
        Err(Denial::OtherAccount {
            account: format!("imported 'app'@'{host}'").into(),
            own: "imported 'app'@'10.%'".into(),
        })
    };
    for seen in [SeenAddress::Client, SeenAddress::Mytls] {
        for host in ["20.0.0.1", "localhost", "local%"] {
            assert_eq!(confirm(host, seen), denied(host), "{seen:?}");
        }
        assert_eq!(
            confirm("10.%", seen),
            Ok("imported 'app'@'10.%'".to_owned()),
            "{seen:?}"
        );
    }
    for named in ["app1.internal", "app%"] {
        assert_eq!(confirm(named, SeenAddress::Mytls), denied(named));
        let expected = format!("imported 'app'@'{named}'");
        assert_eq!(confirm(named, SeenAddress::Client), Ok(expected));
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
