//! The alert store, writing side: current alerts and all their revisions in SQLite.
//!
//! One transaction takes everything that waits. The journal is a write-ahead log, so that readers never hold
//! up the writer, with `synchronous = FULL`: source offsets are committed as soon as a batch is acknowledged,
//! and `NORMAL` may lose the last transactions when the power fails, with no one to send them again.
//!
//! The store also notes which revisions all other required sinks have. After a restart the engine finds the
//! same findings again, and sends those once more that were stored but not noted: see [`super::store::Known`].

use super::store::Store;
use super::{Context, Sink, SinkError};
use crate::alert::{Alert, Finding};
use crate::fault;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Marks a SQLite file as an alert store ("FWAT").
const APPLICATION: i64 = 0x4657_4154;
/// The version of the tables below.
const SCHEMA_VERSION: i64 = 1;
/// How long a statement waits for another process's lock before it fails and is tried again.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// `alerts.number` is given at an alert's first revision and never changes: the stable order of lists.
/// `revisions.id` is the order of all revisions; `progress.delivered` the last one that all other sinks have.
/// Indexes end with the row's number by themselves, so that filtered lists come out in order.
const SCHEMA: &str = "
    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY,
        alert_id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        current INTEGER NOT NULL,
        status TEXT NOT NULL,
        rule_id TEXT NOT NULL,
        severity TEXT NOT NULL,
        shadow INTEGER NOT NULL,
        psn_no TEXT,
        fixmedins_code TEXT,
        amount INTEGER,
        event_time INTEGER NOT NULL,
        first_detected_at INTEGER NOT NULL,
        detected_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alerts_rule ON alerts (rule_id);
    CREATE INDEX alerts_person ON alerts (psn_no);
    CREATE INDEX alerts_institution ON alerts (fixmedins_code);
    CREATE TABLE words (alert_id TEXT PRIMARY KEY, words TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE revisions (
        id INTEGER PRIMARY KEY,
        alert_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        detected_at INTEGER NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (alert_id, revision)
    ) STRICT;
    CREATE TABLE progress (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        delivered INTEGER NOT NULL
    ) STRICT;
    INSERT INTO progress VALUES (1, 0);
";

/// A revision that is known already changes nothing: deliveries may be repeated.
const INSERT_REVISION: &str = "
    INSERT INTO revisions (alert_id, revision, detected_at, body) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";

const UPSERT_ALERT: &str = "
    INSERT INTO alerts (alert_id, revision, current, status, rule_id, severity, shadow, psn_no, fixmedins_code,
        amount, event_time, first_detected_at, detected_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)
    ON CONFLICT (alert_id) DO UPDATE SET
        revision = excluded.revision, current = excluded.current, status = excluded.status,
        severity = excluded.severity, shadow = excluded.shadow, psn_no = excluded.psn_no,
        fixmedins_code = excluded.fixmedins_code, amount = excluded.amount, event_time = excluded.event_time,
        detected_at = excluded.detected_at
    WHERE excluded.revision > alerts.revision";

const REPLACE_WORDS: &str = "INSERT OR REPLACE INTO words (alert_id, words) VALUES (?1, ?2)";

/// Opens a store for reading and writing, and makes it where there is none. `None`: in memory.
pub(super) fn open(path: Option<&Path>) -> Result<Connection, SinkError> {
    let shown = path.map_or_else(|| PathBuf::from(":memory:"), Path::to_owned);
    let fail = |action| {
        let path = shown.clone();
        move |source| SinkError::Store { action, path, source }
    };
    let mut connection = match path {
        Some(path) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|source| SinkError::File {
                    action: "make the folder of",
                    path: path.to_owned(),
                    source,
                })?;
            }
            Connection::open(path)
        }
        None => Connection::open_in_memory(),
    }
    .map_err(fail("open"))?;
    connection.busy_timeout(LOCK_PATIENCE).map_err(fail("open"))?;
    connection.set_prepared_statement_cache_capacity(32);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(fail("open"))?;
    let version = pragma("user_version").map_err(fail("open"))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail("open"))?;
    let foreign = |reason: String| Err(SinkError::ForeignStore { path: shown.clone(), reason });
    if tables > 0 && application != APPLICATION {
        return foreign("it is the database of another program".to_owned());
    }
    if version > SCHEMA_VERSION {
        return foreign(format!("its tables have version {version}, this program knows {SCHEMA_VERSION}"));
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fail("open"))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail("open"))?;
    if tables == 0 {
        let transaction = connection.transaction().map_err(fail("make"))?;
        transaction
            .execute_batch(SCHEMA)
            .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION))
            .and_then(|()| transaction.pragma_update(None, "user_version", SCHEMA_VERSION))
            .and_then(|()| transaction.commit())
            .map_err(fail("make"))?;
    }
    Ok(connection)
}

/// Whether an error may pass by itself.
pub(super) fn passing(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure};
    matches!(
        error.sqlite_error_code(),
        Some(CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | ReadOnly | SystemIoFailure)
    )
}

/// The sink before the store.
pub struct SqliteSink {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
    /// Alerts that are not stored yet, with their JSON.
    waiting: Vec<(Alert, String)>,
    /// By the sequence number of each flush whose alerts other sinks may still lack: the last revision's id.
    undelivered: VecDeque<(u64, i64)>,
    /// What `progress.delivered` says.
    delivered: i64,
}

