//! One operator for most of a load model's graph ([`super::form`]): it picks the weights of each row by its slot
//! of the day, and sums the products.
//!
//! tract runs those nodes one after the other, through indices that may be symbols and tables of 10,000 products that
//! nobody needs, and that takes several times as long as the products. The file stays plain ONNX; this is
//! put in when a graph is made ready.

use std::sync::Arc;

use tract_onnx::prelude::*;
#[allow(clippy::wildcard_imports, reason = "tract's macros want what is in there")]
use tract_onnx::tract_core::internal::*;

use super::form::OUTPUT;

/// Names of the nodes whose outputs it reads: the slot of the day of each row, as a float, and the features.
const READS: [&str; 2] = ["slot_value", "features"];
/// Names of the nodes whose first inputs are the fitted tensors: weights and constants.
const PICKS: [&str; 2] = ["weights_of_slot", "constants_of_slot"];
/// Products that are summed side by side, so that a processor can take them at once.
const LANES: usize = 8;

/// For each row, the products of its features with each set of weights of its slot, summed, and the constant.
#[derive(Debug, Clone, PartialEq)]
struct SelectedDot {
    /// `[slots, quantiles, features]`, 32-bit floats.
    weights: Arc<Tensor>,
    /// `[slots, quantiles]`, 32-bit floats.
    constants: Arc<Tensor>,
}

impl Eq for SelectedDot {}

/// Puts the operator in the place of the nodes between [`READS`] and the output.
pub(super) fn put_in(model: &mut TypedModel) -> TractResult<()> {
    let fitted = |node: &str| -> TractResult<Arc<Tensor>> {
        let node = model.node_by_name(node)?;
        let tensor = node.inputs.first().map(|tensor| model.outlet_fact(*tensor)).transpose()?;
        tensor.and_then(|fact| fact.konst.clone()).with_context(|| format!("{}: no constant", node.name))
    };
    let [weights, constants] = PICKS.map(fitted);
    let operator = SelectedDot { weights: weights?, constants: constants? };
    let mut patch = TypedModelPatch::default();
    let mut reads = tvec!();
    for node in READS {
        reads.push(patch.tap_model(model, model.node_by_name(node)?.id.into())?);
    }
    let answers = patch.wire_node("selected", operator, &reads)?[0];
    patch.shunt_outside(model, model.node_by_name(OUTPUT)?.id.into(), answers)?;
    patch.apply(model)
}

impl Op for SelectedDot {
    fn name(&self) -> StaticName {
        "SelectedDot".into()
    }

    op_as_typed_op!();
}

impl EvalOp for SelectedDot {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (slots, features) = args_2!(inputs);
        let [slots_of_day, quantiles, width] = *self.weights.shape() else {
            bail!("weights of the shape {:?}", self.weights.shape());
        };
        let (weights, constants) = (self.weights.try_as_plain_ram()?, self.constants.try_as_plain_ram()?);
        let (weights, constants) = (weights.as_slice::<f32>()?, constants.as_slice::<f32>()?);
        let (slots, features) = (slots.try_as_plain_ram()?, features.try_as_plain_ram()?);
        let (slots, features) = (slots.as_slice::<f32>()?, features.as_slice::<f32>()?);
        ensure!(features.len() == slots.len() * width, "{} features of {} rows", features.len(), slots.len());
        let mut answers = Vec::with_capacity(slots.len() * quantiles);
        for (slot, row) in slots.iter().zip(features.chunks_exact(width)) {
            // As the cast of the graph: towards zero.
            let place = *slot as i64;
            let place = usize::try_from(place).ok().filter(|place| *place < slots_of_day);
            let Some(place) = place else { bail!("{slot} is no slot of the day") };
            let weights = weights[place * quantiles * width..][..quantiles * width].chunks_exact(width);
            let constants = &constants[place * quantiles..][..quantiles];
            answers.extend(weights.zip(constants).map(|(weights, constant)| dot(weights, row) + constant));
        }
        Ok(tvec!(Tensor::from_shape(&[slots.len(), quantiles], &answers)?.into_tvalue()))
    }
}

impl TypedOp for SelectedDot {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (rows, quantiles) = (inputs[0].shape[0].clone(), self.weights.shape()[1]);
        Ok(tvec!(f32::fact([rows, quantiles.to_dim()])))
    }
}

/// The sum of the products of two rows.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let ((ones, one), (others, other)) = (one.as_chunks::<LANES>(), other.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (one, other) in ones.iter().zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    let rest: f32 = one.iter().zip(other).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f32>() + rest
}
