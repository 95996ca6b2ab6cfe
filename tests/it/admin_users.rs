//! Account rules made by SQL at the admin port: whom they refuse, what is said of them, and that they are kept.
//!
//! Words and numbers of refusals are those of MySQL 9.7.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::support::admin::{Table, backend, config, done, log_in, refused, rows};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::ErrorPacket;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with, run_with_arguments, wait_until};

/// Where rules outlive the mytls that kept them.
fn state() -> TempDir {
    tempfile::Builder::new()
        .prefix("mytls-it-state-")
        .tempdir()
        .expect("make a folder")
}

fn keeping_in(state: &TempDir, backend: &Backend) -> Config {
    config(backend, "").state_dir(Some(state.path()))
}

/// Logs in to the data port in plaintext.
fn try_to_log_in_as(proxy: &Proxy, user: &str) -> Result<Client, ErrorPacket> {
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of(user));
    let last = client.authenticate(ClientPlugin::with_password());
    last.error().map_or(Ok(client), Err)
}

#[track_caller]
fn expect_refused(proxy: &Proxy, user: &str) {
    let refused = try_to_log_in_as(proxy, user).expect_err(user);
    assert_eq!(refused.code_and_state(), (1045, "28000"), "{user}");
}

#[track_caller]
fn expect_passed(proxy: &Proxy, user: &str) {
    try_to_log_in_as(proxy, user).unwrap_or_else(|error| panic!("{user}: {error:?}"));
}

fn accounts(client: &mut Client) -> Vec<String> {
    let users = rows(client, "SHOW USERS");
    let all = users.column("Account").into_iter();
    let all = all.zip(users.column("Require")).zip(users.column("Place"));
    all.map(|((account, requirement), place)| {
        [account, requirement, place]
            .map(Option::unwrap_or_default)
            .join(" ")
    })
    .collect()
}

fn warnings(client: &mut Client) -> Table {
    rows(client, "SHOW WARNINGS")
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_of_the_statement_is_done() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    done(&mut client, "CREATE USER kept REQUIRE SSL");
    let kept = fs::read(state.path().join("accounts.json")).expect("it is kept");
    for (sql, code, message) in [
        (
            "CREATE USER new, kept, other REQUIRE X509",
            1396,
            "Operation CREATE USER failed for 'kept'@'%' (User account already exists)",
        ),
        (
            "CREATE USER twice, 'twice'@'%' REQUIRE X509",
            1396,
            "Operation CREATE USER failed for 'twice'@'%' (User account already exists)",
        ),
        (
            "ALTER USER kept, nope, kept@localhost REQUIRE NONE",
            1396,
            "Operation ALTER USER failed for 'nope'@'%' (User account does not exist),'kept'@'localhost' (User account \
             does not exist)",
        ),
        (
            "DROP USER kept, nope",
            1396,
            "Operation DROP USER failed for 'nope'@'%' (User account does not exist)",
        ),
        (
            "SHOW CREATE USER nope",
            1396,
            "Operation SHOW CREATE USER failed for 'nope'@'%' (User account does not exist)",
        ),
    ] {
        let error = refused(&mut client, sql);
        assert_eq!((error.code, error.message.as_str()), (code, message));
    }
    for (sql, code, part) in [
        (
            "CREATE USER new IDENTIFIED BY 'x'",
            1235,
            "passwords are the backend's",
        ),
        (
            "ALTER USER kept IDENTIFIED BY 'x'",
            1235,
            "passwords are the backend's",
        ),
        ("CREATE USER new REQUIRE SUBJECT 'CN=dm'", 1064, "OpenSSL"),
        (
            "CREATE USER new@'10.0.0.1/8' REQUIRE SSL",
            1064,
            "10.0.0.0/8",
        ),
        ("CREATE USER new", 1064, "near ''"),
    ] {
        let error = refused(&mut client, sql);
        assert_eq!(error.code, code, "{sql}");
        assert!(error.message.contains(part), "{error:?}");
    }
    let all = ["'kept'@'%' SSL admin port", "default-require NONE file"];
    assert_eq!(accounts(&mut client), all);
    let kept_now = fs::read(state.path().join("accounts.json")).expect("it is kept");
    assert_eq!(kept_now, kept);
}

