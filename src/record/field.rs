//! The kinds of fields: how each is read from JSON, packed into a row, compared and shown.

use super::intern::{Ids, Interner};
use super::json::Raw;
use super::marks::Marks;
use super::renumber::Renumber;
use super::value::{Day, Scaled, Time};
use arrow::array::{ArrayRef, Date32Array, Decimal128Array, StringBuilder, TimestampSecondArray};
use std::sync::Arc;

/// Why a field was refused: what is wrong with its value, in words.
pub type Refusal = &'static str;

/// A field's value. All kinds know "absent" and are plain data.
pub trait Field: Copy + PartialEq {
    /// No value.
    const ABSENT: Self;

    /// Reads a value that is neither null nor empty. `longest` is the most characters a code may have.
    ///
    /// # Errors
    /// What is wrong with the value.
    fn read(raw: Raw<'_>, longest: usize, ids: &Ids) -> Result<Self, Refusal>;

    /// Packs the value; `before` is the same field of the row before it.
    fn pack(self, before: Self, out: &mut Vec<u8>);

    /// Unpacks what [`Field::pack`] packed.
    fn unpack(before: Self, packed: &mut &[u8]) -> Self;

    /// The canonical text (contract, section 1, "Content").
    fn text(self, ids: &Ids) -> String;

    /// The id of a code, where the field is one: filters remember their verdicts by it.
    fn code(self) -> Option<u32> {
        None
    }

    /// Marks the id it holds.
    fn mark(self, _marks: &mut Marks) {}

    /// Appends what the value says, in bytes that are the same in every process.
    fn say(self, ids: &Ids, out: &mut Vec<u8>);

    /// The value with the id that its text has here.
    fn renumber(self, _numbers: &Renumber<'_>) -> Self {
        self
    }

    /// The values as a column for SQL expressions; null where absent.
    fn column(values: &mut dyn Iterator<Item = Self>, ids: &Ids) -> ArrayRef;
}

/// Appends an unsigned number, seven bits a byte, low bits first.
pub fn pack_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`pack_number`] wrote.
#[inline]
pub fn unpack_number(packed: &mut &[u8]) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    while let Some((byte, rest)) = packed.split_first() {
        *packed = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
        shift += 7;
    }
    value
}

/// Signed numbers near zero become small unsigned ones.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A number that may be absent (`i64::MIN`), as a difference to the one before where that is there.
fn pack_near(value: i64, before: i64, out: &mut Vec<u8>) {
    if value == i64::MIN {
        out.push(0);
        return;
    }
    let base = if before == i64::MIN { 0 } else { before };
    // Differences are far below 2^62; what is not is cut to wrap the same way on both sides.
    pack_number(zigzag(value.wrapping_sub(base)).wrapping_add(1), out);
}

fn unpack_near(before: i64, packed: &mut &[u8]) -> i64 {
    match unpack_number(packed) {
        0 => i64::MIN,
        coded => {
            let base = if before == i64::MIN { 0 } else { before };
            base.wrapping_add(unzigzag(coded.wrapping_sub(1)))
        }
    }
}

/// Money, quantities and prices drop their trailing zeros: `45.00` packs as 45 and two tens.
impl<const SCALE: u32> Field for Scaled<SCALE> {
    const ABSENT: Self = Self::ABSENT;

    fn read(raw: Raw<'_>, _longest: usize, _ids: &Ids) -> Result<Self, Refusal> {
        match raw {
            Raw::Number(text) => Self::parse(text.as_bytes()),
            Raw::Text(text) => Self::parse(text.as_bytes()),
            Raw::Escaped(text) => Self::parse(super::json::unescape(text).ok_or("is no text")?.as_bytes()),
            _ => Err("is not a number"),
        }
    }

