//! Reading a log back: entries to the records that they hold, with the ids that their texts have here.

use super::log::{Chunk, table, tag};
use crate::alert::{Alert, AlertId, stored};
use crate::live::details::{self, DetailRow};
use crate::record::decode::{Decoded, Rows};
use crate::record::field::unpack_number;
use crate::record::items::Item;
use crate::record::marks::{Marked, Marks};
use crate::record::renumber::Renumber;
use crate::record::types::{Layout, PackedField};
use crate::record::{
    Admission, AdmissionCancel, CheckId, Code, Discharge, DischargeCancel, FeeDetail, FeeDetailDelete, Ids, Inventory,
    Presence, Price, Record, Settlement, SettlementId, VisitId,
};
use crate::rules::rule::Map;
use std::collections::BTreeMap;

/// What a log does not hold as it was written.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its bytes make no sense.
    #[error("{0}")]
    Damaged(&'static str),
    /// A field of the records it holds is of another kind in this version.
    #[error("it holds the field {0}, which this version of fundwatch reads in another way")]
    Field(String),
}

/// How each type of record is packed, by its name.
pub type Schema = BTreeMap<String, Vec<PackedField>>;

/// How this version packs.
pub fn schema() -> Schema {
    fn of<R: Record>() -> (String, Vec<PackedField>) {
        (R::TYPE.to_owned(), R::layout())
    }
    BTreeMap::from([
        of::<Settlement>(),
        of::<FeeDetail>(),
        of::<FeeDetailDelete>(),
        of::<Admission>(),
        of::<Discharge>(),
        of::<AdmissionCancel>(),
        of::<DischargeCancel>(),
        of::<Presence>(),
        of::<Inventory>(),
    ])
}

/// How to unpack each type of record.
pub struct Layouts {
    settlement: Layout,
    detail: Layout,
    delete: Layout,
    admission: Layout,
    discharge: Layout,
    admission_cancel: Layout,
    discharge_cancel: Layout,
    presence: Layout,
    movement: Layout,
}

impl Layouts {
    /// The layouts of a log's schema.
    ///
    /// # Errors
    /// A field is of another kind here.
    pub fn of(schema: &Schema) -> Result<Self, Unreadable> {
        fn of<R: Record>(schema: &Schema) -> Result<Layout, Unreadable> {
            schema
                .get(R::TYPE)
                .map_or(Ok(Layout::default()), |fields| Layout::of::<R>(fields).map_err(Unreadable::Field))
        }
        Ok(Self {
            settlement: of::<Settlement>(schema)?,
            detail: of::<FeeDetail>(schema)?,
            delete: of::<FeeDetailDelete>(schema)?,
            admission: of::<Admission>(schema)?,
            discharge: of::<Discharge>(schema)?,
            admission_cancel: of::<AdmissionCancel>(schema)?,
            discharge_cancel: of::<DischargeCancel>(schema)?,
            presence: of::<Presence>(schema)?,
            movement: of::<Inventory>(schema)?,
        })
    }
}

/// Hashes of versions that are not kept, by owner.
pub type Hashes<T> = Vec<(T, Vec<u64>)>;

/// Records read from a log.
pub struct Taken {
    /// The records, by the shards that own them here.
    pub decoded: Decoded,
    /// Of settlements.
    pub settlement_hashes: Hashes<SettlementId>,
    /// Of visits.
    pub visit_hashes: Hashes<VisitId>,
    /// Of checks.
    pub check_hashes: Hashes<CheckId>,
    /// Of movements of stock.
    pub movement_hashes: Hashes<Inventory>,
}

impl Taken {
    fn new(shards: usize) -> Self {
        Self {
            decoded: Decoded::new(shards),
            settlement_hashes: Vec::new(),
            visit_hashes: Vec::new(),
            check_hashes: Vec::new(),
            movement_hashes: Vec::new(),
        }
    }
}

/// What one shard of an earlier process wrote.
pub struct Stream<'a> {
    numbers: Renumber<'a>,
    items: Vec<Item>,
    layouts: &'a Layouts,
}

impl<'a> Stream<'a> {
    /// A stream whose texts are still to be read.
    pub fn new(ids: &'a Ids, layouts: &'a Layouts) -> Self {
        Self { numbers: Renumber::new(ids), items: Vec::new(), layouts }
    }

