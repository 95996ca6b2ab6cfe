//! Keys that are known but whose feature is not built yet.
//!
//! One that *restricts* (who may pass, or how much a client may take) is an error: who writes it relies on it. One that
//! only *adds* is a warning.

use super::file::{File, Key};
use super::problem::{Fault, Wrong};
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
    remark_additions(file, remarks);
    Ok(())
}

fn refuse_restrictions(file: &File) -> Result<(), Fault> {
    refuse(
        &file.proxy_protocol.or_empty().accept_from,
        "rules would be judged on the address of the balancer, not of the client",
    )
}

fn remark_additions(file: &File, remarks: &mut Vec<Remark>) {
    let mut remark = |location: Option<_>| {
        remarks.extend(location.map(|at| Remark::key_at(at, Notice::NotBuilt)));
    };

    for key in [&file.compression, &file.proxy_protocol.or_empty().send] {
        if key.or(false) {
            remark(key.location());
        }
    }
}
