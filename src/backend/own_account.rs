//! mytls' own account at a backend. Only the import of its rules logs in with one.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::protocol::user_name::UserName;

/// No password is longer; a larger file is the wrong one.
const MOST_FILE_BYTES: u64 = 64 * 1024;

/// Whom mytls logs in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// The user's name.
    pub user: UserName,
    /// Where its password is.
    pub password: PasswordSource,
}

/// Where the password of mytls' own account comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// There is none.
    None,
    /// Written in the configuration.
    Inline(Zeroizing<String>),
    /// A file, read again for each login, so that a new password needs no restart.
    File(PathBuf),
}

/// Without the password.
impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Inline(_) => f.write_str("Inline"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A password file that cannot be used.
#[derive(Debug, Error)]
pub enum PasswordFileError {
    /// It cannot be read, or is not text.
    #[error("read password file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a password's.
    #[error("password file {} is larger than {MOST_FILE_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It has nothing before its first line break, or a NUL, which no password can have.
    #[error("password file {} has no password", .0.display())]
    Empty(PathBuf),
}

impl PasswordSource {
    /// The password, empty if there is none. A file's line break at its end is no part of it.
    ///
    /// Blocks for as long as the file takes.
    pub fn read(&self) -> Result<Zeroizing<String>, PasswordFileError> {
        match self {
            Self::None => Ok(Zeroizing::default()),
            Self::Inline(password) => Ok(password.clone()),
            Self::File(path) => read_file(path),
        }
    }

    /// The file, if others than its owner and group can read it.
    pub fn exposed_file(&self) -> Option<&Path> {
        const OTHERS_READ: u32 = 0o004;
        let Self::File(path) = self else { return None };
        let mode = fs::metadata(path).ok()?.permissions().mode();
        (mode & OTHERS_READ != 0).then_some(path)
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, PasswordFileError> {
    let failed = |source| PasswordFileError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MOST_FILE_BYTES {
        return Err(PasswordFileError::TooLarge(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains('\0') {
        return Err(PasswordFileError::Empty(path.to_owned()));
    }
    Ok(Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use tempfile::TempDir;

    use super::*;

    fn file(text: &str) -> (TempDir, PasswordSource) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, text).expect("written");
        (folder, PasswordSource::File(path))
    }

    #[test]
    fn a_file_without_a_password_is_refused() {
        for text in ["", "\n", "\r\n", "a\0b\n"] {
            let (_folder, source) = file(text);
            assert!(
                matches!(source.read(), Err(PasswordFileError::Empty(_))),
                "{text:?}"
            );
        }
        let (_folder, large) = file(&"a".repeat(70_000));
        assert!(matches!(large.read(), Err(PasswordFileError::TooLarge(_))));
        let missing = PasswordSource::File("/nonexistent/secret".into());
        let error = missing.read().expect_err("there is no such file");
        assert!(error.to_string().contains("/nonexistent/secret"), "{error}");
    }

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_a_password() {
        for (text, password) in [
            ("open", "open"),
            ("open\n", "open"),
            ("open\r\n", "open"),
            (" op en \n\n", " op en \n"),
        ] {
            let (_folder, source) = file(text);
            assert_eq!(*source.read().expect("read"), password, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_seen() {
        let (_folder, source) = file("open");
        let PasswordSource::File(path) = &source else {
            panic!("a file")
        };
        for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
            assert_eq!(source.exposed_file().is_some(), exposed, "{mode:o}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let source = PasswordSource::Inline(Zeroizing::new("open".to_owned()));
        assert_eq!(format!("{source:?}"), "Inline");
    }
}
