//! What the client calls back: rebalances, statistics, results of commits, errors.
//!
//! All callbacks run on the thread that polls, inside of `poll`. The loop holds no lock while it polls.

use super::partitions::{Beginning, Facts, Key, Ledger, NextOffset, Partitions};
use super::statistics::Statistics;
use crate::checkpoint::manifest::Positions;
use crate::config::Start;
use crate::fault;
use crate::source::channel::{Event, Handle};
use crate::source::{Filling, Resume, SourceError};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{debug, error, info, warn};

/// How long one question to the broker may take during a rebalance.
const QUESTION: Duration = Duration::from_secs(10);
/// How often it is asked again.
const ATTEMPTS: usize = 3;
/// What the source waits for before it can read.
pub(super) const NO_PARTITIONS: &str = "no partition of the topics is assigned to this process";

/// What is shared between the loop and the callbacks.
pub(super) struct Reading {
    pub partitions: Partitions,
    pub ledger: Ledger,
    pub filling: Filling,
    /// What was read and waits for room in the channel.
    pub outbox: VecDeque<Event>,
    /// Partitions came that may need a warm-up.
    pub assigned: bool,
    /// The consumer is being closed: nothing is waited for any more.
    pub closing: bool,
    /// A checkpoint was taken back, and no partition has come since.
    pub resumes: bool,
    /// What a callback could not do.
    pub failure: Option<SourceError>,
    /// Up to where the engine holds records of partitions that were taken away.
    held: BTreeMap<Key, NextOffset>,
}

impl Reading {
    /// Puts what was read into the outbox, and its offsets into the ledger.
    pub fn collect(&mut self, handle: &Handle) {
        let settled = self.partitions.settled_before(&self.filling.batch.origins);
        self.outbox.extend(handle.delivery(&mut self.filling, settled).map(Event::Batch));
        // Tombstones alone make no delivery, but are done with the one before them.
        self.ledger.note(handle.last_number(), self.partitions.note());
    }
}

/// The context of the consumer.
pub(super) struct Context {
    pub reading: Mutex<Reading>,
    handle: Handle,
    start: Start,
    alerts_known: bool,
    drain: Duration,
    resume: Option<Resume>,
    /// A commit was refused after it had counted as done.
    refused: AtomicBool,
}

impl Context {
    pub fn new(handle: Handle, filling: Filling, start: Start, alerts_known: bool, drain: Duration) -> Self {
        let reading = Reading {
            partitions: Partitions::default(),
            ledger: Ledger::default(),
            filling,
            outbox: VecDeque::new(),
            assigned: false,
            closing: false,
            resumes: false,
            failure: None,
            held: BTreeMap::new(),
        };
        Self {
            reading: Mutex::new(reading),
            handle,
            start,
            alerts_known,
            drain,
            resume: None,
            refused: AtomicBool::new(false),
        }
    }

