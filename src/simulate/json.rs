//! Writes records as JSON, byte by byte: no formatting machinery, no allocation once the buffer has
//! grown.

use super::bill::{Bill, Detail, Ident};
use super::calendar::{DAY, Dates, clock};
use super::catalogue::{DEPARTMENTS, ITEMS};
use super::city::{City, Place, area_code, doctor_code, person_no};

/// What an [`Ident`] names; the digit keeps their texts apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Naming {
    Visit = b'1' as isize,
    Settlement = b'5' as isize,
    Check = b'7' as isize,
    Batch = b'8' as isize,
}

/// How a settlement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Normal,
    /// Takes out the settlement; whether it says which one.
    Refund {
        of: Ident,
        linked: bool,
    },
}

/// The writer of records: a text cache and the number of messages sent.
#[derive(Debug)]
pub(super) struct Pen {
    dates: Dates,
    messages: u32,
}

/// Appends `,"name":` for a name known when compiling.
macro_rules! key {
    ($out:expr, $name:literal) => {
        $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes())
    };
}
/// Appends a text member whose value needs no escapes.
macro_rules! text {
    ($out:expr, $name:literal, $value:expr) => {{
        $out.extend_from_slice(concat!(",\"", $name, "\":\"").as_bytes());
        $out.extend_from_slice($value.as_ref());
        $out.push(b'"');
    }};
}
pub(super) use {key, text};

impl Pen {
    pub(super) fn new() -> Self {
        Pen { dates: Dates::new(), messages: 0 }
    }

