//! `GET /metrics`: each thing is counted once, and is what the other side has counted.

#![expect(
    clippy::float_cmp,
    reason = "counts and seconds are whole numbers, as they are printed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::admin;
use crate::support::backend::{Backend, Server};
use crate::support::client::{Client, ssl_request};
use crate::support::conversation::Event;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::metrics::{HTTP, Metrics};
use crate::support::packet::err;
use crate::support::pki::{Identity, PKI, replace};
use crate::support::proxy::{Config, Proxy, wait_until};
use crate::support::visit::{login, login_over_tls, started, tls_backend};

const REFUSALS: &str = "mytls_refusals_total";

/// Of a refusal by mytls.
fn by_mytls(reason: &str) -> String {
    format!("{REFUSALS}{{by=\"mytls\",reason=\"{reason}\"}}")
}

// ---- refusals ----------------------------------------------------------------------------------------------------------

#[test]
fn each_refusal_by_an_account_is_counted_once_under_its_reason() {
    let rules = [
        ("tls", "SSL"),
        ("certificate", "X509"),
        ("subject", "SUBJECT '/CN=another'"),
        ("issuer", "ISSUER '/CN=another'"),
        ("cipher", "CIPHER 'ECDHE-RSA-AES128-GCM-SHA256'"),
        ("san", "SAN 'DNS:another'"),
    ];
    let accounts: Vec<String> = rules
        .iter()
        .map(|(user, rule)| format!("  - {{ user: \"'{user}'@'%'\", require: \"{rule}\" }}\n"))
        .collect();
    let accounts = accounts.concat();
    let elsewhere = "  - { user: \"'elsewhere'@'192.0.2.1'\", require: NONE }\n";
    let (_backend, proxy) = started(&format!("{HTTP}\naccounts:\n{accounts}{elsewhere}"));
    let shown = PKI.client_tls(Some(&PKI.client));
    let attempts: [(&str, &str, &dyn Fn() -> bool); 8] = [
        ("require_tls", "tls", &|| login(&proxy, "tls") == Some(1045)),
        ("require_certificate", "certificate", &|| {
            login_over_tls(&proxy, "certificate", &PKI.client_tls(None)).is_err()
        }),
        ("require_subject", "subject", &|| {
            login_over_tls(&proxy, "subject", &shown).is_err()
        }),
        ("require_issuer", "issuer", &|| {
            login_over_tls(&proxy, "issuer", &shown).is_err()
        }),
        ("require_cipher", "cipher", &|| {
            login_over_tls(&proxy, "cipher", &shown).is_err()
        }),
        ("require_san", "san", &|| {
            login_over_tls(&proxy, "san", &shown).is_err()
        }),
        ("no_account", "elsewhere", &|| {
            login(&proxy, "elsewhere") == Some(1045)
        }),
        ("user_name", "long", &|| {
            login(&proxy, &"x".repeat(200)).is_some()
        }),
    ];
    for (reason, user, is_refused) in attempts {
        let before = Metrics::of(&proxy);
        assert!(is_refused(), "{user}");
        Metrics::expect_one_more(&proxy, &before, REFUSALS, &by_mytls(reason));
    }
    let end = Metrics::of(&proxy);
    assert_eq!(
        end.number("mytls_sessions_ended_total{outcome=\"refused\"}"),
        8.0
    );
    assert_eq!(end.number("mytls_logins_total"), 0.0);
}

#[test]
fn each_refusal_of_a_certificate_is_counted_once_under_its_reason() {
    let (_backend, proxy) = started(HTTP);
    let cases: [(&Identity, &str); 4] = [
        (&PKI.expired, "certificate_expired"),
        (&PKI.not_yet_valid, "certificate_not_yet_valid"),
        (&PKI.wrong_ca, "certificate_unknown_issuer"),
        (&PKI.server_auth_only, "certificate_other"),
    ];
    for (identity, reason) in cases {
        let before = Metrics::of(&proxy);
        login_over_tls(&proxy, "app", &PKI.client_tls(Some(identity))).expect_err(reason);
        Metrics::expect_one_more(&proxy, &before, REFUSALS, &by_mytls(reason));
    }
}

