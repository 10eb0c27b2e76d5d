//! A real Kafka broker for tests, through `scripts/kafka`; what comes out is read with kcat, not with our client.
//!
//! The script stays in the foreground while we hold its standard input. However this process ends (also `kill -9`),
//! the kernel closes that pipe, and the script ends the broker and removes its data.

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, DeliveryResult, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");

/// Numbers brokers and topics of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// One broker; dropping it stops it and removes its data.
///
/// ```text
/// Running ── kill() ──▶ Killed (data kept, nothing listens) ── restart() ──▶ Running, same address
/// ```
pub struct Broker {
    address: String,
    dir: PathBuf,
    properties: Vec<String>,
    /// The script that watches over the broker; none while it is killed.
    holder: Option<Child>,
}

/// Why messages were not delivered.
#[derive(Default)]
struct Refusals(Mutex<Vec<KafkaError>>);

impl ClientContext for Refusals {}

impl ProducerContext for Refusals {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().push(error.clone());
        }
    }
}

/// Until all is delivered or refused, which librdkafka decides.
fn wait_for<C: ProducerContext>(producer: &ThreadedProducer<C>) {
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
}

/// One consumed message; `None` is Kafka's null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub payload: Option<Vec<u8>>,
}

impl Message {
    /// The value of the last header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(key, _)| key == name)?;
        value.as_deref().map(|value| std::str::from_utf8(value).expect("a header in UTF-8"))
    }

    /// The payload as text; panics on a null or on other bytes.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.payload.as_deref().expect("a payload")).expect("a payload in UTF-8")
    }
}

impl Broker {
    /// Starts a broker of its own on a free port, with automatic topic creation off. Takes 2 to 4 seconds.
    pub fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// As [`Broker::start`], with properties of the broker: `&["log.retention.bytes=1000000"]`.
    pub fn start_with(properties: &[&str]) -> Broker {
        let dir = std::env::temp_dir().join(format!(
            "fundwatch-test-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let properties = properties.iter().map(|property| (*property).to_owned()).collect();
        let mut broker = Broker { address: String::new(), dir, properties, holder: None };
        broker.hold("0");
        broker
    }

    /// Brokers that somebody else runs, such as the client's own imitation of a cluster: what is asked of the script does
    /// not work with them.
    pub fn elsewhere(address: String) -> Broker {
        Broker { address, dir: PathBuf::from("/nonexistent"), properties: Vec::new(), holder: None }
    }

    /// The broker that all tests of this process share; [`Broker::topic`] makes names nobody else has.
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Broker::start)
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A name that no other test uses, for a topic, a group or a transactional id.
    pub fn unique_name(prefix: &str) -> String {
        format!("{prefix}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates a topic under a unique name, and returns that. Takes about a second.
    pub fn topic(&self, prefix: &str, partitions: u32) -> String {
        let name = Broker::unique_name(prefix);
        self.create_topic(&name, partitions);
        name
    }

    pub fn create_topic(&self, name: &str, partitions: u32) {
        self.script(&["topic", name, "--partitions", &partitions.to_string()]);
    }

    /// Gives a topic more partitions, so many in all.
    pub fn add_partitions(&self, topic: &str, partitions: usize) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let more = NewPartitions::new(topic, partitions);
        let made = runtime.block_on(admin.create_partitions([&more], &AdminOptions::new())).expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Sets what a group without members has committed back to the beginning of a topic.
    pub fn reset_offsets(&self, group: &str, topic: &str, partitions: i32) {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().expect("a client");
        let mut offsets = TopicPartitionList::new();
        for partition in 0..partitions {
            offsets.add_partition_offset(topic, partition, Offset::Offset(0)).expect("an offset");
        }
        consumer.commit(&offsets, CommitMode::Sync).expect("nobody else is in the group");
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.address);
        client
    }

    /// Next offsets that the group has committed, by topic and partition; partitions without one are left out.
    pub fn committed_offsets(&self, group: &str) -> BTreeMap<(String, i32), i64> {
        let table = self.script(&["offsets", group]);
        table
            .lines()
            .filter_map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                let [topic, partition, committed, ..] = columns[..] else { panic!("unexpected line {line:?}") };
                let committed = committed.parse().ok()?;
                Some(((topic.to_owned(), partition.parse().expect("a partition number")), committed))
            })
            .collect()
    }

