//! Counts tested as counts: how probable it is to see so many in an hour, given how many there usually are at that hour
//! of that weekday.
//!
//! The expected count is rate · exposure · hour factor · weekday factor. Counts scatter around it with variance
//! μ + α μ², a negative binomial, which is a Poisson count where α is 0. The p-value is P(X ≥ count), computed directly
//! as a tail (regularised incomplete gamma or beta function) and therefore exact far out.

use serde::{Deserialize, Serialize};
use statrs::distribution::{DiscreteCDF as _, NegativeBinomial, Poisson};
use thiserror::Error;

/// Rounds of fitting the factors; the likelihood of a product of two factors settles after two or three.
const ROUNDS: usize = 6;
/// Times that bursts are set aside and the rest is fitted again.
const PASSES: usize = 2;
/// The share of hours that is left out at first, those farthest over what is expected: one burst in a week makes the scatter seem so
/// wide that it hides in it.
const LEFT_OUT: f64 = 0.01;
/// An hour with a lower p-value is a burst. Of ordinary hours one in ten thousand is lost, which changes nothing.
const BURST: f64 = 1e-4;
/// Counts that each hour and weekday is taken to have had beside its own, at the overall rate: it keeps an hour in
/// which nothing was ever seen from being impossible.
const PRIOR: f64 = 1.0;
/// With less overdispersion than this times the mean the two distributions agree to more digits than matter.
const POISSON: f64 = 1e-9;

/// A count of one hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HourCount {
    /// Hour of the day, 0 to 23.
    pub hour: u8,
    /// Day of the week, 0 (Monday) to 6.
    pub weekday: u8,
    /// What the count is proportional to, such as the doctors on duty; over 0. 1 where there is nothing of the kind.
    pub exposure: f64,
    /// How many.
    pub count: u64,
}

/// Why counts cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CountError {
    /// There are none.
    #[error("there are no counts to learn from")]
    NoCounts,
    /// The exposure is not a positive number.
    #[error("the exposure of a count is {exposure}; it must be over 0, and finite")]
    Exposure {
        /// What it is.
        exposure: f64,
    },
    /// There is no such hour.
    #[error("hour {hour} of weekday {weekday} does not exist; hours are 0 to 23, weekdays 0 (Monday) to 6")]
    Hour {
        /// Hour of the day.
        hour: u8,
        /// Day of the week.
        weekday: u8,
    },
}

impl HourCount {
    fn check(&self) -> Result<(), CountError> {
        if self.hour > 23 || self.weekday > 6 {
            return Err(CountError::Hour { hour: self.hour, weekday: self.weekday });
        }
        if !(self.exposure > 0.0 && self.exposure.is_finite()) {
            return Err(CountError::Exposure { exposure: self.exposure });
        }
        Ok(())
    }
}

/// Usual counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Expected count of an average hour for an exposure of 1.
    rate: f64,
    hours: [f64; 24],
    weekdays: [f64; 7],
    /// α of the variance μ + α μ².
    overdispersion: f64,
}

impl Counts {
    /// Learns from counts of hours, those with 0 too. Bursts are set aside, so that they do not make themselves usual.
    ///
    /// # Errors
    /// There are none, or one has no such hour or exposure.
    pub fn fit(counts: &[HourCount]) -> Result<Self, CountError> {
        counts.iter().try_for_each(HourCount::check)?;
        if counts.is_empty() {
            return Err(CountError::NoCounts);
        }
        let with_all = Self::fit_all(counts);
        let excess = |count: &HourCount| (count.count as f64 - with_all.mean(count)) / with_all.mean(count).sqrt();
        let mut usual = counts.to_vec();
        usual.sort_by(|one, other| excess(one).total_cmp(&excess(other)));
        usual.truncate((counts.len() as f64 * (1.0 - LEFT_OUT)) as usize);
        for _ in 0..PASSES {
            if usual.is_empty() {
                return Ok(with_all);
            }
            let fitted = Self::fit_all(&usual);
            usual = counts.iter().copied().filter(|count| !fitted.is_burst(count)).collect();
        }
        Ok(Self::fit_all(if usual.is_empty() { counts } else { &usual }))
    }

