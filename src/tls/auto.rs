//! auto-tls: a CA and a server certificate of our own, for when none is given.
//!
//! Keys are made once and kept; certificates are issued again from them when they near their end or lack a name. So the
//! files always fit each other, whenever a start was cut off, and whoever trusts `ca.pem` goes on doing so.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
        pem::PemObject as _,
    },
    sign::CertifiedKey,
};

use super::{
    authorities::{Authorities, Usage, verify_name},
    certificate::{Validity, parse, public_key},
    store::{Keep, Store, StoreError},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clients' clocks may be behind ours.
const BACKDATED: Duration = DAY;
const CA_LIFETIME: Duration = DAY.saturating_mul(10 * 365);
/// Apple's TLS refuses server certificates of more than 825 days.
const SERVER_LIFETIME: Duration = DAY.saturating_mul(730);

/// The CA of the certificate that was made, for clients to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoCa {
    /// Where it is kept; none without a state directory: then it is another at each start.
    pub path: Option<PathBuf>,
    /// Its PEM text.
    pub pem: String,
}

/// Why there is no automatic certificate.
#[derive(Debug, thiserror::Error)]
pub enum AutoError {
    /// A file or folder of the state directory.
    #[error("auto-tls: {0}")]
    File(#[from] StoreError),
    /// A kept key that is none. It is not replaced: clients may trust it.
    #[error("auto-tls: {} is not a key made by auto-tls; put the right one back, or delete it to have a new one made", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Making a key or a certificate failed.
    #[error("auto-tls: make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls does not take what was made.
    #[error("auto-tls: load the certificate: {0}")]
    Load(#[from] rustls::Error),
}

/// When a certificate is made anew: after two thirds of its life, so that a third is left to find out why that fails.
/// None of what is no certificate.
pub(super) fn renewal(der: &CertificateDer<'_>) -> Option<UnixTime> {
    parse(der)
        .ok()
        .map(|certificate| renewal_of(&Validity::of(&certificate)))
}

fn renewal_of(validity: &Validity) -> UnixTime {
    let (from, until) = (validity.not_before.as_secs(), validity.not_after.as_secs());
    UnixTime::since_unix_epoch(Duration::from_secs(until - until.saturating_sub(from) / 3))
}

/// The server certificate with its key, and its CA: those that are kept while they are good, else new ones.
pub(super) fn certificate(
    keep: &Keep,
    listen: &[IpAddr],
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(Arc<CertifiedKey>, AutoCa), AutoError> {
    let (mut store, desk) = (Store::open_keep(keep)?, Desk { provider, now });
    let ca_key = key(&mut store, "ca.key")?;
    let ca = kept_or_issued(
        &mut store,
        "ca.pem",
        |kept| desk.is_good_ca(kept, &ca_key),
        || desk.issue_ca(&ca_key),
    )?;
    let server_key = key(&mut store, "server.key")?;
    let names = names(listen);
    let server = kept_or_issued(
        &mut store,
        "server.pem",
        |kept| desk.is_good_server(kept, &server_key, &names, &ca),
        || desk.issue_server(&server_key, &names, &ca_key),
    )?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let key = provider.key_provider.load_private_key(der)?;
    // The CA goes along: MariaDB's shells want the whole chain.
    let identity = CertifiedKey::new(vec![server.der, ca.der], key);
    Ok((
        Arc::new(identity),
        AutoCa {
            path: keep.directory().map(|directory| directory.join("ca.pem")),
            pem: ca.pem,
        },
    ))
}

struct Issued {
    pem: String,
    der: CertificateDer<'static>,
}

impl From<rcgen::Certificate> for Issued {
    fn from(certificate: rcgen::Certificate) -> Self {
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
        }
    }
}

/// The kept key, or one that is made and kept.
fn key(store: &mut Store<'_>, name: &str) -> Result<KeyPair, AutoError> {
    if let Some((path, pem)) = store.read(name)? {
        return KeyPair::from_pem(&pem).map_err(|_| AutoError::Key { path });
    }
    let key = KeyPair::generate()?;
    store.write(name, &key.serialize_pem(), 0o600)?;
    Ok(key)
}

/// The kept certificate where it is good, else a new one.
fn kept_or_issued(
    store: &mut Store<'_>,
    name: &str,
    is_good: impl FnOnce(&CertificateDer<'static>) -> bool,
    issue: impl FnOnce() -> Result<Issued, AutoError>,
) -> Result<Issued, AutoError> {
    if let Some((_, pem)) = store.read(name)?
        && let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes())
        && is_good(&der)
    {
        return Ok(Issued { pem, der });
    }
    let issued = issue()?;
    store.write(name, &issued.pem, 0o644)?;
    Ok(issued)
}

/// What clients may call us: host name, loopback, and the addresses that we listen on by name.
fn names(listen: &[IpAddr]) -> Vec<ServerName<'static>> {
    // A host without a name, or with one that is no DNS name, is found by the other names.
    let host_name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let mut names = Vec::new();
    let candidates = host_name
        .as_deref()
        .into_iter()
        .chain(["localhost"])
        .filter_map(|name| ServerName::try_from(name).ok());
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let addresses = loopback
        .iter()
        .chain(listen)
        .filter(|address| !address.is_unspecified());
    for name in candidates
        .map(|name| name.to_owned())
        .chain(addresses.map(|address| ServerName::from(*address)))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Where certificates are looked at and issued.
struct Desk<'a> {
    provider: &'a CryptoProvider,
    now: UnixTime,
}

impl Desk<'_> {
    fn is_good_ca(&self, kept: &CertificateDer<'_>, key: &KeyPair) -> bool {
        parse(kept).is_ok_and(|certificate| {
            certificate.is_ca()
                && certificate.public_key().raw == key.subject_public_key_info()
                && self.lasts(&Validity::of(&certificate))
        })
    }

