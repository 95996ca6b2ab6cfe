//! Files made by `openssl`'s own commands.

use std::env;
use std::path::Path;
use std::process::Command;

/// The configuration of `openssl ca` for the CA in `ca.pem` and `ca.key`.
const CA: &str = "[ca]\ndefault_ca = lab\n\
                  [lab]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ncertificate = ca.pem\nprivate_key = ca.key\n\
                  default_md = sha256\ndefault_days = 30\ndefault_crl_days = 30\npolicy = any\nunique_subject = no\nx509_extensions = leaf\n\
                  [any]\ncommonName = supplied\n\
                  [leaf]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:localhost\n\
                  [client]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n\
                  [authority]\nbasicConstraints = CA:TRUE\n";

/// Runs `openssl`, or another program of its kind, in a folder; a failure is one of the test.
pub(crate) fn run(folder: &Path, line: &str) {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a program");
    let output = Command::new(program)
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} is installed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// Runs lines of the shell in a folder; a failure is one of the test.
pub(crate) fn shell(folder: &Path, script: &str) {
    let output = Command::new("/bin/sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
}

/// Whether a program is installed; without it a test is skipped, loudly, and with `MYTLS_LAB_REQUIRED=1` that is a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new("/bin/sh")
        .args(["-c", &format!("command -v {program} >/dev/null")])
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        let required = env::var("MYTLS_LAB_REQUIRED").as_deref() == Ok("1");
        assert!(!required, "{program} is not installed");
        eprintln!("skipped: {program} is not installed; run tests/lab test");
    }
    found
}

/// Writes what `openssl ca -config ca.cnf` needs beside `ca.pem` and `ca.key`.
pub(crate) fn write_ca_configuration(folder: &Path) {
    std::fs::write(folder.join("ca.cnf"), CA).expect("write it");
    std::fs::write(folder.join("index"), "").expect("write it");
}
