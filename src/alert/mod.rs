//! Alerts: findings as they are sent (contract, section 2).

use crate::record::{Day, Time};
use crate::rules::rule::{Bilingual, Conclusion, Severity, SubjectKind};
use scored::Scored;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

pub mod book;
pub mod scored;
pub mod stored;

/// One revision of an alert; serializes to the JSON of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// The same for the same finding in any run.
    pub alert_id: AlertId,
    /// 1, 2, …
    pub revision: u32,
    /// Whether its records still support it.
    pub status: AlertStatus,
    /// Why it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_reason: Option<&'static str>,
    /// The finding itself.
    #[serde(flatten)]
    pub finding: Arc<Finding>,
    /// Wall clock of this revision, local time.
    pub detected_at: Time,
    /// Whether the rule only runs in shadow: counted and stored, not sent.
    #[serde(skip)]
    pub shadow: bool,
}

/// 128 bits of a hash over the rule's id and the finding's identity, written in 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u128);

impl AlertId {
    /// Of what a rule or a model finds about an identity.
    pub fn of<'a>(rule: &str, identity: impl Iterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        hash.update(rule.as_bytes());
        for part in identity {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let (half, _) = digest.split_at(16);
        Self(u128::from_be_bytes(half.try_into().expect("half of 32 bytes")))
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::fmt::Debug for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for AlertId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Time::parse(text.as_bytes()).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time")))
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Day::parse(text.as_bytes()).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no day")))
    }
}

/// Whether an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// Its records support it.
    Open,
    /// They no longer do.
    Withdrawn,
}

impl AlertStatus {
    /// The word in alerts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What a rule found: the content of an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule_id: Arc<str>,
    /// Its version.
    pub rule_version: Arc<str>,
    /// Its name.
    pub rule_name: Arc<Bilingual>,
    /// How sure it is.
    pub result: Conclusion,
    /// How grave.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The person, where all evidence is one person's.
    pub psn_no: Option<String>,
    /// The visit, where all evidence is of one visit.
    pub mdtrt_id: Option<String>,
    /// The institution, where all evidence is of one institution.
    pub fixmedins_code: Option<String>,
    /// The insured area, where the settlements among the evidence agree on one.
    pub insuplc_admdvs: Option<String>,
    /// Fund money at stake; `None` where the rule has none.
    #[serde(serialize_with = "money_text")]
    pub amount_at_issue: Option<i64>,
    /// The latest time among the evidence.
    pub event_time: Time,
    /// One or two sentences with the figures.
    pub message: Bilingual,
    /// The figures compared.
    pub reasons: Vec<Reason>,
    /// Keys of the law.
    pub legal_basis: Arc<[String]>,
    /// Ordered by time, then id.
    pub evidence: Vec<Evidence>,
    /// What a model says more; none of a rule.
    #[serde(flatten)]
    pub scored: Option<Box<Scored>>,
}

impl Finding {
    /// Whether some of the records that it follows from are from before the horizon, and so may be gone.
    pub fn reads_before(&self, horizon: Time) -> bool {
        // Evidence is in the order of time.
        let evidence = self.evidence.first().is_some_and(|first| first.time < horizon);
        evidence || self.scored.as_ref().is_some_and(|scored| scored.reads_from.start() < horizon)
    }
}

/// Fen as yuan with two decimals.
pub fn yuan(fen: i64) -> String {
    crate::record::Money::from_units(fen).to_string()
}

fn money_text<S: Serializer>(amount: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(yuan).serialize(serializer)
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its kind.
    pub kind: SubjectKind,
    /// Its id; of a bed `fixmedins_code/adm_bed`.
    pub id: String,
}

/// A figure that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its name.
    pub name: &'static str,
    /// The value found.
    #[serde(serialize_with = "number_text")]
    pub value: i64,
    /// What it was compared with, in the same units; `None` where nothing was.
    #[serde(serialize_with = "optional_number_text", skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Figures are in units of 10^-4 and written as JSON numbers without needless zeros.
pub fn figure(units: i64) -> String {
    let text = crate::record::Quantity::from_units(units).to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number_text<S: Serializer>(units: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let number = serde_json::value::RawValue::from_string(figure(*units)).map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}

fn optional_number_text<S: Serializer>(units: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match units {
        Some(units) => number_text(units, serializer),
        None => serializer.serialize_none(),
    }
}

/// What a record of the evidence is to the finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It breaks the rule.
    Violating,
    /// It shows that another does.
    Involved,
}

/// A record that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is to the finding.
    pub role: Role,
    /// `settlement`, `fee_detail`, `admission` (a stay), `discharge` or `presence`.
    #[serde(rename = "type")]
    pub record: &'static str,
    /// `setl_id`, `mdtrt_id/feedetl_sn`, `mdtrt_id` or `check_id`.
    pub id: String,
    /// When it happened.
    pub time: Time,
    /// Its own money in fen: `fund_pay_sumamt` of a settlement, `inscp` of a detail; none of a stay.
    #[serde(serialize_with = "money_text")]
    pub amount: Option<i64>,
}
