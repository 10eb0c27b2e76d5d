//! What the process is doing right now: the snapshot behind the status page, `/api/status`, `/readyz` and the
//! totals on the terminal.
//!
//! The pipeline writes totals into the [`Board`] after each batch; rates are derived here.

use crate::alert::{Alert, AlertStatus};
use crate::clock;
use crate::model::left_out::LeftOut;
use crate::model::scorer::Scorer;
use crate::record::{Day, Time};
use crate::rules::rule::{Bilingual, Severity};
use parking_lot::{Mutex, RwLock};
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time between two points of the history.
const STEP: Duration = Duration::from_secs(1);
/// Points of the history that are kept: five minutes.
const POINTS: usize = 300;
/// Batches over which quantiles of the latency are taken.
const LATENCIES: usize = 1_024;
/// The time over which "now" is averaged.
const RECENT: Duration = Duration::from_secs(5);

/// A snapshot.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: &'static str,
    /// Where records come from, in words: `simulator`, `kafka: settlements`.
    pub source: String,
    /// Whether records are being processed and alerts can be trusted to be up to date.
    pub ready: bool,
    /// Why not, or why no longer.
    pub trouble: Option<String>,
    /// Whether the pipeline has failed for good.
    pub failed: bool,
    /// Why records wait without being processed, if they do.
    pub stalled: Option<String>,
    /// Whether the source has come to its end.
    pub ended: bool,
    /// Records since the start.
    pub records: RecordTotals,
    /// Alerts.
    pub alerts: AlertTotals,
    /// Records that wait in the source, by partition.
    pub lag: Vec<Lag>,
    /// The latest time of a record so far that is not from the future.
    pub event_time: Option<Time>,
    /// From the arrival of a record to its alerts being handed to the sinks, over recent batches; filled in by
    /// [`Board::report`].
    pub latency: Latency,
    /// All rules that run, with their alerts.
    pub rules: Vec<RuleTotals>,
    /// The rules in force.
    pub rule_set: RuleSetStatus,
    /// How the sinks are doing.
    pub sinks: Vec<SinkStatus>,
    /// Rows that are held, by kind.
    pub state: Vec<StateSize>,
}

/// Why the pipeline is not ready, or does not move: fixed words for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Cause {
    WarmUp,
    NoPartitions,
    Lag,
    Sink,
    Source,
    Stalled,
    Stopping,
    DeadLetters,
    Failed,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WarmUp,
        Self::NoPartitions,
        Self::Lag,
        Self::Sink,
        Self::Source,
        Self::Stalled,
        Self::Stopping,
        Self::DeadLetters,
        Self::Failed,
    ];

    /// The word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::NoPartitions => "no_partitions",
            Self::Lag => "lag",
            Self::Sink => "sink",
            Self::Source => "source",
            Self::Stalled => "stalled",
            Self::Stopping => "stopping",
            Self::DeadLetters => "dead_letters",
            Self::Failed => "failed",
        }
    }
}

/// Messages since the start: `received = processed + redelivered + dead_lettered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RecordTotals {
    pub received: u64,
    pub processed: u64,
    pub redelivered: u64,
    pub dead_lettered: u64,
    /// Fee details that came inside settlements; not counted above.
    pub embedded_details: u64,
    /// Records that arrived with an identity known under other content.
    pub revisions: u64,
}

/// Alerts of live rules; those of rules in shadow are counted with their rule only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AlertTotals {
    /// Open now.
    pub open: u64,
    /// Withdrawn, and not open again.
    pub withdrawn: u64,
    /// Revisions sent since the start.
    pub revisions: u64,
    /// Fund money at issue in open alerts, in fen.
    #[serde(rename = "amount_at_issue", serialize_with = "yuan")]
    pub amount: i64,
}

/// Records that wait in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// For example `settlements[3]`.
    pub partition: String,
    /// Records.
    pub records: u64,
}

/// Quantiles in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

