//! `enforcement: report`: who passes all the same, and what is said of them.

use super::*;
use crate::protocol::server_kind::ServerKind;

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
