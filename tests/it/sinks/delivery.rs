//! The fan-out: queues, acknowledgement, failures, closing.

use super::{alert, alerts, eventually};
use fundwatch::alert::Alert;
use fundwatch::metrics::Metrics;
use fundwatch::sink::{Context, Fanout, Sink, SinkError, SinkQueue};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const REQUIRED: SinkQueue = SinkQueue { capacity: 10, required: true };
const OPTIONAL: SinkQueue = SinkQueue { capacity: 10, required: false };

/// A sink that does as it is told.
#[derive(Clone, Default)]
struct Puppet {
    name: &'static str,
    is_record: bool,
    /// Flushes wait while this is true.
    held: Arc<AtomicBool>,
    /// So many flushes fail, as one may.
    failures: Arc<AtomicU32>,
    /// Flushes fail for good.
    broken: Arc<AtomicBool>,
    panics: bool,
    got: Arc<Mutex<Vec<Alert>>>,
}

impl Puppet {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn boxed(&self) -> Box<dyn Sink<Alert>> {
        Box::new(self.clone())
    }

    fn count(&self) -> usize {
        self.got.lock().len()
    }
}

impl Sink<Alert> for Puppet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_record(&self) -> bool {
        self.is_record
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        assert!(!self.panics, "as it was told");
        self.got.lock().push(alert.clone());
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        while self.held.load(Ordering::Relaxed) {
            context.pause(Duration::from_millis(2))?;
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(SinkError::Setting { sink: self.name, reason: "told to break".to_owned() });
        }
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.fetch_sub(1, Ordering::Relaxed);
            let source = std::io::Error::other("told to fail");
            return Err(SinkError::File { action: "write", path: PathBuf::from("puppet"), source });
        }
        Ok(())
    }
}

#[test]
fn a_batch_counts_as_done_when_every_required_sink_has_it() {
    let (quick, slow) = (Puppet::new("quick"), Puppet::new("slow"));
    slow.held.store(true, Ordering::Relaxed);
    let sinks = vec![(slow.boxed(), REQUIRED), (quick.boxed(), REQUIRED)];
    let fanout = Fanout::start(sinks, &Metrics::new());
    fanout.send(1, &alerts(0..0)).expect("nothing is wrong");
    assert_eq!(fanout.acknowledged(), 1, "a batch without alerts is done at once");
    fanout.send(2, &alerts(0..3)).expect("nothing is wrong");
    fanout.send(3, &alerts(0..0)).expect("nothing is wrong");
    eventually("the quick sink has its alerts", || quick.count() == 3);
    assert_eq!(fanout.acknowledged(), 1, "the slow one has not");
    assert!(!fanout.wait_for(3, Duration::from_millis(20)));
    slow.held.store(false, Ordering::Relaxed);
    assert!(fanout.wait_for(3, Duration::from_secs(20)));
    assert_eq!(fanout.acknowledged(), 3);
}

#[test]
fn a_full_queue_holds_up_the_sender_but_not_the_other_sinks() {
    let (quick, slow) = (Puppet::new("quick"), Puppet::new("slow"));
    slow.held.store(true, Ordering::Relaxed);
    let metrics = Metrics::new();
    let fanout = Fanout::start(vec![(slow.boxed(), REQUIRED), (quick.boxed(), REQUIRED)], &metrics);
    // One batch in the sink's hands, one in its queue.
    fanout.send(1, &alerts(0..1)).expect("there is room");
    eventually("the slow sink takes the first batch", || slow.count() == 1);
    fanout.send(2, &alerts(0..10)).expect("there is room");
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| fanout.send(3, &alerts(0..1)));
        eventually("the quick sink has the third batch", || quick.count() == 12);
        eventually("the time lost shows", || fanout.status()[0].blocked_seconds > 0.0);
        assert!(!blocked.is_finished());
        slow.held.store(false, Ordering::Relaxed);
        blocked.join().expect("no panic").expect("nothing is wrong");
    });
    assert!(fanout.wait_for(3, Duration::from_secs(20)));
    assert!(metrics.render().contains("fundwatch_sink_delivered_total{sink=\"slow\"} 12"));
}

