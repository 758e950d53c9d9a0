//! Bus, disk and clock are pulled from under the running hub: the cycle goes on, and each is told once.

use core::time::Duration;

use serde_json::Value;
use sunkeep_tests::disk::SmallDisk;
use sunkeep_tests::house::{ALL_OFF, House, MIDNIGHT, set};
use sunkeep_tests::hub::{Hub, device, faults};
use sunkeep_tests::ticks::{Driven, Ticks};
use sunkeep_tests::{pause, until};

use super::HUB;

const SOON: Duration = Duration::from_secs(30);
/// How long what was pulled stays away.
const OUTAGE: Duration = Duration::from_secs(15);
/// After a minute of silence a device is tried at least once a minute.
const BACK: Duration = Duration::from_secs(70);
const YEAR: i64 = 365 * 86_400;

fn shows(view: &Value, words: &str) -> usize {
    faults(view).iter().filter(|fault| fault.contains(words)).count()
}

/// Cycles go on at one a second during the outage; a busy machine may lose some.
async fn cycles_go_on(hub: &Hub) {
    let before = hub.cycles().await;
    pause(OUTAGE).await;
    let cycles = hub.cycles().await - before;
    println!("{cycles} cycles in {} s", OUTAGE.as_secs());
    assert!(cycles + 3 >= OUTAGE.as_secs(), "{cycles} cycles in {} s", OUTAGE.as_secs());
}

