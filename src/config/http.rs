//! `http`: the port for metrics, probes and the status page.

use std::path::Path;

use serde_saphyr::Spanned;

use super::HTTP_LISTEN;
use super::address::parse_host;
use super::file::{Http, Key};
use super::problem::Fault;
use super::warning::{Notice, Remark};
use crate::http::Settings;
use crate::net::ListenAddress;

/// None where `http` is not written: then there is no such port.
pub(super) fn settings(
    key: &Key<Http>,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<Option<Settings>, Fault> {
    let Some(written) = key.written() else {
        return Ok(None);
    };
    let http = &written.value;
    let listen = super::listen(&http.listen, HTTP_LISTEN, folder)?;
    if let Some(at) = http.listen.location()
        && listen.iter().any(is_reached_from_elsewhere)
    {
        remarks.push(Remark::key_at(at, Notice::OpenHttp));
    }
    let hosts = http.hosts.written().into_iter();
    let hosts = hosts.flat_map(|hosts| &hosts.value).map(host);
    Ok(Some(Settings {
        listen,
        hosts: hosts.collect::<Result<_, _>>()?,
    }))
}

fn is_reached_from_elsewhere(address: &ListenAddress) -> bool {
    match address {
        ListenAddress::Tcp(tcp) => !tcp.ip().to_canonical().is_loopback(),
        ListenAddress::Unix(_) => false,
    }
}

fn host(text: &Spanned<String>) -> Result<String, Fault> {
    parse_host(&text.value).map_err(|error| Fault::parse(text, error))
}
