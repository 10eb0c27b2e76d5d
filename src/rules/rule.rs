//! A rule as the engine runs it: what a rule file says, checked and compiled.

use super::filter::{FilterSet, Verdicts};
use super::severity::SeverityBands;
use crate::record::{Code, Day, PersonId};
use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// A map in the engine: fast hashing, no promise of order.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
/// A set in the engine.
pub type Set<K> = HashSet<K, foldhash::fast::FixedState>;

/// A text in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// How sure a finding is (contract, section 2, `result`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// 违规: a violation on the data alone.
    Violation,
    /// 可疑: a person must look.
    Suspicious,
    /// 线索: a lead.
    Clue,
    /// Of the data, not of conduct.
    Technical,
}

impl Conclusion {
    /// The word in alerts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Suspicious => "suspicious",
            Self::Clue => "clue",
            Self::Technical => "technical",
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// All of them, mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in alerts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How far a rule has come on its way into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not run.
    Draft,
    /// Run, counted and stored, but not sent.
    Shadow,
    /// Run and sent.
    Live,
    /// Not run any more.
    Retired,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum SubjectKind {
    Person,
    Visit,
    Institution,
    Doctor,
    Bed,
    Item,
}

impl SubjectKind {
    /// The word in alerts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Visit => "visit",
            Self::Institution => "institution",
            Self::Doctor => "doctor",
            Self::Bed => "bed",
            Self::Item => "item",
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// For example `STY-01`.
    pub id: String,
    /// The content hash of the rule file with the knowledge tables it reads.
    pub version: String,
    /// Its name.
    pub name: Bilingual,
    /// The family's folder name, for example `stays`.
    pub family: String,
    /// The records and tables that it reads.
    pub reads: Vec<String>,
    /// How sure its findings are.
    pub result: Conclusion,
    /// How far it is in service.
    pub status: Status,
    /// What its alerts are about.
    pub subject: SubjectKind,
    /// How it finds.
    pub detection: Detection,
    /// How grave its findings are.
    pub severity: SeverityBands,
    /// What is at stake.
    pub amount: Amount,
    /// The named parts of a finding that make it the same finding; what each kind of detection offers is in
    /// [`Detection::identities`].
    pub identity: Vec<String>,
    /// What the alert says; `{name}` stands for a figure or a part of the identity.
    pub message: Bilingual,
    /// Keys of the law, domain.md 2.2.
    pub legal_basis: Vec<String>,
}

/// What money is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// None: `null` in the alert.
    None,
    /// The sum of `fund_pay_sumamt` of the violating settlements.
    FundOfViolating,
    /// The sum of `inscp` of the violating details.
    InscpOfViolating,
    /// The share of the violating details' `inscp` that lies above what is allowed:
    /// Σinscp × (Σcnt − allowed) / Σcnt.
    Excess,
    /// The sum of `fund_pay_sumamt` of the visit's settlements; of two stays the later-begun one.
    FundOfVisit,
    /// What refund rows take back of a detail's `inscp` beyond all of it: the sum over the evidence with the other
    /// sign. None where that would be negative: then only the count exceeds what was billed.
    OverRefund,
}

/// How a rule finds: a closed set of kinds. Filters are numbers of expressions in the rule set's filter sets.
#[derive(Debug, Clone, PartialEq)]
pub enum Detection {
    /// Settlements that repeat an amount.
    Repeat(Repeat),
    /// An item billed together with one that includes it.
    ExclusivePair(ExclusivePair),
    /// More units than allowed.
    QuantityLimit(QuantityLimit),
    /// A settlement of care after the person's death.
    AfterDeath(AfterDeath),
    /// A stay that follows another at the same institution.
    NextStay(NextStay),
    /// Two stays at the same time.
    Overlap(Overlap),
    /// A settlement during a stay.
    DuringStay(DuringStay),
    /// Days of a stay without activity.
    MissingActivity(MissingActivity),
    /// Too many different visits or institutions in a person's day.
    DistinctCount(DistinctCount),
    /// A settlement above the limit of its class.
    Threshold(Threshold),
    /// A run of settlements in quick succession at an institution.
    Run(Run),
    /// Records of a visit that cannot both be right.
    Contradiction(Contradiction),
}

/// A filter over settlements, by its number in [`RuleSet::settlement_filters`].
pub type SettlementFilter = Option<u8>;
/// A filter over fee details, by its number in [`RuleSet::detail_filters`].
pub type DetailFilter = Option<u8>;
/// A filter over stays, by its number in [`RuleSet::stay_filters`].
pub type StayFilter = Option<u8>;

/// Settlements of equal amount above zero (DUP-02, DUP-03). Key: a visit, or a person at an institution.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// Which settlements count.
    pub filter: SettlementFilter,
    /// What belongs together.
    pub grouping: Grouping,
    /// The farthest two may be apart, in seconds, inclusive.
    pub within: i64,
}

