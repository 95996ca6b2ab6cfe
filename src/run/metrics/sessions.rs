//! The data port's part of the page.

use crate::backend::Backends;
use crate::metrics::{Kind, Page};
use crate::session::{Sessions, State};

pub(super) fn write(page: &mut Page, sessions: &Sessions, backends: &Backends) {
    let counts = sessions.counts();
    let (relayed, now) = sessions.relayed();
    let mut states = page.family(
        Kind::Gauge,
        "mytls_sessions",
        "Client connections now, by how far they are and which backend they belong to. Many that are logging_in: a flood, or a network that loses packets; many that are connecting: a slow backend.",
    );
    for backend in backends.all() {
        for state in State::ALL {
            let is_one = |(_, each): &&(State, _)| *each == backend.role();
            let count = now.iter().filter(is_one).filter(|(each, _)| *each == state);
            let labels = [("state", state.name()), ("route", backend.role().name())];
            states.number(&labels, count.count());
        }
    }
    page.number(
        Kind::Counter,
        "mytls_connections_accepted_total",
        "Connections that the data port has accepted, whatever became of them.",
        counts.accepted.get(),
    );
    page.number(
        Kind::Counter,
        "mytls_logins_total",
        "Logins that the backend has confirmed.",
        counts.logged_in.get(),
    );
    page.family(
        Kind::Counter,
        "mytls_sessions_ended_total",
        "Sessions that are over, by how they ended. refused and aborted ones had not logged in. Every accepted connection comes to be counted here once.",
    )
    .counters(&[], &counts.ended);
    let mut refusals = page.family(
        Kind::Counter,
        "mytls_refusals_total",
        "Logins and changes of user that were refused, by whom and why. SHOW DENIALS on the admin port says who was refused by mytls, the log says all of it.",
    );
    refusals.counters(&[("by", "mytls")], &counts.refused);
    refusals.counters(&[("by", "backend")], &counts.refused_by_backend);
    page.family(
        Kind::Counter,
        "mytls_would_be_refused_total",
        "Logins and changes of user that passed only because rules are reported and not enforced. At 0 for long enough, enforce them.",
    )
    .counters(&[], &counts.would_be_refused);
    page.family(
        Kind::Counter,
        "mytls_logins_aborted_total",
        "Logins that came to nothing although nobody refused them. client_left is mostly probes and scans, backend_not_reached sessions that an outage costs.",
    )
    .counters(&[], &counts.aborted);
    page.family(
        Kind::Counter,
        "mytls_limit_hits_total",
        "How often a limit ended a connection, or kept it from beginning. Raise the limit (limits.* in the configuration), or find out who needs so much.",
    )
    .counters(&[], &counts.limits);
    write_relayed(page, sessions, &relayed);
}

fn write_relayed(page: &mut Page, sessions: &Sessions, relayed: &crate::session::Relayed) {
    let counts = sessions.counts();
    let mut bytes = page.family(
        Kind::Counter,
        "mytls_relayed_bytes_total",
        "Bytes relayed after the login, in clear, by who sent them: commands of clients, responses of backends.",
    );
    bytes.number(&[("from", "client")], relayed.from_client.get());
    bytes.number(&[("from", "backend")], relayed.from_backend.get());
    page.number(
        Kind::Counter,
        "mytls_commands_total",
        "Commands (queries, prepared statements, pings …) that went on to a backend.",
        relayed.commands.get(),
    );
    page.family(
        Kind::Histogram,
        "mytls_command_duration_seconds",
        "From the first byte of a command, as mytls hands it on, to the last byte of its response. Commands that a client sends without waiting for the answers count as one.",
    )
    .distribution(&[], &relayed.command_times.read());
    page.family(
        Kind::Histogram,
        "mytls_login_duration_seconds",
        "From accept to the word that the client is logged in: TLS, rules, the backend's connection and its authentication.",
    )
    .distribution(&[], &counts.login_times.read());
    page.family(
        Kind::Histogram,
        "mytls_session_duration_seconds",
        "From accept to the end, of sessions that had logged in and are over.",
    )
    .distribution(&[], &counts.session_times.read());
}
