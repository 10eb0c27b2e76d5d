//! Floods of bad records: when dead letters stop being an answer.
//!
//! A bad record now and then is put aside. When nothing can be read any more, or hardly anything, the mistake is not
//! in the records but in what sends or reads them, and the pipeline stops before a whole topic has gone to the dead
//! letters. There are two limits: so many bad records in a row, and a share of the last records.
//!
//! From the first sign on, that is while a run goes on or the share lies above its limit, deliveries are *held*: they
//! do not count as done, so nothing of them is committed. A process that is started again and again stops each time
//! at the same place, rather than moving a little further with each start.
//!
//! Late records and re-deliveries could be read; they count as good.

use crate::config;
use std::collections::VecDeque;

/// When a flood of bad records stops the pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The share of the last records that stops it; 0: none.
    pub ratio: f64,
    /// So many records are the last ones.
    pub over: u64,
    /// So many bad ones in a row stop it; 0: none.
    pub run: u64,
}

impl Limits {
    /// Those of the configuration.
    pub fn of(config: &config::DeadLetters) -> Self {
        Self { ratio: config.stop_at_ratio, over: config.ratio_over, run: config.stop_at_run }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Limit {
    /// Bad records in a row.
    #[error("{0} records in a row cannot be read (dead_letters.stop_at_run = {0})")]
    Run(u64),
    /// Bad ones among the last records.
    #[error("{bad} of the last {over} records cannot be read (dead_letters.stop_at_ratio = {ratio})")]
    #[allow(missing_docs)]
    Ratio { bad: u64, over: u64, ratio: f64 },
}

impl Limit {
    /// The key that sets it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Run(_) => "dead_letters.stop_at_run",
            Self::Ratio { .. } => "dead_letters.stop_at_ratio",
        }
    }
}

/// Why a flood of bad records has stopped the pipeline.
#[derive(Debug, thiserror::Error)]
#[error(
    "{limit}; the last one is {place}: {reason}. Nothing of them counts as done. Put right what is sent, or how \
     it is read, and start again; to let them pass to the dead letters, set {} = 0 until they are through",
    limit.key()
)]
pub struct Poisoned {
    /// The limit that was reached.
    pub limit: Limit,
    /// Where the last bad record stood.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Counts bad records against the limits.
#[derive(Debug)]
pub struct Poison {
    limits: Limits,
    /// Bad records since the last good one.
    run: u64,
    /// The last records: stretches of good and of bad ones, oldest first.
    window: VecDeque<(bool, u64)>,
    /// Records in the window, at most `limits.over`.
    seen: u64,
    /// Bad ones among them.
    bad: u64,
    /// The first delivery of those that are held.
    held: Option<u64>,
    /// Whether a limit was reached.
    reached: bool,
}

impl Poison {
    /// Nothing was seen.
    pub fn new(limits: Limits) -> Self {
        Self { limits, run: 0, window: VecDeque::new(), seen: 0, bad: 0, held: None, reached: false }
    }

    /// Counts a delivery of so many messages, of which those with the numbers `bad`, in order, are bad.
    ///
    /// # Errors
    /// The first limit that was reached.
    pub fn see(&mut self, delivery: u64, messages: u64, bad: impl IntoIterator<Item = u64>) -> Result<(), Limit> {
        let mut next = 0;
        for line in bad {
            self.take(delivery, false, line - next)?;
            self.take(delivery, true, 1)?;
            next = line + 1;
        }
        self.take(delivery, false, messages - next)
    }

    /// Counts records of one kind.
    fn take(&mut self, delivery: u64, bad: bool, count: u64) -> Result<(), Limit> {
        // With the window just full the first verdict is due; good records after that only make it milder.
        let first = count.min(self.limits.over.saturating_sub(self.seen).max(1));
        for part in [first, count - first] {
            if part == 0 {
                continue;
            }
            self.run = if bad { self.run + part } else { 0 };
            self.push(bad, part);
            if self.suspicious() {
                self.held.get_or_insert(delivery);
            } else {
                self.held = None;
            }
            self.judge().inspect_err(|_| self.reached = true)?;
        }
        Ok(())
    }

    fn push(&mut self, bad: bool, count: u64) {
        match self.window.back_mut() {
            Some((kind, length)) if *kind == bad => *length += count,
            _ => self.window.push_back((bad, count)),
        }
        self.seen += count;
        self.bad += if bad { count } else { 0 };
        while self.seen > self.limits.over
            && let Some((kind, length)) = self.window.front_mut()
        {
            let gone = (self.seen - self.limits.over).min(*length);
            *length -= gone;
            self.seen -= gone;
            self.bad -= if *kind { gone } else { 0 };
            if *length == 0 {
                self.window.pop_front();
            }
        }
    }

    fn judge(&self) -> Result<(), Limit> {
        let Limits { ratio, over, run } = self.limits;
        if run > 0 && self.run >= run {
            return Err(Limit::Run(self.run));
        }
        if self.seen == over && self.exceeds_ratio() {
            return Err(Limit::Ratio { bad: self.bad, over, ratio });
        }
        Ok(())
    }

