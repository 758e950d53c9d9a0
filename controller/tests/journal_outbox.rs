//! What waits for the fleet: nothing leaves before it was acknowledged, but by rule; and the rule loses no energy.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod journal_home;

use std::path::Path;

use journal_home::{Home, PATIENCE};
use sunkeep::journal::outbox::{Outbox, WHOLE_MINUTES};
use sunkeep::journal::{
    DemandPoint, EventPoint, Journal, JournalOptions, Lane, LoadPoint, MinutePoint, Recorder, Stamp, StoreId,
};
use sunkeep_models::time::Uptime;

/// Minutes that are handed over before they are written: the queue holds no more.
const TOGETHER: usize = 2000;

fn open(path: &Path) -> (Journal, Recorder) {
    let (journal, recorder, _) = Journal::open(path, JournalOptions::default()).unwrap();
    (journal, recorder)
}

fn minute(boot: u32, number: u64) -> MinutePoint {
    let unix = (number > 50).then_some(1_790_000_000 + 60 * number as i64);
    let watts = (number * 7 % 100) as f32;
    MinutePoint {
        sun: Some(watts),
        // Nobody measured it in every third minute.
        load: (!number.is_multiple_of(3)).then_some(watts / 2.0),
        loads: vec![LoadPoint { on: number % 40 != 7, watts: Some(watts) }],
        demand: DemandPoint {
            on: [Some(number % 40 != 7), None, Some(true), None],
            throttled: number.is_multiple_of(31),
            ..DemandPoint::default()
        },
        ..MinutePoint::empty(Stamp { boot, uptime: Uptime(60_000 * number), unix })
    }
}

/// Writes minutes `from` to `to`, some at a time.
fn write(journal: &Journal, recorder: &Recorder, numbers: std::ops::RangeInclusive<u64>) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(TOGETHER) {
        for number in some {
            recorder.minute(minute(1, *number));
        }
        assert!(journal.flush(PATIENCE));
    }
}

fn all(path: &Path) -> Vec<(i64, MinutePoint)> {
    Outbox::open(path).unwrap().minutes(0, 10_000_000).unwrap()
}

/// Energy of the sun, Wh; minutes that the records speak for.
fn sums(minutes: &[(i64, MinutePoint)]) -> (f64, u32) {
    let hours = |point: &MinutePoint| f64::from(point.span_ms) / 3.6e6;
    let energy = |(_, point): &(i64, MinutePoint)| f64::from(point.sun.unwrap()) * hours(point);
    (minutes.iter().map(energy).sum(), minutes.iter().map(|(_, point)| u32::from(point.merged)).sum())
}

#[test]
fn what_waits_too_long_is_thinned_and_no_energy_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let (journal, recorder) = open(&path);
    let whole = WHOLE_MINUTES as u64;
    write(&journal, &recorder, 1..=whole);
    let before = all(&path);
    assert!(before.iter().all(|(_, point)| point.merged == 1), "nothing is thinned that may wait");
    // A transaction thins two hours at the most, so that no commit takes long.
    write(&journal, &recorder, whole + 1..=whole + 10);
    let after = all(&path);
    let (energy, minutes) = sums(&after);
    let expected = sums(&(1..=whole + 10).map(|n| (n as i64, minute(1, n))).collect::<Vec<_>>());
    println!("{} records of {minutes} minutes, {energy:.1} Wh of {:.1}", after.len(), expected.0);
    assert_eq!(minutes, expected.1);
    assert!((energy - expected.0).abs() < expected.0 * 1e-4, "kept to a tenth of a watt");
    let thinned: Vec<_> = after.iter().filter(|(_, point)| point.merged > 1).collect();
    // The time was learnt within the second half hour, and what has none goes apart.
    assert_eq!(thinned.iter().map(|(_, point)| point.merged).collect::<Vec<_>>(), [30, 20, 10, 30, 30]);
    let (number, first) = thinned[0];
    assert_eq!((*number, first.stamp.uptime, first.span_ms), (30, Uptime(1_800_000), 1_800_000));
    assert!(
        !first.loads[0].on && first.demand.on == [Some(false), None, Some(true), None],
        "off for a minute"
    );
    let load: f32 = (1..=30).filter(|n| n % 3 > 0).map(|n| (n * 7 % 100) as f32 / 2.0).sum::<f32>() / 20.0;
    assert!((first.load.unwrap() - load).abs() < 0.06, "of the minutes that were measured: {first:?}");
    assert_eq!(Outbox::open(&path).unwrap().given_up().unwrap(), 0);
}

#[test]
fn what_was_sent_is_not_thinned_and_cursors_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let (journal, recorder) = open(&path);
    write(&journal, &recorder, 1..=100);
    let store = journal.store();
    journal.sent().upto(Lane::Telemetry, store, 70);
    journal.sent().upto(Lane::Telemetry, store, 60);
    journal.sent().upto(Lane::Alerts, StoreId([7; 16]), 90);
    assert!(journal.flush(PATIENCE));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let outbox = Outbox::open(&path).unwrap();
    assert_eq!(outbox.sent(Lane::Telemetry).unwrap(), 70, "a cursor never goes back");
    assert_eq!(outbox.sent(Lane::Alerts).unwrap(), 0, "what was sent of another store is not of this one");
    assert_eq!(outbox.waiting(Lane::Telemetry, 70).unwrap(), 30);
    let (journal, recorder) = open(&path);
    write(&journal, &recorder, 101..=WHOLE_MINUTES as u64 + 70);
    assert!(all(&path).iter().all(|(_, point)| point.merged == 1), "only {WHOLE_MINUTES} wait");
}

#[test]
fn alerts_wait_and_what_was_sent_goes_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let (journal, recorder) = open(&path);
    let mut home = Home::new(1);
    home.look(1000);
    let write = |lane, count: usize| {
        for some in (0..count).collect::<Vec<_>>().chunks(1000) {
            for number in some {
                let fields = serde_json::json!({ "number": number }).as_object().cloned().unwrap();
                recorder.event(EventPoint {
                    stamp: recorder.stamp(&home.image),
                    lane,
                    what: "test".into(),
                    fields,
                });
            }
            assert!(journal.flush(PATIENCE));
        }
    };
    let kept = |lane| Outbox::open(&path).unwrap().events(lane, 0, 1_000_000).unwrap();
    write(Lane::Alerts, 3);
    write(Lane::Decisions, 3000);
    assert_eq!((kept(Lane::Alerts).len(), kept(Lane::Decisions).len()), (3, 3000), "nothing was sent");
    let newest = kept(Lane::Decisions).last().unwrap().0;
    journal.sent().upto(Lane::Decisions, journal.store(), newest);
    write(Lane::Decisions, 10);
    assert!(kept(Lane::Decisions).len() <= 2010, "sent and old: {}", kept(Lane::Decisions).len());
    let alerts = kept(Lane::Alerts);
    assert_eq!(
        alerts.iter().map(|(_, event)| event.fields["number"].as_i64()).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2)]
    );
}
