//! `mytls completions` and `mytls man`: the command line as shells and manual pages tell of it. Both are made from its own
//! definition, so they cannot fall behind it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// `mytls completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mytls completions bash > /etc/bash_completion.d/mytls
  mytls completions zsh > \"${fpath[1]}/_mytls\"
  mytls completions fish > ~/.config/fish/completions/mytls.fish")]
pub struct Completions {
    /// Which shell.
    pub shell: Shell,
}

impl Completions {
    /// Prints them.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        // clap would panic where the output is closed
        let mut text = Vec::new();
        let mut command = Cli::command();
        clap_complete::generate(self.shell, &mut command, "mytls", &mut text);
        out.write_all(&text)
    }
}

/// `mytls man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder, made if it is not there: mytls.1, and one page for each command.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// A folder or page that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("write {}: {error}", .path.display())]
pub struct ManError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

impl Man {
    /// Writes them.
    pub fn write(&self) -> Result<(), ManError> {
        write(&self.directory).map_err(|error| ManError {
            path: self.directory.clone(),
            error,
        })
    }
}

fn write(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command, and those below it, as `certs-new`.
    fn names(command: &clap::Command, prefix: &str, names: &mut Vec<String>) {
        for each in command.get_subcommands() {
            let name = format!("{prefix}{}", each.get_name());
            names.push(name.clone());
            self::names(each, &format!("{name}-"), names);
        }
    }

    fn all_names() -> Vec<String> {
        let mut all = Vec::new();
        names(&Cli::command(), "", &mut all);
        assert!(all.len() > 6, "{all:?}");
        all
    }

    #[test]
    fn every_command_has_a_manual_page_that_names_its_options() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("new");
        Man {
            directory: directory.clone(),
        }
        .write()
        .expect("written");
        let page = |name: &str| std::fs::read_to_string(directory.join(name)).expect(name);
        for name in all_names() {
            page(&format!("mytls-{name}.1"));
        }
        assert!(page("mytls-serve.1").contains(r"\-\-backend"));
        assert!(page("mytls.1").contains("serve"));
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            Completions { shell }.print(&mut text).expect("written");
            let text = String::from_utf8_lossy(&text);
            for name in all_names() {
                let last = name.rsplit('-').next().expect("a name");
                assert!(text.contains(last), "{shell} does not know {name}");
            }
            assert!(text.contains("backend"), "{shell}");
        }
    }
}
