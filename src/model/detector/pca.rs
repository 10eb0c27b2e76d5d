//! Distance from the mean along the principal components, each in units of its own spread: zᵀ C⁻¹ z of standardised
//! rows (Shyu and others 2003, all components; the squared distance of Mahalanobis).

use super::reference::Scale;
use super::{DetectorError, Model};
use linfa_linalg::eigh::EighInto as _;
use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// Least variance of a component, relative to that of a feature. Where columns are collinear a component has none; the
/// fitted rows then add rounding errors over this, that is nothing, and a row that breaks the collinearity adds a lot.
const LEAST_VARIANCE: f64 = 1e-6;

/// Fitted scale and inverse correlations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    scale: Scale,
    /// Features × features, symmetric.
    inverse: Array2<f64>,
}

impl Pca {
    /// Fits clean rows.
    ///
    /// # Errors
    /// The eigenvalues cannot be found.
    pub fn fit(rows: &Array2<f64>) -> Result<Self, DetectorError> {
        let scale = Scale::of(rows);
        let scaled = scale.apply_all(rows);
        if scaled.ncols() == 0 {
            return Ok(Self { scale, inverse: Array2::zeros((0, 0)) });
        }
        let correlations = scaled.t().dot(&scaled) / rows.nrows() as f64;
        let (variances, components) =
            correlations.eigh_into().map_err(|error| DetectorError::Numeric { reason: error.to_string() })?;
        let weights: Array1<f64> = variances.mapv(|variance| 1.0 / variance.max(LEAST_VARIANCE));
        let inverse = (&components * &weights).dot(&components.t());
        Ok(Self { scale, inverse })
    }
}

impl Model for Pca {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let z = Array1::from(self.scale.apply(row));
        z.dot(&self.inverse.dot(&z))
    }

    /// zⱼ (C⁻¹ z)ⱼ, which may be negative: a feature can make a row less strange.
    fn parts(&self, row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        let z = Array1::from(self.scale.apply(row));
        Some((&z * &self.inverse.dot(&z)).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    #[test]
    fn it_is_the_distance_of_mahalanobis() {
        // Uncorrelated columns: the sum of the squares of both z.
        let rows = ndarray::array![[1.0, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]];
        let fitted = Pca::fit(&rows).expect("fitted");
        let row = [3.0, 4.0];
        assert!((fitted.score(ArrayView1::from(&row)) - 13.0).abs() < 1e-12);
        let parts = fitted.parts(ArrayView1::from(&row)).expect("parts");
        assert!((parts[0] - 9.0).abs() < 1e-12 && (parts[1] - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_row_that_breaks_collinearity_is_strange_and_fitted_rows_are_not() {
        let mut random = Random::new(2, 0);
        let mut rows = Array2::from_shape_simple_fn((100, 3), || random.normal());
        let sum = &rows.column(0) + &rows.column(1);
        rows.column_mut(2).assign(&sum);
        let fitted = Pca::fit(&rows).expect("fitted");
        assert!(rows.rows().into_iter().all(|row| fitted.score(row) < 20.0));
        assert!(fitted.score(ArrayView1::from(&[1.0, 1.0, 0.0])) > 1e4);
    }

    #[test]
    fn more_features_than_rows_is_no_trouble() {
        let mut random = Random::new(2, 0);
        let rows = Array2::from_shape_simple_fn((4, 20), || random.normal());
        let fitted = Pca::fit(&rows).expect("fitted");
        assert!(rows.rows().into_iter().all(|row| fitted.score(row).is_finite()));
    }
}
