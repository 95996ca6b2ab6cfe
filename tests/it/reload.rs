//! SIGHUP, and certificates that are bad at start: what is read again, what is not, and who notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::revoked::{WITH_LIST, write_list};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::packet::flag;
use crate::support::pki::{Identity, PKI, replace};
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, run_with, wait_until};
use crate::support::visit::{
    expect_parts, login, login_over_tls, shown_to_a_client, started, tls_backend,
};

/// Changes the configuration file.
fn edit(proxy: &Proxy, from: &str, to: &str) {
    let file = proxy.folder().join("mytls.yaml");
    let text = std::fs::read_to_string(&file).expect("read the configuration");
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    replace(&file, &text.replacen(from, to, 1));
}

/// Each is told by file, problem and cure, changes nothing, and does not stand in the way of the next.
#[test]
fn reload_of_bad_material_changes_nothing_and_says_why() {
    let (_backend, proxy) = started("");
    let folder = proxy.folder();
    let old = shown_to_a_client(&proxy);
    let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
    let cases: [(&str, &str, &[&str]); 5] = [
        (
            "server.pem",
            &PKI.other_server.certificate_pem,
            &["server.pem", "the key does not belong to this certificate"],
        ),
        ("server.key", "", &["server.key", "is empty"]),
        (
            "server.pem",
            &PKI.expired_server.certificate_pem,
            &["server.pem"],
        ),
        ("ca.pem", "no PEM", &["ca.pem", "has no certificate in it"]),
        (
            "proxy-client.pem",
            &PKI.client.certificate_pem,
            &["source", "proxy-client.pem", "the key does not belong"],
        ),
    ];
    for (file, text, parts) in cases {
        let path = folder.join(file);
        let good = std::fs::read_to_string(&path).expect("read a file");
        replace(&path, text);
        let log = proxy.reload();
        expect_parts(&log, parts);
        expect_parts(&log, &["ERROR", "not reloaded whole"]);
        assert_eq!(shown_to_a_client(&proxy), old, "{file}");
        replace(&path, &good);
    }
    std::fs::remove_file(folder.join("server.key")).expect("remove a file");
    expect_parts(&proxy.reload(), &["server.key: there is no such file"]);
    assert_eq!(shown_to_a_client(&proxy), old);
    PKI.other_server.replace(folder, "server");
    let log = proxy.reload();
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(
        shown_to_a_client(&proxy),
        PKI.other_server.certificate.as_ref()
    );
    bystander.query("SELECT 1");
    bystander.expect_echo("SELECT 1");
}

/// rustls would let a resumed session in without looking at its certificate again.
#[test]
fn client_of_a_removed_ca_is_out_and_its_ticket_with_it() {
    let (_backend, proxy) = started("");
    let tls = PKI.resuming_client_tls(Some(&PKI.client));
    let connect = || {
        let mut client = Client::greeted(proxy.address);
        client.start_tls(&Login::of("app"), &tls);
        client.send_login(&Login::of("app"));
        client
    };
    for resumed in [false, true] {
        let mut client = connect();
        assert_eq!(client.wire.tls_resumed(), resumed);
        let last = client.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok());
    }
    let mut before = connect();
    assert!(before.authenticate(ClientPlugin::with_password()).is_ok());
    let newcomer = PKI.client_tls(Some(&PKI.wrong_ca));
    assert_eq!(
        login_over_tls(&proxy, "app", &newcomer).map_err(|error| error.code),
        Err(1045)
    );

    replace(
        &proxy.folder().join("ca.pem"),
        &PKI.other_ca.certificate_pem,
    );
    // the data port has ca.pem too, and only it has changed its mind about clients
    proxy.reload();
    let mut client = connect();
    assert!(!client.wire.tls_resumed(), "a ticket outlived its CA");
    let error = client.error();
    assert_eq!(error.code, 1045, "{error:?}");
    before.query("SELECT 1");
    before.sequence = 1;
    before.expect_echo("SELECT 1");
}

#[test]
fn client_of_a_new_ca_comes_in_after_a_reload() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let newcomer = PKI.client_tls(Some(&PKI.wrong_ca));
    assert!(login_over_tls(&proxy, "app", &newcomer).is_err());
    let both = format!("{}{}", PKI.ca.certificate_pem, PKI.other_ca.certificate_pem);
    replace(&proxy.folder().join("ca.pem"), &both);
    assert!(
        login_over_tls(&proxy, "app", &newcomer).is_err(),
        "not asked for"
    );
    proxy.reload();
    assert_eq!(login_over_tls(&proxy, "app", &newcomer), Ok(()));
}

