//! What the outside sees of the pipeline: the status board and the metrics. Written once a batch or less.

use super::health::{Facts, Health, Trouble, Verdict};
use super::outputs::Outputs;
use super::poison::Poison;
use super::shutdown::Shutdown;
use super::state::StateKeeper;
use crate::alert::{Alert, AlertId};
use crate::clock;
use crate::engine::{Engine, Retained};
use crate::metrics::{BatchReport, InForce, MODELS, Metrics};
use crate::model::scorer::{Scorer, TOP};
use crate::record::decode::{Bad, BadKind, LateTypes, type_bit};
use crate::record::{Day, Time};
use crate::rules::rule::{Conclusion, Map, Rule, RuleSet};
use crate::source::Inlet;
use crate::status::{Board, Cause, RecordTotals, RuleSetStatus, RuleTotals, StateSize, Tally};
use crate::timeline::cost::Cost;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::info;

/// How often totals are published.
const PUBLISH: Duration = Duration::from_millis(250);
/// The label of late records of types that no rule reads.
const NO_FAMILY: &str = "none";

/// Keeps board and metrics up to date.
pub struct Publisher {
    board: Board,
    metrics: Arc<Metrics>,
    tally: Tally,
    /// The last revision of every alert that can change, to be counted off when the next one comes.
    last: Map<AlertId, Alert>,
    revisions: u64,
    /// The rules that run, without their alerts.
    rules: Vec<RuleTotals>,
    /// The models at work, without their alerts.
    models: Vec<RuleTotals>,
    rules_in_force: Vec<InForce>,
    models_in_force: Vec<InForce>,
    /// The families of rules that run, with the types of records that they read.
    families: BTreeMap<String, LateTypes>,
    health: Health,
    /// When totals are due.
    next: Instant,
    /// Batches that were processed and handed over.
    processed: u64,
    /// Whether the source was told to stop.
    stopping: bool,
}

/// What is published.
pub struct View<'p> {
    /// Totals and state.
    pub engine: &'p Engine,
    /// The source.
    pub inlet: &'p Inlet,
    /// The sinks.
    pub outputs: &'p Outputs,
    /// What is held against bad records.
    pub poison: &'p Poison,
    /// What survives a restart, if anything does.
    pub state: Option<&'p StateKeeper>,
    /// Whether the state is being rebuilt.
    pub warming_up: bool,
    /// Whether a batch waits for room with a sink.
    pub blocked: bool,
}

impl Publisher {
    /// Publishes for a source with a name, under rules.
    pub fn new(board: Board, metrics: Arc<Metrics>, source: String, rules: &RuleSet, health: Health) -> Self {
        board.update(|status| status.source = source);
        let mut publisher = Self {
            board,
            metrics,
            tally: Tally::default(),
            last: Map::default(),
            revisions: 0,
            rules: Vec::new(),
            models: Vec::new(),
            rules_in_force: Vec::new(),
            models_in_force: Vec::new(),
            families: BTreeMap::new(),
            health,
            next: Instant::now(),
            processed: 0,
            stopping: false,
        };
        publisher.rules(rules);
        publisher
    }

    /// Other rules are in force.
    pub fn rules(&mut self, set: &RuleSet) {
        self.rules = set
            .rules
            .iter()
            .map(|rule| RuleTotals {
                id: rule.id.as_str().into(),
                name: rule.name.clone(),
                shadow: rule.status == crate::rules::rule::Status::Shadow,
                ..RuleTotals::default()
            })
            .collect();
        self.families = families(set);
        // From the start, so that the first rise is seen.
        self.families.keys().map(String::as_str).chain([NO_FAMILY]).for_each(|family| self.metrics.late(family, 0));
        self.metrics.rule_set(&set.version);
        self.rules_in_force = set.rules.iter().map(rule_in_force).collect();
        self.metrics.in_force(self.rules_in_force.iter().chain(&self.models_in_force));
        self.metrics.reload(true);
        let version = set.version.clone();
        self.board.update(|status| {
            let refusals = status.rule_set.refusals;
            status.rule_set = RuleSetStatus { version, loaded_at: Some(clock::now()), refused: None, refusals };
        });
    }

