//! `sunkeep check`: a line for each device, and what it says of a file that is wrong.

use core::time::Duration;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Output;

use sunkeep_simulator::Fault;
use sunkeep_tests::house::{House, add};
use sunkeep_tests::hub::command;

use super::HUB;

async fn check(config: &Path) -> Output {
    command(HUB, &[OsStr::new("check"), OsStr::new("--config"), config.as_os_str()]).await
}

/// What it said of a device; fails unless that is one line.
fn line_of(said: &str, device: &str) -> String {
    let start = format!("{device}: ");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with(&start)).collect();
    assert_eq!(lines.len(), 1, "one line for {device} in:\n{said}");
    lines[0].to_owned()
}

#[tokio::test]
async fn each_device_has_a_line_and_a_silent_one_fails_the_check() {
    let house = House::start(51, 0.8).await;
    // Also those that feed nothing.
    let table = house.table();
    let devices = table["device"].as_array().unwrap();
    let devices: Vec<_> = devices.iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert!(devices.len() >= 7, "{devices:?}");
    let config = house.write(&table);
    let output = check(&config).await;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    for &device in &devices {
        assert!(line_of(&said, device).starts_with(&format!("{device}: ok: ")), "{said}");
    }

    assert!(house.home().set_fault("rs485-1", 2, Fault::Dead));
    let output = check(&config).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for device in devices.iter().filter(|device| **device != "indoors") {
        assert!(line_of(&said, device).starts_with(&format!("{device}: ok: ")), "{said}");
    }
    let silent = line_of(&said, "indoors");
    println!("{silent}");
    assert!(silent.contains("FAILS") && silent.contains("Try:"), "{silent}");
}

#[tokio::test]
async fn a_check_ends_where_nobody_is() {
    let house = House::start(52, 0.8).await;
    let mut table = house.table();
    add(&mut table, "pulse", "name = 'yard'\nline = 5\nwh_per_pulse = 1.0");
    table.insert("gpio".into(), toml::from_str("driver = 'chardev'\nchip = '/dev/gpiochip99'").unwrap());
    let config = house.write(&table);
    house.unplug("gx");
    house.unplug("rs485-0");
    let start = sunkeep_tests::now();
    let output = check(&config).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(start.elapsed() < Duration::from_secs(30));
    for device in ["charger", "gx"] {
        let line = line_of(&said, device);
        println!("{line}");
        assert!(line.contains("FAILS") && line.contains("Try:"), "{line}");
    }
    let line = line_of(&said, "gpio");
    assert!(line.contains("FAILS: /dev/gpiochip99: there is no such device"), "{line}");
}

#[tokio::test]
async fn a_refused_file_is_told_with_its_line() {
    let house = House::start(53, 0.8).await;
    let config = house.write(&house.table());
    let text = std::fs::read_to_string(&config).unwrap();
    let line = text.lines().position(|line| line.starts_with("chemistry")).unwrap() + 1;
    let broken = text.replace("chemistry = \"lfp\"", "chemistry = \"lithium\"");
    assert_ne!(text, broken);
    std::fs::write(&config, broken).unwrap();
    for sub in ["check", "run"] {
        let output = command(HUB, &[OsStr::new(sub), OsStr::new("--config"), config.as_os_str()]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("hub.toml:{line}")), "{said}");
        assert!(said.contains("lithium"), "{said}");
    }
}
