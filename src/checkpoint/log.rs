//! What a shard writes down of its state: the records it holds, packed, each time something about them changes.
//!
//! An entry is the whole of its owner (a settlement, a visit, a check, a movement of stock): everything that was
//! received of it and still matters. So of several entries for one owner the newest says it all, and since live
//! records depend only on the set of what was received, an older one that is read as well does no harm.
//!
//! Rows hold ids. The text behind an id is written once a *cycle*, with the first entry that uses it. In a cycle
//! every owner is written at least once: beside what changes, a *sweep* goes over all owners, as fast as changes
//! come. So the segments of one whole cycle, and those after it, hold everything, and older ones can go.

use crate::alert::book::AlertBook;
use crate::alert::{Alert, AlertId};
use crate::live::checks::CheckShard;
use crate::live::details::{self, DetailRow};
use crate::live::inventory::InventoryShard;
use crate::live::settlements::SettlementShard;
use crate::live::visits::VisitShard;
use crate::record::field::pack_number;
use crate::record::marks::Marks;
use crate::record::{CheckId, Ids, Record, SettlementId, VisitId};
use crate::rules::rule::Map;

/// Entries, by their first byte.
pub(super) mod tag {
    pub const SETTLEMENT: u8 = b'S';
    pub const VISIT: u8 = b'V';
    pub const CHECK: u8 = b'C';
    pub const MOVEMENT: u8 = b'M';
    pub const ALERT: u8 = b'A';
}

/// Tables of texts, by the first byte of a text.
pub(super) mod table {
    pub const SETTLEMENTS: u8 = b's';
    pub const VISITS: u8 = b'v';
    pub const PERSONS: u8 = b'p';
    pub const INSTITUTIONS: u8 = b'i';
    pub const CHECKS: u8 = b'c';
    pub const CODES: u8 = b'o';
    pub const PREFIXES: u8 = b'x';
    pub const ITEMS: u8 = b't';
}

/// What was written since the last cut.
#[derive(Default)]
pub struct Chunk {
    /// Texts by table and id.
    pub texts: Vec<u8>,
    /// Entries, oldest first.
    pub entries: Vec<u8>,
}

impl Chunk {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.texts.len() + self.entries.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The parts of the state that a shard owns.
#[derive(Clone, Copy)]
pub struct Owned<'a> {
    /// The shard's number.
    pub shard: usize,
    /// Its settlements.
    pub settlements: &'a SettlementShard,
    /// Its visits.
    pub visits: &'a VisitShard,
    /// Its presence checks.
    pub checks: &'a CheckShard,
    /// Its movements of stock.
    pub inventory: &'a InventoryShard,
    /// The tables of ids.
    pub ids: &'a Ids,
}

/// What a batch has changed.
#[derive(Default)]
pub struct Touched {
    /// Settlements.
    pub settlements: Vec<SettlementId>,
    /// Visits.
    pub visits: Vec<VisitId>,
    /// Presence checks.
    pub checks: Vec<CheckId>,
    /// Slots of movements of stock.
    pub movements: Vec<u32>,
}

/// How far the sweep of a cycle has come.
#[derive(Default)]
struct Sweep {
    settlements: usize,
    visits: usize,
    checks: usize,
    movements: u32,
}

/// The log of a shard.
pub struct ShardLog {
    /// What was written since the last cut.
    pub chunk: Chunk,
    /// What texts the cycle has.
    marks: Marks,
    sweep: Sweep,
    rows: Vec<DetailRow>,
    entry: Vec<u8>,
}

impl Default for ShardLog {
    fn default() -> Self {
        Self {
            chunk: Chunk::default(),
            marks: Marks::telling(),
            sweep: Sweep::default(),
            rows: Vec::new(),
            entry: Vec::new(),
        }
    }
}

impl ShardLog {
    /// Writes down what a batch has changed, then goes on with the sweep for about `quota` bytes.
    pub fn record(&mut self, owned: &Owned<'_>, mut touched: Touched, quota: usize) {
        fn once<T: Ord>(list: &mut Vec<T>) {
            list.sort_unstable();
            list.dedup();
        }
        once(&mut touched.settlements);
        once(&mut touched.visits);
        once(&mut touched.checks);
        once(&mut touched.movements);
        let ids = owned.ids;
        for id in touched.settlements {
            self.settlement(owned, ids.settlements.index_of(id.0));
        }
        for visit in touched.visits {
            self.visit(owned, visit);
        }
        for check in touched.checks {
            self.check(owned, ids.checks.index_of(check.0));
        }
        for slot in touched.movements {
            self.movement(owned, slot);
        }
        self.go_on_with_sweep(owned, quota);
        self.write_texts(ids);
    }

