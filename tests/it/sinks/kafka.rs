//! The Kafka sink against librdkafka's own imitation of a cluster.

use super::{alert, alerts, context};
use fundwatch::alert::Alert;
use fundwatch::metrics::Metrics;
use fundwatch::record::Time;
use fundwatch::record::decode::BadKind;
use fundwatch::sink::kafka::KafkaTopic;
use fundwatch::sink::{DeadLetter, Fanout, Sink, SinkQueue};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::time::{Duration, Instant};

const TOPIC: &str = "alerts";

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster
}

fn topic(brokers: &str) -> KafkaTopic {
    KafkaTopic::new("kafka", brokers, TOPIC, [("message.timeout.ms", "5000")]).expect("a producer")
}

/// A message as a reader sees it.
#[derive(Debug)]
struct Seen {
    key: Option<String>,
    payload: Vec<u8>,
    headers: Vec<(String, String)>,
}

fn read(brokers: &str, count: usize) -> Vec<Seen> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&partitions).expect("the partition");
    drop(partitions);
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while seen.len() < count && begun.elapsed() < Duration::from_secs(20) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let headers = message.headers().map(|headers| {
            let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
            headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
        });
        seen.push(Seen {
            key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers.unwrap_or_default(),
        });
    }
    seen
}

fn pairs(seen: &Seen) -> Vec<(&str, &str)> {
    seen.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn alerts_are_keyed_and_carry_headers() {
    let cluster = cluster();
    let mut sink = topic(&cluster.bootstrap_servers());
    for alert in alerts(1..4).iter() {
        Sink::<Alert>::write(&mut sink, alert).expect("JSON");
    }
    Sink::<Alert>::flush(&mut sink, &context()).expect("they are delivered");
    let seen = read(&cluster.bootstrap_servers(), 3);
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].key.as_deref(), Some(format!("{:032x}", 1).as_str()));
    assert_eq!(pairs(&seen[0]), [("rule", "STY-01"), ("severity", "medium"), ("status", "open")]);
    assert_eq!(seen[0].payload, serde_json::to_vec(&alert(1, 1)).expect("JSON"));
}

#[test]
fn dead_letters_keep_their_bytes() {
    let cluster = cluster();
    let mut sink = topic(&cluster.bootstrap_servers());
    let letter = DeadLetter {
        payload: vec![0xff, 0x00, b'{'],
        source: "settlements[3]@1234".to_owned(),
        kind: BadKind::NotUtf8,
        reason: "byte 0 is not UTF-8".to_owned(),
        time: Time(0),
    };
    Sink::<DeadLetter>::write(&mut sink, &letter).expect("it has a form");
    Sink::<DeadLetter>::flush(&mut sink, &context()).expect("it is delivered");
    let seen = read(&cluster.bootstrap_servers(), 1);
    assert_eq!((seen[0].payload.as_slice(), seen[0].key.as_ref()), (letter.payload.as_slice(), None));
    assert_eq!(
        pairs(&seen[0]),
        [
            ("source", "settlements[3]@1234"),
            ("reason", "byte 0 is not UTF-8"),
            ("kind", "not_utf8"),
            ("contract", "1: records are UTF-8"),
            ("time", "1970-01-01 00:00:00"),
        ]
    );
}

/// The client's own flush takes 100 ms (streams.md, section 5, B1).
#[test]
fn a_flush_takes_no_longer_than_the_broker() {
    let cluster = cluster();
    let mut sink = topic(&cluster.bootstrap_servers());
    let mut times = Vec::new();
    for number in 0..20 {
        Sink::<Alert>::write(&mut sink, &alert(number, 1)).expect("JSON");
        let begun = Instant::now();
        Sink::<Alert>::flush(&mut sink, &context()).expect("it is delivered");
        times.push(begun.elapsed());
    }
    times.sort();
    assert!(times[10] < Duration::from_millis(50), "{times:?}");
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let cluster = cluster();
    cluster.broker_down(1).expect("the broker goes");
    let queue = SinkQueue { capacity: 100, required: true };
    let sink = KafkaTopic::new("kafka", &cluster.bootstrap_servers(), TOPIC, [("message.timeout.ms", "300")]);
    let sink: Box<dyn Sink<Alert>> = Box::new(sink.expect("a producer"));
    let fanout = Fanout::start(vec![(sink, queue)], &Metrics::new());
    fanout.send(1, &alerts(0..3)).expect("there is room");
    super::eventually("the trouble shows", || fanout.status()[0].retries > 0);
    assert!(fanout.failure().is_none());
    cluster.broker_up(1).expect("the broker comes");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    let mut keys: Vec<_> = read(&cluster.bootstrap_servers(), 3).into_iter().filter_map(|seen| seen.key).collect();
    keys.dedup();
    assert_eq!(keys, (0..3).map(|number| format!("{number:032x}")).collect::<Vec<_>>());
}

#[test]
fn a_topic_that_may_not_be_written_is_a_failure() {
    let cluster = cluster();
    cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).expect("an error");
    let queue = SinkQueue { capacity: 100, required: true };
    let sink: Box<dyn Sink<Alert>> = Box::new(topic(&cluster.bootstrap_servers()));
    let fanout = Fanout::start(vec![(sink, queue)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("there is room");
    super::eventually("the failure shows", || fanout.failure().is_some());
    let words = fanout.failure().map(|failure| failure.to_string()).unwrap_or_default();
    assert!(words.contains("Kafka topic alerts"), "{words}");
}

#[test]
fn a_wrong_property_is_told_at_once() {
    let wrong = KafkaTopic::new("kafka", "127.0.0.1:1", TOPIC, [("no.such.property", "1")]).err();
    assert!(wrong.is_some_and(|error| error.lasting() && error.to_string().contains("no.such.property")));
}