    /// Goes on after a checkpoint.
    pub fn after(mut self, resume: Option<Resume>) -> Self {
        self.reading.get_mut().resumes = resume.is_some();
        self.resume = resume;
        self
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) -> Result<(), SourceError> {
        let keys = keys(assigned);
        let beginnings = self.beginnings(consumer, &keys)?;
        let mut offsets = TopicPartitionList::with_capacity(keys.len());
        let mut reading = self.reading.lock();
        // What was read of partitions that were lost gets a number too.
        reading.collect(&self.handle);
        for (key, beginning, high) in &beginnings {
            info!(partition = %key.origin().name, ?beginning, "reads a partition");
            offsets
                .add_partition_offset(&key.topic, key.partition, Offset::Offset(beginning.start))
                .map_err(|source| SourceError::Kafka { action: "name an offset", source })?;
            reading.partitions.assign(key, *beginning);
            let held = self.resume.is_some() || reading.held.contains_key(key);
            if held && beginning.start > beginning.settled {
                // The checkpoint or the engine has them, and nobody came to commit them.
                let delivery = self.handle.last_number();
                reading.ledger.note(delivery, vec![(key.clone(), beginning.start)]);
            }
            // The statistics will tell later ends.
            reading.partitions.set_high(&key.topic, key.partition, *high);
        }
        reading.assigned = true;
        drop(reading);
        self.publish_lag();
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&offsets),
            _ => consumer.assign(&offsets),
        }
        .map_err(|source| SourceError::Kafka { action: "take over partitions", source })
    }

    /// Where to begin in each partition, and its end.
    fn beginnings(
        &self,
        consumer: &BaseConsumer<Self>,
        keys: &[Key],
    ) -> Result<Vec<(Key, Beginning, NextOffset)>, SourceError> {
        let mut asked = TopicPartitionList::with_capacity(keys.len());
        for key in keys {
            asked.add_partition(&key.topic, key.partition);
        }
        let committed = insist(|| consumer.committed_offsets(asked.clone(), QUESTION))
            .map_err(|source| SourceError::Kafka { action: "ask for the committed offsets", source })?;
        let held = self.reading.lock().held.clone();
        let mut beginnings = Vec::new();
        for key in keys {
            let (low, high) = insist(|| consumer.fetch_watermarks(&key.topic, key.partition, QUESTION))
                .map_err(|source| SourceError::Kafka { action: "ask for the ends of a partition", source })?;
            let element = committed.find_partition(&key.topic, key.partition);
            let facts = Facts {
                low,
                high,
                committed: element.and_then(|element| match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                }),
                held: held.get(key).copied().or_else(|| self.resumed(key, |resume| &resume.positions)),
                told: self.resumed(key, |resume| &resume.told),
                alerts_known: self.alerts_known,
            };
            if let Some(committed) = facts.committed.filter(|committed| *committed < low) {
                warn!(partition = %key.origin().name, committed, earliest = low, "records after the committed offset are gone");
            }
            if let (Some(_), Some(held)) = (&self.resume, facts.held.filter(|held| *held < low)) {
                return Err(SourceError::KafkaLost(format!(
                    "the checkpoint has {} up to offset {held}, and the topic begins at {low}: records between them are \
                     lost to it. Move the state folder away to begin anew with what is left",
                    key.origin().name
                )));
            }
            let start = if self.resume.is_some() { Start::Replay } else { self.start };
            let beginning = match start {
                Start::Replay => Beginning::replay(facts),
                Start::Committed => Beginning::committed(facts),
                Start::Earliest => Beginning::earliest(facts),
            };
            beginnings.push((key.clone(), beginning, high));
        }
        Ok(beginnings)
    }

    /// What a checkpoint says of a partition.
    fn resumed(&self, key: &Key, of: impl FnOnce(&Resume) -> &Positions) -> Option<NextOffset> {
        let next = of(self.resume.as_ref()?).get(&key.origin().name)?;
        NextOffset::try_from(*next).ok()
    }

    /// Sends what was read, waits until all of it is done, and commits.
    fn revoke(&self, consumer: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        let keys = keys(revoked);
        let mut reading = self.reading.lock();
        if consumer.assignment_lost() {
            warn!("partitions were lost; another may have them already, so nothing is committed");
        } else if !reading.closing && !reading.partitions.warming() {
            // The members that stay in the group wait for us meanwhile, so not for ever.
            let deadline = Instant::now() + self.drain;
            if !self.drain(&mut reading, deadline) {
                warn!(waited = ?self.drain, "partitions are handed over before everything read is done; the rest comes again");
            }
            self.commit(consumer, &mut reading, CommitMode::Sync);
        }
        for key in &keys {
            if let Some(next) = reading.partitions.revoke(key) {
                reading.held.insert(key.clone(), next);
            }
            reading.ledger.forget(key);
        }
        if reading.partitions.is_empty() {
            self.handle.set_waits_for(Some(NO_PARTITIONS));
        }
        drop(reading);
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(revoked),
            _ => consumer.unassign(),
        };
        if let Err(error) = unassigned {
            warn!("partitions could not be given back: {error}");
        }
    }

    /// Sends what was read and waits until it is done; whether it is.
    fn drain(&self, reading: &mut Reading, deadline: Instant) -> bool {
        let left = || deadline.saturating_duration_since(Instant::now());
        reading.collect(&self.handle);
        while let Some(event) = reading.outbox.pop_front() {
            if let Err(unsent) = self.handle.offer(event, left()) {
                reading.outbox.push_front(unsent);
                return false;
            }
        }
        self.handle.wait_until_done(left())
    }

    /// Commits what is done.
    pub fn commit(&self, consumer: &BaseConsumer<Self>, reading: &mut Reading, mode: CommitMode) {
        reading.ledger.settle(self.handle.done());
        if self.refused.swap(false, Ordering::Relaxed) {
            reading.ledger.commit_again();
        }
        let due = reading.ledger.due();
        if due.is_empty() || consumer.assignment_lost() {
            return;
        }
        let mut offsets = TopicPartitionList::with_capacity(due.len());
        for (key, offset) in &due {
            if let Err(error) = offsets.add_partition_offset(&key.topic, key.partition, Offset::Offset(*offset)) {
                warn!("an offset cannot be committed: {error}");
            }
        }
        match consumer.commit(&offsets, mode) {
            Ok(()) => {
                fault::point("offsets-committed");
                reading.ledger.committed(&due);
                self.handle.count(|counts| counts.commits += 1);
                debug!(?due, "committed");
            }
            Err(error) => warn!("offsets were not committed, and will be with the next ones: {error}"),
        }
    }

    /// Publishes what is wrong, for as long as it may be.
    pub fn tell(&self, error: &KafkaError, words: String) {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(
                Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::Authentication
                | Code::SSL
                | Code::OperationTimedOut
                | Code::RequestTimedOut,
            ) => self.handle.set_disconnected(Some(words)),
            _ => self.handle.set_trouble(Some(words)),
        }
    }

    /// Publishes how many messages wait.
    pub fn publish_lag(&self) {
        let lag = self.reading.lock().partitions.lag();
        self.handle.set_lag(lag);
    }
}

