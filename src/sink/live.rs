//! The live event stream: every revision to whoever listens, without ever waiting for a listener.

use super::{Context, Sink, SinkError};
use crate::alert::Alert;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Revisions that a listener may be behind before it is told that it has missed some.
pub const BACKLOG: usize = 1_024;

/// A revision as listeners get it.
#[derive(Debug)]
pub struct LiveAlert {
    /// `<alert_id>-<revision>`.
    pub key: String,
    /// The alert's JSON.
    pub json: String,
}

/// Where listeners subscribe.
pub type LiveSender = broadcast::Sender<Arc<LiveAlert>>;

/// A sender with the usual backlog.
pub fn sender() -> LiveSender {
    broadcast::Sender::new(BACKLOG)
}

/// The sink before the event stream. It belongs before the store among the sinks only for speed: nothing waits
/// for it, and it loses nothing that anyone was promised.
pub struct Live(pub LiveSender);

impl Sink<Alert> for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        if self.0.receiver_count() > 0 {
            let key = format!("{}-{}", alert.alert_id, alert.revision);
            let json = serde_json::to_string(alert)?;
            // The last listener may have left just now.
            drop(self.0.send(Arc::new(LiveAlert { key, json })));
        }
        Ok(())
    }

    fn flush(&mut self, _context: &Context) -> Result<(), SinkError> {
        Ok(())
    }
}