#[test]
fn refusals_of_the_whole_port_are_counted_once() {
    let backend = Backend::start(Server::mysql());
    let security =
        "{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key, cert-allowed-cn: [another] }";
    let lines = format!("{HTTP}\nrequire-secure-transport: true");
    let config = Config::before(&backend).with(&lines).security(security);
    let proxy = Proxy::start(config);
    let before = Metrics::of(&proxy);
    assert_eq!(login(&proxy, "app"), Some(3159));
    Metrics::expect_one_more(&proxy, &before, REFUSALS, &by_mytls("insecure_transport"));
    let before = Metrics::of(&proxy);
    let shown = PKI.client_tls(Some(&PKI.client));
    login_over_tls(&proxy, "app", &shown).expect_err("another name");
    Metrics::expect_one_more(&proxy, &before, REFUSALS, &by_mytls("common_name"));
}

#[test]
fn refusal_by_the_backend_is_told_from_our_own() {
    let errors = [
        (1045, "access_denied"),
        (1049, "unknown_database"),
        (1040, "too_many_connections"),
        (4711, "other"),
    ];
    for (code, reason) in errors {
        let server =
            Server::mysql().on_login(move |backend| backend.send(&err(code, "HY000", "no")));
        let backend = Backend::start(server);
        let proxy = Proxy::start(Config::before(&backend).with(HTTP));
        let before = Metrics::of(&proxy);
        let mut client = Client::greeted(proxy.address);
        client.send_login(&Login::of("app"));
        client.read();
        let series = format!("{REFUSALS}{{by=\"backend\",reason=\"{reason}\"}}");
        Metrics::expect_one_more(&proxy, &before, REFUSALS, &series);
    }
}

#[test]
fn refused_change_of_user_is_counted_and_ends_the_session() {
    let backend = Backend::start(Server::mysql());
    let rule = "accounts: [{ user: \"'strict'@'%'\", require: SSL }]";
    let proxy = Proxy::start(Config::before(&backend).with(&format!("{HTTP}\n{rule}")));
    let mut client = Client::logged_in(proxy.address, &Login::of("app"));
    let before = Metrics::of(&proxy);
    client.command(&ChangeUser::to("strict").payload());
    assert_eq!(client.error().code, 1045);
    Metrics::expect_one_more(&proxy, &before, REFUSALS, &by_mytls("require_tls"));
    let ended = "mytls_sessions_ended_total{outcome=\"change_user\"}";
    Metrics::wait_until(&proxy, ended, |now| now.number(ended) == 1.0);
}

#[test]
fn what_is_only_reported_is_no_refusal() {
    let backend = Backend::start(Server::mysql());
    let lines = format!("{HTTP}\nenforcement: report\ndefault-require: SSL");
    let proxy = Proxy::start(Config::before(&backend).with(&lines));
    let before = Metrics::of(&proxy);
    assert_eq!(login(&proxy, "app"), None);
    let series = "mytls_would_be_refused_total{reason=\"require_tls\"}";
    Metrics::expect_one_more(&proxy, &before, "mytls_would_be_refused_total", series);
    let after = Metrics::of(&proxy);
    assert_eq!(after.grown(&before, REFUSALS), []);
    assert_eq!(after.number("mytls_logins_total"), 1.0);
}

