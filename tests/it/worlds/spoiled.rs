//! Bad lines of every kind.

use super::dice::Dice;
use super::draft::Draft;
use super::spelling::{join, plain_members};
use crate::reference::fields::{self, Kind, Type};

type Members = Vec<(String, String)>;

/// A line that is bad for exactly one reason.
pub fn line(dice: &mut Dice, draft: &Draft) -> Vec<u8> {
    let kind = Kind::from_name(draft.kind).expect("drafts have real types");
    let mut members = plain_members(draft);
    match dice.below(12) {
        0 => {
            let mut bytes = join(dice, &members).into_bytes();
            bytes.splice(2..2, dice.pick(&[[0xff, 0xfe], [0xc0, 0x80]]));
            return bytes;
        }
        1 => {
            let whole = join(dice, &members);
            let broken = [
                whole[..whole.len() - 1].to_string(),
                format!("{whole}x"),
                format!("[{whole}]"),
                format!("{whole}{whole}"),
                whole.replacen(':', "=", 1),
                whole.replacen('"', "'", 1),
                whole.replacen('{', "{,", 1),
                "12".into(),
                "null".into(),
                "\"settlement\"".into(),
                "{}".into(),
                "[]".into(),
                "not json".into(),
            ];
            return dice.pick(&broken).clone().into_bytes();
        }
        2 => {
            let types = ["\"settlements\"", "\"Settlement\"", "null", "\"\"", "7", "[\"settlement\"]"];
            set(&mut members, "type", dice.pick(&types));
        }
        3 if kind == Kind::Settlement => {
            set(&mut members, "begndate", "\"2024-03-01\"");
            set(&mut members, "enddate", "\"2024-02-29\"");
        }
        4 if kind == Kind::FeeDetail => {
            set(&mut members, "init_feedetl_sn", "\"1\"");
            set(&mut members, "cnt", dice.pick(&["1", "0.0001", "\"1e-4\""]));
        }
        5 | 6 if kind == Kind::Settlement => {
            let rows = match dice.below(4) {
                0 => dice.pick(&["{}", "\"rows\"", "7", "true"]).to_string(),
                1 => format!("[{}]", dice.pick(&["null", "1", "[]", "\"\""])),
                // A good row does not help beside a bad one.
                _ => format!("[{},{}]", good_row(), bad_row(dice)),
            };
            set(&mut members, "fee_details", &rows);
        }
        7 | 8 => remove_a_required_field(dice, kind, &mut members),
        _ => spoil_a_field(dice, kind, &mut members),
    }
    join(dice, &members).into_bytes()
}

fn set(members: &mut Members, name: &str, value: &str) {
    members.retain(|member| member.0 != name && Some(member.0.as_str()) != fields::alias_of(name));
    members.push((name.into(), value.into()));
}

fn good_row() -> &'static str {
    r#"{"feedetl_sn":"g1","fee_ocur_time":"2024-02-29 00:00:00","med_list_codg":"I0","cnt":9,"pric":1,"det_item_fee_sumamt":9}"#
}

fn bad_row(dice: &mut Dice) -> String {
    let row = good_row();
    let broken = [
        row.replace("\"cnt\":9", "\"cnt\":null"),
        row.replace("\"cnt\":9", "\"cnt\":9,\"init_feedetl_sn\":\"g0\""),
        row.replace("\"cnt\":9", "\"cnt\":9,\"prd_days\":\"seven\""),
        row.replace("02-29 00", "02-29T00"),
        row.replace("feedetl_sn", "feedetl_no"),
    ];
    dice.pick(&broken).clone()
}

fn remove_a_required_field(dice: &mut Dice, kind: Kind, members: &mut Members) {
    let required = fields::required(kind);
    let name = dice.pick(&required);
    members.retain(|member| member.0 != name);
    if kind == Kind::FeeDetailDelete && dice.chance(50) {
        members.retain(|member| member.0 != "feedetl_sn" && member.0 != "chrg_bchno");
    }
    if dice.chance(30) {
        members.push((name.into(), dice.pick(&["null", "\"\""]).to_string()));
    }
}

/// Makes any known field malformed, required or not.
fn spoil_a_field(dice: &mut Dice, kind: Kind, members: &mut Members) {
    let known = fields::known(kind);
    let (name, field_type) = dice.pick(&known);
    let value = match field_type {
        Type::Time => dice.pick(&[
            "\"2024-02-29T08:00:00\"",
            "\"2024-02-29 08:00:00Z\"",
            "\"2024-02-29 08:00:00.0\"",
            "\"2024-02-29 24:00:00\"",
            "\"2024-02-29 08:60:00\"",
            "\"2023-02-29 08:00:00\"",
            "\"2024-02-29\"",
            "\"2024-2-29 8:00:00\"",
            "\" 2024-02-29 08:00:00\"",
            "\"20240229080000\"",
            "20240229080000",
            "{}",
        ]),
        Type::Day => dice.pick(&[
            "\"2023-02-29\"",
            "\"2024-02-30\"",
            "\"2024-13-01\"",
            "\"2024-00-01\"",
            "\"2024-02-00\"",
            "\"20240229\"",
            "\"2024/02/29\"",
            "\"2024-02-29 00:00:00\"",
            "20240229",
            "[]",
        ]),
        Type::Decimal(_) => dice.pick(&[
            "\"1 \"",
            "\" 1\"",
            "\"+1\"",
            "\"01\"",
            "\".5\"",
            "\"1.\"",
            "\"1,5\"",
            "\"NaN\"",
            "\"0x10\"",
            "\"一\"",
            "\"1e\"",
            "1e-9",
            "0.0000001",
            "100000000000000000",
            "1e16",
            "-1e16",
            "1e400",
            "true",
            "[]",
            "{}",
        ]),
        Type::Flag => dice.pick(&["\"true\"", "\"1\"", "1", "0", "\"yes\"", "[]"]),
        Type::Code(longest) => {
            let long = format!("\"{}\"", "病".repeat(longest + 1));
            let long_integer = format!("1{}", "0".repeat(longest));
            let odd = ["true", "false", "1.5", "0.5e1", "[]", "{}", "[\"x\"]"];
            let value = match dice.below(3) {
                0 => long,
                1 => long_integer,
                _ => dice.pick(&odd).to_string(),
            };
            return set(members, name, &value);
        }
    };
    set(members, name, value);
}
