//! A hub whose relays and meters hang on GPIO lines: decisions reach the lines, start-up moves none, and the
//! totals of pulse meters outlive a hub that is killed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test")]

mod board;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use board::{InMemory, pulses};
use sunkeep::buses::Buses;
use sunkeep::clock::Now;
use sunkeep::config::Home;
use sunkeep::forecasts::{Forecasting, sun_forecaster};
use sunkeep::hub::{Hub, Parts, Patience};
use sunkeep::records::Records;
use sunkeep::view::View;
use sunkeep::watchdog::Watchdog;
use sunkeep_models::time::Uptime;
use tokio::sync::{mpsc, watch};

/// Nothing answers on the one bus, so the charge is unknown and what can wait is shed.
fn home(folder: &Path) -> Arc<Home> {
    let text = format!(
        r#"
        [site]
        name = "hut"
        timezone = "Africa/Nairobi"
        [battery]
        chemistry = "lfp"
        cells = 4
        capacity_ah = 100
        voltage = "charger/battery.voltage"
        [total]
        power = "pulse/main"
        [gpio]
        driver = "chardev"
        [[pulse]]
        name = "main"
        line = 5
        wh_per_pulse = 0.5
        [[pulse]]
        name = "spare"
        line = 6
        wh_per_pulse = 1
        [[bus]]
        name = "lan"
        kind = "tcp"
        address = "127.0.0.1:1"
        [[device]]
        name = "charger"
        model = "epever_tracer"
        bus = "lan"
        unit = 1
        [[load]]
        name = "fridge"
        tier = "critical"
        nominal_w = 60
        relay = {{ gpio = 20, wiring = "normally_closed", hub_dead = "releases" }}
        [[load]]
        name = "tv"
        tier = "important"
        nominal_w = 80
        relay = {{ gpio = 21, active_low = true, wiring = "normally_open", hub_dead = "releases" }}
        [[load]]
        name = "pump"
        tier = "convenience"
        nominal_w = 300
        relay = {{ gpio = 22, wiring = "normally_open", hub_dead = "releases" }}
        [journal]
        path = "{}"
        "#,
        folder.join("journal.sqlite").display()
    );
    Arc::new(Home::parse("hub.toml", &text).unwrap_or_else(|error| panic!("{error}")))
}

/// A hub on these lines, as `sunkeep run` puts it together but for the lines and the page.
fn hub(home: &Arc<Home>, lines: &InMemory) -> (Hub, watch::Receiver<Option<Arc<View>>>) {
    let (reporter, reports) = mpsc::channel(256);
    let mut wiring = home.wiring.clone();
    let gpio = wiring.gpio.take();
    let mut buses = Buses::start(&wiring, &reporter).unwrap();
    wiring.gpio = gpio;
    let held = lines.clone();
    buses.add_lines(&wiring, move |_: &_| Ok(held.clone()), &reporter).unwrap();
    let (records, memory) = Records::open(&home.journal, &home.settings, &home.text).unwrap();
    let (_, asks) = mpsc::channel(1);
    let (_, page_fault) = watch::channel(None);
    let (view, seen) = watch::channel(None);
    let hub = Hub::new(Parts {
        outbox: tokio::sync::watch::channel(None).0,
        uplink: None,
        home: Arc::clone(home),
        buses,
        reports,
        memory,
        records: Ok(records),
        page_fault,
        forecasting: Forecasting::start(home.zone.clone(), sun_forecaster(home).unwrap(), BTreeMap::new())
            .unwrap(),
        asks,
        view,
        watchdog: Watchdog::open(None),
    });
    (hub, seen)
}

fn second(second: u64) -> Now {
    Now { uptime: Uptime::from_seconds(second), wall: None }
}

#[tokio::test]
async fn decisions_reach_the_lines_and_totals_outlive_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let lines = InMemory::default();
    // Everything is supplied: the fridge's coil released, the television's energised by a low level.
    lines.board().levels = [(20, false), (21, false), (22, true)].into();
    let (mut running, seen) = hub(&home, &lines);
    running.look_at_relays(second(10), Patience::REAL_TIME.readings).await;
    running.cycle(second(10), Patience::LOCKSTEP).await;
    assert_eq!(lines.board().set, [], "start-up moves no line");

    // 0.5 Wh twice a second is 3600 W.
    for at in 11..200 {
        lines.board().edges.insert(5, pulses([at * 1000, at * 1000 + 500]));
        running.cycle(second(at), Patience::LOCKSTEP).await;
    }
    let view = seen.borrow().clone().unwrap();
    let watts = view.image.load.unwrap().value;
    assert!((watts - 3600.0).abs() < 40.0, "{watts} W");
    assert_eq!((view.meters[0].name.as_str(), view.meters[0].wh), ("main", 189.0));
    assert_eq!(view.meters[1].wh, 0.0);
    let gpio = view.devices.last().unwrap();
    assert_eq!((gpio.name.as_str(), gpio.answers), ("gpio", Some(true)));

    // With the charge unknown what can wait goes, and the lines say the same as the decision.
    let on: Vec<_> = view.decision.loads.iter().map(|load| load.on).collect();
    assert!(on[0] && !on[2], "{on:?}");
    let levels = lines.board().levels.clone();
    assert_eq!(levels, [(20, !on[0]), (21, !on[1]), (22, on[2])].into(), "{on:?}");
    assert!(view.decision.loads.iter().all(|load| load.confirmed == Some(true)));
    // Each line moved once.
    let moved = lines.board().set.len();
    assert_eq!(moved, on.iter().filter(|on| !**on).count());

    running.stop(second(200)).await;
    assert_eq!(lines.board().set.len(), moved, "a stop leaves the lines as configured: as they are");
    let (mut again, seen) = hub(&home, &lines);
    again.look_at_relays(second(3), Patience::REAL_TIME.readings).await;
    again.cycle(second(3), Patience::LOCKSTEP).await;
    lines.board().edges.insert(5, pulses([300_000]));
    again.cycle(second(4), Patience::LOCKSTEP).await;
    let total = seen.borrow().clone().unwrap().meters[0].wh;
    assert_eq!(total, 189.5, "Wh: what was counted before, and one pulse more");
    assert_eq!(lines.board().set.len(), moved, "a hub that comes back moves no line that is right");
}