#[test]
fn a_rule_holds_for_the_next_login_and_change_of_user_but_not_for_sessions_that_live() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    let mut session = try_to_log_in_as(&proxy, "app").expect("there is no rule yet");

    done(&mut client, "CREATE USER app, dm REQUIRE X509");
    expect_refused(&proxy, "app");
    session.query("SELECT 1");
    session.expect_echo("SELECT 1");
    session.command(&ChangeUser::to("dm").payload());
    assert_eq!(session.error().code, 1045);
    expect_passed(&proxy, "other");
    let reason = rows(&mut client, "SHOW FULL DENIALS");
    let reason = reason.column("Reason")[0].expect("a reason").to_owned();
    assert!(reason.contains("(admin port) has REQUIRE X509"), "{reason}");

    done(&mut client, "ALTER USER app REQUIRE NONE");
    expect_passed(&proxy, "app");
    expect_refused(&proxy, "dm");
    done(&mut client, "DROP USER dm");
    expect_passed(&proxy, "dm");
}

#[test]
fn no_rule_of_the_admin_port_opens_what_the_file_closes() {
    let (backend, state) = (backend(), state());
    let lines = "accounts: [{ user: app, require: X509 }, { user: \"lax@'%'\", require: NONE }]\ndefault-require: SSL";
    let proxy = Proxy::start(keeping_in(&state, &backend).with(lines));
    let mut client = log_in(&proxy);
    expect_refused(&proxy, "other");
    done(
        &mut client,
        "CREATE USER app, lax@'10.%', other REQUIRE NONE",
    );
    expect_refused(&proxy, "app");
    // the admin port now names it, and no account of it admits this address
    expect_refused(&proxy, "lax");
    // `default-require` is for whoever no rule names
    expect_passed(&proxy, "other");
    let created = rows(&mut client, "SHOW CREATE USER app");
    let both = [
        ("CREATE USER `app`@`%` REQUIRE X509", "file"),
        ("CREATE USER `app`@`%` REQUIRE NONE", "admin port"),
    ]
    .map(|(statement, place)| vec![Some(statement.to_owned()), Some(place.to_owned())]);
    assert_eq!(created.rows, both);
}

#[test]
fn what_is_left_undone_is_told_in_notes() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    done(&mut client, "CREATE USER a REQUIRE SSL");
    for (sql, code, messages) in [
        (
            "CREATE USER IF NOT EXISTS b, a REQUIRE X509",
            "3163",
            &["Authorization ID 'a'@'%' already exists."][..],
        ),
        (
            "ALTER USER IF EXISTS nope, b, nope2 REQUIRE NONE",
            "3162",
            &[
                "Authorization ID 'nope'@'%' does not exist.",
                "Authorization ID 'nope2'@'%' does not exist.",
            ],
        ),
        (
            "DROP USER IF EXISTS b, b",
            "3162",
            &["Authorization ID 'b'@'%' does not exist."],
        ),
    ] {
        let ok = done(&mut client, sql);
        assert_eq!(usize::from(ok.payload[5]), messages.len(), "{sql}");
        let table = warnings(&mut client);
        let told: Vec<_> = table.column("Message").into_iter().flatten().collect();
        assert_eq!(told, messages);
        assert!(
            table
                .column("Level")
                .iter()
                .all(|level| *level == Some("Note"))
        );
        assert!(table.column("Code").iter().all(|each| *each == Some(code)));
    }
    let all = ["'a'@'%' SSL admin port", "default-require NONE file"];
    assert_eq!(accounts(&mut client), all);
}

