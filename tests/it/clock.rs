//! A clock that jumps: certificates are judged by the time that it shows, and nothing else goes by it.
//!
//! libfaketime moves the clock of mytls alone. Without it the test is skipped, loudly; with `MYTLS_LAB_REQUIRED=1` that is a
//! failure.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::pki::{PKI, replace};
use crate::support::proxy::{Config, Proxy};
use crate::support::visit::{login_over_tls, tls_backend};

/// Within the one year in which the certificate that is "not yet valid" is.
const THEN: &str = "2901-06-01 00:00:00";

/// Debian has it below a folder named after the machine's architecture.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    if found.is_none() {
        let is_required = env::var("MYTLS_LAB_REQUIRED").as_deref() == Ok("1");
        assert!(!is_required, "libfaketime is not installed");
        eprintln!("skipped: libfaketime is not installed");
    }
    found
}

#[test]
fn jump_of_the_clock_changes_who_is_let_in_and_ends_no_session() {
    let Some(library) = library() else {
        return;
    };
    let backend = tls_backend();
    let config = Config::before(&backend).with("accounts: [{ user: app, require: X509 }]");
    let clock = config.path("clock");
    fs::write(&clock, "+0").expect("write the time");
    let proxy = Proxy::start(
        config
            .variable("LD_PRELOAD", library.display().to_string())
            .variable("FAKETIME_TIMESTAMP_FILE", clock.display().to_string())
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    );
    let of_today = PKI.client_tls(Some(&PKI.client));
    let of_then = PKI.client_tls(Some(&PKI.not_yet_valid));
    let refused = |tls| {
        login_over_tls(&proxy, "app", tls)
            .err()
            .map(|error| error.code)
    };
    let mut bystander = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &of_today);
    let mut expect_served = || {
        bystander.query("SELECT 1");
        bystander.expect_echo("SELECT 1");
    };
    assert_eq!(refused(&of_then), Some(1045));
    for _ in 0..3 {
        replace(&clock, THEN);
        assert_eq!(refused(&of_then), None);
        assert_eq!(refused(&of_today), None);
        expect_served();
        replace(&clock, "+0");
        assert_eq!(refused(&of_then), Some(1045));
        assert_eq!(refused(&of_today), None);
        expect_served();
    }
}
