//! Metrics of the institutions that stand out. Each metric has ten at most at a time, of each model where it is one of a
//! model's: whoever is no longer among them has no series any more.

use super::Maker;
use crate::model::scorer::{Report, TOP};
use crate::status::InstitutionTotals;
use prometheus::{GaugeVec, IntGaugeVec};
use std::collections::BTreeMap;

/// The metrics of institutions.
pub(super) struct InstitutionMetrics {
    amount: GaugeVec,
    open: IntGaugeVec,
    score: GaugeVec,
    p_value: GaugeVec,
    feature: GaugeVec,
    peer_median: GaugeVec,
    own_median: GaugeVec,
    growth: GaugeVec,
}

impl InstitutionMetrics {
    pub(super) fn new(make: &Maker) -> Self {
        let institution = &["institution", "name"];
        let judged = &["model", "institution", "name"];
        let feature = &["model", "institution", "name", "feature"];
        Self {
            amount: make.numbers(
                "fundwatch_top_institution_amount_at_issue_yuan",
                "Fund money at issue in open alerts that are sent, of the ten institutions with most.",
                institution,
            ),
            open: make.gauges(
                "fundwatch_top_institution_open_alerts",
                "Open alerts that are sent, of the ten institutions with most money at issue.",
                institution,
            ),
            score: make.numbers(
                "fundwatch_top_institution_score",
                "Score in the latest window, of the ten institutions with the highest.",
                judged,
            ),
            p_value: make.numbers(
                "fundwatch_top_institution_p_value",
                "p-value in the latest window, of the ten institutions with the highest scores.",
                judged,
            ),
            feature: make.numbers(
                "fundwatch_top_institution_feature",
                "Value of the three features that add most to the score, of the ten institutions with the highest.",
                feature,
            ),
            peer_median: make.numbers(
                "fundwatch_top_institution_feature_peer_median",
                "Median of the same features among peers.",
                feature,
            ),
            own_median: make.numbers(
                "fundwatch_top_institution_feature_own_median",
                "Median of the same features over the institution's own windows before.",
                feature,
            ),
            growth: make.numbers(
                "fundwatch_top_institution_fund_growth_ratio",
                "Fund paid in the latest window against the median of the windows before, of the ten institutions with the highest; of several models the higher.",
                institution,
            ),
        }
    }

    /// Shows those with the most money at issue.
    pub(super) fn standing(&self, top: &[InstitutionTotals]) {
        self.amount.reset();
        self.open.reset();
        for InstitutionTotals { code, name, open, amount } in top {
            let labels = [code.as_str(), name.as_str()];
            self.amount.with_label_values(&labels).set(*amount as f64 / 100.0);
            self.open.with_label_values(&labels).set(*open as i64);
        }
    }

