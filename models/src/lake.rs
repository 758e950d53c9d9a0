//! The lake: which tables of Parquet files the fleet writes and training reads, with their columns, units
//! and folders. Only the schema; who writes, reads, checks or joins is not said here.
//!
//! Columns are found by name. A file may have more columns than these, and may lack those that are not
//! [`ESSENTIAL`]: hubs and ingest of several versions share one lake.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::time::Zone;

/// Folder of what hubs measured: one row for each record, in `year=…/month=…/day=…/hour=…/`.
pub const TELEMETRY: &str = "telemetry";
/// Folder of what is known of the sites: one row for each.
pub const SITES: &str = "sites";
/// Folder of time stamps that were learnt late: one row for each boot of a store and each time learnt.
pub const CORRECTIONS: &str = "corrections";
/// Folder of the weather of places, in whole hours, as it was: `PLACE/YEAR-MONTH.parquet`.
pub const WEATHER: &str = "weather";
/// Folder of what was foretold of the weather of places, in folders of the hours in which it was issued. Never
/// beside [`WEATHER`], so that nobody takes a forecast for what came.
pub const WEATHER_FORECASTS: &str = "weather_forecasts";
/// Folder of what happened at the hubs: one row for each event, in folders of hours as [`TELEMETRY`].
pub const EVENTS: &str = "events";
/// Folder of messages that could not be taken, in folders of the hours of their receipt.
pub const QUARANTINE: &str = "quarantine";
/// The names of all files end so.
pub const EXTENSION: &str = "parquet";

/// Longest interval a telemetry row may speak for, ms: a slot.
pub const LONGEST_SPAN_MS: i64 = crate::time::SLOT_SECONDS * 1000;
/// Power above which a value is taken for a fault of the measurement, W.
pub const ABSURD_WATTS: f32 = 1e6;
/// Wall times outside of these say that a clock was not set, ms since 1970: the years 2020 to 2099.
pub const PLAUSIBLE_WALL_MS: core::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;

/// The load tiers, most vital first, as the columns `…_w` and `…_on` name them.
pub const TIERS: [&str; 4] = ["critical", "important", "convenience", "background"];

/// Columns without which a row tells nothing, by table.
pub const ESSENTIAL: [(&str, &[&str]); 7] = [
    (
        TELEMETRY,
        &["site", "hub", "store", "boot", "sequence", "uptime_ms", "span_ms", "wall", "load_w", "pv_w"],
    ),
    (SITES, &["site", "zone"]),
    (CORRECTIONS, &["site", "hub", "store", "boot", "boot_wall", "uncertainty_ms"]),
    (WEATHER, &["place", "start"]),
    (WEATHER_FORECASTS, &["place", "issued", "start"]),
    (EVENTS, &["site", "hub", "store", "boot", "sequence", "uptime_ms", "wall", "what"]),
    (QUARANTINE, &["received", "topic", "reason", "bytes"]),
];

