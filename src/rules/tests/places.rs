//! Rules of the file and rules of the admin port.

use super::*;

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
