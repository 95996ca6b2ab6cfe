//! `mytls certs new` and `show`, and what `mytls check` prints, judged by openssl and by mytls itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::backend::{Backend, Server};
use crate::support::packet::err_without_state;
use crate::support::pki::PKI;
use crate::support::proxy::{Config, Proxy, Run, run, run_with, run_with_arguments};

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("mytls-it-")
        .tempdir()
        .expect("make a folder")
}

/// `mytls certs new FOLDER` with more options.
fn new(folder: &Path, options: &str) -> Run {
    let folder = folder.to_string_lossy();
    let arguments = ["certs", "new", &folder].into_iter();
    run(&arguments
        .chain(options.split_whitespace())
        .collect::<Vec<_>>())
}

#[track_caller]
fn made(folder: &Path, options: &str) -> String {
    let run = new(folder, options);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout
}

/// `mytls certs show` of files in a folder, by their names.
fn show(folder: &Path, names: &[&str]) -> Run {
    let paths: Vec<_> = names
        .iter()
        .map(|name| folder.join(name).to_string_lossy().into_owned())
        .collect();
    let mut arguments = vec!["certs", "show"];
    arguments.extend(paths.iter().map(String::as_str));
    run(&arguments)
}

/// Runs `openssl` in a folder; blanks separate its arguments, `~` stands for one in them.
#[track_caller]
fn openssl(folder: &Path, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args(arguments.split(' ').map(|word| word.replace('~', " ")))
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {errors}");
    text(&output.stdout)
}

/// Every file with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .expect("list the folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let bytes = fs::read(entry.path()).expect("read it");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect()
}

