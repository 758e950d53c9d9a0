//! A dead, a slow, a babbling and a lying device beside two that work, all on one serial line.

use core::time::Duration;
use std::path::PathBuf;

use serde_json::Value;
use sunkeep_simulator::Fault;
use sunkeep_simulator::device::Model;
use sunkeep_simulator::home::{BusSpec, HomeOptions, Transport};
use sunkeep_tests::house::House;
use sunkeep_tests::hub::{Hub, device};
use sunkeep_tests::{now, pause};

use super::HUB;

const SOON: Duration = Duration::from_secs(30);
const SPAN: Duration = Duration::from_secs(20);
const LINE: &str = "line";
/// The two words of 100,000.0: a well-formed float that no meter of a home can mean.
const LIE: [u16; 2] = [0x47C3, 0x5000];

fn one_line(dir: Option<PathBuf>) -> HomeOptions {
    use Model::{AlgodueUem, EastronSdm120, EastronSdm630, EpeverTracer3210a, RelayBoard8, XyMd02};
    let units = [
        (1, EpeverTracer3210a),
        (2, RelayBoard8),
        (3, XyMd02),
        (4, EastronSdm120),
        (5, EastronSdm630),
        (6, AlgodueUem),
    ];
    let gx = [(100, Model::VictronSystem), (225, Model::VictronBattery), (226, Model::VictronSolarCharger)];
    let buses = vec![BusSpec::new(LINE, Transport::Rtu, &units), BusSpec::new("gx", Transport::Tcp, &gx)];
    HomeOptions { buses, dir, burst_pause: Duration::from_millis(20) }
}

/// Answers of charger and relay board.
fn answers(house: &House) -> [u64; 2] {
    [1, 2].map(|unit| house.home().traffic(LINE, unit).unwrap().answers)
}

/// Watches page and bus for a while: the longest time in which the charger got no answer through, and how
/// many answers came of charger and relay board.
async fn watch(house: &House, hub: &Hub) -> (Duration, [u64; 2]) {
    let (start, before) = (now(), answers(house));
    let (mut seen, mut at, mut longest) = (before[0], start, Duration::ZERO);
    while start.elapsed() < SPAN {
        let view = hub.view().await.unwrap();
        assert!(power(&view, 0).is_none_or(|watts| watts < 5000.0), "a lie is on the page: {view}");
        assert!(view["battery"]["voltage_v"].is_number(), "the charger is read: {view}");
        if answers(house)[0] != seen {
            (seen, at) = (answers(house)[0], now());
        }
        longest = longest.max(at.elapsed());
        pause(Duration::from_millis(100)).await;
    }
    (longest, [0, 1].map(|at| answers(house)[at] - before[at]))
}

/// Power of a load as the page shows it.
fn power(view: &Value, load: usize) -> Option<f64> {
    view["loads"][load]["power_w"].as_f64()
}

#[tokio::test]
async fn four_that_are_ill_leave_the_others_their_rate_and_are_told_once() {
    let mut house = House::standing_still(41, 0.95, one_line).await;
    house.live();
    let mut table = house.quick_table();
    let meters = ["house_meter/power", "tier_meter/power.l1", "check_meter/power.system"];
    for (load, meter) in meters.into_iter().enumerate() {
        let loads = table["load"].as_array_mut().unwrap();
        loads[load].as_table_mut().unwrap().insert("power".into(), meter.into());
    }
    for device in table["device"].as_array_mut().unwrap() {
        device.as_table_mut().unwrap().insert("poll_s".into(), 1.0.into());
    }
    let hub = Hub::run(HUB, &house.write(&table), house.page());
    let ill = ["check_meter", "tier_meter", "indoors", "house_meter"];
    hub.view_when("all answer", SOON, |view| {
        view["devices"].as_array().unwrap().iter().all(|device| device["answers"] == true)
            && (0..3).all(|load| power(view, load).is_some())
    })
    .await;
    let before = answers(&house);
    pause(SPAN).await;
    let healthy = [0, 1].map(|at| answers(&house)[at] - before[at]);

    let home = house.home();
    assert!(home.set_fault(LINE, 6, Fault::Dead));
    assert!(home.set_fault(LINE, 5, Fault::Slow(Duration::from_secs(3))));
    assert!(home.set_fault(LINE, 3, Fault::Babbling(Duration::from_millis(700))));
    assert!(home.set_fault(LINE, 4, Fault::Lying(LIE)));
    let cycles = hub.cycles().await;
    // To find out who is ill takes questions; then it must cost the others next to nothing.
    let (longest, _) = watch(&house, &hub).await;
    let (longest_later, sick) = watch(&house, &hub).await;
    println!("answers of charger and relay board in {} s: {healthy:?}, then {sick:?}", SPAN.as_secs());
    println!("longest time without an answer of the charger: {longest:.1?}, then {longest_later:.1?}");
    assert!(sick[0] * 4 >= healthy[0] * 3, "the charger is asked every second: {sick:?} of {healthy:?}");
    // Its contacts are read every five seconds, and once more after a switch.
    assert!(sick[1] + 1 >= SPAN.as_secs() / 5, "relay board: {sick:?}");
    assert!(longest < Duration::from_secs(10), "while it is found out who is ill: {longest:?}");
    assert!(longest_later < Duration::from_secs(6), "when it is known: {longest_later:?}");
    assert!(hub.cycles().await - cycles + 4 >= 2 * SPAN.as_secs(), "the cycle goes on");
    let view = hub.view().await.unwrap();
    for name in ill {
        println!("{name}: {:?}", device(&view, name));
        let told = hub.said(&["WARN", &format!("device={name}")]);
        let is_ill = device(&view, name).0 != Some(true) || !device(&view, name).1.is_empty();
        // Babble costs no more than a repeated question where the line is otherwise good.
        assert!(told == usize::from(is_ill), "{name} was told {told} times: {:#?}", hub.log());
        assert!(is_ill || name == "indoors", "{name} is shown well");
    }
    for name in ["charger", "relays", "gx"] {
        assert_eq!(hub.said(&["WARN", &format!("device={name}")]), 0, "{name}: {:#?}", hub.log());
    }

    (3..=6).for_each(|unit| assert!(home.set_fault(LINE, unit, Fault::None)));
    hub.view_when("all are well", Duration::from_secs(90), |view| {
        ill.iter().all(|name| device(view, name) == (Some(true), String::new()))
    })
    .await;
}
