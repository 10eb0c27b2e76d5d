//! The engine's side of checkpoints: what a batch changes is written down at once, in parallel over the shards, so
//! that a cut between two batches costs nothing; and a state that was written down is taken back by receiving its
//! records again.

use super::{Engine, Totals};
use crate::alert::Alert;
use crate::alert::book::AlertBook;
use crate::checkpoint::log::{AlertLog, Chunk, Owned, ShardLog, Touched};
use crate::checkpoint::read::Taken;
use crate::live::Receipts;
use crate::record::{Day, Time};

/// The number of the alerts' chunk, which no shard has.
pub const ALERTS: u32 = u32::MAX;

/// What is written down of the engine's state.
pub(super) struct Persist {
    logs: Vec<ShardLog>,
    alerts: AlertLog,
    /// Rises whenever ids get another meaning.
    generation: u64,
    /// Chunks of generations that have ended since the last cut.
    ended: Vec<Part>,
    /// Bytes that the sweep of each shard may write in the next batch.
    quota: usize,
}

/// A chunk with what one must know to read it.
pub struct Part {
    /// Chunks of one generation and shard belong together: the texts of one may stand in another.
    pub generation: u64,
    /// The shard, or [`ALERTS`].
    pub shard: u32,
    /// What was written.
    pub chunk: Chunk,
}

/// What was written down since the cut before.
pub struct Cut {
    /// In parts, oldest first.
    pub parts: Vec<Part>,
    /// Whether with this cut everything that is held was written since the cycle began; the next cut begins another.
    pub ends_cycle: bool,
    /// What is small.
    pub summary: Summary,
}

/// What is small of the engine's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Counts since the first start.
    pub totals: Totals,
    /// The latest time of a record; absent before the first.
    pub reached: Option<i64>,
    /// What is before this day is gone; absent where nothing is.
    pub horizon: Option<i32>,
    /// The version of the rules in force.
    pub rules: String,
}

impl Engine {
    /// Writes down from now on what changes, after a log that had these alerts. Generations are counted from
    /// `generation`.
    pub fn keep_log(&mut self, generation: u64, alerts: &[Alert]) {
        self.persist = Some(Persist {
            logs: (0..self.ids.shards()).map(|_| ShardLog::default()).collect(),
            alerts: AlertLog::new(alerts),
            generation,
            ended: Vec::new(),
            quota: 0,
        });
    }

    /// Writes down what a batch has changed.
    pub(super) fn record(&mut self, alerts: &[Alert]) {
        let mut touched: Vec<Touched> = Vec::with_capacity(self.visits.len());
        for shard in 0..self.ids.shards() {
            touched.push(Touched {
                settlements: self.settlements[shard].take_touched(),
                visits: self.visits[shard].take_touched(),
                checks: self.checks[shard].take_touched(),
                movements: self.inventory[shard].take_touched(),
            });
        }
        let Some(mut persist) = self.persist.take() else {
            return;
        };
        let before = persist.len();
        let quota = persist.quota;
        self.workers.each(&mut persist.logs, touched, |shard, log, touched| {
            log.record(&self.owned(shard), touched, quota);
        });
        persist.alerts.record(alerts, &self.book, quota);
        let written = persist.len() - before;
        // What the sweep wrote counts half: it keeps pace with what changes, and comes to rest when nothing does.
        persist.quota = written / 2 / self.ids.shards();
        self.persist = Some(persist);
    }

