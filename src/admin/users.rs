//! Who may log in to the admin port: by password, by certificate, or by both.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::SecureRandom;
use zeroize::Zeroizing;

use super::password::{PasswordError, Verifier};
use crate::protocol::user_name::UserName;
use crate::rules::{ClientNames, Requirement, Transport};

/// One of `admin.users`: a password, a certificate, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// Whom a client says that it is.
    pub name: UserName,
    /// Where its password is, or the password's hash as MySQL prints it. Without one the certificate is enough.
    pub password_file: Option<PathBuf>,
    /// What its TLS session must have shown.
    pub requirement: Requirement,
}

/// Why nobody can log in to the admin port.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// A password file cannot be read.
    #[error("admin user {user:?}: read password file {}: {source}", path.display())]
    Read {
        /// Whose.
        user: UserName,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It was read and holds no password.
    #[error("admin user {user:?}: password file {}: {source}", path.display())]
    Password {
        /// Whose.
        user: UserName,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PasswordError,
    },
    /// Nothing can be made to compare with.
    #[error(transparent)]
    Nobody(#[from] PasswordError),
}

/// The users, their password files read.
#[derive(Debug)]
pub struct Users {
    by_name: HashMap<UserName, User>,
    /// `admin.security.cert-allowed-cn`
    client_names: Option<ClientNames>,
    /// In place of whoever may not log in at all: asked for a password like everybody else.
    nobody: Arc<Verifier>,
}

#[derive(Debug)]
struct User {
    verifier: Option<Arc<Verifier>>,
    requirement: Requirement,
}

/// Why somebody may not log in, whatever password it has. The text is the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdmitted {
    #[error("the certificate's common name is not in admin.security.cert-allowed-cn")]
    CommonName,
    #[error("there is no such user in admin.users")]
    Unknown,
    #[error("its TLS session has not shown what admin.users requires of it")]
    Lacking,
}

/// How a client that says it is somebody can prove it.
#[derive(Debug)]
pub(super) enum Proof {
    /// Its certificate has proved it.
    Given,
    /// By a password.
    Password(Arc<Verifier>),
}

impl Users {
    /// Reads every password file.
    pub fn load(
        settings: Vec<UserSettings>,
        client_names: Option<ClientNames>,
        random: &'static dyn SecureRandom,
    ) -> Result<Self, UsersError> {
        let mut by_name = HashMap::new();
        for UserSettings {
            name,
            password_file,
            requirement,
        } in settings
        {
            let verifier = password_file
                .map(|path| load_verifier(&name, path, random))
                .transpose()?
                .map(Arc::new);
            let user = User {
                verifier,
                requirement,
            };
            by_name.insert(name, user);
        }
        let verifiers = by_name.values().filter_map(|user| user.verifier.as_deref());
        let nobody = Verifier::of_nobody(verifiers, random)?;
        Ok(Self {
            by_name,
            client_names,
            nobody: Arc::new(nobody),
        })
    }

    /// What is asked of a client, and whether that is enough. To the client, whoever is not admitted looks like somebody with
    /// a wrong password.
    pub(super) fn proof(
        &self,
        name: &UserName,
        transport: &Transport,
    ) -> (Proof, Result<(), NotAdmitted>) {
        match self.admit(name, transport) {
            Ok(User {
                verifier: Some(verifier),
                ..
            }) => (Proof::Password(Arc::clone(verifier)), Ok(())),
            Ok(User { verifier: None, .. }) => (Proof::Given, Ok(())),
            Err(reason) => (Proof::Password(Arc::clone(&self.nobody)), Err(reason)),
        }
    }

    fn admit(&self, name: &UserName, transport: &Transport) -> Result<&User, NotAdmitted> {
        if let Some(names) = &self.client_names {
            names
                .judge(transport.certificate())
                .map_err(|_| NotAdmitted::CommonName)?;
        }
        let user = self.by_name.get(name).ok_or(NotAdmitted::Unknown)?;
        match user.requirement.lacking(transport) {
            None => Ok(user),
            Some(_) => Err(NotAdmitted::Lacking),
        }
    }
}

/// As much of a file as can be a password or its hash, and a little more.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    const MOST_BYTES: u64 = 1024;
    let mut content = Zeroizing::new(Vec::new());
    File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn load_verifier(
    user: &UserName,
    path: PathBuf,
    random: &dyn SecureRandom,
) -> Result<Verifier, UsersError> {
    let content = match read_file(&path) {
        Ok(content) => content,
        Err(source) => {
            let user = user.clone();
            return Err(UsersError::Read { user, path, source });
        }
    };
    Verifier::from_file(&content, random).map_err(|source| {
        let user = user.clone();
        UsersError::Password { user, path, source }
    })
}
