//! The HTTP port: what it refuses, what the probes say and when, what the page shows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::{Answer as Does, Conversation};
use crate::support::handshake::Login;
use crate::support::http::{Answer, ask, ask_unix, connect, get};
use crate::support::packet::ok;
use crate::support::pki::{PKI, authority_of, signed};
use crate::support::proxy::{Config, Proxy, wait_for, wait_until};
use crate::support::visit::{expect_parts, login};

const HTTP: &str = "http: { listen: 127.0.0.1:0 }";

/// Everything that the port has.
const PATHS: [&str; 5] = ["/", "/metrics", "/livez", "/readyz", "/startupz"];

/// A ready mytls, and where its HTTP port is.
fn ready(lines: &str) -> (Backend, Proxy, SocketAddr) {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(lines));
    let address = proxy.http_address();
    (backend, proxy, address)
}

/// What this path is answered with: status and the text.
#[track_caller]
fn said(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = get(address, path);
    (answer.status, answer.body)
}

fn line(text: &str) -> String {
    format!("{text}\n")
}

#[test]
fn nothing_can_be_sent() {
    let (_backend, _proxy, address) = ready(HTTP);
    for path in PATHS {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            let answer = ask(address, &request);
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
}

#[test]
fn other_paths_are_not_found() {
    let (_backend, _proxy, address) = ready(HTTP);
    for path in [
        "/metrics/",
        "//metrics",
        "/Metrics",
        "/%6detrics",
        "/quitquitquit",
        "/debug/pprof",
        "/../../etc/passwd",
        "/healthz?path=/livez",
    ] {
        assert_eq!(said(address, path).0, 404, "{path}");
    }
}

/// DNS rebinding: the page's own name points to this address, and the browser says that name.
#[test]
fn web_page_cannot_read_it_by_a_name_of_its_own() {
    let (_backend, proxy, address) =
        ready("http: { listen: [\"127.0.0.1:0\", \"unix:http.sock\"], hosts: [db.example] }");
    let port = address.port();
    for path in PATHS {
        for request in [
            format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
            format!("GET http://evil.example{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: \u{e9}.example\r\n\r\n"),
        ] {
            let answer = ask(address, &request);
            assert_eq!(answer.status, 421, "{request:?}");
            expect_parts(&answer.body, &["http.hosts"]);
        }
        for host in [
            "db.example",
            "DB.example:80",
            "localhost",
            "mytls",
            "[::1]:1",
        ] {
            let answer = ask(
                address,
                &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            );
            assert_eq!(answer.status, 200, "{host}");
        }
    }
    // HAProxy's `option httpchk` names none, and is no browser
    assert_eq!(ask(address, "GET /readyz HTTP/1.0\r\n\r\n").status, 200);
    let request = "GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let socket = proxy.path("http.sock");
    assert_eq!(
        ask_unix(&socket, request).status,
        200,
        "no browser gets there"
    );
}

#[test]
fn long_and_broken_requests_are_refused() {
    let (_backend, _proxy, address) = ready(HTTP);
    let long = format!("X-Long: {}\r\n", "x".repeat(16_000));
    let many: String = "X-Many: 1\r\n".repeat(100);
    for headers in [long, many] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        assert_eq!(ask(address, &request).status, 431);
    }
    let long_path = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "x".repeat(16_000)
    );
    for request in [
        long_path.as_str(),
        "\x16\x03\x01\x02\r\n\r\n",
        "GET\r\n\r\n",
    ] {
        let status = ask(address, request).status;
        assert!((400..500).contains(&status), "{status}: {request:.40}");
    }
    assert_eq!(said(address, "/livez"), (200, line("ok")));
}

/// One that says nothing, and some that stop within their request.
#[test]
fn slow_clients_are_left() {
    let (_backend, _proxy, address) = ready(HTTP);
    let beginnings = [
        "",
        "G",
        "GET /livez HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: loc",
    ];
    let slow = beginnings.map(|beginning| {
        let mut stream = connect(address);
        stream.write_all(beginning.as_bytes()).expect("send");
        (beginning, stream)
    });
    for (beginning, mut stream) in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an end");
        assert!(rest.is_empty(), "{beginning:?}: {rest:?}");
    }
}

