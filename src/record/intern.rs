//! Ids instead of strings: every code of a record is looked up once and is a `u32` from then on.
//!
//! An id carries its shard: `id = index * shards + shard`, and the shard is a function of the text alone.
//! So whoever holds an id knows which shard owns it, and an owner keeps its things in plain vectors by index.
//! Id 0 of every table is kept for "absent".

use super::field::Code;
use super::heap::{Heap, Place};
use super::items::Items;
use super::marks::Marked;
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::hash::BuildHasher;
use std::ops::Range;

/// A table of texts, each with one id. Shared by all threads; a look-up locks one shard of it.
pub struct Interner {
    shards: Box<[Mutex<Shard>]>,
    /// log2 of the number of shards.
    bits: u32,
    hasher: foldhash::quality::FixedState,
}

#[derive(Default)]
struct Shard {
    /// Indices of texts, by the text's hash.
    table: HashTable<u32>,
    texts: Texts,
    /// Indices given back, to be used again.
    free: Vec<u32>,
    /// The indices that were looked up since [`Interner::begin_noting`].
    noted: Option<Marked>,
}

/// Texts by index; those given back have no place.
#[derive(Default)]
struct Texts {
    heap: Heap,
    places: Vec<Place>,
}

impl Texts {
    fn get(&self, index: u32) -> &[u8] {
        self.heap.get(self.places[index as usize])
    }
}

impl Interner {
    /// A table of `shards` (a power of two) shards.
    pub fn new(shards: usize) -> Self {
        assert!(shards.is_power_of_two(), "the number of shards is a power of two");
        let shards: Box<[Mutex<Shard>]> = (0..shards).map(|_| Mutex::default()).collect();
        // Index 0 of every shard stands for "absent", so that id 0 does.
        for shard in &shards {
            shard.lock().texts.places.push(Place::default());
        }
        let bits = shards.len().trailing_zeros();
        Self { shards, bits, hasher: foldhash::quality::FixedState::default() }
    }

    /// The shard that owns an id.
    pub fn shard_of(&self, id: u32) -> usize {
        (id & ((1 << self.bits) - 1)) as usize
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The place of an id among those of its shard.
    pub fn index_of(&self, id: u32) -> usize {
        (id >> self.bits) as usize
    }

    /// The id at a place of a shard.
    pub fn id_at(&self, shard: usize, index: usize) -> u32 {
        (index as u32) << self.bits | shard as u32
    }

    /// The id of a text, new or known. The empty text is id 0.
    pub fn intern(&self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let hash = self.hasher.hash_one(text);
        let number = (hash >> 40) as usize & (self.shards.len() - 1);
        let mut shard = self.shards[number].lock();
        let Shard { table, texts, free, noted } = &mut *shard;
        let mut note = |index: u32| {
            if let Some(noted) = noted {
                noted.mark(index);
            }
        };
        if let Some(&index) = table.find(hash, |&index| texts.get(index) == text.as_bytes()) {
            note(index);
            return self.id_at(number, index as usize);
        }
        let place = texts.heap.put(text.as_bytes());
        let index = match free.pop() {
            Some(index) => {
                texts.places[index as usize] = place;
                index
            }
            None => {
                texts.places.push(place);
                (texts.places.len() - 1) as u32
            }
        };
        note(index);
        let hasher = &self.hasher;
        table.insert_unique(hash, index, |&index| hasher.hash_one(as_text(texts.get(index))));
        self.id_at(number, index as usize)
    }

    /// The id of a text that is known.
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let number = (hash >> 40) as usize & (self.shards.len() - 1);
        let shard = self.shards[number].lock();
        let index = shard.table.find(hash, |&index| shard.texts.get(index) == text.as_bytes())?;
        Some(self.id_at(number, *index as usize))
    }

    /// The text of an id.
    pub fn text(&self, id: u32) -> String {
        self.with(id, str::to_owned)
    }

    /// Hands the text of an id to `read`, without a copy. `read` must not call this table.
    pub fn with<T>(&self, id: u32, read: impl FnOnce(&str) -> T) -> T {
        let shard = self.shards[self.shard_of(id)].lock();
        read(as_text(shard.texts.get(self.index_of(id) as u32)))
    }

    /// Notes from now on what is looked up: whoever holds an id that is not noted has had it since before.
    pub fn begin_noting(&self) {
        self.shards.iter().for_each(|shard| shard.lock().noted = Some(Marked::default()));
    }

    /// Notes no longer.
    pub fn end_noting(&self) {
        self.shards.iter().for_each(|shard| shard.lock().noted = None);
    }

    /// The places of a shard, those without a text too.
    pub fn places(&self, shard: usize) -> usize {
        self.shards[shard].lock().texts.places.len()
    }

