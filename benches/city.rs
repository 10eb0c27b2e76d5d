//! The benchmark: a simulated city, all rules on. `cargo bench`, or `./dev bench`.
//!
//! In one run: sonic-rs on plain structs (the yardstick), our decoding alone (the floor), the whole pipeline, on one
//! core and on all, the memory that a retained fee detail takes, and how the cost of a record changes with the number
//! of persons and of rules; and what the default model costs. Each figure comes from a process of its own, best of several
//! passes.
//!
//! `cargo bench -- --persons 200000 --days 10` changes the city.

use fundwatch::engine::{Engine, Options};
use fundwatch::model::file::Model;
use fundwatch::model::replay::Replay;
use fundwatch::model::scorer::Scorer;
use fundwatch::model::trained::Trained;
use fundwatch::record::decode::{Window, decode};
use fundwatch::record::{Batch, Ids, Origin, Time};
use fundwatch::rules::RulesDir;
use fundwatch::rules::rule::RuleSet;
use fundwatch::simulate;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages of a batch.
const BATCH: usize = 2_048;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str, otherwise: u32| -> u32 {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(otherwise)
    };
    match arguments.first().map(String::as_str) {
        Some("measure") => measure(&arguments[1..]),
        _ => compare(value("--persons", 200_000), value("--days", 30)),
    }
}

/// What one process measured.
#[derive(serde::Serialize, serde::Deserialize, Default)]
struct Measured {
    lines: u64,
    details: u64,
    nanoseconds: u64,
    alerts: u64,
    /// Growth of resident memory over the run.
    bytes: u64,
    /// Of the time what models took, and the longest of their turns.
    judging: u64,
    longest_judging: u64,
    /// Entities in windows that models hold.
    observed: u64,
}

