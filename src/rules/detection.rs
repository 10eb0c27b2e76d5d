//! The table `[detection]` of a rule file: which kind of detection, and its fields. One function a kind.

use super::filter::{FilterError, FilterSetBuilder};
use super::knowledge::Knowledge;
use super::mistake::{nearest, one_of};
use super::parameter::{ONE, Parameters, Unit, within};
use super::reader::{At, Table};
use super::rule::{
    AfterDeath, Allowance, Amount, CLASSES, Contradiction, Departments, Detection, Distinct, DistinctCount, DuringStay,
    ExclusivePair, Grouping, MissingActivity, NextStay, Overlap, OverlapKey, PairScope, QuantityLimit, Repeat, Run,
    SubjectKind, Threshold,
};
use crate::live::stays::Stay;
use crate::record::{FeeDetail, Ids, Settlement};
use toml::de::DeValue;

/// The longest time that a field can be: ten years.
const MAX_SECONDS: i64 = 10 * 366 * 86_400;
/// The most days that a field can be.
const MAX_DAYS: i64 = 3_660;
/// The largest number of things that a field can be.
const MAX_COUNT: i64 = 1_000_000;
/// The most of an amount, in units of 10^-4 yuan.
const MAX_YUAN: i64 = 1_000_000_000 * ONE;

/// What all rules of a set are compiled into.
pub struct Context<'c> {
    /// The tables of ids.
    pub ids: &'c Ids,
    /// The tables that rules read.
    pub knowledge: &'c Knowledge,
    /// Filters over settlements.
    pub settlements: FilterSetBuilder,
    /// Filters over fee details.
    pub details: FilterSetBuilder,
    /// Filters over stays.
    pub stays: FilterSetBuilder,
    /// Whether rules that do not run are compiled as well, as for their tests.
    pub every_status: bool,
}

impl<'c> Context<'c> {
    /// Without any filter yet.
    pub fn new(ids: &'c Ids, knowledge: &'c Knowledge) -> Self {
        Self {
            ids,
            knowledge,
            settlements: FilterSetBuilder::new::<Settlement>(ids),
            details: FilterSetBuilder::new::<FeeDetail>(ids),
            stays: FilterSetBuilder::new::<Stay>(ids),
            every_status: false,
        }
    }
}

/// A field as it is shown, with the values of parameters written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownField {
    /// The key in the rule file.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What rows a filter is over.
#[derive(Clone, Copy)]
enum Rows {
    Settlements,
    Details,
    Stays,
}

/// All kinds with the function that reads each.
type ReadKind = fn(&mut Fields<'_, '_, '_, '_>) -> Option<Detection>;
const KINDS: [(&str, ReadKind); 12] = [
    ("repeat", repeat),
    ("exclusive_pair", exclusive_pair),
    ("quantity_limit", quantity_limit),
    ("after_death", after_death),
    ("next_stay", next_stay),
    ("overlap", overlap),
    ("during_stay", during_stay),
    ("missing_activity", missing_activity),
    ("distinct_count", distinct_count),
    ("threshold", threshold),
    ("run", run),
    ("contradiction", contradiction),
];

/// The fields of a detection, while they are read.
struct Fields<'a, 'f, 'x, 'c> {
    table: &'f Table<'a>,
    parameters: &'f Parameters<'a>,
    context: &'x mut Context<'c>,
}

/// Reads the table. The second result are its fields, to be shown.
pub fn read<'a>(
    table: &Table<'a>,
    parameters: &Parameters<'a>,
    context: &mut Context<'_>,
) -> Option<(Detection, Vec<ShownField>)> {
    let kind = table.choice("kind", &KINDS)?;
    let before = table.desk.count();
    let detection = kind(&mut Fields { table, parameters, context });
    table.finish();
    detection.filter(|_| table.desk.count() == before).map(|detection| (detection, shown(table, parameters, "")))
}

