//! From scores to p-values: the probability that an ordinary row scores as high.
//!
//! The ordinary rows are those that the detector was fitted on. Below the 95th percentile of their scores the p-value is
//! the share of them that score as high. Beyond, a generalised Pareto tail (Pickands 1975) goes on without a jump. It is
//! fitted to the excesses over the 80th percentile, and of the highest 5 % only their number is used (a censored maximum
//! likelihood): a few per cent of frauds among the fitted rows do not lengthen the tail that they are measured on. What
//! they cannot but do is lift the share: p-values are then too high by about their share, never too low.
//!
//! The tail's shape is kept within [0, 1]: a negative one claims a score that no ordinary row can exceed, and its estimate
//! from the body is so uncertain that p-values came out five times too low. The price is that of light tails, such as a
//! normal one, far fewer rows fall below a small p than it says.

use serde::{Deserialize, Serialize};

/// The tail is fitted over this quantile of the fitted scores, ...
const BODY: f64 = 0.80;
/// ... and used over this one.
const CENSORED: f64 = 0.95;
/// Fewer rows than these say nothing about a tail; the p-value is then at least 1 / (rows + 1).
const FEWEST: usize = 100;
/// Quantiles that are kept: p-values over 5 % need no finer ones.
const KEPT: usize = 2000;

/// The distribution of the scores of ordinary rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Ascending; all fitted scores, or evenly spaced ones of many.
    scores: Vec<f64>,
    tail: Option<Tail>,
}

/// P(score ≥ s) = share · ((1 + shape · (s − start) / scale) / (1 + shape · (from − start) / scale))^(−1/shape), from
/// `from` on; an exponential where the shape is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Tail {
    start: f64,
    from: f64,
    share: f64,
    shape: f64,
    scale: f64,
    /// Excess over `start` from which the tail is an exponential; the greatest number where it never is.
    until: f64,
}

/// Shapes that are tried, as multiples of 0.05.
const SHAPES: std::ops::RangeInclusive<i32> = 0..=20;

impl Calibration {
    /// Learns the distribution of the scores of fitted rows; finite ones.
    pub fn fit(scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let tail = if sorted.len() < FEWEST { None } else { Tail::fit(&sorted) };
        if sorted.len() > KEPT {
            let last = sorted.len() - 1;
            sorted = (0..KEPT).map(|number| sorted[number * last / (KEPT - 1)]).collect();
        }
        Self { scores: sorted, tail }
    }

    /// P(an ordinary row scores at least as high), in (0, 1]. It never rises with the score.
    pub fn p_value(&self, score: f64) -> f64 {
        match &self.tail {
            Some(tail) if score > tail.from => tail.share * tail.beyond(score),
            tail => {
                let at_least = self.scores.len() - self.scores.partition_point(|other| *other < score);
                let share = (at_least + 1) as f64 / (self.scores.len() + 1) as f64;
                // The share is that of all rows, and the kept quantiles may be a little off.
                tail.map_or(share, |tail| share.max(tail.share))
            }
        }
    }
}

impl Tail {
    /// `None` where too many scores are equal for a tail.
    fn fit(sorted: &[f64]) -> Option<Self> {
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        let (start, from) = (at(BODY), at(CENSORED));
        let limit = from - start;
        let excesses: Vec<f64> =
            sorted.iter().filter(|score| **score > start && **score <= from).map(|score| score - start).collect();
        let censored = sorted.iter().filter(|score| **score > from).count();
        if !(limit > 0.0 && limit.is_finite()) || excesses.len() < 10 || censored == 0 {
            return None;
        }
        // In units of the limit the best scale lies within a few orders of magnitude whatever the scores are.
        let likelihood = |shape: f64, scale: f64| -> f64 {
            let seen: f64 =
                excesses.iter().map(|excess| (1.0 + 1.0 / shape) * (shape * excess / scale).ln_1p() + scale.ln()).sum();
            -(seen + censored as f64 * (shape * limit / scale).ln_1p() / shape)
        };
        let mut best = (f64::NEG_INFINITY, 0.0, 0.0);
        for step in SHAPES {
            // A shape of 0 is the limit of small ones.
            let shape = if step == 0 { 1e-6 } else { f64::from(step) * 0.05 };
            // A tail with an end must end after the limit.
            let least = if shape < 0.0 { (-shape).ln() + 1e-3 } else { -7.0 };
            let log_scale = highest(|log_scale| likelihood(shape, limit * f64::exp(log_scale)), least, 7.0);
            let scale = limit * log_scale.exp();
            let value = likelihood(shape, scale);
            if value > best.0 {
                best = (value, shape, scale);
            }
        }
        let share = sorted.iter().filter(|score| **score >= from).count() as f64 / sorted.len() as f64;
        let (_, shape, scale) = best;
        let rare = 0.1 / sorted.len() as f64 / share;
        let end = (1.0 + shape * limit / scale) * rare.powf(-shape) - 1.0;
        let until = if shape < 0.0 { end * scale / shape } else { f64::MAX };
        Some(Self { start, from, share, shape, scale, until })
    }

