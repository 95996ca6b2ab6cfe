//! Files made by `openssl`'s own commands.

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

/// Writes what `openssl ca -config ca.cnf` needs beside `ca.pem` and `ca.key`.
pub(crate) fn write_ca_configuration(folder: &Path) {
    std::fs::write(folder.join("ca.cnf"), CA).expect("write it");
    std::fs::write(folder.join("index"), "").expect("write it");
}
