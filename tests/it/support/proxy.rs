//! mytls itself, as a process with a configuration in a folder of its own.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// As it is written; mytls' environment names none.
    state_dir: Option<String>,
    binary: PathBuf,
    /// Whom mytls runs as, if not as the tests do.
    os_user: Option<u32>,
    /// The limit of its open files, if not that of the tests.
    open_files: Option<u32>,
    /// What is in mytls' environment, which is empty otherwise.
    variables: Vec<(&'static str, String)>,
    /// Sockets that it is handed, as systemd does; at most two.
    sockets: Vec<OwnedFd>,
    /// The server, for `serve --backend` and no file.
    backend_alone: Option<String>,
}

/// The mytls that was built with these tests.
const BINARY: &str = env!("CARGO_BIN_EXE_mytls");

/// The OS user `nobody`.
const NOBODY: u32 = 65534;

impl Config {
    /// Certificates towards clients; TLS towards the backend if it speaks it.
    pub(crate) fn before(backend: &Backend) -> Self {
        let security = if backend.speaks_tls {
            ", security: { ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }"
        } else {
            ""
        };
        Self::to(&format!("{{ {}{security} }}", backend.endpoint))
    }

    /// The same before whatever stands under `from`.
    pub(crate) fn to(from: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mytls-it-")
            .tempdir()
            .expect("make a folder");
        PKI.write_to(folder.path());
        Self {
            folder,
            listen: "127.0.0.1:0".to_owned(),
            security: "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key }".to_owned(),
            from: from.to_owned(),
            rest: String::new(),
            state_dir: Some("state".to_owned()),
            binary: BINARY.into(),
            os_user: None,
            open_files: None,
            variables: Vec::new(),
            sockets: Vec::new(),
            backend_alone: None,
        }
    }

    /// More lines at the top level.
    pub(crate) fn with(mut self, lines: &str) -> Self {
        writeln!(self.rest, "{lines}").expect("a string takes all");
        self
    }

    /// A file beside the configuration, with this in it.
    pub(crate) fn with_file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.path(name), content).expect("write a file");
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

    /// `state-dir`, in place of one beside the configuration; or none at all.
    pub(crate) fn state_dir(mut self, path: Option<&Path>) -> Self {
        self.state_dir = path.map(|path| path.display().to_string());
        self
    }

    /// Where the tests run as root, mytls runs as `nobody`: as root it refuses some backends.
    pub(crate) fn never_as_root(self) -> Self {
        if geteuid().is_root() {
            self.under_os_user(NOBODY)
        } else {
            self
        }
    }

    /// mytls runs as this OS user. Only root can.
    pub(crate) fn under_os_user(mut self, user: u32) -> Self {
        // The build folder may be where others cannot get to, below root's home say.
        let binary = self.path("mytls");
        std::fs::copy(BINARY, &binary).expect("copy mytls");
        std::os::unix::fs::chown(self.folder.path(), Some(user), Some(user))
            .expect("give the folder away");
        self.binary = binary;
        self.os_user = Some(user);
        self
    }

    /// mytls may open no more files than this.
    pub(crate) fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// `serve --backend ADDRESS` and nothing else, in place of a file.
    pub(crate) fn without_file(mut self, address: &str) -> Self {
        self.backend_alone = Some(address.to_owned());
        self
    }

    /// A variable of mytls' environment.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Hands it one more socket, as systemd does.
    pub(crate) fn socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.sockets.push(socket.into());
        self
    }

    /// `listen`, in place of a port on 127.0.0.1.
    pub(crate) fn listen(mut self, value: &str) -> Self {
        value.clone_into(&mut self.listen);
        self
    }

    /// A file beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The OS user that mytls will run as.
    pub(crate) fn os_user(&self) -> Uid {
        self.os_user.map_or_else(geteuid, Uid::from_raw)
    }

    /// mytls with this configuration.
    fn command(&self, subcommand: &str) -> Command {
        let mut command = if self.sockets.is_empty() {
            mytls(&self.binary, self.open_files)
        } else {
            self.with_sockets()
        };
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg(subcommand);
        if let Some(backend) = &self.backend_alone {
            command.args(["--backend", backend, "--listen", &self.listen]);
        } else {
            let file = self.folder.path().join("mytls.yaml");
            std::fs::write(&file, self.text()).expect("write the configuration");
            command.arg(file);
        }
        if let Some(user) = self.os_user {
            command.uid(user).gid(user);
        }
        command
    }

    /// A child is given its standard streams and nothing else, so a shell puts them where systemd does: from 3 on.
    fn with_sockets(&self) -> Command {
        let count = self.sockets.len();
        let script = format!(
            "exec 3<&0 4>&1 </dev/null >/dev/null; export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$0\" \"$@\""
        );
        let mut command = mytls("/bin/sh".as_ref(), None);
        command.arg("-c").arg(script).arg(&self.binary);
        let mut copies = self
            .sockets
            .iter()
            .map(|socket| Stdio::from(socket.try_clone().expect("a descriptor")));
        copies.next().map(|socket| command.stdin(socket));
        copies.next().map(|socket| command.stdout(socket));
        assert!(copies.next().is_none(), "at most two sockets");
        command
    }

    /// The file's text.
    fn text(&self) -> String {
        let Self {
            listen,
            security,
            from,
            rest,
            state_dir,
            ..
        } = self;
        let state_dir = state_dir
            .as_ref()
            .map_or(String::new(), |path| format!("state-dir: {path}\n"));
        format!("listen: {listen}\nsecurity: {security}\nfrom: {from}\n{state_dir}{rest}")
    }
}

