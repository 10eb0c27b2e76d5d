use super::*;
use crate::engine::moments::Trailing;
use crate::model::labels::Verdict;
use crate::model::random::Random;
use crate::record::value::DAY_SECONDS;

const DAYS: i64 = 40;

/// Five settlements a day at ten institutions each; those at institution 3 from day 10 on are frauds, and large ones anywhere.
fn world() -> (Vec<Moment>, Vec<Verdict>) {
    let mut random = Random::new(5, 0);
    let (mut moments, mut verdicts) = (Vec::new(), Vec::new());
    for number in 0..DAYS * 50 {
        let (day, institution) = (number / 50, number % 10);
        let time = Time((100 + day) * DAY_SECONDS + number % 50 * 1_000);
        let large = random.uniform() < 0.05;
        let fee = if large { 90_000 } else { 1_000 + (9_000.0 * random.uniform()) as i64 };
        let moment = Moment {
            settlement: format!("S{number}"),
            person: format!("P{}", number % 97),
            institution: format!("H{institution}"),
            time,
            fee,
            fund: fee,
            of_person: [Trailing::default(); 3],
            usual_fee: None,
            of_institution: [Trailing { count: 5, fee: 25_000, squares: 130_000_000 }; 3],
        };
        verdicts.push(Verdict {
            settlement: moment.settlement.clone(),
            person: moment.person.clone(),
            institution: moment.institution.clone(),
            time,
            confirmed: large || (institution == 3 && day >= 10),
            known: Time(time.0 + 7 * DAY_SECONDS),
        });
        moments.push(moment);
    }
    (moments, verdicts)
}

fn day(number: i64) -> Time {
    Time((100 + number) * DAY_SECONDS)
}

fn settings() -> Settings {
    Settings { trees: 40, rate: 0.2, depth: 3, ..Settings::default() }
}

fn learned(moments: &[Moment], labels: &Labels) -> Supervised {
    Supervised::learn(moments, labels, day(30), settings(), 1).expect("verdicts of both kinds")
}

#[test]
fn verdicts_teach_what_to_look_at() {
    let (moments, verdicts) = world();
    let labels = Labels::new(verdicts.clone());
    let learned = learned(&moments, &labels);
    // What was settled in the last week has no verdict yet.
    assert_eq!(learned.history.confirmed + learned.history.dismissed, 23 * 50);
    let later: Vec<usize> = (0..moments.len()).filter(|number| moments[*number].time >= day(30)).collect();
    let scores = learned.score(&moments, &labels);
    for number in later {
        let (score, confirmed) = (scores[number], verdicts[number].confirmed);
        assert!((score > 0.5) == confirmed, "{score} of {:?}", moments[number]);
    }
    let at = |institution: &str| {
        moments.iter().find(|one| one.time >= day(30) && one.institution == institution && one.fee < 80_000)
    };
    let why = learned.explain(at("H3").expect("one of them"), &labels);
    assert!(why[0].feature.starts_with("institution_") && why[0].contribution > 1.0, "{:?}", why[0]);
}

#[test]
fn what_becomes_known_later_changes_nothing() {
    let (moments, verdicts) = world();
    let until = |known: Time| Labels::new(verdicts.iter().filter(|verdict| verdict.known < known).cloned());
    let (all, by_then) = (Labels::new(verdicts.clone()), until(day(30)));
    let bytes = |learned: &Supervised| serde_json::to_vec(learned).expect("numbers and texts");
    // Learning: later settlements and later verdicts are not seen.
    let before: Vec<Moment> = moments.iter().filter(|moment| moment.time < day(30)).cloned().collect();
    let learned = learned(&moments, &all);
    assert!(bytes(&learned) == bytes(&Supervised::learn(&before, &by_then, day(30), settings(), 1).expect("enough")));
    // Scoring: what is known on the 33rd day does not change a score of the 32nd; what was known on the 31st does.
    let of_day = |number: i64| {
        let there = |moment: &&Moment| (day(number)..day(number + 1)).contains(&moment.time);
        moments.iter().filter(there).cloned().collect::<Vec<Moment>>()
    };
    let scores = |labels: &Labels| learned.score(&of_day(32), labels);
    assert_eq!(scores(&all), scores(&until(day(33))));
    assert_ne!(scores(&all), scores(&until(day(20))));
}

#[test]
fn it_comes_back_as_it_was_and_only_to_its_features() {
    let (moments, verdicts) = world();
    let labels = Labels::new(verdicts);
    let (folder, learned) = (tempfile::tempdir().expect("a folder"), learned(&moments, &labels));
    let path = folder.path().join("supervised.json");
    learned.write(&path).expect("there is room");
    let back = Supervised::read(&path).expect("it was written a moment ago");
    assert_eq!((back.version(), back.history.clone()), (learned.version(), learned.history.clone()));
    assert_eq!(back.score(&moments, &labels), learned.score(&moments, &labels));
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, text.replace(&fingerprint(), "0")).expect("there is room");
    let words = Supervised::read(&path).err().expect("other features").to_string();
    assert!(words.ends_with("train it again"), "{words}");
    fs::write(&path, "{}").expect("there is room");
    assert!(matches!(Supervised::read(&path), Err(TrainedError::Form { .. })));
}

#[test]
fn too_few_verdicts_are_said() {
    let (moments, verdicts) = world();
    let labels = Labels::new(verdicts);
    let error = Supervised::learn(&moments, &labels, day(8), settings(), 1).err().expect("too few");
    let SupervisedError::TooLittle { confirmed, dismissed, .. } = &error else { panic!("{error}") };
    assert!(*confirmed < 20 && confirmed + dismissed == 50, "{error}");
}
