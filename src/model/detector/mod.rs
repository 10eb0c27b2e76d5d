//! Detectors: fitted on a table without labels, they give each row a score, the higher the stranger.
//!
//! What holds for all of them:
//!
//! - The same table, settings and seed give the same fitted bytes and scores, whatever the number of threads.
//! - Rows need not have been fitted to be scored.
//! - A missing value counts as the median of the fitted column. An infinite one, or one over 1e100, counts as the greatest or
//!   least fitted value. A column without variation is left out: there is no scale to measure a departure on. Where no
//!   column varies every row has the same score.
//! - Scores are finite.

use super::calibrate::Calibration;
use super::table::Table;
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;
use reference::Reference;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

pub mod combined;
pub mod forest;
pub mod histogram;
pub mod least_p;
pub mod mixture;
pub mod neighbours;
pub mod one_class_svm;
pub mod onnx;
pub mod pca;
mod reference;
pub mod robust_z;
pub mod tails;

/// Values over this are taken as infinite: their squares would be.
const MOST: f64 = 1e100;
/// With one row nothing is usual.
const FEWEST_ROWS: usize = 2;
/// Parts of the rows, each of which is scored by a detector fitted on the others ...
const PARTS: usize = 5;
/// ... where there are so many groups.
const FEWEST_GROUPS: usize = 20;

/// A detector with its settings, not fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Detector {
    /// [`robust_z`]
    RobustZ(robust_z::Settings),
    /// [`tails`] by the longer tail
    Ecod(tails::Settings),
    /// [`tails`] by the mean of both
    Copod(tails::Settings),
    /// [`least_p`]
    LeastP(least_p::Settings),
    /// [`histogram`]
    Histogram(histogram::Settings),
    /// [`forest`]
    Forest(forest::Settings),
    /// [`pca`]
    Pca,
    /// [`mixture`]
    Mixture(mixture::Settings),
    /// [`neighbours`]
    Neighbours(neighbours::Settings),
    /// [`one_class_svm`]
    OneClassSvm(one_class_svm::Settings),
    /// [`combined`]
    Combined,
}

impl Detector {
    /// All detectors with their defaults, by the name that people call them.
    pub fn all() -> Vec<(&'static str, Self)> {
        use robust_z::{Over, Sides};
        let right = tails::Settings { sides: Sides::Right };
        vec![
            ("robust-z", Self::RobustZ(robust_z::Settings::default())),
            ("robust-z-mean", Self::RobustZ(robust_z::Settings { over: Over::Mean, ..Default::default() })),
            ("robust-z-right", Self::RobustZ(robust_z::Settings { sides: Sides::Right, ..Default::default() })),
            ("ecod", Self::Ecod(tails::Settings::default())),
            ("copod", Self::Copod(tails::Settings::default())),
            ("tails-right", Self::Ecod(right)),
            ("least-p", Self::LeastP(least_p::Settings::default())),
            ("histogram", Self::Histogram(histogram::Settings::default())),
            ("forest", Self::Forest(forest::Settings::default())),
            ("pca", Self::Pca),
            ("mixture", Self::Mixture(mixture::Settings::default())),
            ("neighbours", Self::Neighbours(neighbours::Settings::default())),
            ("one-class-svm", Self::OneClassSvm(one_class_svm::Settings::default())),
            ("combined", Self::Combined),
        ]
    }

