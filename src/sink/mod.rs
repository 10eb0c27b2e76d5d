//! Sinks: where alerts and dead letters go.
//!
//! A [`Sink`] is one destination. A [`Fanout`] gives every sink a thread and a bounded queue of its own and
//! knows how far each has come, because the input counts as done only when every required sink has what came
//! of it. All deliver *at least once*: what was not acknowledged before a crash is sent again, and receivers
//! tell it by (`alert_id`, `revision`).
//!
//! Invariants:
//! - [`Fanout::acknowledged`] never runs ahead of what would survive a crash of the process;
//! - no queue grows without bound: a full one holds up the pipeline, or drops and counts where its sink is not
//!   required;
//! - an error that may pass is tried again until it does; one that will not ends in [`Fanout::failure`].

use crate::alert::Alert;
use crate::metrics::SinkMeter;
use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

pub mod alertmanager;
pub mod dead_letter;
pub mod fanout;
pub mod from_config;
pub mod json_lines;
pub mod kafka;
pub mod live;
pub mod once;
mod post;
mod queue;
pub mod sqlite;
pub mod store;
pub mod terminal;
pub mod webhook;

pub use dead_letter::DeadLetter;
pub use fanout::{Fanout, SinkFailure, SinkQueue};

/// One destination for items of one kind.
///
/// The thread that owns it calls [`write`](Self::write) for some items, then [`flush`](Self::flush), and
/// counts them as delivered when that returns. After an error it calls `flush` alone, again and again: the
/// sink keeps what it took over and goes on where it stopped.
pub trait Sink<T>: Send {
    /// What metrics and messages call it: a fixed word such as `kafka`.
    fn name(&self) -> &'static str;

    /// Whether it is the record of everything: it also takes findings of rules in shadow, which are stored and
    /// not sent, and it is closed after all others, to note what they have.
    fn is_record(&self) -> bool {
        false
    }

    /// Whether it shows what stands rather than what happens. It keeps nothing over a restart: when the state was built
    /// again, it is given everything that is open, of which it may have some already.
    fn is_mirror(&self) -> bool {
        false
    }

    /// How far it is, in words of its own, for sinks that can be asked what they hold beyond that.
    fn mark(&self) -> Option<String> {
        None
    }

    /// Takes an item over, without waiting for the outside.
    ///
    /// # Errors
    /// It cannot be written in this sink's form.
    fn write(&mut self, item: &T) -> Result<(), SinkError>;

    /// Delivers everything that was taken over; when it returns, that survives a crash. May block for long,
    /// and watches `context` meanwhile.
    ///
    /// # Errors
    /// Some of it is not delivered; the sink still holds that.
    fn flush(&mut self, context: &Context) -> Result<(), SinkError>;

    /// Is called about once a second while nothing comes.
    ///
    /// # Errors
    /// As for [`flush`](Self::flush).
    fn idle(&mut self, _context: &Context) -> Result<(), SinkError> {
        Ok(())
    }

    /// Is called once, after the last flush.
    ///
    /// # Errors
    /// As for [`flush`](Self::flush).
    fn close(&mut self, context: &Context) -> Result<(), SinkError> {
        self.idle(context)
    }
}

/// What a sink can take.
pub trait Item: Send + Sync + 'static {
    /// Whether it is a finding of a rule in shadow.
    fn shadow(&self) -> bool {
        false
    }
}

impl Item for Alert {
    fn shadow(&self) -> bool {
        self.shadow
    }
}

/// What a sink sees of the world around it while it delivers.
pub struct Context {
    /// The sequence number that is done when this flush succeeds.
    pub sequence: u64,
    /// Its counters.
    pub meter: SinkMeter,
    stop: Stop,
    others: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// What is wrong now, for people.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// A context outside a [`Fanout`], for sinks that are used directly.
    pub fn standalone(meter: SinkMeter) -> Self {
        Self { sequence: 0, meter, stop: Stop::default(), others: Arc::new(|| u64::MAX), trouble: Arc::default() }
    }

    /// The greatest sequence number that all other required sinks are done with; `u64::MAX` where there is none.
    pub fn done_elsewhere(&self) -> u64 {
        (self.others)()
    }

    /// Shows that a sink does not deliver at the moment and tries again: for those that do so within a flush.
    pub fn troubled(&self, sink: &'static str, reason: String) {
        let mut trouble = self.trouble.lock();
        if trouble.is_none() {
            warn!(sink, "the sink does not deliver and will try again: {reason}");
        }
        *trouble = Some(reason);
    }

    /// Shows that it delivers.
    pub fn works(&self, sink: &'static str) {
        if let Some(trouble) = self.trouble.lock().take() {
            warn!(sink, "the sink works again after: {trouble}");
        }
    }

    /// Whether the time to deliver is over.
    pub fn stopping(&self) -> bool {
        self.stop.stopped()
    }

    /// Waits.
    ///
    /// # Errors
    /// [`SinkError::Interrupted`], at once, when the time to deliver is over.
    pub fn pause(&self, time: Duration) -> Result<(), SinkError> {
        if self.stop.wait(time) { Err(SinkError::Interrupted) } else { Ok(()) }
    }
}

/// A signal to all sinks that the time to deliver is over.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub(crate) fn stop(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn stopped(&self) -> bool {
        *self.0.0.lock()
    }

    /// Waits for the signal at most so long; whether it came.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut stopped = self.0.0.lock();
        while !*stopped {
            if self.0.1.wait_until(&mut stopped, deadline).timed_out() {
                break;
            }
        }
        *stopped
    }
}

/// Why a sink could not deliver.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file could not be written.
    #[error("failed to {action} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The alert store refused.
    #[error("failed to {action} the alert store {path}: {source}")]
    Store {
        /// What was tried, as a verb.
        action: &'static str,
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file is no alert store of this version.
    #[error("{path} is no alert store for this version of fundwatch: {reason}")]
    ForeignStore {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// Kafka refused.
    #[error("failed to {action} Kafka topic {topic}: {source}")]
    Kafka {
        /// What was tried, as a verb.
        action: &'static str,
        /// The topic.
        topic: String,
        /// Why.
        source: rdkafka::error::KafkaError,
    },
    /// Another process writes under our id, and has told something since.
    #[error("another process has written to Kafka topic {topic} under the same id: it has taken the place of this one")]
    Replaced {
        /// The topic.
        topic: String,
    },
    /// A setting cannot be used.
    #[error("the {sink} sink cannot be set up: {reason}")]
    Setting {
        /// Which sink.
        sink: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An item cannot be written as JSON.
    #[error("failed to write an item as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    /// The time to deliver was over.
    #[error("stopped before everything was delivered")]
    Interrupted,
}

impl SinkError {
    /// Whether trying again cannot help.
    pub fn lasting(&self) -> bool {
        match self {
            // A full or missing disk is put right by people while the pipeline waits.
            Self::File { .. } | Self::Interrupted => false,
            Self::Store { source, .. } => !sqlite::passing(source),
            Self::Kafka { source, .. } => kafka::lasting(source),
            Self::ForeignStore { .. } | Self::Replaced { .. } | Self::Setting { .. } | Self::Encode(_) => true,
        }
    }
}
