//! The sandbox of a running mytls: what it keeps closed, and that files go on being replaced inside it. What the kernel
//! refuses is tried by the unit tests.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::support::backend::Backend;
use crate::support::pki::{Identity, PKI};
use crate::support::proxy::{Config, Proxy};
use crate::support::visit::{expect_parts, shown_to_a_client, tls_backend};

/// A running mytls in a sandbox; none where the kernel has no Landlock: that is a loud skip, or in CI a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn sandboxed(config: Config) -> Option<Proxy> {
    let proxy = Proxy::start(config);
    if proxy.log().contains("no Landlock here") {
        let is_required = env::var("MYTLS_LAB_REQUIRED").as_deref() == Ok("1");
        assert!(!is_required, "this kernel has no Landlock");
        eprintln!("skipped: this kernel has no Landlock");
        return None;
    }
    expect_parts(&proxy.log(), &["landlock_abi="]);
    Some(proxy)
}

/// The same files as those of mytls, in a folder that it does not know.
fn elsewhere(identity: &Identity) -> TempDir {
    let folder = tempfile::tempdir().expect("make a folder");
    identity.replace(folder.path(), "server");
    folder
}

/// Turns a link elsewhere as Kubernetes does: a new one takes its place.
fn turn(link: &Path, target: &Path) {
    let new = link.with_file_name("new");
    symlink(target, &new).expect("make a link");
    fs::rename(new, link).expect("rename it");
}

fn move_elsewhere(proxy: &Proxy, folder: &Path) {
    for name in ["server.pem", "server.key"] {
        turn(&proxy.path(name), &folder.join(name));
    }
}

#[test]
fn a_file_that_a_link_moves_out_of_the_known_folders_is_not_read_and_the_log_says_why() {
    let backend = tls_backend();
    let Some(proxy) = sandboxed(Config::before(&backend)) else {
        return;
    };
    let other = elsewhere(&PKI.other_server);
    move_elsewhere(&proxy, other.path());
    let log = proxy.reload();
    expect_parts(
        &log,
        &["not reloaded whole", "server.pem", "sandbox", "restart"],
    );
    assert_eq!(shown_to_a_client(&proxy), PKI.server.certificate.as_ref());
    assert!(!proxy.reload().contains("sandbox"), "it is said once");
}

#[test]
fn without_the_sandbox_it_is_read() {
    let backend = tls_backend();
    let proxy = Proxy::start(Config::before(&backend).with("sandbox: false"));
    expect_parts(&proxy.log(), &["WARN", "sandbox: false"]);
    let other = elsewhere(&PKI.other_server);
    move_elsewhere(&proxy, other.path());
    expect_parts(&proxy.reload(), &["reloaded"]);
    let shown = shown_to_a_client(&proxy);
    assert_eq!(shown, PKI.other_server.certificate.as_ref());
}

/// A volume of Kubernetes: the files are links to `..data`, itself a link that is turned to a new folder.
#[test]
fn a_volume_whose_data_link_is_swapped_is_read_in_the_sandbox() {
    let backend = tls_backend();
    let volume = tempfile::tempdir().expect("make a folder");
    let at = |name: &str| volume.path().join(name);
    for (version, identity) in [("..1", &PKI.server), ("..2", &PKI.other_server)] {
        fs::create_dir(at(version)).expect("make a folder");
        identity.replace(&at(version), "server");
    }
    turn(&at("..data"), "..1".as_ref());
    for name in ["server.pem", "server.key"] {
        turn(&at(name), &Path::new("..data").join(name));
    }
    let security = format!(
        "{{ ssl-cert: {0}/server.pem, ssl-key: {0}/server.key }}",
        volume.path().display()
    );
    let Some(proxy) = sandboxed(Config::before(&backend).security(&security)) else {
        return;
    };
    assert_eq!(shown_to_a_client(&proxy), PKI.server.certificate.as_ref());
    turn(&at("..data"), "..2".as_ref());
    expect_parts(&proxy.reload(), &["reloaded"]);
    let shown = shown_to_a_client(&proxy);
    assert_eq!(shown, PKI.other_server.certificate.as_ref());
}

/// With a certificate of its own making: its files, and the socket's, are written in the sandbox and removed.
#[test]
fn state_is_written_and_the_unix_socket_made_and_removed_in_the_sandbox() {
    let backend = tls_backend();
    let config = Config::before(&backend)
        .security("{ auto-tls: true }")
        .unix_socket();
    let Some(mut proxy) = sandboxed(config) else {
        return;
    };
    assert!(proxy.path("state/ca.pem").exists());
    assert!(proxy.unix_socket().exists());
    proxy.terminate();
    assert_eq!(proxy.exit_status().code(), Some(0));
    assert!(!proxy.unix_socket().exists());
    let log = proxy.log();
    assert!(!log.contains("in memory") && !log.contains("remove socket"));
}

/// The name of its server is looked up in the sandbox.
#[test]
fn a_server_with_a_name_is_dialled_in_the_sandbox() {
    let backend = tls_backend();
    let port = port_of(&backend);
    let from = format!(
        "{{ host: localhost, port: {port}, security: {{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }} }}"
    );
    // it starts when the greeting was learnt
    sandboxed(Config::to(&from));
}

fn port_of(backend: &Backend) -> &str {
    let (_, port) = backend.endpoint.rsplit_once("port: ").expect("a port");
    port.trim()
}
