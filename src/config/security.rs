//! `security`: certificates, keys and TLS policy, towards clients and towards a backend.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_saphyr::Location;

use super::file::{Key, PemBytes, Security};
use super::problem::{Fault, Wrong};
use super::value::{choice, file_path};
use super::warning::{Notice, Remark};
use crate::tls::{
    BackendNames, CipherList, ClientSettings, PemSource, Policy, ServerSettings, Sources, SslMode,
    TlsVersion,
};

/// For what says more of a backend's certificate.
const NEEDS_VERIFICATION: &str = "needs a certificate that is verified: `ssl-ca` beside it, and no ssl-mode but VERIFY_CA or \
                                  VERIFY_IDENTITY";

/// `security` towards clients; `name` is the key's path, for errors.
pub(super) fn server(
    key: &Key<Security>,
    name: &str,
    folder: &Path,
) -> Result<ServerSettings, Fault> {
    let security = key.or_empty();
    if let Some(mode) = security.ssl_mode.written() {
        return Err(Fault::key(
            mode,
            Wrong::Forbidden(
                "is for backends; towards clients say `require-secure-transport: true`, or `require` in `accounts`",
            ),
        ));
    }
    let sources = sources(&security, name, folder)?;
    let no_certificate = sources.cert.is_none();
    if let Some(auto) = security.auto_tls.written()
        && auto.value
        && !no_certificate
    {
        return Err(Fault::key(auto, Wrong::Together("ssl-cert")));
    }
    Ok(ServerSettings {
        auto_tls: no_certificate && security.auto_tls.or(true),
        policy: policy(&security)?,
        sources,
    })
}

