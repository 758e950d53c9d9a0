//! Models that a hub must refuse, each with its error: the factory model is spoiled in one way at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use prost::Message;
use sunkeep_models::contract::{Contract, ContractError, MOST_CONTRACT_BYTES, MOST_MODEL_BYTES};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::factory::{LOAD_ONNX, LOAD_TOML, load_model};
use sunkeep_models::forecast::Forecaster;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{HORIZON, Slot, Zone};
use tract_onnx::pb::{GraphProto, ModelProto};

fn contract() -> Contract {
    Contract::parse(LOAD_TOML).unwrap()
}

/// The error for a changed contract with the unchanged file.
fn with_contract(change: impl FnOnce(&mut Contract)) -> ContractError {
    let mut contract = contract();
    change(&mut contract);
    OnnxForecaster::load(&contract.to_toml().unwrap(), LOAD_ONNX).unwrap_err()
}

/// The result for a changed text with the unchanged file.
fn with_text(from: &str, to: &str) -> ContractError {
    assert!(LOAD_TOML.contains(from), "the factory contract holds no {from:?}");
    OnnxForecaster::load(&LOAD_TOML.replacen(from, to, 1), LOAD_ONNX).unwrap_err()
}

/// The error for a changed graph whose contract was signed for it: length and digest fit.
fn with_graph(change: impl FnOnce(&mut GraphProto)) -> ContractError {
    let mut model = ModelProto::decode(LOAD_ONNX).unwrap();
    change(model.graph.as_mut().unwrap());
    with_bytes(&model.encode_to_vec()).unwrap_err()
}

fn with_bytes(bytes: &[u8]) -> Result<OnnxForecaster, ContractError> {
    let mut contract = contract();
    contract.file.bytes = bytes.len();
    contract.file.sha256 = sha256_hex(bytes);
    OnnxForecaster::load(&contract.to_toml().unwrap(), bytes)
}

/// The values of a tensor of the graph.
fn tensor<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut Vec<u8> {
    &mut graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap().raw_data
}

fn assert_value(error: &ContractError, key: &str) {
    assert!(matches!(error, ContractError::Value { key: found, .. } if *found == key), "{error}");
}

fn assert_graph(error: &ContractError, says: &str) {
    assert!(matches!(error, ContractError::Graph(why) if why.contains(says)), "{error}");
}

#[test]
fn the_factory_model_loads_and_forecasts_a_steady_home() {
    let model = load_model().unwrap();
    assert!(LOAD_ONNX.len() <= 30_000, "{} bytes, 30 kB is the goal", LOAD_ONNX.len());
    for days in [2, 5, 30] {
        for issue in [0, 13, 40] {
            let mut history = SlotHistory::new();
            let issued = Slot(981_792 + days * 48 + issue);
            for slot in 981_792..issued.0 {
                history.record(Slot(slot), Some(120.0));
            }
            let forecast = model.forecast(&history, issued, &Zone::utc()).unwrap();
            for watts in &forecast.p50 {
                assert!((60.0..200.0).contains(watts), "{days} days of 120 W: P50 {watts} W");
            }
        }
    }
}

#[test]
fn forecasts_grow_with_the_site() {
    let model = load_model().unwrap();
    let forecast = |scale: f32| {
        let mut history = SlotHistory::new();
        for slot in 0..48 * 20 {
            history.record(Slot(slot), Some(scale * (100.0 + (slot * 7919 % 331) as f32)));
        }
        model.forecast(&history, Slot(48 * 20), &Zone::utc()).unwrap()
    };
    let (one, eight) = (forecast(1.0), forecast(8.0));
    for place in 0..HORIZON {
        assert!((one.p50[place] * 8.0 - eight.p50[place]).abs() < 1e-2, "slot {place}");
    }
}

