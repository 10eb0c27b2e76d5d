//! The bounded channel between a source and the pipeline, and the way back: what is done, and that it is time to
//! stop.

use super::Filling;
use crate::record::Batch;
use crate::status::Lag;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch on its way to the engine.
#[derive(Debug)]
pub struct Delivery {
    /// 1, 2, … for each source.
    pub number: u64,
    /// The messages.
    pub batch: Batch,
    /// When the first of them arrived.
    pub arrived: Instant,
    /// For each origin of the batch the position before which dead letters were already sent by a former run; empty
    /// where there was none.
    pub settled_before: Vec<u64>,
}

/// What a source sends.
#[derive(Debug)]
pub enum Event {
    /// Records.
    Batch(Delivery),
    /// What follows was processed by a former run: it only rebuilds the state.
    WarmUpBegins,
    /// What follows is new.
    WarmUpEnds,
}

/// What comes out of the channel.
#[derive(Debug)]
pub enum Received {
    /// Something.
    Event(Event),
    /// Nothing in time.
    Nothing,
    /// Nothing any more: the source is at its end, has stopped or has failed.
    End,
}

/// Counts of a source since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that came after their partition was taken away, or twice, and were dropped.
    pub stale: u64,
    /// Messages without content, which say that a key was deleted.
    pub tombstones: u64,
    /// Changes of the assignment of partitions.
    pub rebalances: u64,
    /// Commits of offsets.
    pub commits: u64,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// The number of the last delivery that was made.
    last_number: u64,
    /// Emptied batches whose room can be used again.
    spare: Vec<Batch>,
    /// The greatest number of a delivery that is done, with all before it.
    done: u64,
    stop: bool,
    ended: bool,
    receiver_gone: bool,
    lag: Vec<Lag>,
    trouble: Option<String>,
    disconnected: Option<String>,
    waits_for: Option<&'static str>,
    counts: Counts,
    alive: Option<Instant>,
}

/// How a source is doing.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// How many records wait in each partition.
    pub lag: Vec<Lag>,
    /// What is wrong with it now.
    pub trouble: Option<String>,
    /// What it waits for before it can read anything.
    pub waits_for: Option<&'static str>,
    /// What it has sent and nobody has taken, in events.
    pub pending: usize,
    /// Whether a warm-up begins with some of that.
    pub warm_up_ahead: bool,
    /// Counts since the start.
    pub counts: Counts,
    /// When a source that could hang in a client of its own last came by; `None`: it says nothing of that.
    pub alive: Option<Instant>,
}

struct Shared {
    state: Mutex<State>,
    /// Something came, or the end.
    arrived: Condvar,
    /// Something was taken or is done, or it is time to stop.
    moved: Condvar,
    capacity: usize,
}

/// What can be done at the source's end.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// The source's end. Dropping it is the end of the stream.
pub struct Outlet(Handle);

impl Outlet {
    /// What can be done here, to be taken elsewhere.
    pub fn handle(&self) -> Handle {
        self.0.clone()
    }
}

impl std::ops::Deref for Outlet {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

/// The pipeline's end.
pub struct Inlet(Arc<Shared>);

/// It is time to stop: nothing is taken any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping;

/// A channel for so many events.
pub fn channel(capacity: usize) -> (Outlet, Inlet) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        arrived: Condvar::new(),
        moved: Condvar::new(),
        capacity: capacity.max(1),
    });
    (Outlet(Handle { shared: shared.clone() }), Inlet(shared))
}

impl Handle {
    /// Sends what is in a filling, if anything is, and waits for room. Returns its number.
    ///
    /// # Errors
    /// It is time to stop; the messages are dropped.
    pub fn flush(&self, filling: &mut Filling) -> Result<u64, Stopping> {
        if let Some(delivery) = self.delivery(filling, Vec::new()) {
            let mut event = Event::Batch(delivery);
            while let Err(unsent) = self.offer(event, Duration::from_millis(500)) {
                if self.stopping() {
                    return Err(Stopping);
                }
                event = unsent;
            }
        }
        if self.stopping() { Err(Stopping) } else { Ok(self.last_number()) }
    }

    /// Makes a delivery of what is in a filling, if anything is; to be sent before the next one is made.
    pub fn delivery(&self, filling: &mut Filling, settled_before: Vec<u64>) -> Option<Delivery> {
        if filling.is_empty() {
            return None;
        }
        let mut state = self.shared.state.lock();
        let spare = state.spare.pop().unwrap_or_default();
        let (batch, arrived) = filling.take(spare)?;
        state.last_number += 1;
        Some(Delivery { number: state.last_number, batch, arrived, settled_before })
    }

