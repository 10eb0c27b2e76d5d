//! Which ids are in use: marked by everything that holds one, so that the rest can be forgotten.

/// A set of ids of one table.
#[derive(Default)]
pub struct Marked {
    bits: Vec<u64>,
    /// Ids that were marked since they were last asked for, where that is wanted.
    fresh: Option<Vec<u32>>,
}

impl Marked {
    /// A set that tells which ids are new in it.
    fn telling() -> Self {
        Self { bits: Vec::new(), fresh: Some(Vec::new()) }
    }

    /// Marks an id.
    pub fn mark(&mut self, id: u32) {
        let word = id as usize / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let bit = 1 << (id % 64);
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            if let Some(fresh) = &mut self.fresh {
                fresh.push(id);
            }
        }
    }

    /// Whether an id is marked.
    pub fn contains(&self, id: u32) -> bool {
        self.bits.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    /// Marks what another set has.
    fn join(mut self, other: &Self) -> Self {
        self.bits.resize(self.bits.len().max(other.bits.len()), 0);
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, more)| *word |= more);
        self
    }

    /// Hands over the ids that were marked since the last call.
    pub fn drain_fresh(&mut self) -> std::vec::Drain<'_, u32> {
        self.fresh.get_or_insert_default().drain(..)
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
    /// What stands before the digits of serial numbers; never forgotten.
    pub prefixes: Marked,
}

impl Marks {
    /// Marks that tell which ids are new among them.
    pub fn telling() -> Self {
        Self {
            settlements: Marked::telling(),
            visits: Marked::telling(),
            persons: Marked::telling(),
            institutions: Marked::telling(),
            checks: Marked::telling(),
            codes: Marked::telling(),
            items: Marked::telling(),
            prefixes: Marked::telling(),
        }
    }

    /// What either has.
    pub fn join(self, other: &Self) -> Self {
        Self {
            settlements: self.settlements.join(&other.settlements),
            visits: self.visits.join(&other.visits),
            persons: self.persons.join(&other.persons),
            institutions: self.institutions.join(&other.institutions),
            checks: self.checks.join(&other.checks),
            codes: self.codes.join(&other.codes),
            items: self.items.join(&other.items),
            prefixes: self.prefixes.join(&other.prefixes),
        }
    }
}
