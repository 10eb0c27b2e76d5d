//! The book of alerts: what stands, what stood, and which revision each has reached.

use super::{Alert, AlertId, AlertStatus, Finding};
use crate::record::Time;
use crate::rules::rule::{Map, Severity};
use crate::timeline::held::FindingChange;
use std::sync::Arc;

/// All alerts there ever were, with their last revision.
#[derive(Default)]
pub struct AlertBook {
    alerts: Map<AlertId, Alert>,
    /// While the state is built again from old records nothing is sent.
    warming_up: bool,
    /// What was known when the warm-up began.
    known: Map<AlertId, KnownAlert>,
}

/// An alert as an earlier run left it in its store.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownAlert {
    /// Which.
    pub alert_id: AlertId,
    /// The last revision.
    pub revision: u32,
    /// Open or withdrawn.
    pub status: AlertStatus,
    /// The severity then.
    pub severity: Severity,
    /// The amount then, in fen.
    pub amount_at_issue: Option<i64>,
    /// [`evidence_digest`] then.
    pub evidence: u128,
    /// Whether its rule ran in shadow: what was never sent is not withdrawn from anybody either.
    pub shadow: bool,
    /// The alert itself, to withdraw it where nothing supports it any more.
    pub finding: Arc<Finding>,
}

/// A hash of the evidence that can be compared from run to run.
pub fn evidence_digest(finding: &Finding) -> u128 {
    use sha2::{Digest, Sha256};
    let text = serde_json::to_vec(&finding.evidence).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(&text).into();
    let (half, _) = digest.split_at(16);
    u128::from_be_bytes(half.try_into().expect("half of 32 bytes"))
}

/// Why an alert is withdrawn.
const UNSUPPORTED: &str = "the records no longer support it";

impl AlertBook {
    /// Takes what the evaluation of a batch found and returns the revisions that follow. A finding that moved
    /// from one key to another in the batch stands. `shadow` tells whether a rule runs in shadow.
    pub fn apply(&mut self, changes: Vec<FindingChange>, now: Time, mut shadow: impl FnMut(u16) -> bool) -> Vec<Alert> {
        let mut last: Map<AlertId, Option<(u16, Arc<Finding>)>> = Map::default();
        let mut order: Vec<AlertId> = Vec::new();
        for change in changes {
            let entry = last.entry(change.alert).or_insert_with(|| {
                order.push(change.alert);
                None
            });
            if change.finding.is_some() {
                *entry = change.finding;
            }
        }
        order.sort_unstable();
        let mut revisions = Vec::new();
        for alert_id in order {
            let revision = match last.remove(&alert_id).flatten() {
                Some((rule, finding)) => self.stand(alert_id, finding, now, || shadow(rule)),
                None => self.fall(alert_id, now),
            };
            revisions.extend(revision);
        }
        if self.warming_up { Vec::new() } else { revisions }
    }

    fn stand(
        &mut self,
        alert_id: AlertId,
        finding: Arc<Finding>,
        now: Time,
        shadow: impl FnOnce() -> bool,
    ) -> Option<Alert> {
        let revision = match self.alerts.get_mut(&alert_id) {
            None => 1,
            Some(known) => {
                let same = known.status == AlertStatus::Open
                    && known.finding.severity == finding.severity
                    && known.finding.amount_at_issue == finding.amount_at_issue
                    && known.finding.evidence == finding.evidence;
                if same {
                    // Words and rule version follow without a revision of their own.
                    known.finding = finding;
                    return None;
                }
                known.revision + 1
            }
        };
        let alert = Alert {
            alert_id,
            revision,
            status: AlertStatus::Open,
            withdrawn_reason: None,
            finding,
            detected_at: now,
            shadow: shadow(),
        };
        self.alerts.insert(alert_id, alert.clone());
        Some(alert)
    }

    fn fall(&mut self, alert_id: AlertId, now: Time) -> Option<Alert> {
        let known = self.alerts.get_mut(&alert_id).filter(|known| known.status == AlertStatus::Open)?;
        known.revision += 1;
        known.status = AlertStatus::Withdrawn;
        known.withdrawn_reason = Some(UNSUPPORTED);
        known.detected_at = now;
        Some(known.clone())
    }

    /// Begins to build the state from old records: alerts are booked, not sent. `known` is what the store of the
    /// run before holds.
    pub fn begin_warm_up(&mut self, known: impl IntoIterator<Item = KnownAlert>) {
        self.warming_up = true;
        self.known = known.into_iter().map(|alert| (alert.alert_id, alert)).collect();
    }

    /// Ends the warm-up: returns the revisions by which the state differs from what was known.
    pub fn end_warm_up(&mut self, now: Time) -> Vec<Alert> {
        self.warming_up = false;
        let mut known = std::mem::take(&mut self.known);
        let mut revisions = Vec::new();
        self.alerts.retain(|alert_id, alert| {
            let Some(before) = known.remove(alert_id) else {
                // Of what was never told only what stands is told.
                alert.revision = 1;
                if alert.status == AlertStatus::Open {
                    revisions.push(alert.clone());
                }
                return alert.status == AlertStatus::Open;
            };
            let same = before.status == alert.status
                && before.severity == alert.finding.severity
                && before.amount_at_issue == alert.finding.amount_at_issue
                && before.evidence == evidence_digest(&alert.finding);
            let both_withdrawn = before.status == AlertStatus::Withdrawn && alert.status == AlertStatus::Withdrawn;
            alert.revision = before.revision;
            if !same && !both_withdrawn {
                alert.revision += 1;
                alert.detected_at = now;
                revisions.push(alert.clone());
            }
            true
        });
        for (alert_id, before) in known {
            let mut alert = Alert {
                alert_id,
                revision: before.revision,
                status: before.status,
                withdrawn_reason: (before.status == AlertStatus::Withdrawn).then_some(UNSUPPORTED),
                finding: before.finding,
                detected_at: now,
                shadow: before.shadow,
            };
            if before.status == AlertStatus::Open {
                alert.revision += 1;
                alert.status = AlertStatus::Withdrawn;
                alert.withdrawn_reason = Some(UNSUPPORTED);
                revisions.push(alert.clone());
            }
            self.alerts.insert(alert_id, alert);
        }
        revisions.sort_by_key(|alert| alert.alert_id);
        revisions
    }

