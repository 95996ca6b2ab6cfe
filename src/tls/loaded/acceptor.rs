//! TLS towards clients: what is shown to them, and how their certificates are judged.
//!
//! A client's certificate is *received* in the handshake and *judged* after it. A refusal inside the handshake reaches
//! MySQL clients as "lost connection"; and rustls does not verify a resumed session again.

use std::{net::IpAddr, path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs::Ticketer},
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
};

use crate::rules::Certificate;
use crate::tls::{
    certificate::{dates::CertificateDates, flaw::Flaw, names::names},
    issuing::{
        auto,
        auto::{AutoCa, AutoError},
    },
    loaded::{Loaded, expiry::Expiry, material::Material},
    policy::negotiated::cipher_name,
    settings::ServerSettings,
    sources::{
        Sources,
        oddity::{MaterialWarning, Oddity},
        problem::{MaterialError, Place},
    },
    store::Keep,
    trust::{
        authorities::{Authorities, Usage},
        refusal::CertificateRefusal,
        signature,
    },
};

/// One generation of TLS towards clients. Never changed. It has ticket keys of its own, so no client resumes what
/// another generation let in.
#[derive(Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    authorities: Option<Authorities>,
    auto_ca: Option<AutoCa>,
    /// When auto-tls makes the certificate anew.
    renewal: Option<UnixTime>,
    certificates: Vec<Expiry>,
    dates: Option<CertificateDates>,
    ciphers: String,
    warnings: Vec<MaterialWarning>,
}

/// Why there is no TLS towards clients.
#[derive(Debug, thiserror::Error)]
pub enum AcceptorError {
    /// A source of the configuration.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The automatic certificate.
    #[error(transparent)]
    Auto(#[from] AutoError),
    /// rustls.
    #[error("configure TLS: {0}")]
    Tls(#[from] Error),
}

impl Acceptor {
    /// Loads and checks everything. None where neither a certificate nor auto-tls was asked for: no TLS on this port.
    ///
    /// `state` is where auto-tls keeps its files, `listen` the addresses that it must name.
    pub fn load(
        settings: &ServerSettings,
        state: Option<&Path>,
        listen: &[IpAddr],
    ) -> Result<Option<Self>, AcceptorError> {
        Self::load_keeping(settings, &Keep::new(state), listen)
    }

    /// As [`Self::load`], for one generation after the other: what auto-tls has made, in whatever place, goes on to be used.
    pub fn load_keeping(
        settings: &ServerSettings,
        keep: &Keep,
        listen: &[IpAddr],
    ) -> Result<Option<Self>, AcceptorError> {
        let (provider, now) = (settings.policy.provider(), UnixTime::now());
        let Material {
            authorities,
            identity,
            mut warnings,
        } = Material::load(&settings.sources, Usage::Server, &provider, now)?;
        let (identity, auto_ca) = match identity {
            Some(identity) => (identity, None),
            None if settings.auto_tls => {
                let (identity, ca) = auto::certificate(keep, listen, &provider, now)?;
                (identity, Some(ca))
            }
            None => return Ok(None),
        };
        let key = if auto_ca.is_some() {
            "auto-tls"
        } else {
            "ssl-cert"
        };
        let mut certificates = Expiry::of_all(key, &identity.cert);
        let trusted = authorities.iter().flat_map(Authorities::certificates);
        certificates.extend(Expiry::of_all("ssl-ca", trusted));
        let renewal = auto_ca
            .is_some()
            .then(|| identity.cert.iter().filter_map(auto::renewal).min())
            .flatten();
        if !settings.policy.serves(identity.key.algorithm()) {
            let place = Place::Key("tls-cipher");
            warnings.push(MaterialWarning::new(place, Oddity::NoSuiteForKey));
        }
        let verifier: Arc<dyn ClientCertVerifier> = if authorities.is_some() {
            Arc::new(AnyClient {
                algorithms: provider.signature_verification_algorithms,
            })
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let dates = identity.cert.first().and_then(CertificateDates::of);
        let versions = settings.policy.versions();
        let ciphers: Vec<_> = provider
            .cipher_suites
            .iter()
            .filter(|suite| versions.contains(&suite.version()))
            .map(|suite| cipher_name(suite.suite()))
            .collect();
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.ignore_client_order = settings.policy.has_order();
        config.ticketer = Ticketer::new()?;
        // Tickets alone: nothing is kept for clients that never return, nothing is shared under a lock, and what a session
        // knows of its client dies with the ticket key. The few clients without tickets do full handshakes.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Some(Self {
            config: Arc::new(config),
            authorities,
            auto_ca,
            renewal,
            certificates,
            dates,
            ciphers: ciphers.join(":"),
            warnings,
        }))
    }

