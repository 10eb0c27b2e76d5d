//! The program in a folder of its own, between topics of a broker.

use super::LIMIT;
use crate::support::kafka::{Broker, Message};
use crate::support::running::{address_in, get, metric};
use crate::support::{assert_once, assert_same, counted, essence, fundwatch, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Topics, a group and a configuration of a test's own.
pub struct Names {
    pub dir: TempDir,
    pub records: String,
    pub alerts: String,
    pub dead_letters: String,
    pub group: String,
}

impl Names {
    /// Names that nobody else has.
    pub fn new() -> Names {
        let mut dir = tempfile::tempdir().expect("a folder");
        // For people who look at a failed test.
        dir.disable_cleanup(std::env::var_os("FUNDWATCH_KEEP").is_some());
        Names {
            dir,
            records: Broker::unique_name("records"),
            alerts: Broker::unique_name("alerts"),
            dead_letters: Broker::unique_name("dead-letters"),
            group: Broker::unique_name("group"),
        }
    }
}

/// They, on a broker.
pub struct Setup<'b> {
    pub broker: &'b Broker,
    pub names: Names,
}

impl<'b> Setup<'b> {
    pub fn new(broker: &'b Broker, partitions: u32, registry: Option<&Path>) -> Setup<'b> {
        let names = Names::new();
        broker.create_topic(&names.records, partitions);
        broker.create_topic(&names.alerts, 2);
        broker.create_topic(&names.dead_letters, 1);
        Setup::on(broker, names, registry)
    }

    /// With topics that are there already.
    pub fn on(broker: &'b Broker, names: Names, registry: Option<&Path>) -> Setup<'b> {
        let registry = registry.map(|path| path.display().to_string()).unwrap_or_default();
        let config = format!(
            r#"
            [engine]
            retention = "unlimited"
            shutdown_timeout = "5s"
            [rules]
            registry = "{registry}"
            [source]
            kind = "kafka"
            [source.kafka]
            brokers = "{address}"
            topics = ["{records}"]
            group = "{group}"
            commit_interval = "200ms"
            [source.kafka.properties]
            # What a killed member leaves to the next one is waited for no longer than the broker's least.
            "session.timeout.ms" = "6000"
            [sinks.terminal]
            enabled = false
            [sinks.kafka]
            enabled = true
            topic = "{alerts}"
            [sinks.sqlite]
            path = "{store}"
            [dead_letters]
            kind = "kafka"
            topic = "{dead_letters}"
            [late]
            path = "{late}"
            [http]
            listen = "127.0.0.1:0"
            [state]
            path = "{state}"
            "#,
            state = names.dir.path().join("state").display(),
            address = broker.address(),
            records = names.records,
            group = names.group,
            alerts = names.alerts,
            store = names.dir.path().join("alerts.sqlite").display(),
            dead_letters = names.dead_letters,
            late = names.dir.path().join("late.jsonl").display(),
        );
        let setup = Setup { broker, names };
        fs::write(setup.config(), config).expect("there is room");
        setup
    }

    /// Without checkpoints: a restart replays the topic.
    pub fn without_state(self) -> Self {
        let config = fs::read_to_string(self.config()).expect("a configuration");
        fs::write(self.config(), config.replace("[state]", "[state]\n            enabled = \"off\""))
            .expect("there is room");
        self
    }

    /// Another process of the same group, with a folder of its own.
    pub fn beside(&self) -> Setup<'b> {
        let names = &self.names;
        let dir = tempfile::tempdir().expect("a folder");
        let config = fs::read_to_string(self.config()).expect("it is there");
        let config = config.replace(&names.dir.path().display().to_string(), &dir.path().display().to_string());
        let other = Setup {
            broker: self.broker,
            names: Names {
                dir,
                records: names.records.clone(),
                alerts: names.alerts.clone(),
                dead_letters: names.dead_letters.clone(),
                group: names.group.clone(),
            },
        };
        fs::write(other.config(), config).expect("there is room");
        other
    }

    pub fn config(&self) -> PathBuf {
        self.names.dir.path().join("fundwatch.toml")
    }

    pub fn run(&self) -> Running {
        self.run_with(&[])
    }

    /// Starts the program, with other values for some keys.
    pub fn run_with(&self, keys: &[(&str, &str)]) -> Running {
        let variables: Vec<(String, &str)> =
            keys.iter().map(|(key, value)| (format!("FUNDWATCH__{key}"), *value)).collect();
        let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        self.run_with_environment(&variables)
    }

    /// Starts the program with variables of its environment.
    pub fn run_with_environment(&self, variables: &[(&str, &str)]) -> Running {
        self.start(fundwatch(), variables)
    }

    /// Starts a command that takes the program's arguments.
    pub fn start(&self, mut command: Command, variables: &[(&str, &str)]) -> Running {
        let log = self.names.dir.path().join("log");
        let words = OpenOptions::new().create(true).append(true).open(&log).expect("a file");
        command.arg("run").arg("--config").arg(self.config()).env_remove("RUST_LOG").envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        let begin = fs::read_to_string(&log).map_or(0, |before| before.len());
        Running { child: command.spawn().expect("it starts"), log, begin }
    }

    /// Runs the program until it has read the topic to its end.
    pub fn run_to_the_end(&self) {
        let running = self.run_with(&[("SOURCE__KAFKA__UNTIL_END", "true")]);
        let log = running.log.clone();
        let status = running.wait("it reads the topic to its end");
        assert!(status.success(), "{status}\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    pub fn send(&self, lines: &[impl AsRef<[u8]>]) {
        self.broker.produce(&self.names.records, None, lines);
    }

    /// A message without a payload.
    pub fn send_tombstone(&self) {
        self.broker.produce_tombstone(&self.names.records);
    }

    pub fn committed(&self) -> i64 {
        self.broker.committed_offsets(&self.names.group).values().sum()
    }

    pub fn wait_for_commit(&self, end: i64) {
        wait_until("offsets are committed up to the end", LIMIT, || (self.committed() == end).then_some(()));
    }

    /// Waits for so many alerts, and returns all that are there.
    pub fn wait_for_alerts(&self, count: usize, running: &mut Running) -> Vec<Message> {
        wait_until(&format!("{count} alerts come"), LIMIT, || {
            let alerts = self.broker.kcat_consume(&self.names.alerts, count, LIMIT / 20);
            if alerts.len() < count {
                running.assert_alive();
                return None;
            }
            Some(alerts)
        })
    }

    /// Waits until there is an alert more than `before`; how many there are.
    pub fn wait_for_more_alerts(&self, before: usize, running: &mut Running) -> usize {
        self.wait_for_alerts(before + 1, running);
        self.broker.kcat_consume_all(&self.names.alerts).len()
    }

    /// Panics unless the open alerts are those of an undisturbed run, and each revision is in the topic once.
    pub fn assert_undisturbed(&self, expected: &BTreeMap<String, Value>) {
        let messages = self.broker.kcat_consume_all(&self.names.alerts);
        assert_once(&counted(messages.iter().map(alert)), "topic");
        assert_same(&self.open_alerts(), expected);
    }

    /// What the last revision of each alert in the topic says, where it is open.
    pub fn open_alerts(&self) -> BTreeMap<String, Value> {
        let mut last = BTreeMap::new();
        // All of one alert are in one partition, in order.
        for message in self.broker.kcat_consume_all(&self.names.alerts) {
            let alert = alert(&message);
            last.insert(alert["alert_id"].to_string(), alert);
        }
        last.values().filter(|alert| alert["status"] == "open").map(essence).collect()
    }
}

/// The program; ended when dropped.
pub struct Running {
    pub child: Child,
    pub log: PathBuf,
    /// Where its words begin in the log.
    begin: usize,
}

impl Running {
    /// What it has said, for people who look at a failed test.
    pub fn words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The status and the body of an answer, once it listens.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = || address_in(self.words().get(self.begin..)?);
        get(&wait_until("an address", LIMIT, address), path)
    }

    /// `/api/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/status").1).expect("JSON")
    }

