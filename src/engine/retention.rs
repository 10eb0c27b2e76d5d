//! Retention: what is older than so many days of event time is dropped, a little with each batch. Alerts that rest on it
//! stand as they are.

use super::{Engine, Options};
use crate::detect::World;
use crate::live::Mail;
use crate::live::checks::Checks;
use crate::live::settlements::Settlements;
use crate::record::decode::Window;
use crate::record::{CheckId, Day, PersonId, SettlementId, Time};

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
    pub(super) survived: usize,
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

/// Visits that are dropped for each line of a batch, and with every batch.
const PER_LINE: usize = 1;
const EACH_BATCH: usize = 64;

impl Engine {
    /// Drops what has fallen behind the horizon: a day of it takes many batches, each of which drops as much as its lines
    /// bear. While ids are marked nothing goes, so that all that is met is marked.
    pub(super) fn retain(&mut self, lines: usize) {
        if let Some(horizon) = self.time.move_on() {
            self.forget_before(horizon);
            if self.sweep.is_idle() && self.time.must_sweep(self.ids.len()) {
                self.begin_sweep();
            }
        }
        if let Some(horizon) = self.time.horizon()
            && !self.sweep.is_marking()
        {
            self.expire(horizon, lines * PER_LINE + EACH_BATCH);
        }
        self.go_on_with_sweep(lines);
    }

    /// Drops what was behind the horizon when it was written down.
    pub(super) fn forget_expired(&mut self) {
        if let Some(horizon) = self.time.horizon() {
            self.forget_before(horizon);
            self.expire(horizon, usize::MAX);
        }
    }

    /// Drops what is found by its day.
    fn forget_before(&mut self, horizon: Day) {
        self.settlements.iter_mut().for_each(|shard| shard.forget_before(horizon));
        self.inventory.iter_mut().for_each(|shard| shard.forget_before(horizon.start()));
        self.timelines.iter_mut().for_each(|shard| shard.forget_before(horizon));
    }

    /// Drops some of the visits that are over, about `most`, with all that hangs on them.
    fn expire(&mut self, horizon: Day, most: usize) {
        if !self.visits.iter().any(|shard| shard.is_due(horizon)) {
            return;
        }
        let ids = self.ids.clone();
        let shards = ids.shards();
        let (settlements, checks) =
            (Settlements { shards: &self.settlements, ids: &ids }, Checks { shards: &self.checks, ids: &ids });
        let quotas = vec![most.div_ceil(shards); shards];
        let gone = self
            .workers
            .each(&mut self.visits, quotas, |_, shard, most| shard.expire(horizon, most, settlements, checks));
        let mut persons: Mail<PersonId> = crate::live::mail(&ids);
        let mut settlements: Mail<SettlementId> = crate::live::mail(&ids);
        let mut checks: Mail<CheckId> = crate::live::mail(&ids);
        for gone in gone {
            gone.persons.into_iter().for_each(|id| persons[ids.persons.shard_of(id.0)].push(id));
            gone.settlements.into_iter().for_each(|id| settlements[ids.settlements.shard_of(id.0)].push(id));
            gone.checks.into_iter().for_each(|id| checks[ids.checks.shard_of(id.0)].push(id));
        }
        self.workers.each(&mut self.settlements, settlements, |_, shard, gone| {
            gone.into_iter().for_each(|id| shard.forget(id, &ids));
        });
        self.workers.each(&mut self.checks, checks, |_, shard, gone| {
            gone.into_iter().for_each(|id| shard.forget(id, &ids));
        });
        let world = World::new(&self.plan, &self.settlements, &self.visits, &ids, self.watch);
        let is_last = !self.visits.iter().any(|shard| shard.is_due(horizon));
        self.workers.each(&mut self.timelines, persons, |_, shard, mut persons| {
            persons.sort_unstable();
            persons.dedup();
            shard.forget_of_persons(persons.into_iter().map(|person| ids.persons.index_of(person.0)), &world);
            if is_last {
                shard.forget_of_institutions(&world);
            }
        });
    }
}
