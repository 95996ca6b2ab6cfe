//! Handshakes of the acceptor, refusals first.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, SupportedProtocolVersion,
    crypto::SupportedKxGroup,
    pki_types::{ServerName, pem::PemObject as _},
    sign::CertifiedKey,
    version,
};
use tempfile::TempDir;

use super::*;
use crate::tls::{
    Connector, Negotiated, handshake_reason,
    policy::{Policy, version::TlsVersion},
    provider, server_name,
    settings::ClientSettings,
    ssl_mode::SslMode,
    testing::{
        Authority, Leaf, TrustAnybody, certified, handshake, inline, mysql_manual_recipe, year_3000,
    },
};

type IsExpected = fn(&Flaw) -> bool;

const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

fn acceptor(client_ca: Option<&str>) -> Acceptor {
    let server = Leaf::self_signed("server", |_| {});
    load(server.sources(client_ca), TlsVersion::Tls12)
        .expect("loads")
        .expect("has TLS")
}

fn load(sources: Sources, lowest_version: TlsVersion) -> Result<Option<Acceptor>, AcceptorError> {
    Acceptor::load(
        &ServerSettings {
            sources,
            auto_tls: false,
            policy: Policy::from_version(lowest_version),
        },
        None,
        &[],
    )
}

fn client(sources: Sources) -> Arc<ClientConfig> {
    let settings = ClientSettings {
        sources,
        mode: SslMode::Required,
        policy: Policy::default(),
        backend_names: None,
    };
    Arc::clone(Connector::load(&settings).expect("loads").config())
}

/// A client that takes every server and speaks these versions, with or without a certificate and some key.
fn bare_client(
    versions: &'static [&'static SupportedProtocolVersion],
    identity: Option<CertifiedKey>,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnybody));
    Arc::new(match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    })
}

/// What the acceptor says of a client that shows this certificate.
fn judged(acceptor: &Acceptor, shown: &Leaf) -> Result<Option<Certificate>, CertificateRefusal> {
    let (_, server) = handshake(
        &client(shown.sources(None)),
        acceptor.config(),
        server_name("proxy"),
    )
    .expect("no alert");
    acceptor.judge(server.peer_certificates(), UnixTime::now())
}

#[test]
fn a_bad_client_certificate_passes_the_handshake_and_is_refused_after_it() {
    let ca = Authority::new("CA");
    let stranger = Authority::new("Stranger");
    let same_name = Authority::new("CA");
    let acceptor = acceptor(Some(&ca.pem));
    let past = |leaf: &mut CertificateParams| leaf.not_after = date_time_ymd(2021, 1, 1);
    let table: Vec<(&str, Leaf, IsExpected)> = vec![
        ("unknown CA", stranger.leaf("dm", |_| {}), |flaw| {
            *flaw == Flaw::UnknownIssuer
        }),
        ("self-signed", Leaf::self_signed("dm", |_| {}), |flaw| {
            *flaw == Flaw::UnknownIssuer
        }),
        (
            "another CA of that name",
            same_name.leaf("dm", |_| {}),
            |flaw| *flaw == Flaw::BadSignature,
        ),
        (
            "no intermediate",
            ca.intermediate("Below").leaf("dm", |_| {}),
            |flaw| *flaw == Flaw::UnknownIssuer,
        ),
        ("a server's", ca.leaf("dm", server_only), |flaw| {
            matches!(flaw, Flaw::WrongPurpose { .. })
        }),
        ("a CA's", ca.leaf("dm", authority), |flaw| {
            *flaw == Flaw::CaAsLeaf
        }),
        ("from a leaf", signed_by_a_leaf(&ca), |flaw| {
            matches!(flaw, Flaw::Other(webpki::Error::EndEntityUsedAsCa))
        }),
    ];
    for (case, leaf, expected) in table {
        let refusal = refuse(&acceptor, &leaf);
        assert!(expected(refusal.flaw()), "{case}: {refusal}");
    }
    let expired = refuse(&acceptor, &ca.leaf("dm", past));
    assert_eq!(
        expired.to_string(),
        "certificate /O=Lab/CN=dm issued by /O=Lab/CN=CA: it, or a certificate above it, expired at \
         2021-01-01T00:00:00Z"
    );
    let early = refuse(
        &acceptor,
        &ca.leaf("dm", |leaf| leaf.not_before = date_time_ymd(2999, 1, 1)),
    );
    assert!(matches!(early.flaw(), Flaw::NotYetValid { .. }), "{early}");
}

