//! What the commands do, one file each.

use crate::cli::Command;
use anyhow::Result;

pub mod backtest;
pub mod config;
pub mod rules;
pub mod run;
pub mod simulate;
pub mod state;

/// How a command ended that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0.
    Done,
    /// Exit status 1: what was asked about is wrong. It has been said what.
    Wrong,
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
        Command::Config(args) => config::run(&args),
        Command::Rules(args) => rules::run(args),
        Command::State(args) => state::run(&args),
    }
}