    /// Whether the sweep has been everywhere.
    pub fn is_swept(&self, owned: &Owned<'_>) -> bool {
        let Sweep { settlements, visits, checks, movements } = self.sweep;
        settlements >= owned.settlements.places()
            && visits >= owned.visits.places()
            && checks >= owned.checks.places()
            && movements >= owned.inventory.slots()
    }

    /// Begins a cycle: owners are swept from the first, and texts written again.
    pub fn begin_cycle(&mut self) {
        self.forget_texts();
        self.sweep = Sweep::default();
    }

    /// Ids have got other meanings: texts are written again.
    pub fn forget_texts(&mut self) {
        self.marks = Marks::telling();
    }

    fn go_on_with_sweep(&mut self, owned: &Owned<'_>, quota: usize) {
        // Empty places cost something too.
        const PLACE: usize = 1;
        let mut left = quota as i64;
        while left > 0 {
            let before = self.chunk.entries.len();
            if self.sweep.settlements < owned.settlements.places() {
                self.settlement(owned, self.sweep.settlements);
                self.sweep.settlements += 1;
            } else if self.sweep.visits < owned.visits.places() {
                self.visit(owned, VisitId(owned.ids.visits.id_at(owned.shard, self.sweep.visits)));
                self.sweep.visits += 1;
            } else if self.sweep.checks < owned.checks.places() {
                self.check(owned, self.sweep.checks);
                self.sweep.checks += 1;
            } else if self.sweep.movements < owned.inventory.slots() {
                self.movement(owned, self.sweep.movements);
                self.sweep.movements += 1;
            } else {
                return;
            }
            left -= (self.chunk.entries.len() - before + PLACE) as i64;
        }
    }

    fn settlement(&mut self, owned: &Owned<'_>, index: usize) {
        if let Some((row, hashes)) = owned.settlements.content(index) {
            self.row(tag::SETTLEMENT, &row, hashes);
        }
    }

    fn check(&mut self, owned: &Owned<'_>, index: usize) {
        if let Some((row, hashes)) = owned.checks.content(index) {
            self.row(tag::CHECK, &row, hashes);
        }
    }

    fn movement(&mut self, owned: &Owned<'_>, slot: u32) {
        if let Some((row, hashes)) = owned.inventory.content(slot) {
            self.row(tag::MOVEMENT, &row, hashes);
        }
    }

    /// An owner that is one row.
    fn row<R: Record>(&mut self, tag: u8, row: &R, hashes: &[u64]) {
        row.mark(&mut self.marks);
        pack_hashes(hashes, &mut self.entry);
        row.pack(&R::ABSENT, &mut self.entry);
        self.end_entry(tag);
    }

    fn visit(&mut self, owned: &Owned<'_>, visit: VisitId) {
        let Some(content) = owned.visits.content(visit, owned.ids) else {
            return;
        };
        self.marks.visits.mark(visit.0);
        details::open(content.block, visit, &mut self.rows, owned.ids);
        details::mark(&self.rows, &mut self.marks, owned.ids);
        pack_number(u64::from(visit.0), &mut self.entry);
        pack_hashes(content.hashes, &mut self.entry);
        pack_number(content.block.len() as u64, &mut self.entry);
        self.entry.extend_from_slice(content.block);
        let records = content.records;
        self.rows_of(content.deletes);
        self.rows_of(records.admission.as_slice());
        self.rows_of(&records.discharges);
        self.rows_of(&records.admission_cancels);
        self.rows_of(&records.discharge_cancels);
        self.end_entry(tag::VISIT);
    }

    fn rows_of<R: Record>(&mut self, rows: &[R]) {
        pack_number(rows.len() as u64, &mut self.entry);
        for row in rows {
            row.mark(&mut self.marks);
            row.pack(&R::ABSENT, &mut self.entry);
        }
    }

    fn end_entry(&mut self, tag: u8) {
        end_entry(tag, &mut self.entry, &mut self.chunk.entries);
    }

