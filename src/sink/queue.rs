//! The bounded queue before a sink, which also knows how far the sink has come.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Batches on their way to one sink.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Something came, or the phase changed.
    arrived: Condvar,
    /// There is room again, or a batch is done, or the phase changed.
    moved: Condvar,
    /// Items that may wait.
    capacity: usize,
}

struct State<T> {
    waiting: VecDeque<(u64, Arc<[T]>)>,
    /// Items in `waiting`.
    items: usize,
    /// Items taken by the sink and not done.
    in_hand: usize,
    /// The greatest sequence number that was announced, with items or without.
    latest: u64,
    /// The greatest sequence number that the sink is done with.
    done: u64,
    phase: Phase,
}

/// The life of a queue.
///
/// - `Open`: batches come and go; → `Closing`, `Dead`
/// - `Closing`: none come any more, the rest goes; → `Dead`
/// - `Dead`: the sink has stopped, what waits is never delivered
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Dead,
}

/// What became of an attempt to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The batch is in the queue.
    Taken,
    /// There is no room.
    Full,
    /// The queue takes nothing any more.
    Closed,
}

/// What the sink's thread finds.
pub(super) enum Found<T> {
    /// Batches with the last one's sequence number.
    Batches(u64, Vec<Arc<[T]>>),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    End,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                items: 0,
                in_hand: 0,
                latest: 0,
                done: 0,
                phase: Phase::Open,
            }),
            arrived: Condvar::new(),
            moved: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Pushes a batch if it fits. A batch larger than the whole queue fits when nothing waits.
    pub(super) fn try_push(&self, sequence: u64, batch: &Arc<[T]>) -> Pushed {
        self.push(&mut self.state.lock(), sequence, batch)
    }

    /// Pushes a batch, waiting for room at most so long.
    pub(super) fn push_within(&self, sequence: u64, batch: &Arc<[T]>, time: Duration) -> Pushed {
        let deadline = Instant::now() + time;
        let mut state = self.state.lock();
        loop {
            let pushed = self.push(&mut state, sequence, batch);
            if pushed != Pushed::Full || self.moved.wait_until(&mut state, deadline).timed_out() {
                return pushed;
            }
        }
    }

    fn push(&self, state: &mut State<T>, sequence: u64, batch: &Arc<[T]>) -> Pushed {
        if state.phase != Phase::Open {
            return Pushed::Closed;
        }
        state.done = state.acknowledged();
        if batch.is_empty() {
            state.latest = state.latest.max(sequence);
            return Pushed::Taken;
        }
        if state.items > 0 && state.items + batch.len() > self.capacity {
            return Pushed::Full;
        }
        state.latest = state.latest.max(sequence);
        state.items += batch.len();
        state.waiting.push_back((sequence, batch.clone()));
        self.arrived.notify_one();
        Pushed::Taken
    }

    /// Takes what waits, about `most` items at once, or waits for it.
    pub(super) fn take(&self, most: usize, time: Duration) -> Found<T> {
        let deadline = Instant::now() + time;
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.phase != Phase::Open {
                return Found::End;
            }
            if self.arrived.wait_until(&mut state, deadline).timed_out() {
                return Found::Nothing;
            }
        }
        let mut batches = Vec::new();
        let (mut last, mut taken) = (0, 0);
        while taken < most
            && let Some((sequence, batch)) = state.waiting.pop_front()
        {
            taken += batch.len();
            last = sequence;
            batches.push(batch);
        }
        state.items -= taken;
        state.in_hand += taken;
        self.moved.notify_all();
        Found::Batches(last, batches)
    }

    /// Notes that the sink is done with everything it took, up to a sequence number.
    pub(super) fn done(&self, sequence: u64) {
        let mut state = self.state.lock();
        state.done = state.done.max(sequence);
        state.in_hand = 0;
        self.moved.notify_all();
    }

    /// The greatest sequence number up to which nothing is missing.
    pub(super) fn acknowledged(&self) -> u64 {
        self.state.lock().acknowledged()
    }

    /// Waits until everything up to a sequence number is done; whether it is.
    pub(super) fn wait_for(&self, sequence: u64, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.acknowledged() < sequence {
            if state.phase == Phase::Dead || self.moved.wait_until(&mut state, deadline).timed_out() {
                return state.acknowledged() >= sequence;
            }
        }
        true
    }

    /// Items that wait or are in the sink's hands.
    pub(super) fn depth(&self) -> usize {
        let state = self.state.lock();
        state.items + state.in_hand
    }

    /// Lets nothing in any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        self.arrived.notify_all();
        self.moved.notify_all();
    }

    /// Notes that the sink has stopped.
    pub(super) fn kill(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Dead;
        self.arrived.notify_all();
        self.moved.notify_all();
    }
}

impl<T> State<T> {
    fn acknowledged(&self) -> u64 {
        // With nothing in flight, batches without items are done as well.
        if self.items == 0 && self.in_hand == 0 { self.latest } else { self.done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(items: usize) -> Arc<[usize]> {
        (0..items).collect()
    }

    #[test]
    fn a_full_queue_takes_nothing_until_the_sink_takes_something() {
        let queue = Queue::new(10);
        assert_eq!(queue.try_push(1, &batch(6)), Pushed::Taken);
        assert_eq!(queue.try_push(2, &batch(6)), Pushed::Full);
        assert_eq!(queue.try_push(2, &batch(4)), Pushed::Taken);
        assert_eq!(queue.push_within(3, &batch(1), Duration::from_millis(5)), Pushed::Full);
        let Found::Batches(last, batches) = queue.take(6, Duration::ZERO) else { panic!("something waits") };
        assert_eq!((last, batches.len(), queue.depth()), (1, 1, 10));
        assert_eq!(queue.try_push(3, &batch(100)), Pushed::Full);
        assert!(matches!(queue.take(100, Duration::ZERO), Found::Batches(2, _)));
        assert_eq!(queue.try_push(3, &batch(100)), Pushed::Taken, "larger than the queue, but nothing waits");
    }

    #[test]
    fn empty_batches_are_done_when_all_before_them_are() {
        let queue = Queue::new(10);
        queue.try_push(1, &batch(0));
        assert_eq!(queue.acknowledged(), 1);
        queue.try_push(2, &batch(1));
        queue.try_push(3, &batch(0));
        assert_eq!(queue.acknowledged(), 1);
        assert!(matches!(queue.take(10, Duration::ZERO), Found::Batches(2, _)));
        assert_eq!(queue.acknowledged(), 1);
        queue.done(2);
        assert_eq!(queue.acknowledged(), 3);
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_holds() {
        let queue = Queue::new(10);
        queue.try_push(1, &batch(1));
        queue.close();
        assert_eq!(queue.try_push(2, &batch(1)), Pushed::Closed);
        assert!(matches!(queue.take(10, Duration::ZERO), Found::Batches(1, _)));
        assert!(matches!(queue.take(10, Duration::from_secs(60)), Found::End));
    }
}
