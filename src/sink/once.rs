//! A sink that remembers what it was given by a former run, and takes nothing of that again.

use super::{Context, Sink, SinkError};
use crate::alert::{Alert, AlertId};
use crate::rules::rule::Map;

/// A sink before which revisions are dropped that it has already.
pub struct Once<S> {
    sink: S,
    /// By alert, the last revision that it has.
    has: Map<AlertId, u32>,
}

impl<S> Once<S> {
    /// A sink that has these revisions.
    pub fn new(sink: S, recalled: &[Alert]) -> Self {
        let mut has: Map<AlertId, u32> = Map::default();
        for alert in recalled {
            let last = has.entry(alert.alert_id).or_default();
            *last = alert.revision.max(*last);
        }
        Self { sink, has }
    }
}

impl<S: Sink<Alert>> Sink<Alert> for Once<S> {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn is_record(&self) -> bool {
        self.sink.is_record()
    }

    fn mark(&self) -> Option<String> {
        self.sink.mark()
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        match self.has.get(&alert.alert_id) {
            Some(last) if *last >= alert.revision => Ok(()),
            _ => self.sink.write(alert),
        }
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        self.sink.flush(context)
    }

    fn idle(&mut self, context: &Context) -> Result<(), SinkError> {
        self.sink.idle(context)
    }

    fn close(&mut self, context: &Context) -> Result<(), SinkError> {
        self.sink.close(context)
    }
}