impl SqliteSink {
    pub(super) fn new(store: &Store) -> Self {
        let (path, connection) = store.writer();
        Self { path, connection, waiting: Vec::new(), undelivered: VecDeque::new(), delivered: 0 }
    }

    /// The last revision's id that all others have by now.
    fn delivered_elsewhere(&self, context: &Context) -> Option<i64> {
        let elsewhere = context.done_elsewhere();
        let done = self.undelivered.iter().take_while(|(sequence, _)| *sequence <= elsewhere);
        done.last().map(|(_, id)| *id).filter(|id| *id > self.delivered)
    }

    fn note(&mut self, delivered: i64) {
        self.undelivered.retain(|(_, id)| *id > delivered);
        self.delivered = delivered;
    }

    fn error(&self, action: &'static str, source: rusqlite::Error) -> SinkError {
        SinkError::Store { action, path: self.path.clone(), source }
    }
}

/// Stores revisions; the id of the last one.
fn store(transaction: &Transaction<'_>, alerts: &[(Alert, String)]) -> rusqlite::Result<i64> {
    let mut insert_revision = transaction.prepare_cached(INSERT_REVISION)?;
    let mut upsert_alert = transaction.prepare_cached(UPSERT_ALERT)?;
    let mut replace_words = transaction.prepare_cached(REPLACE_WORDS)?;
    for (alert, body) in alerts {
        let id = alert.alert_id.to_string();
        let finding = &alert.finding;
        if insert_revision.execute(params![id, alert.revision, alert.detected_at.0, body])? == 0 {
            continue;
        }
        let current = transaction.last_insert_rowid();
        upsert_alert.execute(params![
            id,
            alert.revision,
            current,
            alert.status.word(),
            finding.rule_id,
            finding.severity.word(),
            alert.shadow,
            finding.psn_no,
            finding.fixmedins_code,
            finding.amount_at_issue,
            finding.event_time.0,
            alert.detected_at.0,
        ])?;
        replace_words.execute(params![id, words(finding)])?;
    }
    transaction.query_row("SELECT coalesce(max(id), 0) FROM revisions", [], |row| row.get(0))
}

/// Adds alerts that are newer than what is stored of them.
pub(super) fn import(connection: &mut Connection, alerts: &[Alert]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut known = transaction.prepare("SELECT revision FROM alerts WHERE alert_id = ?1")?;
        let mut newer = Vec::new();
        for alert in alerts {
            let revision: Option<u32> = known.query_row([alert.alert_id.to_string()], |row| row.get(0)).optional()?;
            if revision.is_none_or(|revision| revision < alert.revision)
                && let Ok(body) = serde_json::to_string(alert)
            {
                newer.push((alert.clone(), body));
            }
        }
        if !newer.is_empty() {
            let last = store(&transaction, &newer)?;
            set_delivered(&transaction, last)?;
        }
    }
    transaction.commit()
}

/// What a text search looks at: names, messages, and every id.
fn words(finding: &Finding) -> String {
    let optional = [&finding.psn_no, &finding.mdtrt_id, &finding.fixmedins_code, &finding.insuplc_admdvs];
    let fixed = [
        &*finding.rule_id,
        &finding.rule_name.zh,
        &finding.rule_name.en,
        &finding.message.zh,
        &finding.message.en,
        &finding.subject.id,
    ];
    let evidence = finding.evidence.iter().map(|evidence| evidence.id.as_str());
    let all = fixed.into_iter().chain(optional.into_iter().flatten().map(String::as_str)).chain(evidence);
    let mut words = String::new();
    for text in all {
        words.push_str(text);
        words.push('\n');
    }
    words
}

fn set_delivered(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE progress SET delivered = ?1")?.execute([id]).map(drop)
}

impl Sink<Alert> for SqliteSink {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn is_record(&self) -> bool {
        true
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        self.waiting.push((alert.clone(), serde_json::to_string(alert)?));
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        let connection = self.connection.clone();
        let mut connection = connection.lock();
        let stored = connection.transaction().and_then(|transaction| {
            let last = store(&transaction, &self.waiting)?;
            // With no one else to wait for, these are delivered in the same breath.
            let delivered = if context.done_elsewhere() >= context.sequence {
                Some(last)
            } else {
                self.delivered_elsewhere(context)
            };
            if let Some(id) = delivered {
                set_delivered(&transaction, id)?;
            }
            fault::point("store-written");
            transaction.commit()?;
            fault::point("store-committed");
            Ok((last, delivered))
        });
        let (last, delivered) = stored.map_err(|source| self.error("write", source))?;
        self.waiting.clear();
        self.undelivered.push_back((context.sequence, last));
        if let Some(id) = delivered {
            self.note(id);
        }
        Ok(())
    }

    fn idle(&mut self, context: &Context) -> Result<(), SinkError> {
        let Some(id) = self.delivered_elsewhere(context) else {
            return Ok(());
        };
        let written = set_delivered(&self.connection.lock(), id);
        written.map_err(|source| self.error("write", source))?;
        self.note(id);
        Ok(())
    }
}
