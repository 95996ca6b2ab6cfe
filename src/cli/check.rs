//! `mytls check` as it is written.

use std::path::PathBuf;

use clap::Args;

use crate::check::Network;
use crate::config::{Config, ConfigError, Environment, Files};

/// `mytls check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file (YAML).
    #[arg(value_name = "CONFIG", required_unless_present_any = ["source", "task"])]
    pub config: Option<PathBuf>,

    /// The source file of TiDB Data Migration, for its `from`.
    #[arg(long, value_name = "FILE")]
    pub source: Option<PathBuf>,

    /// The task file of TiDB Data Migration, for its `target-database`.
    #[arg(long, value_name = "FILE")]
    pub task: Option<PathBuf>,

    /// Connect to nobody: for where the servers cannot be reached.
    #[arg(long)]
    pub offline: bool,
}

impl Check {
    /// The configuration that the arguments name.
    pub fn configuration(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let files = Files {
            config: self.config.clone(),
            source: self.source.clone(),
            task: self.task.clone(),
        };
        Config::load_files(&files, environment)
    }

    /// Whether anybody is dialled.
    pub fn network(&self) -> Network {
        if self.offline {
            Network::Unused
        } else {
            Network::Used
        }
    }
}
