//! Drift: how far the values of a feature have moved from those that a model was trained on.

use super::median::median;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// Parts into which the training values are cut.
const BINS: usize = 10;
/// A share of nothing would make the index infinite: it counts as so many values.
const LEAST: f64 = 0.5;
/// How often chance alone stays below what is taken off the index.
const BY_CHANCE: f64 = 0.99;

/// How the training values of a feature were spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Where the tenths end, each once; none where no value is known.
    cuts: Vec<f64>,
    /// The share of the values between cuts, and last that of those that are missing.
    shares: Vec<f64>,
    /// How many values there were.
    count: usize,
}

impl Spread {
    /// Learns from the values of a feature; NaN and infinite values count as missing.
    pub fn learn(values: &[f64]) -> Self {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let mut cuts: Vec<f64> = (1..BINS).filter_map(|tenth| known.get(known.len() * tenth / BINS).copied()).collect();
        cuts.dedup();
        let shares = shares(&cuts, values);
        Self { cuts, shares, count: values.len() }
    }

    /// The population stability index of other values, less what chance alone gives, at least 0; 0 of nothing.
    ///
    /// The index is Σ (a − e) · ln(a / e) over the parts, with e the share in training and a the share now (Siddiqi 2006,
    /// chapter 8, who calls less than 0.1 stable and more than 0.25 a shift). Where nothing has moved it scatters as
    /// (1/n + 1/m) · χ² with one degree of freedom less than parts, of n values now and m in training (Yurdakul 2018): of
    /// twenty values it is mostly over 0.25. So much as it stays below in 99 of 100 is taken off.
    pub fn index(&self, values: &[f64]) -> f64 {
        if values.is_empty() {
            return 0.0;
        }
        let (now, then) = (values.len() as f64, self.count.max(1) as f64);
        let both = self.shares.iter().copied().zip(shares(&self.cuts, values));
        let parts: Vec<(f64, f64)> = both.filter(|(expected, actual)| expected + actual > 0.0).collect();
        let index: f64 = parts
            .iter()
            .map(|(expected, actual)| {
                let (expected, actual) = (expected.max(LEAST / then), actual.max(LEAST / now));
                (actual - expected) * (actual / expected).ln()
            })
            .sum();
        let chance = ChiSquared::new(parts.len() as f64 - 1.0).map_or(0.0, |chance| chance.inverse_cdf(BY_CHANCE));
        (index - chance * (1.0 / now + 1.0 / then)).max(0.0)
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
    use crate::model::random::Random;

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
        let spread = Spread { cuts: vec![1.0], shares: vec![0.5, 0.5, 0.0], count: 1_000 };
        let values = [[0.0].repeat(100), [2.0].repeat(300)].concat();
        // The quantile of χ² with one degree of freedom is that of a normal, 2.5758, squared.
        let expected =
            -0.25 * 0.5_f64.ln() + 0.25 * 1.5_f64.ln() - 2.575_829_f64.powi(2) * (1.0 / 400.0 + 1.0 / 1_000.0);
        assert!((spread.index(&values) - expected).abs() < 1e-6, "{} {expected}", spread.index(&values));
        // All are missing now.
        assert!(spread.index(&[f64::NAN; 40]) > 1.0);
        assert!(Spread::learn(&[f64::NAN; 4]).index(&[f64::INFINITY]).abs() < 1e-12);
    }

    #[test]
    fn chance_is_no_drift_and_a_shift_is() {
        let mut random = Random::new(1, 0);
        let mut draw = |count: usize, shift: f64| (0..count).map(|_| random.normal() + shift).collect::<Vec<f64>>();
        let spread = Spread::learn(&draw(400, 0.0));
        for (count, shift) in [(20, 2.0), (100, 1.0), (1_000, 0.7)] {
            let mut over = |shift: f64| (0..300).filter(|_| spread.index(&draw(count, shift)) > 0.25).count();
            let (honest, shifted) = (over(0.0), over(shift));
            assert!(honest <= 3 && shifted >= 285, "{count} values: {honest} honest, {shifted} shifted of 300");
        }
    }

    #[test]
    fn equal_values_have_one_part() {
        let spread = Spread::learn(&[3.0; 50]);
        assert!(spread.index(&[3.0; 5]).abs() < 1e-12);
        assert!(spread.index(&[2.0; 5]) > 1.0);
    }
}
