//! What real servers answer about a session's TLS: through mytls the same columns and rows as directly, with the client's
//! side in them.
//!
//! `support::lab` says where they are.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts};

use crate::support::lab::RealServer;
use crate::support::proxy::{Config, Proxy};

/// Asked as a text, and prepared.
const QUESTIONS: [&str; 7] = [
    "SHOW STATUS LIKE 'Ssl%'",
    "SHOW GLOBAL STATUS LIKE 'ssl_version'",
    "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Ssl_version', 'Max_used_connections') AND Value <> '-'",
    "SHOW LOCAL STATUS WHERE variable_name LIKE 'ssl\\_cip%' OR Variable_name LIKE 'wsrep\\_ready'",
    "SELECT * FROM SCHEMA.session_status WHERE VARIABLE_NAME LIKE 'Ssl%'",
    "SELECT variable_value, s.Variable_Name FROM SCHEMA.global_status s WHERE variable_name IN ('Ssl_cipher', 'Ssl_version')",
    "SELECT (SELECT VARIABLE_VALUE FROM SCHEMA.session_status WHERE VARIABLE_NAME = 'Ssl_version') AS version, \
     VARIABLE_VALUE AS cipher FROM SCHEMA.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
];

/// What each session adds to, and what is of one certificate or the other.
const DIFFERENT: [&str; 7] = [
    "ssl_accepts",
    "ssl_finished_accepts",
    "ssl_session_cache_hits",
    "ssl_session_cache_misses",
    "ssl_server_not_after",
    "ssl_server_not_before",
    "ssl_default_timeout",
];

#[test]
fn mysql_9_7_tells_the_clients_side() {
    tells_the_clients_side("mysql97", "performance_schema");
}

#[test]
fn mariadb_10_11_tells_the_clients_side() {
    tells_the_clients_side("mariadb1011", "information_schema");
}

#[test]
fn mariadb_11_8_tells_the_clients_side() {
    tells_the_clients_side("mariadb118", "information_schema");
}

fn tells_the_clients_side(name: &'static str, schema: &str) {
    let Some(server) = RealServer::find(name) else {
        return;
    };
    let ca_of_server = format!("{}/root-ca.pem", server.pki);
    // the backend's side is never what the client's is
    for (client_tls, backend) in [
        (false, format!("{{ {} }}", server.tls())),
        (true, format!("{{ {} }}", server.tcp())),
    ] {
        let config = Config::to(&backend);
        let ca = config.path("ca.pem");
        let proxy = Proxy::start(config);
        let direct = options(server.port, client_tls.then_some(ca_of_server.as_ref()));
        let through = options(proxy.address.port(), client_tls.then_some(&*ca));
        tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(async {
                let mut direct = Conn::new(direct).await.expect("a direct session");
                let mut through = Conn::new(through).await.expect("a session through mytls");
                for question in QUESTIONS {
                    let question = question.replace("SCHEMA", schema);
                    same(&mut direct, &mut through, &question, client_tls).await;
                }
            });
    }
}

fn options(port: u16, ca: Option<&Path>) -> OptsBuilder {
    let tls = ca.map(|ca| SslOpts::default().with_root_certs(vec![ca.to_owned().into()]));
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some("empty_pw"))
        .prefer_socket(false)
        .ssl_opts(tls)
}

async fn same(direct: &mut Conn, through: &mut Conn, question: &str, client_tls: bool) {
    let (mut expected, mut told) = (Vec::new(), Vec::new());
    for (conn, rows) in [(direct, &mut expected), (through, &mut told)] {
        let text: Vec<Row> = conn.query(question).await.expect(question);
        let prepared: Vec<Row> = conn.exec(question, ()).await.expect(question);
        rows.extend(text.iter().map(fields));
        rows.extend(prepared.iter().map(fields));
    }
    assert!(!expected.is_empty(), "{question}");
    assert_eq!(told, expected, "{question}, TLS: {client_tls}");
    if !client_tls {
        let version =
            |row: &Vec<(String, String)>| row[0].1 == "Ssl_version" && row[1].1.is_empty();
        assert!(
            question != QUESTIONS[0] || told.iter().any(version),
            "{told:?}"
        );
    }
}

/// Columns' names and their values, without those that differ anyway.
fn fields(row: &Row) -> Vec<(String, String)> {
    let name: String = row.get(0).unwrap_or_default();
    let differs = DIFFERENT.contains(&&*name.to_lowercase());
    let columns = row.columns_ref().iter().enumerate();
    columns
        .map(|(place, column)| {
            let value: String = row.get(place).unwrap_or_default();
            let value = if differs && place > 0 {
                String::new()
            } else if value.starts_with("TLS_") {
                "a cipher of TLS 1.3, or a list of them: each server prefers another".to_owned()
            } else {
                value
            };
            (column.name_str().into_owned(), value)
        })
        .collect()
}
