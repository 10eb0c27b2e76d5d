//! Aggregates: what the live records of an entity sum up to over a window of days.
//!
//! They are a function of the live records alone, in whole numbers, and do not depend on any order. A settlement
//! belongs to the day of its `setl_time`, a fee detail to the settlement that it carries, a stay to the day of its
//! discharge. What was refunded, deleted or cancelled is not there.

use super::counts::{self, HourCount};
use super::tally::Tally;
use crate::live::details::LiveDetail;
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::record::value::DAY_SECONDS;
use crate::record::{Code, Day, Ids, PersonId, VisitId};
use crate::rules::rule::{CLASSES, Map, RuleSet};

/// Columns that read days before the window, with how many.
pub const READS_BEFORE: (&str, i32) = ("readmissions", crate::live::stays::READMISSION);

/// In which unit a column is kept and shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A count.
    One,
    /// Kept in fen, read in yuan.
    Yuan,
    /// Kept in 10^-4, read in ones: quantities of items.
    Quantity,
    /// Kept in 10^-3, read in ones: powers of ten.
    Power,
}

/// Declares the columns: name, unit, meaning.
macro_rules! columns {
    ($($name:ident $unit:ident $meaning:literal;)*) => {
        /// A column's place.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        enum Column { $($name,)* }

        /// Name, unit and meaning of each column, in order.
        pub const COLUMNS: &[(&str, Unit, &str)] = &[$((stringify!($name), Unit::$unit, $meaning),)*];
    };
}

columns! {
    settlements One "settlements";
    visits One "different visits (`mdtrt_id`) among the settlements";
    persons One "different persons among the settlements";
    outpatient One "settlements of the classes OUTPATIENT, CHRONIC_OUTPATIENT and EMERGENCY";
    pharmacy One "settlements of the class PHARMACY";
    inpatient One "settlements of the class INPATIENT";
    fee Yuan "sum of `medfee_sumamt`";
    fund Yuan "sum of `fund_pay_sumamt`";
    own_pay Yuan "sum of `psn_part_amt`";
    cash Yuan "sum of `psn_cash_pay`";
    largest_fee Yuan "the largest `medfee_sumamt`";
    largest_fund Yuan "the largest `fund_pay_sumamt`";
    top_person_fund Yuan "`fund_pay_sumamt` of the person with the most of it";
    night One "settlements from 22:00 to 05:59";
    weekend One "settlements on Saturday or Sunday";
    round_amounts One "settlements whose `medfee_sumamt` is a multiple of 100 yuan";
    out_of_area One "settlements whose `insuplc_admdvs` and `mdtrtarea_admvs` are given and differ";
    busiest_hour One "the most settlements in one hour of the clock";
    busiest_hour_persons One "the most different persons settled for in one hour of the clock";
    active_days One "days with a settlement";
    details One "fee details";
    units Quantity "sum of `cnt`";
    detail_fee Yuan "sum of `det_item_fee_sumamt`";
    in_scope Yuan "sum of `inscp`";
    examination_fee Yuan "`det_item_fee_sumamt` of `med_chrgitm_type` 03";
    laboratory_fee Yuan "`det_item_fee_sumamt` of `med_chrgitm_type` 04";
    treatment_fee Yuan "`det_item_fee_sumamt` of `med_chrgitm_type` 05 and 06";
    consumables_fee Yuan "`det_item_fee_sumamt` of `med_chrgitm_type` 08";
    drug_fee Yuan "`det_item_fee_sumamt` of `med_chrgitm_type` 09, 10 and 11";
    packs Quantity "sum of `cnt` of `med_chrgitm_type` 09 and 11; herbs, 10, come in grams";
    pack_details One "fee details of `med_chrgitm_type` 09 and 11";
    off_catalogue_fee Yuan "`det_item_fee_sumamt` of `chrgitm_lv` 03 or 3";
    items One "different `med_list_codg`";
    doctors One "different `bilg_dr_codg`";
    top_item_fee Yuan "`det_item_fee_sumamt` of the item with the most of it";
    top_doctor_fee Yuan "`det_item_fee_sumamt` of the doctor with the most of it";
    discharges One "stays that ended";
    stay_days One "days of stays that ended, admission and discharge included";
    longest_stay One "days of the longest of them";
    short_stays One "stays of at most two days";
    weekend_admissions One "stays that ended and began on Saturday or Sunday";
    admissions One "stays that began";
    readmissions One "stays that began at most 15 days after another stay of the person at the institution ended";
    refunds One "valid refund settlements (`refd_setl_flag` 1), by their own `setl_time`; of institutions only";
    hour_surprise Power "how improbable the most improbable hour is, beside the same hours of other days: -log10 of its p-value ([counts](detectors.md#counts)) times how many hours there are; of institutions only";
    companions One "settlements at most 2 minutes after that of another person, nobody else's between them, where the two came like that on another day of the window too; of institutions only";
    just_below_limit One "settlements whose `medfee_sumamt` is at most 5 % below 200, 500, 1000, 2000, 5000 or 10000 yuan";
}

