//! From scores to p-values: the probability that an ordinary row scores as high.
//!
//! The ordinary rows are those that the detector was fitted on, or others like them, n of them. Up to their highest score the
//! p-value is (k + 1) / (n + 1), with k the number of them that score at least as high (a conformal p-value: Vovk, Gammerman
//! and Shafer 2005; Bates and others 2023). Whatever the law of the scores, a further row of the same law has a p-value below
//! α with a probability of at most α, on average over fits; for one fit the share differs, by √(α/n) or so.
//!
//! Beyond the highest score a generalised Pareto tail (Pickands 1975) goes on from 1 / (n + 1). It is fitted to the highest
//! tenth of the scores by probability-weighted moments (Hosking and Wallis 1987). A shape measured on few excesses is
//! uncertain, so it is drawn towards 0.5, a heavy tail, as if ten more excesses had shown that (Vehtari and others
//! 2024, for Pareto-smoothed importance sampling). It is not below 0: a negative one would call some scores impossible.
//!
//! Of one fit p-values may be too low throughout: the tail beyond its scores was a little heavier or lighter than theirs. A budget
//! that promises a share of false alerts must not rest on luck, so it takes the *cautious* p-value: the upper bound that holds
//! for nine fits of ten (Clopper and Pearson 1934). Rows of one entity are alike, so n rows say as much as n / d independent ones,
//! d being the design effect (Kish 1965), measured on how the rows over the start of the tail fall on entities.
//!
//! What does not hold:
//!
//! - Beyond the highest score the p-value is an extrapolation. For light tails such as a normal one it is too high. For heavy
//!   ones it is too low: of Student's t with three degrees of freedom, p < 0.1/n is up to 1.6 times as frequent as it says with
//!   n = 2000, 2.2 times with n = 300. Tails without a mean (shape 1) are worse.
//! - Frauds among the fitted rows count as ordinary ones: p-values come out too high, by up to their share f. Of further
//!   frauds of the same kind only a share of α / f has p-values under an α below f.
//! - A detector that has adapted to the rows that it was fitted on gives further rows higher scores, and so p-values that
//!   are too low. This module cannot see that: it is for the caller to give scores of rows that were not fitted, as
//!   [`Detector::fit_crossed`](super::detector::Detector::fit_crossed) does. `docs/detectors.md` has figures.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF as _};
use std::collections::BTreeMap;

/// The tail is fitted to this share of the scores, the highest, ...
const TAIL: f64 = 0.1;
/// ... and only to so many or more; with less there is no tail, and no p-value under 1 / (rows + 1).
const FEWEST: usize = 30;
/// What is believed of the shape before any score is seen: as if so many excesses had shown such a shape.
const PRIOR: (f64, f64) = (10.0, 0.5);
/// Of many scores some are kept, such that counts are at most this much too high.
const RESOLUTION: f64 = 0.005;

/// The chance that a cautious p-value of a fit is too low.
const RISK: f64 = 0.1;

/// The distribution of the scores of ordinary rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Number of fitted scores.
    rows: usize,
    /// How many of them say as much as one independent one.
    design_effect: f64,
    /// Fitted scores with their rank, the highest first; its rank is 1.
    kept: Vec<(f64, usize)>,
    tail: Option<Tail>,
}

/// P(score ≥ s) = ((1 + shape · (s − start) / scale) / (1 + shape · (highest − start) / scale))^(−1/shape) of the rows that
/// score more than the highest fitted one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Tail {
    start: f64,
    highest: f64,
    shape: f64,
    scale: f64,
}

impl Calibration {
    /// Learns the distribution of the scores of fitted rows; finite ones.
    pub fn fit(scores: &[f64]) -> Self {
        let mut falling = scores.to_vec();
        falling.sort_unstable_by(|one, other| other.total_cmp(one));
        let next = |rank: &usize| Some((rank + 1).max((*rank as f64 * (1.0 + RESOLUTION)) as usize));
        let ranks = std::iter::successors(Some(1), next).take_while(|rank| *rank <= falling.len());
        let kept = ranks.map(|rank| (falling[rank - 1], rank)).collect();
        Self { rows: falling.len(), design_effect: 1.0, kept, tail: Tail::fit(&falling) }
    }

    /// Learns as [`Calibration::fit`] does, from rows of which those of a group are alike.
    pub fn fit_grouped(scores: &[f64], groups: &[usize]) -> Self {
        Self { design_effect: design_effect(scores, groups), ..Self::fit(scores) }
    }

