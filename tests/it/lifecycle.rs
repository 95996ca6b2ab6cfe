//! The process: its start and end, what it logs, what it leaves behind.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy, Run, run, run_with, wait_until};

/// Runs `serve` and `check` with a wrong line and expects both to point at it.
#[track_caller]
fn check_wrong(line: &str, expected: &[&str]) {
    let backend = Backend::start(Server::mysql());
    for subcommand in ["serve", "check"] {
        let config = Config::before(&backend).with(line);
        let Run { code, stderr, .. } = run_with(subcommand, &config);
        assert_eq!(code, Some(64), "{subcommand}: {stderr}");
        for part in expected {
            assert!(
                stderr.contains(part),
                "{subcommand}: {part:?} is not in\n{stderr}"
            );
        }
    }
    assert_eq!(backend.dials(), 0, "a wrong file dials nobody");
}

#[test]
fn unknown_key_is_shown_with_its_place_and_the_nearest_known_one() {
    check_wrong(
        "requir-secure-transport: true",
        &[
            "mytls.yaml:5:1",
            "requir-secure-transport",
            "`require-secure-transport`",
        ],
    );
}

#[test]
fn wrong_value_is_shown_with_its_place() {
    check_wrong(
        "limits: { login-time: soon }",
        &["mytls.yaml:5:", "login-time"],
    );
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for arguments in [
        &["frobnicate"][..],
        &["serve", "--no-such-option"],
        &["serve", "a.yaml", "b.yaml"],
        &[],
    ] {
        let run = run(arguments);
        assert_eq!(run.code, Some(64), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
    let run = run(&["check", "/nonexistent/mytls.yaml"]);
    assert_eq!(run.code, Some(64), "{}", run.stderr);
    assert!(
        run.stderr.contains("/nonexistent/mytls.yaml"),
        "{}",
        run.stderr
    );
}

#[test]
fn help_is_no_failure() {
    let run = run(&["--help"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("serve"), "{}", run.stdout);
}

#[test]
fn port_that_is_taken_is_a_failure_that_names_it() {
    let backend = Backend::start(Server::mysql());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address").to_string();
    let run = run_with("serve", &Config::before(&backend).listen(&address));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&address), "{}", run.stderr);
}

/// A process that was killed leaves its socket behind.
#[test]
fn stale_unix_socket_is_replaced() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).unix_socket();
    drop(std::os::unix::net::UnixListener::bind(config.path("mytls.sock")).expect("bind"));
    let proxy = Proxy::start(config);
    Client::connect_unix(&proxy.unix_socket()).greeting();
}

/// Another process serves there: taking its socket away would cut its clients off.
#[test]
fn unix_socket_of_a_living_process_is_not_taken_away() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).unix_socket();
    let living = std::os::unix::net::UnixListener::bind(config.path("mytls.sock")).expect("bind");
    let run = run_with("serve", &config);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(std::os::unix::net::UnixStream::connect(config.path("mytls.sock")).is_ok());
    drop(living);
}

/// Without descriptors mytls waits until there are some; it neither ends nor spins, and sessions live on.
#[test]
fn clients_beyond_the_open_files_are_served_when_others_have_gone() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).open_files(40));
    let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
    let crowd: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(proxy.address).expect("a place in the queue"))
        .collect();
    wait_until("the last descriptor", || proxy.descriptors() >= 39);
    let before = proxy.processor_ticks();
    std::thread::sleep(Duration::from_secs(1)); // the time over which it must not spin
    let ticks = proxy.processor_ticks() - before;
    assert!(ticks < 30, "{ticks} of 100 ticks in a second of waiting");
    bystander.query("SELECT 1");
    bystander.expect_echo("SELECT 1");
    drop(crowd);
    Client::logged_in(proxy.address, &Login::of("app"));
}

#[test]
fn check_of_a_good_file_succeeds_and_of_an_absent_backend_fails() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let run = run_with("check", &Config::before(&backend));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("9.7.0") || run.stderr.contains("9.7.0"),
        "it says what it found: {run:?}"
    );
    let run = run_with("check", &Config::before(&Backend::nobody()));
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
}

#[test]
fn session_ends_with_one_line_that_says_whose_it_was() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let proxy = Proxy::start(Config::before(&backend));
    let tls = PKI.client_tls(Some(&PKI.client));
    let client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
    drop(client);
    let line = proxy.session_line();
    for part in [
        "session ended",
        "INFO",
        "id=",
        "app",
        "client=",
        "127.0.0.1",
        "/O=Lab/CN=client",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    assert_eq!(
        proxy.log().matches("account=").count(),
        1,
        "one line a session:\n{}",
        proxy.log()
    );
}

#[test]
fn log_is_text_or_json_as_asked_for() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with("log: { format: text, level: debug }"));
    let plain = |line: &str| line.starts_with("20") && !line.contains('\x1b');
    assert!(proxy.log().lines().all(plain), "{}", proxy.log());
    let proxy = Proxy::start(Config::before(&backend).with("log: { format: json }"));
    let json = |line: &str| line.starts_with('{') && line.ends_with('}');
    assert!(proxy.log().lines().all(json), "{}", proxy.log());
}

/// One connection that breaks off in one of several places.
fn break_off(proxy: &Proxy, number: usize) {
    let mut client = Client::connect(proxy.address);
    let login = Login::of("app");
    match number % 6 {
        0 => {}
        1 => client.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        2 => {
            client.greeting();
            client.send(&crate::support::client::ssl_request(&login));
            client.send_raw(b"\x16\x03\x01\x02");
        }
        3 => {
            client.greeting();
            client.start_tls(&login, &PKI.client_tls(None));
        }
        4 => {
            client.greeting();
            client.send_login(&login);
            client.read();
        }
        _ => {
            client.greeting();
            client.send_raw(&[0xff; 64]);
            // The ERR may or may not come through before the reset.
            let _ = client.wire.flush();
        }
    }
}

#[test]
fn garbage_ends_only_its_own_connection() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend));
    let mut bystander = Client::logged_in(proxy.address, &Login::of("app"));
    for number in 0..60 {
        break_off(&proxy, number);
    }
    bystander.query("SELECT 1");
    bystander.expect_echo("SELECT 1");
    let mut later = Client::connect(proxy.address);
    later.greeting();
    later.send_login(&Login::of("app"));
    assert!(later.authenticate(ClientPlugin::with_password()).is_ok());
    assert!(proxy.is_running());
}
