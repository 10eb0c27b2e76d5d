//! The copy of `rules/` that is built into the program, so that it runs from any directory.

/// Bytes of files of `rules/`, with their paths in it.
macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $path)))),*]
    };
}

/// Every file.
pub const FILES: &[(&str, &[u8])] = files! {
    "charging/CHG-01-bed-days-exceed-stay.toml"
    "data-quality/DQ-03-discharge-before-admission.toml"
    "data-quality/DQ-08-refunds-exceed-detail.toml"
    "duplicate/DUP-02-visit-settled-twice.toml"
    "duplicate/DUP-03-probable-duplicate-payment.toml"
    "duplicate/DUP-04-exclusive-items-same-day.toml"
    "duplicate/DUP-05-exclusive-items-same-visit.toml"
    "duplicate/DUP-07-over-daily-limit.toml"
    "identity/IDN-01-care-after-death.toml"
    "knowledge/daily_limits.csv"
    "knowledge/exclusive_items.csv"
    "knowledge/legal_basis.csv"
    "knowledge/med_types.csv"
    "pharmacy/PHA-06-machine-gun-sales.toml"
    "registry/doctors.csv"
    "registry/institutions.csv"
    "registry/items.csv"
    "registry/persons.csv"
    "stays/STY-01-split-stay.toml"
    "stays/STY-05-transfer-booked-as-discharge.toml"
    "stays/STY-06-overlapping-stays.toml"
    "stays/STY-07-outpatient-care-during-stay.toml"
    "stays/STY-08-pharmacy-purchase-during-stay.toml"
    "stays/STY-10-no-treatment-in-stay.toml"
    "stays/STY-16-one-bed-two-patients.toml"
    "visits/VIS-01-too-many-visits-in-a-day.toml"
    "visits/VIS-03-too-many-institutions-in-a-day.toml"
    "visits/VIS-04-large-settlement.toml"
};