    /// Whether a limit may be on its way.
    fn suspicious(&self) -> bool {
        self.limits.run > 0 && self.run > 0 || self.exceeds_ratio()
    }

    fn exceeds_ratio(&self) -> bool {
        self.limits.ratio > 0.0 && self.ratio() >= self.limits.ratio
    }

    /// The delivery from which on nothing counts as done yet. Where no record has come for a while (`quiet`) there is
    /// no flood, and nothing is held, unless a limit was reached before.
    pub fn held(&self, quiet: bool) -> Option<u64> {
        self.held.filter(|_| self.reached || !quiet)
    }

    /// Bad records since the last good one.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The share of bad ones among the last records; 0 before the first.
    pub fn ratio(&self) -> f64 {
        self.bad as f64 / self.seen.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Limits = Limits { ratio: 0.0, over: 10, run: 0 };

    /// What comes of records, so many in a delivery: `x` is bad. The delivery that reached a limit, and the limit.
    fn flood(limits: Limits, records: &str, in_one: usize) -> Option<(usize, Limit)> {
        let mut poison = Poison::new(limits);
        for (delivery, batch) in records.as_bytes().chunks(in_one).enumerate() {
            let bad = (0..).zip(batch).filter(|(_, kind)| **kind == b'x').map(|(line, _)| line);
            if let Err(limit) = poison.see(delivery as u64, batch.len() as u64, bad) {
                return Some((delivery, limit));
            }
        }
        None
    }

    #[test]
    fn so_many_in_a_row_are_too_many() {
        let limits = Limits { run: 4, ..OFF };
        for in_one in 1..9 {
            assert_eq!(flood(limits, "xxx.xxx.xxx.xx", in_one), None, "{in_one}");
            assert_eq!(flood(limits, "x..xxx.xxxxx.", in_one), Some((10 / in_one, Limit::Run(4))), "{in_one}");
        }
        assert_eq!(flood(OFF, &"x".repeat(1_000), 7), None, "0 is no limit");
    }

    #[test]
    fn such_a_share_of_the_last_records_is_too_much() {
        let limits = Limits { ratio: 0.5, ..OFF };
        for in_one in 1..30 {
            // Nine of ten, but ten are needed for a verdict.
            assert_eq!(flood(limits, "xxxxxxxxx", in_one), None, "{in_one}");
            assert_eq!(flood(limits, "xxxx......x...x....xxx......", in_one), None, "{in_one}");
            let reached = Limit::Ratio { bad: 5, over: 10, ratio: 0.5 };
            let found = flood(limits, "...........x.x.x.x..x.......", in_one);
            assert_eq!(found, Some((20 / in_one, reached)), "{in_one}");
            // The verdict comes with the tenth record, although it is good and more good ones follow.
            let reached = Limit::Ratio { bad: 6, over: 10, ratio: 0.5 };
            let found = flood(limits, "xxxxxx......................", in_one);
            assert_eq!(found, Some((9 / in_one, reached)), "{in_one}");
        }
    }

    #[test]
    fn what_is_suspicious_is_held_from_its_first_delivery_on() {
        let mut poison = Poison::new(Limits { ratio: 0.5, over: 100, run: 10 });
        let mut see = |delivery, messages, bad: &[u64]| {
            poison.see(delivery, messages, bad.iter().copied()).expect("within limits");
            poison.held(false)
        };
        assert_eq!(see(1, 5, &[0, 1]), None, "bad ones before good ones");
        assert_eq!(see(2, 5, &[4]), Some(2), "a run may have begun");
        assert_eq!(see(3, 3, &[0, 1, 2]), Some(2));
        assert_eq!(see(4, 9, &[]), None, "it is over");
        // Without a run at the end, but more than half of all so far.
        assert_eq!(see(5, 30, &[1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24]), Some(5));
        assert_eq!(see(6, 8, &[0, 2, 4, 6]), Some(5));
        assert_eq!(see(7, 40, &[]), None);
        assert_eq!(see(8, 1, &[0]), Some(8));
        assert_eq!(poison.held(true), None, "a last bad record is not held for ever");
        poison.see(9, 9, 0..9).expect_err("ten in a row");
        assert_eq!(poison.held(true), Some(8), "what stops it stays open");
    }

    #[test]
    fn a_process_that_starts_again_stops_at_the_same_place() {
        let limits = Limits { ratio: 0.5, over: 100, run: 0 };
        let mut done = 0;
        for _start in 0..3 {
            let mut poison = Poison::new(limits);
            let reached = (done..1_000).find(|delivery| poison.see(*delivery, 5, [0, 2, 3]).is_err());
            assert_eq!(reached, Some(19));
            done = poison.held(false).expect("held");
            assert_eq!(done, 0);
        }
    }
}
