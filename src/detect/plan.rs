//! The plan of a rule set: which rules read which timeline, and which items make a detail worth a look.

use crate::record::decode::Rows;
use crate::record::marks::Marks;
use crate::record::{Code, FeeDetail, Ids};
use crate::rules::filter::Verdicts;
use crate::rules::rule::{
    Allowance, Bilingual, Detection, ExclusivePair, Grouping, Map, Overlap, OverlapKey, PairScope, QuantityLimit,
    Repeat, RuleSet, passes,
};
use std::ops::Deref;
use std::sync::Arc;

/// Set in the verdicts on a detail whose item some rule reads over a person's day.
pub const DAY_ITEM: Verdicts = 1 << 63;
/// Set in the verdicts on a detail whose item some rule reads over a visit.
pub const VISIT_ITEM: Verdicts = 1 << 62;

/// The number of a rule in its set.
pub type RuleNumber = u16;

/// What every finding of a rule repeats.
pub struct Words {
    /// The rule's id.
    pub id: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Its name.
    pub name: Arc<Bilingual>,
    /// Its legal basis.
    pub legal_basis: Arc<[String]>,
}

/// A rule set with its rules sorted by what they read.
pub struct Plan {
    set: Arc<RuleSet>,
    /// By rule number.
    pub words: Vec<Words>,
    /// Marks of items that rules read.
    marks: Map<Code, Verdicts>,
    /// Rules over the settlements of a visit.
    pub visit_settlements: Vec<RuleNumber>,
    /// Rules over the details of a visit and the records of its stay.
    pub visit_details: Vec<RuleNumber>,
    /// Rules over one settlement and what is known of its person.
    pub settlement: Vec<RuleNumber>,
    /// Rules over a person's settlements of a day.
    pub day_settlements: Vec<RuleNumber>,
    /// Rules over a person's details of a day.
    pub day_details: Vec<RuleNumber>,
    /// Rules over a person's stays.
    pub person_stays: Vec<RuleNumber>,
    /// Rules over the stays in a bed.
    pub bed_stays: Vec<RuleNumber>,
    /// Rules over a person's settlements at an institution.
    pub person_institution: Vec<RuleNumber>,
    /// Rules over an institution's settlements.
    pub institution: Vec<RuleNumber>,
}

impl Deref for Plan {
    type Target = RuleSet;

    fn deref(&self) -> &RuleSet {
        &self.set
    }
}

impl Plan {
    /// Sorts the rules of a set.
    pub fn new(set: Arc<RuleSet>) -> Self {
        let words = set.rules.iter().map(|rule| Words {
            id: rule.id.as_str().into(),
            version: rule.version.as_str().into(),
            name: Arc::new(rule.name.clone()),
            legal_basis: rule.legal_basis.clone().into(),
        });
        let mut plan = Self {
            set: set.clone(),
            words: words.collect(),
            marks: Map::default(),
            visit_settlements: Vec::new(),
            visit_details: Vec::new(),
            settlement: Vec::new(),
            day_settlements: Vec::new(),
            day_details: Vec::new(),
            person_stays: Vec::new(),
            bed_stays: Vec::new(),
            person_institution: Vec::new(),
            institution: Vec::new(),
        };
        for (number, rule) in set.rules.iter().enumerate() {
            let list = match &rule.detection {
                Detection::Repeat(Repeat { grouping: Grouping::VisitAnchored, .. }) => &mut plan.visit_settlements,
                Detection::Repeat(_) => &mut plan.person_institution,
                Detection::ExclusivePair(ExclusivePair { scope, pairs, .. }) => {
                    let mark = if *scope == PairScope::PersonDay { DAY_ITEM } else { VISIT_ITEM };
                    for item in pairs.iter().flat_map(|(main, included)| included.iter().chain(Some(main))) {
                        *plan.marks.entry(*item).or_default() |= mark;
                    }
                    if *scope == PairScope::PersonDay { &mut plan.day_details } else { &mut plan.visit_details }
                }
                Detection::QuantityLimit(QuantityLimit { limit: Allowance::PersonDayItem(limits), .. }) => {
                    for item in limits.keys() {
                        *plan.marks.entry(*item).or_default() |= DAY_ITEM;
                    }
                    &mut plan.day_details
                }
                Detection::QuantityLimit(_) | Detection::MissingActivity(_) | Detection::Contradiction(_) => {
                    &mut plan.visit_details
                }
                Detection::AfterDeath(_) | Detection::DuringStay(_) | Detection::Threshold(_) => &mut plan.settlement,
                Detection::NextStay(_) | Detection::Overlap(Overlap { key: OverlapKey::Person, .. }) => {
                    &mut plan.person_stays
                }
                Detection::Overlap(_) => &mut plan.bed_stays,
                Detection::DistinctCount(_) => &mut plan.day_settlements,
                Detection::Run(_) => &mut plan.institution,
            };
            list.push(number as RuleNumber);
        }
        plan
    }

    /// The verdicts of the detail filters and the marks of the items, for each row.
    pub fn detail_verdicts(&self, rows: &Rows<FeeDetail>, ids: &Ids) -> Vec<Verdicts> {
        let records: Vec<&FeeDetail> = rows.iter().map(|(_, row)| row).collect();
        let mut verdicts = self.detail_filters.evaluate(&records, ids, &self.classes);
        if !self.marks.is_empty() {
            for (verdict, row) in verdicts.iter_mut().zip(records) {
                if let Some(mark) = self.marks.get(&row.med_list_codg) {
                    *verdict |= mark;
                }
            }
        }
        verdicts
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        self.codes(&mut |id| marks.codes.mark(id));
        self.deaths.keys().for_each(|person| marks.persons.mark(person.0));
    }

    /// Whether some rule over an institution's settlements reads one with these verdicts.
    pub fn reads_in_institution(&self, verdicts: Verdicts) -> bool {
        self.institution.iter().any(|number| match &self.rules[usize::from(*number)].detection {
            Detection::Run(run) => passes(verdicts, run.filter),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RulesDir;

    #[test]
    fn items_that_rules_read_are_marked() {
        let ids = Ids::new(1);
        let set = RuleSet::load(&RulesDir::BuiltIn, None, &ids).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let plan = Plan::new(Arc::new(set));
        let marked = |mark: Verdicts| plan.marks.values().filter(|marks| **marks & mark != 0).count();
        // Of the tables in `rules/knowledge`: limits and pairs of the scope `day`, pairs of the scope `visit`.
        assert_eq!((marked(DAY_ITEM), marked(VISIT_ITEM)), (19, 4));
    }
}