    /// Shows those that stand out in the latest windows of models.
    pub(super) fn judged<'r>(&self, reports: impl Iterator<Item = &'r Report>, names: &BTreeMap<String, String>) {
        for metric in [&self.score, &self.p_value, &self.feature, &self.peer_median, &self.own_median, &self.growth] {
            metric.reset();
        }
        let name = |code: &str| names.get(code).map_or("", String::as_str);
        let mut growths: BTreeMap<&str, f64> = BTreeMap::new();
        for report in reports {
            let model = report.model.as_str();
            for top in &report.top {
                let (code, name) = (top.code.as_str(), name(&top.code));
                self.score.with_label_values(&[model, code, name]).set(top.score);
                self.p_value.with_label_values(&[model, code, name]).set(top.p_value);
                for feature in &top.features {
                    let labels = [model, code, name, &feature.feature];
                    for (metric, value) in [
                        (&self.feature, feature.value),
                        (&self.peer_median, feature.peer_median),
                        (&self.own_median, feature.own_median),
                    ] {
                        if let Some(value) = value {
                            metric.with_label_values(&labels).set(value);
                        }
                    }
                }
            }
            for (code, growth) in &report.growth {
                let highest = growths.entry(code).or_insert(*growth);
                *highest = highest.max(*growth);
            }
        }
        let mut growths: Vec<(&str, f64)> = growths.into_iter().collect();
        growths.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        for (code, growth) in growths.into_iter().take(TOP) {
            self.growth.with_label_values(&[code, name(code)]).set(growth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;
    use crate::alert::scored::FeatureContribution;
    use crate::model::scorer::{GroupCounts, TopInstitution};
    use crate::record::Day;

    fn report(model: &str, growth: &[(&str, f64)]) -> Report {
        let feature = FeatureContribution {
            feature: "drug_share".to_owned(),
            contribution: 3.0,
            value: Some(0.9),
            peer_median: Some(0.4),
            own_median: None,
        };
        Report {
            model: model.to_owned(),
            window: Day(20_517),
            raised: 1,
            cut: 1,
            scores: vec![1.0, 2.0, 3.0],
            p_values: vec![0.01, 0.5, 0.9],
            drift: Vec::new(),
            groups: BTreeMap::from([
                ("03".to_owned(), GroupCounts { raised: 1, cut: 0, usual: 1 }),
                (String::new(), GroupCounts { raised: 0, cut: 1, usual: 0 }),
            ]),
            budget: 10,
            top: vec![TopInstitution { code: "H1".to_owned(), score: 3.0, p_value: 0.01, features: vec![feature] }],
            growth: growth.iter().map(|(code, growth)| ((*code).to_owned(), *growth)).collect(),
        }
    }

    fn assert_shown(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn who_stands_out_has_series_and_who_does_not_any_more_has_none() {
        let metrics = Metrics::new();
        let names = BTreeMap::from([("H1".to_owned(), "第一医院".to_owned())]);
        let codes: Vec<String> = (0..12).map(|number| format!("G{number:02}")).collect();
        let growth: Vec<(&str, f64)> = codes.iter().map(String::as_str).zip((0..12).map(f64::from)).collect();
        let reports = [report("STA-11", &[("H1", 1.5), ("G03", 20.0)]), report("STA-12", &growth)];
        metrics.judged(reports.iter(), &names);
        let text = metrics.render();
        assert_shown(
            &text,
            &[
                "fundwatch_top_institution_score{institution=\"H1\",model=\"STA-11\",name=\"第一医院\"} 3",
                "fundwatch_top_institution_p_value{institution=\"H1\",model=\"STA-12\",name=\"第一医院\"} 0.01",
                "fundwatch_top_institution_feature{feature=\"drug_share\",institution=\"H1\",model=\"STA-11\",name=\"第一医院\"} 0.9",
                "fundwatch_top_institution_fund_growth_ratio{institution=\"G03\",name=\"\"} 20",
                "fundwatch_model_group_entities{decision=\"raised\",model=\"STA-11\",peers=\"03\"} 1",
                "fundwatch_model_group_entities{decision=\"cut\",model=\"STA-11\",peers=\"\"} 1",
                "fundwatch_model_budget_entities{model=\"STA-12\"} 10",
            ],
        );
        assert!(!text.contains("fundwatch_top_institution_feature_own_median{"), "it has no past");
        let growths = |text: &str| text.lines().filter(|line| line.contains("fund_growth_ratio{")).count();
        assert_eq!(growths(&text), TOP, "of thirteen");
        assert!(!text.contains("institution=\"G00\""));
        metrics.judged([report("STA-11", &[])].iter(), &BTreeMap::new());
        let text = metrics.render();
        assert_shown(&text, &["fundwatch_top_institution_score{institution=\"H1\",model=\"STA-11\",name=\"\"} 3"]);
        assert!(!text.contains("第一医院") && !text.contains("STA-12") && growths(&text) == 0);
    }

    #[test]
    fn money_at_issue_is_shown_in_yuan() {
        let metrics = Metrics::new();
        let top =
            InstitutionTotals { code: "H1".to_owned(), name: "第一医院".to_owned(), open: 3, amount: 1_234_567 };
        metrics.institutions(vec![top]);
        assert_shown(
            &metrics.render(),
            &[
                "fundwatch_top_institution_amount_at_issue_yuan{institution=\"H1\",name=\"第一医院\"} 12345.67",
                "fundwatch_top_institution_open_alerts{institution=\"H1\",name=\"第一医院\"} 3",
            ],
        );
        metrics.institutions(Vec::new());
        assert!(!metrics.render().contains("H1"));
    }
}
