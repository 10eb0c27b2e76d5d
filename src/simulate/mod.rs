//! A believable city that settles its medical bills, from a seed.
//!
//! [`Simulator`] streams the records of a city in order of *upload*: outpatient visits, pharmacy
//! sales, stays with their daily details and presence checks, stock movements. Records come late,
//! twice, revised, refunded and broken, in small natural shares. Among them are planted **cases**:
//! frauds of each of the 18 rules, and near misses at the edges of the rules. What a rule must find
//! and must not find is told beside ([`Truth`]).
//!
//! How it works:
//!
//! - Time runs in minutes. Each minute brings visits, sales, admissions and planted cases by the
//!   hour, weekday and season ([`calendar`]); what they send is queued under its upload time.
//! - An ordinary visit or stay waits in the queue as a few numbers and is composed when it is sent
//!   ([`visit`], [`stay`]); only planted lines wait as text. The queue holds open stays, late
//!   records and planted cases under way, so memory does not grow with days.
//! - Ordinary traffic is free of findings by construction ([`city`]): planted cases ([`plant`]) take
//!   their persons, beds and counters out of it for as long as they last.
//! - Where it is asked for, [`scheme`]s change that traffic: frauds that no rule covers, told in a file of their own ([`Scheme`]).
//!
//! Same options, same bytes: no clock, no hash order, and a generator whose stream is fixed.

mod bill;
mod calendar;
pub mod catalogue;
mod city;
mod dirt;
mod json;
mod notices;
mod output;
mod plant;
mod random;
mod registry;
mod scheme;
mod send;
mod stay;
mod traffic;
mod truth;
mod visit;

#[cfg(test)]
mod tests;

use crate::record::Day;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bill::{Bill, Detail};
use calendar::{DAY, MINUTE};
use city::City;
use json::Pen;
use random::Rng;
use traffic::{Job, Tray};

pub use output::{write, write_to};
pub use scheme::{Scheme, SchemeKind};
pub use truth::{Evidence, Planted, Role, Truth};

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Insured persons, at least 1. About 36 of 1,000 settle a bill on a mean day. Below some 500
    /// there are too few idle persons for most planted cases.
    pub persons: u32,
    /// Days in which things happen; `None`: for ever. Records of these days are still uploaded for
    /// up to three days afterwards; stays that reach beyond the end stay open.
    pub days: Option<u32>,
    /// Everything follows from it.
    pub seed: u64,
    /// First day.
    pub start: jiff::civil::Date,
    /// Planted cases (frauds and near misses, about 2 to 3) for 1,000 ordinary visits. When it is
    /// above 0, one case of each kind is also planted at the beginning: the first within minutes,
    /// all within three days.
    pub fraud_rate: f64,
    /// Whether records come late, twice, revised or broken. Refunds and corrections of stays are
    /// business, and happen anyway.
    pub dirty: bool,
    /// How many institutions there are; `None`: as many as so many persons have.
    pub institutions: Option<Institutions>,
    /// The day, counted from 0, from which on some institutions and doctors do what no rule covers ([`Scheme`]); `None`: none
    /// does.
    pub schemes: Option<u32>,
}

/// How many institutions of each kind a city has; one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Institutions {
    /// Hospitals of the levels 02 and 03.
    pub tertiary: u16,
    /// Hospitals of the levels 05 and 06.
    pub secondary: u16,
    /// Primary care centres, of the levels 08, 09 and 10.
    pub primary: u16,
    /// Pharmacies.
    pub pharmacies: u16,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            persons: 10_000,
            days: Some(30),
            seed: 1,
            start: jiff::civil::date(2026, 1, 1),
            fraud_rate: 10.0,
            dirty: true,
            institutions: None,
            schemes: None,
        }
    }
}