/// A rule and its alerts.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RuleTotals {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: Bilingual,
    /// The gravest severity among its open alerts.
    pub severity: Option<&'static str>,
    /// Whether it runs in shadow.
    pub shadow: bool,
    /// Open alerts.
    pub open: u64,
    /// Open alerts by severity, mildest first.
    #[serde(skip)]
    pub severities: [u64; Severity::ALL.len()],
    /// Withdrawn alerts.
    pub withdrawn: u64,
    /// Fund money at issue in open alerts, in fen.
    #[serde(rename = "amount_at_issue", serialize_with = "yuan")]
    pub amount: i64,
}

/// The rules in force.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RuleSetStatus {
    /// Content hash of everything in it.
    pub version: String,
    /// When it came into force.
    pub loaded_at: Option<Time>,
    /// Why the last attempt to reload was refused, if it was.
    pub refused: Option<String>,
    /// Attempts that were refused since the start.
    pub refusals: u64,
}

/// A sink.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Whether input counts as done only when it has its alerts.
    pub required: bool,
    /// Items that wait for it.
    pub queued: u64,
    /// Items that it has.
    pub delivered: u64,
    /// Items that found its queue full and were dropped.
    pub dropped: u64,
    /// Deliveries that were tried again.
    pub retries: u64,
    /// Time in which its full queue held up the pipeline.
    pub blocked_seconds: f64,
    /// What is wrong with it now.
    pub trouble: Option<String>,
}

/// A kind of rows in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StateSize {
    /// Of what.
    pub kind: &'static str,
    /// How many.
    pub rows: u64,
}

/// An institution and the alerts about it that are open and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstitutionTotals {
    /// `fixmedins_code`
    pub code: String,
    /// Its name in the registry; empty where it is not there.
    pub name: String,
    /// Open alerts.
    pub open: u64,
    /// Fund money at issue in them, in fen.
    pub amount: i64,
}

fn yuan<S: Serializer>(fen: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    crate::alert::yuan(*fen).serialize(serializer)
}

/// Keeps [`RuleTotals`] as alerts are revised, without looking at all of them.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    rules: BTreeMap<Arc<str>, RuleTotals>,
    /// Open alerts by severity, of each rule.
    severities: BTreeMap<Arc<str>, [u64; Severity::ALL.len()]>,
    /// Open alerts that are sent, and the money at issue in them in fen, of each institution that has any.
    institutions: BTreeMap<String, (u64, i64)>,
}

impl Tally {
    /// Counts a revision in place of the one before it.
    pub fn revise(&mut self, before: Option<&Alert>, after: &Alert) {
        if let Some(before) = before {
            self.count(before, -1);
        }
        self.count(after, 1);
    }

    /// Counts no longer what cannot change any more.
    pub fn retire(&mut self, last: &Alert) {
        self.count(last, -1);
    }

    fn count(&mut self, alert: &Alert, sign: i64) {
        let finding = &alert.finding;
        let rule = self.rules.entry(finding.rule_id.clone()).or_insert_with(|| RuleTotals {
            id: finding.rule_id.clone(),
            name: (*finding.rule_name).clone(),
            ..RuleTotals::default()
        });
        rule.shadow = alert.shadow;
        let severities = self.severities.entry(finding.rule_id.clone()).or_default();
        match alert.status {
            AlertStatus::Open => {
                rule.open = rule.open.saturating_add_signed(sign);
                rule.amount += sign * finding.amount_at_issue.unwrap_or(0);
                let severity = Severity::ALL.iter().zip(severities).find(|(known, _)| **known == finding.severity);
                if let Some((_, count)) = severity {
                    *count = count.saturating_add_signed(sign);
                }
            }
            AlertStatus::Withdrawn => rule.withdrawn = rule.withdrawn.saturating_add_signed(sign),
        }
        if let (Some(code), AlertStatus::Open, false) = (&finding.fixmedins_code, alert.status, alert.shadow) {
            self.count_at(code, sign, finding.amount_at_issue.unwrap_or(0));
        }
    }

    fn count_at(&mut self, institution: &str, sign: i64, amount: i64) {
        if !self.institutions.contains_key(institution) {
            self.institutions.insert(institution.to_owned(), (0, 0));
        }
        if let Some((open, sum)) = self.institutions.get_mut(institution) {
            *open = open.saturating_add_signed(sign);
            *sum += sign * amount;
            if *open == 0 {
                self.institutions.remove(institution);
            }
        }
    }

