//! Movements of stock: the kept version of each. No rule of the first eighteen reads them; they are kept so that
//! a movement that comes twice counts once.

use super::Receipts;
use super::versions::{Superseded, pack};
use crate::record::decode::Rows;
use crate::record::marks::Marks;
use crate::record::{Code, Ids, InstitutionId, Inventory, Record, Serial, Time};
use crate::rules::rule::Map;

/// Identity: institution, upload batch, kind of movement, item.
type Identity = (InstitutionId, Serial, Code, Code);

fn read(packed: &[u8]) -> Inventory {
    let mut packed = packed;
    Inventory::unpack(&Inventory::ABSENT, &mut packed)
}

/// The movements of a shard's institutions.
#[derive(Default)]
pub struct InventoryShard {
    rows: Map<Identity, Box<[u8]>>,
    superseded: Superseded,
}

impl InventoryShard {
    /// Receives versions.
    pub fn receive(&mut self, rows: &Rows<Inventory>, ids: &Ids, receipts: &Receipts) {
        for (line, row) in rows {
            let identity = (row.fixmedins_code, row.fixmedins_bchno, row.inv_data_type, row.med_list_codg);
            let mut kept = self.rows.get(&identity).map(|packed| read(packed));
            // Content holds the identity, so versions of one institution's movements can lie together.
            receipts.note(*line, self.superseded.receive(row.fixmedins_code.0, &mut kept, *row, ids));
            if kept == Some(*row) {
                self.rows.insert(identity, pack(row).into_boxed_slice());
            }
        }
    }

    /// Forgets movements before a time.
    pub fn forget_before(&mut self, horizon: Time) {
        self.rows.retain(|_, packed| read(packed).inv_time >= horizon);
    }

    /// Marks the ids in use.
    pub fn mark(&self, marks: &mut Marks) {
        self.rows.values().for_each(|packed| read(packed).mark(marks));
    }

    /// How many movements are kept.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
