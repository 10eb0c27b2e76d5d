//! Latency through a real broker: from the record that completes an offence being produced to its alert being
//! consumed. `cargo bench --bench latency`, or `./dev bench --bench latency`.
//!
//! A simulated city with many planted cases is sent at a steady rate of settlements, all records between them
//! included; an alert's latency counts from the last record sent for any piece of its evidence.
//!
//! `cargo bench --bench latency -- --rate 2000 --seconds 60`

use fundwatch::simulate::{Options, Simulator};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Does not count: connections are made, caches fill, the broker's JVM compiles what it runs.
const WARM_UP: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str, otherwise: u64| -> u64 {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(otherwise)
    };
    let (rate, seconds) = (value("--rate", 2_000), value("--seconds", 30));
    let folder = std::env::temp_dir().join(format!("fundwatch-latency-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the broker");
    let broker = Broker::start(&folder);
    broker.run(&["topic", "records", "--partitions", "2"]);
    broker.run(&["topic", "alerts"]);
    let program = Pipeline::start(&folder, &broker.address);
    let latencies = measure(&broker.address, rate, Duration::from_secs(seconds));
    let inside = program.latency();
    let processors = [("broker", broker.processor_seconds()), ("fundwatch", program.processor_seconds())];
    drop(program);
    drop(broker);
    let _ = std::fs::remove_dir_all(&folder);
    report(rate, latencies);
    println!("of that from arrival to the queues of the sinks: {inside}");
    let whole = (WARM_UP + Duration::from_secs(seconds)).as_secs_f64();
    for (name, seconds) in processors {
        println!("{name} used {:.0} % of a core, start included", seconds / whole * 100.0);
    }
}

/// Processor time of a process so far, in seconds.
fn processor_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = |field: usize| after.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    // User and system time, in hundredths of a second on every Linux there is.
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn report(rate: u64, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    println!("{rate} settlements/s with their details, {} alerts", latencies.len());
    println!("p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(0.999), at(1.0));
}

/// Sends the city and reads the alerts.
fn measure(address: &str, rate: u64, length: Duration) -> Vec<Duration> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "latency")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "5")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["alerts"]).expect("the topic of alerts");
    let done = AtomicBool::new(false);
    let mut sent: BTreeMap<String, Instant> = BTreeMap::new();
    let (start, received) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut received: Vec<(Instant, Vec<u8>)> = Vec::new();
            while !done.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
                    received.push((Instant::now(), message.payload().unwrap_or_default().to_vec()));
                }
            }
            received
        });
        let start = send(address, rate, length, &mut sent);
        std::thread::sleep(Duration::from_secs(3));
        done.store(true, Ordering::Relaxed);
        (start, reader.join().expect("the reader ends"))
    });
    let mut latencies = Vec::new();
    for (at, payload) in received {
        let alert: serde_json::Value = serde_json::from_slice(&payload).expect("an alert is JSON");
        // Later revisions follow from records that are not among the evidence, such as refunds.
        if alert["revision"] != 1 {
            continue;
        }
        let evidence = alert["evidence"].as_array().into_iter().flatten();
        let visit = |id: &str| id.split('/').next().unwrap_or_default().to_owned();
        let caused = evidence.filter_map(|piece| sent.get(&visit(piece["id"].as_str()?)).copied()).max();
        if let Some(caused) = caused.filter(|caused| *caused > start + WARM_UP && *caused < at) {
            latencies.push(at - caused);
        }
    }
    latencies
}

