//! What others read of visits.

use super::{State, VisitShard};
use crate::live::details::{self, DetailRow, LiveDetails};
use crate::live::settlements::Settlements;
use crate::live::stays::Stay;
use crate::record::{Admission, Discharge, Ids, SettlementId, VisitId};
use std::cell::Cell;

/// All visits, to read.
#[derive(Clone, Copy)]
pub struct Visits<'a> {
    /// By shard.
    pub shards: &'a [VisitShard],
    /// The tables of ids.
    pub ids: &'a Ids,
}

impl<'a> Visits<'a> {
    /// Whether anything is held of a visit.
    pub fn is_known(&self, visit: VisitId) -> bool {
        self.state(visit).is_some_and(|state| state.due)
    }

    fn state(&self, visit: VisitId) -> Option<&'a State> {
        let table = &self.ids.visits;
        self.shards[table.shard_of(visit.0)].states.get(table.index_of(visit.0))
    }

    /// The settlements of a visit, live or not.
    pub fn settlements(&self, visit: VisitId) -> impl Iterator<Item = SettlementId> + 'a {
        self.state(visit).into_iter().flat_map(State::settlements)
    }

    /// The stay that a visit is.
    pub fn stay(&self, visit: VisitId) -> Option<&'a Stay> {
        self.state(visit)?.extra.as_ref()?.stay.as_ref()
    }

    /// The live discharge of a visit.
    pub fn discharge(&self, visit: VisitId) -> Option<&'a Discharge> {
        self.state(visit)?.extra.as_ref()?.records.discharge(self.ids)
    }

    /// The admission of a visit and the discharge before it.
    pub fn reversed(&self, visit: VisitId) -> Option<(&'a Admission, &'a Discharge)> {
        self.state(visit)?.extra.as_ref()?.records.reversed(self.ids)
    }

    /// The live details of a visit; of one that the batch touched they are at hand.
    pub fn details<T>(
        &self,
        visit: VisitId,
        settlements: Settlements<'_>,
        read: impl FnOnce(&[details::LiveDetail]) -> T,
    ) -> T {
        let shard = &self.shards[self.ids.visits.shard_of(visit.0)];
        if let Some(place) = shard.places.get(&visit) {
            return read(&shard.opened[*place].live.details);
        }
        thread_local! {
            // Many visits are read one after the other, in the same room.
            static ROOM: Cell<(Vec<DetailRow>, LiveDetails)> = Cell::default();
        }
        let (mut rows, mut live) = ROOM.take();
        live.details.clear();
        if let Some(state) = self.state(visit) {
            details::open(shard.heap.get(state.block), visit, &mut rows, self.ids);
            let deletes = state.extra.as_ref().map_or(&[][..], |extra| &extra.deletes);
            details::live(&rows, deletes, settlements, &mut live);
        }
        let answer = read(&live.details);
        ROOM.set((rows, live));
        answer
    }
}
