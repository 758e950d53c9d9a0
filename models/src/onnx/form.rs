//! The one form of graph a load model has: training writes it, and a hub runs nothing else. A graph of
//! another form could make the runtime panic, loop or fill the memory; a new form comes with a new version
//! of Sunkeep, and `least_controller` says so.
//!
//! The graph picks the weights of each row by the slot of the day in its first column:
//!
//! ```text
//! rows [96, C] --Gather 0--Cast--> slot [96] --Gather--> weights [96, 3, C-1], constants [96, 3]
//!      \--Slice 1..--Unsqueeze--> [96, 1, C-1] --Mul weights--ReduceSum--Add constants--> quantiles [96, 3]
//! ```

use crate::contract::QUANTILES;
use crate::load_features::WIDTH;
use crate::time::SLOTS_PER_DAY;

/// Name of the input: rows of features.
pub const INPUT: &str = "rows";
/// Name of the output: for each row the quantiles over the level of the site.
pub const OUTPUT: &str = "quantiles";
/// Version of the ONNX operator set.
pub const OPERATOR_SET: i64 = 17;
/// Code of 64-bit integers in ONNX.
pub const INT64: i64 = 7;

/// One node; it is named like its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Operator.
    pub operator: &'static str,
    /// What it reads.
    pub inputs: &'static [&'static str],
    /// What it makes.
    pub output: &'static str,
    /// Integer attribute, if it has one.
    pub attribute: Option<(&'static str, i64)>,
}

const fn node(
    operator: &'static str,
    inputs: &'static [&'static str],
    output: &'static str,
    attribute: Option<(&'static str, i64)>,
) -> Node {
    Node { operator, inputs, output, attribute }
}

/// All nodes, in the order in which they run.
pub const NODES: [Node; 9] = [
    node("Gather", &[INPUT, "first"], "slot_value", Some(("axis", 1))),
    node("Cast", &["slot_value"], "slot", Some(("to", INT64))),
    node("Slice", &[INPUT, "one", "width", "one"], "features", None),
    node("Unsqueeze", &["features", "one"], "features_of_each", None),
    node("Gather", &["weights", "slot"], "weights_of_slot", Some(("axis", 0))),
    node("Gather", &["constants", "slot"], "constants_of_slot", Some(("axis", 0))),
    node("Mul", &["weights_of_slot", "features_of_each"], "products", None),
    node("ReduceSum", &["products", "two"], "sums", Some(("keepdims", 0))),
    node("Add", &["sums", "constants_of_slot"], OUTPUT, None),
];

/// The tensors that are fitted, 32-bit floats: name and shape.
pub const FITTED: [(&str, &[i64]); 2] = [
    ("weights", &[SLOTS_PER_DAY as i64, QUANTILES.len() as i64, WIDTH as i64 - 1]),
    ("constants", &[SLOTS_PER_DAY as i64, QUANTILES.len() as i64]),
];

/// The tensors that are the same in every model, 64-bit integers of one element: name, shape, value.
pub const FIXED: [(&str, &[i64], i64); 4] =
    [("first", &[], 0), ("one", &[1], 1), ("width", &[1], WIDTH as i64), ("two", &[1], 2)];
