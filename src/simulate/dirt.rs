//! Dirty records: lines that break the contract, each in one way.
//!
//! They carry numbers of their own that no other record uses, so that nothing depends on them.

use super::bill::Ident;
use super::calendar::day_of;
use super::city::{City, Level, person_no};
use super::json::{Naming, Pen};
use super::random::Rng;

/// Ways of being bad.
pub(super) const KINDS: usize = 12;

/// Appends a bad record of a random kind.
pub(super) fn write(pen: &mut Pen, out: &mut Vec<u8>, city: &City, rng: &mut Rng, serial: u32, sent: i64) {
    let place = &city.places[rng.index(city.places.len())];
    let person = rng.index(city.persons.len());
    let ident = Ident { day: day_of(sent), serial };
    let setl = pen.ident_text(Naming::Settlement, ident);
    let mdtrt = pen.ident_text(Naming::Visit, ident);
    let time = String::from_utf8_lossy(&pen.time(sent - 5)).into_owned();
    let date = &time[..10];
    let psn = String::from_utf8_lossy(&person_no(person as u32, city.persons[person].area)).into_owned();
    let code = place.code_text();
    let med_type = if place.level == Level::Pharmacy { "41" } else { "11" };
    let settlement = |amount: &str, time: &str, begin: &str, end: &str| {
        format!(
            "{{\"type\":\"settlement\",\"setl_id\":\"{setl}\",\"mdtrt_id\":\"{mdtrt}\",\"psn_no\":\"{psn}\",\
             \"fixmedins_code\":\"{code}\",\"med_type\":\"{med_type}\",\"insutype\":\"390\",\"begndate\":\"{begin}\",\
             \"enddate\":\"{end}\",\"setl_time\":\"{time}\",\"medfee_sumamt\":{amount},\"fund_pay_sumamt\":10.00}}"
        )
    };
    let good = settlement("38.50", &time, date, date);
    let line = match rng.index(KINDS) {
        // Cut off in the middle: a broken connection.
        0 => good[..good.len() / 2].to_owned(),
        1 => settlement("38.505", &time, date, date),
        2 => settlement("\"38,50\"", &time, date, date),
        3 => settlement("38.50", "2026-02-30 10:00:00", date, date),
        4 => settlement("38.50", &time.replace(' ', "T"), date, date),
        5 => settlement("38.50", &time, date, "2020-01-01"),
        6 => good.replace("\"fund_pay_sumamt\":10.00", "\"psn_cash_pay\":28.50"),
        7 => good.replace("\"type\":\"settlement\"", "\"type\":\"settlment\""),
        8 => good.replace(&setl, &format!("{setl}{mdtrt}")),
        9 => format!("[{good}]"),
        10 => format!(
            "{{\"type\":\"presence\",\"check_id\":\"{setl}\",\"psn_no\":\"{psn}\",\"mdtrt_id\":\"{mdtrt}\",\
             \"fixmedins_code\":\"{code}\",\"check_time\":\"{time}\",\"check_type\":\"ROUND\",\"passed\":\"yes\"}}"
        ),
        _ => {
            // A name in GBK where UTF-8 is promised.
            out.extend_from_slice(&good.as_bytes()[..good.len() - 1]);
            out.extend_from_slice(b",\"dise_name\":\"\xb8\xdf\xd1\xaa\xd1\xb9\"}\n");
            return;
        }
    };
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}
