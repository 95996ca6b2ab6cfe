//! What the page says of TLS: handshakes, certificates, and loads of their files, of every place.

use std::collections::HashMap;

use crate::metrics::{Kind, Page};
use crate::reload::Reloader;
use crate::tls::{Channel, Loaded, TlsCounts};

/// One channel as it is now.
struct Place<'a> {
    name: String,
    counts: &'a TlsCounts,
    /// None is no TLS.
    generation: Option<u64>,
    has_fault: bool,
}

impl<'a> Place<'a> {
    fn of<T: Loaded>(channel: &'a Channel<T>) -> Self {
        Self {
            name: channel.name().to_string(),
            counts: channel.counts(),
            generation: channel.current().map(|current| current.number),
            has_fault: channel.fault().is_some(),
        }
    }

    fn label(&self) -> [(&'static str, &str); 1] {
        [("channel", &self.name)]
    }
}

pub(super) fn write(page: &mut Page, reloader: &Reloader) {
    let ports = std::iter::once(&reloader.tls).chain(&reloader.admin);
    let backends = reloader.backends.iter().filter_map(|each| each.channel());
    let places: Vec<_> = ports
        .map(|channel| Place::of(channel))
        .chain(backends.map(|channel| Place::of(channel)))
        .collect();
    write_handshakes(page, &places);
    write_loads(page, &places);
    write_certificates(page, reloader);
}

fn write_handshakes(page: &mut Page, places: &[Place<'_>]) {
    let mut done = page.family(
        Kind::Counter,
        "mytls_tls_handshakes_total",
        "TLS handshakes that were brought to their end, by place (mysql_main, mysql_admin: clients; source, target: backends), version, key exchange, and whether they resumed an earlier session. Only combinations that have come up.",
    );
    for place in places {
        done.counters_above_zero(&place.label(), &place.counts.handshakes);
    }
    let mut failed = page.family(
        Kind::Counter,
        "mytls_tls_handshake_failures_total",
        "TLS handshakes that failed. peer_certificate: the other side's is not accepted here; own_certificate: ours is not accepted there; no_common_version: mostly clients of TLS 1.1. The log names them.",
    );
    for place in places {
        failed.counters(&place.label(), &place.counts.failures);
    }
    let mut times = page.family(
        Kind::Histogram,
        "mytls_tls_handshake_duration_seconds",
        "How long handshakes took that were brought to their end, the round trips of the network among it.",
    );
    for place in places {
        times.distribution(&place.label(), &place.counts.times.read());
    }
}

fn write_loads(page: &mut Page, places: &[Place<'_>]) {
    let mut enabled = page.family(
        Kind::Gauge,
        "mytls_tls_enabled",
        "1 where new connections get TLS. 0 on mysql_main: clients get plaintext, as far as the rules let them; 0 on source or target: sessions fail.",
    );
    for place in places {
        enabled.yes(&place.label(), place.generation.is_some());
    }
    let mut generations = page.family(
        Kind::Gauge,
        "mytls_tls_generation",
        "Which load of the certificates is in force, counted from 1; 0 is none. It grows with each reload or reread.",
    );
    for place in places {
        generations.number(&place.label(), place.generation.unwrap_or(0));
    }
    let mut loads = page.family(
        Kind::Counter,
        "mytls_tls_loads_total",
        "Loads of certificates, keys and CAs, by place, cause and result.",
    );
    for place in places {
        loads.counters(&place.label(), &place.counts.loads);
    }
    let mut failing = page.family(
        Kind::Gauge,
        "mytls_tls_load_failed",
        "1 while the last attempt to load certificates has failed. What was in force before still is, until it expires: see the log, or SHOW STATUS, for file and reason.",
    );
    for place in places {
        failing.yes(&place.label(), place.has_fault);
    }
    let mut loaded = page.family(
        Kind::Gauge,
        "mytls_tls_last_load_timestamp_seconds",
        "When certificates were last put in force, in seconds since 1970.",
    );
    for place in places {
        if let Some(seconds) = place.counts.loaded() {
            loaded.number(&place.label(), seconds);
        }
    }
}

fn write_certificates(page: &mut Page, reloader: &Reloader) {
    let mut positions: HashMap<_, u64> = HashMap::new();
    let labelled = reloader
        .expiries()
        .into_iter()
        .map(|(channel, certificate)| {
            let position = positions.entry((channel, certificate.what)).or_default();
            let labels = [
                ("channel", channel.to_string()),
                ("kind", kind(certificate.what).to_owned()),
                ("position", position.to_string()),
            ];
            *position += 1;
            (labels, certificate)
        });
    let all: Vec<_> = labelled.collect();
    let mut ends = page.family(
        Kind::Gauge,
        "mytls_certificate_not_after_timestamp_seconds",
        "When each certificate in force expires, in seconds since 1970: ours (ssl-cert, auto-tls), CAs (ssl-ca), what backends have shown (server). position counts within a file; SHOW CERTIFICATES has the names.",
    );
    for (labels, certificate) in &all {
        ends.number(&borrowed(labels), certificate.not_after);
    }
    let mut beginnings = page.family(
        Kind::Gauge,
        "mytls_certificate_not_before_timestamp_seconds",
        "From when on each certificate in force is valid, in seconds since 1970. What is left of one that lives for hours is judged by how long it lives.",
    );
    for (labels, certificate) in &all {
        beginnings.number(&borrowed(labels), certificate.not_before);
    }
}

fn borrowed<'a>(labels: &'a [(&'static str, String); 3]) -> [(&'a str, &'a str); 3] {
    labels.each_ref().map(|(name, value)| (*name, &**value))
}

/// A key of `security`, or the word for what stands in none.
fn kind(what: &'static str) -> &'static str {
    match what {
        "shown by the server" => "server",
        key => key,
    }
}
