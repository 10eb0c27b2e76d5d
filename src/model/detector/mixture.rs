//! Gaussian mixture, fitted by expectation and maximisation (Dempster, Laird and Rubin 1977); the score is minus the log
//! density.
//!
//! The clusters it starts from and the Cholesky factors are linfa's, the iteration is not: linfa-clustering 0.8 adds
//! densities without the log-sum-exp, so one row far off, whose density is 0 in f64, turns every parameter into NaN,
//! and such rows are what is sought here.

use super::reference::Scale;
use super::{DetectorError, Model};
use crate::model::random::Random;
use linfa::DatasetBase;
use linfa::traits::{Fit as _, Predict as _};
use linfa_clustering::{KMeans, KMeansInit};
use linfa_linalg::cholesky::Cholesky as _;
use linfa_linalg::triangular::{SolveTriangular as _, UPLO};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Iterations, at most, and the gain in mean log density under which it has converged: scikit-learn's.
const ITERATIONS: usize = 100;
const GAIN: f64 = 1e-3;
/// Kept in each component, so that its weight is never 0.
const LEAST_SHARE: f64 = 10.0 * f64::EPSILON;

/// A component of fewer rows is left out in the end: it says what these rows are, not what is usual.
const LEAST_ROWS: f64 = 5.0;

/// The form of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covariance {
    /// Features are independent within a component: few parameters, so many components can be had.
    #[default]
    Diagonal,
    /// Features correlate.
    Full,
}

/// Settings of [`Mixture`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Components; fewer where there are not so many different rows.
    pub components: usize,
    /// Their form.
    pub covariance: Covariance,
    /// Added to each variance, in units of the feature's own: keeps a component from closing in on a few equal rows.
    pub ridge: f64,
    /// Fits from different clusters; the score is the mean of theirs, because which of them is found is luck.
    pub starts: usize,
    /// Rows fitted; of more a random sample is.
    pub rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { components: 5, covariance: Covariance::Diagonal, ridge: 1e-6, starts: 5, rows: 10_000 }
    }
}

/// Fitted components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    scale: Scale,
    /// Components by start.
    starts: Vec<Vec<Component>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Component {
    mean: Array1<f64>,
    whiten: Whiten,
    /// Logarithm of weight times density at the mean.
    peak: f64,
    /// Fitted rows that belong to it, as a sum of shares.
    rows: f64,
}

/// What turns a difference to the mean into independent unit normals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Whiten {
    Diagonal(Array1<f64>),
    /// The inverse of the lower Cholesky factor.
    Full(Array2<f64>),
}

impl Component {
    /// The component that rows with these shares have.
    fn of(settings: Settings, rows: &Array2<f64>, shares: ArrayView1<'_, f64>) -> Result<Self, DetectorError> {
        let total = shares.sum() + LEAST_SHARE;
        let mean = shares.dot(rows) / total;
        let differences = rows - &mean;
        let weighted = &differences * &shares.insert_axis(Axis(1));
        let whiten = match settings.covariance {
            Covariance::Diagonal => {
                let variances = (&weighted * &differences).sum_axis(Axis(0)) / total + settings.ridge;
                Whiten::Diagonal(variances.mapv(|variance| 1.0 / variance.sqrt()))
            }
            Covariance::Full => Whiten::Full(inverse_factor(weighted.t().dot(&differences) / total, settings.ridge)?),
        };
        let log_determinant: f64 = match &whiten {
            Whiten::Diagonal(inverse) => inverse.iter().map(|value| value.ln()).sum(),
            Whiten::Full(inverse) => inverse.diag().iter().map(|value| value.ln()).sum(),
        };
        let weight = total / rows.nrows() as f64;
        let peak = weight.ln() + log_determinant - 0.5 * rows.ncols() as f64 * std::f64::consts::TAU.ln();
        Ok(Self { mean, whiten, peak, rows: total })
    }

