use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::config::Environment;

fn config(folder: &Path, text: &str) -> Config {
    let file = folder.join("mytls.yaml");
    fs::write(&file, text).expect("written");
    Config::load(&file, &Environment::default()).expect("a configuration")
}

fn allowed(config: &Config) -> Allowed {
    Allowed::by(config, &files(config))
}

fn folder() -> (TempDir, PathBuf) {
    let made = tempfile::tempdir().expect("a folder");
    let path = made.path().canonicalize().expect("it is there");
    (made, path)
}

#[test]
fn only_what_the_configuration_names_is_open() {
    let (_made, at) = folder();
    for name in ["certs", "state", "run", "secrets", "other"] {
        fs::create_dir(at.join(name)).expect("made");
    }
    let config = config(
        &at,
        "listen: [127.0.0.1:3407, \"unix:run/mytls.sock\"]\n\
         security: {ssl-ca: certs/ca.pem}\n\
         from: {endpoints: [127.0.0.1:3406, \"[::1]:3405\"]}\n\
         import-accounts: {user: u, password-file: secrets/pw}\n\
         state-dir: state\n",
    );
    let allowed = allowed(&config);
    let rights = |path: &Path| allowed.folders.get(path).copied();
    let read = Rights {
        read: true,
        ..Rights::default()
    };
    let (write, sockets) = (
        Rights {
            write: true,
            ..read
        },
        Rights {
            sockets: true,
            ..Rights::default()
        },
    );
    assert_eq!(rights(&at), Some(read), "the file itself is there");
    assert_eq!(rights(&at.join("certs")), Some(read));
    assert_eq!(rights(&at.join("secrets")), Some(read));
    assert_eq!(rights(&at.join("state")), Some(write));
    assert_eq!(rights(&at.join("run")), Some(sockets));
    assert_eq!(rights(&at.join("other")), None);
    assert_eq!(rights("/etc".as_ref()), None, "no name is looked up");
    assert_eq!(rights("/".as_ref()), None);
    assert_eq!(allowed.listen, BTreeSet::from([3407]));
    assert_eq!(allowed.dial, BTreeSet::from([3406, 3405]));
}

#[test]
fn a_server_with_a_name_needs_what_the_resolver_reads() {
    let (_made, at) = folder();
    for from in [
        "{host: db.test, allow-plaintext: true}",
        "{socket: /run/mysqld.sock}",
    ] {
        let config = config(&at, &format!("from: {from}"));
        let allowed = allowed(&config);
        assert!(allowed.reads("/etc/nsswitch.conf".as_ref()), "{from}");
        assert!(allowed.dial.contains(&DNS), "{from}");
    }
}

/// Replaced in each of the ways that are in use, a file stays readable.
#[test]
fn files_are_open_wherever_a_replacement_may_put_them() {
    let (_made, at) = folder();
    let path = |name: &str| at.join(name);
    for name in [
        "plain",
        "k8s/..1",
        "k8s/..2",
        "live",
        "archive",
        "releases/1",
        "releases/2",
    ] {
        fs::create_dir_all(path(name)).expect("made");
    }
    let turn = |target: &str, link: &str| {
        let _ = fs::remove_file(path(link));
        symlink(target, path(link)).expect("linked");
    };
    let write = |name: &str| fs::write(path(name), "pem").expect("written");
    write("plain/cert.pem");
    turn("..1", "k8s/..data");
    turn("..data/cert.pem", "k8s/cert.pem");
    turn("../archive/cert1.pem", "live/cert.pem");
    turn("1", "releases/current");
    for file in ["k8s/..1", "k8s/..2", "releases/1", "releases/2"] {
        write(&format!("{file}/cert.pem"));
    }
    write("archive/cert1.pem");
    write("archive/cert2.pem");
    let files = [
        "plain/cert.pem",
        "k8s/cert.pem",
        "live/cert.pem",
        "releases/current/cert.pem",
    ];
    let mut allowed = Allowed::default();
    for folder in files.iter().flat_map(|file| folders_of(&path(file))) {
        allowed.open(&folder, |rights| rights.read = true);
    }

    write("plain/new");
    fs::rename(path("plain/new"), path("plain/cert.pem")).expect("renamed");
    turn("..2", "k8s/..data");
    turn("../archive/cert2.pem", "live/cert.pem");
    turn("2", "releases/current");
    for file in files {
        assert!(allowed.reads(&path(file)), "{file}");
    }
    fs::create_dir(path("elsewhere")).expect("made");
    write("elsewhere/cert.pem");
    turn("../elsewhere/cert.pem", "live/cert.pem");
    assert!(!allowed.reads(&path("live/cert.pem")));
}

