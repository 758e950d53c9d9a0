//! The lake's table of sites: one file, written anew as a whole, so that a reader finds the old one or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use sunkeep_models::lake;

use super::{FILE, Site, Sites, SitesError};
use crate::lake::{Lake, LakeError};
use crate::provision::Inventory;

/// The file that is written. Other files of the table belong to others.
pub const TABLE_FILE: &str = "sites/fleet.parquet";

/// What was brought into the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Rows of the table.
    pub sites: usize,
    /// Of these, sites without a position.
    pub without_position: usize,
    /// Of these, sites that have nobody's weather.
    pub without_place: usize,
    /// Files of the table that somebody else has written: where they hold a site of the fleet with other facts,
    /// training refuses both.
    pub beside: Vec<String>,
}

/// Writes a row for each site of the inventory and of `sites.csv`. `zone` is for those whose zone nobody said.
pub fn publish(fleet: &Path, lake: &Lake, zone: Option<&str>) -> Result<Published, SitesError> {
    let rows = rows(fleet, zone)?;
    let table = batch(&rows).map_err(LakeError::table(TABLE_FILE, "making its rows"))?;
    lake.write(TABLE_FILE, &table)?;
    let listed = lake.list(lake::SITES)?.into_iter().map(|file| file.name);
    Ok(Published {
        sites: rows.len(),
        without_position: rows.iter().filter(|site| site.latitude.and(site.longitude).is_none()).count(),
        without_place: rows.iter().filter(|site| site.place.is_none()).count(),
        beside: listed.filter(|name| name != TABLE_FILE).collect(),
    })
}

fn rows(fleet: &Path, zone: Option<&str>) -> Result<Vec<Site>, SitesError> {
    // Sites whose hubs were taken back stay: their records do, too.
    let named = Inventory::open(fleet)?.entries.into_iter().filter(|entry| !entry.is_erased());
    let named: BTreeSet<String> = named.map(|entry| entry.site).collect();
    let blank = |site: String| (site.clone(), Site { site, ..Site::default() });
    let mut rows: BTreeMap<String, Site> = named.into_iter().map(blank).collect();
    rows.extend(Sites::open(fleet)?.all.into_iter().map(|site| (site.site.clone(), site)));
    for site in rows.values_mut() {
        site.zone = site.zone.take().or_else(|| zone.map(Into::into));
    }
    let mut nowhere = rows.values().filter(|site| site.zone.is_none());
    if let Some(first) = nowhere.next() {
        let (first, count) = (first.site.clone(), nowhere.count() + 1);
        return Err(SitesError::NoZone { path: fleet.join(FILE), count, first });
    }
    Ok(rows.into_values().collect())
}

fn batch(rows: &[Site]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let number = |of: fn(&Site) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Float64Array>())
    };
    let zones = rows.iter().map(|site| site.zone.as_deref().unwrap_or_default());
    let columns = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|site| &site.site))) as ArrayRef,
        Arc::new(StringArray::from_iter_values(zones)),
        number(|site| site.latitude),
        number(|site| site.longitude),
        Arc::new(rows.iter().map(|site| site.place.as_deref()).collect::<StringArray>()),
        number(|site| site.peak_w),
        number(|site| site.tilt_deg),
        number(|site| site.azimuth_deg),
    ];
    RecordBatch::try_new(lake::sites(), columns)
}
