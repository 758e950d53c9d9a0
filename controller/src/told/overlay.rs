//! Which settings the fleet may wish otherwise than the home's file has them, and the home as it is then. All of a document
//! holds, or nothing.
//!
//! What a fleet may change is a list of keys, and beside it what must not have changed is looked at in the result: a broker
//! that is in strange hands can make a hub save more, and cannot make it save less.

use sunkeep_core::Settings;
use sunkeep_core::settings::{Load, Tier};
use sunkeep_models::wire::down::{Reason, Set, Setting};
use toml::{Table, Value};

use crate::config::{ConfigError, Home};

/// Keys of `[uplink]`.
const UPLINK: [&str; 5] =
    ["telemetry_minutes", "waits_for_sun_hours", "monthly_mb", "encoding", "keep_alive_s"];
/// Keys of `[reserve]`.
const RESERVE: [&str; 2] = ["important_percent", "convenience_percent"];
/// Keys of a `[[load]]`.
const LOAD: [&str; 3] = ["tier", "min_on_s", "min_off_s"];

/// The home of the file with these settings, or all that is wrong with them.
pub(super) fn overlaid(file: &Home, set: &Set) -> Result<Home, Vec<Reason>> {
    let mut reasons = Vec::new();
    let mut table: Table =
        toml::from_str(&file.text).map_err(|error| vec![about(None, error.to_string())])?;
    for (key, setting) in &set.0 {
        if let Err(why) = put(&mut table, key, setting) {
            reasons.push(about(Some(key), why));
        }
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let text = toml::to_string(&table).map_err(|error| vec![about(None, error.to_string())])?;
    let home = Home::parse("desired", &text).map_err(|error| problems(&error))?;
    let broken = unsafe_changes(&file.settings, &home.settings);
    if broken.is_empty() { Ok(home) } else { Err(broken) }
}

fn about(key: Option<&str>, why: String) -> Reason {
    Reason { key: key.map(Into::into), why }
}

fn problems(error: &ConfigError) -> Vec<Reason> {
    match error {
        ConfigError::Refused { problems, .. } => {
            problems.iter().map(|problem| about(None, problem.what.clone())).collect()
        }
        other => vec![about(None, other.to_string())],
    }
}

/// Puts a setting into its place.
fn put(table: &mut Table, key: &str, setting: &Setting) -> Result<(), String> {
    let parts: Vec<&str> = key.split('.').collect();
    let (place, last) = match parts[..] {
        ["uplink", last] if UPLINK.contains(&last) => {
            let uplink = table.get_mut("uplink").and_then(Value::as_table_mut);
            (uplink.ok_or("this home has no [uplink]")?, last)
        }
        ["reserve", last] if RESERVE.contains(&last) => {
            let reserve = table.entry("reserve").or_insert_with(|| Value::Table(Table::new()));
            (reserve.as_table_mut().ok_or("[reserve] is no table")?, last)
        }
        ["load", name, last] if LOAD.contains(&last) => {
            let mut loads = table.get_mut("load").and_then(Value::as_array_mut).into_iter().flatten();
            let named = |load: &Value| load.get("name").and_then(Value::as_str) == Some(name);
            let load = loads.find(|load| named(load)).and_then(Value::as_table_mut);
            (load.ok_or_else(|| format!("this home has no load {name:?}"))?, last)
        }
        ["limits" | "battery" | "care" | "pace", ..] => {
            return Err("what protects the battery is for the home's own file to say".into());
        }
        _ => return Err(format!("a fleet cannot set this; it can set {}", settable())),
    };
    place.insert(last.into(), value(setting)?);
    Ok(())
}

fn settable() -> String {
    let under =
        |table: &str, keys: &[&str]| keys.iter().map(|key| format!("{table}.{key}")).collect::<Vec<_>>();
    [under("uplink", &UPLINK), under("reserve", &RESERVE), under("load.NAME", &LOAD)].concat().join(", ")
}

fn value(setting: &Setting) -> Result<Value, String> {
    Ok(match setting {
        Setting::Flag(flag) => Value::Boolean(*flag),
        Setting::Text(text) => Value::String(text.clone()),
        // Whole numbers stand without a point in the file, and its keys want them so.
        Setting::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Value::Integer(*number as i64)
        }
        Setting::Number(number) if number.is_finite() => Value::Float(*number),
        Setting::Number(number) => return Err(format!("{number} is no number")),
    })
}

