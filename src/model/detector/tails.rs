//! How far out a row lies in the empirical distribution of each feature: ECOD (Li and others 2022) and COPOD (Li and
//! others 2020), as pyod computes them.
//!
//! With l = −ln P(X ≤ x), r = −ln P(X ≥ x) and s = −l·sign(skewness − 1) + r·sign(skewness + 1), a feature adds
//! max(l, r, s) in ECOD and max(s, (l + r)/2) in COPOD; one-sided, it adds r.

use super::Additive;
use super::robust_z::Sides;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// How the two tails of a feature are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The longer tail.
    Ecod,
    /// The mean of both, or the one on the side of the skewness.
    Copod,
}

/// Settings of [`Tails`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which tails count.
    pub sides: Sides,
}

/// Fitted distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tails {
    method: Method,
    sides: Sides,
    features: Vec<Feature>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Feature {
    sorted: Vec<f64>,
    /// Third central moment over the variance to the power of 3/2.
    skewness: f64,
}

impl Feature {
    fn of(column: ArrayView1<'_, f64>) -> Self {
        let count = column.len() as f64;
        let mean = column.sum() / count;
        let moment = |power: i32| column.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
        let skewness = moment(3) / moment(2).powf(1.5);
        let mut sorted = column.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted, skewness: if skewness.is_finite() { skewness } else { 0.0 } }
    }

    /// −ln P(X ≤ x) and −ln P(X ≥ x). Beyond all fitted values the probability is the one that the row would have had
    /// if it had been among the fitted, 1/(n + 1): never 0, and lower than that of the outermost fitted row.
    fn tails(&self, value: f64) -> (f64, f64) {
        let count = self.sorted.len();
        let tail = |rows: usize| match rows {
            0 => ((count + 1) as f64).ln(),
            rows => -(rows as f64 / count as f64).ln(),
        };
        let at_most = self.sorted.partition_point(|other| *other <= value);
        let less = self.sorted.partition_point(|other| *other < value);
        (tail(at_most), tail(count - less))
    }
}

/// As numpy's: 0 for 0.
fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

impl Tails {
    /// Fits clean rows.
    pub fn fit(method: Method, settings: Settings, rows: &Array2<f64>) -> Self {
        Self { method, sides: settings.sides, features: rows.columns().into_iter().map(Feature::of).collect() }
    }
}

impl Additive for Tails {
    fn part(&self, column: usize, value: f64) -> f64 {
        let feature = &self.features[column];
        let (left, right) = feature.tails(value);
        let skewed = -left * sign(feature.skewness - 1.0) + right * sign(feature.skewness + 1.0);
        match (self.sides, self.method) {
            (Sides::Right, _) => right,
            (Sides::Both, Method::Ecod) => left.max(right).max(skewed),
            (Sides::Both, Method::Copod) => skewed.max(f64::midpoint(left, right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::detector::Model;
    use ndarray::array;

    #[test]
    fn by_hand() {
        // Skewness of the column is about 1.5, over 1: what counts is the right tail less the left.
        let rows = array![[0.0], [1.0], [2.0], [3.0], [20.0]];
        let score =
            |method, sides, value: f64| Tails::fit(method, Settings { sides }, &rows).score(ArrayView1::from(&[value]));
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} {other}");
        close(score(Method::Ecod, Sides::Both, 20.0), 5_f64.ln());
        close(score(Method::Ecod, Sides::Both, 0.0), 5_f64.ln());
        close(score(Method::Copod, Sides::Both, 20.0), 5_f64.ln());
        close(score(Method::Copod, Sides::Both, 0.0), 5_f64.ln() / 2.0);
        close(score(Method::Ecod, Sides::Right, 0.0), 0.0);
        close(score(Method::Ecod, Sides::Right, 21.0), 6_f64.ln());
        close(score(Method::Ecod, Sides::Right, 2.5), 2.5_f64.ln());
    }
}
