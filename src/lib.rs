//! Fundwatch.
pub mod alert;
pub mod clock;
pub mod detect;
pub mod engine;
pub mod live;
pub mod record;
pub mod rules {
    //! Rules.
    pub mod filter;
    pub mod rule;
}
pub mod timeline;
