//! From records to slots and rows: the mean, what is masked, times that were learnt late, repeats; and that
//! every row is what a hub would have computed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::files::{
    DAY, FeatureRow, MINUTE, Record, SLOT, START, SlotRow, features, make, noise, records, request, slots,
    tables, write_corrections, write_hour, write_lake, write_sites, write_table,
};
use arrow_array::{Float32Array, StringArray, TimestampMillisecondArray};
use proptest::prelude::*;
use sunkeep_lake::FeaturesToml;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::lake;
use sunkeep_models::load_features::{WIDTH, load_rows};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::tally::{Evidence, SlotTally};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};

/// The slot table and the report of some records, in a fresh folder.
fn slots_of(records: &[Record]) -> (Vec<SlotRow>, FeaturesToml) {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    write_lake(&lake, records);
    let report = make(&request(&lake, &out)).unwrap();
    (slots(&out), report)
}

/// What the hub of these records would have noted: each record is what held during its interval.
fn hub_slots(records: &[Record]) -> BTreeMap<Slot, Option<f32>> {
    let mut tally = SlotTally::default();
    let mut noted = BTreeMap::new();
    for record in records {
        let evidence = match record.load {
            _ if record.on.contains(&Some(false)) => Evidence::Masked,
            Some(watts) if (0.0..=1e6).contains(&watts) => Evidence::Measured(f64::from(watts)),
            _ => Evidence::Missing,
        };
        let slot = Slot::of((record.end() - 1).div_euclid(1000));
        if let Some(done) = tally.add(slot, Seconds(record.span as f64 / 1000.0), evidence) {
            noted.insert(done.slot, done.mean);
        }
    }
    if let Some(done) = tally.add(Slot(i64::MAX), Seconds(0.0), Evidence::Missing) {
        noted.insert(done.slot, done.mean);
    }
    noted
}

/// Twelve days of five-minute records with what happens to homes: gaps, sheds, broken meters.
fn eventful(site: &str) -> Vec<Record> {
    let mut all = records(site, START, 12 * 288, 5 * MINUTE);
    for (place, record) in all.iter_mut().enumerate() {
        let draw = noise(place as u64 ^ 0xface);
        match (draw * 1000.0) as u32 {
            0..5 => record.on[2] = Some(false),
            5..20 => record.load = None,
            20..25 => record.load = Some(-4.0),
            25..30 => record.load = Some(3e7),
            _ => {}
        }
    }
    all.retain(|record| {
        let hour = (record.end() - START) / (60 * MINUTE);
        !(100..131).contains(&hour) && noise(record.sequence as u64) > 0.01
    });
    all
}

