//! `mytls shutdown`: asks the mytls that runs here to end, where there is no shell to say `kill`.
//!
//! By SIGTERM, so that the operating system says who may: the same user, or root. A port that takes such a wish from
//! whoever reaches it would take it from any process of a pod, and from any page in a browser. Who is meant is looked up
//! in `/proc`, which in a container has the processes of that container alone.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use thiserror::Error;

/// Between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether to wait for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For as long as the drain takes, which has an end of its own (`drain.max`).
    UntilItEnds,
    /// Not at all.
    No,
}

/// A `mytls serve` that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    id: i32,
    /// In clock ticks since the machine was started: with the id it names a process that no other can be taken for.
    started: u64,
    command: Vec<String>,
}

/// Why nothing was shut down.
#[derive(Debug, Error)]
pub enum ShutdownError {
    /// Not on Linux, or hidden.
    #[error("read /proc, to find the process: {0}")]
    NoProc(#[source] io::Error),
    /// There is none.
    #[error("no `mytls serve` of this user runs here")]
    Nobody,
    /// It is not one of them.
    #[error("process {0} is no `mytls serve` of this user")]
    Other(i32),
    /// There is more than one.
    #[error("several run here, say which: {}", .0.iter().map(|each| format!("--pid {each}")).collect::<Vec<_>>().join("; "))]
    Several(Vec<Process>),
    /// The operating system says no.
    #[error("end process {0}: {1}")]
    Signal(i32, #[source] Errno),
    /// What was done cannot be said.
    #[error("print: {0}")]
    Output(#[from] io::Error),
}

/// Asks the only mytls here to end, or the one with this process id.
pub fn shutdown(
    only: Option<i32>,
    waiting: Waiting,
    out: &mut dyn Write,
) -> Result<(), ShutdownError> {
    let process = chosen(running()?, only)?;
    let id = process.id;
    kill(Pid::from_raw(id), Signal::SIGTERM).map_err(|errno| ShutdownError::Signal(id, errno))?;
    if waiting == Waiting::No {
        writeln!(out, "process {id} is asked to end")?;
        return Ok(());
    }
    if id == 1 {
        // the kernel ends everybody in a container with its first process
        writeln!(
            out,
            "process 1 is asked to end, and this command ends with it"
        )?;
        out.flush()?;
    }
    while process.is_running() {
        thread::sleep(PAUSE);
    }
    writeln!(out, "process {id} has ended")?;
    Ok(())
}

fn chosen(mut running: Vec<Process>, only: Option<i32>) -> Result<Process, ShutdownError> {
    if let Some(id) = only {
        running.retain(|process| process.id == id);
        return running.pop().ok_or(ShutdownError::Other(id));
    }
    let first = running.pop().ok_or(ShutdownError::Nobody)?;
    if running.is_empty() {
        return Ok(first);
    }
    running.push(first);
    Err(ShutdownError::Several(running))
}

/// Every `mytls serve` of our user, or as root of any. Its program has the name that we were called by.
fn running() -> Result<Vec<Process>, ShutdownError> {
    let own_path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let own_name = own_path.file_name().unwrap_or_default();
    let folders = fs::read_dir("/proc").map_err(ShutdownError::NoProc)?;
    let mut all: Vec<_> = folders
        .filter_map(|entry| Process::read(&entry.ok()?.path(), own_name))
        .collect();
    all.sort_by_key(|process| process.id);
    Ok(all)
}

impl Process {
    /// None if it is none of ours, or has ended meanwhile.
    fn read(folder: &Path, own_name: &OsStr) -> Option<Self> {
        let id = folder.file_name()?.to_str()?.parse().ok()?;
        let command = fs::read(folder.join("cmdline")).ok()?;
        let command: Vec<String> = command
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let program = Path::new(command.first()?).file_name()?;
        let is_mytls = program == own_name && command.get(1)? == "serve";
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let us = geteuid();
        let is_ours = us.is_root() || user(&status)? == us.as_raw();
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let started = started(&stat)?;
        (is_mytls && is_ours).then_some(Self {
            id,
            started,
            command,
        })
    }

    fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id));
        stat.is_ok_and(|stat| started(&stat) == Some(self.started))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.command.join(" ").trim_end())
    }
}

/// The effective user of `/proc/PID/status`.
fn user(status: &str) -> Option<u32> {
    let line = status.lines().find(|line| line.starts_with("Uid:"))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

/// When the process of this `/proc/PID/stat` was started; none if it has ended and only its parent has not taken notice.
fn started(stat: &str) -> Option<u64> {
    // a name may have spaces and parentheses of its own
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32) -> Process {
        Process {
            id,
            started: 1,
            command: vec!["/mytls".to_owned(), "serve".to_owned(), String::new()],
        }
    }

    #[test]
    fn nobody_is_ended_who_was_not_meant() {
        let choose = |ids: &[i32], only| {
            let running = ids.iter().map(|id| process(*id)).collect();
            chosen(running, only).map_err(|error| error.to_string())
        };
        let nobody = "no `mytls serve` of this user runs here";
        assert_eq!(choose(&[], None), Err(nobody.to_owned()));
        let several = "several run here, say which: --pid 7 (/mytls serve); --pid 9 (/mytls serve)";
        assert_eq!(choose(&[7, 9], None), Err(several.to_owned()));
        let other = "process 8 is no `mytls serve` of this user";
        assert_eq!(choose(&[7, 9], Some(8)), Err(other.to_owned()));
        assert_eq!(choose(&[7], None), Ok(process(7)));
        assert_eq!(choose(&[7, 9], Some(9)), Ok(process(9)));
    }

    /// Lines of a Linux 6.1.
    #[test]
    fn a_process_is_told_by_its_start_and_has_ended_as_a_zombie() {
        let stat = "1234 (my) tls (x)) S 1 1234 1234 0 -1 4194560 1580 0 0 0 3 2 0 0 20 0 5 0 \
                    8675309 227102720 3840 18446744073709551615 1 1 0 0 0 0 0 4096 17663 0 0 0 17 1 0 0 0 0 0\n";
        assert_eq!(started(stat), Some(8_675_309));
        assert_eq!(started(&stat.replace(") S 1", ") Z 1")), None);
        assert_eq!(started("1234 (mytls) S 1"), None);
        let status = "Name:\tmytls\nUmask:\t0022\nUid:\t1000\t65532\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n";
        assert_eq!(user(status), Some(65532));
        assert_eq!(user("Name:\tmytls\n"), None);
    }
}