/// All fields of a table that is right.
fn shown<'a>(table: &Table<'a>, parameters: &Parameters<'a>, prefix: &str) -> Vec<ShownField> {
    let mut fields = Vec::new();
    for (name, value) in table.entries() {
        let key = format!("{prefix}{}", name.value);
        let value = match value.get_ref() {
            DeValue::Table(_) => {
                let inner = super::reader::table(table.desk, key.clone(), value);
                fields.extend(inner.iter().flat_map(|inner| shown(inner, parameters, &format!("{key}."))));
                continue;
            }
            DeValue::String(text) => {
                let unit = text.strip_prefix('$').and_then(|_| parameters.find(text, value.span()));
                let unit = unit.map_or(String::new(), |parameter| format!(" {}", parameter.unit.word()));
                let written = parameters.expand(&At { value: text.as_ref(), span: value.span() });
                format!("{}{unit}", written.unwrap_or_default())
            }
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            _ => continue,
        };
        fields.push(ShownField { key, value });
    }
    fields
}

impl Fields<'_, '_, '_, '_> {
    fn whole(&self, key: &'static str, units: &[Unit], from: i64, to: i64) -> Option<i64> {
        self.parameters.whole(key, self.table.require(key)?, units, from..=to)
    }

    fn seconds(&self, key: &'static str) -> Option<i64> {
        self.whole(key, &[Unit::Seconds, Unit::Minutes, Unit::Hours, Unit::Days], 0, MAX_SECONDS)
    }

    fn days(&self, key: &'static str) -> Option<i32> {
        self.whole(key, &[Unit::Days], 0, MAX_DAYS).map(|days| days as i32)
    }

    fn count(&self, key: &'static str, least: i64) -> Option<i64> {
        self.whole(key, &[Unit::Count], least, MAX_COUNT)
    }

    /// A filter that may be missing.
    fn filter(&mut self, key: &'static str, rows: Rows) -> Option<Option<u8>> {
        let Some(sql) = self.table.optional_text(key) else {
            // A value of another kind was noted.
            return self.table.get(key).is_none().then_some(None);
        };
        let written = self.parameters.expand(&sql)?;
        let set = match rows {
            Rows::Settlements => &mut self.context.settlements,
            Rows::Details => &mut self.context.details,
            Rows::Stays => &mut self.context.stays,
        };
        match set.add(&written) {
            Ok(number) => Some(Some(number)),
            Err(error) => {
                self.refuse(&sql, &written, &error);
                None
            }
        }
    }

    fn refuse(&self, sql: &At<&str>, written: &str, error: &FilterError) {
        let desk = self.table.desk;
        let (span, hint) = match error {
            FilterError::UnknownColumn { name, names, .. } => {
                let names = names.iter().map(String::as_str);
                let hint = match nearest(name, names.clone()) {
                    Some(near) => format!("did you mean `{near}`? Texts stand in single quotes: 'text'"),
                    None => one_of(name, names),
                };
                (within(desk, sql, name), Some(hint))
            }
            FilterError::UnknownFunction { name } => (within(desk, sql, name), None),
            FilterError::Syntax { message } => (place_of_syntax(desk.source(), sql, written, message), None),
            FilterError::NotACondition { .. } => {
                (sql.span.clone(), Some("compare it with something, for example `cnt > 1`".to_owned()))
            }
            _ => (sql.span.clone(), None),
        };
        desk.note(span, error.to_string(), hint);
    }

    fn pairs_or_limits(&self, key: &'static str, table: &'static str, there: bool) -> Option<()> {
        self.table.choice(key, &[(table, ())])?;
        if !there {
            let span = self.table.get(key)?.span();
            let hint = format!("put it into the rules folder as knowledge/{table}.csv");
            self.table.desk.note(span, format!("there is no table `{table}`"), Some(hint));
            return None;
        }
        Some(())
    }
}

