//! What confirmed cases teach a model: the probability that a verdict on an entity in a window would confirm it as fraud.
//!
//! `what the detector reads, its score, the verdicts known when the window was looked at first → trees → probability`
//!
//! A row sees its features and the verdicts known before the window and its grace were over, on other windows of the entity, and on
//! its institution with all doctors and items there. Learning as of a moment sees the verdicts known before that moment, on
//! windows that were over by then. So neither a later record nor a later verdict changes what a row sees, and as the
//! verdicts are kept with the trees, what is said of a row is a function of its features and of the trained model.

use super::file::ModelFile;
use super::observer::FeatureRow;
use super::recent::Recent;
use super::supervised::feature::hash_of;
use super::supervised::learner::{Learner, LearnerError, Settings};
use super::table::Table;
use super::window_labels::WindowLabels;
use crate::record::value::DAY_SECONDS;
use crate::record::{Day, Time};
use serde::{Deserialize, Serialize};

/// The least verdicts of either kind to learn from.
const LEAST: usize = 20;

/// Verdicts on windows are few: flat trees, slowly grown. The best of eight over 40 to 4,000 drawn verdicts, by the logarithmic loss
/// on others; deeper or faster ones are worse than no trees with the fewest.
const SETTINGS: Settings = Settings { trees: 100, rate: 0.05, depth: 2, leaf: 2.0, rows: 0.5, columns: 0.5 };

/// Why nothing was learned from verdicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmationError {
    /// There are not enough verdicts.
    #[error(
        "of the entities in windows of the history {confirmed} were known as confirmed and {dismissed} as dismissed by {at}, of \
         {known} verdicts known by then; {LEAST} of each are needed at least. A verdict names an entity and the first day of a window \
         as alerts do"
    )]
    TooLittle {
        /// Confirmed ones.
        confirmed: usize,
        /// Dismissed ones.
        dismissed: usize,
        /// As of when.
        at: Time,
        /// Verdicts in all.
        known: usize,
    },
    /// The trees cannot be grown.
    #[error("nothing can be learned from the verdicts: {0}")]
    Learner(#[from] LearnerError),
}

/// What is seen of an entity in a window beside what the detector reads.
struct Seen {
    score: f64,
    /// The entity's cases in other windows.
    own: Recent,
    /// The institution's.
    institution: Recent,
    /// When the window and its grace were over.
    at: Time,
}

/// Name, meaning and value of a feature. NaN stands for what is missing.
type Feature = (&'static str, &'static str, fn(&Seen) -> f64);

/// What the trees read beside what the detector reads, in order.
const FEATURES: [Feature; 17] = [
    ("score", "the detector's score", |seen| seen.score),
    ("cases_30", "verdicts on other windows of the entity known for less than 30 days", |seen| cases(&seen.own, 0)),
    ("cases_90", "and for less than 90", |seen| cases(&seen.own, 1)),
    ("cases_365", "and for less than 365", |seen| cases(&seen.own, 2)),
    ("confirmed_30", "the confirmed share of those known for less than 30 days", |seen| seen.own.share(0)),
    ("confirmed_90", "and for less than 90", |seen| seen.own.share(1)),
    ("confirmed_365", "and for less than 365", |seen| seen.own.share(2)),
    ("last_confirmed", "days since the first one of the last window confirmed among them", |seen| {
        days_since(seen, seen.own.last_confirmed)
    }),
    ("last_dismissed", "and since that of the last dismissed", |seen| days_since(seen, seen.own.last_dismissed)),
    ("institution_cases_30", "verdicts at the institution known for less than 30 days", |seen| {
        cases(&seen.institution, 0)
    }),
    ("institution_cases_90", "and for less than 90", |seen| cases(&seen.institution, 1)),
    ("institution_cases_365", "and for less than 365", |seen| cases(&seen.institution, 2)),
    ("institution_confirmed_30", "the confirmed share of those known for less than 30 days", |seen| {
        seen.institution.share(0)
    }),
    ("institution_confirmed_90", "and for less than 90", |seen| seen.institution.share(1)),
    ("institution_confirmed_365", "and for less than 365", |seen| seen.institution.share(2)),
    ("institution_last_confirmed", "days since the first one of the last window confirmed among them", |seen| {
        days_since(seen, seen.institution.last_confirmed)
    }),
    ("institution_last_dismissed", "and since that of the last dismissed", |seen| {
        days_since(seen, seen.institution.last_dismissed)
    }),
];

