//! `mytls ctl` as it is written.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use nix::unistd::{User, geteuid};
use zeroize::Zeroizing;

use crate::backend::Endpoint;
use crate::backend::own_account::PasswordSource;
use crate::config::{self, Environment};
use crate::ctl::{
    Form, Mode, Order, PasswordFrom, SecurityError, TlsOptions, WORDS, WordError, sql_of,
};
use crate::protocol::user_name::UserName;

/// Where a password may be that is in no file.
const PASSWORD_VARIABLE: &str = "MYTLS_CTL_PASSWORD";

/// The prompt's history, in the state directory.
const HISTORY: &str = "ctl_history";

/// `mytls ctl`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line, by its name"
)]
#[derive(Debug, Args)]
#[command(override_usage = "\
mytls ctl [OPTIONS]                 a prompt; or statements from standard input
       mytls ctl [OPTIONS] -e SQL
       mytls ctl [OPTIONS] WORD...")]
#[command(after_help = words())]
pub struct Ctl {
    /// The admin port of a mytls: HOST, HOST:PORT or unix:PATH. May be repeated, or a list with commas.
    ///
    /// All are asked, also all addresses that a name has. The port is 3308 if none is written.
    #[arg(
        long,
        visible_alias = "master-addr",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:3308",
        value_parser = config::parse_admin_address
    )]
    pub admin_addr: Vec<Endpoint>,

    /// Whom to log in as: one of `admin.users`. [default: the name of the OS user]
    #[arg(long, short, value_name = "NAME", value_parser = |text: &str| UserName::new(text))]
    pub user: Option<UserName>,

    /// A file with the password. Without it the variable `MYTLS_CTL_PASSWORD` is looked at.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Ask for the password at the terminal.
    #[arg(long, short, conflicts_with = "password_file")]
    pub password: bool,

    /// The CA (PEM) that has signed the port's certificate.
    #[arg(long, value_name = "FILE")]
    pub ssl_ca: Option<PathBuf>,

    /// Our certificate (PEM), intermediates behind it.
    #[arg(long, value_name = "FILE", requires = "ssl_key")]
    pub ssl_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "ssl_cert")]
    pub ssl_key: Option<PathBuf>,

    /// Revocation lists (PEM) of CAs in --ssl-ca.
    #[arg(long, value_name = "FILE")]
    pub ssl_crl: Option<PathBuf>,

    /// How far the port's certificate is checked. [default: `VERIFY_CA` with --ssl-ca]
    #[arg(long, value_name = "MODE", ignore_case = true)]
    pub ssl_mode: Option<Mode>,

    /// SQL to ask; several statements with `;` between them.
    #[arg(long, short, value_name = "SQL", conflicts_with = "words")]
    pub execute: Option<String>,

    /// Print a line of JSON for each server and statement.
    #[arg(long, conflicts_with_all = ["table", "batch"])]
    pub json: bool,

    /// Print tables, as at a terminal.
    #[arg(long, short, conflicts_with = "batch")]
    pub table: bool,

    /// Print values with tabs between them, as where standard output is no terminal.
    #[arg(long, short = 'B')]
    pub batch: bool,

    /// What to ask, in a word (below).
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,
}

/// Wrong usage that only shows when everything is put together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CtlUsage {
    /// TLS.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Words.
    #[error(transparent)]
    Word(#[from] WordError),
    /// The OS user has no name, or none that a database user can have.
    #[error("this OS user has no name to log in with: write --user")]
    NoUser,
}

impl Ctl {
    /// What is to be done.
    pub fn order(self, environment: &Environment) -> Result<Order, CtlUsage> {
        let form = self.form();
        let password = self.password_from();
        let sql = match self.execute {
            None if self.words.is_empty() => None,
            None => {
                let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
                Some(sql_of(&words)?)
            }
            execute => execute,
        };
        let tls = TlsOptions {
            ca: self.ssl_ca,
            cert: self.ssl_cert,
            key: self.ssl_key,
            crl: self.ssl_crl,
            mode: self.ssl_mode,
        };
        let servers = self.admin_addr.into_iter().map(|endpoint| {
            let security = tls.security_of(&endpoint)?;
            Ok((endpoint, security))
        });
        Ok(Order {
            servers: servers.collect::<Result<_, SecurityError>>()?,
            user: self.user.or_else(os_user).ok_or(CtlUsage::NoUser)?,
            password,
            sql,
            form,
            history: environment.state_dir().map(|folder| folder.join(HISTORY)),
        })
    }

    fn form(&self) -> Option<Form> {
        match self {
            Self { json: true, .. } => Some(Form::Json),
            Self { table: true, .. } => Some(Form::Table),
            Self { batch: true, .. } => Some(Form::Batch),
            _ => None,
        }
    }

    fn password_from(&self) -> PasswordFrom {
        if self.password {
            return PasswordFrom::Terminal;
        }
        let source = match &self.password_file {
            Some(path) => PasswordSource::File(path.clone()),
            None => env::var(PASSWORD_VARIABLE).map_or(PasswordSource::None, |password| {
                PasswordSource::Inline(Zeroizing::new(password))
            }),
        };
        PasswordFrom::Source(source)
    }
}

fn os_user() -> Option<UserName> {
    let user = User::from_uid(geteuid()).ok().flatten()?;
    UserName::new(user.name.as_str()).ok()
}

fn words() -> String {
    let mut text = "Words:\n".to_owned();
    for (word, meaning) in WORDS {
        // a string takes all
        let _ = writeln!(text, "  {word:<40}{meaning}");
    }
    text.push_str(
        "\nExamples:
  mytls ctl --user ops -p
  mytls ctl --admin-addr a:3308,b:3308 --ssl-ca ca.pem --ssl-cert rotate.pem --ssl-key rotate.key --user rotate reload
  mytls ctl --user ops --password-file ops.secret --json -e 'SHOW CERTIFICATES'

Exits with 0; with 1 if any server did not do what it was asked for; with 64 if the command line is wrong.",
    );
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command, tests::parse};
    use super::*;

    fn order(line: &str) -> Result<Order, CtlUsage> {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        match cli.command {
            Command::Ctl(ctl) => ctl.order(&Environment::default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_usage_exits_with_64() {
        for line in [
            "mytls ctl --admin-addr a:b:c",
            "mytls ctl --user",
            "mytls ctl --password=secret",
            "mytls ctl -psecret",
            "mytls ctl -p --password-file f",
            "mytls ctl --ssl-cert c.pem",
            "mytls ctl --ssl-key k.pem",
            "mytls ctl --ssl-mode PREFERRED",
            "mytls ctl -e a status",
            "mytls ctl --json --table",
        ] {
            assert_eq!(parse(line).err(), Some(64), "{line}");
        }
        for line in [
            "mytls ctl relod",
            "mytls ctl route home",
            "mytls ctl --admin-addr mytls.internal status",
            "mytls ctl --ssl-mode VERIFY_CA status",
        ] {
            assert!(order(line).is_err(), "{line}");
        }
    }

    #[test]
    fn addresses_may_be_repeated_and_listed_by_either_name() {
        let line = "mytls ctl --user u --admin-addr a,b:1 --master-addr [::1] --ssl-ca c status";
        let servers = order(line).expect("an order").servers;
        let addresses: Vec<_> = servers
            .iter()
            .map(|(server, _)| server.to_string())
            .collect();
        assert_eq!(addresses, ["a:3308", "b:1", "[::1]:3308"]);
        let servers = order("mytls ctl --user u").expect("an order").servers;
        assert_eq!(servers[0].0.to_string(), "127.0.0.1:3308");
    }
}
