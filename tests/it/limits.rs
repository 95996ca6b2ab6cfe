//! Limits: of a login's size and time, of the number of connections, of a session's age and silence, of dead peers.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::import::imports;
use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::conversation::{Answer, Event};
use crate::support::grants::Grants;
use crate::support::handshake::Login;
use crate::support::packet::{message, ok, text};
use crate::support::pki::PKI;
use crate::support::plugin::{ClientPlugin, PASSWORD};
use crate::support::proxy::{Config, Proxy, wait_for, wait_until};

/// Bytes.
const MORE_THAN_SOCKETS_HOLD: usize = 40 << 20;

#[test]
fn login_larger_than_the_limit_is_refused_by_its_header() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    let header = [0xff, 0xff, 0xff, 1];
    client.send_raw(&[&header[..], &Login::of("app").payload()].concat());
    client.sequence = 2;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    client.expect_clean_end();
}

#[test]
fn login_with_sixty_thousand_bytes_of_attributes_passes() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes = vec![("long".to_owned(), "x".repeat(60_000))];
    Client::logged_in(proxy.address, &login);
}

#[test]
fn large_logins_leave_no_memory_behind_in_their_sessions() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    drop(Client::logged_in(proxy.address, &login));
    let before = proxy.status_number("VmRSS");
    login.attributes = vec![("long".to_owned(), "x".repeat(60_000)); 2];
    let sessions: Vec<Client> = (0..200)
        .map(|_| Client::logged_in(proxy.address, &login))
        .collect();
    let grown = proxy.status_number("VmRSS").saturating_sub(before) / sessions.len();
    assert!(grown < 60, "{grown} KiB for each idle session");
}

/// Servers refuse more than 65,535 bytes of them in all, and count that towards `max_connect_errors`.
#[test]
fn attributes_that_no_server_takes_do_not_reach_the_backend() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut login = Login::of("app");
    login.attributes = vec![
        ("small".to_owned(), "kept".to_owned()),
        ("large".to_owned(), "x".repeat(65_500)),
    ];
    Client::logged_in(proxy.address, &login);
    let names: Vec<String> = backend
        .login()
        .attributes
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["_mytls_client_addr", "small"]);
}

#[test]
fn answer_to_a_plugin_larger_than_the_limit_ends_the_login() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe);
    client.send_raw(&[0xff, 0xff, 0xff, client.sequence, 0, 0, 0]);
    client.sequence += 1;
    assert_eq!(client.error().code_and_state(), (1153, "08S01"));
    let events = backend.closed_within(Duration::from_secs(5));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// The deadline is one: for silence before the first packet, within TLS, and between TLS and login.
#[test]
fn slow_login_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 400ms }"));
    let started = Instant::now();
    let mut silent = Client::greeted(proxy.address);
    let error = silent.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    silent.expect_clean_end();
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "ended early"
    );

    let login = Login::of("app");
    let mut mid_tls = Client::greeted(proxy.address);
    mid_tls.send(&ssl_request(&login));
    mid_tls.send_raw(b"\x16\x03\x01\x02\x00\x01"); // the start of a ClientHello
    mid_tls.expect_end();

    let mut after_tls = Client::greeted(proxy.address);
    after_tls.start_tls(&login, &PKI.client_tls(None));
    let error = after_tls.error();
    assert_eq!(error.code_and_state(), (1159, "08S01"));
    after_tls.expect_clean_end();
}

#[test]
fn client_that_is_slow_in_the_auth_relay_is_ended_at_the_deadline() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { login-time: 700ms }"));
    let mut client = Client::greeted(proxy.address);
    client.send_login(&Login::of("app"));
    client.read(); // AuthSwitchRequest, which stays unanswered
    assert_eq!(client.error().code_and_state(), (1159, "08S01"));
    let events = backend.closed_within(Duration::from_secs(10));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// A client that was greeted and not refused for want of a place: those of closed connections become free soon.
#[track_caller]
fn placed(proxy: &Proxy) -> Client {
    wait_for("a place", || {
        let mut client = Client::connect(proxy.address);
        client.read().error().is_none().then_some(client)
    })
}

/// Such a client, logged in.
#[track_caller]
fn placed_and_logged_in(proxy: &Proxy) -> Client {
    let mut client = placed(proxy);
    client.send_login(&Login::of("app"));
    assert!(client.authenticate(ClientPlugin::with_password()).is_ok());
    client.sequence = 0;
    client
}