/// Runs everything and prints the tables.
fn compare(persons: u32, days: u32) {
    let folder = std::env::temp_dir().join(format!("fundwatch-bench-{}", std::process::id()));
    println!("a city of {persons} persons, {days} days");
    let city = write_city(&folder.join("city"), persons, days);
    println!(
        "{} lines, {:.0} MB, {} settlements, {:.2} details a settlement\n",
        city.lines,
        city.bytes as f64 / 1e6,
        city.settlements,
        (city.embedded_details + city.detail_lines) as f64 / city.settlements as f64
    );
    let file = folder.join("city/records.jsonl");
    let row = |name: &str, nanoseconds: f64| {
        let settlements = city.settlements as f64;
        println!(
            "{name:<34} {:>8.0} ns a line {:>10.0} settlements/s {:>7.0} MB/s",
            nanoseconds / city.lines as f64,
            settlements / nanoseconds * 1e9,
            city.bytes as f64 / nanoseconds * 1e3
        );
    };
    let sonic = sonic(&file);
    if let Some(sonic) = sonic {
        row("sonic-rs, plain structs", sonic);
    }
    let floor = child(&file, "decode", 1, 1, 5).nanoseconds as f64;
    row("decoding alone (the floor)", floor);
    let one = child(&file, "pipeline", 1, 1, 3);
    row("whole pipeline, one core", one.nanoseconds as f64);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = child(&file, "pipeline", cores, 1, 3);
    row(&format!("whole pipeline, {cores} cores"), all.nanoseconds as f64);
    println!();
    if let Some(sonic) = sonic {
        println!("floor / sonic-rs       {:.2}   (reach: at least 0.8)", sonic / floor);
    }
    println!("pipeline / floor       {:.2}   (reach: at least 0.4, aim 0.6)", floor / one.nanoseconds as f64);
    println!("{cores} cores / one core     {:.2}", one.nanoseconds as f64 / all.nanoseconds as f64);
    let memory = once(&file, "pipeline", 1, 1, true);
    println!(
        "memory                 {:.0} bytes a retained fee detail   (reach: at most 96, aim 64)",
        memory.bytes as f64 / memory.details as f64
    );
    println!("alerts                 {}\n", one.alerts);
    // In a process of its own, which leaves no memory behind.
    once(&file, "train", 1, 1, false);
    let models = child(&file, "models", 1, 1, 3);
    let throughput = one.nanoseconds as f64 / models.nanoseconds as f64;
    println!("with the default model  {throughput:.2} of the throughput   (reach: at least 0.9)");
    println!(
        "                        judging {:.1} % of the time, {:.0} ms at most at once; {:.0} bytes more an entity and window\n",
        models.judging as f64 / models.nanoseconds as f64 * 1e2,
        models.longest_judging as f64 / 1e6,
        once(&file, "models", 1, 1, true).bytes.saturating_sub(memory.bytes) as f64 / models.observed.max(1) as f64
    );
    println!("{:<12} {:>12} {:>12}", "persons", "ns a line", "ratio");
    let mut before = None;
    for doubled in 0..4 {
        let persons = (persons / 2) << doubled;
        let folder = folder.join(format!("persons-{persons}"));
        let days = ((days * 2) >> doubled).max(1);
        let city = write_city(&folder, persons, days);
        let cost = child(&folder.join("records.jsonl"), "pipeline", 1, 1, 2).nanoseconds as f64 / city.lines as f64;
        println!("{persons:<12} {cost:>12.0} {:>12.2}", before.map_or(1.0, |before| cost / before));
        before = Some(cost);
        let _ = std::fs::remove_dir_all(&folder);
    }
    println!("\n{:<12} {:>12} {:>12}", "rules", "ns a line", "ratio");
    let mut before = None;
    for copies in [1, 2, 4] {
        let cost = child(&file, "pipeline", 1, copies, 2).nanoseconds as f64 / city.lines as f64;
        println!("{:<12} {cost:>12.0} {:>12.2}", 18 * copies, before.map_or(1.0, |before| cost / before));
        before = Some(cost);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn write_city(folder: &Path, persons: u32, days: u32) -> simulate::Summary {
    let options = simulate::Options { persons, days: Some(days), ..simulate::Options::default() };
    simulate::write(options, folder, |_| {}).expect("the city can be written")
}

/// Nanoseconds of sonic-rs, which is built apart so that its features do not change those of our dependencies.
fn sonic(file: &Path) -> Option<f64> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sonic/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet", "--locked", "--manifest-path", manifest, "--"])
        .arg(file)
        .output()
        .ok()?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    told.get("nanoseconds")?.as_f64()
}

/// Measures in a process of its own, the best of several passes.
fn child(file: &Path, what: &str, threads: usize, copies: usize, passes: u32) -> Measured {
    let passes = (0..passes).map(|_| once(file, what, threads, copies, false));
    passes.min_by_key(|measured| measured.nanoseconds).unwrap_or_default()
}

/// Measures once in a process of its own; of memory without the pages that the allocator keeps for the next batch.
fn once(file: &Path, what: &str, threads: usize, copies: usize, of_memory: bool) -> Measured {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    if of_memory {
        command.env("MIMALLOC_PURGE_DELAY", "0");
    }
    let command = command.args(["measure", what, &threads.to_string(), &copies.to_string()]).arg(file);
    let output = command.output().expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a measurement")
}

fn measure(arguments: &[String]) {
    let [what, threads, copies, file] = arguments else {
        panic!("measure WHAT THREADS COPIES FILE");
    };
    let (threads, copies): (usize, usize) = (threads.parse().expect("a number"), copies.parse().expect("a number"));
    let file = Path::new(file);
    let text = std::fs::read(file).expect("the records can be read");
    let ids = Arc::new(Ids::new(if threads == 1 { 1 } else { (threads * 2).next_power_of_two() }));
    let registry = file.with_file_name("registry");
    let rules = RuleSet::load(&RulesDir::BuiltIn, Some(&registry), &ids).expect("the rules are good");
    let rules = Arc::new(repeated(rules, copies));
    let mut measured = Measured::default();
    let folder = file.with_file_name("trained");
    if what == "train" {
        trained(&text, &rules).write(&folder).expect("there is room");
    } else if what == "decode" {
        for batch in batches(&text) {
            let start = Instant::now();
            let decoded = decode(&batch, 0..batch.messages.len(), Window::ALL, &ids);
            measured.nanoseconds += start.elapsed().as_nanos() as u64;
            measured.lines += batch.messages.len() as u64;
            measured.details += decoded.details.iter().map(Vec::len).sum::<usize>() as u64;
        }
    } else {
        let options = Options { threads, ..Options::default() };
        let models = (what == "models").then(|| Trained::read(&folder).expect("it was trained before"));
        let mut engine = Engine::new(rules, ids, &options);
        engine.use_models(models.into_iter().map(|model| Scorer::new(model).expect("known features")).collect());
        let before = resident();
        let mut day = None;
        for batch in batches(&text) {
            let start = Instant::now();
            let outcome = engine.process(&batch);
            // As often as windows can end.
            let judging = Instant::now();
            let now = engine.event_time().map(Time::day);
            if now != day {
                day = now;
                engine.score();
            }
            let took = judging.elapsed().as_nanos() as u64;
            measured.judging += took;
            measured.longest_judging = measured.longest_judging.max(took);
            measured.nanoseconds += start.elapsed().as_nanos() as u64;
            drop(outcome);
        }
        measured.bytes = resident().saturating_sub(before);
        measured.observed = engine.models().iter().map(|model| model.observed() as u64).sum();
        let totals = engine.totals();
        measured.lines = totals.records_in;
        measured.details = engine.retained().fee_details;
        measured.alerts = engine.alerts().len() as u64;
    }
    println!("{}", serde_json::to_string(&measured).expect("a measurement"));
}

/// The default model, trained on the records themselves.
fn trained(text: &[u8], rules: &Arc<RuleSet>) -> Trained {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/institution-week.toml");
    let model = Model::read(&model).expect("the default model");
    let ids = Arc::new(Ids::new(1));
    let set = RuleSet::load(&RulesDir::BuiltIn, None, &ids).expect("the rules are good");
    assert_eq!(set.rules.len(), rules.rules.len(), "models are measured with the rules as they are");
    let mut engine = Engine::new(Arc::new(set), ids, &Options::default());
    let mut replay = Replay::new(model, &mut engine, false);
    batches(text).for_each(|batch| replay.process(&mut engine, &batch));
    let (model, rows) = replay.finish(&mut engine);
    Trained::learn(&model, Path::new(""), &rows, 1).expect("a city has enough institutions")
}

/// The text, batch by batch.
fn batches(text: &[u8]) -> impl Iterator<Item = Batch> + '_ {
    let origin = Arc::new(Origin { name: "city".to_owned(), separator: ':', default_type: None });
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let mut batch = Batch::default();
        let number = batch.origin(&origin);
        for (position, line) in lines.by_ref().take(BATCH).enumerate() {
            batch.push(line, number, position as u64);
        }
        Some(batch)
    })
}

/// So many copies of every rule, each under an id of its own.
fn repeated(mut rules: RuleSet, copies: usize) -> RuleSet {
    let originals = rules.rules.clone();
    for copy in 1..copies {
        rules.rules.extend(originals.iter().map(|rule| {
            let mut rule = rule.clone();
            rule.id = format!("{}-{copy}", rule.id);
            rule
        }));
    }
    rules
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1_024
}