#[test]
fn limits_are_counted_by_their_keys() {
    let backend = Backend::start(Server::mysql());
    let lines = format!("{HTTP}\nlimits: {{ connections: 1, login-time: 300ms }}");
    let proxy = Proxy::start(Config::before(&backend).with(&lines));
    let hits = "mytls_limit_hits_total";
    let silent = wait_for_place(&proxy);
    let before = Metrics::of(&proxy);
    assert_eq!(Client::connect(proxy.address).error().code, 1040);
    let series = "mytls_limit_hits_total{limit=\"connections\"}";
    let after = Metrics::wait_until(&proxy, series, |now| {
        now.number(series) > before.number(series)
    });
    assert_eq!(after.number(series) - before.number(series), 1.0);
    let late = "mytls_limit_hits_total{limit=\"login-time\"}";
    Metrics::wait_until(&proxy, late, |now| now.sum(late) > 0.0);
    drop(silent);
    assert!(Metrics::of(&proxy).sum(hits) >= 2.0);
}

fn wait_for_place(proxy: &Proxy) -> Client {
    crate::support::proxy::wait_for("a place", || {
        let mut client = Client::connect(proxy.address);
        client.read().error().is_none().then_some(client)
    })
}

// ---- TLS ---------------------------------------------------------------------------------------------------------------

const HANDSHAKES: &str = "mytls_tls_handshakes_total{channel=\"mysql_main\"";

fn handshake(version: &str, group: &str, kind: &str) -> String {
    format!("{HANDSHAKES},version=\"{version}\",group=\"{group}\",kind=\"{kind}\"}}")
}

#[test]
fn handshakes_are_told_apart_by_version_group_and_resumption() {
    let (_backend, proxy) = started(HTTP);
    let versions = [
        (
            &rustls::version::TLS13,
            "TLSv1.3",
            "X25519MLKEM768",
            "X25519MLKEM768",
        ),
        // a resumed session of TLS 1.2 agrees on nothing anew
        (&rustls::version::TLS12, "TLSv1.2", "X25519", "none"),
    ];
    for (version, name, group, resumed_group) in versions {
        let tls = PKI.resuming_client_tls_of(&[version], None);
        for (kind, group) in [("full", group), ("resumed", resumed_group)] {
            let before = Metrics::of(&proxy);
            let mut client = Client::logged_in_over_tls(proxy.address, &Login::of("app"), &tls);
            // with its answer come the tickets
            client.query("SELECT 1");
            client.expect_echo("SELECT 1");
            let series = handshake(name, group, kind);
            Metrics::expect_one_more(&proxy, &before, HANDSHAKES, &series);
        }
    }
    let times = "mytls_tls_handshake_duration_seconds_count{channel=\"mysql_main\"}";
    assert_eq!(Metrics::of(&proxy).number(times), 4.0);
}

#[test]
fn handshakes_with_the_backend_are_counted_too() {
    let (_backend, proxy) = started(HTTP);
    let source = "mytls_tls_handshakes_total{channel=\"source\"";
    let before = Metrics::wait_until(&proxy, "that of the start", |now| now.sum(source) == 1.0);
    Client::logged_in(proxy.address, &Login::of("app"));
    let after = Metrics::of(&proxy);
    assert_eq!(after.sum(source), 2.0);
    assert_eq!(after.grown(&before, HANDSHAKES), [], "the client had none");
}

#[test]
fn failed_handshakes_are_told_apart_by_reason() {
    let (_backend, proxy) = started(&format!("{HTTP}\nlimits: {{ login-time: 500ms }}"));
    let failures = "mytls_tls_handshake_failures_total{channel=\"mysql_main\"";
    let expect = |before: &Metrics, reason: &str| {
        let series = format!("{failures},reason=\"{reason}\"}}");
        Metrics::expect_one_more(&proxy, before, failures, &series);
    };
    let begun = || {
        let mut client = Client::greeted(proxy.address);
        client.send(&ssl_request(&Login::of("app")));
        client
    };

    let before = Metrics::of(&proxy);
    begun().send_raw(b"GET / HTTP/1.1\r\n\r\n");
    expect(&before, "not_tls");

    let before = Metrics::of(&proxy);
    drop(begun());
    expect(&before, "closed");

    let before = Metrics::of(&proxy);
    let silent = begun();
    expect(&before, "too_slow");
    drop(silent);

    assert_eq!(Metrics::of(&proxy).sum(HANDSHAKES), 0.0);
}

