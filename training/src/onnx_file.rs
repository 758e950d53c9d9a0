//! Writes the load model as an ONNX graph, with tract's protobuf types.
//! What the graph is made of is said in `sunkeep_models::onnx::form`, to which a hub holds it.

use prost::Message;
use sunkeep_models::contract::{Port, QUANTILES};
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::onnx::form::{FITTED, FIXED, INPUT, NODES, Node, OPERATOR_SET, OUTPUT};
use sunkeep_models::time::HORIZON;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto,
    type_proto,
};

use crate::load_fit::LoadWeights;

/// The input of the graph.
pub fn input() -> Port {
    Port { name: INPUT.into(), shape: [HORIZON, WIDTH] }
}

/// The output of the graph.
pub fn output() -> Port {
    Port { name: OUTPUT.into(), shape: [HORIZON, QUANTILES.len()] }
}

/// The bytes of the ONNX file. The same weights give the same bytes.
pub fn onnx_bytes(weights: &LoadWeights) -> Vec<u8> {
    let all = || weights.by_slot.iter().flatten();
    let slopes: Vec<f32> = all().flat_map(|weights| weights.iter().skip(1).map(|w| *w as f32)).collect();
    let constants: Vec<f32> = all().map(|weights| weights[0] as f32).collect();
    let fitted = FITTED.iter().zip([&slopes, &constants]).map(|((name, dims), values)| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor(name, dims, DataType::Float, bytes)
    });
    let fixed = FIXED
        .iter()
        .map(|(name, dims, value)| tensor(name, dims, DataType::Int64, value.to_le_bytes().to_vec()));
    let graph = GraphProto {
        name: "load".into(),
        input: vec![value(&input())],
        output: vec![value(&output())],
        initializer: fitted.chain(fixed).collect(),
        node: NODES.iter().map(node).collect(),
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
        producer_name: "sunkeep-train".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn node(node: &Node) -> NodeProto {
    NodeProto {
        op_type: node.operator.into(),
        name: node.output.into(),
        input: node.inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![node.output.into()],
        attribute: node
            .attribute
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

fn tensor(name: &str, dims: &[i64], kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        raw_data,
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
