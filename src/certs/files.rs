//! The files that `mytls certs new` makes: their names, and writing them all or none, never over others.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::tls::NewIdentity;

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Only half of a pair of files is there.
    #[error("{}: is there without {missing}; put that back, or move this one away", .there.display())]
    Half {
        /// The file that is there.
        there: PathBuf,
        /// The name of the one that is not.
        missing: String,
    },
    /// Asked for, but there already.
    #[error("{}: is there already, and nothing is overwritten; move it and its key away, or name another folder", .0.display())]
    There(PathBuf),
    /// The folder or a file in it.
    #[error("write {}: {error}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The files of a certificate and its key, by the names that the manuals give them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pair {
    pub(super) fn ca() -> Self {
        Self {
            certificate: "ca.pem".to_owned(),
            key: "ca-key.pem".to_owned(),
        }
    }

    pub(super) fn new(whose: &str) -> Self {
        Self {
            certificate: format!("{whose}-cert.pem"),
            key: format!("{whose}-key.pem"),
        }
    }

    /// Without what a shell or a file system could take for something else.
    pub(super) fn of_client(name: &str) -> Self {
        let is_safe = |each: char| each.is_alphanumeric() || "._-@".contains(each);
        let safe: String = name
            .chars()
            .map(|each| if is_safe(each) { each } else { '_' })
            .collect();
        Self::new(&format!("client-{safe}"))
    }
}

/// A file to be written.
pub(super) struct File {
    pub(super) name: String,
    text: Zeroizing<Vec<u8>>,
    mode: u32,
    pub(super) purpose: &'static str,
}

impl File {
    /// The key first: a certificate without its key would be of no use.
    pub(super) fn pair(pair: &Pair, made: &NewIdentity) -> [Self; 2] {
        let key = Self {
            name: pair.key.clone(),
            text: made.key.as_bytes().to_vec().into(),
            mode: 0o600,
            purpose: "private key, readable by its owner only",
        };
        let certificate = Self {
            name: pair.certificate.clone(),
            text: made.certificate.as_bytes().to_vec().into(),
            mode: 0o644,
            purpose: "certificate",
        };
        [key, certificate]
    }
}

/// Where the files lie.
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A link that leads nowhere is there, too: it would be written through.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(super) fn has(&self, pair: &Pair) -> Result<bool, FilesError> {
        let half = |there, missing: &String| FilesError::Half {
            there: self.path(there),
            missing: missing.clone(),
        };
        match (self.exists(&pair.certificate), self.exists(&pair.key)) {
            (true, true) => Ok(true),
            (false, false) => Ok(false),
            (true, false) => Err(half(&pair.certificate, &pair.key)),
            (false, true) => Err(half(&pair.key, &pair.certificate)),
        }
    }

    /// All of them or none.
    pub(super) fn write(&self, files: &[File]) -> Result<(), FilesError> {
        fs::create_dir_all(self.0).map_err(|error| FilesError::Write {
            path: self.0.to_owned(),
            error,
        })?;
        for (position, file) in files.iter().enumerate() {
            let path = self.path(&file.name);
            let Err((is_ours, error)) = create(&path, file) else {
                continue;
            };
            let written = &files[..position + usize::from(is_ours)];
            for file in written {
                // what cannot be taken away is left; the error says which file failed
                let _ = fs::remove_file(self.path(&file.name));
            }
            return Err(FilesError::Write { path, error });
        }
        Ok(())
    }
}

/// Never over another file. An error says whether the file was made.
fn create(path: &Path, file: &File) -> Result<(), (bool, io::Error)> {
    let mut opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode)
        .open(path)
        .map_err(|error| (false, error))?;
    opened
        .write_all(&file.text)
        .and_then(|()| opened.sync_all())
        .map_err(|error| (true, error))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn file(name: &str) -> File {
        File {
            name: name.to_owned(),
            text: Zeroizing::new(b"ours".to_vec()),
            mode: 0o600,
            purpose: "",
        }
    }

    /// Another process has been faster, or the disk is full.
    #[test]
    fn what_was_written_before_a_failure_is_taken_away_and_nothing_else() {
        let directory = TempDir::new().expect("a folder");
        let theirs = directory.path().join("b");
        fs::write(&theirs, "theirs").expect("written");
        let files = ["a", "b", "c"].map(file);
        let error = Folder(directory.path()).write(&files).expect_err("refused");
        assert!(
            matches!(&error, FilesError::Write { path, .. } if *path == theirs),
            "{error}"
        );
        assert_eq!(fs::read(&theirs).expect("there"), b"theirs");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn link_that_leads_nowhere_is_not_written_through() {
        let directory = TempDir::new().expect("a folder");
        let outside = directory.path().join("outside");
        std::os::unix::fs::symlink(&outside, directory.path().join("ca.pem")).expect("linked");
        let folder = Folder(directory.path());
        assert!(matches!(
            folder.has(&Pair::ca()),
            Err(FilesError::Half { .. })
        ));
        folder.write(&[file("ca.pem")]).expect_err("refused");
        assert!(!outside.exists());
    }
}
