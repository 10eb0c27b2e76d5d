//! What the rules must find in the simulated records, and what they must not.

/// Whether a rule must report the evidence, or must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The rule must report exactly this finding.
    Fraud,
    /// The rule must not report any of the evidence.
    NearMiss,
}

/// Part of a piece of evidence in a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It breaks the rule.
    Violating,
    /// It shows that another does.
    Involved,
}

impl Role {
    /// As an alert writes it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Violating => "violating",
            Role::Involved => "involved",
        }
    }
}

/// A record that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What it is to the finding.
    pub role: Role,
    /// `settlement`, `fee_detail`, `admission` or `discharge`.
    pub kind: &'static str,
    /// `setl_id`, `mdtrt_id/feedetl_sn` or `mdtrt_id`.
    pub id: String,
    /// Time by which evidence is ordered: seconds since 1970 on the local clock.
    pub time: i64,
}

/// One planted finding, or one planted near miss, with the default parameters of the 18 rules, the
/// rows of [`super::catalogue`]'s knowledge lists, and the city's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The rule that must report it, or must not.
    pub rule_id: &'static str,
    /// Which of the two.
    pub planted: Planted,
    /// What was planted, in one word: the name of the card.
    pub case: &'static str,
    /// Kind and id of the alert's subject.
    pub subject: (&'static str, String),
    /// Empty for a near miss.
    pub severity: &'static str,
    /// Amount at issue in fen; `None` where the rule has none, and for near misses.
    pub amount: Option<i64>,
    /// Ordered by time, then id.
    pub evidence: Vec<Evidence>,
    /// The finding needs the person registry (`persons.csv`), not the records alone.
    pub needs_registry: bool,
}

impl Truth {
    /// Appends the truth as one JSON line.
    pub fn to_json_line(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        let planted = match self.planted {
            Planted::Fraud => "fraud",
            Planted::NearMiss => "near_miss",
        };
        let amount = match self.amount {
            Some(fen) => {
                let sign = if fen < 0 { "-" } else { "" };
                format!("\"{sign}{}.{:02}\"", fen.abs() / 100, fen.abs() % 100)
            }
            None => "null".to_owned(),
        };
        // Writing to memory cannot fail. No text here holds a character that JSON escapes.
        let _ = write!(
            out,
            "{{\"rule_id\":\"{}\",\"planted\":\"{planted}\",\"case\":\"{}\",\"subject\":{{\"kind\":\"{}\",\"id\":\"{}\"}},\
             \"severity\":\"{}\",\"amount_at_issue\":{amount},\"needs_registry\":{},\"evidence\":[",
            self.rule_id, self.case, self.subject.0, self.subject.1, self.severity, self.needs_registry,
        );
        for (index, evidence) in self.evidence.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(
                out,
                "{comma}{{\"role\":\"{}\",\"type\":\"{}\",\"id\":\"{}\"}}",
                evidence.role.name(),
                evidence.kind,
                evidence.id
            );
        }
        out.extend_from_slice(b"]}\n");
    }
}
