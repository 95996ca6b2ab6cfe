//! Files that change while sessions live, noticed when a connection is made.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, RootCertStore};

use crate::support::backend::{Backend, Server};
use crate::support::client::Client;
use crate::support::conversation::Event;
use crate::support::handshake::Login;
use crate::support::pki::{Identity, PKI, replace};
use crate::support::proxy::{Config, Proxy};
use crate::support::visit::{
    expect_parts, login, login_over_tls, shown_to_a_client, started, tls_backend,
};

#[test]
fn data_port_rereads_only_where_that_is_on() {
    for (lines, expected) in [
        ("", &PKI.server),
        ("reread-certificates: true", &PKI.other_server),
    ] {
        let (_backend, proxy) = started(lines);
        assert_eq!(shown_to_a_client(&proxy), PKI.server.certificate.as_ref());
        PKI.other_server.replace(proxy.folder(), "server");
        assert_eq!(
            shown_to_a_client(&proxy),
            expected.certificate.as_ref(),
            "{lines:?}"
        );
    }
}

/// Certificate and key are written one after the other; whoever connects between the two notices nothing.
#[test]
fn torn_pair_on_disk_serves_the_last_good_one() {
    let (_backend, proxy) = started("reread-certificates: true");
    let folder = proxy.folder();
    replace(
        &folder.join("server.pem"),
        &PKI.other_server.certificate_pem,
    );
    for _ in 0..3 {
        assert_eq!(shown_to_a_client(&proxy), PKI.server.certificate.as_ref());
    }
    assert_eq!(
        proxy.log().matches("cannot be used").count(),
        1,
        "it is said once:\n{}",
        proxy.log()
    );
    expect_parts(&proxy.log(), &["mysql_main", "server.pem"]);
    replace(
        &folder.join("server.key"),
        &PKI.other_server.key.serialize_pem(),
    );
    assert_eq!(
        shown_to_a_client(&proxy),
        PKI.other_server.certificate.as_ref()
    );
}

/// The certificates that the backend was shown with each login, in order.
fn shown_to_the_backend(backend: &Backend) -> Vec<Option<Vec<u8>>> {
    let certificate = |events: Vec<Event>| match &events[..] {
        [_, _, Event::Tls(peer), Event::Login(_), ..] => Some(peer.certificate.clone()),
        _ => None,
    };
    backend
        .events()
        .into_iter()
        .filter_map(certificate)
        .collect()
}

#[test]
fn backend_is_shown_the_new_certificate_as_soon_as_it_is_there() {
    let (backend, proxy) = started("");
    let expect = |identities: &[&Identity]| {
        let expected: Vec<_> = identities
            .iter()
            .map(|identity| Some(identity.certificate.to_vec()))
            .collect();
        assert_eq!(shown_to_the_backend(&backend), expected);
    };
    assert_eq!(login(&proxy, "app"), None);
    replace(
        &proxy.folder().join("proxy-client.pem"),
        &PKI.client.certificate_pem,
    );
    assert_eq!(login(&proxy, "app"), None, "a torn pair");
    expect(&[&PKI.proxy_client, &PKI.proxy_client]);
    replace(
        &proxy.folder().join("proxy-client.key"),
        &PKI.client.key.serialize_pem(),
    );
    assert_eq!(login(&proxy, "app"), None);
    expect(&[&PKI.proxy_client, &PKI.proxy_client, &PKI.client]);
}

/// The endpoint is left alone for the certificates that it failed with, not for new ones.
#[test]
fn backend_of_an_untrusted_ca_is_dialled_again_once_its_ca_is_there() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.other_server)));
    let security = "{ ssl-ca: backend-ca.pem }";
    let config = Config::before(&backend).backend_security(&backend, security);
    replace(&config.path("backend-ca.pem"), &PKI.ca.certificate_pem);
    let proxy = Proxy::start(config);
    for round in 0..5 {
        let error = login(&proxy, "app");
        assert_eq!(error, Some(2026), "round {round}");
    }
    assert_eq!(backend.logins(), []);
    let ca = proxy.folder().join("backend-ca.pem");
    replace(&ca, &PKI.other_ca.certificate_pem);
    assert_eq!(login(&proxy, "app"), None);
    replace(&ca, &PKI.ca.certificate_pem);
    assert_eq!(login(&proxy, "app"), Some(2026));
    proxy.wait_for_log("TLS reread");
}

