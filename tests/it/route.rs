//! The cut-over: which backend new sessions go to, what becomes of those of the other, and what a restart makes of it.

use std::fs;
use std::thread;

use crate::support::admin::{config, done, log_in, refused, rows};
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer, Event};
use crate::support::grants::{Grants, Reply};
use crate::support::handshake::{ChangeUser, Greeting, Login};
use crate::support::packet::{flag, ok};
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy, wait_until};

/// What tells the target from the source in a greeting.
const TARGET: &str = "8.0.11-target";

fn target_greeting() -> Greeting {
    Greeting {
        version: TARGET.to_owned(),
        charset: 46,
        ..Greeting::mysql()
    }
}

/// A server that knows about transactions.
fn with_transactions(greeting: &Greeting) -> Server {
    const IN_TRANSACTION: u16 = 1;
    Server::greeting(greeting).on_command(|conversation, command| {
        match &command.payload[..] {
            b"\x03BEGIN" | b"\x03UPDATE" => conversation.send(&ok(2 | IN_TRANSACTION))?,
            b"\x03COMMIT" => conversation.send(&ok(2))?,
            _ => return Ok(Answer::Ordinary),
        }
        Ok(Answer::Done)
    })
}

fn source() -> Backend {
    Backend::start(with_transactions(&Greeting::mysql()))
}

fn target() -> Backend {
    Backend::start(with_transactions(&target_greeting()))
}

/// mytls with an admin port before both; `lines` are more of the file.
fn before(source: &Backend, target: &Backend, lines: &str) -> Config {
    let target = &target.endpoint;
    config(source, "").with(&format!("target-database: {{ {target} }}\n{lines}"))
}

/// Both backends, and mytls before them.
fn start() -> (Backend, Backend, Proxy) {
    let (source, target) = (source(), target());
    let proxy = Proxy::start(before(&source, &target, ""));
    (source, target, proxy)
}

/// The version that a new client is greeted with.
fn greeted_with(proxy: &Proxy) -> String {
    Client::connect(proxy.address).greeting().version
}

#[track_caller]
fn assert_route(proxy: &Proxy, route: &str) {
    let mut admin = log_in(proxy);
    let value = rows(&mut admin, "SELECT @@route").rows[0][0].clone();
    assert_eq!(value.as_deref(), Some(route));
    let version = greeted_with(proxy);
    assert_eq!(version == TARGET, route == "target", "greeted as {version}");
}

/// `SET ROUTE` is refused with this reason, and the route is what it was.
#[track_caller]
fn assert_refused(proxy: &Proxy, to: &str, reason: &str) {
    let before = greeted_with(proxy);
    let mut admin = log_in(proxy);
    let error = refused(&mut admin, &format!("SET ROUTE TO {to} DRAIN"));
    assert_eq!(error.code_and_state(), (1231, "42000"), "{error:?}");
    assert!(error.message.contains(reason), "{error:?}");
    assert_eq!(greeted_with(proxy), before);
    assert!(!proxy.path("state/route").exists(), "it was kept");
}

fn in_transaction(proxy: &Proxy) -> Client {
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    say(&mut client, "BEGIN");
    client
}

/// A statement that is answered with OK.
#[track_caller]
fn say(client: &mut Client, sql: &str) {
    client.query(sql);
    assert!(client.read().is_ok(), "{sql}");
}

/// A query that is served.
#[track_caller]
fn ask(client: &mut Client) {
    client.query("SELECT 1");
    client.expect_echo("SELECT 1");
}

#[track_caller]
fn expect_1053(client: &mut Client) {
    client.query("SELECT 1");
    let error = client.error();
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (1, (1053, "08S01"))
    );
    client.expect_clean_end();
}

/// How often a backend was asked `SELECT 1`.
fn asked(backend: &Backend) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Command(command) if command.payload == b"\x03SELECT 1");
    backend.events().iter().flatten().filter(is_it).count()
}

/// Sessions of each route, and what is said of it.
fn backends(proxy: &Proxy) -> [(usize, String, String); 2] {
    let table = rows(&mut log_in(proxy), "SHOW BACKENDS");
    let column = |name| table.column(name);
    let row = |place: usize| {
        let text = |name| column(name)[place].expect("a value").to_owned();
        let sessions = text("Sessions").parse().expect("a number");
        (sessions, text("Current"), text("State"))
    };
    assert_eq!(column("Route"), [Some("source"), Some("target")]);
    [row(0), row(1)]
}