#[test]
fn every_row_is_what_the_hub_computes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let (one, other) = (eventful("one"), eventful("other"));
    write_lake(&lake, &[one.clone(), other.clone()].concat());
    write_sites(&lake, &[("one", "Europe/Paris"), ("other", "Asia/Kathmandu")]);
    let report = make(&request(&lake, &out)).unwrap();
    let zone =
        |site: &str| Zone::named(if site == "one" { "Europe/Paris" } else { "Asia/Kathmandu" }).unwrap();
    let mut expected: Vec<Vec<FeatureRow>> = vec![Vec::new(); SLOTS_PER_DAY];
    let mut masked = 0;
    for (site, records) in [("one", &one), ("other", &other)] {
        let noted = hub_slots(records);
        masked += noted.values().filter(|mean| mean.is_none()).count();
        let zone = zone(site);
        let mut hub = SlotHistory::new();
        // Which slots are issues is stated in LAKE.md: 60 bits of the digest of the name say.
        let digest = sunkeep_models::digest::sha256_hex(site.as_bytes());
        let offset = i64::from_str_radix(&digest[..15], 16).unwrap() % report.stride;
        let (first, last) = (*noted.keys().next().unwrap(), *noted.keys().next_back().unwrap());
        for slot in (first.0..=last.0).map(Slot) {
            let issue = slot.0 % report.stride == offset && slot > first;
            for (lead, row) in issue
                .then(|| load_rows(&hub, slot, &zone))
                .flatten()
                .iter()
                .flat_map(|rows| rows.values.chunks_exact(WIDTH).map(|row| (rows.level, row)))
                .enumerate()
            {
                let target = slot.plus(lead as i64);
                let Some(watts) = noted.get(&target).copied().flatten() else { continue };
                let (level, row) = row;
                let values = [&[level][..], row, &[watts / level]].concat();
                expected[row[0] as usize].push(FeatureRow {
                    site: site.into(),
                    issued: slot.0,
                    target_slot: target.0,
                    values,
                });
            }
            hub.record(slot, noted.get(&slot).copied().flatten());
        }
    }
    assert!(masked > 20, "{masked} slots were masked, so nothing was tried");
    let mut compared = 0;
    for (slot, expected) in expected.iter().enumerate() {
        let found = features(&out, slot);
        assert_eq!(found.len(), expected.len(), "slot {slot} of the day");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.site, expected.site);
            let bits = |row: &FeatureRow| row.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!((found.issued, found.target_slot), (expected.issued, expected.target_slot));
            assert_eq!(bits(found), bits(expected), "issued {}, target {}", found.issued, found.target_slot);
            compared += 1;
        }
        assert_eq!(report.rows_of_slot[slot], expected.len() as u64);
    }
    assert!(compared > 5_000 && report.rows == compared, "{compared} rows");
    for cause in ["load_missing", "load_negative", "load_absurd", "shed", "slots_load_shed"] {
        assert!(report.counts.get(cause) > 0, "{cause} is not counted: {:?}", report.counts);
    }
}

#[test]
fn an_interval_across_slots_counts_in_both_by_its_time() {
    let mut all = records("a", START + 10 * MINUTE, 3, SLOT);
    for (record, watts) in all.iter_mut().zip([60.0, 90.0, 30.0]) {
        record.load = Some(watts);
    }
    let (slots, _) = slots_of(&all);
    let loads: Vec<Option<f32>> = slots.iter().map(SlotRow::load).collect();
    // The first slot is covered for 20 minutes, the last for 10: too little.
    assert_eq!(loads, [Some(60.0), Some(80.0), Some(50.0), None]);
    assert_eq!(slots[0].slot, START / SLOT);
}

