//! A forest that learns what the linear model leaves over. linfa's trees classify: each is grown to tell the
//! fifths of the residuals apart, then used as a partition, whose leaves hold the quantiles of the residuals of other
//! rows than it was grown on.

use indicatif::ProgressBar;
use linfa::prelude::*;
use linfa_trees::{DecisionTree, TreeNode};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;

use super::{CandidateError, Fitted};
use crate::load_fit::{LoadWeights, fit_load};
use crate::onnx_file::onnx_bytes;
use crate::parallel;
use crate::table::SlotRows;

const TREES: usize = 12;
const DEPTH: usize = 6;
/// Rows that a tree is grown on, and as many that fill its leaves.
const TREE_ROWS: usize = 8000;
/// Rows of a leaf at least.
const LEAF_ROWS: f32 = 40.0;
/// Parts of equal size into which the residuals are divided.
const CLASSES: usize = 5;
/// Bytes of a node in ONNX: feature, value, two children, mode.
const NODE_BYTES: usize = 40;

/// A node; children by place.
enum Node {
    Split { column: usize, value: f64, children: [usize; 2] },
    Leaf([f64; QUANTILES.len()]),
}

struct Tree(Vec<Node>);

pub(super) fn forest(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    let failed = |why: String| CandidateError::Fit { what: "forest", why };
    let linear = fit_load(rows, &ProgressBar::hidden()).map_err(|error| failed(error.to_string()))?;
    let places: Vec<(usize, usize)> = rows
        .iter()
        .enumerate()
        .flat_map(|(slot, rows)| (0..rows.targets.len()).map(move |row| (slot, row)))
        .collect();
    let trees = parallel::each(TREES, |tree| {
        let mut chance = ChaCha8Rng::seed_from_u64(tree as u64);
        let mut drawn = || -> Vec<([f64; WIDTH + 1], f64)> {
            let mut draw = || places[chance.random_range(0..places.len())];
            (0..TREE_ROWS)
                .map(|_| {
                    let (slot, place) = draw();
                    let row = &rows[slot].features[place * WIDTH..][..WIDTH];
                    let inputs = inputs(&linear, row);
                    (inputs, f64::from(rows[slot].targets[place]) - inputs[WIDTH])
                })
                .collect()
        };
        Tree::grown(&drawn(), &drawn())
    })
    .map_err(failed)?;
    let nodes: usize = trees.iter().map(|tree| tree.0.len()).sum();
    let bytes = onnx_bytes(&linear).len() + nodes * NODE_BYTES;
    let answer = move |row: &[f32]| {
        let inputs = inputs(&linear, row);
        let mut said = [inputs[WIDTH]; QUANTILES.len()];
        for tree in &trees {
            said.iter_mut().zip(tree.leaf(&inputs)).for_each(|(said, more)| *said += more / TREES as f64);
        }
        said
    };
    Ok(Fitted { bytes, answer: Box::new(answer) })
}

/// A row and the median of the linear model.
fn inputs(linear: &LoadWeights, row: &[f32]) -> [f64; WIDTH + 1] {
    let median = linear.answer(row)[1];
    std::array::from_fn(|column| row.get(column).map_or(median, |value| f64::from(*value)))
}

impl Tree {
    fn grown(rows: &[([f64; WIDTH + 1], f64)], others: &[([f64; WIDTH + 1], f64)]) -> Result<Self, String> {
        let mut sorted: Vec<f64> = rows.iter().map(|(_, residual)| *residual).collect();
        sorted.sort_by(f64::total_cmp);
        let ends: Vec<f64> = (1..CLASSES).map(|class| sorted[class * sorted.len() / CLASSES]).collect();
        let records = Array2::from_shape_fn((rows.len(), WIDTH + 1), |(row, column)| rows[row].0[column]);
        let classes: Array1<usize> =
            rows.iter().map(|(_, residual)| ends.iter().filter(|end| residual >= *end).count()).collect();
        let grown = DecisionTree::params()
            .max_depth(Some(DEPTH))
            .min_weight_leaf(LEAF_ROWS)
            .fit(&Dataset::new(records, classes))
            .map_err(|error| error.to_string())?;
        let mut tree = Self(Vec::new());
        tree.add(grown.root_node());
        let mut leaves: Vec<Vec<f64>> = tree.0.iter().map(|_| Vec::new()).collect();
        for (inputs, residual) in others {
            leaves[tree.place(inputs)].push(*residual);
        }
        for (node, mut residuals) in tree.0.iter_mut().zip(leaves) {
            // A leaf that nothing else fell into adds nothing but the spread of all.
            let of = if residuals.len() < 10 { &mut sorted } else { &mut residuals };
            of.sort_by(f64::total_cmp);
            if let Node::Leaf(quantiles) = node {
                *quantiles = QUANTILES
                    .map(|quantile| of[(f64::from(quantile) * (of.len() - 1) as f64).round() as usize]);
            }
        }
        Ok(tree)
    }

    /// Adds a node and what hangs on it; its place.
    fn add(&mut self, node: &TreeNode<f64, usize>) -> usize {
        let place = self.0.len();
        self.0.push(Node::Leaf([0.0; QUANTILES.len()]));
        let children: Vec<&TreeNode<f64, usize>> =
            node.children().into_iter().filter_map(|child| child.as_deref()).collect();
        if let [low, high] = children[..] {
            let children = [self.add(low), self.add(high)];
            let (column, value, _) = node.split();
            self.0[place] = Node::Split { column, value, children };
        }
        place
    }

    fn place(&self, inputs: &[f64; WIDTH + 1]) -> usize {
        let mut place = 0;
        // No path is longer than the tree.
        for _ in 0..self.0.len() {
            match &self.0[place] {
                Node::Split { column, value, children } => {
                    place = children[usize::from(inputs[*column] >= *value)];
                }
                Node::Leaf(_) => break,
            }
        }
        place
    }

    fn leaf(&self, inputs: &[f64; WIDTH + 1]) -> [f64; QUANTILES.len()] {
        match &self.0[self.place(inputs)] {
            Node::Leaf(quantiles) => *quantiles,
            Node::Split { .. } => [0.0; QUANTILES.len()],
        }
    }
}
