//! `mytls health`, `mytls wait`, `mytls shutdown`: what is asked from beside a mytls that runs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::proxy::{Config, Proxy, Run, run, run_with_arguments};

const HTTP: &str = "http: { listen: [\"127.0.0.1:0\", \"unix:http.sock\"] }";

/// `mytls WORDS`: the exit status and the line that is printed.
#[track_caller]
fn said(words: &[&str]) -> (Option<i32>, String) {
    let Run {
        code,
        stdout,
        stderr,
    } = run(words);
    let said = stdout + &stderr;
    assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    (code, said.trim_end().to_owned())
}

/// Whoever listens at that port answers everything with this.
fn stranger(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn nobody_and_strangers_are_not_healthy() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let (code, line) = said(&["health", "--http-addr", &address]);
    assert_eq!(code, Some(1));
    assert!(
        line.starts_with(&format!("no answer at {address}: ")),
        "{line}"
    );
    for answer in [
        &b"HTTP/1.1 404 Not Found\r\n\r\n"[..],
        b"HTTP/1.1 200",
        b"J\0\0\0\n9.7.0\0",
        b"",
    ] {
        let address = stranger(answer);
        let (code, line) = said(&["health", "--http-addr", &address]);
        assert_eq!(code, Some(1), "{answer:?}");
        let expected = format!("what listens at {address} does not answer as mytls does");
        assert_eq!(line, expected, "{answer:?}");
    }
}

/// An answer without an end, and one that never comes.
#[test]
fn health_is_bounded_in_time_and_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address").to_string();
    let (code, line) = said(&["health", "--http-addr", &address]);
    assert_eq!(code, Some(1));
    assert!(line.contains("timed out"), "{line}");
    let pouring = thread::spawn(move || {
        // the first is the silent one of before
        for mut stream in listener.incoming().take(2).map_while(Result::ok) {
            while stream.write_all(&[b'x'; 8_192]).is_ok() {}
        }
    });
    let (code, _) = said(&["health", "--http-addr", &address]);
    assert_eq!(code, Some(1));
    pouring.join().expect("whoever pours is left");
}

#[test]
fn health_is_what_the_probes_say() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    let (tcp, unix) = (proxy.http_address().to_string(), proxy.path("http.sock"));
    for address in [tcp, format!("unix:{}", unix.display())] {
        for (option, expected) in [(None, "ready"), (Some("--live"), "alive")] {
            let words = ["health", "--http-addr", &address];
            let words: Vec<_> = words.into_iter().chain(option).collect();
            assert_eq!(said(&words), (Some(0), expected.to_owned()));
        }
    }
    let cold = Proxy::start_cold(Config::before(&Backend::nobody()).with(HTTP));
    let address = cold.http_address().to_string();
    let expected = "not ready: the source has not been reached yet".to_owned();
    assert_eq!(
        said(&["health", "--http-addr", &address]),
        (Some(1), expected)
    );
    let words = ["health", "--http-addr", &address, "--live"];
    assert_eq!(said(&words), (Some(0), "alive".to_owned()));
}

/// A port that is written, so that the file says where to ask.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("an address").port()
}

/// Without an HTTP port. mytls greets by itself: the server hears nothing of it.
#[test]
fn health_without_an_http_port_is_the_greeting_and_costs_the_server_nothing() {
    let backend = Backend::start(Server::mysql());
    let config = || Config::before(&backend).listen(&format!("127.0.0.1:{}", free_port()));
    let asked = config();
    let file = asked.path("mytls.yaml");
    assert_eq!(
        run_with_arguments("health", &asked, &[]).code,
        Some(1),
        "nobody is there"
    );
    let text = std::fs::read_to_string(&file).expect("the file was written");
    let proxy = Proxy::start(asked);
    let dials = backend.dials();
    let path = proxy.path("mytls.yaml");
    std::fs::write(&path, text).expect("write the file");
    let path = path.display().to_string();
    assert_eq!(said(&["health", &path]), (Some(0), "ready".to_owned()));
    assert_eq!(
        said(&["health", &path, "--live"]),
        (Some(0), "alive".to_owned())
    );
    assert_eq!(said(&["wait", &path]), (Some(0), "ready".to_owned()));
    assert_eq!(backend.dials(), dials);
    let cold = Config::before(&Backend::nobody()).listen(&format!("127.0.0.1:{}", free_port()));
    let cold = Proxy::start_cold(cold);
    let path = cold.path("mytls.yaml").display().to_string();
    let (code, line) = said(&["health", &path]);
    assert_eq!(code, Some(1));
    assert!(line.starts_with("not ready: "), "{line}");
    assert_eq!(
        said(&["health", &path, "--live"]),
        (Some(0), "alive".to_owned())
    );
}

#[test]
fn wait_ends_when_mytls_is_ready_and_not_before() {
    let cold = Proxy::start_cold(Config::before(&Backend::nobody()).with(HTTP));
    let address = cold.http_address().to_string();
    let reason = "not ready: the source has not been reached yet".to_owned();
    for time in ["0s", "500ms"] {
        let words = ["wait", "--http-addr", &address, "--timeout", time];
        assert_eq!(said(&words), (Some(1), reason.clone()));
    }
    let port = free_port();
    let waiting = thread::spawn(move || {
        let address = format!("127.0.0.1:{port}");
        said(&["wait", "--http-addr", &address])
    });
    let backend = Backend::start(Server::mysql());
    let http = format!("http: {{ listen: 127.0.0.1:{port} }}");
    let _proxy = Proxy::start(Config::before(&backend).with(&http));
    let said = waiting.join().expect("it ends");
    assert_eq!(said, (Some(0), "ready".to_owned()));
}

#[test]
fn shutdown_ends_nobody_who_was_not_meant() {
    let backend = Backend::start(Server::mysql());
    let [mut one, mut other] = [(); 2].map(|()| Proxy::start(Config::before(&backend)));
    let (code, line) = said(&["shutdown"]);
    assert_eq!(code, Some(1));
    for proxy in [&one, &other] {
        assert!(line.contains(&format!("--pid {} (", proxy.id())), "{line}");
    }
    let ourselves = std::process::id().to_string();
    for id in [ourselves.as_str(), "2147483647"] {
        let (code, line) = said(&["shutdown", "--pid", id]);
        let expected = format!("mytls: process {id} is no `mytls serve` of this user");
        assert_eq!((code, line), (Some(1), expected));
    }
    assert!(one.is_running() && other.is_running());
}

#[test]
fn shutdown_waits_for_the_end_unless_told_not_to() {
    let backend = Backend::start(Server::mysql());
    let mut proxy = Proxy::start(Config::before(&backend));
    let id = proxy.id();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let expected = format!("process {id} has ended");
    assert_eq!(said(&["shutdown", "--pid", &id]), (Some(0), expected));
    assert_eq!(proxy.exit_status().code(), Some(0));
    client.expect_end();
    let mut proxy = Proxy::start(Config::before(&backend));
    let id = proxy.id();
    let expected = format!("process {id} is asked to end");
    assert_eq!(
        said(&["shutdown", "--no-wait", "--pid", &id]),
        (Some(0), expected)
    );
    assert_eq!(proxy.exit_status().code(), Some(0));
}
