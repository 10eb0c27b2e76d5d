//! Verdicts on entities in windows: what the program learns from a file of them changes what its models tell of first, and no verdict
//! is seen before it was known.

use crate::scoring::{MODEL, lines_of};
use crate::support::{City, fundwatch, json_lines, succeed};
use fundwatch::record::Day;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A history to learn from, and what came in the end.
struct World {
    city: City,
    folder: TempDir,
}

impl World {
    /// The history has no settlement of more than 500 yuan, so that the others are strange to it.
    fn new() -> Self {
        let world = Self { city: City::simulate(3_000, 35, 5), folder: tempfile::tempdir().expect("a folder") };
        let ordinary = |line: &Vec<u8>| {
            let record = serde_json::from_slice::<Value>(line);
            record.is_ok_and(|record| record["medfee_sumamt"].as_f64().is_none_or(|fee| fee < 500.0))
        };
        let lines: Vec<Vec<u8>> = lines_of(&world.city).into_iter().filter(ordinary).collect();
        fs::write(world.path("history.jsonl"), lines.join(&b'\n')).expect("there is room");
        fs::write(world.path("model.toml"), MODEL.replace("per_group = 4", "per_group = 1")).expect("there is room");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on the model file and the history.
    fn on_history(&self, command: &str) -> Command {
        let mut program = fundwatch();
        program.arg(command).arg("--model").arg(self.path("model.toml"));
        program.arg("--input").arg(self.path("history.jsonl"));
        program
    }

    /// A verdict on each doctor in each week of the history, known two days after it: fraud at every other institution.
    fn labels(&self) -> String {
        succeed(self.on_history("features").arg("--out").arg(self.path("features.csv")));
        let mut reader = csv::Reader::from_path(self.path("features.csv")).expect("a matrix");
        let verdict = |row: csv::StringRecord| {
            let known = Day(Day::parse(row[1].as_bytes()).expect("a day").0 + 9);
            let outcome = if is_crooked(&row[0]) { "confirmed" } else { "dismissed" };
            format!("{},{},{outcome},{known}\n", &row[0], &row[1])
        };
        let rows = reader.records().map(|row| verdict(row.expect("a row")));
        "entity,window_start,outcome,known_at\n".to_owned() + &rows.collect::<String>()
    }

    /// Trains under a name with labels; gives the bytes of what was learned.
    fn train(&self, name: &str, labels: &str) -> Vec<u8> {
        fs::write(self.path("cases.csv"), labels).expect("there is room");
        let out = self.path("models").join(name);
        let output =
            succeed(self.on_history("train").arg("--labels").arg(self.path("cases.csv")).arg("--out").arg(&out));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("verdicts known before 2026-02-0") && words.contains(" dismissed entities"), "{words}");
        fs::read(out.join("model.json")).expect("it was written")
    }
}

/// Whether the number of an institution is even.
fn is_crooked(entity: &str) -> bool {
    let institution = entity.split('/').next().expect("an institution");
    institution.bytes().last().expect("a code").is_multiple_of(2)
}

