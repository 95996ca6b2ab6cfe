//! What mytls takes from its process environment; handed in, so that a configuration depends on its arguments alone.

use std::env;
use std::path::PathBuf;

/// The environment variables that a configuration looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$STATE_DIRECTORY`, set by systemd; a list separated by colons, of which the first counts.
    pub state_directory: Option<String>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<String>,
    /// `$HOME`, below which `.local/state` stands in for an unset `$XDG_STATE_HOME`, as the XDG specification says.
    pub home: Option<String>,
}

impl Environment {
    /// This process' own.
    pub fn of_process() -> Self {
        Self {
            state_directory: env::var("STATE_DIRECTORY").ok(),
            xdg_state_home: env::var("XDG_STATE_HOME").ok(),
            home: env::var("HOME").ok(),
        }
    }

    /// The folder for files that mytls makes itself. A relative path does not count, as the XDG specification says.
    pub fn state_dir(&self) -> Option<PathBuf> {
        let systemd = self
            .state_directory
            .as_deref()
            .and_then(|list| list.split(':').next())
            .map(PathBuf::from);
        let xdg = self.xdg_state_home.as_deref().map(PathBuf::from);
        let home = self
            .home
            .as_deref()
            .map(|home| PathBuf::from(home).join(".local/state"));
        systemd.filter(|path| path.is_absolute()).or_else(|| {
            xdg.filter(|path| path.is_absolute())
                .or_else(|| home.filter(|path| path.is_absolute()))
                .map(|path| path.join("mytls"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_dir(
        state_directory: Option<&str>,
        xdg_state_home: Option<&str>,
        home: Option<&str>,
    ) -> Option<PathBuf> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Environment {
            state_directory: owned(state_directory),
            xdg_state_home: owned(xdg_state_home),
            home: owned(home),
        }
        .state_dir()
    }

    #[test]
    fn systemd_goes_before_xdg_and_relative_paths_do_not_count() {
        assert_eq!(state_dir(None, None, None), None);
        assert_eq!(state_dir(Some(""), Some(""), Some("")), None);
        assert_eq!(state_dir(Some("state"), Some("state"), Some("a")), None);
        assert_eq!(
            state_dir(None, Some("/var/state"), Some("/home/a")),
            Some("/var/state/mytls".into())
        );
        assert_eq!(
            state_dir(Some("/var/lib/mytls:/var/lib/b"), Some("/x"), None),
            Some("/var/lib/mytls".into())
        );
        assert_eq!(
            state_dir(None, None, Some("/home/a")),
            Some("/home/a/.local/state/mytls".into())
        );
    }
}
