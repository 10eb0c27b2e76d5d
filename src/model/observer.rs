//! The observer: keeps the aggregates of every entity and window up to date, and makes features of them.
//!
//! A window is looked at once it is over and its grace too; it is looked at again whenever one of its records changes.
//! What it gives is a function of the live records, so it is the same live and offline, in any order, over any batches.

use super::aggregate::Aggregate;
use super::drift::known_median;
use super::file::Model;
use crate::engine::Engine;
use crate::engine::observe::{Observation, Owner, Traits};
use crate::record::Day;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The features of an entity in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRow {
    /// As in [`Observation`].
    pub entity: String,
    /// The first day of the window.
    pub start: Day,
    /// As in [`Observation`].
    pub institution: Option<String>,
    /// What tells peers apart.
    pub traits: Traits,
    /// What the fund paid, in fen.
    pub at_stake: i64,
    /// A value for each feature; NaN where it is missing.
    pub values: Vec<f64>,
}

/// Keeps the aggregates of a model.
#[derive(Default)]
pub struct Observer {
    /// Windows with changes, by start: those that are not over wait.
    changed: BTreeMap<Day, BTreeSet<Owner>>,
    /// What was seen, by window and entity.
    seen: BTreeMap<Day, BTreeMap<String, Observation>>,
    /// The entities of each owner that were seen in a window.
    entities: BTreeMap<(Day, Owner), Vec<String>>,
    /// Whether a window that is over has changes that were not looked at for want of time.
    behind: bool,
}

/// Owners that are looked at at once where time is short.
const SOME: usize = 16;

impl Observer {
    /// Takes note of days that changed: see [`Engine::take_changed_days`].
    pub fn note(&mut self, model: &Model, days: &[(Owner, Day)]) {
        for (owner, day) in days {
            let persons = matches!(owner, Owner::Person(_));
            if persons != model.watch().persons {
                continue;
            }
            for start in model.file.window.starts(*day) {
                self.changed.entry(start).or_default().insert(owner.clone());
            }
        }
    }

    /// Looks at the windows that are over by a day and have changed; gives their starts.
    pub fn advance(&mut self, model: &Model, engine: &Engine, reached: Day) -> Vec<Day> {
        self.advance_until(model, engine, reached, None)
    }

    /// Goes on with looking at the windows that are over by a day and have changed, until a moment at the latest; gives the
    /// starts of those that it has come to the end of.
    pub fn advance_until(&mut self, model: &Model, engine: &Engine, reached: Day, until: Option<Instant>) -> Vec<Day> {
        let over = |start: Day| model.file.window.end(start).0 + i32::from(model.file.grace_days) <= reached.0;
        let at_once = if until.is_some() { SOME } else { usize::MAX };
        let mut whole = Vec::new();
        self.behind = false;
        while let Some(mut changed) = self.changed.first_entry().filter(|changed| over(*changed.key())) {
            let start = *changed.key();
            let owners = take(changed.get_mut(), at_once);
            if changed.get().is_empty() {
                changed.remove();
                whole.push(start);
            }
            self.look(model, engine, start, owners);
            if until.is_some_and(|until| Instant::now() >= until) {
                self.behind = self.changed.keys().next().is_some_and(|start| over(*start));
                break;
            }
        }
        whole
    }

    /// Looks at owners in a window.
    fn look(&mut self, model: &Model, engine: &Engine, start: Day, owners: BTreeSet<Owner>) {
        let end = model.file.window.end(start);
        let windows: Vec<(Owner, Day, Day)> = owners.iter().map(|owner| (owner.clone(), start, end)).collect();
        let observations = engine.observe(model.file.entity, &windows);
        let seen = self.seen.entry(start).or_default();
        for (owner, observations) in owners.into_iter().zip(observations) {
            let key = (start, owner);
            for entity in self.entities.remove(&key).unwrap_or_default() {
                seen.remove(&entity);
            }
            if !observations.is_empty() {
                let names = observations.iter().map(|observation| observation.entity.clone()).collect();
                self.entities.insert(key, names);
            }
            seen.extend(observations.into_iter().map(|observation| (observation.entity.clone(), observation)));
        }
    }

