//! `SHOW STATUS` and `performance_schema.tls_channel_status`: counters, and the TLS of every place, by MySQL's names.

use super::channels::View;
use super::like::is_like;
use super::show::{CHANNEL_STATUS, DATABASE};
use super::statement::{ChannelColumn, Condition};
use crate::backend::Role;
use crate::protocol::result_set::{Column, ResultSet};
use crate::session::{Limit, Totals};
use crate::tls::{Expiry, Negotiated, TlsVersion, openssl_date};

/// What `SHOW STATUS` is made of.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) uptime_seconds: u64,
    pub(super) route: Role,
    /// Sessions now.
    pub(super) live: usize,
    pub(super) totals: Totals,
    pub(super) admin_logins_failed: u64,
    pub(super) channels: Vec<View>,
    /// TLS of the connection that asks, if it asks for its own.
    pub(super) own_tls: Option<Negotiated>,
}

/// `SHOW STATUS`
pub(super) fn status(facts: &Facts) -> Vec<(String, String)> {
    let Facts { totals, .. } = facts;
    let mut rows: Vec<(String, String)> = [
        ("Aborted_connects", totals.aborted + totals.refused),
        ("Connections", totals.accepted),
        ("Max_used_connections", totals.most_at_once),
        ("Mytls_admin_logins_failed", facts.admin_logins_failed),
        ("Mytls_logins", totals.logged_in),
        ("Mytls_logins_aborted", totals.aborted),
        ("Mytls_logins_refused", totals.refused),
        ("Threads_connected", facts.live as u64),
        ("Uptime", facts.uptime_seconds),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .collect();
    for (limit, hits) in Limit::ALL.into_iter().zip(totals.limit_hits) {
        let name = limit.name().replace('-', "_");
        rows.push((format!("Mytls_limit_hits_{name}"), hits.to_string()));
    }
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    rows.push(text("Mytls_route", &facts.route.to_string()));
    rows.push(text("Mytls_version", env!("CARGO_PKG_VERSION")));
    let own = facts.own_tls;
    rows.push(text("Ssl_cipher", own.map_or("", |tls| tls.cipher)));
    rows.push(text("Ssl_version", own.map_or("", |tls| tls.version)));
    // the data port's, which comes first
    if let Some(main) = facts.channels.first() {
        rows.extend(tls_of_port(main, true));
    }
    for channel in &facts.channels {
        rows.extend(of_channel(channel));
    }
    rows.sort();
    rows
}

/// Certificates and counters of a port, by MySQL's names.
fn tls_of_port(view: &View, with_counters: bool) -> Vec<(String, String)> {
    let own = view.own();
    let date =
        |seconds: fn(&Expiry) -> u64| own.map_or(String::new(), |own| openssl_date(seconds(own)));
    let mut rows = vec![
        ("Current_tls_ca", view.source("ssl-ca")),
        ("Current_tls_cert", view.source("ssl-cert")),
        ("Current_tls_cipher", view.ciphers(TlsVersion::Tls12)),
        ("Current_tls_ciphersuites", view.ciphers(TlsVersion::Tls13)),
        ("Current_tls_crl", view.source("ssl-crl")),
        ("Current_tls_key", view.source("ssl-key")),
        ("Current_tls_version", view.versions().to_owned()),
        ("Ssl_server_not_after", date(|own| own.not_after)),
        ("Ssl_server_not_before", date(|own| own.not_before)),
    ];
    if with_counters {
        rows.push(("Ssl_accepts", view.handshakes.to_string()));
        rows.push(("Ssl_finished_accepts", view.handshakes.to_string()));
    }
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What exporters watch: numbers alone, by the name of the channel.
fn of_channel(view: &View) -> Vec<(String, String)> {
    let name = view.name;
    let mut rows = vec![
        (
            format!("Mytls_tls_generation_{name}"),
            view.generation.to_string(),
        ),
        (
            format!("Mytls_tls_load_failed_{name}"),
            u8::from(view.fault.is_some()).to_string(),
        ),
    ];
    if let Some(own) = view.own() {
        rows.push((
            format!("Mytls_certificate_not_after_seconds_{name}"),
            own.not_after.to_string(),
        ));
    }
    rows
}

/// `performance_schema.tls_channel_status`
pub(super) fn channel_status(
    channels: &[View],
    columns: &[ChannelColumn],
    conditions: &[Condition],
) -> ResultSet {
    let mut rows = Vec::new();
    for (position, view) in channels.iter().enumerate() {
        let enabled = if view.is_enabled { "Yes" } else { "No" };
        let mut properties = vec![("Enabled".to_owned(), enabled.to_owned())];
        let mut others = tls_of_port(view, position == 0);
        others.sort();
        properties.append(&mut others);
        if let Some(fault) = &view.fault {
            properties.push(("Last_error".to_owned(), fault.clone()));
        }
        for (property, value) in properties {
            let row = [view.name.to_string(), property, value];
            if conditions.iter().all(|condition| holds(condition, &row)) {
                rows.push(
                    columns
                        .iter()
                        .map(|column| Some(row[*column as usize].clone()))
                        .collect(),
                );
            }
        }
    }
    let column = |column: &ChannelColumn| {
        let characters = match column {
            ChannelColumn::Channel | ChannelColumn::Property => 128,
            ChannelColumn::Value => 2048,
        };
        Column::text(column.name(), characters)
            .not_null()
            .of(DATABASE, CHANNEL_STATUS)
    };
    ResultSet {
        columns: columns.iter().map(column).collect(),
        rows,
    }
}

fn holds(condition: &Condition, row: &[String; 3]) -> bool {
    let value = &row[condition.column as usize];
    if condition.like {
        is_like(value, &condition.text)
    } else {
        value.eq_ignore_ascii_case(&condition.text)
    }
}