    /// Sends an event, waiting for room at most so long.
    ///
    /// # Errors
    /// There was no room; the event comes back.
    #[allow(clippy::result_large_err)]
    pub fn offer(&self, event: Event, time: Duration) -> Result<(), Event> {
        let deadline = Instant::now() + time;
        let mut state = self.shared.state.lock();
        while state.events.len() >= self.shared.capacity && !state.receiver_gone {
            if self.shared.moved.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        if state.events.len() >= self.shared.capacity || state.receiver_gone {
            return Err(event);
        }
        state.events.push_back(event);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Whether the pipeline has taken everything that was sent.
    pub fn is_drained(&self) -> bool {
        self.shared.state.lock().events.is_empty()
    }

    /// Whether it is time to stop.
    pub fn stopping(&self) -> bool {
        let state = self.shared.state.lock();
        state.stop || state.receiver_gone
    }

    /// Waits so long, or until it is time to stop; whether it is.
    pub fn pause(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.shared.state.lock();
        while !state.stop && !state.receiver_gone {
            if self.shared.moved.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.stop || state.receiver_gone
    }

    /// The number of the last delivery.
    pub fn last_number(&self) -> u64 {
        self.shared.state.lock().last_number
    }

    /// The greatest number of a delivery that is done, with all before it.
    pub fn done(&self) -> u64 {
        self.shared.state.lock().done
    }

    /// Waits until everything that was sent is done, at most so long; whether it is. Goes on waiting when it is
    /// time to stop.
    pub fn wait_until_done(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.shared.state.lock();
        while state.done < state.last_number && !state.receiver_gone {
            if self.shared.moved.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.done >= state.last_number
    }

    /// Publishes how many records wait in each partition.
    pub fn set_lag(&self, lag: Vec<Lag>) {
        self.shared.state.lock().lag = lag;
    }

    /// The source's thread has come by: whoever calls this once must go on with it.
    pub fn is_alive(&self) {
        self.shared.state.lock().alive = Some(Instant::now());
    }

    /// Publishes what is wrong, or that nothing is.
    pub fn set_trouble(&self, trouble: Option<String>) {
        self.shared.state.lock().trouble = trouble;
    }

    /// Publishes why it cannot reach what it reads from, or that it can.
    pub fn set_disconnected(&self, reason: Option<String>) {
        self.shared.state.lock().disconnected = reason;
    }

    /// Publishes what it waits for before it can read anything; `None`: it reads.
    pub fn set_waits_for(&self, waits_for: Option<&'static str>) {
        self.shared.state.lock().waits_for = waits_for;
    }

    /// Counts something.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.shared.state.lock().counts);
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.shared.state.lock().ended = true;
        self.0.shared.arrived.notify_all();
    }
}

impl Inlet {
    /// Takes what comes next, waiting at most so long.
    pub fn receive(&self, time: Duration) -> Received {
        let deadline = Instant::now() + time;
        let mut state = self.0.state.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                self.0.moved.notify_all();
                return Received::Event(event);
            }
            if state.ended {
                return Received::End;
            }
            if self.0.arrived.wait_until(&mut state, deadline).timed_out() && state.events.is_empty() {
                return if state.ended { Received::End } else { Received::Nothing };
            }
        }
    }

    /// Tells the source that a delivery is done, with all before it.
    pub fn set_done(&self, number: u64) {
        let mut state = self.0.state.lock();
        if number > state.done {
            state.done = number;
            self.0.moved.notify_all();
        }
    }

    /// Tells the source to stop. What it has sent can still be received.
    pub fn stop(&self) {
        self.0.state.lock().stop = true;
        self.0.moved.notify_all();
    }

    /// Gives a batch back, for its room.
    pub fn recycle(&self, mut batch: Batch) {
        batch.clear();
        let mut state = self.0.state.lock();
        if state.spare.len() <= self.0.capacity {
            state.spare.push(batch);
        }
    }

    /// How the source is doing.
    pub fn condition(&self) -> Condition {
        let state = self.0.state.lock();
        Condition {
            lag: state.lag.clone(),
            trouble: state.disconnected.as_ref().or(state.trouble.as_ref()).cloned(),
            waits_for: state.waits_for,
            pending: state.events.len(),
            warm_up_ahead: state.events.iter().any(|event| matches!(event, Event::WarmUpBegins)),
            counts: state.counts,
            alive: state.alive.filter(|_| !state.ended),
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.state.lock().receiver_gone = true;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use crate::record::Origin;

    fn filling() -> Filling {
        let mut filling = Filling::new(Limits::bulk());
        let origin = Arc::new(Origin { name: "t".to_owned(), separator: ':', default_type: None });
        filling.push(b"{}", &origin, 1);
        filling
    }

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(30);

    #[test]
    fn a_full_channel_waits_and_an_ended_one_is_drained_first() {
        let (outlet, inlet) = channel(1);
        assert_eq!(outlet.flush(&mut filling()), Ok(1));
        assert!(matches!(outlet.offer(Event::WarmUpEnds, SOON), Err(Event::WarmUpEnds)), "full");
        let sender = std::thread::spawn(move || outlet.flush(&mut filling()));
        let Received::Event(Event::Batch(first)) = inlet.receive(LATE) else { panic!("a batch") };
        assert_eq!((first.number, first.batch.messages.len()), (1, 1));
        assert_eq!(sender.join().expect("no panic"), Ok(2));
        assert!(matches!(inlet.receive(LATE), Received::Event(Event::Batch(_))), "sent before the end");
        assert!(matches!(inlet.receive(LATE), Received::End));
    }

    #[test]
    fn a_source_learns_what_is_done_and_that_it_must_stop() {
        let (outlet, inlet) = channel(2);
        assert!(outlet.wait_until_done(Duration::ZERO), "nothing was sent");
        outlet.flush(&mut filling()).expect("room");
        assert!(!outlet.wait_until_done(SOON));
        inlet.set_done(1);
        inlet.set_done(0);
        assert!(outlet.wait_until_done(SOON));
        assert!(!outlet.pause(Duration::from_millis(1)));
        inlet.stop();
        assert!(outlet.pause(LATE), "at once");
        assert_eq!(outlet.flush(&mut filling()), Err(Stopping));
        drop(inlet);
        assert!(outlet.stopping());
        assert!(outlet.offer(Event::WarmUpEnds, LATE).is_err(), "at once");
    }
}