    fn fit_all(counts: &[HourCount]) -> Self {
        let total: f64 = counts.iter().map(|count| count.count as f64).sum();
        let exposure: f64 = counts.iter().map(|count| count.exposure).sum();
        // Nothing counted at all is less than one in all of the exposure.
        let rate = total.max(0.5) / exposure;
        let mut fitted = Self { rate, hours: [1.0; 24], weekdays: [1.0; 7], overdispersion: 0.0 };
        for _ in 0..ROUNDS {
            let (mut seen, mut expected) = ([PRIOR; 24], [PRIOR; 24]);
            for count in counts {
                let hour = usize::from(count.hour);
                seen[hour] += count.count as f64;
                expected[hour] += rate * count.exposure * fitted.weekdays[usize::from(count.weekday)];
            }
            fitted.hours = std::array::from_fn(|hour| seen[hour] / expected[hour]);
            let (mut seen, mut expected) = ([PRIOR; 7], [PRIOR; 7]);
            for count in counts {
                let weekday = usize::from(count.weekday);
                seen[weekday] += count.count as f64;
                expected[weekday] += rate * count.exposure * fitted.hours[usize::from(count.hour)];
            }
            fitted.weekdays = std::array::from_fn(|weekday| seen[weekday] / expected[weekday]);
        }
        let moments = counts.iter().map(|count| {
            let expected = fitted.mean(count);
            ((count.count as f64 - expected).powi(2) - expected, expected * expected)
        });
        let (excess, squares) = moments.fold((0.0, 0.0), |sums, moment| (sums.0 + moment.0, sums.1 + moment.1));
        fitted.overdispersion = if squares > 0.0 { (excess / squares).max(0.0) } else { 0.0 };
        fitted
    }

    fn mean(&self, count: &HourCount) -> f64 {
        self.rate * count.exposure * self.hours[usize::from(count.hour)] * self.weekdays[usize::from(count.weekday)]
    }

    /// The count to expect in the hour and with the exposure of this one.
    ///
    /// # Errors
    /// There is no such hour or exposure.
    pub fn expected(&self, count: &HourCount) -> Result<f64, CountError> {
        count.check().map(|()| self.mean(count))
    }

    /// P(X ≥ count), in [0, 1]; 0 only where it is less than the smallest number over 0.
    ///
    /// # Errors
    /// There is no such hour or exposure.
    pub fn p_value(&self, count: &HourCount) -> Result<f64, CountError> {
        count.check().map(|()| self.tail(count))
    }

    fn tail(&self, count: &HourCount) -> f64 {
        at_least(count.count, self.mean(count), self.overdispersion)
    }

    fn is_burst(&self, count: &HourCount) -> bool {
        count.count as f64 > self.mean(count) && self.tail(count) < BURST
    }
}

/// How improbable the most improbable of all hours is, beside what is usual in the others: -log10 of its p-value times how many
/// hours there are (Bonferroni), from 0 to 300. 0 where one like it was to be expected, or there are none.
pub fn surprise(counts: &[HourCount]) -> f64 {
    let Ok(usual) = Counts::fit(counts) else { return 0.0 };
    let over = counts.iter().filter(|count| count.count as f64 > usual.mean(count));
    let least = over.map(|count| usual.tail(count)).fold(1.0, f64::min);
    -(least * counts.len() as f64).clamp(1e-300, 1.0).log10()
}

