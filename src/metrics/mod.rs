//! Metrics in the Prometheus text format.
//!
//! Names begin with `fundwatch_`, units are base units, counters end in `_total`, and every label has few
//! values: record types, rules, severities, reasons, sinks, assigned partitions, and of institutions ten at a time in
//! each metric. Money is counted in fen and becomes yuan only when it is exported.

use crate::alert::Alert;
use crate::checkpoint::writer::Written;
use crate::clock;
use crate::model::scorer::{Report, Scorer};
use crate::record::decode::{BadKind, TYPES};
use crate::rules::rule::Rule;
use crate::source::channel::Counts;
use crate::status::{Cause, InstitutionTotals, Lag, RuleTotals, StateSize};
use crate::timeline::cost::Cost;
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::collections::BTreeMap;
use std::time::Duration;

mod batch;
mod institutions;
mod models;
mod rules;
mod sinks;

pub use batch::BatchReport;
use institutions::InstitutionMetrics;
use models::ModelMetrics;
use rules::RuleMetrics;
pub use rules::{InForce, MODELS};
pub use sinks::SinkMeter;
use sinks::SinkMetrics;

/// All metrics of a process; made once.
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    records: IntCounterVec,
    outcomes: IntCounterVec,
    dead_letters: IntCounterVec,
    late: IntCounterVec,
    future: IntCounter,
    embedded_details: IntCounter,
    revisions: IntCounter,
    lag: IntGaugeVec,
    batch_records: Histogram,
    batch_time: Histogram,
    latency: Histogram,
    sinks: SinkMetrics,
    models: ModelMetrics,
    rules: RuleMetrics,
    institutions: InstitutionMetrics,
    fund_settled: GaugeVec,
    state_rows: IntGaugeVec,
    start: IntGauge,
    resident: IntGauge,
    ready: IntGauge,
    healthy: IntGauge,
    trouble: IntGaugeVec,
    poison_run: IntGauge,
    poison_ratio: Gauge,
    event_time_age: IntGauge,
    source: [IntCounter; 4],
    checkpoint_age: Gauge,
    checkpoint_time: Gauge,
    checkpoint_bytes: IntGauge,
    checkpoint_number: IntGauge,
    checkpoint_failures: IntCounter,
    stream_clients: IntGauge,
    /// What gauges with changing labels show at the next scrape; written there in one go, so that no scrape
    /// sees half of it. Whoever writes such gauges at once holds it meanwhile, for the same reason.
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    rules: Vec<RuleTotals>,
    lag: Vec<Lag>,
    state: Vec<StateSize>,
    institutions: Vec<InstitutionTotals>,
}

/// A metric as people read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it means.
    pub help: String,
    /// Its labels.
    pub labels: Vec<String>,
}

impl Described {
    /// Its unit, which its name ends in; none of plain counts.
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(&self.name);
        let units = [("_seconds", "seconds"), ("_bytes", "bytes"), ("_yuan", "yuan"), ("_ratio", "share of 1")];
        units.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map_or("", |(_, unit)| unit)
    }
}

/// Makes and registers metrics.
#[derive(Default)]
struct Maker {
    registry: Registry,
    described: Mutex<Vec<Described>>,
}

