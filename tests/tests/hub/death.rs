//! A hub that is stopped, killed or hangs: what becomes of the relays, and what it knows afterwards.

use core::time::Duration;
use std::ffi::OsStr;

use rustix::process::Signal;
use serde_json::Value;
use sunkeep_tests::house::{ALL_OFF, ALL_ON, CRITICAL, House};
use sunkeep_tests::hub::{Hub, command};
use sunkeep_tests::service::Service;
use sunkeep_tests::ticks::Ticks;
use sunkeep_tests::{now, pause, until};

use super::HUB;

const SOON: Duration = Duration::from_secs(30);

/// Empties the battery and waits until protection has shed everything.
async fn shed_all(house: &House) {
    house.set_charge(0.01);
    until("protection sheds everything", SOON, async || house.coils() == ALL_OFF).await;
}

/// Whether the page shows these loads off, by protection, and confirmed by the relay board.
fn critical_is_held(view: &Value) -> bool {
    let loads = view["loads"].as_array().unwrap();
    CRITICAL.into_iter().all(|load| {
        let reason = loads[load]["reason"].as_str().unwrap();
        loads[load]["on"] == false && reason.starts_with("low") && loads[load]["confirmed"] == true
    }) && view["alarm"].is_string()
}

#[tokio::test]
async fn told_to_stop_it_leaves_the_relays_as_configured_and_the_journal_whole() {
    let house = House::start(11, 0.95).await;
    let mut table = house.quick_table();
    // The television, wired normally open, is to run without a hub; the others stay as critical ones are
    // configured (on), or keep their state.
    table["load"][6]["relay"]["hub_stops"] = "on".into();
    let mut hub = Hub::run(HUB, &house.write(&table), house.page());
    until("everything is on", SOON, async || house.coils() == ALL_ON).await;
    shed_all(&house).await;
    hub.view_when("all is confirmed", SOON, critical_is_held).await;
    let cycles = hub.cycles().await;
    let mark = house.mark();

    let told = now();
    hub.signal(Signal::TERM);
    let status = hub.ended(Duration::from_secs(10)).await;
    println!("ended {:.1} s after SIGTERM", told.elapsed().as_secs_f64());
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    let mut written = house.writes_since(mark);
    written.sort_unstable();
    assert_eq!(written, [(0, false), (1, false), (2, false), (6, true)], "these and no others are written");
    assert_eq!(house.coils(), [false, false, false, true, true, true, true, false]);

    let journal = house.journal();
    let replay = command(HUB, &[OsStr::new("replay"), OsStr::new("--journal"), journal.as_os_str()]).await;
    let told = String::from_utf8_lossy(&replay.stdout);
    assert_eq!(replay.status.code(), Some(0), "{told}");
    let replayed = cycles_decided_again(&told);
    assert!(replayed >= cycles, "{cycles} cycles were run, but: {told}");
}

fn cycles_decided_again(told: &str) -> u64 {
    let words: Vec<_> = told.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "cycles").unwrap_or_else(|| panic!("{told}"));
    words[place - 1].parse().unwrap_or_else(|_| panic!("{told}"))
}

#[tokio::test]
async fn killed_while_a_critical_load_is_shed_it_pulses_nothing_and_restores_by_rule() {
    let house = House::start(12, 0.95).await;
    let config = house.write(&house.quick_table());
    let mut hub = Hub::run(HUB, &config, house.page());
    until("everything is on", SOON, async || house.coils() == ALL_ON).await;
    shed_all(&house).await;
    hub.view_when("all is confirmed", SOON, critical_is_held).await;
    hub.kill().await;

    let mark = house.mark();
    let hub = Hub::run(HUB, &config, house.page());
    let first = hub.view_when("the first cycle", SOON, |_| true).await;
    assert_eq!(house.writes_since(mark), [], "start-up writes no relay");
    assert_eq!(first["loads"][0]["on"], false, "a contact is taken as it is");
    assert!(first["alarm"].is_string(), "protection holds from the first cycle: {}", first["alarm"]);
    pause(Duration::from_secs(6)).await;
    assert!(hub.cycles().await >= 5);
    assert_eq!(house.writes_since(mark), [], "protection goes on holding what is held");
    assert_eq!(house.coils(), ALL_OFF);

    let mark = house.mark();
    house.set_charge(0.95);
    until("all loads are back", Duration::from_mins(1), async || house.coils() == ALL_ON).await;
    let order: Vec<_> = house.writes_since(mark).iter().map(|(coil, _)| *coil).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7], "one after the other, critical first");
}

