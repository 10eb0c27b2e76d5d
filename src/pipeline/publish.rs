//! What the outside sees of the pipeline: the status board and the metrics. Written once a batch or less.

use crate::alert::{Alert, AlertId};
use crate::clock;
use crate::engine::{Engine, Retained};
use crate::metrics::{BatchReport, Metrics};
use crate::record::decode::{Bad, BadKind, LateTypes, type_bit};
use crate::rules::rule::{Map, RuleSet};
use crate::source::Inlet;
use crate::status::{Board, RecordTotals, RuleSetStatus, RuleTotals, SinkStatus, StateSize, Tally};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label of late records of types that no rule reads.
const NO_FAMILY: &str = "none";

/// Keeps board and metrics up to date.
pub struct Publisher {
    board: Board,
    metrics: Arc<Metrics>,
    tally: Tally,
    /// The last revision of every alert, to be counted off when the next one comes.
    last: Map<AlertId, Alert>,
    revisions: u64,
    /// The rules that run, without their alerts.
    rules: Vec<RuleTotals>,
    /// The families of rules that run, with the types of records that they read.
    families: BTreeMap<String, LateTypes>,
}

impl Publisher {
    /// Publishes for a source with a name, under rules.
    pub fn new(board: Board, metrics: Arc<Metrics>, source: String, rules: &RuleSet) -> Self {
        board.update(|status| status.source = source);
        let mut publisher = Self {
            board,
            metrics,
            tally: Tally::default(),
            last: Map::default(),
            revisions: 0,
            rules: Vec::new(),
            families: BTreeMap::new(),
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
        self.metrics.rule_set(&set.version, set.rules.iter().map(|rule| rule.status));
        self.metrics.reload(true);
        let version = set.version.clone();
        self.board.update(|status| {
            let refusals = status.rule_set.refusals;
            status.rule_set = RuleSetStatus { version, loaded_at: Some(clock::now()), refused: None, refusals };
        });
    }

    /// Rules on disk were not taken.
    pub fn rules_refused(&self, reason: String) {
        self.metrics.reload(false);
        self.board.update(|status| {
            status.rule_set.refused = Some(reason);
            status.rule_set.refusals += 1;
        });
    }

    /// A batch was processed.
    pub fn batch(&self, report: &BatchReport) {
        self.metrics.batch(report);
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

    /// Counts from these alerts on: what a warm-up has found without sending it.
    pub fn restart_tally(&mut self, alerts: &[&Alert]) {
        self.tally = Tally::default();
        self.last.clear();
        for alert in alerts {
            self.tally.revise(None, alert);
            self.last.insert(alert.alert_id, (*alert).clone());
        }
    }

    /// Why alerts are not up to date.
    pub fn not_ready(&self, reason: &str) {
        self.metrics.ready(false);
        self.board.update(|status| {
            status.ready = false;
            status.trouble = Some(reason.to_owned());
        });
    }

    /// Why no records are taken at the moment.
    pub fn held_up(&self, reason: &str) {
        self.board.update(|status| status.trouble = Some(reason.to_owned()));
    }

    /// Writes everything.
    pub fn publish(&self, engine: &Engine, inlet: &Inlet, sinks: Vec<SinkStatus>, warming_up: bool) {
        let totals = engine.totals();
        let state = state(engine.retained());
        let rules = self.all_rules();
        let lag = inlet.lag();
        self.metrics.sizes(&rules, &lag, &state);
        self.metrics.ready(!warming_up);
        let trouble = inlet.trouble();
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
            status.rules = rules;
            status.lag = lag;
            status.sinks = sinks;
            status.state = state;
            if !warming_up {
                status.ready = true;
                status.trouble = trouble;
            }
        });
    }

    /// Every rule that runs, and those that ran and have alerts.
    fn all_rules(&self) -> Vec<RuleTotals> {
        let counted = self.tally.rules();
        let mut rules: Vec<RuleTotals> = self
            .rules
            .iter()
            .filter(|rule| !counted.iter().any(|counted| counted.id == rule.id))
            .cloned()
            .chain(counted.iter().cloned())
            .collect();
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        rules
    }

    /// The pipeline has failed for good.
    pub fn failed(&self, reason: &str) {
        self.metrics.ready(false);
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
    let size = |kind, rows| StateSize { kind, rows, bytes: 0 };
    vec![
        size("settlements", settlements),
        size("visits", visits),
        size("persons", persons),
        size("fee_details", fee_details),
        size("inventory", inventory),
        size("alerts", alerts),
    ]
}