    /// Reads the texts of a chunk. All chunks' texts are read before the first entry.
    ///
    /// # Errors
    /// The bytes make no sense.
    pub fn read_texts(&mut self, chunk: &Chunk) -> Result<(), Unreadable> {
        let mut bytes = chunk.texts.as_slice();
        let mut items: Vec<(u32, [Code; 6], Price)> = Vec::new();
        while let Some((tag, rest)) = bytes.split_first() {
            bytes = rest;
            let id = unpack_number(&mut bytes) as u32;
            let ids = self.numbers.ids;
            let (numbers, table) = match *tag {
                table::SETTLEMENTS => (&mut self.numbers.settlements, &ids.settlements),
                table::VISITS => (&mut self.numbers.visits, &ids.visits),
                table::PERSONS => (&mut self.numbers.persons, &ids.persons),
                table::INSTITUTIONS => (&mut self.numbers.institutions, &ids.institutions),
                table::CHECKS => (&mut self.numbers.checks, &ids.checks),
                table::CODES => (&mut self.numbers.codes, &ids.codes),
                table::PREFIXES => (&mut self.numbers.prefixes, &ids.prefixes),
                table::ITEMS => {
                    let codes = std::array::from_fn(|_| Code(unpack_number(&mut bytes) as u32));
                    let (price, rest) = bytes.split_first_chunk().ok_or(CUT)?;
                    bytes = rest;
                    items.push((id, codes, Price::from_raw(i64::from_le_bytes(*price))));
                    continue;
                }
                _ => return Err(Unreadable::Damaged("it holds a text of an unknown table")),
            };
            let length = unpack_number(&mut bytes) as usize;
            let (text, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
            bytes = rest;
            let text = std::str::from_utf8(text).map_err(|_| Unreadable::Damaged("it holds a text that is none"))?;
            numbers.note(id, text, table);
        }
        // The codes of items stand behind them.
        for (id, codes, price) in items {
            let place = id as usize;
            if self.items.len() <= place {
                self.items.resize(place + 1, Item::of([Code::ABSENT; 6], Price::ABSENT));
            }
            self.items[place] = Item::of(codes, price).renumber(&self.numbers);
        }
        Ok(())
    }

    /// Reads the entries of a chunk whose owners are not in `seen`, newest first. Chunks are to be read newest
    /// first; `own` are the owners seen in this stream, to be added to `seen`.
    ///
    /// # Errors
    /// The bytes make no sense.
    pub fn read_entries(&self, chunk: &Chunk, seen: &Marks, own: &mut Marks) -> Result<Taken, Unreadable> {
        let mut taken = Taken::new(self.numbers.ids.shards());
        let mut rows = Vec::new();
        for (tag, entry) in entries(&chunk.entries)?.into_iter().rev() {
            self.read_entry(tag, entry, seen, own, &mut rows, &mut taken)?;
        }
        if self.numbers.is_missing() {
            return Err(Unreadable::Damaged("it holds an id without its text"));
        }
        Ok(taken)
    }

    fn read_entry(
        &self,
        tag: u8,
        mut entry: &[u8],
        seen: &Marks,
        own: &mut Marks,
        rows: &mut Vec<DetailRow>,
        taken: &mut Taken,
    ) -> Result<(), Unreadable> {
        let (ids, layouts) = (self.numbers.ids, self.layouts);
        let bytes = &mut entry;
        match tag {
            tag::SETTLEMENT => {
                let hashes = hashes(bytes)?;
                let row: Settlement = self.row(&layouts.settlement, bytes);
                if is_new(&seen.settlements, &mut own.settlements, row.setl_id.0) {
                    taken.decoded.settlements[ids.settlements.shard_of(row.setl_id.0)].push((0, row));
                    keep(&mut taken.settlement_hashes, row.setl_id, hashes);
                }
            }
            tag::CHECK => {
                let hashes = hashes(bytes)?;
                let row: Presence = self.row(&layouts.presence, bytes);
                if is_new(&seen.checks, &mut own.checks, row.check_id.0) {
                    taken.decoded.presences[ids.checks.shard_of(row.check_id.0)].push((0, row));
                    keep(&mut taken.check_hashes, row.check_id, hashes);
                }
            }
            tag::MOVEMENT => {
                let hashes = hashes(bytes)?;
                let row: Inventory = self.row(&layouts.movement, bytes);
                taken.decoded.inventory[ids.institutions.shard_of(row.fixmedins_code.0)].push((0, row));
                keep(&mut taken.movement_hashes, row, hashes);
            }
            tag::VISIT => {
                let stored = VisitId(unpack_number(bytes) as u32);
                let visit = VisitId(self.numbers.visits.get(stored.0));
                if is_new(&seen.visits, &mut own.visits, visit.0) {
                    keep(&mut taken.visit_hashes, visit, hashes(bytes)?);
                    self.read_visit(bytes, stored, visit, rows, &mut taken.decoded)?;
                }
            }
            _ => return Err(Unreadable::Damaged("it holds an entry of an unknown kind")),
        }
        Ok(())
    }

    fn read_visit(
        &self,
        bytes: &mut &[u8],
        stored: VisitId,
        visit: VisitId,
        rows: &mut Vec<DetailRow>,
        decoded: &mut Decoded,
    ) -> Result<(), Unreadable> {
        let layouts = self.layouts;
        let length = unpack_number(bytes) as usize;
        let (block, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
        *bytes = rest;
        let item = |item: u32| self.items.get(item as usize).copied();
        let none = Item::of([Code::ABSENT; 6], Price::ABSENT);
        details::unpack(block, stored, &layouts.detail, |number| item(number).unwrap_or(none), rows);
        let shard = self.numbers.ids.visits.shard_of(visit.0);
        decoded.details[shard].extend(rows.iter().map(|detail| {
            let mut row = detail.row;
            // The item has its ids here already.
            let item = Item::take(&mut row);
            row = row.renumber(&self.numbers);
            item.put(&mut row);
            (0, row)
        }));
        self.rows(&layouts.delete, bytes, &mut decoded.deletes[shard])?;
        self.rows(&layouts.admission, bytes, &mut decoded.admissions[shard])?;
        self.rows(&layouts.discharge, bytes, &mut decoded.discharges[shard])?;
        self.rows(&layouts.admission_cancel, bytes, &mut decoded.admission_cancels[shard])?;
        self.rows(&layouts.discharge_cancel, bytes, &mut decoded.discharge_cancels[shard])
    }

    fn row<R: Record>(&self, layout: &Layout, bytes: &mut &[u8]) -> R {
        layout.unpack::<R>(bytes).renumber(&self.numbers)
    }

    fn rows<R: Record>(&self, layout: &Layout, bytes: &mut &[u8], rows: &mut Rows<R>) -> Result<(), Unreadable> {
        for _ in 0..unpack_number(bytes) {
            if bytes.is_empty() {
                return Err(CUT);
            }
            rows.push((0, self.row(layout, bytes)));
        }
        Ok(())
    }
}

/// Reads the alerts of a chunk, newest first, those in `seen` left out.
///
/// # Errors
/// The bytes make no sense.
pub fn read_alerts(chunk: &Chunk, seen: &mut Map<AlertId, Alert>) -> Result<(), Unreadable> {
    for (tag, entry) in entries(&chunk.entries)?.into_iter().rev() {
        let (tag::ALERT, Some((shadow, body))) = (tag, entry.split_first()) else {
            return Err(Unreadable::Damaged("it holds an entry of an unknown kind among the alerts"));
        };
        let body = std::str::from_utf8(body).map_err(|_| Unreadable::Damaged("it holds an alert that is no text"))?;
        let alert = stored::alert(body, *shadow != 0);
        let alert = alert.map_err(|_| Unreadable::Damaged("it holds an alert that is none"))?;
        seen.entry(alert.alert_id).or_insert(alert);
    }
    Ok(())
}

/// The entries of a chunk, oldest first.
fn entries(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, Unreadable> {
    let mut entries = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        let length = unpack_number(&mut bytes) as usize;
        let (entry, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
        bytes = rest;
        entries.push((*tag, entry));
    }
    Ok(entries)
}

const CUT: Unreadable = Unreadable::Damaged("it ends in the middle of an entry");

fn is_new(seen: &Marked, own: &mut Marked, id: u32) -> bool {
    let new = !seen.contains(id) && !own.contains(id);
    own.mark(id);
    new
}

fn keep<T>(list: &mut Hashes<T>, owner: T, hashes: Vec<u64>) {
    if !hashes.is_empty() {
        list.push((owner, hashes));
    }
}

fn hashes(bytes: &mut &[u8]) -> Result<Vec<u64>, Unreadable> {
    let count = unpack_number(bytes) as usize;
    let mut hashes = Vec::with_capacity(count.min(1_024));
    for _ in 0..count {
        let (hash, rest) = bytes.split_first_chunk().ok_or(CUT)?;
        *bytes = rest;
        hashes.push(u64::from_le_bytes(*hash));
    }
    Ok(hashes)
}
