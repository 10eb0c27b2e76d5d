//! The live pipeline: batches from a source through the engine to the sinks, until the source ends or someone stops
//! it.
//!
//! One thread, the one that calls [`Pipeline::run`], owns the engine and the order of effects. What a batch leads to
//! leaves under a *sequence number*; a batch is done when every required sink and the dead letters have acknowledged
//! its number, and only then does the source learn of it. So whatever dies, nothing that came in is forgotten before
//! what came of it is safe, and some of it may come twice.
//!
//! Invariants:
//! - sequence numbers rise by one with every send, whatever the cause (a batch, other rules, the end of a warm-up);
//! - during a warm-up nothing is done, and dead letters that a former run sent are not sent again;
//! - what may belong to a flood of bad records is not done either, until it shows that it does not ([`poison`]);
//! - rules are replaced between batches, never within one;
//! - checkpoints are cut between batches, never in a warm-up, nor while there may be a flood; see [`state`].

use crate::alert::{Alert, AlertStatus};
use crate::engine::Engine;
use crate::fault;
use crate::metrics::BatchReport;
use crate::record::decode::{Bad, BadKind};
use crate::rules::Watch;
use crate::sink::DeadLetter;
use crate::source::{Delivery, Event, Received, Running};
use crate::status::Cause;
use anyhow::Context as _;
use models::ModelKeeper;
use outputs::Outputs;
use poison::{Poison, Poisoned};
use publish::{Publisher, View};
use shutdown::Shutdown;
use state::StateKeeper;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};
use warm_up::{Former, WarmUp};

pub mod health;
pub mod models;
pub mod outputs;
pub mod poison;
pub mod publish;
pub mod setup;
pub mod shutdown;
pub mod state;
mod warm_up;

/// How long the loop waits for a batch before it looks around.
const TICK: Duration = Duration::from_millis(20);
/// How long a source may take to come back once nobody takes anything from it.
const SOURCE_GRACE: Duration = Duration::from_secs(1);
/// How long the last checkpoint may take where the sinks have used up the time of the shutdown.
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
/// After so long without a record there is no flood: what was held back counts as done.
const QUIET: Duration = Duration::from_secs(1);

/// A pipeline that is set up; see [`setup`].
pub struct Pipeline {
    engine: Engine,
    source: Running,
    outputs: Outputs,
    publisher: Publisher,
    rules: Option<RuleReload>,
    models: Option<ModelKeeper>,
    poison: Poison,
    /// Place and reason of the last bad record.
    last_bad: Option<(String, String)>,
    shutdown: Shutdown,
    shutdown_timeout: Duration,
    /// The last sequence number.
    sequence: u64,
    /// Deliveries that are not done, with the sequence number they wait for.
    waiting: VecDeque<(u64, u64)>,
    /// When the last batch came.
    last_batch: Instant,
    warm_up: Option<WarmUp>,
    state: Option<StateKeeper>,
    /// What a run before has left, until it is taken up.
    former: Option<Former>,
}

/// Rules that are looked at for changes.
pub struct RuleReload {
    /// Knows what is in use.
    pub watch: Watch,
    /// Time between looks.
    pub interval: Duration,
    /// When the next look is due.
    pub next: Instant,
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The source has no more.
    AtEnd,
    /// Someone asked for it.
    Stopped,
}

impl Pipeline {
    /// Runs until the source ends or a stop is asked for, and lets the sinks finish.
    ///
    /// # Errors
    /// A required sink or the source has failed for good, or too many records are bad. What was acknowledged by then
    /// stays so.
    pub fn run(mut self) -> anyhow::Result<Ended> {
        let looped = self.turn_until_end();
        self.publisher.hurry();
        self.look_around(false);
        let poisoned = looped.as_ref().is_err_and(|error| error.is::<Poisoned>());
        if let Err(error) = &looped {
            let cause = if poisoned { Cause::DeadLetters } else { Cause::Failed };
            self.publisher.failed(cause, &format!("{error:#}"));
        }
        // A flood of bad records is no fault of the sinks: the dead letters that show it are written.
        let closed = self.close(looped.is_ok() || poisoned);
        // After an error too: the source may have something to commit, and a group to leave.
        let asked = self.shutdown.requested();
        let read = if asked { self.source.join_within(SOURCE_GRACE) } else { Some(self.source.join()) };
        let ended = looped?;
        closed?;
        match read {
            Some(read) => read.inspect_err(|error| self.publisher.failed(Cause::Failed, &error.to_string())),
            None => {
                warn!("the source does not come back and is left behind");
                Ok(())
            }
        }
        .context("the source has failed")?;
        Ok(ended)
    }