    /// The institutions with the most money at issue, so many at most, the first with most; `names` are those of the
    /// registry.
    pub fn institutions(&self, most: usize, names: &BTreeMap<String, String>) -> Vec<InstitutionTotals> {
        let mut order: Vec<_> = self.institutions.iter().collect();
        order.sort_by_key(|(code, (open, amount))| (Reverse(*amount), Reverse(*open), *code));
        order.truncate(most);
        let named = |(code, (open, amount)): (&String, &(u64, i64))| InstitutionTotals {
            code: code.clone(),
            name: names.get(code).cloned().unwrap_or_default(),
            open: *open,
            amount: *amount,
        };
        order.into_iter().map(named).collect()
    }

    /// The totals by rule id, with the gravest severity that is open.
    pub fn rules(&self) -> Vec<RuleTotals> {
        let gravest = |id: &Arc<str>| {
            let counts = self.severities.get(id)?;
            Severity::ALL.iter().zip(counts).rev().find(|(_, count)| **count > 0).map(|(severity, _)| severity.word())
        };
        let severities = |id: &Arc<str>| self.severities.get(id).copied().unwrap_or_default();
        self.rules
            .iter()
            .map(|(id, rule)| RuleTotals { severity: gravest(id), severities: severities(id), ..rule.clone() })
            .collect()
    }

    /// The totals of rules that are not in shadow; `revisions` is left to the caller.
    pub fn alerts(&self) -> AlertTotals {
        let sent = || self.rules.values().filter(|rule| !rule.shadow);
        AlertTotals {
            open: sent().map(|rule| rule.open).sum(),
            withdrawn: sent().map(|rule| rule.withdrawn).sum(),
            amount: sent().map(|rule| rule.amount).sum(),
            revisions: 0,
        }
    }
}

/// A snapshot with what is derived from several of them.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The snapshot.
    #[serde(flatten)]
    pub status: Status,
    /// The clock.
    pub now: Time,
    /// Since the start.
    pub uptime_seconds: u64,
    /// Records in a second, lately.
    pub records_per_second: f64,
    /// Alert revisions in a second, lately.
    pub alerts_per_second: f64,
    /// Records that wait in all partitions.
    pub lag_records: u64,
    /// Records in each second of the last minutes, oldest first.
    pub history: Vec<f64>,
}

/// How a model sees its latest window, and what its budget has cut there.
#[derive(Debug, Clone, Serialize)]
pub struct ModelStatus {
    /// The model's id.
    pub id: String,
    /// Its name.
    pub name: Bilingual,
    /// The version of the trained model.
    pub version: String,
    /// Whether its alerts are not sent.
    pub shadow: bool,
    /// The first day of the window; `None` before the first is over.
    pub window: Option<Day>,
    /// Entities in it.
    pub entities: usize,
    /// Entities that are raised.
    pub raised: usize,
    /// Entities as strange, that the budget has cut: those with the greatest expected loss first.
    pub left_out: Vec<LeftOut>,
}

impl ModelStatus {
    /// How a model at work sees its latest window.
    pub fn of(model: &Scorer) -> Self {
        let last = model.last();
        let window = last.map(|report| report.window);
        Self {
            id: model.model().file.id.clone(),
            name: model.model().file.name.clone().into(),
            version: model.version().to_owned(),
            shadow: model.is_in_shadow(),
            window,
            entities: last.map_or(0, |report| report.scores.len()),
            raised: last.map_or(0, |report| report.raised),
            left_out: model.left_out().filter(|entity| Some(entity.window.from) == window).cloned().collect(),
        }
    }
}

/// The place where the pipeline leaves its totals and others find them.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    status: RwLock<Status>,
    history: Mutex<VecDeque<Point>>,
    latencies: Mutex<VecDeque<Duration>>,
    started: Instant,
    /// The last sign of life, and how long there may be none.
    beat: Mutex<Option<(Instant, Duration)>>,
    /// How models see their latest windows.
    models: RwLock<Arc<[ModelStatus]>>,
}