/// Sends at a steady rate, and notes when each settlement and visit was last sent.
fn send(address: &str, rate: u64, length: Duration, sent: &mut BTreeMap<String, Instant>) -> Instant {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        .create()
        .expect("a producer");
    let options = Options { persons: 300_000, days: None, fraud_rate: 200.0, dirty: false, ..Options::default() };
    let mut city = Simulator::new(options);
    let start = Instant::now();
    let mut settlements = 0_u64;
    let mut line = Vec::new();
    while start.elapsed() < length + WARM_UP {
        line.clear();
        city.next_line(&mut line);
        city.take_truth();
        let visit = id(&line, b"\"mdtrt_id\":\"").unwrap_or_default();
        if line.starts_with(b"{\"type\":\"settlement\"") {
            settlements += 1;
            let due = start + Duration::from_nanos(settlements * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.insert(id(&line, b"\"setl_id\":\"").unwrap_or_default(), Instant::now());
        }
        sent.insert(visit.clone(), Instant::now());
        while let Err((error, _)) = producer.send(BaseRecord::to("records").payload(&line).key(&visit)) {
            assert!(error.rdkafka_error_code().is_some(), "{error}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    start
}

fn id(line: &[u8], name: &[u8]) -> Option<String> {
    let start = line.windows(name.len()).position(|window| window == name)? + name.len();
    let length = line[start..].iter().position(|byte| *byte == b'"')?;
    String::from_utf8(line[start..start + length].to_vec()).ok()
}

/// A broker of this run.
struct Broker {
    folder: PathBuf,
    address: String,
}

impl Broker {
    fn start(folder: &Path) -> Self {
        let mut broker = Self { folder: folder.join("broker"), address: String::new() };
        let told = broker.run(&["start", "--port", "0"]);
        broker.address = told.split_whitespace().last().unwrap_or_default().to_owned();
        broker
    }

    fn processor_seconds(&self) -> f64 {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ours = processes.map(|entry| entry.file_name().to_string_lossy().into_owned()).find(|process| {
            let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            command.contains("kafka.Kafka") && command.contains(&*self.folder.to_string_lossy())
        });
        ours.map_or(f64::NAN, |process| processor_seconds(&process))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka"))
            .args(arguments)
            .arg("--dir")
            .arg(&self.folder)
            .stderr(Stdio::inherit())
            .output()
            .expect("scripts/kafka runs");
        assert!(output.status.success(), "scripts/kafka {arguments:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

/// The program under measurement, and where it answers.
struct Pipeline(Child, String);

impl Pipeline {
    fn start(folder: &Path, address: &str) -> Self {
        let config = folder.join("fundwatch.toml");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let listen = free.expect("a free port").to_string();
        let text = format!(
            "[source]\nkind = \"kafka\"\n[source.kafka]\nbrokers = \"{address}\"\ntopics = [\"records\"]\n\
             [source.kafka.properties]\n\"fetch.wait.max.ms\" = \"5\"\n\
             [sinks.terminal]\nenabled = false\n[sinks.kafka]\nenabled = true\ntopic = \"alerts\"\n\
             [sinks.sqlite]\npath = \"{0}/alerts.sqlite\"\n[dead_letters]\npath = \"{0}/dead.jsonl\"\n\
             [state]\npath = \"{0}/state\"\n[late]\npath = \"{0}/late.jsonl\"\n[http]\nlisten = \"{listen}\"\n",
            folder.display()
        );
        std::fs::write(&config, text).expect("the configuration can be written");
        let program = Command::new(env!("CARGO_BIN_EXE_fundwatch")).arg("run").arg("--config").arg(&config).spawn();
        Self(program.expect("fundwatch runs"), listen)
    }

    /// What the program itself says of the last batches.
    fn latency(&self) -> String {
        let url = format!("http://{}/api/status", self.1);
        let status = ureq::get(&url).call().and_then(|mut answer| answer.body_mut().read_to_string());
        let status: serde_json::Value = serde_json::from_str(&status.unwrap_or_default()).unwrap_or_default();
        let quantile = |name: &str| status["latency"][name].as_f64().unwrap_or(f64::NAN) * 1e3;
        format!("p50 {:.1} ms, p99 {:.1} ms", quantile("p50"), quantile("p99"))
    }

    fn processor_seconds(&self) -> f64 {
        processor_seconds(&self.0.id().to_string())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
