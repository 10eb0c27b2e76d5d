//! The metrics of sinks.

use super::Maker;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::time::Duration;

/// The metrics of all sinks.
pub(super) struct SinkMetrics {
    depth: IntGaugeVec,
    limit: IntGaugeVec,
    trouble: IntGaugeVec,
    delivered: IntCounterVec,
    dropped: IntCounterVec,
    retries: IntCounterVec,
    errors: IntCounterVec,
    undeliverable: IntCounterVec,
    left_out: IntCounterVec,
    blocked: CounterVec,
}

/// The metrics of one sink; cheap to clone.
#[derive(Clone)]
pub struct SinkMeter {
    depth: IntGauge,
    limit: IntGauge,
    trouble: IntGauge,
    delivered: IntCounter,
    dropped: IntCounter,
    retries: IntCounter,
    errors: IntCounter,
    undeliverable: IntCounter,
    left_out: IntCounter,
    blocked: Counter,
}

impl SinkMetrics {
    pub(super) fn new(make: &Maker) -> Self {
        let label = &["sink"];
        Self {
            depth: make.gauges("fundwatch_sink_queue_items", "Items that wait for a sink.", label),
            limit: make.gauges("fundwatch_sink_queue_limit_items", "How many items may wait for a sink.", label),
            trouble: make.gauges("fundwatch_sink_trouble", "1 while a sink does not deliver, else 0.", label),
            delivered: make.counters("fundwatch_sink_delivered_total", "Items that a sink has delivered.", label),
            dropped: make.counters(
                "fundwatch_sink_dropped_total",
                "Items that found the queue of a sink full that is not required.",
                label,
            ),
            retries: make.counters("fundwatch_sink_retries_total", "Deliveries that were tried again.", label),
            errors: make.counters("fundwatch_sink_errors_total", "Errors that ended a sink.", label),
            undeliverable: make.counters(
                "fundwatch_sink_undeliverable_total",
                "Items that a receiver refused; they are put aside, or offered again later where a sink mirrors what stands.",
                label,
            ),
            left_out: make.counters(
                "fundwatch_sink_left_out_total",
                "Open alerts that a sink that mirrors what stands has no room for: sinks.alertmanager.limit.",
                label,
            ),
            blocked: make.times(
                "fundwatch_sink_blocked_seconds_total",
                "Time in which the full queue of a sink held up the pipeline.",
                label,
            ),
        }
    }

    /// The metrics of one sink.
    pub(super) fn meter(&self, name: &str) -> SinkMeter {
        SinkMeter {
            depth: self.depth.with_label_values(&[name]),
            limit: self.limit.with_label_values(&[name]),
            trouble: self.trouble.with_label_values(&[name]),
            delivered: self.delivered.with_label_values(&[name]),
            dropped: self.dropped.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            errors: self.errors.with_label_values(&[name]),
            undeliverable: self.undeliverable.with_label_values(&[name]),
            left_out: self.left_out.with_label_values(&[name]),
            blocked: self.blocked.with_label_values(&[name]),
        }
    }
}

#[allow(missing_docs, reason = "the names say what is counted; the help texts above say how")]
impl SinkMeter {
    pub fn depth(&self, items: usize) {
        self.depth.set(items as i64);
    }

    pub fn delivered(&self, items: usize) {
        self.delivered.inc_by(items as u64);
    }

    pub fn dropped(&self, items: usize) {
        self.dropped.inc_by(items as u64);
    }

    pub fn retried(&self) {
        self.retries.inc();
    }

    pub fn failed(&self) {
        self.errors.inc();
    }

    pub fn limit(&self, items: usize) {
        self.limit.set(items as i64);
    }

    pub fn trouble(&self, troubled: bool) {
        self.trouble.set(i64::from(troubled));
    }

    pub fn undeliverable(&self, items: usize) {
        self.undeliverable.inc_by(items as u64);
    }

    pub fn left_out(&self, items: usize) {
        self.left_out.inc_by(items as u64);
    }

    pub fn blocked(&self, time: Duration) {
        self.blocked.inc_by(time.as_secs_f64());
    }

    pub fn delivered_so_far(&self) -> u64 {
        self.delivered.get()
    }

    pub fn dropped_so_far(&self) -> u64 {
        self.dropped.get()
    }

    pub fn retries_so_far(&self) -> u64 {
        self.retries.get()
    }

    pub fn undeliverable_so_far(&self) -> u64 {
        self.undeliverable.get()
    }

    pub fn left_out_so_far(&self) -> u64 {
        self.left_out.get()
    }

    pub fn blocked_so_far(&self) -> f64 {
        self.blocked.get()
    }
}
