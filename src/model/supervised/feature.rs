//! The features of a settlement: what it is, what went before it, and which verdicts were known before it.

use crate::engine::moments::Moment;
use crate::model::labels::Labels;
use crate::model::recent::Recent;
use crate::record::Time;
use crate::record::value::DAY_SECONDS;
use sha2::{Digest, Sha256};

/// What is seen of a settlement at its moment.
pub struct Seen<'m> {
    moment: &'m Moment,
    person: Recent,
    institution: Recent,
}

/// Name, meaning and value of a feature. NaN stands for what is missing.
pub type Feature = (&'static str, &'static str, fn(&Seen<'_>) -> f64);

/// The places of 1, 7 and 30 days among the spans that are looked back on.
const DAY: usize = 0;
const WEEK: usize = 1;
const MONTH: usize = 2;

/// All features, in order.
pub const FEATURES: &[Feature] = &[
    ("fee", "`medfee_sumamt` in yuan", |seen| yuan(seen.moment.fee as f64)),
    ("hour", "the hour of `setl_time`, with its fraction", |seen| second_of_day(seen) / 3_600.0),
    ("night", "1 from 22:00 to 05:59, or else 0", |seen| flag(!(21_600.0..79_200.0).contains(&second_of_day(seen)))),
    ("weekend", "1 on Saturday and Sunday, or else 0", |seen| flag(seen.moment.time.day().is_weekend())),
    ("person_settlements_1", "settlements of the person over 1 day", |seen| seen.moment.of_person[DAY].count as f64),
    ("person_settlements_7", "and over 7", |seen| seen.moment.of_person[WEEK].count as f64),
    ("person_settlements_30", "and over 30", |seen| seen.moment.of_person[MONTH].count as f64),
    ("person_mean_fee_1", "their mean `medfee_sumamt` over 1 day", |seen| yuan(seen.moment.of_person[DAY].mean())),
    ("person_mean_fee_7", "and over 7", |seen| yuan(seen.moment.of_person[WEEK].mean())),
    ("person_mean_fee_30", "and over 30", |seen| yuan(seen.moment.of_person[MONTH].mean())),
    ("fee_to_usual", "`medfee_sumamt` over its median of the person's over 30 days", |seen| {
        seen.moment.usual_fee.map_or(f64::NAN, |usual| 2.0 * seen.moment.fee as f64 / usual as f64)
    }),
    ("fee_deviation", "`medfee_sumamt` less that mean, over the standard deviation, over 30 days", |seen| {
        let past = &seen.moment.of_person[MONTH];
        (seen.moment.fee as f64 - past.mean()) / past.deviation()
    }),
    ("person_cases_30", "verdicts on the person known for less than 30 days", |seen| cases(&seen.person, MONTH)),
    ("person_confirmed_1", "the confirmed share of those known for less than 1 day", |seen| seen.person.share(DAY)),
    ("person_confirmed_7", "and for less than 7", |seen| seen.person.share(WEEK)),
    ("person_confirmed_30", "and for less than 30", |seen| seen.person.share(MONTH)),
    ("person_first_confirmed", "days since the first settlement confirmed among verdicts of 60 days", |seen| {
        days_since(seen, seen.person.first_confirmed)
    }),
    ("person_last_confirmed", "and since the last", |seen| days_since(seen, seen.person.last_confirmed)),
    ("person_last_dismissed", "and since the last dismissed one", |seen| days_since(seen, seen.person.last_dismissed)),
    ("institution_settlements_1", "settlements at the institution over 1 day", |seen| {
        seen.moment.of_institution[DAY].count as f64
    }),
    ("institution_settlements_7", "and over 7", |seen| seen.moment.of_institution[WEEK].count as f64),
    ("institution_settlements_30", "and over 30", |seen| seen.moment.of_institution[MONTH].count as f64),
    ("institution_cases_1", "verdicts on the institution known for less than 1 day", |seen| {
        cases(&seen.institution, DAY)
    }),
    ("institution_cases_7", "and for less than 7", |seen| cases(&seen.institution, WEEK)),
    ("institution_cases_30", "and for less than 30", |seen| cases(&seen.institution, MONTH)),
    ("institution_confirmed_1", "the confirmed share of those known for less than 1 day", |seen| {
        seen.institution.share(DAY)
    }),
    ("institution_confirmed_7", "and for less than 7", |seen| seen.institution.share(WEEK)),
    ("institution_confirmed_30", "and for less than 30", |seen| seen.institution.share(MONTH)),
    ("institution_first_confirmed", "days since the first settlement confirmed among verdicts of 60 days", |seen| {
        days_since(seen, seen.institution.first_confirmed)
    }),
    ("institution_last_confirmed", "and since the last", |seen| days_since(seen, seen.institution.last_confirmed)),
    ("institution_last_dismissed", "and since the last dismissed one", |seen| {
        days_since(seen, seen.institution.last_dismissed)
    }),
];

/// The values of all features of a settlement, as they were before it.
pub fn values(moment: &Moment, labels: &Labels) -> Vec<f64> {
    let person = labels.of_person(&moment.person, moment.time);
    let institution = labels.of_institution(&moment.institution, moment.time);
    let seen = Seen { moment, person, institution };
    let value = |(_, _, of): &Feature| Some(of(&seen)).filter(|value| value.is_finite()).unwrap_or(f64::NAN);
    FEATURES.iter().map(value).collect()
}

/// A hash over what the features are said to be.
pub fn fingerprint() -> String {
    hash_of(FEATURES.iter().map(|(name, meaning, _)| (*name, *meaning)))
}

/// A hash over names and meanings of features.
pub fn hash_of<'t>(features: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    let mut hash = Sha256::new();
    for (name, meaning) in features {
        hash.update(format!("{name}\n{meaning}\n"));
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn yuan(fen: f64) -> f64 {
    fen / 100.0
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn second_of_day(seen: &Seen<'_>) -> f64 {
    seen.moment.time.0.rem_euclid(DAY_SECONDS) as f64
}

fn cases(recent: &Recent, span: usize) -> f64 {
    f64::from(recent.cases[span])
}

fn days_since(seen: &Seen<'_>, time: Option<Time>) -> f64 {
    time.map_or(f64::NAN, |time| (seen.moment.time.0 - time.0) as f64 / DAY_SECONDS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_feature() {
        let row = |(name, meaning, _): &Feature| format!("| `{name}` | {meaning} |\n");
        let table: String = FEATURES.iter().map(row).collect();
        assert!(include_str!("../../../docs/models.md").contains(&table), "docs/models.md should have:\n{table}");
    }
}
