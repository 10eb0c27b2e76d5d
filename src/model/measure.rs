//! How well scores find what is labelled.
//!
//! Ties are treated as what they are, never as luck of the order: each measure is a function of the multiset of pairs
//! (score, label).

use super::random::Random;
use serde::Serialize;

/// z of a two-sided interval of 95 %.
const Z_95: f64 = 1.959_963_984_540_054;
/// Enough that the ends of an interval of 95 % vary by about a hundredth of its width.
const RESAMPLES: usize = 500;

/// An estimate with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The measure on the rows given.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Rows of equal score.
struct Group {
    found: u64,
    rows: u64,
}

/// Groups of equal scores, the highest first. NaN counts as the lowest.
fn groups(labels: &[bool], scores: &[f64]) -> Vec<Group> {
    assert_eq!(labels.len(), scores.len(), "a score for each label");
    let mut rows: Vec<(f64, bool)> = scores
        .iter()
        .map(|score| if score.is_nan() { f64::NEG_INFINITY } else { *score })
        .zip(labels.iter().copied())
        .collect();
    rows.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
    let groups = rows.chunk_by(|one, other| one.0 == other.0);
    groups
        .map(|rows| Group { found: rows.iter().filter(|row| row.1).count() as u64, rows: rows.len() as u64 })
        .collect()
}

/// Area under the receiver operating characteristic: the probability that a labelled row scores higher than another, ties
/// counting one half. Exact up to the last division (Mann–Whitney). `None` unless there are rows of both kinds.
///
/// # Panics
/// Labels and scores have different lengths.
pub fn roc_auc(labels: &[bool], scores: &[f64]) -> Option<f64> {
    let groups = groups(labels, scores);
    let (mut lower_others, mut twice_won, mut found, mut others) = (0, 0_u128, 0_u128, 0_u128);
    for group in groups.iter().rev() {
        let group_others = group.rows - group.found;
        twice_won += u128::from(group.found) * u128::from(2 * lower_others + group_others);
        lower_others += group_others;
        found += u128::from(group.found);
        others += u128::from(group_others);
    }
    (found > 0 && others > 0).then(|| twice_won as f64 / (2 * found * others) as f64)
}

/// Average precision: the sum over thresholds of the precision times the gain in recall, rows of equal score passing
/// together, as in scikit-learn. `None` without labelled rows.
///
/// # Panics
/// Labels and scores have different lengths.
pub fn average_precision(labels: &[bool], scores: &[f64]) -> Option<f64> {
    average_precision_of(&groups(labels, scores))
}

fn average_precision_of(groups: &[Group]) -> Option<f64> {
    let (mut found, mut rows, mut sum) = (0, 0, 0.0);
    for group in groups {
        found += group.found;
        rows += group.rows;
        sum += group.found as f64 * found as f64 / rows as f64;
    }
    (found > 0).then(|| sum / found as f64)
}

/// How many of the `k` rows of highest score are labelled. Of rows that tie at the cut the expected number under a random
/// order is taken, so it need not be a whole number.
///
/// # Panics
/// Labels and scores have different lengths.
pub fn found_among(labels: &[bool], scores: &[f64], k: usize) -> f64 {
    let (mut left, mut found) = (k as u64, 0.0);
    for group in groups(labels, scores) {
        let taken = left.min(group.rows);
        found += group.found as f64 * taken as f64 / group.rows as f64;
        left -= taken;
    }
    found
}

/// A share with the interval of Wilson (1927). `None` of nothing.
pub fn share(found: usize, of: usize) -> Option<Estimate> {
    if of == 0 {
        return None;
    }
    let (count, value) = (of as f64, found as f64 / of as f64);
    let squared = Z_95 * Z_95 / count;
    let middle = (value + squared / 2.0) / (1.0 + squared);
    let width = Z_95 / (1.0 + squared) * (value * (1.0 - value) / count + squared / (4.0 * count)).sqrt();
    Some(Estimate { value, low: (middle - width).max(0.0), high: (middle + width).min(1.0) })
}

/// ROC-AUC with the interval of DeLong, DeLong and Clarke-Pearson (1988), taken on the logit so that it stays within
/// (0, 1). It needs no resampling. `None` unless there are two rows of each kind.
///
/// # Panics
/// Labels and scores have different lengths.
pub fn roc_auc_interval(labels: &[bool], scores: &[f64]) -> Option<Estimate> {
    let value = roc_auc(labels, scores)?;
    let split = |kind: bool| -> Vec<f64> {
        let mut kept: Vec<f64> =
            labels.iter().zip(scores).filter(|(label, _)| **label == kind).map(|(_, score)| *score).collect();
        kept.sort_unstable_by(f64::total_cmp);
        kept
    };
    let (found, others) = (split(true), split(false));
    if found.len() < 2 || others.len() < 2 {
        return None;
    }
    // The share of the other kind that each row wins against; the variance of the AUC is the sum of their variances.
    let below = |sorted: &[f64], score: f64| {
        let less = sorted.partition_point(|other| *other < score);
        let not_more = sorted.partition_point(|other| *other <= score);
        (less + not_more) as f64 / (2 * sorted.len()) as f64
    };
    let variance = |rows: &[f64], against: &[f64]| {
        let shares: Vec<f64> = rows.iter().map(|score| below(against, *score)).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
        squares / (shares.len() - 1) as f64 / shares.len() as f64
    };
    let error = (variance(&found, &others) + variance(&others, &found)).sqrt();
    let inside = value * (1.0 - value);
    if inside <= 0.0 {
        // Nothing varies: the interval is the point.
        return Some(Estimate { value, low: value, high: value });
    }
    let (logit, width) = ((value / (1.0 - value)).ln(), Z_95 * error / inside);
    let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    Some(Estimate { value, low: back(logit - width), high: back(logit + width) })
}