#[test]
fn throttled_sun_and_shed_demand_are_no_evidence_and_are_counted() {
    let mut all = records("a", START + 10 * 60 * MINUTE, 12, 5 * MINUTE);
    all[1].throttled = Some(true);
    all[8].on[1] = Some(false);
    let (slots, report) = slots_of(&all);
    assert_eq!(slots.iter().map(|slot| slot.load().is_some()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(slots.iter().map(|slot| slot.pv().is_some()).collect::<Vec<_>>(), [false, true]);
    assert_eq!((report.counts.get("throttled"), report.counts.get("shed")), (1, 1));
    assert_eq!(report.counts.get("slots_pv_throttled"), 1);
    assert_eq!(report.counts.get("slots_load_shed"), 1);
}

#[test]
fn times_that_were_learnt_late_put_records_where_they_belong() {
    let stamped = records("a", START, 3 * 48, SLOT);
    let (expected, _) = slots_of(&stamped);
    // The clock was not set for the first two days, or said 1970.
    let mut blind = stamped.clone();
    for record in blind.iter_mut().take(96) {
        record.wall = (record.sequence % 2 == 0).then_some(record.uptime);
    }
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    write_hour(&lake, START + 3 * DAY, "late.parquet", &blind);
    write_sites(&lake, &[("a", "Africa/Nairobi")]);
    // What the last day says of its boot holds for all of it.
    let report = make(&request(&lake, &out)).unwrap();
    assert_eq!(slots(&out), expected);
    assert_eq!(report.counts.get("stamped_late"), 96);
    assert_eq!(report.counts.get("stamp_implausible"), 48);
    // A boot that never knew the time is placed by a correction, by the least uncertain one.
    let mut blind = stamped.clone();
    for record in &mut blind {
        record.wall = None;
    }
    write_hour(&lake, START + 3 * DAY, "late.parquet", &blind);
    let mut again = request(&lake, &out);
    again.restart = true;
    let report = make(&again).unwrap();
    assert_eq!((report.counts.get("untimed"), slots(&out).len()), (144, 0));
    let boot = &stamped[0];
    write_corrections(&lake, &[(boot, START + DAY, 60_000), (boot, START, 2_000), (boot, START, 90_000)]);
    let report = make(&again).unwrap();
    assert_eq!(slots(&out), expected);
    assert_eq!((report.counts.get("untimed"), report.counts.get("stamped_late")), (0, 144));
    // One that may be wrong by more than a slot places nothing into a slot.
    write_corrections(&lake, &[(boot, START, SLOT + 1)]);
    assert_eq!(make(&again).unwrap().counts.get("untimed"), 144);
}

#[test]
fn a_clock_that_jumps_moves_nothing() {
    let all = records("a", START, 3 * 48, SLOT);
    let (expected, _) = slots_of(&all);
    let mut jumped = all.clone();
    for record in &mut jumped[40..60] {
        record.wall = record.wall.map(|wall| wall + 5 * 60 * MINUTE);
    }
    for record in &mut jumped[100..110] {
        record.wall = record.wall.map(|wall| wall - 400 * DAY);
    }
    let (slots, report) = slots_of(&jumped);
    assert_eq!(slots, expected);
    assert_eq!(report.counts.get("stamp_jumped"), 30);
}

#[test]
fn a_record_with_two_contents_is_used_with_neither_and_named() {
    let mut all = records("a", START, 48, SLOT);
    let mut other = all[10].clone();
    other.load = Some(7777.0);
    all.extend([other, all[20].clone(), all[20].clone()]);
    let (slots, report) = slots_of(&all);
    assert_eq!(slots[10].load(), None);
    assert!(slots[20].load().is_some());
    assert_eq!((report.counts.get("conflicting"), report.counts.get("repeated")), (1, 2));
    let (cause, case) = report.noted.iter().next().unwrap();
    assert_eq!(cause, "conflicting");
    assert!(case.contains("boot 1, sequence 11") && case.contains("2 contents"), "{case}");
}

#[test]
fn a_new_store_is_no_repeat_and_claims_of_two_hubs_to_one_time_are_not_believed() {
    let mut all = records("a", START, 20, SLOT);
    let mut card = records("a", START + 20 * SLOT, 20, SLOT);
    for record in &mut card {
        record.store = "11".repeat(16);
    }
    all.extend(card);
    let (slots, report) = slots_of(&all);
    assert_eq!(slots.iter().filter(|slot| slot.load().is_some()).count(), 40);
    assert_eq!(report.counts.get("repeated"), 0);
    let mut rival = records("a", START + 5 * SLOT, 3, SLOT);
    for record in &mut rival {
        record.hub = "another".into();
    }
    all.extend(rival);
    let (slots, report) = slots_of(&all);
    assert_eq!(slots.iter().filter(|slot| slot.load().is_none()).count(), 3);
    assert_eq!(report.counts.get("slots_load_contradicted"), 3);
}

#[test]
fn weather_joins_in_by_place_and_hour() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    write_lake(&lake, &[records("a", START, 8, SLOT), records("b", START, 8, SLOT)].concat());
    let hours = 3;
    let starts = (0..hours).map(|hour| START + hour * 2 * SLOT);
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["a"; hours as usize])),
        Arc::new(TimestampMillisecondArray::from_iter_values(starts).with_timezone("UTC")),
        Arc::new(Float32Array::from(vec![Some(-3.5), Some(21.25), None])),
        Arc::new(Float32Array::from(vec![Some(0.0), Some(640.0), Some(5000.0)])),
        Arc::new(Float32Array::from(vec![Some(0.25), None, Some(1.0)])),
    ];
    write_table(&lake.join(lake::WEATHER).join("w.parquet"), &lake::weather(), columns);
    make(&request(&lake, &out)).unwrap();
    let rows = slots(&out);
    let weather: Vec<&[Option<f32>]> = rows.iter().map(|row| &row.means[4..]).collect();
    assert_eq!(weather[0], [Some(-3.5), Some(0.0), Some(0.25)]);
    assert_eq!(weather[1], weather[0]);
    assert_eq!(weather[3], [Some(21.25), Some(640.0), None]);
    assert_eq!(weather[4], [None, None, Some(1.0)], "5000 W/m² is no irradiance");
    assert_eq!(weather[7], [None; 3]);
    assert!(weather[8..].iter().all(|weather| *weather == [None; 3]), "b has no weather");
    assert!(rows.iter().all(|row| row.means[2] == Some(20.0)), "the site's own thermometer");
}

