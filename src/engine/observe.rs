//! What models read of the engine: which days changed, and what the live records of a window sum up to.

use super::Engine;
use crate::alert::{Evidence, Role};
use crate::detect::{Watch, World};
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::model::aggregate::{Aggregate, Meanings, Summing};
use crate::model::tally::Tally;
use crate::record::{Code, Day, Ids, InstitutionId, PersonId, SettlementId, VisitId};
use crate::rules::rule::{CLASSES, Map, Set};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::ops::Range;

/// Whose records are summed up. By text: ids may stand for others later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// `fixmedins_code`
    Institution(String),
    /// `psn_no`
    Person(String),
}

/// The parts of an owner's records that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// An institution: `fixmedins_code`.
    Institution,
    /// A doctor at an institution: `bilg_dr_codg` of fee details.
    Doctor,
    /// An item at an institution: `med_list_codg` of fee details.
    InstitutionItem,
    /// A person: `psn_no`.
    Person,
}

impl Owner {
    fn text(&self) -> &str {
        match self {
            Self::Institution(text) | Self::Person(text) => text,
        }
    }
}

/// The name of an entity: its owner's, and that of the part where it is one.
fn entity(owner: &str, part: Code, ids: &Ids) -> String {
    if part.get().is_some() { format!("{owner}/{}", part.string(ids)) } else { owner.to_owned() }
}

impl EntityKind {
    /// Whether it is a part of its owner, told by fee details, and not the owner itself.
    fn is_part(self) -> bool {
        matches!(self, Self::Doctor | Self::InstitutionItem)
    }
}

/// What an entity's records of a window sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// `fixmedins_code`, `fixmedins_code/bilg_dr_codg`, `fixmedins_code/med_list_codg` or `psn_no`.
    pub entity: String,
    /// `fixmedins_code`; absent for persons.
    pub institution: Option<String>,
    /// The sums.
    pub aggregate: Aggregate,
    /// What tells peers apart, by name.
    pub traits: Traits,
}

/// What tells peers apart: the value that most settlements have; of several the smallest text. Empty where none does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traits {
    /// `hosp_lv`
    pub level: String,
    /// The class of `med_type`.
    pub class: String,
    /// `bilg_dept_codg`
    pub department: String,
    /// `gend`; of persons only
    pub gender: String,
    /// The decade of age on the first day of the window, from `brdy`: `30` for 30 to 39; of persons only.
    pub age: String,
}

/// A part of an owner's records over days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whose records.
    pub owner: Owner,
    /// As in [`Observation`].
    pub entity: String,
    /// The first day.
    pub from: Day,
    /// The day after the last one.
    pub to: Day,
}

/// The most settlements that show what an entity did.
const SHOWN: usize = 20;

impl Engine {
    /// Watches for models from the first record on.
    ///
    /// # Panics
    /// Where there are records already.
    pub fn watch(&mut self, watch: Watch) {
        assert_eq!(self.totals.records_in, 0, "an engine watches from its first record on");
        self.watch = watch;
    }

    /// The days that changed since the last call, each once, in no order.
    pub fn take_changed_days(&mut self) -> Vec<(Owner, Day)> {
        let mut days = Vec::new();
        for shard in &mut self.timelines {
            let changed = std::mem::take(&mut shard.changed);
            let institutions = changed.institutions.into_iter();
            days.extend(institutions.map(|(owner, day)| (Owner::Institution(owner.string(&self.ids)), day)));
            let persons = changed.persons.into_iter();
            days.extend(persons.map(|(owner, day)| (Owner::Person(owner.string(&self.ids)), day)));
        }
        days
    }

