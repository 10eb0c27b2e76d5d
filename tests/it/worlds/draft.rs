//! Records before they are written, and the story that collects them.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::reference::Tables;

pub const DAY: i64 = 86_400;
pub const YUAN: i64 = 100;
/// One unit of a quantity.
pub const ONE: i64 = 10_000;

/// Items; the first six stand in the knowledge tables.
pub const ITEMS: [&str; 12] = ["I0", "I1", "项2", "3", "I4", "I5", "D0", "D1", "D2", "D3", "D4", "D5"];
pub const DEPARTMENTS: [&str; 2] = ["A01", "03"];
pub const BEDS: [&str; 2] = ["12", "B-😀"];
pub const INSTITUTIONS: [&str; 3] = ["H1", "H2", "44001"];
pub const PERSONS: [&str; 4] = ["P1", "P2", "5101", "张三"];

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Code(String),
    /// A time or a day: a string, never a number.
    Clock(String),
    /// A scaled number and its decimals.
    Fixed(i64, usize),
    Flag(bool),
}

#[derive(Debug, Clone)]
pub struct Draft {
    pub kind: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    pub rows: Vec<Draft>,
}

impl Draft {
    pub fn new(kind: &'static str) -> Draft {
        Draft { kind, fields: Vec::new(), rows: Vec::new() }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|field| field.0 == name).map(|field| &field.1)
    }

    pub fn code(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Value::Code(text) | Value::Clock(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub fn fixed(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Fixed(scaled, _)) => *scaled,
            _ => 0,
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|field| field.0 != name);
    }

    pub fn set(&mut self, name: &'static str, value: Value) {
        self.remove(name);
        self.fields.push((name, value));
    }

    pub fn set_code(&mut self, name: &'static str, text: &str) {
        self.set(name, Value::Code(text.into()));
    }

    pub fn set_time(&mut self, name: &'static str, seconds: i64) {
        self.set(name, Value::Clock(time_text(seconds)));
    }

    pub fn set_day(&mut self, name: &'static str, day: i64) {
        self.set(name, Value::Clock(day_text(day)));
    }

    pub fn set_money(&mut self, name: &'static str, fen: i64) {
        self.set(name, Value::Fixed(fen, 2));
    }

    /// The same record with one more field.
    pub fn with(mut self, name: &'static str, text: &str) -> Draft {
        self.set_code(name, text);
        self
    }
}

/// What is told so far.
pub struct Story {
    pub dice: Dice,
    pub records: Vec<Draft>,
    /// Midnight of the first day, chosen so that a few days cross a month's end.
    pub start: i64,
    pub visits: Vec<String>,
    deaths: BTreeMap<String, String>,
    settlements: usize,
}

impl Story {
    pub fn new(seed: u64) -> Story {
        let mut dice = Dice::new(seed);
        let first_days = [(2024, 2, 27), (2023, 2, 26), (2024, 12, 30), (2024, 4, 28), (2024, 6, 10)];
        let (year, month, day) = dice.pick(&first_days);
        let start = days_since_1970(year, month, day) * DAY;
        // Ids start at different places, so that "9" and "10" meet and order as text.
        let settlements = dice.below(10);
        Story { dice, records: Vec::new(), start, visits: Vec::new(), deaths: BTreeMap::new(), settlements }
    }

    pub fn person(&mut self) -> String {
        self.dice.pick(&PERSONS).to_string()
    }

    pub fn institution(&mut self) -> String {
        self.dice.pick(&INSTITUTIONS).to_string()
    }

    pub fn new_visit(&mut self) -> String {
        let number = self.visits.len() + 8;
        let visit = if number.is_multiple_of(3) { format!("V{number}") } else { number.to_string() };
        self.visits.push(visit.clone());
        visit
    }

    pub fn any_visit(&mut self) -> String {
        if self.visits.is_empty() || self.dice.chance(10) {
            return self.new_visit();
        }
        self.dice.pick(&self.visits).clone()
    }