/// The columns of an entity's window, in the units in which they are kept, in the order of [`COLUMNS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregate {
    values: [i64; COLUMNS.len()],
}

impl Aggregate {
    /// A column as features read it.
    pub fn value(&self, column: usize) -> f64 {
        let value = self.values[column] as f64;
        match COLUMNS[column].1 {
            Unit::One => value,
            Unit::Yuan => value / 100.0,
            Unit::Quantity => value / 10_000.0,
            Unit::Power => value / 1_000.0,
        }
    }

    /// The sum of what the fund paid, in fen.
    pub fn fund(&self) -> i64 {
        self.values[Column::fund as usize]
    }

    /// The sum of what the fund paid, or of `inscp` where only details are known of the entity; in fen.
    pub fn at_stake(&self) -> i64 {
        let [fund, in_scope] = [Column::fund, Column::in_scope].map(|column| self.values[column as usize]);
        if self.values[Column::settlements as usize] > 0 && fund != 0 { fund } else { in_scope }
    }
}

/// What a `med_chrgitm_type` is to columns.
#[derive(Clone, Copy)]
struct Charge {
    /// Where its fees are summed up.
    column: Option<Column>,
    /// Whether its units are packs.
    in_packs: bool,
}

/// What codes mean to columns, looked up once each.
pub struct Meanings<'a> {
    ids: &'a Ids,
    rules: &'a RuleSet,
    /// What settlements of each class count as.
    classes: [Option<Column>; CLASSES.len()],
    charges: Map<Code, Charge>,
    off_catalogue: Map<Code, bool>,
}

impl<'a> Meanings<'a> {
    /// Under the classes of a rule set.
    pub fn new(rules: &'a RuleSet, ids: &'a Ids) -> Self {
        let classes = CLASSES.map(|class| match class {
            "OUTPATIENT" | "CHRONIC_OUTPATIENT" | "EMERGENCY" => Some(Column::outpatient),
            "PHARMACY" => Some(Column::pharmacy),
            "INPATIENT" => Some(Column::inpatient),
            _ => None,
        });
        Self { ids, rules, classes, charges: Map::default(), off_catalogue: Map::default() }
    }

    fn class(&self, med_type: Code) -> Option<Column> {
        self.classes[usize::from(self.rules.class(med_type))]
    }

    /// What a `med_chrgitm_type` is. Local codes go on after the national two digits.
    fn charge(&mut self, code: Code) -> Charge {
        let ids = self.ids;
        *self.charges.entry(code).or_insert_with(|| {
            let code = code.string(ids);
            let kind = code.get(..2).unwrap_or_default();
            let column = match kind {
                "03" => Some(Column::examination_fee),
                "04" => Some(Column::laboratory_fee),
                "05" | "06" => Some(Column::treatment_fee),
                "08" => Some(Column::consumables_fee),
                "09" | "10" | "11" => Some(Column::drug_fee),
                _ => None,
            };
            Charge { column, in_packs: matches!(kind, "09" | "11") }
        })
    }

    fn is_off_catalogue(&mut self, code: Code) -> bool {
        let ids = self.ids;
        *self.off_catalogue.entry(code).or_insert_with(|| matches!(code.string(ids).as_str(), "3" | "03"))
    }
}

/// Seconds of an hour.
const HOUR: i64 = 3_600;
/// Seconds within which those come together who follow each other.
const TOGETHER: i64 = 120;
/// Fen of a round amount.
const ROUND: i64 = 10_000;

/// Amounts that invite a second look, in fen: whoever shuns it stays just below.
const LIMITS: [i64; 6] = [20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];

/// Whether an amount in fen is at most 5 % below a limit.
fn is_just_below(fee: i64) -> bool {
    LIMITS.iter().any(|limit| fee < *limit && fee * 100 >= *limit * 95)
}

/// Sums up the records of one entity and window. Every record is given once, in any order.
pub struct Summing {
    values: [i64; COLUMNS.len()],
    /// The visit of each settlement.
    visits: Vec<VisitId>,
    /// The person of each settlement, and what the fund paid.
    person_fund: Vec<(PersonId, i64)>,
    /// The second of each settlement and its person.
    times: Vec<(i64, PersonId)>,
    item_fee: Tally<Code>,
    doctor_fee: Tally<Code>,
}