fn server_only(leaf: &mut CertificateParams) {
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn authority(leaf: &mut CertificateParams) {
    leaf.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
}

fn signed_by_a_leaf(ca: &Authority) -> Leaf {
    let middle = ca.signed("Middle", |middle| middle.is_ca = IsCa::ExplicitNoCa);
    let mut leaf = middle.leaf("dm", |_| {});
    leaf.chain += &middle.pem;
    leaf
}

/// Shows the certificate unchecked: `Connector` would not load one of the wrong purpose or dates.
fn refuse(acceptor: &Acceptor, leaf: &Leaf) -> CertificateRefusal {
    let client = bare_client(TLS13, Some(certified(&leaf.chain, &leaf.key)));
    let (_, server) =
        handshake(&client, acceptor.config(), server_name("proxy")).expect("no alert");
    acceptor
        .judge(server.peer_certificates(), UnixTime::now())
        .expect_err("refused")
}

#[test]
fn a_certificate_of_our_own_making_is_due_at_two_thirds_of_its_life() {
    let settings = |sources, auto_tls| ServerSettings {
        sources,
        auto_tls,
        policy: Policy::default(),
    };
    let in_days = |days: u64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            UnixTime::now().as_secs() + days * 24 * 60 * 60,
        ))
    };
    let load = |settings| {
        let loaded = Acceptor::load(&settings, None, &[]).expect("loads");
        loaded.expect("has TLS")
    };
    let ours = load(settings(Sources::default(), true));
    assert!(!ours.is_due(in_days(0)));
    // of 730 days, the first of them in the past
    assert!(!ours.is_due(in_days(480)));
    assert!(ours.is_due(in_days(490)));
    let given = load(settings(
        Leaf::self_signed("server", |_| {}).sources(None),
        false,
    ));
    assert!(!given.is_due(year_3000()), "somebody else renews it");
}

#[test]
fn of_a_bundle_of_two_hundred_authorities_every_one_counts_and_no_other() {
    let bundle: Vec<_> = (0..200)
        .map(|number| Authority::new(&format!("CA {number}")))
        .collect();
    let pem: String = bundle.iter().map(|ca| ca.pem.as_str()).collect();
    let acceptor = acceptor(Some(&pem));
    let stranger = Authority::new("CA 199");
    assert!(judged(&acceptor, &stranger.leaf("dm", |_| {})).is_err());
    for ca in [&bundle[0], &bundle[199]] {
        let shown = judged(&acceptor, &ca.leaf("dm", |_| {})).expect("accepted");
        assert!(shown.is_some());
    }
}

#[test]
fn a_version_1_client_certificate_is_refused_with_the_cure() {
    let directory = TempDir::new().expect("a folder");
    mysql_manual_recipe(directory.path());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("made");
    let acceptor = acceptor(Some(&read("ca.pem")));
    let leaf = Leaf {
        chain: read("client-cert.pem"),
        key: read("client-key.pem"),
    };
    let refusal = refuse(&acceptor, &leaf);
    assert_eq!(*refusal.flaw(), Flaw::Version1);
    assert!(refusal.to_string().contains("-extfile"), "{refusal}");
}

