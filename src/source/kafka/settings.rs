//! Properties of the client: defaults that suit a live pipeline, what the user sets, and what is ours alone.

use crate::config::value::Properties;
use crate::config::{KafkaSource, Start};
use rdkafka::ClientConfig;

/// Defaults. What `config.source.kafka.properties` names wins.
const DEFAULTS: [(&str, &str); 15] = [
    ("client.id", "fundwatch"),
    // The bundled librdkafka (2.12) stalls now and then with the new protocol.
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
    ("session.timeout.ms", "45000"),
    ("max.poll.interval.ms", "300000"),
    // A record is answered for at once; an idle broker keeps the request for this long.
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "100"),
    // A full queue would otherwise stop a partition for a whole second.
    ("fetch.queue.backoff.ms", "10"),
    ("queued.min.messages", "100000"),
    ("queued.max.messages.kbytes", "65536"),
    ("socket.keepalive.enable", "true"),
    ("statistics.interval.ms", "5000"),
    // A topic that is made after the start is found after this long.
    ("topic.metadata.refresh.interval.ms", "10000"),
];

/// The client's configuration.
pub fn client_config(source: &KafkaSource) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in DEFAULTS.into_iter().chain(source.properties.reveal()) {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &source.brokers);
    client.set("group.id", &source.group);
    // Offsets are committed when alerts are out, never by the clock: the client would commit what it has only
    // fetched, when it is closed too.
    client.set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false");
    client.set("enable.partition.eof", "true");
    let reset = match source.start {
        // Every assignment names its offset. If that is gone, records are lost, and someone must know.
        Start::Committed => "error",
        Start::Replay | Start::Earliest => "earliest",
    };
    client.set("auto.offset.reset", reset);
    client
}

/// What librdkafka has against properties, without connecting to anything: the name of each and the reason.
pub fn refused(properties: &Properties) -> Vec<(String, String)> {
    properties
        .reveal()
        .filter_map(|(name, value)| {
            let refused = ClientConfig::new().set(name, value).create_native_config().err()?;
            let shown = if Properties::is_secret(name) { crate::config::value::MASK } else { value };
            let reason = match refused {
                rdkafka::error::KafkaError::ClientConfig(_, reason, _, _) => reason.replace(value, shown),
                other => other.to_string(),
            };
            Some((name.to_owned(), reason))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Layers;

    #[test]
    fn properties_are_passed_through_and_ours_cannot_be_lost() {
        let text = "[source.kafka]\nbrokers = \"b:9\"\n[source.kafka.properties]\nfetch.wait.max.ms = 7\n";
        let config = Layers::new().file("c", text).resolve().expect("fits");
        let client = client_config(&config.source.kafka);
        for (name, value) in [
            ("bootstrap.servers", "b:9"),
            ("group.id", "fundwatch"),
            ("fetch.wait.max.ms", "7"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("group.protocol", "classic"),
            ("isolation.level", "read_committed"),
            ("fetch.queue.backoff.ms", "10"),
        ] {
            assert_eq!(client.get(name), Some(value), "{name}");
        }
        client.create_native_config().expect("librdkafka takes all of it");
    }

    #[test]
    fn wrong_properties_are_found_without_a_broker() {
        let mut properties = Properties::default();
        for (name, value) in [("fetch.min.bytes", "1"), ("fetch.mim.bytes", "1"), ("session.timeout.ms", "soon")] {
            properties.0.insert(name.to_owned(), value.to_owned());
        }
        let refused: Vec<String> = refused(&properties).into_iter().map(|(name, _)| name).collect();
        assert_eq!(refused, ["fetch.mim.bytes", "session.timeout.ms"]);
    }
}
