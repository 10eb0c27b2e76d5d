//! The program is killed again and again, at every durable step and at random times, between topics of a real Kafka.
//! In the end the alerts are those of an undisturbed run, and each revision is in the topic once.
//!
//! `FUNDWATCH_KILLS=1000` asks for more; `FUNDWATCH_SEED` for other times and places.

use crate::kafka::Setup;
use crate::support::kafka::Broker;
use crate::support::{Backtest, City, assert_once, assert_same, counted, number};
use crate::worlds::Dice;
use fundwatch::fault::POINTS;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn whenever_it_is_killed_every_alert_comes_once() {
    let (kills, seed) = (number("FUNDWATCH_KILLS", 24), number("FUNDWATCH_SEED", 1));
    let mut dice = Dice::new(seed);
    let city = City::simulate(2_000, 15, 3);
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    assert!(expected.len() > 20, "{}", expected.len());
    let setup = Setup::new(Broker::shared(), 3, Some(&city.registry()));
    let file = setup.names.dir.path().join("alerts.jsonl");
    let config = fs::read_to_string(setup.config()).expect("a configuration");
    let config = config.replace(
        "[sinks.kafka]",
        &format!("[sinks.file]\nenabled = true\npath = \"{}\"\n[sinks.kafka]", file.display()),
    );
    // A member of a name of its own is known again at once.
    let config = config.replace("\"session.timeout.ms\" = \"6000\"", "\"group.instance.id\" = \"one\"");
    let config = config.replace("[engine]", "[engine]\nbatch_messages = 40");
    let config = format!("{config}\ninterval = \"100ms\"\n");
    fs::write(setup.config(), config).expect("there is room");
    let records = fs::read(city.records()).expect("records");
    let lines: Vec<&[u8]> = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut parts = lines.chunks(lines.len().div_ceil(kills as usize));
    for kill in 0..kills {
        setup.send(parts.next().unwrap_or(&[]));
        let point = POINTS[dice.below(POINTS.len())];
        let place = format!("{point}:{}", 1 + dice.below(4));
        // Not every place is passed in every run: then it ends at a random time.
        let variable = if dice.chance(70) { place.as_str() } else { "nowhere:1" };
        let mut running = setup.run_with_environment(&[("FUNDWATCH_DIE_AT", variable)]);
        let until = Instant::now() + Duration::from_millis(400 + dice.below(1_600) as u64);
        let mut ended = None;
        while ended.is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
            ended = running.child.try_wait().expect("it is ours");
        }
        if let Some(ended) = ended {
            assert!(ended.code().is_none(), "kill {kill} at {variable}, seed {seed}: {ended}\n{}", running.words());
        }
    }
    parts.for_each(|part| setup.send(part));
    let running = setup.run();
    setup.wait_for_commit(i64::try_from(lines.len()).expect("not so many"));
    running.terminate_in_order();
    assert_same(&setup.open_alerts(), &expected);
    let messages = setup.broker.kcat_consume_all(&setup.names.alerts);
    let alerts = |text: &str| serde_json::from_str::<Value>(text).expect("an alert");
    let told = messages.iter().map(|message| format!("{} {} {}", message.partition, message.offset, message.text()));
    fs::write(setup.names.dir.path().join("topic"), told.collect::<Vec<_>>().join("\n")).expect("there is room");
    let topic = counted(messages.iter().map(|message| alerts(message.text())));
    assert_once(&topic, "topic");
    let lines = fs::read_to_string(&file).expect("a file");
    let in_file = counted(lines.lines().map(alerts));
    assert_once(&in_file, "file");
    assert_eq!(topic, in_file, "topic and file");
    let store = Connection::open(setup.names.dir.path().join("alerts.sqlite")).expect("a store");
    let mut statement =
        store.prepare("SELECT body FROM revisions JOIN alerts USING (alert_id) WHERE NOT shadow").expect("its tables");
    let bodies = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let in_store = counted(bodies.map(|body| alerts(&body.expect("a body"))));
    assert_eq!(topic, in_store, "topic and store");
}
