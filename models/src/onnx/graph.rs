//! From the bytes of an ONNX file to a plan that tract runs, refusing every graph but that of `form`.
//! tract panics on some graphs that make no sense, and a hub must not: it sees none.

use std::sync::Arc;

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};
use tract_onnx::prelude::*;

use super::form::{FITTED, FIXED, NODES, Node, OPERATOR_SET};
use super::selected;
use crate::contract::{Contract, ContractError, Port};

pub(super) fn prepare(
    contract: &Contract,
    onnx_bytes: &[u8],
) -> Result<Arc<TypedRunnableModel>, ContractError> {
    let refused = |error: TractError| ContractError::Graph(format!("{error:#}"));
    let onnx = tract_onnx::onnx();
    let proto = onnx.proto_model_for_read(&mut &*onnx_bytes).map_err(refused)?;
    check_proto(contract, &proto)?;
    let model = onnx.model_for_proto_model(&proto).map_err(refused)?;
    let mut model = model.into_typed().map_err(refused)?;
    selected::put_in(&mut model).map_err(refused)?;
    model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(refused)
}

fn refuse<T>(why: String) -> Result<T, ContractError> {
    Err(ContractError::Graph(why))
}

fn check_proto(contract: &Contract, proto: &ModelProto) -> Result<(), ContractError> {
    let Some(graph) = &proto.graph else { return refuse("it holds no graph".into()) };
    let [operators] = &proto.opset_import[..] else {
        return refuse(format!("{} operator sets, expected one", proto.opset_import.len()));
    };
    if !operators.domain.is_empty() || operators.version != OPERATOR_SET {
        let found = (&operators.domain, operators.version);
        return refuse(format!("operator set {found:?}, expected version {OPERATOR_SET} of ONNX's own"));
    }
    let more = proto.functions.len() + proto.training_info.len();
    if more + graph.sparse_initializer.len() + graph.value_info.len() > 0 {
        return refuse("it holds more than nodes and tensors".into());
    }
    check_port("input", &graph.input, &contract.input)?;
    check_port("output", &graph.output, &contract.output)?;
    if graph.node.len() != NODES.len() {
        return refuse(format!("{} nodes, a load model has {}", graph.node.len(), NODES.len()));
    }
    for (found, expected) in graph.node.iter().zip(&NODES) {
        check_node(found, expected)?;
    }
    check_tensors(graph)
}

fn check_node(found: &NodeProto, expected: &Node) -> Result<(), ContractError> {
    let attribute = match &found.attribute[..] {
        [] => expected.attribute.is_none(),
        [found] => {
            let plain = found.g.is_none() && found.t.is_none() && found.r#type == AttributeType::Int as i32;
            plain && expected.attribute == Some((found.name.as_str(), found.i))
        }
        _ => false,
    };
    let same = found.domain.is_empty()
        && found.op_type == expected.operator
        && found.input == expected.inputs
        && found.output == [expected.output];
    if same && attribute {
        return Ok(());
    }
    refuse(format!(
        "node {:?} is a {} of {:?} with {} attributes, a load model has there {expected:?}",
        found.name,
        found.op_type,
        found.input,
        found.attribute.len()
    ))
}

fn check_tensors(graph: &GraphProto) -> Result<(), ContractError> {
    let (found, expected) = (graph.initializer.len(), FITTED.len() + FIXED.len());
    if found != expected {
        return refuse(format!("{found} tensors, a load model has {expected}"));
    }
    let (fitted, fixed) = graph.initializer.split_at(FITTED.len());
    for (tensor, (name, dims)) in fitted.iter().zip(FITTED) {
        let (values, rest) = plain(tensor, name, dims, DataType::Float)?.as_chunks::<4>();
        let count: i64 = dims.iter().product();
        if values.len() as i64 != count || !rest.is_empty() {
            return refuse(format!("tensor {name:?} holds {} values, its shape says {count}", values.len()));
        }
        let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes));
        if let Some((place, value)) = values.enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(ContractError::Weight { tensor: name.into(), place, value });
        }
    }
    for (tensor, (name, dims, value)) in fixed.iter().zip(FIXED) {
        if plain(tensor, name, dims, DataType::Int64)? != value.to_le_bytes() {
            return refuse(format!("tensor {name:?} is not {value}"));
        }
    }
    Ok(())
}

/// The bytes of a tensor that lies in the file itself, with this name, shape and type.
fn plain<'a>(
    tensor: &'a TensorProto,
    name: &str,
    dims: &[i64],
    kind: DataType,
) -> Result<&'a [u8], ContractError> {
    if tensor.name != name || tensor.dims != dims || tensor.data_type != kind as i32 {
        let found = (&tensor.name, &tensor.dims, tensor.data_type);
        return refuse(format!("tensor {found:?}, a load model has there {:?}", (name, dims, kind as i32)));
    }
    let outside = tensor.data_location.is_some_and(|location| location != 0);
    let elsewhere = tensor.float_data.len() + tensor.int32_data.len() + tensor.int64_data.len();
    if outside
        || elsewhere + tensor.external_data.len() + tensor.string_data.len() > 0
        || tensor.segment.is_some()
    {
        return refuse(format!("tensor {name:?} lies outside the file or in parts"));
    }
    Ok(&tensor.raw_data)
}

fn check_port(what: &'static str, found: &[ValueInfoProto], port: &Port) -> Result<(), ContractError> {
    let expected = format!("{:?} {:?} of 32-bit floats", port.name, port.shape);
    let [info] = found else {
        return Err(ContractError::Port { what, found: format!("{} of them", found.len()), expected });
    };
    let tensor = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let shape: Option<Vec<i64>> = tensor.and_then(|type_proto::Value::TensorType(tensor)| {
        let float = tensor.elem_type == DataType::Float as i32;
        let dims = &tensor.shape.as_ref().filter(|_| float)?.dim;
        dims.iter()
            .map(|dim| match dim.value {
                Some(dimension::Value::DimValue(size)) => Some(size),
                _ => None,
            })
            .collect()
    });
    if info.name == port.name && shape == Some(port.shape.map(|size| size as i64).to_vec()) {
        return Ok(());
    }
    let shape = shape.map_or_else(|| "no fixed shape of 32-bit floats".into(), |shape| format!("{shape:?}"));
    Err(ContractError::Port { what, found: format!("{:?} {shape}", info.name), expected })
}
