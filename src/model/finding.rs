//! Writing down what a model found: identity, figures, evidence and words.

use super::detector::Contribution;
use super::drift::known_median;
use super::file::{Model, Name};
use super::observer::FeatureRow;
use super::trained::Judgement;
use crate::alert::scored::{Days, FeatureContribution, PeerGroup, Scored};
use crate::alert::{AlertId, Evidence, Finding, Reason, Subject, yuan};
use crate::detect::finding::FEN;
use crate::engine::observe::EntityKind;
use crate::record::{Day, Time};
use crate::rules::rule::{Bilingual, Conclusion, SubjectKind};
use std::sync::Arc;

/// The features that the words name.
const NAMED: usize = 3;

/// What is known of an entity that is raised.
pub struct Raised<'a> {
    /// Its features.
    pub row: &'a FeatureRow,
    /// What the model says of it.
    pub judgement: &'a Judgement,
    /// What each feature adds, the most first.
    pub contributions: Vec<Contribution>,
    /// The values of its features in its windows before.
    pub own_past: Vec<Vec<f64>>,
    /// The settlements of the window that cost the fund most, by time and id.
    pub evidence: Vec<Evidence>,
}

/// The id of the alert on an entity in a window.
pub fn alert_id(model: &Model, row: &FeatureRow) -> AlertId {
    AlertId::of(&model.file.id, [row.entity.as_str(), &row.start.to_string()].into_iter())
}

/// Writes it down, under a version of the trained model.
pub fn write(model: &Model, version: &Arc<str>, raised: Raised<'_>) -> Finding {
    let Raised { row, judgement, contributions, own_past, evidence } = raised;
    let last = Day(model.file.window.end(row.start).0 - 1);
    let contributions = beside_own_past(model, contributions, &own_past);
    let scored = Scored {
        score: judgement.score,
        p_value: judgement.p,
        q_value: judgement.verdict.q,
        confirmation_probability: judgement.confirmation,
        window: Days { from: row.start, to: last },
        reads_from: model.reads_from(row.start),
        peers: PeerGroup { group: judgement.group.clone(), entities: judgement.peers },
        contributions,
    };
    let kind = match model.file.entity {
        EntityKind::Institution => SubjectKind::Institution,
        EntityKind::Doctor => SubjectKind::Doctor,
        EntityKind::InstitutionItem => SubjectKind::Item,
        EntityKind::Person => SubjectKind::Person,
    };
    Finding {
        rule_id: model.file.id.as_str().into(),
        rule_version: version.clone(),
        rule_name: Arc::new(model.file.name.clone().into()),
        result: Conclusion::Clue,
        severity: model.file.severity,
        subject: Subject { kind, id: row.entity.clone() },
        psn_no: (kind == SubjectKind::Person).then(|| row.entity.clone()),
        mdtrt_id: None,
        fixmedins_code: row.institution.clone(),
        insuplc_admdvs: None,
        // It is not known which of its money is wrong, if any is.
        amount_at_issue: None,
        event_time: evidence.iter().map(|piece| piece.time).max().unwrap_or(Time(last.start().0)),
        message: words(model, row, &scored, judgement.verdict.expected_loss),
        reasons: vec![
            Reason { name: "fund_paid", value: row.at_stake * FEN, limit: None },
            Reason { name: "expected_loss", value: judgement.verdict.expected_loss * FEN, limit: None },
        ],
        legal_basis: model.file.legal_basis.clone().into(),
        evidence,
        scored: Some(Box::new(scored)),
    }
}

/// What each feature adds, with its median over the entity's windows before.
pub fn beside_own_past(
    model: &Model,
    contributions: Vec<Contribution>,
    own_past: &[Vec<f64>],
) -> Vec<FeatureContribution> {
    let own_median = |feature: &str| {
        let place = model.features.names().iter().position(|name| name == feature)?;
        known_median(own_past.iter().map(|values| values[place]))
    };
    let known = |value: f64| Some(value).filter(|value| value.is_finite());
    let beside = |Contribution { feature, value, median, contribution }| FeatureContribution {
        own_median: own_median(&feature),
        value: known(value),
        peer_median: known(median),
        contribution: known(contribution).unwrap_or(0.0),
        feature,
    };
    contributions.into_iter().map(beside).collect()
}

fn words(model: &Model, row: &FeatureRow, scored: &Scored, expected_loss: i64) -> Bilingual {
    let named = || scored.contributions.iter().filter(|feature| feature.contribution > 0.0).take(NAMED);
    let label = |feature: &FeatureContribution, of: fn(&Name) -> &String| {
        model.file.labels.get(&feature.feature).map_or(&feature.feature, of).clone()
    };
    let zh: Vec<String> = named()
        .map(|feature| {
            let own = feature.own_median.map(|own| format!("，自身以往 {}", short(Some(own)))).unwrap_or_default();
            let (name, median) = (label(feature, |name| &name.zh), short(feature.peer_median));
            format!("{name} {}（同类中位数 {median}{own}）", short(feature.value))
        })
        .collect();
    let en: Vec<String> = named()
        .map(|feature| {
            let own = feature.own_median.map(|own| format!(", own past {}", short(Some(own)))).unwrap_or_default();
            let (name, median) = (label(feature, |name| &name.en), short(feature.peer_median));
            format!("{name} {} (peers' median {median}{own})", short(feature.value))
        })
        .collect();
    let (kind_zh, kind_en) = match model.file.entity {
        EntityKind::Institution => ("机构", "Institution"),
        EntityKind::Doctor => ("医师", "Doctor"),
        EntityKind::InstitutionItem => ("机构项目", "Item of an institution"),
        EntityKind::Person => ("参保人", "Person"),
    };
    let Days { from, to } = scored.window;
    let (entity, peers, paid) = (&row.entity, scored.peers.entities, yuan(row.at_stake));
    let q = short(Some(scored.q_value * 100.0));
    let verdicts = scored.confirmation_probability.map(|probability| {
        let (percent, loss) = (short(Some(probability * 100.0)), yuan(expected_loss));
        Bilingual {
            zh: format!("按已有核查结论，被确认的概率为 {percent}%，预期损失 {loss} 元。"),
            en: format!(
                " By the verdicts so far it would be confirmed with a probability of {percent} %: the expected loss is {loss} yuan."
            ),
        }
    });
    let Bilingual { zh: verdicts_zh, en: verdicts_en } = verdicts.unwrap_or_default();
    Bilingual {
        zh: format!(
            "{kind_zh} {entity} 在 {from} 至 {to} 的行为与 {peers} 家（人）同类明显不同（预期误报率 {q}%）：{}。基金支付 {paid} 元。{verdicts_zh}",
            zh.join("；")
        ),
        en: format!(
            "{kind_en} {entity} departs from its {peers} peers from {from} to {to} (expected share of false alerts {q} %): {}. \
             The fund paid {paid} yuan.{verdicts_en}",
            en.join("; ")
        ),
    }
}

/// A number with three or four figures; a dash for none.
fn short(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let decimals = match value.abs() {
        0.0 => 0,
        large if large >= 1_000.0 => 0,
        large if large >= 1.0 => 2,
        // As many as show three figures.
        small => (2.0 - small.log10().floor()).min(9.0) as usize,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (1234.56, "1235"), (12.5, "12.5"), (0.456_78, "0.457"), (0.000_123_4, "0.000123")];
        for (value, expected) in cases {
            assert_eq!(short(Some(value)), expected);
        }
        assert_eq!((short(Some(-2.0)).as_str(), short(None).as_str()), ("-2", "–"));
    }
}