/// How settlements of equal amount are put together.
#[derive(Debug, Clone, PartialEq)]
pub enum Grouping {
    /// Within a visit: the first opens a group and takes all within reach whose days of care meet its own.
    VisitAnchored,
    /// For a person at an institution: a chain of links between different visits whose items are alike.
    PersonInstitutionChained {
        /// The least Jaccard similarity of the sets of items, in 10^-4; `None`: not asked for.
        similarity: Option<i64>,
    },
}

/// Main and included items billed together (DUP-04, DUP-05).
#[derive(Debug, Clone, PartialEq)]
pub struct ExclusivePair {
    /// Which details count.
    pub filter: DetailFilter,
    /// Over what they are together.
    pub scope: PairScope,
    /// The pairs of the knowledge table with this scope: included items by main item.
    pub pairs: Map<Code, Vec<Code>>,
}

/// What "together" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairScope {
    /// A person's calendar day, across visits and institutions.
    PersonDay,
    /// A visit.
    Visit,
}

/// Σcnt above a limit (DUP-07, CHG-01).
#[derive(Debug, Clone, PartialEq)]
pub struct QuantityLimit {
    /// Which details count.
    pub filter: DetailFilter,
    /// What is summed and what is allowed.
    pub limit: Allowance,
}

/// What is allowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowance {
    /// Units (10^-4) of each item for a person's calendar day, from a knowledge table. The excess is above the
    /// limit.
    PersonDayItem(Map<Code, i64>),
    /// The days of a discharged stay, first and last included, plus a tolerance in units (10^-4) of days. The
    /// excess is above the days.
    StayDays {
        /// In 10^-4 days.
        tolerance: i64,
    },
}

/// Care after death (IDN-01). Key: a settlement.
#[derive(Debug, Clone, PartialEq)]
pub struct AfterDeath {
    /// Which settlements count.
    pub filter: SettlementFilter,
    /// Days of grace after the date of death.
    pub grace: i32,
}

/// Two stays of a person at an institution, next to each other in time (STY-01, STY-05).
#[derive(Debug, Clone, PartialEq)]
pub struct NextStay {
    /// Earlier stays that are exempt.
    pub exempt_earlier: StayFilter,
    /// The least days from discharge to admission, by date.
    pub gap_from: i32,
    /// The most days, inclusive.
    pub gap_to: i32,
    /// The first characters of the diagnoses that must be equal, both there.
    pub same_diagnosis: Option<usize>,
    /// How the department of admission compares with that of discharge, both there.
    pub departments: Departments,
}

/// How two departments compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Departments {
    Same,
    Different,
    Any,
}

/// Two stays at the same time for more than a tolerance (STY-06, STY-16).
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// Whose stays are compared.
    pub key: OverlapKey,
    /// Seconds that do not count, inclusive.
    pub tolerance: i64,
}

/// Whose stays are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlapKey {
    /// A person's, at any institutions.
    Person,
    /// A bed's, of different persons.
    Bed,
}

/// A settlement on a day inside a discharged stay, its first and last day excluded (STY-07, STY-08).
#[derive(Debug, Clone, PartialEq)]
pub struct DuringStay {
    /// Which settlements count.
    pub filter: SettlementFilter,
}

/// Consecutive days of a discharged stay without activity (STY-10).
#[derive(Debug, Clone, PartialEq)]
pub struct MissingActivity {
    /// Which details are activity.
    pub activity: DetailFilter,
    /// The least run of days that is found.
    pub days: i32,
}

/// Different things among a person's settlements of a day (VIS-01, VIS-03).
#[derive(Debug, Clone, PartialEq)]
pub struct DistinctCount {
    /// Which settlements count.
    pub filter: SettlementFilter,
    /// What is counted.
    pub what: Distinct,
    /// The least number that is found.
    pub at_least: i64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Distinct {
    Visits,
    Institutions,
}

/// `medfee_sumamt` above the limit of its class (VIS-04).
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Which settlements count.
    pub filter: SettlementFilter,
    /// Limits in fen, by class of `med_type` (number in [`CLASSES`]).
    pub limits: Vec<(u8, i64)>,
}

/// A maximal run of settlements at an institution, each close after the one before (PHA-06).
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Which settlements count; others in between do not break the run.
    pub filter: SettlementFilter,
    /// The longest pause, in seconds, inclusive.
    pub pause: i64,
    /// The least number of settlements that is found.
    pub at_least: usize,
}

/// Records of a visit that cannot both be right (DQ-03, DQ-08): a finding about the data. Key: a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// A discharge before its admission, which makes no stay.
    DischargeBeforeAdmission,
    /// Refund rows of more units than their detail was billed with, which takes the detail out.
    RefundsExceedDetail,
}

