//! Which account the server would choose, by each server's own order.

use proptest::prelude::*;

use super::*;
use crate::rules::ClientAddress;
use crate::rules::tests::slow_match;

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