/// What mytls has logged.
#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// There will be no more: the process is gone.
    ended: bool,
}

/// The log, and word of every change.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<Lines>,
    changed: Condvar,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
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
        // There is no other sign of it: until the greeting is learnt, clients get an ERR in its place.
        wait_until("a greeting", || {
            Client::connect(proxy.address).read().error().is_none()
        });
        proxy
    }

    /// Started and listening; its backend may not have been seen yet.
    #[track_caller]
    pub(crate) fn start_cold(config: Config) -> Self {
        let mut command = config.command("serve");
        let mut child = unless_busy(|| command.spawn()).expect("start mytls");
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    log.update(|log| log.lines.push(line));
                }
                log.update(|log| log.ended = true);
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self {
            address: unknown,
            child,
            log,
            folder: config.folder,
        };
        let line = proxy.wait_for_line("the port", |line| {
            line.contains("listening") && line.contains("127.0.0.1")
        });
        let (_, rest) = line.rsplit_once("127.0.0.1").expect("it was searched for");
        let port = rest.trim_start_matches([']', ':']);
        let end = port
            .find(|byte: char| !byte.is_ascii_digit())
            .unwrap_or(port.len());
        proxy.address.set_port(port[..end].parse().expect("a port"));
        proxy
    }

    /// The first log line that contains this, waited for.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        self.wait_for_line(part, |line| line.contains(part))
    }

    /// The line of the first session that got as far as an account, waited for.
    #[track_caller]
    pub(crate) fn session_line(&self) -> String {
        self.wait_for_line("a session's end", |line| {
            line.contains("session ended")
                && (line.contains("account=") || line.contains("\"account\""))
        })
    }

    #[track_caller]
    pub(crate) fn wait_for_line(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut guard = self.log.lock();
        loop {
            if let Some(line) = guard.lines.iter().find(|line| is_it(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let hope = !left.is_zero() && !guard.ended;
            assert!(
                hope,
                "{what:?} is not in the log:\n{}",
                guard.lines.join("\n")
            );
            let waited = self.log.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Where the admin port listens.
    #[track_caller]
    pub(crate) fn admin_address(&self) -> SocketAddr {
        let line = self.wait_for_line("the admin port", |line| {
            line.contains("listening") && line.contains("mysql_admin")
        });
        address_in(&line)
    }

    /// Where the HTTP port listens.
    #[track_caller]
    pub(crate) fn http_address(&self) -> SocketAddr {
        let line = self.wait_for_line("the HTTP port", |line| {
            line.contains("listening") && line.contains("http") && !line.contains("unix")
        });
        address_in(&line)
    }

    /// The process id.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// A file beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().lines.join("\n")
    }

    /// The folder of configuration and certificates.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the Unix socket of [`Config::unix_socket`] is.
    pub(crate) fn unix_socket(&self) -> PathBuf {
        self.folder.path().join("mytls.sock")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Stops the process where it is, until [`resume`](Self::resume).
    pub(crate) fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
        wait_until("a stopped process", || {
            let stat = std::fs::read_to_string(self.proc().join("stat")).expect("read /proc");
            stat.rsplit_once(')')
                .is_some_and(|(_, behind_name)| behind_name.starts_with(" T"))
        });
    }

    /// Lets a process go on that was stopped.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("signal mytls");
    }

    /// Sends SIGHUP and waits for what comes of it: what was logged meanwhile.
    #[track_caller]
    pub(crate) fn reload(&self) -> String {
        let before = self.log.lock().lines.len();
        self.hang_up();
        wait_for("the end of a reload", || {
            let log = self.log.lock();
            let new = &log.lines[before..];
            // in text and in JSON
            let is_end = |line: &String| {
                line.ends_with(" reloaded")
                    || line.contains("\"reloaded\"")
                    || line.contains("not reloaded whole")
            };
            new.iter().any(is_end).then(|| new.join("\n"))
        })
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
        wait_for("the end of mytls", || {
            self.child.try_wait().expect("ask for the exit status")
        })
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

    /// Processor time so far, in hundredths of a second.
    pub(crate) fn processor_ticks(&self) -> usize {
        let stat = std::fs::read_to_string(self.proc().join("stat")).expect("read /proc");
        let (_, behind_name) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        // utime and stime are fields 14 and 15 of the whole line
        fields[11..13]
            .iter()
            .map(|field| field.parse::<usize>().expect("a number"))
            .sum()
    }

    /// What every user of the machine may read of it.
    pub(crate) fn command_line(&self) -> String {
        let line = std::fs::read(self.proc().join("cmdline")).expect("read /proc");
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }
}

/// Where a line of the log, text or JSON, says that a port listens.
#[track_caller]
pub(crate) fn address_in(line: &str) -> SocketAddr {
    let (_, address) = line.rsplit_once("address").expect("an address");
    let address = address.trim_matches(['=', '"', ':', '}']);
    address.parse().expect("an address")
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
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- log of mytls ---\n{log}\n--------------------");
        } else {
            assert!(!log.contains("panicked at"), "mytls panicked:\n{log}");
        }
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
    finish(&mut config.command(subcommand))
}

/// Runs `mytls SUBCOMMAND FILE` with more arguments to its end.
pub(crate) fn run_with_arguments(subcommand: &str, config: &Config, arguments: &[&str]) -> Run {
    finish(config.command(subcommand).args(arguments))
}

/// Runs mytls with these arguments to its end.
pub(crate) fn run(arguments: &[&str]) -> Run {
    finish(mytls(BINARY.as_ref(), None).args(arguments))
}

/// The same, with this in its environment and as its standard input.
pub(crate) fn run_with_input(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Run {
    let mut command = mytls(BINARY.as_ref(), None);
    command.args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::piped());
    let mut child = unless_busy(|| command.spawn()).expect("run mytls");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // whoever refuses its arguments reads nothing
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Run::of(&child.wait_with_output().expect("run mytls"))
}

fn finish(command: &mut Command) -> Run {
    Run::of(&unless_busy(|| command.output()).expect("run mytls"))
}

impl Run {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A copy of mytls that this process just wrote cannot be run for as long as another thread's child, forked meanwhile, has
/// not yet closed it.
fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    wait_for("mytls to be no longer busy", || match start() {
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => None,
        other => Some(other),
    })
}

/// mytls with nothing of this process' environment.
fn mytls(binary: &Path, open_files: Option<u32>) -> Command {
    let mut command = match open_files {
        None => Command::new(binary),
        Some(limit) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
            shell.arg(binary);
            shell
        }
    };
    command.env_clear();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A number that makes a test longer, or shorter, than suits a developer's patience.
pub(crate) fn number_from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Polls a condition that nobody announces.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Polls for something that nobody announces.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, what, look)
}

/// The same where it takes longer.
#[track_caller]
pub(crate) fn wait_at_most<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
