//! The questions that are put to the lake, as SQL; the same here and on a cluster.
//!
//! Every sum is a sum of whole numbers (milliwatts times milliseconds): whole numbers add up to the same
//! however the rows are spread over processors and machines, and so the same lake gives the same table,
//! to the bit. What a sum means is for `slots`.

use core::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use datafusion::arrow::buffer::NullBuffer;
use sunkeep_models::lake::{
    self, ABSURD_WATTS, CORRECTIONS, LONGEST_SPAN_MS, PLAUSIBLE_WALL_MS, SITES, TELEMETRY, TIERS, WEATHER,
};
use sunkeep_models::time::SLOT_SECONDS;

/// Which tables beside telemetry the lake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present {
    /// Time stamps that were learnt late.
    pub(super) corrections: bool,
    /// Weather of places.
    pub(super) weather: bool,
}

/// The sites of a pass: all whose names lie between these, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sites<'a> {
    /// The first name.
    pub(super) first: &'a str,
    /// The last name.
    pub(super) last: &'a str,
}

/// A record's own time stamp is believed within this of what its boot says, ms; and the stamps of a boot
/// are counted in bins of this width. As long as the hub itself waits before it believes a leap.
pub(super) const JUMP_MS: i64 = 900_000;
/// Stamps and corrections less certain than a slot place nothing into a slot, ms.
const VAGUE_MS: i64 = SLOT_MS;
const SLOT_MS: i64 = SLOT_SECONDS * 1000;
/// Longest uptime that a record may claim, ms: a hub that ran for all the years that are plausible.
const LONGEST_UPTIME_MS: i64 = PLAUSIBLE_WALL_MS.end - PLAUSIBLE_WALL_MS.start;
/// How codes stand for powers that are none.
const NEGATIVE: i64 = -1;
const ABSURD: i64 = -2;

/// What makes a record that record; the site is beside it, for it decides about the pass.
const IDENTITY: &str = "site, hub, store, boot, sequence";
const BOOT: &str = "site, hub, store, boot";
/// Columns without which a record is none; the first of those of telemetry that are read.
const NAMING: [&str; 7] = ["site", "hub", "store", "boot", "sequence", "uptime_ms", "span_ms"];

/// The quantities that are averaged: name, and the column's value in thousandths; codes below zero are not
/// summed for powers.
const POWERS: [&str; 2] = ["load", "pv"];
const INSTRUMENTS: [&str; 2] = ["ambient", "irradiance"];

impl Sites<'_> {
    fn condition(self) -> String {
        let text = |name: &str| name.replace('\'', "''");
        format!("site >= '{}' AND site <= '{}'", text(self.first), text(self.last))
    }
}

/// Rows of each site, and those that lack part of their identity: `site`, `rows`, `nameless`. For a cluster.
pub(super) fn sites() -> String {
    format!(
        "SELECT site, COUNT(*) AS rows, SUM(CASE WHEN {} THEN 0 ELSE 1 END) AS nameless
         FROM telemetry GROUP BY site ORDER BY site",
        named()
    )
}

fn swept_columns(table: &str) -> Vec<String> {
    let columns = match table {
        SITES => "site, zone, place",
        CORRECTIONS => "site, hub, store, boot, boot_wall, uncertainty_ms",
        WEATHER => "place, start, temperature_c, irradiance_w_m2, cloud_share",
        _ => {
            "site, hub, store, boot, sequence, uptime_ms, span_ms, wall, wall_uncertainty_ms, load_w, pv_w, \
             throttled, ambient_c, irradiance_w_m2"
        }
    };
    let supplied = TIERS.map(|tier| format!("{tier}_on"));
    let supplied = supplied.into_iter().filter(|_| table == TELEMETRY);
    columns.split(", ").map(str::to_owned).chain(supplied).collect()
}

