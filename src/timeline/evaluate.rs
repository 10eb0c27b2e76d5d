//! Evaluating keys: the facts of a key are gathered once and given to every rule that reads them.

use super::held::{FindingChange, Key, Part};
use super::shard::{Keys, TimelineShard};
use super::{Entry, around};
use crate::detect::plan::{DAY_ITEM, RuleNumber, VISIT_ITEM};
use crate::detect::{
    DayFacts, VisitFacts, World, after_death, contradiction, distinct_count, during_stay, exclusive_pair,
    missing_activity, next_stay, overlap, quantity_limit, repeat, run, threshold,
};
use crate::live::details::{LiveDetail, LiveDetails};
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::live::visits::OpenVisit;
use crate::record::{Day, Discharge, PersonId, SettlementId, VisitId};
use crate::rules::rule::{Detection, Grouping};

impl TimelineShard {
    /// Evaluates the rules over visits.
    pub(super) fn evaluate_visits(
        &mut self,
        visits: &[OpenVisit],
        world: &World<'_>,
        changes: &mut Vec<FindingChange>,
    ) {
        for open in visits {
            self.evaluate_visit_settlements(open.visit, world, changes);
            self.evaluate_visit_details(open.visit, &open.live, world, changes);
        }
    }

    fn evaluate_visit_settlements(&mut self, visit: VisitId, world: &World<'_>, changes: &mut Vec<FindingChange>) {
        let key = Key::VisitSettlements(visit);
        let mut found = Vec::new();
        if world.visits.settlements(visit).nth(1).is_some() {
            let settlements = world.settlements_of(visit);
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.visit_settlements) {
                if let Detection::Repeat(rule) = detection {
                    repeat::in_visit(world, number, rule, &settlements, &mut found);
                }
                self.costs.count(number, &mut lap);
            }
        }
        self.held.replace(key, Part::Whole, found, changes);
    }

    fn evaluate_visit_details(
        &mut self,
        visit: VisitId,
        live: &LiveDetails,
        world: &World<'_>,
        changes: &mut Vec<FindingChange>,
    ) {
        let LiveDetails { details, over_refunds } = live;
        let facts = VisitFacts { visit, details, over_refunds, stay: world.visits.stay(visit) };
        let marks = details.iter().fold(0, |marks, detail| marks | detail.passes);
        let mut found = Vec::new();
        let mut lap = self.costs.begin();
        for (number, detection) in rules(world, &world.plan.visit_details) {
            match detection {
                Detection::ExclusivePair(rule) if marks & VISIT_ITEM != 0 => {
                    exclusive_pair::in_visit(world, number, rule, &facts, &mut found);
                }
                Detection::QuantityLimit(rule) => {
                    quantity_limit::in_visit(world, number, rule, &facts, &mut found);
                }
                Detection::MissingActivity(rule) => {
                    missing_activity::in_visit(world, number, rule, &facts, &mut found);
                }
                Detection::Contradiction(what) => {
                    contradiction::in_visit(world, number, *what, &facts, &mut found);
                }
                _ => {}
            }
            self.costs.count(number, &mut lap);
        }
        self.held.replace(Key::VisitDetails(visit), Part::Whole, found, changes);
    }

    /// Evaluates the rules over persons and institutions.
    pub(super) fn evaluate_keys(&mut self, mut keys: Keys, world: &World<'_>, changes: &mut Vec<FindingChange>) {
        fn unique<T: Ord>(keys: &mut Vec<T>) {
            keys.sort_unstable();
            keys.dedup();
        }
        unique(&mut keys.settlements);
        unique(&mut keys.days);
        unique(&mut keys.detail_days);
        unique(&mut keys.stays);
        unique(&mut keys.beds);
        unique(&mut keys.at_institution);
        unique(&mut keys.runs);
        for (person, settlement) in keys.settlements {
            self.evaluate_settlement(person, settlement, world, changes);
        }
        for (person, day) in keys.days {
            self.evaluate_day(person, day, world, changes);
        }
        for (person, day) in keys.detail_days {
            self.evaluate_detail_day(person, day, world, changes);
        }
        for person in keys.stays {
            let stays = self.stays_of(person, world);
            let mut found = Vec::new();
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.person_stays) {
                match detection {
                    Detection::NextStay(rule) => next_stay::in_stays(world, number, rule, &stays, &mut found),
                    Detection::Overlap(rule) => overlap::in_stays(world, number, rule, &stays, &mut found),
                    _ => {}
                }
                self.costs.count(number, &mut lap);
            }
            self.held.replace(Key::Stays(person), Part::Whole, found, changes);
        }
        for (institution, bed) in keys.beds {
            let visits = self.institutions.get(&institution).map_or(&[][..], |timeline| timeline.in_bed(bed));
            let here = |stay: &&Stay| stay.institution == institution && stay.bed == bed;
            let stays = visits.iter().filter_map(|visit| world.visits.stay(*visit)).filter(here).copied();
            let stays = in_order(stays.collect(), world);
            let mut found = Vec::new();
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.bed_stays) {
                if let Detection::Overlap(rule) = detection {
                    overlap::in_stays(world, number, rule, &stays, &mut found);
                }
                self.costs.count(number, &mut lap);
            }
            self.held.replace(Key::Bed(institution, bed), Part::Whole, found, changes);
        }
        for (person, institution, time) in keys.at_institution {
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.person_institution) {
                let Detection::Repeat(rule) = detection else {
                    continue;
                };
                if !matches!(rule.grouping, Grouping::PersonInstitutionChained { .. }) {
                    continue;
                }
                let timeline = self.persons.entry(world.ids.persons.index_of(person.0));
                let (places, first, last) = around(&timeline.settlements, time, rule.within);
                let mut found = Vec::new();
                if places.len() > 1 {
                    let mut here = live(&timeline.settlements[places], world);
                    here.retain(|settlement| settlement.row.fixmedins_code == institution);
                    repeat::at_institution(world, number, rule, &world.in_order(here), &mut found);
                }
                self.costs.count(number, &mut lap);
                let key = Key::PersonInstitution(person, institution);
                self.held.replace(key, Part::Of(number, first, last), found, changes);
            }
        }
        for (institution, time) in keys.runs {
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.institution) {
                let (Detection::Run(rule), Some(timeline)) = (detection, self.institutions.get(&institution)) else {
                    continue;
                };
                let (entries, first, last) = timeline.around(time, rule.pause);
                let mut found = Vec::new();
                if entries.len() >= rule.at_least {
                    run::at_institution(world, number, rule, &world.in_order(live(&entries, world)), &mut found);
                }
                self.costs.count(number, &mut lap);
                self.held.replace(Key::Institution(institution), Part::Of(number, first, last), found, changes);
            }
        }
    }

    fn evaluate_settlement(
        &mut self,
        person: PersonId,
        id: SettlementId,
        world: &World<'_>,
        changes: &mut Vec<FindingChange>,
    ) {
        let mut found = Vec::new();
        // A settlement that moved to another person is that person's.
        if let Some(settlement) = world.settlements.live(id).filter(|live| live.row.psn_no == person) {
            let mut stays = None;
            let mut death = None;
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.settlement) {
                match detection {
                    Detection::Threshold(rule) => {
                        threshold::of_settlement(world, number, rule, &settlement, &mut found);
                    }
                    Detection::DuringStay(rule) => {
                        let stays = stays.get_or_insert_with(|| self.stays_of(person, world));
                        during_stay::of_settlement(world, number, rule, &settlement, stays, &mut found);
                    }
                    Detection::AfterDeath(rule) => {
                        let death = death.get_or_insert_with(|| self.death_of(person, world));
                        if let Some((day, stated_by)) = death {
                            after_death::of_settlement(world, number, rule, &settlement, *day, stated_by, &mut found);
                        }
                    }
                    _ => {}
                }
                self.costs.count(number, &mut lap);
            }
        }
        self.held.replace(Key::Settlement(person, id), Part::Whole, found, changes);
    }

    fn evaluate_day(&mut self, person: PersonId, day: Day, world: &World<'_>, changes: &mut Vec<FindingChange>) {
        let entries = self.persons.entry(world.ids.persons.index_of(person.0)).on(day);
        let mut found = Vec::new();
        let mut settlements = None;
        let mut lap = self.costs.begin();
        for (number, detection) in rules(world, &world.plan.day_settlements) {
            if let Detection::DistinctCount(rule) = detection
                && entries.len() as i64 >= rule.at_least
            {
                let settlements = settlements.get_or_insert_with(|| world.in_order(live(entries, world)));
                distinct_count::in_day(world, number, rule, day, settlements, &mut found);
            }
            self.costs.count(number, &mut lap);
        }
        self.held.replace(Key::DaySettlements(person, day), Part::Whole, found, changes);
    }

    fn evaluate_detail_day(&mut self, person: PersonId, day: Day, world: &World<'_>, changes: &mut Vec<FindingChange>) {
        let timeline = self.persons.entry(world.ids.persons.index_of(person.0));
        let mut details: Vec<LiveDetail> = Vec::new();
        for visit in timeline.visits_on(day) {
            world.visits.details(visit, world.settlements, |live| {
                details.extend(live.iter().filter(|detail| {
                    detail.passes & DAY_ITEM != 0
                        && detail.row.psn_no == person
                        && detail.row.fee_ocur_time.day() == day
                }));
            });
        }
        let mut found = Vec::new();
        if !details.is_empty() {
            let text = person.string(world.ids);
            let facts = DayFacts { day, person: &text, details: &details };
            let mut lap = self.costs.begin();
            for (number, detection) in rules(world, &world.plan.day_details) {
                match detection {
                    Detection::ExclusivePair(rule) => {
                        exclusive_pair::in_day(world, number, rule, &facts, &mut found);
                    }
                    Detection::QuantityLimit(rule) => {
                        quantity_limit::in_day(world, number, rule, &facts, &mut found);
                    }
                    _ => {}
                }
                self.costs.count(number, &mut lap);
            }
        }
        self.held.replace(Key::DayDetails(person, day), Part::Whole, found, changes);
    }

    /// A person's stays by admission, then id.
    fn stays_of(&mut self, person: PersonId, world: &World<'_>) -> Vec<Stay> {
        let timeline = self.persons.entry(world.ids.persons.index_of(person.0));
        let stays = timeline.stays().iter().filter_map(|visit| world.visits.stay(*visit));
        in_order(stays.filter(|stay| stay.person == person).copied().collect(), world)
    }

    /// The earliest date of a person's death, from the registry or live discharges, and the discharges that
    /// state that date.
    fn death_of<'a>(&mut self, person: PersonId, world: &World<'a>) -> Option<(Day, Vec<&'a Discharge>)> {
        let timeline = self.persons.entry(world.ids.persons.index_of(person.0));
        let registered = world.plan.deaths.get(&person).copied();
        let discharges = timeline.deaths().iter().filter_map(|visit| world.visits.discharge(*visit));
        let mut stating: Vec<&Discharge> =
            discharges.filter(|discharge| discharge.psn_no == person && discharge.die_date.get().is_some()).collect();
        let stated = stating.iter().map(|discharge| discharge.die_date);
        let earliest = stated.chain(registered).min()?;
        stating.retain(|discharge| discharge.die_date == earliest);
        Some((earliest, stating))
    }
}

/// The rules of a list.
fn rules<'a>(world: &World<'a>, list: &'a [RuleNumber]) -> impl Iterator<Item = (RuleNumber, &'a Detection)> {
    let plan = world.plan;
    list.iter().map(|number| (*number, &plan.rules[usize::from(*number)].detection))
}

/// The live settlements of entries.
fn live(entries: &[Entry], world: &World<'_>) -> Vec<LiveSettlement> {
    entries.iter().filter_map(|entry| world.settlements.live(entry.id())).collect()
}

/// Stays by admission, then id.
fn in_order(mut stays: Vec<Stay>, world: &World<'_>) -> Vec<Stay> {
    stays.sort_by_cached_key(|stay| (stay.begin, stay.visit.string(world.ids)));
    stays
}
