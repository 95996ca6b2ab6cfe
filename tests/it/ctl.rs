//! `mytls ctl` against running ones: what it refuses, what it prints, and what it exits with.

use std::fs;

use crate::support::admin::{backend, start};
use crate::support::backend::{Backend, Server};
use crate::support::pki::{PKI, replace};
use crate::support::plugin::PASSWORD;
use crate::support::proxy::{Config, Proxy, Run, address_in, run_with_input, wait_until};
use crate::support::visit::shown_to_a_client;

/// A port that nobody listens on.
const NOBODY: &str = "127.0.0.1:1";

fn file(proxy: &Proxy, name: &str) -> String {
    proxy.path(name).display().to_string()
}

/// `mytls ctl` with these arguments, cut at blanks; `input` is its standard input.
fn ask(arguments: &str, input: &str) -> Run {
    let arguments: Vec<&str> = ["ctl"].into_iter().chain(arguments.split(' ')).collect();
    run_with_input(&arguments, &[], input)
}

/// The options with which the user by password asks these addresses.
fn as_ops(proxy: &Proxy, addresses: &str) -> String {
    let secret = file(proxy, "ops.secret");
    format!("--admin-addr {addresses} --user ops --password-file {secret}")
}

#[track_caller]
fn expect_failed(run: &Run, address: &str, reason: &str) {
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = format!("mytls: {address}: ");
    let found = run.stderr.lines().find_map(|text| text.strip_prefix(&line));
    let found = found.unwrap_or_else(|| panic!("no {line} in {run:?}"));
    assert!(found.contains(reason), "{found}");
}

#[test]
fn a_wrong_password_is_refused_and_never_printed() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address().to_string();
    let with = |environment: &[(&str, &str)]| {
        let arguments = ["ctl", "--admin-addr", &address, "--user", "ops", "status"];
        run_with_input(&arguments, environment, "")
    };
    let none = with(&[]);
    expect_failed(&none, &address, "ERROR 1045 (28000): Access denied");
    assert!(none.stderr.contains("using password: NO"), "{none:?}");
    let wrong = with(&[("MYTLS_CTL_PASSWORD", "wrong-pw")]);
    expect_failed(&wrong, &address, "(using password: YES)");
    assert!(!wrong.stderr.contains("wrong-pw"), "{wrong:?}");
    assert_eq!(wrong.stdout, "");
    let right = with(&[("MYTLS_CTL_PASSWORD", PASSWORD)]);
    assert_eq!(right.code, Some(0), "{right:?}");
}

#[test]
fn a_port_that_the_ca_does_not_verify_gets_no_login() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address().to_string();
    let ops = as_ops(&proxy, &address);
    fs::write(proxy.path("other.pem"), &PKI.other_ca.certificate_pem).expect("write");
    let other = file(&proxy, "other.pem");
    let wrong_ca = ask(&format!("{ops} --ssl-ca {other} status"), "");
    expect_failed(
        &wrong_ca,
        &address,
        "TLS failed: its certificate /CN=server",
    );
    let missing = ask(&format!("{ops} --ssl-ca /nowhere/ca.pem status"), "");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    let reason = "ssl-ca /nowhere/ca.pem: there is no such file";
    assert!(missing.stderr.contains(reason), "{missing:?}");
    let logins = ask(&ops, "SHOW STATUS LIKE 'Mytls_admin_logins%'");
    assert!(logins.stdout.contains("Mytls_admin_logins_failed\t0\n"));
}

#[test]
fn a_name_counts_where_it_is_asked_for() {
    let backend = backend();
    let section = "admin: { listen: [\"127.0.0.1:0\", \"127.0.0.2:0\"], security: { ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key }, users: [{ user: ops, password-file: ops.secret }] }";
    let proxy = Proxy::start(
        Config::before(&backend)
            .with_file("ops.secret", PASSWORD)
            .with(section),
    );
    let other = proxy.wait_for_line("its other address", |line| {
        line.contains("mysql_admin") && line.contains("address=127.0.0.2:")
    });
    let other = address_in(&other);
    let named = format!("localhost:{}", proxy.admin_address().port());
    let ca = file(&proxy, "ca.pem");
    for (host, mode, code) in [
        (other.to_string(), "VERIFY_IDENTITY", 1),
        (other.to_string(), "VERIFY_CA", 0),
        (named, "verify_identity", 0),
    ] {
        let ops = as_ops(&proxy, &host);
        let run = ask(
            &format!("{ops} --ssl-ca {ca} --ssl-mode {mode} backends"),
            "",
        );
        assert_eq!(run.code, Some(code), "{host} {mode}: {run:?}");
    }
}

