//! TLS towards an admin port, by the rules that `security` of a backend has: plaintext only where the way stays on this
//! machine, `ssl-ca` alone means `VERIFY_CA`.

use std::path::PathBuf;

use clap::ValueEnum;
use thiserror::Error;

use crate::backend::{Endpoint, Security};
use crate::config::is_local;
use crate::tls::{ClientSettings, PemSource, Policy, Sources, SslMode};

/// The options about TLS, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Who must have signed the port's certificate.
    pub ca: Option<PathBuf>,
    /// Our certificate; the key is beside it.
    pub cert: Option<PathBuf>,
    /// Our key.
    pub key: Option<PathBuf>,
    /// What the CA has revoked.
    pub crl: Option<PathBuf>,
    /// How far the port's certificate is checked.
    pub mode: Option<Mode>,
}

/// `--ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Plaintext.
    #[value(name = "DISABLED")]
    Disabled,
    /// TLS, whatever certificate is shown.
    #[value(name = "REQUIRED")]
    Required,
    /// A certificate that --ssl-ca verifies.
    #[value(name = "VERIFY_CA")]
    VerifyCa,
    /// The same, and it names the host.
    #[value(name = "VERIFY_IDENTITY")]
    VerifyIdentity,
}

/// Options that do not go together, or not with the address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecurityError {
    /// Over the network.
    #[error("{0} would be asked in plaintext over the network: write --ssl-ca")]
    Plaintext(Endpoint),
    /// No certificate can be verified.
    #[error("--ssl-mode needs --ssl-ca: without one there is nothing to verify with")]
    NoCa,
    /// Nothing is verified.
    #[error("--ssl-crl needs --ssl-ca, and no --ssl-mode but VERIFY_CA or VERIFY_IDENTITY")]
    UnusedCrl,
    /// A socket's path is no name.
    #[error("{0} has no host name for VERIFY_IDENTITY to compare: write VERIFY_CA")]
    Nameless(Endpoint),
}

impl TlsOptions {
    /// How this address is to be spoken to.
    pub fn security_of(&self, endpoint: &Endpoint) -> Result<Security, SecurityError> {
        let plaintext = if is_local(endpoint) {
            Ok(Security::Plaintext)
        } else {
            Err(SecurityError::Plaintext(endpoint.clone()))
        };
        let mode = match self.mode {
            None if *self == Self::default() => match endpoint {
                Endpoint::Unix(_) => return plaintext,
                // on this machine either is as good, and the port may demand it
                Endpoint::Tcp { .. } | Endpoint::Resolved { .. } => {
                    return plaintext
                        .map(|_| Security::AsOffered(self.settings(SslMode::Required)));
                }
            },
            None if self.ca.is_some() => SslMode::VerifyCa,
            Some(Mode::Disabled) => return plaintext,
            None | Some(Mode::Required) => SslMode::Required,
            Some(Mode::VerifyCa) => SslMode::VerifyCa,
            Some(Mode::VerifyIdentity) => SslMode::VerifyIdentity,
        };
        if mode.verifies() && self.ca.is_none() {
            return Err(SecurityError::NoCa);
        }
        if self.crl.is_some() && !mode.verifies() {
            return Err(SecurityError::UnusedCrl);
        }
        if mode == SslMode::VerifyIdentity && matches!(endpoint, Endpoint::Unix(_)) {
            return Err(SecurityError::Nameless(endpoint.clone()));
        }
        Ok(Security::Tls(self.settings(mode)))
    }

    fn settings(&self, mode: SslMode) -> ClientSettings {
        let file = |path: &Option<PathBuf>| path.clone().map(PemSource::File);
        ClientSettings {
            sources: Sources {
                ca: file(&self.ca),
                cert: file(&self.cert),
                key: file(&self.key),
                crl: file(&self.crl),
            },
            mode,
            policy: Policy::default(),
            backend_names: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_admin_address;

    const LOCAL: &str = "127.0.0.1";
    const REMOTE: &str = "mytls.internal";
    const SOCKET: &str = "unix:/run/mytls/admin.sock";

    fn security(
        address: &str,
        ca: Option<&str>,
        mode: Option<Mode>,
    ) -> Result<Security, SecurityError> {
        let endpoint = parse_admin_address(address).expect("an address");
        let options = TlsOptions {
            ca: ca.map(PathBuf::from),
            mode,
            ..TlsOptions::default()
        };
        options.security_of(&endpoint)
    }

    #[test]
    fn nothing_goes_over_the_network_in_plaintext() {
        for mode in [None, Some(Mode::Disabled)] {
            assert!(matches!(
                security(REMOTE, None, mode),
                Err(SecurityError::Plaintext(_))
            ));
        }
        assert!(matches!(
            security(REMOTE, Some("ca.pem"), Some(Mode::Disabled)),
            Err(SecurityError::Plaintext(_))
        ));
    }

    #[test]
    fn what_cannot_be_verified_is_refused() {
        for mode in [Mode::VerifyCa, Mode::VerifyIdentity] {
            assert_eq!(security(LOCAL, None, Some(mode)), Err(SecurityError::NoCa));
        }
        assert!(matches!(
            security(SOCKET, Some("ca.pem"), Some(Mode::VerifyIdentity)),
            Err(SecurityError::Nameless(_))
        ));
        let endpoint = parse_admin_address(LOCAL).expect("an address");
        for mode in [None, Some(Mode::Required)] {
            let options = TlsOptions {
                crl: Some("crl.pem".into()),
                mode,
                ..TlsOptions::default()
            };
            assert_eq!(
                options.security_of(&endpoint),
                Err(SecurityError::UnusedCrl)
            );
        }
    }

    #[test]
    fn a_ca_alone_verifies() {
        for address in [LOCAL, REMOTE, SOCKET] {
            let security = security(address, Some("ca.pem"), None);
            let Ok(Security::Tls(settings)) = security else {
                panic!("{address}: {security:?}")
            };
            assert_eq!(settings.mode, SslMode::VerifyCa);
        }
    }

    #[test]
    fn on_this_machine_it_is_as_the_port_offers() {
        assert!(matches!(
            security(LOCAL, None, None),
            Ok(Security::AsOffered(_))
        ));
        assert_eq!(security(SOCKET, None, None), Ok(Security::Plaintext));
        assert_eq!(
            security(LOCAL, None, Some(Mode::Disabled)),
            Ok(Security::Plaintext)
        );
    }
}
