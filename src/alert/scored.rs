//! What an alert of a model says beyond that of a rule.

use crate::record::Day;
use serde::{Deserialize, Serialize};

/// A model's judgement of an entity in a window, as it stands in an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The higher the stranger.
    pub score: f64,
    /// The probability of such a score where nothing is wrong.
    pub p_value: f64,
    /// The p-value adjusted for how many entities were looked at: the share of false alerts that is expected among those as
    /// strange as this one.
    pub q_value: f64,
    /// The probability that a verdict would confirm it as fraud; absent of a model that has learned from no verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_probability: Option<f64>,
    /// The days that were looked at.
    pub window: Days,
    /// The first day of the earliest window before this one that features read.
    pub reads_from: Day,
    /// Beside whom.
    pub peers: PeerGroup,
    /// What each feature adds to the score, the most first.
    pub contributions: Vec<FeatureContribution>,
}

/// Days, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
}

/// Entities like one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGroup {
    /// What they have in common, for example `3/inpatient`; empty: everybody.
    pub group: String,
    /// How many different entities it had when the model was trained.
    pub entities: usize,
}

/// What a feature adds to a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureContribution {
    /// Its name in the model file.
    pub feature: String,
    /// What it adds.
    pub contribution: f64,
    /// Its value; `None` where it has none.
    pub value: Option<f64>,
    /// The median among peers.
    pub peer_median: Option<f64>,
    /// The median over the entity's own windows before this one.
    pub own_median: Option<f64>,
}
