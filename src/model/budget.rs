//! The budget: which of the strange are told of.
//!
//! Of those raised at most a share `q` is expected to be false (Benjamini and Hochberg 1995, over all entities of a
//! window), and of each group at most so many are raised, those with the greatest expected loss to the fund first.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a model may tell of in a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The share of false alerts that is expected among those raised, at most.
    pub q: f64,
    /// The most alerts of a group of peers in a window.
    pub per_group: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { q: 0.1, per_group: 10 }
    }
}

/// An entity in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The probability of such a score where nothing is wrong.
    pub p: f64,
    /// What the fund paid, in fen.
    pub at_stake: i64,
    /// The probability that a verdict would confirm it, where verdicts have taught one.
    pub confirmation: Option<f64>,
    /// Its group of peers.
    pub group: &'a str,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The least `q` with which it would be raised: its p-value adjusted for how many were looked at.
    pub q: f64,
    /// The expected loss: what the fund paid times the chance that the alert is true, in fen. The chance is the probability that a
    /// verdict would confirm, or without verdicts 1 − q.
    pub expected_loss: i64,
    /// Whether it is raised.
    pub decision: Decision,
}

/// Whether a candidate is raised, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Raised,
    /// It is as strange, but others of its group come first.
    Cut,
    /// It is not strange enough.
    Usual,
}

impl Decision {
    /// The word in files and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cut => "cut",
            Self::Usual => "usual",
        }
    }
}

/// Decides over all candidates of a window.
pub fn decide(budget: Budget, candidates: &[Candidate<'_>]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = adjusted(candidates)
        .into_iter()
        .zip(candidates)
        .map(|(q, candidate)| {
            let chance = candidate.confirmation.unwrap_or(1.0 - q);
            let expected_loss = (candidate.at_stake as f64 * chance).round() as i64;
            Verdict { q, expected_loss, decision: if q <= budget.q { Decision::Cut } else { Decision::Usual } }
        })
        .collect();
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        if verdicts[place].decision == Decision::Cut {
            groups.entry(candidate.group).or_default().push(place);
        }
    }
    for mut places in groups.into_values() {
        // Equal ones in the order in which they are given.
        places.sort_by_key(|place| std::cmp::Reverse(verdicts[*place].expected_loss));
        for place in places.into_iter().take(budget.per_group) {
            verdicts[place].decision = Decision::Raised;
        }
    }
    verdicts
}

/// p-values adjusted so that those up to `q` hold a share of at most `q` of false ones, in expectation: n · p / rank, not
/// above that of any greater p.
fn adjusted(candidates: &[Candidate<'_>]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|one, other| candidates[*other].p.total_cmp(&candidates[*one].p));
    let (count, mut least) = (candidates.len() as f64, 1.0_f64);
    let mut adjusted = vec![1.0; candidates.len()];
    for (greater, place) in order.into_iter().enumerate() {
        least = least.min(candidates[place].p * count / (count - greater as f64));
        adjusted[place] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(p: f64, at_stake: i64, group: &str) -> Candidate<'_> {
        Candidate { p, at_stake, confirmation: None, group }
    }

    #[test]
    fn adjusted_p_values_are_those_of_benjamini_and_hochberg() {
        // Their own example has fifteen; this one is small enough to check by hand.
        let candidates: Vec<_> = [0.01, 0.04, 0.03, 0.5].map(|p| candidate(p, 0, "")).to_vec();
        let expected = [0.04, 0.04 * 4.0 / 3.0, 0.04 * 4.0 / 3.0, 0.5];
        for (got, expected) in adjusted(&candidates).into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        assert!(adjusted(&[]).is_empty());
    }

    #[test]
    fn the_greatest_expected_loss_goes_first_in_each_group() {
        let mut candidates = vec![
            candidate(1e-6, 100, "a"),
            candidate(1e-5, 900, "a"),
            candidate(1e-5, 500, "a"),
            candidate(1e-4, 10, "b"),
        ];
        candidates.extend((0..96).map(|_| candidate(0.5, 1_000_000, "a")));
        let decisions: Vec<Decision> =
            decide(Budget { q: 0.1, per_group: 2 }, &candidates).iter().map(|verdict| verdict.decision).collect();
        use Decision::{Cut, Raised, Usual};
        assert_eq!(decisions[..4], [Cut, Raised, Raised, Raised]);
        assert!(decisions[4..].iter().all(|decision| *decision == Usual));
        assert_eq!(decide(Budget { q: 0.1, per_group: 2 }, &candidates)[1].expected_loss, 900);
    }

    #[test]
    fn verdicts_decide_who_goes_first_and_not_who_is_strange() {
        let with = |confirmation, candidate| Candidate { confirmation: Some(confirmation), ..candidate };
        let mut candidates = vec![with(0.9, candidate(1e-4, 500, "a")), with(0.1, candidate(1e-6, 900, "a"))];
        candidates.extend((0..98).map(|_| with(1.0, candidate(0.5, 1_000_000, "a"))));
        let verdicts = decide(Budget { q: 0.1, per_group: 1 }, &candidates);
        let decisions: Vec<Decision> = verdicts.iter().map(|verdict| verdict.decision).collect();
        assert_eq!(decisions[..2], [Decision::Raised, Decision::Cut]);
        assert!(decisions[2..].iter().all(|decision| *decision == Decision::Usual));
        assert_eq!((verdicts[0].expected_loss, verdicts[1].expected_loss), (450, 90));
    }
}