#[test]
fn wrong_usage_exits_with_64_and_asks_nobody() {
    for (arguments, reason) in [
        (
            "--admin-addr mytls.internal status",
            "plaintext over the network",
        ),
        ("--ssl-mode VERIFY_CA status", "--ssl-mode needs --ssl-ca"),
        ("relod", "`relod` is none of the words"),
        ("route home", "write: route source|target"),
        ("--password=secret status", "unexpected value"),
    ] {
        let run = ask(&format!("--user ops {arguments}"), "");
        assert_eq!(run.code, Some(64), "{arguments}: {run:?}");
        assert!(run.stderr.contains(reason), "{arguments}: {run:?}");
    }
}

#[test]
fn a_statement_that_is_refused_is_the_last() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address().to_string();
    let run = ask(&as_ops(&proxy, &address), "SELECT 1; nonsense; SELECT 2;");
    expect_failed(&run, &address, "ERROR 1064 (42000): You have an error");
    assert_eq!(run.stdout, "1\n1\n");
}

#[test]
fn one_that_is_down_does_not_keep_the_others_from_answering() {
    let backend = backend();
    let (one, other) = (start(&backend), start(&backend));
    let (first, second) = (one.admin_address(), other.admin_address());
    let ops = as_ops(&one, &format!("{first},{NOBODY} --master-addr {second}"));
    let run = ask(&format!("{ops} backends"), "");
    expect_failed(&run, NOBODY, "Connection refused");
    let lines: Vec<&str> = run.stdout.lines().collect();
    for (line, start) in lines.iter().zip([
        "Address\tRoute\t".to_owned(),
        format!("{first}\tsource\t"),
        format!("{second}\tsource\t"),
    ]) {
        assert!(line.starts_with(&start), "{lines:?}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
    let json = ask(&format!("{ops} --json backends"), "");
    assert_eq!((json.code, json.stderr.as_str()), (Some(1), ""));
    let lines: Vec<&str> = json.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let failed = format!("{{\"address\":\"{NOBODY}\",\"statement\":\"SHOW BACKENDS\",\"error\":");
    assert!(lines[1].starts_with(&failed), "{lines:?}");
}

#[test]
fn answers_are_printed_as_they_are_asked_for() {
    let backend = backend();
    let proxy = start(&backend);
    let ops = as_ops(&proxy, &proxy.admin_address().to_string());
    let vertical = ask(&ops, "SELECT 1 AS one\\G");
    assert!(vertical.stdout.ends_with("one: 1\n"), "{vertical:?}");
    for (arguments, stdout) in [
        ("reload", ""),
        ("--table reload", "OK\n"),
        ("--table processlist", "Empty set\n"),
        ("-t -e SELECT/**/1", "+---+\n| 1 |\n+---+\n| 1 |\n+---+\n"),
        ("--batch -e SELECT/**/1", "1\n1\n"),
    ] {
        let run = ask(&format!("{ops} {arguments}"), "");
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(0), stdout),
            "{run:?}"
        );
    }
    let json = ask(&format!("{ops} --json -e SELECT/**/1"), "");
    assert!(
        json.stdout.ends_with(",\"rows\":[{\"1\":1}]}\n"),
        "{json:?}"
    );
}

#[test]
fn a_certificate_alone_logs_in() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address();
    fs::write(proxy.path("client.pem"), &PKI.client.certificate_pem).expect("write");
    fs::write(proxy.path("client.key"), PKI.client.key.serialize_pem()).expect("write");
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| file(&proxy, name));
    let rotate = format!("--admin-addr {address} --user rotate --ssl-ca {ca}");
    let run = ask(&rotate, "SELECT CURRENT_USER()");
    expect_failed(&run, &address.to_string(), "ERROR 1045 (28000)");
    let with = format!("{rotate} --ssl-cert {cert} --ssl-key {key}");
    let run = ask(&with, "SELECT CURRENT_USER()");
    assert_eq!(run.stdout, "CURRENT_USER()\nrotate@127.0.0.1\n", "{run:?}");
}