#[test]
fn nothing_is_ever_overwritten() {
    let folder = folder();
    made(folder.path(), "--cn app");
    made(folder.path(), "--cn dm");
    let before = contents(folder.path());
    for (options, there) in [
        ("--san db.test", "server-cert.pem: is there already"),
        ("--cn dm", "client-dm-cert.pem: is there already"),
        ("--cn new --cn dm", "client-dm-cert.pem: is there already"),
        (
            "--cn a+b --cn a_b",
            "--cn a_b is there twice, or another one",
        ),
    ] {
        let run = new(folder.path(), options);
        assert_eq!(run.code, Some(1), "{options}");
        assert!(run.stderr.contains(there), "{options}: {}", run.stderr);
        assert_eq!(contents(folder.path()), before, "{options}");
    }
    let output = made(folder.path(), "");
    assert!(output.starts_with("nothing to do"), "{output}");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn half_of_a_pair_of_files_is_refused() {
    let names = [
        ("ca.pem", "ca-key.pem"),
        ("server-cert.pem", "server-key.pem"),
    ];
    for (certificate, key) in names {
        for (gone, left) in [(certificate, key), (key, certificate)] {
            let folder = folder();
            made(folder.path(), "");
            fs::remove_file(folder.path().join(gone)).expect("it was there");
            let run = new(folder.path(), "--cn app");
            assert_eq!(run.code, Some(1));
            let expected = format!("{left}: is there without {gone}");
            assert!(run.stderr.contains(&expected), "{}", run.stderr);
            assert_eq!(contents(folder.path()).len(), 5);
        }
    }
}

#[test]
fn new_ca_is_not_put_beside_what_another_one_signed() {
    let folder = folder();
    made(folder.path(), "");
    for name in ["ca.pem", "ca-key.pem"] {
        fs::remove_file(folder.path().join(name)).expect("it was there");
    }
    let run = new(folder.path(), "--cn app");
    assert_eq!(run.code, Some(1));
    let expected = "server-cert.pem: is there already";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert_eq!(contents(folder.path()).len(), 4);
}

#[test]
fn folder_that_cannot_be_made_is_named() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").expect("written");
    let run = new(&folder.path().join("file/certs"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("file/certs"), "{}", run.stderr);
}

#[test]
fn openssl_finds_nothing_to_complain_of() {
    for options in ["--san db.test --san *.lab.test --san 192.0.2.7", "--rsa"] {
        let folder = folder();
        let folder = folder.path();
        made(folder, &format!("{options} --cn app --cn dm"));
        let verify = "verify -x509_strict -CAfile ca.pem -purpose";
        openssl(folder, &format!("{verify} sslserver server-cert.pem"));
        for client in ["client-app-cert.pem", "client-dm-cert.pem"] {
            openssl(folder, &format!("{verify} sslclient {client}"));
        }
        let mut names = vec![
            "-verify_hostname localhost",
            "-verify_ip 127.0.0.1",
            "-verify_ip ::1",
        ];
        if options.contains("--san") {
            names.extend(["-verify_hostname db.test", "-verify_hostname a.lab.test"]);
            names.push("-verify_ip 192.0.2.7");
        }
        for name in names {
            openssl(
                folder,
                &format!("{verify} sslserver {name} server-cert.pem"),
            );
        }
        let text = openssl(folder, "x509 -in server-cert.pem -noout -text");
        assert!(text.contains("Version: 3"), "{text}");
        let mut serials: Vec<_> = ["ca", "server-cert", "client-app-cert", "client-dm-cert"]
            .map(|name| openssl(folder, &format!("x509 -in {name}.pem -noout -serial")))
            .to_vec();
        serials.sort_unstable();
        serials.dedup();
        assert_eq!(serials.len(), 4, "each has a number of its own");
    }
}

#[test]
fn keys_are_their_owners_only() {
    let folder = folder();
    made(folder.path(), "");
    for name in ["ca-key.pem", "server-key.pem", "client-key.pem"] {
        let metadata = fs::metadata(folder.path().join(name)).expect("there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn days_are_those_asked_for() {
    let folder = folder();
    made(folder.path(), "--days 20 --cn app");
    let end = "x509 -noout -in client-cert.pem -checkend";
    openssl(folder.path(), &format!("{end} {}", 20 * 86_400 - 600));
    let run = show(folder.path(), &["client-cert.pem"]);
    assert!(
        run.stdout.contains("WARNING  it expires soon"),
        "{}",
        run.stdout
    );
    // the CA's own life is longer
    openssl(
        folder.path(),
        &format!("x509 -noout -in ca.pem -checkend {}", 3649 * 86_400),
    );
}

#[test]
fn ca_that_is_there_signs_what_comes_later() {
    let folder = folder();
    let folder = folder.path();
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -days 9 -keyout ca-key.pem -out ca.pem -subj /O=Lab~&~Sons/CN=ca",
    );
    let before = fs::read(folder.join("ca.pem")).expect("there");
    made(folder, "--cn app");
    made(folder, "--cn dm");
    assert_eq!(fs::read(folder.join("ca.pem")).expect("there"), before);
    for (purpose, name) in [
        ("server", "server"),
        ("client", "client"),
        ("client", "client-dm"),
    ] {
        openssl(
            folder,
            &format!("verify -purpose ssl{purpose} -CAfile ca.pem {name}-cert.pem"),
        );
    }
    let run = show(folder, &["client-dm-cert.pem", "ca.pem"]);
    let expected = "  SUBJECT '/CN=dm'\n  ISSUER '/O=Lab & Sons/CN=ca'\n";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    let expected = "signer   another certificate that is shown here";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

/// The lines below "In mytls.yaml:", with a backend.
fn pasted_configuration(output: &str, backend: &Backend) -> String {
    let (_, rest) = output
        .split_once("In mytls.yaml:\n\n")
        .expect("it is there");
    let (pasted, _) = rest.split_once("\n\n").expect("it ends");
    format!(
        "listen: 127.0.0.1:0\n{pasted}\nfrom: {{ {} }}\n",
        backend.endpoint
    )
}

#[test]
fn what_is_printed_for_the_configuration_works_as_it_is() {
    let backend = Backend::start(Server::mysql());
    let folder = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_mytls"))
        .args(["certs", "new"])
        .arg(folder.path())
        .args(["--cn", "app", "--cn", r"O'Hara/a\b: #x"])
        .output()
        .expect("run mytls");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let file = folder.path().join("mytls.yaml");
    fs::write(&file, pasted_configuration(&output, &backend)).expect("written");
    let file = file.to_string_lossy();
    let checked = run(&["check", &file]);
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let pass = |user: &str, certificate: &str| {
        let certificate = folder.path().join(certificate);
        let certificate = certificate.to_string_lossy();
        let client = ["--user", user, "--from", "::1", "--cert", &certificate];
        let arguments: Vec<_> = ["authorize", &file].into_iter().chain(client).collect();
        run(&arguments).code
    };
    let odd = "client-O_Hara_a_b___x-cert.pem";
    assert_eq!(pass("app", odd), Some(1));
    assert_eq!(pass("USER", "client-app-cert.pem"), Some(1));
    assert_eq!(pass("app", "client-app-cert.pem"), Some(0));
    assert_eq!(pass("USER", odd), Some(0));
}

#[test]
fn openssl_shakes_hands_with_a_mytls_that_shows_them() {
    let backend = Backend::start(Server::mysql());
    let folder = folder();
    made(folder.path(), "");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let security = format!(
        "{{ ssl-ca: {}, ssl-cert: {}, ssl-key: {} }}",
        path("ca.pem"),
        path("server-cert.pem"),
        path("server-key.pem")
    );
    let proxy = Proxy::start(Config::before(&backend).security(&security));
    let connect = format!("s_client -connect {} -starttls mysql", proxy.address);
    let shown = "-cert client-cert.pem -key client-key.pem";
    for name in ["-verify_hostname localhost", "-verify_ip 127.0.0.1"] {
        let verify = format!("-CAfile ca.pem -verify_return_error {name}");
        let output = openssl(folder.path(), &format!("{connect} {verify} {shown}"));
        assert!(output.contains("Verify return code: 0 (ok)"), "{output}");
    }
    let run = run(&["certs", "show", &proxy.address.to_string(), &path("ca.pem")]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let expected = "signer   another certificate that is shown here";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

// ---- show ------------------------------------------------------------------------------------------------------------

#[test]
fn what_cannot_be_shown_says_why() {
    let folder = folder();
    let folder = folder.path();
    made(folder, "");
    openssl(folder, "x509 -in ca.pem -outform DER -out ca.der");
    fs::write(folder.join("empty.pem"), " ").expect("written");
    fs::write(folder.join("text.pem"), "ca\u{1b}[2J").expect("written");
    for (name, expected) in [
        (
            "missing.pem",
            "missing.pem: there is no such file; to look at a server, write HOST:PORT",
        ),
        (
            "ca.der",
            "ca.der: is DER, not PEM; convert it: `openssl x509",
        ),
        ("empty.pem", "empty.pem: is empty"),
        (
            "text.pem",
            "has no certificate in it, only: no -----BEGIN line",
        ),
    ] {
        let run = show(folder, &[name]);
        assert_eq!(run.code, Some(1), "{name}");
        assert!(run.stderr.contains(expected), "{name}: {}", run.stderr);
    }
    for (target, expected) in [
        (
            "127.0.0.1:1",
            "127.0.0.1:1: dial 127.0.0.1:1: Connection refused",
        ),
        ("127.0.0.1:", "`` is no port"),
        ("a/b:3306", "`a/b` is no host name and no IP address"),
    ] {
        let run = run(&["certs", "show", target]);
        assert_eq!(run.code, Some(1), "{target}");
        assert!(run.stderr.contains(expected), "{target}: {}", run.stderr);
    }
}

/// Names, dates, serial number and fingerprint, as openssl prints them.
#[test]
fn certificate_is_shown_as_openssl_shows_it() {
    let folder = folder();
    let folder = folder.path();
    made(folder, "--rsa --san db.test");
    let run = show(folder, &["server-cert.pem"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let field = |option: &str| {
        let printed = openssl(folder, &format!("x509 -in server-cert.pem -noout {option}"));
        let (_, value) = printed.trim_end().split_once('=').expect("a value");
        value.trim().replace(':', "")
    };
    let text = &run.stdout;
    for expected in [
        format!("  ISSUER '{}'\n", field("-issuer -nameopt compat")),
        format!("  serial   {}\n", field("-serial")),
        format!("  SHA-256  {}\n", field("-fingerprint -sha256")),
        "  SUBJECT '/CN=db.test'\n".to_owned(),
        "  SAN 'DNS:db.test,DNS:localhost,IP:127.0.0.1,IP:::1'\n".to_owned(),
        " days left)\n  key      RSA, 2048 bits; signed with sha256WithRSAEncryption\n".to_owned(),
        "  for      serverAuth\n".to_owned(),
        "  signer   not shown here\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("WARNING"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn names_are_quoted_and_escaped_as_a_rule_takes_them() {
    let folder = folder();
    let folder = folder.path();
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -utf8 -out cert.pem -subj";
    for (subject, expected) in [
        (r"/O=O'Hara/CN=a\/b", r"  SUBJECT '/O=O''Hara/CN=a\\/b'"),
        ("/CN=Zo\u{eb}", r"  SUBJECT '/CN=Zo\\xC3\\xAB'"),
        (
            r"/CN=a\\",
            r"  subject  /CN=a\ (no rule can name it: other names print so too)",
        ),
    ] {
        openssl(folder, &format!("{request} {subject}"));
        let run = show(folder, &["cert.pem"]);
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    for (names, expected) in [
        (
            "URI:spiffe://lab/dm,email:dm@lab.test",
            "  SAN 'URI:spiffe://lab/dm'\n",
        ),
        (
            "URI:a\u{1b}[2Jb",
            r"  names    URI:a\u{1b}[2Jb (as a whole in no rule)",
        ),
    ] {
        openssl(
            folder,
            &format!("{request} /CN=a -addext subjectAltName={names}"),
        );
        let run = show(folder, &["cert.pem"]);
        assert!(run.stdout.contains(expected), "{}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}'));
    }
}

#[test]
fn what_an_operator_should_know_is_a_warning() {
    let folder = folder();
    let folder = folder.path();
    let write = |name: &str, identity: &crate::support::pki::Identity| {
        fs::write(folder.join(name), &identity.certificate_pem).expect("written");
    };
    write("expired.pem", &PKI.expired);
    write("later.pem", &PKI.not_yet_valid);
    write("nameless.pem", &PKI.server_auth_only);
    openssl(
        folder,
        "req -x509 -newkey rsa:1024 -nodes -keyout weak.key -out weak.pem -subj /CN=a",
    );
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -keyout v1.key -out v1.csr -subj /CN=b",
    );
    openssl(
        folder,
        "x509 -req -in v1.csr -CA weak.pem -CAkey weak.key -CAcreateserial -sha1 -days 90 -out v1.pem",
    );
    for (name, code, warning) in [
        ("expired.pem", 1, "it has expired; renew it"),
        ("later.pem", 1, "it is not valid yet; is the clock right?"),
        ("nameless.pem", 0, "it names no host (no subjectAltName)"),
        ("weak.pem", 0, "its key (RSA, 1024 bits) is too weak"),
        ("v1.pem", 0, "it is X.509 version 1"),
        (
            "v1.pem",
            0,
            "its signature (sha1WithRSAEncryption) is too weak",
        ),
    ] {
        let run = show(folder, &[name]);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stdout);
        assert!(
            run.stdout.contains(&format!("WARNING  {warning}")),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn keys_and_revocation_lists_are_shown_too() {
    let folder = folder();
    let folder = folder.path();
    made(folder, "");
    openssl(
        folder,
        "pkcs8 -topk8 -v2 aes256 -passout pass:x -in server-key.pem -out encrypted.pem",
    );
    openssl(
        folder,
        "req -new -key server-key.pem -subj /CN=a -out request.pem",
    );
    fs::write(folder.join("index"), "").expect("written");
    fs::write(folder.join("number"), "01\n").expect("written");
    fs::write(
        folder.join("ca.cnf"),
        "[ca]\ndefault_ca = x\n[x]\ndatabase = index\ncrlnumber = number\ndefault_md = sha256\n",
    )
    .expect("written");
    let ca = "ca -config ca.cnf -cert ca.pem -keyfile ca-key.pem";
    openssl(folder, &format!("{ca} -revoke client-cert.pem"));
    openssl(folder, &format!("{ca} -gencrl -crldays 7 -out crl.pem"));
    for (names, expected) in [
        (
            &["server-cert.pem", "client-key.pem"][..],
            "fits     no certificate that is shown here",
        ),
        (
            &["server-key.pem", "server-cert.pem"],
            "fits     a certificate that is shown here",
        ),
        (&["server-key.pem"], "private key\n  key      EC, P-256\n"),
        (&["encrypted.pem"], "private key, encrypted (`openssl pkey"),
        (
            &["request.pem"],
            "certificate request, which nobody has signed yet",
        ),
        (&["crl.pem"], "revocation list\n  issuer   /CN=mytls CA "),
        (&["crl.pem"], "\n  revoked  1\n"),
    ] {
        let run = show(folder, names);
        assert_eq!(run.code, Some(0), "{names:?}: {}", run.stderr);
        assert!(run.stdout.contains(expected), "{names:?}: {}", run.stdout);
        assert!(!run.stdout.contains("BEGIN"), "no key is printed");
    }
}

/// Cut, and with each byte of the DER changed: whatever lies in a file, mytls says something and ends well.
#[test]
fn damaged_certificates_are_survived() {
    let folder = folder();
    let folder = folder.path();
    made(folder, "--san db.test");
    let text = fs::read_to_string(folder.join("server-cert.pem")).expect("there");
    let lines: Vec<_> = text.lines().collect();
    let mut damaged = String::new();
    for (number, line) in lines.iter().enumerate().skip(1).take(lines.len() - 2) {
        for position in (0..line.len()).step_by(5) {
            let mut changed = (*line).to_owned();
            changed.replace_range(position..=position, "q");
            let before = lines[..number].join("\n");
            let after = lines[number + 1..].join("\n");
            damaged.extend([&before, "\n", &changed, "\n", &after, "\n"]);
        }
    }
    fs::write(folder.join("damaged.pem"), damaged).expect("written");
    let run = show(folder, &["damaged.pem"]);
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    assert!(run.stdout.contains("it is malformed"), "{}", run.stdout);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

// ---- a server --------------------------------------------------------------------------------------------------------

/// `mytls certs show` of a backend.
fn look_at(backend: &Backend) -> Run {
    let address = backend
        .endpoint
        .replace("host: ", "")
        .replace(", port: ", ":");
    run(&["certs", "show", &address])
}

#[test]
fn server_is_looked_at_without_a_login() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let run = look_at(&backend);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for expected in [
        "  version  9.7.0",
        "  TLS      TLSv1.3, TLS_",
        "  SAN 'DNS:localhost,IP:127.0.0.1'\n",
    ] {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    assert_eq!((backend.dials(), backend.logins()), (1, vec![]));
}

/// Nothing is trusted, so nothing is refused: an expired one above all is what one wants to see.
#[test]
fn certificate_that_no_client_would_take_is_shown() {
    for (shown, warning) in [
        (&PKI.expired_server, "it has expired"),
        (
            &PKI.client,
            "its extended key usage does not include serverAuth",
        ),
        (&PKI.server_without_name, "it names no host"),
        (&PKI.ca, "it is a CA's certificate"),
    ] {
        let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(shown)));
        let run = look_at(&backend);
        assert!(run.stdout.contains(warning), "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn server_without_tls_or_sense_is_a_failure() {
    let hostile = err_without_state(1129, "blocked\u{1b}[2J");
    for (server, expected) in [
        (Server::mysql(), "none: the server does not offer it"),
        (Server::hanging_up(), "the backend closed the connection"),
        (Server::first_packet(hostile), r"1129 blocked\u{1b}[2J"),
        (
            Server::first_packet(b"SSH-2.0-x".to_vec()),
            "greeting cannot be read",
        ),
    ] {
        let backend = Backend::start(server);
        let run = look_at(&backend);
        assert_eq!(run.code, Some(1));
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let run = look_at(&Backend::silent());
    let expected = "no greeting and TLS within the connect time";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

// ---- check -----------------------------------------------------------------------------------------------------------

#[test]
fn check_prints_every_certificate_in_force() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let run = run_with("check", &Config::before(&backend));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let text = &run.stdout;
    for expected in [
        "ok       security: certificate, key and CA are good\nssl-cert\n  SUBJECT '",
        "\nssl-ca\n  SUBJECT '/CN=mytls test CA'\n",
        "ok       source: its certificates are good\nssl-cert\n  SUBJECT '/O=Lab/CN=mytls'\n",
        "\nshown by the server\n  SUBJECT '",
        "days left)\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn check_dials_every_address() {
    let server = || Server::mysql().tls(PKI.backend_tls(&PKI.server));
    let (good, other) = (Backend::start(server()), Backend::start(server()));
    let address = |backend: &Backend| {
        backend
            .endpoint
            .replace("host: ", "")
            .replace(", port: ", ":")
    };
    let config = |second: &Backend| {
        Config::to(&format!(
            "{{ endpoints: [\"{}\", \"{}\"], security: {{ ssl-ca: ca.pem }} }}",
            address(&good),
            address(second)
        ))
    };
    let run = run_with("check", &config(&Backend::nobody()));
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("Connection refused"), "{}", run.stdout);
    assert_eq!(good.dials(), 1);
    let run = run_with("check", &config(&other));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_eq!((good.dials(), other.dials()), (2, 1));
}

#[test]
fn check_offline_dials_nobody() {
    let backend = Backend::start(Server::mysql().tls(PKI.backend_tls(&PKI.server)));
    let run = run_with_arguments("check", &Config::before(&backend), &["--offline"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_eq!(backend.dials(), 0);
    let broken = "{ ssl-ca: missing.pem }";
    let config = Config::before(&backend).backend_security(&backend, broken);
    let run = run_with_arguments("check", &config, &["--offline"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
}