#[test]
fn a_certificate_without_its_key_ends_the_handshake() {
    let ca = Authority::new("CA");
    let (stolen, other) = (ca.leaf("dm", |_| {}), ca.leaf("dm", |_| {}));
    for versions in [TLS12, TLS13] {
        let client = bare_client(versions, Some(certified(&stolen.chain, &other.key)));
        let error = handshake(
            &client,
            acceptor(Some(&ca.pem)).config(),
            server_name("proxy"),
        )
        .expect_err("refused");
        assert!(
            handshake_reason(&error).contains("does not hold the key"),
            "{error}"
        );
    }
}

#[test]
fn a_certificate_shown_where_none_can_be_judged_is_refused() {
    let ca = Authority::new("CA");
    let leaf = ca.leaf("dm", |_| {});
    let chain = [CertificateDer::from_pem_slice(leaf.chain.as_bytes()).expect("a certificate")];
    let refusal = acceptor(None)
        .judge(Some(&chain), UnixTime::now())
        .expect_err("refused");
    assert_eq!(*refusal.flaw(), Flaw::NoAuthorities);
}

#[test]
fn an_authority_that_has_run_out_vouches_for_nobody() {
    let old = Authority::with("Old", |ca| ca.not_after = date_time_ymd(2021, 1, 1));
    let new = Authority::new("New");
    let acceptor = acceptor(Some(&format!("{}{}", old.pem, new.pem)));
    assert_eq!(
        *judged(&acceptor, &old.leaf("dm", |_| {}))
            .expect_err("refused")
            .flaw(),
        Flaw::UnknownIssuer
    );
    assert!(judged(&acceptor, &new.leaf("dm", |_| {})).is_ok());
}

