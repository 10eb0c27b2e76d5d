//! The fan-out: every sink on a thread of its own, behind a queue of its own.

use super::queue::{Found, Pushed, Queue};
use super::{Context, Item, Sink, SinkError, Stop};
use crate::metrics::{Metrics, SinkMeter};
use crate::status::SinkStatus;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tracing::error;

/// Items that a sink takes at once: one transaction, one fsync, one wait for deliveries.
const MOST_AT_ONCE: usize = 4_096;
/// How often an idle sink is called.
const IDLE: Duration = Duration::from_secs(1);
/// The pause before the first repetition of a failed delivery; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between repetitions.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long a sink that was told to stop may take to come back, after the deadline of [`Fanout::close`].
const GRACE: Duration = Duration::from_secs(2);

/// How a sink takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkQueue {
    /// Items that may wait for it.
    pub capacity: usize,
    /// Whether input counts as done only when it has its items, and a full queue holds up the sender.
    pub required: bool,
}

/// A sink that has failed for good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the {sink} sink has failed: {reason}")]
pub struct SinkFailure {
    /// Which.
    pub sink: &'static str,
    /// Why.
    pub reason: String,
}

/// Sinks that all get the same items.
pub struct Fanout<T> {
    lanes: Vec<Lane<T>>,
    stop: Stop,
    failure: Arc<Mutex<Option<SinkFailure>>>,
}

struct Lane<T> {
    name: &'static str,
    required: bool,
    is_record: bool,
    is_mirror: bool,
    queue: Arc<Queue<T>>,
    meter: SinkMeter,
    trouble: Arc<Mutex<Option<String>>>,
    /// [`Sink::mark`] after the last flush.
    mark: Arc<Mutex<Option<String>>>,
    /// Ends when the sink's thread does.
    finished: Mutex<Receiver<()>>,
}

/// What one sink has not delivered when it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Which sink.
    pub sink: &'static str,
    /// So many items.
    pub items: usize,
}

impl<T: Item> Fanout<T> {
    /// Starts a thread for each sink.
    pub fn start(sinks: Vec<(Box<dyn Sink<T>>, SinkQueue)>, metrics: &Metrics) -> Self {
        let stop = Stop::default();
        let failure = Arc::new(Mutex::new(None));
        let queues: Vec<_> = sinks.iter().map(|(_, settings)| Arc::new(Queue::new(settings.capacity))).collect();
        let required: Vec<_> = sinks.iter().map(|(_, settings)| settings.required).collect();
        let mut lanes = Vec::new();
        for (number, (sink, settings)) in sinks.into_iter().enumerate() {
            let (name, meter) = (sink.name(), metrics.sink(sink.name()));
            meter.limit(settings.capacity);
            let others: Vec<_> = queues
                .iter()
                .zip(&required)
                .enumerate()
                .filter(|(other, (_, required))| *other != number && **required)
                .map(|(_, (queue, _))| queue.clone())
                .collect();
            let context = Context {
                sequence: 0,
                meter: meter.clone(),
                stop: stop.clone(),
                others: Arc::new(move || others.iter().map(|queue| queue.acknowledged()).min().unwrap_or(u64::MAX)),
                trouble: Arc::default(),
            };
            let (ended, finished) = sync_channel(0);
            let lane = Lane {
                name,
                required: settings.required,
                is_record: sink.is_record(),
                is_mirror: sink.is_mirror(),
                queue: queues[number].clone(),
                meter,
                trouble: context.trouble.clone(),
                mark: Arc::new(Mutex::new(sink.mark())),
                finished: Mutex::new(finished),
            };
            Worker {
                sink,
                queue: lane.queue.clone(),
                context,
                mark: lane.mark.clone(),
                required: lane.required,
                failure: failure.clone(),
                ended,
            }
            .start();
            lanes.push(lane);
        }
        Self { lanes, stop, failure }
    }

    /// Hands a batch to every sink. Sequence numbers begin at 1 and rise from call to call; a batch may be
    /// empty. Blocks while the queue of a required sink is full; what finds the queue of another sink full is
    /// dropped for that sink and counted.
    ///
    /// # Errors
    /// A required sink has failed for good, or the fan-out is closed; some sinks may have the batch.
    pub fn send(&self, sequence: u64, batch: &Arc<[T]>) -> Result<(), SinkFailure> {
        self.send_while(sequence, batch, &mut || true).map(drop)
    }

    /// The same; while it blocks, it asks about ten times a second whether to `go_on`. Returns whether every required
    /// sink has the batch in its queue.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_while(
        &self,
        sequence: u64,
        batch: &Arc<[T]>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SinkFailure> {
        self.give(sequence, batch, |_| true, go_on)
    }