#[test]
fn a_contract_that_is_not_a_contract() {
    assert!(matches!(OnnxForecaster::load("kind = 3", LOAD_ONNX), Err(ContractError::Text(_))));
    let large = " ".repeat(MOST_CONTRACT_BYTES + 1);
    assert!(matches!(OnnxForecaster::load(&large, LOAD_ONNX), Err(ContractError::TextTooLarge { .. })));
    let unknown = with_text("horizon = ", "colour = \"red\"\nhorizon = ");
    assert!(unknown.to_string().contains("colour"), "{unknown}");
    let nested = with_text("sha256 = ", "url = \"x\"\nsha256 = ");
    assert!(nested.to_string().contains("url"), "{nested}");
    let missing = with_text("horizon = ", "# horizon = ");
    assert!(missing.to_string().contains("horizon"), "{missing}");
    let kind = with_text("kind = \"load\"", "kind = \"weather\"");
    assert!(kind.to_string().contains("weather"), "{kind}");
}

#[test]
fn a_contract_for_another_hub() {
    assert_value(&with_contract(|contract| contract.feature_hash.replace_range(..1, "x")), "feature_hash");
    assert_value(&with_contract(|contract| contract.horizon = 48), "horizon");
    assert_value(&with_contract(|contract| contract.quantiles[0] = 0.2), "quantiles");
    assert_value(&with_contract(|contract| contract.quantiles.push(0.95)), "quantiles");
    assert_value(&with_contract(|contract| contract.least_controller = "99.0.0".into()), "least_controller");
    assert_value(&with_contract(|contract| contract.least_controller = "soon".into()), "least_controller");
    assert_value(&with_contract(|contract| contract.input.shape[1] += 1), "input.shape");
    assert_value(&with_contract(|contract| contract.output.shape[1] += 1), "output.shape");
    assert_value(&with_contract(|contract| contract.file.bytes = MOST_MODEL_BYTES + 1), "file.bytes");
    assert_value(&with_contract(|contract| contract.golden.truncate(1)), "golden");
    assert_value(&with_contract(|contract| contract.golden[1].row.truncate(3)), "golden.row");
    assert_value(&with_contract(|contract| contract.golden[1].row[3] = f32::NAN), "golden");
    assert_value(&with_contract(|contract| contract.golden[1].expected[0] = f32::INFINITY), "golden");
}

#[test]
fn another_file_than_the_contract_speaks_of() {
    let cut = OnnxForecaster::load(LOAD_TOML, &LOAD_ONNX[..LOAD_ONNX.len() - 1]).unwrap_err();
    assert!(matches!(cut, ContractError::File { what: "length", .. }), "{cut}");
    let mut flipped = LOAD_ONNX.to_vec();
    flipped[1000] ^= 1;
    let flipped = OnnxForecaster::load(LOAD_TOML, &flipped).unwrap_err();
    assert!(matches!(flipped, ContractError::File { what: "SHA-256", .. }), "{flipped}");
    let large = OnnxForecaster::load(LOAD_TOML, &vec![0; MOST_MODEL_BYTES + 1]).unwrap_err();
    assert!(matches!(large, ContractError::FileTooLarge { .. }), "{large}");
}

#[test]
fn a_file_that_is_no_graph() {
    for bytes in [b"not protobuf at all".as_slice(), &LOAD_ONNX[..200], &[]] {
        let error = with_bytes(bytes).unwrap_err();
        let empty = matches!(error, ContractError::Value { key: "file.bytes", .. });
        assert!(empty || matches!(error, ContractError::Graph(_)), "{error}");
    }
}

#[test]
fn weights_that_are_no_numbers() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error =
            with_graph(|graph| tensor(graph, "weights")[40..44].copy_from_slice(&value.to_le_bytes()));
        assert!(
            matches!(&error, ContractError::Weight { place: 10, tensor, .. } if tensor == "weights"),
            "{error}"
        );
    }
}

#[test]
fn weights_that_are_others() {
    let error = with_graph(|graph| {
        let constants = tensor(graph, "constants");
        constants.chunks_exact_mut(4).for_each(|bytes| bytes.copy_from_slice(&3.0_f32.to_le_bytes()));
    });
    assert!(matches!(error, ContractError::Golden { place: 0, .. }), "{error}");
    let error = with_contract(|contract| contract.golden[2].expected[1] += 0.01);
    assert!(matches!(error, ContractError::Golden { place: 2, .. }), "{error}");
}