    /// A detector with its defaults, by name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|(known, _)| *known == name).map(|(_, detector)| detector)
    }

    /// Learns from a table what is usual.
    ///
    /// # Errors
    /// The table has less than two rows, a setting is out of range, or a computation fails.
    pub fn fit(&self, table: &Table, seed: u64) -> Result<Fitted, DetectorError> {
        if table.rows() < FEWEST_ROWS {
            return Err(DetectorError::TooFewRows { rows: table.rows(), needed: FEWEST_ROWS });
        }
        let reference = Reference::of(table);
        let rows = reference.clean(table)?;
        let model = self.fit_clean(&rows, seed)?;
        let calibration = Calibration::fit(&model.scores(&rows));
        Ok(Fitted { reference, model, calibration })
    }

    /// Learns as [`Detector::fit`] does, and takes p-values from the scores that rows have where they were not learned from.
    ///
    /// A detector scores the rows that it has adapted to lower than others of the same law, so that p-values from those scores
    /// are too low for further rows. Here the rows are divided into parts, those of a group together; each part is scored by
    /// a detector that was fitted on the others, which makes them further rows, too (cross-conformal: Vovk 2015).
    ///
    /// # Errors
    /// As [`Detector::fit`].
    ///
    /// # Panics
    /// There is not a group for each row.
    pub fn fit_crossed(&self, table: &Table, groups: &[usize], seed: u64) -> Result<Fitted, DetectorError> {
        assert_eq!(groups.len(), table.rows(), "a group for each row");
        let fitted = self.fit(table, seed)?;
        let places: BTreeMap<usize, usize> =
            groups.iter().copied().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        if places.len() < FEWEST_GROUPS {
            // Too few to do without any.
            return Ok(fitted);
        }
        let (mut scores, mut held_groups) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for part in 0..PARTS {
            let (held_out, kept): (Vec<usize>, Vec<usize>) =
                (0..groups.len()).partition(|row| places[&groups[*row]] % PARTS == part);
            scores.extend(self.fit(&table.select(&kept), seed)?.score(&table.select(&held_out))?);
            held_groups.extend(held_out.iter().map(|row| groups[*row]));
        }
        Ok(Fitted { calibration: Calibration::fit_grouped(&scores, &held_groups), ..fitted })
    }

    /// Fits rows without missing, infinite or constant values.
    fn fit_clean(&self, rows: &Array2<f64>, seed: u64) -> Result<AnyModel, DetectorError> {
        Ok(match self {
            Self::RobustZ(settings) => AnyModel::RobustZ(robust_z::RobustZ::fit(*settings, rows)),
            Self::Ecod(settings) => AnyModel::Tails(tails::Tails::fit(tails::Method::Ecod, *settings, rows)),
            Self::Copod(settings) => AnyModel::Tails(tails::Tails::fit(tails::Method::Copod, *settings, rows)),
            Self::LeastP(settings) => AnyModel::LeastP(least_p::LeastP::fit(*settings, rows)),
            Self::Histogram(settings) => AnyModel::Histogram(histogram::Histogram::fit(*settings, rows)),
            Self::Forest(settings) => AnyModel::Forest(forest::Forest::fit(*settings, rows, seed)),
            Self::Pca => AnyModel::Pca(pca::Pca::fit(rows)?),
            Self::Mixture(settings) => AnyModel::Mixture(mixture::Mixture::fit(*settings, rows, seed)?),
            Self::Neighbours(settings) => {
                AnyModel::Neighbours(neighbours::Neighbours::fit(settings.clone(), rows, seed)?)
            }
            Self::OneClassSvm(settings) => {
                AnyModel::OneClassSvm(one_class_svm::OneClassSvm::fit(*settings, rows, seed)?)
            }
            Self::Combined => AnyModel::Combined(combined::Combined::fit(rows, seed)?),
        })
    }
}

/// Why a detector cannot be fitted, or cannot score.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DetectorError {
    /// Too little to learn from.
    #[error("the table has {rows} rows; a detector needs at least {needed} to learn what is usual")]
    TooFewRows {
        /// Rows of the table.
        rows: usize,
        /// Rows that are needed.
        needed: usize,
    },
    /// The table is not like the one fitted on.
    #[error("the table has other columns than the one the detector was fitted on: {}", differences(missing, unknown))]
    OtherColumns {
        /// Columns that were fitted and are not there.
        missing: Vec<String>,
        /// Columns that are there and were not fitted.
        unknown: Vec<String>,
    },
    /// A setting asks for more than there is room for.
    #[error(
        "{detector} is to use {rows} rows, which takes too much memory; set rows to at most {most}, and of more a sample is taken"
    )]
    TooManyRows {
        /// The detector.
        detector: &'static str,
        /// Rows asked for.
        rows: usize,
        /// Rows allowed.
        most: usize,
    },
    /// A setting is out of range.
    #[error("{setting} is {value}; it must be {range}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A model from elsewhere gives no scores.
    #[error("of {rows} rows of the history the ONNX model gives {without} no score{}", first.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    NoScores {
        /// Rows of the history.
        rows: usize,
        /// Those without a score.
        without: usize,
        /// What is wrong with the first, where it could not be run.
        first: Option<String>,
    },
    /// A computation has failed.
    #[error("the detector cannot be computed on this table: {reason}")]
    Numeric {
        /// What the library says.
        reason: String,
    },
}

fn differences(missing: &[String], unknown: &[String]) -> String {
    let list = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    match (missing.is_empty(), unknown.is_empty()) {
        (true, true) => "the same names in another order".to_owned(),
        (false, true) => format!("{} missing", list(missing)),
        (true, false) => format!("{} not known", list(unknown)),
        (false, false) => format!("{} missing, {} not known", list(missing), list(unknown)),
    }
}

/// A fitted model of clean rows.
trait Model: Sync {
    /// The score of a row; the higher the stranger.
    fn score(&self, row: ArrayView1<'_, f64>) -> f64;

    /// What each feature adds, where the score is a sum over features; for a maximum, the score of each feature. `None`
    /// where it is neither.
    fn parts(&self, _row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        None
    }

    /// Scores of all rows. Each is computed on its own, so threads do not matter.
    fn scores(&self, rows: &Array2<f64>) -> Vec<f64> {
        (0..rows.nrows()).into_par_iter().map(|row| self.score(rows.row(row))).collect()
    }
}

/// A fitted model whose score is a sum over features.
trait Additive: Sync {
    /// What a value of a column adds to the score.
    fn part(&self, column: usize, value: f64) -> f64;
}

impl<T: Additive> Model for T {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        row.iter().enumerate().map(|(column, value)| self.part(column, *value)).sum()
    }

