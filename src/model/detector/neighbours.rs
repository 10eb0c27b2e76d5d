//! Distance to the nearest fitted rows (Ramaswamy, Rastogi and Shim 2000), on standardised features.
//!
//! Rows are compared one by one instead of by a tree: a tree pays only in few dimensions, would have to be built again
//! whenever a stored model is loaded, and the scan of a few thousand rows takes tens of microseconds.

use super::reference::Scale;
use super::{DetectorError, Model};
use crate::model::random::Random;
use ndarray::{Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

/// Which distance is the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// To the last of the neighbours.
    #[default]
    Last,
    /// The mean over the neighbours (Angiulli and Pizzuti 2002).
    Mean,
}

/// How features are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// Mean 0 and standard deviation 1.
    #[default]
    Standard,
    /// Shares of the fitted rows that are lower: a long tail in one feature does not hide the others.
    Ranks,
}

/// Settings of [`Neighbours`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Neighbours looked at; of several numbers the score is the mean over them.
    pub neighbours: Vec<usize>,
    /// Which distance is the score.
    pub over: Over,
    /// How features are made comparable.
    pub space: Space,
    /// Rows kept to compare with; of more a random sample is.
    pub rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { neighbours: vec![5], over: Over::Last, space: Space::Standard, rows: 10_000 }
    }
}

/// Kept rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    settings: Settings,
    map: Map,
    /// Rows × features, mapped.
    kept: Array2<f64>,
}

/// What makes features comparable, fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Map {
    Standard(Scale),
    /// Sorted values of each feature.
    Ranks(Vec<Vec<f64>>),
}

impl Map {
    fn apply(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        match self {
            Self::Standard(scale) => scale.apply(row),
            Self::Ranks(features) => row.iter().zip(features).map(|(value, sorted)| rank(*value, sorted)).collect(),
        }
    }
}

/// Share of the values that are lower, equal ones counting half.
fn rank(value: f64, sorted: &[f64]) -> f64 {
    let lower = sorted.partition_point(|other| *other < value);
    let not_higher = sorted.partition_point(|other| *other <= value);
    (lower + not_higher) as f64 / (2 * sorted.len()) as f64
}

impl Neighbours {
    /// Fits clean rows.
    ///
    /// # Errors
    /// The settings name no number of neighbours, or 0.
    pub fn fit(settings: Settings, rows: &Array2<f64>, seed: u64) -> Result<Self, DetectorError> {
        if settings.neighbours.is_empty() || settings.neighbours.contains(&0) {
            return Err(DetectorError::Setting { setting: "neighbours", value: 0.0, range: "at least 1" });
        }
        let sample = rows.select(Axis(0), &Random::new(seed, 0).sample(rows.nrows(), settings.rows));
        let map = match settings.space {
            Space::Standard => Map::Standard(Scale::of(rows)),
            Space::Ranks => Map::Ranks(sample.columns().into_iter().map(sorted).collect()),
        };
        let mapped: Vec<f64> = sample.rows().into_iter().flat_map(|row| map.apply(row)).collect();
        let kept = Array2::from_shape_vec(sample.dim(), mapped).expect("a row stays as long as it is");
        Ok(Self { settings, map, kept })
    }

    fn distance(&self, nearest: &[f64]) -> f64 {
        match self.settings.over {
            Over::Last => nearest.last().copied().unwrap_or(0.0),
            Over::Mean => nearest.iter().sum::<f64>() / nearest.len().max(1) as f64,
        }
    }
}

fn sorted(column: ArrayView1<'_, f64>) -> Vec<f64> {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

impl Model for Neighbours {
    /// One exact copy of the row is passed over: it is the row itself, when fitted rows are scored. So a fitted row
    /// scores as if it had been left out, and needs no way of its own; further copies count.
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let row = self.map.apply(row);
        let square =
            |kept: &[f64]| kept.iter().zip(&row).map(|(one, other)| (one - other) * (one - other)).sum::<f64>();
        let mut squares: Vec<f64> = match self.kept.as_slice() {
            // This is where the time goes: slices are faster than views.
            Some(values) if !row.is_empty() => values.chunks_exact(row.len()).map(square).collect(),
            _ => vec![0.0; self.kept.nrows()],
        };
        let most = self.settings.neighbours.iter().copied().max().unwrap_or(0);
        if squares.len() > most + 1 {
            squares.select_nth_unstable_by(most, f64::total_cmp);
            squares.truncate(most + 1);
        }
        squares.sort_unstable_by(f64::total_cmp);
        let copies = usize::from(squares.first() == Some(&0.0));
        let nearest: Vec<f64> = squares[copies..].iter().take(most).map(|square| square.sqrt()).collect();
        let numbers = self.settings.neighbours.iter();
        let sum: f64 = numbers.map(|number| self.distance(&nearest[..nearest.len().min(*number)])).sum();
        sum / self.settings.neighbours.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Standard deviation of the column: 2.
        let rows = ndarray::array![[-2.0], [-2.0], [2.0], [2.0]];
        let score = |neighbours: &[usize], over, space, value: f64| {
            let settings = Settings { neighbours: neighbours.to_vec(), over, space, ..Settings::default() };
            Neighbours::fit(settings, &rows, 1).expect("fitted").score(ArrayView1::from(&[value]))
        };
        assert_eq!(score(&[2], Over::Last, Space::Standard, 2.0), 2.0);
        assert_eq!(score(&[2], Over::Mean, Space::Standard, 2.0), 1.0);
        assert_eq!(score(&[2], Over::Last, Space::Standard, 4.0), 1.0);
        assert_eq!(score(&[1, 3], Over::Last, Space::Standard, 2.0), 1.0);
        // Ranks 1/4 and 3/4; above all of them 1.
        assert_eq!(score(&[2], Over::Last, Space::Ranks, 2.0), 0.5);
        assert_eq!(score(&[2], Over::Last, Space::Ranks, 1000.0), 0.25);
    }

    #[test]
    fn of_many_rows_a_sample_is_kept() {
        let rows = Array2::from_shape_fn((50, 1), |(row, _)| row as f64);
        let settings = Settings { rows: 20, ..Settings::default() };
        let none = Settings { neighbours: Vec::new(), ..Settings::default() };
        assert!(Neighbours::fit(none, &rows, 1).is_err());
        let fitted = Neighbours::fit(settings.clone(), &rows, 1).expect("fitted");
        assert_eq!(fitted.kept.nrows(), 20);
        assert_ne!(fitted, Neighbours::fit(settings, &rows, 2).expect("fitted"));
    }
}
