//! The parameters of `/api/alerts`.
//!
//! | parameter | shows alerts |
//! |---|---|
//! | `rule`, `severity` | of one of these, separated by commas |
//! | `status` | `open` or `withdrawn` |
//! | `person`, `institution` | with this `psn_no`, `fixmedins_code` |
//! | `since`, `until` | with an `event_time` from here, up to here; a date stands for the whole day |
//! | `min_amount` | with at least so many yuan at issue |
//! | `q` | with this text in names, messages or ids |
//! | `shadow` | of rules in shadow: `no` (default), `only`, `also` |
//! | `limit`, `cursor` | so many at a time (50; at most 500); the `next` of the page before |

use super::problem::Problem;
use crate::alert::AlertStatus;
use crate::record::{Day, Money, Time};
use crate::rules::rule::Severity;
use crate::sink::store::{Filter, Shadow};

const NAMES: [&str; 12] = [
    "rule",
    "severity",
    "status",
    "person",
    "institution",
    "since",
    "until",
    "min_amount",
    "q",
    "shadow",
    "limit",
    "cursor",
];
/// Alerts on a page where nothing is said.
const LIMIT: usize = 50;
/// The most alerts on a page.
const MOST: usize = 500;
/// The longest text to search for.
const LONGEST_TEXT: usize = 200;

/// What a request for a list asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub filter: Filter,
    pub before: Option<i64>,
    pub limit: usize,
}

/// Reads the parameters. An empty value is the same as none, a repeated one adds to `rule` and `severity` and
/// replaces others.
pub(super) fn parse(pairs: &[(String, String)]) -> Result<ListQuery, Problem> {
    let mut query = ListQuery { filter: Filter::default(), before: None, limit: LIMIT };
    let filter = &mut query.filter;
    for (name, value) in pairs {
        let value = value.trim();
        if !NAMES.contains(&name.as_str()) {
            return Err(unknown(name));
        }
        if value.is_empty() {
            continue;
        }
        let parts = || value.split(',').map(str::trim).filter(|part| !part.is_empty());
        match name.as_str() {
            "rule" => filter.rules.extend(parts().map(str::to_owned)),
            "severity" => {
                for part in parts() {
                    let severity = Severity::ALL.into_iter().find(|severity| severity.word() == part);
                    filter.severities.push(severity.ok_or_else(|| wrong(name, part, "low, medium, high or critical"))?);
                }
            }
            "status" => {
                let status =
                    [AlertStatus::Open, AlertStatus::Withdrawn].into_iter().find(|known| known.word() == value);
                filter.status = Some(status.ok_or_else(|| wrong(name, value, "open or withdrawn"))?);
            }
            "person" => filter.person = Some(value.to_owned()),
            "institution" => filter.institution = Some(value.to_owned()),
            "since" => filter.since = Some(moment(name, value, 0)?),
            "until" => filter.until = Some(moment(name, value, 1)?),
            "min_amount" => {
                let amount = Money::parse(value.as_bytes()).map_err(|_| wrong(name, value, "yuan, such as 1000.00"))?;
                filter.min_amount = Some(amount.units());
            }
            "q" if value.chars().count() > LONGEST_TEXT => {
                return Err(Problem::bad_request(format!("`q` is longer than {LONGEST_TEXT} characters")));
            }
            "q" => filter.text = Some(value.to_owned()),
            "shadow" => {
                filter.shadow = match value {
                    "no" => Shadow::Hide,
                    "only" => Shadow::Only,
                    "also" => Shadow::Include,
                    _ => return Err(wrong(name, value, "no, only or also")),
                }
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                query.limit = limit.ok_or_else(|| wrong(name, value, &format!("a number from 1 to {MOST}")))?;
            }
            _ => {
                let before = value.parse().ok().filter(|before| *before > 0);
                query.before = Some(before.ok_or_else(|| wrong(name, value, "the `next` of the page before"))?);
            }
        }
    }
    Ok(query)
}

/// A time, or a date that stands for the start of the day so many days later.
fn moment(name: &str, text: &str, days_later: i32) -> Result<Time, Problem> {
    let day = Day::parse(text.as_bytes()).map(|day| Day(day.0 + days_later).start());
    let time = || Time::parse(text.replacen('T', " ", 1).as_bytes());
    day.or_else(time).ok_or_else(|| wrong(name, text, "a date (2026-03-31) or a time (2026-03-31 08:30:00)"))
}

fn wrong(name: &str, value: &str, allowed: &str) -> Problem {
    Problem::bad_request(format!("`{name}` is \"{value}\"; it takes {allowed}"))
}

fn unknown(name: &str) -> Problem {
    let near = NAMES.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let near = near.filter(|(likeness, _)| *likeness > 0.75).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None => format!("there are {}", NAMES.join(", ")),
    };
    Problem::bad_request(format!("`{name}` is no parameter of this list; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ListQuery, String> {
        let pair = |part: &str| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pairs: Vec<_> = text.split('&').filter_map(pair).collect();
        parse(&pairs).map_err(|problem| problem.words().to_owned())
    }

    #[test]
    fn parameters_become_a_filter() {
        let query =
            parsed("rule=DUP-02,STY-01&severity=high&status=open&person=P1&min_amount=12.5&limit=7&cursor=9&q=");
        let query = query.expect("all are right");
        assert_eq!(query.filter.rules, ["DUP-02", "STY-01"]);
        assert_eq!((query.filter.severities.as_slice(), query.filter.min_amount), (&[Severity::High][..], Some(1_250)));
        assert_eq!((query.filter.text, query.limit, query.before), (None, 7, Some(9)));
        let day = parsed("since=2026-03-31&until=2026-03-31").expect("a day").filter;
        assert_eq!(day.until.map(|until| until.0), day.since.map(|since| since.0 + 86_400));
        assert_eq!(parsed("since=2026-03-31T08:30:00"), parsed("since=2026-03-31 08:30:00"));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, words) in [
            ("sevrity=high", "did you mean `severity`?"),
            ("colour=red", "there are rule, severity"),
            ("severity=grave", "low, medium, high or critical"),
            ("since=yesterday", "2026-03-31"),
            ("limit=0", "from 1 to 500"),
            ("min_amount=1.001", "yuan"),
            ("cursor=abc", "`next`"),
        ] {
            let problem = parsed(text).expect_err(text);
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
