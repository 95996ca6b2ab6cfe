//! The files of one place, as they were at one moment: what they held, and whether they have changed since.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;

use crate::tls::sources::{
    PemSource, Sources, pem,
    problem::{MaterialError, Place},
};

/// How often files are read again that change while they are read. Each time takes well under a millisecond, so more than
/// a few mean that something writes them without end.
const TRIES: usize = 10;

/// What was written within one tick of the file system's clock has one and the same time. Until a change is this old, the
/// next one may look like it. FAT's tick is the coarsest.
const TICK: Duration = Duration::from_secs(2);

/// SHA-256 of all that was read, or of why it could not be.
pub(crate) type Contents = [u8; digest::SHA256_OUTPUT_LEN];

/// Files that changed whenever they were read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moving;

/// How the files were.
#[derive(Debug)]
pub(crate) struct Snapshot {
    files: Vec<(PathBuf, Stamp)>,
    /// Whether any later change shows in the stamps.
    settled: bool,
    contents: Contents,
}

/// What was read in one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) snapshot: Snapshot,
    /// The same sources, the files read; or the first that could not be.
    pub(crate) sources: Result<Sources, MaterialError>,
}

/// What shows without reading a file whether it is another now. Symbolic links are followed, so a file that is reached by
/// a link (`..data` of Kubernetes) is another once the link leads elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    File {
        device: u64,
        inode: u64,
        bytes: u64,
        modified: (i64, i64),
        /// Of content, owner or mode.
        changed: (i64, i64),
    },
    None(io::ErrorKind),
}

impl Stamp {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(file) => Self::File {
                device: file.dev(),
                inode: file.ino(),
                bytes: file.size(),
                modified: (file.mtime(), file.mtime_nsec()),
                changed: (file.ctime(), file.ctime_nsec()),
            },
            Err(error) => Self::None(error.kind()),
        }
    }

    /// Whether a change at `now` or later would give another stamp. Never so by a clock that has been set back: then
    /// files are read each time, which is slower and right.
    fn is_settled(self, now: SystemTime) -> bool {
        let changed = match self {
            Self::File { changed, .. } => u64::try_from(changed.0).unwrap_or(0),
            Self::None(_) => return true,
        };
        let first_other = UNIX_EPOCH + Duration::from_secs(changed) + TICK;
        now > first_other
    }
}

impl Snapshot {
    /// Whether the files are the same, by their stamps alone: one `stat` for each. False may also mean that only reading
    /// them can tell.
    pub(crate) fn is_current(&self) -> bool {
        self.settled
            && self
                .files
                .iter()
                .all(|(path, stamp)| Stamp::of(path) == *stamp)
    }

    /// What the files held.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }
}

impl Look {
    /// Reads every file, all as they were at one moment: their stamps before the first and after the last are the same.
    pub(crate) fn take(sources: &Sources) -> Result<Self, Moving> {
        Self::take_by(sources, read)
    }

    fn take_by(sources: &Sources, mut read: impl FnMut(&Sources) -> Read) -> Result<Self, Moving> {
        let paths = paths(sources);
        for _ in 0..TRIES {
            let now = SystemTime::now();
            let before = stamps(&paths);
            let (contents, read) = read(sources);
            if stamps(&paths) == before {
                return Ok(Self {
                    snapshot: Snapshot {
                        settled: before.iter().all(|stamp| stamp.is_settled(now)),
                        files: paths.into_iter().zip(before).collect(),
                        contents,
                    },
                    sources: read,
                });
            }
        }
        Err(Moving)
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    paths.iter().map(|path| Stamp::of(path)).collect()
}

/// Each file once: certificate and key may be in the same.
fn paths(sources: &Sources) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (_, source) in sources.each() {
        if let Some(PemSource::File(path)) = source
            && !paths.contains(path)
        {
            paths.push(path.clone());
        }
    }
    paths
}

/// What was in the files, and the sources with it.
type Read = (Contents, Result<Sources, MaterialError>);

