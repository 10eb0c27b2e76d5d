//! Kafka: a consumer group's partitions as one stream.
//!
//! One `BaseConsumer` on the source's thread; nothing of it is ever shared or sent elsewhere. Payloads are copied out
//! at once, so no message outlives a turn of the loop (a message pins everything that was fetched with it, and one
//! that outlives the consumer blocks its end).
//!
//! Invariants:
//! - an offset is committed only when everything that came of the messages before it is with the sinks;
//! - a message is taken only if its partition is assigned and its offset is not below the expected one;
//! - while the pipeline is busy the consumer is still polled, with its partitions paused, so that the group does not
//!   take it for dead;
//! - a warm-up ([`Start::Replay`](crate::config::Start::Replay)) ends in all partitions before anything new is
//!   taken in any.

use super::channel::Event;
use super::{Filling, Limits, Outlet, Resume, Source, SourceError};
use crate::config::KafkaSource as Config;
use context::{Context, Reading};
use partitions::{Key, Verdict};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tracing::{info, warn};

mod context;
pub mod partitions;
pub mod settings;
mod statistics;
#[cfg(test)]
mod tests;

/// The longest that one poll waits.
const POLL: Duration = Duration::from_millis(50);
/// How long the pipeline may be full before the partitions are paused.
const FULL: Duration = Duration::from_secs(1);
/// How long a seek may take.
const SEEK: Duration = Duration::from_secs(10);
/// How long closing the consumer may take before it is left behind.
const CLOSE: Duration = Duration::from_secs(10);
/// Messages wait and none comes: after this long someone should look.
const SILENCE: Duration = Duration::from_secs(30);

/// Topics of a Kafka cluster.
pub struct KafkaSource {
    config: Config,
    limits: Limits,
    drain: Duration,
    alerts_known: bool,
    resume: Option<Resume>,
}

impl KafkaSource {
    /// The source of a configuration; connects to nothing yet. At a stop and before partitions are handed over it
    /// waits for `drain` until what was read is done.
    pub fn new(config: Config, limits: Limits, drain: Duration) -> Self {
        Self { config, limits, drain, alerts_known: false, resume: None }
    }

    /// Goes on after a checkpoint, whatever the configuration says of the start.
    pub fn after(mut self, resume: Option<Resume>) -> Self {
        self.resume = resume;
        self
    }

    /// Says whether a former run has left alerts, with which a warm-up is compared.
    pub fn with_known_alerts(mut self, known: bool) -> Self {
        self.alerts_known = known;
        self
    }
}

impl Source for KafkaSource {
    fn name(&self) -> String {
        format!("kafka: {}", self.config.topics.join(", "))
    }

    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError> {
        outlet.set_waits_for(Some(context::NO_PARTITIONS));
        let filling = Filling::new(self.limits);
        let handle = outlet.handle();
        let context =
            Context::new(handle, filling, self.config.start, self.alerts_known, self.drain).after(self.resume);
        let consumer: BaseConsumer<Context> = settings::client_config(&self.config)
            .create_with_context(context)
            .map_err(|source| SourceError::Kafka { action: "set up the Kafka client", source })?;
        let topics: Vec<&str> = self.config.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|source| SourceError::Kafka { action: "subscribe to the topics", source })?;
        let mut reader = Reader {
            consumer: &consumer,
            outlet,
            config: &self.config,
            next_commit: Instant::now() + self.config.commit_interval,
            last_message: Instant::now(),
            drain: self.drain,
        };
        let ended = reader.run();
        reader.finish(ended.is_ok());
        close(consumer);
        ended
    }
}

/// Closes the consumer on a thread of its own: the client may hang there.
fn close(consumer: BaseConsumer<Context>) {
    consumer.context().reading.lock().closing = true;
    consumer.unsubscribe();
    let (closed, waits) = sync_channel(1);
    let closing = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
        drop(consumer);
        // An error says that whoever waited has gone.
        let _gone = closed.send(());
    });
    if closing.is_ok() && waits.recv_timeout(CLOSE).is_err() {
        warn!(waited = ?CLOSE, "the Kafka consumer does not close and is left behind");
    }
}

/// The loop.
struct Reader<'a> {
    consumer: &'a BaseConsumer<Context>,
    outlet: &'a Outlet,
    config: &'a Config,
    next_commit: Instant,
    last_message: Instant,
    drain: Duration,
}