fn number(value: &Value) -> f64 {
    // Amounts are texts in the left-out list, and numbers among reasons.
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

fn lines(path: &Path) -> Vec<Value> {
    json_lines(&fs::read_to_string(path).expect("it was written"))
}

#[test]
fn what_was_confirmed_is_told_of_first() {
    let world = World::new();
    let labels = world.labels();
    let learned = world.train("T-1", &labels);
    // What becomes known in summer was not known at the end of the history, though it says the contrary.
    let rows = labels.lines().skip(1).map(|row| format!("{}2026-07-01\n", &row[..row.len() - 10]));
    let swapped = rows.map(|row| match row.contains("confirmed") {
        true => row.replace("confirmed", "dismissed"),
        false => row.replace("dismissed", "confirmed"),
    });
    let later = labels.clone() + &swapped.collect::<String>();
    assert!(learned == world.train("T-1", &later), "a verdict was seen before it was known");

    let (alerts, left_out) = (world.path("alerts.jsonl"), world.path("left-out.jsonl"));
    let mut command = fundwatch();
    command.args(["backtest", "--json", "--input"]).arg(world.city.records()).arg("--models").arg(world.path("models"));
    succeed(command.arg("--alerts").arg(&alerts).arg("--left-out").arg(&left_out));
    let raised: Vec<Value> = lines(&alerts).into_iter().filter(|alert| alert["rule_id"] == "T-1").collect();
    let cut = lines(&left_out);
    assert!(raised.len() > 3 && cut.len() > 10, "{} {}", raised.len(), cut.len());

    // Who, with the probability, what the fund paid and the expected loss.
    let figures = |alert: &Value| {
        let reasons = alert["reasons"].as_array().expect("reasons");
        let reason = |name: &str| number(&reasons.iter().find(|reason| reason["name"] == name).expect(name)["value"]);
        (reason("fund_paid"), reason("expected_loss"))
    };
    let told = raised.iter().map(|alert| (alert, &alert["subject"]["id"], figures(alert)));
    let silent =
        cut.iter().map(|one| (one, &one["entity"], (number(&one["fund_paid"]), number(&one["expected_loss"]))));
    let mut probabilities: BTreeMap<bool, Vec<f64>> = BTreeMap::new();
    // By window and group of peers: the least expected loss that is raised, the greatest that is cut.
    let mut bounds: BTreeMap<(String, String), [f64; 2]> = BTreeMap::new();
    for (number, (one, entity, (paid, loss))) in told.chain(silent).enumerate() {
        let probability = one["confirmation_probability"].as_f64().expect("a probability");
        assert!((paid * probability - loss).abs() < 0.006, "{paid} {probability} {loss}");
        probabilities.entry(is_crooked(entity.as_str().expect("an id"))).or_default().push(probability);
        let place = (one["window"]["from"].to_string(), one["peers"]["group"].to_string());
        let [least, most] = bounds.entry(place).or_insert([f64::INFINITY, f64::NEG_INFINITY]);
        if number < raised.len() { *least = least.min(loss) } else { *most = most.max(loss) }
    }
    assert!(bounds.values().all(|[least, most]| least >= most), "{bounds:?}");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (crooked, honest) = (mean(&probabilities[&true]), mean(&probabilities[&false]));
    println!("{} raised, {} cut; confirmed {crooked:.3}, dismissed {honest:.3}", raised.len(), cut.len());
    assert!(crooked > 0.6 && honest < 0.4, "{crooked} {honest}");
    let (one, (_, loss)) = (&raised[0], figures(&raised[0]));
    for (language, words) in [("zh", "预期损失"), ("en", "the expected loss is")] {
        let message = one["message"][language].as_str().expect("words");
        assert!(message.contains(&format!("{words} {loss:.2} ")), "{message} {loss}");
    }

    // Measured on the same file, and with each row's probability.
    let (judgements, cases) = (world.path("judgements.csv"), world.path("cases.csv"));
    fs::write(&cases, &labels).expect("there is room");
    let mut command = fundwatch();
    command
        .args(["evaluate", "--json", "--model"])
        .arg(world.path("models/T-1"))
        .arg("--input")
        .arg(world.city.records());
    let output = succeed(command.arg("--labels").arg(&cases).arg("--judgements").arg(&judgements));
    let measures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(measures["quality"]["precision_at_budget"]["value"].is_f64(), "{measures}");
    let mut reader = csv::Reader::from_path(judgements).expect("a table");
    assert_eq!(reader.headers().expect("a header").iter().next_back(), Some("confirmation_probability"));
    assert!(
        reader.records().all(|row| row.expect("a row")[6].parse::<f64>().is_ok_and(|one| (0.0..=1.0).contains(&one)))
    );
}

#[test]
fn labels_that_teach_nothing_are_refused_with_words() {
    let world = World::new();
    let labels = world.labels();
    let refused = |labels: &str, status: i32, words: &str| {
        fs::write(world.path("cases.csv"), labels).expect("there is room");
        let mut command = world.on_history("train");
        command.arg("--labels").arg(world.path("cases.csv")).arg("--out").arg(world.path("out"));
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(status) && said.contains(words), "{words} in\n{said}");
        assert!(!world.path("out").exists(), "nothing is written");
    };
    let few: String = labels.lines().take(8).map(|line| format!("{line}\n")).collect();
    refused(&few, 1, "of 7 verdicts known by then; 20 of each are needed at least");
    refused(&labels.replacen("dismissed", "perhaps", 1), 1, "column \"outcome\": \"perhaps\" is not an outcome");
    refused(
        "entity,window_start,outcome\n",
        1,
        "has no column \"known_at\"; labels have the columns entity, window_start",
    );
    let mut command = world.on_history("train");
    command.arg("--labels").arg(world.path("none.csv")).arg("--out").arg(world.path("out"));
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("failed to read"), "{said}");
}