    /// How the models of an engine see the latest window; and whether others on disk were taken, where there were some.
    pub fn models(&mut self, engine: &Engine, reload: Option<bool>) {
        let models = engine.models();
        let totals = |model: &Scorer| RuleTotals {
            id: model.model().file.id.as_str().into(),
            name: model.model().file.name.clone().into(),
            shadow: model.is_in_shadow(),
            ..RuleTotals::default()
        };
        self.models = models.iter().map(totals).collect();
        self.models_in_force = models.iter().map(model_in_force).collect();
        self.metrics.in_force(self.rules_in_force.iter().chain(&self.models_in_force));
        self.metrics.models(models, &engine.rules().institutions);
        self.board.set_models(models);
        if let Some(taken) = reload {
            self.metrics.model_reload(taken);
        }
    }

    /// Rules on disk were not taken.
    pub fn rules_refused(&self, reason: String) {
        self.metrics.reload(false);
        self.board.update(|status| {
            status.rule_set.refused = Some(reason);
            status.rule_set.refusals += 1;
        });
    }

    /// A batch was processed; `costs` are those of the rules, in their order.
    pub fn batch(&self, report: &BatchReport, rules: &RuleSet, costs: &[Cost]) {
        self.metrics.batch(report);
        self.metrics.rule_costs(&rules.rules, costs);
        self.board.latency(report.latency);
    }

    /// Counts late records with every family of rules that would have read them.
    pub fn late(&self, bad: &[Bad]) {
        let late = || bad.iter().filter(|bad| bad.kind == BadKind::Late);
        if late().next().is_none() {
            return;
        }
        for (family, types) in &self.families {
            self.metrics.late(family, late().filter(|bad| bad.late & types != 0).count() as u64);
        }
        let read = self.families.values().fold(0, |all, types| all | types);
        self.metrics.late(NO_FAMILY, late().filter(|bad| bad.late & read == 0).count() as u64);
    }

    /// Revisions go out.
    pub fn alerts(&mut self, alerts: &[Alert]) {
        self.metrics.alerts(alerts);
        self.revisions += alerts.iter().filter(|alert| !alert.shadow).count() as u64;
        for alert in alerts {
            let before = self.last.insert(alert.alert_id, alert.clone());
            self.tally.revise(before.as_ref(), alert);
        }
    }

