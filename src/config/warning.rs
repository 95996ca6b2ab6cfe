//! What is odd in a configuration, in words for the person who wrote it. mytls goes on.

use std::fmt;
use std::path::Path;

use serde_saphyr::{Location, Spanned};

use super::place::{Aim, Place};
use crate::backend::Role;

/// What a configuration does that its writer may not expect. Never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is written, if it is.
    pub place: Option<Place>,
    /// What.
    pub notice: Notice,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place {
            file, line, key, ..
        }) = &self.place
        {
            write!(f, "{}:{line}: {key}: ", file.display())?;
        }
        write!(f, "{}", self.notice)
    }
}

/// What is odd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// TLS to the backend without looking at its certificate.
    #[error(
        "the server's certificate is not verified, so that whoever stands between can pass for it: the cure is `ssl-ca`"
    )]
    NotVerified,
    /// `ssl-mode: DISABLED`.
    #[error("ssl-mode is DISABLED: plaintext, and nothing else in this section has an effect")]
    TurnedOff,
    /// `ssl-ca` beside `ssl-mode: REQUIRED`.
    #[error("ssl-mode is REQUIRED, which verifies nothing: `ssl-ca` has no effect")]
    UnusedCa,
    /// A rule asks for TLS, and there is none towards clients.
    #[error("admits nobody: there is no `security.ssl-cert`, and `auto-tls` is off")]
    NoTls,
    /// A rule asks for a client certificate and none can be verified.
    #[error("admits nobody: no client certificate can be verified without `security.ssl-ca`")]
    AdmitsNobody,
    /// `cert-allowed-cn` without a name.
    #[error("admits nobody: the list is empty")]
    NoNames,
    /// A rule asks for a cipher that no session has.
    #[error(
        "admits nobody: no session has that cipher, only {}, each by OpenSSL's name",
        .allowed.join(", ")
    )]
    UnknownCipher {
        /// Those that `security` allows.
        allowed: Vec<&'static str>,
    },
    /// `enforcement: report`.
    #[error(
        "accounts, default-require, require-secure-transport and cert-allowed-cn refuse nobody: whom they would refuse is only logged"
    )]
    OnlyReports,
    /// `0.0.0.0/0` in `proxy-protocol.accept-from`.
    #[error("lists everybody: whoever reaches the port can claim any client's address")]
    EverybodyIsBalancer,
    /// `import-accounts.hosts: ignore`.
    #[error("users are not refused for coming from an address that none of their accounts admits")]
    HostsIgnored,
    /// `import-accounts.enforcement: report`.
    #[error("what the server's own accounts require is only reported: nobody is refused for it")]
    ImportReported,
    /// A backend's `user` or `password`, and no import.
    #[error("has no effect without `import-accounts`: mytls logs in nowhere else")]
    UnusedAccount,
    /// A password in the form of `dmctl encrypt`.
    #[error(
        "looks encrypted by `dmctl encrypt`, and mytls cannot decrypt it: it is taken as it stands; write the password \
         itself, best with `import-accounts.password-file`"
    )]
    EncryptedPassword,
    /// A password file that everybody may read.
    #[error("every user of this machine can read the file: chmod o-r")]
    ExposedPassword,
    /// `http.listen` beyond loopback.
    #[error(
        "without TLS and login: whoever reaches this address reads metrics, names of certificates and why clients were refused"
    )]
    OpenHttp,
    /// `state-dir` is written nowhere.
    #[error(
        "no state directory (state-dir, $STATE_DIRECTORY, $XDG_STATE_HOME, $HOME): the certificate is made anew at each start, and clients that trust the old one must be told"
    )]
    NoStateDirectory,
}

/// A [`Warning`] before its place was looked up.
#[derive(Debug)]
pub(super) struct Remark {
    at: Option<Location>,
    notice: Notice,
    /// In DM's file about this backend, not in mytls' own.
    of_dm: Option<Role>,
}

impl Remark {
    /// About a key that is written.
    pub(super) fn key<T>(at: &Spanned<T>, notice: Notice) -> Self {
        Self {
            at: Some(at.referenced),
            notice,
            of_dm: None,
        }
    }

    /// About the key of the value at this position.
    pub(super) fn key_at(at: Location, notice: Notice) -> Self {
        Self {
            at: Some(at),
            notice,
            of_dm: None,
        }
    }

    /// About what is not written.
    pub(super) fn general(notice: Notice) -> Self {
        Self {
            at: None,
            notice,
            of_dm: None,
        }
    }

    /// It is about DM's file.
    pub(super) fn set_dm(&mut self, role: Role) {
        self.of_dm = Some(role);
    }

    /// Which of DM's files it is about, if one.
    pub(super) fn of_dm(&self) -> Option<Role> {
        self.of_dm
    }

    /// Looks the place up in the file's text.
    pub(super) fn into_warning(self, file: &Path, text: &str) -> Warning {
        let place = self
            .at
            .map(|at| Place::find(file, text, at, Aim::KeyOfValue));
        Warning {
            place,
            notice: self.notice,
        }
    }
}
