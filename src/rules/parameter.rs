//! The parameters of a rule: named values with units, which the rest of the rule file refers to as `"$name"`.

use super::mistake::{Desk, one_of};
use super::reader::{At, Table, list, text};
use super::rule::Bilingual;
use crate::record::Quantity;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// One in the numbers of parameters and figures: they are kept in units of 10^-4.
pub const ONE: i64 = 10_000;

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Yuan,
    Share,
    Times,
    Count,
    Characters,
    Codes,
}

impl Unit {
    /// All units with their words in rule files.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("seconds", Self::Seconds),
        ("minutes", Self::Minutes),
        ("hours", Self::Hours),
        ("days", Self::Days),
        ("yuan", Self::Yuan),
        ("share", Self::Share),
        ("times", Self::Times),
        ("count", Self::Count),
        ("characters", Self::Characters),
        ("codes", Self::Codes),
    ];

    /// Its word in rule files and in English.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, unit)| *unit == self).map_or("", |(word, _)| *word)
    }

    /// Its word in Chinese.
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Seconds => "秒",
            Self::Minutes => "分钟",
            Self::Hours => "小时",
            Self::Days => "日",
            Self::Yuan => "元",
            Self::Share => "(比例)",
            Self::Times => "倍",
            Self::Count => "(个、次)",
            Self::Characters => "位",
            Self::Codes => "(代码)",
        }
    }

    /// Its length in seconds, where it is a time.
    const fn seconds(self) -> Option<i64> {
        match self {
            Self::Seconds => Some(1),
            Self::Minutes => Some(60),
            Self::Hours => Some(3_600),
            Self::Days => Some(86_400),
            _ => None,
        }
    }
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number in units of 10^-4.
    Number(i64),
    /// A list of codes.
    Codes(Vec<String>),
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// How the rule refers to it, without the `$`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// What it is measured in.
    pub unit: Unit,
    /// What it means.
    pub meaning: Bilingual,
    span: Range<usize>,
}

