//! Files in the state directory: what is made once and kept from start to start.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

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

/// The state directory, or nothing at all. While it is open, no other mytls has it open: two that start at once would
/// write over each other's files.
pub(super) struct Store<'a> {
    directory: Option<&'a Path>,
    /// Locked; the lock ends with it.
    _lock: Option<fs::File>,
}

impl<'a> Store<'a> {
    /// Makes the directory if there is none. Others may pass through, so that clients of other users reach `ca.pem`, but
    /// not list it; the keys are 0600.
    pub(super) fn open(directory: Option<&'a Path>) -> Result<Self, StoreError> {
        let locked = directory.map(lock).transpose()?.flatten();
        Ok(Self {
            directory,
            _lock: locked,
        })
    }

    /// A file's path and text, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<(PathBuf, String)>, StoreError> {
        let Some(path) = self.directory.map(|directory| directory.join(name)) else {
            return Ok(None);
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
    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), StoreError> {
        let Some(directory) = self.directory else {
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
            fs::rename(&temporary, &path)
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