    /// Whether some sink is a mirror.
    pub fn has_mirror(&self) -> bool {
        self.lanes.iter().any(|lane| lane.is_mirror)
    }

    /// Hands all that stands to the sinks that mirror it, under a sequence number that was sent before.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn restate_while(
        &self,
        sequence: u64,
        standing: &Arc<[T]>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SinkFailure> {
        self.give(sequence, standing, |lane| lane.is_mirror, go_on)
    }

    fn give(
        &self,
        sequence: u64,
        batch: &Arc<[T]>,
        takes: impl Fn(&Lane<T>) -> bool,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SinkFailure> {
        // First everyone who has room, so that a slow sink does not keep a batch from the others.
        let mut full = Vec::new();
        for lane in self.lanes.iter().filter(|lane| takes(lane)) {
            match lane.queue.try_push(sequence, batch) {
                Pushed::Full if lane.required => full.push(lane),
                Pushed::Closed if lane.required => return Err(self.closed(lane)),
                Pushed::Full | Pushed::Closed => lane.meter.dropped(batch.len()),
                Pushed::Taken => lane.meter.depth(lane.queue.depth()),
            }
        }
        for lane in full {
            if !self.send_blocking(lane, sequence, batch, go_on)? {
                return Ok(false);
            }
        }
        self.failure().map_or(Ok(true), Err)
    }

    fn send_blocking(
        &self,
        lane: &Lane<T>,
        sequence: u64,
        batch: &Arc<[T]>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SinkFailure> {
        loop {
            // Short waits, so that the metric of time lost grows while it is lost.
            let since = Instant::now();
            let pushed = lane.queue.push_within(sequence, batch, Duration::from_millis(100));
            lane.meter.blocked(since.elapsed());
            lane.meter.depth(lane.queue.depth());
            match pushed {
                Pushed::Taken => return Ok(true),
                Pushed::Full => self.failure().map_or(Ok(()), Err)?,
                Pushed::Closed => return Err(self.closed(lane)),
            }
            if !go_on() {
                return Ok(false);
            }
        }
    }

    fn closed(&self, lane: &Lane<T>) -> SinkFailure {
        let reason = "it was closed".to_owned();
        self.failure().unwrap_or(SinkFailure { sink: lane.name, reason })
    }

    /// The greatest sequence number that all required sinks have durably done, with everything before it;
    /// `u64::MAX` where no sink is required.
    pub fn acknowledged(&self) -> u64 {
        let required = self.lanes.iter().filter(|lane| lane.required);
        required.map(|lane| lane.queue.acknowledged()).min().unwrap_or(u64::MAX)
    }

    /// Waits until all required sinks are done with a sequence number; whether they are.
    pub fn wait_for(&self, sequence: u64, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        self.lanes.iter().filter(|lane| lane.required).all(|lane| lane.queue.wait_for(sequence, deadline))
    }

    /// The first required sink that has failed for good.
    pub fn failure(&self) -> Option<SinkFailure> {
        self.failure.lock().clone()
    }

    /// How far each sink is that can be asked what it holds beyond that, by its name.
    pub fn marks(&self) -> BTreeMap<String, String> {
        let mark = |lane: &Lane<T>| Some((lane.name.to_owned(), lane.mark.lock().clone()?));
        self.lanes.iter().filter_map(mark).collect()
    }

    /// How the sinks are doing.
    pub fn status(&self) -> Vec<SinkStatus> {
        let status = |lane: &Lane<T>| {
            let depth = lane.queue.depth();
            lane.meter.depth(depth);
            let trouble = lane.trouble.lock().clone();
            lane.meter.trouble(trouble.is_some());
            SinkStatus {
                name: lane.name.to_owned(),
                required: lane.required,
                queued: depth as u64,
                delivered: lane.meter.delivered_so_far(),
                dropped: lane.meter.dropped_so_far(),
                retries: lane.meter.retries_so_far(),
                blocked_seconds: lane.meter.blocked_so_far(),
                trouble,
            }
        };
        self.lanes.iter().map(status).collect()
    }

    /// Makes blocked and later [`send`](Self::send)s fail, and interrupts sinks that wait for the outside.
    pub fn abort(&self) {
        self.stop.stop();
        for lane in &self.lanes {
            lane.queue.close();
        }
    }

    /// Takes nothing more, lets the sinks deliver what they have for so long, and interrupts those that are not
    /// done by then. What is left over was not acknowledged, and comes again after a restart.
    pub fn close(&mut self, time: Duration) -> Vec<Undelivered> {
        let deadline = Instant::now() + time;
        let (record, others): (Vec<_>, Vec<_>) = self.lanes.iter().partition(|lane| lane.is_record);
        for group in [others, record] {
            for lane in &group {
                lane.queue.close();
            }
            if !group.iter().all(|lane| lane.ended_by(deadline)) {
                self.stop.stop();
                let last = Instant::now() + GRACE;
                for lane in group.iter().filter(|lane| !lane.ended_by(last)) {
                    error!(sink = lane.name, "a sink does not come back and is left behind");
                }
            }
        }
        let left = self.lanes.iter().map(|lane| Undelivered { sink: lane.name, items: lane.queue.depth() });
        left.filter(|left| left.items > 0).collect()
    }
}

impl<T> Lane<T> {
    /// Waits for the sink's thread; whether it has ended.
    fn ended_by(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        matches!(self.finished.lock().recv_timeout(left), Err(RecvTimeoutError::Disconnected))
    }
}

impl<T> Drop for Fanout<T> {
    fn drop(&mut self) {
        self.stop.stop();
        for lane in &self.lanes {
            lane.queue.close();
        }
    }
}

/// What runs on a sink's thread.
struct Worker<T> {
    sink: Box<dyn Sink<T>>,
    queue: Arc<Queue<T>>,
    context: Context,
    mark: Arc<Mutex<Option<String>>>,
    required: bool,
    failure: Arc<Mutex<Option<SinkFailure>>>,
    /// Held as long as the thread lives.
    ended: SyncSender<()>,
}

impl<T: Item> Worker<T> {
    fn start(mut self) {
        let name = self.sink.name();
        let (queue, failure, trouble) = (self.queue.clone(), self.failure.clone(), self.context.trouble.clone());
        let required = self.required;
        let fail = move |reason: String| {
            error!(sink = name, required, "the sink has failed: {reason}");
            *trouble.lock() = Some(reason.clone());
            if required {
                failure.lock().get_or_insert(SinkFailure { sink: name, reason });
            }
        };
        let fail_to_start = fail.clone();
        let thread = std::thread::Builder::new().name(format!("sink-{name}"));
        let spawned = thread.spawn(move || {
            let ended = self.ended.clone();
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run()));
            match outcome {
                Ok(Ok(()) | Err(SinkError::Interrupted)) => {}
                Ok(Err(error)) => {
                    self.context.meter.failed();
                    fail(error.to_string());
                }
                Err(panic) => {
                    let words = panic.downcast_ref::<String>().map(String::as_str);
                    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
                    self.context.meter.failed();
                    fail(format!("it panicked: {words}"));
                }
            }
            // The failure is known before the queue shows that something is wrong.
            self.queue.kill();
            drop(self);
            drop(ended);
        });
        if let Err(error) = spawned {
            fail_to_start(format!("no thread could be started: {error}"));
            queue.kill();
        }
    }