fn insist<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let mut outcome = ask();
    for _ in 1..ATTEMPTS {
        if outcome.is_ok() {
            break;
        }
        outcome = ask();
    }
    outcome
}

fn keys(list: &TopicPartitionList) -> Vec<Key> {
    let key = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| Key {
        topic: element.topic().into(),
        partition: element.partition(),
    };
    list.elements().iter().map(key).collect()
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.handle.count(|counts| counts.rebalances += 1);
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                if let Err(error) = self.assign(consumer, list) {
                    self.reading.lock().failure = Some(error);
                }
            }
            _ => self.revoke(consumer, list),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                warn!("offsets were not committed, and will be with the next ones: {error}");
                self.refused.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                error!(target: "librdkafka", "{facility}: {message}")
            }
            RDKafkaLogLevel::Warning => warn!(target: "librdkafka", "{facility}: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(target: "librdkafka", "{facility}: {message}"),
            RDKafkaLogLevel::Debug => debug!(target: "librdkafka", "{facility}: {message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            debug!("the statistics of the client cannot be read");
            return;
        };
        let mut reading = self.reading.lock();
        for (topic, number, end) in statistics.ends() {
            reading.partitions.set_high(topic, number, end);
        }
        // Where nothing is left to read, no message tells that the brokers are back.
        let connected = statistics.reaches(&reading.partitions.keys());
        drop(reading);
        if connected {
            self.handle.set_disconnected(None);
        }
        self.publish_lag();
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is told here too; the loop hears of it by itself.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        warn!("kafka: {error}: {reason}");
        self.tell(&error, format!("{error}: {reason}"));
    }
}
