//! The source against the broker that librdkafka simulates inside the process.

use super::super::{Event, Limits, Received, Running, start};
use super::*;
use crate::config::Start;
use crate::config::load::Layers;
use rdkafka::ClientConfig;
use rdkafka::consumer::DefaultConsumerContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

/// The simulated broker lets a group form only when its former members have timed out.
const PATIENCE: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_millis(500);

struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl World {
    fn new(topics: &[(&str, i32)]) -> Self {
        let cluster = MockCluster::new(1).expect("a cluster in this process");
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1).expect("a topic");
        }
        let producer =
            ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().expect("a producer");
        Self { cluster, producer }
    }

    /// Sends payloads to a partition; `None` is a tombstone.
    fn send(&self, topic: &str, partition: i32, payloads: &[Option<&str>]) {
        for payload in payloads {
            let record = BaseRecord::<str, str>::to(topic).partition(partition).key("k");
            let record = match payload {
                Some(payload) => record.payload(payload),
                None => record,
            };
            self.producer.send(record).map_err(|(error, _)| error).expect("room");
        }
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
        }
    }

    fn config(&self, topics: &[&str], start: Start) -> Config {
        let text = format!(
            "[source.kafka]\nbrokers = \"{}\"\ngroup = \"g\"\ncommit_interval = \"10ms\"\n\
             [source.kafka.properties]\nfetch.wait.max.ms = 10\nsession.timeout.ms = 6000\nheartbeat.interval.ms = 500\n",
            self.cluster.bootstrap_servers()
        );
        let mut config = Layers::new().file("test", text).resolve().expect("good").source.kafka;
        config.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        config.start = start;
        config
    }

    fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer<DefaultConsumerContext> = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", "g")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let offsets = consumer.committed_offsets(list, PATIENCE).expect("an answer");
        match offsets.find_partition(topic, partition).expect("asked for").offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

fn limits() -> Limits {
    Limits { messages: 1_000, bytes: 1 << 20, linger: Duration::from_millis(2), longest_message: 1 << 20 }
}

fn run(config: Config) -> Running {
    start(Box::new(KafkaSource::new(config, limits(), DRAIN)), 4).expect("a thread")
}

/// What comes, as `topic[partition]@offset` of each message, or the name of the event, until `until` says enough.
fn collect(running: &Running, acknowledge: bool, mut until: impl FnMut(&[String]) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while !until(&seen) && Instant::now() < deadline {
        match running.inlet.receive(Duration::from_millis(50)) {
            Received::Event(Event::Batch(delivery)) => {
                let batch = &delivery.batch;
                for message in &batch.messages {
                    let before = delivery.settled_before.get(message.origin as usize).copied().unwrap_or(0);
                    let settled = if message.position < before { " settled" } else { "" };
                    seen.push(batch.position(message) + settled);
                }
                if acknowledge {
                    running.inlet.set_done(delivery.number);
                }
            }
            Received::Event(Event::WarmUpBegins) => seen.push("begins".to_owned()),
            Received::Event(Event::WarmUpEnds) => seen.push("ends".to_owned()),
            Received::Nothing => {}
            Received::End => break,
        }
    }
    seen
}

fn finish(running: Running) {
    running.inlet.stop();
    collect(&running, false, |_| false);
    running.join().expect("it was in order");
}

#[test]
fn offsets_are_committed_only_for_what_is_done() {
    let world = World::new(&[("t", 1)]);
    world.send("t", 0, &[Some("{}"); 3]);
    // Traps 3 and 16: nothing is committed by fetching or closing, and a tombstone counts.
    let running = run(world.config(&["t"], Start::Committed));
    assert_eq!(collect(&running, false, |seen| seen.len() >= 3), ["t[0]@0", "t[0]@1", "t[0]@2"]);
    finish(running);
    assert_eq!(world.committed("t", 0), None);

    world.send("t", 0, &[None]);
    let running = run(world.config(&["t"], Start::Committed));
    let seen = collect(&running, true, |seen| seen.len() >= 3);
    assert_eq!(seen, ["t[0]@0", "t[0]@1", "t[0]@2"], "they come again");
    let deadline = Instant::now() + PATIENCE;
    while running.inlet.condition().counts.tombstones == 0 && Instant::now() < deadline {
        assert_eq!(collect(&running, true, |_| running.inlet.condition().counts.tombstones > 0).len(), 0);
    }
    finish(running);
    assert_eq!(world.committed("t", 0), Some(4));

    world.send("t", 0, &[Some("{}")]);
    let running = run(world.config(&["t"], Start::Committed));
    assert_eq!(collect(&running, true, |seen| !seen.is_empty()), ["t[0]@4"], "where it stopped");
    finish(running);
}