impl Default for Summing {
    fn default() -> Self {
        Self {
            values: [0; COLUMNS.len()],
            visits: Vec::new(),
            person_fund: Vec::new(),
            times: Vec::new(),
            item_fee: Tally::default(),
            doctor_fee: Tally::default(),
        }
    }
}

impl Summing {
    fn add(&mut self, column: Column, value: i64) {
        self.values[column as usize] += value;
    }

    fn raise(&mut self, column: Column, value: i64) {
        let held = &mut self.values[column as usize];
        *held = (*held).max(value);
    }

    /// A live settlement.
    pub fn settlement(&mut self, settlement: &LiveSettlement, meanings: &Meanings<'_>) {
        let row = &settlement.row;
        let (fee, fund) = (row.medfee_sumamt.units(), row.fund_pay_sumamt.units());
        self.add(Column::settlements, 1);
        if let Some(column) = meanings.class(row.med_type) {
            self.add(column, 1);
        }
        self.add(Column::fee, fee);
        self.add(Column::fund, fund);
        self.add(Column::own_pay, row.psn_part_amt.get().unwrap_or(0));
        self.add(Column::cash, row.psn_cash_pay.get().unwrap_or(0));
        self.raise(Column::largest_fee, fee);
        self.raise(Column::largest_fund, fund);
        let second = row.setl_time.0.rem_euclid(DAY_SECONDS);
        self.add(Column::night, i64::from(!(6 * HOUR..22 * HOUR).contains(&second)));
        self.add(Column::weekend, i64::from(row.setl_time.day().is_weekend()));
        self.add(Column::round_amounts, i64::from(fee > 0 && fee % ROUND == 0));
        self.add(Column::just_below_limit, i64::from(is_just_below(fee)));
        let areas = row.insuplc_admdvs.get().zip(row.mdtrtarea_admvs.get());
        self.add(Column::out_of_area, i64::from(areas.is_some_and(|(insured, treated)| insured != treated)));
        self.visits.push(row.mdtrt_id);
        self.person_fund.push((row.psn_no, fund));
        self.times.push((row.setl_time.0, row.psn_no));
    }

    /// A live fee detail.
    pub fn detail(&mut self, detail: &LiveDetail, meanings: &mut Meanings<'_>) {
        let row = &detail.row;
        self.add(Column::details, 1);
        self.add(Column::units, detail.cnt);
        self.add(Column::detail_fee, detail.fee);
        self.add(Column::in_scope, detail.inscp);
        let charge = meanings.charge(row.med_chrgitm_type);
        if let Some(column) = charge.column {
            self.add(column, detail.fee);
        }
        if charge.in_packs {
            self.add(Column::packs, detail.cnt);
            self.add(Column::pack_details, 1);
        }
        if meanings.is_off_catalogue(row.chrgitm_lv) {
            self.add(Column::off_catalogue_fee, detail.fee);
        }
        self.item_fee.add(row.med_list_codg, detail.fee);
        if row.bilg_dr_codg.get().is_some() {
            self.doctor_fee.add(row.bilg_dr_codg, detail.fee);
        }
    }

    /// A stay that ended.
    pub fn stay(&mut self, stay: &Stay) {
        let days = i64::from(stay.days());
        self.add(Column::discharges, 1);
        self.add(Column::stay_days, days);
        self.raise(Column::longest_stay, days);
        self.add(Column::short_stays, i64::from(days <= 2));
        self.add(Column::weekend_admissions, i64::from(stay.begin.day().is_weekend()));
    }

    /// A stay that began, and whether it is a readmission.
    pub fn admission(&mut self, again: bool) {
        self.add(Column::admissions, 1);
        self.add(Column::readmissions, i64::from(again));
    }

    /// Valid refunds.
    pub fn refunds(&mut self, count: usize) {
        self.add(Column::refunds, count as i64);
    }

