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
//! - rules are replaced between batches, never within one;
//! - checkpoints are cut between batches, never in a warm-up; see [`state`].

use crate::alert::{Alert, AlertId};
use crate::checkpoint::manifest::Positions;
use crate::engine::Engine;
use crate::fault;
use crate::metrics::BatchReport;
use crate::record::decode::Bad;
use crate::rules::Watch;
use crate::rules::rule::Map;
use crate::sink::DeadLetter;
use crate::sink::store::Known;
use crate::source::{Delivery, Event, Received, Running};
use anyhow::{Context as _, bail};
use outputs::Outputs;
use publish::Publisher;
use shutdown::Shutdown;
use state::StateKeeper;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

pub mod outputs;
pub mod publish;
pub mod setup;
pub mod shutdown;
pub mod state;

/// How long the loop waits for a batch before it looks around.
const TICK: Duration = Duration::from_millis(20);
/// How often totals are published while nothing comes.
const PUBLISH: Duration = Duration::from_millis(250);
/// How long a source may take to come back once everything it sent is done.
const SOURCE_GRACE: Duration = Duration::from_secs(5);

/// A pipeline that is set up; see [`setup`].
pub struct Pipeline {
    engine: Engine,
    source: Running,
    outputs: Outputs,
    publisher: Publisher,
    rules: Option<RuleReload>,
    shutdown: Shutdown,
    shutdown_timeout: Duration,
    /// The last sequence number.
    sequence: u64,
    /// Deliveries that are not done, with the sequence number they wait for.
    waiting: VecDeque<(u64, u64)>,
    warm_up: Option<WarmUp>,
    state: Option<StateKeeper>,
    former: Option<Former>,
    /// Its thread hangs somewhere.
    source_is_lost: bool,
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

/// A warm-up under way.
struct WarmUp {
    since: Instant,
    records: u64,
    /// Revisions that some required sink may not have.
    undelivered: Vec<Alert>,
    /// Where it ends, for sources that do not tell.
    until: Option<Positions>,
}

impl WarmUp {
    fn is_over(&self, positions: &Positions) -> bool {
        let there = |(origin, until): (&String, &u64)| positions.get(origin).is_some_and(|next| next >= until);
        self.until.as_ref().is_some_and(|until| until.iter().all(there))
    }
}

/// What a run before has left, for [`Pipeline`] to begin with.
#[derive(Default)]
struct Former {
    /// The alerts of the checkpoint that was taken back.
    alerts: Vec<Alert>,
    /// What sinks that remember have beyond that.
    recalled: Vec<Alert>,
    /// Where the warm-up ends, for sources that do not tell.
    until: Option<Positions>,
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
    /// A required sink or the source has failed for good. What was acknowledged by then stays so.
    pub fn run(mut self) -> anyhow::Result<Ended> {
        let looped = self.turn_until_end();
        if let Err(error) = &looped {
            self.publisher.failed(&format!("{error:#}"));
        }
        let closed = self.close(looped.is_ok());
        // After an error too: the source may have something to commit, and a group to leave.
        let read = if self.source_is_lost { Ok(()) } else { self.source.join() };
        let ended = looped?;
        closed?;
        read.context("the source has failed")?;
        Ok(ended)
    }

    fn turn_until_end(&mut self) -> anyhow::Result<Ended> {
        let mut stop_by: Option<Instant> = None;
        let mut next_publish = Instant::now();
        if let Some(former) = self.former.take() {
            self.take_up(former)?;
        }
        loop {
            if stop_by.is_none() && self.shutdown.requested() {
                info!("stopping: finishes what was read, then goes");
                self.source.inlet.stop();
                stop_by = Some(Instant::now() + self.shutdown_timeout + SOURCE_GRACE);
            }
            self.end_warm_up_when_there()?;
            let held_up = self.state.as_ref().and_then(|state| state.holds_up(&self.engine));
            let received = match held_up {
                // The channel fills, and the source waits.
                Some(reason) => {
                    self.publisher.held_up(&reason);
                    std::thread::sleep(TICK);
                    Received::Nothing
                }
                None => self.source.inlet.receive(TICK),
            };
            match received {
                Received::Event(Event::Batch(delivery)) => self.batch(delivery)?,
                Received::Event(Event::WarmUpBegins) => self.begin_warm_up()?,
                Received::Event(Event::WarmUpEnds) => self.end_warm_up()?,
                Received::Nothing => {}
                Received::End => {
                    let at_end = stop_by.is_none();
                    if at_end {
                        self.end_warm_up()?;
                    }
                    return Ok(if at_end { Ended::AtEnd } else { Ended::Stopped });
                }
            }
            self.acknowledge();
            if let Some(state) = self.state.as_mut().filter(|_| self.warm_up.is_none()) {
                state.turn(&mut self.engine, self.sequence, &self.outputs)?;
            }
            if let Some(failure) = self.outputs.failure() {
                return Err(failure).context("the pipeline cannot go on");
            }
            let now = Instant::now();
            self.reload_rules(now)?;
            if now >= next_publish {
                next_publish = now + PUBLISH;
                self.publish();
            }
            if stop_by.is_some_and(|deadline| now >= deadline) {
                warn!("the source does not come back and is left behind");
                self.source_is_lost = true;
                return Ok(Ended::Stopped);
            }
        }
    }

