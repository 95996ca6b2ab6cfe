//! An account's `REQUIRE` clause: printed and judged. `clause` reads it.

use std::fmt;
use std::sync::Arc;

use super::alternative_names::AlternativeNames;
use super::identity::{Certificate, Transport};
use super::name::Name;
use super::quoted::Quoted;

/// What a client must have shown (`REQUIRE …`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    #[default]
    None,
    /// A TLS session. A Unix socket does not stand in for it, as in MySQL.
    Ssl,
    /// A TLS session with a client certificate that was verified.
    X509,
    /// The same, and all of these hold of it; at least one. `CIPHER` alone needs a certificate too, as in MySQL.
    Specified(Vec<Condition>),
    /// A TLS session with this cipher, by its name in OpenSSL, and no certificate: MariaDB's `CIPHER`. Only imported.
    Cipher(String),
    /// Nobody can meet it, for this reason: a server has stored what cannot be read. Only imported.
    Impossible(String),
}

/// What must hold of a session with a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The certificate's subject is this, in one line.
    Subject(String),
    /// The certificate's issuer is this, in one line.
    Issuer(String),
    /// The session's cipher has this name in OpenSSL.
    Cipher(String),
    /// The certificate has names of these.
    San(AlternativeNames),
}

/// What of a requirement a client has not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// It speaks without TLS.
    Tls,
    /// It sent no certificate.
    Certificate,
    /// It has another subject, that of this certificate.
    Subject(Arc<Certificate>),
    /// It has another issuer, that of this certificate.
    Issuer(Arc<Certificate>),
    /// It uses another cipher, this one.
    Cipher(&'static str),
    /// It has other alternative names, those of this certificate.
    San(Arc<Certificate>),
    /// What nobody can show.
    Impossible,
}

impl Requirement {
    /// What only this certificate's holder meets: its subject and issuer, as far as a rule can name them.
    pub fn naming(certificate: &Certificate) -> Self {
        let written = |name: &Name| Some(name.to_string()).filter(|text| name.is_written(text));
        let conditions: Vec<_> = [
            written(&certificate.subject).map(Condition::Subject),
            written(&certificate.issuer).map(Condition::Issuer),
        ]
        .into_iter()
        .flatten()
        .collect();
        if conditions.is_empty() {
            Self::X509
        } else {
            Self::Specified(conditions)
        }
    }

    /// What the client has not shown, if anything.
    pub fn lacking(&self, transport: &Transport) -> Option<Lacking> {
        let conditions = match self {
            Self::None => return None,
            Self::Ssl => {
                return match transport {
                    Transport::Plaintext => Some(Lacking::Tls),
                    Transport::Tls { .. } => None,
                };
            }
            Self::Cipher(name) => {
                return match transport {
                    Transport::Plaintext => Some(Lacking::Tls),
                    Transport::Tls { cipher, .. } => lacking_cipher(name, cipher),
                };
            }
            Self::Impossible(_) => return Some(Lacking::Impossible),
            Self::X509 => &[][..],
            Self::Specified(conditions) => conditions,
        };
        match transport {
            Transport::Plaintext => Some(Lacking::Tls),
            Transport::Tls {
                certificate: None, ..
            } => Some(Lacking::Certificate),
            Transport::Tls {
                cipher,
                certificate: Some(certificate),
            } => conditions
                .iter()
                .find_map(|condition| condition.lacking(cipher, certificate)),
        }
    }

    /// Whether nobody without a client certificate can meet it.
    pub fn needs_certificate(&self) -> bool {
        match self {
            Self::None | Self::Ssl | Self::Cipher(_) => false,
            Self::X509 | Self::Specified(_) | Self::Impossible(_) => true,
        }
    }

    /// The cipher that it wants.
    pub fn cipher(&self) -> Option<&str> {
        let conditions = match self {
            Self::Cipher(name) => return Some(name),
            Self::Specified(conditions) => conditions,
            Self::None | Self::Ssl | Self::X509 | Self::Impossible(_) => return None,
        };
        conditions.iter().find_map(|condition| match condition {
            Condition::Cipher(name) => Some(name.as_str()),
            Condition::Subject(_) | Condition::Issuer(_) | Condition::San(_) => None,
        })
    }
}