#[test]
fn a_route_without_its_section_is_refused() {
    let source = source();
    let proxy = Proxy::start(config(&source, ""));
    assert_refused(&proxy, "target", "no section `target-database`");
    done(&mut log_in(&proxy), "SET ROUTE TO source DRAIN");
    ask(&mut Client::logged_in(proxy.address, &Login::of("app")));
}

#[test]
fn what_is_no_route_is_refused() {
    let (_source, _target, proxy) = start();
    let mut admin = log_in(&proxy);
    for (sql, code) in [
        ("SET ROUTE TO nowhere", 1064),
        ("SET ROUTE TO target DRAIN WITHIN", 1064),
        ("SET ROUTE TO target DRAIN WITHIN -1 SECONDS", 1064),
        ("SET GLOBAL route = 'nowhere'", 1231),
        ("SET GLOBAL route = NULL", 1231),
        ("SET GLOBAL route = (SELECT 'target')", 1231),
        ("SET GLOBAL route = 'target', nope = 1", 1193),
        ("SET route = 'target'", 1229),
        ("SET @@session.route = 'target'", 1229),
    ] {
        assert_eq!(refused(&mut admin, sql).code, code, "{sql}");
    }
    assert_route(&proxy, "source");
}

#[test]
fn a_target_that_does_not_answer_is_refused_with_the_reason() {
    let source = source();
    for (target, reason) in [
        (Backend::nobody(), "Connection refused"),
        (
            Backend::start(Server::hanging_up()),
            "the target cannot be reached",
        ),
    ] {
        let proxy = Proxy::start(before(&source, &target, ""));
        assert_refused(&proxy, "target", reason);
        ask(&mut Client::logged_in(proxy.address, &Login::of("app")));
    }
}

/// Its greeting is known, but every session would end with 2026.
#[test]
fn a_target_without_the_tls_that_is_demanded_is_refused() {
    let (source, target) = (source(), target());
    let section = format!(
        "target-database: {{ {}, security: {{ ssl-ca: ca.pem }} }}",
        target.endpoint
    );
    let proxy = Proxy::start(config(&source, "").with(&section));
    assert_refused(&proxy, "target", "offers no TLS");
}

/// Every login there would be refused.
#[test]
fn a_target_whose_accounts_cannot_be_imported_is_refused() {
    let app = ["app", "%", "", "", "", "", "caching_sha2_password"];
    let readable = Grants::rows(&[app]);
    let source = Backend::start(readable.of(Server::mysql()));
    let closed = Grants::new(Reply::Error(1142));
    let target = Backend::start(closed.of(Server::greeting(&target_greeting())));
    let import = format!("import-accounts: {{ user: mytls, password: {PASSWORD}, interval: 1s }}");
    let proxy = Proxy::start(before(&source, &target, &import));
    assert_refused(&proxy, "target", "nobody could log in to the target");
    closed.set(Reply::rows(&[app]));
    done(&mut log_in(&proxy), "SET ROUTE TO target");
    assert_route(&proxy, "target");
}

#[test]
fn new_sessions_go_to_the_new_route_and_others_stay() {
    let (source, target, proxy) = start();
    let mut old = Client::logged_in(proxy.address, &Login::of("app"));
    let mut greeted = Client::greeted(proxy.address);
    done(&mut log_in(&proxy), "SET ROUTE TO target");
    assert_route(&proxy, "target");
    let mut new = Client::connect(proxy.address);
    assert_eq!(new.greeting().charset, 46);
    new.send_login(&Login::of("app"));
    assert!(new.authenticate(ClientPlugin::with_password()).is_ok());
    ask(&mut new);
    assert_eq!((asked(&source), asked(&target)), (0, 1));
    // fixed at the greeting
    greeted.send_login(&Login::of("app"));
    assert!(greeted.authenticate(ClientPlugin::with_password()).is_ok());
    ask(&mut old);
    ask(&mut greeted);
    assert_eq!((asked(&source), asked(&target)), (2, 1));
    // also with another user
    old.command(&ChangeUser::to("other").payload());
    assert!(old.authenticate(ClientPlugin::with_password()).is_ok());
    ask(&mut old);
    assert_eq!((asked(&source), asked(&target)), (3, 1));
    // those that were only greeted go first
    wait_until("three sessions", || {
        rows(&mut log_in(&proxy), "SHOW PROCESSLIST").rows.len() == 3
    });
    let [of_source, of_target] = backends(&proxy);
    assert_eq!(of_source, (2, "NO".to_owned(), "ready".to_owned()));
    assert_eq!(of_target, (1, "YES".to_owned(), "ready".to_owned()));
    let shown = rows(&mut log_in(&proxy), "SHOW PROCESSLIST");
    let mut routes = shown.column("Route");
    routes.sort_unstable();
    assert_eq!(routes, [Some("source"), Some("source"), Some("target")]);
}

