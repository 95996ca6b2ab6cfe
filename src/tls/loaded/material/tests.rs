//! Files that are wrong, then files that are right.

use std::{fs, path::Path};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use tempfile::TempDir;

use super::*;
use crate::tls::{
    provider,
    testing::{Authority, Leaf, inline, mysql_manual_recipe, openssl, year_3000},
};

fn load(sources: &Sources, usage: Usage) -> Result<Material, MaterialError> {
    Material::load(sources, usage, &provider(), UnixTime::now())
}

/// The problem with `ssl-ca`.
fn ca_problem(source: PemSource) -> Problem {
    let sources = Sources {
        ca: Some(source),
        ..Sources::default()
    };
    load(&sources, Usage::Server)
        .expect_err("refused")
        .into_problem()
}

/// The problem with a certificate or its key.
fn identity_problem(cert: PemSource, key: PemSource, usage: Usage) -> Problem {
    let sources = Sources {
        ca: None,
        cert: Some(cert),
        key: Some(key),
        crl: None,
    };
    load(&sources, usage).expect_err("refused").into_problem()
}

fn file(path: &Path) -> PemSource {
    PemSource::File(path.to_owned())
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = TempDir::new().expect("a folder");
    let missing = directory.path().join("ca.pem");
    let sources = Sources {
        ca: Some(file(&missing)),
        ..Sources::default()
    };
    let error = load(&sources, Usage::Server).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!("ssl-ca {}: there is no such file", missing.display())
    );
    assert!(
        matches!(ca_problem(file(directory.path())), Problem::Directory),
        "a folder"
    );
    assert!(matches!(
        ca_problem(file(Path::new("/dev/zero"))),
        Problem::TooLarge { most_mib: 1 }
    ));
}

#[test]
fn text_of_the_configuration_is_named_by_its_key() {
    let ca = Some(PemSource::Inline {
        key: "from.security.ssl-ca-base64".to_owned(),
        pem: Vec::new(),
    });
    let error = load(
        &Sources {
            ca,
            ..Sources::default()
        },
        Usage::Client,
    )
    .expect_err("refused");
    assert_eq!(error.to_string(), "from.security.ssl-ca-base64: is empty");
}

#[test]
fn a_key_that_cannot_be_used_says_why() {
    let directory = TempDir::new().expect("a folder");
    openssl(directory.path(), "genrsa -out rsa.pem 2048");
    openssl(directory.path(), "genrsa -out short.pem 1024");
    let encrypt = "-in rsa.pem -aes256 -passout pass:secret";
    openssl(
        directory.path(),
        &format!(
            "pkcs8 -topk8 {} -out pkcs8.pem",
            encrypt.replace("-aes256", "-v2 aes256")
        ),
    );
    openssl(
        directory.path(),
        &format!("rsa -traditional {encrypt} -out pkcs1.pem"),
    );
    let leaf = Authority::new("CA").leaf("db", |_| {});
    let problem = |name: &str| {
        identity_problem(
            inline(&leaf.chain),
            file(&directory.path().join(name)),
            Usage::Server,
        )
    };
    assert!(matches!(problem("pkcs8.pem"), Problem::EncryptedKey));
    assert!(matches!(problem("pkcs1.pem"), Problem::EncryptedKey));
    assert!(matches!(problem("short.pem"), Problem::UnsupportedKey));
    assert!(matches!(problem("rsa.pem"), Problem::KeyMismatch));
    let certificate_as_key =
        identity_problem(inline(&leaf.chain), inline(&leaf.chain), Usage::Server);
    assert!(
        matches!(&certificate_as_key, Problem::NoKey { found } if found == "CERTIFICATE"),
        "{certificate_as_key}"
    );
}

#[test]
fn one_half_of_an_identity_is_refused() {
    let leaf = Authority::new("CA").leaf("db", |_| {});
    let without_key = Sources {
        cert: Some(inline(&leaf.chain)),
        ..Sources::default()
    };
    let without_certificate = Sources {
        key: Some(inline(&leaf.key)),
        ..Sources::default()
    };
    let problem = |sources| {
        load(&sources, Usage::Server)
            .expect_err("refused")
            .into_problem()
    };
    assert!(matches!(problem(without_key), Problem::KeyNotGiven));
    assert!(matches!(
        problem(without_certificate),
        Problem::CertificateNotGiven
    ));
}