impl Condition {
    fn lacking(&self, cipher: &'static str, shown: &Arc<Certificate>) -> Option<Lacking> {
        let (holds, lacking): (bool, fn(Arc<Certificate>) -> Lacking) = match self {
            Self::Subject(text) => (shown.subject.is_written(text), Lacking::Subject),
            Self::Issuer(text) => (shown.issuer.is_written(text), Lacking::Issuer),
            Self::San(names) => (names.are_met_by(&shown.alternative_names), Lacking::San),
            Self::Cipher(name) => return lacking_cipher(name, cipher),
        };
        (!holds).then(|| lacking(Arc::clone(shown)))
    }
}

fn lacking_cipher(name: &str, shown: &'static str) -> Option<Lacking> {
    (name != shown).then_some(Lacking::Cipher(shown))
}

impl fmt::Display for Requirement {
    /// As it is read, unless it is only imported.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("NONE"),
            Self::Ssl => f.write_str("SSL"),
            Self::X509 => f.write_str("X509"),
            Self::Specified(conditions) => {
                for (position, condition) in conditions.iter().enumerate() {
                    let joint = if position == 0 { "" } else { " AND " };
                    write!(f, "{joint}{condition}")?;
                }
                Ok(())
            }
            Self::Cipher(name) => write!(f, "CIPHER {} (without a certificate)", Quoted(name)),
            Self::Impossible(why) => write!(f, "({})", why.escape_debug()),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(text) => write!(f, "SUBJECT {}", Quoted(text)),
            Self::Issuer(text) => write!(f, "ISSUER {}", Quoted(text)),
            Self::Cipher(name) => write!(f, "CIPHER {}", Quoted(name)),
            Self::San(names) => write!(f, "SAN {}", Quoted(names)),
        }
    }
}

impl fmt::Display for Lacking {
    /// Behind "the client has not shown".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("TLS"),
            Self::Certificate => f.write_str("a client certificate"),
            Self::Subject(shown) => other_name(f, "subject", &shown.subject),
            Self::Issuer(shown) => other_name(f, "issuer", &shown.issuer),
            Self::Cipher(shown) => write!(f, "that cipher but {shown}"),
            // A certificate may say anything: what would not be safe in a log is escaped.
            Self::San(shown) => write!(
                f,
                "those alternative names but [{}]",
                shown.alternative_names.to_string().escape_debug()
            ),
            Self::Impossible => f.write_str("what it takes, as nobody can"),
        }
    }
}