#[test]
fn folders_that_come_later_are_open_and_the_root_never() {
    let (_made, at) = folder();
    assert_eq!(
        folders_of(&at.join("later/deep/cert.pem")),
        BTreeSet::from([at])
    );
    assert_eq!(
        folders_of("/no-such-folder/cert.pem".as_ref()),
        BTreeSet::new()
    );
    assert_eq!(folders_of("/cert.pem".as_ref()), BTreeSet::new());
    let here = std::env::current_dir().expect("a folder");
    assert_eq!(folders_of("mytls.yaml".as_ref()), BTreeSet::from([here]));
}

/// By the kernel's own word: a thread of its own enters the sandbox, and tries.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_kernel_refuses_the_rest() {
    let (_made, at) = folder();
    for name in ["certs", "state", "run", "other"] {
        fs::create_dir(at.join(name)).expect("made");
        fs::write(at.join(name).join("file"), "text").expect("written");
    }
    let port = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (listening, stranger) = (port(), port());
    let address = |listener: &TcpListener| listener.local_addr().expect("an address");
    let (backend, other) = (address(&listening), address(&stranger));
    let mut allowed = Allowed::default();
    allowed.open(&at.join("certs"), |rights| rights.read = true);
    allowed.open(&at.join("state"), |rights| {
        (rights.read, rights.write) = (true, true);
    });
    allowed.open(&at.join("run"), |rights| rights.sockets = true);
    fs::write(at.join("other/alone"), "text").expect("written");
    allowed.open(&at.join("other/alone"), |rights| rights.read = true);
    allowed.dial.insert(backend.port());
    let tried = thread::spawn(move || {
        if enforce(&allowed).expect("rules") == Enforced::Unsupported {
            let is_required = std::env::var("MYTLS_LAB_REQUIRED").as_deref() == Ok("1");
            assert!(!is_required, "this kernel has no Landlock");
            eprintln!("skipped: this kernel has no Landlock");
            return;
        }
        let denied = |result: io::Result<()>, what: &str| {
            let kind = result.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::PermissionDenied), "{what}");
        };
        let path = |name: &str| at.join(name);
        denied(fs::read(path("other/file")).map(drop), "read elsewhere");
        denied(fs::read("/etc/passwd").map(drop), "read the system's");
        denied(fs::write(path("certs/file"), ""), "write what is read");
        denied(fs::write(path("certs/new"), ""), "write beside it");
        denied(fs::remove_file(path("certs/file")), "remove it");
        denied(fs::read_dir(path("certs")).map(drop), "list it");
        denied(fs::read(path("run/file")).map(drop), "read beside a socket");
        denied(fs::create_dir(path("state/folder")), "make a folder");
        denied(symlink("file", path("state/link")), "make a link");
        denied(Command::new("/bin/true").status().map(drop), "execute");
        denied(TcpStream::connect(other).map(drop), "dial another");
        denied(TcpListener::bind("127.0.0.1:0").map(drop), "listen");

        fs::read(path("certs/file")).expect("certificates are read");
        fs::read(path("other/alone")).expect("so is a single file");
        fs::write(path("state/new"), "text").expect("state is written");
        fs::rename(path("state/new"), path("state/file")).expect("and replaced");
        let folder = fs::File::open(path("state")).expect("and made sure of");
        folder.sync_all().expect("and made sure of");
        drop(UnixListener::bind(path("run/socket")).expect("sockets are made"));
        fs::remove_file(path("run/socket")).expect("and removed");
        TcpStream::connect(backend).expect("the server is dialled");
    });
    tried.join().expect("as the kernel says");
}
