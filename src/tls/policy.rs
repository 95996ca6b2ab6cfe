//! Which TLS versions and cipher suites are spoken: what no certificate decides and no reload changes.

pub(crate) mod cipher_list;
pub(crate) mod negotiated;
pub(crate) mod version;

use std::sync::Arc;

use rustls::{
    SignatureAlgorithm, SupportedProtocolVersion,
    crypto::CryptoProvider,
    version::{TLS12, TLS13},
};

use crate::tls::{
    policy::{cipher_list::CipherList, version::TlsVersion},
    provider,
};

/// `tls-version`, `tls-cipher` and `tls-ciphersuites` of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The lowest version that is spoken.
    pub lowest_version: TlsVersion,
    /// The suites of TLS 1.2; all where none are named.
    pub tls12: Option<CipherList>,
    /// The suites of TLS 1.3; all where none are named.
    pub tls13: Option<CipherList>,
}

impl Policy {
    /// The version, and all suites.
    pub fn from_version(lowest_version: TlsVersion) -> Self {
        Self {
            lowest_version,
            ..Self::default()
        }
    }

    /// OpenSSL's names of the suites that a session of this version may have, the preferred first; none of a version
    /// that is not spoken.
    pub fn ciphers(&self, version: TlsVersion) -> Vec<&'static str> {
        if version < self.lowest_version {
            return Vec::new();
        }
        self.list(version).names().collect()
    }

    /// The cryptography, less the suites that are not allowed, the preferred first.
    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = provider().as_ref().clone();
        provider.cipher_suites = [TlsVersion::Tls13, TlsVersion::Tls12]
            .into_iter()
            .flat_map(|version| self.list(version).suites())
            .collect();
        Arc::new(provider)
    }

    /// The versions that are spoken.
    pub(crate) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        const FROM_13: &[&SupportedProtocolVersion] = &[&TLS13];
        match self.lowest_version {
            TlsVersion::Tls12 => FROM_12,
            TlsVersion::Tls13 => FROM_13,
        }
    }

    /// Whether the order of the suites is ours. Where nobody wrote one the client chooses: its processor may be quicker
    /// with one than with another.
    pub(crate) fn has_order(&self) -> bool {
        self.tls12.is_some() || self.tls13.is_some()
    }

    /// Whether TLS 1.2, if it is spoken, works with a certificate of this kind. In TLS 1.3 any suite goes with any
    /// certificate.
    pub(crate) fn serves(&self, key: SignatureAlgorithm) -> bool {
        let is_rsa = key == SignatureAlgorithm::RSA;
        self.lowest_version > TlsVersion::Tls12
            || self
                .list(TlsVersion::Tls12)
                .names()
                .any(|name| name.contains("-RSA-") == is_rsa)
    }

    fn list(&self, version: TlsVersion) -> CipherList {
        match version {
            TlsVersion::Tls12 => self.tls12.clone(),
            TlsVersion::Tls13 => self.tls13.clone(),
        }
        .unwrap_or_else(|| CipherList::all(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::CIPHERS;

    #[test]
    fn a_policy_tells_what_it_allows() {
        let tls12 = CipherList::parse("ECDHE-RSA-AES256-GCM-SHA384", TlsVersion::Tls12).ok();
        let policy = Policy {
            tls12,
            ..Policy::default()
        };
        let allowed = policy.ciphers(TlsVersion::Tls12);
        assert_eq!(allowed, ["ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(policy.ciphers(TlsVersion::Tls13), CIPHERS[..3]);
        let newest = Policy {
            lowest_version: TlsVersion::Tls13,
            ..policy
        };
        assert!(newest.ciphers(TlsVersion::Tls12).is_empty());
    }

    #[test]
    fn the_provider_has_what_is_allowed_in_its_order() {
        let list = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
        let policy = Policy {
            tls13: CipherList::parse(list, TlsVersion::Tls13).ok(),
            ..Policy::default()
        };
        let suites = policy.provider().cipher_suites.clone();
        let names: Vec<_> = suites
            .iter()
            .map(|suite| suite.suite().as_str().unwrap_or_default())
            .collect();
        assert_eq!(names.len(), 2 + 6);
        assert!(names[0].ends_with("CHACHA20_POLY1305_SHA256"), "{names:?}");
        assert!(names[1].ends_with("AES_128_GCM_SHA256"), "{names:?}");
    }
}
