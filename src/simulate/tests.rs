use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const RULES: [&str; 18] = [
    "DUP-02", "DUP-03", "DUP-04", "DUP-05", "DUP-07", "CHG-01", "IDN-01", "STY-01", "STY-05", "STY-06", "STY-07",
    "STY-08", "STY-10", "STY-16", "VIS-01", "VIS-03", "VIS-04", "PHA-06",
];

fn options(persons: u32, days: u32, seed: u64) -> Options {
    Options { persons, days: Some(days), seed, ..Options::default() }
}

struct Run {
    records: Vec<u8>,
    truths: Vec<Truth>,
    summary: Summary,
}

fn run(options: Options) -> Run {
    let mut simulator = Simulator::new(options);
    let mut records = Vec::new();
    let mut last = i64::MIN;
    while let Some(at) = simulator.next_line(&mut records) {
        assert!(at >= last, "uploads go back in time");
        assert_eq!(records.last(), Some(&b'\n'));
        last = at;
    }
    assert_eq!(simulator.queued(), 0, "all that was queued was sent");
    Run { records, truths: simulator.take_truth(), summary: simulator.summary().clone() }
}

fn lines(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    records.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// Fen of a money value, which some institutions send as text.
fn fen(value: &Value) -> i64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (yuan, rest) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = format!("{yuan}{rest:0<2}");
    digits.parse().unwrap()
}

#[test]
fn same_seed_same_bytes() {
    let (one, two, other) = (run(options(800, 6, 7)), run(options(800, 6, 7)), run(options(800, 6, 8)));
    assert!(one.records == two.records);
    assert_eq!(one.truths, two.truths);
    assert!(one.records != other.records);
}

/// The bytes of a seed must not change by accident, not even with a new version of a library.
#[test]
fn the_first_bytes_are_known() {
    let run = run(options(600, 1, 42));
    let hash = run
        .records
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!((run.summary.lines, hash), (KNOWN_LINES, KNOWN_HASH));
}

const KNOWN_LINES: u64 = 103;
const KNOWN_HASH: u64 = 11_670_357_034_705_513_063;

#[test]
fn every_rule_is_planted_and_nearly_missed() {
    let run = run(options(5_000, 30, 1));
    let mut planted = BTreeMap::<_, [usize; 2]>::new();
    for truth in &run.truths {
        assert!(!truth.evidence.is_empty(), "{truth:?}");
        planted.entry(truth.rule_id).or_default()[usize::from(truth.planted == Planted::NearMiss)] += 1;
        let mut line = Vec::new();
        truth.to_json_line(&mut line);
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["rule_id"], truth.rule_id);
        assert_eq!(value["evidence"].as_array().unwrap().len(), truth.evidence.len());
    }
    for rule in RULES {
        let [frauds, near_misses] = planted.get(rule).copied().unwrap_or_default();
        assert!(frauds > 0 && near_misses > 0, "{rule}: {frauds} frauds, {near_misses} near misses");
    }
    assert_eq!(planted.len(), RULES.len());
    let [frauds, near_misses] = planted.values().fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
    assert_eq!((run.summary.frauds, run.summary.near_misses), (frauds as u64, near_misses as u64));
    let cases = run.truths.iter().map(|truth| truth.case).collect::<BTreeSet<_>>();
    assert_eq!(cases.len(), plant::card_count(), "every card is dealt in the opening");
}

#[test]
fn findings_are_there_within_the_first_hour() {
    let mut simulator = Simulator::new(Options { days: None, ..Options::default() });
    let start = Day::of_date(2026, 1, 1).start().0;
    let mut line = Vec::new();
    while simulator.next_line(&mut line).is_some_and(|at| at < start + 3_600) {
        line.clear();
    }
    let frauds = simulator.take_truth().iter().filter(|truth| truth.planted == Planted::Fraud).count();
    assert!(frauds >= 5, "{frauds}");
}

