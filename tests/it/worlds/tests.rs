//! Worlds against the reference: order and re-delivery do not matter, and every rule fires.

use std::collections::BTreeMap;

use super::{duplicated, shuffled, world};
use crate::reference::judge;

const SIZE: usize = 40;

/// Rules that must fire in at least 3 % of worlds.
const RULES: [&str; 20] = [
    "CHG-01", "DQ-03", "DQ-08", "DUP-02", "DUP-03", "DUP-04", "DUP-05", "DUP-07", "IDN-01", "PHA-06", "STY-01",
    "STY-05", "STY-06", "STY-07", "STY-08", "STY-10", "STY-16", "VIS-01", "VIS-03", "VIS-04",
];

#[test]
fn order_and_redelivery_do_not_matter() {
    for seed in 0..300 {
        let world = world(seed, SIZE);
        let told = judge(&world.lines, &world.tables);
        assert_eq!(told.dead.len(), world.spoiled, "seed {seed}: {:?}", told.dead);
        assert_eq!(
            told.records_in,
            told.processed + told.redelivered + told.dead.len() as u64,
            "seed {seed}: the balance"
        );
        let other_order = judge(&shuffled(&world.lines, seed), &world.tables);
        assert_eq!(told.alerts, other_order.alerts, "seed {seed}: shuffled");
        assert_eq!(told.dead.len(), other_order.dead.len(), "seed {seed}: shuffled");
        assert_eq!(told.records_in, other_order.records_in, "seed {seed}: shuffled");

        let again = judge(&duplicated(&world.lines, seed), &world.tables);
        assert_eq!(told.alerts, again.alerts, "seed {seed}: duplicated");
        let mut reasons: Vec<&String> = told.dead.iter().map(|dead| &dead.1).collect();
        let mut reasons_again: Vec<&String> = again.dead.iter().map(|dead| &dead.1).collect();
        for list in [&mut reasons, &mut reasons_again] {
            list.sort();
            list.dedup();
        }
        assert_eq!(reasons, reasons_again, "seed {seed}: duplicated");
    }
}

#[test]
fn a_world_is_its_seed() {
    let (one, other) = (world(7, SIZE), world(7, SIZE));
    assert_eq!(one.lines, other.lines);
    assert_ne!(one.lines, world(8, SIZE).lines);
}

/// `cargo test every_rule_fires -- --nocapture` prints the table.
#[test]
fn every_rule_fires_in_a_decent_share_of_worlds() {
    let worlds = 2_000;
    let (mut worlds_with, mut alerts_of) = (BTreeMap::new(), BTreeMap::new());
    let (mut lines, mut alerts, mut dead, mut redelivered, mut quiet) = (0, 0, 0, 0, 0);
    for seed in 0..worlds {
        let world = world(seed, SIZE);
        let outcome = judge(&world.lines, &world.tables);
        lines += world.lines.len();
        alerts += outcome.alerts.len();
        dead += outcome.dead.len();
        redelivered += outcome.redelivered;
        quiet += u64::from(outcome.alerts.is_empty());
        for rule in RULES {
            let count = outcome.alerts.iter().filter(|alert| alert.rule_id == rule).count();
            *alerts_of.entry(rule).or_insert(0) += count;
            *worlds_with.entry(rule).or_insert(0) += u64::from(count > 0);
        }
    }
    let mean = |sum: usize| sum as f64 / worlds as f64;
    println!(
        "{worlds} worlds: {:.1} lines, {:.2} alerts, {:.2} dead, {:.2} re-delivered each; {quiet} without alert",
        mean(lines),
        mean(alerts),
        mean(dead),
        mean(redelivered as usize)
    );
    for rule in RULES {
        let share = 100.0 * worlds_with[rule] as f64 / worlds as f64;
        println!("{rule}: in {share:.1} % of worlds, {} alerts", alerts_of[rule]);
        assert!(share >= 3.0, "{rule} fires in {share:.1} % of worlds only");
    }
}
