//! What the budget has cut: as strange as what is raised, but told of only when someone asks.

use super::file::Model;
use super::observer::FeatureRow;
use super::trained::Judgement;
use crate::alert::scored::{Days, PeerGroup};
use crate::alert::yuan;
use crate::record::Day;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// An entity in a window that is as strange as those that are raised, and comes behind them in its group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// The model's id.
    pub rule_id: String,
    /// The version of the trained model.
    pub rule_version: Arc<str>,
    /// Who: `subject.id` of an alert.
    pub entity: String,
    /// The institution; absent for persons.
    pub fixmedins_code: Option<String>,
    /// When.
    pub window: Days,
    /// Beside whom.
    pub peers: PeerGroup,
    /// As of an alert.
    pub score: f64,
    /// As of an alert.
    pub p_value: f64,
    /// As of an alert.
    pub q_value: f64,
    /// As of an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation_probability: Option<f64>,
    /// What the fund paid, in fen; written in yuan.
    #[serde(serialize_with = "in_yuan")]
    pub fund_paid: i64,
    /// That times the chance that the finding is true, by verdicts or else 1 − q, by which the budget ranks.
    #[serde(serialize_with = "in_yuan")]
    pub expected_loss: i64,
}

impl LeftOut {
    /// Writes down who was cut.
    pub fn of(model: &Model, version: &Arc<str>, row: &FeatureRow, judgement: &Judgement) -> Self {
        Self {
            rule_id: model.file.id.clone(),
            rule_version: version.clone(),
            entity: row.entity.clone(),
            fixmedins_code: row.institution.clone(),
            window: Days { from: row.start, to: Day(model.file.window.end(row.start).0 - 1) },
            peers: PeerGroup { group: judgement.group.clone(), entities: judgement.peers },
            score: judgement.score,
            p_value: judgement.p,
            q_value: judgement.verdict.q,
            confirmation_probability: judgement.confirmation,
            fund_paid: row.at_stake,
            expected_loss: judgement.verdict.expected_loss,
        }
    }
}

fn in_yuan<S: Serializer>(fen: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    yuan(*fen).serialize(serializer)
}
