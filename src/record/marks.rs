//! Which ids are in use: marked by everything that holds one, so that the rest can be forgotten.

use super::intern::{Ids, Interner};

/// A set of ids of one table.
#[derive(Default)]
pub struct Marked(Vec<u64>);

impl Marked {
    /// Marks an id.
    pub fn mark(&mut self, id: u32) {
        let word = id as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (id % 64);
    }

    /// Whether an id is marked.
    pub fn contains(&self, id: u32) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 != 0)
    }
}

/// The ids in use, by table.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Marks {
    pub settlements: Marked,
    pub visits: Marked,
    pub persons: Marked,
    pub institutions: Marked,
    pub checks: Marked,
    pub codes: Marked,
    pub items: Marked,
}

impl Marks {
    /// Forgets every id that is not marked.
    pub fn sweep(&self, ids: &Ids) {
        let sweep = |table: &Interner, marked: &Marked| {
            for id in table.ids() {
                if !marked.contains(id) {
                    table.forget(id);
                }
            }
        };
        sweep(&ids.settlements, &self.settlements);
        sweep(&ids.visits, &self.visits);
        sweep(&ids.persons, &self.persons);
        sweep(&ids.institutions, &self.institutions);
        sweep(&ids.checks, &self.checks);
        sweep(&ids.codes, &self.codes);
        ids.items.sweep(&self.items);
    }
}