    /// Produces all messages, to partitions at random or to one, and waits until the broker has acknowledged them.
    ///
    /// Each is there once, also when the broker is away for a while.
    pub fn produce(&self, topic: &str, partition: Option<i32>, payloads: &[impl AsRef<[u8]>]) {
        let mut producer = self.client();
        producer.set("enable.idempotence", "true").set("linger.ms", "5");
        let producer: ThreadedProducer<Refusals> =
            producer.create_with_context(Refusals::default()).expect("a producer");
        for payload in payloads {
            let mut record = BaseRecord::<(), _>::to(topic).payload(payload.as_ref());
            record.partition = partition;
            while let Err((error, same)) = producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
                thread::sleep(Duration::from_millis(1));
                record = same;
            }
        }
        wait_for(&producer);
        let refusals = producer.context().0.lock();
        assert!(refusals.is_empty(), "{topic} did not take what was sent: {refusals:?}");
    }

    /// Produces a message without a payload.
    pub fn produce_tombstone(&self, topic: &str) {
        let producer: ThreadedProducer<DefaultProducerContext> = self.client().create().expect("a producer");
        producer.send(BaseRecord::<_, ()>::to(topic).key("gone")).expect("there is room");
        wait_for(&producer);
    }

    /// Reads the topic from its beginning until `count` committed messages are there or the time is over, and returns what came.
    /// In order within each partition.
    pub fn kcat_consume(&self, topic: &str, count: usize, timeout: Duration) -> Vec<Message> {
        self.consume(topic, &["-c", &count.to_string()], Some(count), timeout)
    }

    /// Reads the topic from its beginning to its present end, committed messages only.
    pub fn kcat_consume_all(&self, topic: &str) -> Vec<Message> {
        self.consume(topic, &["-e"], None, Duration::from_mins(1))
    }

    fn consume(&self, topic: &str, until: &[&str], count: Option<usize>, timeout: Duration) -> Vec<Message> {
        let deadline = Instant::now() + timeout;
        let mut command = self.kcat(&["-C", "-t", topic, "-o", "beginning", "-J", "-u", "-q"]);
        command.args(["-X", "isolation.level=read_committed", "-X", "fetch.wait.max.ms=10"]).args(until);
        let mut kcat =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kcat starts");
        let output = BufReader::new(kcat.stdout.take().expect("standard output is a pipe"));
        let (sender, lines) = mpsc::sync_channel(1024);
        let reader = thread::spawn(move || {
            for line in output.split(b'\n') {
                if sender.send(line.expect("kcat's output can be read")).is_err() {
                    return;
                }
            }
        });
        let mut messages = Vec::new();
        let ended = loop {
            if count.is_some_and(|count| messages.len() >= count) {
                break false;
            }
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => messages.push(json::message(&line)),
                Err(RecvTimeoutError::Timeout) => break false,
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        drop(lines);
        if !ended {
            // Already ended, or about to.
            kcat.kill().ok();
        }
        let output = kcat.wait_with_output().expect("kcat ends");
        reader.join().expect("the reader does not panic");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!ended || output.status.success(), "kcat could not read {topic}: {complaints}");
        assert!(ended || count.is_some(), "kcat did not reach the end of {topic} within {timeout:?}: {complaints}");
        messages
    }

    /// Makes the broker hang: its connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Makes a broker that hangs go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.dir.join("broker.pid")).expect("it runs");
        let pid = pid.split(' ').next().expect("a process");
        assert!(Command::new("kill").args(["-s", name, pid]).status().expect("kill").success());
    }

    /// Ends the broker as a crash would; its data and address are kept for [`Broker::restart`].
    pub fn kill(&mut self) {
        self.script(&["stop", "--kill", "--keep"]);
        if let Some(mut holder) = self.holder.take() {
            // Before the script has ended it could take a new broker's files for the old one's. It keeps the data and exits with 1.
            holder.wait().expect("the script ends");
        }
    }

    /// Starts the killed broker again, with its data, at the same address. Takes about 6 seconds: its old session must end first.
    pub fn restart(&mut self) {
        assert!(self.holder.is_none(), "only a killed broker can be restarted");
        let port = self.address.rsplit(':').next().expect("an address has a port").to_owned();
        self.hold(&port);
    }

    fn hold(&mut self, port: &str) {
        let mut holder = Command::new(SCRIPT)
            .args(["start", "--until-eof", "--port", port, "--dir"])
            .arg(&self.dir)
            .args(self.properties.iter().flat_map(|property| ["--set", property]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What is sent to our group (Ctrl-C, a runner's kill) must not hit the script: it has to clean up after us.
            .process_group(0)
            .spawn()
            .expect("scripts/kafka starts");
        let mut address = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("standard output is a pipe"));
        output.read_line(&mut address).expect("the script's output can be read");
        address.trim().clone_into(&mut self.address);
        self.holder = Some(holder);
        assert!(!self.address.is_empty(), "scripts/kafka could not start a broker (see above)");
    }

    /// Runs the script on this broker and returns its standard output; panics with its words when it fails.
    fn script(&self, arguments: &[&str]) -> String {
        let output = Command::new(SCRIPT)
            .args(arguments)
            .arg("--dir")
            .arg(&self.dir)
            .stdin(Stdio::null())
            .output()
            .expect("scripts/kafka starts");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/kafka {arguments:?} failed: {complaints}");
        String::from_utf8(output.stdout).expect("the script writes UTF-8")
    }

    fn kcat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kcat");
        command.args(["-b", &self.address]).args(arguments);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            drop(holder.stdin.take());
            holder.wait().ok();
        }
        // The script removes a running broker's data; a killed one's is still there.
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// Reads kcat's one-line JSON. By hand, because payloads that are not UTF-8 come through as they are, which no JSON parser takes.
mod json {
    use super::{Message, Read};

    pub fn message(line: &[u8]) -> Message {
        let mut message = Message { partition: -1, offset: -1, key: None, headers: Vec::new(), payload: None };
        let mut rest = line;
        expect(&mut rest, b'{');
        loop {
            let name = string(&mut rest);
            expect(&mut rest, b':');
            match name.as_slice() {
                b"partition" => message.partition = i32::try_from(number(&mut rest)).expect("a partition number"),
                b"offset" => message.offset = number(&mut rest),
                b"key" => message.key = value(&mut rest),
                b"payload" => message.payload = value(&mut rest),
                b"headers" => message.headers = headers(&mut rest),
                _ if rest.first() == Some(&b'"') => drop(string(&mut rest)),
                _ => drop(number(&mut rest)),
            }
            if next(&mut rest) == b'}' {
                return message;
            }
        }
    }

    /// `["name","value",…]`
    fn headers(rest: &mut &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
        let mut pairs = Vec::new();
        expect(rest, b'[');
        loop {
            let name = String::from_utf8(string(rest)).expect("a header name in UTF-8");
            expect(rest, b',');
            pairs.push((name, value(rest)));
            if next(rest) == b']' {
                return pairs;
            }
        }
    }

    /// A string or `null`.
    fn value(rest: &mut &[u8]) -> Option<Vec<u8>> {
        if let Some(after) = rest.strip_prefix(b"null") {
            *rest = after;
            return None;
        }
        Some(string(rest))
    }

    fn string(rest: &mut &[u8]) -> Vec<u8> {
        expect(rest, b'"');
        let mut bytes = Vec::new();
        loop {
            match next(rest) {
                b'"' => return bytes,
                b'\\' => bytes.push(escaped(rest)),
                byte => bytes.push(byte),
            }
        }
    }

    /// kcat escapes only what it must: quotes, backslashes and control characters.
    fn escaped(rest: &mut &[u8]) -> u8 {
        match next(rest) {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let digits = rest.split_off(..4).expect("four digits");
                let digits = std::str::from_utf8(digits).expect("hexadecimal digits");
                u8::from_str_radix(digits, 16).expect("a control character")
            }
            byte => byte,
        }
    }

    fn number(rest: &mut &[u8]) -> i64 {
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let digits = rest.split_off(..length).expect("as many were counted");
        std::str::from_utf8(digits).expect("digits").parse().expect("a number")
    }

    fn expect(rest: &mut &[u8], wanted: u8) {
        let found = next(rest);
        assert_eq!(
            char::from(found),
            char::from(wanted),
            "in kcat's output, before {:?}",
            String::from_utf8_lossy(rest)
        );
    }

    fn next(rest: &mut &[u8]) -> u8 {
        let mut byte = [0];
        rest.read_exact(&mut byte).expect("kcat's line is complete");
        byte[0]
    }
}
