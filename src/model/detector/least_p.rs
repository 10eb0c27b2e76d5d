//! How improbable the strangest feature is: the greatest of −ln p over features and both directions (Tippett 1931), p being
//! the feature's own [`Calibration`] with its tail.
//!
//! A robust z measures every feature by its scale, which says little of one that is nearly always 0 or has a long tail: its
//! ordinary values are "far out", and hide what is far out in another. A p-value measures each by its own distribution, and beyond
//! the fitted values it goes on falling, as ranks do not.

use super::Model;
use super::robust_z::Sides;
use crate::model::calibrate::Calibration;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// Settings of [`LeastP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which tails count.
    pub sides: Sides,
}

/// Fitted distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeastP {
    features: Vec<Feature>,
}

/// The distribution of a feature, and of its negative where low values count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Feature {
    high: Calibration,
    low: Option<Calibration>,
}

impl LeastP {
    /// Fits clean rows.
    pub fn fit(settings: Settings, rows: &Array2<f64>) -> Self {
        let feature = |column: ArrayView1<'_, f64>| {
            let negative = || column.iter().map(|value| -value).collect::<Vec<f64>>();
            let low = (settings.sides == Sides::Both).then(|| Calibration::fit(&negative()));
            Feature { high: Calibration::fit(&column.to_vec()), low }
        };
        Self { features: rows.columns().into_iter().map(feature).collect() }
    }

    fn log_tails(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        let one = |(value, feature): (&f64, &Feature)| {
            let low = feature.low.as_ref().map_or(1.0, |low| low.smooth_p_value(-value));
            -feature.high.smooth_p_value(*value).min(low).ln()
        };
        row.iter().zip(&self.features).map(one).collect()
    }
}

impl Model for LeastP {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        self.log_tails(row).into_iter().fold(0.0, f64::max)
    }

    fn parts(&self, row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        Some(self.log_tails(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    /// A feature that is 0 but for one row in seven, beside a normal one.
    #[test]
    fn a_rare_value_does_not_hide_one_far_out() {
        let mut random = Random::new(4, 0);
        let rows = Array2::from_shape_fn((1_000, 2), |(row, column)| match column {
            0 => f64::from(u8::from(row % 7 == 0)),
            _ => random.normal(),
        });
        let fitted = LeastP::fit(Settings::default(), &rows);
        let score = |row: [f64; 2]| fitted.score(ArrayView1::from(&row));
        assert!(score([1.0, 0.0]) < 2.5, "one in seven is 1: {}", score([1.0, 0.0]));
        assert!(score([0.0, 7.0]) > 10.0 && score([0.0, -7.0]) > 10.0, "{}", score([0.0, 7.0]));
        assert!(score([0.0, 7.0]) > score([0.0, 5.0]), "further out is stranger");
        let right = LeastP::fit(Settings { sides: Sides::Right }, &rows);
        assert!(right.score(ArrayView1::from(&[0.0, -7.0])) < 0.5);
    }
}