impl Reader<'_> {
    fn reading(&self) -> parking_lot::MutexGuard<'_, Reading> {
        self.consumer.context().reading.lock()
    }

    fn run(&mut self) -> Result<(), SourceError> {
        while !self.outlet.stopping() {
            self.outlet.is_alive();
            self.after_rebalance()?;
            self.turn()?;
            self.end_warm_up()?;
            self.commit_when_due();
            if self.config.until_end && self.reading().partitions.all_at_end() && !self.reading().partitions.warming() {
                info!("every partition is read to its end");
                return self.flush();
            }
        }
        Ok(())
    }

    /// Takes messages until a batch is sent or nothing is there.
    fn turn(&mut self) -> Result<(), SourceError> {
        let mut wait = Duration::ZERO;
        loop {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    self.take(message.topic(), message.partition(), message.offset(), message.payload())?;
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    self.judge(error)?;
                    // Nothing came of it: partitions are looked at before the next poll.
                    return self.flush_when_due();
                }
                // Not "no data": a rebalance or a commit was served, or nothing is there.
                None => {
                    let left = self.reading().filling.time_left();
                    match left {
                        _ if self.needs_attention() => return self.flush_when_due(),
                        // The pipeline has nothing to do: what is there travels at once.
                        Some(_) if self.outlet.is_drained() => return self.flush(),
                        Some(left) if left.is_zero() => return self.flush(),
                        Some(left) => wait = left.min(POLL),
                        None if wait.is_zero() => wait = POLL,
                        None => {
                            self.warn_of_silence();
                            // Tombstones alone make no batch, but have their offsets.
                            return self.flush();
                        }
                    }
                }
            }
            if self.reading().filling.is_full() || self.reading().filling.time_left() == Some(Duration::ZERO) {
                return self.flush();
            }
            if Instant::now() >= self.next_commit {
                return Ok(());
            }
        }
    }

    fn needs_attention(&self) -> bool {
        let reading = self.reading();
        reading.assigned || reading.failure.is_some()
    }

    fn take(&mut self, topic: &str, partition: i32, offset: i64, payload: Option<&[u8]>) -> Result<(), SourceError> {
        let mut reading = self.reading();
        match reading.partitions.see(topic, partition, offset) {
            Verdict::Take(origin) => match payload {
                Some(payload) => reading.filling.push(payload, &origin, u64::try_from(offset).unwrap_or(0)),
                None => self.outlet.count(|counts| counts.tombstones += 1),
            },
            Verdict::Stale => {
                self.outlet.count(|counts| counts.stale += 1);
                return Ok(());
            }
            Verdict::Hold => {
                drop(reading);
                return self.pause(&[Key { topic: topic.into(), partition }]);
            }
        }
        drop(reading);
        self.last_message = Instant::now();
        self.outlet.set_trouble(None);
        self.outlet.set_disconnected(None);
        Ok(())
    }

    /// Decides what an error means: the end of a partition, something that may pass, or the end.
    fn judge(&self, error: KafkaError) -> Result<(), SourceError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(SourceError::KafkaFatal(format!("{code}: {reason}")));
        }
        match error {
            KafkaError::PartitionEOF(number) => {
                let high = |key: &Key| {
                    let ends = self.consumer.fetch_watermarks(&key.topic, key.partition, SEEK);
                    ends.ok().map(|(_, high)| high)
                };
                self.reading().partitions.end_of(number, high);
                self.consumer.context().publish_lag();
                Ok(())
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => Err(SourceError::KafkaLost(
                "start with \"replay\" or \"earliest\" to go on with what is left".to_owned(),
            )),
            KafkaError::MessageConsumptionFatal(code) => Err(SourceError::KafkaFatal(code.to_string())),
            // Brokers come back, topics are made, rights are granted: the client tries again by itself.
            passing => {
                warn!("kafka: {passing}");
                self.consumer.context().tell(&passing, passing.to_string());
                Ok(())
            }
        }
    }

    /// After partitions came: begins a warm-up where one is needed.
    fn after_rebalance(&mut self) -> Result<(), SourceError> {
        let mut reading = self.reading();
        if let Some(failure) = reading.failure.take() {
            return Err(failure);
        }
        if !std::mem::take(&mut reading.assigned) {
            return Ok(());
        }
        let was_warming = reading.partitions.warming();
        // What was read of other partitions before is new, and goes ahead of the warm-up.
        drop(reading);
        if !was_warming {
            self.flush()?;
        }
        let mut reading = self.reading();
        let resumes = std::mem::take(&mut reading.resumes);
        let waits_for = reading.partitions.is_empty().then_some(context::NO_PARTITIONS);
        if !reading.partitions.begin_warm_up() {
            self.outlet.set_waits_for(waits_for);
            if resumes {
                // The state is that of the checkpoint, and nothing came after it.
                reading.outbox.push_back(Event::WarmUpEnds);
                drop(reading);
                return self.send();
            }
            return Ok(());
        }
        let warm = reading.partitions.warm();
        if !was_warming {
            info!("rebuilds the state from records that were processed before");
            reading.outbox.push_back(Event::WarmUpBegins);
        }
        drop(reading);
        self.pause(&warm)?;
        self.send()?;
        // Only now: who looks sees the warm-up coming.
        self.outlet.set_waits_for(waits_for);
        Ok(())
    }

    fn end_warm_up(&mut self) -> Result<(), SourceError> {
        let mut reading = self.reading();
        if !reading.partitions.warming() {
            return Ok(());
        }
        let Some(go_on) = reading.partitions.end_warm_up() else {
            let warm = reading.partitions.warm();
            drop(reading);
            return self.pause(&warm);
        };
        reading.collect(self.outlet);
        reading.outbox.push_back(Event::WarmUpEnds);
        let keys = reading.partitions.keys();
        drop(reading);
        self.send()?;
        // Messages that were held back come again.
        for (key, next) in &go_on {
            self.consumer
                .seek(&key.topic, key.partition, Offset::Offset(*next), SEEK)
                .map_err(|source| SourceError::Kafka { action: "go back to the end of the warm-up", source })?;
        }
        self.resume(&keys)?;
        info!("the state is rebuilt; reads what is new");
        Ok(())
    }

    fn pause(&self, keys: &[Key]) -> Result<(), SourceError> {
        self.consumer.pause(&list(keys)).map_err(|source| SourceError::Kafka { action: "pause partitions", source })
    }

    fn resume(&self, keys: &[Key]) -> Result<(), SourceError> {
        self.consumer.resume(&list(keys)).map_err(|source| SourceError::Kafka { action: "resume partitions", source })
    }

    fn flush_when_due(&mut self) -> Result<(), SourceError> {
        let due = {
            let reading = self.reading();
            reading.filling.is_full() || reading.filling.time_left() == Some(Duration::ZERO)
        };
        if due || self.outlet.is_drained() { self.flush() } else { Ok(()) }
    }

    /// Sends what was read.
    fn flush(&mut self) -> Result<(), SourceError> {
        self.reading().collect(self.outlet);
        self.send()
    }

    /// Sends what is in the outbox, and waits for room. While it waits for long, partitions are paused and the
    /// consumer is polled; a message that slips through is taken as usual.
    fn send(&mut self) -> Result<(), SourceError> {
        let mut paused = false;
        loop {
            let next = self.reading().outbox.pop_front();
            let Some(event) = next else { break };
            let time = if self.outlet.stopping() { self.drain } else { FULL };
            let Err(unsent) = self.outlet.offer(event, time) else { continue };
            self.reading().outbox.push_front(unsent);
            if self.outlet.stopping() {
                return Ok(());
            }
            self.outlet.is_alive();
            if !std::mem::replace(&mut paused, true) {
                let keys = self.reading().partitions.keys();
                self.pause(&keys)?;
            }
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    self.take(message.topic(), message.partition(), message.offset(), message.payload())?;
                }
                Some(Err(error)) => self.judge(error)?,
                None => {}
            }
        }
        if !paused {
            return Ok(());
        }
        // Those that wait for the end of a warm-up wait on.
        let reading = self.reading();
        let warm = if reading.partitions.warming() { reading.partitions.warm() } else { Vec::new() };
        let keys: Vec<Key> = reading.partitions.keys().into_iter().filter(|key| !warm.contains(key)).collect();
        drop(reading);
        self.resume(&keys)
    }

    fn commit_when_due(&mut self) {
        let now = Instant::now();
        if now >= self.next_commit {
            self.next_commit = now + self.config.commit_interval;
            let context = self.consumer.context();
            context.commit(self.consumer, &mut context.reading.lock(), CommitMode::Async);
        }
    }

    fn warn_of_silence(&mut self) {
        let waiting: u64 = self.reading().partitions.lag().iter().map(|lag| lag.records).sum();
        if waiting > 0 && self.last_message.elapsed() > SILENCE {
            warn!(
                waiting,
                "records wait in Kafka, but none has come for {SILENCE:?}; if this goes on, restart the process"
            );
            self.outlet.set_trouble(Some(format!("{waiting} records wait, but none comes")));
            self.last_message = Instant::now();
        }
    }

    /// Waits until what was sent is done, and commits that.
    fn finish(&mut self, in_order: bool) {
        if self.reading().partitions.warming() {
            return;
        }
        if !self.outlet.wait_until_done(self.drain) {
            warn!("stops before everything read is done; the rest comes again");
        }
        let context = self.consumer.context();
        if in_order {
            context.commit(self.consumer, &mut context.reading.lock(), CommitMode::Sync);
        }
    }
}

fn list(keys: &[Key]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(keys.len());
    for key in keys {
        list.add_partition(&key.topic, key.partition);
    }
    list
}
