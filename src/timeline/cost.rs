//! What rules cost: how long evaluating each of them takes, from samples.
//!
//! A batch has thousands of keys, and most are done with in less than a microsecond, so reading the clock around every rule on
//! every key would cost a good part of what it measures. One key in [`SAMPLED`] is timed, and its time counts so many times:
//! over many keys that is right on average, whatever the keys are like. What several rules of a key share counts with the first
//! of them that asks for it; what is gathered before the first rule counts with none.

use crate::detect::plan::RuleNumber;
use std::time::{Duration, Instant};

/// One key in so many is timed. A prime, so that it does not keep step with keys that take turns.
pub const SAMPLED: u32 = 17;

/// What evaluating a rule took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Whether it was evaluated on any key.
    pub evaluated: bool,
    /// How long that took, as the samples say.
    pub time: Duration,
}

/// What evaluating the rules of a shard took, by their numbers.
#[derive(Default)]
pub struct Costs {
    rules: Vec<Cost>,
    /// Keys since the last one that was timed.
    untimed: u32,
}

/// The evaluation of a key under way: where it is timed, when the rule at hand was begun.
pub(super) struct Lap(Option<Instant>);

impl Costs {
    /// A key is about to be evaluated.
    pub(super) fn begin(&mut self) -> Lap {
        self.untimed += 1;
        if self.untimed < SAMPLED {
            return Lap(None);
        }
        self.untimed = 0;
        Lap(Some(Instant::now()))
    }

    /// A rule was evaluated on the key, and the next one begins.
    pub(super) fn count(&mut self, rule: RuleNumber, lap: &mut Lap) {
        let place = usize::from(rule);
        if place >= self.rules.len() {
            self.rules.resize(place + 1, Cost::default());
        }
        let cost = &mut self.rules[place];
        cost.evaluated = true;
        if let Some(since) = &mut lap.0 {
            let now = Instant::now();
            cost.time += now.duration_since(*since) * SAMPLED;
            *since = now;
        }
    }

    /// Adds what was counted since the last call, by rule number.
    pub fn take_into(&mut self, all: &mut [Cost]) {
        for (sum, cost) in all.iter_mut().zip(&mut self.rules) {
            let Cost { evaluated, time } = std::mem::take(cost);
            sum.evaluated |= evaluated;
            sum.time += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_in_so_many_is_timed_and_counts_for_all() {
        let mut costs = Costs::default();
        let pause = Duration::from_millis(2);
        for _ in 0..SAMPLED {
            let mut lap = costs.begin();
            if lap.0.is_some() {
                std::thread::sleep(pause);
            }
            costs.count(1, &mut lap);
            costs.count(3, &mut lap);
        }
        let mut all = [Cost::default(); 4];
        costs.take_into(&mut all);
        assert_eq!(all.map(|cost| cost.evaluated), [false, true, false, true]);
        assert!(all[1].time >= pause * SAMPLED, "{:?}", all[1].time);
        assert!(all[3].time < all[1].time, "the second rule begins where the first ends");
        let mut rest = [Cost::default(); 4];
        costs.take_into(&mut rest);
        assert_eq!(rest, [Cost::default(); 4]);
    }
}
