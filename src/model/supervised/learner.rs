//! Gradient-boosted trees for two classes, by the crate forust-ml, which grows them as XGBoost does.
//!
//! The same rows, settings and seed give the same bytes, whatever the number of threads.

use forust_ml::Matrix;
use forust_ml::gradientbooster::{ContributionsMethod, GradientBooster};
use forust_ml::sampler::SampleMethod;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Settings of a [`Learner`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Trees.
    pub trees: usize,
    /// The share of its correction that each tree is granted.
    pub rate: f32,
    /// The most cuts from the root of a tree to a leaf.
    pub depth: usize,
    /// The least sum of p (1 − p) over the rows of a leaf: rows whose class is clear weigh next to nothing.
    pub leaf: f32,
    /// The share of rows that each tree is grown on.
    pub rows: f32,
    /// The share of columns that each tree is grown on.
    pub columns: f64,
}

impl Default for Settings {
    /// The best of eight on three spans of days 20 to 39 of the handbook's stream, each learned from what was known before it.
    fn default() -> Self {
        Self { trees: 300, rate: 0.03, depth: 5, leaf: 3.0, rows: 0.5, columns: 0.5 }
    }
}

/// Why nothing was learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trees cannot be grown: {0}")]
pub struct LearnerError(String);

/// Trees that give the probability of the one class.
#[derive(Clone, Serialize, Deserialize)]
pub struct Learner {
    /// The columns that vary among what was learned from; of those that do not, nothing can be learned.
    columns: Vec<usize>,
    /// All columns.
    width: usize,
    /// Shared: it is large, and does not change.
    #[serde(serialize_with = "write_booster", deserialize_with = "read_booster")]
    booster: Arc<GradientBooster>,
}

impl PartialEq for Learner {
    fn eq(&self, other: &Self) -> bool {
        let text = |learner: &Self| serde_json::to_string(learner).expect("numbers and texts");
        Arc::ptr_eq(&self.booster, &other.booster) || text(self) == text(other)
    }
}

impl fmt::Debug for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learner").field("columns", &self.columns).field("width", &self.width).finish_non_exhaustive()
    }
}

fn write_booster<S: Serializer>(booster: &Arc<GradientBooster>, serializer: S) -> Result<S::Ok, S::Error> {
    booster.as_ref().serialize(serializer)
}

fn read_booster<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<GradientBooster>, D::Error> {
    GradientBooster::deserialize(deserializer).map(Arc::new)
}

impl Learner {
    /// Learns from rows, of which NaN is a missing value, and whether each is of the class.
    ///
    /// # Errors
    /// The settings are out of range, or no column varies.
    ///
    /// # Panics
    /// There are more rows than answers, or rows of different lengths.
    pub fn fit(settings: Settings, rows: &[Vec<f64>], answers: &[bool], seed: u64) -> Result<Self, LearnerError> {
        assert_eq!(rows.len(), answers.len(), "an answer for each row");
        let width = rows.first().map_or(0, Vec::len);
        let varies = |column: &usize| {
            let mut values = rows.iter().map(|row| row[*column]).filter(|value| !value.is_nan());
            values.next().is_some_and(|first| values.any(|value| value != first))
        };
        let columns: Vec<usize> = (0..width).filter(varies).collect();
        if columns.is_empty() {
            return Err(LearnerError("no column varies".to_owned()));
        }
        let mut booster = GradientBooster::default()
            .set_iterations(settings.trees)
            .set_learning_rate(settings.rate)
            .set_max_depth(settings.depth)
            .set_min_leaf_weight(settings.leaf)
            .set_sample_method(SampleMethod::Random)
            .set_subsample(settings.rows)
            .set_colsample_bytree(settings.columns)
            .set_initialize_base_score(true)
            .set_seed(seed);
        let (values, answers) =
            (by_column(&columns, width, rows), answers.iter().map(|answer| f64::from(u8::from(*answer))));
        let matrix = Matrix::new(&values, rows.len(), columns.len());
        let fitted = booster.fit_unweighted(&matrix, &answers.collect::<Vec<f64>>(), None);
        fitted.map_err(|error| LearnerError(error.to_string()))?;
        Ok(Self { columns, width, booster: Arc::new(booster) })
    }