/// Where a syntax error stands: the parser counts columns in the written text, which are those of the file when
/// nothing was written in and the text stands on one line in plain quotes.
fn place_of_syntax(source: &str, sql: &At<&str>, written: &str, message: &str) -> std::ops::Range<usize> {
    let column =
        || message.split_once("Column: ")?.1.split(|other: char| !other.is_ascii_digit()).next()?.parse::<usize>().ok();
    let quoted = source.get(sql.span.clone()).and_then(|text| text.get(1..text.len().saturating_sub(1)));
    match column() {
        Some(column) if written == sql.value && quoted == Some(written) && message.contains("Line: 1,") => {
            let at = |place: usize| written.char_indices().nth(place).map_or(written.len(), |(at, _)| at);
            let start = at(column.saturating_sub(1));
            let rest = &written[start..];
            let end = start + rest.find(char::is_whitespace).unwrap_or(rest.len());
            sql.span.start + 1 + start..sql.span.start + 1 + end
        }
        _ => sql.span.clone(),
    }
}

fn repeat(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Settlements);
    let within = fields.seconds("within");
    let over_visit = fields.table.choice("over", &[("visit", true), ("person_institution", false)])?;
    let grouping = if over_visit {
        Grouping::VisitAnchored
    } else {
        let similarity = match fields.table.get("similarity") {
            None => None,
            Some(value) => {
                let share = fields.parameters.measured("similarity", value, &[Unit::Share])?;
                if share > ONE {
                    fields.table.desk.note(value.span(), "`similarity` must be a share from 0 to 1", None);
                    return None;
                }
                Some(share)
            }
        };
        Grouping::PersonInstitutionChained { similarity }
    };
    Some(Detection::Repeat(Repeat { filter: filter?, grouping, within: within? }))
}

fn exclusive_pair(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Details);
    let table = fields.pairs_or_limits("table", "exclusive_items", fields.context.knowledge.exclusive.is_some());
    let scope = fields.table.choice("over", &[("person_day", PairScope::PersonDay), ("visit", PairScope::Visit)]);
    let rows = fields.table.text("scope")?.value;
    let pairs = fields.context.knowledge.pairs(rows, fields.context.ids);
    table?;
    Some(Detection::ExclusivePair(ExclusivePair { filter: filter?, scope: scope?, pairs }))
}

fn quantity_limit(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Details);
    let over_days = fields.table.choice("over", &[("person_day_item", true), ("stay", false)])?;
    let limit = if over_days {
        fields.pairs_or_limits("table", "daily_limits", fields.context.knowledge.limits.is_some())?;
        Allowance::PersonDayItem(fields.context.knowledge.limits(fields.context.ids))
    } else {
        let tolerance = fields.table.require("tolerance")?;
        let days = fields.parameters.measured("tolerance", tolerance, &[Unit::Days])?;
        Allowance::StayDays { tolerance: days.min(MAX_DAYS * ONE) }
    };
    Some(Detection::QuantityLimit(QuantityLimit { filter: filter?, limit }))
}

fn after_death(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let (filter, grace) = (fields.filter("filter", Rows::Settlements), fields.days("grace"));
    Some(Detection::AfterDeath(AfterDeath { filter: filter?, grace: grace? }))
}

fn next_stay(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let exempt_earlier = fields.filter("exempt_earlier", Rows::Stays);
    let (gap_from, gap_to) = (fields.days("gap_from"), fields.days("gap_to"));
    let same_diagnosis = match fields.table.get("same_diagnosis") {
        None => None,
        Some(value) => Some(fields.parameters.whole("same_diagnosis", value, &[Unit::Characters], 1..=20)? as usize),
    };
    let departments = fields.table.choice(
        "departments",
        &[("same", Departments::Same), ("different", Departments::Different), ("any", Departments::Any)],
    );
    let next = NextStay {
        exempt_earlier: exempt_earlier?,
        gap_from: gap_from?,
        gap_to: gap_to?,
        same_diagnosis,
        departments: departments?,
    };
    if next.gap_from > next.gap_to {
        let span = fields.table.get("gap_from")?.span();
        let message = format!("`gap_from` is {} and `gap_to` {}: no gap is between them", next.gap_from, next.gap_to);
        fields.table.desk.note(span, message, None);
    }
    Some(Detection::NextStay(next))
}

