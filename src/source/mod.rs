//! Sources: where records come from.
//!
//! A [`Source`] runs on an OS thread of its own, fills batches and hands them over a bounded channel
//! ([`channel`]). A delivery counts as *done* when everything that came of it is with the sinks; a source that
//! remembers how far it was read (Kafka) writes that down only for what is done.
//!
//! A batch closes when it is full, when nothing more is there and the pipeline has nothing to do, or when its first
//! message has waited for [`Limits::linger`]. So under light load every record travels at once, and under heavy load
//! batches grow by themselves.

use crate::checkpoint::manifest::Positions;
use crate::config::{self, Config, SourceKind};
use crate::record::{Batch, Origin};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub mod channel;
pub mod csv_rows;
pub mod file;
pub mod json_row;
pub mod kafka;
pub mod lines;
pub mod parquet_rows;
pub mod simulator;
pub mod stdin;

pub use channel::{Condition, Delivery, Event, Inlet, Outlet, Received};

/// One place that records come from.
pub trait Source: Send {
    /// What people call it, as on the status page.
    fn name(&self) -> String;

    /// Reads until its end, or until [`Outlet::stopping`]. Runs on its own thread and may block, but looks at
    /// `stopping` at least twice a second.
    ///
    /// # Errors
    /// What keeps it from going on; records delivered before that are good.
    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError>;
}

/// When a batch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages in it.
    pub messages: usize,
    /// Bytes in it.
    pub bytes: usize,
    /// How long its first message waits.
    pub linger: Duration,
    /// Where a longer message is cut, in bytes.
    pub longest_message: usize,
}

impl Limits {
    /// Those of the configuration.
    pub fn of(engine: &config::Engine) -> Self {
        Self {
            messages: engine.batch_messages,
            bytes: engine.batch_bytes.get(),
            linger: engine.linger,
            longest_message: engine.longest_message.get(),
        }
    }

    /// Big batches, for files that are read as fast as possible.
    pub fn bulk() -> Self {
        Self { messages: 8_192, bytes: 8 << 20, linger: Duration::MAX, longest_message: 64 << 20 }
    }
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder.
    #[error("failed to {action} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A Parquet file is damaged, or holds what records cannot be made of.
    #[error("failed to read {path}: {reason}")]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Standard input.
    #[error("failed to read standard input: {0}")]
    Stdin(std::io::Error),
    /// Kafka refused.
    #[error("failed to {action}: {source}")]
    Kafka {
        /// What was tried, as a verb.
        action: &'static str,
        /// Why.
        source: rdkafka::error::KafkaError,
    },
    /// Kafka's client has failed for good.
    #[error("the Kafka client has failed for good: {0}")]
    KafkaFatal(String),
    /// Records that were not read yet are gone from the topic.
    #[error("records of the committed offset and after it are gone from the topic: {0}")]
    KafkaLost(String),
    /// The system has no thread left.
    #[error("failed to start the thread of the source: {0}")]
    Thread(std::io::Error),
}

/// Where a source goes on after a checkpoint was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// How far each origin was read when the checkpoint was cut.
    pub positions: Positions,
    /// Up to where the run before had told what followed; what is not named was told up to `positions`.
    pub told: Positions,
}

/// The source that the configuration names. Opens nothing yet. `alerts_known` says whether a former run has left
/// alerts in the store.
pub fn of_config(config: &Config, alerts_known: bool, resume: Option<Resume>) -> Box<dyn Source> {
    let limits = Limits::of(&config.engine);
    let read = resume.as_ref().map(|resume| resume.positions.clone()).unwrap_or_default();
    let source = &config.source;
    match source.kind {
        SourceKind::Simulator => Box::new(simulator::SimulatorSource::new(&source.simulator, limits).after(read)),
        SourceKind::File => Box::new(file::FileSource::new(source.file.paths.clone(), limits).after(read)),
        SourceKind::Stdin => Box::new(stdin::StdinSource::new(&source.stdin, limits)),
        SourceKind::Kafka => {
            let kafka = kafka::KafkaSource::new(source.kafka.clone(), limits, config.engine.shutdown_timeout);
            Box::new(kafka.with_known_alerts(alerts_known).after(resume))
        }
    }
}

