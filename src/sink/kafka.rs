//! Kafka topics as sinks: alerts keyed by `alert_id`, and dead letters as they came.
//!
//! Every message is produced idempotently with `acks=all`, and a flush returns when the broker has confirmed
//! each. Deliveries are awaited by polling in steps of a millisecond: the client's own `flush` polls in steps
//! of 100 ms and, since rdkafka 0.38, does not return early (streams.md, section 5, B1).

use super::{Context, DeadLetter, Sink, SinkError};
use crate::alert::Alert;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::Arc;
use std::time::Duration;

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
                    | Code::SaslAuthenticationFailed
                    | Code::UnsupportedCompressionType
                    | Code::InvalidArgument
                    | Code::PolicyViolation
            )
        ),
    }
}

/// What became of a message, by its place among those that wait.
type Delivery = (usize, Result<(), KafkaError>);

/// Collects what became of each message.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Vec<Delivery>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// The message's place among those that wait.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = result.as_ref().map(drop).map_err(|(error, _)| error.clone());
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
        let mut sink = Self { name, topic, config, deliveries, producer: None, waiting: Vec::new() };
        sink.producer = Some(sink.connect()?);
        Ok(sink)
    }

    fn connect(&self) -> Result<BaseProducer<Deliveries>, SinkError> {
        let made = self.config.create_with_context(self.deliveries.clone());
        made.map_err(|source| self.error("set up a producer for", source))
    }

    fn error(&self, action: &'static str, source: KafkaError) -> SinkError {
        SinkError::Kafka { action, topic: self.topic.clone(), source }
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
            producer.poll(STEP);
        }
        let mut confirmed = vec![false; self.waiting.len()];
        for (number, delivery) in self.deliveries.0.lock().drain(..) {
            match delivery {
                Ok(()) => confirmed.get_mut(number).into_iter().for_each(|confirmed| *confirmed = true),
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
            producer.poll(STEP);
        }
    }
}

impl<T: ToKafka> Sink<T> for KafkaTopic {
    fn name(&self) -> &'static str {
        self.name
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
            None => self.connect()?,
        };
        let delivered = self.deliver(&producer, context);
        // A producer with a fatal error, or with messages that were given up, is not used again.
        if producer.client().fatal_error().is_none() && producer.in_flight_count() == 0 {
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
