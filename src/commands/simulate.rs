//! `fundwatch simulate`: a city's records in a folder.

use super::Outcome;
use crate::cli::SimulateArgs;
use crate::simulate::{Options, Summary, write};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use std::time::{Duration, Instant};

/// Carries the command out.
///
/// # Errors
/// The folder cannot be written.
pub fn run(args: &SimulateArgs) -> Result<Outcome> {
    let SimulateArgs { persons, days, seed, schemes, .. } = *args;
    let options = Options { persons, days: Some(days), seed, schemes, ..Options::default() };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    let started = Instant::now();
    let progress = |summary: &Summary| bar.set_message(format!("{} records", summary.lines));
    let summary = write(options, &args.out, progress)
        .with_context(|| format!("failed to write the city to {}", args.out.display()))?;
    bar.finish_and_clear();
    eprintln!(
        "{}: {} records ({} MiB), {} frauds and {} near misses planted, in {:.1} s",
        args.out.display(),
        summary.lines,
        summary.bytes >> 20,
        summary.frauds,
        summary.near_misses,
        started.elapsed().as_secs_f64()
    );
    Ok(Outcome::Done)
}
