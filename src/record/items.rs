//! Items as an institution bills them: what is equal on every line for the same thing at the same price. A fee
//! detail is held with one number for all of it.

use super::field::Code;
use super::marks::Marked;
use super::renumber::Renumber;
use super::types::FeeDetail;
use super::value::Price;
use hashbrown::HashTable;
use parking_lot::{RwLock, RwLockReadGuard};
use std::hash::BuildHasher;

/// An item with its local code, name, classes and price.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub struct Item {
    pub chrgitm_lv: Code,
    pub list_type: Code,
    pub med_chrgitm_type: Code,
    pub med_list_codg: Code,
    pub medins_list_codg: Code,
    pub medins_list_name: Code,
    pub pric: Price,
}

impl Item {
    const ABSENT: Self = Self {
        chrgitm_lv: Code::ABSENT,
        list_type: Code::ABSENT,
        med_chrgitm_type: Code::ABSENT,
        med_list_codg: Code::ABSENT,
        medins_list_codg: Code::ABSENT,
        medins_list_name: Code::ABSENT,
        pric: Price::ABSENT,
    };

    /// The item with the ids that its texts have here.
    pub fn renumber(self, numbers: &Renumber<'_>) -> Self {
        Self::of(self.codes().map(|code| Code(numbers.codes.get(code.0))), self.pric)
    }

    /// Its codes.
    pub fn codes(&self) -> [Code; 6] {
        let Self { chrgitm_lv, list_type, med_chrgitm_type, med_list_codg, medins_list_codg, medins_list_name, .. } =
            *self;
        [chrgitm_lv, list_type, med_chrgitm_type, med_list_codg, medins_list_codg, medins_list_name]
    }

    /// The item with these codes, in the order of [`Item::codes`], at a price.
    pub fn of(codes: [Code; 6], pric: Price) -> Self {
        let [chrgitm_lv, list_type, med_chrgitm_type, med_list_codg, medins_list_codg, medins_list_name] = codes;
        Self { chrgitm_lv, list_type, med_chrgitm_type, med_list_codg, medins_list_codg, medins_list_name, pric }
    }

    /// Takes the item out of a detail.
    pub fn take(row: &mut FeeDetail) -> Self {
        let item = Self {
            chrgitm_lv: row.chrgitm_lv,
            list_type: row.list_type,
            med_chrgitm_type: row.med_chrgitm_type,
            med_list_codg: row.med_list_codg,
            medins_list_codg: row.medins_list_codg,
            medins_list_name: row.medins_list_name,
            pric: row.pric,
        };
        Self::ABSENT.put(row);
        item
    }

    /// Puts the item into a detail.
    pub fn put(self, row: &mut FeeDetail) {
        let Self { chrgitm_lv, list_type, med_chrgitm_type, med_list_codg, .. } = self;
        let Self { medins_list_codg, medins_list_name, pric, .. } = self;
        *row = FeeDetail {
            chrgitm_lv,
            list_type,
            med_chrgitm_type,
            med_list_codg,
            medins_list_codg,
            medins_list_name,
            pric,
            ..*row
        };
    }
}

/// The table of items, shared by all threads.
#[derive(Default)]
pub struct Items(RwLock<Table>);

#[derive(Default)]
struct Table {
    items: Vec<Item>,
    /// Indices of items, by their hash.
    index: HashTable<u32>,
    /// Indices given back, to be used again.
    free: Vec<u32>,
}

fn hash(item: &Item) -> u64 {
    foldhash::fast::FixedState::default().hash_one(item)
}

/// The items, to read. Nothing can be added meanwhile.
pub struct Known<'a>(RwLockReadGuard<'a, Table>);

impl Known<'_> {
    /// The item with an id.
    pub fn get(&self, id: u32) -> Item {
        self.0.items[id as usize]
    }
}

impl Items {
    /// All items, to read.
    pub fn known(&self) -> Known<'_> {
        Known(self.0.read())
    }

    /// The id of an item, new or known.
    pub fn intern(&self, item: &Item) -> u32 {
        let hash = hash(item);
        if let Some(id) = self.0.read().find(hash, item) {
            return id;
        }
        let mut table = self.0.write();
        // Another thread may have been faster.
        if let Some(id) = table.find(hash, item) {
            return id;
        }
        let id = match table.free.pop() {
            Some(id) => {
                table.items[id as usize] = *item;
                id
            }
            None => {
                table.items.push(*item);
                (table.items.len() - 1) as u32
            }
        };
        let Table { items, index, .. } = &mut *table;
        index.insert_unique(hash, id, |&id| self::hash(&items[id as usize]));
        id
    }

    /// Forgets every item that is not marked.
    pub fn sweep(&self, marked: &Marked) {
        let Table { items, index, free } = &mut *self.0.write();
        let dead: Vec<u32> = index.iter().copied().filter(|id| !marked.contains(*id)).collect();
        for id in dead {
            if let Ok(entry) = index.find_entry(hash(&items[id as usize]), |&other| other == id) {
                entry.remove();
                free.push(id);
            }
        }
    }

    /// How many items are known.
    pub fn len(&self) -> usize {
        self.0.read().index.len()
    }

    /// Whether no item is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    fn find(&self, hash: u64, item: &Item) -> Option<u32> {
        self.index.find(hash, |&id| self.items[id as usize] == *item).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_keeps_its_number_until_it_is_forgotten() {
        let items = Items::default();
        let priced = |pric: i64| Item { med_list_codg: Code(7), pric: Price::from_units(pric), ..Item::ABSENT };
        let ids: Vec<u32> = (0..1_000).map(|pric| items.intern(&priced(pric))).collect();
        assert_eq!(items.len(), 1_000);
        for (pric, id) in ids.iter().enumerate() {
            assert_eq!(items.known().get(*id), priced(pric as i64));
            assert_eq!(items.intern(&priced(pric as i64)), *id);
        }
        let mut marked = Marked::default();
        ids[500..].iter().for_each(|id| marked.mark(*id));
        items.sweep(&marked);
        assert_eq!(items.len(), 500);
        let new = items.intern(&priced(5_000));
        assert!(ids[..500].contains(&new), "room is used again");
        assert_eq!(items.known().get(ids[700]), priced(700));
    }

    #[test]
    fn a_detail_gets_back_what_was_taken() {
        let row = FeeDetail {
            chrgitm_lv: Code(1),
            list_type: Code(2),
            med_chrgitm_type: Code(3),
            med_list_codg: Code(4),
            medins_list_codg: Code(5),
            medins_list_name: Code(6),
            pric: Price::from_units(7),
            bilg_dr_codg: Code(8),
            ..<FeeDetail as crate::record::Record>::ABSENT
        };
        let mut rest = row;
        let item = Item::take(&mut rest);
        assert_eq!((rest.med_list_codg, rest.pric, rest.bilg_dr_codg), (Code::ABSENT, Price::ABSENT, Code(8)));
        item.put(&mut rest);
        assert_eq!(rest, row);
    }
}