/// `security` towards a backend, `name` being the key of the backend's section. `None` is plaintext: there is no
/// `security`, or it says so.
pub(super) fn client(
    key: &Key<Security>,
    name: &str,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<Option<ClientSettings>, Fault> {
    let Some(written) = key.written() else {
        return Ok(None);
    };
    let security = &written.value;
    if let Some(auto) = security.auto_tls.written() {
        return Err(Fault::key(
            auto,
            Wrong::Forbidden("is for the port that clients dial, not for a backend"),
        ));
    }
    let sources = sources(security, &format!("{name}.security"), folder)?;
    let policy = policy(security)?;
    let mode = mode(security, sources.ca.is_some())?;
    if let Some(crl) = security.ssl_crl.written()
        && !mode.is_some_and(SslMode::verifies)
    {
        return Err(Fault::key(crl, Wrong::Forbidden(NEEDS_VERIFICATION)));
    }
    let backend_names = backend_names(&security.cert_allowed_cn, mode, remarks)?;
    let Some(mode) = mode else {
        remarks.push(Remark::key(written, Notice::TurnedOff));
        return Ok(None);
    };
    if mode == SslMode::Required {
        let notice = if sources.ca.is_some() {
            Notice::UnusedCa
        } else {
            Notice::NotVerified
        };
        remarks.push(Remark::key(written, notice));
    }
    Ok(Some(ClientSettings {
        sources,
        mode,
        policy,
        backend_names,
    }))
}

/// `cert-allowed-cn` of a backend. Anybody can put any name into a certificate that is not verified.
fn backend_names(
    key: &Key<Vec<String>>,
    mode: Option<SslMode>,
    remarks: &mut Vec<Remark>,
) -> Result<Option<BackendNames>, Fault> {
    let Some(written) = key.written() else {
        return Ok(None);
    };
    if !mode.is_some_and(SslMode::verifies) {
        return Err(Fault::key(written, Wrong::Forbidden(NEEDS_VERIFICATION)));
    }
    if written.value.is_empty() {
        remarks.push(Remark::key(written, Notice::NoNames));
    }
    Ok(Some(BackendNames::new(written.value.iter().cloned())))
}

/// How far a backend's certificate is checked; `None` is plaintext.
fn mode(security: &Security, has_ca: bool) -> Result<Option<SslMode>, Fault> {
    let by_default = if has_ca {
        SslMode::VerifyCa
    } else {
        SslMode::Required
    };
    let Some(text) = security.ssl_mode.written() else {
        return Ok(Some(by_default));
    };
    if text.value.eq_ignore_ascii_case("PREFERRED") {
        return Err(Fault::value(
            text,
            Wrong::Forbidden(
                "PREFERRED falls back to plaintext, which mytls never does: write REQUIRED or better",
            ),
        ));
    }
    let choices = [
        ("DISABLED", None),
        ("REQUIRED", Some(SslMode::Required)),
        ("VERIFY_CA", Some(SslMode::VerifyCa)),
        ("VERIFY_IDENTITY", Some(SslMode::VerifyIdentity)),
    ];
    let mode = choice(&security.ssl_mode, &choices, Some(by_default))?;
    match mode {
        Some(mode) if mode.verifies() && !has_ca => Err(Fault::value(
            text,
            Wrong::Missing("`ssl-ca` beside it: without one there is nothing to verify with"),
        )),
        mode => Ok(mode),
    }
}

/// Versions and cipher suites.
fn policy(security: &Security) -> Result<Policy, Fault> {
    Ok(Policy {
        lowest_version: lowest_version(&security.tls_version)?,
        tls12: cipher_list(&security.tls_cipher, TlsVersion::Tls12)?,
        tls13: cipher_list(&security.tls_ciphersuites, TlsVersion::Tls13)?,
    })
}

fn cipher_list(key: &Key<String>, version: TlsVersion) -> Result<Option<CipherList>, Fault> {
    let Some(text) = key.written() else {
        return Ok(None);
    };
    CipherList::parse(&text.value, version)
        .map(Some)
        .map_err(|error| Fault::parse(text, error))
}

fn lowest_version(key: &Key<String>) -> Result<TlsVersion, Fault> {
    if let Some(text) = key.written() {
        let version = text.value.to_ascii_lowercase();
        if version.contains(',') {
            return Err(Fault::value(
                text,
                Wrong::Forbidden("is the lowest version, not a list of versions"),
            ));
        }
        if matches!(version.as_str(), "tlsv1" | "tlsv1.0" | "tlsv1.1") {
            return Err(Fault::value(
                text,
                Wrong::Forbidden(
                    "is broken before TLSv1.2 (RFC 8996): MySQL since 8.0.28 refuses it, and so does mytls",
                ),
            ));
        }
    }
    let choices = [
        ("TLSv1.2", TlsVersion::Tls12),
        ("TLSv1.3", TlsVersion::Tls13),
    ];
    choice(key, &choices, TlsVersion::default())
}

/// Where CA, certificate and key come from; `section` is the path of the keys, for errors at load.
fn sources(security: &Security, section: &str, folder: &Path) -> Result<Sources, Fault> {
    let Security {
        ssl_ca,
        ssl_cert,
        ssl_key,
        ssl_ca_base64,
        ssl_cert_base64,
        ssl_key_base64,
        ssl_ca_bytes,
        ssl_cert_bytes,
        ssl_key_bytes,
        ..
    } = security;
    let ca = PemKeys {
        name: "ssl-ca",
        file: ssl_ca,
        base64: ssl_ca_base64,
        bytes: ssl_ca_bytes,
    };
    let cert = PemKeys {
        name: "ssl-cert",
        file: ssl_cert,
        base64: ssl_cert_base64,
        bytes: ssl_cert_bytes,
    };
    let key = PemKeys {
        name: "ssl-key",
        file: ssl_key,
        base64: ssl_key_base64,
        bytes: ssl_key_bytes,
    };
    match (cert.location(), key.location()) {
        (Some(cert), None) => return Err(Fault::key_at(cert, Wrong::HalfPair("ssl-key"))),
        (None, Some(key)) => return Err(Fault::key_at(key, Wrong::HalfPair("ssl-cert"))),
        _ => {}
    }
    let crl = match security.ssl_crl.written() {
        Some(written) if ca.location().is_none() => {
            return Err(Fault::key(
                written,
                Wrong::Missing("`ssl-ca` beside it: without one there is nobody whose word counts"),
            ));
        }
        Some(path) => Some(PemSource::File(file_path(path, folder)?)),
        None => None,
    };
    Ok(Sources {
        ca: ca.source(section, folder)?,
        cert: cert.source(section, folder)?,
        key: key.source(section, folder)?,
        crl,
    })
}

/// The three keys that one piece of PEM may stand under.
struct PemKeys<'a> {
    name: &'static str,
    file: &'a Key<String>,
    base64: &'a Key<String>,
    bytes: &'a Key<PemBytes>,
}

impl PemKeys<'_> {
    /// Where one of them is written.
    fn location(&self) -> Option<Location> {
        self.file
            .location()
            .or(self.base64.location())
            .or(self.bytes.location())
    }

    fn source(&self, section: &str, folder: &Path) -> Result<Option<PemSource>, Fault> {
        let inline = |form: &str, pem| PemSource::Inline {
            key: format!("{section}.{}-{form}", self.name),
            pem,
        };
        let forms = [
            self.file.location(),
            self.base64.location(),
            self.bytes.location(),
        ];
        let mut written = forms.into_iter().flatten();
        if let (Some(_), Some(second)) = (written.next(), written.next()) {
            return Err(Fault::key_at(second, Wrong::SeveralForms(self.name)));
        }
        if let Some(path) = self.file.written() {
            return file_path(path, folder).map(|path| Some(PemSource::File(path)));
        }
        if let Some(text) = self.base64.written() {
            let packed: String = text.value.split_ascii_whitespace().collect();
            let pem = BASE64
                .decode(packed)
                .map_err(|_| Fault::value(text, Wrong::Kind("base64 of a PEM file".to_owned())))?;
            return Ok(Some(inline("base64", pem)));
        }
        Ok(self
            .bytes
            .written()
            .map(|bytes| inline("bytes", bytes.value.to_vec())))
    }
}
