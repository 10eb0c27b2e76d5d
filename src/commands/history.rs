//! Reading files through an engine to their end, with a progress bar.

use crate::config::value::Retention;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::pipeline::setup::load_engine;
use crate::record::Batch;
use crate::source::file::{FileSource, Progress};
use crate::source::{self, Event, Limits, Received};
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Batches that reading may be ahead: enough that neither side waits for the other.
const AHEAD: usize = 3;

/// Reads files and folders as one stream and hands each batch over.
///
/// # Errors
/// A file cannot be read, or what `process` says.
pub fn read(
    paths: Vec<PathBuf>,
    engine: &mut Engine,
    mut process: impl FnMut(&mut Engine, &Batch) -> Result<()>,
) -> Result<()> {
    let files = FileSource::new(paths, Limits::bulk());
    let progress = files.progress();
    let running = source::start(Box::new(files), AHEAD)?;
    let bar = Bar::new(progress);
    loop {
        match running.inlet.receive(Duration::from_millis(200)) {
            Received::Event(Event::Batch(delivery)) => {
                process(engine, &delivery.batch)?;
                running.inlet.recycle(delivery.batch);
                bar.update(engine);
            }
            Received::Event(Event::WarmUpBegins | Event::WarmUpEnds) | Received::Nothing => {}
            Received::End => break,
        }
    }
    bar.clear();
    running.join().context("not all records could be read")
}

/// An engine that keeps everything, under the rules of a folder; `None` where these are wrong, which has been said.
pub fn engine(rules: Option<PathBuf>) -> Option<Engine> {
    let settings = config::Engine { retention: Retention(None), ..Config::default().engine };
    match load_engine(rules, None, &settings, None) {
        Ok(loaded) => Some(loaded.engine),
        Err(mistakes) => {
            eprintln!("{}", mistakes.render(std::io::stderr().is_terminal()));
            None
        }
    }
}

/// The progress bar; it hides where standard error is no terminal.
struct Bar {
    bar: ProgressBar,
    progress: Progress,
}

impl Bar {
    fn new(progress: Progress) -> Self {
        let bar = ProgressBar::new(0);
        let style = "{bar:30} {percent}% of {total_bytes}, {bytes_per_sec}, {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, progress }
    }

    fn update(&self, engine: &Engine) {
        if !self.bar.is_hidden() {
            self.bar.set_length(self.progress.total());
            self.bar.set_position(self.progress.passed());
            self.bar.set_message(format!("{} records", engine.totals().records_in));
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
