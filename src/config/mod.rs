//! Configuration: one TOML file over the defaults inside the binary, with the environment on top.
//!
//! What a key means stands with its field here and in `default.toml`, which holds every key there is: the
//! defaults are read from it, and a test keeps the two together. [`load`] merges the layers and refuses what
//! it does not know; [`check`] compares fields with each other; [`value`] has durations, sizes and secrets.

use crate::rules::rule::Severity;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use value::{Address, Bytes, Properties, Retention, Secret};

pub mod check;
pub mod load;
#[cfg(test)]
mod tests;
pub mod value;

/// The documented default file.
pub const DEFAULT: &str = include_str!("default.toml");

/// The whole configuration of a running pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How records are processed.
    pub engine: Engine,
    /// Where rules come from.
    pub rules: Rules,
    /// Models beside the rules.
    pub models: Models,
    /// Where records come from.
    pub source: Source,
    /// Where alerts go.
    pub sinks: Sinks,
    /// Where records go that cannot be read.
    pub dead_letters: DeadLetters,
    /// Where records go that came after their time was dropped.
    pub late: Late,
    /// What survives a restart.
    pub state: State,
    /// The status page, the API and the metrics.
    pub http: Http,
    /// What is said on standard error.
    pub log: Log,
}

/// How records are processed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Parts that the state is split into; 0: a number that suits the threads.
    pub shards: usize,
    /// Worker threads; 0: one for each core.
    pub threads: usize,
    /// How long records are kept by event time; `unlimited` keeps all.
    pub retention: Retention,
    /// How far ahead of the clock a record may be and still move time, by which old records are dropped, forward.
    /// The simulator's time is its own.
    #[serde(with = "value::duration")]
    pub future_skew: Duration,
    /// Zone of every clock reading, by its IANA name.
    pub time_zone: String,
    /// Messages at which a micro-batch closes.
    pub batch_messages: usize,
    /// Bytes at which a micro-batch closes.
    pub batch_bytes: Bytes,
    /// The longest that the first message of a micro-batch waits for company.
    #[serde(with = "value::duration")]
    pub linger: Duration,
    /// Micro-batches that a source may be ahead of the engine.
    pub batches_ahead: usize,
    /// The longest message; what is longer is cut there and so becomes a dead letter.
    pub longest_message: Bytes,
    /// How long a shutdown waits for the sinks.
    #[serde(with = "value::duration")]
    pub shutdown_timeout: Duration,
}

/// Where rules come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Folder of rule files and knowledge tables; `None`: those inside the binary.
    #[serde(with = "value::optional_path")]
    pub dir: Option<PathBuf>,
    /// Folder of the registry; `None`: the one in the rules folder.
    #[serde(with = "value::optional_path")]
    pub registry: Option<PathBuf>,
    /// How often files are looked at for changes; 0 s: never.
    #[serde(with = "value::duration")]
    pub reload_interval: Duration,
}

/// Models beside the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Folder with a folder for each trained model, as `fundwatch train` writes it; `None`: none.
    #[serde(with = "value::optional_path")]
    pub dir: Option<PathBuf>,
    /// How often windows that have changed are judged again.
    #[serde(with = "value::duration")]
    pub interval: Duration,
    /// How often the folder is looked at for other models; 0 s: never.
    #[serde(with = "value::duration")]
    pub reload_interval: Duration,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which of the sources below is read.
    pub kind: SourceKind,
    /// The built-in city.
    pub simulator: SimulatorSource,
    /// Files.
    pub file: FileSource,
    /// Standard input.
    pub stdin: StdinSource,
    /// Kafka.
    pub kafka: KafkaSource,
}

/// The kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The built-in city.
    Simulator,
    /// Files, read to their end.
    File,
    /// JSON Lines on standard input, read to its end.
    Stdin,
    /// Topics of a Kafka cluster, read for ever.
    Kafka,
}

/// The built-in city as a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSource {
    /// The city: the same seed sends the same records.
    pub seed: u64,
    /// Insured persons.
    pub persons: u32,
    /// Days after which it ends; 0: never.
    pub days: u32,
    /// Settlements sent in a second; 0: as fast as the engine takes them.
    pub rate: f64,
}

/// Files as a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// Files and folders, read one after the other; a folder is all files in it.
    pub paths: Vec<PathBuf>,
}

/// Standard input as a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdinSource {
    /// The `type` of records that carry none; empty: such a record is bad.
    pub default_type: String,
}