    /// Alerts were taken out of the book: they are not counted any more.
    pub fn retired(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            if let Some(last) = self.last.remove(&alert.alert_id) {
                self.tally.retire(&last);
            }
        }
    }

    /// Counts from these alerts on: what a warm-up has found without sending it.
    pub fn restart_tally(&mut self, alerts: &[&Alert]) {
        self.tally = Tally::default();
        self.last.clear();
        for alert in alerts {
            self.tally.revise(None, alert);
            self.last.insert(alert.alert_id, (*alert).clone());
        }
    }

    /// A batch was handed to the sinks.
    pub fn sent(&mut self) {
        self.processed += 1;
    }

    /// Makes publishing due.
    pub fn hurry(&mut self) {
        self.next = Instant::now();
    }

    /// Publishes when that is due, and tells the source to stop when it is time. Returns whether to go on: not once a
    /// stop was asked for and `patience` is over.
    pub fn look_around(&mut self, view: &View<'_>, shutdown: &Shutdown, patience: Duration) -> bool {
        if shutdown.requested() && !self.stopping {
            info!("stopping: finishes what was read, then goes");
            self.stopping = true;
            view.inlet.stop();
            self.hurry();
        }
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PUBLISH;
            self.publish(view, now);
        }
        !shutdown.left_of(patience).is_zero()
    }

    /// Writes everything.
    fn publish(&mut self, view: &View<'_>, now: Instant) {
        let totals = view.engine.totals();
        let event_time = view.engine.event_time();
        let state = state(view.engine.retained());
        let rules = self.all_rules();
        let source = view.inlet.condition();
        let sinks = view.outputs.status();
        let facts = Facts {
            source: &source,
            sinks: &sinks,
            processed: self.processed,
            blocked: view.blocked,
            warming_up: view.warming_up,
            stopping: self.stopping,
        };
        let verdict = self.health.look(now, &facts);
        self.metrics.sizes(&rules, &source.lag, &state);
        self.metrics.institutions(self.tally.institutions(TOP, &view.engine.rules().institutions));
        if let Some(today) = event_time.map(Time::day) {
            self.metrics.fund_settled(view.engine.fund_paid(today), view.engine.fund_paid(Day(today.0 - 1)));
        }
        self.metrics.source(&source.counts);
        self.metrics.event_time(event_time.map(|time| clock::now().0 - time.0));
        self.metrics.poison(view.poison.run(), view.poison.ratio());
        self.health_metrics(&verdict);
        if let Some((at, last)) = view.state.and_then(StateKeeper::last) {
            self.metrics.checkpoint(&last, now.saturating_duration_since(at));
        }
        if let Some(keeper) = view.state {
            self.metrics.checkpoint_failures(keeper.failures());
        }
        let state_trouble = view.state.and_then(|keeper| keeper.holds_up(view.engine).or_else(|| keeper.trouble()));
        self.board.beat(self.health.stalled_after());
        self.board.update(|status| {
            status.records = RecordTotals {
                received: totals.records_in,
                processed: totals.processed,
                redelivered: totals.redelivered,
                dead_lettered: totals.dead_lettered,
                embedded_details: totals.embedded,
                revisions: totals.revisions,
            };
            status.alerts = self.tally.alerts();
            status.alerts.revisions = self.revisions;
            status.event_time = event_time;
            status.rules = rules;
            status.lag = source.lag;
            status.sinks = sinks;
            status.state = state;
            status.ready = verdict.not_ready.is_none();
            status.stalled = verdict.stalled.map(|trouble| trouble.words);
            let trouble = verdict.not_ready.map(|trouble| trouble.words);
            status.trouble = trouble.or(source.trouble).or(state_trouble);
        });
    }

    fn health_metrics(&self, verdict: &Verdict) {
        let causes: Vec<Cause> =
            [&verdict.not_ready, &verdict.stalled].into_iter().flatten().map(|Trouble { cause, .. }| *cause).collect();
        self.metrics.ready(verdict.not_ready.is_none());
        self.metrics.healthy(verdict.stalled.is_none());
        self.metrics.trouble(&causes);
    }

    /// Every rule and model that runs, and those that ran and have alerts.
    fn all_rules(&self) -> Vec<RuleTotals> {
        let counted = self.tally.rules();
        let mut rules: Vec<RuleTotals> = self
            .rules
            .iter()
            .chain(&self.models)
            .filter(|rule| !counted.iter().any(|counted| counted.id == rule.id))
            .cloned()
            .chain(counted.iter().cloned())
            .collect();
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        rules
    }

    /// The pipeline has failed for good.
    pub fn failed(&self, cause: Cause, reason: &str) {
        self.metrics.ready(false);
        self.metrics.healthy(false);
        self.metrics.trouble(&[cause]);
        self.board.update(|status| {
            status.failed = true;
            status.ready = false;
            status.trouble = Some(reason.to_owned());
        });
    }

    /// Nothing comes any more.
    pub fn ended(&self) {
        self.board.update(|status| status.ended = true);
    }
}

fn rule_in_force(rule: &Rule) -> InForce {
    InForce {
        id: rule.id.clone(),
        family: rule.family.clone(),
        result: rule.result.word(),
        status: rule.status,
        name: rule.name.clone(),
    }
}

fn model_in_force(model: &Scorer) -> InForce {
    let file = &model.model().file;
    InForce {
        id: file.id.clone(),
        family: MODELS.to_owned(),
        result: Conclusion::Clue.word(),
        status: file.status,
        name: file.name.clone().into(),
    }
}

fn families(set: &RuleSet) -> BTreeMap<String, LateTypes> {
    let mut families = BTreeMap::new();
    for rule in &set.rules {
        *families.entry(rule.family.clone()).or_default() |=
            rule.reads.iter().fold(0, |types, name| types | type_bit(name));
    }
    families
}

fn state(retained: Retained) -> Vec<StateSize> {
    let Retained { settlements, visits, persons, fee_details, inventory, alerts } = retained;
    let size = |kind, rows| StateSize { kind, rows };
    vec![
        size("settlements", settlements),
        size("visits", visits),
        size("persons", persons),
        size("fee_details", fee_details),
        size("inventory", inventory),
        size("alerts", alerts),
    ]
}
