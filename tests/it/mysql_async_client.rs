//! `mysql_async`, a client that we did not write, through mytls to real servers, with TLS on both sides.
//!
//! `support::lab` says where they are.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Compression, Conn, Error, Opts, OptsBuilder, SslOpts, TxOpts};

use crate::support::lab::RealServer;
use crate::support::proxy::{Config, Proxy};

#[test]
fn mysql_async_works_with_mysql_9_7() {
    works_with("mysql97");
}

#[test]
fn mysql_async_works_with_mariadb_10_11() {
    works_with("mariadb1011");
}

#[test]
fn mysql_async_works_with_mariadb_11_8() {
    works_with("mariadb118");
}

fn works_with(name: &'static str) {
    let Some(server) = RealServer::find(name) else {
        return;
    };
    let (tcp, pki) = (server.tcp(), &server.pki);
    let config = Config::to(&format!(
        "{{ {tcp}, security: {{ ssl-ca: {pki}/root-ca.pem, \
         ssl-cert: {pki}/client-worker-rsa.pem, ssl-key: {pki}/client-worker-rsa.key }} }}"
    ))
    .with("compression: true\naccounts: [{ user: \"'app_ssl'@'%'\", require: SSL }]");
    let ca = config.path("ca.pem");
    let proxy = Proxy::start(config);
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(proxy.address.port())
        .user(Some("app_ssl"))
        .pass(Some("app-pw"))
        .prefer_socket(false);
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async {
            refused_without_tls(options.clone()).await;
            for compression in [None, Some(Compression::fast())] {
                let options = options.clone().compression(compression);
                session(options, &ca).await.expect("a whole session");
            }
        });
}

async fn refused_without_tls(options: OptsBuilder) {
    match Conn::new(options).await {
        Err(Error::Server(error)) => assert_eq!((error.code, &*error.state), (1045, "28000")),
        other => panic!("plaintext in spite of REQUIRE SSL: {other:?}"),
    }
}

async fn session(options: OptsBuilder, ca: &Path) -> mysql_async::Result<()> {
    let tls = SslOpts::default().with_root_certs(vec![ca.to_owned().into()]);
    let mut client = Conn::new(Opts::from(options.ssl_opts(tls))).await?;
    assert_eq!(user(&mut client).await?, "app_ssl@%");

    let sum: Option<i64> = client
        .exec_first("SELECT CAST(? + ? AS SIGNED)", (40, 2))
        .await?;
    assert_eq!(sum, Some(42));
    client
        .query_drop("CREATE TEMPORARY TABLE sbtest.numbers (n INT)")
        .await?;
    let mut transaction = client.start_transaction(TxOpts::default()).await?;
    transaction
        .exec_batch(
            "INSERT INTO sbtest.numbers VALUES (?)",
            (0..100).map(|n| (n,)),
        )
        .await?;
    transaction.commit().await?;
    let numbers: Vec<i32> = client.query("SELECT n FROM sbtest.numbers").await?;
    assert_eq!(numbers.len(), 100);

    match client.query_drop("SELEC 1").await {
        Err(Error::Server(error)) => assert_eq!(error.code, 1064),
        other => panic!("a syntax error is none: {other:?}"),
    }
    let large: Option<String> = client.query_first("SELECT REPEAT('x', 20000000)").await?;
    assert_eq!(large.map(|text| text.len()), Some(20_000_000));

    client
        .change_user(
            ChangeUserOpts::new()
                .with_user(Some("app".to_owned()))
                .with_pass(Some("app-pw".to_owned())),
        )
        .await?;
    assert_eq!(user(&mut client).await?, "app@%");
    assert!(client.reset().await?);
    client.ping().await?;
    client.disconnect().await
}

async fn user(client: &mut Conn) -> mysql_async::Result<String> {
    let user: Option<String> = client.query_first("SELECT CURRENT_USER()").await?;
    Ok(user.expect("one row"))
}