#[test]
fn set_global_does_the_same() {
    let (_source, _target, proxy) = start();
    let mut admin = log_in(&proxy);
    for (sql, route) in [
        ("SET GLOBAL route = 'target'", "target"),
        ("SET GLOBAL route = TARGET", "target"),
        ("SET @@global.route = \"Source\", autocommit = 1", "source"),
    ] {
        done(&mut admin, sql);
        assert_route(&proxy, route);
        let shown = rows(&mut admin, "SHOW GLOBAL VARIABLES LIKE 'route'");
        assert_eq!(shown.value("route"), route);
        let shown = rows(&mut admin, "SHOW STATUS LIKE 'Mytls_route'");
        assert_eq!(shown.value("Mytls_route"), route);
    }
}

/// A client that stays with one server can use nothing that the other lacks, and there need not be a second greeting.
#[test]
fn what_clients_are_offered_is_what_both_can_do_before_and_after() {
    let target = Greeting {
        capabilities: Greeting::mysql().capabilities & !flag::DEPRECATE_EOF,
        ..target_greeting()
    };
    let (source, target) = (source(), Backend::start(with_transactions(&target)));
    let proxy = Proxy::start(before(&source, &target, ""));
    let offers_it = || {
        let offered = Client::connect(proxy.address).greeting().capabilities;
        offered & flag::DEPRECATE_EOF != 0
    };
    wait_until("the target's greeting", || !offers_it());
    done(&mut log_in(&proxy), "SET ROUTE TO target");
    assert!(!offers_it());
    done(&mut log_in(&proxy), "SET ROUTE TO source");
    assert!(!offers_it());
}

#[test]
fn drain_ends_the_old_routes_sessions_between_transactions() {
    let (source, target, proxy) = start();
    let mut busy = in_transaction(&proxy);
    let mut idle = Client::logged_in(proxy.address, &Login::of("app"));
    done(
        &mut log_in(&proxy),
        "SET ROUTE TO target DRAIN WITHIN 600 SECONDS",
    );
    let mut new = in_transaction(&proxy);
    idle.expect_clean_end();
    wait_until("the idle one's end", || backends(&proxy)[0].0 == 1);
    let state = &backends(&proxy)[0].2;
    assert!(state.starts_with("draining"), "{state}");
    say(&mut busy, "UPDATE");
    say(&mut busy, "COMMIT");
    expect_1053(&mut busy);
    assert_eq!(asked(&source), 0, "it was not forwarded");
    say(&mut new, "COMMIT");
    ask(&mut new);
    assert_eq!(asked(&target), 1);
    wait_until("the last session's end", || backends(&proxy)[0].0 == 0);
    assert_eq!(backends(&proxy)[0].2, "ready");
}

#[test]
fn what_is_left_is_cut_at_the_deadline() {
    for (lines, sql) in [
        ("", "SET ROUTE TO target DRAIN WITHIN 0 SECONDS"),
        ("drain: { max: 10ms }", "SET ROUTE TO target DRAIN"),
    ] {
        let (source, target) = (source(), target());
        let proxy = Proxy::start(before(&source, &target, lines));
        let mut busy = in_transaction(&proxy);
        done(&mut log_in(&proxy), sql);
        busy.expect_end();
        let line = proxy.wait_for_log("session ended");
        assert!(line.contains("cut by the drain"), "{line}");
        ask(&mut in_transaction(&proxy));
        assert_eq!(asked(&target), 1);
    }
}

/// Else it would write to a server that the operator takes to be left.
#[test]
fn a_client_that_was_greeted_before_the_drain_is_sent_away_undialled() {
    let (source, _target, proxy) = start();
    let mut late = Client::greeted(proxy.address);
    done(&mut log_in(&proxy), "SET ROUTE TO target DRAIN");
    let dials = source.dials();
    late.send_login(&Login::of("app"));
    assert_eq!(late.error().code_and_state(), (1053, "08S01"));
    late.expect_clean_end();
    assert_eq!(source.dials(), dials);
}

