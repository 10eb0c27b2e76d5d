//! Kafka topics as sinks: alerts keyed by `alert_id`, and dead letters as they came.
//!
//! Every message is produced idempotently with `acks=all`, and a flush returns when the broker has confirmed
//! each. Deliveries are asked for every millisecond ([`await_a_step`]): the client's own `flush` polls in steps
//! of 100 ms and, since rdkafka 0.38, does not return early (streams.md, section 5, B1), and its `poll` spins.
//!
//! Alerts go out in transactions, a flush each, under one transactional id: whoever reads what is committed sees each
//! revision once. Where the outcome of a transaction is not known, or the broker has fenced the producer, a new one ends
//! it one way or the other, and what the topic has is read back. The broker fences alike where another process has taken
//! the id and where a transaction was open for too long, as it is while the broker itself is away. What is read back
//! tells these apart: where there are alerts that this process has not sent, it was replaced, and is at its end.

use super::{Context, DeadLetter, Sink, SinkError};
use crate::alert::{Alert, AlertId};
use crate::fault;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod committed;

/// By partition, the offset after the last message that is known to be there.
type Ends = BTreeMap<i32, i64>;

/// How long the broker may take to begin or abort.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to commit, before it is asked again.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a transaction may be open, in milliseconds; above the time that a delivery is tried.
const TRANSACTION_TIMEOUT: &str = "60000";

/// The step in which deliveries are awaited.
const STEP: Duration = Duration::from_millis(1);

/// Below the user's properties.
const DEFAULTS: [(&str, &str); 6] = [
    ("client.id", "fundwatch"),
    // Alerts are few and wanted soon; a flush hands over all that waits at once, which fills batches by itself.
    ("linger.ms", "0"),
    ("compression.type", "zstd"),
    // Evidence can be long, and the client compares this with the size before compression.
    ("message.max.bytes", "67108864"),
    // How long a delivery is tried inside the client, before it is reported and begun anew.
    ("message.timeout.ms", "30000"),
    ("socket.keepalive.enable", "true"),
];

/// Above the user's properties: what deliveries are promised on.
const FIXED: [(&str, &str); 2] = [("acks", "all"), ("enable.idempotence", "true")];

/// A message of a topic.
pub struct KafkaMessage {
    key: Option<String>,
    /// What tells it apart from all others, where something does.
    revision: Option<(AlertId, u32)>,
    payload: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

/// What can be a message of a topic.
pub trait ToKafka {
    /// The message.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    fn to_kafka(&self) -> Result<KafkaMessage, SinkError>;
}

impl ToKafka for Alert {
    fn to_kafka(&self) -> Result<KafkaMessage, SinkError> {
        Ok(KafkaMessage {
            key: Some(self.alert_id.to_string()),
            revision: Some((self.alert_id, self.revision)),
            payload: serde_json::to_vec(self)?,
            headers: vec![
                ("rule", self.finding.rule_id.to_string()),
                ("severity", self.finding.severity.word().to_owned()),
                ("status", self.status.word().to_owned()),
            ],
        })
    }
}

impl ToKafka for DeadLetter {
    /// The value is the record as it came, so that it can be sent again once it is put right.
    fn to_kafka(&self) -> Result<KafkaMessage, SinkError> {
        Ok(KafkaMessage {
            key: None,
            revision: None,
            payload: self.payload.clone(),
            headers: vec![
                ("source", self.source.clone()),
                ("reason", self.reason.clone()),
                ("kind", self.kind.word().to_owned()),
                ("contract", self.kind.contract().to_owned()),
                ("time", self.time.to_string()),
            ],
        })
    }
}

/// Whether trying a delivery again cannot help.
pub(super) fn lasting(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => true,
        error => matches!(
            error.rdkafka_error_code(),
            Some(
                Code::MessageSizeTooLarge
                    | Code::InvalidMessageSize
                    | Code::InvalidRecord
                    | Code::InvalidTopic
                    | Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::TopicAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::TransactionalIdAuthorizationFailed
                    | Code::SaslAuthenticationFailed
                    | Code::UnsupportedCompressionType
                    | Code::InvalidArgument
                    | Code::PolicyViolation
            )
        ),
    }
}

/// What became of a message, by its place among those that wait: the partition and offset that it has.
type Delivery = (usize, Result<(i32, i64), KafkaError>);

/// Collects what became of each message.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Vec<Delivery>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// The message's place among those that wait.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let place = |message: &BorrowedMessage<'_>| (message.partition(), message.offset());
        let outcome = result.as_ref().map(place).map_err(|(error, _)| error.clone());
        self.0.lock().push((number, outcome));
    }
}