#[test]
fn a_replay_tells_what_is_old_in_all_partitions_first() {
    let world = World::new(&[("t", 2)]);
    world.send("t", 0, &[Some("{}"); 2]);
    world.send("t", 1, &[Some("{}"); 3]);
    let running = run(world.config(&["t"], Start::Replay));
    let seen = collect(&running, true, |seen| seen.len() >= 5);
    assert_eq!(seen.len(), 5, "a first run has nothing to rebuild: {seen:?}");
    finish(running);
    assert_eq!((world.committed("t", 0), world.committed("t", 1)), (Some(2), Some(3)));

    world.send("t", 0, &[Some("{}"); 4]);
    world.send("t", 1, &[Some("{}"); 1]);
    let running = run(world.config(&["t"], Start::Replay));
    let mut seen = collect(&running, true, |seen| seen.len() >= 12);
    assert_eq!(seen.remove(0), "begins", "{seen:?}");
    let ends = seen.iter().position(|event| event == "ends").expect("it ends");
    let mut new = seen.split_off(ends);
    new.remove(0);
    seen.sort();
    new.sort();
    let old = ["t[0]@0", "t[0]@1", "t[1]@0", "t[1]@1", "t[1]@2"].map(|position| format!("{position} settled"));
    assert_eq!(seen, old);
    assert_eq!(new, ["t[0]@2", "t[0]@3", "t[0]@4", "t[0]@5", "t[1]@3"], "each once, though held back");
    finish(running);
    assert_eq!((world.committed("t", 0), world.committed("t", 1)), (Some(6), Some(4)));
}

#[test]
fn a_bounded_run_ends_with_the_last_partition_of_the_last_topic() {
    let world = World::new(&[("a", 2), ("b", 1)]);
    world.send("a", 0, &[Some("{}"); 3]);
    world.send("b", 0, &[Some("{}"); 2]);
    let mut config = world.config(&["a", "b"], Start::Earliest);
    config.until_end = true;
    let running = run(config);
    let mut seen = collect(&running, true, |_| false);
    seen.sort();
    assert_eq!(seen, ["a[0]@0", "a[0]@1", "a[0]@2", "b[0]@0", "b[0]@1"]);
    running.join().expect("it ended by itself");
    assert_eq!((world.committed("a", 0), world.committed("b", 0)), (Some(3), Some(2)));
}

#[test]
fn a_full_pipeline_loses_nothing() {
    let world = World::new(&[("t", 1)]);
    world.send("t", 0, &[Some("{}"); 200]);
    let config = world.config(&["t"], Start::Earliest);
    let limits = Limits { messages: 5, ..limits() };
    let running = start(Box::new(KafkaSource::new(config, limits, DRAIN)), 1).expect("a thread");
    let first = collect(&running, true, |seen| !seen.is_empty());
    // Long enough for the partitions to be paused.
    std::thread::sleep(FULL * 3);
    let rest = collect(&running, true, |seen| first.len() + seen.len() >= 200);
    let expected: Vec<String> = (0..200).map(|offset| format!("t[0]@{offset}")).collect();
    assert_eq!([first, rest].concat(), expected);
    finish(running);
    assert_eq!(world.committed("t", 0), Some(200));
}

#[test]
fn partitions_are_handed_over_with_everything_done() {
    let world = World::new(&[("t", 4)]);
    for partition in 0..4 {
        world.send("t", partition, &[Some("{}"); 5]);
    }
    let one = run(world.config(&["t"], Start::Committed));
    let first = collect(&one, true, |seen| seen.len() >= 20);
    assert_eq!(first.len(), 20);
    // Once the other one knocks, the simulated broker refuses commits.
    let deadline = Instant::now() + PATIENCE;
    while (0..4).any(|partition| world.committed("t", partition) != Some(5)) && Instant::now() < deadline {
        assert_eq!(collect(&one, true, |_| true), [] as [String; 0]);
        std::thread::sleep(Duration::from_millis(10));
    }
    let other = run(world.config(&["t"], Start::Committed));
    let deadline = Instant::now() + PATIENCE;
    while one.inlet.condition().counts.rebalances < 2 && Instant::now() < deadline {
        assert_eq!(collect(&one, true, |_| one.inlet.condition().counts.rebalances >= 2), [] as [String; 0]);
    }
    for partition in 0..4 {
        world.send("t", partition, &[Some("{}")]);
    }
    let mut both = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while both.len() < 4 && Instant::now() < deadline {
        for member in [&one, &other] {
            let turn = Instant::now();
            both.extend(collect(member, true, |_| turn.elapsed() > Duration::from_millis(100)));
        }
    }
    both.sort();
    assert_eq!(both, ["t[0]@5", "t[1]@5", "t[2]@5", "t[3]@5"], "each once, and none of the old ones");
    finish(one);
    finish(other);
}
