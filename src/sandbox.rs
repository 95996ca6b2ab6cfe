//! What the process closes to itself before it serves: of files and TCP ports, all that its configuration does not need.
//!
//! A second line of defence, for the day when something else is broken. It must never stand in the way of certificates
//! that are replaced, so folders are opened, not files. Where the kernel has no Landlock there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use tracing::{error, info, warn};

use crate::backend::own_account::PasswordSource;
use crate::backend::{self, Endpoint, Security};
use crate::config::Config;
use crate::net::ListenAddress;
use crate::tls::{PemSource, Sources, Store};

#[cfg(target_os = "linux")]
mod landlock;

/// Domain names over TCP, where an answer does not fit a datagram.
const DNS: u16 = 53;

/// Links that a file may be behind, as in the kernel.
const MOST_LINKS: usize = 40;

/// What may be done with the files below a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right by itself")]
struct Rights {
    /// Read them.
    read: bool,
    /// See what there is.
    list: bool,
    /// Make, change and remove them.
    write: bool,
    /// Make and remove Unix sockets.
    sockets: bool,
}

/// What stays open.
#[derive(Debug, Default)]
struct Allowed {
    /// Folders, or single files, without links in their paths.
    folders: BTreeMap<PathBuf, Rights>,
    /// TCP ports to listen on.
    listen: BTreeSet<u16>,
    /// TCP ports to dial.
    dial: BTreeSet<u16>,
}

/// The sandbox that the process is in.
#[derive(Debug, Default)]
pub struct Sandbox {
    /// The files of the configuration, and what is open of them; nothing where there is no sandbox.
    inside: Option<(Vec<PathBuf>, Allowed)>,
    /// The files that were reported closed.
    told: Mutex<BTreeSet<PathBuf>>,
}

/// Who sees to it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Enforced {
    /// The kernel, by this version of its interface.
    Abi(String),
    /// Nobody: it knows no such thing.
    Unsupported,
}

impl Sandbox {
    /// Enters the sandbox, if the configuration wants one and the kernel has it. For the calling thread and those that it
    /// starts later on: before there are others, and for good.
    pub fn enter(config: &Config) -> Self {
        if !config.sandbox {
            warn!("sandbox: false: this process may do all that its OS user may");
            return Self::default();
        }
        // a folder that does not exist yet cannot be opened; whoever needs it reports why it cannot be made
        let _ = Store::open(config.state_dir.as_deref());
        let files = files(config);
        let allowed = Allowed::by(config, &files);
        match enforce(&allowed) {
            Ok(Enforced::Abi(abi)) => {
                info!(
                    landlock_abi = abi,
                    "sandbox: files and ports that the configuration does not need are closed"
                );
                Self {
                    inside: Some((files, allowed)),
                    told: Mutex::default(),
                }
            }
            Ok(Enforced::Unsupported) => {
                info!("there is no sandbox: no Landlock here");
                Self::default()
            }
            Err(error) => {
                warn!(%error, "there is no sandbox");
                Self::default()
            }
        }
    }

    /// Logs which files of the configuration the sandbox keeps closed, each once: nobody can tell that from "permission
    /// denied". Blocks: on the disk.
    pub fn tell_of_closed_files(&self) {
        let Some((files, allowed)) = &self.inside else {
            return;
        };
        let closed: BTreeSet<PathBuf> = files
            .iter()
            .filter(|file| !allowed.reads(file))
            .cloned()
            .collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for file in closed.difference(&told) {
            error!(
                file = %file.display(),
                "the sandbox keeps this file closed: at the start it was not in this folder; a restart opens it"
            );
        }
        *told = closed;
    }
}

#[cfg(target_os = "linux")]
fn enforce(allowed: &Allowed) -> io::Result<Enforced> {
    landlock::enforce(allowed).map_err(io::Error::other)
}

#[cfg(not(target_os = "linux"))]
fn enforce(_allowed: &Allowed) -> io::Result<Enforced> {
    Ok(Enforced::Unsupported)
}

impl Allowed {
    /// Every key is named, without `..`: whoever adds one must decide whether it needs a file or a port.
    fn by(config: &Config, files: &[PathBuf]) -> Self {
        let Config {
            listen,
            backends,
            admin,
            http,
            state_dir,
            // among `files`, or neither file nor port
            client_tls: _,
            files: _,
            require_valid_certificates: _,
            reread_certificates: _,
            rules: _,
            route: _,
            tls_status: _,
            limits: _,
            balancers: _,
            compression: _,
            drain_min: _,
            drain_max: _,
            sandbox: _,
            log: _,
            warnings: _,
        } = config;
        let mut allowed = Self::default();
        for file in files {
            let folders = folders_of(file);
            if folders.is_empty() {
                // it is in the root; alone, it is readable until another takes its place
                allowed.open(file, |rights| rights.read = true);
            }
            for folder in folders {
                allowed.open(&folder, |rights| rights.read = true);
            }
        }
        if let Some(state_dir) = state_dir {
            allowed.open(state_dir, |rights| {
                (rights.read, rights.write) = (true, true);
            });
        }
        allowed.open_system();
        let admin = admin.iter().flat_map(|admin| &admin.listen);
        let http = http.iter().flat_map(|http| &http.listen);
        for address in listen.iter().chain(admin).chain(http) {
            allowed.open_listener(address);
        }
        let endpoints = || backends.iter().flat_map(|backend| &backend.endpoints);
        for endpoint in endpoints() {
            match endpoint {
                Endpoint::Tcp { port, .. } => drop(allowed.dial.insert(*port)),
                Endpoint::Resolved { address, .. } => drop(allowed.dial.insert(address.port())),
                // the kernel does not ask about sockets
                Endpoint::Unix(_) => {}
            }
        }
        if endpoints().any(needs_names) {
            allowed.open_names();
        }
        allowed
    }

