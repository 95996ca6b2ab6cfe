//! Certificates that change before real servers, whose account `dm` demands one of them.
//!
//! `support::lab` says where they are.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, SslOpts};

use crate::support::lab::RealServer;
use crate::support::pki::replace;
use crate::support::proxy::{Config, Proxy};

#[test]
fn mysql_9_7_sees_the_certificate_that_was_put_in_place() {
    rotate_before("mysql97");
}

#[test]
fn mariadb_10_11_sees_the_certificate_that_was_put_in_place() {
    rotate_before("mariadb1011");
}

#[test]
fn mariadb_11_8_sees_the_certificate_that_was_put_in_place() {
    rotate_before("mariadb118");
}

fn rotate_before(name: &'static str) {
    let Some(server) = RealServer::find(name) else {
        return;
    };
    let (tcp, pki) = (server.tcp(), &server.pki);
    let config = Config::to(&format!(
        "{{ {tcp}, security: {{ ssl-ca: {pki}/root-ca.pem, ssl-cert: rotated.pem, ssl-key: rotated.key }} }}"
    ));
    let folder = config.path(".");
    let show = |name| show(name, Path::new(pki), &folder);
    show("client-worker-rsa");
    let proxy = Proxy::start(config);
    let dm = || log_in(&proxy);
    let steps = async {
        assert_eq!(refusal(dm().await), 1045, "dm's certificate is wanted");
        show("client-dm-rsa");
        let mut before = dm().await.expect("dm's certificate is shown");
        show("client-dm-otherca");
        // the server ends the handshake, or finds no certificate that it can trust
        let stranger = refusal(dm().await);
        assert!([1045, 2026].contains(&stranger), "{stranger}");
        show("client-dm-p256");
        dm().await.expect("the server is dialled at once");
        proxy.reload();
        dm().await.expect("the same certificate");
        before.ping().await.expect("a session from before");
    };
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(steps);
}

/// Puts a certificate of the lab in place, with its key.
fn show(name: &str, pki: &Path, folder: &Path) {
    for kind in ["pem", "key"] {
        let text =
            std::fs::read_to_string(pki.join(format!("{name}.{kind}"))).expect("read a file");
        replace(&folder.join(format!("rotated.{kind}")), &text);
    }
}

async fn log_in(proxy: &Proxy) -> Result<Conn, Error> {
    let ca = proxy.folder().join("ca.pem");
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(proxy.address.port())
        .user(Some("dm"))
        .pass(Some("dm-pw"))
        .prefer_socket(false)
        .ssl_opts(SslOpts::default().with_root_certs(vec![ca.into()]));
    Conn::new(options).await
}

/// The code of the ERR.
#[track_caller]
fn refusal(login: Result<Conn, Error>) -> u16 {
    match login {
        Err(Error::Server(error)) => error.code,
        other => panic!("no ERR: {other:?}"),
    }
}