#[test]
fn sessions_that_stayed_can_be_drained_later() {
    let (_source, _target, proxy) = start();
    let mut old = Client::logged_in(proxy.address, &Login::of("app"));
    let mut admin = log_in(&proxy);
    done(&mut admin, "SET ROUTE TO target");
    ask(&mut old);
    done(&mut admin, "SET ROUTE TO target DRAIN");
    old.expect_clean_end();
    assert_route(&proxy, "target");
}

/// They are where new sessions go again, so nothing would be gained by ending them.
#[test]
fn the_way_back_lets_those_go_on_that_have_not_ended() {
    let (_source, _target, proxy) = start();
    let mut busy = in_transaction(&proxy);
    let mut admin = log_in(&proxy);
    let uptime = |admin: &mut Client| {
        let status = rows(admin, "SHOW STATUS LIKE 'Uptime'");
        status.value("Uptime").parse::<u64>().expect("a number")
    };
    done(&mut admin, "SET ROUTE TO target DRAIN WITHIN 2 SECONDS");
    done(&mut admin, "SET ROUTE TO source");
    let back = uptime(&mut admin);
    wait_until("the deadline", || uptime(&mut admin) > back + 2);
    say(&mut busy, "COMMIT");
    ask(&mut busy);
    // and they can be asked again
    done(&mut admin, "SET ROUTE TO target DRAIN");
    busy.expect_clean_end();
}

/// However they come, the route's own sessions are never the ones that are asked to end.
#[test]
fn statements_at_the_same_time_leave_one_route_that_works() {
    let (_source, _target, proxy) = start();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut admin = log_in(&proxy);
                for to in ["target", "source", "target", "source", "target"].repeat(4) {
                    done(&mut admin, &format!("SET ROUTE TO {to} DRAIN"));
                }
            });
        }
    });
    let mut client = in_transaction(&proxy);
    say(&mut client, "COMMIT");
    ask(&mut client);
    let route = rows(&mut log_in(&proxy), "SELECT @@route").rows[0][0].clone();
    let kept = fs::read_to_string(proxy.path("state/route")).expect("read");
    assert_eq!(
        kept,
        format!("version: 1\nroute: {}\n", route.expect("a route"))
    );
}

#[test]
fn a_restart_takes_the_route_that_was_set() {
    let (source, target) = (source(), target());
    let proxy = Proxy::start(before(&source, &target, ""));
    done(&mut log_in(&proxy), "SET ROUTE TO target");
    let kept = fs::read(proxy.path("state/route")).expect("it is kept");
    drop(proxy);
    for lines in ["", "route: source", "route: target"] {
        let config = before(&source, &target, lines);
        fs::create_dir(config.path("state")).expect("make a folder");
        fs::write(config.path("state/route"), &kept).expect("write");
        let proxy = Proxy::start(config);
        proxy.wait_for_log("the route that SET ROUTE has set counts");
        assert_route(&proxy, "target");
        done(&mut log_in(&proxy), "SET ROUTE TO source");
        assert_route(&proxy, "source");
        let now = fs::read(proxy.path("state/route")).expect("it is kept");
        assert_ne!(now, kept);
    }
}

#[test]
fn a_damaged_file_is_reported_and_the_configurations_route_counts() {
    let (source, target) = (source(), target());
    for text in ["", "route: target\n", "version: 1\nroute: nowhere\n"] {
        let config = before(&source, &target, "route: source");
        fs::create_dir(config.path("state")).expect("make a folder");
        fs::write(config.path("state/route"), text).expect("write");
        let proxy = Proxy::start(config);
        let line = proxy.wait_for_log("what SET ROUTE has set cannot be read");
        assert!(
            line.contains("ERROR") && line.contains("state/route"),
            "{line}"
        );
        assert_route(&proxy, "source");
        let left = fs::read_to_string(proxy.path("state/route")).expect("read");
        assert_eq!(left, text, "it is left as it is");
    }
}

/// A restart would undo it, and write to the old server again.
#[test]
fn a_route_that_cannot_be_kept_is_not_set() {
    let (_source, _target, proxy) = start();
    // a folder cannot be replaced by a file, by root neither
    fs::create_dir_all(proxy.path("state/route/in-the-way")).expect("make a folder");
    let error = refused(&mut log_in(&proxy), "SET ROUTE TO target");
    assert_eq!(error.code, 1231);
    assert!(error.message.contains("state/route"), "{error:?}");
    assert_route(&proxy, "source");
}