    /// The value of a metric with its labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.get("/metrics").1, name)
    }

    /// Waits until a path answers with a status; the body.
    pub fn wait_for_answer(&self, path: &str, status: u16) -> String {
        wait_until(&format!("{path} answers {status}"), LIMIT, || {
            let (found, body) = self.get(path);
            (found == status).then_some(body)
        })
    }

    /// The number of the last checkpoint that it has written; 0: none yet.
    pub fn checkpoint(&self) -> f64 {
        self.metric("fundwatch_checkpoint_number").unwrap_or(0.0)
    }

    /// Waits until a checkpoint is written after another.
    pub fn wait_for_checkpoint_after(&self, number: f64) {
        wait_until("a checkpoint is written", LIMIT, || (self.checkpoint() > number).then_some(()));
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    /// Asks it to end, and returns how it did and how long that took.
    pub fn terminate(self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal("TERM");
        let status = self.wait("it ends after SIGTERM");
        (status, begun.elapsed())
    }

    pub fn terminate_in_order(self) {
        let log = self.log.clone();
        let (status, time) = self.terminate();
        let words = fs::read_to_string(log).unwrap_or_default();
        assert!(status.success(), "{status}\n{words}");
        assert!(time < Duration::from_secs(10), "{time:?}\n{words}");
    }

    pub fn wait(mut self, what: &str) -> ExitStatus {
        wait_until(what, 3 * LIMIT, || self.child.try_wait().expect("it is ours"))
    }

    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("it is ours");
        assert!(ended.is_none(), "{ended:?}\n{}", self.words());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL; where it has ended, there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn alert(message: &Message) -> Value {
    serde_json::from_str(message.text()).expect("an alert is JSON")
}