    pub fn new_setl_id(&mut self) -> String {
        self.settlements += 1;
        self.settlements.to_string()
    }

    /// Serials count per visit, so that the same ones stand in several visits.
    pub fn new_serial(&mut self, visit: &str) -> String {
        let of_visit = |draft: &&Draft| draft.kind == "fee_detail" && draft.code("mdtrt_id").as_deref() == Some(visit);
        (self.records.iter().filter(of_visit).count() + 1).to_string()
    }

    pub fn dies(&mut self, person: &str, day: i64) {
        self.deaths.insert(person.into(), day_text(day));
    }

    /// A moment of the first days, often on an edge.
    pub fn moment(&mut self) -> i64 {
        let clocks = [0, 1, 8 * 3600, 8 * 3600 + 20, 8 * 3600 + 600, 12 * 3600, DAY - 20, DAY - 1];
        self.start + self.dice.range(0, 3) * DAY + self.dice.pick(&clocks)
    }

    /// An amount in fen; few different ones.
    pub fn fee(&mut self) -> i64 {
        self.dice.pick(&[0, 1250, 9999, 10_000, 10_001, 10_001, 33_333])
    }

    /// Adds a settlement and answers its `setl_id`.
    pub fn settle(
        &mut self,
        visit: &str,
        person: &str,
        institution: &str,
        med_type: &str,
        time: i64,
        fee: i64,
    ) -> String {
        let setl_id = self.new_setl_id();
        let mut draft = Draft::new("settlement")
            .with("setl_id", &setl_id)
            .with("mdtrt_id", visit)
            .with("psn_no", person)
            .with("fixmedins_code", institution)
            .with("med_type", med_type)
            .with("insutype", "310");
        draft.set_time("setl_time", time);
        draft.set_money("medfee_sumamt", fee);
        draft.set_money("fund_pay_sumamt", fee * self.dice.range(0, 10) / 10);
        self.decorate(&mut draft);
        self.records.push(draft);
        setl_id
    }

    /// Adds a fee detail of 10.01 yuan a unit and answers its `feedetl_sn`.
    #[expect(clippy::too_many_arguments, reason = "one argument per field of a story's detail")]
    pub fn bill(
        &mut self,
        visit: &str,
        person: &str,
        institution: &str,
        time: i64,
        item: &str,
        cnt: i64,
        item_type: Option<&str>,
        setl_id: Option<&str>,
    ) -> String {
        let serial = self.new_serial(visit);
        let mut draft = Draft::new("fee_detail")
            .with("mdtrt_id", visit)
            .with("feedetl_sn", &serial)
            .with("psn_no", person)
            .with("fixmedins_code", institution)
            .with("med_list_codg", item);
        draft.set_time("fee_ocur_time", time);
        draft.set("cnt", Value::Fixed(cnt, 4));
        draft.set("pric", Value::Fixed(10_010_000, 6));
        draft.set_money("det_item_fee_sumamt", 1001 * cnt / ONE);
        if self.dice.chance(30) {
            draft.set_money("inscp_scp_amt", 777 * cnt / ONE);
        }
        if let Some(item_type) = item_type {
            draft.set_code("med_chrgitm_type", item_type);
        }
        if let Some(setl_id) = setl_id {
            draft.set_code("setl_id", setl_id);
        }
        if self.dice.chance(30) {
            let batch = self.dice.pick(&["1", "0000", "2"]);
            draft.set_code("chrg_bchno", batch);
        }
        self.decorate(&mut draft);
        self.records.push(draft);
        serial
    }

    /// Adds an admission; the caller may change the last record.
    pub fn admit(&mut self, visit: &str, person: &str, institution: &str, begin: i64) -> &mut Draft {
        let med_type = self.dice.pick(&["21", "21", "21", "2101", "29", "24"]);
        let mut draft = Draft::new("admission")
            .with("mdtrt_id", visit)
            .with("psn_no", person)
            .with("fixmedins_code", institution)
            .with("med_type", med_type);
        draft.set_time("begntime", begin);
        self.decorate(&mut draft);
        self.records.push(draft);
        self.last()
    }

