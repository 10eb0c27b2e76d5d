//! Histogram-based score (HBOS, Goldstein and Dengel 2012): the sum over features of −log₂ of the density at the row.

use super::Additive;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// Settings of [`Histogram`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Bins of equal width between the least and the greatest fitted value.
    pub bins: usize,
    /// Added to each density, which is 1 where values spread evenly: how much an empty bin can weigh.
    pub floor: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bins: 10, floor: 0.1 }
    }
}

/// Fitted densities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    features: Vec<Feature>,
    /// Outside of all bins.
    outside: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Feature {
    least: f64,
    greatest: f64,
    /// Of each bin, −log₂ (density + floor).
    parts: Vec<f64>,
}

impl Histogram {
    /// Fits clean rows, whose columns vary.
    pub fn fit(settings: Settings, rows: &Array2<f64>) -> Self {
        let bins = settings.bins.max(1);
        let feature = |column: ArrayView1<'_, f64>| {
            let least = column.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut counts = vec![0_usize; bins];
            column.iter().for_each(|value| counts[bin(*value, least, greatest, bins)] += 1);
            let density = |count: usize| (count * bins) as f64 / column.len() as f64;
            let parts = counts.into_iter().map(|count| -(density(count) + settings.floor).log2()).collect();
            Feature { least, greatest, parts }
        };
        Self { features: rows.columns().into_iter().map(feature).collect(), outside: -settings.floor.log2() }
    }
}

/// The greatest value belongs to the last bin.
fn bin(value: f64, least: f64, greatest: f64, bins: usize) -> usize {
    (((value - least) / (greatest - least) * bins as f64) as usize).min(bins - 1)
}

impl Additive for Histogram {
    fn part(&self, column: usize, value: f64) -> f64 {
        let feature = &self.features[column];
        if value < feature.least || value > feature.greatest {
            return self.outside;
        }
        feature.parts[bin(value, feature.least, feature.greatest, feature.parts.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::detector::Model;
    use ndarray::array;

    #[test]
    fn by_hand() {
        // Two bins of [0, 4]: three values and one, densities 3/2 and 1/2.
        let fitted = Histogram::fit(Settings { bins: 2, floor: 0.5 }, &array![[0.0], [1.0], [1.5], [4.0]]);
        let score = |value: f64| fitted.score(ArrayView1::from(&[value]));
        assert_eq!((score(1.9), score(4.0), score(4.1), score(-1.0)), (-1.0, 0.0, 1.0, 1.0));
    }
}
