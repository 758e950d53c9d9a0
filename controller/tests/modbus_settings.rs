//! Buses that must be refused, each with its reason.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod peers;

use peers::{QUICK, device, rtu, small_device, with_relays};
use sunkeep::device_file::Catalogue;
use sunkeep::driver::DeviceId;
use sunkeep::modbus::{BusSettings, DeviceSettings, ModbusBus};

fn refusal(devices: Vec<DeviceSettings>) -> Option<String> {
    let settings = BusSettings { name: "roof".into(), line: rtu("/dev/null".into()), devices };
    ModbusBus::new(settings).err().map(|error| error.to_string())
}

#[test]
fn rows_that_nobody_verified_are_refused_unless_they_are_allowed() {
    let kael = Catalogue::load(None).unwrap().get("kael_energy02").unwrap();
    let mut meter = device(1, &kael, &["voltage.l1"], 1.0);
    let error = refusal(vec![meter.clone()]).unwrap();
    assert!(error.contains("\"voltage.l1\" of kael_energy02.toml is not verified"), "{error}");
    assert!(error.contains("allow_unverified = true"), "{error}");
    meter.allow_unverified = true;
    assert_eq!(refusal(vec![meter]), None);
}

#[test]
fn what_cannot_be_driven_is_refused() {
    let file = small_device(QUICK);
    let one = device(1, &file, &["a"], 1.0);
    let cases = [
        (vec![], "roof\": 0 devices; expected 1 to 247"),
        (vec![device(1, &file, &["colour"], 1.0)], "has no register \"colour\"; small.toml has: a, b, pair"),
        (
            vec![with_relays(one.clone(), &[(0, 8)])],
            "relay 8 does not exist; small.toml has 8, counted from 0",
        ),
        (
            vec![one.clone(), DeviceSettings { id: DeviceId(2), ..one.clone() }],
            "two devices of kind small have unit 1",
        ),
        (vec![one.clone(), DeviceSettings { unit: 2, ..one.clone() }], "has the number of another device"),
        (vec![device(248, &file, &["a"], 1.0)], "unit 248; expected 0 to 247"),
        (vec![device(1, &file, &["a"], 0.0)], "a period of 0 s; expected 0.1 to 86400"),
        (vec![with_relays(one.clone(), &[(3, 0), (3, 1)])], "output 3 is wired to two relays"),
    ];
    for (devices, expected) in cases {
        let error = refusal(devices).unwrap();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
    assert_eq!(refusal(vec![one]), None);
}