    fn parts(&self, row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        Some(row.iter().enumerate().map(|(column, value)| self.part(column, *value)).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AnyModel {
    RobustZ(robust_z::RobustZ),
    Tails(tails::Tails),
    LeastP(least_p::LeastP),
    Histogram(histogram::Histogram),
    Forest(forest::Forest),
    Pca(pca::Pca),
    Mixture(mixture::Mixture),
    Neighbours(neighbours::Neighbours),
    OneClassSvm(one_class_svm::OneClassSvm),
    Combined(combined::Combined),
    Onnx(onnx::Onnx),
}

impl AnyModel {
    fn model(&self) -> &dyn Model {
        match self {
            Self::RobustZ(model) => model,
            Self::Tails(model) => model,
            Self::LeastP(model) => model,
            Self::Histogram(model) => model,
            Self::Forest(model) => model,
            Self::Pca(model) => model,
            Self::Mixture(model) => model,
            Self::Neighbours(model) => model,
            Self::OneClassSvm(model) => model,
            Self::Combined(model) => model,
            Self::Onnx(model) => model,
        }
    }
}

impl Model for AnyModel {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        self.model().score(row)
    }

    fn parts(&self, row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        self.model().parts(row)
    }
}

/// A fitted detector. As JSON it is the same bytes for the same table, settings and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    reference: Reference,
    model: AnyModel,
    calibration: Calibration,
}

/// What a feature had to do with the score of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Name of the column.
    pub feature: String,
    /// Its value in the row, NaN where it is missing.
    pub value: f64,
    /// Median of the fitted column.
    pub median: f64,
    /// What it adds to the score, or, of detectors whose score is no sum or maximum over features, by how much the score
    /// would be lower with the median in its place. It may be negative.
    pub contribution: f64,
}

impl Fitted {
    /// Takes a model that was trained elsewhere; p-values are from the scores of the table, which should not be what it was
    /// trained on. Rows of a group are those of an entity.
    ///
    /// # Errors
    /// The table has less than two rows, or the model has no score for one.
    pub fn adopt(model: onnx::Onnx, table: &Table, groups: &[usize]) -> Result<Self, DetectorError> {
        if table.rows() < FEWEST_ROWS {
            return Err(DetectorError::TooFewRows { rows: table.rows(), needed: FEWEST_ROWS });
        }
        let reference = Reference::whole(table);
        let rows = reference.clean(table)?;
        let outputs: Vec<_> = (0..rows.nrows()).into_par_iter().map(|row| model.output(rows.row(row))).collect();
        let is_bad = |output: &&Result<f64, onnx::OnnxError>| !output.as_ref().is_ok_and(|score| score.is_finite());
        if let Some(bad) = outputs.iter().find(is_bad) {
            let first = bad.as_ref().err().map(ToString::to_string);
            let without = outputs.iter().filter(is_bad).count();
            return Err(DetectorError::NoScores { rows: outputs.len(), without, first });
        }
        let scores: Vec<f64> = outputs.into_iter().flatten().collect();
        let calibration = Calibration::fit_grouped(&scores, groups);
        Ok(Self { reference, model: AnyModel::Onnx(model), calibration })
    }

    /// A score for each row; the higher the stranger.
    ///
    /// # Errors
    /// The table has other columns than the fitted one.
    pub fn score(&self, table: &Table) -> Result<Vec<f64>, DetectorError> {
        Ok(self.model.scores(&self.reference.clean(table)?))
    }

    /// For each score the probability that a row like those fitted scores as high ([`Calibration`]).
    pub fn p_values(&self, scores: &[f64]) -> Vec<f64> {
        scores.iter().map(|score| self.calibration.p_value(*score)).collect()
    }

    /// Upper bounds of the p-values, on which budgets rest ([`Calibration::cautious_p_value`]).
    pub fn cautious_p_values(&self, scores: &[f64]) -> Vec<f64> {
        scores.iter().map(|score| self.calibration.cautious_p_value(*score)).collect()
    }

    /// What each feature has to do with the score of a row, in the order of the columns.
    ///
    /// # Errors
    /// The table has other columns than the fitted one.
    ///
    /// # Panics
    /// There is no such row.
    pub fn explain(&self, table: &Table, row: usize) -> Result<Vec<Contribution>, DetectorError> {
        let clean = self.reference.clean(&table.select(&[row]))?;
        let parts = self.model.parts(clean.row(0)).unwrap_or_else(|| self.ablate(clean.row(0)));
        let columns = self.reference.columns().zip(table.row(row));
        Ok(columns
            .map(|((name, median, place), value)| Contribution {
                feature: name.to_owned(),
                value: *value,
                median,
                contribution: place.map_or(0.0, |place| parts[place]),
            })
            .collect())
    }

    /// By how much the score falls when a feature is replaced by its median.
    fn ablate(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        let score = self.model.score(row);
        let without = |(place, median): (usize, f64)| {
            let mut changed = row.to_owned();
            changed[place] = median;
            score - self.model.score(changed.view())
        };
        self.reference.medians().into_iter().enumerate().collect::<Vec<_>>().into_par_iter().map(without).collect()
    }
}

#[cfg(test)]
mod tests;
