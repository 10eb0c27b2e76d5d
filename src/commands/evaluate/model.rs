//! `fundwatch evaluate --model`: how a trained model does over a history.

use super::{Outcome, brackets, report, say};
use crate::cli::{AsOf, EvaluateArgs};
use crate::commands::features::features_of;
use crate::commands::labels;
use crate::model::evaluation::{Evaluation, evaluate};
use crate::model::file::Model;
use crate::model::measure::Estimate;
use crate::model::observer::FeatureRow;
use crate::model::trained::{Judgement, Trained};
use crate::model::window_labels;
use crate::record::Day;
use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

pub(super) fn run(args: EvaluateArgs) -> Result<Outcome> {
    let folder = args.model.expect("it is asked for");
    let trained = Trained::read(&folder)?;
    let Some(cases) = labels(args.labels.as_deref().map(window_labels::outcomes).transpose())? else {
        return Ok(Outcome::Wrong);
    };
    let cases = cases.unwrap_or_default();
    let model = Model::new(trained.model().clone(), &Trained::file_in(&folder))?;
    let Some(featured) = features_of(model, args.input, args.rules, AsOf::Close)? else {
        return Ok(Outcome::Wrong);
    };
    if featured.rows.is_empty() {
        return Ok(say("no window of the history is over: there is nothing to judge"));
    }
    let evaluation = evaluate(&trained, &featured.rows, &cases, args.seed)?;
    if let Some(path) = &args.judgements {
        write_judgements(path, &trained, &featured.rows)?;
    }
    if let Some(path) = &args.html {
        let page = report::page(&evaluation, &trained.model().name);
        std::fs::write(path, page).with_context(|| format!("failed to write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &evaluation).context("failed to write the measures")?;
        writeln!(out)?;
        return Ok(Outcome::Done);
    }
    for table in tables(&evaluation) {
        writeln!(out, "{table}")?;
    }
    eprintln!(
        "{} {}: {} rows in {} windows; in brackets: 95 % confidence",
        evaluation.model,
        evaluation.version,
        evaluation.rows,
        evaluation.windows.len()
    );
    Ok(Outcome::Done)
}

/// Writes what the model says of each row.
fn write_judgements(path: &Path, trained: &Trained, rows: &[FeatureRow]) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        entity: &'a str,
        window_start: Day,
        score: f64,
        p_value: f64,
        q_value: f64,
        decision: &'static str,
        confirmation_probability: Option<f64>,
    }
    let failed = || format!("failed to write {}", path.display());
    let mut file = csv::Writer::from_path(path).with_context(failed)?;
    for window in rows.chunk_by(|one, other| one.start == other.start) {
        for (row, judgement) in window.iter().zip(trained.judge(window)?) {
            let Judgement { score, p, confirmation, verdict, .. } = judgement;
            let row = Row {
                entity: &row.entity,
                window_start: row.start,
                score,
                p_value: p,
                q_value: verdict.q,
                decision: verdict.decision.word(),
                confirmation_probability: confirmation,
            };
            file.serialize(row).with_context(failed)?;
        }
    }
    file.flush().with_context(failed)
}

fn estimate(estimate: Estimate) -> [String; 2] {
    [format!("{:.3}", estimate.value), brackets([estimate.low, estimate.high])]
}

fn tables(evaluation: &Evaluation) -> Vec<Table> {
    let table = |header: &[&str]| {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header(header);
        table
    };
    let mut tables = Vec::new();
    if let Some(quality) = &evaluation.quality {
        let mut measures = table(&["measure", "", ""]);
        let mut add = |name: String, value: Option<Estimate>| {
            let [value, interval] = value.map_or(["–".to_owned(), String::new()], estimate);
            measures.add_row([name, value, interval]);
        };
        add("ROC-AUC".to_owned(), quality.roc_auc);
        add("average precision".to_owned(), Some(quality.average_precision));
        add("precision at the budget".to_owned(), quality.precision_at_budget);
        add(format!("recall at the budget, of {}", quality.confirmed), Some(quality.recall_at_budget));
        tables.push(measures);
    }
    let mut calibration = table(&["p-value up to", "share of rows", ""]);
    for level in &evaluation.calibration {
        let [share, interval] = estimate(level.share);
        calibration.add_row([level.p.to_string(), share, interval]);
    }
    tables.push(calibration);
    let mut windows = table(&["window", "entities", "raised", "cut", "median score", "ROC-AUC", "most drift"]);
    for window in &evaluation.windows {
        windows.add_row([
            window.start.to_string(),
            window.entities.to_string(),
            window.raised.to_string(),
            window.cut.to_string(),
            format!("{:.3}", window.median_score),
            window.roc_auc.map_or(String::new(), |area| format!("{area:.3}")),
            format!("{:.3}", window.most_drift),
        ]);
    }
    tables.push(windows);
    let mut drift = table(&["feature", "drift", "most in a window"]);
    for feature in &evaluation.drift {
        drift.add_row([feature.feature.clone(), format!("{:.3}", feature.index), format!("{:.3}", feature.most)]);
    }
    tables.push(drift);
    tables
}
