//! What the live records say of a settlement at its moment: what it is, and what its person and its institution had settled
//! before. A function of the live records, and blind to everything of the same second or later.

use super::Engine;
use crate::detect::World;
use crate::record::value::DAY_SECONDS;
use crate::record::{Day, InstitutionId, PersonId, SettlementId, Time};
use crate::timeline::watched::Watched;
use rayon::prelude::*;

/// Days that are looked back on, the shortest span first.
pub const SPANS: [i32; 3] = [1, 7, 30];

/// The longest of [`SPANS`].
const LONGEST: i32 = SPANS[SPANS.len() - 1];

/// A live settlement and what went before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `setl_id`
    pub settlement: String,
    /// `psn_no`
    pub person: String,
    /// `fixmedins_code`
    pub institution: String,
    /// `setl_time`
    pub time: Time,
    /// `medfee_sumamt`, in fen.
    pub fee: i64,
    /// `fund_pay_sumamt`, in fen.
    pub fund: i64,
    /// What the person had settled in the days before, for each of [`SPANS`].
    pub of_person: [Trailing; SPANS.len()],
    /// The median of `medfee_sumamt` of what the person had settled over the longest span, in half fen; `None`: nothing.
    pub usual_fee: Option<i64>,
    /// What was settled at the institution in the days before, for each of [`SPANS`].
    pub of_institution: [Trailing; SPANS.len()],
}

/// Settlements of the days before a moment, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trailing {
    /// How many.
    pub count: u64,
    /// The sum of `medfee_sumamt`, in fen.
    pub fee: i64,
    /// The sum of its squares.
    pub squares: i128,
}

impl Trailing {
    /// The mean of `medfee_sumamt` in fen; NaN where there is none.
    pub fn mean(&self) -> f64 {
        self.fee as f64 / self.count as f64
    }

    /// The standard deviation of `medfee_sumamt` in fen; NaN with less than two.
    pub fn deviation(&self) -> f64 {
        if self.count < 2 {
            return f64::NAN;
        }
        // Whole numbers up to here: nothing cancels.
        let spread = i128::from(self.count) * self.squares - i128::from(self.fee) * i128::from(self.fee);
        (spread as f64 / (self.count as f64 * (self.count - 1) as f64)).sqrt()
    }
}

/// The settlements of a person or an institution, to look back in.
struct Past {
    /// In order.
    times: Vec<i64>,
    fees: Vec<i64>,
    /// What the settlements before each place sum up to; one more than there are settlements.
    sums: Vec<(i64, i128)>,
}

impl Past {
    fn new(mut settled: Vec<(Time, i64)>) -> Self {
        settled.sort_unstable();
        let mut sums = vec![(0, 0)];
        for (number, (_, fee)) in settled.iter().enumerate() {
            let (sum, squares): (i64, i128) = sums[number];
            sums.push((sum + fee, squares + i128::from(*fee) * i128::from(*fee)));
        }
        let (times, fees) = settled.into_iter().map(|(time, fee)| (time.0, fee)).unzip();
        Self { times, fees, sums }
    }

    /// The places of what was settled over a span before a moment.
    fn places(&self, at: Time, days: i32) -> (usize, usize) {
        let from = at.0 - i64::from(days) * DAY_SECONDS;
        (self.times.partition_point(|time| *time < from), self.times.partition_point(|time| *time < at.0))
    }

    fn before(&self, at: Time) -> [Trailing; SPANS.len()] {
        SPANS.map(|days| {
            let (from, to) = self.places(at, days);
            let ((fee_from, squares_from), (fee_to, squares_to)) = (self.sums[from], self.sums[to]);
            Trailing { count: (to - from) as u64, fee: fee_to - fee_from, squares: squares_to - squares_from }
        })
    }

    fn usual(&self, at: Time) -> Option<i64> {
        let (from, to) = self.places(at, LONGEST);
        let mut fees = self.fees[from..to].to_vec();
        fees.sort_unstable();
        let middle = fees.len() / 2;
        match fees.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(2 * fees[middle]),
            _ => Some(fees[middle - 1] + fees[middle]),
        }
    }
}

/// A settlement of which only the institution has been looked at.
struct Drawn {
    id: SettlementId,
    person: PersonId,
    institution: InstitutionId,
    time: Time,
    fee: i64,
    fund: i64,
    of_institution: [Trailing; SPANS.len()],
}

