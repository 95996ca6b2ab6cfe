//! Why somebody may not pass, as few words: for the metrics. The log and `SHOW DENIALS` have the whole reason.

use super::failure::Failure;
use crate::metrics::labels;
use crate::net::stream::StreamError;
use crate::protocol::err_packet::ErrPacket;
use crate::rules::{Denial, Lacking};
use crate::tls::{CertificateRefusal, Flaw};

/// Why mytls refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A user name that cannot be read, or that the server would read as another.
    UserName,
    /// The client's certificate, or one above it, is out of date.
    CertificateExpired,
    /// The client's certificate, or one above it, is not valid yet.
    CertificateNotYetValid,
    /// The client's certificate was revoked, or it is not known whether it was.
    CertificateRevoked,
    /// The client's certificate leads to no CA of `ssl-ca`, but perhaps to a namesake of one.
    CertificateUnknownIssuer,
    /// Another flaw of the client's certificate.
    CertificateOther,
    /// Plaintext where TLS is required of everybody.
    InsecureTransport,
    /// `cert-allowed-cn`
    CommonName,
    /// No account of the user admits the client's address.
    NoAccount,
    /// The server's grant tables do not have the user.
    NotImported,
    /// The server chose an account that the client must not be.
    OtherAccount,
    /// A Unix-socket backend would take the client for mytls itself.
    PeerCredential,
    /// The account requires TLS.
    RequireTls,
    /// The account requires a client certificate, and there is none.
    RequireCertificate,
    /// The account requires another subject.
    RequireSubject,
    /// The account requires another issuer.
    RequireIssuer,
    /// The account requires another cipher.
    RequireCipher,
    /// The account requires other alternative names.
    RequireSan,
    /// The account's requirement cannot be met.
    RequireImpossible,
    /// The server's accounts cannot be imported.
    ImportFailed,
    /// The account's plugin would send the password where others can read it.
    InsecurePassword,
    /// The server does not tell which account it chose.
    NotConfirmed,
}

/// Why a backend refuses, by the number of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendRefusal {
    /// 1045, 1698: user or password.
    AccessDenied,
    /// 1044: not to this database.
    DatabaseAccessDenied,
    /// 1049
    UnknownDatabase,
    /// 1040, 1203, 1226: too many connections, of all or of this user.
    TooManyConnections,
    /// 1820, 1862
    PasswordExpired,
    /// 3118, 4151
    AccountLocked,
    /// Any other.
    Other,
}

/// Why a login came to nothing although nobody refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// The client left before it said anything: a probe, a port scan.
    Left,
    /// A limit on the number of connections.
    TooManyConnections,
    /// `limits.login-time`
    TooSlow,
    /// The client's connection failed, or was closed.
    ClientLost,
    /// TLS with the client failed.
    ClientTls,
    /// The client broke the protocol.
    Malformed,
    /// Its connection began with a wrong PROXY header, or with one that is nobody's to send.
    ProxyHeader,
    /// The client is too old to log in.
    OldClient,
    /// No greeting of the backend was ever learnt.
    BackendNotSeen,
    /// The backend could not be dialled, or not with TLS.
    BackendNotReached,
    /// The backend's connection failed in the login, or it broke the protocol.
    BackendLost,
    /// New sessions go elsewhere.
    Draining,
    /// `KILL` on the admin port.
    Killed,
    /// The system gives no random bytes.
    NoRandom,
}

labels! {
    Abort, "reason" {
        Left => "client_left",
        TooManyConnections => "too_many_connections",
        TooSlow => "too_slow",
        ClientLost => "client_lost",
        ClientTls => "client_tls",
        Malformed => "malformed",
        ProxyHeader => "proxy_header",
        OldClient => "old_client",
        BackendNotSeen => "backend_not_seen",
        BackendNotReached => "backend_not_reached",
        BackendLost => "backend_lost",
        Draining => "draining",
        Killed => "killed",
        NoRandom => "no_random_bytes",
    }
    Refusal, "reason" {
        UserName => "user_name",
        CertificateExpired => "certificate_expired",
        CertificateNotYetValid => "certificate_not_yet_valid",
        CertificateRevoked => "certificate_revoked",
        CertificateUnknownIssuer => "certificate_unknown_issuer",
        CertificateOther => "certificate_other",
        InsecureTransport => "insecure_transport",
        CommonName => "common_name",
        NoAccount => "no_account",
        NotImported => "not_imported",
        OtherAccount => "other_account",
        PeerCredential => "peer_credential",
        RequireTls => "require_tls",
        RequireCertificate => "require_certificate",
        RequireSubject => "require_subject",
        RequireIssuer => "require_issuer",
        RequireCipher => "require_cipher",
        RequireSan => "require_san",
        RequireImpossible => "require_impossible",
        ImportFailed => "import_failed",
        InsecurePassword => "insecure_password",
        NotConfirmed => "not_confirmed",
    }
    BackendRefusal, "reason" {
        AccessDenied => "access_denied",
        DatabaseAccessDenied => "database_access_denied",
        UnknownDatabase => "unknown_database",
        TooManyConnections => "too_many_connections",
        PasswordExpired => "password_expired",
        AccountLocked => "account_locked",
        Other => "other",
    }
}