#[tokio::test]
async fn hung_it_is_restarted_by_the_watchdog_and_the_relays_keep_their_state() {
    // The shortest time in which a busy machine surely completes a cycle.
    let limit = Duration::from_secs(5);
    let house = House::start(13, 0.95).await;
    let config = house.write(&house.quick_table());
    let service = Service::listen(house.dir());
    let socket = [("NOTIFY_SOCKET", service.path().as_os_str())];
    let mut hub = Hub::run_with(HUB, &config, house.page(), &[], &socket);
    let ready = service.hears(Duration::from_secs(15)).await;
    assert_eq!(ready.as_deref().map(str::trim), Some("READY=1"));
    shed_all(&house).await;
    hub.view_when("all is confirmed", SOON, critical_is_held).await;
    service.forget().await;
    for _ in 0..3 {
        let fed = service.hears(limit).await;
        assert_eq!(fed.as_deref().map(str::trim), Some("WATCHDOG=1"), "a hub that works is heard");
    }

    hub.signal(Signal::STOP);
    let mark = house.mark();
    service.forget().await;
    assert_eq!(service.hears(limit).await, None, "a hub that hangs is silent");
    assert_eq!(house.coils(), ALL_OFF, "the relays keep their state");
    hub.kill().await;
    let hub = Hub::run_with(HUB, &config, house.page(), &[], &socket);
    let ready = service.hears(Duration::from_secs(15)).await;
    assert_eq!(ready.as_deref().map(str::trim), Some("READY=1"));
    hub.view_when("protection holds", SOON, critical_is_held).await;
    let before = hub.cycles().await;
    until("the hub goes on", SOON, async || hub.cycles().await >= before + 3).await;
    assert_eq!(house.writes_since(mark), []);
    assert_eq!(house.coils(), ALL_OFF);
}

#[tokio::test]
async fn ready_is_told_after_the_first_completed_cycle_and_not_before() {
    let house = House::start(14, 0.95).await;
    let config = house.write(&house.quick_table());
    let service = Service::listen(house.dir());
    let ticks = Ticks::listen().await;
    let socket = [("NOTIFY_SOCKET", service.path().as_os_str())];
    let arguments = ["--lockstep", &ticks.address()];
    let hub = Hub::run_with(HUB, &config, house.page(), &arguments, &socket);
    let mut driven = ticks.hub().await;
    assert_eq!(service.hears(Duration::from_secs(3)).await, None, "no cycle, no word");
    assert!(hub.view().await.is_none());
    driven.cycle(Duration::ZERO, Some(house.home().unix())).await;
    let heard = service.hears(Duration::from_secs(5)).await;
    assert_eq!(heard.as_deref().map(str::trim), Some("READY=1"));
    assert!(hub.view().await.is_some());
}

#[tokio::test]
async fn a_relay_board_that_lost_its_power_is_put_back() {
    let house = House::start(15, 0.95).await;
    let config = house.write(&house.quick_table());
    let mut hub = Hub::run(HUB, &config, house.page());
    until("everything is on", SOON, async || house.coils() == ALL_ON).await;
    hub.view_when("all is confirmed", SOON, |view| view["loads"][6]["confirmed"] == true).await;
    house.home().power_cycle_relays();
    assert_eq!(house.coils(), [false; 8], "contacts drop: what is wired normally open is off");
    until("they are put back", SOON, async || house.coils() == ALL_ON).await;

    // While protection holds the critical loads off, a board without power switches them on.
    shed_all(&house).await;
    hub.view_when("all is confirmed", SOON, critical_is_held).await;
    house.home().power_cycle_relays();
    until("protection puts them back", SOON, async || house.coils() == ALL_OFF).await;

    // Board and hub lose their power at once.
    hub.kill().await;
    house.home().power_cycle_relays();
    let hub = Hub::run(HUB, &config, house.page());
    until("protection acts after the restart", SOON, async || house.coils() == ALL_OFF).await;
    let view = hub.view_when("the page shows it", SOON, critical_is_held).await;
    assert_eq!(view["loads"][6]["on"], false);
    house.set_charge(0.95);
    until("everything comes back", Duration::from_mins(1), async || house.coils() == ALL_ON).await;
}