/// Topics of a Kafka cluster as a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// Addresses to begin with: `host:port`, separated by commas.
    pub brokers: String,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group, whose committed offsets say what is done.
    pub group: String,
    /// Where reading begins.
    pub start: Start,
    /// How often offsets are committed.
    #[serde(with = "value::duration")]
    pub commit_interval: Duration,
    /// Whether it ends when every partition is read to its end.
    pub until_end: bool,
    /// Any property of librdkafka, by its own name.
    pub properties: Properties,
}

/// Where reading a Kafka topic begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the earliest retained offset. Up to the committed offsets the state is only rebuilt; alerts are then
    /// compared with those in the store, and only the difference is sent.
    Replay,
    /// At the committed offsets, or at the earliest where none is committed; earlier records are not known.
    Committed,
    /// At the earliest retained offset, whatever is committed; every alert is sent anew.
    Earliest,
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sinks {
    /// One readable line for each alert on standard output.
    pub terminal: TerminalSink,
    /// JSON Lines in a file.
    pub file: FileSink,
    /// A Kafka topic.
    pub kafka: KafkaSink,
    /// HTTP POST to an address.
    pub webhook: WebhookSink,
    /// What is open, mirrored to Prometheus' Alertmanager.
    pub alertmanager: AlertmanagerSink,
    /// The store of current alerts and all revisions, which the API reads.
    pub sqlite: SqliteSink,
}

/// What every sink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Whether the sink is used.
    pub enabled: bool,
    /// Alerts that may wait for the sink.
    pub capacity: usize,
    /// Whether input counts as done only when this sink has its alerts, and a full queue holds up the
    /// pipeline. Otherwise alerts that find the queue full are dropped for this sink, and counted.
    pub required: bool,
}

macro_rules! has_queue {
    ($($Sink:ident)*) => {
        $(impl $Sink {
            /// What every sink has.
            pub fn queue(&self) -> Queue {
                Queue { enabled: self.enabled, capacity: self.queue, required: self.required }
            }
        })*
    };
}
has_queue!(TerminalSink FileSink KafkaSink WebhookSink AlertmanagerSink SqliteSink);

/// One readable line for each alert on standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`].
    pub required: bool,
    /// When colours are used.
    pub color: Color,
    /// What a line looks like.
    pub format: TerminalFormat,
}

/// When the terminal shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// When it is a terminal and `NO_COLOR` is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the terminal sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminalFormat {
    /// A line for people.
    Text,
    /// The alert's JSON.
    Json,
}

/// JSON Lines in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`].
    pub required: bool,
    /// The file; its folder is made where it is missing.
    pub path: PathBuf,
    /// Size at which a new file is begun and the old one gets a number.
    pub rotate_bytes: Bytes,
    /// Numbered files that are kept; older ones are removed.
    pub keep: usize,
}

/// A Kafka topic for alerts, keyed by `alert_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`].
    pub required: bool,
    /// Addresses to begin with. After loading never empty where the sink is enabled: an empty text takes those
    /// of the source, with its `security.`, `sasl.` and `ssl.` properties.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Any property of librdkafka, by its own name.
    pub properties: Properties,
}

/// HTTP POST of each alert to an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`].
    pub required: bool,
    /// The address; may carry a token, so it is shown without its query and password.
    pub url: Address,
    /// Key of the HMAC-SHA256 in the signature header; empty: no header.
    pub secret: Secret,
    /// The longest that one request may take.
    #[serde(with = "value::duration")]
    pub timeout: Duration,
    /// Attempts after the first one.
    pub retries: u32,
    /// The longest pause between attempts.
    #[serde(with = "value::duration")]
    pub max_backoff: Duration,
    /// JSON Lines file for alerts that could not be delivered.
    pub dead_letter_path: PathBuf,
}

/// What is open, mirrored to Prometheus' Alertmanager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`]. An Alertmanager that is away holds up nothing either way.
    pub required: bool,
    /// The address, without `/api/v2/alerts`; may carry a password, so it is shown without it.
    pub url: Address,
    /// Milder alerts are not sent.
    pub min_severity: Severity,
    /// How often everything that is open is sent again; Alertmanager lets go of what it has not been sent for four times as long.
    #[serde(with = "value::duration")]
    pub resend_interval: Duration,
    /// Open alerts that are kept and sent; of more the gravest are, and the others are counted.
    pub limit: usize,
    /// The longest that one request may take.
    #[serde(with = "value::duration")]
    pub timeout: Duration,
    /// The longest pause between attempts.
    #[serde(with = "value::duration")]
    pub max_backoff: Duration,
    /// Where people reach the status page; each alert links to itself there. Empty: none does.
    pub link: String,
}

/// The embedded store of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteSink {
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that may wait for it.
    pub queue: usize,
    /// See [`Queue::required`].
    pub required: bool,
    /// The file; `None`: in memory, gone with the process.
    #[serde(with = "value::optional_path")]
    pub path: Option<PathBuf>,
}