impl Engine {
    /// The live settlements from a day to the one before another with what went before each, by time and id. Of days that are
    /// not retained nothing is known.
    ///
    /// # Panics
    /// The engine does not watch institutions: see [`Engine::watch`].
    pub fn moments(&self, from: Day, to: Day) -> Vec<Moment> {
        assert!(self.watch.institutions, "an engine that is asked for moments watches institutions");
        let world = World::new(&self.plan, &self.settlements, &self.visits, &self.ids, self.watch);
        let reach = Day(from.0 - LONGEST);
        let mut moments = self.workers.pool.install(|| {
            let institutions: Vec<&Watched> = self.timelines.iter().flat_map(|shard| shard.all_watched()).collect();
            let drawn =
                institutions.into_par_iter().flat_map_iter(|watched| at_institution(watched, reach, from, to, &world));
            let mut drawn: Vec<Drawn> = drawn.collect();
            drawn.par_sort_unstable_by_key(|one| (one.person, one.time, one.id));
            let persons: Vec<&[Drawn]> = drawn.chunk_by(|one, other| one.person == other.person).collect();
            let moments = persons.into_par_iter().flat_map_iter(|drawn| self.of_person(drawn, reach, to, &world));
            moments.collect::<Vec<Moment>>()
        });
        moments.sort_by(|one, other| (one.time, &one.settlement).cmp(&(other.time, &other.settlement)));
        moments
    }

    fn of_person(&self, drawn: &[Drawn], reach: Day, to: Day, world: &World<'_>) -> Vec<Moment> {
        let person = drawn[0].person;
        let shard = &self.timelines[self.ids.persons.shard_of(person.0)];
        let timeline = shard.person_if_known(person, world);
        let entries = timeline.map_or(&[][..], |timeline| timeline.between(reach, Day(to.0 - 1)));
        let live = entries.iter().filter_map(|entry| world.settlements.live(entry.id()));
        let past = Past::new(live.map(|live| (live.row.setl_time, live.row.medfee_sumamt.units())).collect());
        let moment = |one: &Drawn| Moment {
            settlement: one.id.string(world.ids),
            person: person.string(world.ids),
            institution: one.institution.string(world.ids),
            time: one.time,
            fee: one.fee,
            fund: one.fund,
            of_person: past.before(one.time),
            usual_fee: past.usual(one.time),
            of_institution: one.of_institution,
        };
        drawn.iter().map(moment).collect()
    }
}

fn at_institution(watched: &Watched, reach: Day, from: Day, to: Day, world: &World<'_>) -> Vec<Drawn> {
    if watched.settlements(from, to).next().is_none() {
        return Vec::new();
    }
    let live: Vec<_> =
        watched.settlements(reach, to).filter_map(|id| Some((id, world.settlements.live(id)?.row))).collect();
    let past = Past::new(live.iter().map(|(_, row)| (row.setl_time, row.medfee_sumamt.units())).collect());
    let wanted = live.iter().filter(|(_, row)| (from..to).contains(&row.setl_time.day()));
    let drawn = wanted.map(|(id, row)| Drawn {
        id: *id,
        person: row.psn_no,
        institution: row.fixmedins_code,
        time: row.setl_time,
        fee: row.medfee_sumamt.units(),
        fund: row.fund_pay_sumamt.units(),
        of_institution: past.before(row.setl_time),
    });
    drawn.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_same_second_or_later_is_not_seen() {
        let day = DAY_SECONDS;
        let settled = [(40 * day, 500), (10 * day, 100), (39 * day, 300), (39 * day - 1, 200), (40 * day + 1, 9_000)];
        let past = Past::new(settled.map(|(time, fee)| (Time(time), fee)).to_vec());
        let of = |count, fee, squares| Trailing { count, fee, squares };
        // A span begins with the second that lies so many days back.
        let expected = [of(1, 300, 90_000), of(2, 500, 130_000), of(3, 600, 140_000)];
        assert_eq!(past.before(Time(40 * day)), expected);
        assert_eq!(past.usual(Time(40 * day)), Some(400));
        assert_eq!(past.usual(Time(39 * day)), Some(300));
        assert_eq!(past.usual(Time(10 * day)), None);
        assert_eq!(past.before(Time(40 * day + 1))[0], of(1, 500, 250_000));
    }

    #[test]
    fn means_and_deviations_by_hand() {
        let of = |fees: &[i64]| Trailing {
            count: fees.len() as u64,
            fee: fees.iter().sum(),
            squares: fees.iter().map(|fee| i128::from(fee * fee)).sum(),
        };
        assert_eq!((of(&[100, 300]).mean(), of(&[100, 300]).deviation()), (200.0, 20_000_f64.sqrt()));
        assert_eq!(of(&[123_456_789; 5]).deviation(), 0.0);
        assert!(of(&[]).mean().is_nan() && of(&[5]).deviation().is_nan());
    }
}
