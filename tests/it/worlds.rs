//! Random adversarial worlds: small, crowded streams in which everything collides.
//!
//! A world is told in four steps. *Shapes* tell one story each around the boundary of a rule
//! (exactly 24 h, 24 h and a second); *mischief* revises, refunds, deletes and cancels what the
//! stories told; *spelling* writes each record in one of many legal ways; *spoiled* lines of every
//! bad kind are strewn between. The same seed and size give the same world.

pub mod dice;
mod draft;
mod mischief;
mod refund_shapes;
mod shapes;
mod spelling;
mod spoiled;
mod stay_shapes;
#[cfg(test)]
mod tests;

use crate::reference::Tables;

pub use dice::Dice;
use draft::{Draft, Story};

#[derive(Debug, Clone)]
pub struct World {
    pub lines: Vec<Vec<u8>>,
    pub tables: Tables,
    /// How many of the lines are bad.
    pub spoiled: usize,
}

/// A world of about `size` records; 40 gives three stories.
pub fn world(seed: u64, size: usize) -> World {
    let mut story = Story::new(seed);
    for _ in 0..1 + size / 16 {
        shapes::tell_one(&mut story);
    }
    shapes::soup(&mut story, size / 8);
    // A fifth of the worlds is told without mischief.
    if !story.dice.chance(20) {
        let deeds = story.dice.below(1 + size / 3);
        for _ in 0..deeds {
            mischief::one_deed(&mut story);
        }
    }
    let tables = story.tables();
    let (lines, spoiled) = write(story);
    World { lines, tables, spoiled }
}

/// The lines in another order.
pub fn shuffled(lines: &[Vec<u8>], seed: u64) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    Dice::new(seed ^ 0x5f0f).shuffle(&mut lines);
    lines
}

/// The lines in their order, with some of them delivered again anywhere.
pub fn duplicated(lines: &[Vec<u8>], seed: u64) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(seed ^ 0xd0b1);
    let mut result = lines.to_vec();
    for line in lines {
        while dice.chance(30) {
            let place = dice.below(result.len() + 1);
            result.insert(place, line.clone());
        }
    }
    result
}

/// The lines, and how many of them are bad.
fn write(mut story: Story) -> (Vec<Vec<u8>>, usize) {
    let drafts = embed_details(&mut story);
    let dice = &mut story.dice;
    let mut lines = Vec::new();
    for draft in &drafts {
        lines.push(spelling::line(dice, draft));
        // A re-delivery in another spelling.
        if dice.chance(6) {
            lines.push(spelling::line(dice, draft));
        }
    }
    if dice.chance(60) {
        dice.shuffle(&mut lines);
    }
    let mut spoiled = 0;
    for _ in 0..dice.below(5) {
        let draft = dice.pick(&drafts).clone();
        let place = dice.below(lines.len() + 1);
        // Bad lines are delivered again, too.
        let line = spoiled::line(dice, &draft);
        if dice.chance(10) {
            lines.push(line.clone());
            spoiled += 1;
        }
        lines.insert(place, line);
        spoiled += 1;
    }
    if dice.chance(10) {
        let place = dice.below(lines.len() + 1);
        lines.insert(place, Vec::new());
    }
    (lines, spoiled)
}

/// Moves some details into the `fee_details` of a version of the settlement that they carry.
fn embed_details(story: &mut Story) -> Vec<Draft> {
    let dice = &mut story.dice;
    let mut drafts = Vec::new();
    let (mut details, others): (Vec<Draft>, Vec<Draft>) =
        std::mem::take(&mut story.records).into_iter().partition(|draft| draft.kind == "fee_detail");
    for mut draft in others {
        if draft.kind == "settlement" && dice.chance(60) {
            let (own, rest): (Vec<Draft>, Vec<Draft>) = details
                .into_iter()
                .partition(|detail| detail.code("setl_id") == draft.code("setl_id") && dice.chance(80));
            details = rest;
            for mut row in own {
                for name in ["setl_id", "mdtrt_id", "psn_no", "fixmedins_code", "med_type", "updt_time"] {
                    if row.get(name) == draft.get(name) && dice.chance(70) {
                        row.remove(name);
                    }
                }
                draft.rows.push(row);
            }
        }
        // Another version of the settlement brings some of the same rows again.
        if draft.kind == "settlement" && !draft.rows.is_empty() && dice.chance(8) {
            let mut again = draft.clone();
            again.rows.retain(|_| dice.chance(60));
            drafts.push(again);
        }
        drafts.push(draft);
    }
    drafts.extend(details);
    drafts
}