    /// Of the rows from `from` on, the share that scores at least this high; over 0 for any number.
    fn beyond(&self, score: f64) -> f64 {
        let log = |excess: f64| (self.shape * excess / self.scale).ln_1p() / self.shape;
        let excess = score - self.start;
        let straight = (excess - self.until).max(0.0) / (self.scale + self.shape * self.until.min(excess));
        (log(self.from - self.start) - log(excess.min(self.until)) - straight).exp().max(f64::MIN_POSITIVE)
    }
}

/// Where a function with one summit is highest, by the golden section.
fn highest(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    while high - low > 1e-4 {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if function(left) < function(right) { low = left } else { high = right }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    fn draw(kind: &str, count: usize, random: &mut Random) -> Vec<f64> {
        let one = |random: &mut Random| match kind {
            "uniform" => random.uniform(),
            "normal" => random.normal(),
            "exponential" => -(1.0 - random.uniform()).ln(),
            "heavy" => (1.0 - random.uniform()).powf(-0.4),
            _ => unreachable!("a kind of the test"),
        };
        (0..count).map(|_| one(random)).collect()
    }

    /// Greatest distance between the distribution of p-values and the uniform one.
    fn distance(mut p: Vec<f64>) -> f64 {
        p.sort_unstable_by(f64::total_cmp);
        let count = p.len() as f64;
        p.iter()
            .enumerate()
            .map(|(rank, p)| (p - rank as f64 / count).abs().max((p - (rank + 1) as f64 / count).abs()))
            .fold(0.0, f64::max)
    }

    #[test]
    fn p_values_of_ordinary_rows_are_uniform() {
        for kind in ["uniform", "normal", "exponential", "heavy"] {
            let mut random = Random::new(11, 0);
            let calibration = Calibration::fit(&draw(kind, 4000, &mut random));
            let p: Vec<f64> =
                draw(kind, 20_000, &mut random).into_iter().map(|score| calibration.p_value(score)).collect();
            // Kolmogorov and Smirnov, two samples, one in a thousand: 1.95 √(1/4000 + 1/20000) = 0.034.
            let far = distance(p.clone());
            assert!(far < 0.034, "{kind}: {far}");
            // Far out, where alerts are: not more than half as many again as promised, of bounded scores far fewer.
            let under = p.iter().filter(|p| **p < 0.001).count();
            assert!(under <= 34, "{kind}: {under} of 20 expected");
            assert!(["uniform", "normal"].contains(&kind) || under >= 6, "{kind}: {under} of 20 expected");
        }
    }

    #[test]
    fn frauds_among_the_fitted_do_not_lengthen_the_tail() {
        let mut random = Random::new(12, 0);
        let mut fitted = draw("normal", 3880, &mut random);
        fitted.extend((0..120).map(|number| 8.0 + f64::from(number)));
        let calibration = Calibration::fit(&fitted);
        assert!(calibration.p_value(8.0) < 1e-3, "{}", calibration.p_value(8.0));
        let p: Vec<f64> =
            draw("normal", 20_000, &mut random).into_iter().map(|score| calibration.p_value(score)).collect();
        assert!(distance(p.clone()) < 0.034 + 0.03);
        assert!(p.iter().filter(|p| **p < 0.01).count() <= 220, "never more than promised");
    }

    #[test]
    fn p_values_fall_as_scores_rise_and_are_never_0() {
        for kind in ["uniform", "normal", "exponential", "heavy"] {
            let calibration = Calibration::fit(&draw(kind, 5000, &mut Random::new(13, 0)));
            let p: Vec<f64> = (-500..5000).map(|step| calibration.p_value(f64::from(step) / 100.0)).collect();
            assert!(p.windows(2).all(|pair| pair[1] <= pair[0] && pair[1] > 0.0), "{kind}");
            assert!(calibration.p_value(f64::MAX) > 0.0 && calibration.p_value(f64::MIN) == 1.0, "{kind}");
        }
    }

    #[test]
    fn few_or_equal_scores_have_shares_only() {
        let few = Calibration::fit(&[1.0, 2.0, 3.0]);
        assert_eq!((few.p_value(9.0), few.p_value(3.0), few.p_value(1.0)), (0.25, 0.5, 1.0));
        let equal = Calibration::fit(&[1.0; 500]);
        assert_eq!((equal.p_value(1.0), equal.p_value(2.0)), (1.0, 1.0 / 501.0));
        assert_eq!(Calibration::fit(&[]).p_value(0.0), 1.0);
    }
}
