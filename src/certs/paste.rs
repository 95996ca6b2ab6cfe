//! What to do with certificates that were made: lines ready to paste into files, SQL and shells.

use std::io::{self, Write};
use std::path::Path;

use rustls::pki_types::CertificateDer;

use crate::rules::Requirement;
use crate::shell::{pasted, quoted};
use crate::tls::Description;

/// What lies ready in a folder.
pub(super) struct Ready<'a> {
    pub(super) folder: &'a Path,
    pub(super) ca: &'a str,
    /// Certificate and key.
    pub(super) server: (&'a str, &'a str),
    pub(super) clients: Vec<Client<'a>>,
}

/// A client and its files.
pub(super) struct Client<'a> {
    pub(super) name: &'a str,
    pub(super) certificate: &'a str,
    pub(super) key: &'a str,
    pub(super) der: &'a CertificateDer<'static>,
}

impl Ready<'_> {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (certificate, key) = self.server;
        let [ca, certificate, key] = [self.ca, certificate, key].map(|name| self.absolute(name));
        writeln!(out, "\nIn mytls.yaml:\n")?;
        writeln!(out, "security:")?;
        for (name, path) in [
            ("ssl-ca", &ca),
            ("ssl-cert", &certificate),
            ("ssl-key", &key),
        ] {
            writeln!(out, "  {name}: {}", yaml(path))?;
        }
        if !self.clients.is_empty() {
            writeln!(out, "accounts:")?;
        }
        for client in &self.clients {
            writeln!(out, "  - user: {}", yaml(&client.account()))?;
            writeln!(out, "    require: {}", yaml(&client.requirement()))?;
        }
        writeln!(
            out,
            "\nOr in a MySQL or MariaDB server's my.cnf, below [mysqld]:\n"
        )?;
        for (name, path) in [
            ("ssl_ca", &ca),
            ("ssl_cert", &certificate),
            ("ssl_key", &key),
        ] {
            writeln!(out, "{name} = {path}")?;
        }
        if !self.clients.is_empty() {
            writeln!(out, "\nand in SQL:\n")?;
        }
        for client in &self.clients {
            let (account, requirement) = (client.account(), client.requirement());
            writeln!(out, "ALTER USER {account} REQUIRE {requirement};")?;
        }
        for client in &self.clients {
            self.print_shells(out, client)?;
        }
        writeln!(
            out,
            "\nKeep ca-key.pem for yourself: whoever has it can be any client. Give clients ca.pem and their own two files."
        )
    }

    fn print_shells(&self, out: &mut impl Write, client: &Client<'_>) -> io::Result<()> {
        let path = |name: &str| pasted(&self.folder.join(name));
        let files = format!(
            "--ssl-ca={} --ssl-cert={} --ssl-key={}",
            path(self.ca),
            path(client.certificate),
            path(client.key)
        );
        let to = format!(
            "--host=127.0.0.1 --port=3307 --user={}",
            quoted(client.user())
        );
        writeln!(
            out,
            "\nClient {}, with MySQL's shell or MariaDB's:\n",
            quoted(client.name)
        )?;
        writeln!(out, "mysql {to} -p --ssl-mode=VERIFY_IDENTITY {files}")?;
        writeln!(out, "mariadb {to} -p --ssl-verify-server-cert {files}")
    }

    fn absolute(&self, name: &str) -> String {
        let path = self.folder.join(name);
        std::path::absolute(&path)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

impl Client<'_> {
    /// An account may have any name; that of the certificate is a good one, if it can be one.
    fn user(&self) -> &str {
        let is_plain = |each: char| each.is_ascii_alphanumeric() || "._-@".contains(each);
        if self.name.len() <= 32 && self.name.chars().all(is_plain) {
            self.name
        } else {
            "USER"
        }
    }

    fn account(&self) -> String {
        format!("'{}'@'%'", self.user())
    }

    fn requirement(&self) -> String {
        Description::of(self.der)
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