#[test]
fn client_that_does_not_accept_our_certificate_is_counted() {
    let (_backend, proxy) = started(HTTP);
    let authority = proxy.path("other-ca.pem");
    std::fs::write(&authority, &PKI.other_ca.certificate_pem).expect("write a CA");
    let failures = "mytls_tls_handshake_failures_total{channel=\"mysql_main\"";
    let before = Metrics::of(&proxy);
    let client = Command::new("openssl")
        .args(["s_client", "-starttls", "mysql", "-verify_return_error"])
        .args(["-connect", &proxy.address.to_string(), "-CAfile"])
        .arg(&authority)
        .stdin(Stdio::null())
        .output()
        .expect("run openssl");
    assert!(!client.status.success());
    let series = format!("{failures},reason=\"own_certificate\"}}");
    Metrics::expect_one_more(&proxy, &before, failures, &series);
}

/// In seconds since 1970, as OpenSSL and date(1) have it.
fn end_by_openssl(file: &Path) -> f64 {
    let script = r#"date -u -d "$(openssl x509 -noout -enddate -in "$1" | cut -d= -f2)" +%s"#;
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(file)
        .output();
    let output = output.expect("run a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim()
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

#[test]
fn ends_of_certificates_are_those_that_openssl_reads() {
    let (_backend, proxy) = started(HTTP);
    let not_after = |page: &Metrics, channel: &str, kind: &str| {
        page.number(&format!(
            "mytls_certificate_not_after_timestamp_seconds{{channel=\"{channel}\",kind=\"{kind}\",position=\"0\"}}"
        ))
    };
    let page = Metrics::wait_until(&proxy, "a certificate of the backend", |now| {
        not_after(now, "source", "server") > 0.0
    });
    for (channel, kind, file) in [
        ("mysql_main", "ssl-cert", "server.pem"),
        ("mysql_main", "ssl-ca", "ca.pem"),
        ("source", "ssl-cert", "proxy-client.pem"),
        ("source", "server", "server.pem"),
    ] {
        let expected = end_by_openssl(&proxy.path(file));
        assert_eq!(
            not_after(&page, channel, kind),
            expected,
            "{channel} {kind}"
        );
    }
    PKI.server_near_its_end.replace(proxy.folder(), "server");
    proxy.reload();
    let expected = end_by_openssl(&proxy.path("server.pem"));
    let page = Metrics::of(&proxy);
    assert_eq!(not_after(&page, "mysql_main", "ssl-cert"), expected);
}

#[test]
fn failed_reload_is_counted_and_shows_until_it_is_mended() {
    let (_backend, proxy) = started(HTTP);
    let [ok, failed] = ["ok", "failed"].map(|result| {
        format!(
            "mytls_tls_loads_total{{channel=\"mysql_main\",cause=\"asked\",result=\"{result}\"}}"
        )
    });
    let main = |name: &str| format!("{name}{{channel=\"mysql_main\"}}");
    let has_failed = main("mytls_tls_load_failed");
    let generation = main("mytls_tls_generation");
    let before = Metrics::of(&proxy);
    assert_eq!(before.number(&generation), 1.0);

    replace(&proxy.path("server.pem"), "no PEM");
    proxy.reload();
    let broken = Metrics::of(&proxy);
    let loads = "mytls_tls_loads_total{channel=\"mysql_main\"";
    assert_eq!(broken.grown(&before, loads), [(failed.as_str(), 1.0)]);
    assert_eq!(broken.number(&has_failed), 1.0);
    assert_eq!(broken.number(&generation), 1.0);
    assert_eq!(broken.number(&main("mytls_tls_enabled")), 1.0);

    PKI.other_server.replace(proxy.folder(), "server");
    proxy.reload();
    let mended = Metrics::of(&proxy);
    assert_eq!(mended.grown(&broken, loads), [(ok.as_str(), 1.0)]);
    assert_eq!(mended.number(&has_failed), 0.0);
    assert_eq!(mended.number(&generation), 2.0);
}

#[test]
fn configuration_that_is_not_taken_is_counted() {
    let (_backend, proxy) = started(HTTP);
    let results = "mytls_configuration_reloads_total";
    let before = Metrics::of(&proxy);
    replace(&proxy.path("mytls.yaml"), "from: [");
    proxy.reload();
    let after = Metrics::of(&proxy);
    let failed = "mytls_configuration_reloads_total{result=\"failed\"}";
    assert_eq!(after.grown(&before, results), [(failed, 1.0)]);
}

// ---- backends ----------------------------------------------------------------------------------------------------------

#[test]
fn dials_that_fail_are_counted_by_reason() {
    let elsewhere = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.other_server)));
    let no_tls = Backend::start(Server::mysql());
    let security = "{ ssl-ca: ca.pem }";
    for (backend, reason) in [
        (&Backend::nobody(), "no_answer"),
        (&Backend::start(Server::hanging_up()), "connection_failed"),
        (&elsewhere, "tls"),
        (&no_tls, "no_tls"),
    ] {
        let config = Config::before(backend).backend_security(backend, security);
        let proxy = Proxy::start_cold(config.with(HTTP));
        let failures = "mytls_backend_dial_failures_total";
        let now = Metrics::wait_until(&proxy, reason, |now| now.sum(failures) > 0.0);
        let series = format!("{failures}{{route=\"source\",reason=\"{reason}\"}}");
        assert_eq!(now.sum(failures), now.number(&series), "{reason}");
        let connected = "mytls_backend_connect_duration_seconds_count{route=\"source\"}";
        assert_eq!(now.number(connected), 0.0, "{reason}");
    }
}

