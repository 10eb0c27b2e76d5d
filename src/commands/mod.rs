//! What the commands do, one file each.

use crate::cli::Command;
use crate::config::Config;
use crate::model::label_file::LabelsError;
use anyhow::{Result, anyhow};
use std::path::Path;

pub mod backtest;
pub mod cases;
pub mod config;
pub mod evaluate;
pub mod features;
mod history;
pub mod rules;
pub mod run;
pub mod simulate;
pub mod state;
pub mod train;

/// How a command ended that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0.
    Done,
    /// Exit status 1: what was asked about is wrong. It has been said what.
    Wrong,
    /// Exit status 2: it has failed. It has been said why.
    Failed,
}

/// The configuration of a file, or the defaults.
///
/// # Errors
/// Its mistakes.
fn configuration(path: Option<&Path>) -> Result<Config> {
    crate::config::load::load(path).map_err(|mistakes| anyhow!("the configuration cannot be used:\n{mistakes}"))
}

/// Says what is wrong with what was asked about.
fn say(wrong: &str) -> Outcome {
    eprintln!("fundwatch: {wrong}");
    Outcome::Wrong
}

/// What a file of labels says; `None` where something in it is wrong, which has been said.
///
/// # Errors
/// It cannot be read.
fn labels<T>(read: Result<T, LabelsError>) -> Result<Option<T>> {
    match read {
        Ok(labels) => Ok(Some(labels)),
        Err(error @ LabelsError::Read { .. }) => Err(error.into()),
        Err(wrong) => {
            say(&wrong.to_string());
            Ok(None)
        }
    }
}

/// Says why a command has failed.
pub fn tell(error: &anyhow::Error) {
    eprintln!("fundwatch: {}", words(error));
}

/// The chain of causes, without those that the one before already tells.
fn words(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |words, cause| {
        let cause = cause.to_string();
        if words.ends_with(&cause) { words } else { format!("{words}: {cause}") }
    })
}

/// Carries out a command.
///
/// # Errors
/// Usage or environment: exit status 2.
pub fn execute(command: Command) -> Result<Outcome> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Backtest(args) => backtest::run(args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Config(args) => config::run(&args),
        Command::Rules(args) => rules::run(args),
        Command::State(args) => state::run(&args),
        Command::Features(args) => features::run(args),
        Command::Train(args) => train::run(args),
        Command::Cases(args) => cases::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let error = std::io::Error::other("disk on fire");
        let told = Err::<(), _>(error).context("failed to write a: disk on fire").context("cannot go on").unwrap_err();
        assert_eq!(words(&told), "cannot go on: failed to write a: disk on fire");
    }
}
