//! What the admin port shows, for those who read it: people at a terminal, and exporters.

use std::time::Instant;

use crate::support::admin::{Table, backend, config, log_in, rows, start};
use crate::support::client::Client;
use crate::support::handshake::Login;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Proxy, wait_until};

/// What values come to where a site is larger than a test, in characters.
fn realistic(what: &str, column: &str) -> usize {
    match (what, column) {
        ("BACKENDS", "State") => "left alone: and the cut reason …".chars().count(),
        ("PROCESSLIST", "State") => "connecting".len(),
        // the path of a Unix socket
        (_, "Endpoint") => 45,
        (_, "Subject") => 40,
        (_, "User") => 12,
        (_, "Host") => "192.168.100.200".len(),
        (_, "db") => 10,
        (_, "Time" | "Count" | "Sessions") => "100000".len(),
        _ => 0,
    }
}

/// As the shells of MySQL print it: a bar and two blanks for each column, and a bar at the end.
fn width(what: &str, table: &Table) -> usize {
    let column = |(place, name): (usize, &String)| {
        let values = table.rows.iter().map(|row| {
            let value = row[place].as_deref().unwrap_or("NULL");
            value.chars().count()
        });
        let widths = values.chain([name.len(), realistic(what, name)]);
        3 + widths.max().unwrap_or_default()
    };
    table.columns.iter().enumerate().map(column).sum::<usize>() + 1
}

#[test]
fn tables_fit_into_a_terminal_of_120_columns() {
    let backend = backend();
    let rule =
        "accounts: [{ user: \"'strict'@'%'\", require: \"SUBJECT '/O=Lab/CN=somebody-else'\" }]";
    let proxy = Proxy::start(config(&backend, "").with(rule));
    let tls = PKI.client_tls(Some(&PKI.client));
    let login = Login::of("app").database("shop");
    let _session = Client::logged_in_over_tls(proxy.address, &login, &tls);
    let mut refused = Client::greeted(proxy.address);
    refused.send_login(&Login::of("strict"));
    let last = refused.authenticate(ClientPlugin::with_password());
    assert_eq!(last.error().map(|error| error.code), Some(1045));
    let mut client = log_in(&proxy);
    for what in ["PROCESSLIST", "DENIALS", "CERTIFICATES", "BACKENDS"] {
        let table = rows(&mut client, &format!("SHOW {what}"));
        assert!(!table.rows.is_empty(), "{what}");
        let width = width(what, &table);
        assert!(width <= 120, "{what}: {width} {table:?}");
        let full = rows(&mut client, &format!("SHOW FULL {what}"));
        assert_eq!(full.rows.len(), table.rows.len(), "{what}");
        assert!(full.columns.starts_with(&table.columns), "{what}: {full:?}");
        assert!(full.columns.len() > table.columns.len(), "{what}");
    }
}

/// How many sessions the next test has; `MYTLS_TEST_SESSIONS` for more.
fn sessions() -> usize {
    let number = std::env::var("MYTLS_TEST_SESSIONS").ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(200)
}

// How long the tables take is printed, and is for people to judge.
#[test]
#[expect(clippy::print_stderr, reason = "a time is for people to read")]
fn many_sessions_are_shown_and_counted_one_by_one() {
    let backend = backend();
    let number = sessions();
    let limits = format!(
        "limits: {{ connections: {0}, connections-before-login: {0}, login-time: 10m }}",
        number + 1
    );
    let proxy = Proxy::start(config(&backend, "").with(&limits));
    let _sessions: Vec<_> = (0..number)
        .map(|_| Client::greeted(proxy.address))
        .collect();
    let mut client = log_in(&proxy);
    // the one that saw whether mytls is ready may not be gone yet
    wait_until("these sessions alone", || {
        let status = rows(&mut client, "SHOW STATUS LIKE 'Threads_connected'");
        status.value("Threads_connected") == number.to_string()
    });
    for sql in ["SHOW PROCESSLIST", "SHOW FULL PROCESSLIST"] {
        let began = Instant::now();
        let list = rows(&mut client, sql);
        eprintln!("{sql}: {:?} for {number} sessions", began.elapsed());
        let mut ids = list.column("Id");
        ids.dedup();
        assert_eq!(ids.len(), number, "{sql}");
        let states = list.column("State");
        assert!(states.iter().all(|state| *state == Some("logging in")));
    }
    let began = Instant::now();
    let backends = rows(&mut client, "SHOW BACKENDS");
    eprintln!("SHOW BACKENDS: {:?}", began.elapsed());
    assert_eq!(
        backends.column("Sessions"),
        [Some(number.to_string().as_str())]
    );
}

/// What MySQL has as text or as a date; everything else that it has is a number.
const TEXTS: [&str; 9] = [
    "Current_tls_ca",
    "Current_tls_cert",
    "Current_tls_cipher",
    "Current_tls_ciphersuites",
    "Current_tls_crl",
    "Current_tls_key",
    "Current_tls_version",
    "Ssl_cipher",
    "Ssl_version",
];

/// Of mytls alone.
const OWN_TEXTS: [&str; 2] = ["Mytls_route", "Mytls_version"];

/// `Jan  1 00:00:00 4096 GMT`, as MySQL prints it.
fn is_date(text: &str) -> bool {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (Some(month), Some(day), Some(time)) = (text.get(..3), text.get(3..6), text.get(6..))
    else {
        return false;
    };
    let number = |text: &str, most: u32| text.parse().is_ok_and(|number: u32| number <= most);
    let rest: Vec<_> = time.split([' ', ':']).collect();
    let ["", hour, minute, second, year, "GMT"] = rest[..] else {
        return false;
    };
    MONTHS.find(month).is_some_and(|place| place % 3 == 0)
        && day.starts_with(' ')
        && number(day.trim_start(), 31)
        && [(hour, 23), (minute, 59), (second, 59)]
            .iter()
            .all(|(part, most)| part.len() == 2 && number(part, *most))
        && year.len() == 4
        && number(year, 9999)
}

#[test]
fn what_exporters_take_for_numbers_are_numbers_and_dates_are_dates() {
    let backend = backend();
    let proxy = start(&backend);
    let status = rows(&mut log_in(&proxy), "SHOW GLOBAL STATUS");
    let mut numbers = 0;
    for row in &status.rows {
        let [Some(name), Some(value)] = &row[..] else {
            panic!("NULL in {row:?}");
        };
        if name.starts_with("Ssl_server_not_") {
            assert!(is_date(value), "{name}: {value}");
        } else if !TEXTS.contains(&name.as_str()) && !OWN_TEXTS.contains(&name.as_str()) {
            assert!(value.parse::<u64>().is_ok(), "{name}: {value:?}");
            numbers += 1;
        }
    }
    assert!(numbers > 10, "{status:?}");
}
