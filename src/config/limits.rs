//! `limits` and `drain`.

use std::time::Duration;

use super::file::{File, Key};
use super::problem::{Fault, Wrong};
use super::value::{Zero, connections, duration, limit};
use crate::net::socket::KeepAlive;
use crate::session;

const CONNECTIONS: u32 = 10_000;
const CONNECTIONS_BEFORE_LOGIN: u32 = 500;
const LOGIN_TIME: Duration = Duration::from_secs(10);
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The kernel takes no longer one for keep-alive: 32,767 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(9 * 60 * 60);
/// The kernel counts keep-alive in seconds; and each session wakes eight times in its `idle-time`.
const SHORTEST: Duration = Duration::from_secs(1);

/// Limits of sessions.
pub(super) fn of_sessions(file: &File) -> Result<session::Limits, Fault> {
    let limits = file.limits.or_empty();
    let before_login = &limits.connections_before_login;
    Ok(session::Limits {
        connections: connections(&limits.connections, CONNECTIONS)?,
        connections_per_client: limit(&limits.connections_per_client)?,
        connections_before_login: connections(before_login, CONNECTIONS_BEFORE_LOGIN)?,
        handshakes: limit(&limits.handshakes)?,
        login_time: duration(&limits.login_time, LOGIN_TIME, Zero::Refused)?,
        idle_time: session_time(&limits.idle_time)?,
        life_time: session_time(&limits.life_time)?,
        keep_alive: keep_alive(file)?,
    })
}

/// How long a session may do nothing, or be there.
fn session_time(key: &Key<String>) -> Result<Option<Duration>, Fault> {
    let time = duration(key, Duration::ZERO, Zero::Allowed)?;
    if !time.is_zero() && time < SHORTEST {
        return Err(out_of_range(key, "365 days"));
    }
    Ok(unless_zero(time))
}

/// How long dialling a backend may take.
pub(super) fn connect_time(file: &File) -> Result<Duration, Fault> {
    let limits = file.limits.or_empty();
    duration(&limits.connect_time, CONNECT_TIME, Zero::Refused)
}

/// How dead peers are noticed, on both sides.
pub(super) fn keep_alive(file: &File) -> Result<KeepAlive, Fault> {
    let limits = file.limits.or_empty();
    let default = KeepAlive::default();
    let silence = |key, default: Option<Duration>| {
        let silence = duration(key, default.unwrap_or_default(), Zero::Allowed)?;
        if !silence.is_zero() && !(SHORTEST..=LONGEST_SILENCE).contains(&silence) {
            return Err(out_of_range(key, "9h"));
        }
        Ok(unless_zero(silence))
    };
    Ok(KeepAlive {
        after: silence(&limits.keep_alive, default.after)?,
        unacknowledged: silence(&limits.unacknowledged_time, default.unacknowledged)?,
    })
}

/// The two times of a drain: until it begins, and for sessions to end.
pub(super) fn drain(file: &File) -> Result<(Duration, Duration), Fault> {
    let drain = file.drain.or_empty();
    Ok((
        duration(&drain.min, Duration::ZERO, Zero::Allowed)?,
        duration(&drain.max, DRAIN_MAX, Zero::Allowed)?,
    ))
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

fn out_of_range(key: &Key<String>, highest: &str) -> Fault {
    let written = key.written().expect("the default is in range");
    Fault::value(
        written,
        Wrong::Range {
            lowest: "1s (or 0s: never)".to_owned(),
            highest: highest.to_owned(),
        },
    )
}