/// The columns of a table that the questions need, with their types; first the one that says whose a row is.
pub(super) fn swept_schema(table: &str) -> SchemaRef {
    let (columns, known) = (swept_columns(table), lake::table(table));
    let fields = columns.iter().filter_map(|name| known.as_ref()?.field_with_name(name).ok());
    Arc::new(Schema::new(fields.map(|field| field.clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// The facts of each site: `site`, `zone`, `place`, as often as they were written.
pub(super) fn site_facts() -> String {
    "SELECT DISTINCT site, zone, place FROM sites ORDER BY site, zone, place".into()
}

/// The names of records that came with two contents: `site`, `hub`, `store`, `boot`, `sequence`, and how
/// many `variants`; the first few.
pub(super) fn conflicts(sites: Sites<'_>, most: usize) -> String {
    format!(
        "{} SELECT {IDENTITY}, variants FROM records WHERE variants > 1 ORDER BY {IDENTITY} LIMIT {most}",
        records(sites)
    )
}

fn named() -> String {
    NAMING.map(|column| format!("{column} IS NOT NULL")).join(" AND ")
}

/// The columns of [`NAMING`].
pub(super) fn naming_schema() -> SchemaRef {
    let places: Vec<usize> = (0..NAMING.len()).collect();
    let schema = swept_schema(TELEMETRY);
    schema.project(&places).map_or(schema, Arc::new)
}

/// Which rows lack part of what names a record.
pub(super) fn nameless(rows: &RecordBatch) -> Option<NullBuffer> {
    let columns = NAMING.iter().filter_map(|name| rows.column_by_name(name));
    columns.fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref()))
}

/// The sums of each slot of some sites: `site`, `slot` (null where no time is known), then those of
/// [`sum_columns`]; and of the hour's weather: see [`WEATHER_COLUMNS`]. By site and slot.
///
/// A row speaks for the interval that ends with it, and that may reach into the next slot: `…_here` is for
/// the slot in which it begins, `…_next` for the one after.
pub(super) fn slots(sites: Sites<'_>, present: Present) -> String {
    let mut query = records(sites);
    query.push_str(&anchors(sites, present));
    query.push_str(&placed());
    let sums: Vec<String> = sum_columns().into_iter().map(|(name, sum)| format!("{sum} AS {name}")).collect();
    let _ = write!(
        query,
        ", sums AS (SELECT site, slot, {} FROM placed GROUP BY site, slot)",
        sums.join(",\n      ")
    );
    if present.weather {
        query.push_str(&weather(sites));
        let _ = write!(
            query,
            ", located AS (SELECT s.*, p.place FROM places p RIGHT JOIN sums s ON s.site = p.site)
             SELECT s.*, {} FROM hours w RIGHT JOIN located s
               ON s.place = w.place AND s.slot / 2 = w.hour_number",
            WEATHER_COLUMNS.map(|name| format!("w.{name}")).join(", ")
        );
    } else {
        let nulls = WEATHER_COLUMNS.map(|name| format!("CAST(NULL AS BIGINT) AS {name}")).join(", ");
        let _ = write!(query, " SELECT s.*, {nulls} FROM sums s");
    }
    query.push_str(" ORDER BY s.site, s.slot");
    query
}

/// Sums of the weather of an hour, in thousandths, and how many values are in each.
pub(super) const WEATHER_COLUMNS: [&str; 6] = [
    "temperature_sum",
    "temperature_count",
    "irradiance_sum",
    "irradiance_count",
    "cloud_sum",
    "cloud_count",
];

/// `WITH raw AS (…), records AS (…)`: what came, and each record once. A record that came with two contents
/// has `variants` above 1: nobody knows which is true.
fn records(sites: Sites<'_>) -> String {
    let (from, until) = (PLAUSIBLE_WALL_MS.start, PLAUSIBLE_WALL_MS.end);
    let supplied = TIERS.map(|tier| format!("{tier}_on")).map(|on| format!("{on} = false"));
    let supplied = supplied.join(" OR ");
    let content = "uptime_ms, span_ms, load, pv, throttled, shed, ambient, irradiance";
    let least = content.split(", ").map(|column| format!("MIN({column}) AS {column}"));
    let least = least.collect::<Vec<_>>().join(", ");
    format!(
        "WITH raw AS (
           SELECT {IDENTITY}, {content},
             CASE WHEN wall_ms >= {from} AND wall_ms < {until} AND NOT vague
                 AND uptime_ms >= 0 AND uptime_ms <= {LONGEST_UPTIME_MS} THEN wall_ms - uptime_ms END AS own,
             CASE WHEN wall_ms < {from} OR wall_ms >= {until} OR vague THEN 1 ELSE 0 END AS implausible
           FROM (
             SELECT {IDENTITY}, uptime_ms, span_ms, CAST(wall AS BIGINT) AS wall_ms,
               COALESCE(wall_uncertainty_ms > {VAGUE_MS}, false) AS vague,
               {load} AS load, {pv} AS pv,
               CASE WHEN throttled THEN 1 ELSE 0 END AS throttled,
               CASE WHEN {supplied} THEN 1 ELSE 0 END AS shed,
               {ambient} AS ambient, {irradiance} AS irradiance
             FROM telemetry WHERE {sites} AND {named})),
         records AS (
           SELECT {IDENTITY}, COUNT(*) AS variants, SUM(copies) AS copies, {least},
             MIN(own) AS own, MAX(implausible) AS implausible
           FROM (
             SELECT {IDENTITY}, {content}, COUNT(*) AS copies, MIN(own) AS own,
               MAX(implausible) AS implausible
             FROM raw GROUP BY {IDENTITY}, {content})
           GROUP BY {IDENTITY})",
        load = milliwatts("load_w"),
        pv = milliwatts("pv_w"),
        ambient = within("ambient_c", -90, 90),
        irradiance = within("irradiance_w_m2", 0, 2000),
        sites = sites.condition(),
        named = named(),
    )
}

/// A power in whole milliwatts, or the code of what is wrong with it; null where nothing was measured. Less
/// than half a milliwatt below zero is zero: some meters know a negative zero.
fn milliwatts(column: &str) -> String {
    format!(
        "CASE WHEN {column} < -0.0005 THEN {NEGATIVE} WHEN {column} > {ABSURD_WATTS} THEN {ABSURD}
           ELSE CAST(CAST({column} AS DOUBLE) * 1000 + 0.5 AS BIGINT) END"
    )
}

/// A value in whole thousandths; null outside of what an instrument can have seen.
fn within(column: &str, least: i32, most: i32) -> String {
    format!(
        "CASE WHEN {column} >= {least} AND {column} <= {most}
           THEN CAST(CAST({column} AS DOUBLE) * 1000 AS BIGINT) END"
    )
}

/// `, anchors AS (…), corrected AS (…)`: the wall time at which each boot had an uptime of zero, by what
/// most of its records say, and by what was learnt later.
fn anchors(sites: Sites<'_>, present: Present) -> String {
    let (from, until) = (PLAUSIBLE_WALL_MS.start, PLAUSIBLE_WALL_MS.end);
    let corrections = if present.corrections {
        format!(
            "SELECT {BOOT}, FIRST_VALUE(boot_ms ORDER BY uncertainty_ms, boot_ms) AS boot_ms
             FROM (SELECT {BOOT}, uncertainty_ms, CAST(boot_wall AS BIGINT) AS boot_ms
                   FROM corrections WHERE {})
             WHERE boot_ms >= {from} AND boot_ms < {until} AND uncertainty_ms <= {VAGUE_MS}
             GROUP BY {BOOT}",
            sites.condition()
        )
    } else {
        format!("SELECT {BOOT}, own AS boot_ms FROM raw WHERE false")
    };
    format!(
        ", stamps AS (
           SELECT {BOOT}, bin, COUNT(*) AS stamped, MIN(own) AS boot_ms
           FROM (SELECT DISTINCT {IDENTITY}, own / {JUMP_MS} AS bin, own FROM raw WHERE own IS NOT NULL)
           GROUP BY {BOOT}, bin),
         anchors AS (
           SELECT {BOOT}, FIRST_VALUE(boot_ms ORDER BY stamped DESC, bin) AS boot_ms
           FROM stamps GROUP BY {BOOT}),
         corrected AS ({corrections})"
    )
}