    pub fn discharge(&mut self, visit: &str, person: &str, institution: &str, end: i64) -> &mut Draft {
        let mut draft =
            Draft::new("discharge").with("mdtrt_id", visit).with("psn_no", person).with("fixmedins_code", institution);
        draft.set_time("endtime", end);
        self.decorate(&mut draft);
        self.records.push(draft);
        self.last()
    }

    pub fn check_presence(&mut self, visit: &str, person: &str, institution: &str, time: i64) {
        let check_id = format!("c{}", self.dice.below(6));
        let kind = self.dice.pick(&["ROUND", "SPOT"]);
        let mut draft = Draft::new("presence")
            .with("check_id", &check_id)
            .with("mdtrt_id", visit)
            .with("psn_no", person)
            .with("fixmedins_code", institution)
            .with("check_type", kind);
        draft.set_time("check_time", time);
        draft.set("passed", Value::Flag(self.dice.chance(50)));
        if self.dice.chance(30) {
            draft.set("score", Value::Fixed(self.dice.range(0, ONE), 4));
        }
        self.decorate(&mut draft);
        self.records.push(draft);
    }

    pub fn last(&mut self) -> &mut Draft {
        self.records.last_mut().expect("a record was just told")
    }

    /// Now and then a `vali_flag` and an `updt_time`.
    pub fn decorate(&mut self, draft: &mut Draft) {
        if self.dice.chance(12) {
            let flag = self.dice.pick(&["1", "1", "1", "0", "00", "2"]);
            draft.set_code("vali_flag", flag);
        }
        if self.dice.chance(15) {
            let time = self.update_time();
            draft.set_time("updt_time", time);
        }
    }

    /// One of three update times.
    pub fn update_time(&mut self) -> i64 {
        self.start + self.dice.range(5, 7) * DAY
    }

    /// Knowledge tables over the first six items: repeated rows, both directions, other scopes.
    pub fn tables(&mut self) -> Tables {
        let mut exclusive = Vec::new();
        for _ in 0..self.dice.range(2, 6) {
            let main = self.dice.below(6);
            let included = (main + 1 + self.dice.below(5)) % 6;
            let scope = self.dice.pick(&["day", "day", "visit", "visit", "6h", "Day"]);
            exclusive.push((ITEMS[main].into(), ITEMS[included].into(), scope.into()));
            if self.dice.chance(20) {
                exclusive.push((ITEMS[included].into(), ITEMS[main].into(), scope.into()));
            }
            if self.dice.chance(20) {
                exclusive.extend(exclusive.last().cloned());
            }
        }
        let mut limits = Vec::new();
        // The item of `refund_shapes` shows every netting in the amount of DUP-07.
        if self.dice.chance(70) {
            limits.push((ITEMS[0].into(), "0.5".into()));
        }
        for _ in 0..self.dice.range(1, 4) {
            let item = ITEMS[self.dice.below(6)];
            let limit = self.dice.pick(&["1", "2", "1.5", "3.0", "0.5", "24"]);
            limits.push((item.into(), limit.into()));
        }
        Tables { exclusive, limits, deaths: self.deaths.clone() }
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let mut days = 0;
    for earlier in 1970..year {
        days += if is_leap(earlier) { 366 } else { 365 };
    }
    for earlier in 1..month {
        days += month_days(year, earlier);
    }
    days + day - 1
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1]
}

pub fn day_text(mut day: i64) -> String {
    let (mut year, mut month) = (1970, 1);
    while day >= if is_leap(year) { 366 } else { 365 } {
        day -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    while day >= month_days(year, month) {
        day -= month_days(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day + 1)
}

pub fn time_text(seconds: i64) -> String {
    let clock = seconds.rem_euclid(DAY);
    let day = day_text(seconds.div_euclid(DAY));
    format!("{day} {:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60)
}