impl Detection {
    /// The word in rule files.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Repeat(_) => "repeat",
            Self::ExclusivePair(_) => "exclusive_pair",
            Self::QuantityLimit(_) => "quantity_limit",
            Self::AfterDeath(_) => "after_death",
            Self::NextStay(_) => "next_stay",
            Self::Overlap(_) => "overlap",
            Self::DuringStay(_) => "during_stay",
            Self::MissingActivity(_) => "missing_activity",
            Self::DistinctCount(_) => "distinct_count",
            Self::Threshold(_) => "threshold",
            Self::Run(_) => "run",
            Self::Contradiction(_) => "contradiction",
        }
    }

    /// The parts that a finding's identity can name, in the order in which they are usually written.
    pub const fn identities(&self) -> &'static [&'static str] {
        match self {
            Self::Repeat(Repeat { grouping: Grouping::VisitAnchored, .. }) => &["visit", "amount", "first_settlement"],
            Self::Repeat(_) => &["person", "institution", "amount", "first_settlement"],
            Self::ExclusivePair(ExclusivePair { scope: PairScope::PersonDay, .. }) => {
                &["person", "day", "main", "included"]
            }
            Self::ExclusivePair(_) => &["visit", "main", "included"],
            Self::QuantityLimit(QuantityLimit { limit: Allowance::PersonDayItem(_), .. }) => &["person", "item", "day"],
            Self::QuantityLimit(_) | Self::MissingActivity(_) => &["visit"],
            Self::AfterDeath(_) | Self::Threshold(_) => &["settlement"],
            Self::NextStay(_) => &["earlier_stay", "later_stay"],
            Self::Overlap(_) => &["first_stay", "second_stay"],
            Self::DuringStay(_) => &["settlement", "stay"],
            Self::DistinctCount(_) => &["person", "day"],
            Self::Run(_) => &["institution", "first_settlement"],
            Self::Contradiction(Contradiction::DischargeBeforeAdmission) => &["visit"],
            Self::Contradiction(Contradiction::RefundsExceedDetail) => &["visit", "detail"],
        }
    }

    /// The figures of a finding: what messages can show and severity bands can compare.
    pub const fn figures(&self) -> &'static [&'static str] {
        match self {
            Self::Repeat(_) => &["settlements", "medfee_sumamt"],
            Self::ExclusivePair(_) => &["included_cnt"],
            Self::QuantityLimit(QuantityLimit { limit: Allowance::PersonDayItem(_), .. }) => &["cnt"],
            Self::QuantityLimit(_) => &["cnt", "stay_days"],
            Self::AfterDeath(_) => &["days_after_death"],
            Self::NextStay(_) => &["days_between"],
            Self::Overlap(_) => &["overlap_hours"],
            Self::DuringStay(_) => &["medfee_sumamt", "days_after_admission"],
            Self::MissingActivity(_) => &["longest_run", "stay_days"],
            Self::DistinctCount(DistinctCount { what: Distinct::Visits, .. }) => &["visits"],
            Self::DistinctCount(_) => &["institutions"],
            Self::Threshold(_) => &["medfee_sumamt"],
            Self::Run(_) => &["settlements", "seconds"],
            Self::Contradiction(Contradiction::DischargeBeforeAdmission) => &["hours_before_admission"],
            Self::Contradiction(Contradiction::RefundsExceedDetail) => &["refunded_cnt"],
        }
    }
}

/// The classes of `med_type`.
pub const CLASSES: [&str; 12] = [
    "UNKNOWN",
    "OUTPATIENT",
    "EMERGENCY",
    "CHRONIC_OUTPATIENT",
    "PHARMACY",
    "INPATIENT",
    "TRAUMA",
    "DAY_SURGERY",
    "MATERNITY",
    "HOME",
    "LONG_TERM_CARE",
    "OTHER",
];

/// The number of the class INPATIENT in [`CLASSES`].
pub const INPATIENT: u8 = 5;

/// The tenant's dictionary of `med_type`: class numbers by code. A code not in it is `UNKNOWN`, number 0.
pub type Classes = Map<Code, u8>;

/// A complete set of rules with the data that they read; replaced as a whole.
pub struct RuleSet {
    /// All rules that run (`shadow` and `live`), by id.
    pub rules: Vec<Rule>,
    /// The content hash of everything in it.
    pub version: String,
    /// Filters over settlements.
    pub settlement_filters: FilterSet,
    /// Filters over fee details.
    pub detail_filters: FilterSet,
    /// Filters over stays.
    pub stay_filters: FilterSet,
    /// Classes of `med_type`.
    pub classes: Classes,
    /// Dates of death in the registry.
    pub deaths: Map<PersonId, Day>,
    /// Names of institutions in the registry, by code.
    pub institutions: BTreeMap<String, String>,
}

impl RuleSet {
    /// The class of a `med_type`.
    pub fn class(&self, med_type: Code) -> u8 {
        self.classes.get(&med_type).copied().unwrap_or(0)
    }
}

/// Whether a row passes an optional filter: no filter lets everything pass.
pub fn passes(verdicts: Verdicts, filter: Option<u8>) -> bool {
    filter.is_none_or(|number| verdicts >> number & 1 != 0)
}
