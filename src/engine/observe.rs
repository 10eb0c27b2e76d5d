//! What models read of the engine: which days changed, and what the live records of a window sum up to.

use super::Engine;
use crate::detect::{Watch, World};
use crate::live::details::LiveDetail;
use crate::live::settlements::LiveSettlement;
use crate::model::aggregate::{Aggregate, Meanings, Summing};
use crate::record::{Code, Day, InstitutionId, PersonId, SettlementId, VisitId};
use crate::rules::rule::{Map, Set};
use rayon::prelude::*;

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
        let one = |(owner, from, to): &(Owner, Day, Day)| self.observe_one(kind, owner, *from, *to, &world);
        self.workers.pool.install(|| windows.par_iter().map(one).collect())
    }

    fn observe_one(&self, kind: EntityKind, owner: &Owner, from: Day, to: Day, world: &World<'_>) -> Vec<Observation> {
        let mut scan = Scan::new(kind, from, world);
        match owner {
            Owner::Institution(text) => {
                let Some(institution) = self.ids.institutions.find(text).map(InstitutionId) else {
                    return Vec::new();
                };
                let shard = &self.timelines[self.ids.institutions.shard_of(institution.0)];
                if let Some(watched) = shard.watched(institution) {
                    scan.settlements(watched.settlements(from, to));
                    let here = |visit: VisitId| world.visits.stay(visit).filter(|stay| stay.institution == institution);
                    scan.stays(watched.stays(from, to).filter_map(here), from, to);
                }
            }
            Owner::Person(text) => {
                let Some(person) = self.ids.persons.find(text).map(PersonId) else {
                    return Vec::new();
                };
                let shard = &self.timelines[self.ids.persons.shard_of(person.0)];
                if let Some(timeline) = shard.person_if_known(person, world) {
                    let entries = timeline.between(from, Day(to.0 - 1));
                    scan.settlements(entries.iter().map(|entry| entry.id()));
                    let own = |visit: &VisitId| world.visits.stay(*visit).filter(|stay| stay.person == person);
                    scan.stays(timeline.stays().iter().filter_map(own), from, to);
                }
            }
        }
        scan.finish(owner)
    }
}

/// How often each code stands for an entity.
type Votes = Map<Code, u32>;

/// One entity in the making.
#[derive(Default)]
struct Entity {
    sums: Summing,
    levels: Votes,
    departments: Votes,
    genders: Votes,
    classes: Map<u8, u32>,
    born: Option<Day>,
}

/// One look over the records of an owner.
struct Scan<'w> {
    kind: EntityKind,
    from: Day,
    world: &'w World<'w>,
    meanings: Meanings<'w>,
    /// By doctor or item; the owner itself under the absent code.
    entities: Map<Code, Entity>,
}

impl<'w> Scan<'w> {
    fn new(kind: EntityKind, from: Day, world: &'w World<'w>) -> Self {
        let meanings = Meanings::new(world.plan, world.ids);
        Self { kind, from, world, meanings, entities: Map::default() }
    }

