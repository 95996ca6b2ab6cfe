//! What the probes ask, and the answers in words: `/livez`, `/readyz`, `/startupz`.
//!
//! None of them asks the database. A server that is down is a reason neither to restart mytls nor to take clients from it:
//! that it cannot be reached they read from mytls, and mytls comes back to it by itself.

use std::time::Duration;

use rustls::pki_types::UnixTime;

use tokio::time::timeout;

use super::Handles;
use crate::drain::Phase;
use crate::net::workers::Workers;
use crate::tls::{Expiry, Loaded as _};

/// A turn takes microseconds, and milliseconds under load. Well below what a prober waits for (`timeoutSeconds` of our manifests: 5).
const TURN: Duration = Duration::from_secs(3);

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// Whether mytls and each thread that serves clients answer at all; if not, it is to be started anew.
    Live,
    /// Whether clients are to be sent here.
    Ready,
    /// Whether it has got as far as to be ready but for what passes (a drain) or takes a person (a certificate).
    Startup,
}

/// One condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Check {
    name: &'static str,
    /// Why it does not hold, if it does not.
    failure: Option<String>,
}

/// What a probe has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    probe: Probe,
    checks: Vec<Check>,
}

impl Probe {
    /// Judges.
    pub(super) async fn ask(self, handles: &Handles) -> Verdict {
        let check = |name, failure| Check { name, failure };
        let greeting = || check("greeting", not_greeted(handles));
        let import = || check("import", not_imported(handles));
        let checks = match self {
            Self::Live => vec![check("workers", stuck(&handles.workers, TURN).await)],
            Self::Ready => vec![
                check("listening", draining(*handles.phase.borrow())),
                check("certificate", no_certificate(handles, UnixTime::now())),
                greeting(),
                import(),
            ],
            Self::Startup => vec![greeting(), import()],
        };
        Verdict {
            probe: self,
            checks,
        }
    }

    /// Its path, without the slash.
    fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Startup => "startupz",
        }
    }
}

impl Verdict {
    /// Whether every check holds.
    pub(super) fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.failure.is_none())
    }

    /// One line: `ok`, or what does not hold.
    pub(super) fn in_a_line(&self) -> String {
        let failures: Vec<_> = self
            .checks
            .iter()
            .filter_map(|check| check.failure.as_deref())
            .collect();
        if failures.is_empty() {
            return "ok".to_owned();
        }
        let not = match self.probe {
            Probe::Live => "not alive",
            Probe::Ready => "not ready",
            Probe::Startup => "not started",
        };
        format!("{not}: {}", failures.join("; "))
    }

    /// A line for each check, in the form of Kubernetes' own API server.
    pub(super) fn in_full(&self) -> String {
        let line = |Check { name, failure }: &Check| match failure {
            None => format!("[+]{name} ok\n"),
            Some(failure) => format!("[-]{name} failed: {failure}\n"),
        };
        let lines: String = self.checks.iter().map(line).collect();
        let outcome = if self.is_good() { "passed" } else { "failed" };
        format!("{lines}{} check {outcome}", self.probe.name())
    }
}

/// A thread that does nothing else any more serves none of its clients.
async fn stuck(workers: &Workers, turn: Duration) -> Option<String> {
    let answered = timeout(turn, workers.answer()).await;
    answered
        .is_err()
        .then(|| "a thread that serves clients does not answer".to_owned())
}

fn draining(phase: Phase) -> Option<String> {
    match phase {
        Phase::Serving => None,
        Phase::NotReady => Some("draining soon".to_owned()),
        Phase::Draining => Some("draining".to_owned()),
    }
}

/// TLS that is wanted and does not work: all looks well and every client that cares is turned away.
fn no_certificate(handles: &Handles, now: UnixTime) -> Option<String> {
    let Some(generation) = handles.tls.current() else {
        let is_wanted = handles.tls.fault().is_some();
        return is_wanted.then(|| "secure connection is NOT ENABLED (see the log)".to_owned());
    };
    // our own comes first; of those behind it clients may not need any
    let own = generation.tls.certificates().first();
    own.and_then(|own| not_valid(own, now.as_secs()))
}

/// Material is loaded only while it is valid: this is what time does to it, or a clock that is set back.
fn not_valid(own: &Expiry, now: u64) -> Option<String> {
    if now > own.not_after {
        return Some(format!("the certificate has expired at {}", own.end()));
    }
    (now < own.not_before).then(|| "the certificate is not valid yet".to_owned())
}

/// Until then clients get an ERR in place of the greeting.
fn not_greeted(handles: &Handles) -> Option<String> {
    let backend = handles.backends.routed();
    let is_known = backend.greeting().is_some();
    (!is_known).then(|| format!("the {} has not been reached yet", backend.role()))
}

/// Until then nobody may log in.
fn not_imported(handles: &Handles) -> Option<String> {
    let backend = handles.backends.routed();
    let import = backend.import()?;
    let is_waiting = import.latest().is_none();
    is_waiting.then(|| {
        format!(
            "the accounts of the {} are not imported yet",
            backend.role()
        )
    })
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::net::socket::Socket;

    fn verdict(failures: [Option<&str>; 2]) -> Verdict {
        let [one, other] = failures.map(|failure| failure.map(str::to_owned));
        let check = |name, failure| Check { name, failure };
        Verdict {
            probe: Probe::Ready,
            checks: vec![check("one", one), check("other", other)],
        }
    }

    #[test]
    fn a_certificate_is_good_from_its_first_second_to_its_last() {
        let own = Expiry {
            what: "ssl-cert",
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            not_before: 100,
            not_after: 200,
        };
        let early = Some("the certificate is not valid yet".to_owned());
        let late = Some("the certificate has expired at 1970-01-01T00:03:20Z".to_owned());
        for (now, expected) in [(99, early), (100, None), (200, None), (201, late)] {
            assert_eq!(not_valid(&own, now), expected, "{now}");
        }
    }

    #[tokio::test]
    async fn a_thread_that_is_stuck_is_told() -> std::io::Result<()> {
        let workers = Workers::start()?;
        assert_eq!(stuck(&workers, TURN).await, None);
        let (go_on, blocked) = std::sync::mpsc::channel::<()>();
        let (socket, _peer) = tokio::net::UnixStream::pair()?;
        let (begins, began) = tokio::sync::oneshot::channel();
        let hang = |_| async move {
            let _ = begins.send(());
            let _ = blocked.recv();
        };
        workers.serve(&TaskTracker::new(), Socket::Unix(socket), hang);
        began.await.expect("it is served");
        let expected = Some("a thread that serves clients does not answer".to_owned());
        assert_eq!(stuck(&workers, Duration::from_millis(50)).await, expected);
        drop(go_on);
        assert_eq!(stuck(&workers, TURN).await, None);
        Ok(())
    }

    #[test]
    fn what_does_not_hold_is_said_in_a_line_and_in_full() {
        let bad = verdict([Some("late"), Some("lost")]);
        assert!(!bad.is_good());
        assert_eq!(bad.in_a_line(), "not ready: late; lost");
        let half = verdict([None, Some("lost")]);
        assert!(!half.is_good());
        let expected = "[+]one ok\n[-]other failed: lost\nreadyz check failed";
        assert_eq!(half.in_full(), expected);
        let good = verdict([None, None]);
        assert!(good.is_good());
        assert_eq!(good.in_a_line(), "ok");
        let expected = "[+]one ok\n[+]other ok\nreadyz check passed";
        assert_eq!(good.in_full(), expected);
    }
}
