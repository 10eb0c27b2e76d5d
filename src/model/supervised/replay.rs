//! Settlements over a history, each as it was known at the end of its day.

use crate::detect::Watch;
use crate::engine::Engine;
use crate::engine::moments::Moment;
use crate::model::replay::by_days;
use crate::record::{Batch, Day};
use std::collections::BTreeSet;

/// Takes a history through an engine and collects settlements on the way.
pub struct Replay {
    to: Day,
    from: Day,
    /// The first day that was not looked at.
    next: Day,
    moments: Vec<Moment>,
}

impl Replay {
    /// Prepares an engine that has no records yet for the settlements from a day to the one before another.
    pub fn new(engine: &mut Engine, from: Day, to: Day) -> Self {
        engine.watch(Watch { institutions: true, persons: false });
        Self { from, to, next: from, moments: Vec::new() }
    }

    /// Processes a batch. A settlement sees nothing that comes after the first record of the day after it.
    pub fn process(&mut self, engine: &mut Engine, batch: &Batch) {
        by_days(engine, batch, |engine, day| self.look(engine, day));
        // Nobody asks for them.
        engine.take_changed_days();
    }

    fn look(&mut self, engine: &Engine, reached: Day) {
        let end = reached.min(self.to);
        if self.next < end {
            self.moments.extend(engine.moments(self.next, end));
            self.next = end;
        }
    }

    /// The settlements by time and id. One that came after the end of its day is seen as all is now.
    pub fn finish(mut self, engine: &Engine) -> Vec<Moment> {
        self.look(engine, self.to);
        let known: BTreeSet<String> = self.moments.iter().map(|moment| moment.settlement.clone()).collect();
        let late = engine.moments(self.from, self.to).into_iter().filter(|moment| !known.contains(&moment.settlement));
        self.moments.extend(late);
        self.moments.sort_by(|one, other| (one.time, &one.settlement).cmp(&(other.time, &other.settlement)));
        self.moments
    }
}
