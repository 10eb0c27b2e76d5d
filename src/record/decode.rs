//! Decoding: bytes of a batch to typed records, and bad records with their reasons.

use super::batch::Batch;
use super::field::Refusal;
use super::intern::Ids;
use super::json::{NotJson, Raw, Scanner, unescape};
use super::types::{
    Admission, AdmissionCancel, BadField, Discharge, DischargeCancel, FeeDetail, FeeDetailDelete, Inventory, NAMES,
    Name, Presence, Record, Settlement, Values,
};
use super::value::{Quantity, Time};
use hashbrown::HashMap;
use std::fmt::Write;
use std::ops::Range;
use std::sync::LazyLock;

/// The number of a message in its batch.
pub type Line = u32;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Which message of the batch.
    pub line: Line,
    /// The kind of mistake: a fixed word for counting.
    pub kind: BadKind,
    /// What is wrong, in words that name the field.
    pub reason: String,
    /// Where it is [`BadKind::Late`], what it held: a bit for each of [`TYPES`].
    pub late: LateTypes,
}

/// Types of records: a bit for each of [`TYPES`].
pub type LateTypes = u16;

/// The kinds of mistakes, as in contract section 1, "Bad records".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BadKind {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not JSON.
    NotJson,
    /// The JSON is not an object.
    NotObject,
    /// `type` is missing or names no record.
    UnknownType,
    /// A required field is missing.
    MissingField,
    /// A known field is malformed.
    MalformedField,
    /// Fields contradict each other.
    Contradiction,
    /// The record is older than what is retained.
    Late,
}

impl BadKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::NotUtf8,
        Self::NotJson,
        Self::NotObject,
        Self::UnknownType,
        Self::MissingField,
        Self::MalformedField,
        Self::Contradiction,
        Self::Late,
    ];

    /// The word used in metrics and dead letters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::MalformedField => "malformed_field",
            Self::Contradiction => "contradiction",
            Self::Late => "late",
        }
    }

    /// The rule of the contract that is broken.
    pub const fn contract(self) -> &'static str {
        match self {
            Self::NotUtf8 => "1: records are UTF-8",
            Self::NotJson => "1: records are JSON",
            Self::NotObject => "1: a record is one JSON object",
            Self::UnknownType => "1: `type` says which record it is",
            Self::MissingField => "1: required fields",
            Self::MalformedField => "1: values of fields",
            Self::Contradiction => "1: bad records",
            Self::Late => "1: live records, within retention",
        }
    }
}

/// Records of one type, each with the message it came in.
pub type Rows<R> = Vec<(Line, R)>;

/// What a part of a batch holds, for the shards that own it: `settlements[s]` are those of shard `s`.
#[derive(Default)]
pub struct Decoded {
    /// By `setl_id`.
    pub settlements: Vec<Rows<Settlement>>,
    /// By visit.
    pub details: Vec<Rows<FeeDetail>>,
    /// By visit.
    pub deletes: Vec<Rows<FeeDetailDelete>>,
    /// By visit.
    pub admissions: Vec<Rows<Admission>>,
    /// By visit.
    pub discharges: Vec<Rows<Discharge>>,
    /// By visit.
    pub admission_cancels: Vec<Rows<AdmissionCancel>>,
    /// By visit.
    pub discharge_cancels: Vec<Rows<DischargeCancel>>,
    /// By `check_id`.
    pub presences: Vec<Rows<Presence>>,
    /// By institution.
    pub inventory: Vec<Rows<Inventory>>,
    /// What cannot be read.
    pub bad: Vec<Bad>,
    /// Good messages by type, in the order of [`TYPES`].
    pub counts: [u64; TYPES.len()],
    /// Details that came inside settlements.
    pub embedded: u64,
    /// The latest time of a good record that is not from the future.
    pub latest: Option<Time>,
    /// Good messages from the future: they do not push time forward.
    pub future: u64,
}

/// The times of records that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Records of before are late.
    pub from: Time,
    /// Records of after do not push time forward.
    pub until: Time,
}

impl Window {
    /// All times.
    pub const ALL: Self = Self { from: Time(i64::MIN), until: Time(i64::MAX) };
}