    /// The last revision of every alert, in no order.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// How many alerts there are, withdrawn ones too.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Evidence, Role, Subject};
    use crate::rules::rule::{Bilingual, Conclusion, SubjectKind};

    fn finding(amount: i64) -> Arc<Finding> {
        Arc::new(Finding {
            rule_id: "X-1".into(),
            rule_version: "1".into(),
            rule_name: Arc::new(Bilingual::default()),
            result: Conclusion::Clue,
            severity: Severity::Low,
            subject: Subject { kind: SubjectKind::Person, id: "P".into() },
            psn_no: None,
            mdtrt_id: None,
            fixmedins_code: None,
            insuplc_admdvs: None,
            amount_at_issue: Some(amount),
            event_time: Time(0),
            message: Bilingual::default(),
            reasons: Vec::new(),
            legal_basis: Vec::new().into(),
            evidence: vec![Evidence {
                role: Role::Violating,
                record: "settlement",
                id: "S".into(),
                time: Time(0),
                amount: None,
            }],
        })
    }

    fn change(amount: Option<i64>) -> Vec<FindingChange> {
        vec![FindingChange { alert: AlertId(7), finding: amount.map(|amount| (0, finding(amount))) }]
    }

    fn revisions(book: &mut AlertBook, changes: Vec<FindingChange>) -> Vec<(u32, AlertStatus)> {
        let alerts = book.apply(changes, Time(1), |_| false);
        alerts.into_iter().map(|alert| (alert.revision, alert.status)).collect()
    }

    #[test]
    fn revisions_rise_when_the_content_changes() {
        let mut book = AlertBook::default();
        assert_eq!(revisions(&mut book, change(None)), []);
        assert_eq!(revisions(&mut book, change(Some(5))), [(1, AlertStatus::Open)]);
        assert_eq!(revisions(&mut book, change(Some(5))), []);
        assert_eq!(revisions(&mut book, change(Some(6))), [(2, AlertStatus::Open)]);
        assert_eq!(revisions(&mut book, change(None)), [(3, AlertStatus::Withdrawn)]);
        assert_eq!(revisions(&mut book, change(None)), []);
        assert_eq!(revisions(&mut book, change(Some(6))), [(4, AlertStatus::Open)]);
        // Gone from one key and found on another in the same batch, in either order.
        let moved: Vec<FindingChange> = change(None).into_iter().chain(change(Some(6))).collect();
        assert_eq!(revisions(&mut book, moved), []);
        let moved: Vec<FindingChange> = change(Some(6)).into_iter().chain(change(None)).collect();
        assert_eq!(revisions(&mut book, moved), []);
    }

    #[test]
    fn a_warm_up_tells_only_the_difference() {
        let known = |revision, status, amount: i64| KnownAlert {
            alert_id: AlertId(7),
            revision,
            status,
            severity: Severity::Low,
            amount_at_issue: Some(amount),
            evidence: evidence_digest(&finding(amount)),
            shadow: false,
            finding: finding(amount),
        };
        let run = |known: Option<KnownAlert>, amounts: &[Option<i64>]| -> Vec<(u32, AlertStatus)> {
            let mut book = AlertBook::default();
            book.begin_warm_up(known);
            for amount in amounts {
                assert_eq!(revisions(&mut book, change(*amount)), []);
            }
            book.end_warm_up(Time(2)).into_iter().map(|alert| (alert.revision, alert.status)).collect()
        };
        assert_eq!(run(None, &[Some(5), Some(6)]), [(1, AlertStatus::Open)]);
        assert_eq!(run(None, &[Some(5), None]), []);
        assert_eq!(run(Some(known(3, AlertStatus::Open, 5)), &[Some(4), Some(5)]), []);
        assert_eq!(run(Some(known(3, AlertStatus::Open, 5)), &[Some(6)]), [(4, AlertStatus::Open)]);
        assert_eq!(run(Some(known(3, AlertStatus::Open, 5)), &[]), [(4, AlertStatus::Withdrawn)]);
        assert_eq!(run(Some(known(3, AlertStatus::Withdrawn, 5)), &[Some(5)]), [(4, AlertStatus::Open)]);
        assert_eq!(run(Some(known(3, AlertStatus::Withdrawn, 5)), &[Some(4), None]), []);
    }

    #[test]
    fn what_a_rule_in_shadow_had_found_is_withdrawn_in_shadow() {
        for shadow in [true, false] {
            let mut book = AlertBook::default();
            book.begin_warm_up([KnownAlert {
                alert_id: AlertId(7),
                revision: 1,
                status: AlertStatus::Open,
                severity: Severity::Low,
                amount_at_issue: Some(5),
                evidence: evidence_digest(&finding(5)),
                shadow,
                finding: finding(5),
            }]);
            let told = book.end_warm_up(Time(2)).into_iter().map(|alert| (alert.status, alert.shadow));
            assert_eq!(told.collect::<Vec<_>>(), [(AlertStatus::Withdrawn, shadow)]);
        }
    }
}
