//! Detection: rules as functions of live facts. One file a kind; [`plan`] says which rule reads what,
//! [`finding`] writes findings down.
//!
//! A kind gets the facts of one key (a visit, a person's day, a person's stays …) and gives the findings that
//! stand on them. It keeps nothing and reads no clock, so the same facts always give the same findings.

pub mod after_death;
pub mod contradiction;
pub mod distinct_count;
pub mod during_stay;
pub mod exclusive_pair;
pub mod finding;
pub mod missing_activity;
pub mod next_stay;
pub mod overlap;
pub mod plan;
pub mod quantity_limit;
pub mod repeat;
pub mod run;
pub mod threshold;

use crate::alert::{AlertId, Finding};
use crate::live::details::{LiveDetail, OverRefund};
use crate::live::settlements::{LiveSettlement, SettlementShard, Settlements};
use crate::live::stays::Stay;
use crate::live::visits::VisitShard;
use crate::live::visits::read::Visits;
use crate::record::{Code, Day, Ids, SettlementId, Time, VisitId};
use crate::rules::rule::{Rule, Set};
use finding::Draft;
use plan::{Plan, RuleNumber, Words};
use std::sync::Arc;

/// Everything that is live, to read while rules are evaluated.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The rules.
    pub plan: &'a Plan,
    /// All settlements.
    pub settlements: Settlements<'a>,
    /// All visits.
    pub visits: Visits<'a>,
    /// The tables of ids.
    pub ids: &'a Ids,
    /// What models watch.
    pub watch: Watch,
}

/// What models watch: days that change are noted for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// Institutions, with their doctors and items.
    pub institutions: bool,
    /// Persons.
    pub persons: bool,
}

/// A finding of a rule.
#[derive(Clone)]
pub struct Found {
    /// Which rule.
    pub rule: RuleNumber,
    /// Which alert it is.
    pub alert: AlertId,
    /// The earliest time among the evidence; the latest is `finding.event_time`.
    pub first_time: Time,
    /// The content.
    pub finding: Arc<Finding>,
}

impl<'a> World<'a> {
    /// What the shards hold, under a plan.
    pub fn new(
        plan: &'a Plan,
        settlements: &'a [SettlementShard],
        visits: &'a [VisitShard],
        ids: &'a Ids,
        watch: Watch,
    ) -> Self {
        let settlements = Settlements { shards: settlements, ids };
        Self { plan, settlements, visits: Visits { shards: visits, ids }, ids, watch }
    }

    /// A rule by number.
    pub fn rule(&self, number: RuleNumber) -> &'a Rule {
        &self.plan.rules[usize::from(number)]
    }

    /// What its findings repeat.
    pub fn words(&self, number: RuleNumber) -> &'a Words {
        &self.plan.words[usize::from(number)]
    }

    /// A finding of a rule, to be filled in.
    pub fn draft(&'a self, number: RuleNumber) -> Draft<'a> {
        Draft::new(self, number)
    }

    /// The live settlements of a visit, by time and id.
    pub fn settlements_of(&self, visit: VisitId) -> Vec<LiveSettlement> {
        let live = self.visits.settlements(visit).filter_map(|id| self.settlements.live(id));
        self.in_order(live.collect())
    }

    /// Settlements by `setl_time`, then `setl_id`.
    pub fn in_order(&self, mut settlements: Vec<LiveSettlement>) -> Vec<LiveSettlement> {
        settlements
            .sort_by_cached_key(|settlement| (settlement.row.setl_time, settlement.row.setl_id.string(self.ids)));
        settlements
    }

    /// The sum of `fund_pay_sumamt` of the live settlements of a visit, in fen.
    pub fn fund_of(&self, visit: VisitId) -> i64 {
        let live = self.visits.settlements(visit).filter_map(|id| self.settlements.live(id));
        live.map(|settlement| settlement.row.fund_pay_sumamt.units()).sum()
    }

    /// The items of the live details that carry a settlement.
    pub fn items_of(&self, settlement: SettlementId) -> Set<Code> {
        let mut items = Set::default();
        let own = self.settlements.visit(settlement);
        let elsewhere = self.settlements.named_in(settlement).iter().copied().filter(|visit| *visit != own);
        for visit in elsewhere.chain(Some(own)) {
            self.visits.details(visit, self.settlements, |details| {
                let carrying = details.iter().filter(|detail| detail.row.setl_id == settlement);
                items.extend(carrying.map(|detail| detail.row.med_list_codg));
            });
        }
        items
    }

    /// Orders two visits by the text of their ids.
    pub fn by_text(&self, one: VisitId, other: VisitId) -> std::cmp::Ordering {
        one.string(self.ids).cmp(&other.string(self.ids))
    }
}

/// The facts of a visit.
pub struct VisitFacts<'a> {
    /// Which.
    pub visit: VisitId,
    /// Its live details.
    pub details: &'a [LiveDetail],
    /// Its details of which more is given back than was billed.
    pub over_refunds: &'a [OverRefund],
    /// The stay it is.
    pub stay: Option<&'a Stay>,
}

/// The facts of a person's day, over visits and institutions.
pub struct DayFacts<'a> {
    /// Which day.
    pub day: Day,
    /// The person, by text.
    pub person: &'a str,
    /// The person's live details of that day whose items rules read over a day.
    pub details: &'a [LiveDetail],
}
