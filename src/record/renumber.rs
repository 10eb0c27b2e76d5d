//! Ids of another process, by those that the same texts have here.

use super::intern::{Ids, Interner};
use std::cell::Cell;

/// The ids of a table, by what they were.
#[derive(Default)]
pub struct Numbers {
    here: Vec<u32>,
    /// Whether an id was asked for of which no text is known.
    missing: Cell<bool>,
}

impl Numbers {
    /// Notes a text of the other process and finds its id here.
    pub fn note(&mut self, id: u32, text: &str, table: &Interner) {
        let place = id as usize;
        if self.here.len() <= place {
            self.here.resize(place + 1, 0);
        }
        self.here[place] = table.intern(text);
    }

    /// The id here; 0, and noted, where no text is known.
    pub fn get(&self, id: u32) -> u32 {
        let here = self.here.get(id as usize).copied().unwrap_or(0);
        if here == 0 && id != 0 {
            self.missing.set(true);
        }
        here
    }
}

/// The ids of all tables.
#[allow(missing_docs)]
pub struct Renumber<'a> {
    pub ids: &'a Ids,
    pub settlements: Numbers,
    pub visits: Numbers,
    pub persons: Numbers,
    pub institutions: Numbers,
    pub checks: Numbers,
    pub codes: Numbers,
    pub prefixes: Numbers,
}

impl<'a> Renumber<'a> {
    /// No ids of the other process are known yet.
    pub fn new(ids: &'a Ids) -> Self {
        Self {
            ids,
            settlements: Numbers::default(),
            visits: Numbers::default(),
            persons: Numbers::default(),
            institutions: Numbers::default(),
            checks: Numbers::default(),
            codes: Numbers::default(),
            prefixes: Numbers::default(),
        }
    }

    /// Whether an id was asked for of which no text is known: what holds it is damaged.
    pub fn is_missing(&self) -> bool {
        let tables = [
            &self.settlements,
            &self.visits,
            &self.persons,
            &self.institutions,
            &self.checks,
            &self.codes,
            &self.prefixes,
        ];
        tables.iter().any(|table| table.missing.get())
    }
}
