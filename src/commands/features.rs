//! `fundwatch features`: the features of a model over files, as a matrix.

use super::{Outcome, history};
use crate::cli::{AsOf, FeaturesArgs};
use crate::engine::Engine;
use crate::model::file::Model;
use crate::model::matrix;
use crate::model::observer::FeatureRow;
use crate::model::replay::Replay;
use crate::record::Time;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written. A wrong model file or wrong rules are no error but [`Outcome::Wrong`].
pub fn run(args: FeaturesArgs) -> Result<Outcome> {
    let started = Instant::now();
    let format = matrix::Format::of(&args.out)?;
    let Some(Featured { model, rows, records, .. }) = featured(&args.model, args.input, args.rules, args.as_of)? else {
        return Ok(Outcome::Wrong);
    };
    matrix::write(&args.out, format, model.features.names(), &rows)?;
    let windows = rows.chunk_by(|one, other| one.start == other.start).count();
    eprintln!(
        "{} rows, {windows} windows, {} features from {records} records in {:.1} s",
        rows.len(),
        model.features.names().len(),
        started.elapsed().as_secs_f64()
    );
    Ok(Outcome::Done)
}

/// A model with its features over a history.
pub(super) struct Featured {
    pub model: Model,
    /// By window and entity.
    pub rows: Vec<FeatureRow>,
    /// Records that were read.
    pub records: u64,
    /// The last time that they have reached; `None` without any.
    pub reached: Option<Time>,
}

/// Computes the features of a model file over files; `None` where the model file or the rules are wrong, which has been
/// said.
pub(super) fn featured(
    model: &Path,
    input: Vec<PathBuf>,
    rules: Option<PathBuf>,
    as_of: AsOf,
) -> Result<Option<Featured>> {
    let model = match Model::read(model) {
        Ok(model) => model,
        Err(mistake) => {
            eprintln!("{mistake}");
            return Ok(None);
        }
    };
    features_of(model, input, rules, as_of)
}

/// Computes the features of a model over files; `None` where the rules are wrong, which has been said.
pub(super) fn features_of(
    model: Model,
    input: Vec<PathBuf>,
    rules: Option<PathBuf>,
    as_of: AsOf,
) -> Result<Option<Featured>> {
    let Some(mut engine) = history::engine(rules) else {
        return Ok(None);
    };
    let mut replay = Replay::new(model, &mut engine, as_of == AsOf::Close);
    history::read(input, &mut engine, |engine: &mut Engine, batch| {
        replay.process(engine, batch);
        Ok(())
    })?;
    let (model, rows) = replay.finish(&mut engine);
    Ok(Some(Featured { model, rows, records: engine.totals().records_in, reached: engine.event_time() }))
}