// Each name as MySQL 9.7 prints it.
#[test]
fn names_are_printed_as_mysql_prints_them_and_can_be_pasted() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    for (account, name, column) in [
        ("usr_a", "`usr_a`@`%`", "usr_a@%"),
        (
            "'usr_o''n`eil'@'10.0.0.0/255.0.0.0'",
            "`usr_o'n``eil`@`10.0.0.0/255.0.0.0`",
            "usr_o'n`eil@10.0.0.0/255.0.0.0",
        ),
        (
            r"'usr_\\x'@'LocalHost'",
            r"`usr_\x`@`localhost`",
            r"usr_\x@localhost",
        ),
        (
            r"usr_p@'my\\_%host'",
            r"`usr_p`@`my\_%host`",
            r"usr_p@my\_%host",
        ),
        ("''@'usr_host'", "``@`usr_host`", "@usr_host"),
    ] {
        let requirement = "SUBJECT '/CN=it''s' AND ISSUER '/CN=b'";
        done(
            &mut client,
            &format!("CREATE USER {account} REQUIRE {requirement}"),
        );
        let created = rows(&mut client, &format!("SHOW CREATE USER {account}"));
        assert_eq!(created.columns[0], format!("CREATE USER for {column}"));
        let statement = created.rows[0][0].clone().expect("a statement");
        assert_eq!(
            statement,
            format!("CREATE USER {name} REQUIRE {requirement}")
        );
        done(&mut client, &format!("DROP USER {name}"));
        done(&mut client, &statement);
        assert_eq!(
            rows(&mut client, &format!("SHOW CREATE USER {account}")),
            created
        );
    }
}

#[test]
fn rules_outlive_a_restart_and_the_admin_port_itself() {
    let (backend, state) = (backend(), state());
    let mut proxy = Proxy::start(keeping_in(&state, &backend));
    done(
        &mut log_in(&proxy),
        "CREATE USER 'app'@'127.%' REQUIRE X509",
    );
    proxy.terminate();
    proxy.exit_status();

    let again = Proxy::start(keeping_in(&state, &backend));
    expect_refused(&again, "app");
    expect_passed(&again, "other");
    let all = ["'app'@'127.%' X509 admin port", "default-require NONE file"];
    assert_eq!(accounts(&mut log_in(&again)), all);
    drop(again);

    let without = Proxy::start(Config::before(&backend).state_dir(Some(state.path())));
    expect_refused(&without, "app");
    assert!(without.log().contains("there is no admin port"));
}

#[test]
fn a_reload_leaves_the_rules_of_the_admin_port_as_they_are() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    done(&mut client, "CREATE USER app REQUIRE X509");
    let file = proxy.path("mytls.yaml");
    let text = fs::read_to_string(&file).expect("read the configuration");
    fs::write(&file, text + "accounts: [{ user: dm, require: X509 }]\n").expect("write it");
    proxy.reload();
    expect_refused(&proxy, "app");
    expect_refused(&proxy, "dm");
    let all = [
        "'app'@'%' X509 admin port",
        "'dm'@'%' X509 file",
        "default-require NONE file",
    ];
    assert_eq!(accounts(&mut client), all);
    done(&mut client, "DROP USER app");
    expect_passed(&proxy, "app");
    expect_refused(&proxy, "dm");
}

/// Whatever a kill -9 interrupts, what was answered is kept, and what was not is kept whole or not at all.
#[test]
fn no_rule_that_was_answered_is_lost_when_mytls_is_killed() {
    const SENT: usize = 30;
    let (backend, state) = (backend(), state());
    let mut least = 0;
    for round in 0..10 {
        let proxy = Proxy::start_cold(keeping_in(&state, &backend));
        let mut client = log_in(&proxy);
        let known = accounts(&mut client).len() - 1;
        assert!(
            known >= least,
            "{known} of {least} that were answered are kept"
        );
        for number in 0..SENT {
            client.query(&format!("CREATE USER u{round}_{number} REQUIRE X509"));
        }
        let answered = 1 + round * 2;
        for _ in 0..answered {
            assert!(client.read_answer(1)[0].is_ok());
        }
        // it is in the middle of the next ones
        drop(proxy);
        least = known + answered;
    }
    let proxy = Proxy::start(keeping_in(&state, &backend));
    assert!(accounts(&mut log_in(&proxy)).len() > least);
    expect_refused(&proxy, "u0_0");
}