#[test]
fn clean_records_carry_what_they_must() {
    let run = run(options(3_000, 12, 3));
    let (mut bad, mut again, mut seen) = (0, 0, BTreeSet::new());
    let mut evidence = BTreeSet::new();
    for line in lines(&run.records) {
        let Ok(Value::Object(mut record)) = serde_json::from_slice(line) else {
            bad += 1;
            continue;
        };
        let required: &[&str] = match record["type"].as_str().unwrap() {
            "settlement" => &[
                "setl_id",
                "mdtrt_id",
                "psn_no",
                "fixmedins_code",
                "med_type",
                "insutype",
                "setl_time",
                "medfee_sumamt",
                "fund_pay_sumamt",
            ],
            "fee_detail" => &[
                "mdtrt_id",
                "feedetl_sn",
                "psn_no",
                "fixmedins_code",
                "fee_ocur_time",
                "med_list_codg",
                "cnt",
                "pric",
                "det_item_fee_sumamt",
            ],
            "fee_detail_delete" => &["mdtrt_id", "feedetl_sn"],
            "admission" => &["mdtrt_id", "psn_no", "fixmedins_code", "med_type", "begntime"],
            "discharge" => &["mdtrt_id", "psn_no", "fixmedins_code", "endtime"],
            "admission_cancel" | "discharge_cancel" => &["mdtrt_id"],
            "presence" => &["check_id", "psn_no", "mdtrt_id", "fixmedins_code", "check_time", "check_type", "passed"],
            "inventory" => &["fixmedins_code", "fixmedins_bchno", "inv_data_type", "med_list_codg", "inv_time", "cnt"],
            _ => {
                bad += 1;
                continue;
            }
        };
        if required.iter().any(|name| !record.contains_key(*name)) || !record.contains_key("msgid") {
            // Only dirty lines have no message id.
            bad += 1;
            continue;
        }
        for id in ["setl_id", "mdtrt_id", "psn_no"] {
            assert!(record.get(id).is_none_or(|id| (16..=20).contains(&id.as_str().unwrap().len())));
        }
        if let Some(id) = record.get("setl_id") {
            evidence.insert(id.as_str().unwrap().to_owned());
        }
        record.remove("msgid");
        again += u64::from(!seen.insert(serde_json::to_string(&record).unwrap()));
    }
    assert_eq!(bad, run.summary.dead_letters);
    assert!(bad > 0);
    assert_eq!(again, run.summary.redelivered);
    assert!(again > 0);
    assert_eq!(lines(&run.records).count() as u64, run.summary.lines);
    assert_eq!(run.records.len() as u64, run.summary.bytes);
    for truth in &run.truths {
        for named in truth.evidence.iter().filter(|named| named.kind == "settlement") {
            assert!(evidence.contains(&named.id), "{} names a settlement that was never sent", truth.case);
        }
    }
}

#[test]
fn money_adds_up() {
    let run = run(Options { dirty: false, ..options(3_000, 10, 5) });
    let mut settlements = 0;
    for line in lines(&run.records) {
        let record: Value = serde_json::from_slice(line).expect("nothing is dirty");
        if record["type"] != "settlement" {
            continue;
        }
        settlements += 1;
        let get = |names: [&str; 2]| names.iter().find_map(|name| record.get(*name)).map(fen).unwrap();
        let one = |name| get([name, name]);
        let in_scope = get(["inscp_scp_amt", "inscp_amt"]);
        let personal = get(["psn_part_amt", "psn_pay"]);
        let total = one("medfee_sumamt");
        let parts = one("fulamt_ownpay_amt") + one("overlmt_selfpay") + one("preselfpay_amt") + in_scope;
        assert_eq!(total, parts, "{record}");
        assert_eq!(total, one("fund_pay_sumamt") + personal, "{record}");
        assert_eq!(personal, one("acct_pay") + get(["psn_cash_pay", "cash_payamt"]), "{record}");
        assert!(one("fund_pay_sumamt").abs() <= in_scope.abs());
        if let Some(details) = record.get("fee_details").and_then(Value::as_array) {
            let sum: i64 = details.iter().map(|detail| fen(&detail["det_item_fee_sumamt"])).sum();
            assert_eq!(sum, total, "{record}");
        }
    }
    assert_eq!(settlements, run.summary.settlements);
    assert_eq!((run.summary.dead_letters, run.summary.redelivered), (0, 0));
}