    pub(super) fn integer(&mut self, out: &mut Vec<u8>, value: i64) {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Yuan with two decimals.
    pub(super) fn money(&mut self, out: &mut Vec<u8>, fen: i64, quoted: bool) {
        if quoted {
            out.push(b'"');
        }
        if fen < 0 {
            out.push(b'-');
        }
        let fen = fen.abs();
        self.integer(out, fen / 100);
        out.extend_from_slice(&[b'.', b'0' + (fen / 10 % 10) as u8, b'0' + (fen % 10) as u8]);
        if quoted {
            out.push(b'"');
        }
    }

    /// A number in 1/10,000, without needless decimals.
    pub(super) fn fine(&mut self, out: &mut Vec<u8>, value: i64) {
        if value < 0 {
            out.push(b'-');
        }
        let value = value.abs();
        self.integer(out, value / 10_000);
        let mut rest = value % 10_000;
        if rest > 0 {
            out.push(b'.');
            while rest > 0 {
                out.push(b'0' + (rest / 1000) as u8);
                rest = rest % 1000 * 10;
            }
        }
    }

    pub(super) fn date(&mut self, day: i64) -> [u8; 10] {
        self.dates.date(day)
    }

    pub(super) fn time(&mut self, time: i64) -> [u8; 19] {
        self.dates.time(time)
    }

    /// The text of an id: area, date, kind, nine digits.
    pub(super) fn ident(&mut self, naming: Naming, ident: Ident) -> [u8; 20] {
        let date = self.dates.date(ident.day);
        let mut text = *b"37990000000000000000";
        text[4..6].copy_from_slice(&date[2..4]);
        text[6..8].copy_from_slice(&date[5..7]);
        text[8..10].copy_from_slice(&date[8..10]);
        text[10] = naming as isize as u8;
        let mut rest = ident.serial;
        for at in (11..20).rev() {
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        text
    }

    pub(super) fn ident_text(&mut self, naming: Naming, ident: Ident) -> String {
        String::from_utf8_lossy(&self.ident(naming, ident)).into_owned()
    }

    /// `{"type":…,"msgid":…`: institution, time of sending and a running number.
    pub(super) fn open(&mut self, out: &mut Vec<u8>, kind: &str, place: &Place, sent: i64) {
        self.messages = (self.messages + 1) % 10_000;
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"msgid\":\"");
        out.extend_from_slice(&place.code);
        let time = self.dates.time(sent);
        for range in [0..4, 5..7, 8..10, 11..13, 14..16, 17..19] {
            out.extend_from_slice(&time[range]);
        }
        let mut rest = self.messages;
        let mut digits = [b'0'; 4];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
        out.push(b'"');
    }

    /// A settlement with its details, as one line.
    pub(super) fn settlement(
        &mut self,
        out: &mut Vec<u8>,
        city: &City,
        bill: &Bill,
        details: &[Detail],
        form: Form,
        sent: i64,
    ) {
        let place = &city.places[usize::from(bill.place)];
        let person = &city.persons[bill.person as usize];
        let sums = &bill.sums;
        let (quoted, sign) = (place.quoted, if form == Form::Normal { 1 } else { -1 });
        self.open(out, "settlement", place, sent);
        text!(out, "setl_id", self.ident(Naming::Settlement, bill.setl));
        text!(out, "mdtrt_id", self.ident(Naming::Visit, bill.mdtrt));
        text!(out, "psn_no", person_no(bill.person, person.area));
        text!(out, "gend", if person.female { "2" } else { "1" });
        text!(out, "brdy", self.date(i64::from(person.born)));
        text!(out, "insutype", if person.employee { "310" } else { "390" });
        text!(out, "insuplc_admdvs", area_code(person.area));
        out.extend_from_slice(&place.head);
        text!(out, "pay_loc", [b'0' + bill.pay_loc]);
        text!(out, "med_type", bill.med_type);
        text!(out, "mdtrt_cert_type", "01");
        if let Some(day) = bill.begin_day {
            text!(out, "begndate", self.date(day));
        }
        if let Some(day) = bill.end_day {
            text!(out, "enddate", self.date(day));
        }
        text!(out, "setl_time", self.time(bill.time));
        if let Some(diagnosis) = bill.diagnosis {
            let (code, name) = DEPARTMENTS[usize::from(bill.department)].diagnoses[usize::from(diagnosis)];
            text!(out, "dise_codg", code);
            text!(out, "dise_name", name);
        }
        key!(out, "medfee_sumamt");
        self.money(out, sign * sums.total, quoted);
        key!(out, "fulamt_ownpay_amt");
        self.money(out, sign * sums.own, quoted);
        out.extend_from_slice(b",\"overlmt_selfpay\":0.00");
        key!(out, "preselfpay_amt");
        self.money(out, sign * sums.first_share, quoted);
        if place.central {
            key!(out, "inscp_amt");
        } else {
            key!(out, "inscp_scp_amt");
        }
        self.money(out, sign * sums.in_scope, quoted);
        key!(out, "act_pay_dedc");
        self.money(out, sign * sums.deductible, quoted);
        key!(out, "hifp_pay");
        self.money(out, sign * sums.fund, quoted);
        key!(out, "pool_prop_selfpay");
        self.fine(out, sums.ratio * 100);
        key!(out, "fund_pay_sumamt");
        self.money(out, sign * sums.fund, quoted);
        if place.central {
            key!(out, "psn_pay");
        } else {
            key!(out, "psn_part_amt");
        }
        self.money(out, sign * (sums.account + sums.cash), quoted);
        key!(out, "acct_pay");
        self.money(out, sign * sums.account, quoted);
        if place.central {
            key!(out, "cash_payamt");
        } else {
            key!(out, "psn_cash_pay");
        }
        self.money(out, sign * sums.cash, quoted);
        key!(out, "balc");
        self.money(out, sums.balance, quoted);
        match form {
            Form::Normal => text!(out, "refd_setl_flag", "0"),
            Form::Refund { of, linked } => {
                text!(out, "refd_setl_flag", "1");
                if linked {
                    text!(out, "init_setl_id", self.ident(Naming::Settlement, of));
                }
            }
        }
        if bill.interim {
            text!(out, "mid_setl_flag", "1");
        }
        text!(out, "vali_flag", "1");
        text!(out, "updt_time", self.time(bill.updated));
        if !details.is_empty() {
            out.extend_from_slice(b",\"fee_details\":[");
            let mut first = true;
            for detail in details.iter().filter(|detail| !detail.erroneous) {
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(b"{\"feedetl_sn\":\"");
                self.detail(out, city, bill, detail);
                out.push(b'}');
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}\n");
    }

    /// A fee detail of an open visit, as one line: uploaded, not settled.
    pub(super) fn unsettled(
        &mut self,
        out: &mut Vec<u8>,
        city: &City,
        bill: &Bill,
        detail: &Detail,
        updated: i64,
        sent: i64,
    ) {
        let place = &city.places[usize::from(bill.place)];
        let person = &city.persons[bill.person as usize];
        self.open(out, "fee_detail", place, sent);
        text!(out, "mdtrt_id", self.ident(Naming::Visit, bill.mdtrt));
        text!(out, "psn_no", person_no(bill.person, person.area));
        text!(out, "fixmedins_code", place.code);
        text!(out, "med_type", bill.med_type);
        text!(out, "updt_time", self.time(updated));
        out.extend_from_slice(b",\"feedetl_sn\":\"");
        self.detail(out, city, bill, detail);
        out.extend_from_slice(b"}\n");
    }

    /// The members of a detail, from the value of `feedetl_sn` on.
    fn detail(&mut self, out: &mut Vec<u8>, city: &City, bill: &Bill, detail: &Detail) {
        let place = &city.places[usize::from(bill.place)];
        let item = usize::from(detail.item);
        let quoted = place.quoted;
        self.integer(out, i64::from(detail.serial));
        out.push(b'"');
        if let Some(original) = detail.refund_of {
            out.extend_from_slice(b",\"init_feedetl_sn\":\"");
            self.integer(out, i64::from(original));
            out.push(b'"');
        }
        text!(out, "fee_ocur_time", self.time(detail.time));
        if detail.group_unsaid {
            text!(out, "med_list_codg", city.item_code[item].as_bytes());
        } else {
            out.extend_from_slice(&city.item_text[item]);
        }
        key!(out, "cnt");
        self.fine(out, detail.count);
        key!(out, "pric");
        self.fine(out, detail.price);
        key!(out, "det_item_fee_sumamt");
        self.money(out, detail.amount, quoted);
        if !detail.scope_unsaid {
            if place.central {
                key!(out, "inscp_amt");
            } else {
                key!(out, "inscp_scp_amt");
            }
            self.money(out, detail.in_scope, quoted);
        }
        if place.code[0] == b'H' {
            let department = &DEPARTMENTS[usize::from(bill.department)];
            text!(out, "bilg_dept_codg", department.code);
            if place.central {
                text!(out, "bilg_dr_code", doctor_code(place, bill.department, bill.doctor));
            } else {
                text!(out, "bilg_dr_codg", doctor_code(place, bill.department, bill.doctor));
            }
        }
        if ITEMS[item].group.is_drug() {
            out.extend_from_slice(b",\"rxno\":\"RX");
            self.integer(out, detail.time / DAY * 100_000 + clock(detail.time) + i64::from(bill.mdtrt.serial) * 7);
            out.push(b'"');
            if detail.days_supplied > 0 {
                key!(out, "prd_days");
                self.integer(out, i64::from(detail.days_supplied));
            }
        }
    }
}
