//! `mytls check`: load everything, dial every backend, print what each certificate says, and import accounts once.

use std::io::{self, Write};

use tokio::runtime;

use crate::backend::Backend;
use crate::config::Config;
use crate::rules::Rules;
use crate::tls::{self, Acceptor, Negotiated};

/// Prints one line for each thing that was checked; true when all is well.
pub fn check(config: Config, out: &mut impl Write) -> io::Result<bool> {
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
            .map(|acceptor| describe_acceptor(acceptor.as_ref()))
            .map_err(|error| error.to_string()),
    )?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for settings in config.backends {
        let name = settings.role.to_string();
        good &= match Backend::new(settings) {
            Ok(backend) => match backend.channel().and_then(|channel| channel.fault()) {
                None => runtime.block_on(check_backend(out, &name, &backend))?,
                Some(fault) => report(out, &name, Err(fault.to_string()))?,
            },
            Err(error) => report(out, &name, Err(error.to_string()))?,
        };
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

async fn check_backend(out: &mut impl Write, name: &str, backend: &Backend) -> io::Result<bool> {
    let connection = match backend.probe().await {
        Ok(connection) => connection,
        Err(error) => return report(out, name, Err(error.to_string())),
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
    report(out, name, Ok(format!("version {version}, {security}")))?;
    for (place, certificate) in session
        .and_then(|tls| tls.peer_certificates())
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let what = if place == 0 {
            "certificate"
        } else {
            "intermediate"
        };
        writeln!(out, "         {what} {}", tls::describe(certificate))?;
    }
    connection.stream.close().await;
    match backend.import() {
        None => Ok(true),
        Some(import) => {
            let result = import.once(backend).await;
            report(
                out,
                name,
                result
                    .map(|imported| format!("{} accounts are imported", imported.count))
                    .map_err(|error| error.to_string()),
            )
        }
    }
}

fn report(out: &mut impl Write, what: &str, result: Result<String, String>) -> io::Result<bool> {
    let (word, text, good) = match result {
        Ok(found) => ("ok    ", found, true),
        Err(error) => ("FAILED", error, false),
    };
    writeln!(out, "{word}   {what}: {text}")?;
    Ok(good)
}
