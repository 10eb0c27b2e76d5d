//! What checkpoints cost and how fast a start is: for states of several sizes, the size of a checkpoint, the time that
//! cuts and writing take, what they add to the time of a batch, and the time from nothing to ready.
//!
//! `cargo bench --bench recovery`, or `./dev bench --bench recovery -- --details 1000000,3000000,10000000`.

use fundwatch::checkpoint::restore::restore;
use fundwatch::checkpoint::store::Checkpoints;
use fundwatch::checkpoint::writer::{Job, Writer};
use fundwatch::engine::{Engine, Options};
use fundwatch::record::{Batch, Ids, Origin};
use fundwatch::rules::RulesDir;
use fundwatch::rules::rule::RuleSet;
use fundwatch::simulate::{self, Simulator};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages of a batch: what comes in some 50 ms at twice the nation's busy hour.
const BATCH: usize = 1_024;
/// Batches between cuts: about five seconds of such a load.
const BETWEEN: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let place = arguments.iter().position(|argument| argument == "--details");
    let sizes = place.and_then(|place| arguments.get(place + 1)).map_or("1000000,3000000", String::as_str);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads, {BATCH} messages a batch, a checkpoint every {BETWEEN} batches\n");
    println!(
        "{:>10} {:>9} {:>9} {:>11} {:>11} {:>11} {:>11} {:>9}",
        "details", "state MB", "disk MB", "cut ms", "write ms", "p99 without", "p99 with", "ready s"
    );
    for size in sizes.split(',') {
        let details: u64 = size.parse().expect("a number of details");
        let without = fill(details, threads, None);
        let folder = std::env::temp_dir().join(format!("fundwatch-recovery-{}", std::process::id()));
        let with = fill(details, threads, Some(&folder));
        let started = Instant::now();
        let checkpoints = Checkpoints::open(folder.to_str().expect("UTF-8"), []).expect("a folder");
        let restored = restore(&checkpoints, || engine(threads)).expect("whole").expect("a checkpoint");
        let mut restored = restored.engine;
        assert!(restored.end_warm_up().is_empty(), "nothing differs");
        let ready = started.elapsed().as_secs_f64();
        assert_eq!(restored.retained().fee_details, with.details, "everything is back");
        println!(
            "{:>10} {:>9.0} {:>9.0} {:>11.1} {:>11.0} {:>11.1} {:>11.1} {ready:>9.1}",
            with.details,
            without.resident as f64 / 1e6,
            with.bytes as f64 / 1e6,
            with.cut.as_secs_f64() * 1e3,
            with.write.as_secs_f64() * 1e3,
            without.p99.as_secs_f64() * 1e3,
            with.p99.as_secs_f64() * 1e3,
        );
        drop(restored);
        let _ = std::fs::remove_dir_all(&folder);
    }
}

fn engine(threads: usize) -> Engine {
    let ids = Arc::new(Ids::new((threads * 4).next_power_of_two()));
    let rules = RuleSet::load(&RulesDir::BuiltIn, None, &ids).expect("the rules are good");
    Engine::new(Arc::new(rules), ids, &Options { threads, ..Options::default() })
}

/// What filling an engine measured.
struct Filled {
    details: u64,
    /// Growth of resident memory.
    resident: u64,
    /// What all segments of the last checkpoint take.
    bytes: u64,
    /// The longest cut.
    cut: Duration,
    /// The longest writing.
    write: Duration,
    /// Of the time of a batch.
    p99: Duration,
}

/// Fills an engine with so many details, with checkpoints in a folder where one is given.
fn fill(details: u64, threads: usize, folder: Option<&Path>) -> Filled {
    let before = resident();
    let mut engine = engine(threads);
    let checkpoints = folder.map(|folder| Checkpoints::open(folder.to_str().expect("UTF-8"), []).expect("a folder"));
    let writer = checkpoints.map(|checkpoints| Writer::start(checkpoints, None, 3).expect("a thread"));
    if writer.is_some() {
        engine.keep_log(1, &[]);
    }
    let options = simulate::Options { persons: 300_000, days: None, ..simulate::Options::default() };
    let mut city = Simulator::new(options);
    let origin = Arc::new(Origin { name: "city".to_owned(), separator: ':', default_type: None });
    let (mut times, mut line) = (Vec::new(), Vec::new());
    let mut filled =
        Filled { details: 0, resident: 0, bytes: 0, cut: Duration::ZERO, write: Duration::ZERO, p99: Duration::ZERO };
    let mut position = 0;
    while engine.retained().fee_details < details {
        let mut batch = Batch::default();
        let number = batch.origin(&origin);
        for _ in 0..BATCH {
            line.clear();
            city.next_line(&mut line);
            city.take_truth();
            position += 1;
            batch.push(line.trim_ascii_end(), number, position);
        }
        let started = Instant::now();
        engine.process(&batch);
        if let Some(writer) = &writer
            && times.len() % BETWEEN == BETWEEN - 1
            && !writer.is_busy()
        {
            write(&mut engine, writer, position, &mut filled);
        }
        times.push(started.elapsed());
    }
    if let Some(writer) = &writer {
        assert!(writer.wait(Duration::from_secs(60)), "it is written");
        write(&mut engine, writer, position, &mut filled);
        assert!(writer.wait(Duration::from_secs(60)), "it is written");
        for written in writer.written() {
            filled.bytes = written.all_bytes;
            filled.write = filled.write.max(written.time);
        }
    }
    times.sort_unstable();
    filled.p99 = times[times.len() * 99 / 100];
    filled.details = engine.retained().fee_details;
    filled.resident = resident().saturating_sub(before);
    filled
}

fn write(engine: &mut Engine, writer: &Writer, position: u64, filled: &mut Filled) {
    let started = Instant::now();
    let cut = engine.cut().expect("a log is kept");
    filled.cut = filled.cut.max(started.elapsed());
    let positions = BTreeMap::from([("city".to_owned(), position + 1)]);
    writer.write(Job { cut, positions, sinks: BTreeMap::new(), tag: position });
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1_024
}
