//! Drift: how far the values of a feature have moved from those that a model was trained on.

use super::median::median;
use serde::{Deserialize, Serialize};

/// Parts into which the training values are cut.
const BINS: usize = 10;
/// A share of nothing would make the index infinite.
const LEAST_SHARE: f64 = 1e-4;

/// How the training values of a feature were spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Where the tenths end, each once; none where no value is known.
    cuts: Vec<f64>,
    /// The share of the values between cuts, and last that of those that are missing.
    shares: Vec<f64>,
}

impl Spread {
    /// Learns from the values of a feature; NaN and infinite values count as missing.
    pub fn learn(values: &[f64]) -> Self {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let mut cuts: Vec<f64> = (1..BINS).filter_map(|tenth| known.get(known.len() * tenth / BINS).copied()).collect();
        cuts.dedup();
        let shares = shares(&cuts, values);
        Self { cuts, shares }
    }

    /// The population stability index of other values: Σ (a − e) · ln(a / e) over the parts, with e the share in training
    /// and a the share now (Siddiqi 2006, chapter 8, who calls less than 0.1 stable and more than 0.25 a shift). 0 of
    /// nothing.
    pub fn index(&self, values: &[f64]) -> f64 {
        if values.is_empty() {
            return 0.0;
        }
        let both = self.shares.iter().zip(shares(&self.cuts, values));
        both.map(|(expected, actual)| {
            let (expected, actual) = (expected.max(LEAST_SHARE), actual.max(LEAST_SHARE));
            (actual - expected) * (actual / expected).ln()
        })
        .sum()
    }
}

fn shares(cuts: &[f64], values: &[f64]) -> Vec<f64> {
    let mut counts = vec![0_usize; cuts.len() + 2];
    for value in values {
        let place = if value.is_finite() { cuts.partition_point(|cut| cut <= value) } else { cuts.len() + 1 };
        counts[place] += 1;
    }
    counts.into_iter().map(|count| count as f64 / values.len().max(1) as f64).collect()
}

/// The median of what is known.
pub fn known_median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    median(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_alike_has_not_moved() {
        let training: Vec<f64> = (0..1_000).map(f64::from).collect();
        let spread = Spread::learn(&training);
        assert!(spread.index(&training).abs() < 1e-12);
        let others: Vec<f64> = (0..500).map(|value| f64::from(value) * 2.0 + 0.5).collect();
        assert!(spread.index(&others) < 0.01, "{}", spread.index(&others));
        assert!(spread.index(&[]).abs() < 1e-12);
    }

    #[test]
    fn the_index_by_hand() {
        // Half below and half above before, a quarter and three quarters now.
        let spread = Spread { cuts: vec![1.0], shares: vec![0.5, 0.5, 0.0] };
        let index = spread.index(&[0.0, 1.0, 2.0, 3.0]);
        let expected = -0.25 * 0.5_f64.ln() + 0.25 * 1.5_f64.ln();
        assert!((index - expected).abs() < 1e-12, "{index} {expected}");
        // All are missing now.
        assert!(spread.index(&[f64::NAN; 4]) > 1.0);
        assert!(Spread::learn(&[f64::NAN; 4]).index(&[f64::INFINITY]).abs() < 1e-12);
    }

    #[test]
    fn equal_values_have_one_part() {
        let spread = Spread::learn(&[3.0; 50]);
        assert!(spread.index(&[3.0; 5]).abs() < 1e-12);
        assert!(spread.index(&[2.0; 5]) > 1.0);
    }
}