fn overlap(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let key = fields.table.choice("over", &[("person", OverlapKey::Person), ("bed", OverlapKey::Bed)]);
    let tolerance = fields.seconds("tolerance");
    Some(Detection::Overlap(Overlap { key: key?, tolerance: tolerance? }))
}

fn during_stay(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Settlements)?;
    Some(Detection::DuringStay(DuringStay { filter }))
}

fn missing_activity(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let activity = fields.filter("activity", Rows::Details);
    let days = fields.whole("days", &[Unit::Days], 1, MAX_DAYS);
    Some(Detection::MissingActivity(MissingActivity { activity: activity?, days: days? as i32 }))
}

fn distinct_count(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Settlements);
    let what = fields.table.choice("count", &[("visits", Distinct::Visits), ("institutions", Distinct::Institutions)]);
    let at_least = fields.count("at_least", 1);
    Some(Detection::DistinctCount(DistinctCount { filter: filter?, what: what?, at_least: at_least? }))
}

fn threshold(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Settlements);
    let table = fields.table.table("limits")?;
    let mut limits = Vec::new();
    for (name, value) in table.entries() {
        let Some(class) = CLASSES.iter().position(|class| *class == name.value) else {
            let message = format!("`{}` is no class of `med_type`", name.value);
            table.desk.note(name.span, message, Some(one_of(name.value, CLASSES)));
            continue;
        };
        let Some(yuan) = fields.parameters.measured(name.value, value, &[Unit::Yuan]) else {
            continue;
        };
        if yuan % 100 != 0 || yuan > MAX_YUAN {
            table.desk.note(value.span(), "a limit is an amount in yuan with at most 2 decimals, up to 10^9", None);
            continue;
        }
        limits.push((class as u8, yuan / 100));
    }
    if table.entries().next().is_none() {
        table.desk.note(
            table.span.clone(),
            "`limits` names no class",
            Some("for example `OUTPATIENT = 5000`".to_owned()),
        );
    }
    Some(Detection::Threshold(Threshold { filter: filter?, limits }))
}

fn run(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let filter = fields.filter("filter", Rows::Settlements);
    let (pause, at_least) = (fields.seconds("pause"), fields.count("at_least", 2));
    Some(Detection::Run(Run { filter: filter?, pause: pause?, at_least: at_least? as usize }))
}

fn contradiction(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Detection> {
    let what = [
        ("discharge_before_admission", Contradiction::DischargeBeforeAdmission),
        ("refunds_exceed_detail", Contradiction::RefundsExceedDetail),
    ];
    fields.table.choice("what", &what).map(Detection::Contradiction)
}

const FUND: (&str, Amount) = ("fund_of_violating", Amount::FundOfViolating);
const OF_VISIT: (&str, Amount) = ("fund_of_visit", Amount::FundOfVisit);
const INSCP: (&str, Amount) = ("inscp_of_violating", Amount::InscpOfViolating);
const EXCESS: (&str, Amount) = ("excess", Amount::Excess);
const OVER_REFUND: (&str, Amount) = ("over_refund", Amount::OverRefund);
const NONE: (&str, Amount) = ("none", Amount::None);
/// The words of all amounts.
pub const ALL_AMOUNTS: [(&str, Amount); 6] = [FUND, OF_VISIT, INSCP, EXCESS, OVER_REFUND, NONE];

/// What money a kind of detection can put at issue, with the words in rule files.
pub fn amounts(detection: &Detection) -> &'static [(&'static str, Amount)] {
    match detection {
        Detection::ExclusivePair(_) => &[INSCP, NONE],
        Detection::QuantityLimit(_) => &[EXCESS, INSCP, NONE],
        Detection::NextStay(_) | Detection::Overlap(_) | Detection::MissingActivity(_) => &[OF_VISIT, NONE],
        Detection::Contradiction(Contradiction::DischargeBeforeAdmission) => &[NONE],
        Detection::Contradiction(Contradiction::RefundsExceedDetail) => &[OVER_REFUND, NONE],
        _ => &[FUND, NONE],
    }
}

