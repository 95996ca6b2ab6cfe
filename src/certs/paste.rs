//! What to do with certificates that were made: lines ready to paste into files, SQL and shells.

use std::io::{self, Write};
use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::files::Pair;
use crate::rules::Requirement;
use crate::shell::{pasted, quoted};
use crate::tls::Description;

/// A client and where its files are.
pub(super) struct Client {
    /// Its common name.
    pub(super) name: String,
    pub(super) pair: Pair,
    pub(super) der: CertificateDer<'static>,
}

/// What a server's files and these clients' in a folder are good for.
pub(super) fn print(out: &mut impl Write, folder: &Path, clients: &[Client]) -> io::Result<()> {
    let server = Pair::new("server");
    let files = [Pair::ca().certificate, server.certificate, server.key].map(|name| {
        let path = folder.join(name);
        let path = std::path::absolute(&path).unwrap_or(path);
        path.display().to_string()
    });
    writeln!(out, "\nIn mytls.yaml:\n\nsecurity:")?;
    for (key, path) in ["ssl-ca", "ssl-cert", "ssl-key"].iter().zip(&files) {
        writeln!(out, "  {key}: {}", yaml(path))?;
    }
    if !clients.is_empty() {
        writeln!(out, "accounts:")?;
    }
    for client in clients {
        writeln!(out, "  - user: {}", yaml(&client.account()))?;
        writeln!(out, "    require: {}", yaml(&client.requirement()))?;
    }
    writeln!(
        out,
        "\nOr in the my.cnf of a MySQL or MariaDB server, below [mysqld]:\n"
    )?;
    for (key, path) in ["ssl_ca", "ssl_cert", "ssl_key"].iter().zip(&files) {
        writeln!(out, "{key} = {path}")?;
    }
    if !clients.is_empty() {
        writeln!(out, "\nand in SQL:\n")?;
    }
    for client in clients {
        let (account, requirement) = (client.account(), client.requirement());
        writeln!(out, "ALTER USER {account} REQUIRE {requirement};")?;
    }
    for client in clients {
        print_shells(out, folder, client)?;
    }
    writeln!(
        out,
        "\nKeep {} to yourself: whoever has it can be any client. A client gets {} and its own two files.",
        Pair::ca().key,
        Pair::ca().certificate
    )
}

/// The port is mytls' own default.
fn print_shells(out: &mut impl Write, folder: &Path, client: &Client) -> io::Result<()> {
    let path = |name: &str| pasted(&folder.join(name));
    let files = format!(
        "--ssl-ca={} --ssl-cert={} --ssl-key={}",
        path(&Pair::ca().certificate),
        path(&client.pair.certificate),
        path(&client.pair.key)
    );
    let to = format!(
        "--host=127.0.0.1 --port=3307 --user={}",
        quoted(client.user())
    );
    let name = quoted(&client.name);
    writeln!(out, "\nClient {name}, with MySQL's shell or MariaDB's:\n")?;
    writeln!(out, "mysql {to} -p --ssl-mode=VERIFY_IDENTITY {files}")?;
    writeln!(out, "mariadb {to} -p --ssl-verify-server-cert {files}")
}

impl Client {
    /// An account may have any name; that of the certificate is a good one, if it can be one.
    fn user(&self) -> &str {
        let is_plain = |each: char| each.is_ascii_alphanumeric() || "._-@".contains(each);
        if self.name.len() <= 32 && self.name.chars().all(is_plain) {
            &self.name
        } else {
            "USER"
        }
    }

    fn account(&self) -> String {
        format!("'{}'@'%'", self.user())
    }

    fn requirement(&self) -> String {
        Description::of(&self.der)
            .map_or(Requirement::X509, |certificate| {
                Requirement::naming(&certificate.names)
            })
            .to_string()
    }
}

/// A scalar of YAML, plain where it may be.
fn yaml(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && text.chars().all(|each| matches!(each, ' '..='~'));
    if is_plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read by a parser of YAML that is not ours.
    #[test]
    fn scalars_mean_the_same_to_a_parser() {
        for text in [
            "/etc/mytls/ca.pem",
            "'app'@'%'",
            "SUBJECT '/CN=a: b #c'",
            "SUBJECT '/CN=a'",
            r#"a\"b"#,
            "a:",
            "- a",
            "",
            "/Zo\u{eb}",
        ] {
            let read: String = serde_saphyr::from_str(&yaml(text)).expect(text);
            assert_eq!(read, text);
        }
        assert_eq!(yaml("/etc/ca.pem"), "/etc/ca.pem");
    }
}
