//! Alerts depend on the set of records alone: over random worlds, in any order, with any duplication, cut into
//! any batches, over any number of shards, the engine gives the alerts of the slow reference.

use crate::reference::{Outcome, RefAlert, RefEvidence, Tables, judge};
use crate::rule_sets;
use crate::worlds::{Dice, World, duplicated, shuffled, world};
use fundwatch::alert::{Alert, AlertStatus, Role, yuan};
use fundwatch::engine::{Engine, Options};
use fundwatch::record::{Batch, Ids};
use std::sync::Arc;

/// How many worlds are tried; `FUNDWATCH_WORLDS` asks for more.
fn worlds() -> u64 {
    std::env::var("FUNDWATCH_WORLDS").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

/// A word as it stands in an alert's JSON.
fn text(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An alert of the engine in the reference's form; identities are not told in alerts.
fn comparable(alert: &Alert) -> RefAlert {
    let finding = &alert.finding;
    let evidence = finding.evidence.iter().map(|piece| RefEvidence {
        time: piece.time.to_string(),
        id: piece.id.clone(),
        kind: piece.record.to_owned(),
        role: if piece.role == Role::Violating { "violating" } else { "involved" }.to_owned(),
        amount: piece.amount.map(yuan),
    });
    RefAlert {
        rule_id: finding.rule_id.to_string(),
        identity: Vec::new(),
        result: text(finding.result),
        severity: finding.severity.word().to_owned(),
        subject: (text(finding.subject.kind), finding.subject.id.clone()),
        amount: finding.amount_at_issue.map(yuan),
        event_time: finding.event_time.to_string(),
        evidence: evidence.collect(),
    }
}

/// What the engine makes of lines that are cut into batches by dice.
struct Judged {
    alerts: Vec<(String, RefAlert)>,
    records_in: u64,
    processed: u64,
    redelivered: u64,
    dead: u64,
}

fn run(lines: &[Vec<u8>], world: &World, shards: usize, dice: &mut Dice) -> Judged {
    let ids = Arc::new(Ids::new(shards));
    let rules = Arc::new(rule_sets::of_tables(&world.tables, &ids));
    // Now and then the rules are others at first, and are replaced in the middle of the stream.
    let replaced_at = if dice.chance(30) { dice.below(lines.len() + 1) } else { 0 };
    let first = if replaced_at > 0 { Arc::new(rule_sets::of_tables(&Tables::default(), &ids)) } else { rules.clone() };
    let mut engine = Engine::new(first, ids, &Options { threads: 1 + dice.below(2), ..Options::default() });
    let most = 1 + dice.below(lines.len().max(1));
    let mut rest = lines;
    let mut last_revision = std::collections::BTreeMap::new();
    let mut replaced = replaced_at == 0;
    while !rest.is_empty() {
        if !replaced && lines.len() - rest.len() >= replaced_at {
            replaced = true;
            for alert in engine.replace_rules(rules.clone()) {
                let before = last_revision.insert(alert.alert_id, alert.revision).unwrap_or(0);
                assert_eq!(alert.revision, before + 1, "revisions rise by one");
            }
        }
        let (now, later) = rest.split_at(rest.len().min(1 + dice.below(most)));
        rest = later;
        let outcome = engine.process(&Batch::of_lines("world", &now.join(&b'\n')));
        for alert in outcome.alerts {
            let before = last_revision.insert(alert.alert_id, alert.revision).unwrap_or(0);
            assert_eq!(alert.revision, before + 1, "revisions rise by one");
        }
    }
    if !replaced {
        engine.replace_rules(rules);
    }
    let totals = engine.totals();
    assert_eq!(totals.records_in, totals.processed + totals.redelivered + totals.dead_lettered);
    let open = engine.alerts().into_iter().filter(|alert| alert.status == AlertStatus::Open);
    let mut alerts: Vec<(String, RefAlert)> =
        open.map(|alert| (alert.alert_id.to_string(), comparable(alert))).collect();
    alerts.sort();
    Judged {
        alerts,
        records_in: totals.records_in,
        processed: totals.processed,
        redelivered: totals.redelivered,
        dead: totals.dead_lettered,
    }
}

/// The first difference between what the reference and the engine say, in words.
fn difference(expected: &Outcome, judged: &Judged) -> Option<String> {
    let mut wanted: Vec<RefAlert> =
        expected.alerts.iter().map(|alert| RefAlert { identity: Vec::new(), ..alert.clone() }).collect();
    wanted.sort();
    let mut got: Vec<RefAlert> = judged.alerts.iter().map(|(_, alert)| alert.clone()).collect();
    got.sort();
    if wanted != got {
        let missing = wanted.iter().find(|alert| !got.contains(alert));
        let surplus = got.iter().find(|alert| !wanted.contains(alert));
        return Some(format!("missing: {missing:#?}\nsurplus: {surplus:#?}"));
    }
    let counts = (expected.records_in, expected.dead.len() as u64);
    (counts != (judged.records_in, judged.dead))
        .then(|| format!("in and dead: expected {counts:?}, got {:?}", (judged.records_in, judged.dead)))
}

/// The fewest lines that still show a difference, found by leaving lines out.
fn smallest(world: &World, shards: usize, seed: u64) -> Vec<Vec<u8>> {
    let fails = |lines: &[Vec<u8>]| {
        difference(&judge(lines, &world.tables), &run(lines, world, shards, &mut Dice::new(seed))).is_some()
    };
    let mut lines = world.lines.clone();
    let mut step = lines.len();
    while step > 0 {
        let mut start = 0;
        while start < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(start..(start + step).min(lines.len()));
            if fails(&fewer) {
                lines = fewer;
            } else {
                start += step;
            }
        }
        step /= 2;
    }
    lines
}

#[test]
fn the_engine_agrees_with_the_reference_on_random_worlds() {
    for seed in 0..worlds() {
        let mut dice = Dice::new(seed ^ 0xc0de);
        let size = 16 + dice.below(80);
        let world = world(seed, size);
        let expected = judge(&world.lines, &world.tables);
        let mut first: Option<Judged> = None;
        let orders =
            [world.lines.clone(), shuffled(&world.lines, seed), duplicated(&shuffled(&world.lines, seed + 1), seed)];
        for (number, lines) in orders.iter().enumerate() {
            for shards in [1, 4] {
                let judged = run(lines, &world, shards, &mut dice);
                let expected = if number == 2 { &judge(lines, &world.tables) } else { &expected };
                if let Some(words) = difference(expected, &judged) {
                    let mut told = World { lines: lines.clone(), ..world.clone() };
                    told.lines = smallest(&told, shards, seed);
                    let lines: Vec<_> = told.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
                    let small = difference(
                        &judge(&told.lines, &world.tables),
                        &run(&told.lines, &world, shards, &mut Dice::new(seed)),
                    );
                    panic!(
                        "seed {seed}, order {number}, {shards} shards, tables {:?}\n{}\n{}",
                        world.tables,
                        lines.join("\n"),
                        small.unwrap_or(words)
                    );
                }
                // The same alert has the same id in any run.
                let first = first.get_or_insert_with(|| run(lines, &world, shards, &mut dice));
                assert_eq!(first.alerts, judged.alerts, "seed {seed}: alert ids");
                if number == 0 {
                    assert_eq!(judged.processed, first.processed, "seed {seed}");
                    assert_eq!(judged.redelivered, first.redelivered, "seed {seed}");
                }
            }
        }
    }
}

/// Whose finding it is changes within a batch, in which both persons are looked at in the order of their ids.
#[test]
fn a_settlement_that_moved_to_another_person_is_withdrawn_when_it_is_refunded() {
    let settlement = |setl_id: &str, person: &str, more: &str| {
        format!(
            r#"{{"type":"settlement","setl_id":"{setl_id}","mdtrt_id":"V","psn_no":"{person}","fixmedins_code":"H","med_type":"11","insutype":"310","setl_time":"2026-03-01 10:00:00","medfee_sumamt":9000,"fund_pay_sumamt":6000{more}}}"#
        )
    };
    for first_known in ["P1", "P2"] {
        let ids = Arc::new(Ids::new(1));
        let rules = Arc::new(rule_sets::of_tables(&Tables::default(), &ids));
        let mut engine = Engine::new(rules, ids, &Options::default());
        let mut open_after = |line: String| {
            engine.process(&Batch::of_lines("moves", line.as_bytes()));
            engine.alerts().iter().filter(|alert| alert.status == AlertStatus::Open).count()
        };
        open_after(settlement("S0", first_known, r#","vali_flag":"0""#));
        assert_eq!(open_after(settlement("S1", "P1", "")), 1);
        assert_eq!(open_after(settlement("S1", "P2", r#","updt_time":"2026-03-02 10:00:00""#)), 1);
        assert_eq!(
            open_after(settlement("S9", "P2", r#","refd_setl_flag":"1","init_setl_id":"S1""#)),
            0,
            "{first_known}"
        );
    }
}

/// What is held of a city of so many days when only some are retained.
fn retained_after(days: u32, retention: u32) -> (fundwatch::engine::Retained, usize, usize) {
    let options = fundwatch::simulate::Options {
        persons: 3_000,
        days: Some(days),
        dirty: false,
        ..fundwatch::simulate::Options::default()
    };
    let mut city = fundwatch::simulate::Simulator::new(options);
    let ids = Arc::new(Ids::new(2));
    let rules = Arc::new(rule_sets::of_tables(&Tables::default(), &ids));
    let options = Options { retention_days: Some(retention), ..Options::default() };
    let mut engine = Engine::new(rules, ids.clone(), &options);
    let mut lines = Vec::new();
    let mut count = 0;
    loop {
        let more = city.next_line(&mut lines).is_some();
        count += 1;
        if !more || count % 500 == 0 {
            engine.process(&Batch::of_lines("city", &lines));
            lines.clear();
        }
        if !more {
            break;
        }
    }
    let totals = engine.totals();
    assert_eq!(totals.records_in, totals.processed + totals.redelivered + totals.dead_lettered);
    (engine.retained(), ids.codes.len(), ids.checks.len())
}

#[test]
fn what_is_older_than_the_retention_goes_and_nothing_grows() {
    let (short, codes, checks) = retained_after(60, 20);
    let (long, more_codes, more_checks) = retained_after(150, 20);
    // Weekdays and seasons make some difference; growth would make one of two and a half times.
    for (name, short, long) in [
        ("settlements", short.settlements, long.settlements),
        ("visits", short.visits, long.visits),
        ("fee details", short.fee_details, long.fee_details),
        ("inventory", short.inventory, long.inventory),
        ("codes", codes as u64, more_codes as u64),
        ("checks", checks as u64, more_checks as u64),
    ] {
        assert!(short > 100, "{name}: the city is alive ({short})");
        assert!(long < short * 3 / 2, "{name} grow: {short} after 60 days, {long} after 150");
    }
}
