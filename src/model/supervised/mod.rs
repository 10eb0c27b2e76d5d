//! The supervised layer: learns from confirmed and dismissed settlements which of the others are like the confirmed ones.
//!
//! `live records → moments → with the labels known by then: features → trees → probability`
//!
//! - [`crate::engine::moments`]: what the live records say of a settlement at its moment;
//! - [`crate::model::labels`]: verdicts, and when each became known;
//! - [`feature`]: both as numbers;
//! - [`learner`]: the trees;
//! - [`replay`]: settlements over a history.
//!
//! A settlement sees the records of the seconds before it and the verdicts known before it; learning as of a moment sees the
//! verdicts known before that moment. So a score does not depend on what comes later, and history and live are one code.

pub mod feature;
pub mod learner;
pub mod replay;

use super::detector::Contribution;
use super::labels::Labels;
use super::trained::TrainedError;
use crate::checkpoint::manifest::sha256;
use crate::engine::moments::Moment;
use crate::record::Time;
use feature::{FEATURES, fingerprint, values};
use learner::{Learner, LearnerError, Settings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The least verdicts of either kind to learn from.
const LEAST: usize = 20;

/// Why nothing was learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisedError {
    /// There are not enough verdicts.
    #[error(
        "of the settlements {confirmed} were known as confirmed and {dismissed} as dismissed by {at}; {LEAST} of each are needed at least"
    )]
    TooLittle {
        /// Confirmed ones.
        confirmed: usize,
        /// Dismissed ones.
        dismissed: usize,
        /// As of when.
        at: String,
    },
    /// The trees cannot be grown.
    #[error(transparent)]
    Learner(#[from] LearnerError),
}

/// What was learned, and from what.
#[derive(Serialize, Deserialize)]
pub struct Supervised {
    /// The program that learned.
    program: String,
    /// A hash over the features.
    features: String,
    /// From what it was learned.
    pub history: History,
    settings: Settings,
    learner: Learner,
    /// The median of each feature among what was learned from; `None` where it always was missing.
    medians: Vec<Option<f64>>,
}

/// From what was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Verdicts known before this were seen.
    pub known_before: String,
    /// Confirmed settlements.
    pub confirmed: usize,
    /// Dismissed settlements.
    pub dismissed: usize,
    /// The seed.
    pub seed: u64,
}

impl Supervised {
    /// Learns from the settlements before a moment on which there were verdicts by then.
    ///
    /// # Errors
    /// There are not enough of them, or the settings are out of range.
    pub fn learn(
        moments: &[Moment],
        labels: &Labels,
        at: Time,
        settings: Settings,
        seed: u64,
    ) -> Result<Self, SupervisedError> {
        let judged = moments.iter().filter(|moment| moment.time < at);
        let judged = judged.filter_map(|moment| Some((moment, labels.outcome(&moment.settlement, at)?)));
        let (moments, answers): (Vec<&Moment>, Vec<bool>) = judged.unzip();
        let confirmed = answers.iter().filter(|confirmed| **confirmed).count();
        let dismissed = answers.len() - confirmed;
        if confirmed.min(dismissed) < LEAST {
            return Err(SupervisedError::TooLittle { confirmed, dismissed, at: at.to_string() });
        }
        let rows: Vec<Vec<f64>> = moments.into_par_iter().map(|moment| values(moment, labels)).collect();
        Ok(Self {
            program: format!("fundwatch {}", env!("CARGO_PKG_VERSION")),
            features: fingerprint(),
            history: History { known_before: at.to_string(), confirmed, dismissed, seed },
            settings,
            learner: Learner::fit(settings, &rows, &answers, seed)?,
            medians: (0..FEATURES.len()).map(|feature| median(&rows, feature)).collect(),
        })
    }

    /// The probability that each settlement would be confirmed, by what was known before it.
    pub fn score(&self, moments: &[Moment], labels: &Labels) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = moments.par_iter().map(|moment| values(moment, labels)).collect();
        self.learner.probabilities(&rows)
    }

    /// What each feature adds to the logarithm of the odds of a settlement, the most first.
    pub fn explain(&self, moment: &Moment, labels: &Labels) -> Vec<Contribution> {
        let row = values(moment, labels);
        let parts = self.learner.contributions(&row).into_iter().zip(&row).zip(&self.medians);
        let mut contributions: Vec<Contribution> = FEATURES
            .iter()
            .zip(parts)
            .map(|((name, ..), ((contribution, value), median))| Contribution {
                feature: (*name).to_owned(),
                value: *value,
                median: median.unwrap_or(f64::NAN),
                contribution,
            })
            .collect();
        contributions.sort_by(|one, other| other.contribution.total_cmp(&one.contribution));
        contributions
    }

    /// A hash over all that was learned.
    pub fn version(&self) -> String {
        let text = serde_json::to_string(self).expect("numbers and texts");
        let mut version = sha256(text.as_bytes());
        version.truncate(16);
        version
    }

    /// Writes it to a file. The same history and seed give the same bytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainedError> {
        let failed = |source| TrainedError::File { action: "write", path: path.to_owned(), source };
        // In one step, so that nobody reads half of it.
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self).expect("numbers and texts")).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// It cannot be read, is something else, or was learned from other features.
    pub fn read(path: &Path) -> Result<Self, TrainedError> {
        let bytes =
            fs::read(path).map_err(|source| TrainedError::File { action: "read", path: path.to_owned(), source })?;
        let read: Self =
            serde_json::from_slice(&bytes).map_err(|source| TrainedError::Form { path: path.to_owned(), source })?;
        if read.features != fingerprint() {
            return Err(TrainedError::OtherFeatures { path: path.to_owned(), id: "the supervised layer".to_owned() });
        }
        Ok(read)
    }
}

fn median(rows: &[Vec<f64>], feature: usize) -> Option<f64> {
    let mut values: Vec<f64> = rows.iter().map(|row| row[feature]).filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    super::median::median(&values)
}

#[cfg(test)]
mod tests;