/// What a failed login, or change of user, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// mytls said no.
    Refused(Refusal),
    /// The backend said no.
    RefusedByBackend(BackendRefusal),
    /// Nobody said no.
    Aborted(Abort),
}

impl From<&Denial> for Refusal {
    fn from(denial: &Denial) -> Self {
        match denial {
            Denial::InsecureTransport => Self::InsecureTransport,
            Denial::CommonName { .. } => Self::CommonName,
            Denial::NoAccount { .. } | Denial::NoImportedAccount { .. } => Self::NoAccount,
            Denial::NotImported | Denial::UnknownAccount { .. } => Self::NotImported,
            Denial::OtherAccount { .. } => Self::OtherAccount,
            Denial::PeerCredential { .. } => Self::PeerCredential,
            Denial::Requirement { lacking, .. } => match lacking {
                Lacking::Tls => Self::RequireTls,
                Lacking::Certificate => Self::RequireCertificate,
                Lacking::Subject(_) => Self::RequireSubject,
                Lacking::Issuer(_) => Self::RequireIssuer,
                Lacking::Cipher(_) => Self::RequireCipher,
                Lacking::San(_) => Self::RequireSan,
                Lacking::Impossible => Self::RequireImpossible,
            },
        }
    }
}

impl From<&CertificateRefusal> for Refusal {
    fn from(refusal: &CertificateRefusal) -> Self {
        match refusal.flaw() {
            Flaw::Expired { .. } => Self::CertificateExpired,
            Flaw::NotYetValid { .. } => Self::CertificateNotYetValid,
            Flaw::Revoked | Flaw::ListExpired { .. } | Flaw::ListNotYetValid { .. } => {
                Self::CertificateRevoked
            }
            Flaw::UnknownIssuer | Flaw::BadSignature | Flaw::NoAuthorities => {
                Self::CertificateUnknownIssuer
            }
            Flaw::NotAllowed => Self::CommonName,
            Flaw::Malformed
            | Flaw::Version1
            | Flaw::WrongPurpose { .. }
            | Flaw::CaAsLeaf
            | Flaw::NotACa
            | Flaw::OtherName { .. }
            | Flaw::NoName
            | Flaw::None
            | Flaw::Other(_) => Self::CertificateOther,
        }
    }
}

impl From<&ErrPacket> for BackendRefusal {
    fn from(error: &ErrPacket) -> Self {
        match error.code {
            1045 | 1698 => Self::AccessDenied,
            1044 => Self::DatabaseAccessDenied,
            1049 => Self::UnknownDatabase,
            1040 | 1203 | 1226 => Self::TooManyConnections,
            1820 | 1862 => Self::PasswordExpired,
            3118 | 4151 => Self::AccountLocked,
            _ => Self::Other,
        }
    }
}

impl Failure {
    /// Who said no, if anybody did, and why.
    pub(super) fn cause(&self) -> Cause {
        let aborted = Cause::Aborted;
        match self {
            Self::UserName(_) => Cause::Refused(Refusal::UserName),
            Self::Certificate(refusal) => Cause::Refused(refusal.into()),
            Self::Denied { denial, .. } => Cause::Refused(denial.into()),
            Self::NotImported { .. } => Cause::Refused(Refusal::ImportFailed),
            Self::OwnOsUser { .. } => Cause::Refused(Refusal::PeerCredential),
            Self::ClearText(_) | Self::NoRsaKey(_) => Cause::Refused(Refusal::InsecurePassword),
            Self::NotConfirmed(_) | Self::NoAccountNamed { .. } => {
                Cause::Refused(Refusal::NotConfirmed)
            }
            Self::RefusedByBackend(error) => Cause::RefusedByBackend(error.into()),
            Self::Left => aborted(Abort::Left),
            Self::TooManyConnections { .. } | Self::GaveWay { .. } => {
                aborted(Abort::TooManyConnections)
            }
            Self::TooSlow | Self::NoProxyHeader => aborted(Abort::TooSlow),
            Self::ProxyHeader(_) | Self::ProxyHeaderCut | Self::UnlistedBalancer(_) => {
                aborted(Abort::ProxyHeader)
            }
            Self::Client(StreamError::Tls(..)) => aborted(Abort::ClientTls),
            Self::Client(StreamError::Closed(_) | StreamError::Io(..)) => {
                aborted(Abort::ClientLost)
            }
            Self::Client(
                StreamError::Frame(..)
                | StreamError::Sequence { .. }
                | StreamError::TooLarge { .. },
            )
            | Self::WrongLevel(_)
            | Self::Malformed(_)
            | Self::ClientBreaks(_) => aborted(Abort::Malformed),
            Self::OldClient => aborted(Abort::OldClient),
            Self::BackendNotSeen(_) => aborted(Abort::BackendNotSeen),
            Self::Connect { .. } => aborted(Abort::BackendNotReached),
            Self::Backend { .. } | Self::Confirm { .. } | Self::NotAsked | Self::OldPassword => {
                aborted(Abort::BackendLost)
            }
            Self::Draining => aborted(Abort::Draining),
            Self::Killed => aborted(Abort::Killed),
            Self::NoRandom => aborted(Abort::NoRandom),
        }
    }
}