#[test]
fn tensors_that_lie_elsewhere_or_about_their_size() {
    let weights = |graph: &mut GraphProto| {
        graph.initializer.iter().position(|tensor| tensor.name == "weights").unwrap()
    };
    let outside = with_graph(|graph| {
        let place = weights(graph);
        graph.initializer[place].data_location = Some(1);
    });
    assert_graph(&outside, "outside the file");
    let larger = with_graph(|graph| {
        let place = weights(graph);
        graph.initializer[place].dims[0] = 1 << 40;
    });
    assert_graph(&larger, "a load model has there");
    let impossible = with_graph(|graph| {
        let place = weights(graph);
        graph.initializer[place].dims = vec![i64::MAX, 4];
    });
    assert_graph(&impossible, "a load model has there");
    let short = with_graph(|graph| tensor(graph, "weights").truncate(400));
    assert_graph(&short, "holds 100 values, its shape says");
    let text = with_graph(|graph| {
        let place = weights(graph);
        graph.initializer[place].data_type = 8;
    });
    assert_graph(&text, "a load model has there");
}

#[test]
fn graphs_of_another_form() {
    assert_graph(&with_graph(|graph| graph.node[6].op_type = "Loop".into()), "is a Loop");
    assert_graph(&with_graph(|graph| graph.node[6].domain = "com.example".into()), "a load model has there");
    assert_graph(&with_graph(|graph| graph.node = vec![graph.node[6].clone(); 65]), "65 nodes");
    assert_graph(&with_graph(|graph| graph.node[8].input[0] = "nothing".into()), "nothing");
    assert_graph(&with_graph(|graph| graph.node.swap(6, 8)), "a load model has there");
    assert_graph(&with_graph(|graph| graph.node[0].attribute[0].i = 7), "a load model has there");
    // The axis tract panics at.
    assert_graph(&with_graph(|graph| tensor(graph, "two")[5] = 0x25), "tensor \"two\" is not 2");
    assert_graph(&with_graph(|graph| graph.initializer.truncate(5)), "5 tensors");
}

#[test]
fn inputs_and_outputs_that_are_others() {
    let renamed = with_contract(|contract| contract.input.name = "columns".into());
    assert!(matches!(renamed, ContractError::Port { what: "input", .. }), "{renamed}");
    let renamed = with_contract(|contract| contract.output.name = "mean".into());
    assert!(matches!(renamed, ContractError::Port { what: "output", .. }), "{renamed}");
    let two = with_graph(|graph| {
        let mut second = graph.input[0].clone();
        second.name = "weather".into();
        graph.input.push(second);
    });
    assert!(matches!(two, ContractError::Port { what: "input", .. }), "{two}");
    let sums = with_graph(|graph| graph.output[0].name = "products".into());
    assert!(matches!(sums, ContractError::Port { what: "output", .. }), "{sums}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_text_is_refused_without_harm(text in "\\PC{0,200}") {
        prop_assert!(OnnxForecaster::load(&text, LOAD_ONNX).is_err());
    }

    #[test]
    fn a_contract_with_spoiled_bytes_is_refused_or_the_same(
        places in prop::collection::vec((0..LOAD_TOML.len(), 0x20_u8..0x7f), 1..4),
    ) {
        let mut text = LOAD_TOML.as_bytes().to_vec();
        for (place, byte) in places {
            text[place] = byte;
        }
        if let Ok(text) = String::from_utf8(text)
            && let Ok(parsed) = Contract::parse(&text)
        {
            prop_assert_eq!(parsed.check(), Ok(()));
        }
    }

    #[test]
    fn a_signed_file_with_spoiled_bytes_never_panics(
        places in prop::collection::vec((0..LOAD_ONNX.len(), any::<u8>()), 1..4),
        structure in prop::collection::vec((0..400_usize, any::<u8>()), 0..3),
    ) {
        let mut bytes = LOAD_ONNX.to_vec();
        for (place, byte) in places {
            bytes[place] = byte;
        }
        // The graph's structure is at the beginning of the file and at its end.
        for (place, byte) in structure {
            let place = if place < 200 { place } else { bytes.len() - (place - 199) };
            bytes[place] = byte;
        }
        let _ = with_bytes(&bytes);
    }
}
