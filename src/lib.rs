//! Fundwatch: settlement records of a medical-insurance fund in, defensible alerts out.
//!
//! What happens to a record, by module:
//!
//! 1. [`source`] hands over batches of bytes;
//! 2. [`record`] decodes them to typed rows of exact values and ids;
//! 3. [`live`] finds what counts of all that was received;
//! 4. [`timeline`] keeps the live facts of each key in order of time;
//! 5. [`detect`] evaluates the [`rules`] on the keys that changed;
//! 6. [`alert`] keeps the book of what stands and gives revisions;
//! 7. [`sink`] sends them to the people who act on them.
//!
//! [`engine`] is steps 2 to 6, the same in the live [`pipeline`], in a backtest and in the tests of rules.
//! Beside the rules stands the anomaly [`model`], which finds what is strange where they find what is forbidden.
//! Around them: [`config`], [`metrics`] and [`status`], [`http`], the [`simulate`]d city, and the [`commands`] that
//! people type ([`cli`]). Only [`clock`] reads the time of day.
//!
//! What always holds:
//!
//! - The open alerts depend only on the set of records and the rules.
//! - `records in = processed + re-delivered + dead-lettered`.
//! - Money is an integer number of fen.
//! - A revision of an alert is one more than the one before it.

pub mod alert;
pub mod checkpoint;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod detect;
pub mod engine;
pub mod fault;
pub mod http;
pub mod live;
pub mod metrics;
pub mod model;
pub mod pipeline;
pub mod record;
pub mod rules;
pub mod simulate;
pub mod sink;
pub mod source;
pub mod status;
pub mod timeline;

pub use rules::fuzz_rule_file;

/// Decodes foreign bytes as one message and packs what comes out: the entry of a fuzz target.
pub fn fuzz_decode(bytes: &[u8]) {
    use record::Record;
    let mut batch = record::Batch::default();
    let origin = record::Origin { name: "fuzz".to_owned(), separator: ':', default_type: None };
    let origin = batch.origin(&std::sync::Arc::new(origin));
    batch.push(bytes, origin, 1);
    let ids = record::Ids::new(1);
    let decoded = record::decode::decode(&batch, 0..1, record::decode::Window::ALL, &ids);
    let mut before = record::FeeDetail::ABSENT;
    for (_, row) in decoded.details.into_iter().flatten() {
        let mut packed = Vec::new();
        row.pack(&before, &mut packed);
        assert_eq!(record::FeeDetail::unpack(&before, &mut packed.as_slice()), row, "packing is lossless");
        before = row;
    }
    for (_, row) in decoded.settlements.into_iter().flatten() {
        let packed = live::versions::pack(&row);
        assert_eq!(record::Settlement::unpack(&record::Settlement::ABSENT, &mut packed.as_slice()), row);
    }
}
