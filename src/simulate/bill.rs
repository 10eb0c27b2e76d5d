//! A settlement and its fee details as numbers, and the fund rules that split the money.

use super::catalogue::ITEMS;
use super::city::{City, Level, Person};
use super::random::Rng;

/// The serial number behind a `mdtrt_id`, `setl_id` or `check_id`, and the day that they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ident {
    pub(super) day: i64,
    pub(super) serial: u32,
}

/// Money of a settlement, in fen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) total: i64,
    /// Cost of class 丙.
    pub(super) own: i64,
    /// The patient's first share of class 乙.
    pub(super) first_share: i64,
    pub(super) in_scope: i64,
    pub(super) deductible: i64,
    /// Percentage that the fund pays of what is in scope and over the deductible.
    pub(super) ratio: i64,
    pub(super) fund: i64,
    pub(super) account: i64,
    pub(super) cash: i64,
    pub(super) balance: i64,
}

/// A settlement.
#[derive(Debug, Clone)]
pub(super) struct Bill {
    pub(super) person: u32,
    pub(super) place: u16,
    pub(super) med_type: &'static str,
    pub(super) mdtrt: Ident,
    pub(super) setl: Ident,
    pub(super) time: i64,
    pub(super) updated: i64,
    pub(super) begin_day: Option<i64>,
    pub(super) end_day: Option<i64>,
    pub(super) department: u8,
    pub(super) doctor: u8,
    /// Diagnosis of the department.
    pub(super) diagnosis: Option<u8>,
    pub(super) interim: bool,
    pub(super) pay_loc: u8,
    pub(super) sums: Sums,
}

/// A fee detail. `cnt` and `price` are in 1/10,000, money in fen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    pub(super) item: u16,
    pub(super) serial: u32,
    /// The row that this one refunds.
    pub(super) refund_of: Option<u32>,
    pub(super) time: i64,
    pub(super) count: i64,
    pub(super) price: i64,
    pub(super) amount: i64,
    pub(super) in_scope: i64,
    pub(super) days_supplied: u8,
    /// Leaves `inscp_scp_amt` out; readers then take the whole amount.
    pub(super) scope_unsaid: bool,
    /// Leaves `med_chrgitm_type` out.
    pub(super) group_unsaid: bool,
    /// Uploaded by mistake and deleted before settlement.
    pub(super) erroneous: bool,
}

impl Detail {
    /// A detail of `count` units of an item at a price.
    pub(super) fn new(item: usize, serial: u32, time: i64, count: i64, price: i64) -> Detail {
        let mut detail = Detail {
            item: item as u16,
            serial,
            refund_of: None,
            time,
            count,
            price,
            amount: 0,
            in_scope: 0,
            days_supplied: 0,
            scope_unsaid: false,
            group_unsaid: false,
            erroneous: false,
        };
        detail.amount = rounded(count * price, 1_000_000);
        detail.in_scope = match ITEMS[item].class {
            1 => detail.amount,
            2 => detail.amount - rounded(detail.amount, 10),
            _ => 0,
        };
        detail
    }

    /// The row that takes back `count` units of this one.
    pub(super) fn refund(&self, serial: u32, time: i64, count: i64) -> Detail {
        let mut row = Detail::new(usize::from(self.item), serial, time, -count, self.price);
        row.refund_of = Some(self.serial);
        if count == self.count {
            row.amount = -self.amount;
            row.in_scope = -self.in_scope;
        }
        row.scope_unsaid = self.scope_unsaid;
        row
    }
}

/// `number / unit`, rounded half away from zero.
pub(super) fn rounded(number: i64, unit: i64) -> i64 {
    (number.abs() + unit / 2) / unit * number.signum()
}

/// Sums the details and splits the money between fund, personal account and cash.
pub(super) fn settle(city: &City, bill: &mut Bill, details: &[Detail], rng: &mut Rng) {
    let mut sums = Sums::default();
    for detail in details.iter().filter(|detail| !detail.erroneous) {
        sums.total += detail.amount;
        sums.in_scope += detail.in_scope;
        if ITEMS[usize::from(detail.item)].class == 3 {
            sums.own += detail.amount;
        }
    }
    sums.first_share = sums.total - sums.own - sums.in_scope;
    let person = &city.persons[bill.person as usize];
    let level = city.places[usize::from(bill.place)].level;
    (sums.deductible, sums.ratio) = benefit(person, level, bill);
    sums.deductible = sums.deductible.min(sums.in_scope);
    sums.fund = rounded((sums.in_scope - sums.deductible) * sums.ratio, 100);
    let personal = sums.total - sums.fund;
    let account = if person.employee { rng.between(0, 600_000) } else { 0 };
    sums.account = account.min(personal);
    sums.cash = personal - sums.account;
    sums.balance = account - sums.account;
    bill.sums = sums;
}

/// Deductible (fen) and ratio (percent) of a person at a level of care.
fn benefit(person: &Person, level: Level, bill: &Bill) -> (i64, i64) {
    let retired = i64::from(person.employee && person.age(bill.time / 86_400) >= 60) * 5;
    let by_level = |tertiary, secondary, primary| match level {
        Level::Tertiary => tertiary,
        Level::Secondary => secondary,
        Level::Primary | Level::Pharmacy => primary,
    };
    match bill.med_type {
        "21" | "2101" | "24" | "28" if person.employee => {
            (by_level(90_000, 60_000, 30_000), by_level(85, 88, 92) + retired / 2)
        }
        "21" | "2101" | "24" | "28" => (by_level(100_000, 60_000, 30_000), by_level(60, 70, 82)),
        "41" => (0, if person.employee { 55 + retired } else { 45 }),
        "14" | "140104" => (0, if person.employee { by_level(80, 85, 90) } else { by_level(60, 65, 75) }),
        _ if person.employee => (0, by_level(55, 65, 75) + retired),
        _ => (0, by_level(40, 50, 60)),
    }
}