    /// Only to judge: whoever does not serve need not read our own key. What it would show is made up.
    pub fn load_to_judge(settings: &ServerSettings) -> Result<Option<Self>, AcceptorError> {
        let Sources { ca, cert, key, crl } = &settings.sources;
        let has_tls = settings.auto_tls || cert.is_some() || key.is_some();
        let without_key = ServerSettings {
            sources: Sources {
                ca: ca.clone(),
                crl: crl.clone(),
                ..Sources::default()
            },
            auto_tls: has_tls,
            ..settings.clone()
        };
        Self::load(&without_key, None, &[])
    }

    /// For the handshake.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether client certificates are asked for.
    pub fn verifies_clients(&self) -> bool {
        self.authorities.is_some()
    }

    /// The dates of the certificate that clients are shown.
    pub fn dates(&self) -> Option<&CertificateDates> {
        self.dates.as_ref()
    }

    /// OpenSSL's names of the ciphers that clients may choose from, as in MySQL's `Ssl_cipher_list`.
    pub fn ciphers(&self) -> &str {
        &self.ciphers
    }

    /// What is odd about the files, which are used all the same.
    pub fn warnings(&self) -> &[MaterialWarning] {
        &self.warnings
    }

    /// The revocation lists that are in force, one line each.
    pub fn revocation_lists(&self) -> Vec<String> {
        let lists = self.authorities.as_ref().map(Authorities::revocation_lists);
        lists
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The CA that auto-tls made, if it made one.
    pub fn auto_ca(&self) -> Option<&AutoCa> {
        self.auto_ca.as_ref()
    }

    /// Whether a certificate that auto-tls made is so old that it is to be made anew.
    pub fn is_due(&self, now: UnixTime) -> bool {
        self.renewal.is_some_and(|renewal| renewal <= now)
    }

    /// Judges what the client has shown (`peer_certificates()` of the connection), after *every* handshake, full or
    /// resumed. No certificate is no refusal: whether one is needed is for the rules to say.
    pub fn judge(
        &self,
        peer: Option<&[CertificateDer<'_>]>,
        now: UnixTime,
    ) -> Result<Option<Certificate>, CertificateRefusal> {
        let Some(chain) = peer else { return Ok(None) };
        let Some(leaf) = chain.first() else {
            return Ok(None);
        };
        self.authorities
            .as_ref()
            .ok_or(Flaw::NoAuthorities)
            .and_then(|authorities| authorities.verify(chain, Usage::Client, now))
            .and_then(|()| names(leaf))
            .map(Some)
            .map_err(|flaw| CertificateRefusal::new(Some(leaf), flaw))
    }
}

impl Loaded for Acceptor {
    fn certificates(&self) -> &[Expiry] {
        &self.certificates
    }

    fn warnings(&self) -> &[MaterialWarning] {
        &self.warnings
    }
}

/// Asks for a certificate, checks that the client holds its key, and leaves the judgement to [`Acceptor::judge`].
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None, as MySQL: a list of issuers makes Java clients with only their own certificate in the key store send nothing.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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
