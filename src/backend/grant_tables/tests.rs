//! Rows as servers give them, and what becomes of them.

use proptest::prelude::*;

use super::GrantTables::{MariaDb, MariaDbWithAlternatives, MySql, TiDb};
use super::*;

fn row(values: &[Option<&str>]) -> Row {
    values
        .iter()
        .map(|value| value.map(|text| text.as_bytes().to_vec()))
        .collect()
}

fn account(tables: GrantTables, values: &[Option<&str>]) -> ImportedAccount {
    tables
        .account(row(values))
        .expect("a whole row")
        .expect("no role")
}

/// The requirement of a row with these four columns.
fn of(tables: GrantTables, columns: [&str; 4]) -> Requirement {
    let [ssl_type, cipher, issuer, subject] = columns.map(Some);
    let mut values = vec![Some("app"), Some("%"), ssl_type, cipher, issuer, subject];
    values.push(Some("caching_sha2_password"));
    if tables == MariaDb {
        values.push(Some("N"));
    }
    account(tables, &values).requirement
}

fn required(text: &str) -> Requirement {
    text.parse().expect(text)
}

#[test]
fn an_account_that_cannot_be_read_admits_nobody() {
    for tables in [MySql, MariaDb] {
        for ssl_type in ["any", "NONE", "SPECIFIED ", "4"] {
            let requirement = of(tables, [ssl_type, "", "", ""]);
            assert!(
                matches!(requirement, Requirement::Impossible(_)),
                "{ssl_type}: {requirement:?}"
            );
        }
    }
    let mut values = row(&[Some("app"), Some("%"), None, Some(""), Some(""), Some("")]);
    values.push(None);
    let no_type = MySql.account(values.clone()).expect("whole").expect("one");
    assert!(matches!(no_type.requirement, Requirement::Impossible(_)));
    values[2] = Some(b"SPECIFIED".to_vec());
    values[5] = Some(b"/CN=\xe9".to_vec());
    let no_text = MySql.account(values).expect("whole").expect("one");
    assert!(matches!(no_text.requirement, Requirement::Impossible(_)));
}

#[test]
fn a_garbled_row_is_an_error() {
    let whole = row(&[
        Some("app"),
        Some("%"),
        Some(""),
        Some(""),
        Some(""),
        Some(""),
        None,
    ]);
    assert!(MySql.account(whole.clone()).is_ok());
    assert!(MySql.account(whole[..6].to_vec()).is_err());
    assert!(
        MySql
            .account([whole.clone(), row(&[None])].concat())
            .is_err()
    );
    assert!(TiDb.account(whole.clone()).is_err());
    for column in [0, 1] {
        for value in [None, Some(b"\xe9".to_vec())] {
            let mut garbled = whole.clone();
            garbled[column] = value;
            assert!(MySql.account(garbled).is_err(), "{column}");
        }
    }
    for is_role in [None, Some("y"), Some("")] {
        let row = [whole.clone(), row(&[is_role])].concat();
        assert!(MariaDb.account(row).is_err(), "{is_role:?}");
    }
    assert!(MariaDbWithAlternatives.account(Row::new()).is_err());
}

#[test]
fn requirements_are_those_of_the_columns() {
    for tables in [MySql, MariaDb] {
        for (columns, text) in [
            (["", "", "", ""], "NONE"),
            // what is not asked for is not looked at
            (["", "AES", "/CN=ca", "/CN=dm"], "NONE"),
            (["ANY", "", "", ""], "SSL"),
            (["X509", "", "", ""], "X509"),
            (["SPECIFIED", "", "", "/CN=dm"], "SUBJECT '/CN=dm'"),
            (["SPECIFIED", "", "/CN=ca", ""], "ISSUER '/CN=ca'"),
            (
                ["SPECIFIED", "A:B", "/CN=ca", r"/CN=a\/b"],
                r"SUBJECT '/CN=a\\/b' AND ISSUER '/CN=ca' AND CIPHER 'A:B'",
            ),
        ] {
            assert_eq!(
                of(tables, columns),
                required(text),
                "{tables:?} {columns:?}"
            );
        }
    }
}

// MySQL 9.7, MariaDB 10.11 and 11.8 let in, and refuse, so.
#[test]
fn a_cipher_alone_or_nothing_specified_is_judged_as_each_server_does() {
    let (nothing, cipher) = (["SPECIFIED", "", "", ""], ["SPECIFIED", "A", "", ""]);
    assert_eq!(of(MySql, nothing), Requirement::X509);
    assert_eq!(of(MySql, cipher), required("CIPHER 'A'"));
    assert_eq!(of(MariaDb, nothing), Requirement::Ssl);
    assert_eq!(of(MariaDb, cipher), Requirement::Cipher("A".to_owned()));
}