/// `, placed AS (…)`: each record with the slot in which its interval begins, the part of it that lies there
/// and the part in the slot after. What a join has on its left side it holds in memory, and does not spill: it
/// is the boots, never the records.
fn placed() -> String {
    let (from, until) = (PLAUSIBLE_WALL_MS.start, PLAUSIBLE_WALL_MS.end);
    let on = |other: &str| {
        BOOT.split(", ").map(|key| format!("r.{key} = {other}.{key}")).collect::<Vec<_>>().join(" AND ")
    };
    format!(
        ", told AS (SELECT r.*, c.boot_ms AS told_ms FROM corrected c RIGHT JOIN records r ON {}),
         timed AS (
           SELECT r.*, COALESCE(r.told_ms, a.boot_ms) AS anchor,
             r.variants = 1 AND r.span_ms >= 1 AND r.span_ms <= {LONGEST_SPAN_MS}
               AND r.uptime_ms >= 0 AND r.uptime_ms <= {LONGEST_UPTIME_MS} AS usable
           FROM anchors a RIGHT JOIN told r ON {}),
         ended AS (
           SELECT *, CASE WHEN usable THEN span_ms ELSE 1 END AS span,
             CASE WHEN own - anchor >= -{JUMP_MS} AND own - anchor <= {JUMP_MS} THEN own ELSE anchor END
               + uptime_ms AS end_ms
           FROM timed),
         begun AS (
           SELECT *, CASE WHEN uptime_ms >= 0 AND end_ms >= {from} AND end_ms < {until}
               THEN (end_ms - span) / {SLOT_MS} END AS slot
           FROM ended),
         placed AS (
           SELECT *, CASE WHEN end_ms <= (slot + 1) * {SLOT_MS} THEN span
               ELSE (slot + 1) * {SLOT_MS} - end_ms + span END AS here_ms,
             CASE WHEN end_ms <= (slot + 1) * {SLOT_MS} THEN 0
               ELSE end_ms - (slot + 1) * {SLOT_MS} END AS next_ms
           FROM begun)",
        on("c"),
        on("a"),
    )
}