    fn settlements(&mut self, ids: impl Iterator<Item = SettlementId>) {
        let world = self.world;
        // Details are unpacked a visit at a time.
        let mut visits: Vec<(VisitId, SettlementId)> = Vec::new();
        let mut settlements: Map<SettlementId, LiveSettlement> = Map::default();
        for id in ids {
            let Some(settlement) = world.settlements.live(id) else { continue };
            let elsewhere = world.settlements.named_in(id).iter().copied();
            let elsewhere = elsewhere.filter(|visit| *visit != settlement.row.mdtrt_id);
            visits.extend(elsewhere.chain(Some(settlement.row.mdtrt_id)).map(|visit| (visit, id)));
            settlements.insert(id, settlement);
        }
        if !self.kind.is_part() {
            for settlement in settlements.values() {
                self.settle(Code::ABSENT, settlement);
            }
        }
        visits.sort_unstable();
        let mut met: Set<(SettlementId, Code)> = Set::default();
        for visit in visits.chunk_by(|one, other| one.0 == other.0) {
            let carried = |detail: &&LiveDetail| visit.iter().any(|(_, id)| *id == detail.row.setl_id);
            world.visits.details(visit[0].0, world.settlements, |details| {
                for detail in details.iter().filter(carried) {
                    let part = match self.kind {
                        EntityKind::Institution | EntityKind::Person => Code::ABSENT,
                        EntityKind::Doctor => detail.row.bilg_dr_codg,
                        EntityKind::InstitutionItem => detail.row.med_list_codg,
                    };
                    if self.kind.is_part() && part.get().is_none() {
                        continue;
                    }
                    // A doctor or an item has the settlements in which it stands.
                    if self.kind.is_part() && met.insert((detail.row.setl_id, part)) {
                        self.settle(part, &settlements[&detail.row.setl_id]);
                    }
                    let entity = self.entities.entry(part).or_default();
                    entity.sums.detail(detail, &mut self.meanings);
                    *entity.departments.entry(detail.row.bilg_dept_codg).or_default() += 1;
                }
            });
        }
    }

    fn settle(&mut self, part: Code, settlement: &LiveSettlement) {
        let entity = self.entities.entry(part).or_default();
        let row = &settlement.row;
        entity.sums.settlement(settlement, &self.meanings);
        *entity.levels.entry(row.hosp_lv).or_default() += 1;
        *entity.genders.entry(row.gend).or_default() += 1;
        *entity.classes.entry(self.world.plan.class(row.med_type)).or_default() += 1;
        entity.born = entity.born.into_iter().chain(row.brdy.get()).min();
    }

    fn stays<'s>(&mut self, stays: impl Iterator<Item = &'s crate::live::stays::Stay>, from: Day, to: Day) {
        if self.kind.is_part() {
            return;
        }
        let mut seen: Set<VisitId> = Set::default();
        for stay in stays {
            if stay.is_discharged() && (from..to).contains(&stay.end.day()) && seen.insert(stay.visit) {
                self.entities.entry(Code::ABSENT).or_default().sums.stay(stay);
            }
        }
    }

    fn finish(self, owner: &Owner) -> Vec<Observation> {
        let ids = self.world.ids;
        let most = |votes: &Votes| {
            let counted = votes.iter().filter(|(code, _)| code.get().is_some());
            let texts = counted.map(|(code, count)| (std::cmp::Reverse(*count), code.string(ids)));
            texts.min().map(|(_, text)| text).unwrap_or_default()
        };
        let (name, institution) = match owner {
            Owner::Institution(institution) => (institution, Some(institution.clone())),
            Owner::Person(person) => (person, None),
        };
        let mut observations: Vec<Observation> = self
            .entities
            .into_iter()
            .map(|(part, entity)| {
                let classes = entity.classes.iter().map(|(class, count)| (std::cmp::Reverse(*count), *class));
                let class = classes.min().map(|(_, class)| crate::rules::rule::CLASSES[usize::from(class)]);
                // Of an institution's persons neither says anything.
                let of_person = self.kind == EntityKind::Person;
                let born = entity.born.filter(|_| of_person);
                let age = born.map(|born| ((self.from.0 - born.0).max(0) * 4 / 1_461 / 10 * 10).to_string());
                Observation {
                    entity: if part.get().is_some() { format!("{name}/{}", part.string(ids)) } else { name.clone() },
                    institution: institution.clone(),
                    aggregate: entity.sums.finish(),
                    traits: Traits {
                        level: most(&entity.levels),
                        class: class.unwrap_or_default().to_owned(),
                        department: most(&entity.departments),
                        gender: if of_person { most(&entity.genders) } else { String::new() },
                        age: age.unwrap_or_default(),
                    },
                }
            })
            .collect();
        observations.sort_by(|one, other| one.entity.cmp(&other.entity));
        observations
    }
}