    fn owned(&self, shard: usize) -> Owned<'_> {
        Owned {
            shard,
            settlements: &self.settlements[shard],
            visits: &self.visits[shard],
            checks: &self.checks[shard],
            inventory: &self.inventory[shard],
            ids: &self.ids,
        }
    }

    /// The book was filled without a word.
    pub(super) fn catch_up(&mut self) {
        if let Some(persist) = &mut self.persist {
            persist.alerts.catch_up(&self.book);
        }
    }

    /// Takes out of the book what can change no more: see [`AlertBook::retire`]. Cheap where the horizon has not moved.
    pub fn retire(&mut self) -> Vec<Alert> {
        let Some(horizon) = self.time.horizon() else {
            return Vec::new();
        };
        let retired = self.book.retire(horizon.start());
        if let Some(persist) = &mut self.persist {
            persist.alerts.forget(&retired);
        }
        retired
    }

    /// Ids are about to get other meanings.
    pub(super) fn end_generation(&mut self) {
        if let Some(persist) = &mut self.persist {
            persist.end_generation();
        }
    }

    /// Bytes that were written down since the last cut.
    pub fn logged(&self) -> usize {
        self.persist.as_ref().map_or(0, Persist::len)
    }

    /// Hands over what was written down since the last cut; `None` where nothing is written down.
    pub fn cut(&mut self) -> Option<Cut> {
        let mut persist = self.persist.take()?;
        let swept = |(shard, log): (usize, &ShardLog)| log.is_swept(&self.owned(shard));
        let ends_cycle = persist.alerts.is_swept() && persist.logs.iter().enumerate().all(swept);
        persist.cut_parts();
        if ends_cycle {
            persist.logs.iter_mut().for_each(ShardLog::begin_cycle);
            persist.alerts.begin_cycle(&self.book);
        }
        let summary = Summary {
            totals: self.totals,
            reached: self.time.latest().map(|time| time.0),
            horizon: self.time.horizon().map(|day| day.0),
            rules: self.plan.version.clone(),
        };
        let cut = Cut { parts: std::mem::take(&mut persist.ended), ends_cycle, summary };
        self.persist = Some(persist);
        Some(cut)
    }

    /// Takes back records that were written down.
    pub fn take_back(&mut self, taken: Vec<Taken>) {
        let mut decoded = Vec::with_capacity(taken.len());
        let mut hashes = Vec::with_capacity(taken.len());
        for Taken { decoded: records, settlement_hashes, visit_hashes, check_hashes, movement_hashes } in taken {
            decoded.push(records);
            hashes.push((settlement_hashes, visit_hashes, check_hashes, movement_hashes));
        }
        self.receive(&decoded, &Receipts::new(1));
        let ids = self.ids.clone();
        for (settlements, visits, checks, movements) in hashes {
            for (id, hashes) in settlements {
                self.settlements[ids.settlements.shard_of(id.0)].restore(id, &hashes);
            }
            for (visit, hashes) in visits {
                self.visits[ids.visits.shard_of(visit.0)].restore(visit, &hashes);
            }
            for (check, hashes) in checks {
                self.checks[ids.checks.shard_of(check.0)].restore(check, &hashes);
            }
            for (row, hashes) in movements {
                self.inventory[ids.institutions.shard_of(row.fixmedins_code.0)].restore(&row, &hashes);
            }
        }
        // Nothing of it is news.
        self.record(&[]);
    }

    /// Ends the taking back: what is small, and the alerts that were known. The rules are evaluated on everything;
    /// [`Engine::end_warm_up`] tells by what the outcome differs from what was known.
    pub fn took_back(&mut self, summary: &Summary, known: impl IntoIterator<Item = Alert>) {
        self.totals = summary.totals;
        self.time.restore(summary.reached.map(Time), summary.horizon.map(Day));
        self.forget_expired();
        self.book = AlertBook::default();
        self.retire();
        self.book.begin_warm_up(known);
        let findings = self.rebuild();
        self.revise(findings);
    }
}

impl Persist {
    fn len(&self) -> usize {
        let ended = self.ended.iter().map(|part| &part.chunk);
        let open = self.logs.iter().map(|log| &log.chunk).chain(Some(&self.alerts.chunk));
        ended.chain(open).map(Chunk::len).sum()
    }

    fn cut_parts(&mut self) {
        let generation = self.generation;
        let shards = self.logs.iter_mut().enumerate().map(|(shard, log)| (shard as u32, &mut log.chunk));
        let parts = shards.chain(Some((ALERTS, &mut self.alerts.chunk))).filter(|(_, chunk)| !chunk.is_empty());
        self.ended.extend(parts.map(|(shard, chunk)| Part { generation, shard, chunk: std::mem::take(chunk) }));
    }

    fn end_generation(&mut self) {
        self.cut_parts();
        self.generation += 1;
        self.logs.iter_mut().for_each(ShardLog::forget_texts);
    }
}