/// A topic.
pub struct KafkaTopic {
    name: &'static str,
    topic: String,
    config: ClientConfig,
    deliveries: Deliveries,
    /// Made anew after a fatal error.
    producer: Option<BaseProducer<Deliveries>>,
    /// Messages that the broker has not confirmed, in order.
    waiting: Vec<KafkaMessage>,
    /// Under transactions: by partition, the offset after the last message that is known to be there.
    ends: Option<Ends>,
    /// What became of the last transaction is not known.
    in_doubt: bool,
}

impl KafkaTopic {
    /// A topic of a cluster; `properties` are librdkafka's. No broker is asked for anything yet.
    ///
    /// # Errors
    /// A property is unknown or has no such value.
    pub fn new<'a>(
        name: &'static str,
        brokers: &str,
        topic: &str,
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SinkError> {
        let mut config = ClientConfig::new();
        for (key, value) in DEFAULTS {
            config.set(key, value);
        }
        config.set("bootstrap.servers", brokers);
        for (key, value) in properties {
            config.set(key, value);
        }
        for (key, value) in FIXED {
            config.set(key, value);
        }
        let (topic, deliveries) = (topic.to_owned(), Deliveries::default());
        let waiting = Vec::new();
        let mut sink = Self { name, topic, config, deliveries, producer: None, waiting, ends: None, in_doubt: false };
        sink.producer = Some(sink.connect()?);
        Ok(sink)
    }

    /// Writes in transactions from now on, under an id that no other process may have; and returns the alerts that the
    /// topic has beyond a mark, or all where there is none. A process that still writes under the id is fenced.
    ///
    /// # Errors
    /// The broker cannot be asked, or refuses.
    pub fn recall(&mut self, id: &str, mark: Option<&str>) -> Result<Vec<Alert>, SinkError> {
        self.config.set("transactional.id", id);
        self.config.set("transaction.timeout.ms", TRANSACTION_TIMEOUT);
        let mark = mark.and_then(|mark| serde_json::from_str(mark).ok()).unwrap_or_default();
        let producer = self.connect()?;
        self.ends = Some(mark);
        producer.init_transactions(PATIENCE).map_err(|source| self.error("begin transactions in", source))?;
        self.producer = Some(producer);
        self.read_back()
    }

    /// The alerts that the topic has beyond what is known to be there.
    fn read_back(&mut self) -> Result<Vec<Alert>, SinkError> {
        let known = self.ends.clone().unwrap_or_default();
        let (alerts, ends) =
            committed::read(&self.config, &self.topic, &known).map_err(|source| self.error("read back", source))?;
        self.ends = Some(ends);
        Ok(alerts)
    }

    fn connect(&self) -> Result<BaseProducer<Deliveries>, SinkError> {
        let made = self.config.create_with_context(self.deliveries.clone());
        made.map_err(|source| self.error("set up a producer for", source))
    }

    fn error(&self, action: &'static str, source: KafkaError) -> SinkError {
        SinkError::Kafka { action, topic: self.topic.clone(), source }
    }

