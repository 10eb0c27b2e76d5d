//! Ids that nobody holds any more are forgotten, a little with each batch, so that no batch waits for all.
//!
//! 1. *Marking*: all settlements, checks and visits are walked, and the ids that they hold are marked. From the first batch
//!    on every id that is looked up is noted, so nothing that comes meanwhile needs to be walked. Nothing is dropped
//!    meanwhile, so nothing can go on being held by who got it from a place that was not walked yet.
//! 2. *Persons*: what their timelines point to and is gone is taken out, since the ids of it may soon stand for others.
//! 3. Timelines of institutions lose what is gone, and what is small is marked and swept, in one step. From here on the log of changes writes texts down anew.
//! 4. *Forgetting*: the ids of the large tables that are neither marked nor noted are forgotten.

use super::Engine;
use crate::detect::World;
use crate::record::intern::Ids;
use crate::record::marks::Marks;
use rayon::prelude::*;
use std::ops::Range;

/// Places that are walked for each line of a batch, and with every batch.
const PER_LINE: usize = 24;
const EACH_BATCH: usize = 256;

/// How far it has come.
#[derive(Default)]
pub(super) enum Sweep {
    /// Nothing is to be done.
    #[default]
    Idle,
    /// Steps 1 and 2, by shard.
    Marking(Vec<Walk>),
    /// Step 4, by shard.
    Forgetting(Box<Marks>, Vec<Walk>),
}

impl Sweep {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    pub(super) fn is_marking(&self) -> bool {
        matches!(self, Self::Marking(_))
    }
}

/// A walk through the places of a shard, table by table.
#[derive(Default)]
pub(super) struct Walk {
    /// By table: the place that comes next, and the end.
    tables: Vec<Range<usize>>,
    /// What was met.
    marks: Marks,
}

impl Walk {
    fn through(ends: impl IntoIterator<Item = usize>) -> Self {
        Self { tables: ends.into_iter().map(|end| 0..end).collect(), marks: Marks::default() }
    }

    fn is_over(&self) -> bool {
        self.tables.iter().all(Range::is_empty)
    }

    /// The next places of a table, `quota` at most, which is lowered by as many.
    fn next(&mut self, table: usize, quota: &mut usize) -> Range<usize> {
        let places = &mut self.tables[table];
        let taken = places.start..(places.start + *quota).min(places.end);
        places.start = taken.end;
        *quota -= taken.len();
        taken
    }
}

impl Engine {
    /// Begins a sweep.
    pub(super) fn begin_sweep(&mut self) {
        self.ids.begin_noting();
        let ends = |shard: usize| {
            let owners = [self.settlements[shard].places(), self.checks[shard].places(), self.visits[shard].places()];
            Walk::through(owners.into_iter().chain([self.timelines[shard].places()]))
        };
        self.sweep = Sweep::Marking((0..self.ids.shards()).map(ends).collect());
    }

    /// Walks as many places as a batch of so many lines bears.
    pub(super) fn go_on_with_sweep(&mut self, lines: usize) {
        let shards = self.ids.shards();
        let quota = (lines * PER_LINE + EACH_BATCH).div_ceil(shards);
        self.sweep = match std::mem::take(&mut self.sweep) {
            Sweep::Idle => Sweep::Idle,
            Sweep::Marking(mut walks) => {
                self.walk(&mut walks, quota);
                if walks.iter().all(Walk::is_over) { self.sweep_small(walks) } else { Sweep::Marking(walks) }
            }
            Sweep::Forgetting(marks, mut walks) => {
                let ids = &*self.ids;
                self.workers.each(&mut walks, vec![quota; shards], |shard, walk, mut quota| {
                    for (table, (of, marked)) in large(ids, &marks).into_iter().enumerate() {
                        of.forget_unless(marked, shard, walk.next(table, &mut quota));
                    }
                });
                if walks.iter().all(Walk::is_over) {
                    self.ids.end_noting();
                    self.time.survived = self.ids.len();
                    Sweep::Idle
                } else {
                    Sweep::Forgetting(marks, walks)
                }
            }
        };
    }

    /// Steps 1 and 2: walks on.
    fn walk(&mut self, walks: &mut [Walk], quota: usize) {
        let (settlements, checks, visits, ids) = (&self.settlements, &self.checks, &self.visits, &*self.ids);
        let left = self.workers.each(walks, vec![quota; ids.shards()], |shard, walk, mut quota| {
            let places = walk.next(0, &mut quota);
            settlements[shard].mark(places, &mut walk.marks);
            let places = walk.next(1, &mut quota);
            checks[shard].mark(places, &mut walk.marks);
            let places = walk.next(2, &mut quota);
            visits[shard].mark(places, &mut walk.marks, ids, shard);
            walk.next(3, &mut quota)
        });
        let world = World::new(&self.plan, &self.settlements, &self.visits, ids, self.watch);
        self.workers.each(&mut self.timelines, left, |_, shard, places| shard.forget_of_persons(places, &world));
    }

    /// Step 3.
    fn sweep_small(&mut self, walks: Vec<Walk>) -> Sweep {
        let world = World::new(&self.plan, &self.settlements, &self.visits, &self.ids, self.watch);
        self.timelines.iter_mut().for_each(|shard| shard.forget_of_institutions(&world));
        self.end_generation();
        let of_shard = |(shard, Walk { mut marks, .. }): (usize, Walk)| {
            self.settlements[shard].mark_names(&mut marks);
            self.inventory[shard].mark(&mut marks);
            self.timelines[shard].mark(&mut marks);
            marks
        };
        let mut own = Marks::default();
        own.codes.mark(self.ids.one().0);
        own.codes.mark(self.ids.zero().0);
        self.plan.mark(&mut own);
        let ids = &*self.ids;
        let marks = self.workers.pool.install(|| {
            let marks = walks.into_par_iter().enumerate().map(of_shard);
            let marks = marks.reduce(Marks::default, |one, other| one.join(&other)).join(&own);
            (0..ids.shards()).into_par_iter().for_each(|shard| {
                for (table, marked) in [(&ids.codes, &marks.codes), (&ids.institutions, &marks.institutions)] {
                    table.forget_unless(marked, shard, 0..table.places(shard));
                }
            });
            marks
        });
        ids.items.forget_unless(&marks.items);
        // Verdicts are remembered by ids, which may stand for other texts now.
        self.plan.forget_verdicts();
        let walk = |shard| Walk::through(large(ids, &marks).map(|(table, _)| table.places(shard)));
        let walks = (0..ids.shards()).map(walk).collect();
        Sweep::Forgetting(Box::new(marks), walks)
    }
}

/// The tables that grow with the records.
fn large<'a>(
    ids: &'a Ids,
    marks: &'a Marks,
) -> [(&'a crate::record::intern::Interner, &'a crate::record::marks::Marked); 4] {
    [
        (&ids.settlements, &marks.settlements),
        (&ids.visits, &marks.visits),
        (&ids.persons, &marks.persons),
        (&ids.checks, &marks.checks),
    ]
}
