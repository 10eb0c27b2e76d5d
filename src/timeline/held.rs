//! What was found before: the alerts that stand on each key.

use crate::alert::{AlertId, Finding};
use crate::detect::Found;
use crate::detect::plan::RuleNumber;
use crate::record::marks::Marks;
use crate::record::{Code, Day, InstitutionId, PersonId, SettlementId, Time, VisitId};
use crate::rules::rule::Map;
use smallvec::SmallVec;
use std::sync::Arc;

/// A key that rules are evaluated on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Key {
    /// A visit's settlements.
    VisitSettlements(VisitId),
    /// A visit's details.
    VisitDetails(VisitId),
    /// One settlement as a person's: of one that moved to another person both are looked at, in any order.
    Settlement(PersonId, SettlementId),
    /// A person's settlements of a day.
    DaySettlements(PersonId, Day),
    /// A person's details of a day.
    DayDetails(PersonId, Day),
    /// A person's stays.
    Stays(PersonId),
    /// A bed's stays.
    Bed(InstitutionId, Code),
    /// A person's settlements at an institution.
    PersonInstitution(PersonId, InstitutionId),
    /// An institution's settlements.
    Institution(InstitutionId),
}

/// An alert that stands on a key, and the time its evidence spans.
struct Held {
    rule: RuleNumber,
    alert: AlertId,
    first: Time,
    last: Time,
}

/// What the evaluation of a key says of an alert.
#[derive(Debug)]
pub struct FindingChange {
    /// Which.
    pub alert: AlertId,
    /// The finding that stands; `None`: it no longer does, here.
    pub finding: Option<(RuleNumber, Arc<Finding>)>,
}

/// The part of a key that was evaluated.
#[derive(Clone, Copy)]
pub enum Part {
    /// All of it, by all rules.
    Whole,
    /// By one rule, the times from the first to the last.
    Of(RuleNumber, Time, Time),
}

/// The alerts that stand on the keys of a shard; keys without any take no room.
#[derive(Default)]
pub struct HeldAlerts {
    by_key: Map<Key, SmallVec<[Held; 1]>>,
}

impl HeldAlerts {
    /// Whether any alert stands on a key.
    pub fn any(&self, key: Key) -> bool {
        !self.by_key.is_empty() && self.by_key.contains_key(&key)
    }

    /// Replaces what stands on a part of a key by what was found there now, and tells the difference. Findings
    /// that stand are told again: their content may have changed.
    pub fn replace(&mut self, key: Key, part: Part, found: Vec<Found>, changes: &mut Vec<FindingChange>) {
        if found.is_empty() && !self.any(key) {
            return;
        }
        let held = self.by_key.entry(key).or_default();
        held.retain(|held| {
            let outside = match part {
                Part::Whole => false,
                Part::Of(rule, first, last) => held.rule != rule || held.last < first || held.first > last,
            };
            if !outside && !found.iter().any(|found| found.alert == held.alert) {
                changes.push(FindingChange { alert: held.alert, finding: None });
            }
            outside
        });
        for Found { rule, alert, first_time, finding } in found {
            held.push(Held { rule, alert, first: first_time, last: finding.event_time });
            changes.push(FindingChange { alert, finding: Some((rule, finding)) });
        }
        if held.is_empty() {
            self.by_key.remove(&key);
        }
    }

    /// Forgets the alerts that rest on something from before the horizon, without a word: they stand, and nothing
    /// can change them any more.
    pub fn forget_before(&mut self, horizon: Time) {
        self.by_key.retain(|_, held| {
            held.retain(|held| held.first >= horizon);
            !held.is_empty()
        });
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        for key in self.by_key.keys() {
            match *key {
                Key::VisitSettlements(visit) | Key::VisitDetails(visit) => marks.visits.mark(visit.0),
                Key::Settlement(person, id) => {
                    marks.persons.mark(person.0);
                    marks.settlements.mark(id.0);
                }
                Key::DaySettlements(person, _) | Key::DayDetails(person, _) | Key::Stays(person) => {
                    marks.persons.mark(person.0);
                }
                Key::Bed(institution, bed) => {
                    marks.institutions.mark(institution.0);
                    marks.codes.mark(bed.0);
                }
                Key::PersonInstitution(person, institution) => {
                    marks.persons.mark(person.0);
                    marks.institutions.mark(institution.0);
                }
                Key::Institution(institution) => marks.institutions.mark(institution.0),
            }
        }
    }

    /// How many alerts stand.
    pub fn len(&self) -> usize {
        self.by_key.values().map(SmallVec::len).sum()
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