/// What must not change by word of a broker, and has.
fn unsafe_changes(before: &Settings, after: &Settings) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut refuse = |key: Option<String>, why: String| reasons.push(Reason { key, why });
    let same = before.protection == after.protection
        && before.battery == after.battery
        && before.care == after.care
        && before.pace == after.pace
        && before.reserve.floor == after.reserve.floor
        && before.loads.len() == after.loads.len();
    if !same {
        refuse(None, "what protects the battery is for the home's own file to say".into());
    }
    let levels = [
        ("important", before.reserve.important, after.reserve.important),
        ("convenience", before.reserve.convenience, after.reserve.convenience),
    ];
    for (name, before, after) in levels {
        if after < before {
            let why = format!(
                "{after} is less than the {before} of the home's file; a fleet can hold back more, not less"
            );
            refuse(Some(format!("reserve.{name}_percent")), why);
        }
    }
    for (before, after) in before.loads.iter().zip(&after.loads) {
        if let Some(why) = unsafe_load(before, after) {
            refuse(Some(format!("load.{}.tier", before.name)), why);
        }
    }
    reasons
}

fn unsafe_load(before: &Load, after: &Load) -> Option<String> {
    let same = (&before.name, before.switchable, before.powers_hub, before.nominal, before.standby)
        == (&after.name, after.switchable, after.powers_hub, after.nominal, after.standby);
    match (before.tier, after.tier) {
        _ if !same => Some("what a load is, is for the home's own file to say".into()),
        (Tier::Critical, Tier::Critical) => None,
        (Tier::Critical, lower) => {
            Some(format!("the home marked it critical, and a fleet cannot make it {}", lower.word()))
        }
        (_, Tier::Critical) => {
            Some("which loads are critical is for the home to say: they live from the same battery".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn file() -> Home {
        let text = concat!(
            include_str!("../../hub.example.toml"),
            "\n[uplink]\nbroker = \"mqtt://localhost\"\nsite = \"kilgoris\"\n"
        );
        Home::parse("file", text).unwrap()
    }

    fn set(settings: &[(&str, Setting)]) -> Set {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        Set(settings.collect::<BTreeMap<_, _>>())
    }

    fn refused(settings: &[(&str, Setting)]) -> Vec<Reason> {
        overlaid(&file(), &set(settings)).unwrap_err()
    }

    fn word(text: &str) -> Setting {
        Setting::Text(text.into())
    }

    #[test]
    fn rates_tiers_and_levels_can_be_set() {
        let file = file();
        let wished = [
            ("uplink.telemetry_minutes", Setting::Number(30.0)),
            ("uplink.encoding", word("json")),
            ("load.pump.tier", word("important")),
            ("load.pump.min_off_s", Setting::Number(120.5)),
            ("reserve.important_percent", Setting::Number(60.0)),
        ];
        let home = overlaid(&file, &set(&wished)).unwrap();
        assert_eq!(home.uplink.as_ref().unwrap().telemetry_minutes, 30);
        assert_eq!(home.settings.loads[4].tier, Tier::Important);
        assert!((home.settings.loads[4].min_off.0 - 120.5).abs() < 1e-9);
        assert!((home.settings.reserve.important.ratio() - 0.60).abs() < 1e-9);
        assert_eq!(home.settings.protection, file.settings.protection);
        assert_eq!(overlaid(&file, &Set::default()).unwrap().settings, file.settings);
    }

    #[test]
    fn what_protects_and_what_is_critical_stays() {
        for (key, value, said) in [
            ("load.fridge.tier", word("important"), "marked it critical"),
            ("load.pump.tier", word("critical"), "for the home to say"),
            ("limits.cutoff_v", Setting::Number(10.0), "own file"),
            ("battery.capacity_ah", Setting::Number(500.0), "own file"),
            ("reserve.important_percent", Setting::Number(30.0), "not less"),
            ("reserve.floor_percent", Setting::Number(1.0), "cannot set this"),
            ("load.fridge.nominal_w", Setting::Number(1.0), "cannot set this"),
            ("load.lamp.tier", word("important"), "no load \"lamp\""),
            ("uplink.broker", word("mqtt://elsewhere"), "cannot set this"),
            ("load.pump.tier", word("vital"), "vital"),
            ("uplink.telemetry_minutes", Setting::Number(0.0), "expected 1 to 1440"),
            ("uplink.telemetry_minutes", word("often"), "expected"),
        ] {
            let reasons = refused(&[(key, value)]);
            assert!(reasons.iter().any(|reason| reason.why.contains(said)), "{key}: {reasons:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_and_nothing_is_taken() {
        let reasons = refused(&[
            ("load.fridge.tier", word("background")),
            ("load.pump.tier", word("important")),
            ("reserve.convenience_percent", Setting::Number(60.0)),
        ]);
        assert_eq!(reasons.len(), 2, "{reasons:?}");
    }
}
