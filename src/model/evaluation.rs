//! How a trained model does over a history: what it raises, whether its p-values are what they say, how far features have
//! moved, and, where cases are known, how well it finds them.

use super::budget::Decision;
use super::measure::{self, Estimate};
use super::observer::FeatureRow;
use super::trained::{Judgement, Trained, TrainedError};
use crate::record::Day;
use serde::Serialize;
use std::collections::BTreeMap;

/// p-values up to which rows are counted.
const LEVELS: [f64; 7] = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75];

/// Known cases, by entity and first day of the window: whether it was confirmed.
pub type Cases = BTreeMap<(String, Day), bool>;

/// All measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The model's id.
    pub model: String,
    /// The version of the trained model.
    pub version: String,
    /// Rows: entities in windows.
    pub rows: usize,
    /// How well it finds the cases; `None` without confirmed ones and others.
    pub quality: Option<Quality>,
    /// Whether p-values are as frequent as they say.
    pub calibration: Vec<Level>,
    /// Window by window.
    pub windows: Vec<Window>,
    /// How far each feature has moved since training.
    pub drift: Vec<Drift>,
    /// All scores with what is known of the row.
    #[serde(skip)]
    pub scores: Vec<(f64, bool)>,
}

/// How well confirmed cases are found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Rows that are confirmed.
    pub confirmed: usize,
    /// Confirmed cases that no row stands for: their entity was not seen in such a window.
    pub unseen: usize,
    /// The area under the receiver operating characteristic; `None` with a single row of a kind.
    pub roc_auc: Option<Estimate>,
    /// The average precision.
    pub average_precision: Estimate,
    /// The share of the raised that is confirmed; `None` where nothing is raised.
    pub precision_at_budget: Option<Estimate>,
    /// The share of the confirmed that is raised.
    pub recall_at_budget: Estimate,
}

/// How many rows have a p-value of at most so much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Level {
    /// The p-value, which is the share that is expected where nothing is wrong.
    pub p: f64,
    /// The share of the rows that are not confirmed cases.
    pub share: Estimate,
}

/// A window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// Its first day.
    pub start: Day,
    /// Entities.
    pub entities: usize,
    /// Entities that are raised.
    pub raised: usize,
    /// Entities as strange, that the budget has cut.
    pub cut: usize,
    /// The median score.
    pub median_score: f64,
    /// The area under the receiver operating characteristic in it, where there are rows of both kinds.
    pub roc_auc: Option<f64>,
    /// The greatest drift of a feature.
    pub most_drift: f64,
}

/// How far a feature has moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// Its name.
    pub feature: String,
    /// The population stability index over the whole history.
    pub index: f64,
    /// The greatest one of a window.
    pub most: f64,
}

/// Judges rows, which are in order of windows, and measures what comes of it.
///
/// # Errors
/// Features of another model.
pub fn evaluate(trained: &Trained, rows: &[FeatureRow], cases: &Cases, seed: u64) -> Result<Evaluation, TrainedError> {
    let mut judged: Vec<(&FeatureRow, Judgement, bool)> = Vec::new();
    let mut windows = Vec::new();
    let mut drift: Vec<Drift> =
        trained.drift(rows).into_iter().map(|(feature, index)| Drift { feature, index, most: 0.0 }).collect();
    for window in rows.chunk_by(|one, other| one.start == other.start) {
        let begin = judged.len();
        let confirmed = |row: &FeatureRow| cases.get(&(row.entity.clone(), row.start)).copied().unwrap_or(false);
        let judgements = trained.judge(window)?;
        judged.extend(window.iter().zip(judgements).map(|(row, judgement)| (row, judgement, confirmed(row))));
        let moved = trained.drift(window);
        for (drift, (_, index)) in drift.iter_mut().zip(&moved) {
            drift.most = drift.most.max(*index);
        }
        let most_drift = moved.iter().map(|(_, index)| *index).fold(0.0, f64::max);
        windows.push(self::window(&judged[begin..], most_drift));
    }
    let labels: Vec<bool> = judged.iter().map(|(_, _, confirmed)| *confirmed).collect();
    let scores: Vec<f64> = judged.iter().map(|(_, judgement, _)| judgement.score).collect();
    let usual: Vec<f64> =
        judged.iter().filter(|(_, _, confirmed)| !confirmed).map(|(_, judgement, _)| judgement.p).collect();
    let level = |p: f64| {
        let share = measure::share(usual.iter().filter(|value| **value <= p).count(), usual.len())?;
        Some(Level { p, share })
    };
    Ok(Evaluation {
        model: trained.model().id.clone(),
        version: trained.version(),
        rows: rows.len(),
        quality: quality(&judged, &labels, &scores, cases, seed),
        calibration: LEVELS.into_iter().filter_map(level).collect(),
        windows,
        drift,
        scores: scores.into_iter().zip(labels).collect(),
    })
}

fn raised(judgement: &Judgement) -> bool {
    judgement.verdict.decision == Decision::Raised
}

fn quality(
    judged: &[(&FeatureRow, Judgement, bool)],
    labels: &[bool],
    scores: &[f64],
    cases: &Cases,
    seed: u64,
) -> Option<Quality> {
    let confirmed = labels.iter().filter(|label| **label).count();
    if confirmed == 0 || confirmed == labels.len() {
        return None;
    }
    let all = judged.iter().filter(|(_, judgement, _)| raised(judgement)).count();
    let found = judged.iter().filter(|(_, judgement, confirmed)| raised(judgement) && *confirmed).count();
    Some(Quality {
        confirmed,
        unseen: cases.values().filter(|confirmed| **confirmed).count() - confirmed,
        roc_auc: measure::roc_auc_interval(labels, scores),
        average_precision: measure::average_precision_interval(labels, scores, seed)?,
        precision_at_budget: measure::share(found, all),
        recall_at_budget: measure::share(found, confirmed)?,
    })
}

fn window(judged: &[(&FeatureRow, Judgement, bool)], most_drift: f64) -> Window {
    let count = |decision| judged.iter().filter(|(_, judgement, _)| judgement.verdict.decision == decision).count();
    let scores: Vec<f64> = judged.iter().map(|(_, judgement, _)| judgement.score).collect();
    let labels: Vec<bool> = judged.iter().map(|(_, _, confirmed)| *confirmed).collect();
    Window {
        start: judged[0].0.start,
        entities: judged.len(),
        raised: count(Decision::Raised),
        cut: count(Decision::Cut),
        median_score: super::drift::known_median(scores.iter().copied()).unwrap_or(0.0),
        roc_auc: measure::roc_auc(&labels, &scores),
        most_drift,
    }
}
