//! `mytls check`: load everything, dial every address of every backend, print what each certificate says, and import
//! accounts once.

use std::io::{self, Write};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::runtime;

use crate::admin;
use crate::backend::{Backend, Endpoint, Security, Settings};
use crate::certs::{self, Detail, printable};
use crate::config::Config;
use crate::rules::Rules;
use crate::tls::{self, Acceptor, MaterialWarning, Negotiated, Part, PemSource, Sources};

/// A bundle of all the world's CAs is not printed whole.
const MOST_AUTHORITIES: usize = 5;

/// Whether backends are dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// As a running mytls would.
    Used,
    /// Where they cannot be reached.
    Unused,
}

/// Prints one line for each thing that was checked, and a block for each certificate; true when all is well.
pub fn check(config: Config, network: Network, out: &mut impl Write) -> io::Result<bool> {
    let mut good = true;
    for warning in &config.warnings {
        writeln!(out, "warning  {warning}")?;
    }
    good &= report(
        out,
        "rules",
        Rules::new(config.rules)
            .map(|_| "no contradictions".to_owned())
            .map_err(|error| error.to_string()),
    )?;
    // without a state directory, so that a check changes nothing
    let acceptor = Acceptor::load(&config.client_tls, None, &[]);
    good &= report(
        out,
        "security",
        acceptor
            .as_ref()
            .map(|acceptor| describe_acceptor(acceptor.as_ref()))
            .map_err(ToString::to_string),
    )?;
    print_sources(out, &config.client_tls.sources, Part::Server)?;
    if let Ok(Some(acceptor)) = acceptor {
        report_material(out, acceptor.warnings(), &acceptor.revocation_lists())?;
    }
    if let Some(admin) = config.admin {
        good &= check_admin(out, admin)?;
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for settings in config.backends {
        good &= load_backend(out, &settings)?;
        if network == Network::Unused {
            continue;
        }
        for endpoint in settings.endpoints.clone() {
            let alone = Settings {
                endpoints: vec![endpoint.clone()],
                ..settings.clone()
            };
            // a backend that cannot be loaded has been reported
            if let Ok(backend) = loaded(alone) {
                good &= runtime.block_on(dial(out, &backend, &endpoint))?;
            }
        }
    }
    Ok(good)
}

/// The admin port: who may log in, and its certificates.
fn check_admin(out: &mut impl Write, settings: admin::Settings) -> io::Result<bool> {
    let count = settings.users.len();
    let random = aws_lc_rs::default_provider().secure_random;
    let users = admin::Users::load(settings.users, settings.client_names, random);
    let mut good = report(
        out,
        "admin",
        users
            .map(|_| format!("{count} users, their password files are good"))
            .map_err(|error| error.to_string()),
    )?;
    let acceptor = Acceptor::load(&settings.tls, None, &[]);
    good &= report(
        out,
        "admin.security",
        acceptor
            .as_ref()
            .map(|acceptor| describe_acceptor(acceptor.as_ref()))
            .map_err(ToString::to_string),
    )?;
    print_sources(out, &settings.tls.sources, Part::Server)?;
    if let Ok(Some(acceptor)) = acceptor {
        report_material(out, acceptor.warnings(), &acceptor.revocation_lists())?;
    }
    Ok(good)
}

fn describe_acceptor(acceptor: Option<&Acceptor>) -> String {
    match acceptor {
        Some(acceptor) if acceptor.auto_ca().is_some() => "auto-tls makes a certificate".to_owned(),
        Some(acceptor) if acceptor.verifies_clients() => {
            "certificate, key and CA are good".to_owned()
        }
        Some(_) => {
            "certificate and key are good; no ssl-ca: client certificates cannot be verified"
                .to_owned()
        }
        None => "no ssl-cert, and auto-tls is off: plaintext only".to_owned(),
    }
}

/// A backend's own section, before anybody is dialled.
fn load_backend(out: &mut impl Write, settings: &Settings) -> io::Result<bool> {
    let name = settings.role.to_string();
    let loaded = loaded(settings.clone());
    let (says, sources) = match &settings.security {
        Security::Plaintext => ("plaintext", None),
        Security::AsOffered(tls) | Security::Tls(tls) if has_files(&tls.sources) => {
            ("its certificates are good", Some(&tls.sources))
        }
        Security::AsOffered(_) | Security::Tls(_) => ("TLS without certificates", None),
    };
    let good = report(
        out,
        &name,
        loaded
            .as_ref()
            .map(|_| says.to_owned())
            .map_err(Clone::clone),
    )?;
    let channel = loaded.as_ref().ok().and_then(Backend::channel);
    if let Some(generation) = channel.and_then(|channel| channel.current()) {
        let connector = &generation.tls;
        report_material(out, connector.warnings(), &connector.revocation_lists())?;
    }
    if let Some(sources) = sources {
        print_sources(out, sources, Part::Client)?;
    }
    Ok(good)
}

/// A backend whose certificates can be used, or why not.
fn loaded(settings: Settings) -> Result<Backend, String> {
    let backend = Backend::new(settings).map_err(|error| error.to_string())?;
    match backend.channel().and_then(|channel| channel.fault()) {
        None => Ok(backend),
        Some(fault) => Err(fault.to_string()),
    }
}

fn has_files(sources: &Sources) -> bool {
    sources.ca.is_some() || sources.cert.is_some()
}

async fn dial(out: &mut impl Write, backend: &Backend, endpoint: &Endpoint) -> io::Result<bool> {
    let name = format!("{} {endpoint}", backend.role());
    let connection = match backend.probe().await {
        Ok(connection) => connection,
        Err(error) => return report(out, &name, Err(error.to_string())),
    };
    let version = backend
        .greeting()
        .map(|greeting| String::from_utf8_lossy(&greeting.version).into_owned())
        .unwrap_or_default();
    let session = connection.stream.tls();
    let security = match session.and_then(|tls| Negotiated::of(tls)) {
        Some(Negotiated { version, cipher }) => format!("{version} with {cipher}"),
        None => "plaintext".to_owned(),
    };
    report(out, &name, Ok(format!("version {version}, {security}")))?;
    let chain = session.and_then(|tls| tls.peer_certificates());
    for (place, certificate) in chain.unwrap_or_default().iter().enumerate() {
        let part = if place == 0 {
            Part::Server
        } else {
            Part::Authority
        };
        print_certificate(out, "shown by the server", certificate, part)?;
    }
    connection.stream.close().await;
    match backend.import() {
        None => Ok(true),
        Some(import) => {
            let result = import.once(backend).await;
            report(
                out,
                &name,
                result
                    .map(|imported| format!("{} accounts are imported", imported.count))
                    .map_err(|error| error.to_string()),
            )
        }
    }
}

/// The certificates of one `security`. What cannot be read has been reported.
fn print_sources(out: &mut impl Write, sources: &Sources, own: Part) -> io::Result<()> {
    if let Some(source) = &sources.cert {
        print_source(out, "ssl-cert", source, own)?;
    }
    if let Some(source) = &sources.ca {
        print_source(out, "ssl-ca", source, Part::Authority)?;
    }
    Ok(())
}

fn print_source(
    out: &mut impl Write,
    key: &'static str,
    source: &PemSource,
    first: Part,
) -> io::Result<()> {
    let Ok(certificates) = tls::certificates_in(key, source) else {
        return Ok(());
    };
    for (place, certificate) in certificates.iter().take(MOST_AUTHORITIES).enumerate() {
        let part = if place == 0 { first } else { Part::Authority };
        print_certificate(out, key, certificate, part)?;
    }
    if let Some(more @ 1..) = certificates.len().checked_sub(MOST_AUTHORITIES) {
        writeln!(out, "{key}\n  and {more} more")?;
    }
    Ok(())
}

/// What is in force, and what is odd about it.
fn report_material(
    out: &mut impl Write,
    warnings: &[MaterialWarning],
    revocation_lists: &[String],
) -> io::Result<()> {
    for list in revocation_lists {
        writeln!(out, "         revocation list {list}")?;
    }
    for warning in warnings {
        writeln!(out, "warning  {warning}")?;
    }
    Ok(())
}

fn print_certificate(
    out: &mut impl Write,
    what: &str,
    certificate: &CertificateDer<'_>,
    part: Part,
) -> io::Result<()> {
    writeln!(out, "{what}")?;
    certs::print(out, certificate, part, Detail::Brief, UnixTime::now())?;
    Ok(())
}

/// What a server said may stand in it.
fn report(out: &mut impl Write, what: &str, result: Result<String, String>) -> io::Result<bool> {
    let (word, text, good) = match result {
        Ok(found) => ("ok    ", found, true),
        Err(error) => ("FAILED", error, false),
    };
    writeln!(out, "{word}   {what}: {}", printable(&text))?;
    Ok(good)
}
