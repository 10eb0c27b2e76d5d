//! The sinks that a configuration asks for: the one list of them all.

use super::alertmanager::{Alertmanager, AlertmanagerSettings};
use super::dead_letter::{self, DeadLetter};
use super::json_lines::{JsonLines, Rotation};
use super::kafka::KafkaTopic;
use super::live::{self, Live, LiveSender};
use super::once::Once;
use super::store::Store;
use super::terminal::{Style, Terminal};
use super::webhook::{Webhook, WebhookSettings};
use super::{Sink, SinkError, SinkQueue};
use crate::alert::Alert;
use crate::config;
use crate::status::Board;
use std::collections::BTreeMap;
use std::io::IsTerminal;

/// Revisions that may wait for the event stream, which itself never waits.
const LIVE_QUEUE: usize = 10_000;

/// A sink with how it takes part.
pub type Started<T> = (Box<dyn Sink<T>>, SinkQueue);

/// Where alerts go.
pub struct AlertSinks {
    /// All of them, for [`super::Fanout::start`].
    pub sinks: Vec<Started<Alert>>,
    /// The store, if there is one: for the API and for what is known at a restart.
    pub store: Option<Store>,
    /// Where revisions are announced: for the event stream.
    pub live: LiveSender,
    /// What sinks that remember have beyond a checkpoint.
    pub recalled: Vec<Alert>,
}

/// What sinks must know where state is kept, to do everything once over restarts.
pub struct Memory<'a> {
    /// What tells this pipeline apart from all others.
    pub id: &'a str,
    /// [`Sink::mark`]s of a checkpoint, by the sinks' names.
    pub marks: &'a BTreeMap<String, String>,
}

/// Sets all sinks up that are enabled. With `memory`, those that can are asked what they have; else no broker or
/// receiver is asked for anything yet.
///
/// # Errors
/// The first of them that cannot be set up.
pub fn alert_sinks(
    config: &config::Sinks,
    board: &Board,
    memory: Option<&Memory<'_>>,
) -> Result<AlertSinks, SinkError> {
    let mut recalled: Vec<Alert> = Vec::new();
    let mark = |sink: &str| memory.and_then(|memory| memory.marks.get(sink)).map(String::as_str);
    let live = live::sender();
    let mut sinks: Vec<Started<Alert>> = Vec::new();
    let mut add = |queue: config::Queue, sink: Box<dyn Sink<Alert>>| {
        sinks.push((sink, SinkQueue { capacity: queue.capacity, required: queue.required }));
    };
    add(config::Queue { enabled: true, capacity: LIVE_QUEUE, required: false }, Box::new(Live(live.clone())));
    if config.terminal.enabled {
        add(config.terminal.queue(), Box::new(Terminal::standard(terminal_style(&config.terminal), board.clone())));
    }
    if config.file.enabled {
        let rotation = Rotation { bytes: config.file.rotate_bytes.0, keep: config.file.keep };
        let file = JsonLines::open("file", &config.file.path, Some(rotation))?;
        let has = if memory.is_some() { file.recall(mark("file"))? } else { Vec::new() };
        add(config.file.queue(), Box::new(Once::new(file, &has)));
        recalled.extend(has);
    }
    if config.kafka.enabled {
        let kafka = &config.kafka;
        let mut topic = KafkaTopic::new("kafka", &kafka.brokers, &kafka.topic, kafka.properties.reveal())?;
        let has = match memory {
            Some(memory) => topic.recall(memory.id, mark("kafka"))?,
            None => Vec::new(),
        };
        add(kafka.queue(), Box::new(Once::new(topic, &has)));
        recalled.extend(has);
    }
    if config.webhook.enabled {
        let webhook = &config.webhook;
        let settings = WebhookSettings {
            url: webhook.url.reveal().to_owned(),
            secret: (!webhook.secret.is_empty()).then(|| webhook.secret.reveal().to_owned()),
            timeout: webhook.timeout,
            retries: webhook.retries,
            max_backoff: webhook.max_backoff,
            dead_letter_path: webhook.dead_letter_path.clone(),
        };
        add(webhook.queue(), Box::new(Webhook::new(settings)?));
    }
    if config.alertmanager.enabled {
        let alertmanager = &config.alertmanager;
        let settings = AlertmanagerSettings {
            url: alertmanager.url.reveal().to_owned(),
            min_severity: alertmanager.min_severity,
            resend_interval: alertmanager.resend_interval,
            limit: alertmanager.limit,
            timeout: alertmanager.timeout,
            max_backoff: alertmanager.max_backoff,
            link: (!alertmanager.link.is_empty()).then(|| alertmanager.link.clone()),
        };
        add(alertmanager.queue(), Box::new(Alertmanager::new(settings)?));
    }
    let mut store = None;
    if config.sqlite.enabled {
        let opened = Store::open(config.sqlite.path.as_deref())?;
        add(config.sqlite.queue(), Box::new(opened.sink()));
        store = Some(opened);
    }
    Ok(AlertSinks { sinks, store, live, recalled })
}

/// Sets a sink of dead letters up, under the name that metrics show. Input counts as done only when its letters are
/// written.
///
/// # Errors
/// It cannot be set up.
pub fn letter_sink(name: &'static str, config: config::Letters<'_>) -> Result<Started<DeadLetter>, SinkError> {
    let sink: Box<dyn Sink<DeadLetter>> = match config.kind {
        config::LetterKind::File => {
            let rotation = Rotation { bytes: config.rotate_bytes.0, keep: config.keep };
            Box::new(dead_letter::file(name, config.path, rotation)?)
        }
        config::LetterKind::Kafka => {
            Box::new(KafkaTopic::new(name, config.brokers, config.topic, config.properties.reveal())?)
        }
    };
    Ok((sink, SinkQueue { capacity: config.queue, required: true }))
}

fn terminal_style(config: &config::TerminalSink) -> Style {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let color = match config.color {
        config::Color::Auto => std::io::stdout().is_terminal() && set("NO_COLOR").is_none(),
        config::Color::Always => true,
        config::Color::Never => false,
    };
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
    let chinese = locale.is_some_and(|locale| locale.to_string_lossy().starts_with("zh"));
    Style { color, json: config.format == config::TerminalFormat::Json, chinese }
}