/// It shows only behind the login of a client.
#[test]
fn server_that_takes_no_proxy_header_is_counted() {
    let server = Server::mysql().on_login(|_| Err(std::io::Error::other("closes")));
    let backend = Backend::start(server.behind_proxy_header(|_| None));
    let send = format!("{HTTP}\nproxy-protocol: {{send: true}}");
    let proxy = Proxy::start(Config::before(&backend).with(&send));
    let before = Metrics::of(&proxy);
    assert_eq!(login(&proxy, "app"), Some(2003));
    let failures = "mytls_backend_dial_failures_total";
    let series = format!("{failures}{{route=\"source\",reason=\"proxy_header\"}}");
    Metrics::expect_one_more(&proxy, &before, failures, &series);
}

#[test]
fn endpoint_that_rests_is_shown_and_not_dialled() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.other_server)));
    let proxy = Proxy::start_cold(Config::before(&backend).with(HTTP));
    let resting = "mytls_backend_endpoint_resting{route=\"source\"";
    Metrics::wait_until(&proxy, resting, |now| now.sum(resting) == 1.0);
    let dials = backend.dials();
    assert_eq!(login(&proxy, "app"), Some(2026));
    let withheld = "mytls_backend_dials_withheld_total{route=\"source\"}";
    assert_eq!(Metrics::of(&proxy).number(withheld), 1.0);
    assert_eq!(backend.dials(), dials);
}

#[test]
fn route_is_the_one_of_the_backends() {
    let (source, target) = (tls_backend(), tls_backend());
    let security = "{ ssl-ca: ca.pem, ssl-cert: proxy-client.pem, ssl-key: proxy-client.key }";
    let second = format!(
        "target-database: {{ {}, security: {security} }}\nroute: target",
        target.endpoint
    );
    let proxy = Proxy::start(Config::before(&source).with(&format!("{HTTP}\n{second}")));
    let page = Metrics::of(&proxy);
    let routes: Vec<_> = page.all("mytls_route{").collect();
    let expected = [
        ("mytls_route{route=\"source\"}", 0.0),
        ("mytls_route{route=\"target\"}", 1.0),
    ];
    assert_eq!(routes, expected);
    let _session = Client::logged_in(proxy.address, &Login::of("app"));
    let there = "mytls_sessions{state=\"relaying\",route=\"target\"}";
    Metrics::wait_until(&proxy, there, |now| now.number(there) == 1.0);
}