/// Each dial would count towards the server's `max_connect_errors`.
#[test]
fn backend_without_usable_certificates_is_dialled_once_and_then_when_they_are_there() {
    let backend = tls_backend();
    let config = Config::before(&backend);
    replace(&config.path("proxy-client.key"), "no key");
    let proxy = Proxy::start(config);
    let line = proxy.wait_for_log("secure connection is NOT ENABLED");
    expect_parts(&line, &["source", "proxy-client.key"]);
    let dials = backend.dials();
    for _ in 0..5 {
        assert_eq!(login(&proxy, "app"), Some(2026));
    }
    assert_eq!(backend.dials(), dials, "a session dialled");
    PKI.proxy_client.replace(proxy.folder(), "proxy-client");
    assert_eq!(login(&proxy, "app"), None);
}

/// Files as the manuals make them, with OpenSSL's command.
#[test]
fn files_made_by_openssl_are_rotated() {
    let (_backend, proxy) = started("reread-certificates: true");
    let folder = proxy.folder();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let leaf = "req -x509 -newkey rsa:2048 -nodes -days 30 -CA new-ca.pem -CAkey new-ca.key -addext basicConstraints=CA:FALSE";
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=new -keyout new-ca.key -out new-ca.pem",
    );
    openssl(&format!(
        "{leaf} -subj /CN=server -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout new.key -out new.pem"
    ));
    let mut roots = RootCertStore::empty();
    let ca = openssl("x509 -in new-ca.pem -outform DER");
    roots.add(ca.into()).expect("a CA certificate");
    for kind in ["key", "pem"] {
        let old = folder.join(format!("server.{kind}"));
        std::fs::rename(folder.join(format!("new.{kind}")), old).expect("rename a file");
    }
    let trusting = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert_eq!(login_over_tls(&proxy, "app", &Arc::new(trusting)), Ok(()));
}

/// For how long the next test swaps; the default suits a developer's patience.
fn swapping() -> Duration {
    let seconds = std::env::var("MYTLS_TEST_SWAP_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// A volume as Kubernetes mounts a Secret: every file is a link into `..data`, and that link is swapped.
fn write_volume(volume: &Path) {
    for (version, server) in [("..1", &PKI.server), ("..2", &PKI.other_server)] {
        let folder = volume.join(version);
        std::fs::create_dir_all(&folder).expect("make a folder");
        server.replace(&folder, "server");
        let client = if version == "..1" {
            &PKI.proxy_client
        } else {
            &PKI.client
        };
        client.replace(&folder, "proxy-client");
    }
    swap(volume, "..1");
    for name in ["server", "proxy-client"] {
        for kind in ["pem", "key"] {
            let file = format!("{name}.{kind}");
            let target = Path::new("..data").join(&file);
            std::os::unix::fs::symlink(target, volume.join(file)).expect("link a file");
        }
    }
}

fn swap(volume: &Path, version: &str) {
    let new = volume.join("..data_tmp");
    std::os::unix::fs::symlink(version, &new).expect("link a folder");
    std::fs::rename(new, volume.join("..data")).expect("swap the link");
}

/// No connection fails, none sees a mixed pair: either would end its handshake, on one side or the other.
#[test]
fn volume_that_is_swapped_ten_times_a_second_fails_no_connection() {
    let backend = tls_backend();
    let volume = "{ ssl-ca: ca.pem, ssl-cert: volume/server.pem, ssl-key: volume/server.key }";
    let towards =
        "{ ssl-ca: ca.pem, ssl-cert: volume/proxy-client.pem, ssl-key: volume/proxy-client.key }";
    let config = Config::before(&backend)
        .security(volume)
        .backend_security(&backend, towards)
        .with("reread-certificates: true");
    write_volume(&config.path("volume"));
    let proxy = Proxy::start(config);
    let volume = proxy.folder().join("volume");
    let (mut bystander, sessions) = (
        Client::logged_in(proxy.address, &Login::of("app")),
        AtomicUsize::new(0),
    );
    let end = Instant::now() + swapping();
    let mut swaps = 0;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < end {
                    shown_to_a_client(&proxy);
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while Instant::now() < end {
            swaps += 1;
            swap(&volume, if swaps % 2 == 0 { "..1" } else { "..2" });
            thread::sleep(Duration::from_millis(100)); // the pace is what is tested
            bystander.query("SELECT 1");
            bystander.expect_echo("SELECT 1");
        }
    });
    let log = proxy.log();
    assert!(!log.contains("cannot be used"), "{log}");
    let rereads = |channel: &str| {
        let is_it = |line: &&str| line.contains("TLS reread") && line.contains(channel);
        log.lines().filter(is_it).count()
    };
    for channel in ["mysql_main", "source"] {
        let rereads = rereads(channel);
        assert!(
            rereads > 0 && rereads <= swaps,
            "{channel}: {rereads} generations of {swaps} swaps"
        );
    }
    assert!(sessions.load(Ordering::Relaxed) > 0, "no load");
    let versions = [&PKI.server, &PKI.other_server];
    let last = versions[swaps % 2];
    assert_eq!(shown_to_a_client(&proxy), last.certificate.as_ref());
}
