//! Keys that are known but whose feature is not built yet.
//!
//! One that *restricts* (who may pass, or how much a client may take) would be an error: who writes it relies on it. There is
//! none any more. One that only *adds* is a warning.

use super::file::File;
use super::warning::{Notice, Remark};

/// Remarks on the keys that are not built.
pub(super) fn check(file: &File, remarks: &mut Vec<Remark>) {
    let mut remark = |location: Option<_>| {
        remarks.extend(location.map(|at| Remark::key_at(at, Notice::NotBuilt)));
    };

    if file.compression.or(false) {
        remark(file.compression.location());
    }
}
