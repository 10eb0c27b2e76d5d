//! Peers: entities like one another, and what is usual among them.
//!
//! A feature is looked at beside its peers: (value − median) / spread of the group. A group that is too small gives way
//! to a wider one, in the order of the model file; the widest is everybody.

use super::median::median;
use super::observer::FeatureRow;
use super::table::Table;
use crate::engine::observe::Traits;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A trait that tells peers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trait {
    /// `hosp_lv`
    Level,
    /// The class of most settlements.
    Class,
    /// `bilg_dept_codg`
    Department,
    /// `gend`
    Gender,
    /// The decade of age.
    Age,
}

impl Trait {
    fn of(self, traits: &Traits) -> &str {
        match self {
            Self::Level => &traits.level,
            Self::Class => &traits.class,
            Self::Department => &traits.department,
            Self::Gender => &traits.gender,
            Self::Age => &traits.age,
        }
    }
}

/// How a model file says who are peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRule {
    /// Peers have these traits in common; where they are too few, those of the next list, in the end none.
    pub alike_in: Vec<Vec<Trait>>,
    /// The least entities of a group.
    pub least: usize,
}

impl Default for PeerRule {
    fn default() -> Self {
        Self { alike_in: Vec::new(), least: 20 }
    }
}

/// What is usual among peers, learned from a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    /// From the narrowest to everybody.
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Level {
    alike_in: Vec<Trait>,
    /// By the texts of the traits, joined by `/`.
    groups: BTreeMap<String, Group>,
}

/// A group of peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// How many different entities.
    pub entities: usize,
    /// By feature; `None` where no value is known.
    usual: Vec<Option<Usual>>,
}

/// What is usual of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// 1.4826 times the median distance from it, or, where that is 0, 1.2533 times the mean distance: what the standard
    /// deviation is of a normal distribution. 0 where all values are equal.
    pub spread: f64,
}

impl Peers {
    /// Learns from rows of so many features.
    pub fn learn(rule: &PeerRule, rows: &[FeatureRow], features: usize) -> Self {
        let everybody = [Vec::new()];
        let levels = rule.alike_in.iter().chain(&everybody).map(|alike_in| {
            let mut groups: BTreeMap<String, Vec<&FeatureRow>> = BTreeMap::new();
            for row in rows {
                groups.entry(key(alike_in, &row.traits)).or_default().push(row);
            }
            let learned = groups.into_iter().filter_map(|(key, rows)| {
                let entities = rows.iter().map(|row| &row.entity).collect::<BTreeSet<_>>().len();
                let usual = |feature: usize| usual(rows.iter().map(|row| row.values[feature]).collect());
                // Everybody is a group however few they are.
                (alike_in.is_empty() || entities >= rule.least)
                    .then(|| (key, Group { entities, usual: (0..features).map(usual).collect() }))
            });
            Level { alike_in: alike_in.clone(), groups: learned.collect() }
        });
        Self { levels: levels.collect() }
    }

    /// The group that an entity is looked at beside, narrowest first, with its name.
    ///
    /// # Panics
    /// Never: everybody is a group.
    pub fn of(&self, traits: &Traits) -> (String, &Group) {
        let found = self.levels.iter().find_map(|level| {
            let key = key(&level.alike_in, traits);
            level.groups.get(&key).map(|group| (key, group))
        });
        found.expect("everybody is a group")
    }

    /// Rows as distances from what is usual among their peers, in spreads. A missing value stays missing. Where peers have
    /// no spread the distance is that in the feature's own unit.
    ///
    /// # Panics
    /// Rows of another number of features.
    pub fn table(&self, names: &[String], rows: &[FeatureRow]) -> Table {
        let mut values = Array2::from_elem((rows.len(), names.len()), f64::NAN);
        for (place, row) in rows.iter().enumerate() {
            let (_, group) = self.of(&row.traits);
            for (feature, value) in row.values.iter().enumerate() {
                if let Some(Usual { median, spread }) = group.usual[feature] {
                    values[[place, feature]] = (value - median) / if spread > 0.0 { spread } else { 1.0 };
                }
            }
        }
        Table::new(names.to_vec(), values).expect("a value for each name")
    }
}

impl Group {
    /// What is usual of a feature in it.
    pub fn usual(&self, feature: usize) -> Option<Usual> {
        self.usual[feature]
    }
}

fn key(alike_in: &[Trait], traits: &Traits) -> String {
    alike_in.iter().map(|one| one.of(traits)).collect::<Vec<_>>().join("/")
}

fn usual(mut values: Vec<f64>) -> Option<Usual> {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    let middle = median(&values)?;
    let mut distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    distances.sort_unstable_by(f64::total_cmp);
    let spread = 1.4826 * median(&distances)?;
    Some(Usual { median: middle, spread: if spread > 0.0 { spread } else { 1.2533 * mean } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Day;

    fn row(entity: &str, level: &str, value: f64) -> FeatureRow {
        FeatureRow {
            entity: entity.to_owned(),
            start: Day(0),
            institution: None,
            traits: Traits { level: level.to_owned(), ..Traits::default() },
            at_stake: 0,
            values: vec![value],
        }
    }

    #[test]
    fn few_peers_give_way_to_more() {
        let mut rows: Vec<FeatureRow> =
            (0..5).map(|number| row(&format!("a{number}"), "01", f64::from(number))).collect();
        rows.extend((0..2).map(|number| row(&format!("b{number}"), "02", 100.0)));
        let rule = PeerRule { alike_in: vec![vec![Trait::Level]], least: 3 };
        let peers = Peers::learn(&rule, &rows, 1);
        let (name, group) = peers.of(&rows[0].traits);
        assert_eq!((name.as_str(), group.entities), ("01", 5));
        assert_eq!(group.usual(0), Some(Usual { median: 2.0, spread: 1.4826 }));
        let (name, group) = peers.of(&rows[6].traits);
        assert_eq!((name.as_str(), group.entities), ("", 7), "two are too few");
        let unknown = Traits { level: "09".to_owned(), ..Traits::default() };
        assert_eq!(peers.of(&unknown).1.entities, 7);
        let table = peers.table(&["x".to_owned()], &rows[..3]);
        assert_eq!(table.values().column(0).to_vec(), [-2.0 / 1.4826, -1.0 / 1.4826, 0.0]);
    }

    #[test]
    fn without_spread_or_values_nothing_breaks() {
        let rows = [row("a", "", 7.0), row("b", "", 7.0), row("c", "", f64::NAN)];
        let peers = Peers::learn(&PeerRule::default(), &rows, 1);
        let table = peers.table(&["x".to_owned()], &[row("d", "", 9.0), row("e", "", f64::NAN)]);
        assert_eq!(table.values()[[0, 0]], 2.0);
        assert!(table.values()[[1, 0]].is_nan());
        let nothing = Peers::learn(&PeerRule::default(), &[row("a", "", f64::NAN)], 1);
        assert!(nothing.table(&["x".to_owned()], &rows[..1]).values()[[0, 0]].is_nan());
        // One row, and a group of one.
        let one = Peers::learn(&PeerRule { alike_in: vec![vec![Trait::Level]], least: 1 }, &rows[..1], 1);
        assert_eq!(one.of(&rows[0].traits).1.entities, 1);
    }
}