#[test]
fn a_sink_that_is_not_required_drops_what_finds_its_queue_full() {
    let (wanted, extra) = (Puppet::new("wanted"), Puppet::new("extra"));
    extra.held.store(true, Ordering::Relaxed);
    let fanout = Fanout::start(vec![(wanted.boxed(), REQUIRED), (extra.boxed(), OPTIONAL)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("there is room");
    eventually("the extra sink takes the first batch", || extra.count() == 1);
    fanout.send(2, &alerts(0..10)).expect("there is room");
    fanout.send(3, &alerts(0..5)).expect("it does not wait");
    assert!(fanout.wait_for(3, Duration::from_secs(20)), "nobody waits for the extra sink");
    assert_eq!(fanout.status()[1].dropped, 5);
}

#[test]
fn what_may_pass_is_tried_again_until_it_does() {
    let sink = Puppet::new("flaky");
    sink.failures.store(3, Ordering::Relaxed);
    let fanout = Fanout::start(vec![(sink.boxed(), REQUIRED)], &Metrics::new());
    fanout.send(1, &alerts(0..2)).expect("there is room");
    eventually("the trouble shows", || fanout.status()[0].trouble.is_some());
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    let status = fanout.status().remove(0);
    assert_eq!((status.retries, status.delivered, status.trouble), (3, 2, None));
    assert_eq!(sink.count(), 2, "alerts are handed over once, deliveries repeated");
}

#[test]
fn a_sink_that_fails_for_good_is_not_silent() {
    let sink = Puppet::new("broken");
    sink.broken.store(true, Ordering::Relaxed);
    let fanout = Fanout::start(vec![(sink.boxed(), REQUIRED)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("it is not known yet");
    eventually("the failure shows", || fanout.failure().is_some());
    let failure = fanout.send(2, &alerts(0..1)).expect_err("it is known");
    assert_eq!(failure.to_string(), "the broken sink has failed: the broken sink cannot be set up: told to break");
    assert_eq!(fanout.acknowledged(), 0);
}

#[test]
fn a_panic_is_a_failure() {
    let sink = Puppet { panics: true, ..Puppet::new("panicking") };
    let fanout = Fanout::start(vec![(sink.boxed(), REQUIRED)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("it is not known yet");
    eventually("the failure shows", || fanout.failure().is_some());
    let words = fanout.failure().map(|failure| failure.reason);
    assert_eq!(words.as_deref(), Some("it panicked: as it was told"));
}

#[test]
fn a_blocked_sender_learns_of_a_failure() {
    let sink = Puppet::new("breaking");
    sink.held.store(true, Ordering::Relaxed);
    sink.broken.store(true, Ordering::Relaxed);
    let fanout = Fanout::start(vec![(sink.boxed(), REQUIRED)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("there is room");
    eventually("the sink takes the first batch", || sink.count() == 1);
    fanout.send(2, &alerts(0..10)).expect("there is room");
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| fanout.send(3, &alerts(0..1)));
        sink.held.store(false, Ordering::Relaxed);
        blocked.join().expect("no panic").expect_err("the sink is broken");
    });
}

#[test]
fn shadow_findings_are_stored_and_not_sent() {
    let (record, other) = (Puppet { is_record: true, ..Puppet::new("record") }, Puppet::new("other"));
    let fanout = Fanout::start(vec![(record.boxed(), REQUIRED), (other.boxed(), REQUIRED)], &Metrics::new());
    let batch = [alert(1, 1), Alert { shadow: true, ..alert(2, 1) }];
    fanout.send(1, &Arc::from(batch)).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    assert_eq!((record.count(), other.count()), (2, 1));
}

#[test]
fn closing_lets_sinks_finish_and_interrupts_those_that_do_not() {
    let (quick, stuck) = (Puppet::new("quick"), Puppet::new("stuck"));
    stuck.held.store(true, Ordering::Relaxed);
    let mut fanout = Fanout::start(vec![(quick.boxed(), REQUIRED), (stuck.boxed(), REQUIRED)], &Metrics::new());
    fanout.send(1, &alerts(0..4)).expect("there is room");
    let begun = Instant::now();
    let left = fanout.close(Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!((left.len(), left[0].sink, left[0].items), (1, "stuck", 4));
    assert_eq!((quick.count(), fanout.acknowledged()), (4, 0));
    fanout.send(2, &alerts(0..1)).expect_err("it is closed");
}
