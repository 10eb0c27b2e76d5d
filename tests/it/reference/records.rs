//! From a line to records: section 1 with the "Records" part of section 5.

use std::collections::BTreeMap;

use super::fields::{self, Kind, Type};
use super::json::{self, Json};
use super::values::{self, Day, Time};

/// One good record: its content, that is the known fields but `msgid` as canonical text (point 1).
///
/// The derived order compares contents pair by pair, name and value, as UTF-8 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub kind: Kind,
    pub content: BTreeMap<&'static str, String>,
}

impl Record {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.content.get(name).map(String::as_str)
    }

    /// A required field.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).expect("required fields were checked")
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(String::from)
    }

    pub fn time(&self, name: &str) -> Time {
        Time(self.text(name).into())
    }

    pub fn day(&self, name: &str) -> Option<Day> {
        self.get(name).map(|text| Day(text.into()))
    }

    pub fn money(&self, name: &str) -> Option<i128> {
        self.get(name).map(|text| values::decimal(text, values::MONEY).expect("canonical"))
    }

    pub fn count(&self) -> i128 {
        values::decimal(self.text("cnt"), values::QUANTITY).expect("canonical")
    }

    /// Flags count only as exactly `1` or `0`; without `vali_flag` a record is valid.
    pub fn is_valid(&self) -> bool {
        self.get("vali_flag") != Some("0")
    }
}

/// Reads a line: the record in it and the fee details that stand inside, or why it is bad.
pub fn read_line(line: &[u8]) -> Result<Vec<Record>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let members = members(json::parse(text)?)?;
    let kind = match field(&members, "type") {
        Json::Text(name) => Kind::from_name(&name).ok_or(format!("unknown type {name:?}"))?,
        Json::Null => return Err("`type` is missing".into()),
        other => return Err(format!("unknown type {other:?}")),
    };
    let record = Record { kind, content: content(kind, &members)? };
    check(&record)?;
    let mut records = vec![record.clone()];
    if kind == Kind::Settlement {
        match field(&members, "fee_details") {
            Json::Null => {}
            Json::Array(rows) => {
                for (index, row) in rows.into_iter().enumerate() {
                    let row =
                        fee_detail_of(&record, row).map_err(|reason| format!("fee_details[{index}]: {reason}"))?;
                    records.push(row);
                }
            }
            _ => return Err("`fee_details` is not an array".into()),
        }
    }
    Ok(records)
}

/// An element of `fee_details` inherits six fields where it lacks them.
fn fee_detail_of(settlement: &Record, row: Json) -> Result<Record, String> {
    let mut content = content(Kind::FeeDetail, &members(row)?)?;
    for name in ["setl_id", "mdtrt_id", "psn_no", "fixmedins_code", "med_type", "updt_time"] {
        if !content.contains_key(name)
            && let Some(value) = settlement.get(name)
        {
            content.insert(name, value.into());
        }
    }
    let record = Record { kind: Kind::FeeDetail, content };
    check(&record)?;
    Ok(record)
}

/// The members of an object; of a repeated key the last one counts.
fn members(value: Json) -> Result<BTreeMap<String, Json>, String> {
    match value {
        Json::Object(members) => Ok(members.into_iter().collect()),
        _ => Err("not a JSON object".into()),
    }
}

/// A member, with `""` and a missing one read as `null`.
fn field(members: &BTreeMap<String, Json>, name: &str) -> Json {
    match members.get(name) {
        None => Json::Null,
        Some(Json::Text(text)) if text.is_empty() => Json::Null,
        Some(value) => value.clone(),
    }
}

/// The canonical content: known fields only, aliases under the interface name.
fn content(kind: Kind, members: &BTreeMap<String, Json>) -> Result<BTreeMap<&'static str, String>, String> {
    let mut content = BTreeMap::new();
    for &(name, ref field_type) in &fields::known(kind) {
        let mut value = field(members, name);
        // The alias is read only where the interface name is absent; otherwise nobody looks at it.
        if value == Json::Null
            && let Some(alias) = fields::alias_of(name)
        {
            value = field(members, alias);
        }
        if value != Json::Null {
            let text = canonical(field_type, value).map_err(|why| format!("`{name}`: {why}"))?;
            content.insert(name, text);
        }
    }
    content.remove("msgid");
    Ok(content)
}

/// The canonical text of a present value, or what is malformed about it.
fn canonical(field_type: &Type, value: Json) -> Result<String, String> {
    match (field_type, value) {
        (Type::Time, Json::Text(text)) => Ok(Time::parse(&text)?.0),
        (Type::Day, Json::Text(text)) => Ok(Day::parse(&text)?.0),
        (Type::Decimal(decimals), Json::Number(text) | Json::Text(text)) => {
            Ok(values::canonical(values::decimal(&text, *decimals)?, *decimals))
        }
        (Type::Flag, Json::Bool(flag)) => Ok(flag.to_string()),
        (Type::Code(longest), Json::Text(text)) => code(text, *longest),
        (Type::Code(longest), Json::Number(text)) => {
            // An integer is one as written: neither point nor exponent. `-0` is `0`.
            if text.contains(['.', 'e', 'E']) {
                return Err(format!("the number {text} is no integer"));
            }
            code(if text == "-0" { "0".into() } else { text }, *longest)
        }
        (expected, value) => Err(format!("{value:?} is no {expected:?}")),
    }
}

/// Lengths count characters.
fn code(text: String, longest: usize) -> Result<String, String> {
    if text.chars().count() > longest {
        return Err(format!("{text:?} is longer than {longest} characters"));
    }
    Ok(text)
}

/// What a record needs beyond well-formed fields.
fn check(record: &Record) -> Result<(), String> {
    for name in fields::required(record.kind) {
        if record.get(name).is_none() {
            return Err(format!("`{name}` is missing"));
        }
    }
    if record.kind == Kind::FeeDetailDelete && record.get("feedetl_sn").is_none() && record.get("chrg_bchno").is_none()
    {
        return Err("neither `feedetl_sn` nor `chrg_bchno`".into());
    }
    if let (Some(begin), Some(end)) = (record.day("begndate"), record.day("enddate"))
        && end < begin
    {
        return Err("`enddate` is before `begndate`".into());
    }
    if record.kind == Kind::FeeDetail && record.get("init_feedetl_sn").is_some() && record.count() > 0 {
        return Err("a refund row with `cnt` above 0".into());
    }
    Ok(())
}
