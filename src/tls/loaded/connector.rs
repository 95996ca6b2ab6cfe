//! TLS towards a backend: what is shown to it, and how far its certificate is checked.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::SingleCertAndKey,
};

use crate::tls::{
    certificate::flaw::Flaw,
    loaded::{Loaded, expiry::Expiry, material::Material},
    settings::ClientSettings,
    sources::{
        oddity::MaterialWarning,
        problem::{MaterialError, Place, Problem},
    },
    ssl_mode::SslMode,
    trust::{
        authorities::{Authorities, Usage, verify_name},
        backend_names::BackendNames,
        refusal::CertificateRefusal,
        signature,
    },
};

/// A backend has a few endpoints, each a server of its own to the session store.
const RESUMED_SERVERS: usize = 16;

/// One generation of TLS towards a backend, with a session store of its own. Never changed.
#[derive(Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    verifier: Arc<BackendVerifier>,
    certificates: Vec<Expiry>,
    warnings: Vec<MaterialWarning>,
}

/// Why there is no TLS towards a backend.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A source of the configuration.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// rustls.
    #[error("configure TLS: {0}")]
    Tls(#[from] Error),
}

impl Connector {
    /// Loads and checks everything.
    pub fn load(settings: &ClientSettings) -> Result<Self, ConnectorError> {
        let provider = settings.policy.provider();
        let Material {
            authorities,
            identity,
            warnings,
        } = Material::load(&settings.sources, Usage::Client, &provider, UnixTime::now())?;
        let own = identity.iter().flat_map(|identity| &identity.cert);
        let mut certificates = Expiry::of_all("ssl-cert", own);
        let trusted = authorities.iter().flat_map(Authorities::certificates);
        certificates.extend(Expiry::of_all("ssl-ca", trusted));
        let trust = Trust::new(settings.mode, authorities)?;
        let verifier = Arc::new(BackendVerifier {
            trust,
            names: settings.backend_names.clone(),
            algorithms: provider.signature_verification_algorithms,
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(settings.policy.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match identity {
            // It is offered whatever issuers the server lists: one that is left out silently is found only as a 1045.
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(RESUMED_SERVERS);
        Ok(Self {
            config: Arc::new(config),
            verifier,
            certificates,
            warnings,
        })
    }

    /// For the handshake.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// What is odd about the files, which are used all the same.
    pub fn warnings(&self) -> &[MaterialWarning] {
        &self.warnings
    }

    /// The revocation lists that are in force, one line each.
    pub fn revocation_lists(&self) -> Vec<String> {
        let lists = self
            .verifier
            .trust
            .authorities()
            .map(Authorities::revocation_lists);
        lists
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The handshake judges a full handshake; rustls does not verify a resumed one again. This does, by the same rules.
    pub fn judge(
        &self,
        peer: Option<&[CertificateDer<'_>]>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateRefusal> {
        self.verifier.judge(peer.unwrap_or_default(), name, now)
    }
}

impl Loaded for Connector {
    fn certificates(&self) -> &[Expiry] {
        &self.certificates
    }

    fn warnings(&self) -> &[MaterialWarning] {
        &self.warnings
    }
}

/// The name of a backend for TLS, from the host of its endpoint or the path of its socket.
pub fn server_name(host: &str) -> ServerName<'static> {
    // As the MySQL shell has it.
    const SOCKET: &str = "localhost";
    // What is no legal name must not match any certificate; `.invalid` is nobody's (RFC 6761).
    const NO_NAME: &str = "name.invalid";
    if let Ok(address) = host.parse::<IpAddr>() {
        return ServerName::from(address);
    }
    let host = if host.starts_with('/') { SOCKET } else { host };
    ServerName::try_from(host)
        .or_else(|_| ServerName::try_from(NO_NAME))
        .map(|name| name.to_owned())
        .expect("name.invalid is a legal DNS name")
}

/// How far a certificate is checked, with what that needs.
#[derive(Debug)]
enum Trust {
    Anybody,
    Chain(Authorities),
    ChainAndName(Authorities),
}

impl Trust {
    fn new(mode: SslMode, authorities: Option<Authorities>) -> Result<Self, MaterialError> {
        match (mode, authorities) {
            (SslMode::Required, _) => Ok(Self::Anybody),
            (SslMode::VerifyCa, Some(authorities)) => Ok(Self::Chain(authorities)),
            (SslMode::VerifyIdentity, Some(authorities)) => Ok(Self::ChainAndName(authorities)),
            (SslMode::VerifyCa | SslMode::VerifyIdentity, None) => Err(MaterialError::new(
                Place::Key("ssl-ca"),
                Problem::CaNotGiven { mode },
            )),
        }
    }

    fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::Anybody => None,
            Self::Chain(authorities) | Self::ChainAndName(authorities) => Some(authorities),
        }
    }

    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Flaw> {
        match self {
            Self::Anybody => Ok(()),
            Self::Chain(authorities) => authorities.verify_backend(chain, now),
            Self::ChainAndName(authorities) => {
                authorities.verify_backend(chain, now)?;
                verify_name(chain.first().ok_or(Flaw::None)?, name)
            }
        }
    }
}

#[derive(Debug)]
struct BackendVerifier {
    trust: Trust,
    names: Option<BackendNames>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl BackendVerifier {
    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateRefusal> {
        let leaf = chain.first();
        let verdict = self
            .trust
            .judge(chain, name, now)
            .and_then(|()| self.judge_common_name(leaf));
        verdict.map_err(|flaw| CertificateRefusal::new(leaf, flaw))
    }

    /// A name that nobody has vouched for is none.
    fn judge_common_name(&self, leaf: Option<&CertificateDer<'_>>) -> Result<(), Flaw> {
        match (&self.names, &self.trust) {
            (None, _) => Ok(()),
            (Some(_), Trust::Anybody) => Err(Flaw::NoAuthorities),
            (Some(names), Trust::Chain(_) | Trust::ChainAndName(_)) => {
                names.judge(leaf.ok_or(Flaw::None)?)
            }
        }
    }
}

impl ServerCertVerifier for BackendVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        self.judge(&chain, server_name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature::verify_tls12(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature::verify_tls13(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