    /// Hands over all messages in a transaction. What is not known to be committed waits on.
    fn commit(&mut self, producer: &BaseProducer<Deliveries>, context: &Context) -> Result<(), SinkError> {
        producer.begin_transaction().map_err(|source| self.error("begin a transaction in", source))?;
        let places = match self.hand_over_all(producer, context) {
            Ok(places) => places,
            Err(error) => {
                self.in_doubt = producer.abort_transaction(PATIENCE).is_err();
                return Err(error);
            }
        };
        fault::point("alerts-produced");
        loop {
            match producer.commit_transaction(COMMIT_PATIENCE) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !context.stopping() => {}
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    self.in_doubt = producer.abort_transaction(PATIENCE).is_err();
                    return Err(self.error("commit to", KafkaError::Transaction(error)));
                }
                Err(source) => {
                    self.in_doubt = true;
                    return Err(self.error("commit to", source));
                }
            }
        }
        fault::point("alerts-committed");
        self.waiting.clear();
        let ends = self.ends.get_or_insert_default();
        for (partition, offset) in places {
            let end = ends.entry(partition).or_default();
            *end = (offset + 1).max(*end);
        }
        Ok(())
    }

    /// Hands over all messages and waits until the broker has them all.
    fn hand_over_all(
        &self,
        producer: &BaseProducer<Deliveries>,
        context: &Context,
    ) -> Result<Vec<(i32, i64)>, SinkError> {
        self.deliveries.0.lock().clear();
        for (number, message) in self.waiting.iter().enumerate() {
            self.hand_over(producer, number, message, context)?;
        }
        while producer.in_flight_count() > 0 {
            if context.stopping() {
                return Err(SinkError::Interrupted);
            }
            await_a_step(producer);
        }
        let deliveries = std::mem::take(&mut *self.deliveries.0.lock());
        let places: Result<Vec<_>, _> = deliveries.into_iter().map(|(_, delivery)| delivery).collect();
        places.map_err(|source| self.error("write to", source))
    }

    /// A producer that goes on where the last one left the transaction; what the topic has by then waits no more.
    ///
    /// # Errors
    /// The broker cannot be asked, or another process has written meanwhile.
    fn resolve(&mut self) -> Result<BaseProducer<Deliveries>, SinkError> {
        let producer = self.connect()?;
        producer.init_transactions(PATIENCE).map_err(|source| self.error("begin transactions in", source))?;
        let there: Vec<_> = self.read_back()?.iter().map(|alert| (alert.alert_id, alert.revision)).collect();
        let sent = |there| self.waiting.iter().any(|message| message.revision == Some(there));
        if !there.iter().copied().all(sent) {
            return Err(SinkError::Replaced { topic: self.topic.clone() });
        }
        self.waiting.retain(|message| message.revision.is_none_or(|revision| !there.contains(&revision)));
        self.in_doubt = false;
        Ok(producer)
    }

    /// Hands over all messages and waits for the broker's word on each; what it confirmed waits no more.
    fn deliver(&mut self, producer: &BaseProducer<Deliveries>, context: &Context) -> Result<(), SinkError> {
        // What a producer reported that was given up belongs to other numbers.
        self.deliveries.0.lock().clear();
        let mut outcome = Ok(());
        for (number, message) in self.waiting.iter().enumerate() {
            outcome = self.hand_over(producer, number, message, context);
            if outcome.is_err() {
                break;
            }
        }
        // Whatever was handed over comes back, if only when it times out inside the client.
        while producer.in_flight_count() > 0 && !context.stopping() {
            await_a_step(producer);
        }
        let mut confirmed = vec![false; self.waiting.len()];
        for (number, delivery) in self.deliveries.0.lock().drain(..) {
            match delivery {
                Ok(_) => confirmed.get_mut(number).into_iter().for_each(|confirmed| *confirmed = true),
                Err(source) if outcome.is_ok() => outcome = Err(self.error("write to", source)),
                Err(_) => {}
            }
        }
        let mut number = 0;
        self.waiting.retain(|_| {
            number += 1;
            !confirmed.get(number - 1).is_some_and(|confirmed| *confirmed)
        });
        if outcome.is_ok() && !self.waiting.is_empty() {
            return Err(SinkError::Interrupted);
        }
        outcome
    }

    fn hand_over(
        &self,
        producer: &BaseProducer<Deliveries>,
        number: usize,
        message: &KafkaMessage,
        context: &Context,
    ) -> Result<(), SinkError> {
        let headers = message
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(message.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let mut record = BaseRecord::<str, [u8], usize>::with_opaque_to(&self.topic, number)
            .payload(&message.payload)
            .headers(headers);
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        loop {
            record = match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => record,
                Err((source, _)) => return Err(self.error("write to", source)),
            };
            if context.stopping() {
                return Err(SinkError::Interrupted);
            }
            await_a_step(producer);
        }
    }
}

/// Takes what the broker has confirmed, or waits a step. To `poll` with a time instead would spin through the last millisecond of
/// it: rdkafka cuts what remains down to whole milliseconds, and asks again without a pause until the time is over.
fn await_a_step(producer: &BaseProducer<Deliveries>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(STEP);
    }
}

impl<T: ToKafka> Sink<T> for KafkaTopic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn mark(&self) -> Option<String> {
        serde_json::to_string(self.ends.as_ref()?).ok()
    }

    fn write(&mut self, item: &T) -> Result<(), SinkError> {
        self.waiting.push(item.to_kafka()?);
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None if self.ends.is_some() => self.resolve()?,
            None => self.connect()?,
        };
        let delivered = match self.ends.is_some() {
            true if self.waiting.is_empty() => Ok(()),
            true => self.commit(&producer, context),
            false => self.deliver(&producer, context),
        };
        // A producer with a fatal error, or with messages that were given up, is not used again.
        if producer.client().fatal_error().is_none() && producer.in_flight_count() == 0 && !self.in_doubt {
            self.producer = Some(producer);
        }
        delivered
    }

    fn idle(&mut self, _context: &Context) -> Result<(), SinkError> {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
        Ok(())
    }
}