    /// P(an ordinary row scores at least as high), in (0, 1]. It never rises with the score.
    pub fn p_value(&self, score: f64) -> f64 {
        let at_least = self.at_least(score);
        self.beyond(at_least, score, (at_least + 1) as f64 / (self.rows + 1) as f64)
    }

    /// An upper bound of [`Calibration::p_value`] that holds for nine fits of ten.
    pub fn cautious_p_value(&self, score: f64) -> f64 {
        let at_least = self.at_least(score);
        let rows = self.rows as f64 / self.design_effect;
        let higher = at_least as f64 / self.design_effect;
        let share = match Beta::new(higher + 1.0, rows - higher) {
            Ok(bound) => bound.inverse_cdf(1.0 - RISK).min(1.0),
            // All are as high.
            Err(_) => 1.0,
        };
        self.beyond(at_least, score, share)
    }

    /// How many fitted scores are at least as high. Where some were left out, all that may be are counted.
    fn at_least(&self, score: f64) -> usize {
        let place = self.kept.partition_point(|(other, _)| *other >= score);
        self.kept.get(place).map_or(self.rows, |(_, rank)| rank - 1)
    }

    /// A share of rows at the highest fitted score, or beyond it what the tail leaves of it.
    fn beyond(&self, at_least: usize, score: f64, share: f64) -> f64 {
        match &self.tail {
            Some(tail) if at_least == 0 => (share * tail.beyond(score)).max(f64::MIN_POSITIVE),
            _ => share,
        }
    }

    /// As [`Calibration::p_value`], but the tail holds from where it begins, not from the highest score on: of the highest fitted
    /// scores it tells apart which lie further out than others.
    pub fn smooth_p_value(&self, score: f64) -> f64 {
        match &self.tail {
            Some(tail) if score > tail.start => {
                let over = (self.rows as f64 * TAIL).floor() / self.rows as f64;
                (over * (-tail.log(score)).exp()).max(f64::MIN_POSITIVE)
            }
            _ => self.p_value(score),
        }
    }
}

/// By how much more the rows over the start of the tail, counted by group, scatter than independent ones would; at least 1, and
/// at most the rows of a group.
fn design_effect(scores: &[f64], groups: &[usize]) -> f64 {
    let mut falling = scores.to_vec();
    falling.sort_unstable_by(|one, other| other.total_cmp(one));
    let over = (scores.len() as f64 * TAIL) as usize;
    let Some(start) = falling.get(over).filter(|_| over >= FEWEST) else {
        return most_alike(groups);
    };
    let mut counts: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (score, group) in scores.iter().zip(groups) {
        let (rows, high) = counts.entry(*group).or_default();
        *rows += 1.0;
        *high += f64::from(u8::from(score > start));
    }
    let all = scores.len() as f64;
    let share = counts.values().map(|(_, high)| high).sum::<f64>() / all;
    let scatter: f64 = counts.values().map(|(rows, high)| (high - rows * share).powi(2)).sum();
    let expected = share * (1.0 - share) * all;
    if expected > 0.0 { (scatter / expected).clamp(1.0, most_alike(groups)) } else { most_alike(groups) }
}

/// The design effect where all rows of a group are the same.
fn most_alike(groups: &[usize]) -> f64 {
    let different = groups.iter().collect::<std::collections::BTreeSet<_>>().len();
    (groups.len() as f64 / different.max(1) as f64).max(1.0)
}

impl Tail {
    /// `None` where there are too few scores or too many equal ones.
    fn fit(falling: &[f64]) -> Option<Self> {
        let count = (falling.len() as f64 * TAIL) as usize;
        if count < FEWEST {
            return None;
        }
        let (start, highest) = (falling[count], falling[0]);
        // The mean of the excesses, and their mean weighted with the share of excesses that are higher.
        let (mut mean, mut weighted) = (0.0, 0.0);
        for (higher, score) in falling[..count].iter().enumerate() {
            let part = (score - start) / count as f64;
            mean += part;
            weighted += part * higher as f64 / (count - 1) as f64;
        }
        if !(mean > 0.0 && mean.is_finite()) {
            return None;
        }
        // Equal excesses have a difference of 0, but for rounding, and a shape without limit below.
        let measured = 2.0 - mean / (mean - 2.0 * weighted).max(f64::MIN_POSITIVE);
        let shape = ((count as f64 * measured + PRIOR.0 * PRIOR.1) / (count as f64 + PRIOR.0)).max(0.0);
        // The mean of a generalised Pareto distribution is scale / (1 − shape).
        Some(Self { start, highest, shape, scale: mean * (1.0 - shape) })
    }