#[tokio::test]
async fn pulled_buses_are_told_once_and_come_back() {
    let house = House::start(31, 0.95).await;
    let hub = Hub::run(HUB, &house.write(&house.quick_table()), house.page());
    let answers = |view: &Value, name: &str| device(view, name).0 == Some(true);
    let pulled = ["gx", "charger"];
    let all = |view: &Value| pulled.iter().all(|name| answers(view, name));
    hub.view_when("both answer", SOON, all).await;
    // The charger has a serial line of its own, the GX a connection.
    house.unplug("gx");
    house.unplug("rs485-0");
    hub.view_when("both are shown silent", SOON, |view| {
        pulled.iter().all(|name| device(view, name).0 == Some(false) && !device(view, name).1.is_empty())
    })
    .await;
    cycles_go_on(&hub).await;
    for name in pulled {
        assert_eq!(hub.said(&["is silent", &format!("device={name}")]), 1, "{name} is told once");
    }
    assert!(answers(&hub.view().await.unwrap(), "relays"), "other buses are not touched");
    assert!(house.home().replug("gx").await.unwrap() && house.home().replug("rs485-0").await.unwrap());
    hub.view_when("both answer again", BACK, all).await;
    for name in pulled {
        assert_eq!(hub.said(&["INFO answers", &format!("device={name}")]), 2, "{name}: at the start and now");
        assert_eq!(hub.said(&["is silent", &format!("device={name}")]), 1);
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_once_and_the_records_are_written_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let house = House::start(32, 0.95).await;
    let mut table = house.quick_table();
    let journal = disk.path("journal.sqlite");
    set(&mut table, "journal", "path", journal.display().to_string());
    set(&mut table, "journal", "max_mb", 4);
    let hub = Hub::run(HUB, &house.write(&table), house.page());
    until("television and iron are on", SOON, async || house.coils()[6] && house.coils()[7]).await;
    let trouble = "The journal cannot be written";
    assert_eq!(shows(&hub.view().await.unwrap(), trouble), 0);

    let filling = disk.fill();
    // What switches a load is written at once.
    house.set_charge(0.01);
    hub.view_when("the page shows the fault", SOON, |view| shows(view, trouble) == 1).await;
    cycles_go_on(&hub).await;
    assert_eq!(hub.said(&["WARN", trouble]), 1, "told once");
    assert_eq!(shows(&hub.view().await.unwrap(), trouble), 1);
    drop(filling);
    hub.view_when("the fault is over", BACK, |view| shows(view, trouble) == 0).await;
    assert_eq!(hub.said(&["INFO is over", trouble]), 1);
    assert_eq!(hub.said(&["WARN", trouble]), 1);
    let changes =
        sunkeep::journal::Changes::open(&journal, sunkeep::journal::TimeRange::default()).expect("a journal");
    let sheds = changes.filter(|change| !change.as_ref().expect("a change").on).count();
    assert_eq!(sheds, 8, "what was decided while the disk was full is there");
}

/// Cycles a second apart, with a clock that shows `unix` at the first of them, or no clock.
async fn seconds(driven: &mut Driven, uptime: &mut u64, count: u64, unix: impl Into<Option<i64>>) {
    let unix = unix.into();
    for second in 0..count {
        driven.cycle(Duration::from_secs(*uptime), unix.map(|unix| unix + second.cast_signed())).await;
        *uptime += 1;
    }
}

#[tokio::test]
async fn a_clock_that_leaps_is_told_once_and_the_hub_counts_on() {
    let house = House::start(33, 0.95).await;
    let ticks = Ticks::listen().await;
    let arguments = ["--lockstep", &ticks.address()];
    let hub = Hub::run_with(HUB, &house.write(&house.quick_table()), house.page(), &arguments, &[]);
    let mut driven = ticks.hub().await;
    let trouble = "The clock jumped";
    let mut uptime = 0;
    seconds(&mut driven, &mut uptime, 5, MIDNIGHT).await;
    assert_eq!(shows(&hub.view().await.unwrap(), trouble), 0);
    let leaps = [MIDNIGHT + YEAR, 0, MIDNIGHT - YEAR];
    for (told, leap) in leaps.into_iter().enumerate() {
        seconds(&mut driven, &mut uptime, 20, leap).await;
        let view = hub.view().await.unwrap();
        assert_eq!(view["counts"]["cycles"], uptime, "the cycle goes on");
        assert_eq!(shows(&view, trouble), 1);
        assert_eq!(view["unix_s"], MIDNIGHT + uptime.cast_signed() - 1, "the hub counts on by itself");
        assert_eq!(hub.said(&["WARN", trouble]), told + 1, "told once for each leap");
        let right = MIDNIGHT + uptime.cast_signed();
        seconds(&mut driven, &mut uptime, 5, right).await;
        assert_eq!(shows(&hub.view().await.unwrap(), trouble), 0, "and over when the clock is back");
        assert_eq!(hub.said(&["INFO is over", trouble]), told + 1);
    }

    // A clock that is really set stays so, and is believed after ten minutes.
    let set = MIDNIGHT + YEAR + uptime.cast_signed();
    seconds(&mut driven, &mut uptime, 602, set).await;
    let view = hub.view().await.unwrap();
    assert_eq!(view["unix_s"], MIDNIGHT + YEAR + uptime.cast_signed() - 1);
    assert_eq!(shows(&view, trouble), 0);
    assert_eq!(hub.said(&["the clock was set by"]), 1);
    assert_eq!(hub.said(&["WARN", trouble]), leaps.len() + 1);
    assert_eq!(view["counts"]["cycles"], uptime);
    driven.stop().await;
}

#[tokio::test]
async fn a_hub_without_a_clock_protects_and_says_so_once_until_one_is_set() {
    let house = House::start(34, 0.01).await;
    let ticks = Ticks::listen().await;
    let arguments = ["--lockstep", &ticks.address()];
    let hub = Hub::run_with(HUB, &house.write(&house.quick_table()), house.page(), &arguments, &[]);
    let mut driven = ticks.hub().await;
    let trouble = "The time of day is unknown";
    let mut uptime = 0;
    seconds(&mut driven, &mut uptime, 60, None).await;
    let view = hub.view().await.unwrap();
    assert_eq!((&view["counts"]["cycles"], &view["unix_s"]), (&60.into(), &serde_json::Value::Null));
    assert_eq!(house.coils(), ALL_OFF, "protection needs no clock");
    assert_eq!((shows(&view, trouble), hub.said(&["WARN", trouble])), (1, 1));

    seconds(&mut driven, &mut uptime, 5, MIDNIGHT).await;
    let view = hub.view().await.unwrap();
    assert_eq!(view["unix_s"], MIDNIGHT + 4, "a first clock is taken at once");
    assert_eq!((shows(&view, trouble), hub.said(&["INFO is over", trouble])), (0, 1));

    // Pulled again, it counts on.
    seconds(&mut driven, &mut uptime, 30, None).await;
    let view = hub.view().await.unwrap();
    assert_eq!(view["unix_s"], MIDNIGHT + 34);
    assert_eq!(view["counts"]["cycles"], uptime);
    driven.stop().await;
}