    fn pack(self, _before: Self, out: &mut Vec<u8>) {
        let Some(mut units) = self.get() else {
            out.push(0);
            return;
        };
        let mut tens = 0;
        while tens < SCALE as u64 && units % 10 == 0 {
            units /= 10;
            tens += 1;
        }
        // 2^3 > 6, the most places of any kind.
        pack_number((zigzag(units) << 3 | tens) + 1, out);
    }

    fn unpack(_before: Self, packed: &mut &[u8]) -> Self {
        const TENS: [i64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 1];
        match unpack_number(packed) {
            0 => Self::ABSENT,
            coded => Self::from_raw(unzigzag((coded - 1) >> 3).wrapping_mul(TENS[((coded - 1) & 7) as usize])),
        }
    }

    fn text(self, _ids: &Ids) -> String {
        self.to_string()
    }

    fn say(self, _ids: &Ids, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.raw().to_le_bytes());
    }

    fn column(values: &mut dyn Iterator<Item = Self>, _ids: &Ids) -> ArrayRef {
        let values: Decimal128Array = values.map(|value| value.get().map(i128::from)).collect();
        Arc::new(values.with_precision_and_scale(18, SCALE as i8).expect("18 digits hold any scaled value"))
    }
}

/// The text of a JSON string; escapes are resolved into `room`.
fn string<'a>(raw: Raw<'a>, room: &'a mut String) -> Option<&'a str> {
    match raw {
        Raw::Text(text) => Some(text),
        Raw::Escaped(text) => {
            *room = super::json::unescape(text)?;
            Some(room)
        }
        _ => None,
    }
}

impl Field for Time {
    const ABSENT: Self = Self::ABSENT;

    fn read(raw: Raw<'_>, _longest: usize, _ids: &Ids) -> Result<Self, Refusal> {
        let mut room = String::new();
        string(raw, &mut room)
            .and_then(|text| Self::parse(text.as_bytes()))
            .ok_or("is not a time of the form yyyy-MM-dd HH:mm:ss")
    }

    fn pack(self, before: Self, out: &mut Vec<u8>) {
        pack_near(self.0, before.0, out);
    }

    fn unpack(before: Self, packed: &mut &[u8]) -> Self {
        Self(unpack_near(before.0, packed))
    }

    fn text(self, _ids: &Ids) -> String {
        self.to_string()
    }

    fn say(self, _ids: &Ids, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn column(values: &mut dyn Iterator<Item = Self>, _ids: &Ids) -> ArrayRef {
        Arc::new(values.map(|value| value.get().map(|time| time.0)).collect::<TimestampSecondArray>())
    }
}

impl Field for Day {
    const ABSENT: Self = Self::ABSENT;

    fn read(raw: Raw<'_>, _longest: usize, _ids: &Ids) -> Result<Self, Refusal> {
        let mut room = String::new();
        string(raw, &mut room)
            .and_then(|text| Self::parse(text.as_bytes()))
            .ok_or("is not a date of the form yyyy-MM-dd")
    }

    fn pack(self, before: Self, out: &mut Vec<u8>) {
        let wide = |day: Self| day.get().map_or(i64::MIN, |day| i64::from(day.0));
        pack_near(wide(self), wide(before), out);
    }

    fn unpack(before: Self, packed: &mut &[u8]) -> Self {
        let before = before.get().map_or(i64::MIN, |day| i64::from(day.0));
        match unpack_near(before, packed) {
            i64::MIN => Self::ABSENT,
            day => Self(day as i32),
        }
    }

    fn text(self, _ids: &Ids) -> String {
        self.to_string()
    }

    fn say(self, _ids: &Ids, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn column(values: &mut dyn Iterator<Item = Self>, _ids: &Ids) -> ArrayRef {
        Arc::new(values.map(|value| value.get().map(|day| day.0)).collect::<Date32Array>())
    }
}

/// `true`, `false` or absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flag(u8);

impl Flag {
    /// `None` where absent.
    pub fn get(self) -> Option<bool> {
        (self.0 != 0).then_some(self.0 == 2)
    }
}

impl Field for Flag {
    const ABSENT: Self = Self(0);

