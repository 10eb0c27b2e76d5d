//! Writing checkpoints beside the running engine.

use super::manifest::{FORMAT, Manifest, Positions, SegmentInfo, sha256};
use super::read::schema;
use super::segment;
use super::store::{Checkpoints, StoreError};
use crate::clock;
use crate::engine::persist::Cut;
use crate::fault;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The first pause after a failure, doubled with each further one.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A checkpoint to be written.
pub struct Job {
    /// What was written down since the one before.
    pub cut: Cut,
    /// How far the source was read.
    pub positions: Positions,
    /// How far each sink that remembers was, at the latest.
    pub sinks: BTreeMap<String, String>,
    /// Whatever the caller wants to know it by.
    pub tag: u64,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// The caller's word for it.
    pub tag: u64,
    /// Its number.
    pub number: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Bytes that it is made up of.
    pub all_bytes: u64,
    /// How long it took.
    pub time: Duration,
}

/// Why the writer waits, or has ended.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// It tries again by itself.
    Passing(String),
    /// It does not.
    Lasting(String),
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    /// Whether one is being written.
    busy: bool,
    written: Vec<Written>,
    trouble: Option<Trouble>,
    /// Attempts that have failed.
    failures: u64,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

/// The thread that writes.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `last` is the checkpoint that was taken back; the newest `keep` checkpoints are kept, and
    /// those that [`Scribe`] keeps against damage.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(checkpoints: Checkpoints, last: Option<Manifest>, keep: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut scribe = Scribe::new(checkpoints, last, keep);
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || scribe.work(&theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether a checkpoint is being written.
    pub fn is_busy(&self) -> bool {
        let state = self.shared.state.lock();
        state.busy || state.job.is_some()
    }

    /// Hands over a checkpoint to be written. To be called when none is being written.
    pub fn write(&self, job: Job) {
        let mut state = self.shared.state.lock();
        debug_assert!(!state.busy && state.job.is_none(), "one checkpoint at a time");
        state.job = Some(job);
        self.shared.moved.notify_all();
    }

    /// What was written since the last call.
    pub fn written(&self) -> Vec<Written> {
        std::mem::take(&mut self.shared.state.lock().written)
    }

    /// Why it waits, or has ended.
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.state.lock().trouble.clone()
    }

    /// How many attempts to write a checkpoint have failed.
    pub fn failures(&self) -> u64 {
        self.shared.state.lock().failures
    }

    /// Waits until nothing is being written, at most so long; whether nothing is.
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.shared.state.lock();
        while (state.busy || state.job.is_some()) && !matches!(state.trouble, Some(Trouble::Lasting(_))) {
            if self.shared.moved.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        !state.busy && state.job.is_none()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.moved.notify_all();
        // A place that hangs must not keep the process alive: only an idle thread is waited for.
        if let Some(thread) = self.thread.take().filter(|_| !self.is_busy()) {
            let _panicked = thread.join();
        }
    }
}

/// Writes one checkpoint after the other.
pub struct Scribe {
    checkpoints: Checkpoints,
    last: Option<Manifest>,
    /// The number of the last checkpoint that was there or is written; `None`: not looked at yet.
    number: Option<u64>,
    /// The segments that each kept checkpoint names.
    named: BTreeMap<u64, BTreeSet<String>>,
    /// Whether the next segment begins a cycle.
    begins_cycle: bool,
    keep: usize,
}

impl Scribe {
    /// Continues after a checkpoint.
    pub fn new(checkpoints: Checkpoints, last: Option<Manifest>, keep: usize) -> Self {
        Self { checkpoints, last, number: None, named: BTreeMap::new(), begins_cycle: true, keep: keep.max(1) }
    }

