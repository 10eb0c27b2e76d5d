//! Features over a history: what had come when a window was looked at first, or everything.

use super::file::Model;
use super::observer::{FeatureRow, Observer};
use crate::engine::Engine;
use crate::record::{Batch, Day, Time};

/// Takes a history through an engine and collects features on the way.
pub struct Replay {
    model: Model,
    observer: Observer,
    /// Whether windows are seen as they were when they were looked at first.
    at_close: bool,
    rows: Vec<FeatureRow>,
    /// Windows that begin before this day were looked at.
    seen_before: Option<Day>,
}

impl Replay {
    /// Prepares an engine that has no records yet.
    pub fn new(model: Model, engine: &mut Engine, at_close: bool) -> Self {
        engine.watch(model.watch());
        Self { model, observer: Observer::default(), at_close, rows: Vec::new(), seen_before: None }
    }

    /// Processes a batch. Nothing that comes after the moment at which a window is looked at first is seen in it.
    pub fn process(&mut self, engine: &mut Engine, batch: &Batch) {
        if self.at_close {
            by_days(engine, batch, |engine, day| self.look(engine, day));
        } else {
            engine.process(batch);
        }
    }

    fn look(&mut self, engine: &mut Engine, reached: Day) {
        self.observer.note(&self.model, &engine.take_changed_days());
        for start in self.observer.advance(&self.model, engine, reached) {
            // A window that was looked at before is known better now; that comes too late.
            if self.seen_before.is_none_or(|before| start >= before) {
                self.rows.extend(self.observer.features(&self.model, start));
                self.seen_before = Some(Day(start.0 + 1));
            }
        }
    }

    /// The features, by window and entity.
    pub fn finish(mut self, engine: &mut Engine) -> (Model, Vec<FeatureRow>) {
        if let Some(reached) = engine.event_time().map(Time::day) {
            self.look(engine, reached);
        }
        if !self.at_close {
            let windows: Vec<Day> = self.observer.windows().collect();
            self.rows = windows.iter().flat_map(|start| self.observer.features(&self.model, *start)).collect();
        }
        (self.model, self.rows)
    }
}

/// Processes a batch, cut before each record that is the first of a new day: there `look` gets the day, while the engine has
/// what came before.
pub fn by_days(engine: &mut Engine, batch: &Batch, mut look: impl FnMut(&mut Engine, Day)) {
    let mut rest = batch.clone();
    while !rest.is_empty() {
        let next = engine.event_time().map(|reached| Day(reached.day().0 + 1));
        let cut = match next {
            // The first record of all says where time begins.
            None => Some((1, None)),
            Some(next) => first_reaching(engine, &mut rest, next.start()).map(|(place, day)| (place, Some(day))),
        };
        let Some((place, day)) = cut else {
            engine.process(&rest);
            return;
        };
        let mut after = rest.messages.split_off(place.min(rest.messages.len()));
        engine.process(&rest);
        if let Some(day) = day {
            look(engine, day);
            // The message that was cut at moves time on.
            let rest_of_all = after.split_off(1);
            rest.messages = std::mem::replace(&mut after, rest_of_all);
            engine.process(&rest);
        }
        rest.messages = after;
    }
}

/// The place of the first message of a time or later, and its day.
fn first_reaching(engine: &Engine, batch: &mut Batch, time: Time) -> Option<(usize, Day)> {
    let all = std::mem::take(&mut batch.messages);
    let mut latest = |from: usize, to: usize| {
        batch.messages = all[from..to].to_vec();
        engine.decode(batch).iter().filter_map(|part| part.latest).max().filter(|latest| *latest >= time)
    };
    let place = latest(0, all.len()).and_then(|_| {
        let (mut from, mut to) = (0, all.len());
        while to - from > 1 {
            let middle = from.midpoint(to);
            if latest(from, middle).is_some() { to = middle } else { from = middle }
        }
        latest(from, from + 1).map(|latest| (from, latest.day()))
    });
    batch.messages = all;
    place
}
