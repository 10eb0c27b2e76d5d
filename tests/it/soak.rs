//! A steady load for long, through a real Kafka: memory, descriptors and threads stay where they were once the retained
//! days are full, and everything sent is processed.
//!
//! At full length, twice the nation's busy hour:
//! `FUNDWATCH_SOAK=3600 FUNDWATCH_RATE=6000 FUNDWATCH_PERSONS=2000000 ./dev test soak -- --nocapture`

use crate::kafka::{Running, Setup};
use crate::support::kafka::Broker;
use crate::support::{number, wait_until};
use fundwatch::simulate::{Options, Simulator};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::fs;
use std::time::{Duration, Instant};

/// What a process holds at a moment, and what it has done by then.
struct Sample {
    seconds: f64,
    /// Resident bytes.
    memory: f64,
    descriptors: usize,
    threads: usize,
    received: u64,
    lag: u64,
    /// How many batches took at most so many seconds, by bucket.
    latency: Vec<(f64, u64)>,
}

impl Sample {
    fn take(running: &Running, start: Instant) -> Sample {
        let process = running.child.id();
        let entries = |folder: &str| fs::read_dir(format!("/proc/{process}/{folder}")).map_or(0, Iterator::count);
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let report = running.status();
        let metrics = running.get("/metrics").1;
        let bucket = |line: &str| {
            let (limit, count) = line.strip_prefix("fundwatch_latency_seconds_bucket{le=\"")?.split_once("\"} ")?;
            Some((limit.parse().ok()?, count.parse().ok()?))
        };
        Sample {
            seconds: start.elapsed().as_secs_f64(),
            memory: memory.and_then(|text| text.parse::<f64>().ok()).expect("resident memory") * 1024.0,
            descriptors: entries("fd"),
            threads: entries("task"),
            received: report["records"]["received"].as_u64().expect("a count"),
            lag: report["lag_records"].as_u64().expect("a count"),
            latency: metrics.lines().filter_map(bucket).collect(),
        }
    }

    /// The limit that so large a share of the batches since another sample has kept, in milliseconds.
    fn latency_since(&self, before: &Sample, share: f64) -> f64 {
        let counts = || self.latency.iter().zip(&before.latency).map(|(now, then)| (now.0, now.1 - then.1));
        let wanted = counts().map(|(_, count)| count).max().unwrap_or(0) as f64 * share;
        counts().find(|(_, count)| *count as f64 >= wanted).map_or(f64::NAN, |(limit, _)| limit * 1e3)
    }

    fn say(&self, before: &Sample) {
        eprintln!(
            "{:5.0} s  {:7.0} MB  {} descriptors  {} threads  {:6.0} records/s  lag {:6}  p50 {:4} ms  p99 {:4} ms",
            self.seconds,
            self.memory / 1e6,
            self.descriptors,
            self.threads,
            (self.received - before.received) as f64 / (self.seconds - before.seconds),
            self.lag,
            self.latency_since(before, 0.5),
            self.latency_since(before, 0.99),
        );
    }
}

/// Sends a city at a steady rate of settlements; returns how many records that were.
fn send(address: &str, topic: &str, rate: u64, persons: u64, go_on: impl Fn() -> bool) -> u64 {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .create()
        .expect("a producer");
    let persons = u32::try_from(persons).expect("not so many");
    let mut city = Simulator::new(Options { persons, days: None, ..Options::default() });
    let start = Instant::now();
    let (mut settlements, mut sent, mut line) = (0, 0, Vec::new());
    while go_on() {
        line.clear();
        city.next_line(&mut line);
        city.take_truth();
        if line.starts_with(b"{\"type\":\"settlement\"") {
            settlements += 1;
            let due = start + Duration::from_nanos(settlements * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        while let Err((error, _)) = producer.send(BaseRecord::<(), _>::to(topic).payload(&line)) {
            assert!(error.rdkafka_error_code().is_some(), "{error}");
            std::thread::sleep(Duration::from_millis(1));
        }
        sent += 1;
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    sent
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn nothing_grows_under_a_steady_load() {
    let (seconds, rate) = (number("FUNDWATCH_SOAK", 24), number("FUNDWATCH_RATE", 1_000));
    let persons = number("FUNDWATCH_PERSONS", 10_000);
    // What is retained fills in a sixth of the run: a person is settled for about once in 25 days.
    let days = (rate * seconds * 25 / persons / 6).clamp(2, 400);
    // The disk need not hold an hour of records.
    let broker = Broker::start_with(&["log.retention.bytes=1000000000", "log.segment.bytes=100000000"]);
    let setup = Setup::new(&broker, 2, None);
    let topic = setup.names.records.clone();
    let retention = format!("{days}d");
    let running = setup.run_with(&[("ENGINE__RETENTION", &retention), ("ENGINE__FUTURE_SKEW", "3650d")]);
    let (start, length) = (Instant::now(), Duration::from_secs(seconds));
    let (samples, sent) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples = vec![Sample::take(&running, start)];
            while start.elapsed() < length {
                std::thread::sleep(Duration::from_secs(seconds).div_f64(60.0));
                samples.push(Sample::take(&running, start));
                let [.., before, last] = &samples[..] else { unreachable!("two at least") };
                last.say(before);
            }
            samples
        });
        let sent = send(broker.address(), &topic, rate, persons, || start.elapsed() < length && !sampler.is_finished());
        (sampler.join().expect("the program runs"), sent)
    });
    wait_until("everything is processed", Duration::from_mins(2), || {
        (Sample::take(&running, start).received == sent).then_some(())
    });
    let quarter = |number: usize| &samples[samples.len() * number / 4..samples.len() * (number + 1) / 4];
    let memory = |number| median(quarter(number).iter().map(|sample| sample.memory).collect());
    let most = |number, of: fn(&Sample) -> usize| quarter(number).iter().map(of).max().expect("samples");
    let (second, last) = (memory(1), memory(3));
    eprintln!("{sent} records, {days} days retained; memory {:.0} MB, then {:.0} MB", second / 1e6, last / 1e6);
    // In a short run caches and pages of the allocator still fill.
    let bearable = if seconds < 200 { 1.25 } else { 1.05 };
    assert!(last < second * bearable, "memory grows from {second} to {last} bytes");
    let descriptors = |number| most(number, |sample| sample.descriptors);
    // A connection may be made anew, and a segment of a checkpoint be under way.
    assert!(descriptors(3) <= descriptors(1) + 3, "descriptors: {} to {}", descriptors(1), descriptors(3));
    let threads = |number| most(number, |sample| sample.threads);
    assert!(threads(3) <= threads(1) + 1, "threads: {} to {}", threads(1), threads(3));
    running.terminate_in_order();
}