#[test]
fn one_connection_too_many_is_refused_and_a_place_becomes_free_again() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { connections: 2 }"));
    let _first = placed_and_logged_in(&proxy);
    let second = placed_and_logged_in(&proxy);
    let mut third = Client::connect(proxy.address);
    let error = third.error();
    assert_eq!((error.sequence, error.code, error.state), (0, 1040, None));
    third.expect_clean_end();
    drop(second);
    placed(&proxy);
}

#[test]
fn one_address_has_its_own_limit_and_unix_sockets_have_none() {
    let backend = Backend::start(Server::mysql());
    let config = admin::config(&backend, "").unix_socket();
    let proxy = Proxy::start(config.with("limits: { connections-per-client: 1 }"));
    let first = placed(&proxy);
    let mut second = Client::connect(proxy.address);
    let error = second.error();
    assert_eq!((error.sequence, error.code, error.state), (0, 1040, None));
    second.expect_clean_end();
    let mut others = [
        Client::connect_from([127, 0, 0, 2], proxy.address),
        Client::connect_unix(&proxy.unix_socket()),
        Client::connect_unix(&proxy.unix_socket()),
    ];
    for other in &mut others {
        other.greeting();
    }
    drop(first);
    placed(&proxy);
    let mut operator = admin::log_in(&proxy);
    let hits = admin::rows(&mut operator, "SHOW STATUS LIKE 'Mytls_limit_hits%'");
    assert_ne!(hits.value("Mytls_limit_hits_connections_per_client"), "0");
    assert_eq!(hits.value("Mytls_limit_hits_connections"), "0");
    proxy.wait_for_log("limits.connections-per-client");
}

/// Wherever it stops: before it answers the greeting, within TLS, before its login.
#[test]
fn client_that_does_not_go_on_gives_way_to_the_next_one() {
    let backend = Backend::start(Server::mysql());
    let limits = "limits: { connections-before-login: 1, login-time: 600s }";
    let proxy = Proxy::start(Config::before(&backend).with(limits));
    let login = Login::of("app");

    let mut silent = placed(&proxy);
    let mut in_tls = placed(&proxy);
    assert_eq!(silent.error().code_and_state(), (1040, "08004"));
    silent.expect_clean_end();

    in_tls.send(&ssl_request(&login));
    in_tls.send_raw(b"\x16\x03\x01\x02\x00\x01"); // the start of a ClientHello
    let mut behind_tls = placed(&proxy);
    in_tls.expect_end();

    behind_tls.start_tls(&login, &PKI.client_tls(None));
    placed_and_logged_in(&proxy);
    assert_eq!(behind_tls.error().code_and_state(), (1040, "08004"));
    proxy.wait_for_log("the client gave way to another: limits.connections-before-login");
}

/// A server counts a login that is cut, and blocks our address for too many of them.
#[test]
fn client_that_gives_way_in_the_auth_relay_is_a_refused_login_to_the_backend() {
    let backend = Backend::start(Server::mysql());
    let limits = "limits: { connections-before-login: 1, login-time: 600s }";
    let proxy = Proxy::start(Config::before(&backend).with(limits));
    let mut client = placed(&proxy);
    client.send_login(&Login::of("app"));
    assert_eq!(client.read().payload[0], 0xfe, "AuthSwitchRequest");
    placed(&proxy);
    assert_eq!(client.error().code_and_state(), (1040, "08004"));
    let events = backend.closed_within(Duration::from_secs(10));
    assert!(
        events.contains(&Event::AuthPacket(Vec::new())),
        "the handshake was cut: {events:#?}"
    );
}

/// They would hold every place for ten minutes.
#[test]
fn silent_crowd_does_not_keep_the_honest_out() {
    let backend = Backend::start(Server::mysql());
    let limits = "limits: { connections-before-login: 20, login-time: 600s }";
    let proxy = Proxy::start(Config::before(&backend).with(limits));
    let _crowd: Vec<_> = (0..200).map(|_| Client::connect(proxy.address)).collect();
    let honest: Vec<_> = (0..40).map(|_| placed_and_logged_in(&proxy)).collect();
    for mut client in honest {
        client.query("SELECT 1");
        client.expect_echo("SELECT 1");
    }
}

