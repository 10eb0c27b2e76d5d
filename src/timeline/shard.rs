//! The timelines of a shard, and the way of a batch through them.

use super::cost::Costs;
use super::held::{FindingChange, HeldAlerts};
use super::institutions::Institution;
use super::persons::Person;
use super::watched::Watched;
use crate::detect::World;
use crate::live::paged::Paged;
use crate::live::settlements::{LiveSettlement, RefundChange, SettlementChange};
use crate::live::stays::Stay;
use crate::live::visits::{OpenVisit, StayChange};
use crate::record::marks::Marks;
use crate::record::{Code, Day, InstitutionId, PersonId, SettlementId, Time, VisitId};
use crate::rules::rule::{Map, Set};

/// The timelines of the persons and institutions of a shard, and the alerts that stand on its keys.
#[derive(Default)]
pub struct TimelineShard {
    pub(super) persons: Paged<Person>,
    pub(super) institutions: Map<InstitutionId, Institution>,
    /// What was found before.
    pub held: HeldAlerts,
    /// What evaluating the rules took.
    pub costs: Costs,
    /// Keys that changed and are not evaluated yet.
    gathered: Keys,
    /// Days that changed since models last asked, where they watch.
    pub changed: Changed,
}

/// Days on which something changed that models watch.
#[derive(Default)]
pub struct Changed {
    /// Of institutions.
    pub institutions: Set<(InstitutionId, Day)>,
    /// Of persons.
    pub persons: Set<(PersonId, Day)>,
}

/// What a batch changed for the timelines of a shard.
#[derive(Default)]
pub struct News<'a> {
    /// Settlements of the shard's persons, before or after.
    pub settlements: Vec<&'a SettlementChange>,
    /// Settlements of the shard's institutions, before or after.
    pub sales: Vec<&'a SettlementChange>,
    /// Stays of the shard's persons, before or after.
    pub stays: Vec<&'a StayChange>,
    /// Stays at the shard's institutions, before or after.
    pub bed_stays: Vec<&'a StayChange>,
    /// Days of persons with changed details.
    pub days: Vec<(PersonId, Day, VisitId)>,
    /// Settlements whose items changed.
    pub items: Vec<(PersonId, InstitutionId, Time)>,
    /// Persons whose stays' settlements changed.
    pub funds: Vec<PersonId>,
    /// Persons whose date of death may have changed.
    pub deaths: Vec<(PersonId, VisitId)>,
    /// Days of the shard's institutions whose settlements' details changed; only where models watch.
    pub changed: Vec<(InstitutionId, Day)>,
    /// The visits of the shard that were touched.
    pub visits: &'a [OpenVisit],
}

/// The keys that must be evaluated after a batch.
#[derive(Default)]
pub(super) struct Keys {
    pub settlements: Vec<(PersonId, SettlementId)>,
    pub days: Vec<(PersonId, Day)>,
    pub detail_days: Vec<(PersonId, Day)>,
    pub stays: Vec<PersonId>,
    pub beds: Vec<(InstitutionId, Code)>,
    pub at_institution: Vec<(PersonId, InstitutionId, Time)>,
    pub runs: Vec<(InstitutionId, Time)>,
}

impl TimelineShard {
    /// Brings the timelines up to date and evaluates the keys that changed.
    pub fn evaluate(&mut self, shard: usize, news: &News<'_>, world: &World<'_>) -> Vec<FindingChange> {
        let mut changes = self.gather(shard, news, world);
        self.evaluate_gathered(world, &mut changes);
        changes
    }

    /// Brings the timelines up to date and evaluates the visits that changed, whose facts are all their own. The other
    /// keys are left for [`TimelineShard::evaluate_gathered`].
    pub fn gather(&mut self, shard: usize, news: &News<'_>, world: &World<'_>) -> Vec<FindingChange> {
        let mut keys = std::mem::take(&mut self.gathered);
        self.apply_settlements(shard, news, world, &mut keys);
        self.apply_visits(shard, news, world, &mut keys);
        self.gathered = keys;
        let mut changes = Vec::new();
        self.evaluate_visits(news.visits, world, &mut changes);
        changes
    }

