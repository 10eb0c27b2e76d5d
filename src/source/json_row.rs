//! Rows of tables as JSON objects: what the decoder reads, whatever form a record came in.

use crate::record::decode::TYPES;

/// Appends a JSON string. Bytes that are not UTF-8 are kept, so that the decoder refuses the record for them.
pub fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Begins the next member of an object that was begun with `{`: a comma where it is not the first, and its name.
pub fn member(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    text(name.as_bytes(), out);
    out.push(b':');
}

/// The record type that a file's name tells: `settlement.csv`, `fee_detail_2026-01.parquet`, `Admission-7.csv.gz`.
/// The longest type that the name begins with counts, if no letter follows it.
pub fn type_of_name(file_name: &str) -> Option<&'static str> {
    let name = file_name.to_ascii_lowercase();
    TYPES
        .into_iter()
        .filter(|tag| {
            let rest = name.strip_prefix(tag).map(|rest| rest.strip_prefix('s').unwrap_or(rest));
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        })
        .max_by_key(|tag| tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        for plain in ["", "a\"b\\c\nd\re\tf\u{1}g", "门诊统筹", "\u{7f}"] {
            let mut out = Vec::new();
            text(plain.as_bytes(), &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), plain);
        }
    }

    #[test]
    fn names_of_files_tell_the_type() {
        for (name, tag) in [
            ("settlement.csv", Some("settlement")),
            ("settlements_2026.parquet", Some("settlement")),
            ("fee_detail_2026-01.parquet", Some("fee_detail")),
            ("fee_detail_delete.csv", Some("fee_detail_delete")),
            ("admission_cancel-3.csv.gz", Some("admission_cancel")),
            ("Admission.CSV", Some("admission")),
            ("settlementx.csv", None),
            ("records.csv", None),
            ("inventory", Some("inventory")),
            ("presence2.csv", None),
        ] {
            assert_eq!(type_of_name(name), tag, "{name}");
        }
    }
}