const PERSON: (&str, SubjectKind) = ("person", SubjectKind::Person);
const VISIT: (&str, SubjectKind) = ("visit", SubjectKind::Visit);
const INSTITUTION: (&str, SubjectKind) = ("institution", SubjectKind::Institution);
const BED: (&str, SubjectKind) = ("bed", SubjectKind::Bed);
/// The words of all subjects that findings can have.
pub const ALL_SUBJECTS: [(&str, SubjectKind); 4] = [PERSON, VISIT, INSTITUTION, BED];

/// What alerts of a kind of detection can be about, with the words in rule files.
pub fn subjects(detection: &Detection) -> &'static [(&'static str, SubjectKind)] {
    match detection {
        Detection::Repeat(Repeat { grouping: Grouping::VisitAnchored, .. })
        | Detection::ExclusivePair(ExclusivePair { scope: PairScope::Visit, .. })
        | Detection::QuantityLimit(QuantityLimit { limit: Allowance::StayDays { .. }, .. })
        | Detection::MissingActivity(_)
        | Detection::Threshold(_) => &[VISIT, PERSON, INSTITUTION],
        Detection::Repeat(_) | Detection::NextStay(_) => &[PERSON, INSTITUTION],
        Detection::Overlap(Overlap { key: OverlapKey::Bed, .. }) => &[BED, INSTITUTION],
        Detection::Run(_) => &[INSTITUTION],
        // What contradicts each other may name different persons and institutions.
        Detection::Contradiction(_) => &[VISIT],
        _ => &[PERSON],
    }
}

/// What a figure is measured in, and whether findings give a limit with it.
pub fn figure_unit(detection: &Detection, figure: &str) -> (Unit, bool) {
    match figure {
        "medfee_sumamt" => (Unit::Yuan, matches!(detection, Detection::Threshold(_))),
        "stay_days" | "days_after_admission" => (Unit::Days, false),
        "days_after_death" | "days_between" | "longest_run" => (Unit::Days, true),
        "overlap_hours" => (Unit::Hours, true),
        "hours_before_admission" => (Unit::Hours, false),
        "seconds" => (Unit::Seconds, false),
        _ => (Unit::Count, true),
    }
}

/// The records and tables that a rule reads.
pub fn reads(detection: &Detection, amount: Amount, fields: &[ShownField]) -> Vec<&'static str> {
    let mut reads: Vec<&'static str> = match detection {
        Detection::Repeat(Repeat { grouping: Grouping::PersonInstitutionChained { similarity: Some(_) }, .. }) => {
            vec!["settlement", "fee_detail"]
        }
        Detection::ExclusivePair(_) => vec!["fee_detail", "exclusive_items"],
        Detection::QuantityLimit(QuantityLimit { limit: Allowance::PersonDayItem(_), .. }) => {
            vec!["fee_detail", "daily_limits"]
        }
        Detection::QuantityLimit(_) | Detection::MissingActivity(_) => {
            vec!["admission", "discharge", "fee_detail", "med_types"]
        }
        Detection::AfterDeath(_) => vec!["settlement", "discharge", "persons"],
        Detection::NextStay(_) => vec!["admission", "discharge", "med_types"],
        Detection::Overlap(_) => vec!["admission", "discharge", "fee_detail", "presence", "med_types"],
        Detection::DuringStay(_) => vec!["settlement", "admission", "discharge", "med_types"],
        Detection::Threshold(_) => vec!["settlement", "med_types"],
        Detection::Contradiction(Contradiction::DischargeBeforeAdmission) => vec!["admission", "discharge"],
        Detection::Contradiction(Contradiction::RefundsExceedDetail) => vec!["fee_detail"],
        _ => vec!["settlement"],
    };
    let mut also = |name| {
        if !reads.contains(&name) {
            reads.push(name);
        }
    };
    if amount == Amount::FundOfVisit {
        also("settlement");
    }
    if fields.iter().any(|field| field.value.contains("med_class")) {
        also("med_types");
    }
    reads
}