    /// Whether a window that is over has changes that were not looked at for want of time.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether a window has changes that were not looked at: what is known of it does not fit together.
    pub fn is_in_between(&self, start: Day) -> bool {
        self.changed.contains_key(&start)
    }

    /// How many entities in windows are held.
    pub fn len(&self) -> usize {
        self.seen.values().map(BTreeMap::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Forgets the windows that begin before a day: their records may be gone.
    pub fn forget_before(&mut self, horizon: Day) {
        self.changed = self.changed.split_off(&horizon);
        self.seen = self.seen.split_off(&horizon);
        self.entities.retain(|(start, _), _| *start >= horizon);
    }

    /// The windows that were looked at.
    pub fn windows(&self) -> impl Iterator<Item = Day> + '_ {
        self.seen.keys().copied()
    }

    /// The features of all entities in a window that have enough records for the model, by entity.
    pub fn features(&self, model: &Model, start: Day) -> Vec<FeatureRow> {
        let Some(seen) = self.seen.get(&start) else {
            return Vec::new();
        };
        let past = self.past(model, start);
        let windows: Vec<(Aggregate, Vec<Aggregate>)> =
            seen.values().map(|observation| (observation.aggregate, aggregates(&past, &observation.entity))).collect();
        let values = model.features.evaluate(&windows);
        let enough = model.features.are_enough(&windows);
        seen.values()
            .zip(values)
            .zip(enough)
            .filter(|(_, enough)| *enough)
            .map(|((observation, values), _)| FeatureRow {
                entity: observation.entity.clone(),
                start,
                institution: observation.institution.clone(),
                traits: observation.traits.clone(),
                at_stake: observation.aggregate.at_stake(),
                values,
            })
            .collect()
    }

    /// The values that an entity's features had in the windows before one.
    pub fn own_past(&self, model: &Model, start: Day, entity: &str) -> Vec<Vec<f64>> {
        let mut windows: Vec<(Aggregate, Vec<Aggregate>)> = Vec::new();
        for before in model.before(start) {
            if let Some(observation) = self.seen.get(&before).and_then(|seen| seen.get(entity)) {
                windows.push((observation.aggregate, aggregates(&self.past(model, before), entity)));
            }
        }
        model.features.evaluate(&windows)
    }

    /// What the fund paid an entity in a window against the median of its windows before, as `fund / past_fund` in a model
    /// file; `None` where that is no number.
    pub fn fund_growth(&self, model: &Model, start: Day, entity: &str) -> Option<f64> {
        let fund = |start: Day| Some(self.seen.get(&start)?.get(entity)?.aggregate.fund() as f64);
        let past = known_median(model.before(start).filter_map(fund))?;
        Some(fund(start)? / past).filter(|growth| growth.is_finite())
    }

    /// What was seen in the windows that features of a window read.
    fn past(&self, model: &Model, start: Day) -> Vec<&BTreeMap<String, Observation>> {
        let before = model.before(start).filter(|_| model.features.read_past());
        before.filter_map(|before| self.seen.get(&before)).collect()
    }
}

/// Takes the first ones out of a set.
fn take(owners: &mut BTreeSet<Owner>, most: usize) -> BTreeSet<Owner> {
    match owners.iter().nth(most).cloned() {
        Some(next) => {
            let rest = owners.split_off(&next);
            std::mem::replace(owners, rest)
        }
        None => std::mem::take(owners),
    }
}

fn aggregates(windows: &[&BTreeMap<String, Observation>], entity: &str) -> Vec<Aggregate> {
    windows.iter().filter_map(|window| window.get(entity)).map(|observation| observation.aggregate).collect()
}