    /// Of the rows over the highest fitted one, the share that scores at least this high.
    fn beyond(&self, score: f64) -> f64 {
        (self.log(self.highest) - self.log(score)).exp()
    }

    /// −ln of the share that scores at least this high, of the rows that score more than the start.
    fn log(&self, score: f64) -> f64 {
        let excess = (score - self.start) / self.scale;
        // The limit of a shape of 0 is the exponential distribution.
        if self.shape < 1e-9 { excess } else { (self.shape * excess).ln_1p() / self.shape }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    const LAWS: [&str; 5] = ["uniform", "normal", "exponential", "log-normal", "student"];

    fn draw(law: &str, count: usize, random: &mut Random) -> Vec<f64> {
        let one = |random: &mut Random| match law {
            "uniform" => random.uniform(),
            "normal" => random.normal(),
            "exponential" => -(1.0 - random.uniform()).ln(),
            "log-normal" => random.normal().exp(),
            // With three degrees of freedom: its tail has the shape 1/3.
            "student" => {
                let squares: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
                random.normal() / (squares / 3.0).sqrt()
            }
            _ => unreachable!("a law of the test"),
        };
        (0..count).map(|_| one(random)).collect()
    }

    /// By how much p-values under each level are more frequent than they say, over fits of so many rows, of which a share
    /// is far off.
    fn frequencies<const N: usize>(law: &str, rows: usize, far: f64, levels: [f64; N]) -> [f64; N] {
        const FITS: usize = 400;
        const DRAWN: usize = 2500;
        let mut random = Random::new(11, 0);
        let mut under = [0.0; N];
        for _ in 0..FITS {
            let mut fitted = draw(law, rows, &mut random);
            let far = (rows as f64 * far) as usize;
            fitted[..far].iter_mut().for_each(|score| *score = 50.0 + 50.0 * random.uniform());
            let calibration = Calibration::fit(&fitted);
            for score in draw(law, DRAWN, &mut random) {
                let p = calibration.p_value(score);
                levels.iter().zip(&mut under).for_each(|(level, under)| *under += f64::from(u8::from(p <= *level)));
            }
        }
        let mut of = levels.iter();
        under.map(|under| under / (FITS * DRAWN) as f64 / of.next().expect("a level"))
    }

    #[test]
    fn p_values_of_further_rows_are_uniform() {
        for law in LAWS {
            let seen = frequencies(law, 2000, 0.0, [0.5, 0.1, 0.01, 0.001, 0.0001]);
            println!("{law}: {seen:.3?}");
            // Four standard errors: a fit's share under α has the standard deviation √(α/2000), and a million rows are drawn.
            for (frequency, bound) in seen.iter().zip([0.01, 0.02, 0.06, 0.20]) {
                assert!((frequency - 1.0).abs() < bound, "{law}: {seen:?}");
            }
        }
    }

    /// The share of fits of which a further row is under a level more often than the level says.
    fn luckless(law: &str, entities: usize, weeks: usize, level: f64, p: fn(&Calibration, f64) -> f64) -> f64 {
        const FITS: usize = 200;
        let mut random = Random::new(17, 0);
        let mut all = draw(law, 200_000, &mut random);
        all.sort_unstable_by(|one, other| other.total_cmp(one));
        let luckless = (0..FITS).filter(|_| {
            // An entity is the same in half of its weeks.
            let (mut scores, mut groups) = (Vec::new(), Vec::new());
            for entity in 0..entities {
                let own = draw(law, 1, &mut random)[0];
                for week in 0..weeks {
                    scores.push(if week % 2 == 0 { own } else { draw(law, 1, &mut random)[0] });
                    groups.push(entity);
                }
            }
            let calibration = Calibration::fit_grouped(&scores, &groups);
            let under = all.partition_point(|score| p(&calibration, *score) <= level);
            under as f64 > level * all.len() as f64
        });
        luckless.count() as f64 / FITS as f64
    }

    #[test]
    fn cautious_p_values_are_too_low_for_one_fit_in_ten() {
        for law in ["normal", "exponential", "student"] {
            for level in [0.05, 0.01] {
                let plain = luckless(law, 60, 8, level, Calibration::p_value);
                let cautious = luckless(law, 60, 8, level, Calibration::cautious_p_value);
                println!("{law}, {level}: {plain}, {cautious}");
                assert!(plain > 0.2 && cautious < 0.17, "{law}, {level}: {plain}, {cautious}");
            }
        }
    }

    #[test]
    fn rows_of_an_entity_that_is_always_the_same_count_once() {
        let mut random = Random::new(19, 0);
        let own = draw("normal", 400, &mut random);
        let groups: Vec<usize> = (0..4_000).map(|row| row % 400).collect();
        let same: Vec<f64> = groups.iter().map(|group| own[*group]).collect();
        assert!((design_effect(&same, &groups) - 10.0).abs() < 1.5, "{}", design_effect(&same, &groups));
        let other = draw("normal", 4_000, &mut random);
        assert!(design_effect(&other, &groups) < 1.2, "{}", design_effect(&other, &groups));
    }

    #[test]
    fn beyond_the_highest_score_p_values_hold_within_a_factor() {
        for law in LAWS {
            for (rows, bounds) in [(300, [1.7, 2.5]), (2000, [1.4, 1.8])] {
                let seen = frequencies(law, rows, 0.0, [0.3, 0.1].map(|part| part / rows as f64));
                println!("{law}, {rows} rows: {seen:.3?}");
                assert!(seen.iter().zip(bounds).all(|(seen, bound)| *seen < bound), "{law}, {rows} rows: {seen:?}");
                assert!(["uniform", "normal"].contains(&law) || seen.iter().all(|seen| *seen > 0.6), "{law}: {seen:?}");
            }
        }
    }

    #[test]
    fn frauds_among_the_fitted_make_p_values_too_high_not_too_low() {
        for law in LAWS {
            for far in [0.01, 0.05] {
                let seen = frequencies(law, 2000, far, [0.5, 0.1, 0.01, 0.001, 0.0001]);
                println!("{law}, {far} far off: {seen:.3?}");
                assert!(seen.iter().all(|frequency| *frequency < 1.0), "{law}, {far}: {seen:?}");
                // Of p-values over their share, by about their share.
                assert!((seen[1] - (1.0 - far / 0.1)).abs() < 0.05, "{law}, {far}: {seen:?}");
            }
        }
    }

    #[test]
    fn p_values_fall_as_scores_rise_and_are_never_0() {
        for law in LAWS {
            let calibration = Calibration::fit(&draw(law, 5000, &mut Random::new(13, 0)));
            let p: Vec<f64> = (-500..5000).map(|step| calibration.p_value(f64::from(step) / 100.0)).collect();
            assert!(p.windows(2).all(|pair| pair[1] <= pair[0] && pair[1] > 0.0), "{law}");
            assert!(calibration.p_value(f64::MAX) > 0.0 && calibration.p_value(f64::MIN) == 1.0, "{law}");
        }
    }

    #[test]
    fn of_many_scores_counts_are_hardly_too_high_and_never_too_low() {
        let scores: Vec<f64> = (1..=100_000).map(f64::from).collect();
        let calibration = Calibration::fit(&scores);
        assert!(calibration.kept.len() < 2000, "{}", calibration.kept.len());
        for score in scores.iter().step_by(7) {
            let (p, exact) = (calibration.p_value(*score), (100_002.0 - score) / 100_001.0);
            assert!(p >= exact && p < exact * (1.0 + 2.0 * RESOLUTION), "{score}: {p}, exactly {exact}");
        }
    }

    #[test]
    fn few_or_equal_scores_have_shares_only() {
        let few = Calibration::fit(&[1.0, 2.0, 3.0]);
        assert_eq!((few.p_value(9.0), few.p_value(3.0), few.p_value(1.0)), (0.25, 0.5, 1.0));
        let ordinary: Vec<f64> = (0..299).map(f64::from).collect();
        assert_eq!(Calibration::fit(&ordinary).p_value(1e9), 1.0 / 300.0);
        let equal = Calibration::fit(&[1.0; 500]);
        assert_eq!((equal.p_value(1.0), equal.p_value(2.0)), (1.0, 1.0 / 501.0));
        assert_eq!(Calibration::fit(&[]).p_value(0.0), 1.0);
    }

    #[test]
    fn equal_excesses_have_an_exponential_tail() {
        let scores: Vec<f64> = (0..1000).map(|row| if row < 100 { 1.1 } else { 0.3 }).collect();
        let p = Calibration::fit(&scores).p_value(1.1 + 0.8);
        assert!((p * 1001.0 - (-1.0_f64).exp()).abs() < 1e-9, "{p}");
    }
}