impl Maker {
    fn add<M: Collector + Clone + 'static>(&self, kind: &'static str, made: prometheus::Result<M>) -> M {
        let metric = made.expect("names and labels are constants that a test has seen");
        self.described.lock().extend(metric.desc().into_iter().map(|description| Described {
            name: description.fq_name.clone(),
            kind,
            help: description.help.clone(),
            labels: description.variable_labels.clone(),
        }));
        self.registry.register(Box::new(metric.clone())).expect("every name is used once, which a test has seen");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add("counter", IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add("counter", IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn times(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.add("counter", CounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add("gauge", IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn number(&self, name: &str, help: &str) -> Gauge {
        self.add("gauge", Gauge::new(name, help))
    }

    fn numbers(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.add("gauge", GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.add("histogram", Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }
}

/// From a quarter of a millisecond to half a minute.
const SECONDS: [f64; 14] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let make = Maker::default();
        let build = make.gauges("fundwatch_build_info", "1, with the version of the program.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            records: make.counters("fundwatch_records_total", "Good records received, by type.", &["type"]),
            outcomes: make.counters(
                "fundwatch_record_outcomes_total",
                "Records received, by what became of them: processed, redelivered or dead_lettered.",
                &["outcome"],
            ),
            dead_letters: make.counters("fundwatch_dead_letters_total", "Bad records, by reason.", &["reason"]),
            late: make.counters(
                "fundwatch_late_records_total",
                "Records that came after their time was dropped, once for each family of rules that reads their type.",
                &["family"],
            ),
            future: make.counter(
                "fundwatch_future_records_total",
                "Good records further ahead of the clock than engine.future_skew, which do not push time forward.",
            ),
            embedded_details: make
                .counter("fundwatch_embedded_fee_details_total", "Fee details received inside settlements."),
            revisions: make.counter(
                "fundwatch_record_revisions_total",
                "Records received with an identity that was known under other content.",
            ),
            lag: make.gauges("fundwatch_source_lag_records", "Records that wait, by partition.", &["partition"]),
            batch_records: make.histogram(
                "fundwatch_batch_records",
                "Messages in a batch.",
                &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0],
            ),
            batch_time: make.histogram(
                "fundwatch_batch_processing_seconds",
                "From a batch being taken up to its alerts being ready.",
                &SECONDS,
            ),
            latency: make.histogram(
                "fundwatch_latency_seconds",
                "From the arrival of a batch's first message to its alerts being handed to the sinks.",
                &SECONDS,
            ),
            sinks: SinkMetrics::new(&make),
            models: ModelMetrics::new(&make),
            rules: RuleMetrics::new(&make),
            institutions: InstitutionMetrics::new(&make),
            fund_settled: make.numbers(
                "fundwatch_fund_settled_yuan",
                "What the fund paid in live settlements of today and yesterday, without those that were refunded; today is the day of the latest record that is not from the future.",
                &["day"],
            ),
            state_rows: make.gauges("fundwatch_state_rows", "Rows held in memory, by kind.", &["kind"]),
            start: make.gauge("fundwatch_process_start_time_seconds", "When the process has started, in seconds of Unix time."),
            resident: make.gauge("fundwatch_resident_memory_bytes", "Resident memory of the process."),
            ready: make.gauge("fundwatch_ready", "1 when alerts are up to date or nearly, else 0."),
            healthy: make.gauge("fundwatch_healthy", "0 when it has failed or records wait and none is processed, else 1."),
            trouble: make.gauges(
                "fundwatch_trouble",
                "1 for what keeps it from being ready or healthy, else 0, by cause.",
                &["cause"],
            ),
            poison_run: make.gauge(
                "fundwatch_dead_letter_run",
                "Bad records in a row; dead_letters.stop_at_run of them stop the pipeline.",
            ),
            poison_ratio: make.number(
                "fundwatch_dead_letter_ratio",
                "Share of bad ones among the last records; dead_letters.stop_at_ratio stops the pipeline.",
            ),
            event_time_age: make.gauge(
                "fundwatch_event_time_age_seconds",
                "The clock less the latest time of a record that is not from the future; 0 before the first.",
            ),
            source: [
                make.counter(
                    "fundwatch_source_stale_total",
                    "Messages dropped because their partition was taken away, or because they came twice from the client.",
                ),
                make.counter("fundwatch_source_tombstones_total", "Messages without content, which are no records."),
                make.counter("fundwatch_source_rebalances_total", "Changes of the assignment of partitions."),
                make.counter("fundwatch_source_commits_total", "Commits of offsets."),
            ],
            checkpoint_age: make.number(
                "fundwatch_checkpoint_age_seconds",
                "Time since a checkpoint was written by this process; 0 before the first, and where no state is kept.",
            ),
            checkpoint_time: make.number(
                "fundwatch_checkpoint_duration_seconds",
                "How long writing the last checkpoint took, beside the running engine.",
            ),
            checkpoint_bytes: make
                .gauge("fundwatch_checkpoint_bytes", "What all segments of the last checkpoint take, compressed."),
            checkpoint_number: make.gauge("fundwatch_checkpoint_number", "The number of the last checkpoint."),
            checkpoint_failures: make
                .counter("fundwatch_checkpoint_failures_total", "Attempts to write a checkpoint that failed."),
            stream_clients: make.gauge("fundwatch_stream_clients", "Clients of the live event stream."),
            pending: Mutex::default(),
            registry: make.registry,
            described: make.described.into_inner(),
        };
        // Series that count trouble exist from the start, so that their first rise is seen.
        for kind in BadKind::ALL {
            metrics.dead_letters.with_label_values(&[kind.word()]);
        }
        for outcome in ["processed", "redelivered", "dead_lettered"] {
            metrics.outcomes.with_label_values(&[outcome]);
        }
        metrics.start.set(clock::now_millis() / 1_000);
        metrics.healthy(true);
        metrics.trouble(&[]);
        metrics
    }

    /// The last checkpoint, and how long ago it was written.
    pub fn checkpoint(&self, last: &Written, age: Duration) {
        self.checkpoint_age.set(age.as_secs_f64());
        self.checkpoint_time.set(last.time.as_secs_f64());
        self.checkpoint_bytes.set(i64::try_from(last.all_bytes).unwrap_or(i64::MAX));
        self.checkpoint_number.set(i64::try_from(last.number).unwrap_or(i64::MAX));
    }

    /// Takes over how many attempts to write a checkpoint have failed.
    pub fn checkpoint_failures(&self, failures: u64) {
        self.checkpoint_failures.inc_by(failures.saturating_sub(self.checkpoint_failures.get()));
    }

    /// Counts a batch.
    pub fn batch(&self, report: &BatchReport) {
        for (name, count) in TYPES.iter().zip(report.by_type).filter(|(_, count)| *count > 0) {
            self.records.with_label_values(&[name]).inc_by(count);
        }
        let dead: u64 = report.dead_lettered.iter().sum();
        for (outcome, count) in
            [("processed", report.processed), ("redelivered", report.redelivered), ("dead_lettered", dead)]
        {
            self.outcomes.with_label_values(&[outcome]).inc_by(count);
        }
        for (kind, count) in BadKind::ALL.iter().zip(report.dead_lettered).filter(|(_, count)| *count > 0) {
            self.dead_letters.with_label_values(&[kind.word()]).inc_by(count);
        }
        self.future.inc_by(report.future);
        self.embedded_details.inc_by(report.embedded_details);
        self.revisions.inc_by(report.revisions);
        self.batch_records.observe(report.messages() as f64);
        self.batch_time.observe(report.time.as_secs_f64());
        self.latency.observe(report.latency.as_secs_f64());
    }

    /// Counts late records that a family of rules does not see.
    pub fn late(&self, family: &str, records: u64) {
        self.late.with_label_values(&[family]).inc_by(records);
    }

    /// Counts revisions of alerts.
    pub fn alerts(&self, alerts: &[Alert]) {
        self.rules.revised(alerts);
    }

    /// Counts what evaluating rules took in a batch; `costs` are in the order of the rules.
    pub fn rule_costs(&self, rules: &[Rule], costs: &[Cost]) {
        for (rule, cost) in rules.iter().zip(costs).filter(|(_, cost)| cost.evaluated) {
            self.rules.evaluated(&rule.id, *cost);
        }
    }

    /// Takes over what is open, what waits and what is held; shown at the next scrape.
    pub fn sizes(&self, rules: &[RuleTotals], lag: &[Lag], state: &[StateSize]) {
        let mut pending = self.pending.lock();
        (pending.rules, pending.lag, pending.state) = (rules.to_vec(), lag.to_vec(), state.to_vec());
    }

    /// Takes over the institutions with the most money at issue; shown at the next scrape.
    pub fn institutions(&self, top: Vec<InstitutionTotals>) {
        self.pending.lock().institutions = top;
    }

    /// Shows what the fund paid in live settlements of the two latest days, in fen.
    pub fn fund_settled(&self, today: i64, yesterday: i64) {
        for (day, fen) in [("today", today), ("yesterday", yesterday)] {
            self.fund_settled.with_label_values(&[day]).set(fen as f64 / 100.0);
        }
    }

    /// Notes the rules and models in force.
    pub fn in_force<'r>(&self, all: impl Iterator<Item = &'r InForce>) {
        let _scrape = self.pending.lock();
        self.rules.in_force(all);
    }

    /// Notes the version of the rule set in force.
    pub fn rule_set(&self, version: &str) {
        let _scrape = self.pending.lock();
        self.rules.version(version);
    }

    /// Counts an attempt to reload the rules.
    pub fn reload(&self, taken: bool) {
        self.rules.reload(taken);
    }

    /// Shows the models at work and how they see the latest window; `names` are those of institutions.
    pub fn models(&self, models: &[Scorer], names: &BTreeMap<String, String>) {
        let _scrape = self.pending.lock();
        self.models.at_work(models);
        self.judged(models.iter().filter_map(Scorer::last), names);
    }

    fn judged<'r>(&self, reports: impl Iterator<Item = &'r Report> + Clone, names: &BTreeMap<String, String>) {
        self.models.judged(reports.clone());
        self.institutions.judged(reports, names);
    }

    /// Counts an attempt to reload the models.
    pub fn model_reload(&self, taken: bool) {
        self.models.reload(taken);
        self.rules.refused(rules::MODELS, !taken);
    }

    /// Notes whether alerts are up to date.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Notes whether the pipeline moves.
    pub fn healthy(&self, healthy: bool) {
        self.healthy.set(i64::from(healthy));
    }

    /// Notes what is wrong now.
    pub fn trouble(&self, causes: &[Cause]) {
        for cause in Cause::ALL {
            self.trouble.with_label_values(&[cause.word()]).set(i64::from(causes.contains(&cause)));
        }
    }

    /// Notes how near bad records are to stopping the pipeline.
    pub fn poison(&self, run: u64, ratio: f64) {
        self.poison_run.set(run as i64);
        self.poison_ratio.set(ratio);
    }

    /// Notes how far the records' time is behind the clock.
    pub fn event_time(&self, age: Option<i64>) {
        self.event_time_age.set(age.unwrap_or(0));
    }

    /// Takes over what a source has counted since its start.
    pub fn source(&self, counts: &Counts) {
        let Counts { stale, tombstones, rebalances, commits } = *counts;
        for (metric, count) in self.source.iter().zip([stale, tombstones, rebalances, commits]) {
            metric.inc_by(count.saturating_sub(metric.get()));
        }
    }

    /// All metrics, as people read of them.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// The gauge of clients of the event stream.
    pub fn stream_clients(&self) -> &IntGauge {
        &self.stream_clients
    }

    /// The metrics of a sink.
    pub fn sink(&self, name: &str) -> SinkMeter {
        self.sinks.meter(name)
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        let pending = self.pending.lock();
        self.rules.standing(&pending.rules);
        self.institutions.standing(&pending.institutions);
        self.lag.reset();
        for lag in &pending.lag {
            self.lag.with_label_values(&[&lag.partition]).set(lag.records as i64);
        }
        for state in &pending.state {
            self.state_rows.with_label_values(&[state.kind]).set(state.rows as i64);
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        text.expect("the encoder refuses only families without metrics, and gather leaves those out")
    }
}

/// Resident memory of this process; `None` where the system does not say it as Linux does.
pub fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::{Bilingual, Status};

    #[test]
    fn a_batch_balances_and_labels_that_go_away_are_not_shown() {
        let metrics = Metrics::new();
        let mut report = BatchReport { processed: 7, redelivered: 2, revisions: 1, ..BatchReport::default() };
        report.by_type[0] = 9;
        report.dead_lettered[4] = 3;
        metrics.batch(&report);
        assert_eq!(report.messages(), 12);
        let rule = RuleTotals {
            id: "DUP-02".into(),
            open: 2,
            severities: [0, 0, 2, 0],
            withdrawn: 3,
            amount: 1_234_567,
            ..RuleTotals::default()
        };
        let lag = Lag { partition: "settlements[3]".to_owned(), records: 17 };
        metrics.sizes(&[rule], &[lag], &[StateSize { kind: "fee_detail", rows: 5 }]);
        metrics.rule_set("abc");
        let in_force = |id: &str, family: &str, status| InForce {
            id: id.to_owned(),
            family: family.to_owned(),
            result: "clue",
            status,
            name: Bilingual { zh: "一".to_owned(), en: "one".to_owned() },
        };
        metrics.in_force(
            [
                in_force("A-1", "stays", Status::Live),
                in_force("A-2", "stays", Status::Live),
                in_force("A-3", "stays", Status::Shadow),
                in_force("M-1", MODELS, Status::Live),
            ]
            .iter(),
        );
        let text = metrics.render();
        for line in [
            "fundwatch_records_total{type=\"settlement\"} 9",
            "fundwatch_record_outcomes_total{outcome=\"dead_lettered\"} 3",
            "fundwatch_dead_letters_total{reason=\"missing_field\"} 3",
            "fundwatch_dead_letters_total{reason=\"late\"} 0",
            "fundwatch_open_alerts{rule=\"DUP-02\",severity=\"high\"} 2",
            "fundwatch_open_alerts{rule=\"DUP-02\",severity=\"low\"} 0",
            "fundwatch_withdrawn_alerts{rule=\"DUP-02\"} 3",
            "fundwatch_reload_refused{kind=\"models\"} 0",
            "fundwatch_rule_info{family=\"models\",name_en=\"one\",name_zh=\"一\",result=\"clue\",rule=\"M-1\",status=\"live\"} 1",
            "fundwatch_open_amount_at_issue_yuan{rule=\"DUP-02\"} 12345.67",
            "fundwatch_source_lag_records{partition=\"settlements[3]\"} 17",
            "fundwatch_state_rows{kind=\"fee_detail\"} 5",
            "fundwatch_rules{status=\"live\"} 2",
            "fundwatch_batch_records_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for commits in [2, 5] {
            metrics.source(&Counts { stale: 1, tombstones: 0, rebalances: 3, commits });
        }
        metrics.trouble(&[Cause::Lag]);
        let text = metrics.render();
        for line in [
            "fundwatch_source_stale_total 1",
            "fundwatch_source_tombstones_total 0",
            "fundwatch_source_rebalances_total 3",
            "fundwatch_source_commits_total 5",
            "fundwatch_trouble{cause=\"lag\"} 1",
            "fundwatch_trouble{cause=\"sink\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        metrics.sizes(&[], &[], &[]);
        assert!(!metrics.render().contains("DUP-02"));
    }

    #[test]
    fn the_page_of_metrics_lists_them_all() {
        let metrics = Metrics::new();
        let mut described = metrics.described().to_vec();
        described.sort_by(|one, other| one.name.cmp(&other.name));
        let mut table = String::from("| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
        for metric in &described {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let Described { name, kind, help, .. } = metric;
            table.push_str(&format!("| `{name}` | {kind} | {} | {} | {help} |\n", metric.unit(), labels.join(" ")));
        }
        let unbounded = ["person", "psn_no", "visit", "mdtrt_id", "doctor", "settlement"];
        assert!(described.iter().all(|metric| !metric.labels.iter().any(|label| unbounded.contains(&label.as_str()))));
        assert!(include_str!("../../docs/metrics.md").contains(&table), "docs/metrics.md should have:\n{table}");
    }

    #[test]
    fn names_keep_the_conventions() {
        let metrics = Metrics::new();
        metrics.sink("kafka").retried();
        metrics.alerts(&[]);
        for line in metrics.render().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').expect("a name and a kind");
            assert!(name.starts_with("fundwatch_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        }
    }
}
