//! `mytls authorize` as it is written.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use crate::authorize::{Client, Security};
use crate::protocol::user_name::UserName;
use crate::rules::ClientAddress;
use crate::tls::{CIPHERS, TlsVersion};

/// `mytls authorize`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls authorize mytls.yaml --user app --from 10.0.0.7 --cert client.pem
  mytls authorize mytls.yaml --user app --from localhost --plaintext")]
pub struct Authorize {
    /// The configuration file (YAML).
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// The user that the client logs in as.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    pub user: UserName,

    /// Where the client comes from: its IP address, or `localhost` (or `unix`) for a Unix socket.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_from)]
    pub from: ClientAddress,

    /// The client's certificate (PEM), intermediates behind it; without it the client has TLS but no certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "plaintext")]
    pub cert: Option<PathBuf>,

    /// The TLS version of the session: TLSv1.2 or TLSv1.3. [default: that of --cipher, or else TLSv1.3]
    #[arg(long, value_name = "VERSION", value_parser = parse_tls_version, conflicts_with = "plaintext")]
    pub tls_version: Option<TlsVersion>,

    /// The cipher of the session, by OpenSSL's name; it matters where a rule has CIPHER. [default: a usual one]
    #[arg(long, value_name = "NAME", value_parser = parse_cipher, conflicts_with = "plaintext")]
    pub cipher: Option<&'static str>,

    /// The client does no TLS.
    #[arg(long)]
    pub plaintext: bool,
}

/// `--cipher` and `--tls-version` that never meet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {version} session has the cipher {cipher}")]
pub struct OtherVersion {
    cipher: &'static str,
    version: TlsVersion,
}

impl Authorize {
    /// The client that is asked about.
    pub fn client(&self) -> Result<Client, OtherVersion> {
        let of_cipher = self.cipher.map(TlsVersion::of_cipher);
        if let (Some(cipher), Some(version)) = (self.cipher, self.tls_version)
            && of_cipher != Some(version)
        {
            return Err(OtherVersion { cipher, version });
        }
        let security = if self.plaintext {
            Security::Plaintext
        } else {
            Security::Tls {
                version: self.tls_version.or(of_cipher).unwrap_or(TlsVersion::Tls13),
                cipher: self.cipher,
                certificate: self.cert.clone(),
            }
        };
        Ok(Client {
            user: self.user.clone(),
            address: self.from,
            security,
        })
    }
}

fn parse_from(text: &str) -> Result<ClientAddress, &'static str> {
    match text {
        "localhost" | "unix" => Ok(ClientAddress::UnixSocket),
        _ => text
            .parse::<IpAddr>()
            .map(ClientAddress::from)
            .map_err(|_| "neither an IP address nor `localhost`: mytls resolves no names"),
    }
}

fn parse_tls_version(text: &str) -> Result<TlsVersion, &'static str> {
    [TlsVersion::Tls12, TlsVersion::Tls13]
        .into_iter()
        .find(|version| version.to_string().eq_ignore_ascii_case(text))
        .ok_or("neither TLSv1.2 nor TLSv1.3")
}

fn parse_cipher(text: &str) -> Result<&'static str, String> {
    CIPHERS
        .into_iter()
        .find(|cipher| *cipher == text)
        .ok_or_else(|| format!("no session has it; write one of {}", CIPHERS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::{Command, tests::parse};
    use super::*;
    use crate::tls::Policy;

    fn client(line: &str) -> Option<Result<Client, OtherVersion>> {
        match parse(line).ok()?.command {
            Command::Authorize(authorize) => Some(authorize.client()),
            _ => None,
        }
    }

    #[test]
    fn cipher_of_another_version_is_wrong() {
        for (version, cipher) in [
            (TlsVersion::Tls12, "TLS_AES_128_GCM_SHA256"),
            (TlsVersion::Tls13, "ECDHE-RSA-AES128-GCM-SHA256"),
        ] {
            let line = format!(
                "mytls authorize a --user u --from ::1 --tls-version {version} --cipher {cipher}"
            );
            let wrong = client(&line).expect("read").map(|_| ());
            assert_eq!(wrong, Err(OtherVersion { cipher, version }));
        }
    }

    #[test]
    fn client_is_asked_about_as_mytls_would_see_it() {
        for (options, expected) in [
            (
                "--from unix --plaintext",
                "\"u\" on a Unix socket, without TLS",
            ),
            (
                "--from ::ffff:10.0.0.7 --cert c.pem",
                "\"u\" from 10.0.0.7, TLSv1.3 (TLS_AES_256_GCM_SHA384, assumed) with a certificate",
            ),
            (
                "--from localhost --tls-version tlsv1.2",
                "\"u\" on a Unix socket, TLSv1.2 (ECDHE-ECDSA-AES256-GCM-SHA384, assumed) without a certificate",
            ),
            (
                "--from ::1 --cipher ECDHE-RSA-AES128-GCM-SHA256",
                "\"u\" from ::1, TLSv1.2 (ECDHE-RSA-AES128-GCM-SHA256) without a certificate",
            ),
        ] {
            let client = client(&format!("mytls authorize a.yaml --user u {options}"));
            let client = client
                .and_then(Result::ok)
                .map(|client| client.in_words(&Policy::default()));
            assert_eq!(client.as_deref(), Some(expected));
        }
    }
}
