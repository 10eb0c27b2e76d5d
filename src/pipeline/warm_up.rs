//! The warm-up: the state is rebuilt from records that a former run has processed, without sending anything. Then only
//! what differs from the alerts of that run goes out.

use super::{Pipeline, TICK};
use crate::alert::AlertId;
use anyhow::Context as _;
use std::time::Instant;
use tracing::info;

/// A warm-up under way.
pub(super) struct WarmUp {
    since: Instant,
    pub(super) records: u64,
    /// Alerts whose last revision some required sink may not have.
    undelivered: Vec<AlertId>,
}

impl Pipeline {
    /// Reads what a former run has left, so that only the difference is sent afterwards. Returns whether to go on.
    pub(super) fn begin_warm_up(&mut self) -> anyhow::Result<bool> {
        // What this run has sent belongs to what is known.
        while !self.outputs.alerts.wait_for(self.sequence, TICK) {
            if let Some(failure) = self.outputs.alerts.failure() {
                return Err(failure).context("the pipeline cannot go on");
            }
            if !self.look_around(true) {
                return Ok(false);
            }
        }
        self.warm_up = Some(WarmUp { since: Instant::now(), records: 0, undelivered: Vec::new() });
        // A store may take long to read, and the outside should know meanwhile.
        self.publisher.hurry();
        if !self.look_around(false) {
            return Ok(false);
        }
        let mut known = Vec::new();
        let mut undelivered = Vec::new();
        if let Some(store) = &self.outputs.store {
            store
                .known(|alert| {
                    if !alert.delivered {
                        undelivered.push(alert.alert.alert_id);
                    }
                    known.push(alert.alert);
                })
                .context("failed to read the alerts of the run before")?;
        }
        info!(alerts = known.len(), "rebuilds the state; compares with the alerts that are known");
        self.engine.begin_warm_up(known);
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.undelivered = undelivered;
        }
        Ok(true)
    }

    /// Sends what differs. Returns whether to go on.
    pub(super) fn end_warm_up(&mut self) -> anyhow::Result<bool> {
        let Some(warm_up) = self.warm_up.take() else {
            return Ok(true);
        };
        let mut alerts = self.engine.end_warm_up();
        let all = self.engine.alerts();
        self.publisher.restart_tally(&all);
        // What was stored and not delivered is sent again, unless a newer revision goes out anyway.
        for alert_id in warm_up.undelivered {
            let changed = alerts.iter().any(|alert| alert.alert_id == alert_id);
            if let (false, Ok(at)) = (changed, all.binary_search_by_key(&alert_id, |alert| alert.alert_id)) {
                alerts.push(all[at].clone());
            }
        }
        drop(all);
        info!(
            records = warm_up.records,
            seconds = warm_up.since.elapsed().as_secs_f64(),
            alerts = alerts.len(),
            "the state is rebuilt"
        );
        self.send(alerts, Vec::new())
    }
}
