//! Records: from bytes to typed rows.
//!
//! [`decode`] reads a batch. What comes out are plain rows ([`types`]) of exact values ([`value`]) and ids
//! ([`intern`]); what cannot be read comes out as a [`decode::Bad`] with its reason.

pub mod batch;
pub mod decode;
pub mod field;
pub mod heap;
pub mod intern;
pub mod items;
pub mod json;
pub mod marks;
pub mod renumber;
pub mod types;
pub mod value;

pub use batch::{Batch, Message, Origin};
pub use field::{CheckId, Code, InstitutionId, PersonId, Serial, SettlementId, VisitId};
pub use intern::Ids;
pub use types::{
    Admission, AdmissionCancel, Discharge, DischargeCancel, FeeDetail, FeeDetailDelete, Inventory, Presence, Record,
    Settlement,
};
pub use value::{Day, Money, Price, Quantity, Time};
