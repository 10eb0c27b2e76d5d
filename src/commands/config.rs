//! `fundwatch config`: shows and checks the configuration.

use super::Outcome;
use crate::cli::{ConfigArgs, ConfigCommand};
use crate::config::{Config, DEFAULT, load};
use anyhow::{Context as _, Result};
use std::io::Write;
use std::path::Path;

/// Carries the command out.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &ConfigArgs) -> Result<Outcome> {
    let mut out = std::io::stdout();
    match &args.command {
        ConfigCommand::Default => out.write_all(DEFAULT.as_bytes())?,
        ConfigCommand::Check(args) => {
            if loaded(args.config.as_deref()).is_none() {
                return Ok(Outcome::Wrong);
            }
            let name = args.config.as_ref().map_or("the defaults".to_owned(), |path| path.display().to_string());
            writeln!(out, "{name}: good")?;
        }
        ConfigCommand::Show(args) => {
            let Some(config) = loaded(args.config.as_deref()) else {
                return Ok(Outcome::Wrong);
            };
            let text = toml::to_string(&config).context("failed to write the configuration as TOML")?;
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(Outcome::Done)
}

/// The configuration, or its mistakes on standard error.
fn loaded(path: Option<&Path>) -> Option<Config> {
    match load::load(path) {
        Ok(config) => Some(config),
        Err(mistakes) => {
            eprintln!("{mistakes}");
            None
        }
    }
}