/// Where records go that cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetters {
    /// The share of bad records among the last ones that stops the pipeline; 0: none does.
    pub stop_at_ratio: f64,
    /// So many records are the last ones of `stop_at_ratio`.
    pub ratio_over: u64,
    /// So many bad records in a row stop the pipeline; 0: none do.
    pub stop_at_run: u64,
    /// Which of the two is used.
    pub kind: LetterKind,
    /// Dead letters that may wait to be written; then the pipeline waits.
    pub queue: usize,
    /// JSON Lines file.
    pub path: PathBuf,
    /// Size at which a new file is begun and the old one gets a number.
    pub rotate_bytes: Bytes,
    /// Numbered files that are kept.
    pub keep: usize,
    /// Addresses to begin with; resolved as those of the Kafka sink.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Any property of librdkafka, by its own name.
    pub properties: Properties,
}

/// Where records go that came after their time was dropped; see [`Engine::retention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// Which of the two is used.
    pub kind: LetterKind,
    /// Late records that may wait to be written; then the pipeline waits.
    pub queue: usize,
    /// JSON Lines file.
    pub path: PathBuf,
    /// Size at which a new file is begun and the old one gets a number.
    pub rotate_bytes: Bytes,
    /// Numbered files that are kept.
    pub keep: usize,
    /// Addresses to begin with; resolved as those of the Kafka sink.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Any property of librdkafka, by its own name.
    pub properties: Properties,
}

/// The kinds of places for dead letters and late records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterKind {
    /// A file.
    File,
    /// A Kafka topic.
    Kafka,
}

/// What survives a restart: checkpoints of all that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Whether checkpoints are written.
    pub enabled: StateEnabled,
    /// Folder of checkpoints, and of what belongs to this machine alone.
    pub path: PathBuf,
    /// `s3://bucket/prefix` where checkpoints lie in a bucket; empty: in the folder.
    pub url: String,
    /// Time between checkpoints.
    #[serde(with = "value::duration")]
    pub interval: Duration,
    /// Checkpoints that are kept, beside those against damage.
    pub keep: usize,
    /// Options of the bucket, by the names of `object_store`: `endpoint`, `region`, `access_key_id` and so on.
    pub properties: Properties,
}

/// Whether checkpoints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateEnabled {
    /// Where the source is Kafka.
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

impl State {
    /// The folder of checkpoints, where they do not lie in a bucket.
    pub fn folder(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

impl Config {
    /// Whether checkpoints are written.
    pub fn keeps_state(&self) -> bool {
        match self.state.enabled {
            StateEnabled::Auto => self.source.kind == SourceKind::Kafka,
            StateEnabled::On => true,
            StateEnabled::Off => false,
        }
    }
}

/// What dead letters and late records have in common.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are those of `DeadLetters` and `Late`")]
pub struct Letters<'c> {
    pub kind: LetterKind,
    pub queue: usize,
    pub path: &'c Path,
    pub rotate_bytes: Bytes,
    pub keep: usize,
    pub brokers: &'c str,
    pub topic: &'c str,
    pub properties: &'c Properties,
}

macro_rules! has_letters {
    ($($Section:ident)*) => {
        $(impl $Section {
            /// What dead letters and late records have in common.
            pub fn letters(&self) -> Letters<'_> {
                let Self { kind, queue, path, rotate_bytes, keep, brokers, topic, properties, .. } = self;
                let (kind, queue, rotate_bytes, keep) = (*kind, *queue, *rotate_bytes, *keep);
                Letters { kind, queue, path, rotate_bytes, keep, brokers, topic, properties }
            }
        })*
    };
}
has_letters!(DeadLetters Late);

/// The status page, the API and the metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Whether there is a server.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Records that may wait in the source while it still counts as ready.
    pub ready_lag: u64,
    /// How long more may wait, or the source or a required sink be in trouble, until it is no longer ready.
    #[serde(with = "value::duration")]
    pub ready_delay: Duration,
    /// How long records may wait without one being processed until it is no longer healthy; 0 s: for ever.
    #[serde(with = "value::duration")]
    pub stalled_after: Duration,
    /// How long a pipeline that has failed still answers, so that the reason is seen; 0 s: not at all.
    #[serde(with = "value::duration")]
    pub linger: Duration,
}

/// What is said on standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Levels, in the form of `RUST_LOG`, which wins where it is set.
    pub filter: String,
}

impl Default for Config {
    /// The defaults inside the binary.
    fn default() -> Self {
        load::Layers::new().resolve().expect("a test reads the default file")
    }
}
