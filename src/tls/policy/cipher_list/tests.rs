//! Names of cipher suites, refusals first.

use super::*;
use crate::tls::{CIPHERS, testing::openssl};

fn error(text: &str, version: TlsVersion) -> CipherListError {
    CipherList::parse(text, version).expect_err(text)
}

fn ciphers(text: &str, version: TlsVersion) -> Vec<&'static str> {
    let list = CipherList::parse(text, version).expect(text);
    list.names().collect()
}

#[test]
fn a_list_that_allows_nothing_is_refused() {
    for text in ["", " ", ":", " : ,"] {
        let refusal = error(text, TlsVersion::Tls13).to_string();
        assert_eq!(
            refusal,
            "is empty, which would allow no cipher suite; left out, all are allowed: \
             TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
        );
    }
}

#[test]
fn one_bad_name_spoils_the_list() {
    let text = "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA";
    assert_eq!(
        error(text, TlsVersion::Tls12).to_string(),
        "mytls does not have `AES128-SHA`, which has no forward secrecy (keys by RSA); the nearest that it has is \
         ECDHE-RSA-AES128-GCM-SHA256"
    );
}

#[test]
fn what_is_wrong_is_said() {
    let tls12 = [
        (
            "TLS_AES_128_GCM_SHA256",
            "is a cipher suite of TLSv1.3, which stands under `tls-ciphersuites`",
        ),
        ("HIGH", "is a pattern"),
        ("!aNULL", "is a pattern"),
        ("@SECLEVEL=2", "is a pattern"),
        (
            "ECDHE-RSA-AES128-GCM-SHA265",
            "is no cipher suite's name; the nearest is ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA38",
            "the nearest is ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        ("\u{1b}[31m", r"`\u{1b}[31m` is no cipher suite's name"),
    ];
    for (name, expected) in tls12 {
        let said = error(name, TlsVersion::Tls12).to_string();
        assert!(said.contains(expected), "{said}");
    }
    let tls13 = [
        (
            "ECDHE-RSA-AES128-GCM-SHA256",
            "is a cipher suite of TLSv1.2, which stands under `tls-cipher`",
        ),
        (
            "TLS_AES_128_CCM_SHA256",
            "is of AES-CCM, not AES-GCM; the nearest that it has is TLS_AES_128_GCM_SHA256",
        ),
    ];
    for (name, expected) in tls13 {
        let said = error(name, TlsVersion::Tls13).to_string();
        assert!(said.contains(expected), "{said}");
    }
}

/// "Supported key exchange protocols and encryption algorithms" of TiDB's manual, those that are not here.
#[test]
fn suites_of_tidb_that_are_missing_name_the_nearest() {
    let table = [
        (
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_RSA_WITH_AES_256_CBC_SHA",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
        (
            "TLS_RSA_WITH_AES_128_CBC_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_RSA_WITH_AES_256_GCM_SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        ("RC4-SHA", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("DES-CBC3-SHA", "ECDHE-RSA-AES128-GCM-SHA256"),
    ];
    for (name, expected) in table {
        let refusal = error(name, TlsVersion::Tls12);
        assert!(
            matches!(refusal, CipherListError::Unsupported { nearest, .. } if nearest == expected),
            "{refusal}"
        );
    }
}

/// The same list, those that are here; and what Go called two of them.
#[test]
fn suites_of_tidb_that_are_here_have_two_names() {
    let iana = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:\
                TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:\
                TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let openssl = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:\
                   ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:\
                   ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-CHACHA20-POLY1305";
    let go = iana.replace("POLY1305_SHA256", "POLY1305");
    for text in [
        iana,
        &iana.to_lowercase(),
        &go,
        openssl,
        &openssl.replace(':', ", "),
    ] {
        assert_eq!(
            ciphers(text, TlsVersion::Tls12).join(":"),
            openssl,
            "{text}"
        );
    }
    let tls13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    assert_eq!(ciphers(tls13, TlsVersion::Tls13).join(":"), tls13);
}

/// Everything that OpenSSL knows, which is more than MySQL allows.
#[test]
fn every_suite_of_openssl_is_supported_or_refused_with_a_reason() {
    let known = openssl(".".as_ref(), "ciphers ALL:COMPLEMENTOFALL");
    let mut supported = Vec::new();
    for name in known.trim().split(':') {
        let version = TlsVersion::of_cipher(name);
        match CipherList::parse(name, version) {
            Ok(_) => supported.push(name),
            Err(CipherListError::Unsupported { nearest, .. }) => {
                assert!(CIPHERS.contains(&nearest), "{name}: {nearest}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    supported.sort_unstable();
    let mut expected = CIPHERS;
    expected.sort_unstable();
    assert_eq!(supported, expected);
}