/// A client must not be offered what is not there; it comes with the files.
#[test]
fn data_port_without_usable_certificates_offers_tls_once_they_are_there() {
    for reread in [false, true] {
        let backend = tls_backend();
        let config = Config::before(&backend).with(&format!("reread-certificates: {reread}"));
        replace(&config.path("server.key"), "no key");
        let proxy = Proxy::start(config);
        proxy.wait_for_log("secure connection is NOT ENABLED");
        let offers_tls = || {
            let greeting = Client::connect(proxy.address).greeting();
            greeting.capabilities & flag::SSL != 0
        };
        assert!(!offers_tls());
        assert_eq!(login(&proxy, "app"), None, "plaintext is allowed");
        PKI.server.replace(proxy.folder(), "server");
        if !reread {
            assert!(!offers_tls());
            proxy.reload();
        }
        assert!(offers_tls());
        assert_eq!(shown_to_a_client(&proxy), PKI.server.certificate.as_ref());
    }
}

#[test]
fn bad_material_of_a_backend_ends_the_start_where_valid_certificates_are_required() {
    let backend = tls_backend();
    let config = Config::before(&backend).with("require-valid-certificates: true");
    replace(&config.path("proxy-client.key"), "no key");
    for subcommand in ["serve", "check"] {
        let run = run_with(subcommand, &config);
        assert_eq!(run.code, Some(1), "{subcommand}: {run:?}");
        let said = format!("{}{}", run.stdout, run.stderr);
        expect_parts(&said, &["source", "proxy-client.key"]);
    }
    assert_eq!(backend.dials(), 0);
}

#[test]
fn reload_takes_accounts_for_logins_and_changes_of_user() {
    let (_backend, proxy) =
        started("default-require: NONE\naccounts: [{ user: \"'strict'@'%'\", require: X509 }]");
    let mut session = Client::logged_in(proxy.address, &Login::of("app"));
    assert_eq!(login(&proxy, "strict"), Some(1045));
    assert_eq!(login(&proxy, "other"), None);
    edit(&proxy, "'strict'", "'other'");
    assert_eq!(login(&proxy, "other"), None, "not asked for");
    proxy.reload();
    assert_eq!(login(&proxy, "strict"), None);
    assert_eq!(login(&proxy, "other"), Some(1045));
    edit(&proxy, "default-require: NONE", "default-require: SSL");
    proxy.reload();
    assert_eq!(login(&proxy, "strict"), Some(1045));
    session.query("SELECT 1");
    session.expect_echo("SELECT 1");
    session.command(&ChangeUser::to("other").payload());
    assert_eq!(session.error().code, 1045);
}

#[test]
fn reload_of_a_wrong_file_changes_nothing_but_certificates_and_names_the_place() {
    let (_backend, proxy) = started("default-require: NONE\nlog: { level: info }");
    PKI.other_server.replace(proxy.folder(), "server");
    edit(&proxy, "default-require: NONE", "default-require: SLL");
    edit(&proxy, "level: info", "level: error");
    let log = proxy.reload();
    expect_parts(
        &log,
        &["mytls.yaml:5:18", "default-require", "not reloaded"],
    );
    assert_eq!(login(&proxy, "app"), None);
    assert_eq!(
        shown_to_a_client(&proxy),
        PKI.other_server.certificate.as_ref(),
        "an expiring certificate does not wait for a slip to be found"
    );
    std::fs::remove_file(proxy.folder().join("mytls.yaml")).expect("remove a file");
    expect_parts(&proxy.reload(), &["mytls.yaml", "No such file"]);
    assert_eq!(login(&proxy, "app"), None);
}

#[test]
fn reload_names_what_needs_a_restart_and_leaves_it() {
    let (_backend, proxy) = started("require-secure-transport: false\nlimits: { connections: 7 }");
    edit(&proxy, "transport: false", "transport: true");
    edit(&proxy, "connections: 7", "connections: 8");
    let log = proxy.reload();
    for key in ["require-secure-transport", "limits.connections"] {
        let line = log.lines().find(|line| line.contains(key));
        expect_parts(line.unwrap_or_default(), &["needs a restart"]);
    }
    assert_eq!(login(&proxy, "app"), None);
}

#[test]
fn reload_takes_the_level_of_the_log() {
    let (_backend, proxy) = started("log: { level: info }");
    assert!(!proxy.log().contains("DEBUG"));
    edit(&proxy, "level: info", "level: debug");
    proxy.reload();
    assert_eq!(login(&proxy, "app"), None);
    proxy.wait_for_log("DEBUG");
}

