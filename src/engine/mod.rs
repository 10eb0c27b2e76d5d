//! The engine: a batch in, revisions of alerts and bad records out.
//!
//! `decode → live records → timelines → rules → alerts`, each step in parallel over the shards. The engine owns
//! all state; whoever calls [`Engine::process`] owns time and effects. Nothing here depends on how records are cut
//! into batches, in which order they come, or over how many shards they are spread.

pub mod moments;
pub mod observe;
pub mod persist;
mod retention;
pub mod score;
mod steps;
mod sweep;

use crate::alert::Alert;
use crate::alert::book::AlertBook;
use crate::detect::Watch;
use crate::detect::plan::Plan;
use crate::live::checks::CheckShard;
use crate::live::inventory::InventoryShard;
use crate::live::settlements::SettlementShard;
use crate::live::visits::VisitShard;
use crate::model::scorer::Scorer;
use crate::record::decode::{Bad, TYPES};
use crate::record::{Batch, Day, Ids, Time};
use crate::rules::rule::{RuleSet, Status};
use crate::timeline::cost::Cost;
use crate::timeline::held::FindingChange;
use crate::timeline::shard::TimelineShard;
use persist::Persist;
use retention::Retention;
use std::sync::Arc;
use steps::Workers;
use sweep::Sweep;

/// Fewer messages than this are done before the other threads have woken up.
const LEAST_SHARED: usize = 256;

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads; 0: one a core.
    pub threads: usize,
    /// The least messages of a batch that the threads share; a smaller one is processed by the caller's alone.
    pub least_shared: usize,
    /// Days of event time that are retained; `None`: all.
    pub retention_days: Option<u32>,
    /// Seconds by which a record may be ahead of the clock and still push time forward; `None`: any.
    pub future_skew: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, least_shared: LEAST_SHARED, retention_days: None, future_skew: None }
    }
}

/// What a batch led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Revisions of alerts, in order of their ids.
    pub alerts: Vec<Alert>,
    /// Records that cannot be read.
    pub bad: Vec<Bad>,
    /// What evaluating the rules took, by their numbers.
    pub costs: Vec<Cost>,
}

/// Counts since the start. `records_in = processed + redelivered + dead_lettered`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Messages received.
    pub records_in: u64,
    /// Messages that held something new.
    pub processed: u64,
    /// Messages in which everything had been received before.
    pub redelivered: u64,
    /// Messages that cannot be read.
    pub dead_lettered: u64,
    /// Records that came with a known identity and content never seen.
    pub revisions: u64,
    /// Fee details that came inside settlements.
    pub embedded: u64,
    /// Good messages from the future, which do not push time forward.
    pub future: u64,
    /// Good messages by type, in the order of [`TYPES`].
    pub by_type: [u64; TYPES.len()],
}

/// What is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Settlements known by id.
    pub settlements: u64,
    /// Visits known by id.
    pub visits: u64,
    /// Persons known by id.
    pub persons: u64,
    /// Versions of fee details.
    pub fee_details: u64,
    /// Movements of stock.
    pub inventory: u64,
    /// Alerts, withdrawn ones too.
    pub alerts: u64,
}

/// All state, and the rules that read it.
pub struct Engine {
    ids: Arc<Ids>,
    plan: Arc<Plan>,
    workers: Workers,
    settlements: Vec<SettlementShard>,
    checks: Vec<CheckShard>,
    visits: Vec<VisitShard>,
    inventory: Vec<InventoryShard>,
    timelines: Vec<TimelineShard>,
    book: AlertBook,
    totals: Totals,
    time: Retention,
    sweep: Sweep,
    persist: Option<Persist>,
    watch: Watch,
    /// Models at work; in changes their numbers follow those of the rules.
    models: Vec<Scorer>,
}

impl Engine {
    /// An engine without records. The number of its shards is that of `ids`.
    ///
    /// # Panics
    /// Where the system has no threads left.
    pub fn new(rules: Arc<RuleSet>, ids: Arc<Ids>, options: &Options) -> Self {
        fn shards<T: Default>(ids: &Ids) -> Vec<T> {
            (0..ids.shards()).map(|_| T::default()).collect()
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|number| format!("shard-{number}"))
            .build()
            .expect("threads for the shards");
        Self {
            plan: Arc::new(Plan::new(rules)),
            workers: Workers::new(pool, options.least_shared),
            settlements: shards(&ids),
            checks: shards(&ids),
            visits: shards(&ids),
            inventory: shards(&ids),
            timelines: shards(&ids),
            book: AlertBook::default(),
            totals: Totals::default(),
            time: Retention::new(options),
            sweep: Sweep::default(),
            persist: None,
            watch: Watch::default(),
            models: Vec::new(),
            ids,
        }
    }