fn other_name(f: &mut fmt::Formatter<'_>, what: &str, shown: &Name) -> fmt::Result {
    write!(f, "that {what} but {shown}")?;
    if shown.is_unmistakable() {
        return Ok(());
    }
    f.write_str(", which no rule can name, because another name prints so too")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIPHER: &str = "TLS_AES_256_GCM_SHA384";

    const TLS: Transport = Transport::Tls {
        cipher: CIPHER,
        certificate: None,
    };

    fn certificate() -> Certificate {
        Certificate {
            subject: Name::of(&[("O", "Lab"), ("CN", "dm")]),
            issuer: Name::of(&[("CN", "ca")]),
            common_name: Some("dm".to_owned()),
            alternative_names: "DNS:dm.test,URI:spiffe://lab/dm,IP:10.0.0.1"
                .parse()
                .expect("names"),
        }
    }

    fn x509() -> Transport {
        Transport::Tls {
            cipher: CIPHER,
            certificate: Some(Arc::new(certificate())),
        }
    }

    fn requirement(text: &str) -> Requirement {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn less_than_a_certificate_is_seen() {
        for text in [
            "X509",
            "SUBJECT '/O=Lab/CN=dm'",
            "ISSUER '/CN=ca'",
            "SAN 'DNS:dm.test'",
            // MySQL 9.7 too; MariaDB lets a client without a certificate pass.
            "CIPHER 'TLS_AES_256_GCM_SHA384'",
        ] {
            let requirement = requirement(text);
            assert_eq!(
                requirement.lacking(&TLS),
                Some(Lacking::Certificate),
                "{text}"
            );
            let plaintext = requirement.lacking(&Transport::Plaintext);
            assert_eq!(plaintext, Some(Lacking::Tls), "{text}");
        }
        let plaintext = Requirement::Ssl.lacking(&Transport::Plaintext);
        assert_eq!(plaintext, Some(Lacking::Tls));
    }

    #[test]
    fn a_cipher_alone_needs_no_certificate_in_mariadb() {
        let requirement = Requirement::Cipher(CIPHER.to_owned());
        let plaintext = requirement.lacking(&Transport::Plaintext);
        assert_eq!(plaintext, Some(Lacking::Tls));
        let other = Requirement::Cipher("TLS_AES_128_GCM_SHA256".to_owned());
        for transport in [TLS, x509()] {
            assert_eq!(other.lacking(&transport), Some(Lacking::Cipher(CIPHER)));
            assert_eq!(requirement.lacking(&transport), None);
        }
        assert!(!requirement.needs_certificate());
        assert_eq!(requirement.cipher(), Some(CIPHER));
    }

    #[test]
    fn nobody_meets_the_impossible() {
        let requirement = Requirement::Impossible("its ssl_type is\nFOO".to_owned());
        for transport in [Transport::Plaintext, TLS, x509()] {
            assert_eq!(requirement.lacking(&transport), Some(Lacking::Impossible));
        }
        assert_eq!(requirement.to_string(), r"(its ssl_type is\nFOO)");
    }

    #[test]
    fn another_certificate_than_required_is_seen() {
        let shown = Arc::new(certificate());
        let subject = &Lacking::Subject(Arc::clone(&shown));
        let issuer = &Lacking::Issuer(Arc::clone(&shown));
        let (names, cipher) = (&Lacking::San(shown), &Lacking::Cipher(CIPHER));
        for (text, lacking) in [
            ("SUBJECT '/O=Lab/CN=dmx'", subject),
            ("SUBJECT '/CN=dm'", subject),
            ("SUBJECT '/CN=ca'", subject),
            ("ISSUER '/O=Lab/CN=dm'", issuer),
            ("CIPHER 'TLS_AES_128_GCM_SHA256'", cipher),
            ("CIPHER 'tls_aes_256_gcm_sha384'", cipher),
            ("SAN 'DNS:db.test'", names),
            ("SAN 'DNS:dm.test,URI:spiffe://lab/x'", names),
            ("SUBJECT '/O=Lab/CN=dm' AND ISSUER '/CN=cb'", issuer),
            ("ISSUER '/CN=ca' AND SUBJECT '/CN=x'", subject),
            ("SAN 'IP:10.0.0.2' ISSUER '/CN=ca'", names),
            ("ISSUER '/CN=ca' CIPHER 'AES128-SHA'", cipher),
        ] {
            let found = requirement(text).lacking(&x509());
            assert_eq!(found.as_ref(), Some(lacking), "{text}");
        }
    }

    #[test]
    fn what_is_required_suffices() {
        for (text, transport) in [
            ("NONE", Transport::Plaintext),
            ("NONE", TLS),
            ("SSL", TLS),
            ("SSL", x509()),
            ("X509", x509()),
            ("SUBJECT '/O=Lab/CN=dm'", x509()),
            ("ISSUER '/CN=ca'", x509()),
            ("CIPHER 'TLS_AES_256_GCM_SHA384'", x509()),
            ("SAN 'IP:10.0.0.1'", x509()),
            ("SAN 'DNS:x,DNS:dm.test,IP:10.0.0.1'", x509()),
            (
                "SAN 'URI:spiffe://lab/dm' AND ISSUER '/CN=ca' CIPHER 'TLS_AES_256_GCM_SHA384' AND SUBJECT '/O=Lab/CN=dm'",
                x509(),
            ),
        ] {
            let found = requirement(text).lacking(&transport);
            assert_eq!(found, None, "{text} {transport:?}");
        }
    }

    #[test]
    fn a_name_that_no_rule_can_name_is_said_to_be_one() {
        let lacking = |common_name| {
            let subject = Name::of(&[("CN", common_name)]);
            let shown = Certificate {
                subject,
                ..certificate()
            };
            Lacking::Subject(Arc::new(shown)).to_string()
        };
        assert_eq!(lacking("x"), "that subject but /CN=x");
        let odd = lacking(r"a\");
        assert!(
            odd.starts_with(r"that subject but /CN=a\, which no rule can name"),
            "{odd}"
        );
    }
}
