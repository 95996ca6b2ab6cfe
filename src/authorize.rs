//! `mytls authorize`: may this client pass, and which rule says so? Dials nobody, writes nothing.
//!
//! No second judgement: what answers are [`Acceptor::judge`] and [`Rules::authorize`], as for a connection.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;

use crate::admin::{RuleFile, RuleFileError};
use crate::backend::Endpoint;
use crate::config::Config;
use crate::protocol::user_name::UserName;
use crate::rules::{
    self, Certificate, ClientAddress, Identity, Requirement, Rules, RulesError, Transport,
};
use crate::tls::{self, Acceptor, MaterialError, Policy, ServerSettings, TlsVersion};

const NO_AUTHORITY: &str =
    "security has no ssl-ca: no certificate can be verified, and clients are not asked for one";
const IMPORTED: &str = "import-accounts: the server's own accounts judge too, and they are not known without asking it";
const OWN_OS_USER: &str =
    "the server is on a Unix socket: there the name of mytls' own OS user is refused all the same";

/// A client that might come.
#[derive(Debug, Clone)]
pub struct Client {
    /// As whom.
    pub user: UserName,
    /// From where.
    pub address: ClientAddress,
    /// What it speaks.
    pub security: Security,
}

/// What a client that might come speaks.
#[derive(Debug, Clone)]
pub enum Security {
    /// No TLS.
    Plaintext,
    /// TLS.
    Tls {
        /// Of the session.
        version: TlsVersion,
        /// One of [`tls::CIPHERS`], of that version; a usual one is assumed where none is given.
        cipher: Option<&'static str>,
        /// The file of its certificate, intermediates behind it, if it shows one.
        certificate: Option<PathBuf>,
    },
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AuthorizeError {
    /// The file of the client's certificate.
    #[error(transparent)]
    Certificate(#[from] MaterialError),
    /// Rules that contradict each other.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Rules that were made at the admin port and cannot be read.
    #[error(transparent)]
    RuleFile(#[from] RuleFileError),
    /// Nobody reads the answer.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Prints what is known of the client, the accounts that judge it, and the answer in the last line; true when it may
/// pass.
pub fn authorize(
    config: &Config,
    client: &Client,
    out: &mut impl Write,
) -> Result<bool, AuthorizeError> {
    let admin_accounts = RuleFile::new(config.state_dir.as_deref()).read()?;
    let rules = Rules::new(rules::Settings {
        admin_accounts,
        ..config.rules.clone()
    })?;
    let chain = client.security.chain()?;
    line(out, "client", client.in_words(&config.client_tls.policy))?;
    if let Some(leaf) = chain.first() {
        line(out, "certificate", tls::describe(leaf))?;
    }
    let transport = transport(&config.client_tls, &client.security, &chain);
    if let Ok(Transport::Tls { certificate, .. }) = &transport {
        match certificate {
            Some(certificate) => line(out, "for a rule", for_a_rule(certificate))?,
            None if config.client_tls.sources.ca.is_none() => line(out, "note", NO_AUTHORITY)?,
            None => {}
        }
    }
    // Where there are none, the answer says so.
    for account in rules
        .accounts(client.address, &client.user)
        .unwrap_or_default()
    {
        line(out, "account", account)?;
    }
    let permitted = transport.and_then(|transport| {
        let identity = Identity {
            address: client.address,
            transport,
        };
        rules
            .authorize(&identity, &client.user, None)
            .map_err(|denial| denial.to_string())
    });
    match &permitted {
        Err(why) => line(out, "REFUSED", why)?,
        Ok(permit) => {
            if is_on_unix_socket(config) {
                line(out, "note", OWN_OS_USER)?;
            }
            if config
                .backends
                .iter()
                .any(|backend| backend.import.is_some())
            {
                line(out, "note", IMPORTED)?;
            }
            for denial in permit.reported() {
                line(out, "reported", format_args!("would be refused: {denial}"))?;
            }
            let only_reported = if permit.reported().is_empty() {
                ""
            } else {
                ", because enforcement is report"
            };
            let account = permit.account();
            line(
                out,
                "MAY PASS",
                format_args!("as {account}{only_reported}; the server asks for the password"),
            )?;
        }
    }
    Ok(permitted.is_ok())
}

/// What the rules hear of the client's side, or why they are not asked: by then a connection is refused already.
fn transport(
    settings: &ServerSettings,
    security: &Security,
    chain: &[CertificateDer<'_>],
) -> Result<Transport, String> {
    let Security::Tls {
        version, cipher, ..
    } = security
    else {
        return Ok(Transport::Plaintext);
    };
    let lowest = settings.policy.lowest_version;
    if *version < lowest {
        return Err(format!("security.tls-version is {lowest}"));
    }
    let allowed = settings.policy.ciphers(*version);
    let cipher = cipher.unwrap_or_else(|| usual_cipher(*version, &settings.policy));
    if !allowed.contains(&cipher) {
        return Err(format!(
            "security allows no cipher of {version} but {}",
            allowed.join(", ")
        ));
    }
    let acceptor = Acceptor::load_to_judge(settings)
        .map_err(|error| format!("mytls does no TLS with clients: {error}"))?
        .ok_or("mytls does no TLS with clients: no ssl-cert, and auto-tls is off")?;
    // Without `ssl-ca`, clients are not asked for a certificate.
    let shown = settings.sources.ca.is_some().then_some(chain);
    let certificate = acceptor
        .judge(shown, UnixTime::now())
        .map_err(|refusal| refusal.to_string())?
        .map(Arc::new);
    Ok(Transport::Tls {
        cipher,
        certificate,
    })
}

/// What most sessions have, of what is allowed.
fn usual_cipher(version: TlsVersion, policy: &Policy) -> &'static str {
    let usual = match version {
        TlsVersion::Tls12 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        TlsVersion::Tls13 => "TLS_AES_256_GCM_SHA384",
    };
    let allowed = policy.ciphers(version);
    match allowed.first() {
        Some(first) if !allowed.contains(&usual) => first,
        _ => usual,
    }
}

/// A certificate's names, ready to paste behind `REQUIRE` or `require:`.
fn for_a_rule(certificate: &Certificate) -> String {
    match Requirement::naming(certificate) {
        Requirement::X509 => {
            "X509 (no rule can name its subject or issuer: other names print so too)".to_owned()
        }
        requirement => requirement.to_string(),
    }
}

fn is_on_unix_socket(config: &Config) -> bool {
    config
        .backends
        .iter()
        .filter(|backend| backend.role == config.route)
        .flat_map(|backend| &backend.endpoints)
        .any(|endpoint| matches!(endpoint, Endpoint::Unix(_)))
}

fn line(out: &mut impl Write, what: &str, text: impl fmt::Display) -> io::Result<()> {
    writeln!(out, "{what:<11}  {text}")
}

impl Security {
    /// The certificates that are shown; none without a file.
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
        match self {
            Self::Tls {
                certificate: Some(path),
                ..
            } => tls::client_chain(path),
            Self::Tls {
                certificate: None, ..
            }
            | Self::Plaintext => Ok(Vec::new()),
        }
    }
}

impl Client {
    /// The client, with the cipher that is assumed where none is given.
    pub fn in_words(&self, policy: &Policy) -> String {
        let place = match self.address {
            ClientAddress::Ip(ip) => format!("from {ip}"),
            ClientAddress::UnixSocket => "on a Unix socket".to_owned(),
        };
        let security = match &self.security {
            Security::Plaintext => "without TLS".to_owned(),
            Security::Tls {
                version,
                cipher,
                certificate,
            } => {
                let cipher = match cipher {
                    Some(cipher) => (*cipher).to_owned(),
                    None => format!("{}, assumed", usual_cipher(*version, policy)),
                };
                let shown = match certificate {
                    Some(_) => "with a certificate",
                    None => "without a certificate",
                };
                format!("{version} ({cipher}) {shown}")
            }
        };
        format!("{:?} {place}, {security}", self.user.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{AlternativeNames, Name};

    #[test]
    fn only_names_that_a_rule_can_name_are_printed_for_one() {
        for (subject, issuer, expected) in [
            (
                r"a\",
                r"b\",
                "X509 (no rule can name its subject or issuer: other names print so too)",
            ),
            (r"a\", "ca", "ISSUER '/CN=ca'"),
            ("O'Hara", r"b\", "SUBJECT '/CN=O''Hara'"),
            ("a/b", "ca", r"SUBJECT '/CN=a\\/b' AND ISSUER '/CN=ca'"),
        ] {
            let certificate = Certificate {
                subject: Name::of(&[("CN", subject)]),
                issuer: Name::of(&[("CN", issuer)]),
                common_name: None,
                alternative_names: AlternativeNames::default(),
            };
            assert_eq!(for_a_rule(&certificate), expected);
        }
    }
}