fn cases(recent: &Recent, span: usize) -> f64 {
    f64::from(recent.cases[span])
}

fn days_since(seen: &Seen, time: Option<Time>) -> f64 {
    time.map_or(f64::NAN, |time| (seen.at.0 - time.0) as f64 / DAY_SECONDS as f64)
}

/// What verdicts have taught, with the verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// A hash over the features.
    features: String,
    /// Verdicts known before this were seen.
    pub known_before: Time,
    /// Confirmed entities in windows that were learned from.
    pub confirmed: usize,
    /// Dismissed ones.
    pub dismissed: usize,
    learner: Learner,
    /// All that were known by then, also on entities and windows that were not learned from.
    labels: WindowLabels,
}

/// Entities in windows as the trees take them.
#[derive(Clone, Copy)]
pub struct Rows<'r> {
    /// The model.
    pub file: &'r ModelFile,
    /// Who and when.
    pub rows: &'r [FeatureRow],
    /// What the detector reads of each.
    pub table: &'r Table,
    /// What it says of each.
    pub scores: &'r [f64],
}

impl Confirmation {
    /// Learns from the rows whose windows were over by a moment and on which there were verdicts by then.
    ///
    /// # Errors
    /// There are not enough of them, or nothing varies among them.
    pub fn learn(rows: Rows<'_>, labels: &WindowLabels, at: Time, seed: u64) -> Result<Self, ConfirmationError> {
        let labels = labels.known_before(at);
        let answer = |row: &FeatureRow| {
            let is_over = looked_at(rows.file, row.start) <= at;
            is_over.then(|| labels.outcome(&row.entity, row.start, at)).flatten()
        };
        let judged = rows.rows.iter().enumerate();
        let judged =
            judged.filter_map(|(number, row)| answer(row).map(|answer| (input(rows, number, &labels), answer)));
        let (inputs, answers): (Vec<Vec<f64>>, Vec<bool>) = judged.unzip();
        let confirmed = answers.iter().filter(|confirmed| **confirmed).count();
        let dismissed = answers.len() - confirmed;
        if confirmed.min(dismissed) < LEAST {
            return Err(ConfirmationError::TooLittle { confirmed, dismissed, at, known: labels.len() });
        }
        let learner = Learner::fit(SETTINGS, &inputs, &answers, seed)?;
        Ok(Self { features: fingerprint(), known_before: at, confirmed, dismissed, learner, labels })
    }

    /// The probability of each row that a verdict would confirm it.
    pub fn probabilities(&self, rows: Rows<'_>) -> Vec<f64> {
        let inputs: Vec<Vec<f64>> = (0..rows.rows.len()).map(|number| input(rows, number, &self.labels)).collect();
        self.learner.probabilities(&inputs)
    }

    /// How many verdicts it keeps.
    pub fn verdicts(&self) -> usize {
        self.labels.len()
    }

    /// Whether it was learned from the features that this program knows.
    pub fn is_of_this_program(&self) -> bool {
        self.features == fingerprint()
    }
}

/// What the trees read of a row.
fn input(Rows { file, rows, table, scores }: Rows<'_>, number: usize, labels: &WindowLabels) -> Vec<f64> {
    let FeatureRow { entity, start, institution, .. } = &rows[number];
    let at = looked_at(file, *start);
    let at_institution = |code: &String| labels.of_institution(code, (entity.as_str(), *start), at);
    let seen = Seen {
        score: scores[number],
        own: labels.of_entity(entity, *start, at),
        institution: institution.as_ref().map(at_institution).unwrap_or_default(),
        at,
    };
    let values = table.row(number).to_vec().into_iter().chain(FEATURES.iter().map(|(.., of)| of(&seen)));
    values.map(|value| if value.is_finite() { value } else { f64::NAN }).collect()
}

/// The moment at which a window is looked at first.
fn looked_at(file: &ModelFile, start: Day) -> Time {
    Day(file.window.end(start).0 + i32::from(file.grace_days)).start()
}

/// A hash over what the features are said to be.
fn fingerprint() -> String {
    hash_of(FEATURES.iter().map(|(name, meaning, _)| (*name, *meaning)))
}

#[cfg(test)]
mod tests;
