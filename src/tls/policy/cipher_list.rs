//! Names of cipher suites, as `tls-cipher` and `tls-ciphersuites` list them.

use rustls::{CipherSuite, SupportedCipherSuite};

use crate::tls::{
    policy::{negotiated::cipher_name, version::TlsVersion},
    provider,
};

/// Some of the suites of one version, the preferred first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherList(Vec<CipherSuite>);

/// Why a list of cipher suites cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherListError {
    /// Nothing is in it.
    #[error("is empty, which would allow no cipher suite; left out, all are allowed: {}", .known.join(":"))]
    Empty {
        /// All of this version.
        known: Vec<&'static str>,
    },
    /// OpenSSL's language of patterns, which changes its meaning with each release.
    #[error("`{0}` is a pattern, and only names of cipher suites can stand here")]
    Pattern(String),
    /// A suite of the other version.
    #[error("`{name}` is a cipher suite of {version}, which stands under `{key}`")]
    OtherVersion {
        /// As it is written.
        name: String,
        /// Whose it is.
        version: TlsVersion,
        /// Where it belongs.
        key: &'static str,
    },
    /// A suite that there is, but not here.
    #[error("mytls does not have `{name}`, which {reason}; the nearest that it has is {nearest}")]
    Unsupported {
        /// As it is written.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
        /// By OpenSSL's name.
        nearest: &'static str,
    },
    /// Nobody's suite.
    #[error("`{name}` is no cipher suite's name; the nearest is {nearest}")]
    Unknown {
        /// As it is written.
        name: String,
        /// By OpenSSL's name.
        nearest: &'static str,
    },
}

impl CipherList {
    /// Reads names of OpenSSL or IANA (which Go and TiDB use), with colons between them; as OpenSSL, also commas or
    /// spaces.
    pub fn parse(text: &str, version: TlsVersion) -> Result<Self, CipherListError> {
        let mut list: Vec<CipherSuite> = Vec::new();
        for name in text.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
            let suite = find(name, version)?;
            if !list.contains(&suite) {
                list.push(suite);
            }
        }
        if list.is_empty() {
            return Err(CipherListError::Empty {
                known: Self::all(version).names().collect(),
            });
        }
        Ok(Self(list))
    }

    /// All that there are here.
    pub(crate) fn all(version: TlsVersion) -> Self {
        Self(suites(version).map(|suite| suite.suite()).collect())
    }

    /// OpenSSL's names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.clone().into_iter().map(cipher_name)
    }

    /// For rustls.
    pub(crate) fn suites(&self) -> Vec<SupportedCipherSuite> {
        let provider = provider();
        let known = &provider.cipher_suites;
        self.0
            .iter()
            .filter_map(|wanted| known.iter().find(|suite| suite.suite() == *wanted))
            .copied()
            .collect()
    }
}

/// All suites of one version that there are here.
fn suites(version: TlsVersion) -> impl Iterator<Item = SupportedCipherSuite> {
    provider()
        .cipher_suites
        .clone()
        .into_iter()
        .filter(move |suite| version_of(suite) == version)
}

fn version_of(suite: &SupportedCipherSuite) -> TlsVersion {
    match suite {
        SupportedCipherSuite::Tls12(_) => TlsVersion::Tls12,
        SupportedCipherSuite::Tls13(_) => TlsVersion::Tls13,
    }
}

fn find(name: &str, version: TlsVersion) -> Result<CipherSuite, CipherListError> {
    let upper = name.to_ascii_uppercase();
    let found = provider()
        .cipher_suites
        .iter()
        .find(|suite| is_name(&upper, suite.suite()))
        .copied();
    match found {
        Some(suite) if version_of(&suite) == version => Ok(suite.suite()),
        Some(suite) => Err(CipherListError::OtherVersion {
            name: name.to_owned(),
            version: version_of(&suite),
            key: match version_of(&suite) {
                TlsVersion::Tls12 => "tls-cipher",
                TlsVersion::Tls13 => "tls-ciphersuites",
            },
        }),
        None => Err(refusal(name, &upper, version)),
    }
}

fn is_name(upper: &str, suite: CipherSuite) -> bool {
    // rustls has IANA's names, but for those of TLS 1.3, where OpenSSL's are IANA's. Go left out the hash of ChaCha20.
    let iana = suite.as_str().unwrap_or_default();
    upper == cipher_name(suite)
        || upper == iana
        || iana.ends_with("_CHACHA20_POLY1305_SHA256")
            && iana.strip_suffix("_SHA256") == Some(upper)
}