    /// Writes the texts behind the ids that the cycle has not had yet.
    fn write_texts(&mut self, ids: &Ids) {
        let Self { chunk: Chunk { texts, .. }, marks, .. } = self;
        {
            let items = ids.items.known();
            for id in marks.items.drain_fresh() {
                let item = items.get(id);
                texts.push(table::ITEMS);
                pack_number(u64::from(id), texts);
                for code in item.codes() {
                    marks.codes.mark(code.0);
                    pack_number(u64::from(code.0), texts);
                }
                texts.extend_from_slice(&item.pric.raw().to_le_bytes());
            }
        }
        let tables = [
            (table::SETTLEMENTS, &ids.settlements, &mut marks.settlements),
            (table::VISITS, &ids.visits, &mut marks.visits),
            (table::PERSONS, &ids.persons, &mut marks.persons),
            (table::INSTITUTIONS, &ids.institutions, &mut marks.institutions),
            (table::CHECKS, &ids.checks, &mut marks.checks),
            (table::CODES, &ids.codes, &mut marks.codes),
            (table::PREFIXES, &ids.prefixes, &mut marks.prefixes),
        ];
        for (tag, table, marked) in tables {
            for id in marked.drain_fresh().filter(|id| *id != 0) {
                texts.push(tag);
                pack_number(u64::from(id), texts);
                table.with(id, |text| {
                    pack_number(text.len() as u64, texts);
                    texts.extend_from_slice(text.as_bytes());
                });
            }
        }
    }
}

fn pack_hashes(hashes: &[u64], entry: &mut Vec<u8>) {
    pack_number(hashes.len() as u64, entry);
    hashes.iter().for_each(|hash| entry.extend_from_slice(&hash.to_le_bytes()));
}

/// Appends an entry with its length, and empties it.
pub(super) fn end_entry(tag: u8, entry: &mut Vec<u8>, entries: &mut Vec<u8>) {
    entries.push(tag);
    pack_number(entry.len() as u64, entries);
    entries.append(entry);
}

/// The log of the alerts: each is the JSON of its last revision.
pub struct AlertLog {
    /// What was written since the last cut.
    pub chunk: Chunk,
    /// Alerts that the sweep of this cycle has not come to; those that are newer are in the log anyway.
    sweep: Vec<AlertId>,
    /// The revision of each alert that the log has.
    written: Map<AlertId, u32>,
    entry: Vec<u8>,
}

impl AlertLog {
    /// A log that goes on after one that had these alerts.
    pub fn new(before: &[Alert]) -> Self {
        Self {
            chunk: Chunk::default(),
            sweep: before.iter().map(|alert| alert.alert_id).collect(),
            written: before.iter().map(|alert| (alert.alert_id, alert.revision)).collect(),
            entry: Vec::new(),
        }
    }

    /// Writes down what the book has and the log has not: a warm-up fills the book without a word.
    pub fn catch_up(&mut self, book: &AlertBook) {
        for alert in book.alerts() {
            if self.written.get(&alert.alert_id) != Some(&alert.revision) {
                self.alert(alert);
            }
        }
    }

    /// Writes down revisions, then goes on with the sweep for about `quota` bytes. During a warm-up the book does not
    /// have what was withdrawn, and other revisions: the sweep waits.
    pub fn record(&mut self, alerts: &[Alert], book: &AlertBook, quota: usize) {
        alerts.iter().for_each(|alert| self.alert(alert));
        if book.is_warming_up() {
            return;
        }
        let end = self.chunk.entries.len() + quota;
        while self.chunk.entries.len() < end {
            let Some(alert) = self.sweep.pop() else { return };
            if let Some(alert) = book.alert(alert) {
                self.alert(alert);
            }
        }
    }

    fn alert(&mut self, alert: &Alert) {
        self.written.insert(alert.alert_id, alert.revision);
        self.entry.push(u8::from(alert.shadow));
        serde_json::to_writer(&mut self.entry, alert).expect("an alert can be written as JSON");
        end_entry(tag::ALERT, &mut self.entry, &mut self.chunk.entries);
    }

    /// Alerts that were taken out of the book are not written again.
    pub fn forget(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            self.written.remove(&alert.alert_id);
        }
    }

    /// Whether the sweep has been everywhere.
    pub fn is_swept(&self) -> bool {
        self.sweep.is_empty()
    }

    /// Begins a cycle.
    pub fn begin_cycle(&mut self, book: &AlertBook) {
        self.sweep = book.alerts().map(|alert| alert.alert_id).collect();
    }
}
