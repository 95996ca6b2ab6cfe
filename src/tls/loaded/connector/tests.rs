//! Handshakes of the connector, refusals first.

use std::fs;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd};
use rustls::{
    HandshakeKind, ServerConfig,
    pki_types::pem::PemObject as _,
    server::{ProducesTickets, WebPkiClientVerifier},
};
use tempfile::TempDir;

use super::*;
use crate::tls::{
    handshake_reason,
    policy::{Policy, version::TlsVersion},
    provider,
    sources::Sources,
    testing::{Authority, Leaf, certified, handshake, inline, mysql_manual_recipe, year_3000},
};

const HOST: &str = "db.test";

/// What a backend shows, and the CA that ours is told to trust.
struct Case {
    name: &'static str,
    shown: Leaf,
    ca: String,
}

fn connector(mode: SslMode, ca: Option<&str>) -> Connector {
    let sources = Sources {
        ca: ca.map(inline),
        ..Sources::default()
    };
    Connector::load(&ClientSettings {
        sources,
        mode,
        policy: Policy::default(),
        backend_names: None,
    })
    .expect("loads")
}

/// A backend that shows anything.
fn backend(shown: &Leaf, versions: TlsVersion) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(Policy::from_version(versions).versions())
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(
            &shown.chain,
            &shown.key,
        ))))
}

fn dial(mode: SslMode, case: &Case) -> Result<(), Error> {
    let connector = connector(mode, Some(&case.ca));
    handshake(
        connector.config(),
        &Arc::new(backend(&case.shown, TlsVersion::Tls12)),
        server_name(HOST),
    )
    .map(|_| ())
}

fn refusal(mode: SslMode, case: &Case) -> Flaw {
    let error = dial(mode, case).expect_err(case.name);
    CertificateRefusal::of(&error)
        .unwrap_or_else(|| panic!("{}: {error}", case.name))
        .flaw()
        .clone()
}

fn named(leaf: &mut CertificateParams) {
    leaf.subject_alt_names = vec![SanType::DnsName(HOST.try_into().expect("a DNS name"))];
}

/// The manual's version 1 certificates.
fn manual() -> (TempDir, impl Fn(&TempDir, &str) -> String) {
    let directory = TempDir::new().expect("a folder");
    mysql_manual_recipe(directory.path());
    (directory, |directory: &TempDir, name: &str| {
        fs::read_to_string(directory.path().join(name)).expect("made")
    })
}

fn version_1() -> Case {
    let (directory, read) = manual();
    let shown = Leaf {
        chain: read(&directory, "server-cert.pem"),
        key: read(&directory, "server-key.pem"),
    };
    Case {
        name: "version 1",
        shown,
        ca: read(&directory, "ca.pem"),
    }
}

#[test]
fn verify_ca_refuses_what_does_not_lead_to_ssl_ca() {
    let ca = Authority::new("CA");
    let case = |name, shown| Case {
        name,
        shown,
        ca: ca.pem.clone(),
    };
    let past = |leaf: &mut CertificateParams| leaf.not_after = date_time_ymd(2021, 1, 1);
    let purpose = |leaf: &mut CertificateParams| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    for mode in [SslMode::VerifyCa, SslMode::VerifyIdentity] {
        let stranger = case("stranger", Authority::new("Stranger").leaf("db", named));
        assert_eq!(refusal(mode, &stranger), Flaw::UnknownIssuer);
        let same_name = case(
            "another CA of that name",
            Authority::new("CA").leaf("db", named),
        );
        assert_eq!(refusal(mode, &same_name), Flaw::BadSignature);
        let self_signed = case("self-signed", Leaf::self_signed("db", named));
        assert_eq!(refusal(mode, &self_signed), Flaw::UnknownIssuer);
        assert!(matches!(
            refusal(mode, &case("expired", ca.leaf("db", past))),
            Flaw::Expired { .. }
        ));
        assert!(matches!(
            refusal(mode, &case("purpose", ca.leaf("db", purpose))),
            Flaw::WrongPurpose { .. }
        ));
    }
}

#[test]
fn a_version_1_certificate_of_another_ca_is_refused() {
    let Case { shown, .. } = version_1();
    let unknown = Case {
        name: "unknown CA",
        shown,
        ca: Authority::new("CA").pem,
    };
    assert_eq!(refusal(SslMode::VerifyCa, &unknown), Flaw::UnknownIssuer);
    // The recipe's CA has the same name each time, and another key.
    let same_name = Case {
        name: "CA of that name",
        ca: version_1().ca,
        ..unknown
    };
    assert_eq!(refusal(SslMode::VerifyCa, &same_name), Flaw::BadSignature);
}

#[test]
fn a_version_1_certificate_that_has_run_out_is_refused() {
    let case = version_1();
    let connector = connector(SslMode::VerifyCa, Some(&case.ca));
    let chain = certified(&case.shown.chain, &case.shown.key).cert;
    let refusal = connector
        .judge(Some(&chain), &server_name(HOST), year_3000())
        .expect_err("refused");
    assert!(matches!(refusal.flaw(), Flaw::Expired { .. }), "{refusal}");
}

