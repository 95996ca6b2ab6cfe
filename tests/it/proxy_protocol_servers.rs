//! PROXY headers to MariaDB, which chooses the account by the client's address then: imported rules go by the same one.
//!
//! `support::lab` says where it is. The tests let MariaDB 11.8 take headers from 127.0.0.1, and 10.11 from nobody.

use std::path::Path;

use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::lab::RealServer;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};

fn root(server: &RealServer) -> Client {
    let mut root =
        Client::connect_unix(&Path::new(&server.run).join(format!("{}.sock", server.name)));
    root.greeting();
    root.send_login(&Login {
        charset: 45,
        ..Login::of("root").without_password()
    });
    assert!(root.authenticate(ClientPlugin::default()).is_ok());
    root
}

#[track_caller]
fn run(client: &mut Client, sql: &str) {
    client.query(sql);
    let answer = &client.read_answer(1)[0];
    assert!(answer.is_ok(), "{sql}: {:?}", answer.error());
}

/// Without a password: what a server makes of one is others' business.
fn log_in(proxy: &Proxy, from: [u8; 4], user: &str) -> Result<Client, (u16, String)> {
    let mut client = Client::connect_from(from, proxy.address);
    client.greeting();
    client.send_login(&Login::of(user).without_password());
    match client.authenticate(ClientPlugin::default()).error() {
        Some(error) => Err((error.code, error.message)),
        None => Ok(client),
    }
}

#[track_caller]
fn value(client: &mut Client, sql: &str) -> String {
    client.query(sql);
    let packets = client.read_answer(4);
    let row = &packets[2].payload;
    String::from_utf8_lossy(&row[1..]).into_owned()
}

#[test]
fn mariadb_chooses_the_account_of_the_clients_own_address() {
    let Some(server) = RealServer::find("mariadb118") else {
        return;
    };
    let mut root = root(&server);
    run(
        &mut root,
        "SET GLOBAL proxy_protocol_networks = '127.0.0.1'",
    );
    for (user, host, require) in [
        ("pp_own", "127.0.0.1", "NONE"),
        ("pp_own", "localhost", "NONE"),
        ("pp_app", "127.0.0.9", "NONE"),
        ("pp_app", "127.0.0.1", "X509"),
        ("pp_strict", "127.0.0.9", "X509"),
        ("pp_strict", "127.0.0.1", "NONE"),
    ] {
        run(&mut root, &format!("DROP USER IF EXISTS {user}@'{host}'"));
        let identified = format!("CREATE USER {user}@'{host}' REQUIRE {require}");
        run(&mut root, &identified);
    }
    for host in ["127.0.0.1", "localhost"] {
        run(
            &mut root,
            &format!("SET PASSWORD FOR pp_own@'{host}' = PASSWORD('pp-pw')"),
        );
        run(
            &mut root,
            &format!("GRANT SELECT ON mysql.* TO pp_own@'{host}'"),
        );
    }
    let proxy = Proxy::start(
        Config::to(&format!("{{ {} }}", server.tls()))
            .with("import-accounts: {user: pp_own, password: pp-pw}\nproxy-protocol: {send: true}"),
    );
    proxy.wait_for_log("accounts are imported");

    // the import judges by the client's address before the server is asked …
    let (code, message) = log_in(&proxy, [127, 0, 0, 9], "pp_strict").expect_err("X509");
    assert_eq!(code, 1045);
    assert!(message.contains("'pp_strict'@'127.0.0.9'"), "{message}");
    // … and the server chooses by it: without the header it would have been the account at mytls' address
    let mut client = log_in(&proxy, [127, 0, 0, 9], "pp_app").expect("logged in");
    assert_eq!(
        value(&mut client, "SELECT CURRENT_USER()"),
        "pp_app@127.0.0.9"
    );
    let host = value(
        &mut client,
        "SELECT SUBSTRING_INDEX(HOST, ':', 1) FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()",
    );
    assert_eq!(host, "127.0.0.9");
    drop(client);
    for user in [
        "pp_own@'127.0.0.1', pp_own@localhost",
        "pp_app@'127.0.0.9', pp_app@'127.0.0.1'",
        "pp_strict@'127.0.0.9', pp_strict@'127.0.0.1'",
    ] {
        run(&mut root, &format!("DROP USER {user}"));
    }
}

#[test]
fn a_server_that_takes_headers_from_nobody_says_so_in_the_log() {
    for (name, reason) in [
        ("mariadb1011", "Proxy header is not accepted from 127.0.0.1"),
        ("mysql97", "does proxy-protocol.send fit this server?"),
    ] {
        let Some(server) = RealServer::find(name) else {
            continue;
        };
        for from in [server.tcp(), server.tls()] {
            let config = Config::to(&format!("{{ {from} }}")).with("proxy-protocol: {send: true}");
            let proxy = Proxy::start(config);
            let (code, _) = log_in(&proxy, [127, 0, 0, 9], "app").expect_err("refused");
            assert_eq!(code, 2003, "{name}");
            proxy.wait_for_log(reason);
        }
    }
}
