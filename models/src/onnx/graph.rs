//! From the bytes of an ONNX file to a plan that tract runs, refusing what a load model does not need.

use std::collections::HashSet;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use crate::contract::{Contract, ContractError, Port};

/// Operators a graph may use: arithmetic over tensors whose size the shapes bound. None repeats, branches,
/// or makes something large of something small.
const OPERATORS: [&str; 20] = [
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Div",
    "Gather",
    "Gemm",
    "Less",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "ReduceSum",
    "Relu",
    "Sigmoid",
    "Slice",
    "Squeeze",
    "Sub",
    "Tanh",
    "Unsqueeze",
];

/// Nodes a graph may have.
const MOST_NODES: usize = 64;

pub(super) fn prepare(
    contract: &Contract,
    onnx_bytes: &[u8],
) -> Result<Arc<TypedRunnableModel>, ContractError> {
    let refused = |error: TractError| ContractError::Graph(format!("{error:#}"));
    let onnx = tract_onnx::onnx();
    let proto = onnx.proto_model_for_read(&mut &*onnx_bytes).map_err(refused)?;
    check_proto(&proto)?;
    let model = onnx.model_for_proto_model(&proto).map_err(refused)?;
    check_input(&model, &contract.input)?;
    let typed = model.into_typed().map_err(refused)?;
    check_output(&typed, &contract.output)?;
    typed.into_optimized().and_then(IntoRunnable::into_runnable).map_err(refused)
}

fn check_proto(proto: &ModelProto) -> Result<(), ContractError> {
    let refuse = |why: String| Err(ContractError::Graph(why));
    let Some(graph) = &proto.graph else { return refuse("it holds no graph".into()) };
    if !proto.functions.is_empty() || !graph.sparse_initializer.is_empty() {
        return refuse("it holds functions or sparse tensors, expected a plain graph".into());
    }
    if graph.node.len() > MOST_NODES {
        return refuse(format!("{} nodes, at most {MOST_NODES} are run", graph.node.len()));
    }
    for node in &graph.node {
        let known = node.domain.is_empty() && OPERATORS.contains(&node.op_type.as_str());
        if !known {
            return refuse(format!("node {:?} is a {}, which no load model needs", node.name, node.op_type));
        }
        if node.attribute.iter().any(|attribute| attribute.g.is_some() || attribute.t.is_some()) {
            return refuse(format!("node {:?} holds a graph or a tensor of its own", node.name));
        }
    }
    check_wires(graph)?;
    graph.initializer.iter().try_for_each(check_tensor)
}

/// Every name that is read must be made by somebody before.
fn check_wires(graph: &GraphProto) -> Result<(), ContractError> {
    let mut made: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    made.extend(graph.input.iter().map(|input| input.name.as_str()));
    let wires = graph.node.iter().flat_map(|node| {
        let inputs = node.input.iter().map(|name| (name, false));
        inputs.chain(node.output.iter().map(|name| (name, true)))
    });
    for (name, makes) in wires.chain(graph.output.iter().map(|output| (&output.name, false))) {
        if makes {
            made.insert(name);
        } else if !name.is_empty() && !made.contains(name.as_str()) {
            return Err(ContractError::Graph(format!("{name:?} is read before anything makes it")));
        }
    }
    Ok(())
}

/// Weights must be numbers, as many as their shape says, and lie in the file itself.
fn check_tensor(tensor: &TensorProto) -> Result<(), ContractError> {
    let refuse = |why: &str| Err(ContractError::Graph(format!("tensor {:?} {why}", tensor.name)));
    if tensor.data_location.is_some_and(|location| location != 0) || !tensor.external_data.is_empty() {
        return refuse("lies outside the file");
    }
    let count =
        tensor.dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(usize::try_from(*dim).ok()?));
    let Some(count) = count else { return refuse("has an impossible shape") };
    let raw = &tensor.raw_data;
    let held = if tensor.data_type == DataType::Float as i32 {
        let values: Vec<f32> = if raw.is_empty() {
            tensor.float_data.clone()
        } else {
            raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(ContractError::Weight { tensor: tensor.name.clone(), place, value: values[place] });
        }
        values.len()
    } else if tensor.data_type == DataType::Int64 as i32 {
        if raw.is_empty() { tensor.int64_data.len() } else { raw.len() / 8 }
    } else {
        return refuse("holds neither 32-bit floats nor 64-bit integers");
    };
    if held == count { Ok(()) } else { refuse(&format!("holds {held} values, its shape says {count}")) }
}

fn check_input(model: &InferenceModel, port: &Port) -> Result<(), ContractError> {
    let refuse = |found: String| Err(ContractError::Port { what: "input", found, expected: described(port) });
    let outlets = model.input_outlets().map_err(|error| ContractError::Graph(format!("{error:#}")))?;
    let [outlet] = outlets[..] else { return refuse(format!("{} of them", outlets.len())) };
    let name = &model.node(outlet.node).name;
    let fact = model.outlet_fact(outlet).map_err(|error| ContractError::Graph(format!("{error:#}")))?;
    let shape: Option<Vec<usize>> =
        fact.shape.as_concrete_finite().ok().flatten().map(|dims| dims.iter().copied().collect());
    let float = fact.datum_type.concretize() == Some(f32::datum_type());
    if *name == port.name && shape.as_deref() == Some(&port.shape[..]) && float {
        return Ok(());
    }
    refuse(format!("{name:?} {fact:?}"))
}

fn check_output(model: &TypedModel, port: &Port) -> Result<(), ContractError> {
    let refuse =
        |found: String| Err(ContractError::Port { what: "output", found, expected: described(port) });
    let outlets = model.output_outlets().map_err(|error| ContractError::Graph(format!("{error:#}")))?;
    let [outlet] = outlets[..] else { return refuse(format!("{} of them", outlets.len())) };
    let name = model.outlet_label(outlet).unwrap_or(&model.node(outlet.node).name);
    let fact = model.outlet_fact(outlet).map_err(|error| ContractError::Graph(format!("{error:#}")))?;
    let shape: Option<Vec<usize>> = fact.shape.iter().map(|dim| dim.to_usize().ok()).collect();
    let float = fact.datum_type == f32::datum_type();
    if name == port.name && shape.as_deref() == Some(&port.shape[..]) && float {
        return Ok(());
    }
    refuse(format!("{name:?} {fact:?}"))
}

fn described(port: &Port) -> String {
    format!("{:?} {}x{} of 32-bit floats", port.name, port.shape[0], port.shape[1])
}
