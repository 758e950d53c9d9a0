//! A hub whose broker never lets it in: it tries again after pauses by its own clock, and says how much waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sunkeep_simulator::home::HomeOptions;
use sunkeep_tests::broker::Authority;
use sunkeep_tests::house::{House, MIDNIGHT, set};
use sunkeep_tests::hub::Hub;
use sunkeep_tests::pause;
use sunkeep_tests::ticks::Ticks;
use tokio::net::TcpListener;

/// The hub's program.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// Minutes that are lived: four hours.
const MINUTES: u64 = 240;
/// Tries of four hours: the pauses double up to ten minutes within twenty, and are half that at the least.
const TRIES: core::ops::RangeInclusive<usize> = 15..=60;

#[tokio::test]
async fn tries_follow_the_hubs_own_clock_and_what_waits_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    tokio::spawn(async move {
        // Hangs up on whoever comes.
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let house = House::standing_still(5, 0.6, |folder| HomeOptions::usual(folder).over_tcp()).await;
    let mut table = house.table();
    set(&mut table, "uplink", "broker", format!("mqtts://127.0.0.1:{port}"));
    let ca = house.dir().join("ca.pem");
    std::fs::write(&ca, Authority::new("ours").pem()).unwrap();
    set(&mut table, "uplink", "ca", ca.display().to_string());
    for key in ["site", "hub"] {
        set(&mut table, "uplink", key, "home");
    }
    let config = house.write(&table);
    let ticks = Ticks::listen().await;
    let mut hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &ticks.address()], &[]);
    let mut driven = ticks.hub().await;
    let began = sunkeep_tests::now();
    for minute in 0..MINUTES {
        let unix = MIDNIGHT + 60 * minute.cast_signed();
        driven.cycle(Duration::from_secs(60 * minute), Some(unix)).await;
        house.home().advance(Duration::from_mins(1));
        pause(Duration::from_millis(15)).await;
    }
    let tries = tries.load(Ordering::Relaxed);
    println!("{tries} tries in {} minutes, {:.1} s", MINUTES, began.elapsed().as_secs_f64());
    assert!(TRIES.contains(&tries), "{tries} tries, expected {TRIES:?}");
    // As of the last try, which is ten minutes ago at the most; the newest minutes are not on the disk yet.
    let waiting = hub.view().await.unwrap()["uplink"]["waiting"].as_u64().unwrap();
    assert!(waiting > MINUTES - 90, "{waiting} wait of {MINUTES}");
    driven.stop().await;
    hub.ended(Duration::from_secs(20)).await;
}
