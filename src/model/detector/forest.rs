//! Isolation forest (Liu, Ting and Zhou 2008), as scikit-learn grows it: strange rows are cut off by few random cuts.

use super::Model;
use crate::model::random::Random;
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Euler and Mascheroni's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Settings of [`Forest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Trees: the score's variance falls as their number.
    pub trees: usize,
    /// Rows that each tree is grown on: few, so that strange rows are not hidden behind each other.
    pub rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { trees: 200, rows: 256 }
    }
}

/// Fitted trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
    /// Length of an average path, which scores are relative to.
    usual: f64,
}

/// The first node of a tree is its root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Node {
    /// Rows up to the threshold go on at one node, the rest at another.
    Cut { feature: usize, threshold: f64, below: usize, above: usize },
    /// The expected number of cuts that isolate a row which ends here.
    Leaf(f64),
}

/// Average path of an unsuccessful search in a binary tree of so many rows.
fn usual_path(rows: usize) -> f64 {
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        rows => 2.0 * (((rows - 1) as f64).ln() + EULER) - 2.0 * (rows - 1) as f64 / rows as f64,
    }
}

impl Forest {
    /// Grows the trees, each from random numbers of its own.
    pub fn fit(settings: Settings, rows: &Array2<f64>, seed: u64) -> Self {
        let size = settings.rows.min(rows.nrows());
        let depth = (size.max(2) as f64).log2().ceil() as usize;
        let tree = |number: usize| {
            let mut random = Random::new(seed, number as u64);
            let mut sample = random.sample(rows.nrows(), size);
            let mut nodes = Vec::new();
            grow(&mut nodes, rows, &mut sample, 0, depth, &mut random);
            nodes
        };
        Self { trees: (0..settings.trees).into_par_iter().map(tree).collect(), usual: usual_path(size) }
    }
}

/// Adds the node for these rows and all below it, and gives its number.
fn grow(
    nodes: &mut Vec<Node>,
    rows: &Array2<f64>,
    sample: &mut [usize],
    depth: usize,
    deepest: usize,
    random: &mut Random,
) -> usize {
    let number = nodes.len();
    nodes.push(Node::Leaf(depth as f64 + usual_path(sample.len())));
    if depth < deepest
        && sample.len() > 1
        && let Some((feature, threshold)) = cut(rows, sample, random)
    {
        // A stable partition by hand: rows up to the threshold come first.
        sample.sort_by_key(|row| rows[(*row, feature)] > threshold);
        let (low, high) = sample.split_at_mut(sample.partition_point(|row| rows[(*row, feature)] <= threshold));
        let below = grow(nodes, rows, low, depth + 1, deepest, random);
        let above = grow(nodes, rows, high, depth + 1, deepest, random);
        nodes[number] = Node::Cut { feature, threshold, below, above };
    }
    number
}

/// A random feature of those that vary among the rows, and a random threshold within their range.
fn cut(rows: &Array2<f64>, sample: &[usize], random: &mut Random) -> Option<(usize, f64)> {
    let mut features: Vec<usize> = (0..rows.ncols()).collect();
    while !features.is_empty() {
        let feature = features.swap_remove(random.below(features.len()));
        let values = || sample.iter().map(|row| rows[(*row, feature)]);
        let (least, greatest) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        if greatest > least {
            let threshold = least + random.uniform() * (greatest - least);
            // Rounding may reach the greatest, and nothing would be cut off.
            return Some((feature, if threshold < greatest { threshold } else { least }));
        }
    }
    None
}

impl Model for Forest {
    /// 2^(−mean path / usual path): over ½ where rows are isolated sooner than usual.
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let path = |nodes: &Vec<Node>| {
            let mut node = &nodes[0];
            loop {
                match node {
                    Node::Leaf(path) => break *path,
                    Node::Cut { feature, threshold, below, above } => {
                        node = &nodes[if row[*feature] <= *threshold { *below } else { *above }];
                    }
                }
            }
        };
        let mean = self.trees.iter().map(path).sum::<f64>() / self.trees.len().max(1) as f64;
        if self.usual > 0.0 { (-mean / self.usual).exp2() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_paper() {
        assert_eq!((usual_path(1), usual_path(2)), (0.0, 1.0));
        // scikit-learn's _average_path_length(256).
        assert!((usual_path(256) - 10.244_770_920_4).abs() < 1e-9, "{}", usual_path(256));
    }

    #[test]
    fn two_rows_are_parted_by_one_cut() {
        let rows = ndarray::array![[0.0], [1.0]];
        let forest = Forest::fit(Settings::default(), &rows, 1);
        assert_eq!(forest.score(rows.row(0)), 0.5);
    }

    #[test]
    fn a_row_far_off_is_isolated_soon() {
        let mut random = Random::new(5, 0);
        let mut rows = Array2::from_shape_simple_fn((500, 3), || random.normal());
        rows.row_mut(0).fill(6.0);
        let forest = Forest::fit(Settings::default(), &rows, 1);
        let scores: Vec<f64> = rows.rows().into_iter().map(|row| forest.score(row)).collect();
        assert!(scores[0] > 0.7 && scores[1..].iter().all(|score| *score < scores[0]), "{}", scores[0]);
        let mean = scores.iter().sum::<f64>() / 500.0;
        assert!((0.38..0.5).contains(&mean), "{mean}");
    }
}