/// Whoever only sits there loses the place, not the probe that comes.
#[test]
fn crowd_that_says_nothing_keeps_no_probe_and_no_client_out() {
    let (_backend, proxy, address) = ready(HTTP);
    let crowd: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    for path in PATHS {
        assert_eq!(said(address, path).0, 200, "{path}");
    }
    Client::logged_in(proxy.address, &Login::of("app"));
    let mut first = crowd.first().expect("a crowd");
    assert_eq!(first.read(&mut [0]).expect("an end"), 0);
    // 64 places, and what mytls needs for itself
    let descriptors = proxy.descriptors();
    assert!(descriptors < 120, "{descriptors} descriptors");
}

#[test]
fn not_started_and_not_ready_before_the_first_greeting() {
    let config = Config::before(&Backend::nobody()).with(HTTP);
    let proxy = Proxy::start_cold(config);
    let address = proxy.http_address();
    let reason = "the source has not been reached yet";
    assert_eq!(
        said(address, "/readyz"),
        (503, format!("not ready: {reason}\n"))
    );
    assert_eq!(
        said(address, "/startupz"),
        (503, format!("not started: {reason}\n"))
    );
    assert_eq!(said(address, "/livez"), (200, line("ok")));
    let expected = format!(
        "[+]listening ok\n[+]certificate ok\n[-]greeting failed: {reason}\n[+]import ok\nreadyz check failed\n"
    );
    assert_eq!(said(address, "/readyz?verbose"), (503, expected));
}

/// A pod that goes when the database goes helps nobody: mytls answers clients in words and comes back by itself.
#[test]
fn database_that_dies_later_changes_nothing() {
    let backend = Backend::start_each(|number| match number {
        0 => Server::mysql(),
        _ => Server::hanging_up(),
    });
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    let address = proxy.http_address();
    assert_eq!(login(&proxy, "app"), Some(2003));
    for path in ["/readyz", "/startupz", "/livez"] {
        assert_eq!(said(address, path), (200, line("ok")), "{path}");
    }
    let expected =
        "[+]listening ok\n[+]certificate ok\n[+]greeting ok\n[+]import ok\nreadyz check passed\n";
    assert_eq!(
        said(address, "/readyz?verbose=1"),
        (200, expected.to_owned())
    );
}

/// Nobody can log in before.
#[test]
fn not_ready_before_the_first_import() {
    let backend = Backend::start(Server::mysql().on_login(Conversation::refuse));
    let proxy = Proxy::start(Config::before(&backend).with(&format!(
        "{HTTP}\nimport-accounts: {{ user: mytls, password: secret }}"
    )));
    let expected = "not ready: the accounts of the source are not imported yet\n";
    let address = proxy.http_address();
    assert_eq!(said(address, "/readyz"), (503, expected.to_owned()));
}

/// As after a rotation that went wrong: all looks well, and every client that does TLS is turned away.
#[test]
fn not_ready_where_tls_is_wanted_and_does_not_work() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with(HTTP);
    PKI.expired_server.replace(&config.path(""), "server");
    let proxy = Proxy::start(config);
    let address = proxy.http_address();
    let expected = "not ready: secure connection is NOT ENABLED (see the log)\n";
    assert_eq!(said(address, "/readyz"), (503, expected.to_owned()));
    assert_eq!(
        said(address, "/startupz"),
        (200, line("ok")),
        "a restart is no cure"
    );
}

#[test]
fn ready_where_tls_is_not_wanted() {
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).security("{ auto-tls: false }");
    let proxy = Proxy::start(config.with(HTTP));
    assert_eq!(said(proxy.http_address(), "/readyz").0, 200);
}

#[test]
fn not_ready_from_the_moment_when_the_certificate_has_expired() {
    let authority = authority_of(DistinguishedName::new());
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a valid name");
    params.not_after = (SystemTime::now() + Duration::from_secs(8)).into();
    let backend = Backend::start(Server::mysql());
    let config = Config::before(&backend).with(HTTP);
    signed(&params, &authority).replace(&config.path(""), "server");
    let proxy = Proxy::start(config.security("{ ssl-cert: server.pem, ssl-key: server.key }"));
    let address = proxy.http_address();
    let expired = wait_for("the certificate's end", || {
        let (status, text) = said(address, "/readyz");
        (status == 503).then_some(text)
    });
    expect_parts(&expired, &["not ready: the certificate has expired at 20"]);
    assert_eq!(said(address, "/livez").0, 200);
}