    /// Evaluates the keys that changed.
    pub fn evaluate_gathered(&mut self, world: &World<'_>, changes: &mut Vec<FindingChange>) {
        let keys = std::mem::take(&mut self.gathered);
        self.evaluate_keys(keys, world, changes);
    }

    /// Drops what is from before the horizon. Alerts that rest on it stand.
    pub fn forget_before(&mut self, horizon: Day) {
        self.institutions.values_mut().for_each(|institution| institution.forget_before(horizon));
        self.held.forget_before(horizon.start());
    }

    /// Drops what points to things that are gone, of persons at some places.
    pub fn forget_of_persons(&mut self, places: impl Iterator<Item = usize>, world: &World<'_>) {
        for place in places {
            if self.persons.get(place).is_some() {
                let settlement = |id| !world.settlements.is_known(id);
                self.persons.entry(place).forget(settlement, |id| !world.visits.is_known(id));
            }
        }
    }

    /// Drops what points to things that are gone, of all institutions.
    pub fn forget_of_institutions(&mut self, world: &World<'_>) {
        self.institutions.retain(|_, institution| {
            institution.forget_visits(|id| !world.visits.is_known(id));
            !institution.is_empty()
        });
    }

    /// How many places of persons there are, empty ones too.
    pub fn places(&self) -> usize {
        self.persons.end()
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        self.institutions.keys().for_each(|institution| marks.institutions.mark(institution.0));
        self.changed.institutions.iter().for_each(|(institution, _)| marks.institutions.mark(institution.0));
        self.changed.persons.iter().for_each(|(person, _)| marks.persons.mark(person.0));
        self.held.mark(marks);
    }

    pub(super) fn person(&mut self, person: PersonId, world: &World<'_>) -> &mut Person {
        self.persons.entry(world.ids.persons.index_of(person.0))
    }

    /// What models watch of an institution.
    pub fn watched(&self, institution: InstitutionId) -> Option<&Watched> {
        self.institutions.get(&institution).map(|timeline| &timeline.watched)
    }

    /// What models watch of all institutions, in no order.
    pub fn all_watched(&self) -> impl Iterator<Item = &Watched> {
        self.institutions.values().map(|timeline| &timeline.watched)
    }

    /// The timeline of a person, where there is one.
    pub fn person_if_known(&self, person: PersonId, world: &World<'_>) -> Option<&Person> {
        self.persons.get(world.ids.persons.index_of(person.0))
    }

    fn apply_settlements(&mut self, shard: usize, news: &News<'_>, world: &World<'_>, keys: &mut Keys) {
        let ids = world.ids;
        let sides = |change: &SettlementChange| {
            let mut sides: Vec<LiveSettlement> = change.before.into_iter().chain(change.after).collect();
            sides.dedup();
            sides
        };
        for change in &news.settlements {
            for side in sides(change) {
                let person = side.row.psn_no;
                if ids.persons.shard_of(person.0) != shard {
                    continue;
                }
                self.person(person, world).change(person, change);
                if world.watch.persons {
                    self.changed.persons.insert((person, side.row.setl_time.day()));
                }
                keys.settlements.push((person, change.id));
                keys.days.push((person, side.row.setl_time.day()));
                keys.at_institution.push((person, side.row.fixmedins_code, side.row.setl_time));
            }
        }
        for change in &news.sales {
            for (live, is_after) in [(change.before, false), (change.after, true)] {
                let Some(live) = live else { continue };
                let (institution, time) = (live.row.fixmedins_code, live.row.setl_time);
                if ids.institutions.shard_of(institution.0) != shard {
                    continue;
                }
                if world.watch.institutions {
                    self.changed.institutions.insert((institution, time.day()));
                    let watched = &mut self.institutions.entry(institution).or_default().watched;
                    if is_after {
                        watched.insert(time.day(), change.id);
                    } else {
                        watched.remove(time.day(), change.id);
                    }
                }
                if !world.plan.reads_in_institution(live.passes) {
                    continue;
                }
                let timeline = self.institutions.entry(institution).or_default();
                if is_after {
                    timeline.insert(time, change.id);
                } else {
                    timeline.remove(time, change.id);
                }
                keys.runs.push((institution, time));
            }
        }
    }

