//! `fundwatch evaluate --model`: how a trained model does over a history.

use super::{Outcome, brackets, report, say};
use crate::cli::{AsOf, EvaluateArgs};
use crate::commands::features::features_of;
use crate::model::evaluation::{Cases, Evaluation, evaluate};
use crate::model::file::Model;
use crate::model::measure::Estimate;
use crate::model::observer::FeatureRow;
use crate::model::trained::{Judgement, Trained};
use crate::record::Day;
use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

pub(super) fn run(args: EvaluateArgs) -> Result<Outcome> {
    let folder = args.model.expect("it is asked for");
    let trained = Trained::read(&folder)?;
    let cases = match args.labels.as_deref().map(read_cases).transpose()? {
        Some(Err(wrong)) => return Ok(say(&wrong)),
        Some(Ok(cases)) => cases,
        None => Cases::new(),
    };
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
    }
    let failed = || format!("failed to write {}", path.display());
    let mut file = csv::Writer::from_path(path).with_context(failed)?;
    for window in rows.chunk_by(|one, other| one.start == other.start) {
        for (row, judgement) in window.iter().zip(trained.judge(window)?) {
            let Judgement { score, p, verdict, .. } = judgement;
            let (entity, window_start, decision) = (&*row.entity, row.start, verdict.decision.word());
            let row = Row { entity, window_start, score, p_value: p, q_value: verdict.q, decision };
            file.serialize(row).with_context(failed)?;
        }
    }
    file.flush().with_context(failed)
}

/// Reads the cases of a file; what is wrong with its content is said in words.
fn read_cases(path: &Path) -> Result<Result<Cases, String>> {
    #[derive(Deserialize)]
    struct Row {
        entity: String,
        window_start: String,
        outcome: String,
    }
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("failed to read {}", path.display()))?;
    let mut cases = Cases::new();
    for (line, row) in (2..).zip(reader.deserialize()) {
        let wrong = |what: String| Ok(Err(format!("{}, line {line}: {what}", path.display())));
        let Row { entity, window_start, outcome } = match row {
            Ok(row) => row,
            Err(error) => return wrong(error.to_string()),
        };
        let Some(start) = Day::parse(window_start.as_bytes()) else {
            return wrong(format!("window_start `{window_start}` is no day as in 2026-03-02"));
        };
        let confirmed = match outcome.as_str() {
            "confirmed" => true,
            "dismissed" => false,
            _ => return wrong(format!("outcome `{outcome}` is neither confirmed nor dismissed")),
        };
        cases.insert((entity, start), confirmed);
    }
    Ok(Ok(cases))
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