#[derive(Clone, Copy)]
struct Point {
    at: Instant,
    records: u64,
    revisions: u64,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board; the uptime is counted from here.
    pub fn new() -> Self {
        let status = Status {
            version: env!("CARGO_PKG_VERSION"),
            trouble: Some("it is starting".to_owned()),
            ..Status::default()
        };
        Self(Arc::new(Inner {
            status: RwLock::new(status),
            history: Mutex::default(),
            latencies: Mutex::default(),
            started: Instant::now(),
            beat: Mutex::default(),
            models: RwLock::new(Arc::from([])),
        }))
    }

    /// Other models are at work, or the same see other windows.
    pub fn set_models(&self, models: &[Scorer]) {
        *self.0.models.write() = models.iter().map(ModelStatus::of).collect();
    }

    /// How models see their latest windows.
    pub fn models(&self) -> Arc<[ModelStatus]> {
        self.0.models.read().clone()
    }

    /// The pipeline's thread shows that it lives, and will again within `patience`; zero: whenever.
    pub fn beat(&self, patience: Duration) {
        *self.0.beat.lock() = Some((Instant::now(), patience));
    }

    /// Why the process should count as dead, if it should: it has failed, records wait and none is processed, or the
    /// pipeline's thread has shown no sign of life for too long.
    pub fn ill(&self) -> Option<String> {
        let known = self.read(|status| {
            let failed = status.failed.then(|| status.trouble.clone().unwrap_or_default());
            failed.or_else(|| status.stalled.clone())
        });
        let silent = || {
            let (at, patience) = (*self.0.beat.lock())?;
            let silence = at.elapsed();
            let ended = self.read(|status| status.ended);
            (!ended && !patience.is_zero() && silence > patience)
                .then(|| format!("the pipeline's thread has shown no sign of life for {} s", silence.as_secs()))
        };
        known.or_else(silent)
    }

    /// Changes the snapshot.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.status.write());
        self.sample(Instant::now());
    }

    /// Reads something from the snapshot, without copying it.
    pub fn read<R>(&self, look: impl FnOnce(&Status) -> R) -> R {
        look(&self.0.status.read())
    }

    /// Notes how long a batch took, from the arrival of its first message to its alerts being handed over.
    pub fn latency(&self, time: Duration) {
        let mut latencies = self.0.latencies.lock();
        if latencies.len() == LATENCIES {
            latencies.pop_front();
        }
        latencies.push_back(time);
    }

    fn quantiles(&self) -> Latency {
        let mut sorted: Vec<_> = self.0.latencies.lock().iter().copied().collect();
        sorted.sort_unstable();
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map_or(0.0, Duration::as_secs_f64)
        };
        Latency { p50: at(0.5), p99: at(0.99) }
    }

    /// The snapshot with rates.
    pub fn report(&self) -> Report {
        let now = Instant::now();
        let recent = self.sample(now);
        let mut status = self.0.status.read().clone();
        status.latency = self.quantiles();
        let history = self.0.history.lock();
        let rate = |from: &Point, to: &Point, of: fn(&Point) -> u64| {
            of(to).saturating_sub(of(from)) as f64 / to.at.duration_since(from.at).as_secs_f64().max(0.001)
        };
        let base = history.iter().rev().find(|point| now.duration_since(point.at) >= RECENT).or(history.front());
        let now_rate = |of| base.map_or(0.0, |base| rate(base, &recent, of));
        let points = history.iter().zip(history.iter().skip(1));
        Report {
            now: clock::now(),
            uptime_seconds: self.0.started.elapsed().as_secs(),
            records_per_second: now_rate(|point| point.records),
            alerts_per_second: now_rate(|point| point.revisions),
            lag_records: status.lag.iter().map(|lag| lag.records).sum(),
            history: points.map(|(from, to)| rate(from, to, |point| point.records).round()).collect(),
            status,
        }
    }

    /// Takes the present totals into the history when the last point is old enough, and returns them.
    fn sample(&self, at: Instant) -> Point {
        let (records, revisions) = self.read(|status| (status.records.received, status.alerts.revisions));
        let point = Point { at, records, revisions };
        let mut history = self.0.history.lock();
        if history.back().is_none_or(|last| at.saturating_duration_since(last.at) >= STEP) {
            history.push_back(point);
            if history.len() > POINTS {
                history.pop_front();
            }
        }
        point
    }
}
