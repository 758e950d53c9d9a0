//! Our devices read by a master that nobody here wrote: mbpoll (libmodbus), over TCP and over RTU on a pty.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

mod common;

use std::process::Command;

use common::{bus, start};
use sunkeep_simulator::device::Model;
use sunkeep_simulator::home::{RunningHome, Transport};

const UNITS: &[(u8, Model)] = &[
    (1, Model::EpeverTracer3210a),
    (2, Model::RelayBoard8),
    (3, Model::XyMd02),
    (4, Model::EastronSdm630),
    (5, Model::AlgodueUem),
];

/// What mbpoll prints for one poll; addresses count from 0.
async fn mbpoll(home: &RunningHome, transport: Transport, arguments: &str) -> String {
    let address = home.address("bus").expect("the bus").to_owned();
    let mut command = Command::new("mbpoll");
    command.args(["-0", "-1", "-q", "-o", "2"]).args(arguments.split_whitespace());
    match transport {
        Transport::Tcp => {
            let port = address.rsplit(':').next().expect("a port");
            command.args(["-m", "tcp", "-p", port, "127.0.0.1"]);
        }
        Transport::Rtu => {
            command.args(["-m", "rtu", "-b", "115200", "-P", "none", &address]);
        }
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let output = output.expect("mbpoll must be installed for this test: apt-get install mbpoll");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{arguments}\n{text}");
    text
}

/// Value that mbpoll shows for a reference.
fn value(text: &str, reference: u16) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("[{reference}]")));
    let shown = line.unwrap_or_else(|| panic!("no [{reference}] in {text}")).split(':').nth(1);
    let shown = shown.expect("a value").split_whitespace().next().expect("a value");
    shown.parse().unwrap_or_else(|_| panic!("{shown:?} in {text}"))
}

async fn reads_all_devices(transport: Transport) {
    let home = start(bus(transport, UNITS)).await;
    let seen = home.readings();
    let text = mbpoll(&home, transport, "-a 1 -t 3 -r 12544 -c 18").await;
    assert_eq!(value(&text, 0x3104), (seen.battery_voltage * 100.0).round());
    assert_eq!(value(&text, 0x3100), (seen.pv_voltage * 100.0).round());
    let text = mbpoll(&home, transport, "-a 1 -t 3 -r 12544 -c 19").await;
    assert!(text.contains("Illegal data address"), "{text}");
    let text = mbpoll(&home, transport, "-a 1 -t 3 -r 13056 -c 20").await;
    assert_eq!(value(&text, 0x3302), (seen.battery_voltage_today[0] * 100.0).round());
    let text = mbpoll(&home, transport, "-a 3 -t 3 -r 1 -c 2").await;
    assert_eq!(value(&text, 1), (seen.air_temperature * 10.0).round());
    // Floats, high word first (-B).
    let text = mbpoll(&home, transport, "-a 4 -t 3:float -B -r 12 -c 3").await;
    for (offset, watts) in [0, 2, 4].into_iter().zip(seen.phases) {
        assert!((value(&text, 12 + offset) - watts).abs() < 0.01, "{text}");
    }
    let text = mbpoll(&home, transport, "-a 5 -t 4:float -B -r 4134 -c 1").await;
    assert!((value(&text, 0x1026) - seen.phases.iter().sum::<f64>()).abs() < 0.01, "{text}");
    let text = mbpoll(&home, transport, "-a 4 -t 3:float -B -r 0 -c 41").await;
    assert!(text.contains("Illegal data value"), "{text}");
}

#[tokio::test]
async fn over_tcp() {
    reads_all_devices(Transport::Tcp).await;
}

#[tokio::test]
async fn over_rtu_on_a_pty() {
    reads_all_devices(Transport::Rtu).await;
}

#[tokio::test]
async fn relays_switch_over_both() {
    for transport in [Transport::Tcp, Transport::Rtu] {
        let home = start(bus(transport, UNITS)).await;
        let address = home.address("bus").expect("the bus").to_owned();
        mbpoll_write(&home, transport, &address, "-a 2 -t 0 -r 2", &["1"]).await;
        assert_eq!(home.outputs().coils, [false, false, true, false, false, false, false, false]);
        mbpoll_write(&home, transport, &address, "-a 2 -t 0 -r 0", &["1", "0", "0", "0", "0", "0", "0", "1"])
            .await;
        assert_eq!(home.outputs().coils, [true, false, false, false, false, false, false, true]);
        let text = mbpoll(&home, transport, "-a 2 -t 0 -r 0 -c 8").await;
        let coils: Vec<f64> = (0..8).map(|coil| value(&text, coil)).collect();
        assert_eq!(coils, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}

/// Writes values; mbpoll wants them after the device.
async fn mbpoll_write(
    home: &RunningHome,
    transport: Transport,
    address: &str,
    arguments: &str,
    values: &[&str],
) {
    let mut command = Command::new("mbpoll");
    command.args(["-0", "-1", "-q", "-o", "2"]).args(arguments.split_whitespace());
    match transport {
        Transport::Tcp => {
            command.args(["-m", "tcp", "-p", address.rsplit(':').next().expect("a port"), "127.0.0.1"])
        }
        Transport::Rtu => command.args(["-m", "rtu", "-b", "115200", "-P", "none", address]),
    };
    command.args(values);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let output = output.expect("mbpoll must be installed for this test: apt-get install mbpoll");
    assert!(output.status.success(), "{output:?}, {:?}", home.traffic("bus", 2));
}
