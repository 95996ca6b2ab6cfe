//! Keys that are known but whose feature is not built yet.
//!
//! One that *restricts* (who may pass, or how much a client may take) is an error: who writes it relies on it. One that
//! only *adds* is a warning.

use std::time::Duration;

use super::file::{File, Key};
use super::problem::{Fault, Wrong};
use super::value::{Zero, duration};
use super::warning::{Notice, Remark};

/// Refuses a key that restricts; `why` says what would happen without the restriction.
fn refuse<T>(key: &Key<T>, why: &'static str) -> Result<(), Fault> {
    match key.written() {
        Some(written) => Err(Fault::key(written, Wrong::NotBuilt(why))),
        None => Ok(()),
    }
}

/// Goes through the keys that are not built: refuses those that restrict, remarks on those that add.
pub(super) fn check(file: &File, remarks: &mut Vec<Remark>) -> Result<(), Fault> {
    refuse_restrictions(file)?;
    remark_additions(file, remarks)
}

fn refuse_restrictions(file: &File) -> Result<(), Fault> {
    let per_client = &file.limits.or_empty().connections_per_client;
    if per_client.or(0) > 0 {
        refuse(per_client, "one client could take every connection")?;
    }
    refuse(
        &file.proxy_protocol.or_empty().accept_from,
        "rules would be judged on the address of the balancer, not of the client",
    )
}

fn remark_additions(file: &File, remarks: &mut Vec<Remark>) -> Result<(), Fault> {
    let mut remark = |location: Option<_>| {
        remarks.extend(location.map(|at| Remark::key_at(at, Notice::NotBuilt)));
    };

    for key in [&file.compression, &file.proxy_protocol.or_empty().send] {
        if key.or(false) {
            remark(key.location());
        }
    }
    let (limits, drain) = (file.limits.or_empty(), file.drain.or_empty());
    for key in [&limits.idle_time, &limits.life_time, &drain.min] {
        if !duration(key, Duration::ZERO, Zero::Allowed)?.is_zero() {
            remark(key.location());
        }
    }
    Ok(())
}