#[test]
fn warnings_are_said_beside_the_answer() {
    let backend = backend();
    let proxy = start(&backend);
    let address = proxy.admin_address().to_string();
    let ops = as_ops(&proxy, &address);
    fs::write(proxy.path("server.key"), "no key").expect("write");
    let refused = ask(&format!("{ops} reload mysql_main"), "");
    expect_failed(&refused, &address, "server.key");
    let sql = "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main NO ROLLBACK ON ERROR";
    let off = ask(&ops, sql);
    assert_eq!(off.code, Some(0), "{off:?}");
    let warning = format!("mytls: {address}: warning: ");
    assert!(off.stderr.starts_with(&warning), "{off:?}");
}

#[test]
fn a_socket_is_asked_too_whoever_one_is() {
    let backend = backend();
    let config = Config::before(&backend).with_file("ops.secret", PASSWORD);
    let socket = config.path("admin.sock");
    let address = format!("unix:{}", socket.display());
    let section = format!(
        "admin: {{ listen: \"{address}\", users: [{{ user: ops, password-file: ops.secret }}] }}"
    );
    let proxy = Proxy::start(config.with(&section));
    wait_until("the socket", || socket.exists());
    let run = ask(&as_ops(&proxy, &address), "SELECT CURRENT_USER()");
    assert_eq!(run.stdout, "CURRENT_USER()\nops@localhost\n", "{run:?}");
}

/// The certificate that a client is shown, and all those of SHOW FULL CERTIFICATES, without the folder of their files.
fn in_force(proxy: &Proxy) -> (Vec<u8>, String) {
    let ops = as_ops(proxy, &proxy.admin_address().to_string());
    let certificates = ask(&ops, "SHOW FULL CERTIFICATES");
    assert_eq!(certificates.code, Some(0), "{certificates:?}");
    let folder = proxy.folder().display().to_string();
    (
        shown_to_a_client(proxy),
        certificates.stdout.replace(&folder, ""),
    )
}

#[test]
fn a_reload_does_to_certificates_what_sighup_does() {
    let backend = backend();
    let (hung_up, asked) = (start(&backend), start(&backend));
    let ops = as_ops(&asked, &asked.admin_address().to_string());
    let at_start = in_force(&hung_up);
    assert_eq!(in_force(&asked), at_start);

    for proxy in [&hung_up, &asked] {
        replace(&proxy.path("server.key"), "no key");
    }
    let log = hung_up.reload();
    let refused = ask(&format!("{ops} reload"), "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for said in [&log, &refused.stderr] {
        assert!(said.contains("server.key"), "{said}");
    }
    assert_eq!(in_force(&hung_up), at_start);
    assert_eq!(in_force(&asked), at_start);

    for proxy in [&hung_up, &asked] {
        PKI.other_server.replace(proxy.folder(), "server");
    }
    let log = hung_up.reload();
    assert!(!log.contains("ERROR"), "{log}");
    let done = ask(&format!("{ops} reload"), "");
    assert_eq!(done.code, Some(0), "{done:?}");
    let renewed = in_force(&hung_up);
    assert_eq!(renewed.0, PKI.other_server.certificate.as_ref());
    assert_ne!(renewed.1, at_start.1);
    assert_eq!(in_force(&asked), renewed);
}

#[test]
fn shutdown_ends_them_all() {
    let backend = backend();
    let (mut one, mut other) = (start(&backend), start(&backend));
    let list = format!("{},{}", one.admin_address(), other.admin_address());
    let run = ask(&format!("{} shutdown", as_ops(&one, &list)), "");
    assert_eq!(run.code, Some(0), "{run:?}");
    for proxy in [&mut one, &mut other] {
        assert_eq!(proxy.exit_status().code(), Some(0));
    }
}

#[test]
fn a_source_file_of_dm_names_the_server() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let config = Config::before(&backend);
    let source = config.path("source.yaml");
    fs::write(
        &source,
        format!(
            "source-id: replica-01\nenable-gtid: true\nfrom: {{ {}, user: dm, password: '', security: \
             {{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }} }}\n",
            backend.endpoint
        ),
    )
    .expect("write");
    let source = source.display().to_string();
    let run = run_with_input(&["check", "--source", &source], &[], "");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("ok       source 127.0.0.1:"), "{run:?}");
    let task = run_with_input(&["check", "--task", &source], &[], "");
    assert_eq!(task.code, Some(64), "{task:?}");
    assert!(
        task.stderr.contains("there is no `target-database` in it"),
        "{task:?}"
    );
}
