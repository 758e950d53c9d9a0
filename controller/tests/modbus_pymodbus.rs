//! The driver against pymodbus, an implementation that shares no line with ours, over TCP and over RTU.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod peers;

use peers::steady::steady;
use peers::{Pymodbus, bus, contacts, device, drive, free_port, rtu, said, values, wired_ports, with_relays};
use sunkeep::device_file::Catalogue;
use sunkeep::driver::{Driver, Output};
use sunkeep::modbus::{LineSettings, ModbusBus, TcpSettings};
use sunkeep_models::time::Uptime;

fn home(line: LineSettings) -> ModbusBus {
    let catalogue = Catalogue::load(None).unwrap();
    let file = |key: &str| catalogue.get(key).unwrap();
    let tracer = [
        "pv.voltage",
        "pv.current",
        "pv.power",
        "battery.voltage",
        "load.power",
        "battery.temperature",
        "battery.soc",
        "generated.today",
        "battery.net_current",
        "settings.battery_capacity",
    ];
    let meter = [
        "voltage.l1",
        "voltage.l2",
        "voltage.l3",
        "power.total",
        "frequency",
        "energy.import",
        "energy.total",
    ];
    let relays = with_relays(device(3, &file("relay_board_8"), &[], 1.0), &[(0, 0), (1, 7)]);
    let devices = vec![
        device(1, &file("epever_tracer"), &tracer, 1.0),
        device(2, &file("eastron_sdm630"), &meter, 1.0),
        relays,
    ];
    bus(line, devices)
}

async fn reads_and_switches(mut bus: ModbusBus) {
    let events = drive(&mut bus, 0, 3).await;
    let last = |channel: u16| values(&events, channel).last().copied();
    let tracer = [68.12, 5.23, 356.27, 26.43, 55.44, 21.5, 87.0, 2.12];
    for (at, expected) in (10..).zip(tracer) {
        assert!((last(at).unwrap() - expected).abs() < 1e-9, "channel {at}: {:?}, not {expected}", last(at));
    }
    assert_eq!(last(18), None, "this controller has no net current");
    assert_eq!(last(19), Some(200.0));
    for (at, expected) in (20..).zip([229.75, 231.5, 230.25, 1234.5, 50.02, 4321.25, 4400.5]) {
        assert!((last(at).unwrap() - expected).abs() < 1e-4, "channel {at}: {:?}, not {expected}", last(at));
    }
    for unit in 1..=3 {
        assert_eq!(said(&events, unit), ["answers"]);
    }
    assert_eq!(contacts(&events, 0), [Some(false)]);

    let now = Uptime::from_seconds(3);
    let written = bus.write(Output(1), true, now).await;
    assert_eq!((contacts(&written, 0), contacts(&written, 1)), (vec![Some(false)], vec![Some(true)]));
    let written = bus.write(Output(1), false, now).await;
    assert_eq!(contacts(&written, 1), [Some(false)]);

    let reports: Vec<_> = bus.probe().await.iter().map(ToString::to_string).collect();
    assert_eq!(
        reports,
        [
            "device 1: ok: settings.battery_capacity 200 Ah, pv.voltage 68.12 V, pv.current 5.23 A, pv.power \
             356.27 W",
            "device 2: ok: voltage.l1 229.75 V, voltage.l2 231.5 V, voltage.l3 230.25 V, power.total 1234.5 W",
            "device 3: ok: relays off off off off off off off off",
        ]
    );
}

#[test]
fn a_home_over_tcp() {
    steady(async || {
        let port = free_port();
        let _peer = Pymodbus::start("tcp", &port.to_string());
        reads_and_switches(home(LineSettings::Tcp(TcpSettings { host: "127.0.0.1".into(), port }))).await;
    });
}

#[test]
fn a_home_over_rtu() {
    steady(async || {
        let (hub, devices) = wired_ports();
        let _peer = Pymodbus::start("rtu", devices.to_str().unwrap());
        reads_and_switches(home(rtu(hub))).await;
    });
}