/// It comes from supervisors, from scripts in a loop, and from terminals that go away.
#[test]
fn storm_of_hang_ups_disturbs_nobody() {
    let (_backend, mut proxy) = started("");
    let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
    let calm = AtomicBool::new(false);
    thread::scope(|scope| {
        let storm = scope.spawn(|| {
            while !calm.load(Ordering::Relaxed) {
                proxy.hang_up();
            }
        });
        for round in 0..40 {
            shown_to_a_client(&proxy);
            let statement = format!("SELECT {round}");
            bystander.query(&statement);
            bystander.expect_echo(&statement);
        }
        calm.store(true, Ordering::Relaxed);
        storm.join().expect("no panic");
    });
    assert!(proxy.is_running());
    proxy.terminate();
    drop(bystander);
    assert_eq!(proxy.exit_status().code(), Some(0));
}

/// The number of reloads of the next test; the default suits a developer's patience.
fn reloads() -> usize {
    std::env::var("MYTLS_TEST_RELOADS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(24)
}

/// Among them broken ones, a CA that comes and goes, and a revocation list that names a client for a while: nobody who may
/// pass fails, nobody who may not passes, resumed sessions included, and nobody who is there notices.
#[test]
fn reloads_under_load_let_in_whom_they_should_and_nobody_else() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).security(WITH_LIST);
    let list = |revoked: &[&Identity]| {
        write_list(&config.path(""), revoked, "");
        std::fs::read_to_string(config.path("revoked.pem")).expect("a list")
    };
    let leaver = &PKI.proxy_client;
    let (revokes_nobody, revokes_leaver) = (list(&[]), list(&[leaver]));
    replace(&config.path("revoked.pem"), &revokes_nobody);
    let proxy = Proxy::start(config);
    let folder = proxy.folder();
    let ours = &PKI.ca.certificate_pem;
    let both = format!("{ours}{}", PKI.other_ca.certificate_pem);
    let guest = PKI.resuming_client_tls(Some(&PKI.wrong_ca));
    let leaver = PKI.resuming_client_tls(Some(leaver));
    let over = AtomicBool::new(false);
    let sessions = AtomicUsize::new(0);
    let mut long_lived: Vec<_> = (0..50)
        .map(|_| {
            Client::logged_in_over_tls(
                proxy.address,
                &Login::of("app"),
                &PKI.client_tls(Some(&PKI.client)),
            )
        })
        .collect();
    thread::scope(|scope| {
        for tls in [
            PKI.client_tls(Some(&PKI.client)),
            PKI.resuming_client_tls(Some(&PKI.client)),
        ] {
            let (over, sessions, proxy) = (&over, &sessions, &proxy);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(login_over_tls(proxy, "app", &tls), Ok(()));
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (mut guest_may_pass, mut leaver_may_pass) = (false, true);
        for round in 0..reloads() {
            let mut is_broken = false;
            match round % 6 {
                0 => {
                    replace(&folder.join("ca.pem"), &both);
                    guest_may_pass = true;
                }
                1 => {
                    replace(&folder.join("server.key"), "torn");
                    is_broken = true;
                }
                2 => PKI.server.replace(folder, "server"),
                3 => {
                    replace(&folder.join("revoked.pem"), &revokes_leaver);
                    leaver_may_pass = false;
                }
                4 => {
                    replace(&folder.join("ca.pem"), ours);
                    guest_may_pass = false;
                }
                _ => {
                    replace(&folder.join("revoked.pem"), &revokes_nobody);
                    leaver_may_pass = true;
                }
            }
            let log = proxy.reload();
            assert_eq!(log.contains("ERROR"), is_broken, "{log}");
            for _ in 0..2 {
                let passed = login_over_tls(&proxy, "app", &guest).is_ok();
                assert_eq!(passed, guest_may_pass, "the guest in round {round}");
                let passed = login_over_tls(&proxy, "app", &leaver).is_ok();
                assert_eq!(passed, leaver_may_pass, "the leaver in round {round}");
            }
            for client in &mut long_lived {
                let statement = format!("SELECT {round}");
                client.query(&statement);
                client.expect_echo(&statement);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(sessions.load(Ordering::Relaxed) > 0);
}

#[test]
fn certificate_near_its_end_is_told_of_once() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server_near_its_end)));
    let config = Config::before(&backend);
    PKI.server_near_its_end.replace(&config.path("."), "server");
    let proxy = Proxy::start(config);
    assert_eq!(login(&proxy, "app"), None);
    let told = |part: &str| {
        let log = proxy.log();
        let is_it = |line: &&str| line.contains("expires soon") && line.contains(part);
        log.lines().filter(is_it).count()
    };
    proxy.reload();
    wait_until("both warnings", || {
        told("mysql_main") == 1 && told("shown by the server") == 1
    });
    proxy.reload();
    assert_eq!((told("mysql_main"), told("shown by the server")), (1, 1));
    assert_eq!(told("ssl-ca"), 0, "{}", proxy.log());
    let line = proxy.wait_for_log("expires soon");
    expect_parts(&line, &["WARN", "certificate=", "not_after=", "/CN=server"]);
}