    /// Processes a batch.
    pub fn process(&mut self, batch: &Batch) -> Outcome {
        self.workers.share(batch.messages.len());
        let decoded = self.decode(batch);
        let (changes, bad) = self.advance(batch.messages.len(), decoded);
        self.retain(batch.messages.len());
        let alerts = self.revise(changes);
        self.record(&alerts);
        // What is not a batch is large.
        self.workers.share(usize::MAX);
        Outcome { alerts, bad, costs: self.take_costs() }
    }

    /// What evaluating the rules took since the last call.
    fn take_costs(&mut self) -> Vec<Cost> {
        let mut costs = vec![Cost::default(); self.plan.rules.len()];
        self.timelines.iter_mut().for_each(|shard| shard.costs.take_into(&mut costs));
        costs
    }

    fn revise(&mut self, changes: Vec<FindingChange>) -> Vec<Alert> {
        if changes.is_empty() {
            return Vec::new();
        }
        let (rules, models) = (&self.plan.rules, &self.models);
        self.book.apply(changes, crate::clock::now(), |number| match rules.get(usize::from(number)) {
            Some(rule) => rule.status == Status::Shadow,
            None => models[usize::from(number) - rules.len()].is_in_shadow(),
        })
    }

    /// Puts other rules in place and evaluates them on all that is held: alerts follow at once.
    pub fn replace_rules(&mut self, rules: Arc<RuleSet>) -> Vec<Alert> {
        self.plan = Arc::new(Plan::new(rules));
        self.refilter();
        self.start_over()
    }

    /// Evaluates rules and models on all that is held.
    fn start_over(&mut self) -> Vec<Alert> {
        let standing = self.book.standing(self.time.start());
        let mut changes: Vec<_> = standing.map(|alert| FindingChange { alert, finding: None }).collect();
        changes.extend(self.rebuild());
        changes.extend(self.judge(None));
        let alerts = self.revise(changes);
        self.record(&alerts);
        alerts
    }

    /// Begins a warm-up: see [`AlertBook::begin_warm_up`].
    pub fn begin_warm_up(&mut self, known: impl IntoIterator<Item = Alert>) {
        self.book.begin_warm_up(known);
    }

    /// Adds alerts to what is known in a warm-up: see [`AlertBook::know`].
    pub fn know(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        self.book.know(alerts);
    }

    /// Ends the warm-up and returns what differs from what was known.
    pub fn end_warm_up(&mut self) -> Vec<Alert> {
        self.score();
        let alerts = self.book.end_warm_up(crate::clock::now(), self.time.start());
        self.record(&alerts);
        self.catch_up();
        alerts
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The latest time of a record that is not from the future; `None` before the first.
    pub fn event_time(&self) -> Option<Time> {
        self.time.reached_by_records()
    }

    /// The first day that is retained; `None`: all are.
    pub fn horizon(&self) -> Option<Day> {
        self.time.horizon()
    }

    /// What is held.
    pub fn retained(&self) -> Retained {
        Retained {
            settlements: self.ids.settlements.len() as u64,
            visits: self.ids.visits.len() as u64,
            persons: self.ids.persons.len() as u64,
            fee_details: self.visits.iter().map(|shard| shard.rows() as u64).sum(),
            inventory: self.inventory.iter().map(|shard| shard.len() as u64).sum(),
            alerts: self.book.len() as u64,
        }
    }

    /// What the fund paid in the live settlements of a day that is retained, in fen. What was refunded is not live.
    pub fn fund_paid(&self, day: Day) -> i64 {
        self.settlements.iter().map(|shard| shard.paid_on(day)).sum()
    }

    /// The last revision of every alert, by `alert_id`.
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self.book.alerts().collect();
        alerts.sort_by_key(|alert| alert.alert_id);
        alerts
    }

    /// The rules in place.
    pub fn rules(&self) -> &RuleSet {
        &self.plan
    }

    /// The tables of ids.
    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }
}
