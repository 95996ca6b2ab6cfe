//! Whole files in, whole errors out.

use super::place::key_paths;
use super::*;

const EXAMPLE: &str = include_str!("../../config/mytls.yaml");

/// The least that a file may say.
const LEAST: &str = "from: {host: 127.0.0.1}\n";

fn read(text: &str) -> Result<Config, ConfigError> {
    let environment = Environment {
        state_directory: Some("/state".to_owned()),
        xdg_state_home: None,
    };
    Config::parse(Path::new("/etc/mytls/mytls.yaml"), text, &environment)
}

fn right(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What is printed, without the file's name, which is the same everywhere.
fn error(text: &str) -> String {
    let error = read(text).expect_err(text).to_string();
    error
        .strip_prefix("/etc/mytls/mytls.yaml:")
        .expect("every error names the file")
        .to_owned()
}

fn warnings(text: &str) -> Vec<String> {
    let name = "/etc/mytls/mytls.yaml:";
    right(text)
        .warnings
        .iter()
        .map(|warning| warning.to_string().replacen(name, "", 1))
        .collect()
}
