//! What goes wrong around the running program: records that come late or from the future, floods of bad ones, clocks
//! that are set, sinks that do not deliver, and signals in the middle of it.

mod clock;
mod poison;
mod records;
mod signals;
mod sinks;

use crate::support::running::{LIMIT, Running};
use crate::support::wait_until;

/// A settlement above the limit of VIS-04: taken, it is an alert.
pub fn settlement(id: &str, time: &str, details: &str) -> String {
    format!(
        r#"{{"type":"settlement","setl_id":"{id}","mdtrt_id":"V{id}","psn_no":"P{id}","fixmedins_code":"H1","med_type":"41","insutype":"310","setl_time":"{time}","medfee_sumamt":9000.00,"fund_pay_sumamt":1000.00{details}}}"#
    )
}

/// Every record a batch of its own, so that time moves between them; a month is retained.
pub const ONE_BY_ONE: [(&str, &str); 5] = [
    ("FUNDWATCH__SOURCE__KIND", "stdin"),
    ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "1"),
    ("FUNDWATCH__ENGINE__RETENTION", "30d"),
    ("FUNDWATCH__DEAD_LETTERS__PATH", "dead.jsonl"),
    ("FUNDWATCH__SINKS__TERMINAL__FORMAT", "json"),
];

/// Waits until a path answers with a status and such words; the body.
pub fn wait_for_answer(running: &Running, path: &str, status: u16, words: &str) -> String {
    wait_until(&format!("{path} answers {status} with {words:?}"), LIMIT, || {
        let (found, body) = running.get(path);
        (found == status && body.contains(words)).then_some(body)
    })
}