/// A name that nobody has costs nothing, and a server may take long to say so.
#[test]
fn clients_whose_names_wait_for_an_import_give_way() {
    let grants = Grants::rows(&[["app", "%", "", "", "", "", ""]]);
    let (asked, going_on) = (AtomicUsize::new(0), Arc::new(Mutex::new(())));
    let hanging = going_on.lock().expect("nobody has panicked");
    let backend = Backend::start(Server::mysql().on_command({
        let going_on = Arc::clone(&going_on);
        move |conversation, command| {
            let is_import = text(&command.payload).contains("FROM mysql.user");
            if is_import && asked.fetch_add(1, Ordering::Relaxed) > 0 {
                drop(going_on.lock());
            }
            grants.answer(conversation, command)
        }
    }));
    let lines = format!(
        "import-accounts: {{ user: mytls, password: {PASSWORD}, interval: 600s }}\n\
         limits: {{ connections-before-login: 2, login-time: 600s }}"
    );
    let proxy = Proxy::start(Config::before(&backend).with(&lines));
    proxy.wait_for_log("accounts are imported");
    let mut strangers = [(); 2].map(|()| placed(&proxy));
    for stranger in &mut strangers {
        stranger.send_login(&Login::of("stranger"));
    }
    wait_until("the import that they wait for", || imports(&backend) == 2);
    placed(&proxy);
    let [first, _] = &mut strangers;
    assert_eq!(first.error().code_and_state(), (1040, "08004"));
    drop(hanging);
}

#[test]
fn nobody_gives_way_to_an_address_that_has_enough() {
    let backend = Backend::start(Server::mysql());
    let limits =
        "limits: { connections-per-client: 1, connections-before-login: 2, login-time: 600s }";
    let proxy = Proxy::start(Config::before(&backend).with(limits));
    let mut slow = Client::connect_from([127, 0, 0, 2], proxy.address);
    slow.greeting();
    let _enough = placed(&proxy);
    let begun = Instant::now();
    // longer than anybody is spared
    while begun.elapsed() < Duration::from_millis(400) {
        assert_eq!(Client::connect(proxy.address).error().code, 1040);
    }
    slow.send_login(&Login::of("app"));
    assert!(slow.authenticate(ClientPlugin::with_password()).is_ok());
}

#[test]
fn handshake_that_does_not_end_gives_its_turn_to_the_next_one() {
    let backend = Backend::start(Server::mysql());
    let limits = "limits: { handshakes: 1, login-time: 600s }";
    let proxy = Proxy::start(Config::before(&backend).with(limits));
    let login = Login::of("app");
    let tls = PKI.client_tls(None);
    let mut bystander = Client::logged_in_over_tls(proxy.address, &login, &tls);
    let mut stuck = Client::greeted(proxy.address);
    stuck.send(&ssl_request(&login));
    stuck.send_raw(b"\x16\x03\x01\x02\x00\x01"); // the start of a ClientHello
    // one after another, since one of them may have had its turn before it
    wait_until("the end of its turn", || {
        drop(Client::logged_in_over_tls(proxy.address, &login, &tls));
        proxy
            .log()
            .contains("gave way to another: limits.handshakes")
    });
    stuck.expect_end();
    bystander.query("SELECT 1");
    bystander.expect_echo("SELECT 1");
}

/// MySQL 9.7 says it so, unasked and with number 0; an open transaction makes no difference there either (run).
#[test]
fn idle_session_is_ended_as_mysql_ends_it() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("limits: { idle-time: 1s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("BEGIN");
    client.expect_echo("BEGIN");
    let begun = Instant::now();
    client.sequence = 0;
    let error = client.error();
    assert!(begun.elapsed() >= Duration::from_millis(900), "early");
    assert_eq!(
        (error.sequence, error.code_and_state()),
        (0, (4031, "HY000"))
    );
    assert_eq!(
        error.message,
        "The client was disconnected by the server because of inactivity. See wait_timeout and \
         interactive_timeout for configuring this behavior."
    );
    client.expect_clean_end();
    let events = backend.closed_within(Duration::from_secs(5));
    let quit = |event: &Event| matches!(event, Event::Command(command) if command.payload == [1]);
    assert!(
        events.iter().any(quit),
        "a server counts it as aborted: {events:#?}"
    );
    assert!(proxy.session_line().contains("limits.idle-time"));
}

