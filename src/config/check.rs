//! Fields that must fit each other, and fields that follow from others.

use super::value::duration_text;
use super::{AlertmanagerSink, Config, DeadLetters, LetterKind, Letters, SourceKind};
use std::time::Duration;

/// Fields that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The key to change.
    pub key: &'static str,
    /// What is wrong, with the numbers.
    pub message: String,
}

/// The `session.timeout.ms` of librdkafka where the properties do not set it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);
/// The `max.poll.interval.ms` of librdkafka where the properties do not set it.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// Properties that are ours to set, with the reason.
const OURS: [(&str, &str); 7] = [
    ("bootstrap.servers", "set `brokers`"),
    ("metadata.broker.list", "set `brokers`"),
    ("group.id", "set `group`"),
    ("enable.auto.commit", "offsets are committed by fundwatch once alerts are out"),
    ("enable.auto.offset.store", "offsets are committed by fundwatch once alerts are out"),
    ("enable.partition.eof", "set `until_end`"),
    ("auto.offset.reset", "set `start`"),
];

/// Compares fields with each other.
pub fn cross_checks(config: &Config) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut check = |fits: bool, key: &'static str, message: String| {
        if !fits {
            wrong.push(Wrong { key, message });
        }
    };
    let engine = &config.engine;
    check(
        engine.shards <= 4096,
        "engine.shards",
        format!("`engine.shards` is {}; at most 4096 make sense", engine.shards),
    );
    check(
        engine.threads <= 1024,
        "engine.threads",
        format!("`engine.threads` is {}; at most 1024 make sense", engine.threads),
    );
    check(
        (1..=1_000_000).contains(&engine.batch_messages),
        "engine.batch_messages",
        format!("`engine.batch_messages` is {}; it must be from 1 to 1000000", engine.batch_messages),
    );
    check(
        (1024..=1 << 30).contains(&engine.batch_bytes.0),
        "engine.batch_bytes",
        format!("`engine.batch_bytes` is {}; it must be from 1KiB to 1GiB", engine.batch_bytes),
    );
    check(
        (1024..=1 << 30).contains(&engine.longest_message.0),
        "engine.longest_message",
        format!("`engine.longest_message` is {}; it must be from 1KiB to 1GiB", engine.longest_message),
    );
    check(
        engine.linger <= Duration::from_secs(10),
        "engine.linger",
        format!("`engine.linger` is {}; above 10s alerts are no longer live", duration_text(engine.linger)),
    );
    check(
        (1..=1024).contains(&engine.batches_ahead),
        "engine.batches_ahead",
        format!("`engine.batches_ahead` is {}; it must be from 1 to 1024", engine.batches_ahead),
    );
    if let Err(error) = crate::clock::Clock::of_zone(&engine.time_zone) {
        check(false, "engine.time_zone", format!("`engine.time_zone`: {error}"));
    }
    let simulator = &config.source.simulator;
    check(
        simulator.persons > 0,
        "source.simulator.persons",
        "`source.simulator.persons` is 0; a city needs people".into(),
    );
    check(
        simulator.rate >= 0.0 && simulator.rate.is_finite(),
        "source.simulator.rate",
        format!("`source.simulator.rate` is {}; it must be 0 or more", simulator.rate),
    );
    match config.source.kind {
        SourceKind::File => {
            check(
                !config.source.file.paths.is_empty(),
                "source.file.paths",
                "`source.kind` is \"file\", but `source.file.paths` names none".into(),
            );
        }
        SourceKind::Kafka => kafka_source(config, &mut check),
        SourceKind::Simulator | SourceKind::Stdin => {}
    }
    sinks(config, &mut check);
    for (key, properties) in [
        ("source.kafka.properties", &config.source.kafka.properties),
        ("sinks.kafka.properties", &config.sinks.kafka.properties),
        ("dead_letters.properties", &config.dead_letters.properties),
        ("late.properties", &config.late.properties),
    ] {
        for (name, reason) in crate::source::kafka::settings::refused(properties) {
            check(false, key, format!("property `{name}` in [{key}]: {reason}"));
        }
    }
    let state = &config.state;
    check(state.keep > 0, "state.keep", "`state.keep` is 0; it must be at least 1".into());
    check(
        state.interval >= Duration::from_millis(100),
        "state.interval",
        format!("`state.interval` is {}; below 100ms nothing else gets done", duration_text(state.interval)),
    );
    check(
        state.url.is_empty() || state.url.starts_with("s3://"),
        "state.url",
        format!("`state.url` is \"{}\"; write s3://bucket/prefix, or leave it empty and set `state.path`", state.url),
    );
    if config.http.enabled {
        let listen = &config.http.listen;
        check(
            listen.parse::<std::net::SocketAddr>().is_ok(),
            "http.listen",
            format!("`http.listen` is \"{listen}\"; write an address and a port as in \"127.0.0.1:9464\""),
        );
    }
    wrong
}

