//! What tests of the whole program share: the program, a simulated city, a backtest, waiting.

pub mod kafka;
pub mod receiver;
pub mod running;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub fn fundwatch() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fundwatch"))
}

/// Runs a command to its end; panics with its words unless it exits with 0.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {words}", output.status);
    output
}

/// Looks again and again until there is something to be found.
pub fn wait_until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The objects of a JSON Lines text.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// What is open after a file of alerts, by id, where each revision of an alert follows the one before it.
pub fn open_at_last(path: &Path) -> BTreeMap<String, Value> {
    let mut last = BTreeMap::new();
    for alert in json_lines(&fs::read_to_string(path).expect("a file")) {
        let before = last.insert(alert["alert_id"].to_string(), alert.clone());
        let before = before.and_then(|before| before["revision"].as_u64()).unwrap_or(0);
        assert_eq!(alert["revision"].as_u64(), Some(before + 1), "{alert}");
    }
    last.values().filter(|alert| alert["status"] == "open").map(essence).collect()
}

/// The years 2008 to 2010 of real-looking stays, where they lie beside the repository.
pub fn stays() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/stays/records.jsonl.gz");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// What `fundwatch simulate` has written.
pub struct City {
    dir: TempDir,
    /// What it said.
    pub words: String,
}

impl City {
    pub fn simulate(persons: u32, days: u32, seed: u64) -> City {
        City::simulate_with(persons, days, seed, &[])
    }

    /// With more arguments.
    pub fn simulate_with(persons: u32, days: u32, seed: u64, more: &[&str]) -> City {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = fundwatch();
        command.arg("simulate").arg("--out").arg(dir.path());
        for (name, value) in [("--persons", u64::from(persons)), ("--days", u64::from(days)), ("--seed", seed)] {
            command.arg(name).arg(value.to_string());
        }
        let output = succeed(command.args(more));
        City { dir, words: String::from_utf8(output.stderr).expect("UTF-8") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn records(&self) -> PathBuf {
        self.path("records.jsonl")
    }

    pub fn registry(&self) -> PathBuf {
        self.path("registry")
    }
}

/// What `fundwatch backtest` has found.
pub struct Backtest {
    /// The object that `--json` prints.
    pub counts: Value,
    /// The file of alerts.
    pub alerts: String,
    pub dead_letters: Vec<Value>,
}

impl Backtest {
    pub fn of(input: &Path, registry: Option<&Path>) -> Backtest {
        let dir = tempfile::tempdir().expect("a folder");
        let (alerts, letters) = (dir.path().join("alerts.jsonl"), dir.path().join("dead-letters.jsonl"));
        let mut command = fundwatch();
        command.args(["backtest", "--json"]).arg("--input").arg(input);
        command.arg("--alerts").arg(&alerts).arg("--dead-letters").arg(&letters);
        if let Some(registry) = registry {
            command.arg("--registry").arg(registry);
        }
        let output = succeed(&mut command);
        let read = |path: &Path| fs::read_to_string(path).expect("it was written");
        Backtest {
            counts: serde_json::from_slice(&output.stdout).expect("one JSON object"),
            alerts: read(&alerts),
            dead_letters: json_lines(&read(&letters)),
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        self.counts[name].as_u64().expect("a number")
    }

    /// Panics unless every record is accounted for once.
    pub fn assert_balanced(&self) {
        let parts = ["processed", "redelivered", "dead_lettered"].map(|name| self.count(name));
        assert_eq!(self.count("records_in"), parts.iter().sum::<u64>(), "{}", self.counts);
        assert_eq!(self.count("dead_lettered"), self.dead_letters.len() as u64);
    }

    /// The open alerts.
    pub fn open(&self) -> Vec<Value> {
        json_lines(&self.alerts).into_iter().filter(|alert| alert["status"] == "open").collect()
    }

    /// What arrival must not change, by `alert_id`.
    pub fn essences(&self) -> BTreeMap<String, Value> {
        self.open().iter().map(essence).collect()
    }
}

/// The id of an alert, and what of it depends only on the records and the rules (contract, section 2).
pub fn essence(alert: &Value) -> (String, Value) {
    let id = alert["alert_id"].as_str().expect("an id").to_owned();
    (id, json!([alert["rule_id"], alert["severity"], alert["amount_at_issue"], alert["evidence"]]))
}

/// Panics with what is missing and what is too much.
pub fn assert_same(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) {
    let less = |one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>| -> Vec<String> {
        let rest = one.iter().filter(|(id, essence)| other.get(*id) != Some(*essence));
        rest.map(|(id, essence)| format!("{id} {essence}")).collect()
    };
    let (missing, surplus) = (less(expected, found), less(found, expected));
    let show = |some: &[String]| some.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{} are missing:\n{}\n{} are too much:\n{}",
        missing.len(),
        show(&missing),
        surplus.len(),
        show(&surplus)
    );
}

/// How often each revision stands in a list of alerts.
pub fn counted(alerts: impl Iterator<Item = Value>) -> BTreeMap<(String, u64), usize> {
    let mut counts = BTreeMap::new();
    for alert in alerts {
        let id = alert["alert_id"].as_str().expect("an id").to_owned();
        *counts.entry((id, alert["revision"].as_u64().expect("a number"))).or_default() += 1;
    }
    counts
}

/// Each revision once, and none left out before the last.
pub fn assert_once(counts: &BTreeMap<(String, u64), usize>, place: &str) {
    for ((id, revision), count) in counts {
        assert_eq!(*count, 1, "{place}: revision {revision} of {id} is there {count} times");
        assert!(*revision == 1 || counts.contains_key(&(id.clone(), revision - 1)), "{place}: {id} before {revision}");
    }
}

/// A number from the environment: how much of something a test does at full length.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}