// ---- sessions ----------------------------------------------------------------------------------------------------------

/// Commands that the backend has got, and their bytes with all headers.
fn commands_at(backend: &Backend) -> (f64, f64) {
    let events = backend.events();
    let commands = events.iter().flatten().filter_map(|event| match event {
        Event::Command(packet) => Some(packet.payload.len() + 4),
        _ => None,
    });
    commands.fold((0.0, 0.0), |(count, sum), bytes| {
        let bytes = u32::try_from(bytes).expect("short commands");
        (count + 1.0, sum + f64::from(bytes))
    })
}

#[test]
fn bytes_and_commands_are_those_that_client_and_backend_have_counted() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    let mut answered = 0_usize;
    for sql in ["SELECT 1", "SELECT 'a longer one'"] {
        let mut client = Client::logged_in(proxy.address, &Login::of("app"));
        for _ in 0..3 {
            client.query(sql);
            let answer = client.read_answer(4);
            answered += answer
                .iter()
                .map(|packet| packet.payload.len() + 4)
                .sum::<usize>();
        }
        // of sessions that are over, and of one that is not
        let expected = commands_at(&backend);
        let page = Metrics::wait_until(&proxy, "the last answer", |now| {
            now.number("mytls_command_duration_seconds_count") == expected.0
        });
        let from =
            |side: &str| page.number(&format!("mytls_relayed_bytes_total{{from=\"{side}\"}}"));
        let seen = (page.number("mytls_commands_total"), from("client"));
        assert_eq!(seen, expected);
        let answered = u32::try_from(answered).expect("short answers");
        assert_eq!(from("backend"), f64::from(answered));
    }
}