    fn is_good_server(
        &self,
        kept: &CertificateDer<'_>,
        key: &KeyPair,
        names: &[ServerName<'_>],
        ca: &Issued,
    ) -> bool {
        let algorithms = self.provider.signature_verification_algorithms;
        Authorities::new(vec![ca.der.clone()], algorithms).is_ok_and(|ca| {
            ca.verify(std::slice::from_ref(kept), Usage::Server, self.now)
                .is_ok()
        }) && public_key(kept)
            .is_ok_and(|public_key| public_key.as_ref() == key.subject_public_key_info())
            && names.iter().all(|name| verify_name(kept, name).is_ok())
            && parse(kept).is_ok_and(|certificate| self.lasts(&Validity::of(&certificate)))
    }

    fn lasts(&self, validity: &Validity) -> bool {
        validity.check(self.now).is_ok() && self.now < renewal_of(validity)
    }

    fn issue_ca(&self, key: &KeyPair) -> Result<Issued, AutoError> {
        let mut parameters = ca_parameters(key, self.now);
        parameters.serial_number = Some(self.serial_number()?);
        Ok(parameters.self_signed(key)?.into())
    }

    fn issue_server(
        &self,
        key: &KeyPair,
        names: &[ServerName<'_>],
        ca_key: &KeyPair,
    ) -> Result<Issued, AutoError> {
        let mut parameters = parameters("mytls server", self.now, SERVER_LIFETIME);
        parameters.serial_number = Some(self.serial_number()?);
        for name in names {
            parameters.subject_alt_names.push(match name {
                ServerName::IpAddress(address) => SanType::IpAddress(IpAddr::from(*address)),
                other => SanType::DnsName(other.to_str().as_ref().try_into()?),
            });
        }
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(ca_parameters(ca_key, self.now), ca_key);
        Ok(parameters.signed_by(key, &issuer)?.into())
    }

    /// Random: rcgen's own is made of the key, and ours stays the same while certificates may not share a number.
    fn serial_number(&self) -> Result<SerialNumber, AutoError> {
        let mut bytes = [0; 16];
        self.provider
            .secure_random
            .fill(&mut bytes)
            .map_err(rustls::Error::from)?;
        // Positive, and without a leading zero.
        bytes[0] = bytes[0] & 0x7F | 0x40;
        Ok(SerialNumber::from_slice(&bytes))
    }
}

/// The CA's name carries part of its key's identifier: OpenSSL finds an issuer by name, and two hosts' CAs may stand in one
/// bundle.
fn ca_parameters(key: &KeyPair, now: UnixTime) -> CertificateParams {
    let key_identifier = CertificateParams::default().key_identifier(key);
    let short = key_identifier
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let mut parameters = parameters(&format!("mytls CA {short:08x}"), now, CA_LIFETIME);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn parameters(common_name: &str, now: UnixTime, lifetime: Duration) -> CertificateParams {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    let mut parameters = CertificateParams::default();
    parameters.not_before = (now - BACKDATED).into();
    parameters.not_after = (now + lifetime).into();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use tempfile::TempDir;

    use super::*;
    use crate::tls::{provider, testing::openssl};

    fn make(
        state: Option<&Path>,
        listen: &[IpAddr],
        now: UnixTime,
    ) -> Result<(Arc<CertifiedKey>, AutoCa), AutoError> {
        certificate(&Keep::new(state), listen, &provider(), now)
    }

    fn later(days: u32) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + DAY * days)
    }

    #[test]
    fn a_kept_key_that_is_damaged_is_not_replaced() {
        let state = TempDir::new().expect("a folder");
        fs::write(state.path().join("ca.key"), "not a key").expect("written");
        let error = make(Some(state.path()), &[], UnixTime::now()).expect_err("refused");
        assert!(
            matches!(&error, AutoError::Key { path } if path.ends_with("ca.key")),
            "{error}"
        );
        assert!(!state.path().join("ca.pem").exists());
    }

    #[test]
    fn a_state_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error =
            make(Some(&file.path().join("state")), &[], UnixTime::now()).expect_err("refused");
        assert!(
            error.to_string().contains("create the state directory"),
            "{error}"
        );
    }