fn kafka_source(config: &Config, check: &mut impl FnMut(bool, &'static str, String)) {
    let kafka = &config.source.kafka;
    check(!kafka.brokers.is_empty(), "source.kafka.brokers", "`source.kafka.brokers` is empty".into());
    check(!kafka.group.is_empty(), "source.kafka.group", "`source.kafka.group` is empty".into());
    check(!kafka.topics.is_empty(), "source.kafka.topics", "`source.kafka.topics` names none".into());
    check(
        !kafka.topics.iter().any(|topic| topic.starts_with('^')),
        "source.kafka.topics",
        "`source.kafka.topics` takes names, no patterns".into(),
    );
    for (name, reason) in OURS {
        check(
            kafka.properties.get(name).is_none(),
            "source.kafka.properties",
            format!("property `{name}` of `source.kafka` cannot be set: {reason}"),
        );
    }
    let millis = |name: &str, default: Duration| {
        kafka.properties.get(name).and_then(|text| text.parse().ok()).map_or(default, Duration::from_millis)
    };
    let session = millis("session.timeout.ms", SESSION_TIMEOUT);
    let poll = millis("max.poll.interval.ms", MAX_POLL_INTERVAL);
    let shutdown = config.engine.shutdown_timeout;
    check(
        shutdown < session,
        "engine.shutdown_timeout",
        format!(
            "`engine.shutdown_timeout` is {}, but the group takes partitions away after session.timeout.ms = {}; it must be below",
            duration_text(shutdown),
            session.as_millis()
        ),
    );
    check(
        session <= poll,
        "source.kafka.properties",
        format!("session.timeout.ms = {} is above max.poll.interval.ms = {}", session.as_millis(), poll.as_millis()),
    );
    check(
        kafka.commit_interval < session,
        "source.kafka.commit_interval",
        format!(
            "`source.kafka.commit_interval` is {}; it must be below session.timeout.ms = {}",
            duration_text(kafka.commit_interval),
            session.as_millis()
        ),
    );
}

fn sinks(config: &Config, check: &mut impl FnMut(bool, &'static str, String)) {
    let sinks = &config.sinks;
    for (key, queue) in [
        ("sinks.terminal.queue", sinks.terminal.queue()),
        ("sinks.file.queue", sinks.file.queue()),
        ("sinks.kafka.queue", sinks.kafka.queue()),
        ("sinks.webhook.queue", sinks.webhook.queue()),
        ("sinks.alertmanager.queue", sinks.alertmanager.queue()),
        ("sinks.sqlite.queue", sinks.sqlite.queue()),
    ]
    .map(|(key, queue)| (key, queue.capacity))
    .into_iter()
    .chain([("dead_letters.queue", config.dead_letters.queue), ("late.queue", config.late.queue)])
    {
        check(queue > 0, key, format!("`{key}` is 0; it must be at least 1"));
    }
    for (key, size) in [
        ("sinks.file.rotate_bytes", sinks.file.rotate_bytes),
        ("dead_letters.rotate_bytes", config.dead_letters.rotate_bytes),
        ("late.rotate_bytes", config.late.rotate_bytes),
    ] {
        check(size.0 >= 4096, key, format!("`{key}` is {size}; it must be at least 4KiB"));
    }
    if sinks.webhook.enabled {
        let url = sinks.webhook.url.reveal();
        check(
            url.starts_with("http://") || url.starts_with("https://"),
            "sinks.webhook.url",
            "`sinks.webhook.enabled` is true, but `sinks.webhook.url` is no http:// or https:// address".into(),
        );
        check(!sinks.webhook.timeout.is_zero(), "sinks.webhook.timeout", "`sinks.webhook.timeout` is 0s".into());
    }
    if sinks.alertmanager.enabled {
        alertmanager(&sinks.alertmanager, check);
    }
    let no_brokers = config.source.kafka.brokers.is_empty();
    if sinks.kafka.enabled {
        check(!sinks.kafka.topic.is_empty(), "sinks.kafka.topic", "`sinks.kafka.topic` is empty".into());
        let known = !(sinks.kafka.brokers.is_empty() && no_brokers);
        check(known, "sinks.kafka.brokers", "`sinks.kafka.brokers` and `source.kafka.brokers` are both empty".into());
        let loops = config.source.kind == SourceKind::Kafka && config.source.kafka.topics.contains(&sinks.kafka.topic);
        check(
            !loops,
            "sinks.kafka.topic",
            format!(
                "`sinks.kafka.topic` is \"{}\", which the source reads: alerts would come back as records",
                sinks.kafka.topic
            ),
        );
    }
    let DeadLetters { stop_at_ratio, ratio_over, .. } = config.dead_letters;
    check(
        (0.0..=1.0).contains(&stop_at_ratio),
        "dead_letters.stop_at_ratio",
        format!("`dead_letters.stop_at_ratio` is {stop_at_ratio}; it must be from 0 to 1"),
    );
    check(
        (1..=1_000_000_000).contains(&ratio_over),
        "dead_letters.ratio_over",
        format!("`dead_letters.ratio_over` is {ratio_over}; it must be from 1 to 1000000000"),
    );
    letters(
        config,
        check,
        config.dead_letters.letters(),
        ["dead_letters.topic", "dead_letters.brokers"],
        "dead letters",
    );
    letters(config, check, config.late.letters(), ["late.topic", "late.brokers"], "late records");
    let (dead, late) = (config.dead_letters.letters(), config.late.letters());
    let one_file = dead.kind == LetterKind::File && late.kind == LetterKind::File && dead.path == late.path;
    check(
        !one_file,
        "late.path",
        format!("`late.path` is \"{}\", as is `dead_letters.path`; each needs a file of its own", late.path.display()),
    );
}

fn alertmanager(sink: &AlertmanagerSink, check: &mut impl FnMut(bool, &'static str, String)) {
    let is_address = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    check(
        is_address(sink.url.reveal()),
        "sinks.alertmanager.url",
        "`sinks.alertmanager.enabled` is true, but `sinks.alertmanager.url` is no http:// or https:// address".into(),
    );
    check(
        sink.link.is_empty() || is_address(&sink.link),
        "sinks.alertmanager.link",
        format!(
            "`sinks.alertmanager.link` is \"{}\"; write an http:// or https:// address, or leave it empty",
            sink.link
        ),
    );
    check(!sink.timeout.is_zero(), "sinks.alertmanager.timeout", "`sinks.alertmanager.timeout` is 0s".into());
    check(
        sink.resend_interval >= Duration::from_secs(1),
        "sinks.alertmanager.resend_interval",
        format!(
            "`sinks.alertmanager.resend_interval` is {}; it must be at least 1s",
            duration_text(sink.resend_interval)
        ),
    );
    check(sink.limit > 0, "sinks.alertmanager.limit", "`sinks.alertmanager.limit` is 0; it must be at least 1".into());
}

/// Dead letters or late records in a topic; `keys` are those of the topic and of the brokers.
fn letters(
    config: &Config,
    check: &mut impl FnMut(bool, &'static str, String),
    letters: Letters<'_>,
    [topic, brokers]: [&'static str; 2],
    what: &str,
) {
    if letters.kind != LetterKind::Kafka {
        return;
    }
    check(!letters.topic.is_empty(), topic, format!("`{topic}` is empty"));
    let known = !(letters.brokers.is_empty() && config.source.kafka.brokers.is_empty());
    check(known, brokers, format!("`{brokers}` and `source.kafka.brokers` are both empty"));
    let topics = &config.source.kafka.topics;
    let loops = config.source.kind == SourceKind::Kafka && topics.iter().any(|read| read == letters.topic);
    check(
        !loops,
        topic,
        format!("`{topic}` is \"{}\", which the source reads: {what} would go round for ever", letters.topic),
    );
}

/// Gives producers without brokers those of the source, with what it takes to be let in.
pub fn inherit_connection(config: &mut Config) {
    let source = &config.source.kafka;
    let connection = ["security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl."];
    for (brokers, properties) in [
        (&mut config.sinks.kafka.brokers, &mut config.sinks.kafka.properties),
        (&mut config.dead_letters.brokers, &mut config.dead_letters.properties),
        (&mut config.late.brokers, &mut config.late.properties),
    ] {
        if !brokers.is_empty() {
            continue;
        }
        brokers.clone_from(&source.brokers);
        for (name, value) in source.properties.reveal() {
            if connection.iter().any(|prefix| name.starts_with(prefix)) {
                properties.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Layers;

    #[test]
    fn fields_must_fit_each_other() {
        for (text, key, says) in [
            ("[source]\nkind=\"file\"", "source.file.paths", "names none"),
            ("[engine]\nshutdown_timeout=\"60s\"\n[source]\nkind=\"kafka\"", "c.toml:2:18", "45000"),
            (
                "[source]\nkind=\"kafka\"\n[source.kafka.properties]\nenable.auto.commit=true",
                "source.kafka.properties",
                "committed by fundwatch",
            ),
            (
                "[source]\nkind=\"kafka\"\n[sinks.kafka]\nenabled=true\ntopic=\"fundwatch.records\"",
                "c.toml:5:7",
                "come back",
            ),
            ("[sinks.webhook]\nenabled=true", "sinks.webhook.url", "no http://"),
            ("[sinks.alertmanager]\nenabled=true", "sinks.alertmanager.url", "no http://"),
            (
                "[sinks.alertmanager]\nenabled=true\nurl=\"http://a:9093\"\nresend_interval=\"500ms\"",
                "c.toml:4:17",
                "at least 1s",
            ),
            (
                "[sinks.alertmanager]\nenabled=true\nurl=\"http://a:9093\"\nlink=\"fundwatch.example\"",
                "c.toml:4:6",
                "write an http://",
            ),
            ("[engine]\ntime_zone=\"Asia/Nowhere\"", "c.toml:2:11", "Asia/Nowhere"),
            ("[http]\nlisten=\"9464\"", "c.toml:2:8", "127.0.0.1:9464"),
            ("[engine]\nbatch_messages=0", "c.toml:2:16", "from 1 to"),
            ("[dead_letters]\nstop_at_ratio=1.5", "c.toml:2:15", "from 0 to 1"),
            ("[dead_letters]\nratio_over=0", "c.toml:2:12", "from 1 to"),
            ("[late]\nqueue=0", "c.toml:2:7", "at least 1"),
            ("[late]\npath=\"fundwatch-data/dead-letters.jsonl\"", "c.toml:2:6", "a file of its own"),
            (
                "[source]\nkind=\"kafka\"\n[late]\nkind=\"kafka\"\ntopic=\"fundwatch.records\"",
                "c.toml:5:7",
                "late records would go round",
            ),
        ] {
            let mistakes = Layers::new().file("c.toml", text).resolve().expect_err(text).0;
            assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
            assert!(mistakes[0].message.contains(says), "{mistakes:?}");
            let place = &mistakes[0].place;
            assert!(place == key || place.starts_with("built-in defaults:"), "{place}");
            assert!(key.starts_with("c.toml") == place.starts_with("c.toml"), "{place}");
        }
    }

    #[test]
    fn producers_take_the_connection_of_the_source() {
        let config = Layers::new()
            .file(
                "c",
                "[source.kafka]\nbrokers=\"b:1\"\n[source.kafka.properties]\nsasl.password=\"p\"\nfetch.min.bytes=2",
            )
            .resolve()
            .expect("fits");
        assert_eq!(config.sinks.kafka.brokers, "b:1");
        assert_eq!(config.sinks.kafka.properties.get("sasl.password"), Some("p"));
        assert_eq!(config.sinks.kafka.properties.get("fetch.min.bytes"), None);
        let own = Layers::new().file("c", "[sinks.kafka]\nbrokers=\"c:2\"").resolve().expect("fits");
        assert_eq!(own.sinks.kafka.brokers, "c:2");
    }
}