    /// Logarithm of weight times density, of each row.
    fn densities(&self, rows: &Array2<f64>) -> Vec<f64> {
        let differences = rows - &self.mean;
        let white = match &self.whiten {
            Whiten::Diagonal(inverse) => differences * inverse,
            Whiten::Full(inverse) => differences.dot(&inverse.t()),
        };
        white.rows().into_iter().map(|row| self.peak - 0.5 * row.dot(&row)).collect()
    }

    fn density(&self, row: &Array1<f64>) -> f64 {
        let difference = row - &self.mean;
        let white = match &self.whiten {
            Whiten::Diagonal(inverse) => difference * inverse,
            Whiten::Full(inverse) => inverse.dot(&difference),
        };
        self.peak - 0.5 * white.dot(&white)
    }
}

/// The inverse of the Cholesky factor of a covariance with a ridge; a wider one where rounding makes it necessary.
fn inverse_factor(covariance: Array2<f64>, ridge: f64) -> Result<Array2<f64>, DetectorError> {
    let mut ridge = ridge.max(1e-9);
    loop {
        let mut widened = covariance.clone();
        widened.diag_mut().mapv_inplace(|variance| variance + ridge);
        let size = widened.nrows();
        match widened.cholesky().and_then(|factor| factor.solve_triangular(&Array2::eye(size), UPLO::Lower)) {
            Ok(inverse) => return Ok(inverse),
            Err(_) if ridge < 1.0 => ridge *= 10.0,
            Err(error) => return Err(DetectorError::Numeric { reason: error.to_string() }),
        }
    }
}

/// ln Σ exp, which does not run out of numbers.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    greatest + terms.map(|term| (term - greatest).exp()).sum::<f64>().ln()
}

impl Mixture {
    /// Fits clean rows. Work is split by component, so threads do not change the order of any sum.
    ///
    /// # Errors
    /// The settings are out of range, or a covariance has no factor.
    pub fn fit(settings: Settings, rows: &Array2<f64>, seed: u64) -> Result<Self, DetectorError> {
        for (setting, value) in [("components", settings.components), ("starts", settings.starts)] {
            if value == 0 {
                return Err(DetectorError::Setting { setting, value: 0.0, range: "at least 1" });
            }
        }
        let scale = Scale::of(rows);
        let sample = Random::new(seed, 0).sample(rows.nrows(), settings.rows);
        let scaled = scale.apply_all(&rows.select(Axis(0), &sample));
        let starts = if settings.components == 1 { 1 } else { settings.starts };
        let climb = |start| Self::climb(settings, &scaled, Random::new(seed, start as u64));
        Ok(Self { scale, starts: (1..=starts).map(climb).collect::<Result<_, _>>()? })
    }

    /// Goes up the likelihood from random clusters until it hardly rises.
    fn climb(settings: Settings, scaled: &Array2<f64>, random: Random) -> Result<Vec<Component>, DetectorError> {
        let mut shares = first_shares(settings.components, scaled, random)?;
        let mut before = f64::NEG_INFINITY;
        let maximise = |shares: &Array2<f64>| -> Result<Vec<Component>, DetectorError> {
            (0..shares.ncols())
                .into_par_iter()
                .map(|number| Component::of(settings, scaled, shares.column(number)))
                .collect()
        };
        let mut components = maximise(&shares)?;
        for _ in 0..ITERATIONS {
            let densities: Vec<Vec<f64>> = components.par_iter().map(|component| component.densities(scaled)).collect();
            let mut sum = 0.0;
            for (row, mut shares) in shares.rows_mut().into_iter().enumerate() {
                let total = log_sum(densities.iter().map(|column| column[row]));
                sum += total;
                shares.iter_mut().zip(&densities).for_each(|(share, column)| *share = (column[row] - total).exp());
            }
            components = maximise(&shares)?;
            let mean = sum / scaled.nrows() as f64;
            if mean - before < GAIN {
                break;
            }
            before = mean;
        }
        // A handful of rows that have a component to themselves would be the most usual of all.
        let usual = components.iter().filter(|component| component.rows >= LEAST_ROWS).count();
        if usual > 0 {
            components.retain(|component| component.rows >= LEAST_ROWS);
        }
        Ok(components)
    }
}

