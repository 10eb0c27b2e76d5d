use super::load::{Layers, Mistake, nearest};
use super::value::{Bytes, Retention};
use super::*;

fn mistakes(text: &str) -> Vec<Mistake> {
    Layers::new().file("f.toml", text).resolve().expect_err(text).0
}

fn variables(pairs: &[(&str, &str)]) -> Layers {
    Layers::new().environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn the_default_file_holds_every_key_and_says_what_the_types_say() {
    let config = Config::default();
    assert_eq!(config.source.kind, SourceKind::Simulator);
    assert_eq!(config.engine.linger, Duration::from_millis(2));
    assert_eq!(config.engine.batch_bytes, Bytes(8 << 20));
    assert_eq!(config.engine.retention, Retention(Some(400)));
    assert_eq!(config.rules.dir, None);
    assert!(config.http.listen.starts_with("127.0.0.1:"), "nothing listens to the world unasked");
    assert!(config.dead_letters.properties.0.is_empty());
    // What is shown can be read again, and is the same.
    let shown = toml::to_string(&config).expect("TOML");
    let again = Layers::new().file("shown", shown).resolve().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(again, config);
}

#[test]
fn a_file_changes_what_it_names() {
    let text = "
        [engine]
        retention = \"unlimited\"
        linger = \"1s\"
        [source]
        kind = \"kafka\"
        kafka.topics = [\"a\", \"b\"]
        [source.kafka.properties]
        \"sasl.username\" = \"u\"
        fetch.min.bytes = 3
        [source.simulator]
        rate = 5
        [rules]
        dir = \"my-rules\"
    ";
    let config = Layers::new().file("f.toml", text).resolve().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.engine.retention, Retention(None));
    assert_eq!(config.source.kafka.topics, ["a", "b"]);
    assert_eq!(config.source.kafka.group, "fundwatch");
    assert_eq!(config.source.kafka.properties.get("sasl.username"), Some("u"));
    assert_eq!(config.source.kafka.properties.get("fetch.min.bytes"), Some("3"));
    assert_eq!(config.source.simulator.rate, 5.0, "a whole number is a number");
    assert_eq!(config.rules.dir.as_deref(), Some(std::path::Path::new("my-rules")));
}

#[test]
fn the_environment_has_the_last_word() {
    let layers = variables(&[
        ("FUNDWATCH__ENGINE__THREADS", "3"),
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__SOURCE__KAFKA__TOPICS", "x,y"),
        ("FUNDWATCH__SOURCE__SIMULATOR__RATE", "2.5"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SOURCE__KAFKA__PROPERTIES__SASL_PASSWORD", "a \"quoted\" one"),
        ("FUNDWATCH_CACHE", "elsewhere"),
        ("PATH", "/bin"),
    ]);
    let config = layers.resolve().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!((config.engine.threads, config.source.kind), (3, SourceKind::Stdin));
    assert_eq!(config.source.kafka.topics, ["x", "y"]);
    assert_eq!(config.source.simulator.rate, 2.5);
    assert!(!config.sinks.terminal.enabled);
    assert_eq!(config.source.kafka.properties.get("sasl.password"), Some("a \"quoted\" one"));
    let file = Layers::new().file("f.toml", "[engine]\nthreads = 1");
    let both = file.environment([("FUNDWATCH__ENGINE__THREADS".to_owned(), "2".to_owned())]).resolve();
    assert_eq!(both.expect("good").engine.threads, 2);
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let text = "[engine]\nlingr = \"2ms\"\nthreads = \"two\"\n\n[sink.terminal]\nenabled = true\n[http]\nthreads = 2\n";
    let found: Vec<(String, String, String)> = mistakes(text)
        .into_iter()
        .map(|mistake| (mistake.place, mistake.message, mistake.hint.unwrap_or_default()))
        .collect();
    let expected = [
        ("f.toml:2:1", "unknown key `engine.lingr`", "did you mean `linger`?"),
        ("f.toml:3:11", "`engine.threads` must be a whole number, not a text", "the default is 0"),
        ("f.toml:5:2", "unknown key `sink`", "did you mean `sinks`?"),
        ("f.toml:8:1", "unknown key `http.threads`", "`threads` belongs in [engine]"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str()), expected);
    }
}

#[test]
fn values_that_cannot_be_are_named_with_their_place() {
    for (text, place, says) in [
        ("[engine]\nlinger = \"2 parsecs\"", "f.toml:2:10", "`engine.linger`: `2 parsecs` is no duration"),
        ("[source]\nkind = \"kafak\"", "f.toml:2:8", "unknown variant `kafak`"),
        ("[engine]\nbatch_bytes = \"4 elephants\"", "f.toml:2:15", "is no size"),
        ("[engine]\nthreads = -1", "f.toml:2:11", "`engine.threads`"),
        ("engine = 5", "f.toml:1:10", "`engine` is a section"),
        ("[engine]\nthreads = {}", "f.toml:2:1", "is one value, not a section"),
        ("[engine\n", "f.toml:1:", ""),
        ("[source.kafka]\ntopics = [1]", "f.toml:2:10", "`source.kafka.topics`"),
        ("[source.kafka.properties]\na = [1]", "f.toml:2:5", "must be a text"),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].place.starts_with(place), "{text}: {found:?}");
        assert!(found[0].message.contains(says), "{text}: {found:?}");
    }
    let wrong = variables(&[("FUNDWATCH__ENGINE__THREADS", "many"), ("FUNDWATCH__ENGINE__THREDS", "1")]);
    let found = wrong.resolve().expect_err("both wrong").0;
    assert_eq!(found[0].place, "FUNDWATCH__ENGINE__THREADS");
    assert_eq!(found[1].hint.as_deref(), Some("did you mean `threads`?"));
}

#[test]
fn secrets_are_masked_wherever_the_configuration_is_shown() {
    let text = "
        [sinks.webhook]
        url = \"https://user:hidden-1@host/hook?token=hidden-2\"
        secret = \"hidden-3\"
        [source.kafka.properties]
        sasl.password = \"hidden-4\"
        ssl.key.password = \"hidden-5\"
    ";
    let config = Layers::new().file("f.toml", text).resolve().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let shown = format!("{}{config:?}", toml::to_string(&config).expect("TOML"));
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("https://****@host/hook?****"));
    assert_eq!(config.sinks.webhook.secret.reveal(), "hidden-3");
    // A mistake beside a secret does not show it either.
    let found = mistakes("[source.kafka.properties]\nsession.timeout.ms = \"soon\"\nsasl.pasword = \"hidden-6\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(!format!("{found:?}").contains("hidden"), "{found:?}");
}

#[test]
fn only_like_names_are_suggested() {
    let names = ["threads", "linger", "dir"];
    assert_eq!(nearest("thread", names), Some("threads"));
    assert_eq!(nearest("dri", names), Some("dir"));
    assert_eq!(nearest("colour", names), None);
}
