use super::*;
use crate::engine::observe::Traits;
use crate::model::budget::Decision;
use crate::model::file::Model;
use crate::model::random::Random;
use crate::model::trained::{Judgement, Trained, TrainedError};
use ndarray::Array2;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const MODEL: &str = r#"
    id = "T-1"
    name = { zh = "一", en = "one" }
    entity = "doctor"
    window = "week"
    [features]
    share = "night / settlements"
    mean = "fund / visits"
    [budget]
    q = 0.2
    per_group = 1
"#;

/// Weeks in which nobody is strange, and all that there is a verdict on.
const CALM: i32 = 8;
const WEEKS: i32 = 18;
const DOCTORS: i32 = 60;

fn model() -> Model {
    Model::parse(MODEL, Path::new("model.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// A Monday.
fn start(week: i32) -> Day {
    Day(20_458 + 7 * week)
}

/// When a week and its grace are over.
fn over(week: i32) -> Time {
    Day(start(week + 1).0 + 1).start()
}

fn row(week: i32, doctor: i32, mean: f64, random: &mut Random) -> FeatureRow {
    let institution = format!("H{:02}", doctor / 5);
    FeatureRow {
        entity: format!("{institution}/D{}", doctor % 5),
        start: start(week),
        institution: Some(institution),
        traits: Traits::default(),
        at_stake: 100_000,
        values: vec![0.1 + 0.02 * random.normal(), mean * (1.0 + 0.1 * random.normal())],
    }
}

fn labels(rows: &str) -> WindowLabels {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), format!("entity,window_start,outcome,known_at\n{rows}")).expect("there is room");
    WindowLabels::read(file.path()).unwrap_or_else(|error| panic!("{error}"))
}

/// Five doctors of an institution each. After the calm weeks one of them bills strangely each week at the first eight institutions.
/// Eleven days after a week it is known that this was fraud at the first four, and none at the others.
fn world() -> (Vec<FeatureRow>, WindowLabels) {
    let mut random = Random::new(5, 0);
    let (mut rows, mut cases) = (Vec::new(), String::new());
    for week in 0..WEEKS {
        for doctor in 0..DOCTORS {
            let strange = week >= CALM && doctor < 40 && doctor % 5 == week % 5;
            let row = row(week, doctor, if strange { 600.0 } else { 90.0 }, &mut random);
            if strange {
                let outcome = if doctor < 20 { "confirmed" } else { "dismissed" };
                let known = Day(start(week + 1).0 + 10);
                writeln!(cases, "{},{},{outcome},{known}", row.entity, row.start).expect("a text has room");
            }
            rows.push(row);
        }
    }
    (rows, labels(&cases))
}

/// The detector knows the calm weeks alone.
fn unlabelled(rows: &[FeatureRow]) -> Trained {
    Trained::learn(&model(), Path::new(""), &rows[..(CALM * DOCTORS) as usize], 1).expect("enough rows")
}

/// The week after all others: two doctors are equally strange, one where frauds were confirmed, who costs half as much, and one
/// where none was.
fn next_week() -> Vec<FeatureRow> {
    let mut random = Random::new(6, 0);
    let mut rows: Vec<FeatureRow> = (0..DOCTORS).map(|doctor| row(WEEKS, doctor, 90.0, &mut random)).collect();
    rows.iter_mut().for_each(|row| row.values = vec![0.1, 90.0]);
    for (doctor, fund) in [(7, 100_000), (27, 200_000)] {
        (rows[doctor].values, rows[doctor].at_stake) = (vec![0.1, 600.0], fund);
    }
    rows
}

#[test]
fn verdicts_change_who_is_told_of() {
    let (rows, labels) = world();
    let (before, week) = (unlabelled(&rows), next_week());
    let after = before.clone().learn_verdicts(&rows, &labels, over(WEEKS)).expect("verdicts of both kinds");
    let confirmation = after.confirmation().expect("it was learned a moment ago");
    assert_eq!((confirmation.confirmed, confirmation.dismissed), (36, 36), "of the last week none is known yet");
    let judge = |trained: &Trained| trained.judge(&week).expect("its features");
    let (before, after) = (judge(&before), judge(&after));
    let decisions = |judged: &[Judgement]| [7, 27].map(|doctor: usize| judged[doctor].verdict.decision);
    assert_eq!(decisions(&before), [Decision::Cut, Decision::Raised]);
    assert_eq!(decisions(&after), [Decision::Raised, Decision::Cut]);
    for ((row, before), after) in week.iter().zip(&before).zip(&after) {
        let probability = after.confirmation.expect("verdicts were learned from");
        assert_eq!(after.verdict.expected_loss, (row.at_stake as f64 * probability).round() as i64);
        // Who is strange is not for verdicts to say.
        assert_eq!((before.score, before.p, before.verdict.q), (after.score, after.p, after.verdict.q));
        assert_eq!(before.verdict.decision == Decision::Usual, after.verdict.decision == Decision::Usual);
        assert_eq!(before.confirmation, None);
    }
    let [crooked, honest] = [7, 27].map(|doctor: usize| after[doctor].confirmation.expect("as above"));
    assert!(crooked > 0.8 && honest < 0.2, "{crooked} {honest}");
}

#[test]
fn what_becomes_known_later_changes_nothing() {
    let (rows, labels) = world();
    let trained = unlabelled(&rows);
    let bytes = |rows: &[FeatureRow], labels: &WindowLabels, at: Time| {
        let learned = trained.clone().learn_verdicts(rows, labels, at).expect("verdicts of both kinds");
        serde_json::to_string(&learned).expect("numbers and texts")
    };
    // Learning: later weeks and later verdicts are not seen.
    let at = over(15);
    let all = bytes(&rows, &labels, at);
    assert!(all == bytes(&rows[..(16 * DOCTORS) as usize], &labels.known_before(at), at));
    // That would be seen.
    assert!(all != bytes(&rows, &labels, over(14)));
    // A row: what is known once its window is over, and nothing later.
    let (file, names) = (model().file, vec!["share".to_owned(), "mean".to_owned()]);
    let table = Table::new(names, Array2::zeros((rows.len(), 2))).expect("a value for each name");
    let scores = vec![1.0; rows.len()];
    let number = (13 * DOCTORS + 3) as usize;
    let seen = |labels: &WindowLabels| {
        let input = input(Rows { file: &file, rows: &rows, table: &table, scores: &scores }, number, labels);
        input.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
    };
    assert_eq!(seen(&labels), seen(&labels.known_before(over(13))));
    assert_ne!(seen(&labels), seen(&labels.known_before(over(11))));
}

#[test]
fn the_same_comes_back_and_older_ones_are_read() {
    let (rows, labels) = world();
    let folder = tempfile::tempdir().expect("a folder");
    let (older, newer) = (folder.path().join("older"), folder.path().join("newer"));
    let plain = unlabelled(&rows);
    let learned = |seed: u64| {
        let calm = &rows[..(CALM * DOCTORS) as usize];
        let trained = Trained::learn(&model(), Path::new(""), calm, seed).expect("enough rows");
        trained.learn_verdicts(&rows, &labels, over(WEEKS)).expect("verdicts of both kinds")
    };
    let path = plain.write(&older).expect("there is room");
    assert!(
        !fs::read_to_string(path).expect("a file").contains("confirmation"),
        "as it was before there were verdicts"
    );
    assert_eq!(Trained::read(&older).expect("it was written a moment ago"), plain);
    let path = learned(1).write(&newer).expect("there is room");
    let back = Trained::read(&newer).expect("it was written a moment ago");
    assert_eq!((&back, back.version()), (&learned(1), learned(1).version()));
    assert_ne!(back, learned(2));
    assert_ne!(back.version(), plain.version());
    assert_eq!(back.judge(&next_week()).expect("its features"), learned(1).judge(&next_week()).expect("its features"));
    assert!(back.judge(&[]).expect("its features").is_empty());
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, text.replace(&fingerprint(), "0")).expect("there is room");
    assert!(matches!(Trained::read(&newer), Err(TrainedError::OtherFeatures { .. })));
}