/// Whoever sends clients here must learn of the drain, and metrics are wanted to the last moment.
#[test]
fn not_ready_while_draining_and_answers_to_the_end() {
    let in_transaction = Server::mysql().on_command(|conversation, _| {
        conversation.send(&ok(2 | 1))?;
        Ok(Does::Done)
    });
    let backend = Backend::start(in_transaction);
    let lines = format!("{HTTP}\ndrain: {{ max: 600s }}");
    let mut proxy = Proxy::start(Config::before(&backend).with(&lines));
    let address = proxy.http_address();
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("BEGIN");
    assert!(client.read().is_ok());
    assert_eq!(said(address, "/readyz"), (200, line("ok")));
    proxy.terminate();
    wait_until("a drain", || said(address, "/readyz").0 == 503);
    assert_eq!(said(address, "/readyz").1, line("not ready: draining"));
    for path in ["/livez", "/startupz", "/metrics", "/"] {
        assert_eq!(said(address, path).0, 200, "{path}");
    }
    // one that sits there does not hold up the end
    let _silent = connect(address);
    drop(client);
    assert_eq!(proxy.exit_status().code(), Some(0));
    assert!(TcpStream::connect(address).is_err());
}

/// A balancer reads it and sends the next ones elsewhere; those who come meanwhile must not be turned away.
#[test]
fn not_ready_before_the_port_closes() {
    let (_backend, mut proxy, address) = ready(&format!("{HTTP}\ndrain: {{ min: 600s }}"));
    proxy.terminate();
    wait_until("an end to readiness", || said(address, "/readyz").0 == 503);
    assert_eq!(said(address, "/readyz").1, line("not ready: draining soon"));
    Client::logged_in(proxy.address, &Login::of("app"));
    proxy.terminate();
    assert_eq!(proxy.exit_status().code(), Some(0));
}

#[test]
fn head_is_get_without_a_body() {
    let (_backend, _proxy, address) = ready(HTTP);
    for path in PATHS {
        let head = ask(
            address,
            &format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        let get = get(address, path);
        assert_eq!((head.status, head.body.as_str()), (get.status, ""));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[test]
fn metrics_have_the_content_type_that_prometheus_asks_for() {
    let (_backend, _proxy, address) = ready(HTTP);
    let answer = get(address, "/metrics");
    let expected = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), expected);
}

#[test]
fn browser_may_do_nothing_with_an_answer_but_show_it() {
    let (_backend, _proxy, address) = ready(HTTP);
    for path in PATHS.into_iter().chain(["/nowhere"]) {
        let answer = get(address, path);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        expect_parts(policy, &["default-src 'none'", "frame-ancestors 'none'"]);
        assert!(!policy.contains("unsafe"), "{policy}");
        let is_allowed = |(name, _): &(String, String)| name.starts_with("access-control");
        assert!(!answer.headers.iter().any(is_allowed), "{answer:?}");
    }
}

/// Texts out of certificates, servers and clients are on the page: none of them is HTML.
#[test]
fn page_shows_how_it_stands_and_no_strangers_html() {
    let backend = Backend::start(Server::mysql());
    let lines = format!(
        "{HTTP}\ndefault-require: NONE\naccounts: [{{ user: \"'<b>x'@'%'\", require: SSL }}]"
    );
    let proxy = Proxy::start(Config::before(&backend).with(&lines));
    let _client = Client::logged_in(proxy.address, &Login::of("app"));
    assert_eq!(login(&proxy, "<b>x"), Some(1045));
    let page = wait_for("the refusal on the page", || {
        let Answer { status, body, .. } = get(proxy.http_address(), "/");
        assert_eq!(status, 200);
        (!body.contains("Nobody.")).then_some(body)
    });
    expect_parts(
        &page,
        &[
            "<!DOCTYPE html>",
            ">ready<",
            "new sessions go to the source",
            "<td>logged in</td><td class=\"number\">1</td>",
            "9.7.0",
            "CN=server",
            "Days left",
            "<td>refused</td>",
        ],
    );
    for part in ["<b>", "<script", "secret", "mysql_native", "BEGIN "] {
        assert!(!page.contains(part), "{part:?} is in\n{page}");
    }
}