fn refusal(name: &str, upper: &str, version: TlsVersion) -> CipherListError {
    const PATTERNS: [&str; 8] = [
        "ALL",
        "COMPLEMENTOFALL",
        "COMPLEMENTOFDEFAULT",
        "DEFAULT",
        "HIGH",
        "MEDIUM",
        "LOW",
        "SUITEB128",
    ];
    let is_pattern = PATTERNS.contains(&upper) || upper.starts_with(['!', '+', '-', '@']);
    let name = name.escape_debug().to_string();
    if is_pattern {
        return CipherListError::Pattern(name);
    }
    match reason(upper) {
        Some(reason) => CipherListError::Unsupported {
            name,
            reason,
            nearest: nearest_of_kind(upper),
        },
        None => CipherListError::Unknown {
            nearest: nearest_spelt(upper, version),
            name,
        },
    }
}

/// Why a suite of this name is not supported; none where it does not look like the name of a suite that exists. Names are
/// made of the parts that these rules look for, in OpenSSL's way as in IANA's.
fn reason(upper: &str) -> Option<&'static str> {
    const ENDS: [&str; 8] = [
        "SHA", "SHA256", "SHA384", "MD5", "CCM", "CCM8", "CCM_8", "POLY1305",
    ];
    let parts: Vec<&str> = upper.split(['-', '_']).collect();
    let has = |part: &str| parts.contains(&part);
    if parts.len() < 2 || !ENDS.iter().any(|end| upper.ends_with(end)) {
        return None;
    }
    let has_any = |starts: &[&str]| {
        parts
            .iter()
            .any(|part| starts.iter().any(|start| part.starts_with(start)))
    };
    if has("NULL") {
        Some("does not encrypt")
    } else if has("ADH") || has("AECDH") || has("ANON") {
        Some("authenticates nobody")
    } else if has("PSK") || has("SRP") {
        Some("works without certificates")
    } else if has_any(&["RC4", "RC2", "DES", "3DES", "IDEA", "SEED", "EXP"]) {
        Some("is broken")
    } else if has_any(&["CAMELLIA", "ARIA", "SM4", "GOST"]) {
        Some("is not of AES or ChaCha20")
    } else if has("DHE") || has("EDH") || has("DH") {
        Some("agrees on keys by DHE, not by ECDHE")
    } else if has("ECDH") {
        Some("has no forward secrecy")
    } else if upper.starts_with("TLS_RSA_WITH") || parts[0].starts_with("AES") {
        Some("has no forward secrecy (keys by RSA)")
    } else if has_any(&["CCM"]) {
        Some("is of AES-CCM, not AES-GCM")
    } else if has("ECDHE") && !has("GCM") && !has("CHACHA20") {
        Some("is of CBC, not AES-GCM")
    } else {
        None
    }
}

/// What comes nearest to a suite that is not supported: the same kind of certificate, the same cipher and length of key.
fn nearest_of_kind(upper: &str) -> &'static str {
    let is_long = upper.replace("SHA256", "").contains("256");
    let is_chacha = upper.contains("CHACHA20");
    if upper.starts_with("TLS_") && !upper.contains("_WITH_") {
        return "TLS_AES_128_GCM_SHA256";
    }
    match (upper.contains("ECDSA"), is_chacha, is_long) {
        (true, true, _) => "ECDHE-ECDSA-CHACHA20-POLY1305",
        (true, false, true) => "ECDHE-ECDSA-AES256-GCM-SHA384",
        (true, false, false) => "ECDHE-ECDSA-AES128-GCM-SHA256",
        (false, true, _) => "ECDHE-RSA-CHACHA20-POLY1305",
        (false, false, true) => "ECDHE-RSA-AES256-GCM-SHA384",
        (false, false, false) => "ECDHE-RSA-AES128-GCM-SHA256",
    }
}

fn nearest_spelt(upper: &str, version: TlsVersion) -> &'static str {
    let distance = |suite: &SupportedCipherSuite| {
        let iana = suite.suite().as_str().unwrap_or_default();
        strsim::damerau_levenshtein(upper, cipher_name(suite.suite()))
            .min(strsim::damerau_levenshtein(upper, iana))
    };
    suites(version)
        .min_by_key(distance)
        .map_or("", |suite| cipher_name(suite.suite()))
}

#[cfg(test)]
mod tests;