    /// Forgets the ids at some places of a shard that are neither marked nor noted. They may stand for other texts then.
    pub fn forget_unless(&self, marked: &Marked, shard: usize, places: Range<usize>) {
        let mut held = self.shards[shard].lock();
        let Shard { table, texts, free, noted } = &mut *held;
        for index in places.start.max(1)..places.end.min(texts.places.len()) {
            let place = texts.places[index];
            let is_noted = noted.as_ref().is_some_and(|noted| noted.contains(index as u32));
            if !place.is_some() || is_noted || marked.contains(self.id_at(shard, index)) {
                continue;
            }
            let hash = self.hasher.hash_one(as_text(texts.heap.get(place)));
            if let Ok(entry) = table.find_entry(hash, |&other| other as usize == index) {
                entry.remove();
            }
            texts.heap.free(place);
            texts.places[index] = Place::default();
            free.push(index as u32);
        }
    }

    /// How many texts are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().table.len()).sum()
    }

    /// Whether no text is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("only texts are written")
}

/// The tables of ids that records use, one for each kind of thing that has an owner, one for all other codes.
pub struct Ids {
    /// `setl_id`
    pub settlements: Interner,
    /// `mdtrt_id`
    pub visits: Interner,
    /// `psn_no`
    pub persons: Interner,
    /// `fixmedins_code`
    pub institutions: Interner,
    /// `check_id`
    pub checks: Interner,
    /// Every other code.
    pub codes: Interner,
    /// What stands before the digits of serial numbers. Not many, and never forgotten.
    pub prefixes: Interner,
    /// Items as they are billed.
    pub items: Items,
    one: Code,
    zero: Code,
}

impl Ids {
    /// Tables for an engine of so many shards (a power of two).
    pub fn new(shards: usize) -> Self {
        let table = || Interner::new(shards);
        let codes = table();
        let (one, zero) = (Code(codes.intern("1")), Code(codes.intern("0")));
        Self {
            settlements: table(),
            visits: table(),
            persons: table(),
            institutions: table(),
            checks: table(),
            codes,
            prefixes: Interner::new(1),
            items: Items::default(),
            one,
            zero,
        }
    }

    /// The code of a flag that is set.
    pub fn one(&self) -> Code {
        self.one
    }

    /// The code of a flag that is not set.
    pub fn zero(&self) -> Code {
        self.zero
    }

    /// The tables whose ids can be forgotten, those of items apart.
    fn tables(&self) -> [&Interner; 6] {
        [&self.settlements, &self.visits, &self.persons, &self.institutions, &self.checks, &self.codes]
    }

    /// Notes from now on which ids are looked up: see [`Interner::begin_noting`].
    pub fn begin_noting(&self) {
        self.tables().into_iter().for_each(Interner::begin_noting);
        self.items.begin_noting();
    }

    /// Notes no longer.
    pub fn end_noting(&self) {
        self.tables().into_iter().for_each(Interner::end_noting);
        self.items.end_noting();
    }

    /// How many texts and items are known.
    pub fn len(&self) -> usize {
        self.tables().into_iter().map(Interner::len).sum::<usize>() + self.items.len()
    }

    /// Whether none is known but those of flags.
    pub fn is_empty(&self) -> bool {
        self.len() <= 2
    }

    /// The number of shards of every table.
    pub fn shards(&self) -> usize {
        self.codes.shards()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_id_and_an_id_its_text() {
        for shards in [1, 8] {
            let table = Interner::new(shards);
            assert_eq!(table.intern(""), 0);
            let ids: Vec<u32> = (0..20_000).map(|n| table.intern(&format!("H{n}"))).collect();
            assert_eq!(table.len(), 20_000);
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(table.intern(&format!("H{n}")), *id);
                assert_eq!(table.text(*id), format!("H{n}"));
                assert_ne!(*id, 0);
            }
            // Shards are even enough, and depend on the text alone.
            let other = Interner::new(shards);
            for n in (0..20_000).rev() {
                assert_eq!(other.shard_of(other.intern(&format!("H{n}"))), table.shard_of(ids[n]));
            }
            let mut marked = Marked::default();
            ids[10_000..].iter().for_each(|id| marked.mark(*id));
            table.begin_noting();
            assert_eq!((table.intern("H7"), table.find("H8")), (ids[7], Some(ids[8])));
            for number in 0..shards {
                table.forget_unless(&marked, number, 0..table.places(number));
            }
            table.end_noting();
            for n in 0..10_000 {
                // What was looked up meanwhile stays.
                assert_eq!(table.find(&format!("H{n}")), (n == 7).then_some(ids[7]));
            }
            let pages: usize = table.shards.iter().map(|shard| shard.lock().texts.heap.bytes()).sum();
            for n in 0..10_000 {
                table.intern(&format!("K{n}"));
            }
            assert_eq!(table.text(ids[15_000]), "H15000");
            let after: usize = table.shards.iter().map(|shard| shard.lock().texts.heap.bytes()).sum();
            assert!(after <= pages + shards * (1 << 16), "room is used again");
        }
    }
}