    /// What is looked at of institutions alone, from a day to the one before another, once all settlements are given.
    pub fn of_institution(&mut self, from: Day, to: Day, ids: &Ids) {
        let count = |(day, hour): (i32, u8)| HourCount { hour, weekday: Day(day).weekday(), exposure: 1.0, count: 0 };
        let hours = (from.0..to.0).flat_map(|day| (0..24).map(move |hour| (day, hour)));
        let mut counts: Vec<HourCount> = hours.map(count).collect();
        let first = from.start().0;
        for (time, _) in &self.times {
            counts[((time - first) / HOUR) as usize].count += 1;
        }
        self.add(Column::hour_surprise, (counts::surprise(&counts) * 1e3).round() as i64);
        // Of the same second in order of texts: ids depend on who came first.
        let by_text = |one: PersonId, other: PersonId| one.string(ids).cmp(&other.string(ids));
        self.times.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| by_text(one.1, other.1)));
        self.add(Column::companions, companions(&self.times));
    }

    /// The sums.
    pub fn finish(mut self) -> Aggregate {
        let mut hours = std::mem::take(&mut self.times);
        hours.iter_mut().for_each(|(time, _)| *time = time.div_euclid(HOUR));
        hours.sort_unstable();
        let (mut active_days, mut latest) = (0, None);
        for settled in hours.chunk_by(|one, other| one.0 == other.0) {
            self.raise(Column::busiest_hour, settled.len() as i64);
            self.raise(Column::busiest_hour_persons, settled.chunk_by(PartialEq::eq).count() as i64);
            let day = Some(settled[0].0.div_euclid(24));
            active_days += i64::from(std::mem::replace(&mut latest, day) != day);
        }
        self.add(Column::active_days, active_days);
        self.visits.sort_unstable();
        self.visits.dedup();
        self.add(Column::visits, self.visits.len() as i64);
        self.person_fund.sort_unstable();
        let person_fund = std::mem::take(&mut self.person_fund);
        let funds = person_fund.chunk_by(|one, other| one.0 == other.0);
        self.add(Column::persons, funds.clone().count() as i64);
        let of_person = funds.map(|paid| paid.iter().map(|(_, fund)| fund).sum());
        self.add(Column::top_person_fund, of_person.max().unwrap_or(0));
        let (items, doctors) = (std::mem::take(&mut self.item_fee), std::mem::take(&mut self.doctor_fee));
        for (count, top, fees) in [
            (Column::items, Column::top_item_fee, items.sums()),
            (Column::doctors, Column::top_doctor_fee, doctors.sums()),
        ] {
            self.add(count, fees.len() as i64);
            self.add(top, fees.into_values().max().unwrap_or(0));
        }
        Aggregate { values: self.values }
    }
}

/// Counts settlements right after those of the same other person on several days, among settlements in order of time.
fn companions(times: &[(i64, PersonId)]) -> i64 {
    let follow = |pair: &&[(i64, PersonId)]| pair[0].1 != pair[1].1 && pair[1].0 - pair[0].0 <= TOGETHER;
    let both = |pair: &[(i64, PersonId)]| {
        let (one, other) = (pair[0].1, pair[1].1);
        (one.min(other), one.max(other), pair[1].0.div_euclid(DAY_SECONDS))
    };
    let mut pairs: Vec<(PersonId, PersonId, i64)> = times.windows(2).filter(follow).map(both).collect();
    pairs.sort_unstable();
    let of_two = pairs.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1));
    let on_several_days = of_two.filter(|pair| pair.first().map(|one| one.2) != pair.last().map(|one| one.2));
    on_several_days.map(|pair| pair.len() as i64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_below_a_limit_is_less_than_it_by_a_twentieth_at_most() {
        let cases = [(18_999, false), (19_000, true), (19_999, true), (20_000, false), (95_000, true), (999_999, true)];
        for (fee, expected) in cases {
            assert_eq!(is_just_below(fee), expected, "{fee}");
        }
    }

    #[test]
    fn who_comes_together_on_several_days_is_counted() {
        let (day, person) = (DAY_SECONDS, PersonId);
        let week = [
            (100, person(1)),
            (220, person(2)),
            // Too late after the one before, and the same person again.
            (341, person(3)),
            (350, person(3)),
            (day, person(2)),
            (day + 60, person(1)),
            (day + 70, person(4)),
            // Again together, but on one day only.
            (day + 500, person(4)),
            (day + 510, person(1)),
            (3 * day, person(1)),
            (3 * day + 120, person(2)),
        ];
        assert_eq!(companions(&week), 3);
        assert_eq!(companions(&week[..4]), 0);
        assert_eq!(companions(&[]), 0);
    }

    #[test]
    fn the_page_lists_every_column() {
        let unit = |unit: Unit| match unit {
            Unit::One => "",
            Unit::Yuan => "yuan",
            Unit::Quantity => "units",
            Unit::Power => "powers of ten",
        };
        let row = |(name, of, meaning): &(&str, Unit, &str)| format!("| `{name}` | {} | {meaning} |\n", unit(*of));
        let table: String = COLUMNS.iter().map(row).collect();
        assert!(include_str!("../../docs/models.md").contains(&table), "docs/models.md should have:\n{table}");
    }
}