    fn batch(&mut self, delivery: Delivery) -> anyhow::Result<()> {
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
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.records += delivery.batch.messages.len() as u64;
        }
        self.send(outcome.alerts, letters)?;
        self.waiting.push_back((self.sequence, delivery.number));
        report.latency = delivery.arrived.elapsed();
        self.publisher.batch(&report);
        self.source.inlet.recycle(delivery.batch);
        Ok(())
    }

    /// Hands alerts and letters to all sinks, under the next sequence number.
    fn send(&mut self, alerts: Vec<Alert>, letters: Vec<DeadLetter>) -> anyhow::Result<()> {
        self.sequence += 1;
        self.publisher.alerts(&alerts);
        if let Some(state) = self.state.as_ref().filter(|_| !alerts.is_empty()) {
            state.tell()?;
            fault::point("told");
        }
        self.outputs.send(self.sequence, alerts, letters)?;
        fault::point("handed-over");
        Ok(())
    }

    /// Tells the source what is done.
    fn acknowledge(&mut self) {
        if self.warm_up.is_some() || self.waiting.is_empty() {
            return;
        }
        let acknowledged = self.outputs.acknowledged();
        let mut done = None;
        while let Some((_, delivery)) = self.waiting.pop_front_if(|(sequence, _)| *sequence <= acknowledged) {
            done = Some(delivery);
        }
        if let Some(delivery) = done {
            self.source.inlet.set_done(delivery);
        }
    }

    /// Reads what a former run has left, so that only the difference is sent afterwards.
    fn begin_warm_up(&mut self) -> anyhow::Result<()> {
        // What this run has sent belongs to what is known.
        while !self.outputs.alerts.wait_for(self.sequence, TICK) {
            if let Some(failure) = self.outputs.alerts.failure() {
                return Err(failure).context("the pipeline cannot go on");
            }
            if self.shutdown.requested() {
                bail!("stopped before the sinks had everything");
            }
        }
        if self.warm_up.is_some() {
            return Ok(());
        }
        let (known, undelivered) = self.stored()?;
        info!(alerts = known.len(), "rebuilds the state; compares with the alerts that are known");
        self.engine.begin_warm_up(known);
        self.warm_up = Some(WarmUp { since: Instant::now(), records: 0, undelivered, until: None });
        self.publisher.not_ready("the state is being rebuilt from earlier records");
        Ok(())
    }

    /// What the store knows: all alerts, and those whose last revision some required sink may not have.
    fn stored(&self) -> anyhow::Result<(Vec<Alert>, Vec<Alert>)> {
        let (mut known, mut undelivered) = (Vec::new(), Vec::new());
        if let Some(store) = &self.outputs.store {
            let read = store.known(|Known { alert, delivered }| {
                if !delivered {
                    undelivered.push(alert.clone());
                }
                known.push(alert);
            });
            read.context("failed to read the alerts of the run before")?;
        }
        Ok((known, undelivered))
    }