    /// Sums up the live records of owners from a day to the one before another, by entity; in order of entities. What
    /// has nothing in its window is left out.
    pub fn observe(&self, kind: EntityKind, windows: &[(Owner, Day, Day)]) -> Vec<Vec<Observation>> {
        let world = World::new(&self.plan, &self.settlements, &self.visits, &self.ids, self.watch);
        let one = |meanings: &mut Meanings<'_>, (owner, from, to): &(Owner, Day, Day)| {
            let mut scan = Scan::new(kind, *from..*to, &world, meanings);
            self.scan(&mut scan, owner);
            scan.finish(owner)
        };
        let windows = windows.par_iter().map_init(|| Meanings::new(&self.plan, &self.ids), one);
        self.workers.pool.install(|| windows.collect())
    }

    /// The settlements that cost the fund most, [`SHOWN`] at most, of entities over days; by time and id.
    pub fn costliest(&self, kind: EntityKind, parts: &[Part]) -> Vec<Vec<Evidence>> {
        let world = World::new(&self.plan, &self.settlements, &self.visits, &self.ids, self.watch);
        let one = |part: &Part| {
            let mut meanings = Meanings::new(&self.plan, &self.ids);
            let mut scan = Scan::new(kind, part.from..part.to, &world, &mut meanings);
            scan.shown = Some(Map::default());
            self.scan(&mut scan, &part.owner);
            scan.costliest(part)
        };
        self.workers.pool.install(|| parts.par_iter().map(one).collect())
    }

    fn scan(&self, scan: &mut Scan<'_, '_>, owner: &Owner) {
        let (world, Range { start: from, end: to }) = (scan.world, scan.days.clone());
        match owner {
            Owner::Institution(text) => {
                let Some(institution) = self.ids.institutions.find(text).map(InstitutionId) else {
                    return;
                };
                let shard = &self.timelines[self.ids.institutions.shard_of(institution.0)];
                if let Some(watched) = shard.watched(institution) {
                    scan.settlements(watched.settlements(from, to));
                    let here = |visit: VisitId| world.visits.stay(visit).filter(|stay| stay.institution == institution);
                    scan.stays(watched.stays(from, to).filter_map(here));
                    scan.admissions(watched.admissions(from, to).filter_map(here), self);
                    scan.refunds(watched.refunds(from, to));
                }
            }
            Owner::Person(text) => {
                let Some(person) = self.ids.persons.find(text).map(PersonId) else {
                    return;
                };
                let shard = &self.timelines[self.ids.persons.shard_of(person.0)];
                if let Some(timeline) = shard.person_if_known(person, world) {
                    let entries = timeline.between(from, Day(to.0 - 1));
                    scan.settlements(entries.iter().map(|entry| entry.id()));
                    let own = |visit: &VisitId| world.visits.stay(*visit).filter(|stay| stay.person == person);
                    scan.stays(timeline.stays().iter().filter_map(own));
                    scan.admissions(timeline.stays().iter().filter_map(own), self);
                }
            }
        }
    }
}

/// One entity in the making.
#[derive(Default)]
struct Entity {
    sums: Summing,
    /// How often each stands for it.
    levels: Tally<Code>,
    departments: Tally<Code>,
    genders: Tally<Code>,
    classes: Tally<u8>,
    born: Option<Day>,
}

/// One look over the records of an owner.
struct Scan<'w, 'm> {
    kind: EntityKind,
    days: Range<Day>,
    world: &'w World<'w>,
    meanings: &'w mut Meanings<'m>,
    /// By doctor or item; the owner itself under the absent code.
    entities: Map<Code, Entity>,
    /// The settlements of each, where they are asked for.
    shown: Option<Map<Code, Vec<LiveSettlement>>>,
}

impl<'w, 'm> Scan<'w, 'm> {
    fn new(kind: EntityKind, days: Range<Day>, world: &'w World<'w>, meanings: &'w mut Meanings<'m>) -> Self {
        Self { kind, days, world, meanings, entities: Map::default(), shown: None }
    }

    fn settlements(&mut self, ids: impl Iterator<Item = SettlementId>) {
        let world = self.world;
        let settlements: Vec<LiveSettlement> = ids.filter_map(|id| world.settlements.live(id)).collect();
        // Details are unpacked a visit at a time.
        let mut visits: Vec<(VisitId, usize)> = Vec::with_capacity(settlements.len());
        for (place, LiveSettlement { row, .. }) in settlements.iter().enumerate() {
            let elsewhere = world.settlements.named_in(row.setl_id).iter().copied();
            let elsewhere = elsewhere.filter(|visit| *visit != row.mdtrt_id);
            visits.extend(elsewhere.chain(Some(row.mdtrt_id)).map(|visit| (visit, place)));
        }
        visits.sort_unstable();
        if !self.kind.is_part() {
            for settlement in &settlements {
                self.settle(Code::ABSENT, settlement);
            }
        }
        let mut met: Set<(usize, Code)> = Set::default();
        for visit in visits.chunk_by(|one, other| one.0 == other.0) {
            let carried = |id: SettlementId| {
                visit.iter().map(|(_, place)| *place).find(|place| settlements[*place].row.setl_id == id)
            };
            world.visits.details(visit[0].0, world.settlements, |details| {
                for detail in details {
                    let Some(place) = carried(detail.row.setl_id) else { continue };
                    let part = match self.kind {
                        EntityKind::Institution | EntityKind::Person => Code::ABSENT,
                        EntityKind::Doctor => detail.row.bilg_dr_codg,
                        EntityKind::InstitutionItem => detail.row.med_list_codg,
                    };
                    if self.kind.is_part() && part.get().is_none() {
                        continue;
                    }
                    // A doctor or an item has the settlements in which it stands.
                    if self.kind.is_part() && met.insert((place, part)) {
                        self.settle(part, &settlements[place]);
                    }
                    let entity = self.entities.entry(part).or_default();
                    entity.sums.detail(detail, self.meanings);
                    entity.departments.add(detail.row.bilg_dept_codg, 1);
                }
            });
        }
    }