    /// The probability of the class for each row.
    pub fn probabilities(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let values = self.by_column(rows);
        let logits = self.booster.predict(&Matrix::new(&values, rows.len(), self.columns.len()), true);
        logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
    }

    /// What each column of a row adds to the logarithm of the odds (Shapley values): with [`Learner::base`] they add up to it.
    pub fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let mut contributions = vec![0.0; self.width];
        for (column, part) in self.columns.iter().zip(self.shapley(row)) {
            contributions[*column] = part;
        }
        contributions
    }

    /// The logarithm of the odds of a row of which nothing is known.
    pub fn base(&self, row: &[f64]) -> f64 {
        self.shapley(row).last().copied().unwrap_or(0.0)
    }

    /// A value for each column that varies, and the base.
    fn shapley(&self, row: &[f64]) -> Vec<f64> {
        let values = self.by_column(&[row.to_vec()]);
        let matrix = Matrix::new(&values, 1, self.columns.len());
        self.booster.predict_contributions(&matrix, ContributionsMethod::Shapley, false)
    }

    fn by_column(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        by_column(&self.columns, self.width, rows)
    }
}

fn by_column(columns: &[usize], width: usize, rows: &[Vec<f64>]) -> Vec<f64> {
    assert!(rows.iter().all(|row| row.len() == width), "rows of the columns that were learned from");
    columns.iter().flat_map(|column| rows.iter().map(|row| row[*column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::measure::roc_auc;
    use crate::model::random::Random;

    /// The answer is yes where the first column is over 1 or the third, which is often missing, over 0.5; the second never
    /// varies, the fourth says nothing.
    fn world(count: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<bool>) {
        let mut random = Random::new(seed, 0);
        let rows: Vec<Vec<f64>> = (0..count)
            .map(|_| {
                let third = if random.uniform() < 0.3 { f64::NAN } else { random.uniform() };
                vec![random.normal(), 3.0, third, random.normal()]
            })
            .collect();
        let answers = rows.iter().map(|row| row[0] > 1.0 || row[2] > 0.5).collect();
        (rows, answers)
    }

    fn learner(seed: u64) -> Learner {
        let (rows, answers) = world(2_000, 1);
        let settings = Settings { trees: 60, rate: 0.2, depth: 3, ..Settings::default() };
        Learner::fit(settings, &rows, &answers, seed).expect("rows of both kinds")
    }

    #[test]
    fn what_was_learned_holds_for_other_rows() {
        let (rows, answers) = world(2_000, 2);
        let area = roc_auc(&answers, &learner(1).probabilities(&rows)).expect("rows of both kinds");
        assert!(area > 0.98, "{area}");
    }

    #[test]
    fn contributions_add_up_and_name_what_matters() {
        let (learner, row) = (learner(1), [2.0, 3.0, 0.1, 0.0]);
        let parts = learner.contributions(&row);
        let probability = learner.probabilities(&[row.to_vec()])[0];
        let logit = (probability / (1.0 - probability)).ln();
        assert!((parts.iter().sum::<f64>() + learner.base(&row) - logit).abs() < 1e-3, "{parts:?} {logit}");
        assert!(parts[0] > 1.0 && parts[0] > 5.0 * parts[3].abs(), "{parts:?}");
        assert_eq!(parts[1], 0.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads_and_comes_back() {
        let bytes = |learner: &Learner| serde_json::to_string(learner).expect("numbers and texts");
        let with = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| bytes(&learner(seed)))
        };
        let one = with(1, 7);
        assert!(one == with(3, 7));
        assert!(one != with(1, 8));
        let back: Learner = serde_json::from_str(&one).expect("it was written a moment ago");
        let (rows, _) = world(200, 3);
        assert_eq!(back.probabilities(&rows), learner(7).probabilities(&rows));
        assert!(bytes(&back) == one);
    }

    #[test]
    fn nothing_is_learned_from_what_does_not_vary() {
        let error = Learner::fit(Settings::default(), &[vec![1.0], vec![1.0]], &[true, false], 1).err();
        assert_eq!(
            error.map(|error| error.to_string()),
            Some("the trees cannot be grown: no column varies".to_owned())
        );
    }
}
