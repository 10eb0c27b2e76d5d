//! Planted cases: frauds and near misses, one **card** of the deck each.
//!
//! A card picks idle persons (and beds, counters), takes them out of ordinary traffic until its last
//! record, writes all its lines at once and queues them under their upload times. Its truths are
//! exact because nobody else touches what it uses.

mod cards;
mod charges;
mod claims;
mod payments;
mod people;
mod readmissions;
mod stage;
mod wards;

use super::Simulator;
use super::calendar::{DAY, HOUR, MINUTE, day_of};
use super::city::NEVER;
use super::random::Rng;
use super::traffic::Job;
use cards::CARDS;
use stage::Stage;

/// Writes the records of a case; `None` when the city has no room for it now.
type Play = fn(&mut Stage) -> Option<()>;

/// Decides when which card is played.
#[derive(Debug)]
pub(super) struct Planner {
    /// Ordinary visits since the last look.
    pub(super) visits: u64,
    /// Cases due.
    credit: f64,
    /// The opening: times and cards, the latest first.
    opening: Vec<(i64, usize)>,
    /// A shuffled deck and how much of it is dealt.
    deck: Vec<usize>,
    dealt: usize,
}

impl Planner {
    pub(super) fn new(rng: &mut Rng, start: i64, plants: bool) -> Planner {
        let mut deck = (0..CARDS.len()).collect::<Vec<_>>();
        shuffle(rng, &mut deck);
        let mut opening = Vec::new();
        if plants {
            let (quick, others): (Vec<usize>, Vec<usize>) = deck.iter().partition(|&&card| CARDS[card].quick);
            // Something to see at once: every three minutes from midnight.
            for (index, &card) in quick.iter().enumerate() {
                opening.push((start + (index as i64 + 1) * 3 * MINUTE, card));
            }
            // The rest in the order of their length, so that all fit into a month.
            let mut others = others;
            others.sort_by_key(|&card| std::cmp::Reverse(CARDS[card].days));
            let step = 54 * HOUR / others.len().max(1) as i64;
            for (index, &card) in others.iter().enumerate() {
                opening.push((start + HOUR + index as i64 * step, card));
            }
            opening.sort_unstable_by_key(|&(at, _)| std::cmp::Reverse(at));
        }
        Planner { visits: 0, credit: 0.0, opening, deck, dealt: 0 }
    }

    /// The next card. Three of four cards with stays are put back, or a third of the city's stays
    /// would be planted.
    fn next_card(&mut self, rng: &mut Rng) -> usize {
        loop {
            if self.dealt == self.deck.len() {
                shuffle(rng, &mut self.deck);
                self.dealt = 0;
            }
            self.dealt += 1;
            let card = self.deck[self.dealt - 1];
            if CARDS[card].days == 0 || rng.chance(250) {
                return card;
            }
        }
    }
}

fn shuffle(rng: &mut Rng, deck: &mut [usize]) {
    for last in (1..deck.len()).rev() {
        deck.swap(last, rng.index(last + 1));
    }
}

impl Simulator {
    /// Plays the cards that are due.
    pub(super) fn plant_cases(&mut self) {
        while let Some(&(at, card)) = self.planner.opening.last() {
            if at >= self.minute + MINUTE {
                break;
            }
            self.planner.opening.pop();
            self.play(card);
        }
        self.planner.credit += std::mem::take(&mut self.planner.visits) as f64 * self.fraud_rate / 1000.0;
        while self.planner.credit >= 1.0 {
            self.planner.credit -= 1.0;
            let card = self.planner.next_card(&mut self.rng);
            self.play(card);
        }
    }

    fn play(&mut self, card: usize) {
        let card = &CARDS[card];
        let now = self.minute + MINUTE;
        let mut stage = Stage::new(self, now, card.name);
        let fits = (card.play)(&mut stage).is_some();
        let (lines, truths, cast) = stage.leave();
        let last = lines.iter().map(|line| line.event).max().unwrap_or(now);
        let fits = fits && self.end.is_none_or(|end| last < end);
        for &person in &cast {
            let person = &mut self.city.persons[person as usize];
            if person.busy_until == NEVER {
                continue;
            }
            // Without a case the person just had a quiet day.
            let until = if fits { day_of(last) + 1 } else { day_of(now) };
            person.busy_until = until as i32;
            if fits {
                person.next_stay = (until + 20) as i32;
            }
        }
        if !fits {
            return;
        }
        for line in lines {
            let at = self.upload_time(line.event);
            if self.dirty && self.rng.chance(20) {
                let latest = if self.rng.chance(150) { 2 * DAY } else { 300 };
                let again = at + self.rng.between(5, latest);
                self.push(again, Job::Line { text: line.text.clone(), kind: line.kind, again: true });
            }
            self.push(at, Job::Line { text: line.text, kind: line.kind, again: false });
        }
        for truth in truths {
            match truth.planted {
                super::Planted::Fraud => self.summary.frauds += 1,
                super::Planted::NearMiss => self.summary.near_misses += 1,
            }
            self.truth.push(truth);
        }
    }
}

/// Number of kinds of cases.
#[cfg(test)]
pub(super) fn card_count() -> usize {
    CARDS.len()
}