#[test]
fn a_damaged_file_stops_the_start_and_is_left_as_it_is() {
    let (backend, state) = (backend(), state());
    let file = state.path().join("accounts.json");
    for damaged in [
        "",
        "{",
        "{\"version\": 2}",
        "{\"version\": 1, \"accounts\": [{\"user\": \"a\"}]}",
    ] {
        fs::write(&file, damaged).expect("write");
        let config = keeping_in(&state, &backend);
        let started = run_with("serve", &config);
        assert_eq!(started.code, Some(64), "{damaged:?}: {started:?}");
        assert!(
            started.stderr.contains(&file.display().to_string()),
            "{started:?}"
        );
        assert!(started.stderr.contains("restore the file"), "{started:?}");
        let checked = run_with_arguments("check", &config, &["--offline"]);
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.stdout.contains("restore the file"), "{checked:?}");
        assert_eq!(fs::read_to_string(&file).expect("read"), damaged);
    }
}

#[test]
fn a_file_that_is_damaged_while_mytls_runs_is_not_written_over() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    done(&mut client, "CREATE USER app REQUIRE X509");
    let file = state.path().join("accounts.json");
    fs::write(&file, "{").expect("write");
    let error = refused(&mut client, "DROP USER app");
    assert_eq!(error.code_and_state(), (1026, "HY000"));
    assert!(error.message.contains("nothing was changed"), "{error:?}");
    assert_eq!(fs::read_to_string(&file).expect("read"), "{");
    expect_refused(&proxy, "app");
}

#[test]
fn a_rule_that_cannot_be_kept_is_not_in_force() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    let mut client = log_in(&proxy);
    fs::create_dir(state.path().join(".accounts.json.new")).expect("make a folder");
    let error = refused(&mut client, "CREATE USER app REQUIRE X509");
    assert_eq!(error.code_and_state(), (1026, "HY000"));
    expect_passed(&proxy, "app");
    fs::remove_dir(state.path().join(".accounts.json.new")).expect("remove it");
    done(&mut client, "CREATE USER app REQUIRE X509");
    expect_refused(&proxy, "app");
}

#[test]
fn without_a_state_directory_rules_end_with_the_process_and_the_client_is_told() {
    let backend = backend();
    let proxy = Proxy::start(config(&backend, "").state_dir(None));
    let mut client = log_in(&proxy);
    let ok = done(&mut client, "CREATE USER app REQUIRE X509");
    assert_eq!(ok.payload[5], 1, "one warning");
    let table = warnings(&mut client);
    assert_eq!(table.column("Level"), [Some("Warning")]);
    let message = table.column("Message")[0].expect("a message");
    assert!(message.contains("state-dir"), "{message}");
    expect_refused(&proxy, "app");
    wait_until("a warning", || proxy.log().contains("no state directory"));
}

#[test]
fn who_may_pass_is_told_offline_by_the_rules_that_are_kept_too() {
    let (backend, state) = (backend(), state());
    let proxy = Proxy::start(keeping_in(&state, &backend));
    done(&mut log_in(&proxy), "CREATE USER app REQUIRE X509");
    let config = Config::before(&backend).state_dir(Some(state.path()));
    let asked = ["--user", "app", "--from", "127.0.0.1", "--plaintext"];
    let answer = run_with_arguments("authorize", &config, &asked);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(
        answer
            .stdout
            .contains("'app'@'%' (admin port) REQUIRE X509"),
        "{answer:?}"
    );
    let checked = run_with_arguments("check", &config, &["--offline"]);
    assert!(
        checked.stdout.contains("1 made at the admin port"),
        "{checked:?}"
    );
    fs::write(state.path().join("accounts.json"), "{").expect("write");
    let answer = run_with_arguments("authorize", &config, &asked);
    assert_eq!(answer.code, Some(64), "{answer:?}");
}

/// The folder is made, and others may not list it.
#[test]
fn what_is_kept_is_for_the_user_of_mytls_alone() {
    let (backend, state) = (backend(), state());
    let directory = state.path().join("new");
    let proxy = Proxy::start(config(&backend, "").state_dir(Some(&directory)));
    done(&mut log_in(&proxy), "CREATE USER app REQUIRE X509");
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&directory.join("accounts.json")), 0o600);
    assert_eq!(mode(&directory), 0o711);
}
