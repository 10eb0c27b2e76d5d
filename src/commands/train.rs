//! `fundwatch train`: learns from a history what is usual, and from verdicts what is confirmed.

use super::features::{Featured, featured};
use super::{Outcome, labels, say};
use crate::cli::{AsOf, TrainArgs};
use crate::model::budget::Decision;
use crate::model::trained::{Trained, TrainedError};
use crate::model::window_labels::WindowLabels;
use anyhow::Result;
use comfy_table::{Table, presets};
use std::io::Write;
use std::path::Path;

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written, or there is too little to learn from. A wrong model file, wrong rules, wrong labels or too few
/// of them are no error but [`Outcome::Wrong`].
pub fn run(args: TrainArgs) -> Result<Outcome> {
    let Some(labels) = labels(args.labels.as_deref().map(WindowLabels::read).transpose())? else {
        return Ok(Outcome::Wrong);
    };
    let Some(Featured { model, rows, reached, .. }) = featured(&args.model, args.input, args.rules, AsOf::Close)?
    else {
        return Ok(Outcome::Wrong);
    };
    let mut trained = Trained::learn(&model, args.model.parent().unwrap_or(Path::new("")), &rows, args.seed)?;
    // Nobody who stands at the end of the history knows a later verdict.
    if let Some((labels, reached)) = labels.zip(reached) {
        trained = match trained.learn_verdicts(&rows, &labels, reached) {
            Ok(trained) => trained,
            Err(TrainedError::Confirmation(wrong)) => return Ok(say(&wrong.to_string())),
            Err(error) => return Err(error.into()),
        };
    }
    let path = trained.write(&args.out)?;
    let history = &trained.history;
    eprintln!(
        "{}: {} entities in {} windows from {} to {}, {} features",
        path.display(),
        history.entities,
        history.windows,
        history.from,
        history.to,
        model.features.names().len()
    );
    if let Some(confirmation) = trained.confirmation() {
        eprintln!(
            "{} verdicts known before {}: {} confirmed and {} dismissed entities in these windows",
            confirmation.verdicts(),
            confirmation.known_before,
            confirmation.confirmed,
            confirmation.dismissed
        );
    }
    // What it says of what it has learned from: a first look at whether it is of use.
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["window", "entities", "raised", "cut by the budget", "smallest p"]);
    for window in rows.chunk_by(|one, other| one.start == other.start) {
        let judged = trained.judge(window)?;
        let count = |decision| judged.iter().filter(|judgement| judgement.verdict.decision == decision).count();
        let least = judged.iter().map(|judgement| judgement.p).fold(1.0, f64::min);
        table.add_row([
            window[0].start.to_string(),
            window.len().to_string(),
            count(Decision::Raised).to_string(),
            count(Decision::Cut).to_string(),
            format!("{least:.2e}"),
        ]);
    }
    writeln!(std::io::stdout().lock(), "{table}")?;
    Ok(Outcome::Done)
}
