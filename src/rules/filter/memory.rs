//! Remembered verdicts, by the ids of the columns that decide over them.

use super::super::rule::Map;
use super::Verdicts;
use parking_lot::{RwLock, RwLockReadGuard};

/// The most columns of codes whose verdicts are remembered together.
pub const MAX_KEYS: usize = 4;
/// The ids of the columns, 0 where there are fewer.
pub type Key = [u32; MAX_KEYS];

/// Ids below this have their verdict in a plain list.
const DENSE: usize = 1 << 14;
/// The most verdicts that are kept besides: all are dropped when there are more, and learnt anew.
const SPARSE: usize = 1 << 16;
/// Marks a word of the list as known. Expressions never use this bit.
const KNOWN: Verdicts = 1 << 63;

/// What is remembered. Read by all threads at once, written only when something new is met.
#[derive(Default)]
pub struct Memory(RwLock<Known>);

#[derive(Default)]
pub struct Known {
    /// Verdicts of a single column, by id: 0 where not known.
    dense: Vec<Verdicts>,
    sparse: Map<Key, Verdicts>,
}

impl Known {
    /// The verdict of a key, if it is known.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<Verdicts> {
        match Self::place(key) {
            Some(place) => self.dense.get(place).copied().filter(|verdict| verdict & KNOWN != 0),
            None => self.sparse.get(key).copied(),
        }
    }

    /// The place in the list of a key of a single small id.
    #[inline]
    fn place(key: &Key) -> Option<usize> {
        let [first, rest @ ..] = key;
        ((*first as usize) < DENSE && *rest == [0; MAX_KEYS - 1]).then_some(*first as usize)
    }
}

impl Memory {
    /// Looks things up until the guard is dropped.
    pub fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read()
    }

    /// Adds verdicts.
    pub fn learn(&self, verdicts: impl Iterator<Item = (Key, Verdicts)>) {
        let mut known = self.0.write();
        for (key, verdict) in verdicts {
            match Known::place(&key) {
                Some(place) => {
                    if known.dense.len() <= place {
                        known.dense.resize(place + 1, 0);
                    }
                    known.dense[place] = verdict | KNOWN;
                }
                None => {
                    if known.sparse.len() >= SPARSE {
                        known.sparse.clear();
                    }
                    known.sparse.insert(key, verdict);
                }
            }
        }
    }

    /// Drops everything.
    pub fn forget(&self) {
        *self.0.write() = Known::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_kept_by_key_and_bounded() {
        let memory = Memory::default();
        let far = DENSE as u32 + 7;
        let keys: [Key; 4] = [[0; 4], [3, 0, 0, 0], [far, 0, 0, 0], [3, 4, 0, 0]];
        memory.learn(keys.into_iter().zip([0, 5, 6, 7]));
        for (key, verdict) in keys.iter().zip([0, 5, 6, 7]) {
            assert_eq!(memory.read().get(key).map(|found| found & !KNOWN), Some(verdict));
        }
        assert_eq!(memory.read().get(&[4, 0, 0, 0]), None);
        memory.learn((0..3 * SPARSE as u32).map(|id| ([1, id, 0, 1], 1)));
        assert!(memory.read().sparse.len() <= SPARSE);
        memory.forget();
        assert_eq!(memory.read().get(&keys[1]), None);
    }
}
