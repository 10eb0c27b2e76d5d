//! Where what comes out goes: alerts, dead letters and late records, each to sinks of its own, under one sequence.

use crate::alert::Alert;
use crate::record::decode::BadKind;
use crate::sink::fanout::Undelivered;
use crate::sink::store::Store;
use crate::sink::{DeadLetter, Fanout, SinkFailure};
use crate::status::SinkStatus;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;

/// Where what comes out goes.
pub struct Outputs {
    /// Alerts.
    pub alerts: Fanout<Alert>,
    /// Records that cannot be read.
    pub dead_letters: Fanout<DeadLetter>,
    /// Records that came after their time was dropped.
    pub late: Fanout<DeadLetter>,
    /// What a former run has left; `None`: nothing.
    pub store: Option<Store>,
}

impl Outputs {
    /// Hands alerts and letters to all sinks, under a sequence number. While a full queue of a required sink blocks,
    /// it asks again and again whether to `go_on`. Returns whether all required sinks have them in their queues.
    ///
    /// # Errors
    /// A required sink has failed for good.
    pub fn send(
        &self,
        sequence: u64,
        alerts: Vec<Alert>,
        letters: Vec<DeadLetter>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> anyhow::Result<bool> {
        let (late, dead): (Vec<_>, Vec<_>) = letters.into_iter().partition(|letter| letter.kind == BadKind::Late);
        let (dead, late): (Arc<[DeadLetter]>, Arc<[DeadLetter]>) = (dead.into(), late.into());
        let alerts: Arc<[Alert]> = alerts.into();
        Ok(self.dead_letters.send_while(sequence, &dead, go_on).context("failed to hand over dead letters")?
            && self.late.send_while(sequence, &late, go_on).context("failed to hand over late records")?
            && self.alerts.send_while(sequence, &alerts, go_on).context("failed to hand over alerts")?)
    }

    /// Hands all alerts that are open to the sinks that mirror them, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// A required sink has failed for good.
    pub fn restate(&self, sequence: u64, open: Vec<Alert>, go_on: &mut dyn FnMut() -> bool) -> anyhow::Result<bool> {
        let open: Arc<[Alert]> = open.into();
        self.alerts.restate_while(sequence, &open, go_on).context("failed to hand over what is open")
    }

    /// The greatest sequence number that all required sinks are done with, and everything before it.
    pub fn acknowledged(&self) -> u64 {
        let letters = self.dead_letters.acknowledged().min(self.late.acknowledged());
        self.alerts.acknowledged().min(letters)
    }

    /// What a required sink has failed of, if one has.
    pub fn failure(&self) -> Option<SinkFailure> {
        let letters = || self.dead_letters.failure().or_else(|| self.late.failure());
        self.alerts.failure().or_else(letters)
    }

    /// How the sinks are doing.
    pub fn status(&self) -> Vec<SinkStatus> {
        [self.alerts.status(), self.dead_letters.status(), self.late.status()].concat()
    }

    /// Lets the sinks deliver what they have for so long, all at the same time; what is left over.
    pub fn close(&mut self, time: Duration) -> Vec<Undelivered> {
        let Self { alerts, dead_letters, late, .. } = self;
        std::thread::scope(|scope| {
            let letters = [dead_letters, late].map(|letters| scope.spawn(|| letters.close(time)));
            let alerts = alerts.close(time);
            let letters = letters.map(|letters| letters.join().expect("closing does not panic"));
            [alerts].into_iter().chain(letters).flatten().collect()
        })
    }
}
