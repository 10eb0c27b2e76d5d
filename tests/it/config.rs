//! `fundwatch config`: what is loaded, what is refused, what is shown.

use crate::support::{fundwatch, succeed};
use std::fs;
use std::process::Output;

fn check(text: &str) -> Output {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("fundwatch.toml");
    fs::write(&path, text).expect("written");
    fundwatch().args(["config", "check", "--config"]).arg(&path).output().expect("it starts")
}

#[test]
fn the_printed_defaults_are_a_good_configuration() {
    let defaults = succeed(fundwatch().args(["config", "default"])).stdout;
    let output = check(std::str::from_utf8(&defaults).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // No broker is there, and none is asked for.
    assert_eq!(check("[source]\nkind = \"kafka\"\n").status.code(), Some(0));
}

#[test]
fn mistakes_are_all_told_with_their_places() {
    let output = check("[engine]\nlingr = \"2ms\"\n[source.kafka]\ntopic = [\"x\"]\n");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    for part in ["fundwatch.toml:2:1: ", "`engine.lingr`", "`linger`", "fundwatch.toml:4:1: ", "`topics`"] {
        assert!(words.contains(part), "{part} in: {words}");
    }
    let output = check("[source]\nkind = \"kafka\"\n[source.kafka.properties]\nfetch.mim.bytes = 1\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fetch.mim.bytes"), "librdkafka has the last word");
    let missing = fundwatch().args(["run", "--config", "/nowhere/fundwatch.toml"]).output().expect("it starts");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/fundwatch.toml"));
}

#[test]
fn what_is_in_force_is_shown_without_secrets() {
    let mut command = fundwatch();
    command.args(["config", "show"]);
    command.env("FUNDWATCH__SOURCE__KAFKA__PROPERTIES__SASL_PASSWORD", "hidden-1");
    command.env("FUNDWATCH__SINKS__WEBHOOK__SECRET", "hidden-2");
    command.env("FUNDWATCH__ENGINE__THREADS", "7");
    let shown = String::from_utf8(succeed(&mut command).stdout).expect("UTF-8");
    assert!(shown.contains("threads = 7"), "{shown}");
    assert!(shown.contains("\"sasl.password\" = \"****\"") && shown.contains("secret = \"****\""), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
}
