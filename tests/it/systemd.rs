//! What a service manager is told, and the sockets that it hands down. The manager is played; systemd itself is in the
//! lab.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;

use nix::time::{ClockId, clock_gettime};

use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Answer;
use crate::support::handshake::Login;
use crate::support::packet::ok;
use crate::support::proxy::{Config, Proxy, Run, run_with, wait_until};
use crate::support::wire::PATIENCE;

/// The end of the manager that is told.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(config: &Config) -> Self {
        let path = config.path("notify");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("set a timeout");
        Self { socket, path }
    }

    /// The lines of the next message.
    #[track_caller]
    fn told(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a message");
        let text = String::from_utf8_lossy(&bytes[..length]);
        text.lines().map(str::to_owned).collect()
    }

    /// Nothing more is to be read.
    fn heard_all(&self) -> bool {
        self.socket.set_nonblocking(true).expect("set");
        let more = self.socket.recv(&mut [0; 64]);
        more.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

fn supervised(variables: &[(&'static str, &str)]) -> (Backend, Manager, Proxy) {
    supervised_before(Server::mysql(), variables)
}

fn supervised_before(
    server: Server,
    variables: &[(&'static str, &str)],
) -> (Backend, Manager, Proxy) {
    let backend = Backend::start(server);
    let config = Config::before(&backend).with("drain: { max: 600s }");
    let manager = Manager::listen(&config);
    let mut config = config.variable("NOTIFY_SOCKET", manager.path.to_string_lossy());
    for (name, value) in variables {
        config = config.variable(name, *value);
    }
    (backend, manager, Proxy::start(config))
}

/// Microseconds since the machine's start, which systemd compares with those of a reload.
fn now() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000
}

#[test]
fn the_manager_is_told_of_start_reload_and_end() {
    let (_backend, manager, mut proxy) = supervised(&[]);
    let ready = manager.told();
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].starts_with("STATUS="), "{ready:?}");

    let before = now();
    proxy.reload();
    let reloading = manager.told();
    assert_eq!(reloading[0], "RELOADING=1");
    let at = reloading[1]
        .strip_prefix("MONOTONIC_USEC=")
        .expect("a time");
    let at: i64 = at.parse().expect("a number");
    assert!((before..=now()).contains(&at), "{at}");
    assert_eq!(manager.told()[0], "READY=1");

    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    proxy.terminate();
    let stopping = manager.told();
    assert_eq!(stopping[0], "STOPPING=1");
    let longest = stopping[2].strip_prefix("EXTEND_TIMEOUT_USEC=");
    let longest: u64 = longest.expect("a time").parse().expect("a number");
    assert!(longest > 600_000_000, "the drain may take ten minutes");
    client.expect_end();
    assert_eq!(proxy.exit_status().code(), Some(0));
    assert!(manager.heard_all());
}

/// A reload that fails is over, too; systemd would wait for its end.
#[test]
fn a_failed_reload_ends_with_ready() {
    let (_backend, manager, proxy) = supervised(&[]);
    manager.told();
    std::fs::write(proxy.path("server.pem"), "no PEM").expect("written");
    assert!(proxy.reload().contains("not reloaded whole"));
    assert_eq!(manager.told()[0], "RELOADING=1");
    assert_eq!(manager.told()[0], "READY=1");
}

#[test]
fn the_watchdog_is_fed_to_the_end_of_the_drain() {
    const IN_TRANSACTION: u16 = 1;
    let server = Server::mysql().on_command(|conversation, command| {
        if command.payload != b"\x03BEGIN" {
            return Ok(Answer::Ordinary);
        }
        conversation.send(&ok(2 | IN_TRANSACTION))?;
        Ok(Answer::Done)
    });
    let (_backend, manager, proxy) = supervised_before(server, &[("WATCHDOG_USEC", "100000")]);
    let wait_for = |line: &str| wait_until(line, || manager.told()[0] == line);
    wait_for("WATCHDOG=1");
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    client.query("BEGIN");
    assert!(client.read().is_ok());
    proxy.terminate();
    wait_for("STOPPING=1");
    wait_for("WATCHDOG=1");
}

#[test]
fn nobody_feeds_the_watchdog_of_another_process() {
    let (_backend, manager, mut proxy) =
        supervised(&[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    assert_eq!(manager.told()[0], "READY=1");
    proxy.terminate();
    assert_eq!(manager.told()[0], "STOPPING=1");
    proxy.exit_status();
    assert!(manager.heard_all());
}

/// A manager that is gone is nobody's loss but its own.
#[test]
fn mytls_serves_where_the_manager_does_not_listen() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).variable("NOTIFY_SOCKET", "/nonexistent"));
    Client::logged_in(proxy.address, &Login::of("app"));
    proxy.wait_for_log("tell the service manager");
}

fn port() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

#[test]
fn handed_sockets_take_the_place_of_listen_by_their_names() {
    let backend = admin::backend();
    let (for_admin, admin_address) = port();
    let config = admin::config(&backend, "");
    let file = config.path("handed.sock");
    let for_clients = UnixListener::bind(&file).expect("bind");
    // the test waits for a TCP port in the log, and gets the admin port
    let mut proxy = Proxy::start_cold(
        config
            .socket(for_clients)
            .socket(for_admin)
            .variable("LISTEN_FDNAMES", "mysql:admin"),
    );
    assert_eq!(proxy.admin_address(), admin_address);
    wait_until("a greeting", || {
        Client::connect_unix(&file).read().error().is_none()
    });
    assert!(proxy.log().contains("handed.sock"), "{}", proxy.log());
    proxy.reload();
    assert!(!proxy.log().contains("needs a restart"), "{}", proxy.log());
    proxy.terminate();
    proxy.exit_status();
    assert!(file.exists(), "it belongs to whoever made it");
}

#[test]
fn sockets_without_names_are_for_clients() {
    let backend = Backend::start(Server::mysql());
    let (socket, address) = port();
    let proxy = Proxy::start(Config::before(&backend).socket(socket));
    assert_eq!(proxy.address, address);
    Client::logged_in(address, &Login::of("app"));
}

/// Whoever connected while mytls was not there yet is served.
#[test]
fn a_client_that_came_before_mytls_is_served() {
    let backend = Backend::start(Server::mysql());
    let (socket, address) = port();
    let mut early = Client::connect(address);
    let _proxy = Proxy::start(Config::before(&backend).socket(socket));
    early.greeting();
}

#[test]
fn a_socket_that_is_no_port_is_refused_with_the_reason() {
    let (_listener, address) = port();
    let datagram = || UdpSocket::bind("127.0.0.1:0").expect("bind");
    let client = || std::net::TcpStream::connect(address).expect("connect");
    let listener = || port().0;
    let cases: [(Config, &str, &str); 5] = [
        (config().socket(datagram()), "mysql", "stream socket"),
        (config().socket(client()), "mysql", "Accept=no"),
        (
            config().socket(listener()),
            "mytls.socket",
            "FileDescriptorName",
        ),
        (config().socket(listener()), "admin", "no such section"),
        (
            config().socket(listener()).socket(listener()),
            "mysql",
            "socket 1",
        ),
    ];
    for (config, names, expected) in cases {
        let config = config.variable("LISTEN_FDNAMES", names);
        let Run { code, stderr, .. } = run_with("serve", &config);
        assert_eq!(code, Some(64), "{stderr}");
        assert!(stderr.contains(expected), "{expected:?} is not in {stderr}");
    }
}

fn config() -> Config {
    Config::to("{ host: 127.0.0.1 }")
}
