//! Metrics of rules and models: what is in force, what they have found, what stands.

use super::Maker;
use crate::alert::{Alert, AlertStatus};
use crate::clock;
use crate::rules::rule::{Bilingual, Severity, Status};
use crate::status::RuleTotals;
use crate::timeline::cost::{Cost, SAMPLED};
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec};

/// The family of models.
pub const MODELS: &str = "models";

/// A rule or a model in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Its id.
    pub id: String,
    /// The family of a rule, or [`MODELS`].
    pub family: String,
    /// How sure its findings are, as in alerts.
    pub result: &'static str,
    /// How far it is in service.
    pub status: Status,
    /// Its name.
    pub name: Bilingual,
}

/// The metrics of all rules and models.
pub(super) struct RuleMetrics {
    info: IntGaugeVec,
    version: IntGaugeVec,
    in_force: IntGaugeVec,
    reloads: IntCounterVec,
    refused: IntGaugeVec,
    revisions: IntCounterVec,
    last: IntGaugeVec,
    evaluation_time: CounterVec,
    evaluations: IntCounterVec,
    open: IntGaugeVec,
    withdrawn: IntGaugeVec,
    amount: GaugeVec,
}

impl RuleMetrics {
    pub(super) fn new(make: &Maker) -> Self {
        let metrics = Self {
            info: make.gauges(
                "fundwatch_rule_info",
                "1 for each rule and model in force; the family of models is models.",
                &["rule", "family", "result", "status", "name_zh", "name_en"],
            ),
            version: make.gauges(
                "fundwatch_rule_set_info",
                "1, with the version of the rule set in force.",
                &["version"],
            ),
            in_force: make.gauges("fundwatch_rules", "Rules in force, by status.", &["status"]),
            reloads: make.counters(
                "fundwatch_rule_reloads_total",
                "Attempts to reload rules, tables and registry, by outcome: taken or refused.",
                &["outcome"],
            ),
            refused: make.gauges(
                "fundwatch_reload_refused",
                "1 while what is on disk is refused and what was there before stays in force, else 0: rules or models.",
                &["kind"],
            ),
            revisions: make.counters(
                "fundwatch_alert_revisions_total",
                "Revisions of alerts, by rule, severity and status; shadow ones are stored, not sent.",
                &["rule", "severity", "status", "shadow"],
            ),
            last: make.gauges(
                "fundwatch_last_alert_timestamp_seconds",
                "When this process has last told of an alert that stands, in seconds of Unix time.",
                &["rule", "severity"],
            ),
            evaluation_time: make.times(
                "fundwatch_rule_evaluation_seconds_total",
                &format!(
                    "Time that evaluating a rule took, over all threads; estimated: of the visits, days and other keys \
                     on which rules are evaluated, one in {SAMPLED} is timed and counts {SAMPLED} times."
                ),
                &["rule"],
            ),
            evaluations: make.counters(
                "fundwatch_rule_evaluations_total",
                "Batches in which a rule was evaluated on something.",
                &["rule"],
            ),
            open: make.gauges("fundwatch_open_alerts", "Alerts that are open.", &["rule", "severity"]),
            withdrawn: make.gauges(
                "fundwatch_withdrawn_alerts",
                "Alerts that were withdrawn and are not open again, while their records are retained.",
                &["rule"],
            ),
            amount: make.numbers(
                "fundwatch_open_amount_at_issue_yuan",
                "Fund money at issue in open alerts, by rule.",
                &["rule"],
            ),
        };
        for outcome in ["taken", "refused"] {
            metrics.reloads.with_label_values(&[outcome]);
        }
        for kind in ["rules", MODELS] {
            metrics.refused(kind, false);
        }
        metrics
    }

    pub(super) fn in_force<'r>(&self, all: impl Iterator<Item = &'r InForce>) {
        self.info.reset();
        self.in_force.reset();
        for InForce { id, family, result, status, name } in all {
            let word = word(*status);
            self.info.with_label_values(&[id.as_str(), family, result, word, &name.zh, &name.en]).set(1);
            if family != MODELS {
                self.in_force.with_label_values(&[word]).inc();
                // From the start, so that the first rise is seen.
                self.evaluated(id, Cost::default());
            }
        }
    }

    pub(super) fn version(&self, version: &str) {
        self.version.reset();
        self.version.with_label_values(&[version]).set(1);
    }

    pub(super) fn reload(&self, taken: bool) {
        self.reloads.with_label_values(&[if taken { "taken" } else { "refused" }]).inc();
        self.refused("rules", !taken);
    }

    pub(super) fn refused(&self, kind: &str, refused: bool) {
        self.refused.with_label_values(&[kind]).set(i64::from(refused));
    }

    pub(super) fn revised(&self, alerts: &[Alert]) {
        let now = clock::now_millis() / 1_000;
        for alert in alerts {
            let finding = &alert.finding;
            let (rule, severity) = (&*finding.rule_id, finding.severity.word());
            let shadow = if alert.shadow { "true" } else { "false" };
            self.revisions.with_label_values(&[rule, severity, alert.status.word(), shadow]).inc();
            if alert.status == AlertStatus::Open {
                self.last.with_label_values(&[rule, severity]).set(now);
            }
        }
    }

    pub(super) fn evaluated(&self, rule: &str, cost: Cost) {
        self.evaluation_time.with_label_values(&[rule]).inc_by(cost.time.as_secs_f64());
        self.evaluations.with_label_values(&[rule]).inc_by(u64::from(cost.evaluated));
    }

    pub(super) fn standing(&self, rules: &[RuleTotals]) {
        self.open.reset();
        self.withdrawn.reset();
        self.amount.reset();
        for rule in rules {
            let id = &*rule.id;
            for (severity, count) in Severity::ALL.iter().zip(rule.severities) {
                self.open.with_label_values(&[id, severity.word()]).set(count as i64);
            }
            self.withdrawn.with_label_values(&[id]).set(rule.withdrawn as i64);
            self.amount.with_label_values(&[id]).set(rule.amount as f64 / 100.0);
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Shadow => "shadow",
        Status::Live => "live",
        Status::Retired => "retired",
    }
}