/// All values of `type`.
pub const TYPES: [&str; 9] = [
    Settlement::TYPE,
    FeeDetail::TYPE,
    FeeDetailDelete::TYPE,
    Admission::TYPE,
    Discharge::TYPE,
    AdmissionCancel::TYPE,
    DischargeCancel::TYPE,
    Presence::TYPE,
    Inventory::TYPE,
];

/// The bit of a type among [`LateTypes`]; none for other names.
pub fn type_bit(name: &str) -> LateTypes {
    TYPES.iter().position(|known| *known == name).map_or(0, |number| 1 << number)
}

impl Decoded {
    /// Nothing, for so many shards.
    pub fn new(shards: usize) -> Self {
        fn rows<R>(shards: usize) -> Vec<Rows<R>> {
            (0..shards).map(|_| Vec::new()).collect()
        }
        Self {
            settlements: rows(shards),
            details: rows(shards),
            deletes: rows(shards),
            admissions: rows(shards),
            discharges: rows(shards),
            admission_cancels: rows(shards),
            discharge_cancels: rows(shards),
            presences: rows(shards),
            inventory: rows(shards),
            ..Self::default()
        }
    }

    /// Takes note of the time of a good message.
    fn reach(&mut self, time: Option<Time>, window: Window) {
        if time.is_some_and(|time| time > window.until) {
            self.future += 1;
        } else {
            self.latest = self.latest.max(time);
        }
    }
}

static NAME_OF: LazyLock<HashMap<&'static str, Name, foldhash::fast::FixedState>> =
    LazyLock::new(|| NAMES.iter().enumerate().map(|(number, text)| (*text, Name::of(number))).collect());

/// Finds names of fields. A sender writes its fields in the same order again and again, so the name that
/// followed last time is tried first.
struct NameFinder {
    /// By name: the name that came after it last time.
    after: [Option<Name>; NAMES.len()],
    last: Name,
}

impl NameFinder {
    fn find(&mut self, key: Raw<'_>) -> Option<Name> {
        let room;
        let key = match key {
            Raw::Text(key) => key,
            Raw::Escaped(key) => {
                room = unescape(key)?;
                &room
            }
            _ => return None,
        };
        if let Some(expected) = self.after[self.last as usize]
            && NAMES[expected as usize] == key
        {
            self.last = expected;
            return Some(expected);
        }
        let name = *NAME_OF.get(key)?;
        self.after[self.last as usize] = Some(name);
        self.last = name;
        Some(name)
    }
}

/// Decodes the messages of a batch in `range`.
pub fn decode(batch: &Batch, range: Range<usize>, window: Window, ids: &Ids) -> Decoded {
    let mut decoder = Decoder {
        ids,
        window,
        out: Decoded::new(ids.shards()),
        values: Values::default(),
        detail_values: Values::default(),
        details: Vec::new(),
        names: NameFinder { after: [None; NAMES.len()], last: Name::type_ },
        time: None,
        late: 0,
    };
    for line in range {
        let message = &batch.messages[line];
        let default_type = batch.origins[message.origin as usize].default_type.as_deref();
        let outcome = decoder.message(line as Line, batch.payload(message), default_type);
        let (time, late) = (decoder.time.take(), std::mem::take(&mut decoder.late));
        match outcome {
            Ok(()) => decoder.out.reach(time, window),
            Err((kind, reason)) => decoder.out.bad.push(Bad { line: line as Line, kind, reason, late }),
        }
    }
    decoder.out
}

type Refused = (BadKind, String);

fn not_json(NotJson(at): NotJson) -> Refused {
    (BadKind::NotJson, format!("the text is not JSON from byte {at} on"))
}

fn malformed(place: &str, field: &str, refusal: Refusal) -> Refused {
    (BadKind::MalformedField, format!("{place}`{field}` {refusal}"))
}

