//! Movements of stock: the kept version of each. No rule of the first eighteen reads them; they are kept so that
//! a movement that comes twice counts once.

use super::Receipts;
use super::paged::Paged;
use super::versions::{Receipt, Superseded, pack};
use crate::record::decode::Rows;
use crate::record::heap::{Heap, Place};
use crate::record::marks::Marks;
use crate::record::{Code, Ids, InstitutionId, Inventory, Record, Serial, Time};
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Identity: institution, upload batch, kind of movement, item.
type Identity = (InstitutionId, Serial, Code, Code);

fn identity(row: &Inventory) -> Identity {
    (row.fixmedins_code, row.fixmedins_bchno, row.inv_data_type, row.med_list_codg)
}

/// The movements of a shard's institutions, each in a slot.
#[derive(Default)]
pub struct InventoryShard {
    /// Slots by the hash of the identity, which stands in the row.
    table: HashTable<u32>,
    rows: Paged<Place>,
    /// Slots that were used.
    used: u32,
    /// Slots given back, to be used again.
    free: Vec<u32>,
    heap: Heap,
    /// By slot.
    superseded: Superseded,
    /// Slots that the batch at hand changed.
    touched: Vec<u32>,
}

fn hash(identity: Identity) -> u64 {
    foldhash::fast::FixedState::default().hash_one(identity)
}

/// The movement in a slot that is in use.
fn read(rows: &Paged<Place>, heap: &Heap, slot: u32) -> Inventory {
    let place = rows.get(slot as usize).copied().unwrap_or_default();
    Inventory::unpack(&Inventory::ABSENT, &mut heap.get(place))
}

impl InventoryShard {
    /// Receives versions.
    pub fn receive(&mut self, rows: &Rows<Inventory>, ids: &Ids, receipts: &Receipts) {
        for (line, row) in rows {
            let (slot, mut kept) = self.slot(identity(row));
            let receipt = self.superseded.receive(slot, &mut kept, *row, ids);
            receipts.note(*line, receipt);
            if receipt != Receipt::Redelivered {
                self.touched.push(slot);
            }
            if kept == Some(*row) {
                let place = self.rows.entry(slot as usize);
                *place = self.heap.replace(*place, &pack(row));
            }
        }
    }

    /// Takes back what was known of versions of a movement that are not kept.
    pub fn restore(&mut self, row: &Inventory, hashes: &[u64]) {
        let (slot, _) = self.slot(identity(row));
        hashes.iter().for_each(|hash| self.superseded.add(slot, *hash));
    }

    /// The slot of an identity, made where there is none, and the movement in it.
    fn slot(&mut self, identity: Identity) -> (u32, Option<Inventory>) {
        let Self { table, rows, heap, free, used, .. } = self;
        let hash = hash(identity);
        if let Some(slot) = table.find(hash, |slot| self::identity(&read(rows, heap, *slot)) == identity) {
            return (*slot, Some(read(rows, heap, *slot)));
        }
        let slot = free.pop().unwrap_or_else(|| {
            *used += 1;
            *used - 1
        });
        table.insert_unique(hash, slot, |slot| self::hash(self::identity(&read(rows, heap, *slot))));
        (slot, None)
    }

    /// Forgets movements before a time.
    pub fn forget_before(&mut self, horizon: Time) {
        let Self { table, rows, heap, free, superseded, .. } = self;
        table.retain(|slot| {
            let stays = read(rows, heap, *slot).inv_time >= horizon;
            if !stays {
                heap.free(std::mem::take(rows.entry(*slot as usize)));
                superseded.forget(*slot);
                free.push(*slot);
            }
            stays
        });
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        self.table.iter().for_each(|slot| read(&self.rows, &self.heap, *slot).mark(marks));
    }

    /// The slots that changed since the last call.
    pub fn take_touched(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.touched)
    }

    /// How many slots there are, free ones too.
    pub fn slots(&self) -> u32 {
        self.used
    }

    /// The movement in a slot, with the hashes of its versions that are not kept; `None` where it is free.
    pub fn content(&self, slot: u32) -> Option<(Inventory, &[u64])> {
        let place = self.rows.get(slot as usize).filter(|place| place.is_some())?;
        Some((Inventory::unpack(&Inventory::ABSENT, &mut self.heap.get(*place)), self.superseded.hashes(slot)))
    }

    /// How many movements are kept.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
