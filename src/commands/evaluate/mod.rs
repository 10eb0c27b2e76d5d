//! `fundwatch evaluate`: how well detectors find the labelled rows of a table, or a trained model those of a history.

use super::{Outcome, say};
use crate::cli::EvaluateArgs;
use anyhow::Result;

mod model;
mod report;
mod table;

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written. Wrong content is no error but [`Outcome::Wrong`].
pub fn run(args: EvaluateArgs) -> Result<Outcome> {
    match (&args.table, &args.label, &args.model) {
        (Some(path), Some(label), _) => table::run(path, label, &args),
        (_, _, Some(_)) => model::run(args),
        _ => unreachable!("clap asks for a table with a label or for a model"),
    }
}

/// An interval as tables show it.
fn brackets([low, high]: [f64; 2]) -> String {
    format!("[{low:.3}, {high:.3}]")
}