/// `, places AS (…), hours AS (…)`: the place of each site, and the weather of these places by hour.
fn weather(sites: Sites<'_>) -> String {
    format!(
        ", places AS (
           SELECT site, MIN(place) AS place FROM sites WHERE place IS NOT NULL AND {} GROUP BY site),
         hours AS (
           SELECT place, hour_number,
             SUM(temperature) AS temperature_sum, COUNT(temperature) AS temperature_count,
             SUM(irradiance) AS irradiance_sum, COUNT(irradiance) AS irradiance_count,
             SUM(cloud) AS cloud_sum, COUNT(cloud) AS cloud_count
           FROM (SELECT place, CAST(start AS BIGINT) / 3600000 AS hour_number, {} AS temperature,
                   {} AS irradiance, {} AS cloud
                 FROM weather WHERE place IN (SELECT place FROM places))
           GROUP BY place, hour_number)",
        sites.condition(),
        within("temperature_c", -90, 90),
        within("irradiance_w_m2", 0, 2000),
        within("cloud_share", 0, 1),
    )
}

/// The sums of a slot: their names, and what they sum over `placed`.
pub(super) fn sum_columns() -> Vec<(String, String)> {
    let mut columns = Vec::new();
    let mut add = |name: &str, sum: String| columns.push((name.to_owned(), sum));
    for (name, what) in COUNTED {
        add(name, format!("SUM(CASE WHEN {what} THEN 1 ELSE 0 END)"));
    }
    add("repeated", "SUM(copies - variants)".into());
    for part in ["here", "next"] {
        add(&format!("covered_{part}"), format!("SUM(CASE WHEN usable THEN {part}_ms ELSE 0 END)"));
        for (mask, what) in [("shed", "shed"), ("throttled", "throttled")] {
            let masked = format!("usable AND {what} = 1 AND {part}_ms > 0");
            add(&format!("{mask}_{part}"), format!("SUM(CASE WHEN {masked} THEN 1 ELSE 0 END)"));
        }
        for name in POWERS {
            let valid = format!("usable AND {name} >= 0");
            add(
                &format!("{name}_{part}"),
                format!("SUM(CASE WHEN {valid} THEN {name} * {part}_ms ELSE 0 END)"),
            );
            add(&format!("{name}_{part}_ms"), format!("SUM(CASE WHEN {valid} THEN {part}_ms ELSE 0 END)"));
        }
        for name in INSTRUMENTS {
            let valid = format!("usable AND {name} IS NOT NULL");
            add(
                &format!("{name}_{part}"),
                format!("SUM(CASE WHEN {valid} THEN {name} * {part}_ms ELSE 0 END)"),
            );
            add(&format!("{name}_{part}_ms"), format!("SUM(CASE WHEN {valid} THEN {part}_ms ELSE 0 END)"));
        }
    }
    columns
}

/// What is counted of the records of a slot, for the report: name, and which records.
pub(super) const COUNTED: [(&str, &str); 14] = [
    ("records", "true"),
    ("conflicting", "variants > 1"),
    ("unusable_interval", "variants = 1 AND NOT usable"),
    ("load_missing", "variants = 1 AND load IS NULL"),
    ("load_negative", "variants = 1 AND load = -1"),
    ("load_absurd", "variants = 1 AND load = -2"),
    ("pv_missing", "variants = 1 AND pv IS NULL"),
    ("pv_negative", "variants = 1 AND pv = -1"),
    ("pv_absurd", "variants = 1 AND pv = -2"),
    ("shed", "usable AND shed = 1"),
    ("throttled", "usable AND throttled = 1"),
    ("stamped_late", "own IS NULL AND anchor IS NOT NULL"),
    ("stamp_jumped", "own - anchor > 900000 OR own - anchor < -900000"),
    ("stamp_implausible", "implausible = 1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let sites = Sites { first: "o'clock", last: "z" };
        assert_eq!(sites.condition(), "site >= 'o''clock' AND site <= 'z'");
    }

    #[test]
    fn the_counts_speak_of_the_codes_and_the_bound_of_a_jump() {
        let find = |name| COUNTED.iter().find(|(other, _)| *other == name).unwrap().1;
        assert!(find("load_negative").ends_with(&format!("= {NEGATIVE}")));
        assert!(find("load_absurd").ends_with(&format!("= {ABSURD}")));
        assert!(find("stamp_jumped").contains(&JUMP_MS.to_string()));
    }
}
