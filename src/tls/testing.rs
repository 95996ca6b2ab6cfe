//! Throw-away certificates and handshakes in memory, for the tests of this module.

use std::{fs, io, path::Path, process::Command, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};

use tempfile::TempDir;

use crate::tls::{
    provider,
    sources::{PemSource, Sources},
};

/// Runs `openssl` in a folder; a failure is one of the test.
pub(crate) fn openssl(directory: &Path, arguments: &str) -> String {
    openssl_words(directory, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// As [`openssl`], for arguments with spaces.
pub(crate) fn openssl_words(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The files of "Creating SSL Certificates and Keys Using openssl" in MySQL's manual: `ca.pem`, and `server-cert.pem` and
/// `client-cert.pem` of X.509 version 1 with their keys.
pub(crate) fn mysql_manual_recipe(directory: &Path) {
    openssl(directory, "genrsa -out ca-key.pem 2048");
    openssl(
        directory,
        "req -new -x509 -nodes -days 3600 -key ca-key.pem -out ca.pem -subj /CN=manual-ca",
    );
    for (name, serial) in [("server", "01"), ("client", "02")] {
        let request = format!(
            "req -newkey rsa:2048 -nodes -keyout {name}-key.pem -out {name}-req.pem -subj /CN={name}"
        );
        openssl(directory, &request);
        let signing = "-days 3600 -CA ca.pem -CAkey ca-key.pem";
        openssl(
            directory,
            &format!(
                "x509 -req -in {name}-req.pem {signing} -set_serial {serial} -out {name}-cert.pem"
            ),
        );
    }
}

/// A client's verifier that checks nothing, to play clients with.
#[derive(Debug)]
pub(crate) struct TrustAnybody;

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// After everything that `date_time_ymd(2999, 1, 1)` ends.
pub(crate) fn year_3000() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(32_503_680_000))
}

/// A chain and a key, unchecked.
pub(crate) fn certified(chain: &str, key: &str) -> CertifiedKey {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    CertifiedKey::new(
        chain,
        provider()
            .key_provider
            .load_private_key(key)
            .expect("a known kind"),
    )
}

/// PEM text as a source.
pub(crate) fn inline(pem: &str) -> PemSource {
    PemSource::Inline {
        key: "test".to_owned(),
        pem: pem.as_bytes().to_vec(),
    }
}

/// A CA that signs what a test needs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = authority_parameters(name);
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).expect("a CA");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(parameters, key),
        }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.signed(name, |_| {})
    }

    pub(crate) fn signed(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = authority_parameters(name);
        change(&mut parameters);
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("an intermediate CA");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(parameters, key),
        }
    }

    /// A version 3 certificate without extended key usage and without names, as MySQL makes them, but for `change`.
    pub(crate) fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = leaf_parameters(name);
        change(&mut parameters);
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        Leaf {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A chain with its key.
pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Leaf {
    /// Signed by its own key.
    pub(crate) fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = leaf_parameters(name);
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// As sources, with whom to trust.
    pub(crate) fn sources(&self, ca: Option<&str>) -> Sources {
        Sources {
            ca: ca.map(inline),
            cert: Some(inline(&self.chain)),
            key: Some(inline(&self.key)),
            crl: None,
        }
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = leaf_parameters(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

fn leaf_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::OrganizationName, "Lab");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters
}

/// A whole handshake, tickets included; the error is that of the side that found it.
pub(crate) fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("memory takes all");
        }
        feed(&bytes, |bytes| {
            server
                .read_tls(bytes)
                .map(|_| server.process_new_packets().map(|_| ()))
        })?;
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).expect("memory takes all");
        }
        feed(&bytes, |bytes| {
            client
                .read_tls(bytes)
                .map(|_| client.process_new_packets().map(|_| ()))
        })?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn feed(
    mut bytes: &[u8],
    mut read: impl FnMut(&mut &[u8]) -> io::Result<Result<(), Error>>,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        read(&mut bytes).expect("memory is read whole")?;
    }
    Ok(())
}

/// A CA kept by `openssl ca`, with its data base in a folder, as the manuals have it.
pub(crate) struct OpensslCa {
    directory: TempDir,
    pub(crate) pem: String,
}

impl OpensslCa {
    pub(crate) fn new(name: &str) -> Self {
        let directory = TempDir::new().expect("a folder");
        let write = |file: &str, text: &str| {
            fs::write(directory.path().join(file), text).expect("written");
        };
        write(
            "ca.cnf",
            "[ca]\ndefault_ca = lab\n\
             [lab]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ncertificate = ca.pem\nprivate_key = ca.key\n\
             default_md = sha256\ndefault_days = 30\ndefault_crl_days = 30\npolicy = any\nunique_subject = no\nx509_extensions = leaf\n\
             [any]\norganizationName = optional\ncommonName = optional\n\
             [leaf]\nbasicConstraints = CA:FALSE\n\
             [intermediate]\nbasicConstraints = CA:TRUE\n\
             [whole]\nauthorityKeyIdentifier = keyid\n\
             [delta]\n2.5.29.27 = critical,DER:020101\n\
             [indirect]\nissuingDistributionPoint = critical,@indirect_point\n\
             [indirect_point]\nindirectCRL = TRUE\n\
             [users]\nissuingDistributionPoint = critical,@users_point\n\
             [users_point]\nonlyuser = TRUE\n",
        );
        write("index", "");
        let made = format!("-keyout ca.key -out ca.pem -subj /O=Lab/CN={name} -days 30");
        openssl(directory.path(), &format!("req -x509 {EC_KEY} {made}"));
        let pem = fs::read_to_string(directory.path().join("ca.pem")).expect("made");
        Self { directory, pem }
    }

    /// A certificate with this common name; `section` is `leaf` or `intermediate`.
    pub(crate) fn issue(&self, name: &str, section: &str) -> Leaf {
        let request = format!("-keyout {name}.key -out {name}.csr -subj /O=Lab/CN={name}");
        self.openssl(&format!("req {EC_KEY} {request}"));
        let signing = format!("-in {name}.csr -out {name}.pem -extensions {section}");
        self.openssl(&format!("ca -batch -notext -config ca.cnf {signing}"));
        Leaf {
            chain: self.read(&format!("{name}.pem")),
            key: self.read(&format!("{name}.key")),
        }
    }

    /// Revokes a certificate that it has issued.
    pub(crate) fn revoke(&self, name: &str) {
        self.openssl(&format!("ca -config ca.cnf -revoke {name}.pem"));
    }

    /// The list of now; `options` of `openssl ca -gencrl`. Without any it is of version 1, as from a configuration that
    /// has no `crlnumber`.
    pub(crate) fn revocation_list(&self, options: &str) -> String {
        self.openssl(&format!("ca -config ca.cnf -gencrl -out crl.pem {options}"));
        self.read("crl.pem")
    }

    /// Runs `openssl` in its folder.
    pub(crate) fn openssl(&self, arguments: &str) {
        openssl(self.directory.path(), arguments);
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.path().join(file)).expect("made")
    }
}

const EC_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
