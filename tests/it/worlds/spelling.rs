//! The many legal ways to write one record.

use super::dice::Dice;
use super::draft::{Draft, Value};
use crate::reference::fields::{self, Kind};

/// Writes a record as one line: odd but legal.
pub fn line(dice: &mut Dice, draft: &Draft) -> Vec<u8> {
    let mut text = object(dice, draft, true);
    if dice.chance(5) {
        text.push('\r');
    }
    if dice.chance(5) {
        text.insert(0, '\t');
    }
    text.into_bytes()
}

fn object(dice: &mut Dice, draft: &Draft, with_type: bool) -> String {
    let kind = Kind::from_name(draft.kind).expect("drafts have real types");
    let mut members: Vec<(String, String)> = Vec::new();
    if with_type || dice.chance(10) {
        members.push(("type".into(), string(dice, draft.kind)));
    }
    for (name, value) in &draft.fields {
        match fields::alias_of(name) {
            Some(alias) if dice.chance(40) => {
                members.push((alias.into(), spell(dice, value)));
                if dice.chance(10) {
                    members.push((name.to_string(), blank(dice)));
                }
            }
            // The interface name wins over its alias.
            Some(alias) if dice.chance(15) => {
                members.push((name.to_string(), spell(dice, value)));
                members.push((alias.into(), "\"7\"".into()));
            }
            _ => members.push((name.to_string(), spell(dice, value))),
        }
    }
    for (name, _) in fields::known(kind) {
        if draft.get(name).is_none() && dice.chance(3) {
            let value = if name == "msgid" { "\"m-1\"".into() } else { blank(dice) };
            members.push((name.into(), value));
        }
    }
    if dice.chance(8) {
        let unknown = ["{\"a\":[1,2.50,null]}", "true", "1e3", "\"x\\\"y\"", "[[],{}]"];
        members.push(("备注".into(), dice.pick(&unknown).to_string()));
    }
    if draft.kind == "settlement" && (!draft.rows.is_empty() || dice.chance(3)) {
        let rows: Vec<String> = draft.rows.iter().map(|row| object(dice, row, false)).collect();
        members.push(("fee_details".into(), format!("[{}]", rows.join(","))));
    }
    dice.shuffle(&mut members);
    // A repeated key: the last one counts, whatever the first said.
    if dice.chance(5) {
        let place = dice.below(members.len());
        let junk = ["null", "\"\"", "{}", "\"2024-02-29 00:00:00\"", "-1"];
        members.insert(0, (members[place].0.clone(), dice.pick(&junk).to_string()));
    }
    join(dice, &members)
}

/// Plain members of a record, to be spoiled.
pub fn plain_members(draft: &Draft) -> Vec<(String, String)> {
    let mut members = vec![("type".to_string(), format!("{:?}", draft.kind))];
    for (name, value) in &draft.fields {
        let text = match value {
            Value::Code(text) | Value::Clock(text) => format!("\"{text}\""),
            Value::Fixed(scaled, decimals) => plain_number(*scaled, *decimals),
            Value::Flag(flag) => flag.to_string(),
        };
        members.push((name.to_string(), text));
    }
    members
}

pub fn join(dice: &mut Dice, members: &[(String, String)]) -> String {
    let gap = if dice.chance(15) { " " } else { "" };
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}{gap}:{gap}{value}", string(dice, name))).collect();
    format!("{{{}}}", members.join(&format!("{gap},{gap}")))
}

/// `null` and `""` are the same as absent.
fn blank(dice: &mut Dice) -> String {
    dice.pick(&["null", "\"\""]).to_string()
}

fn spell(dice: &mut Dice, value: &Value) -> String {
    match value {
        Value::Code(text) if is_integer(text) && dice.chance(40) => text.clone(),
        Value::Code(text) | Value::Clock(text) => string(dice, text),
        Value::Flag(flag) => flag.to_string(),
        Value::Fixed(scaled, decimals) => {
            let number = number(dice, *scaled, *decimals);
            if dice.chance(30) { format!("\"{number}\"") } else { number }
        }
    }
}

/// Whether a code may be written as a JSON integer.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
}

/// A JSON string, with some characters escaped.
fn string(dice: &mut Dice, text: &str) -> String {
    let mut written = String::from("\"");
    let percent = dice.pick(&[0, 0, 0, 3, 50]);
    for character in text.chars() {
        if dice.chance(percent) || matches!(character, '"' | '\\') || character < ' ' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let upper = dice.chance(50);
                written += &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
            }
        } else {
            written.push(character);
        }
    }
    written + "\""
}

fn plain_number(scaled: i64, decimals: usize) -> String {
    let unit = 10_i64.pow(decimals as u32);
    let sign = if scaled < 0 { "-" } else { "" };
    format!("{sign}{}.{:0decimals$}", scaled.abs() / unit, scaled.abs() % unit)
}

/// The same number as `12.50`, `12.5`, `12.5000000`, `1.25e1`, `1250e-2` or `0.125E+2`.
fn number(dice: &mut Dice, scaled: i64, decimals: usize) -> String {
    if scaled == 0 {
        return dice.pick(&["0", "-0", "0.00", "-0.0", "0e5", "0.000000000"]).to_string();
    }
    let plain = plain_number(scaled, decimals);
    let short = plain.trim_end_matches('0').trim_end_matches('.').to_string();
    let sign = if scaled < 0 { "-" } else { "" };
    let digits = scaled.abs().to_string();
    let length = digits.len() as i64;
    match dice.below(8) {
        0 => plain,
        1 => format!("{plain}0000"),
        2 => format!("{scaled}e-{decimals}"),
        3 => format!("{scaled}000E-0{}", decimals + 3),
        4 => format!("{sign}0.{digits}e{}", length - decimals as i64),
        5 => format!("{sign}{}.{}0E{}", &digits[..1], &digits[1..], length - 1 - decimals as i64),
        _ => short,
    }
}