    fn open(&mut self, folder: &Path, grant: impl FnOnce(&mut Rights)) {
        if let Ok(folder) = fs::canonicalize(folder) {
            grant(self.folders.entry(folder).or_default());
        }
    }

    fn open_listener(&mut self, address: &ListenAddress) {
        match address {
            ListenAddress::Tcp(tcp) => drop(self.listen.insert(tcp.port())),
            ListenAddress::Unix(path) => self.open(parent(path), |rights| rights.sockets = true),
        }
    }

    /// What the runtime and the metrics ask of the kernel. Not `/proc/self`: the rule would be of a directory that the kernel
    /// may forget and make anew.
    fn open_system(&mut self) {
        for folder in ["/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu"] {
            self.open(folder.as_ref(), |rights| rights.read = true);
        }
        // descriptors are counted by listing them
        self.open("/proc".as_ref(), |rights| rights.list = true);
    }

    /// What the C library reads to find the address of a name, and the name of our OS user. All of `/etc`, which everybody may
    /// read: a rule for `resolv.conf` alone would end when a DHCP client puts another in its place. Where it is a link, the
    /// folder behind it, and the folders of the libraries that `nsswitch.conf` may name.
    fn open_names(&mut self) {
        for folder in ["/etc", "/usr/lib", "/usr/lib64", "/lib", "/lib64"] {
            self.open(folder.as_ref(), |rights| rights.read = true);
        }
        for file in ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"] {
            for folder in folders_of(file.as_ref()) {
                self.open(&folder, |rights| rights.read = true);
            }
        }
        self.dial.insert(DNS);
    }

    /// Whether a file may be read where it is now. One that is not there may be.
    fn reads(&self, file: &Path) -> bool {
        let Ok(file) = fs::canonicalize(file) else {
            return true;
        };
        let mut open = self.folders.iter().filter(|(_, rights)| rights.read);
        open.any(|(folder, _)| file.starts_with(folder))
    }
}

/// Every file that the configuration names or was read from.
fn files(config: &Config) -> Vec<PathBuf> {
    let mut files = config.files.clone();
    files.extend(pem_files(&config.client_tls.sources));
    if let Some(admin) = &config.admin {
        files.extend(pem_files(&admin.tls.sources));
        files.extend(
            admin
                .users
                .iter()
                .filter_map(|user| user.password_file.clone()),
        );
    }
    for backend in &config.backends {
        files.extend(backend_files(backend));
    }
    files
}

fn backend_files(backend: &backend::Settings) -> Vec<PathBuf> {
    let mut files = match &backend.security {
        Security::Plaintext => Vec::new(),
        Security::AsOffered(tls) | Security::Tls(tls) => pem_files(&tls.sources),
    };
    if let Some(import) = &backend.import
        && let PasswordSource::File(path) = &import.account.password
    {
        files.push(path.clone());
    }
    files
}

fn pem_files(sources: &Sources) -> Vec<PathBuf> {
    let Sources { ca, cert, key, crl } = sources;
    let written = [ca, cert, key, crl].into_iter().flatten();
    let paths = written.filter_map(|source| match source {
        PemSource::File(path) | PemSource::Read { path, .. } => Some(path.clone()),
        PemSource::Inline { .. } => None,
    });
    paths.collect()
}

/// A name is resolved; on a Unix socket mytls looks up its own OS user's name, to let nobody in by it.
fn needs_names(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp { host, .. } => host.parse::<std::net::IpAddr>().is_err(),
        Endpoint::Resolved { .. } => false,
        Endpoint::Unix(_) => true,
    }
}

/// The folders that a file is in, and may come to be in when it is replaced: its own; where the file is a link, that of what
/// it leads to (certbot's `live` and `archive`); and where the folder itself is a link that may be turned elsewhere, the folder
/// of that link. Never the root: that would be everything.
fn folders_of(file: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut file = file.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = parent(&file);
        folders.extend(nearest_existing(folder));
        if fs::read_link(folder).is_ok() {
            folders.insert(parent(folder).to_owned());
        }
        let Ok(target) = fs::read_link(&file) else {
            break;
        };
        file = folder.join(target);
    }
    let canonical = folders
        .iter()
        .filter_map(|folder| fs::canonicalize(folder).ok());
    canonical
        .filter(|folder| folder.parent().is_some())
        .collect()
}

/// A folder that comes later, with a volume that is mounted, is below one that is there.
fn nearest_existing(folder: &Path) -> Option<PathBuf> {
    let mut all = folder.ancestors().map(|each| {
        // of a relative path the last one is empty
        if each.as_os_str().is_empty() {
            Path::new(".")
        } else {
            each
        }
    });
    all.find(|each| each.is_dir()).map(Path::to_owned)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