    /// Notes a refund for models: that of one of the shard's institutions, before or after.
    pub fn note_refund(&mut self, change: &RefundChange, at: (InstitutionId, Day), is_after: bool) {
        let (institution, day) = at;
        self.changed.institutions.insert((institution, day));
        let watched = &mut self.institutions.entry(institution).or_default().watched;
        if is_after {
            watched.insert_refund(day, change.id);
        } else {
            watched.remove_refund(day, change.id);
        }
    }

    fn apply_visits(&mut self, shard: usize, news: &News<'_>, world: &World<'_>, keys: &mut Keys) {
        let ids = world.ids;
        for (person, day, visit) in &news.days {
            self.person(*person, world).note_day(*day, *visit);
            keys.detail_days.push((*person, *day));
        }
        keys.at_institution.extend_from_slice(&news.items);
        if world.watch.persons {
            self.changed.persons.extend(news.items.iter().map(|(person, _, time)| (*person, time.day())));
        }
        self.changed.institutions.extend(&news.changed);
        keys.stays.extend_from_slice(&news.funds);
        for (person, visit) in &news.deaths {
            let timeline = self.person(*person, world);
            timeline.note_death(*visit);
            keys.settlements.extend(timeline.settlements.iter().map(|entry| (*person, entry.id())));
        }
        let sides = |change: &StayChange| -> Vec<Stay> { change.before.into_iter().chain(change.after).collect() };
        for change in &news.stays {
            for stay in sides(change) {
                if ids.persons.shard_of(stay.person.0) != shard {
                    continue;
                }
                let timeline = self.person(stay.person, world);
                timeline.note_stay(stay.visit);
                keys.stays.push(stay.person);
                self.note_days(change, &stay, world);
                if stay.is_discharged() {
                    let timeline = self.person(stay.person, world);
                    let inside = timeline.between(stay.begin.day(), stay.end.day());
                    keys.settlements.extend(inside.iter().map(|entry| (stay.person, entry.id())));
                }
            }
        }
        for change in &news.bed_stays {
            for stay in sides(change) {
                if ids.institutions.shard_of(stay.institution.0) != shard {
                    continue;
                }
                if world.watch.institutions {
                    let watched = &mut self.institutions.entry(stay.institution).or_default().watched;
                    // Of most stays that change it is the end that does, day after day.
                    if change.is_of_admission() {
                        self.changed.institutions.insert((stay.institution, stay.begin.day()));
                        watched.note_admission(stay.begin.day(), stay.visit);
                    }
                    if stay.is_discharged() && change.is_of_discharge() {
                        self.changed.institutions.insert((stay.institution, stay.end.day()));
                        watched.note_stay(stay.end.day(), stay.visit);
                    }
                }
                if stay.bed.get().is_none() {
                    continue;
                }
                self.institutions.entry(stay.institution).or_default().note_bed(stay.bed, stay.visit);
                keys.beds.push((stay.institution, stay.bed));
            }
        }
    }

    /// Notes for models the days of a person on which a stay began and ended, and those on which stays began, of whomever, that may
    /// be readmissions after it, or no longer are.
    fn note_days(&mut self, change: &StayChange, stay: &Stay, world: &World<'_>) {
        if !(world.watch.persons || world.watch.institutions) || !change.is_of_discharge() {
            return;
        }
        if world.watch.persons {
            if change.is_of_admission() {
                self.changed.persons.insert((stay.person, stay.begin.day()));
            }
            if stay.is_discharged() {
                self.changed.persons.insert((stay.person, stay.end.day()));
            }
        }
        let Some(person) = self.persons.get(world.ids.persons.index_of(stay.person.0)) else {
            return;
        };
        for later in person.stays().iter().filter_map(|visit| world.visits.stay(*visit)) {
            if later.person == stay.person && later.is_readmission_after(stay) {
                if world.watch.persons {
                    self.changed.persons.insert((later.person, later.begin.day()));
                }
                if world.watch.institutions {
                    self.changed.institutions.insert((later.institution, later.begin.day()));
                }
            }
        }
    }
}