    fn turn_until_end(&mut self) -> anyhow::Result<Ended> {
        if let Some(former) = self.former.take() {
            self.take_up(former)?;
        }
        loop {
            let held_up = self.state.as_ref().is_some_and(|state| state.holds_up(&self.engine).is_some());
            let received = if held_up {
                // The channel fills, and the source waits.
                std::thread::sleep(TICK);
                Received::Nothing
            } else {
                self.source.inlet.receive(if self.engine.is_behind() { Duration::ZERO } else { TICK })
            };
            let go_on = match received {
                Received::Event(Event::Batch(delivery)) => self.batch(delivery)?,
                Received::Event(Event::WarmUpBegins) => self.begin_warm_up()?,
                Received::Event(Event::WarmUpEnds) => self.end_warm_up()?,
                Received::Nothing => true,
                Received::End if self.shutdown.requested() => return Ok(Ended::Stopped),
                Received::End => {
                    let go_on = self.end_warm_up()? && self.judge_windows(None)?;
                    return if go_on { self.finish() } else { Ok(Ended::Stopped) };
                }
            };
            let go_on = go_on && self.end_warm_up_when_there()?;
            self.acknowledge();
            self.keep_state()?;
            self.check_sinks()?;
            let now = Instant::now();
            if !(go_on && self.reload_rules(now)? && self.keep_models(now)? && self.look_around(held_up)) {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// After the end of the source: waits until the sinks have everything, as long as that takes.
    fn finish(&mut self) -> anyhow::Result<Ended> {
        while self.outputs.acknowledged() < self.sequence {
            self.check_sinks()?;
            if !self.look_around(false) {
                break;
            }
            self.outputs.alerts.wait_for(self.sequence, TICK);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Ended::AtEnd)
    }

    /// Publishes how things are, and sees whether it is time to stop; `blocked` says that a batch waits for room with
    /// a sink. Returns whether to go on: not once the time for a shutdown is over.
    fn look_around(&mut self, blocked: bool) -> bool {
        let Self { ref outputs, ref mut publisher, ref engine, ref source, ref warm_up, ref poison, ref state, .. } =
            *self;
        let (state, warming_up) = (state.as_ref(), warm_up.is_some());
        let view = View { engine, inlet: &source.inlet, outputs, poison, state, warming_up, blocked };
        publisher.look_around(&view, &self.shutdown, self.shutdown_timeout)
    }

    fn batch(&mut self, delivery: Delivery) -> anyhow::Result<bool> {
        let started = Instant::now();
        let before = self.engine.totals();
        if let Some(state) = &mut self.state {
            state.note(&delivery.batch);
        }
        let outcome = self.engine.process(&delivery.batch);
        let mut report = BatchReport::between(&before, &self.engine.totals(), &outcome.bad);
        report.time = started.elapsed();
        let new: Vec<Bad> = outcome.bad.into_iter().filter(|bad| !is_settled(&delivery, bad)).collect();
        self.publisher.late(&new);
        let letters = DeadLetter::of_batch(&delivery.batch, &new);
        let verdict = self.judge(&delivery, &new, &letters);
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.records += delivery.batch.messages.len() as u64;
        }
        let sent = self.send(outcome.alerts, letters)?;
        if sent {
            self.waiting.push_back((self.sequence, delivery.number));
        }
        if self.warm_up.is_none() {
            self.publisher.retired(&self.engine.retire());
        }
        self.last_batch = Instant::now();
        report.latency = delivery.arrived.elapsed();
        self.publisher.batch(&report, self.engine.rules(), &outcome.costs);
        self.source.inlet.recycle(delivery.batch);
        verdict?;
        Ok(sent)
    }

    /// Whether these bad records are too many. What a former run has put aside does not count again.
    fn judge(&mut self, delivery: &Delivery, new: &[Bad], letters: &[DeadLetter]) -> Result<(), Poisoned> {
        let poison = || new.iter().filter(|bad| bad.kind != BadKind::Late);
        let lines = poison().map(|bad| u64::from(bad.line));
        let seen = self.poison.see(delivery.number, delivery.batch.messages.len() as u64, lines);
        let last = letters.iter().rfind(|letter| letter.kind != BadKind::Late);
        if let Some(letter) = last {
            self.last_bad = Some((letter.source.clone(), letter.reason.clone()));
        }
        seen.map_err(|limit| {
            let (place, reason) = self.last_bad.clone().unwrap_or_default();
            Poisoned { limit, place, reason }
        })
    }

    /// Hands alerts and letters to all sinks, under the next sequence number. Returns whether all required ones have
    /// them in their queues: not where the time for a shutdown was over before.
    fn send(&mut self, alerts: Vec<Alert>, letters: Vec<DeadLetter>) -> anyhow::Result<bool> {
        self.sequence += 1;
        self.publisher.alerts(&alerts);
        if let Some(state) = self.state.as_mut().filter(|_| !alerts.is_empty()) {
            state.tell();
            fault::point("told");
        }
        let sent = self.hand_over(|outputs, sequence, go_on| outputs.send(sequence, alerts, letters, go_on))?;
        fault::point("handed-over");
        self.publisher.sent();
        Ok(sent)
    }

    /// Gives sinks that mirror what is open all of it. Returns whether all required ones have it in their queues.
    fn restate(&mut self) -> anyhow::Result<bool> {
        if !self.outputs.alerts.has_mirror() {
            return Ok(true);
        }
        let open = self.engine.alerts().into_iter().filter(|alert| alert.status == AlertStatus::Open && !alert.shadow);
        let open: Vec<Alert> = open.cloned().collect();
        self.hand_over(|outputs, sequence, go_on| outputs.restate(sequence, open, go_on))
    }

    /// Gives sinks something under the last sequence number, and goes on looking around where a full queue blocks.
    fn hand_over(
        &mut self,
        give: impl FnOnce(&Outputs, u64, &mut dyn FnMut() -> bool) -> anyhow::Result<bool>,
    ) -> anyhow::Result<bool> {
        let Self { ref outputs, ref mut publisher, ref engine, ref source, ref warm_up, ref poison, ref state, .. } =
            *self;
        let (inlet, state, warming_up) = (&source.inlet, state.as_ref(), warm_up.is_some());
        let view = View { engine, inlet, outputs, poison, state, warming_up, blocked: true };
        let mut go_on = || publisher.look_around(&view, &self.shutdown, self.shutdown_timeout);
        give(outputs, self.sequence, &mut go_on)
    }

    /// Cuts checkpoints as they are due.
    fn keep_state(&mut self) -> anyhow::Result<()> {
        let flood = self.poison.held(self.last_batch.elapsed() >= QUIET).is_some();
        match &mut self.state {
            Some(state) if self.warm_up.is_none() => state.turn(&mut self.engine, self.sequence, &self.outputs, flood),
            _ => Ok(()),
        }
    }

    /// Writes a last checkpoint, so that the next start has nothing to read again.
    fn last_checkpoint(&mut self, time: Duration) {
        let Some(state) = self.state.as_mut().filter(|_| self.warm_up.is_none()) else {
            return;
        };
        if !state.finish(&mut self.engine, self.sequence, &self.outputs, time) {
            let reason = state.trouble().unwrap_or_else(|| "there was no time for it".to_owned());
            warn!("no last checkpoint is written; the next start goes on from the one before: {reason}");
        }
    }

    fn check_sinks(&self) -> anyhow::Result<()> {
        self.outputs.failure().map_or(Ok(()), |failure| Err(failure).context("the pipeline cannot go on"))
    }

    /// Tells the source what is done.
    fn acknowledge(&mut self) {
        if self.warm_up.is_some() || self.waiting.is_empty() {
            return;
        }
        let acknowledged = self.outputs.acknowledged();
        let held = self.poison.held(self.last_batch.elapsed() >= QUIET).unwrap_or(u64::MAX);
        let is_done = |(sequence, delivery): &mut (u64, u64)| *sequence <= acknowledged && *delivery < held;
        let mut done = None;
        while let Some((_, delivery)) = self.waiting.pop_front_if(is_done) {
            done = Some(delivery);
        }
        if let Some(delivery) = done {
            self.source.inlet.set_done(delivery);
        }
    }

    fn reload_rules(&mut self, now: Instant) -> anyhow::Result<bool> {
        let Some(reload) = self.rules.as_mut().filter(|reload| now >= reload.next) else {
            return Ok(true);
        };
        reload.next = now + reload.interval;
        match reload.watch.poll(self.engine.ids()) {
            None => Ok(true),
            Some(Ok(rules)) => {
                let alerts = self.engine.replace_rules(Arc::new(rules));
                info!(alerts = alerts.len(), rules = self.engine.rules().rules.len(), "other rules are in force");
                self.publisher.rules(self.engine.rules());
                self.send(alerts, Vec::new())
            }
            Some(Err(mistakes)) => {
                warn!("the rules on disk are not taken, the old ones stay in force:\n{}", mistakes.render(false));
                self.publisher.rules_refused(mistakes.to_string());
                Ok(true)
            }
        }
    }

    /// Lets the sinks finish, where all is in order: as long as a shutdown may take.
    fn close(&mut self, in_order: bool) -> anyhow::Result<()> {
        let time = if in_order { self.shutdown.left_of(self.shutdown_timeout) } else { Duration::ZERO };
        let undelivered = self.outputs.close(time);
        self.acknowledge();
        if in_order && self.outputs.failure().is_none() && self.poison.held(true).is_none() {
            self.last_checkpoint(self.shutdown.left_of(self.shutdown_timeout).max(LAST_CHECKPOINT));
        }
        self.publisher.ended();
        for left in &undelivered {
            warn!(sink = left.sink, items = left.items, "not everything was delivered; it comes again after a restart");
        }
        match self.outputs.failure() {
            Some(failure) if in_order => Err(failure).context("not everything was delivered"),
            _ => Ok(()),
        }
    }
}

/// Whether a former run has already sent this dead letter.
fn is_settled(delivery: &Delivery, bad: &Bad) -> bool {
    let message = delivery.batch.messages.get(bad.line as usize);
    let before = message.and_then(|message| delivery.settled_before.get(message.origin as usize));
    before.zip(message).is_some_and(|(before, message)| message.position < *before)
}