/// Counts of what a simulation has sent so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// All lines.
    pub lines: u64,
    /// Their bytes, line ends included.
    pub bytes: u64,
    /// Settlements, refunds among them.
    pub settlements: u64,
    /// Refund settlements.
    pub refunds: u64,
    /// Fee details inside settlements.
    pub embedded_details: u64,
    /// `fee_detail` lines.
    pub detail_lines: u64,
    /// Admissions, discharges, cancels, deletes, presence checks.
    pub stay_lines: u64,
    /// Movements of stock.
    pub inventory: u64,
    /// Lines all of whose content was in an earlier line, `msgid` apart (earlier or later in the
    /// stream: one of the two is the re-delivery).
    pub redelivered: u64,
    /// Lines that are bad records by the contract.
    pub dead_letters: u64,
    /// Planted frauds: findings that the rules must report.
    pub frauds: u64,
    /// Planted near misses.
    pub near_misses: u64,
}

/// A line or a plan in the queue, under the time of its upload.
#[derive(Debug)]
struct Entry {
    at: i64,
    sequence: u64,
    job: Job,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// The running city.
#[derive(Debug)]
pub struct Simulator {
    fraud_rate: f64,
    dirty: bool,
    city: City,
    rng: Rng,
    pen: Pen,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    next_serial: u32,
    /// Start of the next minute to bring to life.
    minute: i64,
    /// Nothing happens from here on.
    end: Option<i64>,
    /// Details of a stay that are being sent, one a line.
    tray: Option<Tray>,
    bill: Bill,
    details: Vec<Detail>,
    planner: plant::Planner,
    truth: Vec<Truth>,
    summary: Summary,
}

impl Simulator {
    /// Founds the city. Takes time and memory in proportion to the persons, about 50 ns and 36 bytes
    /// each.
    pub fn new(options: Options) -> Self {
        let date = options.start;
        let first_day = i64::from(Day::of_date(date.year().into(), date.month().into(), date.day().into()).0);
        let start = first_day * DAY;
        let mut rng = Rng::new(options.seed);
        let planner = plant::Planner::new(&mut rng, start, options.fraud_rate > 0.0);
        let mut city = City::found(options.persons.max(1), options.institutions, options.seed, first_day);
        if let Some(day) = options.schemes {
            city.schemes = scheme::choose(&city, options.seed, first_day + i64::from(day));
        }
        Simulator {
            fraud_rate: options.fraud_rate,
            dirty: options.dirty,
            city,
            rng,
            pen: Pen::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            next_serial: 1,
            minute: start,
            end: options.days.map(|days| start + i64::from(days) * DAY),
            tray: None,
            bill: visit::blank_bill(),
            details: Vec::new(),
            planner,
            truth: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Appends the next record (JSON, ended by `\n`) to `out` and returns the time of its upload in
    /// seconds since 1970 on the local clock, never less than the one before. `None` at the end.
    ///
    /// A dirty simulation has some lines that are not JSON, or not even UTF-8.
    pub fn next_line(&mut self, out: &mut Vec<u8>) -> Option<i64> {
        let before = out.len();
        let at = loop {
            if let Some(at) = self.send_from_tray(out) {
                break at;
            }
            match self.queue.peek() {
                Some(Reverse(entry)) if entry.at < self.minute || self.is_over() => {}
                None if self.is_over() => return None,
                _ => {
                    self.live_a_minute();
                    self.minute += MINUTE;
                    continue;
                }
            }
            if let Some(Reverse(entry)) = self.queue.pop()
                && self.run(entry.at, entry.job, out)
            {
                break entry.at;
            }
        };
        self.summary.lines += 1;
        self.summary.bytes += (out.len() - before) as u64;
        Some(at)
    }

    /// Truths of the cases planted since the last call. Their records follow in the stream, up to
    /// about three weeks later. A caller of an endless simulation has to call this now and then: they
    /// are kept until then.
    pub fn take_truth(&mut self) -> Vec<Truth> {
        std::mem::take(&mut self.truth)
    }

    /// What has been sent so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Entries in the queue: the memory that simulated time can move.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.minute >= end)
    }

    fn push(&mut self, at: i64, job: Job) {
        self.sequence += 1;
        self.queue.push(Reverse(Entry { at, sequence: self.sequence, job }));
    }

    /// The first of `count` serial numbers that no other record of these days has.
    fn take_serials(&mut self, count: u32) -> u32 {
        if self.next_serial + count >= 1_000_000_000 {
            self.next_serial = 1;
        }
        self.next_serial += count;
        self.next_serial - count
    }
}
