//! `fundwatch evaluate --table`: how well the detectors find the labelled rows of a table, without seeing the labels.

use super::{Outcome, brackets, say};
use crate::cli::EvaluateArgs;
use crate::model::detector::Detector;
use crate::model::measure::{self, Estimate};
use crate::model::table::{Table, TableError};
use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Carries the command out.
///
/// # Errors
/// The file cannot be read, or has no such column. Wrong content is no error but [`Outcome::Wrong`].
pub(super) fn run(path: &Path, label: &str, args: &EvaluateArgs) -> Result<Outcome> {
    let (table, labels) = match Table::read_labelled(path, label) {
        Ok(read) => read,
        Err(error @ (TableError::Read { .. } | TableError::NoColumn { .. })) => return Err(error.into()),
        Err(wrong) => return Ok(say(&wrong.to_string())),
    };
    let labelled = labels.iter().filter(|label| **label).count();
    if labelled == 0 || labelled == labels.len() {
        let kind = if labelled == 0 { "no row" } else { "every row" };
        return Ok(say(&format!(
            "{kind} of {} is labelled 1 in \"{label}\"; both kinds are needed to tell them apart",
            path.display()
        )));
    }
    let chosen: Vec<_> = Detector::all()
        .into_iter()
        .filter(|(name, _)| args.detector.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    let bar = Bar::new(chosen.len());
    let mut detectors = Vec::new();
    for (name, detector) in chosen {
        bar.begin(name);
        let started = Instant::now();
        let scored = detector.fit(&table, args.seed).and_then(|fitted| fitted.score(&table));
        let scores = match scored {
            Ok(scores) => scores,
            Err(wrong) => {
                bar.0.finish_and_clear();
                return Ok(say(&format!("{name}: {wrong}")));
            }
        };
        detectors.push(Measured::of(name, &labels, &scores, args.seed, started));
        bar.0.inc(1);
    }
    bar.0.finish_and_clear();
    let report = Report { rows: table.rows(), features: table.names().len(), labelled, detectors };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report).context("failed to write the measures")?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", report.table())?;
        eprintln!(
            "{} rows with {} features, {labelled} of them labelled; in brackets: 95 % confidence",
            report.rows, report.features
        );
    }
    Ok(Outcome::Done)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    rows: usize,
    features: usize,
    labelled: usize,
    detectors: Vec<Measured>,
}

#[derive(Debug, Serialize)]
struct Measured {
    detector: &'static str,
    roc_auc: f64,
    /// `None` with a single row of a kind.
    roc_auc_interval: Option<[f64; 2]>,
    average_precision: f64,
    average_precision_interval: [f64; 2],
    /// Among as many rows of highest score as there are labelled ones; recall is the same there.
    precision_at_labelled: f64,
    seconds: f64,
}

impl Measured {
    fn of(detector: &'static str, labels: &[bool], scores: &[f64], seed: u64, started: Instant) -> Self {
        let seconds = started.elapsed().as_secs_f64();
        let labelled = labels.iter().filter(|label| **label).count();
        let ends = |estimate: Estimate| [estimate.low, estimate.high];
        let precision = measure::average_precision_interval(labels, scores, seed).expect("there are labelled rows");
        Self {
            detector,
            roc_auc: measure::roc_auc(labels, scores).expect("there are rows of both kinds"),
            roc_auc_interval: measure::roc_auc_interval(labels, scores).map(ends),
            average_precision: precision.value,
            average_precision_interval: ends(precision),
            precision_at_labelled: measure::found_among(labels, scores, labelled) / labelled as f64,
            seconds,
        }
    }
}

impl Report {
    fn table(&self) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        let precision = format!("precision at {}", self.labelled);
        table.set_header(["detector", "ROC-AUC", "", "average precision", "", &precision, "seconds"]);
        for row in &self.detectors {
            table.add_row([
                row.detector.to_owned(),
                format!("{:.3}", row.roc_auc),
                row.roc_auc_interval.map_or(String::new(), brackets),
                format!("{:.3}", row.average_precision),
                brackets(row.average_precision_interval),
                format!("{:.3}", row.precision_at_labelled),
                format!("{:.2}", row.seconds),
            ]);
        }
        for number in [1, 3, 5, 6] {
            if let Some(column) = table.column_mut(number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// The progress bar; it hides where standard error is no terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(detectors: usize) -> Self {
        let bar = ProgressBar::new(detectors as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} detectors, {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn begin(&self, name: &'static str) {
        self.0.set_message(name);
        self.0.tick();
    }
}