fn read(sources: &Sources) -> Read {
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut update = |bytes: &[u8]| {
        // Where one file ends must count too.
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    let (mut loaded, mut first_error) = (sources.clone(), None);
    for ((key, source), (_, loaded)) in sources.each().into_iter().zip(loaded.each_mut()) {
        let Some(file @ PemSource::File(path)) = source else {
            continue;
        };
        let bytes = match key {
            "ssl-crl" => pem::read_lists(file),
            _ => pem::read(file),
        };
        match bytes {
            Ok(bytes) => {
                update(&bytes);
                let (path, pem) = (path.clone(), bytes.into());
                *loaded = Some(PemSource::Read { path, pem });
            }
            Err(problem) => {
                let error = MaterialError::new(Place::new(key, file), problem);
                update(error.to_string().as_bytes());
                first_error.get_or_insert(error);
            }
        }
    }
    let mut contents = Contents::default();
    contents.copy_from_slice(digest.finish().as_ref());
    (contents, first_error.map_or(Ok(loaded), Err))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A folder with one file, and sources that name it.
    fn one_file() -> (TempDir, PathBuf, Sources) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ca.pem");
        fs::write(&path, "one").expect("written");
        let sources = of(&path);
        (folder, path, sources)
    }

    fn of(path: &Path) -> Sources {
        Sources {
            ca: Some(PemSource::File(path.to_owned())),
            ..Sources::default()
        }
    }

    /// As if the files had been there for a while.
    fn settled(sources: &Sources) -> Snapshot {
        Snapshot {
            settled: true,
            ..look(sources).snapshot
        }
    }

    fn look(sources: &Sources) -> Look {
        Look::take(sources).expect("nobody writes")
    }

    /// Puts another file in the place of one, as editors and certificate managers do.
    fn replace(path: &Path, text: &str) {
        let new = path.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(new, path).expect("renamed");
    }

    #[test]
    fn every_way_to_change_a_file_shows() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("written in place", |path| {
                fs::write(path, "longer").expect("written");
            }),
            ("replaced by one of the same size", |path| {
                replace(path, "two");
            }),
            ("removed", |path| fs::remove_file(path).expect("removed")),
            ("made unreadable", |path| {
                let mode = fs::Permissions::from_mode(0o000);
                fs::set_permissions(path, mode).expect("changed");
            }),
            ("a folder in its place", |path| {
                fs::remove_file(path).expect("removed");
                fs::create_dir(path).expect("made");
            }),
        ];
        for (case, change) in changes {
            let (_folder, path, sources) = one_file();
            let snapshot = settled(&sources);
            assert!(snapshot.is_current(), "{case}");
            change(&path);
            assert!(!snapshot.is_current(), "{case}");
        }
    }

    #[test]
    fn a_file_that_comes_shows() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ca.pem");
        let look = look(&of(&path));
        assert!(look.sources.is_err());
        assert!(
            look.snapshot.is_current(),
            "a file that is not there is settled"
        );
        fs::write(&path, "one").expect("written");
        assert!(!look.snapshot.is_current());
    }

    /// Kubernetes: the files are links into `..data`, which is a link that is replaced.
    #[test]
    fn a_link_on_the_way_that_leads_elsewhere_shows() {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(version)).expect("made");
            fs::write(at(version).join("ca.pem"), text).expect("written");
        }
        symlink("..1", at("..data")).expect("linked");
        symlink("..data/ca.pem", at("ca.pem")).expect("linked");
        let snapshot = settled(&of(&at("ca.pem")));
        symlink("..2", at("..data_tmp")).expect("linked");
        assert!(snapshot.is_current());
        fs::rename(at("..data_tmp"), at("..data")).expect("renamed");
        assert!(!snapshot.is_current());
    }

    /// Within one tick a second change has the time of the first, and may have its size too.
    #[test]
    fn a_file_that_was_just_written_is_read_again() {
        let (_folder, path, sources) = one_file();
        let young = look(&sources).snapshot;
        assert!(!young.is_current());
        let stamp = Stamp::of(&path);
        let now = SystemTime::now();
        assert!(!stamp.is_settled(now));
        assert!(stamp.is_settled(now + 2 * TICK));
    }

    #[test]
    fn the_same_bytes_in_another_file_are_the_same_contents() {
        let (_folder, path, sources) = one_file();
        let before = look(&sources).snapshot;
        replace(&path, "one");
        assert_eq!(look(&sources).snapshot.contents(), before.contents());
        replace(&path, "two");
        assert_ne!(look(&sources).snapshot.contents(), before.contents());
    }

    #[test]
    fn bytes_that_move_from_one_file_to_the_next_are_other_contents() {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let sources = Sources {
            ca: Some(PemSource::File(at("ca.pem"))),
            cert: Some(PemSource::File(at("cert.pem"))),
            ..Sources::default()
        };
        let contents = |ca: &str, cert: &str| {
            fs::write(at("ca.pem"), ca).expect("written");
            fs::write(at("cert.pem"), cert).expect("written");
            *look(&sources).snapshot.contents()
        };
        assert_ne!(contents("ab", "c"), contents("a", "bc"));
    }

    #[test]
    fn certificate_and_key_in_one_file_cost_one_stat() {
        let (_folder, path, _) = one_file();
        let both = Some(PemSource::File(path.clone()));
        let sources = Sources {
            cert: both.clone(),
            key: both,
            ..Sources::default()
        };
        assert_eq!(paths(&sources), [path]);
    }

    #[test]
    fn what_was_read_is_what_is_loaded() {
        let (_folder, path, sources) = one_file();
        let look = look(&sources);
        replace(&path, "two");
        let read = look.sources.expect("read").ca.expect("given");
        assert_eq!(pem::read(&read).expect("in memory"), b"one");
    }

    #[test]
    fn files_that_change_while_they_are_read_are_read_again() {
        let (_folder, path, sources) = one_file();
        let mut changes = 0;
        let look = Look::take_by(&sources, |sources| {
            let read = read(sources);
            if changes < 3 {
                changes += 1;
                replace(&path, &changes.to_string());
            }
            read
        });
        let contents = *look.expect("it came to rest").snapshot.contents();
        assert_eq!(contents, read(&sources).0);
    }

    #[test]
    fn files_that_never_rest_are_given_up() {
        let (_folder, path, sources) = one_file();
        let look = Look::take_by(&sources, |sources| {
            replace(&path, "two");
            read(sources)
        });
        assert_eq!(look.map(|_| ()).expect_err("given up"), Moving);
    }
}
