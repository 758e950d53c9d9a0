//! The features of training are those of a hub, row by row, each through its own path: a Parquet file that
//! becomes a table, and measurements that a hub notes slot by slot.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use indicatif::ProgressBar;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::{WIDTH, load_rows};
use sunkeep_models::time::{SLOT_SECONDS, SLOTS_PER_DAY, Slot, Zone};
use sunkeep_training::backtest::{Set, history_before};
use sunkeep_training::series_file::read_series;
use sunkeep_training::table::{MOST_ISSUES, rows_before, stride, tables};

use common::{Row, home, write_parquet};

/// What a hub would have noted of the rows of a file: the mean of each slot, as its meter saw it.
fn noted(rows: &[Row], slot: Slot) -> Option<f32> {
    let overlapping = rows.iter().filter(|row| {
        let step = rows[1].0 - rows[0].0;
        row.0 < slot.start() + SLOT_SECONDS && row.0 + step > slot.start()
    });
    let watts: Vec<f32> = overlapping.filter_map(|row| row.2).map(|watts| watts as f32).collect();
    (!watts.is_empty()).then(|| watts.iter().sum::<f32>() / watts.len() as f32)
}

fn compare(step: i64) {
    let zone = Zone::named("Europe/Paris").unwrap();
    let rows = home("a", 42, step, 11);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.parquet");
    write_parquet(&file, &rows);
    let read = read_series(&file).unwrap();
    let set = Set { name: "home".into(), zone: zone.clone(), series: read.series };
    let table =
        rows_before(&tables(&[set], &ProgressBar::hidden()).1.iter().collect::<Vec<_>>(), Slot(i64::MAX));
    let mut next = [0; SLOTS_PER_DAY];
    let mut compared = 0;
    let mut hub = SlotHistory::new();
    let (first, last) = (Slot::of(rows[0].0), Slot::of(rows[rows.len() - 1].0 + step - 1));
    let stride = stride((last.since(first) + 1) as usize, MOST_ISSUES);
    for slot in (first.0..=last.0).map(Slot) {
        let issue = slot.0 % stride == 0;
        for (lead, row) in issue
            .then(|| load_rows(&hub, slot, &zone))
            .flatten()
            .iter()
            .flat_map(|rows| rows.values.chunks_exact(WIDTH).enumerate())
        {
            let target = slot.plus(lead as i64);
            if target > last || noted(&rows, target).is_none() {
                continue;
            }
            let of_slot = row[0] as usize;
            let place = next[of_slot];
            assert_eq!(
                &table[of_slot].features[place * WIDTH..][..WIDTH],
                row,
                "issued {slot:?}, lead {lead}"
            );
            assert_eq!(table[of_slot].slots[place], target);
            next[of_slot] += 1;
            compared += 1;
        }
        hub.record(slot, noted(&rows, slot));
    }
    assert!(compared > 10_000, "{compared} rows");
    let left = table.iter().zip(next).any(|(rows, next)| rows.targets.len() != next);
    assert!(!left, "training has rows a hub never sees");
}

#[test]
fn rows_of_a_half_hourly_file_are_those_of_a_hub() {
    compare(1800);
}

#[test]
fn rows_of_a_quarter_hourly_file_are_those_of_a_hub() {
    compare(900);
}

#[test]
fn rows_of_an_hourly_file_are_those_of_a_hub() {
    compare(3600);
}

#[test]
fn the_history_of_a_backtest_is_what_a_hub_remembers() {
    let rows = home("a", 50, 1800, 3);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.parquet");
    write_parquet(&file, &rows);
    let series = read_series(&file).unwrap().series.remove(0).slots();
    let issued = series.first.plus(45 * 48 + 5);
    let mut hub = SlotHistory::new();
    for (place, row) in rows.iter().enumerate().take(45 * 48 + 5) {
        hub.record(series.first.plus(place as i64), row.2.map(|watts| watts as f32));
    }
    let zone = Zone::utc();
    assert_eq!(load_rows(&history_before(&series, issued), issued, &zone), load_rows(&hub, issued, &zone));
}
