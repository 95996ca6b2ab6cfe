//! What the page says of the servers behind mytls.

use std::time::UNIX_EPOCH;

use crate::backend::{Backend, Backends};
use crate::metrics::{Kind, Page};

fn label(backend: &Backend) -> [(&'static str, &'static str); 1] {
    [("route", backend.role().name())]
}

pub(super) fn write(page: &mut Page, backends: &Backends) {
    let all = backends.all();
    let mut route = page.family(
        Kind::Gauge,
        "mytls_route",
        "1 for the backend that new sessions go to.",
    );
    let routed = backends.routed().role();
    for backend in all {
        route.yes(&label(backend), backend.role() == routed);
    }
    let mut draining = page.family(
        Kind::Gauge,
        "mytls_backend_draining",
        "1 while the sessions of a backend are asked to end (SET ROUTE … DRAIN).",
    );
    for backend in all {
        draining.yes(&label(backend), backend.drain().borrow().is_some());
    }
    let mut learnt = page.family(
        Kind::Gauge,
        "mytls_backend_greeting_learnt",
        "1 once the server has greeted mytls. Before that no client is let in there. It stays 1 when the server goes away.",
    );
    for backend in all {
        learnt.yes(&label(backend), backend.greeting().is_some());
    }
    let mut resting = page.family(
        Kind::Gauge,
        "mytls_backend_endpoint_resting",
        "1 while an endpoint is left alone because the server may count a failed handshake (certificates, no TLS, 1129); sessions get the same error. SHOW BACKENDS says why; a reload of the certificates ends it.",
    );
    for backend in all {
        for (endpoint, reason) in backend.endpoints() {
            let labels = [("route", backend.role().name()), ("endpoint", &endpoint)];
            resting.yes(&labels, reason.is_some());
        }
    }
    write_dials(page, all.iter().map(|backend| &**backend));
    write_imports(page, all.iter().map(|backend| &**backend));
}

fn write_dials<'a>(page: &mut Page, all: impl Iterator<Item = &'a Backend> + Clone) {
    let mut dials = page.family(
        Kind::Counter,
        "mytls_backend_dials_total",
        "Endpoints that were dialled: for clients, to learn the greeting, to import accounts.",
    );
    for backend in all.clone() {
        dials.number(&label(backend), backend.counts().dials.get());
    }
    let mut failures = page.family(
        Kind::Counter,
        "mytls_backend_dial_failures_total",
        "Dials that failed. no_answer: the server is down, or the address is wrong; tls and own_certificates: certificates; host_blocked: run FLUSH HOSTS there. A server that refuses our certificate under TLS 1.3 does so after the dial, which then counts here too.",
    );
    for backend in all.clone() {
        failures.counters(&label(backend), &backend.counts().failures);
    }
    let mut withheld = page.family(
        Kind::Counter,
        "mytls_backend_dials_withheld_total",
        "Dials that were not made because the endpoint was resting.",
    );
    for backend in all.clone() {
        withheld.number(&label(backend), backend.counts().withheld.get());
    }
    let mut times = page.family(
        Kind::Histogram,
        "mytls_backend_connect_duration_seconds",
        "How long dials took that did not fail: name, connection, greeting, TLS.",
    );
    for backend in all {
        times.distribution(&label(backend), &backend.counts().times.read());
    }
}

fn write_imports<'a>(page: &mut Page, all: impl Iterator<Item = &'a Backend> + Clone) {
    let imports = all.filter_map(|backend| Some((label(backend), backend.import()?)));
    let mut total = page.family(
        Kind::Counter,
        "mytls_imports_total",
        "Imports of a server's accounts that are over, well or not.",
    );
    for (label, import) in imports.clone() {
        total.number(&label, import.counts().0);
    }
    let mut failures = page.family(
        Kind::Counter,
        "mytls_import_failures_total",
        "Imports of a server's accounts that failed. The accounts of the last good one stay in force; users that it does not have are refused.",
    );
    for (label, import) in imports.clone() {
        failures.number(&label, import.counts().1);
    }
    let mut accounts = page.family(
        Kind::Gauge,
        "mytls_import_accounts",
        "Accounts that the last good import has brought.",
    );
    for (label, import) in imports.clone() {
        if let Some(tally) = import.tally() {
            accounts.number(&label, tally.accounts);
        }
    }
    let mut last = page.family(
        Kind::Gauge,
        "mytls_import_last_success_timestamp_seconds",
        "When the last good import was over, in seconds since 1970; not there before the first.",
    );
    for (label, import) in imports {
        if let Some(tally) = import.tally() {
            let since = tally.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            last.number(&label, since.as_secs_f64());
        }
    }
}