/// Average precision with the percentile interval of a stratified bootstrap: labelled and other rows are drawn apart, so
/// that the share of the labelled, on which the measure depends, stays.
///
/// # Panics
/// Labels and scores have different lengths.
pub fn average_precision_interval(labels: &[bool], scores: &[f64], seed: u64) -> Option<Estimate> {
    let groups = groups(labels, scores);
    let value = average_precision_of(&groups)?;
    let mut random = Random::new(seed, 0);
    // The group of each row, by kind: drawing a row is drawing one of these.
    let members = |count: fn(&Group) -> u64| -> Vec<usize> {
        groups
            .iter()
            .enumerate()
            .flat_map(|(number, group)| std::iter::repeat_n(number, count(group) as usize))
            .collect()
    };
    let (found, others) = (members(|group| group.found), members(|group| group.rows - group.found));
    let mut values: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let mut drawn: Vec<Group> = groups.iter().map(|_| Group { found: 0, rows: 0 }).collect();
            for _ in 0..found.len() {
                let group = &mut drawn[found[random.below(found.len())]];
                (group.found, group.rows) = (group.found + 1, group.rows + 1);
            }
            for _ in 0..others.len() {
                drawn[others[random.below(others.len())]].rows += 1;
            }
            drawn.retain(|group| group.rows > 0);
            average_precision_of(&drawn)
        })
        .collect();
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Some(Estimate { value, low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 6] = [true, false, true, false, false, true];

    #[test]
    fn measures_by_hand() {
        // Pairs won: 0.9 beats three; 0.5 ties with one and beats one; 0.1 beats none.
        let scores = [0.9, 0.5, 0.5, 0.6, 0.2, 0.1];
        assert_eq!(roc_auc(&LABELS, &scores), Some(4.5 / 9.0));
        // Thresholds at 0.9 (1/1), 0.5 (2/4, one more found), 0.1 (3/6).
        let expected = (1.0 + 2.0 / 4.0 + 3.0 / 6.0) / 3.0;
        assert!((average_precision(&LABELS, &scores).expect("labels") - expected).abs() < 1e-15);
        assert_eq!(found_among(&LABELS, &scores, 1), 1.0);
        assert_eq!(found_among(&LABELS, &scores, 3), 1.5);
        assert_eq!(found_among(&LABELS, &scores, 99), 3.0);
    }

    #[test]
    fn the_interval_of_a_share() {
        // Newcombe (1998), table I: 81 of 263 and 0 of 20.
        let estimate = share(81, 263).expect("something");
        assert!((estimate.low - 0.2553).abs() < 5e-5 && (estimate.high - 0.3662).abs() < 5e-5, "{estimate:?}");
        let none = share(0, 20).expect("something");
        assert!(none.low == 0.0 && (none.high - 0.1611).abs() < 5e-5, "{none:?}");
        assert!(share(0, 0).is_none());
    }

    #[test]
    fn equal_scores_say_nothing() {
        assert_eq!(roc_auc(&LABELS, &[1.0; 6]), Some(0.5));
        assert_eq!(average_precision(&LABELS, &[1.0; 6]), Some(0.5));
    }

    #[test]
    fn one_kind_of_rows_has_no_measure() {
        assert_eq!(roc_auc(&[true, true], &[1.0, 2.0]), None);
        assert_eq!(average_precision(&[false, false], &[1.0, 2.0]), None);
        assert!(roc_auc_interval(&[true, false, false], &[1.0, 2.0, 3.0]).is_none());
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        // Normal scores, the labelled ones one standard deviation higher: the true area is Phi(1 / sqrt 2).
        let truth = 0.760_249_938_906_528;
        let covered = (0..400)
            .filter(|seed| {
                let mut random = Random::new(*seed, 1);
                let labels: Vec<bool> = (0..200).map(|row| row % 5 == 0).collect();
                let scores: Vec<f64> =
                    labels.iter().map(|label| random.normal() + f64::from(u8::from(*label))).collect();
                let interval = roc_auc_interval(&labels, &scores).expect("both kinds");
                (interval.low..interval.high).contains(&truth)
            })
            .count();
        assert!((368..=392).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn the_bootstrap_is_the_same_for_a_seed_and_holds_the_value() {
        let mut random = Random::new(3, 1);
        let labels: Vec<bool> = (0..300).map(|row| row % 10 == 0).collect();
        let scores: Vec<f64> = labels.iter().map(|label| random.normal() + 2.0 * f64::from(u8::from(*label))).collect();
        let once = average_precision_interval(&labels, &scores, 7).expect("labels");
        assert_eq!(Some(once), average_precision_interval(&labels, &scores, 7));
        assert_ne!(Some(once), average_precision_interval(&labels, &scores, 8));
        assert!(once.low < once.value && once.value < once.high && once.high - once.low < 0.5, "{once:?}");
    }
}
