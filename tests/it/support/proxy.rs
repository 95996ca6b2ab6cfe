//! mytls itself, as a process with a configuration in a folder of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, geteuid};
use tempfile::TempDir;

use super::backend::Backend;
use super::client::Client;
use super::pki::PKI;
use super::wire::PATIENCE;

/// A configuration in the making: what nearly every test wants, and what this one changes.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file's folder; the PEM files are beside it.
    folder: TempDir,
    listen: String,
    security: String,
    from: String,
    rest: String,
    /// Whom mytls runs as, if not as the tests do.
    os_user: Option<u32>,
}

/// The OS user `nobody`.
const NOBODY: u32 = 65534;

impl Config {
    /// Certificates towards clients; TLS towards the backend if it speaks it.
    pub(crate) fn before(backend: &Backend) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mytls-it-")
            .tempdir()
            .expect("make a folder");
        PKI.write_to(folder.path());
        let security = if backend.speaks_tls {
            ", security: { ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }"
        } else {
            ""
        };
        Self {
            folder,
            listen: "127.0.0.1:0".to_owned(),
            security: "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key }".to_owned(),
            from: format!("{{ {}{security} }}", backend.endpoint),
            rest: "state-dir: state\n".to_owned(),
            os_user: None,
        }
    }

    /// More lines at the top level.
    pub(crate) fn with(mut self, lines: &str) -> Self {
        writeln!(self.rest, "{lines}").expect("a string takes all");
        self
    }

    /// `security` of the data port, in place of the usual one.
    pub(crate) fn security(mut self, value: &str) -> Self {
        value.clone_into(&mut self.security);
        self
    }

    /// `security` of the backend, in place of the usual one.
    pub(crate) fn backend_security(mut self, backend: &Backend, value: &str) -> Self {
        self.from = format!("{{ {}, security: {value} }}", backend.endpoint);
        self
    }

    /// Listens on a Unix socket too.
    pub(crate) fn unix_socket(mut self) -> Self {
        self.listen = format!(
            "[127.0.0.1:0, \"unix:{}\"]",
            self.folder.path().join("mytls.sock").display()
        );
        self
    }

    /// Where the tests run as root, mytls runs as `nobody`: as root it refuses some backends.
    pub(crate) fn never_as_root(mut self) -> Self {
        if geteuid().is_root() {
            std::os::unix::fs::chown(self.folder.path(), Some(NOBODY), Some(NOBODY))
                .expect("give the folder away");
            self.os_user = Some(NOBODY);
        }
        self
    }

    /// The OS user that mytls will run as.
    pub(crate) fn os_user(&self) -> Uid {
        self.os_user.map_or_else(geteuid, Uid::from_raw)
    }

    /// mytls with this configuration, its environment empty.
    fn command(&self, subcommand: &str) -> Command {
        let file = self.folder.path().join("mytls.yaml");
        std::fs::write(&file, self.text()).expect("write the configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mytls"));
        command.arg(subcommand).arg(file).env_clear();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = self.os_user {
            command.uid(user).gid(user);
        }
        command
    }

    /// The file's text.
    fn text(&self) -> String {
        let Self {
            listen,
            security,
            from,
            rest,
            ..
        } = self;
        format!("listen: {listen}\nsecurity: {security}\nfrom: {from}\n{rest}")
    }
}

/// The lines that mytls has logged, and whether there can be more.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

/// A running mytls; killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where the data port listens.
    pub(crate) address: SocketAddr,
    child: Child,
    log: Arc<Log>,
    folder: TempDir,
}

impl Proxy {
    /// Started, listening, and with its backend's greeting learnt.
    #[track_caller]
    pub(crate) fn start(config: Config) -> Self {
        let proxy = Self::start_cold(config);
        let deadline = Instant::now() + PATIENCE;
        // There is no other sign of it: until the greeting is learnt, clients get an ERR in its place.
        while let Some(error) = Client::connect(proxy.address).read().error() {
            assert!(
                Instant::now() < deadline,
                "mytls never greeted but said {error:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        proxy
    }

    /// Started and listening; its backend may not have been seen yet.
    #[track_caller]
    pub(crate) fn start_cold(config: Config) -> Self {
        let mut child = config.command("serve").spawn().expect("start mytls");
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    log.update(|(lines, _)| lines.push(line));
                }
                log.update(|(_, ended)| *ended = true);
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self {
            address: unknown,
            child,
            log,
            folder: config.folder,
        };
        let line = proxy.wait_for_log("address=127.0.0.1:");
        let (_, address) = line.split_once("address=").expect("it was searched for");
        proxy.address = address
            .split_whitespace()
            .next()
            .and_then(|text| text.parse().ok())
            .expect("an address");
        proxy
    }

    /// The first log line that contains this, waited for.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut guard = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = guard.0.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !guard.1,
                "{part:?} is not in the log:\n{}",
                guard.0.join("\n")
            );
            guard = self
                .log
                .changed
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .join("\n")
    }

    /// Where the Unix socket of [`Config::unix_socket`] is.
    pub(crate) fn unix_socket(&self) -> PathBuf {
        self.folder.path().join("mytls.sock")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("signal mytls");
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("ask for the exit status")
            .is_none()
    }

    /// The exit status, waited for.
    #[track_caller]
    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the end of mytls", || {
            status = self.child.try_wait().expect("ask for the exit status");
            status.is_some()
        });
        status.expect("it was waited for")
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc().join("fd"))
            .expect("read /proc")
            .count()
    }

    /// A number of `/proc/PID/status`: `VmRSS` in KiB, `Threads`.
    pub(crate) fn status_number(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(self.proc().join("status")).expect("read /proc");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a line of /proc/PID/status");
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }
}

impl Drop for Proxy {
    #[expect(
        clippy::print_stderr,
        reason = "the log of a failed test is the first thing that one wants to see"
    )]
    fn drop(&mut self) {
        // The process may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of mytls ---\n{}\n--------------------", self.log());
        }
    }
}

impl Log {
    fn update(&self, change: impl FnOnce(&mut (Vec<String>, bool))) {
        change(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// What a run of mytls that ends by itself left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `mytls SUBCOMMAND FILE` to its end.
pub(crate) fn run_with(subcommand: &str, config: &Config) -> Run {
    let output = config.command(subcommand).output().expect("run mytls");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Polls a condition that nobody announces.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