struct Decoder<'i, 'a> {
    ids: &'i Ids,
    window: Window,
    out: Decoded,
    values: Values<'a>,
    detail_values: Values<'a>,
    /// The elements of `fee_details` of the object at hand.
    details: Vec<Result<FeeDetail, Refused>>,
    names: NameFinder,
    /// When what the message at hand tells of happened.
    time: Option<Time>,
    /// What it held, where it is late.
    late: LateTypes,
}

impl<'a> Decoder<'_, 'a> {
    fn message(&mut self, line: Line, bytes: &'a [u8], default_type: Option<&str>) -> Result<(), Refused> {
        let text =
            simdutf8::basic::from_utf8(bytes).map_err(|_| (BadKind::NotUtf8, "the bytes are not UTF-8".to_owned()))?;
        self.object(text)?;
        if self.values.get(Name::type_).is_none()
            && let Some((inner, deleted_at)) = self.envelope()?
        {
            self.object(inner)?;
            if let Some(time) = deleted_at {
                return self.record(line, default_type, Some(time));
            }
        }
        self.record(line, default_type, None)
    }

    /// Scans an object into `values` and `details`.
    fn object(&mut self, text: &'a str) -> Result<(), Refused> {
        self.values.clear();
        self.details.clear();
        self.names.last = Name::payload;
        let mut scanner = Scanner::new(text);
        if scanner.peek() != b'{' {
            scanner.value().and_then(|_| scanner.end()).map_err(not_json)?;
            return Err((BadKind::NotObject, "the JSON is not an object".to_owned()));
        }
        scanner.expect(b'{').map_err(not_json)?;
        let mut first = true;
        while let Some(key) = scanner.key(&mut first).map_err(not_json)? {
            let name = self.names.find(key);
            if name == Some(Name::fee_details) && scanner.peek() == b'[' {
                self.details(&mut scanner).map_err(not_json)?;
                self.names.last = Name::fee_details;
                // Stands for the array, whose elements are in `details`.
                self.values.set(Name::fee_details, Raw::Nested("["));
                continue;
            }
            let value = scanner.value().map_err(not_json)?;
            if let Some(name) = name {
                self.values.set(name, value);
            }
        }
        scanner.end().map_err(not_json)
    }

    /// Scans the array of `fee_details`. A bad element is kept as such: whether it matters depends on `type`.
    fn details(&mut self, scanner: &mut Scanner<'a>) -> Result<(), NotJson> {
        self.details.clear();
        scanner.expect(b'[')?;
        let mut first_element = true;
        while scanner.element(&mut first_element)? {
            if scanner.peek() != b'{' {
                scanner.value()?;
                let reason = format!("fee_details[{}] is not an object", self.details.len());
                self.details.push(Err((BadKind::MalformedField, reason)));
                continue;
            }
            scanner.expect(b'{')?;
            self.detail_values.clear();
            self.names.last = Name::before;
            let mut first = true;
            while let Some(key) = scanner.key(&mut first)? {
                let name = self.names.find(key);
                let value = scanner.value()?;
                if let Some(name) = name {
                    self.detail_values.set(name, value);
                }
            }
            let detail = read::<FeeDetail>(&self.detail_values, self.ids)
                .map_err(|bad| malformed(&format!("fee_details[{}].", self.details.len()), bad.field, bad.refusal));
            self.details.push(detail);
        }
        Ok(())
    }

    /// Where the object is a change event of a database (Debezium's form), the row it carries; with the time
    /// of the deletion where the row was deleted.
    fn envelope(&mut self) -> Result<Option<(&'a str, Option<Time>)>, Refused> {
        if let Some(Raw::Nested(payload)) = self.values.get(Name::payload)
            && payload.starts_with('{')
        {
            self.object(payload)?;
        }
        let Some(Raw::Text(operation)) = self.values.get(Name::op) else {
            return Ok(None);
        };
        let row = |values: &Values<'a>, name| match values.get(name) {
            Some(Raw::Nested(row)) if row.starts_with('{') => Some(row),
            _ => None,
        };
        match (operation, row(&self.values, Name::before), row(&self.values, Name::after)) {
            ("c" | "r" | "u", _, Some(after)) => Ok(Some((after, None))),
            ("d", Some(before), _) => {
                let time = match self.values.get(Name::ts_ms) {
                    Some(Raw::Number(millis)) => millis.parse::<i64>().ok(),
                    _ => None,
                };
                let millis = time.ok_or_else(|| malformed("", "ts_ms", "must give the time of the deletion"))?;
                Ok(Some((before, Some(crate::clock::local_time_of_millis(millis)))))
            }
            ("c" | "r" | "u" | "d", ..) => {
                Err((BadKind::MissingField, format!("change event `{operation}` carries no row")))
            }
            _ => Ok(None),
        }
    }

    /// Turns the scanned object into a record. A row that its database deleted is a version that is not valid.
    fn record(&mut self, line: Line, default_type: Option<&str>, deleted: Option<Time>) -> Result<(), Refused> {
        let room;
        let tag = match self.values.get(Name::type_) {
            Some(Raw::Text(tag)) => tag,
            Some(Raw::Escaped(tag)) => {
                room = unescape(tag).unwrap_or_default();
                &room
            }
            Some(_) => return Err((BadKind::UnknownType, "`type` is not a string".to_owned())),
            None => default_type.ok_or_else(|| (BadKind::UnknownType, "`type` is missing".to_owned()))?,
        };
        let kind = match tag {
            Settlement::TYPE => return self.settlement(line, deleted),
            FeeDetail::TYPE => {
                let row: FeeDetail = self.read(deleted)?;
                check_detail(&row, None)?;
                let shard = self.ids.visits.shard_of(row.mdtrt_id.0);
                self.out.details[shard].push((line, row));
                1
            }
            FeeDetailDelete::TYPE => {
                let row: FeeDetailDelete = self.read(deleted)?;
                if row.feedetl_sn.get().is_none() && row.chrg_bchno.get().is_none() {
                    let reason = "neither `feedetl_sn` nor `chrg_bchno` says what to delete".to_owned();
                    return Err((BadKind::MissingField, reason));
                }
                self.out.deletes[self.ids.visits.shard_of(row.mdtrt_id.0)].push((line, row));
                2
            }
            Admission::TYPE => {
                let row: Admission = self.read(deleted)?;
                self.out.admissions[self.ids.visits.shard_of(row.mdtrt_id.0)].push((line, row));
                3
            }
            Discharge::TYPE => {
                let row: Discharge = self.read(deleted)?;
                self.out.discharges[self.ids.visits.shard_of(row.mdtrt_id.0)].push((line, row));
                4
            }
            AdmissionCancel::TYPE => {
                let row: AdmissionCancel = self.read(deleted)?;
                self.out.admission_cancels[self.ids.visits.shard_of(row.mdtrt_id.0)].push((line, row));
                5
            }
            DischargeCancel::TYPE => {
                let row: DischargeCancel = self.read(deleted)?;
                self.out.discharge_cancels[self.ids.visits.shard_of(row.mdtrt_id.0)].push((line, row));
                6
            }
            Presence::TYPE => {
                let row: Presence = self.read(deleted)?;
                self.out.presences[self.ids.checks.shard_of(row.check_id.0)].push((line, row));
                7
            }
            Inventory::TYPE => {
                let row: Inventory = self.read(deleted)?;
                self.out.inventory[self.ids.institutions.shard_of(row.fixmedins_code.0)].push((line, row));
                8
            }
            other => {
                let mut reason = String::from("`type` names no record: ");
                let _ = write!(reason, "{:?}", other.chars().take(40).collect::<String>());
                return Err((BadKind::UnknownType, reason));
            }
        };
        self.out.counts[kind] += 1;
        Ok(())
    }

    fn read<R: Record + Deletable>(&mut self, deleted: Option<Time>) -> Result<R, Refused> {
        let mut record: R = read(&self.values, self.ids).map_err(|bad| malformed("", bad.field, bad.refusal))?;
        if let Some(field) = record.missing()
            && R::TYPE != FeeDetail::TYPE
        {
            return Err(missing("", field, R::TYPE));
        }
        if let Some(time) = record.event_time().get() {
            if time < self.window.from {
                let reason =
                    format!("it tells of {time}, before {}, up to which records are retained", self.window.from);
                self.late = type_bit(R::TYPE);
                if R::TYPE == Settlement::TYPE && !self.details.is_empty() {
                    self.late |= type_bit(FeeDetail::TYPE);
                }
                return Err((BadKind::Late, reason));
            }
            self.time = Some(time);
        }
        if let Some(time) = deleted {
            record.delete(time, self.ids);
        }
        Ok(record)
    }

    fn settlement(&mut self, line: Line, deleted: Option<Time>) -> Result<(), Refused> {
        let record: Settlement = self.read(deleted)?;
        if let (Some(begin), Some(end)) = (record.begndate.get(), record.enddate.get())
            && end < begin
        {
            return Err((BadKind::Contradiction, format!("`enddate` {end} is before `begndate` {begin}")));
        }
        match self.values.get(Name::fee_details) {
            None => self.details.clear(),
            Some(Raw::Nested("[")) => {}
            Some(_) => return Err(malformed("", "fee_details", "is not an array")),
        }
        for (number, detail) in self.details.iter_mut().enumerate() {
            let detail = match detail {
                Ok(detail) => detail,
                Err(refused) => return Err(refused.clone()),
            };
            macro_rules! inherit {
                ($($field:ident)*) => { $(
                    if detail.$field.get().is_none() { detail.$field = record.$field; }
                )* };
            }
            inherit!(setl_id mdtrt_id psn_no fixmedins_code med_type updt_time);
            check_detail(detail, Some(number))?;
        }
        for detail in self.details.drain(..).flatten() {
            let shard = self.ids.visits.shard_of(detail.mdtrt_id.0);
            self.out.details[shard].push((line, detail));
            self.out.embedded += 1;
        }
        self.out.settlements[self.ids.settlements.shard_of(record.setl_id.0)].push((line, record));
        self.out.counts[0] += 1;
        Ok(())
    }
}