/// Rows × components: 1 for the cluster that a row is in.
fn first_shares(components: usize, rows: &Array2<f64>, random: Random) -> Result<Array2<f64>, DetectorError> {
    // linfa's k-means panics when it runs out of different rows.
    let places = |row: ArrayView1<'_, f64>| row.iter().map(|value| (value * 1e9).round().to_bits()).collect::<Vec<_>>();
    let mut different = BTreeSet::new();
    for row in rows.rows() {
        different.insert(places(row));
        if different.len() > components {
            break;
        }
    }
    let components = components.min(different.len().saturating_sub(1)).max(1);
    let mut shares = Array2::zeros((rows.nrows(), components));
    if components == 1 {
        shares.fill(1.0);
        return Ok(shares);
    }
    let clusters = KMeans::params_with_rng(components, random.generator())
        .init_method(KMeansInit::KMeansPlusPlus)
        .n_runs(1)
        .max_n_iterations(50)
        .fit(&DatasetBase::from(rows.view()))
        .map_err(|error| DetectorError::Numeric { reason: error.to_string() })?;
    for (row, cluster) in clusters.predict(rows).into_iter().enumerate() {
        shares[(row, cluster)] = 1.0;
    }
    Ok(shares)
}

impl Model for Mixture {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let row = Array1::from(self.scale.apply(row));
        let log_density = |components: &Vec<Component>| {
            let densities: Vec<f64> = components.iter().map(|component| component.density(&row)).collect();
            log_sum(densities.into_iter())
        };
        -self.starts.iter().map(log_density).sum::<f64>() / self.starts.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clusters of different width, one row far away.
    fn rows() -> Array2<f64> {
        let mut random = Random::new(6, 0);
        let mut rows =
            Array2::from_shape_fn(
                (400, 2),
                |(row, _)| if row < 200 { random.normal() } else { 20.0 + 0.1 * random.normal() },
            );
        rows.row_mut(0).assign(&ndarray::array![1e6, -1e6]);
        rows
    }

    #[test]
    fn one_normal_has_its_density() {
        let rows = ndarray::array![[1.0, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]];
        for covariance in [Covariance::Diagonal, Covariance::Full] {
            let settings = Settings { components: 1, covariance, ridge: 0.0, ..Settings::default() };
            let fitted = Mixture::fit(settings, &rows, 1).expect("fitted");
            let expected = 0.5 * 13.0 + std::f64::consts::TAU.ln();
            assert!((fitted.score(ArrayView1::from(&[3.0, 4.0])) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn between_two_clusters_is_strange_even_with_a_row_far_off() {
        let mut rows = rows();
        rows.row_mut(0).assign(&ndarray::array![1e3, -1e3]);
        for covariance in [Covariance::Diagonal, Covariance::Full] {
            let settings = Settings { components: 3, covariance, ..Settings::default() };
            let fitted = Mixture::fit(settings, &rows, 1).expect("fitted");
            let score = |at: f64| fitted.score(ArrayView1::from(&[at, at]));
            assert!(score(10.0) > score(0.0) + 5.0 && score(10.0) > score(20.0) + 5.0, "{covariance:?}");
        }
    }

    #[test]
    fn a_row_far_off_leaves_finite_scores() {
        for covariance in [Covariance::Diagonal, Covariance::Full] {
            let fitted = Mixture::fit(Settings { covariance, ..Settings::default() }, &rows(), 1).expect("fitted");
            assert!(rows().rows().into_iter().all(|row| fitted.score(row).is_finite()));
            assert!(fitted.score(ArrayView1::from(&[1e90, 0.0])).is_finite());
        }
    }

    #[test]
    fn no_components_are_refused() {
        let settings = Settings { components: 0, ..Settings::default() };
        assert!(Mixture::fit(settings, &rows(), 1).expect_err("refused").to_string().contains("components"));
    }
}
