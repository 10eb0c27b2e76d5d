//! The alert store, reading side: lists, single alerts with their history, counts, and what is known at a
//! restart.

use super::SinkError;
use super::sqlite::{self, SqliteSink};
use crate::alert::{Alert, AlertStatus, stored};
use crate::record::Time;
use crate::rules::rule::Severity;
use parking_lot::Mutex;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Connections that are kept open between reads.
const SPARE_READERS: usize = 4;

/// The alert store; cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// `None`: in memory.
    path: Option<PathBuf>,
    /// The connection of the sink; of a store in memory the only one.
    writer: Arc<Mutex<Connection>>,
    spare: Mutex<Vec<Connection>>,
}

/// Which alerts a list shows; all conditions must hold, and an empty list or `None` is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Rule ids.
    pub rules: Vec<String>,
    /// Status.
    pub status: Option<AlertStatus>,
    /// Severities.
    pub severities: Vec<Severity>,
    /// `psn_no`.
    pub person: Option<String>,
    /// `fixmedins_code`.
    pub institution: Option<String>,
    /// The least `event_time`, inclusive.
    pub since: Option<Time>,
    /// The end of `event_time`, exclusive.
    pub until: Option<Time>,
    /// The least amount at issue, in fen.
    pub min_amount: Option<i64>,
    /// A text in names, messages or ids, the evidence's too; ASCII letters match in either case.
    pub text: Option<String>,
    /// Alerts of rules in shadow.
    pub shadow: Shadow,
}

/// Whether alerts of rules in shadow are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shadow {
    /// Only those of live rules.
    #[default]
    Hide,
    /// Only those.
    Only,
    /// All.
    Include,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The JSON of the alerts' last revisions, newest alert first.
    pub alerts: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// An alert with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The JSON of all its revisions, oldest first; the last one is current.
    pub revisions: Vec<String>,
    /// Whether its rule runs in shadow.
    pub shadow: bool,
}

/// How many alerts are alike in these respects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The rule.
    pub rule_id: String,
    /// The status.
    pub status: AlertStatus,
    /// The severity.
    pub severity: Severity,
    /// Whether the rule runs in shadow.
    pub shadow: bool,
    /// So many alerts.
    pub alerts: u64,
    /// Their amounts at issue, in fen.
    pub amount: i64,
}

/// What the store knows of an alert, for a restart. The engine finds everything again from the records: a finding
/// like the known one is sent again, as the same revision, only where it was stored and not delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its last revision.
    pub alert: Alert,
    /// Whether all required sinks have that.
    pub delivered: bool,
}

impl Store {
    /// Opens a store, and makes it where there is none. `None`: in memory, gone with the process.
    ///
    /// # Errors
    /// The file cannot be opened, or is something else.
    pub fn open(path: Option<&Path>) -> Result<Self, SinkError> {
        let writer = sqlite::open(path)?;
        let path = path.map(Path::to_owned);
        Ok(Self(Arc::new(Inner { path, writer: Arc::new(Mutex::new(writer)), spare: Mutex::default() })))
    }

    /// The sink that fills it.
    pub fn sink(&self) -> SqliteSink {
        SqliteSink::new(self)
    }

    pub(super) fn writer(&self) -> (PathBuf, Arc<Mutex<Connection>>) {
        (self.shown_path(), self.0.writer.clone())
    }

    fn shown_path(&self) -> PathBuf {
        self.0.path.clone().unwrap_or_else(|| PathBuf::from(":memory:"))
    }

    /// Reads with a connection of its own, so that the writer is not held up; in memory there is only one.
    fn read<R>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, SinkError> {
        let outcome = match &self.0.path {
            None => read(&self.0.writer.lock()),
            Some(path) => {
                let spare = self.0.spare.lock().pop();
                let connection = spare.map_or_else(|| open_reader(path), Ok);
                connection.and_then(|connection| {
                    let outcome = read(&connection);
                    let mut spare = self.0.spare.lock();
                    if outcome.is_ok() && spare.len() < SPARE_READERS {
                        spare.push(connection);
                    }
                    outcome
                })
            }
        };
        outcome.map_err(|source| SinkError::Store { action: "read", path: self.shown_path(), source })
    }

