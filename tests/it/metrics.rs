//! What metrics say of the whole program at work, beside what its alerts and records say.

use crate::scoring::{self, MODEL};
use crate::support::running::{LIMIT, Running, metric};
use crate::support::{City, json_lines, wait_until};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{ChildStdin, Stdio};

/// The series of a metric: its labels as they stand, with its values.
fn series(metrics: &str, name: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
        Some((labels.to_owned(), value.parse().ok()?))
    };
    metrics.lines().filter_map(line).collect()
}

/// The program over a city that comes through its standard input, which stays open.
fn over(city: &City, more: &[(&str, &str)]) -> (Running, ChildStdin) {
    let registry = city.registry().display().to_string();
    let own = [
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__RULES__REGISTRY", registry.as_str()),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
        ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
    ];
    let mut running = Running::start(&[&own[..], more].concat(), Stdio::piped());
    let mut stdin = running.stdin();
    let records = fs::read(city.records()).expect("records");
    stdin.write_all(&records).expect("it reads");
    let lines = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    running.wait_for_records(lines as u64);
    (running, stdin)
}

/// The names of a city's institutions by their codes.
fn names(city: &City) -> BTreeMap<String, String> {
    let mut table = csv::Reader::from_path(city.registry().join("institutions.csv")).expect("a table");
    table.records().map(|row| row.expect("a row")).map(|row| (row[0].to_owned(), row[1].to_owned())).collect()
}

fn labels(code: &str, names: &BTreeMap<String, String>) -> String {
    format!("institution=\"{code}\",name=\"{}\"", names[code])
}