#[test]
fn a_leaf_in_the_chain_of_a_version_1_certificate_is_no_authority() {
    let case = version_1();
    let connector = connector(SslMode::VerifyCa, Some(&Authority::new("manual-ca").pem));
    let chain = certified(&format!("{}{}", case.shown.chain, case.ca), &case.shown.key).cert;
    let refusal = connector
        .judge(Some(&chain), &server_name(HOST), UnixTime::now())
        .expect_err("refused");
    assert_eq!(*refusal.flaw(), Flaw::UnknownIssuer);
}

#[test]
fn verify_identity_refuses_another_name_and_none() {
    let ca = Authority::new("CA");
    let other = |leaf: &mut CertificateParams| {
        leaf.subject_alt_names = vec![SanType::DnsName(
            "other.test".try_into().expect("a DNS name"),
        )];
    };
    let case = |name, shown| Case {
        name,
        shown,
        ca: ca.pem.clone(),
    };
    let other = refusal(
        SslMode::VerifyIdentity,
        &case("other name", ca.leaf("db", other)),
    );
    assert_eq!(other.to_string(), "it is for other.test, not for db.test");
    // Even where the common name fits: no client looks at it any more.
    assert_eq!(
        refusal(
            SslMode::VerifyIdentity,
            &case("no name", ca.leaf(HOST, |_| {}))
        ),
        Flaw::NoName
    );
    assert_eq!(refusal(SslMode::VerifyIdentity, &version_1()), Flaw::NoName);
}

/// The verdict of a connector with `cert-allowed-cn`, in the handshake and again on what it kept.
fn named_verdict(mode: SslMode, case: &Case, names: &[&str]) -> Result<(), Flaw> {
    let sources = Sources {
        ca: Some(inline(&case.ca)),
        ..Sources::default()
    };
    let connector = Connector::load(&ClientSettings {
        sources,
        mode,
        policy: Policy::default(),
        backend_names: Some(BackendNames::new(
            names.iter().map(|name| (*name).to_owned()),
        )),
    })
    .expect("loads");
    let leaf = CertificateDer::from_pem_slice(case.shown.chain.as_bytes());
    let again = connector
        .judge(
            Some(&[leaf.expect("a certificate")]),
            &server_name(HOST),
            UnixTime::now(),
        )
        .map_err(|refusal| refusal.flaw().clone());
    let backend = Arc::new(backend(&case.shown, TlsVersion::Tls12));
    let verdict = handshake(connector.config(), &backend, server_name(HOST));
    let verdict = verdict.map(|_| ()).map_err(|error| {
        let refusal = CertificateRefusal::of(&error);
        refusal
            .unwrap_or_else(|| panic!("{}: {error}", case.name))
            .flaw()
            .clone()
    });
    assert_eq!(verdict, again, "{}", case.name);
    verdict
}

#[test]
fn only_backends_of_the_allowed_common_names_are_spoken_to() {
    let ca = Authority::new("CA");
    let case = |shown| Case {
        name: "common name",
        shown,
        ca: ca.pem.clone(),
    };
    let db = case(ca.leaf("db", named));
    for mode in [SslMode::VerifyCa, SslMode::VerifyIdentity] {
        for names in [&[][..], &["DB"], &["db.test"], &["d", "dbx", ""]] {
            assert_eq!(
                named_verdict(mode, &db, names),
                Err(Flaw::NotAllowed),
                "{names:?}"
            );
        }
        assert_eq!(named_verdict(mode, &db, &["other", "db"]), Ok(()));
    }
    // The name is only as good as who vouches for it.
    let stranger = case(Authority::new("Stranger").leaf("db", named));
    let verdict = named_verdict(SslMode::VerifyCa, &stranger, &["db"]);
    assert_eq!(verdict, Err(Flaw::UnknownIssuer));
    let verdict = named_verdict(SslMode::Required, &db, &["db"]);
    assert_eq!(verdict, Err(Flaw::NoAuthorities));
    assert_eq!(
        named_verdict(SslMode::VerifyCa, &version_1(), &["server"]),
        Ok(())
    );
}

#[test]
fn a_backend_without_the_key_of_its_certificate_is_refused_in_every_mode() {
    let ca = Authority::new("CA");
    let (stolen, other) = (ca.leaf("db", named), ca.leaf("db", named));
    let (directory, read) = manual();
    let old = Leaf {
        chain: read(&directory, "server-cert.pem"),
        key: read(&directory, "client-key.pem"),
    };
    let new = Leaf {
        chain: stolen.chain,
        key: other.key,
    };
    for (shown, ca) in [(new, ca.pem), (old, read(&directory, "ca.pem"))] {
        let case = Case {
            name: "no key",
            shown,
            ca,
        };
        for mode in [SslMode::Required, SslMode::VerifyCa] {
            for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
                let connector = connector(mode, Some(&case.ca));
                let backend = Arc::new(backend(&case.shown, version));
                let error = handshake(connector.config(), &backend, server_name(HOST))
                    .expect_err("refused");
                assert!(
                    handshake_reason(&error).contains("does not hold the key"),
                    "{mode:?} {version:?} {error}"
                );
            }
        }
    }
}