    fn run(&mut self) -> Result<(), SinkError> {
        let is_record = self.sink.is_record();
        loop {
            match self.queue.take(MOST_AT_ONCE, IDLE) {
                Found::Batches(last, batches) => {
                    let items = batches.iter().flat_map(|batch| batch.iter());
                    let mut written = 0;
                    for item in items.filter(|item| is_record || !item.shadow()) {
                        self.sink.write(item)?;
                        written += 1;
                    }
                    self.context.sequence = last;
                    self.insist(|sink, context| sink.flush(context))?;
                    self.context.meter.delivered(written);
                    *self.mark.lock() = self.sink.mark();
                    self.queue.done(last);
                    self.context.meter.depth(self.queue.depth());
                }
                Found::Nothing => self.insist(|sink, context| sink.idle(context))?,
                Found::End => return self.insist(|sink, context| sink.close(context)),
            }
        }
    }

    /// Does something again until it succeeds, fails for good, or the time to deliver is over.
    fn insist(
        &mut self,
        mut act: impl FnMut(&mut dyn Sink<T>, &Context) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let (mut pause, mut failed) = (FIRST_PAUSE, false);
        loop {
            let Err(error) = act(self.sink.as_mut(), &self.context) else {
                // Of trouble that a sink shows by itself it says itself when it is over.
                if failed {
                    self.context.works(self.sink.name());
                }
                return Ok(());
            };
            failed = true;
            if error.lasting() || matches!(error, SinkError::Interrupted) {
                return Err(error);
            }
            self.context.meter.retried();
            self.context.troubled(self.sink.name(), error.to_string());
            self.context.pause(pause)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