#[test]
fn gauges_go_back_to_zero_and_every_connection_has_an_end() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    let clients: Vec<_> = (0..5)
        .map(|_| Client::logged_in(proxy.address, &Login::of("app")))
        .collect();
    let probe = Client::greeted(proxy.address);
    let relaying = "mytls_sessions{state=\"relaying\",route=\"source\"}";
    let waiting = "mytls_sessions{state=\"logging_in\",route=\"source\"}";
    Metrics::wait_until(&proxy, "all sessions", |now| {
        now.number(relaying) == 5.0 && now.number(waiting) == 1.0
    });
    for mut client in clients {
        client.command(&[1]); // COM_QUIT
    }
    drop(probe);
    let end = Metrics::wait_until(&proxy, "the end of all sessions", |now| {
        now.sum("mytls_sessions{") == 0.0
    });
    let accepted = end.number("mytls_connections_accepted_total");
    assert_eq!(end.sum("mytls_sessions_ended_total"), accepted);
    let ended = |outcome: &str| {
        end.number(&format!(
            "mytls_sessions_ended_total{{outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(ended("quit"), 5.0);
    assert_eq!(ended("aborted"), accepted - 5.0);
    assert_eq!(end.number("mytls_session_duration_seconds_count"), 5.0);
    assert_eq!(end.number("mytls_login_duration_seconds_count"), 5.0);
}

#[test]
fn status_of_the_admin_port_and_the_page_say_the_same() {
    let backend = admin::backend();
    let proxy = Proxy::start(admin::config(&backend, "").with(HTTP));
    login(&proxy, "app");
    let mut shell = admin::log_in(&proxy);
    admin::try_to_log_in(&proxy, "ops", Some("wrong"), None).expect_err("a wrong password");
    let settled = |now: &Metrics| now.sum("mytls_sessions{") == 0.0;
    let page = Metrics::wait_until(&proxy, "the end of all sessions", settled);
    let status = admin::rows(&mut shell, "SHOW STATUS");
    for (name, series) in [
        ("Connections", "mytls_connections_accepted_total"),
        ("Mytls_logins", "mytls_logins_total"),
        ("Mytls_logins_refused", "mytls_refusals_total"),
        ("Mytls_logins_aborted", "mytls_logins_aborted_total"),
        (
            "Mytls_admin_logins_failed",
            "mytls_admin_logins_total{result=\"denied\"}",
        ),
        ("Ssl_finished_accepts", HANDSHAKES),
    ] {
        let shown: f64 = status.value(name).parse().expect("a number");
        assert_eq!(shown, page.sum(series), "{name}");
    }
    assert_eq!(page.number("mytls_logins_total"), 1.0);
    let accepted = "mytls_admin_logins_total{result=\"accepted\"}";
    assert_eq!(page.number(accepted), 1.0);
}

// ---- what is written about them ----------------------------------------------------------------------------------------

/// A file of the repository.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn documentation_lists_what_there_is() {
    let (_backend, proxy) = started(HTTP);
    let documented: BTreeMap<String, String> = file("docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            // other tables list values of labels
            let is_name = ["mytls_", "process_"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            is_name.then_some(())?;
            Some((name.to_owned(), cells.next()?.to_owned()))
        })
        .collect();
    let page = Metrics::of(&proxy);
    assert_eq!(documented, page.kinds);
}

/// The words of a text that are names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with("mytls_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let (_backend, proxy) = started(HTTP);
    let page = Metrics::of(&proxy);
    let is_there = |name: &str| {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|suffix| {
            let family = name.strip_suffix(suffix);
            family.is_some_and(|family| {
                page.kinds
                    .get(family)
                    .is_some_and(|kind| kind == "histogram")
            })
        });
        page.kinds.contains_key(name) || of_histogram
    };
    for path in [
        "docker/grafana/mytls.json",
        "docker/prometheus/mytls.rules.yml",
    ] {
        let text = file(path);
        let names = names(&text);
        assert!(names.len() > 10, "{path}: {names:?}");
        for name in names {
            assert!(is_there(name), "{path}: there is no {name}");
        }
    }
    let dashboard = file("docker/grafana/mytls.json");
    let shown = names(&dashboard);
    for name in page.kinds.keys() {
        let is_shown = shown.iter().any(|each| each.starts_with(name.as_str()));
        // one is the other's size, or says what its age says
        let is_left_out = [
            "process_virtual_memory_bytes",
            "process_threads",
            "mytls_tls_enabled",
            "mytls_tls_last_load_timestamp_seconds",
            "mytls_certificate_not_before_timestamp_seconds",
            "mytls_backend_draining",
            "mytls_imports_total",
            "mytls_import_failures_total",
        ];
        assert!(
            is_shown || is_left_out.contains(&name.as_str()),
            "{name} is on no panel"
        );
    }
}

#[test]
fn figures_of_the_process_are_its_own() {
    let backend = Backend::start(Server::mysql());
    let proxy = Proxy::start(Config::before(&backend).with(HTTP));
    let _sessions: Vec<_> = (0..10)
        .map(|_| Client::logged_in(proxy.address, &Login::of("app")))
        .collect();
    wait_until("as many descriptors as /proc shows", || {
        let shown = Metrics::of(&proxy).number("process_open_fds");
        let others = u32::try_from(proxy.descriptors()).expect("not so many");
        // one more is the connection that asks
        others > 20 && shown == f64::from(others) + 1.0
    });
    let kib = u32::try_from(proxy.status_number("VmRSS")).expect("not so many");
    let shown = Metrics::of(&proxy).number("process_resident_memory_bytes");
    let share = shown / (f64::from(kib) * 1024.0);
    assert!((0.5..2.0).contains(&share), "{shown} bytes, {kib} KiB");
}