#[test]
fn the_fund_of_two_days_is_that_of_their_live_settlements() {
    let mut running = Running::start(&[("FUNDWATCH__SOURCE__KIND", "stdin")], Stdio::piped());
    let mut stdin = running.stdin();
    let settlement = |id: &str, day: u32, fund: &str, more: &str| {
        format!(
            r#"{{"type":"settlement","setl_id":"{id}","mdtrt_id":"V{id}","psn_no":"P1","fixmedins_code":"H1","med_type":"11","insutype":"310","setl_time":"2026-03-{day:02} 10:00:00","medfee_sumamt":{fund},"fund_pay_sumamt":{fund}{more}}}"#
        )
    };
    let expect = |running: &Running, today: f64, yesterday: f64| {
        wait_until(&format!("{today} and {yesterday}"), LIMIT, || {
            let days = series(&running.get("/metrics").1, "fundwatch_fund_settled_yuan");
            let expected = [("day=\"today\"".to_owned(), today), ("day=\"yesterday\"".to_owned(), yesterday)];
            (days == BTreeMap::from(expected)).then_some(())
        });
    };
    assert!(series(&running.get("/metrics").1, "fundwatch_fund_settled_yuan").is_empty(), "no record, no day");
    for line in [
        settlement("S1", 1, "100.10", ""),
        settlement("S2", 1, "30.25", ""),
        settlement("S3", 2, "50.50", ""),
        settlement("S4", 2, "1.00", ""),
    ] {
        writeln!(stdin, "{line}").expect("it reads");
    }
    expect(&running, 51.5, 130.35);
    // A refund of today takes yesterday's money back, and a revision takes the place of what it revises.
    let refund = settlement("R1", 2, "-100.10", r#","refd_setl_flag":"1","init_setl_id":"S1""#);
    let revision = settlement("S3", 2, "60.75", r#","updt_time":"2026-03-02 12:00:00""#);
    writeln!(stdin, "{refund}\n{revision}").expect("it reads");
    expect(&running, 61.75, 30.25);
    writeln!(stdin, "{}", settlement("S5", 3, "7.00", "")).expect("it reads");
    expect(&running, 7.0, 61.75);
    // Nothing was settled the day before.
    writeln!(stdin, "{}", settlement("S6", 5, "0.01", "")).expect("it reads");
    expect(&running, 0.01, 0.0);
}

#[test]
fn institutions_with_most_at_issue_are_those_of_the_alerts() {
    let city = City::simulate(60_000, 6, 5);
    let (running, _stdin) = over(&city, &[]);
    let names = names(&city);
    let expected = || {
        let mut last: BTreeMap<String, Value> = BTreeMap::new();
        for alert in json_lines(&running.read("alerts.jsonl")) {
            last.insert(alert["alert_id"].to_string(), alert);
        }
        // Whole fen, and how many, by institution.
        let mut sums: BTreeMap<String, (i64, u64)> = BTreeMap::new();
        for alert in last.values().filter(|alert| alert["status"] == "open") {
            let Some(institution) = alert["fixmedins_code"].as_str() else { continue };
            let amount = alert["amount_at_issue"].as_str().unwrap_or("0.00").replace('.', "");
            let (sum, count) = sums.entry(institution.to_owned()).or_default();
            *sum += amount.parse::<i64>().expect("an amount");
            *count += 1;
        }
        let mut order: Vec<_> = sums.into_iter().collect();
        order.sort_by_key(|(code, (sum, count))| (Reverse(*sum), Reverse(*count), code.clone()));
        order.truncate(10);
        let amounts = order.iter().map(|(code, (sum, _))| (labels(code, &names), *sum as f64 / 100.0));
        let counts = order.iter().map(|(code, (_, count))| (labels(code, &names), *count as f64));
        (amounts.collect::<BTreeMap<_, _>>(), counts.collect::<BTreeMap<_, _>>())
    };
    wait_until("the same as in the alerts", LIMIT, || {
        let metrics = running.get("/metrics").1;
        let shown = ["amount_at_issue_yuan", "open_alerts"]
            .map(|name| series(&metrics, &format!("fundwatch_top_institution_{name}")));
        (shown == <[_; 2]>::from(expected())).then_some(())
    });
    assert_eq!(expected().0.len(), 10, "there are more than are shown");

    // Every rule was evaluated, in no more batches than there were, and in no more time than they took.
    let metrics = running.get("/metrics").1;
    let (times, batches) = (
        series(&metrics, "fundwatch_rule_evaluation_seconds_total"),
        series(&metrics, "fundwatch_rule_evaluations_total"),
    );
    assert!(times.keys().eq(batches.keys()) && batches.len() == 20, "{batches:?}");
    let all = metric(&metrics, "fundwatch_batch_processing_seconds_count").expect("batches");
    assert!(batches.values().all(|count| (1.0..=all).contains(count)), "{batches:?} of {all}");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let took = metric(&metrics, "fundwatch_batch_processing_seconds_sum").expect("a time") * threads;
    let evaluating: f64 = times.values().sum();
    println!("evaluation took {evaluating} s of {took} s");
    assert!((0.001 * took..took).contains(&evaluating), "{evaluating} of {took}");
}

#[test]
fn a_model_tells_of_its_groups_and_of_the_institutions_that_stand_out() {
    let city = City::simulate(3_000, 35, 5);
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path().join("models");
    fs::create_dir(&models).expect("a folder");
    scoring::train(&scoring::lines_of(&city), &models, &MODEL.replace("\"doctor\"", "\"institution\""));
    let models = models.display().to_string();
    let more = [("FUNDWATCH__MODELS__DIR", models.as_str()), ("FUNDWATCH__MODELS__INTERVAL", "200ms")];
    let (running, _stdin) = over(&city, &more);
    let names = names(&city);
    let metrics = wait_until("the last window", LIMIT, || {
        let metrics = running.get("/metrics").1;
        let start = metric(&metrics, "fundwatch_model_window_timestamp_seconds{model=\"T-1\"}")?;
        let growths = series(&metrics, "fundwatch_top_institution_fund_growth_ratio");
        (start > 0.0 && !growths.is_empty()).then_some(metrics)
    });
    let sum = |name: &str, part: &str| -> f64 {
        series(&metrics, name).iter().filter(|(labels, _)| labels.contains(part)).map(|(_, value)| value).sum()
    };
    for decision in ["raised", "cut", "usual"] {
        let part = format!("decision=\"{decision}\"");
        assert_eq!(sum("fundwatch_model_group_entities", &part), sum("fundwatch_model_entities", &part), "{decision}");
    }
    let groups = series(&metrics, "fundwatch_model_group_entities").len() / 3;
    assert_eq!(metric(&metrics, "fundwatch_model_budget_entities{model=\"T-1\"}"), Some(4.0 * groups as f64));

    let scores = series(&metrics, "fundwatch_top_institution_score");
    let all = sum("fundwatch_model_entities", "");
    assert_eq!(scores.len() as f64, all.min(10.0));
    let highest = metric(&metrics, "fundwatch_model_score{model=\"T-1\",quantile=\"1\"}");
    assert_eq!(scores.values().copied().reduce(f64::max), highest);
    let p_values = series(&metrics, "fundwatch_top_institution_p_value");
    assert!(scores.keys().eq(p_values.keys()) && p_values.values().all(|p| (0.0..=1.0).contains(p)));
    let values = series(&metrics, "fundwatch_top_institution_feature");
    assert!(!values.is_empty() && values.len() <= 3 * scores.len());
    for name in ["peer_median", "own_median"] {
        let medians = series(&metrics, &format!("fundwatch_top_institution_feature_{name}"));
        assert!(!medians.is_empty() && medians.keys().all(|labels| values.contains_key(labels)), "{name}");
    }
    let growths = series(&metrics, "fundwatch_top_institution_fund_growth_ratio");
    assert!((1..=10).contains(&growths.len()), "{growths:?}");
    let known: Vec<String> = names.keys().map(|code| labels(code, &names)).collect();
    assert!(growths.keys().all(|labels| known.contains(labels)), "{growths:?}");
}
