//! The benchmark says which stage could not run, and fails; what it measures is nobody's test.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_stage_that_cannot_run_is_named_and_fails_the_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "--only",
            "size,lockstep",
            "--json",
            "--sunkeep",
            "/no/such/sunkeep",
            "--python",
            "/no/such/python",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&said).unwrap();
    let stages = report["stages"].as_array().unwrap();
    for (stage, name) in stages.iter().zip(["size", "lockstep"]) {
        assert_eq!(stage["stage"], name);
        assert!(stage["failed"].as_str().unwrap().contains("/no/such/sunkeep"), "{stage}");
    }
    assert_eq!(stages.len(), 2, "the others were not asked for");
}
