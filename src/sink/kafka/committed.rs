//! Reading back what a topic of alerts has.

use super::Ends;
use crate::alert::{Alert, stored};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::thread;
use std::time::{Duration, Instant};

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two times that it is asked the same.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it may send nothing while something is left.
const SILENCE: Duration = Duration::from_secs(60);

/// The alerts that are committed in a topic beyond what is known to be there, and the new ends. What is no alert is
/// passed over.
///
/// # Errors
/// The broker cannot be asked, or refuses.
pub(super) fn read(producer: &ClientConfig, topic: &str, known: &Ends) -> KafkaResult<(Vec<Alert>, Ends)> {
    let mut config = reach(producer);
    config
        .set("group.id", "fundwatch-recall")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10")
        .set("allow.auto.create.topics", "false")
        .set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.create()?;
    let metadata = ask(|| consumer.fetch_metadata(Some(topic), PATIENCE))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none()) else {
        // It is not there yet.
        return Ok((Vec::new(), Ends::new()));
    };
    let mut ends = Ends::new();
    let mut assigned = TopicPartitionList::new();
    for partition in found.partitions() {
        let (low, high) = ask(|| consumer.fetch_watermarks(topic, partition.id(), PATIENCE))?;
        // A topic that was made anew has nothing of what is known.
        let start = known.get(&partition.id()).copied().filter(|end| *end <= high).unwrap_or(low).max(low);
        ends.insert(partition.id(), start);
        assigned.add_partition_offset(topic, partition.id(), Offset::Offset(start))?;
    }
    consumer.assign(&assigned)?;
    let (mut left, mut alerts) = (ends.len(), Vec::new());
    let mut last = Instant::now();
    while left > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                ends.insert(message.partition(), message.offset() + 1);
                let body = message.payload().and_then(|payload| std::str::from_utf8(payload).ok());
                alerts.extend(body.and_then(|body| stored::alert(body, false).ok()));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) if passing(&error) && last.elapsed() < SILENCE => {}
            Some(Err(error)) => return Err(error),
            None if last.elapsed() > SILENCE => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            None => {}
        }
    }
    Ok((alerts, ends))
}

/// How to reach the brokers; what else a producer is told means nothing to a consumer.
fn reach(producer: &ClientConfig) -> ClientConfig {
    let parts = ["bootstrap.servers", "client.id", "security.", "sasl.", "ssl.", "enable.s", "socket.", "broker."];
    let mut config = ClientConfig::new();
    // The map has the names; in the place of passwords it has words for logs.
    for (key, _) in producer.config_map() {
        if let Some(value) = producer.get(key).filter(|_| parts.iter().any(|part| key.starts_with(part))) {
            config.set(key, value);
        }
    }
    config
}

/// Asks a broker again while what it says will pass, which the client does for its own questions only.
fn ask<T>(mut question: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let begun = Instant::now();
    loop {
        match question() {
            Err(error) if passing(&error) && begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

/// Whether it may be otherwise soon.
fn passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::BrokerNotAvailable
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::FencedLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::OperationTimedOut
                | Code::RequestTimedOut
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_reaches_the_brokers_as_the_producer_does() {
        let mut producer = ClientConfig::new();
        for (key, value) in [("sasl.password", "not this one"), ("ssl.key.password", "nor this"), ("linger.ms", "5")] {
            producer.set(key, value);
        }
        let config = reach(&producer);
        assert_eq!(
            (config.get("sasl.password"), config.get("ssl.key.password")),
            (Some("not this one"), Some("nor this"))
        );
        assert_eq!(config.get("linger.ms"), None);
    }
}
