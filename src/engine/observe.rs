//! What models read of the engine: which days changed, and what the live records of a window sum up to.

use super::Engine;
use crate::alert::{Evidence, Role};
use crate::detect::{Watch, World};
use crate::live::details::LiveDetail;
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::model::aggregate::{Aggregate, Meanings, Summing};
use crate::record::{Code, Day, Ids, InstitutionId, PersonId, SettlementId, VisitId};
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
        let one = |(owner, from, to): &(Owner, Day, Day)| self.observe_one(kind, owner, *from, *to, &world);
        self.workers.pool.install(|| windows.par_iter().map(one).collect())
    }

    /// The settlements that cost the fund most, [`SHOWN`] at most, of entities over days; by time and id.
    pub fn costliest(&self, kind: EntityKind, parts: &[Part]) -> Vec<Vec<Evidence>> {
        let world = World::new(&self.plan, &self.settlements, &self.visits, &self.ids, self.watch);
        let one = |part: &Part| {
            let mut scan = Scan::new(kind, part.from, &world);
            scan.shown = Some(Map::default());
            self.scan(&mut scan, &part.owner, part.from, part.to);
            scan.costliest(part)
        };
        self.workers.pool.install(|| parts.par_iter().map(one).collect())
    }

    fn observe_one(&self, kind: EntityKind, owner: &Owner, from: Day, to: Day, world: &World<'_>) -> Vec<Observation> {
        let mut scan = Scan::new(kind, from, world);
        self.scan(&mut scan, owner, from, to);
        scan.finish(owner)
    }

    fn scan(&self, scan: &mut Scan<'_>, owner: &Owner, from: Day, to: Day) {
        let world = scan.world;
        match owner {
            Owner::Institution(text) => {
                let Some(institution) = self.ids.institutions.find(text).map(InstitutionId) else {
                    return;
                };
                let shard = &self.timelines[self.ids.institutions.shard_of(institution.0)];
                if let Some(watched) = shard.watched(institution) {
                    scan.settlements(watched.settlements(from, to));
                    let here = |visit: VisitId| world.visits.stay(visit).filter(|stay| stay.institution == institution);
                    scan.stays(watched.stays(from, to).filter_map(here), from, to);
                    scan.admissions(watched.admissions(from, to).filter_map(here), from, to, self);
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
                    scan.stays(timeline.stays().iter().filter_map(own), from, to);
                    scan.admissions(timeline.stays().iter().filter_map(own), from, to, self);
                }
            }
        }
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
    /// The settlements of each, where they are asked for.
    shown: Option<Map<Code, Vec<LiveSettlement>>>,
}

impl<'w> Scan<'w> {
    fn new(kind: EntityKind, from: Day, world: &'w World<'w>) -> Self {
        let meanings = Meanings::new(world.plan, world.ids);
        Self { kind, from, world, meanings, entities: Map::default(), shown: None }
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

    fn stays<'s>(&mut self, stays: impl Iterator<Item = &'s Stay>, from: Day, to: Day) {
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

    /// Stays that began; of who has nothing else in the window none is counted.
    fn admissions<'s>(&mut self, stays: impl Iterator<Item = &'s Stay>, from: Day, to: Day, engine: &Engine) {
        let world = self.world;
        let Some(entity) = self.entities.get_mut(&Code::ABSENT).filter(|_| !self.kind.is_part()) else {
            return;
        };
        let mut seen: Set<VisitId> = Set::default();
        for stay in stays {
            if (from..to).contains(&stay.begin.day()) && seen.insert(stay.visit) {
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
        let ids = self.world.ids;
        let most = |votes: &Votes| {
            let counted = votes.iter().filter(|(code, _)| code.get().is_some());
            let texts = counted.map(|(code, count)| (std::cmp::Reverse(*count), code.string(ids)));
            texts.min().map(|(_, text)| text).unwrap_or_default()
        };
        let institution = match owner {
            Owner::Institution(institution) => Some(institution.clone()),
            Owner::Person(_) => None,
        };
        let mut observations: Vec<Observation> = self
            .entities
            .into_iter()
            .map(|(part, sums)| {
                let classes = sums.classes.iter().map(|(class, count)| (std::cmp::Reverse(*count), *class));
                let class = classes.min().map(|(_, class)| crate::rules::rule::CLASSES[usize::from(class)]);
                // Of an institution's persons neither says anything.
                let of_person = self.kind == EntityKind::Person;
                let born = sums.born.filter(|_| of_person);
                let age = born.map(|born| ((self.from.0 - born.0).max(0) * 4 / 1_461 / 10 * 10).to_string());
                Observation {
                    entity: entity(owner.text(), part, ids),
                    institution: institution.clone(),
                    aggregate: sums.sums.finish(),
                    traits: Traits {
                        level: most(&sums.levels),
                        class: class.unwrap_or_default().to_owned(),
                        department: most(&sums.departments),
                        gender: if of_person { most(&sums.genders) } else { String::new() },
                        age: age.unwrap_or_default(),
                    },
                }
            })
            .collect();
        observations.sort_by(|one, other| one.entity.cmp(&other.entity));
        observations
    }
}