#[test]
fn a_role_is_no_account() {
    let mut values = vec![
        Some("reader"),
        Some(""),
        Some(""),
        Some(""),
        Some(""),
        Some(""),
    ];
    values.extend([Some(""), Some("Y")]);
    assert_eq!(MariaDb.account(row(&values)), Ok(None));
}

#[test]
fn a_peer_credential_is_seen_also_as_an_alternative() {
    let peer = |tables, plugin, rest: &[Option<&str>]| {
        let mut values = vec![
            Some("root"),
            Some("localhost"),
            Some(""),
            Some(""),
            Some(""),
        ];
        values.extend([Some(""), plugin]);
        values.extend(rest);
        account(tables, &values).peer_credential
    };
    assert!(peer(MySql, Some("auth_socket"), &[]));
    assert!(peer(MariaDb, Some("Unix_Socket"), &[Some("N")]));
    assert!(!peer(MySql, Some("caching_sha2_password"), &[]));
    assert!(!peer(MySql, None, &[]));
    let alternatives = |names| {
        peer(
            MariaDbWithAlternatives,
            Some("mysql_native_password"),
            &[Some("N"), names],
        )
    };
    // as MariaDB prints them; no row, and what is no list, might hide one
    for names in [
        Some(r#"["mysql_native_password", "unix_socket"]"#),
        Some(r#"["unix\u005fsocket"]"#),
        Some("unix"),
        Some(""),
        None,
    ] {
        assert!(alternatives(names), "{names:?}");
    }
    for names in ["[]", r#"["mysql_native_password", "ed25519"]"#] {
        assert!(!alternatives(Some(names)), "{names}");
    }
    let tidb = row(&[Some("root"), Some("%"), Some("auth_socket"), None]);
    assert!(
        TiDb.account(tidb)
            .expect("whole")
            .expect("one")
            .peer_credential
    );
}

#[test]
fn tidb_says_it_in_json() {
    let of = |privileges| {
        let values = [
            Some("app"),
            Some("%"),
            Some("mysql_native_password"),
            privileges,
        ];
        account(TiDb, &values).requirement
    };
    for broken in [
        "{",
        "[]",
        "null",
        r#"{"ssl_type":4}"#,
        r#"{"ssl_type":-2}"#,
        r#"{"ssl_type":"3"}"#,
        r#"{"SSL_TYPE":3}"#,
        "[0]",
        r#"{"ssl_type":0,"attested":true}"#,
        r#"{"ssl_type":3,"san":"db.test"}"#,
        r#"{"ssl_type":0,"san":"db.test"}"#,
    ] {
        let requirement = of(Some(broken));
        assert!(
            matches!(requirement, Requirement::Impossible(_)),
            "{broken}: {requirement:?}"
        );
    }
    for (privileges, text) in [
        (None, "NONE"),
        (Some(""), "NONE"),
        (Some("{}"), "NONE"),
        (Some(r#"{"ssl_type":-1}"#), "NONE"),
        (Some(r#"{"ssl_type":0}"#), "NONE"),
        (Some(r#"{"ssl_type":1}"#), "SSL"),
        (Some(r#"{"ssl_type":2}"#), "X509"),
        (Some(r#"{"ssl_type":3}"#), "X509"),
        // the last counts, as in Go
        (Some(r#"{"ssl_type":0,"ssl_type":2}"#), "X509"),
        (Some(r#"{"ssl_type":3,"ssl_cipher":"A"}"#), "CIPHER 'A'"),
        (
            Some(
                r#"{"ssl_type":3,"x509_subject":"/CN=Zo\\xC3","san":"DNS:a, URI:spiffe://lab/dm"}"#,
            ),
            r"SUBJECT '/CN=Zo\\xC3' AND SAN 'DNS:a,URI:spiffe://lab/dm'",
        ),
        (
            Some(r#"{"ssl_type":3,"x509_issuer":"/CN=ca"}"#),
            "ISSUER '/CN=ca'",
        ),
    ] {
        assert_eq!(of(privileges), required(text), "{privileges:?}");
    }
}

proptest! {
    #[test]
    fn no_row_makes_the_reader_panic(
        values in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            0..11,
        ),
        privileges in r#"\{("(ssl_type|ssl_cipher|x509_issuer|san|x)":(-?[0-9]{1,3}|"(DNS|URI|IP|):?[a-z,]{0,5}"|null),?){0,4}\}?"#,
    ) {
        for tables in [MySql, MariaDb, MariaDbWithAlternatives, TiDb] {
            let _ = tables.account(values.clone());
        }
        let _ = TiDb.account(row(&[Some("app"), Some("%"), None, Some(&privileges)]));
    }
}