    fn work(&mut self, shared: &Shared) {
        loop {
            let mut state = shared.state.lock();
            state.busy = false;
            shared.moved.notify_all();
            let job = loop {
                if state.stop {
                    return;
                }
                if let Some(job) = state.job.take() {
                    state.busy = true;
                    break job;
                }
                shared.moved.wait(&mut state);
            };
            drop(state);
            let mut pause = PAUSE;
            // What was cut is in nobody's hands but ours: it is tried until it succeeds.
            loop {
                match self.write(&job) {
                    Ok(written) => {
                        let mut state = shared.state.lock();
                        state.written.push(written);
                        state.trouble = None;
                        break;
                    }
                    Err(error) => {
                        let lasting = matches!(error, StoreError::Fenced { .. });
                        let mut state = shared.state.lock();
                        state.failures += 1;
                        if lasting {
                            state.trouble = Some(Trouble::Lasting(error.to_string()));
                            shared.moved.notify_all();
                            return;
                        }
                        warn!("a checkpoint is not written yet: {error}");
                        state.trouble = Some(Trouble::Passing(error.to_string()));
                        shared.moved.notify_all();
                        let deadline = Instant::now() + pause;
                        while !state.stop && !shared.moved.wait_until(&mut state, deadline).timed_out() {}
                        if state.stop {
                            return;
                        }
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }

    /// Writes a checkpoint: its segment first, then its manifest; then removes what nothing needs any more.
    ///
    /// # Errors
    /// It could not be written, and can be tried again.
    pub fn write(&mut self, job: &Job) -> Result<Written, StoreError> {
        let started = Instant::now();
        // Damaged ones, newer than what was taken back, keep their numbers. Whoever takes one after this is another
        // process.
        let number = match self.number {
            Some(number) => number,
            None => self.checkpoints.numbers()?.first().copied().unwrap_or(0),
        } + 1;
        self.number = Some(number - 1);
        let mut manifest = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            number,
            written_at: clock::now().to_string(),
            positions: job.positions.clone(),
            summary: job.cut.summary.clone(),
            sinks: job.sinks.clone(),
            next_generation: 1,
            schemas: Vec::new(),
            segments: Vec::new(),
        };
        if let Some(last) = &self.last {
            manifest.next_generation = last.next_generation;
            manifest.schemas.clone_from(&last.schemas);
            manifest.segments.clone_from(&last.segments);
        }
        let mut bytes = 0;
        if !job.cut.parts.is_empty() {
            let (packed, parts) = segment::pack(&job.cut.parts).map_err(StoreError::Pack)?;
            let sha256 = sha256(&packed);
            fault::point("segment-packed");
            // The name tells apart attempts of two processes that do not know of each other.
            let name = format!("segment-{number:012}-{}", &sha256[..16]);
            bytes = packed.len() as u64;
            let ours = schema();
            let schema = manifest.schemas.iter().position(|known| *known == ours).unwrap_or_else(|| {
                manifest.schemas.push(ours);
                manifest.schemas.len() - 1
            });
            let generations = parts.iter().map(|part| part.generation + 1);
            manifest.next_generation = generations.max().unwrap_or(0).max(manifest.next_generation);
            manifest.segments.push(SegmentInfo {
                name: name.clone(),
                bytes,
                sha256,
                schema,
                begins_cycle: self.begins_cycle,
                parts,
            });
            self.checkpoints.put_segment(&name, packed)?;
            fault::point("segment-written");
        }
        if job.cut.ends_cycle {
            // Everything is in the segments since this cycle began; what is older is not needed from here on.
            let begin = manifest.segments.iter().rposition(|segment| segment.begins_cycle).unwrap_or(0);
            manifest.segments.drain(..begin);
        }
        let text = manifest.to_bytes().map_err(|error| StoreError::Pack(error.into()))?;
        self.checkpoints.publish(number, text)?;
        self.number = Some(number);
        fault::point("checkpoint-published");
        self.begins_cycle = job.cut.ends_cycle || (self.begins_cycle && job.cut.parts.is_empty());
        let all_bytes = manifest.bytes();
        self.last = Some(manifest);
        if let Err(error) = self.clean_up(number) {
            warn!("old checkpoints are not removed yet: {error}");
        }
        fault::point("checkpoint-cleaned");
        let time = started.elapsed();
        info!(number, bytes, all_bytes, ms = time.as_millis() as u64, "checkpoint");
        Ok(Written { tag: job.tag, number, bytes, all_bytes, time })
    }

    /// Removes checkpoints beyond those that are kept, and segments that none of them names. Beside the newest ones,
    /// those from right before a cycle are kept, as long as its segments are in use: they share none of them, and
    /// should one be damaged, they are still whole.
    fn clean_up(&mut self, newest: u64) -> Result<(), StoreError> {
        let objects = self.checkpoints.objects()?;
        let numbers = Checkpoints::numbers_among(&objects);
        let begins = self.last.iter().flat_map(|last| &last.segments).filter(|segment| segment.begins_cycle);
        let before: BTreeSet<u64> = begins.filter_map(|segment| number_of(&segment.name)?.checked_sub(1)).collect();
        let (mut kept, mut dropped) = (BTreeMap::new(), Vec::new());
        for (place, number) in numbers.into_iter().enumerate() {
            if place >= self.keep && !before.contains(&number) {
                dropped.push(Checkpoints::manifest_name(number));
                continue;
            }
            let names = |manifest: &Manifest| manifest.segments.iter().map(|segment| segment.name.clone()).collect();
            let named = match (self.named.remove(&number), &self.last) {
                (Some(named), _) => named,
                (None, Some(last)) if last.number == number => names(last),
                // A damaged one names nothing: nobody can take it back.
                (None, _) => self.checkpoints.manifest(number)?.as_ref().map_or(BTreeSet::new(), names),
            };
            kept.insert(number, named);
        }
        self.named = kept;
        let named = |name: &String| self.named.values().any(|named| named.contains(name));
        let old = |name: &String| number_of(name).is_some_and(|number| number <= newest) && !named(name);
        dropped.extend(objects.into_iter().filter(old));
        self.checkpoints.remove(&dropped)
    }
}

/// The number of the checkpoint that a segment was written for.
fn number_of(segment: &str) -> Option<u64> {
    segment.strip_prefix("segment-")?.get(..12)?.parse().ok()
}
