//! The state that survives: when checkpoints are cut, what they wait for, and what is noted before effects leave.
//!
//! Invariants:
//! - a checkpoint is published only when everything that came of the records before it is with the sinks, so nothing
//!   that it counts as told can be lost;
//! - before anything leaves for the sinks it is noted up to where the source was read (*told*). A restart takes back
//!   the last checkpoint, receives what came between it and there without a word, and then tells only by what the
//!   outcome differs from what the sinks have. Where the note cannot be written, alerts leave all the same: a restart
//!   would only tell some of them again, under further revisions.

use super::outputs::Outputs;
use crate::checkpoint::manifest::{Manifest, Positions, sha256};
use crate::checkpoint::store::Checkpoints;
use crate::checkpoint::writer::{Job, Trouble, Writer, Written};
use crate::config;
use crate::engine::Engine;
use crate::record::Batch;
use anyhow::{Context as _, bail};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use tracing::warn;

/// Bytes that may be written down and wait for a checkpoint; then the pipeline waits too.
const MOST_LOGGED: usize = 512 << 20;
/// Bytes at which a checkpoint is cut before its time, so that none is too large.
const EARLY: usize = 64 << 20;

/// A folder of state, held by this process alone.
pub struct StateFolder {
    /// Where checkpoints lie.
    pub checkpoints: Checkpoints,
    told: File,
    _lock: File,
}

impl StateFolder {
    /// Opens the folder of a configuration, and makes it where it is missing.
    ///
    /// # Errors
    /// It cannot be used, or another process uses it.
    pub fn open(config: &config::State) -> anyhow::Result<Self> {
        let path = &config.path;
        std::fs::create_dir_all(path).with_context(|| format!("failed to make the state folder {}", path.display()))?;
        let open = |name: &str| {
            let file = path.join(name);
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file);
            options.with_context(|| format!("failed to open {}", file.display()))
        };
        let lock = open("lock")?;
        if let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock() {
            bail!("another process uses the state in {}: set `state.path` to a folder of its own", path.display());
        }
        let checkpoints = Checkpoints::of_config(config)?;
        Ok(Self { checkpoints, told: open("told")?, _lock: lock })
    }

    /// Up to where the run before had told what followed from the records; empty where that is not known.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn told(&self) -> std::io::Result<Positions> {
        let mut bytes = vec![0; usize::try_from(self.told.metadata()?.len()).unwrap_or(0)];
        self.told.read_exact_at(&mut bytes, 0)?;
        // Torn by a loss of power it is of no use; what is told again then is told as a new revision.
        let text = String::from_utf8(bytes).unwrap_or_default();
        let whole = text.lines().next().and_then(|line| line.split_once(' '));
        let body = whole.filter(|(hash, body)| *hash == sha256(body.as_bytes())).map(|(_, body)| body);
        Ok(body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default())
    }

    fn tell(&self, positions: &Positions) -> std::io::Result<()> {
        let body = serde_json::to_string(positions)?;
        let line = format!("{} {body}\n", sha256(body.as_bytes()));
        // In one call, so that a process that dies leaves it whole. What is left of a longer line before is ignored.
        self.told.write_all_at(line.as_bytes(), 0)
    }
}

/// Keeps the state while the pipeline runs.
pub struct StateKeeper {
    folder: StateFolder,
    writer: Writer,
    interval: Duration,
    next: Instant,
    /// How far each origin was read.
    positions: Positions,
    /// A checkpoint that waits for the sinks to have everything up to a sequence number.
    waiting: Option<(u64, Job)>,
    /// The last sequence number that a published checkpoint covers.
    covered: u64,
    last: Option<(Instant, Written)>,
    /// Why it could not be noted what is told.
    untold: Option<String>,
}

