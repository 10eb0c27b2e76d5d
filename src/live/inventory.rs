//! Movements of stock: the kept version of each. No rule of the first eighteen reads them; they are kept so that
//! a movement that comes twice counts once.

use super::Receipts;
use super::versions::{Superseded, pack};
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

/// The movements of a shard's institutions.
#[derive(Default)]
pub struct InventoryShard {
    /// By the hash of the identity, which stands in the row.
    table: HashTable<Place>,
    heap: Heap,
    superseded: Superseded,
}

fn read(heap: &Heap, place: Place) -> Inventory {
    Inventory::unpack(&Inventory::ABSENT, &mut heap.get(place))
}

fn hash(identity: Identity) -> u64 {
    foldhash::fast::FixedState::default().hash_one(identity)
}

impl InventoryShard {
    /// Receives versions.
    pub fn receive(&mut self, rows: &Rows<Inventory>, ids: &Ids, receipts: &Receipts) {
        for (line, row) in rows {
            let identity = identity(row);
            let Self { table, heap, superseded } = self;
            let known = table.find_mut(hash(identity), |place| self::identity(&read(heap, *place)) == identity);
            let mut kept = known.as_deref().map(|place| read(heap, *place));
            // Content holds the identity, so versions of one institution's movements can lie together.
            receipts.note(*line, superseded.receive(row.fixmedins_code.0, &mut kept, *row, ids));
            match known {
                Some(place) if kept == Some(*row) => *place = heap.replace(*place, &pack(row)),
                Some(_) => {}
                None => {
                    let place = heap.put(&pack(row));
                    table.insert_unique(hash(identity), place, |place| hash(self::identity(&read(heap, *place))));
                }
            }
        }
    }

    /// Forgets movements before a time.
    pub fn forget_before(&mut self, horizon: Time) {
        let Self { table, heap, .. } = self;
        table.retain(|place| {
            let stays = read(heap, *place).inv_time >= horizon;
            if !stays {
                heap.free(*place);
            }
            stays
        });
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        self.table.iter().for_each(|place| read(&self.heap, *place).mark(marks));
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
