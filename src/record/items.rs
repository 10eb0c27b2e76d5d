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
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Bits of the ids that were looked up since [`Items::begin_noting`]; ids beyond them are new.
    noted: Option<Box<[AtomicU64]>>,
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
        table.note(id);
        let Table { items, index, .. } = &mut *table;
        index.insert_unique(hash, id, |&id| self::hash(&items[id as usize]));
        id
    }

    /// Notes from now on what is looked up.
    pub fn begin_noting(&self) {
        let mut table = self.0.write();
        table.noted = Some((0..table.items.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect());
    }

    /// Notes no longer.
    pub fn end_noting(&self) {
        self.0.write().noted = None;
    }

    /// Forgets every item that is neither marked nor noted.
    pub fn forget_unless(&self, marked: &Marked) {
        let mut table = self.0.write();
        let dead = |id: &u32| !marked.contains(*id) && !table.is_noted(*id);
        let dead: Vec<u32> = table.index.iter().copied().filter(dead).collect();
        let Table { items, index, free, .. } = &mut *table;
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
        let id = self.index.find(hash, |&id| self.items[id as usize] == *item).copied()?;
        self.note(id);
        Some(id)
    }

    fn note(&self, id: u32) {
        if let Some(word) = self.noted.as_ref().and_then(|noted| noted.get(id as usize / 64)) {
            word.fetch_or(1 << (id % 64), Ordering::Relaxed);
        }
    }

    fn is_noted(&self, id: u32) -> bool {
        let word = |noted: &[AtomicU64]| match noted.get(id as usize / 64) {
            Some(word) => word.load(Ordering::Relaxed) >> (id % 64) & 1 != 0,
            None => true,
        };
        self.noted.as_deref().is_some_and(word)
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
        items.begin_noting();
        assert_eq!(items.intern(&priced(7)), ids[7]);
        let new = items.intern(&priced(9_000));
        items.forget_unless(&marked);
        items.end_noting();
        // With what was looked up meanwhile, and what is new.
        assert_eq!((items.len(), items.known().get(new)), (502, priced(9_000)));
        assert_eq!(items.known().get(ids[7]), priced(7));
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