    /// Goes on where a run before has stopped: the engine holds its state, and is in a warm-up.
    fn take_up(&mut self, former: Former) -> anyhow::Result<()> {
        let Former { alerts, recalled, until } = former;
        if let Some(store) = &self.outputs.store {
            store.import(&alerts).context("failed to bring the alert store up to the checkpoint")?;
        }
        let (known, mut undelivered) = self.stored()?;
        let told: Map<(AlertId, u32), ()> = known
            .iter()
            .filter(|alert| !undelivered.iter().any(|other| other.alert_id == alert.alert_id))
            .map(|alert| ((alert.alert_id, alert.revision), ()))
            .collect();
        let covered: Map<AlertId, u32> = alerts.iter().map(|alert| (alert.alert_id, alert.revision)).collect();
        // What one sink has and the checkpoint has not may be missing in another. What the checkpoint has they all
        // have: it was not published before.
        undelivered
            .extend(recalled.iter().filter(|alert| !told.contains_key(&(alert.alert_id, alert.revision))).cloned());
        let is_new = |alert: &Alert| covered.get(&alert.alert_id).is_none_or(|revision| *revision < alert.revision);
        undelivered.retain(is_new);
        undelivered.sort_by_key(|alert| (alert.alert_id, alert.revision));
        undelivered.dedup_by_key(|alert| (alert.alert_id, alert.revision));
        self.engine.know(known);
        self.engine.know(recalled);
        self.warm_up = Some(WarmUp { since: Instant::now(), records: 0, undelivered, until });
        self.publisher.not_ready("the records since the last checkpoint are read again");
        Ok(())
    }

    fn end_warm_up_when_there(&mut self) -> anyhow::Result<()> {
        let over = self.warm_up.as_ref().zip(self.state.as_ref());
        match over.is_some_and(|(warm_up, state)| warm_up.is_over(state.positions())) {
            true => self.end_warm_up(),
            false => Ok(()),
        }
    }

    fn end_warm_up(&mut self) -> anyhow::Result<()> {
        let Some(warm_up) = self.warm_up.take() else {
            return Ok(());
        };
        let changed = self.engine.end_warm_up();
        self.publisher.restart_tally(&self.engine.alerts());
        // What some sink may lack goes first: revisions follow each other.
        let mut alerts = warm_up.undelivered;
        alerts.extend(changed);
        info!(
            records = warm_up.records,
            seconds = warm_up.since.elapsed().as_secs_f64(),
            alerts = alerts.len(),
            "the state is rebuilt"
        );
        self.send(alerts, Vec::new())
    }

    fn reload_rules(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(reload) = self.rules.as_mut().filter(|reload| now >= reload.next) else {
            return Ok(());
        };
        reload.next = now + reload.interval;
        match reload.watch.poll(self.engine.ids()) {
            None => Ok(()),
            Some(Ok(rules)) => {
                let alerts = self.engine.replace_rules(Arc::new(rules));
                info!(alerts = alerts.len(), rules = self.engine.rules().rules.len(), "other rules are in force");
                self.publisher.rules(self.engine.rules());
                self.send(alerts, Vec::new())
            }
            Some(Err(mistakes)) => {
                warn!("the rules on disk are not taken, the old ones stay in force:\n{}", mistakes.render(false));
                self.publisher.rules_refused(mistakes.to_string());
                Ok(())
            }
        }
    }

    fn publish(&self) {
        self.publisher.publish(&self.engine, &self.source.inlet, self.outputs.status(), self.warm_up.is_some());
    }

    /// Lets the sinks finish, and the source if it may still want something.
    fn close(&mut self, in_order: bool) -> anyhow::Result<()> {
        let undelivered = self.outputs.close(if in_order { self.shutdown_timeout } else { Duration::ZERO });
        self.publish();
        self.publisher.ended();
        let failure = self.outputs.failure();
        if in_order && failure.is_none() && self.warm_up.is_none() {
            self.last_checkpoint();
        }
        for left in &undelivered {
            warn!(sink = left.sink, items = left.items, "not everything was delivered; it comes again after a restart");
        }
        match failure {
            Some(failure) if in_order => Err(failure).context("not everything was delivered"),
            _ => Ok(()),
        }
    }
}

impl Pipeline {
    /// So that the next start has nothing to read again.
    fn last_checkpoint(&mut self) {
        let Some(state) = &mut self.state else {
            return;
        };
        if !state.finish(&mut self.engine, self.sequence, &self.outputs, self.shutdown_timeout) {
            let reason = state.trouble().unwrap_or_else(|| "there was no time for it".to_owned());
            warn!("no last checkpoint is written; the next start goes on from the one before: {reason}");
        }
    }
}

/// Whether a former run has already sent this dead letter.
fn is_settled(delivery: &Delivery, bad: &Bad) -> bool {
    let message = delivery.batch.messages.get(bad.line as usize);
    let before = message.and_then(|message| delivery.settled_before.get(message.origin as usize));
    before.zip(message).is_some_and(|(before, message)| message.position < *before)
}