#[test]
fn a_good_client_certificate_gives_its_names() {
    let ca = Authority::new("CA");
    let below = ca.intermediate("Below");
    let with_intermediate = |mut leaf: Leaf| {
        leaf.chain += &below.pem;
        leaf
    };
    let acceptor = acceptor(Some(&ca.pem));
    let table = [
        ("only a common name", ca.leaf("dm", |_| {}), "/O=Lab/CN=CA"),
        (
            "with an intermediate",
            with_intermediate(below.leaf("dm", |_| {})),
            "/O=Lab/CN=Below",
        ),
        (
            "for clients",
            ca.leaf("dm", |leaf| {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "/O=Lab/CN=CA",
        ),
    ];
    for (case, leaf, issuer) in table {
        let names = judged(&acceptor, &leaf).expect(case).expect(case);
        assert!(names.subject.is_written("/O=Lab/CN=dm"), "{case}");
        assert!(names.issuer.is_written(issuer), "{case}");
        assert_eq!(names.common_name.as_deref(), Some("dm"), "{case}");
    }
}

#[test]
fn no_client_certificate_is_no_refusal() {
    let ca = Authority::new("CA");
    for client_ca in [None, Some(ca.pem.as_str())] {
        let acceptor = acceptor(client_ca);
        let (_, server) = handshake(
            &client(Sources::default()),
            acceptor.config(),
            server_name("proxy"),
        )
        .expect("a session");
        assert_eq!(
            acceptor.judge(server.peer_certificates(), UnixTime::now()),
            Ok(None)
        );
    }
}

#[test]
fn without_ssl_ca_no_certificate_is_asked_for() {
    let leaf = Authority::new("CA").leaf("dm", |_| {});
    assert_eq!(judged(&acceptor(None), &leaf), Ok(None));
}

#[test]
fn a_resumed_session_is_judged_like_a_full_one() {
    let ca = Authority::new("CA");
    let leaf = ca.leaf("dm", |leaf| leaf.not_after = date_time_ymd(2999, 1, 1));
    for versions in [TLS12, TLS13] {
        let acceptor = acceptor(Some(&ca.pem));
        let config = bare_client(versions, Some(certified(&leaf.chain, &leaf.key)));
        handshake(&config, acceptor.config(), server_name("proxy")).expect("a session");
        let (_, server) =
            handshake(&config, acceptor.config(), server_name("proxy")).expect("a session");
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
        let peer = server.peer_certificates();
        assert!(
            matches!(acceptor.judge(peer, UnixTime::now()), Ok(Some(_))),
            "same client, known again"
        );
        let refusal = acceptor.judge(peer, year_3000()).expect_err("refused");
        assert!(matches!(refusal.flaw(), Flaw::Expired { .. }), "{refusal}");
    }
}

#[test]
fn no_session_survives_its_generation() {
    let ca = Authority::new("CA");
    let server = Leaf::self_signed("server", |_| {});
    let load = || {
        load(server.sources(Some(&ca.pem)), TlsVersion::Tls12)
            .expect("loads")
            .expect("has TLS")
    };
    let (before, after) = (load(), load());
    let client = client(ca.leaf("dm", |_| {}).sources(None));
    handshake(&client, before.config(), server_name("proxy")).expect("a session");
    let (_, server) = handshake(&client, after.config(), server_name("proxy")).expect("a session");
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn an_older_version_than_the_lowest_is_refused_in_words() {
    let server = Leaf::self_signed("server", |_| {});
    let acceptor = load(server.sources(None), TlsVersion::Tls13)
        .expect("loads")
        .expect("has TLS");
    let client = bare_client(TLS12, None);
    let error = handshake(&client, acceptor.config(), server_name("proxy")).expect_err("refused");
    assert!(
        handshake_reason(&error).contains("older than the lowest"),
        "{error}"
    );
}

#[test]
fn the_whole_chain_is_sent_over_a_post_quantum_key_exchange() {
    let ca = Authority::new("CA");
    let below = ca.intermediate("Below");
    let mut server = below.leaf("server", |_| {});
    server.chain += &below.pem;
    let acceptor = load(server.sources(None), TlsVersion::Tls12)
        .expect("loads")
        .expect("has TLS");
    let (client, server) = handshake(
        &client(Sources::default()),
        acceptor.config(),
        server_name("proxy"),
    )
    .expect("a session");
    assert_eq!(client.peer_certificates().map(<[_]>::len), Some(2));
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = server
        .negotiated_key_exchange_group()
        .map(SupportedKxGroup::name);
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
    let negotiated = Negotiated {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
    };
    assert_eq!(Negotiated::of(&server), Some(negotiated));
}

#[test]
fn without_certificate_and_auto_tls_there_is_no_tls() {
    assert!(
        load(Sources::default(), TlsVersion::Tls12)
            .expect("loads")
            .is_none()
    );
}

#[test]
fn auto_tls_serves_who_trusts_its_ca() {
    let settings = ServerSettings {
        sources: Sources::default(),
        auto_tls: true,
        policy: Policy::default(),
    };
    let acceptor = Acceptor::load(&settings, None, &[])
        .expect("loads")
        .expect("has TLS");
    let ca = acceptor.auto_ca().expect("made");
    let trusting = ClientSettings {
        sources: Sources {
            ca: Some(inline(&ca.pem)),
            ..Sources::default()
        },
        mode: SslMode::VerifyIdentity,
        policy: Policy::from_version(TlsVersion::Tls13),
        backend_names: None,
    };
    let connector = Connector::load(&trusting).expect("loads");
    for host in ["localhost", "127.0.0.1", "::1"] {
        let name: ServerName<'static> = server_name(host);
        assert!(
            handshake(connector.config(), acceptor.config(), name).is_ok(),
            "{host}"
        );
    }
    let error = handshake(
        connector.config(),
        acceptor.config(),
        server_name("elsewhere.test"),
    )
    .expect_err("refused");
    assert!(
        handshake_reason(&error).contains("not for elsewhere.test"),
        "{error}"
    );
}

#[test]
fn a_broken_source_is_an_error_even_with_auto_tls() {
    let sources = Sources {
        ca: Some(inline("")),
        ..Sources::default()
    };
    let settings = ServerSettings {
        sources,
        auto_tls: true,
        policy: Policy::default(),
    };
    assert!(matches!(
        Acceptor::load(&settings, None, &[]),
        Err(AcceptorError::Material(_))
    ));
}