    fn read(raw: Raw<'_>, _longest: usize, _ids: &Ids) -> Result<Self, Refusal> {
        match raw {
            Raw::True => Ok(Self(2)),
            Raw::False => Ok(Self(1)),
            _ => Err("is neither true nor false"),
        }
    }

    fn pack(self, _before: Self, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn unpack(_before: Self, packed: &mut &[u8]) -> Self {
        Self(unpack_number(packed) as u8)
    }

    fn text(self, _ids: &Ids) -> String {
        self.get().map_or_else(String::new, |flag| flag.to_string())
    }

    fn say(self, _ids: &Ids, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn column(values: &mut dyn Iterator<Item = Self>, _ids: &Ids) -> ArrayRef {
        Arc::new(values.map(Self::get).collect::<arrow::array::BooleanArray>())
    }
}

/// Reads a code: a string, or a JSON integer as its decimal text.
fn read_code<T>(raw: Raw<'_>, longest: usize, intern: impl FnOnce(&str) -> T) -> Result<T, Refusal> {
    let mut room = String::new();
    let text = match raw {
        Raw::Number("-0") => "0",
        Raw::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => text,
        Raw::Number(_) => return Err("is a number with a fraction or an exponent, not a code"),
        Raw::Escaped(text) => {
            room = super::json::unescape(text).ok_or("holds half of a surrogate pair, which is no character")?;
            &room
        }
        other => string(other, &mut room).ok_or("is not a code: neither a string nor an integer")?,
    };
    if text.len() > longest && text.chars().count() > longest {
        return Err("is longer than its field allows");
    }
    Ok(intern(text))
}

/// Appends the length of a text that comes in pieces, and the text.
fn say_text<const PIECES: usize>(pieces: [&[u8]; PIECES], out: &mut Vec<u8>) {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    pack_number(length as u64, out);
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
}

/// A field that is the id of a text in one of the tables.
macro_rules! id_field {
    ($(#[$doc:meta])* $Id:ident, $table:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $Id(pub u32);

        impl $Id {
            /// No value.
            pub const ABSENT: Self = Self(0);

            /// `None` where absent.
            pub fn get(self) -> Option<Self> {
                (self.0 != 0).then_some(self)
            }

            /// The table of its texts.
            pub fn table(ids: &Ids) -> &Interner {
                &ids.$table
            }

            /// Its text.
            pub fn string(self, ids: &Ids) -> String {
                ids.$table.text(self.0)
            }
        }

        impl Field for $Id {
            const ABSENT: Self = Self(0);

            fn read(raw: Raw<'_>, longest: usize, ids: &Ids) -> Result<Self, Refusal> {
                read_code(raw, longest, |text| Self(ids.$table.intern(text)))
            }

            fn pack(self, _before: Self, out: &mut Vec<u8>) {
                pack_number(u64::from(self.0), out);
            }

            fn unpack(_before: Self, packed: &mut &[u8]) -> Self {
                Self(unpack_number(packed) as u32)
            }

            fn text(self, ids: &Ids) -> String {
                self.string(ids)
            }

            fn say(self, ids: &Ids, out: &mut Vec<u8>) {
                ids.$table.with(self.0, |text| say_text([text.as_bytes()], out));
            }

            fn code(self) -> Option<u32> {
                Some(self.0)
            }

            fn mark(self, marks: &mut Marks) {
                marks.$table.mark(self.0);
            }

            fn renumber(self, numbers: &Renumber<'_>) -> Self {
                Self(numbers.$table.get(self.0))
            }

            fn column(values: &mut dyn Iterator<Item = Self>, ids: &Ids) -> ArrayRef {
                let mut column = StringBuilder::new();
                for value in values {
                    match value.get() {
                        Some(id) => ids.$table.with(id.0, |text| column.append_value(text)),
                        None => column.append_null(),
                    }
                }
                Arc::new(column.finish())
            }
        }
    };
}

id_field!(
    /// A settlement, by `setl_id`.
    SettlementId, settlements
);
id_field!(
    /// A visit, by `mdtrt_id`.
    VisitId, visits
);
id_field!(
    /// A person, by `psn_no`.
    PersonId, persons
);
id_field!(
    /// An institution, by `fixmedins_code`.
    InstitutionId, institutions
);
id_field!(
    /// A presence check, by `check_id`.
    CheckId, checks
);
id_field!(
    /// Any other code.
    Code, codes
);

/// A code that is mostly used once, such as a detail's serial number or a prescription's: what counts up at its
/// end, up to 13 digits, is held in the value itself beside the id of what stands before it; where that does not
/// fit, the value is the id of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Serial(u64);

/// Set where the value is the id of a text; else, from the top: the id of the prefix, the number of digits, the
/// digits.
const IS_TEXT: u64 = 1 << 63;
const PREFIX_SHIFT: u32 = 48;
/// The most prefixes that are held apart.
const PREFIXES: u32 = 1 << 14;
const LENGTH_SHIFT: u32 = 44;
const MOST_DIGITS: usize = 13;

impl Serial {
    /// No value.
    pub const ABSENT: Self = Self(0);

    /// `None` where absent.
    pub fn get(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }

    /// The serial of a text.
    pub fn intern(text: &str, ids: &Ids) -> Self {
        let digits = text.bytes().rev().take(MOST_DIGITS).take_while(u8::is_ascii_digit).count();
        let (prefix, number) = text.split_at(text.len() - digits);
        if digits > 0 {
            // The table of prefixes only grows, and only so far: a text has the same serial at all times.
            let known = if prefix.is_empty() { Some(0) } else { ids.prefixes.find(prefix) };
            let room = || (ids.prefixes.len() < PREFIXES as usize).then(|| ids.prefixes.intern(prefix));
            if let Some(prefix) = known.or_else(room).filter(|prefix| *prefix < PREFIXES) {
                let value = number.bytes().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                return Self(u64::from(prefix) << PREFIX_SHIFT | (digits as u64) << LENGTH_SHIFT | value);
            }
        }
        match ids.codes.intern(text) {
            0 => Self::ABSENT,
            id => Self(IS_TEXT | u64::from(id)),
        }
    }

    /// The one that counts up by one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The id in the table of codes, where it is a text.
    pub fn text_id(self) -> Option<u32> {
        (self.0 & IS_TEXT != 0).then_some(self.0 as u32)
    }
}

impl Field for Serial {
    const ABSENT: Self = Self(0);

    fn read(raw: Raw<'_>, longest: usize, ids: &Ids) -> Result<Self, Refusal> {
        read_code(raw, longest, |text| Self::intern(text, ids))
    }

    fn pack(self, before: Self, out: &mut Vec<u8>) {
        // Serials of a visit mostly count up by one with the same number of digits.
        pack_number(zigzag(self.0.wrapping_sub(before.0) as i64), out);
    }

    fn unpack(before: Self, packed: &mut &[u8]) -> Self {
        Self(before.0.wrapping_add(unzigzag(unpack_number(packed)) as u64))
    }

    fn text(self, ids: &Ids) -> String {
        if self.0 == 0 {
            return String::new();
        }
        match self.text_id() {
            Some(id) => ids.codes.text(id),
            None => {
                let prefix = (self.0 >> PREFIX_SHIFT) as u32;
                let digits = (self.0 >> LENGTH_SHIFT) as usize & 15;
                let number = self.0 & ((1 << LENGTH_SHIFT) - 1);
                ids.prefixes.with(prefix, |prefix| format!("{prefix}{number:0digits$}"))
            }
        }
    }

    fn say(self, ids: &Ids, out: &mut Vec<u8>) {
        match self.text_id() {
            Some(id) => ids.codes.with(id, |text| say_text([text.as_bytes()], out)),
            // The digits one by one: no text is made for it.
            None => {
                let mut digits = [b'0'; MOST_DIGITS];
                let count = (self.0 >> LENGTH_SHIFT) as usize & 15;
                let mut number = self.0 & ((1 << LENGTH_SHIFT) - 1);
                for digit in digits.iter_mut().rev().take(count) {
                    *digit = b'0' + (number % 10) as u8;
                    number /= 10;
                }
                let digits = &digits[MOST_DIGITS - count.min(MOST_DIGITS)..];
                let prefix = (self.0 >> PREFIX_SHIFT) as u32;
                ids.prefixes.with(prefix, |prefix| say_text([prefix.as_bytes(), digits], out));
            }
        }
    }

    fn mark(self, marks: &mut Marks) {
        match self.text_id() {
            Some(id) => marks.codes.mark(id),
            None => marks.prefixes.mark((self.0 >> PREFIX_SHIFT) as u32),
        }
    }

    fn renumber(self, numbers: &Renumber<'_>) -> Self {
        match self.text_id() {
            // There may be room for its prefix here.
            Some(id) => Self::intern(&numbers.ids.codes.text(numbers.codes.get(id)), numbers.ids),
            None => {
                let prefix = numbers.prefixes.get((self.0 >> PREFIX_SHIFT) as u32);
                Self(u64::from(prefix) << PREFIX_SHIFT | self.0 & ((1 << PREFIX_SHIFT) - 1))
            }
        }
    }

    fn column(values: &mut dyn Iterator<Item = Self>, ids: &Ids) -> ArrayRef {
        let mut column = StringBuilder::new();
        for value in values {
            column.append_option(value.get().map(|value| value.text(ids)));
        }
        Arc::new(column.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Money, Price, Quantity};
    use super::*;

    fn survives<F: Field + std::fmt::Debug>(value: F, before: F) {
        let mut packed = Vec::new();
        value.pack(before, &mut packed);
        let mut rest = packed.as_slice();
        assert_eq!(F::unpack(before, &mut rest), value);
        assert!(rest.is_empty());
    }

    #[test]
    fn packing_is_lossless() {
        let numbers = [0, 1, -1, 9, 10, 100, 1_000_000, -12_345, 9_999_999_999_999_999, -9_999_999_999_999_999];
        for number in numbers {
            survives(Money::from_units(number), Money::ABSENT);
            survives(Quantity::from_units(number), Quantity::ABSENT);
            survives(Price::from_units(number), Price::ABSENT);
            for before in numbers {
                survives(Time(number), Time(before));
                survives(Serial(number as u64), Serial(before as u64));
            }
            survives(Time(number), Time::ABSENT);
            survives(Time::ABSENT, Time(number));
        }
        survives(Money::ABSENT, Money::ABSENT);
        for day in [Day(0), Day(-700_000), Day(2_900_000), Day::ABSENT] {
            survives(day, Day(20_000));
            survives(day, Day::ABSENT);
        }
        for code in [0, 1, 127, 128, u32::MAX] {
            survives(Code(code), Code(5));
        }
    }

    #[test]
    fn serials_say_their_text() {
        let ids = Ids::new(1);
        for text in ["1", "0001", "9999999999999", "RX0012", "A", "12345678901234567890"] {
            let (mut said, mut expected) = (Vec::new(), Vec::new());
            Serial::intern(text, &ids).say(&ids, &mut said);
            say_text([text.as_bytes()], &mut expected);
            assert_eq!(said, expected, "{text}");
        }
    }

    #[test]
    fn serials_keep_their_text() {
        let ids = Ids::new(1);
        let texts = [
            "1",
            "0001",
            "9999999999999",
            "12345678901234567890",
            "A1",
            "",
            "RX0012",
            "00000000000000000",
            "-1",
            "A",
            "中9",
            "9x",
        ];
        for text in texts {
            assert_eq!(Serial::intern(text, &ids).text(&ids), text);
        }
        assert_ne!(Serial::intern("1", &ids), Serial::intern("01", &ids));
    }
}
