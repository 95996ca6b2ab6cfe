//! Certificates made at run time: two authorities, and clients good and bad.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key: KeyPair,
}

impl Identity {
    /// Puts certificate and key in the place of `NAME.pem` and `NAME.key`, one after the other.
    pub(crate) fn replace(&self, folder: &Path, name: &str) {
        replace(&folder.join(format!("{name}.pem")), &self.certificate_pem);
        let key = self.key.serialize_pem();
        replace(&folder.join(format!("{name}.key")), &key);
    }

    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// Puts a new file in the place of an old one, as certificate managers do.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("write a file");
    std::fs::rename(new, path).expect("put it in place");
}

/// All that a test may show or trust.
#[derive(Debug)]
pub(crate) struct Pki {
    /// Trusted by mytls, by clients and by backends.
    pub(crate) ca: Identity,
    /// For `localhost` and 127.0.0.1, used by mytls and by backends.
    pub(crate) server: Identity,
    /// The same from the other CA.
    pub(crate) other_server: Identity,
    /// Names another host, from the right CA.
    pub(crate) server_elsewhere: Identity,
    /// Names no host at all, as the certificates that MySQL makes for itself.
    pub(crate) server_without_name: Identity,
    pub(crate) expired_server: Identity,
    pub(crate) client: Identity,
    /// The certificate that mytls shows to its backends.
    pub(crate) proxy_client: Identity,
    pub(crate) wrong_ca: Identity,
    /// The CA of `wrong_ca` and `other_server`.
    pub(crate) other_ca: Identity,
    /// Runs out within the week.
    pub(crate) server_near_its_end: Identity,
    pub(crate) expired: Identity,
    pub(crate) not_yet_valid: Identity,
    pub(crate) server_auth_only: Identity,
}

/// Made once: keys are slow in a debug build.
pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

const CLIENT: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ClientAuth];
const SERVER: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];

impl Pki {
    fn new() -> Self {
        let ca = authority("mytls test CA");
        let other_ca = authority("mytls test CA"); // the same name: only the key tells them apart
        let expire = |mut params: CertificateParams| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
            params
        };
        let mut not_yet_valid = leaf("client", CLIENT);
        not_yet_valid.not_before = date_time_ymd(2901, 1, 1);
        not_yet_valid.not_after = date_time_ymd(2902, 1, 1);
        let mut elsewhere =
            CertificateParams::new(vec!["elsewhere.example".to_owned()]).expect("valid names");
        elsewhere.extended_key_usages = SERVER.to_vec();
        Self {
            server: signed(&server(), &ca),
            other_server: signed(&server(), &other_ca),
            server_elsewhere: signed(&elsewhere, &ca),
            server_without_name: signed(
                &leaf("MySQL_Server_Auto_Generated_Server_Certificate", &[]),
                &ca,
            ),
            expired_server: signed(&expire(server()), &ca),
            client: signed(&leaf("client", CLIENT), &ca),
            proxy_client: signed(&leaf("mytls", CLIENT), &ca),
            wrong_ca: signed(&leaf("client", CLIENT), &other_ca),
            expired: signed(&expire(leaf("client", CLIENT)), &ca),
            not_yet_valid: signed(&not_yet_valid, &ca),
            server_auth_only: signed(&leaf("client", SERVER), &ca),
            server_near_its_end: signed(&near_its_end(server()), &ca),
            other_ca: other_ca.identity,
            ca: ca.identity,
        }
    }

    /// Writes the PEM files that configurations name.
    pub(crate) fn write_to(&self, folder: &Path) {
        let write = |name: &str, pem: &str| {
            std::fs::write(folder.join(name), pem).expect("write a PEM file");
        };
        write("ca.pem", &self.ca.certificate_pem);
        for (name, identity) in [
            ("server", &self.server),
            ("proxy-client", &self.proxy_client),
        ] {
            write(&format!("{name}.pem"), &identity.certificate_pem);
            write(&format!("{name}.key"), &identity.key.serialize_pem());
        }
    }

    /// A client's TLS that trusts the CA and shows `identity`, without session tickets.
    pub(crate) fn client_tls(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.client_tls_of(rustls::ALL_VERSIONS, identity)
    }

    /// The same, trusting both CAs.
    pub(crate) fn client_tls_trusting_both(
        &self,
        identity: Option<&Identity>,
    ) -> Arc<ClientConfig> {
        let authorities = [&self.ca, &self.other_ca];
        let mut config = client_config(rustls::ALL_VERSIONS, roots(&authorities), identity);
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    /// The same with chosen TLS versions.
    pub(crate) fn client_tls_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Identity>,
    ) -> Arc<ClientConfig> {
        let mut config = self.client_config(versions, identity);
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    /// A client's TLS that resumes the sessions it had.
    pub(crate) fn resuming_client_tls(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.resuming_client_tls_of(rustls::ALL_VERSIONS, identity)
    }

    /// The same with chosen TLS versions.
    pub(crate) fn resuming_client_tls_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Identity>,
    ) -> Arc<ClientConfig> {
        Arc::new(self.client_config(versions, identity))
    }

    fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Identity>,
    ) -> ClientConfig {
        client_config(versions, roots(&[&self.ca]), identity)
    }

    /// A backend's TLS that shows `identity` and takes a client certificate where one is shown.
    pub(crate) fn backend_tls(&self, identity: &Identity) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots(&[&self.ca])))
            .allow_unauthenticated()
            .build();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier.expect("a verifier of one CA"))
            .with_single_cert(vec![identity.certificate.clone()], identity.key_der())
            .expect("the key fits its certificate");
        Arc::new(config)
    }
}

fn client_config(
    versions: &[&'static SupportedProtocolVersion],
    roots: RootCertStore,
    identity: Option<&Identity>,
) -> ClientConfig {
    let builder =
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.key_der())
            .expect("the key fits its certificate"),
    }
}

fn roots(authorities: &[&Identity]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority.certificate.clone())
            .expect("a CA certificate");
    }
    roots
}

/// A CA: its identity, and the parameters that name it as an issuer.
pub(crate) struct Authority {
    pub(crate) identity: Identity,
    params: CertificateParams,
}

fn authority(name: &str) -> Authority {
    let mut subject = CertificateParams::default().distinguished_name;
    subject.push(DnType::CommonName, name);
    authority_of(subject)
}

/// A CA with this subject.
pub(crate) fn authority_of(subject: DistinguishedName) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a CA");
    let identity = Identity {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key,
    };
    Authority { identity, params }
}

fn server() -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("valid names");
    params.distinguished_name.push(DnType::CommonName, "server");
    params.extended_key_usages = SERVER.to_vec();
    params
}

fn near_its_end(mut params: CertificateParams) -> CertificateParams {
    let five_days = Duration::from_secs(5 * 24 * 60 * 60);
    params.not_after = (SystemTime::now() + five_days).into();
    params
}

fn leaf(name: &str, usages: &[ExtendedKeyUsagePurpose]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Lab");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = usages.to_vec();
    params
}

pub(crate) fn signed(params: &CertificateParams, authority: &Authority) -> Identity {
    let issuer = Issuer::from_params(&authority.params, &authority.identity.key);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    Identity {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key,
    }
}