#[test]
fn too_few_verdicts_or_none_that_differ_are_said() {
    let (rows, labels) = world();
    let error = unlabelled(&rows).learn_verdicts(&rows, &labels, over(13)).expect_err("too few").to_string();
    assert_eq!(
        error,
        "of the entities in windows of the history 16 were known as confirmed and 16 as dismissed by 2026-04-14 00:00:00, of \
         32 verdicts known by then; 20 of each are needed at least. A verdict names an entity and the first day of a window as \
         alerts do"
    );
    // Of one week, all alike, and no verdict known before.
    let mut same: Vec<FeatureRow> = rows[..50].to_vec();
    same.iter_mut().for_each(|row| row.values = vec![0.1, 90.0]);
    let outcome = |number: usize| if number.is_multiple_of(2) { "confirmed" } else { "dismissed" };
    let told = same.iter().enumerate();
    let told = told.map(|(number, row)| format!("{},{},{},2026-03-01\n", row.entity, row.start, outcome(number)));
    let labels = self::labels(&told.collect::<String>());
    let error = unlabelled(&rows).learn_verdicts(&same, &labels, over(WEEKS)).expect_err("nothing differs").to_string();
    assert_eq!(error, "nothing can be learned from the verdicts: the trees cannot be grown: no column varies");
}

#[test]
fn the_page_lists_every_feature() {
    let row = |(name, meaning, _): &Feature| format!("| `{name}` | {meaning} |\n");
    let table: String = FEATURES.iter().map(row).collect();
    assert!(include_str!("../../../docs/models.md").contains(&table), "docs/models.md should have:\n{table}");
}