#[test]
fn memory_does_not_grow_with_days() {
    let mut simulator = Simulator::new(Options { days: None, ..options(1_500, 0, 11) });
    let start = Day::of_date(2026, 1, 1).start().0;
    let mut line = Vec::new();
    let mut most = [0, 0];
    while let Some(at) = simulator.next_line(&mut line) {
        line.clear();
        simulator.take_truth();
        let day = (at - start) / DAY;
        if day >= 300 {
            break;
        }
        let half = usize::from(day >= 150);
        most[half] = most[half].max(simulator.queued());
    }
    assert!(most[1] <= most[0], "{most:?}");
}

#[test]
fn without_a_fraud_rate_nothing_is_planted() {
    let run = run(Options { fraud_rate: 0.0, ..options(2_000, 10, 2) });
    assert!(run.truths.is_empty());
    assert!(run.summary.settlements > 500);
}

#[test]
fn the_smallest_cities_work() {
    for persons in [0, 1, 30, 300] {
        run(options(persons, 3, 1));
    }
    assert_eq!(run(options(100, 0, 1)).summary.lines, 0);
}

#[test]
fn times_are_written_like_those_of_records() {
    for time in [86_399, 1_772_323_201] {
        let text = calendar::Dates::new().time(time);
        assert_eq!(crate::record::Time::parse(&text), Some(crate::record::Time(time)));
    }
}

#[test]
fn knowledge_names_catalogue_items_and_leaves_the_free_ones_alone() {
    let codes = (0..catalogue::ITEMS.len()).map(catalogue::full_code).collect::<Vec<_>>();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "codes are unique");
    let named = catalogue::EXCLUSIVE_ITEMS
        .iter()
        .flat_map(|&(main, included, _)| [main, included])
        .chain(catalogue::DAILY_LIMITS.iter().map(|&(item, _)| item))
        .collect::<BTreeSet<_>>();
    for (index, code) in codes.iter().enumerate() {
        assert!(index < catalogue::FIRST_FREE || !named.contains(code.as_str()), "{code}");
        assert!(code.len() <= 50);
    }
    for (index, code) in [
        (catalogue::BED_WARD, "001109000010000"),
        (catalogue::CONSULT_OBSERVATION, "001102000040000"),
        (catalogue::NURSING_3, "001201000050000"),
        (catalogue::EMERGENCY_MONITOR, "001103000010000"),
        (catalogue::VENTILATOR_HOURS, "003106030010000"),
        (catalogue::FETAL_MONITOR, "003112010260000"),
    ] {
        assert_eq!(codes[index], code);
    }
}

#[test]
fn diagnoses_of_different_kind_differ_in_three_characters() {
    let codes = catalogue::DEPARTMENTS.iter().flat_map(|department| department.diagnoses).collect::<Vec<_>>();
    let families = codes.iter().map(|(code, _)| &code[..3]).collect::<BTreeSet<_>>();
    assert_eq!(families.len(), codes.len());
}

#[test]
fn persons_have_numbers_of_their_own() {
    let numbers = (0..200_000).map(|index| city::person_no(index, 0)).collect::<BTreeSet<_>>();
    assert_eq!(numbers.len(), 200_000);
}