    /// A page of alerts, newest first: in the order of their first revisions, which does not change when one
    /// is revised while someone pages. `before` is the `next` of the page before.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self, filter: &Filter, before: Option<i64>, limit: usize) -> Result<Page, SinkError> {
        let (conditions, mut values) = conditions(filter, before);
        // One more than asked for shows whether there is a next page.
        values.push(Value::Integer(limit as i64 + 1));
        let words = if filter.text.is_some() { "JOIN words ON words.alert_id = alerts.alert_id" } else { "" };
        let sql = format!(
            "SELECT alerts.number, revisions.body FROM alerts \
             JOIN revisions ON revisions.id = alerts.current {words} \
             WHERE {conditions} ORDER BY alerts.number DESC LIMIT ?"
        );
        let mut rows = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
            statement.query_map(params_from_iter(values), row)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().map(|(number, _)| *number).filter(|_| more);
        Ok(Page { alerts: rows.into_iter().map(|(_, body)| body).collect(), next })
    }

    /// An alert with all its revisions; `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get(&self, alert_id: &str) -> Result<Option<History>, SinkError> {
        self.read(|connection| {
            let shadow = connection
                .prepare_cached("SELECT shadow FROM alerts WHERE alert_id = ?1")?
                .query_row([alert_id], |row| row.get::<_, bool>(0))
                .optional()?;
            let Some(shadow) = shadow else {
                return Ok(None);
            };
            let revisions = connection
                .prepare_cached("SELECT body FROM revisions WHERE alert_id = ?1 ORDER BY revision")?
                .query_map([alert_id], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            Ok(Some(History { revisions, shadow }))
        })
    }

    /// Counts by rule, status, severity and shadow, in that order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn counts(&self) -> Result<Vec<Count>, SinkError> {
        const SQL: &str = "
            SELECT rule_id, status, severity, shadow, count(*), coalesce(sum(amount), 0) FROM alerts
            GROUP BY rule_id, status, severity, shadow ORDER BY rule_id, status, severity, shadow";
        self.read(|connection| {
            let row = |row: &Row<'_>| {
                Ok(Count {
                    rule_id: row.get(0)?,
                    status: status(row, 1)?,
                    severity: severity(row, 2)?,
                    shadow: row.get(3)?,
                    alerts: row.get::<_, i64>(4)? as u64,
                    amount: row.get(5)?,
                })
            };
            connection.prepare_cached(SQL)?.query_map([], row)?.collect()
        })
    }

    /// Adds alerts that another place has kept, where they are newer than what is known. They count as delivered.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn import(&self, alerts: &[Alert]) -> Result<(), SinkError> {
        let (path, connection) = self.writer();
        let imported = sqlite::import(&mut connection.lock(), alerts);
        imported.map_err(|source| SinkError::Store { action: "write", path, source })
    }

    /// Shows every alert that is known, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn known(&self, mut show: impl FnMut(Known)) -> Result<(), SinkError> {
        const SQL: &str = "
            SELECT body, shadow, current <= delivered FROM alerts JOIN revisions ON revisions.id = current, progress
            ORDER BY number";
        self.read(|connection| {
            let mut statement = connection.prepare(SQL)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let alert = stored::alert(row.get_ref(0)?.as_str()?, row.get(1)?);
                show(Known { alert: alert.map_err(|error| unreadable(0, error))?, delivered: row.get(2)? });
            }
            Ok(())
        })
    }
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

/// The conditions of a list as SQL, with the values of its parameters.
fn conditions(filter: &Filter, before: Option<i64>) -> (String, Vec<Value>) {
    let mut conditions = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut add = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(condition.to_owned());
            values.push(value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    add("alerts.number < ?", before.map(Value::Integer));
    add("alerts.psn_no = ?", text(&filter.person));
    add("alerts.fixmedins_code = ?", text(&filter.institution));
    add("alerts.status = ?", filter.status.map(|status| Value::Text(status.word().to_owned())));
    add("alerts.event_time >= ?", filter.since.map(|time| Value::Integer(time.0)));
    add("alerts.event_time < ?", filter.until.map(|time| Value::Integer(time.0)));
    add("alerts.amount >= ?", filter.min_amount.map(Value::Integer));
    let pattern = filter.text.as_deref().map(|text| {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        Value::Text(format!("%{escaped}%"))
    });
    add("words.words LIKE ? ESCAPE '\\'", pattern);
    let severities: Vec<_> = filter.severities.iter().map(|severity| severity.word().to_owned()).collect();
    for (column, choices) in [("rule_id", &filter.rules), ("severity", &severities)] {
        if !choices.is_empty() {
            let marks = vec!["?"; choices.len()].join(", ");
            conditions.push(format!("alerts.{column} IN ({marks})"));
            values.extend(choices.iter().cloned().map(Value::Text));
        }
    }
    match filter.shadow {
        Shadow::Hide => conditions.push("NOT alerts.shadow".to_owned()),
        Shadow::Only => conditions.push("alerts.shadow".to_owned()),
        Shadow::Include => {}
    }
    (conditions.join(" AND "), values)
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// A word in the store that means nothing to this version.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not known")]
struct UnknownWord(String);

fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<AlertStatus> {
    let word: String = row.get(column)?;
    let known = [AlertStatus::Open, AlertStatus::Withdrawn].into_iter().find(|status| status.word() == word);
    known.ok_or_else(|| unreadable(column, UnknownWord(word)))
}

fn severity(row: &Row<'_>, column: usize) -> rusqlite::Result<Severity> {
    let word: String = row.get(column)?;
    let known = Severity::ALL.into_iter().find(|severity| severity.word() == word);
    known.ok_or_else(|| unreadable(column, UnknownWord(word)))
}