#[test]
fn session_whose_server_takes_its_time_is_not_idle() {
    let server = Server::mysql().on_command(|_, command| {
        if command.payload.ends_with(b"SLEEP") {
            std::thread::sleep(Duration::from_secs(2)); // the time over which the session must not be ended
        }
        Ok(Answer::Ordinary)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with("limits: { idle-time: 1s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("SELECT SLEEP");
    client.expect_echo("SELECT SLEEP");
}

#[test]
fn old_session_ends_between_transactions_and_is_never_cut() {
    const IN_TRANSACTION: u16 = 1;
    let server = Server::mysql().on_command(|conversation, command| {
        let status = if command.payload.ends_with(b"COMMIT") {
            2
        } else {
            2 | IN_TRANSACTION
        };
        conversation.send(&ok(status))?;
        Ok(Answer::Done)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with("limits: { life-time: 1s }"));
    let begun = Instant::now();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    // well past its time, jitter and all
    while begun.elapsed() < Duration::from_secs(2) {
        client.query("INSERT");
        assert!(client.read().is_ok());
    }
    client.query("COMMIT");
    assert!(client.read().is_ok());
    client.query("INSERT");
    assert_eq!(client.error().code_and_state(), (1053, "08S01"));
    client.expect_clean_end();
    assert!(proxy.session_line().contains("limits.life-time"));
}

/// The timer of the connection with these ports, seen from the first: its kind (2 is keep-alive) and hundredths of a
/// second until it goes off. The kernel tells nothing else of another process' sockets.
#[cfg(target_os = "linux")]
fn timer_of(local_port: Option<u16>, remote_port: u16) -> Option<(u8, u32)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("read /proc");
    let port = |address: &str| {
        let (_, port) = address.split_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = port(fields[2]) == Some(remote_port)
            && local_port.is_none_or(|local| port(fields[1]) == Some(local))
            && fields[3] == "01";
        let (kind, when) = fields[5].split_once(':')?;
        let timer = (kind.parse().ok()?, u32::from_str_radix(when, 16).ok()?);
        is_it.then_some(timer)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn silent_peers_are_asked_on_both_sides_after_the_time_that_is_written() {
    for (written, expected) in [("7s", Some(700)), ("0s", None)] {
        let backend = Backend::start(Server::mysql());
        let limits = format!("limits: {{ keep-alive: {written} }}");
        let proxy = Proxy::start(Config::before(&backend).with(&limits));
        let client = Client::logged_in(proxy.address, &Login::of("app"));
        let client_port = client.wire.local_port();
        let sides = [
            (Some(proxy.address.port()), client_port),
            (None, backend.port()),
        ];
        for (local, remote) in sides {
            // what was sent last may not be acknowledged yet, which has a timer of its own
            wait_for("the timer", || {
                let (kind, when) = timer_of(local, remote)?;
                match expected {
                    Some(most) => (kind == 2 && when <= most).then_some(()),
                    None => (kind == 0).then_some(()),
                }
            });
        }
    }
}

/// A peer that lives and does not read is what the option cannot tell from one that is gone, so it can be seen by that.
#[cfg(target_os = "linux")]
#[test]
fn client_that_acknowledges_nothing_is_given_up_after_the_time_that_is_written() {
    let server = Server::mysql().on_command(|conversation, _| {
        conversation.send_message(&vec![b'x'; MORE_THAN_SOCKETS_HOLD])?;
        Ok(Answer::Close)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with("limits: { unacknowledged-time: 1s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("SELECT");
    let line = proxy.session_line();
    assert!(line.contains("connection to the client failed"), "{line}");
}

#[cfg(target_os = "linux")]
#[test]
fn server_that_acknowledges_nothing_is_given_up_after_the_time_that_is_written() {
    let (end_of_test, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let server = Server::mysql().on_command(move |_, _| {
        // nothing is read meanwhile
        let _ = ended.lock().map(|ended| ended.recv());
        Ok(Answer::Close)
    });
    let backend = Backend::start(server);
    let proxy = Proxy::start(Config::before(&backend).with("limits: { unacknowledged-time: 1s }"));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("SELECT");
    // the sockets on the way take a part of it, and then there is nobody to write to
    client.wire.set_write_patience(Duration::from_secs(1));
    let statement = [&[0x03], &vec![b'x'; MORE_THAN_SOCKETS_HOLD][..]].concat();
    let _ = client.wire.write_all(&message(0, &statement));
    let line = proxy.session_line();
    assert!(line.contains("connection to the backend failed"), "{line}");
    drop(end_of_test);
}

#[test]
fn refusals_for_one_reason_do_not_flood_the_log() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend).with("default-require: SSL"));
    let refused = |user: &str| {
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of(user));
        assert_eq!(client.error().code, 1045);
    };
    for _ in 0..25 {
        refused("one");
    }
    refused("other");
    proxy.terminate();
    proxy.wait_for_log("refused, and not shown one by one count=15");
    proxy.exit_status();
    let log = proxy.log();
    let lines = |user: &str| {
        let part = format!("user=\"{user}\"");
        log.lines().filter(|line| line.contains(&part)).count()
    };
    assert_eq!((lines("one"), lines("other")), (10, 1), "{log}");
}