#[test]
fn a_mode_that_verifies_needs_a_ca() {
    for mode in [SslMode::VerifyCa, SslMode::VerifyIdentity] {
        let settings = ClientSettings {
            sources: Sources::default(),
            mode,
            policy: Policy::default(),
            backend_names: None,
        };
        let error = Connector::load(&settings).expect_err("refused").to_string();
        assert!(
            error.starts_with("ssl-ca: is not given, and ssl-mode VERIFY_"),
            "{error}"
        );
    }
}

#[test]
fn each_mode_accepts_what_mysql_accepts() {
    let ca = Authority::new("CA");
    let below = ca.intermediate("Below");
    let mut long = below.leaf("db", named);
    long.chain += &below.pem;
    let own = Leaf::self_signed("db", |leaf| leaf.is_ca = IsCa::NoCa);
    let own_ca = Leaf::self_signed("db", |leaf| {
        leaf.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let (own_pem, own_ca_pem) = (own.chain.clone(), own_ca.chain.clone());
    let case = |name, shown, ca: &str| Case {
        name,
        shown,
        ca: ca.to_owned(),
    };
    let modes = [
        SslMode::Required,
        SslMode::VerifyCa,
        SslMode::VerifyIdentity,
    ];
    let table = [
        (
            1,
            case(
                "self-signed, CA unknown",
                Leaf::self_signed("db", |_| {}),
                &ca.pem,
            ),
        ),
        (
            1,
            case(
                "run out",
                ca.leaf("db", |leaf| leaf.not_after = date_time_ymd(2021, 1, 1)),
                &ca.pem,
            ),
        ),
        (
            2,
            case(
                "as MySQL makes them",
                ca.leaf("MySQL_Server_9.7_Auto_Generated_Server_Certificate", |_| {}),
                &ca.pem,
            ),
        ),
        (2, version_1()),
        (2, case("self-signed, itself in ssl-ca", own, &own_pem)),
        (
            2,
            case("self-signed as a CA, itself in ssl-ca", own_ca, &own_ca_pem),
        ),
        (3, case("with its name", ca.leaf("db", named), &ca.pem)),
        (3, case("with an intermediate", long, &ca.pem)),
    ];
    for (accepting, case) in table {
        for (position, mode) in modes.into_iter().enumerate() {
            assert_eq!(
                dial(mode, &case).is_ok(),
                position < accepting,
                "{} {mode:?}",
                case.name
            );
        }
    }
}

#[test]
fn a_client_certificate_is_shown_whatever_issuers_the_backend_lists() {
    let (directory, read) = manual();
    let (chain, key) = (
        read(&directory, "client-cert.pem"),
        read(&directory, "client-key.pem"),
    );
    let leaf = Leaf { chain, key };
    let settings = ClientSettings {
        sources: leaf.sources(None),
        mode: SslMode::Required,
        policy: Policy::default(),
        backend_names: None,
    };
    let connector = Connector::load(&settings).expect("a version 1 client certificate loads");
    let mut roots = rustls::RootCertStore::empty();
    let other = CertificateDer::from_pem_slice(Authority::new("Other").pem.as_bytes())
        .expect("a certificate");
    roots.add(other).expect("a CA");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .expect("builds");
    let shown = Leaf::self_signed("db", |_| {});
    let backend = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(
            &shown.chain,
            &shown.key,
        ))));
    // rustls' own verifier reads no version 1: that it complains shows that the certificate came.
    let error =
        handshake(connector.config(), &Arc::new(backend), server_name(HOST)).expect_err("refused");
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn the_second_session_to_a_backend_is_resumed_and_can_be_judged() {
    let ca = Authority::new("CA");
    let shown = ca.leaf("db", |leaf| {
        named(leaf);
        leaf.not_after = date_time_ymd(2999, 1, 1);
    });
    let connector = connector(SslMode::VerifyIdentity, Some(&ca.pem));
    let mut backend = backend(&shown, TlsVersion::Tls12);
    let ticketer: Arc<dyn ProducesTickets> =
        rustls::crypto::aws_lc_rs::Ticketer::new().expect("keys");
    backend.ticketer = ticketer;
    let backend = Arc::new(backend);
    let name = server_name(HOST);
    handshake(connector.config(), &backend, name.clone()).expect("a session");
    let (client, _) = handshake(connector.config(), &backend, name.clone()).expect("a session");
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
    let peer = client.peer_certificates();
    let refusal = connector
        .judge(peer, &name, year_3000())
        .expect_err("refused");
    assert!(matches!(refusal.flaw(), Flaw::Expired { .. }), "{refusal}");
    assert_eq!(connector.judge(peer, &name, UnixTime::now()), Ok(()));
}

#[test]
fn endpoints_become_names() {
    for (host, expected) in [
        ("db.test", "db.test"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("/run/mysqld/mysqld.sock", "localhost"),
        ("no name", "name.invalid"),
        ("", "name.invalid"),
    ] {
        assert_eq!(server_name(host).to_str(), expected, "{host}");
    }
}