/// A source that runs.
pub struct Running {
    /// Its deliveries.
    pub inlet: Inlet,
    thread: JoinHandle<Result<(), SourceError>>,
}

/// Starts a source on its own thread, which may be `ahead` batches ahead of whoever takes them.
///
/// # Errors
/// The system has no thread left.
pub fn start(source: Box<dyn Source>, ahead: usize) -> Result<Running, SourceError> {
    let (outlet, inlet) = channel::channel(ahead);
    let thread = std::thread::Builder::new().name("source".to_owned());
    let thread = thread.spawn(move || source.run(&outlet)).map_err(SourceError::Thread)?;
    Ok(Running { inlet, thread })
}

impl Running {
    /// Waits for the source's thread. To be called after [`Received::End`]: before, it may wait for deliveries
    /// to be taken.
    ///
    /// # Errors
    /// What kept the source from going on.
    ///
    /// # Panics
    /// With the panic of the source's thread.
    pub fn join(self) -> Result<(), SourceError> {
        drop(self.inlet);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Tells the source that nobody takes anything any more, and waits for its thread at most so long. `None`: it
    /// hangs somewhere, and is left behind.
    ///
    /// # Errors
    /// As for [`join`](Self::join).
    pub fn join_within(self, time: Duration) -> Option<Result<(), SourceError>> {
        drop(self.inlet);
        let deadline = Instant::now() + time;
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// The batch that a source is filling.
#[derive(Debug)]
pub struct Filling {
    /// What is in it.
    pub batch: Batch,
    limits: Limits,
    arrived: Option<Instant>,
    /// What was read before, by origin.
    read: Positions,
}

impl Filling {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self::after(limits, Positions::new())
    }

    /// An empty one, that passes over what was read before.
    pub fn after(limits: Limits, read: Positions) -> Self {
        Self { batch: Batch::default(), limits, arrived: None, read }
    }

    /// Appends a message, cut at the longest length.
    pub fn push(&mut self, payload: &[u8], origin: &Arc<Origin>, position: u64) {
        if !self.read.is_empty() && self.read.get(&origin.name).is_some_and(|next| position < *next) {
            return;
        }
        let number = self.batch.origin(origin);
        self.batch.push(&payload[..payload.len().min(self.limits.longest_message)], number, position);
        self.touch();
    }

    /// Notes the arrival of the first message.
    pub fn touch(&mut self) {
        self.arrived.get_or_insert_with(Instant::now);
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Whether it has to leave because of its size.
    pub fn is_full(&self) -> bool {
        self.batch.messages.len() >= self.limits.messages || self.batch.bytes.len() >= self.limits.bytes
    }

    /// How long it may still wait for company; `None` where it is empty.
    pub fn time_left(&self) -> Option<Duration> {
        self.arrived.map(|arrived| self.limits.linger.saturating_sub(arrived.elapsed()))
    }

    /// The batch and when its first message arrived, if there is one. `next` is filled from here on.
    pub fn take(&mut self, next: Batch) -> Option<(Batch, Instant)> {
        let arrived = self.arrived.take()?;
        Some((std::mem::replace(&mut self.batch, next), arrived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_by_messages_or_bytes_and_cuts_what_is_too_long() {
        let limits = Limits { messages: 3, bytes: 10, linger: Duration::from_secs(9), longest_message: 6 };
        let origin = Arc::new(Origin { name: "t".to_owned(), separator: ':', default_type: None });
        let mut filling = Filling::new(limits);
        assert!(filling.take(Batch::default()).is_none());
        assert_eq!(filling.time_left(), None);
        for number in 1..=3 {
            assert!(!filling.is_full());
            filling.push(b"ab", &origin, number);
        }
        assert!(filling.is_full());
        assert!(filling.time_left() > Some(Duration::from_secs(8)));
        let (batch, _) = filling.take(Batch::default()).expect("three messages");
        assert_eq!(batch.position(&batch.messages[2]), "t:3");
        assert!(filling.is_empty() && !filling.is_full());
        filling.push(b"abcdefgh", &origin, 4);
        assert_eq!(filling.batch.payload(&filling.batch.messages[0]), b"abcdef");
        filling.push(b"abcdefgh", &origin, 5);
        assert!(filling.is_full(), "12 bytes");
    }
}