#[test]
fn the_same_lake_gives_the_same_bytes_however_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let all: Vec<Record> = ["a", "b", "c"].into_iter().flat_map(eventful).collect();
    write_lake(&lake, &all);
    let made = |name: &str, sites_per_pass: u64, memory: u64| {
        let out = folder.path().join(name);
        make(&request_with(&lake, &out, sites_per_pass, memory)).unwrap();
        assert!(!out.join("unfinished").exists());
        tables(&out)
    };
    let first = made("first", 1000, 512 << 20);
    for (name, sites, memory) in
        [("second", 1000, 512 << 20), ("third", 2, 128 << 20), ("fourth", 1, 1 << 30)]
    {
        for (one, other) in first.iter().zip(made(name, sites, memory)) {
            assert!(*one == other, "{} differs in the {name} run", one.0);
        }
    }
}

fn request_with(lake: &Path, out: &Path, sites_per_pass: u64, memory: u64) -> sunkeep_lake::Request {
    sunkeep_lake::Request { sites_per_pass, memory, ..request(lake, out) }
}

#[test]
fn a_hub_that_slept_for_months_costs_nothing_and_starts_anew() {
    let mut all = records("a", START, 10 * 48, SLOT);
    let mut late = records("a", START + 300 * DAY, 10 * 48, SLOT);
    for record in &mut late {
        record.boot = 2;
    }
    all.extend(late);
    let (slots, report) = slots_of(&all);
    assert_eq!(slots.len(), 960);
    assert!(report.issues > 0 && report.issues <= 1000);
    assert_eq!(report.span.unwrap().last_slot, (START + 310 * DAY) / SLOT - 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn however_records_are_shuffled_repeated_and_filed_the_slots_are_the_same(
        order in Just((0..288).collect::<Vec<usize>>()).prop_shuffle(),
        repeats in proptest::collection::vec((0_usize..288, 0_usize..4), 0..200),
        parts in 1_usize..5,
    ) {
        let all = [records("a", START, 144, SLOT), records("b", START + 7 * MINUTE, 144, SLOT)].concat();
        let mut blind = all.clone();
        blind[5].wall = None;
        blind[6].wall = Some(blind[6].end() + 4 * DAY);
        blind[7].load = Some(-1.0);
        let (expected, _) = slots_of(&blind);
        let mut shuffled: Vec<Vec<Record>> = vec![Vec::new(); parts];
        for (place, record) in order.iter().enumerate() {
            shuffled[place % parts].push(blind[*record].clone());
        }
        for (record, part) in &repeats {
            shuffled[part % parts].push(blind[*record].clone());
        }
        let folder = tempfile::tempdir().unwrap();
        let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
        for (part, records) in shuffled.iter().enumerate() {
            write_hour(&lake, START + part as i64 * DAY, &format!("{part}.parquet"), records);
        }
        write_sites(&lake, &[("a", "UTC"), ("b", "UTC")]);
        let report = make(&request(&lake, &out)).unwrap();
        prop_assert_eq!(slots(&out), expected);
        prop_assert_eq!(report.counts.get("repeated"), repeats.len() as u64);
        prop_assert_eq!(report.counts.get("records"), 288);
        fs::remove_dir_all(folder.path()).unwrap();
    }
}
