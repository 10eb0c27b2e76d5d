//! The sinks that a configuration asks for: the one list of them all.

use super::dead_letter::{self, DeadLetter};
use super::json_lines::{JsonLines, Rotation};
use super::kafka::KafkaTopic;
use super::live::{self, Live, LiveSender};
use super::store::Store;
use super::terminal::{Style, Terminal};
use super::webhook::{Webhook, WebhookSettings};
use super::{Sink, SinkError, SinkQueue};
use crate::alert::Alert;
use crate::config;
use crate::status::Board;
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
}

/// Sets all sinks up that are enabled. Files are opened, no broker or receiver is asked for anything yet.
///
/// # Errors
/// The first of them that cannot be set up.
pub fn alert_sinks(config: &config::Sinks, board: &Board) -> Result<AlertSinks, SinkError> {
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
        add(config.file.queue(), Box::new(JsonLines::open("file", &config.file.path, Some(rotation))?));
    }
    if config.kafka.enabled {
        let kafka = &config.kafka;
        let topic = KafkaTopic::new("kafka", &kafka.brokers, &kafka.topic, kafka.properties.reveal())?;
        add(kafka.queue(), Box::new(topic));
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
    let mut store = None;
    if config.sqlite.enabled {
        let opened = Store::open(config.sqlite.path.as_deref())?;
        add(config.sqlite.queue(), Box::new(opened.sink()));
        store = Some(opened);
    }
    Ok(AlertSinks { sinks, store, live })
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