fn needed(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn known(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn wall_time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The columns of telemetry. A row is one record of a hub: means over `span_ms` that ended `uptime_ms`
/// after the boot. Its identity is (`hub`, `store`, `boot`, `sequence`).
///
/// - `site`, `hub`: names; `store`: the journal's random number, 32 hexadecimal digits.
/// - `boot`: starts of the hub, counted by the store; `sequence`: counts up within the store.
/// - `wall`: UTC of the end of the interval, as the hub knew it then; null where nobody had told the time.
///   `wall_source`: who told; `wall_uncertainty_ms`: how wrong it may be.
/// - `load_w`: demand of all tiers together, W, as the hub's own forecasts count it. `pv_w`: power of the
///   panels, W. `throttled`: the battery was full, the panels could have given more.
/// - `…_w`: demand of a tier, W. `…_on`: every load of the tier was supplied; null where the site has none.
/// - `ambient_c`, `irradiance_w_m2`: the site's own instruments, °C and W/m² on the panels.
pub fn telemetry() -> SchemaRef {
    let mut fields = vec![
        needed("site", DataType::Utf8),
        needed("hub", DataType::Utf8),
        needed("store", DataType::Utf8),
        needed("boot", DataType::Int64),
        needed("sequence", DataType::Int64),
        needed("uptime_ms", DataType::Int64),
        needed("span_ms", DataType::Int64),
        known("wall", wall_time()),
        known("wall_source", DataType::Utf8),
        known("wall_uncertainty_ms", DataType::Int64),
        known("load_w", DataType::Float32),
        known("pv_w", DataType::Float32),
        known("throttled", DataType::Boolean),
    ];
    fields.extend(TIERS.map(|tier| known(&format!("{tier}_w"), DataType::Float32)));
    fields.extend(TIERS.map(|tier| known(&format!("{tier}_on"), DataType::Boolean)));
    fields.extend(["ambient_c", "irradiance_w_m2"].map(|name| known(name, DataType::Float32)));
    Arc::new(Schema::new(fields))
}

/// The columns of telemetry as the fleet files it: those of [`telemetry`], and what nobody who trains needs.
///
/// - `battery_v`, `battery_a`, `battery_w`, `battery_c`: V, A and W (positive into the battery), °C.
/// - `charge_low`, `charge_best`, `charge_high`: state of charge, 0 to 1, with its bounds.
/// - `loads`: for each load its `name`, whether it was supplied (`on`) and its demand (`w`, W).
/// - `more`: any other channel by `name`, with its `value`, so that a newer hub loses nothing.
/// - `thinned_of`: records that this one was merged from; null or 1 where it is one as it was made.
pub fn filed_telemetry() -> SchemaRef {
    let mut fields: Vec<Field> = telemetry().fields().iter().map(|field| field.as_ref().clone()).collect();
    let measured =
        ["battery_v", "battery_a", "battery_w", "battery_c", "charge_low", "charge_best", "charge_high"];
    fields.extend(measured.map(|name| known(name, DataType::Float32)));
    let list =
        |of: Vec<Field>| DataType::List(Arc::new(Field::new("item", DataType::Struct(of.into()), true)));
    let (name, on, w) =
        (needed("name", DataType::Utf8), known("on", DataType::Boolean), known("w", DataType::Float32));
    fields.push(known("loads", list(vec![name.clone(), on, w])));
    fields.push(known("more", list(vec![name, needed("value", DataType::Float64)])));
    fields.push(known("thinned_of", DataType::Int64));
    Arc::new(Schema::new(fields))
}

/// The columns of the events. The identity of a row is (`hub`, `store`, `boot`, `sequence`), apart from that of
/// telemetry. `lane` is the one it came by, `what` a word, `fields` the JSON object of its facts.
pub fn events() -> SchemaRef {
    Arc::new(Schema::new(vec![
        needed("site", DataType::Utf8),
        needed("hub", DataType::Utf8),
        needed("store", DataType::Utf8),
        needed("boot", DataType::Int64),
        needed("sequence", DataType::Int64),
        needed("uptime_ms", DataType::Int64),
        known("wall", wall_time()),
        known("lane", DataType::Utf8),
        needed("what", DataType::Utf8),
        known("fields", DataType::Utf8),
    ]))
}

/// The columns of the quarantine: when a message was received, its topic, why it was not taken, its length,
/// and how it begins.
pub fn quarantine() -> SchemaRef {
    Arc::new(Schema::new(vec![
        needed("received", wall_time()),
        needed("topic", DataType::Utf8),
        needed("reason", DataType::Utf8),
        needed("length", DataType::Int64),
        needed("bytes", DataType::Binary),
    ]))
}

/// The columns of the sites: `zone` is an IANA name or fixed offset; `latitude` and `longitude` are degrees
/// north and east; `place` names the place whose weather it has. Of the panels: nameplate power, W, slope from
/// horizontal and direction from north, clockwise, degrees.
pub fn sites() -> SchemaRef {
    Arc::new(Schema::new(vec![
        needed("site", DataType::Utf8),
        needed("zone", DataType::Utf8),
        known("latitude", DataType::Float64),
        known("longitude", DataType::Float64),
        known("place", DataType::Utf8),
        known("peak_w", DataType::Float64),
        known("tilt_deg", DataType::Float64),
        known("azimuth_deg", DataType::Float64),
    ]))
}

/// The columns of corrections: `boot_wall` is the UTC at which a boot of a store had an uptime of zero, as
/// was learnt later; `uncertainty_ms` how wrong that may be; `source` who told. The least uncertain one of
/// a boot holds.
pub fn corrections() -> SchemaRef {
    Arc::new(Schema::new(vec![
        needed("site", DataType::Utf8),
        needed("hub", DataType::Utf8),
        needed("store", DataType::Utf8),
        needed("boot", DataType::Int64),
        needed("boot_wall", wall_time()),
        needed("uncertainty_ms", DataType::Int64),
        known("source", DataType::Utf8),
    ]))
}

/// The columns of the weather of a place in the hour that begins at `start`: temperature of the air, °C,
/// global horizontal irradiance, W/m², share of the sky under clouds, 0 to 1.
pub fn weather() -> SchemaRef {
    Arc::new(Schema::new(vec![
        needed("place", DataType::Utf8),
        needed("start", wall_time()),
        known("temperature_c", DataType::Float32),
        known("irradiance_w_m2", DataType::Float32),
        known("cloud_share", DataType::Float32),
    ]))
}

/// The columns of what was foretold of the weather: those of [`weather`], and with them `issued`, the moment
/// from which on the fleet knew it. The identity of a row is (`place`, `issued`, `start`).
pub fn weather_forecasts() -> SchemaRef {
    let mut fields = vec![needed("place", DataType::Utf8), needed("issued", wall_time())];
    let values = weather();
    fields.extend(values.fields().iter().skip(1).map(|field| field.as_ref().clone()));
    Arc::new(Schema::new(fields))
}

/// The columns of a table, of telemetry those that training reads; `None` for any other name.
pub fn table(name: &str) -> Option<SchemaRef> {
    match name {
        TELEMETRY => Some(telemetry()),
        SITES => Some(sites()),
        CORRECTIONS => Some(corrections()),
        WEATHER => Some(weather()),
        WEATHER_FORECASTS => Some(weather_forecasts()),
        EVENTS => Some(events()),
        QUARANTINE => Some(quarantine()),
        _ => None,
    }
}

/// Whether a row of the table tells nothing without this column.
pub fn is_essential(table: &str, column: &str) -> bool {
    ESSENTIAL.iter().any(|(name, columns)| *name == table && columns.contains(&column))
}

/// Folder below [`TELEMETRY`] of the records that ended in the hour of this moment (ms since 1970), as in
/// `year=2026/month=01/day=02/hour=03`. Records without a wall time lie in the hour of their receipt.
pub fn hour_folder(wall_ms: i64) -> String {
    let unix = wall_ms.div_euclid(1000);
    let local = Zone::utc().local(unix);
    let (year, month, day) = civil(local.day);
    format!("year={year:04}/month={month:02}/day={day:02}/hour={:02}", local.second_of_day / 3600)
}

/// Start of the hour that a path below [`TELEMETRY`] names, ms since 1970; `None` where it names none.
pub fn hour_of_folder(path: &str) -> Option<i64> {
    let part = |key: &str| {
        let value = path.split('/').find_map(|part| part.strip_prefix(key)?.strip_prefix('='))?;
        value.parse::<i16>().ok()
    };
    let month = i8::try_from(part("month")?).ok()?;
    let day = i8::try_from(part("day")?).ok()?;
    let hour = part("hour").filter(|hour| (0..24).contains(hour))?;
    let date = jiff::civil::Date::new(part("year")?, month, day).ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some((midnight + i64::from(hour) * 3600) * 1000)
}

/// Year, month and day of a day counted from 1970-01-01; the nearest that a calendar has.
fn civil(day: i64) -> (i16, i8, i8) {
    let seconds = (day * 86_400).clamp(-377_705_023_201, 253_402_207_200);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = jiff::tz::TimeZone::UTC.to_datetime(moment).date();
    (date.year(), date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_hour_it_is_for() {
        let hour = 1_763_701_200_000;
        assert_eq!(hour_folder(hour + 1), "year=2025/month=11/day=21/hour=05");
        for place in 0..2000 {
            let hour = hour + place * 13 * 3_600_000;
            assert_eq!(hour_of_folder(&hour_folder(hour + 3_599_999)), Some(hour));
        }
        for wrong in ["", "year=2025/month=13/day=01/hour=00", "year=2025/month=11/day=21/hour=24"] {
            assert_eq!(hour_of_folder(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_essential_is_a_column_of_its_table() {
        for (name, columns) in ESSENTIAL {
            let schema = table(name).unwrap();
            assert!(columns.iter().all(|column| schema.column_with_name(column).is_some()), "{name}");
        }
        assert!(!is_essential(TELEMETRY, "throttled") && is_essential(WEATHER, "start"));
    }
}
