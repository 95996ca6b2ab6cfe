//! Backends, and the TLS towards them.

use super::*;

#[test]
fn ciphers_and_revocation_lists_are_read_at_each_place() {
    let text = "\
security: {ssl-ca: ca.pem, ssl-crl: /pki/revoked.pem, tls-cipher: ECDHE-RSA-AES128-GCM-SHA256}
from:
  host: db
  security: {ssl-ca: ca.pem, ssl-crl: db.pem, tls-ciphersuites: 'tls_aes_256_gcm_sha384:TLS_AES_128_GCM_SHA256'}
";
    let config = right(text);
    let file = |path: &str| Some(tls::PemSource::File(path.into()));
    let all = Policy::default();
    let to_client = &config.client_tls;
    assert_eq!(to_client.sources.crl, file("/pki/revoked.pem"));
    let tls12 = to_client.policy.ciphers(TlsVersion::Tls12);
    assert_eq!(tls12, ["ECDHE-RSA-AES128-GCM-SHA256"]);
    let tls13 = to_client.policy.ciphers(TlsVersion::Tls13);
    assert_eq!(tls13, all.ciphers(TlsVersion::Tls13));
    let to_backend = tls(&config.backends[0].security).expect("TLS");
    assert_eq!(to_backend.sources.crl, file("/etc/mytls/db.pem"));
    let tls13 = to_backend.policy.ciphers(TlsVersion::Tls13);
    assert_eq!(tls13, ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]);
    let tls12 = to_backend.policy.ciphers(TlsVersion::Tls12);
    assert_eq!(tls12, all.ciphers(TlsVersion::Tls12));
}

#[test]
fn how_far_a_backend_is_verified_follows_from_ca_and_mode() {
    let cases = [
        ("host: localhost", None),
        ("host: 10.0.0.1, allow-plaintext: true", None),
        ("host: localhost, security: {ssl-mode: DISABLED}", None),
        ("host: db, security: ", Some(SslMode::Required)),
        ("host: db, security: {}", Some(SslMode::Required)),
        ("host: db, security: {ssl-ca: a}", Some(SslMode::VerifyCa)),
        (
            "host: db, security: {ssl-ca-bytes: a}",
            Some(SslMode::VerifyCa),
        ),
        (
            "host: db, security: {ssl-ca: a, ssl-mode: required}",
            Some(SslMode::Required),
        ),
        (
            "host: db, security: {ssl-ca: a, ssl-mode: VERIFY_IDENTITY}",
            Some(SslMode::VerifyIdentity),
        ),
        ("socket: s, security: {ssl-ca: a}", Some(SslMode::VerifyCa)),
    ];
    for (keys, expected) in cases {
        let config = right(&format!("from: {{{keys}}}\n"));
        let modes: Vec<_> = config
            .backends
            .iter()
            .map(|backend| mode(&backend.security))
            .collect();
        assert_eq!(modes, [expected], "{keys}");
    }
}

fn mode(security: &Security) -> Option<SslMode> {
    tls(security).map(|settings| settings.mode)
}

#[test]
fn pem_comes_from_files_beside_the_configuration_or_out_of_it() {
    let text = "
from:
  host: db
  security:
    ssl-ca: ca.pem
    ssl-cert-base64: |
      LS0tLS1C
      RUdJTg==
    ssl-key-bytes: [45, 45]
security:
  ssl-ca: /pki/ca.pem
  ssl-cert-bytes: |
    -----BEGIN
  ssl-key: ../server.key
";
    let config = right(text);
    let inline = |key: &str, pem: &str| {
        Some(tls::PemSource::Inline {
            key: key.to_owned(),
            pem: pem.into(),
        })
    };
    let file = |path: &str| Some(tls::PemSource::File(path.into()));
    assert_eq!(
        tls(&config.backends[0].security).map(|tls| &tls.sources),
        Some(&tls::Sources {
            ca: file("/etc/mytls/ca.pem"),
            cert: inline("from.security.ssl-cert-base64", "-----BEGIN"),
            key: inline("from.security.ssl-key-bytes", "--"),
            crl: None,
        })
    );
    assert_eq!(
        config.client_tls,
        tls::ServerSettings {
            sources: tls::Sources {
                ca: file("/pki/ca.pem"),
                cert: inline("security.ssl-cert-bytes", "-----BEGIN\n"),
                key: file("/etc/mytls/../server.key"),
                crl: None,
            },
            auto_tls: false,
            policy: Policy::default(),
        }
    );
}

#[test]
fn the_only_backend_is_the_route() {
    assert_eq!(
        right("target-database: {host: localhost}\n").route,
        Role::Target
    );
    assert_eq!(
        right("target-database: {host: localhost}\nfrom: {host: localhost}\n").route,
        Role::Source
    );
}

#[test]
fn a_backend_alone_is_never_plaintext_over_a_network() {
    let alone = |endpoint: &str| Config::for_backend(endpoint, &Environment::default());
    for endpoint in ["", "db:", "a b", "unix:"] {
        assert!(
            matches!(alone(endpoint), Err(ConfigError::Backend(_))),
            "{endpoint}"
        );
    }
    let unverified = tls::ClientSettings {
        sources: tls::Sources::default(),
        mode: SslMode::Required,
        policy: Policy::default(),
        backend_names: None,
    };
    let (as_offered, over_tls) = (
        Security::AsOffered(unverified.clone()),
        Security::Tls(unverified),
    );
    for (endpoint, expected) in [
        ("127.0.0.1:3306", &as_offered),
        ("[::1]:3306", &as_offered),
        ("unix:/run/mysqld.sock", &Security::Plaintext),
        ("db", &over_tls),
        ("10.0.0.1:4000", &over_tls),
    ] {
        let config = alone(endpoint).expect(endpoint);
        let [backend] = &config.backends[..] else {
            panic!("one backend")
        };
        assert_eq!(&backend.security, expected, "{endpoint}");
        let notices: Vec<_> = config
            .warnings
            .into_iter()
            .map(|warning| warning.notice)
            .collect();
        let weak = (expected == &over_tls).then_some(Notice::NotVerified);
        let expected: Vec<_> = [Notice::NoStateDirectory].into_iter().chain(weak).collect();
        assert_eq!(notices, expected, "{endpoint}");
    }
}
