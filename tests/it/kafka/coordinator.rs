//! Faults that only librdkafka's imitation of a cluster can have on demand: leaders that go, slow answers, errors of
//! coordinators. It knows transactions, but no aborted ones: what was produced is there, whatever became of it.

use super::{LIMIT, Names, Sample, Setup};
use crate::support::kafka::Broker;
use crate::support::wait_until;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};
use std::time::Duration;

const PARTITIONS: i32 = 2;
const BROKERS: i32 = 3;

/// Three brokers, with a topic for everything.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    broker: Broker,
}

impl Cluster {
    fn new() -> Cluster {
        let mock = MockCluster::new(BROKERS).expect("a cluster in this process");
        // The last one never goes, so that kcat has nothing to complain of.
        let servers = mock.bootstrap_servers();
        let broker = Broker::elsewhere(servers.rsplit(',').next().expect("three").to_owned());
        Cluster { mock, broker }
    }

    fn setup(&self, sample: &Sample) -> Setup<'_> {
        let names = Names::new();
        for topic in [&names.records, &names.alerts, &names.dead_letters] {
            self.mock.create_topic(topic, PARTITIONS, BROKERS).expect("a topic");
        }
        Setup::on(&self.broker, names, Some(&sample.city.registry()))
    }

    /// Moves a topic, as an election does.
    fn lead(&self, topic: &str, leader: i32) {
        for partition in 0..PARTITIONS {
            self.mock.partition_leader(topic, partition, Some(leader)).expect("it leads");
        }
    }

    fn wait_for_commit(&self, setup: &Setup<'_>, end: usize) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", &setup.names.group)
            .create()
            .expect("a consumer");
        wait_until("offsets are committed up to the end", LIMIT, || {
            let mut asked = TopicPartitionList::new();
            for partition in 0..PARTITIONS {
                asked.add_partition(&setup.names.records, partition);
            }
            let committed = consumer.committed_offsets(asked, LIMIT / 6).ok()?;
            let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
            let sum: i64 = committed.elements().iter().map(|element| offset(element.offset())).sum();
            (sum == end as i64).then_some(())
        });
    }
}

const QUICK: [(&str, &str); 4] = [
    ("ENGINE__BATCH_MESSAGES", "40"),
    ("HTTP__READY_DELAY", "500ms"),
    ("STATE__INTERVAL", "200ms"),
    ("SINKS__KAFKA__PROPERTIES__MESSAGE_TIMEOUT_MS", "1000"),
];

#[test]
fn leaders_that_go_and_slow_answers_cost_no_alert() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(4)).collect();
    let cluster = Cluster::new();
    let setup = cluster.setup(&sample);
    // The first broker leads the alerts, the second the records, and the third coordinates.
    let (alerts, records) = (&setup.names.alerts, &setup.names.records);
    let id = format!("fundwatch-{}", setup.names.group);
    for coordinator in [MockCoordinator::Group(setup.names.group.clone()), MockCoordinator::Transaction(id)] {
        cluster.mock.coordinator(coordinator, 3).expect("it coordinates");
    }
    cluster.lead(alerts, 1);
    cluster.lead(records, 2);
    let mut running = setup.run_with(&QUICK);
    setup.send(parts[0]);
    let seen = setup.wait_for_more_alerts(0, &mut running);
    running.wait_for_answer("/readyz", 200);
    // The leader of the alerts goes, then another is elected.
    cluster.mock.broker_down(1).expect("it goes");
    setup.send(parts[1]);
    running.wait_for_answer("/readyz", 503);
    cluster.lead(alerts, 3);
    let seen = setup.wait_for_more_alerts(seen, &mut running);
    cluster.mock.broker_up(1).expect("it comes back");
    // The same with the records.
    setup.send(parts[2]);
    cluster.mock.broker_down(2).expect("it goes");
    running.wait_for_answer("/readyz", 503);
    cluster.lead(records, 1);
    setup.wait_for_more_alerts(seen, &mut running);
    running.wait_for_answer("/readyz", 200);
    // Everything takes its time.
    cluster.mock.broker_round_trip_time(-1, Duration::from_millis(400)).expect("it is slow");
    setup.send(parts[3]);
    cluster.wait_for_commit(&setup, lines.len());
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}

#[test]
fn errors_of_coordinators_that_pass_are_waited_for() {
    const PASSING: [Code; 5] = [
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    ];
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(3)).collect();
    let cluster = Cluster::new();
    let setup = cluster.setup(&sample);
    setup.send(parts[0]);
    // From the start on.
    for api in [Api::InitProducerId, Api::FindCoordinator, Api::JoinGroup, Api::OffsetFetch, Api::ListOffsets] {
        cluster.mock.request_errors(api, &PASSING[..3]);
    }
    let mut running = setup.run_with(&QUICK);
    let mut seen = 0;
    for part in &parts[1..] {
        for api in [Api::AddPartitionsToTxn, Api::EndTxn, Api::OffsetCommit] {
            cluster.mock.request_errors(api, &PASSING);
        }
        cluster.mock.request_errors(Api::Fetch, &[Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2]);
        setup.send(part);
        seen = setup.wait_for_more_alerts(seen, &mut running);
        // The group takes it for gone, and lets it in again.
        cluster.mock.request_errors(Api::Heartbeat, &[Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    }
    cluster.wait_for_commit(&setup, lines.len());
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}

#[test]
fn a_transaction_that_ends_badly_is_made_again() {
    // What has to be aborted, and what has to be left to another producer, without another process.
    let errors = [
        (Api::AddPartitionsToTxn, Code::RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED),
        (Api::AddPartitionsToTxn, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING),
        (Api::AddPartitionsToTxn, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Api::EndTxn, Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (Api::EndTxn, Code::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE),
    ];
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(errors.len() + 1)).collect();
    let cluster = Cluster::new();
    let setup = cluster.setup(&sample);
    let mut running = setup.run_with(&QUICK);
    setup.send(parts[0]);
    let mut seen = setup.wait_for_more_alerts(0, &mut running);
    for (number, (api, code)) in errors.into_iter().enumerate() {
        cluster.mock.request_errors(api, &[code]);
        setup.send(parts[number + 1]);
        seen = setup.wait_for_more_alerts(seen, &mut running);
        let retries = running.metric("fundwatch_sink_retries_total{sink=\"kafka\"}");
        assert!(retries >= Some((number + 1) as f64), "{api:?} {code:?}: {retries:?}\n{}", running.words());
    }
    cluster.wait_for_commit(&setup, lines.len());
    running.wait_for_answer("/readyz", 200);
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}

#[test]
fn a_transactional_id_that_is_refused_ends_it_with_words() {
    let sample = Sample::new();
    let lines = sample.lines();
    let cluster = Cluster::new();
    let setup = cluster.setup(&sample);
    let keys = [QUICK.as_slice(), &[("HTTP__LINGER", "0s")]].concat();
    let mut running = setup.run_with(&keys);
    setup.send(&lines[..lines.len() / 2]);
    setup.wait_for_more_alerts(0, &mut running);
    let refused = Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    cluster.mock.request_errors(Api::EndTxn, &[refused]);
    setup.send(&lines[lines.len() / 2..]);
    let log = running.log.clone();
    let status = running.wait("it ends");
    let words = std::fs::read_to_string(log).unwrap_or_default();
    assert_eq!(status.code(), Some(2), "{words}");
    assert!(words.contains("the kafka sink has failed"), "{words}");
}