/// The place of a detail in its message, for people.
fn place(number: Option<usize>) -> String {
    number.map_or_else(String::new, |number| format!("fee_details[{number}]."))
}

fn missing(place: &str, field: &str, tag: &str) -> Refused {
    (BadKind::MissingField, format!("{place}`{field}` is missing, which every `{tag}` must have"))
}

/// Checks a detail that stands alone or, with its number, in a settlement.
fn check_detail(detail: &FeeDetail, number: Option<usize>) -> Result<(), Refused> {
    if let Some(field) = detail.missing() {
        return Err(missing(&place(number), field, FeeDetail::TYPE));
    }
    if detail.init_feedetl_sn.get().is_some() && detail.cnt > Quantity::from_units(0) {
        let reason = format!("{}`cnt` is {} in a refund row, which takes back", place(number), detail.cnt);
        return Err((BadKind::Contradiction, reason));
    }
    Ok(())
}

/// Reads a record and checks `msgid`, which any record may carry.
fn read<R: Record>(values: &Values<'_>, ids: &Ids) -> Result<R, BadField> {
    if let Some(raw) = values.get(Name::msgid) {
        let refuse = |refusal| BadField { field: "msgid", refusal };
        let length = match raw {
            Raw::Text(text) => text.chars().count(),
            Raw::Escaped(text) => unescape(text).ok_or_else(|| refuse("is no text"))?.chars().count(),
            Raw::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => text.len(),
            _ => return Err(refuse("is not a code: neither a string nor an integer")),
        };
        if length > 30 {
            return Err(refuse("is longer than its field allows"));
        }
    }
    R::read(values, ids)
}

/// Records that a database may delete.
trait Deletable {
    /// Makes the record a version, of the time of the deletion, that is not valid.
    fn delete(&mut self, time: Time, ids: &Ids);
}

macro_rules! deletable {
    ($($Type:ident)*) => { $(
        impl Deletable for $Type {
            fn delete(&mut self, time: Time, ids: &Ids) {
                self.updt_time = self.updt_time.max(time);
                self.vali_flag = ids.zero();
            }
        }
    )* };
}

deletable!(Settlement FeeDetail FeeDetailDelete Admission Discharge AdmissionCancel DischargeCancel Presence Inventory);