impl StateKeeper {
    /// Continues after a checkpoint, if there was one.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(folder: StateFolder, config: &config::State, last: Option<Manifest>) -> anyhow::Result<Self> {
        let positions = last.as_ref().map(|last| last.positions.clone()).unwrap_or_default();
        let writer = Writer::start(folder.checkpoints.clone(), last, config.keep)
            .context("failed to start the thread that writes checkpoints")?;
        let interval = config.interval;
        let next = Instant::now() + interval;
        Ok(Self { folder, writer, interval, next, positions, waiting: None, covered: 0, last: None, untold: None })
    }

    /// How far each origin was read.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Takes note of the positions of a batch.
    pub fn note(&mut self, batch: &Batch) {
        // Messages of an origin mostly lie together, and in order.
        let mut last: Option<(u32, u64)> = None;
        for message in &batch.messages {
            match &mut last {
                Some((origin, position)) if *origin == message.origin => *position = message.position,
                _ => {
                    if let Some((origin, position)) = last.replace((message.origin, message.position)) {
                        self.reach(batch, origin, position);
                    }
                }
            }
        }
        if let Some((origin, position)) = last {
            self.reach(batch, origin, position);
        }
    }

    fn reach(&mut self, batch: &Batch, origin: u32, position: u64) {
        let name = &batch.origins[origin as usize].name;
        match self.positions.get_mut(name) {
            Some(next) => *next = (*next).max(position + 1),
            None => drop(self.positions.insert(name.clone(), position + 1)),
        }
    }

    /// Notes that what follows from everything read so far is about to leave.
    pub fn tell(&mut self) {
        match self.folder.tell(&self.positions) {
            Ok(()) => self.untold = None,
            Err(error) => {
                let reason = format!("failed to note in the state folder what is told: {error}");
                if self.untold.is_none() {
                    warn!("{reason}; a restart may tell it again under further revisions");
                }
                self.untold = Some(reason);
            }
        }
    }

    /// Cuts and hands over checkpoints as they are due. `sequence` is that of the last effects;
    /// where there may be a `flood` of bad records nothing is cut, so that a stop because of it goes back before it.
    ///
    /// # Errors
    /// Checkpoints cannot be written any more.
    pub fn turn(&mut self, engine: &mut Engine, sequence: u64, outputs: &Outputs, flood: bool) -> anyhow::Result<()> {
        for written in self.writer.written() {
            self.covered = written.tag;
            self.last = Some((Instant::now(), written));
            // There is room again, and what was told before is in the checkpoint.
            self.untold = None;
        }
        if let Some(Trouble::Lasting(reason)) = self.writer.trouble() {
            bail!("checkpoints cannot be written: {reason}");
        }
        let now = Instant::now();
        let due = now >= self.next || engine.logged() > EARLY;
        if self.waiting.is_none() && due && !flood && !self.writer.is_busy() {
            self.next = now + self.interval;
            self.cut(engine, sequence, outputs);
        }
        self.hand_over(outputs);
        Ok(())
    }

    fn cut(&mut self, engine: &mut Engine, sequence: u64, outputs: &Outputs) {
        if sequence == self.covered && engine.logged() == 0 {
            return;
        }
        if let Some(cut) = engine.cut() {
            let (positions, sinks) = (self.positions.clone(), outputs.alerts.marks());
            self.waiting = Some((sequence, Job { cut, positions, sinks, tag: sequence }));
        }
    }

    fn hand_over(&mut self, outputs: &Outputs) {
        let acknowledged = outputs.acknowledged();
        if let Some((_, job)) = self.waiting.take_if(|(sequence, _)| *sequence <= acknowledged) {
            self.writer.write(job);
        }
    }

    /// Why no more records may be taken at the moment.
    pub fn holds_up(&self, engine: &Engine) -> Option<String> {
        (engine.logged() > MOST_LOGGED).then(|| {
            let reason = self.trouble().unwrap_or_else(|| "the sinks do not take what is theirs".to_owned());
            format!("records wait for a checkpoint: {reason}")
        })
    }

    /// Why no checkpoint is written, or what is told cannot be noted.
    pub fn trouble(&self) -> Option<String> {
        let writer = self.writer.trouble().map(|trouble| match trouble {
            Trouble::Passing(reason) | Trouble::Lasting(reason) => reason,
        });
        writer.or_else(|| self.untold.clone())
    }

    /// How many attempts to write a checkpoint have failed.
    pub fn failures(&self) -> u64 {
        self.writer.failures()
    }

    /// When the last checkpoint was written, and what it was.
    pub fn last(&self) -> Option<(Instant, Written)> {
        self.last
    }

    /// Writes a last checkpoint, if the sinks have everything; whether it was written in time.
    pub fn finish(&mut self, engine: &mut Engine, sequence: u64, outputs: &Outputs, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.hand_over(outputs);
        if !self.writer.wait(left()) || self.waiting.is_some() || outputs.acknowledged() < sequence {
            return false;
        }
        for written in self.writer.written() {
            self.covered = written.tag;
        }
        self.cut(engine, sequence, outputs);
        self.hand_over(outputs);
        self.writer.wait(left())
    }
}
