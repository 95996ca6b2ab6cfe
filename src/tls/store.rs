//! Files in the state directory: what is made once and kept from start to start.

use std::{
    collections::HashMap,
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

/// Why a file of the state directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {error}", .path.display())]
pub struct StoreError {
    /// What was tried.
    action: &'static str,
    /// The file or folder.
    path: PathBuf,
    /// What the operating system says.
    #[source]
    error: io::Error,
}

/// Where what is made is kept from one generation to the next: the state directory, or memory.
#[derive(Default)]
pub struct Keep {
    directory: Option<PathBuf>,
    memory: Mutex<Memory>,
}

type Memory = HashMap<String, Zeroizing<String>>;

impl Keep {
    /// The state directory; without one it is kept for as long as the process runs.
    pub fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
            memory: Mutex::default(),
        }
    }

    /// The state directory, if there is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

/// Without what is kept: there are keys in it.
impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// The state directory, memory, or nothing at all. While it is open, no other mytls has it open: two that start at once
/// would write over each other's files.
pub(crate) struct Store<'a> {
    directory: Option<&'a Path>,
    memory: Option<MutexGuard<'a, Memory>>,
    /// Locked; the lock ends with it.
    _lock: Option<fs::File>,
}

impl<'a> Store<'a> {
    /// As [`Self::open`], or memory where there is no directory.
    pub(super) fn open_keep(keep: &'a Keep) -> Result<Self, StoreError> {
        let store = Self::open(keep.directory())?;
        let memory = store
            .directory
            .is_none()
            .then(|| keep.memory.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Self { memory, ..store })
    }

    /// Makes the directory if there is none. Others may pass through, so that clients of other users reach `ca.pem`, but
    /// not list it; the keys are 0600.
    pub(crate) fn open(directory: Option<&'a Path>) -> Result<Self, StoreError> {
        let locked = directory.map(lock).transpose()?.flatten();
        Ok(Self {
            directory,
            memory: None,
            _lock: locked,
        })
    }

    /// A file's path and text, if it is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<(PathBuf, String)>, StoreError> {
        let Some(path) = self.directory.map(|directory| directory.join(name)) else {
            let kept = self.memory.as_ref().and_then(|memory| memory.get(name));
            return Ok(kept.map(|text| (name.into(), text.to_string())));
        };
        match fs::read(&path) {
            Ok(bytes) => Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError {
                action: "read",
                path,
                error,
            }),
        }
    }

    /// Whole or not at all: a reader never sees half a file.
    pub(crate) fn write(&mut self, name: &str, text: &str, mode: u32) -> Result<(), StoreError> {
        let Some(directory) = self.directory else {
            if let Some(memory) = &mut self.memory {
                memory.insert(name.to_owned(), text.to_owned().into());
            }
            return Ok(());
        };
        let path = directory.join(name);
        let temporary = directory.join(format!(".{name}.{}", process::id()));
        let write = || {
            // Left by a start that was cut off.
            if let Err(error) = fs::remove_file(&temporary)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            // else the old file may be back after a power cut
            fs::File::open(directory)?.sync_all()
        };
        write().map_err(|error| StoreError {
            action: "write",
            path: path.clone(),
            error,
        })
    }
}

/// None where nothing can be written: what is kept there is only read then.
fn lock(directory: &Path) -> Result<Option<fs::File>, StoreError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |error| StoreError {
            action,
            path,
            error,
        }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(directory)
        .map_err(failed("create the state directory", directory))?;
    let path = directory.join("lock");
    let opened = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    match opened {
        Ok(file) => {
            file.lock().map_err(failed("lock", &path))?;
            Ok(Some(file))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed("open", &path)(error)),
    }
}
