//! Writes the load model as an ONNX graph, with tract's protobuf types.
//!
//! The graph picks the weights of each row by the slot of the day in its first column:
//!
//! ```text
//! rows [96, C] --Gather 0--Cast--> slot [96] --Gather--> weights [96, 3, C-1], constants [96, 3]
//!      \--Slice 1..--Unsqueeze--> [96, 1, C-1] --Mul weights--ReduceSum--Add constants--> quantiles [96, 3]
//! ```

use prost::Message;
use sunkeep_models::contract::{Port, QUANTILES};
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto,
    type_proto,
};

use crate::load_fit::LoadWeights;

/// The input of the graph.
pub fn input() -> Port {
    Port { name: "rows".into(), shape: [HORIZON, WIDTH] }
}

/// The output of the graph.
pub fn output() -> Port {
    Port { name: "quantiles".into(), shape: [HORIZON, QUANTILES.len()] }
}

/// The bytes of the ONNX file. The same weights give the same bytes.
pub fn onnx_bytes(weights: &LoadWeights) -> Vec<u8> {
    let (slots, quantiles, features) = (SLOTS_PER_DAY as i64, QUANTILES.len() as i64, WIDTH as i64 - 1);
    let all = || weights.by_slot.iter().flatten();
    let slopes: Vec<f32> = all().flat_map(|weights| weights.iter().skip(1).map(|w| *w as f32)).collect();
    let constants: Vec<f32> = all().map(|weights| weights[0] as f32).collect();
    let graph = GraphProto {
        name: "load".into(),
        input: vec![value(&input())],
        output: vec![value(&output())],
        initializer: vec![
            floats("weights", &[slots, quantiles, features], &slopes),
            floats("constants", &[slots, quantiles], &constants),
            integers("first", &[], &[0]),
            integers("one", &[1], &[1]),
            integers("width", &[1], &[features + 1]),
            integers("two", &[1], &[2]),
        ],
        node: vec![
            node("Gather", &["rows", "first"], "slot_value", &[("axis", 1)]),
            node("Cast", &["slot_value"], "slot", &[("to", DataType::Int64 as i64)]),
            node("Slice", &["rows", "one", "width", "one"], "features", &[]),
            node("Unsqueeze", &["features", "one"], "features_of_each", &[]),
            node("Gather", &["weights", "slot"], "weights_of_slot", &[("axis", 0)]),
            node("Gather", &["constants", "slot"], "constants_of_slot", &[("axis", 0)]),
            node("Mul", &["weights_of_slot", "features_of_each"], "products", &[]),
            node("ReduceSum", &["products", "two"], "sums", &[("keepdims", 0)]),
            node("Add", &["sums", "constants_of_slot"], "quantiles", &[]),
        ],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        producer_name: "sunkeep-train".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        attribute: attributes
            .iter()
            .map(|(name, value)| AttributeProto {
                name: (*name).into(),
                r#type: AttributeType::Int as i32,
                i: *value,
                ..AttributeProto::default()
            })
            .collect(),
        ..NodeProto::default()
    }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

fn integers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

fn value(port: &Port) -> ValueInfoProto {
    let dim = |size: &usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(*size as i64)),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: port.shape.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: port.name.clone(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