#[test]
fn a_certificate_that_the_other_side_would_refuse_is_refused_at_load() {
    let ca = Authority::new("CA");
    let problem = |usage, change: fn(&mut CertificateParams)| {
        let leaf = ca.leaf("db", change);
        identity_problem(inline(&leaf.chain), inline(&leaf.key), usage)
    };
    for usage in [Usage::Server, Usage::Client] {
        let expired = problem(usage, |leaf| leaf.not_after = date_time_ymd(2021, 1, 1));
        assert_eq!(
            expired.to_string(),
            "the certificate expired at 2021-01-01T00:00:00Z; renew it"
        );
        let early = problem(usage, |leaf| leaf.not_before = date_time_ymd(2999, 1, 1));
        assert!(matches!(early, Problem::NotYetValid { .. }), "{early}");
    }
    let for_clients = problem(Usage::Server, |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(
        matches!(
            for_clients,
            Problem::WrongPurpose {
                needed: "serverAuth"
            }
        ),
        "{for_clients}"
    );
    let for_servers = problem(Usage::Client, |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(
        matches!(
            for_servers,
            Problem::WrongPurpose {
                needed: "clientAuth"
            }
        ),
        "{for_servers}"
    );
}

#[test]
fn a_chain_that_begins_with_the_issuer_is_refused() {
    let ca = Authority::new("CA");
    let leaf = ca.leaf("db", |_| {});
    let chain = format!("{}{}", ca.pem, leaf.chain);
    let problem = identity_problem(inline(&chain), inline(&leaf.key), Usage::Server);
    assert!(
        matches!(problem, Problem::ChainOrder { number: 2 }),
        "{problem}"
    );
}

#[test]
fn a_version_1_certificate_is_refused_for_our_port_only() {
    let directory = TempDir::new().expect("a folder");
    mysql_manual_recipe(directory.path());
    let source = |name: &str| file(&directory.path().join(name));
    let problem = identity_problem(
        source("server-cert.pem"),
        source("server-key.pem"),
        Usage::Server,
    );
    assert!(matches!(problem, Problem::Version1), "{problem}");
    assert!(problem.to_string().contains("-extfile"), "{problem}");
    let (cert, key) = (
        Some(source("client-cert.pem")),
        Some(source("client-key.pem")),
    );
    assert!(
        load(
            &Sources {
                cert,
                key,
                ..Sources::default()
            },
            Usage::Client
        )
        .is_ok()
    );
}

#[test]
fn a_ca_file_counts_as_long_as_one_of_its_certificates_does() {
    let old = Authority::with("Old", |ca| ca.not_after = date_time_ymd(2021, 1, 1));
    let new = Authority::new("New");
    assert!(matches!(
        ca_problem(inline(&old.pem)),
        Problem::NoValidAuthority
    ));
    let both = inline(&format!("{}{}", old.pem, new.pem));
    assert!(
        load(
            &Sources {
                ca: Some(both),
                ..Sources::default()
            },
            Usage::Server
        )
        .is_ok()
    );
}

#[test]
fn every_kind_of_key_loads() {
    let directory = TempDir::new().expect("a folder");
    let kinds = [
        "genrsa -traditional -out key.pem 2048",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem",
        "ecparam -name prime256v1 -genkey -out key.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem",
        "genpkey -algorithm ED25519 -out key.pem",
    ];
    for kind in kinds {
        openssl(directory.path(), kind);
        openssl(
            directory.path(),
            "req -x509 -new -key key.pem -subj /CN=db -out cert.pem",
        );
        // One file for both, with Windows' line ends and text before the sections.
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("made");
        let both =
            format!("made by hand\n{}{}", read("key.pem"), read("cert.pem")).replace('\n', "\r\n");
        let sources = Sources {
            cert: Some(inline(&both)),
            key: Some(inline(&both)),
            ..Sources::default()
        };
        assert!(
            load(&sources, Usage::Server).is_ok_and(|material| material.identity.is_some()),
            "{kind}"
        );
    }
}

#[test]
fn nothing_given_is_nothing_loaded() {
    let material = load(&Sources::default(), Usage::Client).expect("loads");
    assert!(material.identity.is_none() && material.authorities.is_none());
}

#[test]
fn dates_are_those_of_the_clock_that_is_given() {
    let leaf = Leaf::self_signed("db", |leaf| leaf.not_after = date_time_ymd(2999, 1, 1));
    let error = Material::load(&leaf.sources(None), Usage::Server, &provider(), year_3000())
        .expect_err("refused");
    assert!(
        matches!(error.problem(), Problem::Expired { .. }),
        "{error}"
    );
}