    #[test]
    fn the_next_start_finds_the_same_certificate() {
        let state = TempDir::new().expect("a folder");
        let (first, first_ca) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        let (second, second_ca) = make(Some(state.path()), &[], UnixTime::now()).expect("found");
        assert_eq!(first.cert, second.cert);
        assert_eq!(first_ca, second_ca);
        assert_eq!(first_ca.path, Some(state.path().join("ca.pem")));
    }

    #[test]
    fn starts_at_the_same_time_agree_on_one_ca() {
        let state = TempDir::new().expect("a folder");
        let starts: Vec<_> = std::thread::scope(|scope| {
            let start = || make(Some(state.path()), &[], UnixTime::now()).expect("made or found");
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        let (certificate, ca) = &starts[0];
        for (other_certificate, other_ca) in &starts {
            assert_eq!(other_ca, ca);
            assert_eq!(other_certificate.cert, certificate.cert);
        }
    }

    #[test]
    fn without_a_state_directory_each_start_has_its_own_ca() {
        let (_, first) = make(None, &[], UnixTime::now()).expect("made");
        let (_, second) = make(None, &[], UnixTime::now()).expect("made");
        assert_eq!(first.path, None);
        assert_ne!(first.pem, second.pem);
    }

    #[test]
    fn what_is_kept_in_memory_lasts_from_one_generation_to_the_next() {
        let keep = Keep::default();
        let make = |now| certificate(&keep, &[], &provider(), now).expect("made or found");
        let (first, first_ca) = make(UnixTime::now());
        let (second, second_ca) = make(UnixTime::now());
        let (renewed, renewed_ca) = make(later(490));
        assert_eq!((&first.cert, &first_ca), (&second.cert, &second_ca));
        assert_ne!(first.cert[0], renewed.cert[0]);
        assert_eq!(first_ca, renewed_ca);
    }

    #[test]
    fn keys_are_for_their_owner_only_and_the_ca_for_all() {
        let state = TempDir::new().expect("a folder");
        let directory = state.path().join("made/by/us");
        make(Some(&directory), &[], UnixTime::now()).expect("made");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        for (name, expected) in [
            ("ca.key", 0o600),
            ("server.key", 0o600),
            ("ca.pem", 0o644),
            ("server.pem", 0o644),
            ("lock", 0o600),
        ] {
            assert_eq!(mode(&directory.join(name)), expected, "{name}");
        }
        assert_eq!(mode(&directory), 0o711);
        let left: Vec<_> = fs::read_dir(&directory).expect("listed").collect();
        assert_eq!(left.len(), 5, "no temporary file is left: {left:?}");
    }

    #[test]
    fn another_listen_address_gets_another_certificate_from_the_same_ca() {
        let state = TempDir::new().expect("a folder");
        let address = IpAddr::from([192, 0, 2, 7]);
        let (first, first_ca) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        let (second, second_ca) =
            make(Some(state.path()), &[address], UnixTime::now()).expect("made");
        assert_eq!(first_ca, second_ca);
        assert_ne!(first.cert, second.cert);
        let name = ServerName::from(address);
        assert!(verify_name(&first.cert[0], &name).is_err());
        assert!(verify_name(&second.cert[0], &name).is_ok());
    }

    #[test]
    fn a_certificate_in_the_last_third_of_its_life_is_issued_again_from_the_same_ca() {
        let state = TempDir::new().expect("a folder");
        let (first, first_ca) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        let (kept, _) = make(Some(state.path()), &[], later(480)).expect("found");
        let (renewed, renewed_ca) = make(Some(state.path()), &[], later(490)).expect("made");
        assert_eq!(first.cert, kept.cert);
        assert_ne!(first.cert, renewed.cert);
        assert_eq!(first_ca, renewed_ca);
        let serial = |der| parse(der).expect("a certificate").raw_serial_as_string();
        assert_ne!(serial(&first.cert[0]), serial(&renewed.cert[0]));
    }

    #[test]
    fn who_trusts_the_old_ca_trusts_what_its_successor_signs() {
        let state = TempDir::new().expect("a folder");
        let (first, _) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        let (renewed, _) = make(Some(state.path()), &[], later(3400)).expect("made");
        assert_ne!(first.cert[1], renewed.cert[1]);
        let old = Authorities::new(
            vec![first.cert[1].clone()],
            provider().signature_verification_algorithms,
        );
        assert_eq!(
            old.expect("a CA")
                .verify(&renewed.cert, Usage::Server, later(3400)),
            Ok(())
        );
    }

    #[test]
    fn a_damaged_certificate_is_issued_again() {
        let state = TempDir::new().expect("a folder");
        let (_, ca) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        fs::write(
            state.path().join("server.pem"),
            "-----BEGIN CERTIFICATE-----",
        )
        .expect("written");
        let (identity, kept_ca) = make(Some(state.path()), &[], UnixTime::now()).expect("made");
        assert_eq!(ca, kept_ca);
        assert_eq!(
            verify_name(
                &identity.cert[0],
                &ServerName::try_from("localhost").expect("a name")
            ),
            Ok(())
        );
    }

    #[test]
    fn openssl_accepts_it_for_loopback_by_name_and_address() {
        let state = TempDir::new().expect("a folder");
        make(Some(state.path()), &[], UnixTime::now()).expect("made");
        for name in [
            "-verify_hostname localhost",
            "-verify_ip 127.0.0.1",
            "-verify_ip ::1",
        ] {
            openssl(
                state.path(),
                &format!("verify -x509_strict -purpose sslserver -CAfile ca.pem {name} server.pem"),
            );
        }
    }
}
