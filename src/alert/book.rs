//! The book of alerts: what stands, what stood, and which revision each has reached.

use super::{Alert, AlertId, AlertStatus, Finding};
use crate::record::Time;
use crate::rules::rule::Map;
use crate::timeline::held::FindingChange;
use std::sync::Arc;

/// All alerts that can still change, with their last revision.
#[derive(Default)]
pub struct AlertBook {
    alerts: Map<AlertId, Alert>,
    /// While the state is built again from old records nothing is sent.
    warming_up: bool,
    /// What was known when the warm-up began.
    known: Map<AlertId, Alert>,
    /// What rests only on evidence from before this time was told and taken out.
    retired: Option<Time>,
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
                Some((rule, finding)) => self.stand(alert_id, finding, now, shadow(rule)),
                None => self.fall(alert_id, now),
            };
            revisions.extend(revision);
        }
        if self.warming_up { Vec::new() } else { revisions }
    }

    fn stand(&mut self, alert_id: AlertId, finding: Arc<Finding>, now: Time, shadow: bool) -> Option<Alert> {
        let revision = match self.alerts.get_mut(&alert_id) {
            None if self.retired.is_some_and(|retired| finding.event_time < retired) => return None,
            None => 1,
            Some(known) => {
                let same = known.status == AlertStatus::Open
                    && (!known.shadow || shadow)
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
            shadow,
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
    pub fn begin_warm_up(&mut self, known: impl IntoIterator<Item = Alert>) {
        self.warming_up = true;
        self.known = known.into_iter().map(|alert| (alert.alert_id, alert)).collect();
    }

    /// Whether the state is being built again.
    pub fn is_warming_up(&self) -> bool {
        self.warming_up
    }

    /// Adds to what is known in a warm-up, where it is newer.
    pub fn know(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            let known = self.known.entry(alert.alert_id).or_insert_with(|| alert.clone());
            if known.revision < alert.revision {
                *known = alert;
            }
        }
    }

    /// Ends the warm-up: returns the revisions by which the state differs from what was known. An alert that rests on
    /// something from before the horizon stands as it is.
    pub fn end_warm_up(&mut self, now: Time, horizon: Time) -> Vec<Alert> {
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
                && (!before.shadow || alert.shadow)
                && before.finding.severity == alert.finding.severity
                && before.finding.amount_at_issue == alert.finding.amount_at_issue
                && before.finding.evidence == alert.finding.evidence;
            let both_withdrawn = before.status == AlertStatus::Withdrawn && alert.status == AlertStatus::Withdrawn;
            alert.revision = before.revision;
            alert.detected_at = before.detected_at;
            if !same && !both_withdrawn {
                alert.revision += 1;
                alert.detected_at = now;
                revisions.push(alert.clone());
            }
            true
        });
        for (alert_id, mut alert) in known {
            if alert.status == AlertStatus::Open && !alert.finding.reads_before(horizon) {
                alert.revision += 1;
                alert.status = AlertStatus::Withdrawn;
                alert.withdrawn_reason = Some(UNSUPPORTED);
                alert.detected_at = now;
                revisions.push(alert.clone());
            }
            self.alerts.insert(alert_id, alert);
        }
        revisions.sort_by_key(|alert| alert.alert_id);
        revisions
    }

    /// The alerts that stand and can change: none that rests on something from before the horizon.
    pub fn standing(&self, horizon: Time) -> impl Iterator<Item = AlertId> + '_ {
        let stands = move |alert: &&Alert| alert.status == AlertStatus::Open && !alert.finding.reads_before(horizon);
        self.alerts.values().filter(stands).map(|alert| alert.alert_id)
    }

    /// Takes out the alerts whose evidence is all from before the horizon: no record that is still taken changes them.
    /// They stand, or not, as they were told; should the rules find them once more, that is no news.
    pub fn retire(&mut self, horizon: Time) -> Vec<Alert> {
        if self.retired.replace(horizon) == Some(horizon) {
            return Vec::new();
        }
        self.alerts.extract_if(|_, alert| alert.finding.event_time < horizon).map(|(_, alert)| alert).collect()
    }

    /// The last revision of an alert.
    pub fn alert(&self, alert_id: AlertId) -> Option<&Alert> {
        self.alerts.get(&alert_id)
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
            severity: crate::rules::rule::Severity::Low,
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
            scored: None,
        })
    }

    fn known(revision: u32, status: AlertStatus, amount: i64) -> Alert {
        Alert {
            alert_id: AlertId(7),
            revision,
            status,
            withdrawn_reason: None,
            finding: finding(amount),
            detected_at: Time(1),
            shadow: false,
        }
    }

    fn change(amount: Option<i64>) -> Vec<FindingChange> {
        vec![FindingChange { alert: AlertId(7), finding: amount.map(|amount| (0, finding(amount))) }]
    }

    fn revisions(book: &mut AlertBook, changes: Vec<FindingChange>) -> Vec<(u32, AlertStatus)> {
        let alerts = book.apply(changes, Time(1), |_| false);
        alerts.into_iter().map(|alert| (alert.revision, alert.status)).collect()
    }

    #[test]
    fn what_is_behind_the_horizon_is_told_once_and_forgotten() {
        let mut book = AlertBook::default();
        assert_eq!(revisions(&mut book, change(Some(5))), [(1, AlertStatus::Open)]);
        assert!(book.retire(Time(0)).is_empty(), "it can change still");
        assert_eq!(revisions(&mut book, change(Some(6))), [(2, AlertStatus::Open)]);
        assert_eq!(book.retire(Time(1)).len(), 1);
        assert!(book.is_empty());
        // A key that is looked at again finds it again, or not.
        assert_eq!(revisions(&mut book, change(Some(6))), []);
        assert_eq!(revisions(&mut book, change(None)), []);
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
    fn what_was_found_in_shadow_is_told_once_its_rule_is_live() {
        let mut book = AlertBook::default();
        let told = |alerts: Vec<Alert>| alerts.iter().map(|alert| (alert.revision, alert.shadow)).collect::<Vec<_>>();
        assert_eq!(told(book.apply(change(Some(5)), Time(1), |_| true)), [(1, true)]);
        assert_eq!(told(book.apply(change(Some(5)), Time(1), |_| true)), []);
        assert_eq!(told(book.apply(change(Some(5)), Time(1), |_| false)), [(2, false)]);
        assert_eq!(told(book.apply(change(Some(5)), Time(1), |_| false)), []);
    }

    #[test]
    fn a_warm_up_tells_only_the_difference() {
        let run = |known: Option<Alert>, amounts: &[Option<i64>]| -> Vec<(u32, AlertStatus)> {
            let mut book = AlertBook::default();
            book.begin_warm_up(known);
            for amount in amounts {
                assert_eq!(revisions(&mut book, change(*amount)), []);
            }
            book.end_warm_up(Time(2), Time(i64::MIN)).into_iter().map(|alert| (alert.revision, alert.status)).collect()
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
    fn what_rests_on_records_that_are_gone_stands() {
        let known = known(1, AlertStatus::Open, 5);
        for (horizon, told) in [(Time(0), 1), (Time(1), 0)] {
            let mut book = AlertBook::default();
            book.begin_warm_up([known.clone()]);
            assert_eq!(book.end_warm_up(Time(2), horizon).len(), told, "its evidence is of time 0");
            assert_eq!(book.len(), 1);
        }
    }

    #[test]
    fn what_a_rule_in_shadow_had_found_is_withdrawn_in_shadow() {
        for shadow in [true, false] {
            let mut book = AlertBook::default();
            book.begin_warm_up([Alert { shadow, ..known(1, AlertStatus::Open, 5) }]);
            let told = book.end_warm_up(Time(2), Time(i64::MIN)).into_iter().map(|alert| (alert.status, alert.shadow));
            assert_eq!(told.collect::<Vec<_>>(), [(AlertStatus::Withdrawn, shadow)]);
        }
    }
}
