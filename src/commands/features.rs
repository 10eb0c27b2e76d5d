//! `fundwatch features`: the features of a model over files, as a matrix.

use super::{Outcome, history};
use crate::cli::{AsOf, FeaturesArgs};
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::model::file::Model;
use crate::model::matrix;
use crate::model::replay::Replay;
use crate::pipeline::setup::load_engine;
use anyhow::Result;
use std::io::IsTerminal;
use std::time::Instant;

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written. A wrong model file or wrong rules are no error but [`Outcome::Wrong`].
pub fn run(args: FeaturesArgs) -> Result<Outcome> {
    let started = Instant::now();
    let model = match Model::read(&args.model) {
        Ok(model) => model,
        Err(mistake) => {
            eprintln!("{mistake}");
            return Ok(Outcome::Wrong);
        }
    };
    let format = matrix::Format::of(&args.out)?;
    let settings = config::Engine { retention: config::value::Retention(None), ..Config::default().engine };
    let mut engine = match load_engine(args.rules, None, &settings, None) {
        Ok(loaded) => loaded.engine,
        Err(mistakes) => {
            eprintln!("{}", mistakes.render(std::io::stderr().is_terminal()));
            return Ok(Outcome::Wrong);
        }
    };
    let mut replay = Replay::new(model, &mut engine, args.as_of == AsOf::Close);
    history::read(args.input, &mut engine, |engine: &mut Engine, batch| {
        replay.process(engine, batch);
        Ok(())
    })?;
    let (model, rows) = replay.finish(&mut engine);
    matrix::write(&args.out, format, model.features.names(), &rows)?;
    let windows = rows.chunk_by(|one, other| one.start == other.start).count();
    eprintln!(
        "{} rows, {windows} windows, {} features from {} records in {:.1} s",
        rows.len(),
        model.features.names().len(),
        engine.totals().records_in,
        started.elapsed().as_secs_f64()
    );
    Ok(Outcome::Done)
}
