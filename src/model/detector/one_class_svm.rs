//! One-class support vector machine with a Gaussian kernel (Schölkopf and others 2001), solved by linfa-svm.

use super::reference::Scale;
use super::{DetectorError, Model};
use crate::model::random::Random;
use linfa::traits::Fit as _;
use linfa::{Dataset, dataset::Pr};
use linfa_svm::Svm;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

/// More rows than these and the kernel matrix takes over 300 MB.
const MOST_ROWS: usize = 6_000;

/// Settings of [`OneClassSvm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// ν in (0, 1]: at most this share of the rows lies outside, and at least this share are support vectors.
    pub nu: f64,
    /// Rows used; of more a random sample is. Time and memory grow with their square; at most 6,000.
    pub rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { nu: 0.5, rows: 2_000 }
    }
}

/// Fitted support vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneClassSvm {
    scale: Scale,
    /// Vectors × features, scaled.
    vectors: Array2<f64>,
    weights: Vec<f64>,
    offset: f64,
}

impl OneClassSvm {
    /// Fits clean rows. The width of the kernel is that of scikit-learn's `gamma="scale"`: exp(−|x − y|² / features).
    ///
    /// # Errors
    /// The settings are out of range, or the solver gives up.
    pub fn fit(settings: Settings, rows: &Array2<f64>, seed: u64) -> Result<Self, DetectorError> {
        if settings.rows > MOST_ROWS {
            return Err(DetectorError::TooManyRows { detector: "one-class-svm", rows: settings.rows, most: MOST_ROWS });
        }
        if !(settings.nu > 0.0 && settings.nu <= 1.0) {
            return Err(DetectorError::Setting { setting: "nu", value: settings.nu, range: "over 0 and at most 1" });
        }
        let scale = Scale::of(rows);
        let sample = Random::new(seed, 0).sample(rows.nrows(), settings.rows);
        let scaled = scale.apply_all(&rows.select(Axis(0), &sample));
        if scaled.ncols() == 0 {
            return Ok(Self { scale, vectors: scaled, weights: Vec::new(), offset: 0.0 });
        }
        let data = Dataset::new(scaled.clone(), Array1::from_elem(scaled.nrows(), ()));
        let solved = Svm::<f64, Pr>::params()
            .gaussian_kernel(scaled.ncols() as f64)
            .nu_weight(settings.nu)
            .fit(&data)
            .map_err(|error| DetectorError::Numeric { reason: error.to_string() })?;
        let support: Vec<usize> = (0..scaled.nrows()).filter(|row| solved.alpha[*row] > 0.0).collect();
        let weights = support.iter().map(|row| solved.alpha[*row]).collect();
        Ok(Self { scale, vectors: scaled.select(Axis(0), &support), weights, offset: solved.rho })
    }
}

impl Model for OneClassSvm {
    /// ρ − Σ α K: positive outside of the boundary.
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let row = self.scale.apply(row);
        let width = row.len().max(1) as f64;
        let kernel = |vector: ArrayView1<'_, f64>| {
            let square: f64 = vector.iter().zip(&row).map(|(one, other)| (one - other).powi(2)).sum();
            (-square / width).exp()
        };
        let near: f64 =
            self.vectors.rows().into_iter().zip(&self.weights).map(|(vector, weight)| weight * kernel(vector)).sum();
        self.offset - near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Array2<f64> {
        let mut random = Random::new(4, 0);
        Array2::from_shape_simple_fn((300, 2), || random.normal())
    }

    #[test]
    fn nu_is_the_share_outside() {
        let rows = rows();
        let fitted = OneClassSvm::fit(Settings { nu: 0.1, rows: 1000 }, &rows, 1).expect("fitted");
        let outside = rows.rows().into_iter().filter(|row| fitted.score(*row) > 1e-3).count();
        assert!((15..=31).contains(&outside), "{outside} of 300");
        assert!(fitted.score(ArrayView1::from(&[5.0, 5.0])) > fitted.score(ArrayView1::from(&[0.1, 0.0])));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let told = |settings| OneClassSvm::fit(settings, &rows(), 1).expect_err("refused").to_string();
        assert!(told(Settings { nu: 0.0, ..Settings::default() }).contains("nu"));
        assert!(told(Settings { rows: 50_000, ..Settings::default() }).contains("6000"));
    }
}