impl Parameter {
    /// The value as people write it, without its unit.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Number(units) => crate::alert::figure(*units),
            Value::Codes(codes) => codes.join(", "),
        }
    }

    /// The value as SQL: a number, or texts separated by commas.
    pub fn sql(&self) -> String {
        match &self.value {
            Value::Number(units) => crate::alert::figure(*units),
            Value::Codes(codes) => {
                codes.iter().map(|code| format!("'{}'", code.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// The parameters of one rule, and which of them were used.
pub struct Parameters<'a> {
    desk: &'a Desk<'a>,
    list: Vec<Parameter>,
    used: std::cell::RefCell<Vec<bool>>,
}

impl<'a> Parameters<'a> {
    /// Reads the table `[parameters]`.
    pub fn read(desk: &'a Desk<'a>, table: Option<Table<'a>>) -> Self {
        let mut parameters = Vec::new();
        for (name, value) in table.iter().flat_map(Table::entries) {
            if !is_name(name.value) {
                let hint = "letters a to z, digits and `_`, a letter first".to_owned();
                desk.note(name.span.clone(), format!("`{}` is no name for a parameter", name.value), Some(hint));
                continue;
            }
            let of = format!("parameter `{}`", name.value);
            if let Some(table) = super::reader::table(desk, of, value)
                && let Some(parameter) = parameter(desk, &name, &table)
            {
                parameters.push(parameter);
            }
        }
        let used = std::cell::RefCell::new(vec![false; parameters.len()]);
        Self { desk, list: parameters, used }
    }

    /// Finds the parameter of a reference such as `$days`.
    pub fn find(&self, reference: &str, span: Range<usize>) -> Option<&Parameter> {
        let name = reference.trim_start_matches('$');
        match self.list.iter().position(|parameter| parameter.name == name) {
            Some(at) => {
                self.used.borrow_mut()[at] = true;
                Some(&self.list[at])
            }
            None => {
                let names: Vec<&str> = self.list.iter().map(|parameter| parameter.name.as_str()).collect();
                let hint = match names.is_empty() {
                    true => "write it as a table `[parameters.…]` with `value`, `unit`, `zh` and `en`".to_owned(),
                    false => one_of(name, names.iter().copied()),
                };
                self.desk.note(span, format!("there is no parameter `{name}`"), Some(hint));
                None
            }
        }
    }

    /// Writes the parameters' values in place of `$name` outside of quotes. The second result tells for a byte
    /// of the written text where in the given one it comes from.
    pub fn expand(&self, sql: &At<&str>) -> Option<String> {
        let mut written = String::with_capacity(sql.value.len());
        let mut quoted = false;
        let mut rest = sql.value;
        let mut complete = true;
        while let Some(next) = rest.chars().next() {
            if next == '\'' {
                quoted = !quoted;
            }
            if next == '$' && !quoted {
                let length = rest[1..].bytes().take_while(|byte| is_name_byte(*byte)).count();
                let reference = &rest[..=length];
                let span = within(self.desk, sql, reference);
                match self.find(reference, span) {
                    Some(parameter) => written.push_str(&parameter.sql()),
                    None => complete = false,
                }
                rest = &rest[1 + length..];
            } else {
                written.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        complete.then_some(written)
    }

    /// Notes parameters that nothing refers to, and hands over the list.
    pub fn finish(self) -> Vec<Parameter> {
        for (parameter, used) in self.list.iter().zip(self.used.into_inner()) {
            if !used {
                let hint =
                    format!("refer to it as `\"${0}\"`, or as `${0}` in an expression or a message", parameter.name);
                self.desk.note(
                    parameter.span.clone(),
                    format!("parameter `{}` is not used by the rule", parameter.name),
                    Some(hint),
                );
            }
        }
        self.list
    }

    /// A number, written out or as a reference, with its unit where it has one.
    fn number(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<(At<i64>, Option<Unit>)> {
        if let Some(reference) = value.get_ref().as_str() {
            if !reference.starts_with('$') {
                let hint = format!("a number, or a parameter: `{key} = \"$name\"`");
                self.desk.note(value.span(), format!("`{key}` must be a number"), Some(hint));
                return None;
            }
            let parameter = self.find(reference, value.span())?;
            return match parameter.value {
                Value::Number(units) => Some((At { value: units, span: value.span() }, Some(parameter.unit))),
                Value::Codes(_) => {
                    let message = format!("`{key}` must be a number, and `{reference}` is a list of codes");
                    self.desk.note(value.span(), message, None);
                    None
                }
            };
        }
        let units = number(self.desk, key, value)?;
        Some((At { value: units, span: value.span() }, None))
    }

    /// A number in one of some units, in 10^-4 of the first.
    pub fn measured(&self, key: &str, value: &'a Spanned<DeValue<'a>>, units: &[Unit]) -> Option<i64> {
        let (number, unit) = self.number(key, value)?;
        let wanted = units.first().copied()?;
        match unit {
            None => Some(number.value),
            Some(unit) if unit == wanted => Some(number.value),
            Some(unit) if units.contains(&unit) => {
                let (from, to) = (unit.seconds()?, wanted.seconds()?);
                let scaled = i128::from(number.value) * i128::from(from);
                if scaled % i128::from(to) != 0 {
                    let message = format!("`{key}` must be whole {}", wanted.word());
                    self.desk.note(number.span, message, None);
                    return None;
                }
                i64::try_from(scaled / i128::from(to)).ok()
            }
            Some(unit) => {
                let words: Vec<&str> = units.iter().map(|unit| unit.word()).collect();
                let message = format!("`{key}` is measured in {}, not in {}", words.join(" or "), unit.word());
                self.desk.note(number.span, message, None);
                None
            }
        }
    }

    /// The same as a whole number between bounds.
    pub fn whole(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        units: &[Unit],
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let number = self.measured(key, value, units)?;
        let whole = number / ONE;
        if number % ONE != 0 || !bounds.contains(&whole) {
            let (from, to) = bounds.into_inner();
            let message = format!("`{key}` must be a whole number from {from} to {to}");
            self.desk.note(value.span(), message, None);
            return None;
        }
        Some(whole)
    }
}

/// Where a part of a text stands in the file: the part itself where it is found as it is, or else the whole text.
pub fn within(desk: &Desk<'_>, text: &At<&str>, part: &str) -> Range<usize> {
    let written = desk.source().get(text.span.clone()).unwrap_or_default();
    match written.find(part).filter(|_| !part.is_empty()) {
        Some(at) => text.span.start + at..text.span.start + at + part.len(),
        None => text.span.clone(),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn is_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(is_name_byte) && name.starts_with(|first: char| first.is_ascii_lowercase())
}

fn parameter<'a>(desk: &'a Desk<'a>, name: &At<&str>, table: &Table<'a>) -> Option<Parameter> {
    let value = table.require("value");
    let unit = table.choice("unit", &Unit::WORDS);
    let meaning = table.both();
    table.finish();
    let (value, unit) = (value?, unit?);
    let value = match value.get_ref() {
        DeValue::Array(_) => {
            let codes = list(desk, "value", value)?;
            if codes.value.is_empty() {
                desk.note(codes.span, "a list of codes must not be empty", None);
                return None;
            }
            let texts: Vec<_> = codes.value.iter().filter_map(|code| text(desk, "value", code)).collect();
            Value::Codes(texts.into_iter().map(|code| code.value.to_owned()).collect())
        }
        _ => Value::Number(number(desk, "value", value)?),
    };
    if matches!(value, Value::Codes(_)) != (unit == Unit::Codes) {
        let hint = "a list of texts has the unit `codes`, and nothing else has".to_owned();
        desk.note(name.span.clone(), format!("value and unit of `{}` do not fit", name.value), Some(hint));
        return None;
    }
    Some(Parameter { name: name.value.to_owned(), value, unit, meaning: meaning?, span: name.span.clone() })
}

/// A number that is not negative, with at most four decimals, in units of 10^-4.
pub fn number(desk: &Desk<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<i64> {
    let parsed = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => Quantity::parse(number.as_str().as_bytes()),
        DeValue::Float(number) => Quantity::parse(number.as_str().as_bytes()),
        _ => Err("is not a number"),
    };
    match parsed.map(Quantity::units) {
        Ok(units) if units >= 0 => Some(units),
        Ok(_) => {
            desk.note(value.span(), format!("`{key}` must not be negative"), None);
            None
        }
        Err(refusal) => {
            desk.note(value.span(), format!("`{key}` {refusal}"), None);
            None
        }
    }
}