    fn settle(&mut self, part: Code, settlement: &LiveSettlement) {
        let entity = self.entities.entry(part).or_default();
        let row = &settlement.row;
        entity.sums.settlement(settlement, self.meanings);
        entity.levels.add(row.hosp_lv, 1);
        entity.classes.add(self.world.plan.class(row.med_type), 1);
        // Of an institution's persons neither says anything.
        if self.kind == EntityKind::Person {
            entity.genders.add(row.gend, 1);
            entity.born = entity.born.into_iter().chain(row.brdy.get()).min();
        }
        if let Some(shown) = &mut self.shown {
            shown.entry(part).or_default().push(*settlement);
        }
    }

    /// The evidence of one of the entities.
    fn costliest(self, part: &Part) -> Vec<Evidence> {
        let ids = self.world.ids;
        let owner = part.owner.text();
        let wanted = |code: &Code| entity(owner, *code, ids) == part.entity;
        let shown = self.shown.unwrap_or_default().into_iter().find(|(code, _)| wanted(code));
        let mut evidence: Vec<Evidence> = shown
            .map(|(_, settlements)| settlements)
            .unwrap_or_default()
            .into_iter()
            .map(|settlement| Evidence {
                role: Role::Involved,
                record: "settlement",
                id: settlement.row.setl_id.string(ids),
                time: settlement.row.setl_time,
                amount: Some(settlement.row.fund_pay_sumamt.units()),
            })
            .collect();
        evidence.sort_by(|one, other| (other.amount, &one.id).cmp(&(one.amount, &other.id)));
        evidence.truncate(SHOWN);
        evidence.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
        evidence
    }

    fn stays<'s>(&mut self, stays: impl Iterator<Item = &'s Stay>) {
        if self.kind.is_part() {
            return;
        }
        let mut seen: Set<VisitId> = Set::default();
        for stay in stays {
            if stay.is_discharged() && self.days.contains(&stay.end.day()) && seen.insert(stay.visit) {
                self.entities.entry(Code::ABSENT).or_default().sums.stay(stay);
            }
        }
    }

    /// Stays that began; of who has nothing else in the window none is counted.
    fn admissions<'s>(&mut self, stays: impl Iterator<Item = &'s Stay>, engine: &Engine) {
        let world = self.world;
        let Some(entity) = self.entities.get_mut(&Code::ABSENT).filter(|_| !self.kind.is_part()) else {
            return;
        };
        let mut seen: Set<VisitId> = Set::default();
        for stay in stays {
            if self.days.contains(&stay.begin.day()) && seen.insert(stay.visit) {
                let shard = &engine.timelines[world.ids.persons.shard_of(stay.person.0)];
                let visits = shard.person_if_known(stay.person, world).map_or(&[][..], |person| person.stays());
                let mut others = visits.iter().filter_map(|visit| world.visits.stay(*visit));
                let again = others.any(|other| other.person == stay.person && stay.is_readmission_after(other));
                entity.sums.admission(again);
            }
        }
    }

    /// Refunds; of an institution that has nothing else in the window none is counted.
    fn refunds(&mut self, count: usize) {
        if let Some(entity) = self.entities.get_mut(&Code::ABSENT).filter(|_| !self.kind.is_part()) {
            entity.sums.refunds(count);
        }
    }

    fn finish(self, owner: &Owner) -> Vec<Observation> {
        let (ids, kind, days) = (self.world.ids, self.kind, self.days);
        let most = |votes: Tally<Code>| {
            let counted = votes.sums().into_iter().filter(|(code, _)| code.get().is_some());
            let texts = counted.map(|(code, count)| (Reverse(count), code.string(ids)));
            texts.min().map(|(_, text)| text).unwrap_or_default()
        };
        let institution = match owner {
            Owner::Institution(institution) => Some(institution.clone()),
            Owner::Person(_) => None,
        };
        let observe = |(part, mut of): (Code, Entity)| {
            let classes = of.classes.sums().into_iter().map(|(class, count)| (Reverse(count), class));
            let class = classes.min().map(|(_, class)| CLASSES[usize::from(class)]);
            let age = of.born.map(|born| ((days.start.0 - born.0).max(0) * 4 / 1_461 / 10 * 10).to_string());
            if kind == EntityKind::Institution {
                of.sums.of_institution(days.start, days.end, ids);
            }
            Observation {
                entity: entity(owner.text(), part, ids),
                institution: institution.clone(),
                aggregate: of.sums.finish(),
                traits: Traits {
                    level: most(of.levels),
                    class: class.unwrap_or_default().to_owned(),
                    department: most(of.departments),
                    gender: most(of.genders),
                    age: age.unwrap_or_default(),
                },
            }
        };
        let mut observations: Vec<Observation> = self.entities.into_iter().map(observe).collect();
        observations.sort_by(|one, other| one.entity.cmp(&other.entity));
        observations
    }
}
