//! Files in the state directory: what is made and kept from start to start, each written whole or not at all.

use std::{
    collections::HashMap,
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
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
    pub(crate) fn directory(&self) -> Option<&Path> {
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
    pub(crate) fn open_keep(keep: &'a Keep) -> Result<Self, StoreError> {
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

    /// Whole or not at all: a reader never sees half a file, and once this returns the file outlives a power cut. After an
    /// error it is the old one or the new one.
    pub(crate) fn write(&mut self, name: &str, text: &str, mode: u32) -> Result<(), StoreError> {
        let Some(directory) = self.directory else {
            if let Some(memory) = &mut self.memory {
                memory.insert(name.to_owned(), text.to_owned().into());
            }
            return Ok(());
        };
        let replacement = Replacement {
            path: directory.join(name),
            // not another at each start: one that was cut off leaves it behind
            temporary: directory.join(format!(".{name}.new")),
            directory,
            text,
            mode,
        };
        let mut steps = Replacement::STEPS.into_iter();
        let written = steps.try_for_each(|step| step(&replacement));
        written.map_err(|error| StoreError {
            action: "write",
            path: replacement.path.clone(),
            error,
        })
    }
}

/// A file that takes the place of another.
struct Replacement<'a> {
    path: PathBuf,
    temporary: PathBuf,
    directory: &'a Path,
    text: &'a str,
    mode: u32,
}

impl Replacement<'_> {
    /// If the process ends between two of them, or in the middle of one, the file is the old one or the new one; after the
    /// last one, also if the machine does.
    const STEPS: [fn(&Self) -> io::Result<()>; 5] = [
        Self::clear,
        Self::fill,
        Self::sync,
        Self::rename,
        Self::sync_directory,
    ];

    /// Removes what was left by one that was cut off.
    fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn fill(&self) -> io::Result<()> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(self.mode)
            .open(&self.temporary)?
            .write_all(self.text.as_bytes())
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.temporary)?.sync_all()
    }

    fn rename(&self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)
    }

    fn sync_directory(&self) -> io::Result<()> {
        fs::File::open(self.directory)?.sync_all()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("make a folder")
    }

    fn read(directory: &Path) -> String {
        let store = Store::open(Some(directory)).expect("open");
        let (_, text) = store.read("file").expect("read").expect("it is there");
        text
    }

    /// A process that was killed has done some of the steps, and perhaps half of the one that takes a while.
    #[test]
    fn a_write_that_is_cut_off_anywhere_leaves_the_old_file_or_the_new_one() {
        for done in 0..=Replacement::STEPS.len() {
            for half_filled in [false, true] {
                let folder = folder();
                let directory = folder.path();
                let write = |text: &str| {
                    let mut store = Store::open(Some(directory)).expect("open");
                    store.write("file", text, 0o600).expect("write");
                };
                write("old");
                let replacement = Replacement {
                    path: directory.join("file"),
                    temporary: directory.join(".file.new"),
                    directory,
                    text: "new",
                    mode: 0o600,
                };
                for step in &Replacement::STEPS[..done] {
                    step(&replacement).expect("a step");
                }
                if half_filled && replacement.temporary.exists() {
                    fs::write(&replacement.temporary, "ne").expect("write");
                }
                let is_renamed = done >= 4;
                assert_eq!(read(directory), if is_renamed { "new" } else { "old" });
                write("newer");
                assert_eq!(read(directory), "newer");
                let left: Vec<_> = fs::read_dir(directory).expect("read").collect();
                assert_eq!(left.len(), 2, "the file and the lock: {left:?}");
            }
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_file() {
        let folder = folder();
        let directory = folder.path();
        let mut store = Store::open(Some(directory)).expect("open");
        store.write("file", "old", 0o600).expect("write");
        fs::create_dir(directory.join(".file.new")).expect("make a folder");
        let error = store.write("file", "new", 0o600).expect_err("in the way");
        assert!(error.to_string().starts_with("write /"), "{error}");
        assert_eq!(store.read("file").expect("read").expect("there").1, "old");
    }
}
