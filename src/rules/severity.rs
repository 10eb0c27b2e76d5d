//! The table `[severity]` of a rule file: how grave findings are, by their figures.

use super::detection::figure_unit;
use super::mistake::one_of;
use super::parameter::{Parameters, Unit};
use super::reader::Table;
use super::rule::{Detection, Severity};

/// Severity by figures: the first band that holds, or else the default.
#[derive(Debug, Clone, PartialEq)]
pub struct SeverityBands {
    /// Where no band holds.
    pub otherwise: Severity,
    /// In order.
    pub bands: Vec<Band>,
}

/// A band of severity: holds when the figure compares so with the bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The name of a figure of the kind of detection ([`Detection::figures`]).
    pub figure: String,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub bound: Bound,
    /// The severity then.
    pub severity: Severity,
}

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    AtMost,
    AtLeast,
    Above,
    Below,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A number in units of 10^-4.
    Number(i64),
    /// So many times the figure's own limit.
    TimesLimit(i64),
}

/// The words of severities.
pub const WORDS: [(&str, Severity); 4] =
    [("low", Severity::Low), ("medium", Severity::Medium), ("high", Severity::High), ("critical", Severity::Critical)];

/// How a figure can be compared: with a number, or with so many times its own limit.
const COMPARISONS: [(&str, &str, Comparison); 4] = [
    ("at_most", "at_most_times_limit", Comparison::AtMost),
    ("at_least", "at_least_times_limit", Comparison::AtLeast),
    ("above", "above_times_limit", Comparison::Above),
    ("below", "below_times_limit", Comparison::Below),
];
/// The most times of a limit.
const MAX_TIMES: i64 = 1_000;

/// Reads the table.
pub fn read<'a>(table: &Table<'a>, parameters: &Parameters<'a>, kind: Option<&Detection>) -> Option<SeverityBands> {
    let otherwise = table.choice("otherwise", &WORDS);
    let bands: Vec<Option<Band>> = table.tables("bands").iter().map(|band| read_band(band, parameters, kind)).collect();
    table.finish();
    Some(SeverityBands { otherwise: otherwise?, bands: bands.into_iter().collect::<Option<_>>()? })
}

fn read_band<'a>(table: &Table<'a>, parameters: &Parameters<'a>, kind: Option<&Detection>) -> Option<Band> {
    let figure = table.text("figure");
    let severity = table.choice("is", &WORDS);
    let mut found = Vec::new();
    for (plain, times, comparison) in COMPARISONS {
        found.extend(table.get(plain).map(|value| (plain, value, comparison, false)));
        found.extend(table.get(times).map(|value| (times, value, comparison, true)));
    }
    table.finish();
    let (figure, detection) = (figure?, kind?);
    let figures = detection.figures();
    if !figures.contains(&figure.value) {
        let message = format!("`{}` gives no figure `{}`", detection.word(), figure.value);
        table.desk.note(figure.span, message, Some(one_of(figure.value, figures.iter().copied())));
        return None;
    }
    let [(key, value, comparison, times)] = found[..] else {
        let hint =
            "`at_most`, `at_least`, `above` or `below`; with `_times_limit` for a multiple of the limit".to_owned();
        table.desk.note(table.span.clone(), "a band has exactly one comparison", Some(hint));
        return None;
    };
    let (unit, has_limit) = figure_unit(detection, figure.value);
    let bound = if times {
        if !has_limit {
            let message = format!("`{}` is compared with no limit here", figure.value);
            table.desk.note(value.span(), message, None);
            return None;
        }
        Bound::TimesLimit(parameters.whole(key, value, &[Unit::Times], 1..=MAX_TIMES)?)
    } else {
        let others: &[Unit] = match unit {
            Unit::Hours => &[Unit::Hours, Unit::Days, Unit::Minutes, Unit::Seconds],
            Unit::Seconds => &[Unit::Seconds, Unit::Minutes, Unit::Hours, Unit::Days],
            Unit::Days => &[Unit::Days],
            Unit::Yuan => &[Unit::Yuan],
            _ => &[Unit::Count],
        };
        Bound::Number(parameters.measured(key, value, others)?)
    };
    Some(Band { figure: figure.value.to_owned(), comparison, bound, severity: severity? })
}

/// A band in words, for people.
pub fn in_words(band: &Band, detection: &Detection) -> String {
    let comparison = match band.comparison {
        Comparison::AtMost => "≤",
        Comparison::AtLeast => "≥",
        Comparison::Above => ">",
        Comparison::Below => "<",
    };
    let bound = match band.bound {
        Bound::Number(units) => {
            let unit = figure_unit(detection, &band.figure).0;
            format!("{} {}", crate::alert::figure(units), if unit == Unit::Count { "" } else { unit.word() })
        }
        Bound::TimesLimit(times) => format!("{times} × limit"),
    };
    format!("{} {comparison} {}", band.figure, bound.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_severity_has_its_word() {
        for severity in Severity::ALL {
            assert!(WORDS.contains(&(severity.word(), severity)));
        }
    }
}
