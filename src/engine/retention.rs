//! Retention: what is older than so many days of event time is dropped, a day at a time. Alerts that rest on
//! it stand as they are.

use super::{Engine, Options};
use crate::detect::World;
use crate::live::Mail;
use crate::live::checks::Checks;
use crate::live::settlements::Settlements;
use crate::record::decode::Window;
use crate::record::marks::Marks;
use crate::record::{Day, PersonId, Time};
use rayon::prelude::*;

/// The time that records have reached, and what follows from it.
pub(super) struct Retention {
    days: Option<i32>,
    future_skew: Option<i64>,
    reached: Time,
    /// What is before this day is gone.
    horizon: Day,
    /// The horizon when ids were last swept.
    swept: Day,
    /// How many ids were known afterwards.
    survived: usize,
}

impl Retention {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            days: options.retention_days.map(|days| i32::try_from(days).unwrap_or(i32::MAX)),
            future_skew: options.future_skew,
            reached: Time::ABSENT,
            horizon: Day::ABSENT,
            swept: Day::ABSENT,
            survived: 0,
        }
    }

    /// The times of records that are taken now.
    pub(super) fn window(&self) -> Window {
        Window {
            from: self.start(),
            until: self.future_skew.map_or(Window::ALL.until, |skew| Time(crate::clock::now().0 + skew)),
        }
    }

    /// Takes note of the latest record of a batch.
    pub(super) fn advance(&mut self, latest: Option<Time>) {
        self.reached = self.reached.max(latest.unwrap_or(Time::ABSENT));
    }

    /// Goes on from where another process was.
    pub(super) fn restore(&mut self, reached: Option<Time>, horizon: Option<Day>) {
        self.advance(reached);
        self.horizon = horizon.unwrap_or(Day::ABSENT);
        self.swept = self.horizon;
    }

    /// The latest time of a record.
    pub(super) fn latest(&self) -> Option<Time> {
        self.reached.get()
    }

    /// The first day that is retained; `None`: all are.
    pub(super) fn horizon(&self) -> Option<Day> {
        self.horizon.get()
    }

    /// What is before this time is gone.
    pub(super) fn start(&self) -> Time {
        self.horizon.get().map_or(Window::ALL.from, Day::start)
    }

    /// The latest time of a record; the earliest time there is before the first.
    pub(super) fn reached(&self) -> Time {
        self.reached_by_records().unwrap_or(Day::ABSENT.start())
    }

    /// The latest time of a record; `None` before the first.
    pub(super) fn reached_by_records(&self) -> Option<Time> {
        self.reached.get()
    }

    /// The new horizon, where it has moved.
    fn move_on(&mut self) -> Option<Day> {
        let horizon = Day(self.reached.get()?.day().0.saturating_sub(self.days?));
        (horizon > self.horizon).then(|| {
            self.horizon = horizon;
            horizon
        })
    }

    /// Whether ids that nobody holds may take an eighth of the room of the others by now: then it is worth looking at
    /// everything.
    fn must_sweep(&mut self, known: usize) -> bool {
        let gone_by = self.swept == Day::ABSENT || self.horizon.0 - self.swept.0 > self.days.unwrap_or(0) / 32;
        let due = gone_by && known > self.survived + self.survived / 8;
        if due {
            self.swept = self.horizon;
        }
        due
    }
}

impl Engine {
    /// Drops what has fallen behind the horizon.
    pub(super) fn retain(&mut self) {
        if let Some(horizon) = self.time.move_on() {
            self.drop_before(horizon);
        }
    }

    /// Drops what was behind the horizon when it was written down.
    pub(super) fn forget_expired(&mut self) {
        if let Some(horizon) = self.time.horizon() {
            self.drop_before(horizon);
        }
    }

    fn drop_before(&mut self, horizon: Day) {
        let ids = self.ids.clone();
        let mut persons: Mail<PersonId> = crate::live::mail(&ids);
        for number in 0..ids.shards() {
            let settlements = Settlements { shards: &self.settlements, ids: &ids };
            let checks = Checks { shards: &self.checks, ids: &ids };
            let gone = self.visits[number].expire(horizon, settlements, checks);
            for person in gone.persons {
                persons[ids.persons.shard_of(person.0)].push(person);
            }
            for id in gone.settlements {
                self.settlements[ids.settlements.shard_of(id.0)].forget(id, &ids);
            }
            for check in gone.checks {
                self.checks[ids.checks.shard_of(check.0)].forget(check, &ids);
            }
            self.settlements[number].forget_before(horizon);
            self.inventory[number].forget_before(horizon.start());
        }
        if persons.iter().all(Vec::is_empty) {
            return;
        }
        // Not all that a person's timeline points to is told by the records that go: now and then all are looked at.
        let sweep = self.time.must_sweep(ids.len());
        let world = World::new(&self.plan, &self.settlements, &self.visits, &ids, self.watch);
        for persons in &mut persons {
            persons.sort_unstable();
            persons.dedup();
        }
        self.workers.each(&mut self.timelines, persons, |_, shard, persons| {
            shard.forget_before(horizon, Some(persons).filter(|_| !sweep), &world);
        });
        if sweep {
            self.sweep();
        }
    }

    /// Forgets the ids that nobody holds.
    fn sweep(&mut self) {
        self.end_generation();
        let of_shard = |number: usize| {
            let mut marks = Marks::default();
            self.settlements[number].mark(&mut marks);
            self.checks[number].mark(&mut marks);
            self.inventory[number].mark(&mut marks);
            self.timelines[number].mark(&mut marks);
            self.visits[number].mark(&mut marks, &self.ids, number);
            marks
        };
        let mut marks = Marks::default();
        marks.codes.mark(self.ids.one().0);
        marks.codes.mark(self.ids.zero().0);
        self.plan.mark(&mut marks);
        self.workers.pool.install(|| {
            let shards = (0..self.ids.shards()).into_par_iter().map(of_shard);
            let marks = shards.reduce(Marks::default, |one, other| one.join(&other)).join(&marks);
            marks.sweep(&self.ids);
        });
        self.time.survived = self.ids.len();
        // Verdicts are remembered by ids, which may stand for other texts now.
        self.plan.forget_verdicts();
    }
}