#[test]
fn writes_a_folder() {
    let folder = std::env::temp_dir().join(format!("fundwatch-simulate-{}", std::process::id()));
    let summary = write(options(600, 2, 1), &folder, |_| {}).unwrap();
    let records = std::fs::read(folder.join("records.jsonl")).unwrap();
    assert_eq!(records.len() as u64, summary.bytes);
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).unwrap();
    assert_eq!(truth.lines().count() as u64, summary.frauds + summary.near_misses);
    let persons = std::fs::read_to_string(folder.join("registry/persons.csv")).unwrap();
    assert_eq!(persons.lines().count(), 601);
    assert!(persons.starts_with("psn_no,gend,brdy,die_date\n"));
    for name in ["institutions.csv", "doctors.csv", "items.csv"] {
        assert!(folder.join("registry").join(name).exists());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn schemes_change_nothing_before_they_begin() {
    let honest = run(options(2_000, 6, 9));
    let with = run(Options { schemes: Some(4), ..options(2_000, 6, 9) });
    let begin = |run: &Run| lines(&run.records).take(400).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(begin(&honest) == begin(&with));
    assert!(honest.records != with.records);
    assert!(Simulator::new(options(2_000, 6, 9)).schemes().is_empty());
}

#[test]
fn schemes_do_what_they_are_said_to_do() {
    let options = Options { schemes: Some(0), fraud_rate: 0.0, dirty: false, ..options(4_000, 40, 6) };
    let schemes = Simulator::new(options.clone()).schemes().to_vec();
    assert_eq!(schemes.iter().map(|scheme| &scheme.institution).collect::<BTreeSet<_>>().len(), 6, "each elsewhere");
    let run = run(options);
    // By institution: settlements, round ones, those of the hours of borrowed cards, packs, details with packs; by doctor:
    // settlements.
    let mut sums = BTreeMap::<String, [i64; 5]>::new();
    let mut doctors = BTreeMap::<String, i64>::new();
    for line in lines(&run.records) {
        let record: Value = serde_json::from_slice(line).expect("nothing is dirty");
        let total = record.get("medfee_sumamt").map_or(0, fen);
        if record["type"] != "settlement" || total <= 0 {
            continue;
        }
        let sums = sums.entry(record["fixmedins_code"].as_str().unwrap().to_owned()).or_default();
        let hour = &record["setl_time"].as_str().unwrap()[11..13];
        let details = record["fee_details"].as_array().unwrap();
        let packs = details.iter().filter(|detail| ["09", "11"].map(Value::from).contains(&detail["med_chrgitm_type"]));
        let counts = packs.map(|detail| detail["cnt"].as_f64().unwrap() as i64).collect::<Vec<_>>();
        let more = [
            1,
            i64::from(total % 10_000 == 0),
            i64::from(hour == "22" || hour == "23"),
            counts.iter().sum(),
            counts.len() as i64,
        ];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let doctor = ["bilg_dr_codg", "bilg_dr_code"].iter().find_map(|name| details[0].get(*name));
        if let Some(doctor) = doctor {
            *doctors.entry(doctor.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let share =
        |institution: &str, part: usize, of: usize| sums[institution][part] as f64 / sums[institution][of] as f64;
    for scheme in &schemes {
        let (place, pharmacy) = (scheme.institution.as_str(), scheme.institution.starts_with('P'));
        match scheme.kind {
            SchemeKind::InflatedQuantities => {
                // Packs of a detail are 1 to 3 at pharmacies, and 1 to 3 or 4 at clinics.
                let packs = share(place, 3, 4);
                assert!((2.0 * 1.08..2.6 * 1.2).contains(&packs) && (!pharmacy || packs < 2.4), "{scheme:?}: {packs}");
            }
            SchemeKind::AbsentPatients => {
                let own = scheme.doctor.as_ref().unwrap();
                let colleague = format!("{}1", &own[..own.len() - 1]);
                assert!(doctors[own] as f64 > 1.4 * doctors[&colleague] as f64, "{doctors:?}");
            }
            SchemeKind::NightCards => assert!(share(place, 2, 0) > 0.2, "{sums:?}"),
            SchemeKind::RoundAmounts => assert!((0.02..0.08).contains(&share(place, 1, 0)), "{scheme:?}: {sums:?}"),
        }
    }
}
