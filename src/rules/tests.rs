//! The rules as a whole: which account counts, and what it lets through.

mod order;
mod places;
mod report;

use std::net::IpAddr;

use super::*;

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

pub(super) fn slow_match(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => (0..=text.len()).any(|skip| slow_match(&pattern[1..], &text[skip..])),
        Some(first) => text.chars().next().is_some_and(|other| {
            (first == '_' || first == other) && slow_match(&pattern[1..], &text[1..])
        }),
    }
}
