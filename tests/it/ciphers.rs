//! `tls-version`, `tls-cipher`, `tls-ciphersuites` as `openssl s_client -starttls mysql` meets them.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::support::backend::{Backend, Server};
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy, run_with, run_with_arguments};

/// What OpenSSL and mytls agree on, `VERSION CIPHER`, or nothing.
fn agreed(address: SocketAddr, options: &str) -> Option<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-starttls", "mysql", "-brief", "-connect"])
        .arg(address.to_string())
        .args(options.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key));
    let (version, cipher) = (value("Protocol version: ")?, value("Ciphersuite: ")?);
    Some(format!("{version} {cipher}"))
}

fn proxy(policy: &str) -> (Backend, Proxy) {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let security = format!("{{ ssl-cert: server.pem, ssl-key: server.key{policy} }}");
    let proxy = Proxy::start(Config::before(&backend).security(&security));
    (backend, proxy)
}

const TLS12_LIST: &str =
    ", tls-cipher: 'ECDHE-ECDSA-CHACHA20-POLY1305:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'";

#[test]
fn what_is_not_listed_is_refused_and_logged_in_words() {
    let (_backend, proxy) = proxy(TLS12_LIST);
    let other = "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384";
    assert_eq!(agreed(proxy.address, other), None);
    proxy.wait_for_log(
        "TLS with the client failed: no cipher suite or key exchange in common; here are ECDHE suites",
    );
    let cbc = "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256:AES128-SHA";
    assert_eq!(agreed(proxy.address, cbc), None);
}

#[test]
fn the_order_of_a_list_counts_and_not_the_clients() {
    let (_backend, proxy) = proxy(TLS12_LIST);
    let backwards = "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
    let chacha = "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305";
    assert_eq!(agreed(proxy.address, backwards).as_deref(), Some(chacha));
    let last = "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256";
    let aes = "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256";
    assert_eq!(agreed(proxy.address, last).as_deref(), Some(aes));
    // TLS 1.3 has a list of its own.
    let tls13 = agreed(proxy.address, "-tls1_3");
    assert_eq!(tls13.as_deref(), Some("TLSv1.3 TLS_AES_256_GCM_SHA384"));
}

#[test]
fn tls_1_3_has_a_list_of_its_own() {
    let (_backend, proxy) =
        proxy(", tls-ciphersuites: 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'");
    let aes256 = "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384";
    assert_eq!(agreed(proxy.address, aes256), None);
    let both = "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
    let chacha = "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256";
    assert_eq!(agreed(proxy.address, both).as_deref(), Some(chacha));
    let tls12 = agreed(proxy.address, "-tls1_2");
    assert_eq!(
        tls12.as_deref(),
        Some("TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384")
    );
}

#[test]
fn an_older_version_is_refused_and_logged_in_words() {
    let (_backend, proxy) = proxy(", tls-version: TLSv1.3");
    assert_eq!(agreed(proxy.address, "-tls1_2"), None);
    proxy.wait_for_log("speaks only TLS versions older than the lowest that is allowed here");
    assert!(agreed(proxy.address, "-tls1_3").is_some());
}

#[test]
fn a_backend_is_offered_only_what_is_listed() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let security = "{ ssl-ca: ca.pem, tls-cipher: ECDHE-RSA-AES128-GCM-SHA256, tls-ciphersuites: TLS_AES_128_GCM_SHA256 }";
    let run = run_with(
        "check",
        &Config::before(&backend).backend_security(&backend, security),
    );
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let expected = "TLSv1.3 with TLS_AES_128_GCM_SHA256";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

#[test]
fn authorize_knows_the_lists() {
    let backend = Backend::start(Server::mysql());
    let security =
        "{ ssl-cert: server.pem, ssl-key: server.key, tls-ciphersuites: TLS_AES_128_GCM_SHA256 }";
    let config = Config::before(&backend).security(security);
    let ask = |options: &str| {
        let arguments = ["--user", "app", "--from", "127.0.0.1"].into_iter();
        let arguments = arguments.chain(options.split_whitespace());
        run_with_arguments("authorize", &config, &arguments.collect::<Vec<_>>())
    };
    let run = ask("--cipher TLS_AES_256_GCM_SHA384");
    assert_eq!(run.code, Some(1));
    let expected = "REFUSED      security allows no cipher of TLSv1.3 but TLS_AES_128_GCM_SHA256";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    let run = ask("--tls-version TLSv1.3");
    assert_eq!(run.code, Some(0));
    let expected = "TLSv1.3 (TLS_AES_128_GCM_SHA256, assumed)";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}
