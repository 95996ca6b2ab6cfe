//! auto-tls: a CA and a server certificate of our own, for when none is given.
//!
//! Keys are made once and kept; certificates are issued again from them when they near their end or lack a name. So the
//! files always fit each other, whenever a start was cut off, and whoever trusts `ca.pem` goes on doing so.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::tls::{
    certificate::{DAY, Validity, parse, public_key},
    issuing::{Desk, HostName, IssueError, Issued, Leaf, NewKey, ca_parameters, later},
    store::{Keep, Store, StoreError},
    trust::authorities::{Authorities, Usage, verify_name},
};

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
    Make(#[from] IssueError),
    /// rustls does not take what was made.
    #[error("auto-tls: load the certificate: {0}")]
    Load(#[from] rustls::Error),
}

/// When a certificate is made anew: after two thirds of its life, so that a third is left to find out why that fails.
/// None of what is no certificate.
pub(crate) fn renewal(der: &CertificateDer<'_>) -> Option<UnixTime> {
    parse(der)
        .ok()
        .map(|certificate| renewal_of(&Validity::of(&certificate)))
}

fn renewal_of(validity: &Validity) -> UnixTime {
    let (from, until) = (validity.not_before.as_secs(), validity.not_after.as_secs());
    UnixTime::since_unix_epoch(Duration::from_secs(until - until.saturating_sub(from) / 3))
}

/// The server certificate with its key, and its CA: those that are kept while they are good, else new ones.
pub(crate) fn certificate(
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
        || Ok(desk.issue_ca(&ca_key, CA_LIFETIME)?),
    )?;
    let server_key = key(&mut store, "server.key")?;
    let hosts = hosts(listen);
    let server = kept_or_issued(
        &mut store,
        "server.pem",
        |kept| desk.is_good_server(kept, &server_key, &hosts, &ca),
        || desk.issue_server(&server_key, &hosts, &ca_key),
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

/// The kept key, or one that is made and kept.
fn key(store: &mut Store<'_>, name: &str) -> Result<KeyPair, AutoError> {
    if let Some((path, pem)) = store.read(name)? {
        return KeyPair::from_pem(&pem).map_err(|_| AutoError::Key { path });
    }
    let key = NewKey::P256.generate()?;
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
fn hosts(listen: &[IpAddr]) -> Vec<HostName> {
    let mut hosts = Vec::new();
    let addresses = listen
        .iter()
        .filter(|address| !address.is_unspecified())
        .map(|address| HostName::Address(*address));
    for host in HostName::of_this_machine()
        .into_iter()
        .chain(HostName::loopback())
        .chain(addresses)
    {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
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
        hosts: &[HostName],
        ca: &Issued,
    ) -> bool {
        let algorithms = self.provider.signature_verification_algorithms;
        Authorities::new(vec![ca.der.clone()], algorithms).is_ok_and(|ca| {
            ca.verify(std::slice::from_ref(kept), Usage::Server, self.now)
                .is_ok()
        }) && public_key(kept)
            .is_ok_and(|public_key| public_key.as_ref() == key.subject_public_key_info())
            && hosts
                .iter()
                .filter_map(HostName::server_name)
                .all(|name| verify_name(kept, &name).is_ok())
            && parse(kept).is_ok_and(|certificate| self.lasts(&Validity::of(&certificate)))
    }

    fn lasts(&self, validity: &Validity) -> bool {
        validity.check(self.now).is_ok() && self.now < renewal_of(validity)
    }

    fn issue_server(
        &self,
        key: &KeyPair,
        hosts: &[HostName],
        ca_key: &KeyPair,
    ) -> Result<Issued, AutoError> {
        let leaf = Leaf {
            common_name: "mytls server",
            hosts,
            usage: Usage::Server,
            not_after: later(self.now, SERVER_LIFETIME),
        };
        Ok(self.issue(&leaf, key, &Issuer::new(ca_parameters(ca_key), ca_key))?)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use rustls::pki_types::ServerName;
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

    fn in_days(days: u32) -> UnixTime {
        later(UnixTime::now(), DAY * days)
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
        let (renewed, renewed_ca) = make(in_days(490));
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
        let (kept, _) = make(Some(state.path()), &[], in_days(480)).expect("found");
        let (renewed, renewed_ca) = make(Some(state.path()), &[], in_days(490)).expect("made");
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
        let (renewed, _) = make(Some(state.path()), &[], in_days(3400)).expect("made");
        assert_ne!(first.cert[1], renewed.cert[1]);
        let old = Authorities::new(
            vec![first.cert[1].clone()],
            provider().signature_verification_algorithms,
        );
        assert_eq!(
            old.expect("a CA")
                .verify(&renewed.cert, Usage::Server, in_days(3400)),
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
