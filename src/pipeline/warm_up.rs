//! The warm-up: the state is rebuilt from records that a former run has processed, without sending anything. Then only
//! what differs from the alerts of that run goes out.

use super::{Pipeline, TICK};
use crate::alert::{Alert, AlertId};
use crate::checkpoint::manifest::Positions;
use crate::rules::rule::Map;
use crate::sink::store::Known;
use anyhow::Context as _;
use std::time::Instant;
use tracing::info;

/// A warm-up under way.
pub(super) struct WarmUp {
    since: Instant,
    pub(super) records: u64,
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
pub(super) struct Former {
    /// The alerts of the checkpoint that was taken back.
    pub alerts: Vec<Alert>,
    /// What sinks that remember have beyond that.
    pub recalled: Vec<Alert>,
    /// Where the warm-up ends, for sources that do not tell.
    pub until: Option<Positions>,
}

impl Pipeline {
    /// Reads what a former run has left, so that only the difference is sent afterwards. Returns whether to go on.
    pub(super) fn begin_warm_up(&mut self) -> anyhow::Result<bool> {
        if self.warm_up.is_some() {
            return Ok(true);
        }
        // What this run has sent belongs to what is known.
        while !self.outputs.alerts.wait_for(self.sequence, TICK) {
            if let Some(failure) = self.outputs.alerts.failure() {
                return Err(failure).context("the pipeline cannot go on");
            }
            if !self.look_around(true) {
                return Ok(false);
            }
        }
        self.warm_up = Some(WarmUp { since: Instant::now(), records: 0, undelivered: Vec::new(), until: None });
        // A store may take long to read, and the outside should know meanwhile.
        self.publisher.hurry();
        if !self.look_around(false) {
            return Ok(false);
        }
        let (known, undelivered) = self.stored()?;
        info!(alerts = known.len(), "rebuilds the state; compares with the alerts that are known");
        self.engine.begin_warm_up(known);
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.undelivered = undelivered;
        }
        Ok(true)
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
    pub(super) fn take_up(&mut self, former: Former) -> anyhow::Result<()> {
        let Former { alerts, recalled, until } = former;
        if let Some(store) = &self.outputs.store {
            store.import(&alerts).context("failed to bring the alert store up to the checkpoint")?;
        }
        let (known, mut undelivered) = self.stored()?;
        let lacking: Map<AlertId, ()> = undelivered.iter().map(|alert| (alert.alert_id, ())).collect();
        let delivered = known.iter().filter(|alert| !lacking.contains_key(&alert.alert_id));
        let delivered: Map<AlertId, u32> = delivered.map(|alert| (alert.alert_id, alert.revision)).collect();
        let covered: Map<AlertId, u32> = alerts.iter().map(|alert| (alert.alert_id, alert.revision)).collect();
        // What one sink has and the checkpoint has not may be missing in another. What the checkpoint has they all
        // have: it was not published before.
        let has = |all: &Map<AlertId, u32>, alert: &Alert| {
            all.get(&alert.alert_id).is_some_and(|revision| *revision >= alert.revision)
        };
        undelivered.extend(recalled.iter().filter(|alert| !has(&delivered, alert)).cloned());
        undelivered.retain(|alert| !has(&covered, alert));
        undelivered.sort_by_key(|alert| (alert.alert_id, alert.revision));
        undelivered.dedup_by_key(|alert| (alert.alert_id, alert.revision));
        self.engine.know(known);
        self.engine.know(recalled);
        self.warm_up = Some(WarmUp { since: Instant::now(), records: 0, undelivered, until });
        Ok(())
    }

    /// Ends the warm-up of a source that does not tell, once it is there. Returns whether to go on.
    pub(super) fn end_warm_up_when_there(&mut self) -> anyhow::Result<bool> {
        let under_way = self.warm_up.as_ref().zip(self.state.as_ref());
        match under_way.is_some_and(|(warm_up, state)| warm_up.is_over(state.positions())) {
            true => self.end_warm_up(),
            false => Ok(true),
        }
    }

    /// Sends what differs. Returns whether to go on.
    pub(super) fn end_warm_up(&mut self) -> anyhow::Result<bool> {
        let Some(warm_up) = self.warm_up.take() else {
            return Ok(true);
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
        Ok(self.send(alerts, Vec::new())? && self.restate()?)
    }
}