/// P(X ≥ count) of a negative binomial count with this mean, over 0, and variance mean + overdispersion · mean²; of a
/// Poisson count where the overdispersion is 0.
pub fn at_least(count: u64, mean: f64, overdispersion: f64) -> f64 {
    let Some(below) = count.checked_sub(1) else { return 1.0 };
    let size = 1.0 / overdispersion;
    let tail = if overdispersion * mean < POISSON {
        Poisson::new(mean).map(|poisson| poisson.sf(below)).ok()
    } else {
        NegativeBinomial::new(size, size / (size + mean)).map(|binomial| binomial.sf(below)).ok()
    };
    tail.unwrap_or(1.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found:e} {expected:e}");
    }

    /// The sum of the probabilities from `count` on, by their recursion.
    fn summed(count: u64, mean: f64, overdispersion: f64) -> f64 {
        let (mut log, mut sum) = (0.0_f64, 0.0);
        let share = overdispersion * mean / (1.0 + overdispersion * mean);
        log += if overdispersion > 0.0 { -(overdispersion * mean).ln_1p() / overdispersion } else { -mean };
        for number in 0..count + 2000 {
            if number >= count {
                sum += log.exp();
            }
            let next = (number + 1) as f64;
            log += if overdispersion > 0.0 {
                ((number as f64 + 1.0 / overdispersion) * share / next).ln()
            } else {
                (mean / next).ln()
            };
        }
        sum
    }

    #[test]
    fn tails_are_exact_far_out() {
        for (count, mean, overdispersion) in [
            (0, 2.0, 0.0),
            (1, 0.001, 0.0),
            (5, 2.0, 0.0),
            (60, 2.0, 0.0),
            (300, 40.0, 0.0),
            (90, 2.0, 0.5),
            (400, 20.0, 0.1),
            (3, 20.0, 0.1),
        ] {
            close(at_least(count, mean, overdispersion), summed(count, mean, overdispersion));
        }
        assert!(at_least(60, 2.0, 0.0) < 1e-60);
        assert!((0.0..1e-300).contains(&at_least(100_000, 2.0, 0.0)));
    }

    #[test]
    fn a_little_overdispersion_is_nearly_none() {
        assert!((at_least(30, 10.0, 1e-8) / at_least(30, 10.0, 0.0) - 1.0).abs() < 1e-5);
    }

    /// Hourly counts of a year: by day four times as many as at night, on Sundays half, with exposures of 1 and 2, and
    /// rates that scatter by gamma with the overdispersion (an exponential where it is 1).
    fn year(overdispersed: bool, random: &mut Random) -> Vec<HourCount> {
        let hour = |number: usize| {
            let (hour, weekday) = ((number % 24) as u8, (number / 24 % 7) as u8);
            let exposure = 1.0 + (number % 5 / 3) as f64;
            let usual =
                exposure * if (8..20).contains(&hour) { 8.0 } else { 2.0 } * if weekday == 6 { 0.5 } else { 1.0 };
            let mut mean = if overdispersed { -usual * (1.0 - random.uniform()).ln() } else { usual };
            let mut count = 0;
            // Poisson: unit exponentials that fit into the mean.
            loop {
                mean += (1.0 - random.uniform()).ln();
                if mean < 0.0 {
                    break HourCount { hour, weekday, exposure, count };
                }
                count += 1;
            }
        };
        (0..24 * 364).map(hour).collect()
    }

    #[test]
    fn season_exposure_and_overdispersion_are_learnt() {
        for (overdispersed, alpha) in [(false, 0.0), (true, 1.0)] {
            let fitted = Counts::fit(&year(overdispersed, &mut Random::new(1, 0))).expect("fitted");
            let expected = |hour, weekday, exposure| {
                fitted.expected(&HourCount { hour, weekday, exposure, count: 0 }).expect("an hour")
            };
            assert!((expected(12, 2, 1.0) / 8.0 - 1.0).abs() < 0.1, "{}", expected(12, 2, 1.0));
            assert!((expected(3, 2, 2.0) / 4.0 - 1.0).abs() < 0.15, "{}", expected(3, 2, 2.0));
            assert!((expected(12, 6, 1.0) / 4.0 - 1.0).abs() < 0.15, "{}", expected(12, 6, 1.0));
            assert!((fitted.overdispersion - alpha).abs() < 0.1, "{}", fitted.overdispersion);
        }
    }

    #[test]
    fn p_values_keep_their_promise() {
        for overdispersed in [false, true] {
            let mut random = Random::new(2, 0);
            let fitted = Counts::fit(&year(overdispersed, &mut random)).expect("fitted");
            let other = year(overdispersed, &mut random);
            for level in [0.1, 0.01] {
                let under =
                    other.iter().filter(|count| fitted.p_value(count).expect("an hour") <= level).count() as f64;
                // Counts are whole, so fewer than promised; hardly more.
                let share = under / other.len() as f64;
                assert!(share < 1.25 * level && share > 0.3 * level, "{overdispersed} {level}: {share}");
            }
        }
    }

    #[test]
    fn bursts_do_not_make_themselves_usual() {
        let mut counts = year(false, &mut Random::new(3, 0));
        counts.iter_mut().step_by(200).for_each(|count| count.count += 60);
        let fitted = Counts::fit(&counts).expect("fitted");
        assert!(fitted.overdispersion < 0.05, "{}", fitted.overdispersion);
        assert!(fitted.p_value(&counts[0]).expect("an hour") < 1e-30);
    }

    #[test]
    fn an_hour_in_which_nothing_was_seen_is_not_impossible() {
        let none = HourCount { hour: 3, weekday: 1, exposure: 1.0, count: 0 };
        let fitted = Counts::fit(&[none; 100]).expect("fitted");
        let p = |count| fitted.p_value(&HourCount { count, ..none }).expect("an hour");
        assert!(p(0) == 1.0 && p(1) > 0.0 && p(1) < 0.02, "{}", p(1));
    }

    #[test]
    fn surprise_is_of_bursts_alone_and_whatever_the_season() {
        let surprises = |burst: u64| -> Vec<f64> {
            (0..40)
                .map(|seed| {
                    let mut week: Vec<HourCount> =
                        year(false, &mut Random::new(seed, 0)).into_iter().take(168).collect();
                    week[58].count += burst;
                    surprise(&week)
                })
                .collect()
        };
        let over = |surprises: &[f64], limit| surprises.iter().filter(|surprise| **surprise > limit).count();
        // Of 40 honest weeks four are to be expected over 1, and a few more, since the season is learnt from the week itself.
        let honest = surprises(0);
        assert!(over(&honest, 1.0) <= 8 && over(&honest, 3.0) == 0, "{honest:?}");
        let with_burst = surprises(40);
        assert_eq!(over(&with_burst, 3.0), 40, "{with_burst:?}");
        assert_eq!(surprise(&[]), 0.0);
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        let fine = HourCount { hour: 3, weekday: 1, exposure: 1.0, count: 0 };
        assert_eq!(Counts::fit(&[]), Err(CountError::NoCounts));
        assert!(Counts::fit(&[HourCount { exposure: 0.0, ..fine }]).is_err());
        let fitted = Counts::fit(&[fine]).expect("fitted");
        assert!(fitted.p_value(&HourCount { hour: 24, ..fine }).is_err());
        assert!(fitted.p_value(&HourCount { exposure: f64::NAN, ..fine }).is_err());
    }
}
