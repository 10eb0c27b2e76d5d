//! Alerts as stores, checkpoints and topics hold them, read back from the JSON of the contract.

use crate::alert::{Alert, AlertId, AlertStatus, Evidence, Finding, Reason, Role, Subject};
use crate::record::{Money, Quantity, Time};
use crate::rules::rule::{Bilingual, Conclusion, Severity, SubjectKind};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why a stored alert cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not the JSON of an alert.
    #[error("a stored alert is not JSON as it was written: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of it is not as it was written.
    #[error("`{value}` is no {what}")]
    Value {
        /// What it should be.
        what: &'static str,
        /// What stands there.
        value: String,
    },
}

#[derive(Deserialize)]
struct StoredAlert<'a> {
    alert_id: &'a str,
    revision: u32,
    status: &'a str,
    withdrawn_reason: Option<&'a str>,
    rule_id: &'a str,
    rule_version: &'a str,
    rule_name: Bilingual,
    result: Conclusion,
    severity: Severity,
    subject: StoredSubject,
    psn_no: Option<String>,
    mdtrt_id: Option<String>,
    fixmedins_code: Option<String>,
    insuplc_admdvs: Option<String>,
    amount_at_issue: Option<&'a str>,
    event_time: &'a str,
    detected_at: &'a str,
    message: Bilingual,
    #[serde(borrow)]
    reasons: Vec<StoredReason<'a>>,
    legal_basis: Vec<String>,
    #[serde(borrow)]
    evidence: Vec<StoredEvidence<'a>>,
    /// Only alerts of models have one.
    score: Option<f64>,
}

#[derive(Deserialize)]
struct StoredSubject {
    kind: SubjectKind,
    id: String,
}

#[derive(Deserialize)]
struct StoredReason<'a> {
    name: String,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StoredEvidence<'a> {
    role: &'a str,
    #[serde(rename = "type")]
    record: String,
    id: String,
    time: &'a str,
    amount: Option<&'a str>,
}

/// Reads the JSON of a revision; whether it is in shadow stands beside it.
///
/// # Errors
/// It is not as it was written.
pub fn alert(body: &str, shadow: bool) -> Result<Alert, Unreadable> {
    let stored: StoredAlert<'_> = serde_json::from_str(body)?;
    let wrong = |what, value: &str| Unreadable::Value { what, value: value.to_owned() };
    let status = [AlertStatus::Open, AlertStatus::Withdrawn].into_iter().find(|status| status.word() == stored.status);
    let alert_id = u128::from_str_radix(stored.alert_id, 16).map_err(|_| wrong("alert_id", stored.alert_id))?;
    let evidence = stored.evidence.into_iter().map(|evidence| {
        Ok(Evidence {
            role: match evidence.role {
                "violating" => Role::Violating,
                "involved" => Role::Involved,
                other => return Err(wrong("role", other)),
            },
            record: fixed(&evidence.record),
            id: evidence.id,
            time: time(evidence.time)?,
            amount: evidence.amount.map(fen).transpose()?,
        })
    });
    let reasons = stored.reasons.into_iter().map(|reason| {
        Ok(Reason {
            name: fixed(&reason.name),
            value: figure(reason.value.get())?,
            limit: reason.limit.map(|limit| figure(limit.get())).transpose()?,
        })
    });
    let finding = Finding {
        rule_id: stored.rule_id.into(),
        rule_version: stored.rule_version.into(),
        rule_name: Arc::new(stored.rule_name),
        result: stored.result,
        severity: stored.severity,
        subject: Subject { kind: stored.subject.kind, id: stored.subject.id },
        psn_no: stored.psn_no,
        mdtrt_id: stored.mdtrt_id,
        fixmedins_code: stored.fixmedins_code,
        insuplc_admdvs: stored.insuplc_admdvs,
        amount_at_issue: stored.amount_at_issue.map(fen).transpose()?,
        event_time: time(stored.event_time)?,
        message: stored.message,
        reasons: reasons.collect::<Result<_, Unreadable>>()?,
        legal_basis: stored.legal_basis.into(),
        evidence: evidence.collect::<Result<_, Unreadable>>()?,
        scored: stored.score.map(|_| serde_json::from_str(body)).transpose()?,
    };
    Ok(Alert {
        alert_id: AlertId(alert_id),
        revision: stored.revision,
        status: status.ok_or_else(|| wrong("status", stored.status))?,
        withdrawn_reason: stored.withdrawn_reason.map(fixed),
        finding: Arc::new(finding),
        detected_at: time(stored.detected_at)?,
        shadow,
    })
}

fn time(text: &str) -> Result<Time, Unreadable> {
    Time::parse(text.as_bytes()).ok_or_else(|| Unreadable::Value { what: "time", value: text.to_owned() })
}

fn fen(text: &str) -> Result<i64, Unreadable> {
    let wrong = |_| Unreadable::Value { what: "amount", value: text.to_owned() };
    Money::parse(text.as_bytes()).map(Money::units).map_err(wrong)
}

fn figure(text: &str) -> Result<i64, Unreadable> {
    let wrong = |_| Unreadable::Value { what: "figure", value: text.to_owned() };
    Quantity::parse(text.as_bytes()).map(Quantity::units).map_err(wrong)
}

/// The word as findings hold it. Only words of this program were ever stored, so there are few.
fn fixed(word: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock();
    if let Some(known) = words.get(word) {
        return known;
    }
    let kept: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.insert(kept);
    kept
}
