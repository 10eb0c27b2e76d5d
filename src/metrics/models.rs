//! Metrics of models: how each sees the latest window that is over.

use super::Maker;
use crate::model::scorer::{GroupCounts, Report, Scorer};
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

/// Limits of p-values whose shares are shown: where nothing is strange the share is the limit.
const LIMITS: [f64; 5] = [0.001, 0.01, 0.05, 0.1, 0.5];
/// Quantiles of scores that are shown.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];

/// The metrics of all models.
pub(super) struct ModelMetrics {
    info: IntGaugeVec,
    entities: IntGaugeVec,
    window: IntGaugeVec,
    score: GaugeVec,
    p_share: GaugeVec,
    drift: GaugeVec,
    groups: IntGaugeVec,
    budget: IntGaugeVec,
    reloads: IntCounterVec,
}

impl ModelMetrics {
    pub(super) fn new(make: &Maker) -> Self {
        let metrics = Self {
            info: make.gauges(
                "fundwatch_model_info",
                "1, with the version of a trained model at work; one in shadow is not sent.",
                &["model", "version", "status"],
            ),
            entities: make.gauges(
                "fundwatch_model_entities",
                "Entities in the latest window, by what became of them: raised, cut (by the budget) or usual.",
                &["model", "decision"],
            ),
            window: make.gauges(
                "fundwatch_model_window_timestamp_seconds",
                "The start of the latest window, in seconds of Unix time as if its clock were UTC.",
                &["model"],
            ),
            score: make.numbers(
                "fundwatch_model_score",
                "Quantiles of the scores in the latest window.",
                &["model", "quantile"],
            ),
            p_share: make.numbers(
                "fundwatch_model_p_value_ratio",
                "Share of entities in the latest window whose p-value is at most so much.",
                &["model", "le"],
            ),
            drift: make.numbers(
                "fundwatch_model_drift",
                "Population stability index of a feature in the latest window against training, less what chance alone gives; over 0.25 it has shifted.",
                &["model", "feature"],
            ),
            groups: make.gauges(
                "fundwatch_model_group_entities",
                "Entities in the latest window by group of peers and what became of them; the group of everybody has no name.",
                &["model", "peers", "decision"],
            ),
            budget: make.gauges(
                "fundwatch_model_budget_entities",
                "The most entities that the budget lets be raised in the latest window: per_group times its groups of peers.",
                &["model"],
            ),
            reloads: make.counters(
                "fundwatch_model_reloads_total",
                "Attempts to reload models, by outcome: taken or refused.",
                &["outcome"],
            ),
        };
        for outcome in ["taken", "refused"] {
            metrics.reloads.with_label_values(&[outcome]);
        }
        metrics
    }

    pub(super) fn reload(&self, taken: bool) {
        self.reloads.with_label_values(&[if taken { "taken" } else { "refused" }]).inc();
    }

    pub(super) fn at_work(&self, models: &[Scorer]) {
        self.info.reset();
        for model in models {
            let status = if model.is_in_shadow() { "shadow" } else { "live" };
            self.info.with_label_values(&[model.model().file.id.as_str(), model.version(), status]).set(1);
        }
    }

    pub(super) fn judged<'r>(&self, reports: impl Iterator<Item = &'r Report>) {
        for metric in [&self.entities, &self.window, &self.groups, &self.budget] {
            metric.reset();
        }
        for metric in [&self.score, &self.p_share, &self.drift] {
            metric.reset();
        }
        reports.for_each(|report| self.report(report));
    }

    fn report(&self, report: &Report) {
        let (model, all) = (report.model.as_str(), report.scores.len());
        let whole = GroupCounts { raised: report.raised, cut: report.cut, usual: all - report.raised - report.cut };
        for (decision, count) in whole.by_decision() {
            self.entities.with_label_values(&[model, decision]).set(count as i64);
        }
        self.window.with_label_values(&[model]).set(report.window.start().0);
        for (peers, counts) in &report.groups {
            for (decision, count) in counts.by_decision() {
                self.groups.with_label_values(&[model, peers, decision]).set(count as i64);
            }
        }
        self.budget.with_label_values(&[model]).set(report.budget as i64);
        if all == 0 {
            return;
        }
        for quantile in QUANTILES {
            let place = ((all as f64 * quantile).ceil() as usize).clamp(1, all) - 1;
            self.score.with_label_values(&[model, &quantile.to_string()]).set(report.scores[place]);
        }
        for limit in LIMITS {
            let count = report.p_values.partition_point(|p| *p <= limit);
            self.p_share.with_label_values(&[model, &limit.to_string()]).set(count as f64 / all as f64);
        }
        for (feature, index) in &report.drift {
            self.drift.with_label_values(&[model, feature]).set(*index);
        }
    }
}
