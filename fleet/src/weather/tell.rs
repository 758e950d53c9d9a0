//! Tells each hub what is foretold of its place.

use std::collections::BTreeMap;
use std::path::Path;

use sunkeep_models::wire::weather::{MOST_HOURS, WeatherMessage};

use super::{HOUR_MS, Hour, WeatherError, store};
use crate::down::{Retained, publish};
use crate::ingest::Broker;
use crate::lake::Lake;
use crate::provision::Inventory;
use crate::sites::{Sites, SitesError};

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Hubs that the broker keeps a message for.
    pub hubs: usize,
    /// Length of the longest message, bytes.
    pub longest: usize,
    /// Hubs whose site has no place.
    pub without_place: usize,
    /// Places that nothing is foretold of from now on, with the reason.
    pub without_forecast: Vec<String>,
}

/// Sends each hub that is not taken back the newest forecast of its place, from now on, as one retained message.
/// The broker drops it when the last of its hours is over.
pub fn tell(fleet: &Path, lake: &Lake, broker: &Broker, now_ms: i64) -> Result<Told, WeatherError> {
    let sites = Sites::open(fleet)?.all;
    let places: BTreeMap<&str, &str> =
        sites.iter().filter_map(|site| Some((site.site.as_str(), site.place.as_deref()?))).collect();
    let mut told = Told::default();
    let mut hubs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let inventory = Inventory::open(fleet).map_err(SitesError::Fleet)?;
    for entry in inventory.entries.into_iter().filter(|entry| !entry.revoked) {
        match places.get(entry.site.as_str()) {
            Some(place) => hubs.entry(place).or_default().push(entry.hub),
            None => told.without_place += 1,
        }
    }
    let newest = store::newest(lake, now_ms)?;
    let mut messages = Vec::new();
    for (place, hubs) in hubs {
        let Some((issued, file)) = newest.get(place) else {
            told.without_forecast.push(format!("{place}: no forecast of it is in the lake"));
            continue;
        };
        let Some((message, end_ms)) = message(lake, place, *issued, file, now_ms)? else {
            told.without_forecast.push(format!("{place}: {file} ends in the past"));
            continue;
        };
        told.longest = told.longest.max(message.len());
        let expires_s = u32::try_from((end_ms - now_ms) / 1000).unwrap_or(u32::MAX).max(1);
        messages.extend(hubs.iter().map(|hub| Retained {
            topic: format!("sunkeep/v1/{hub}/down/weather"),
            payload: message.clone().into(),
            expires_s,
        }));
    }
    told.hubs = publish(broker, &messages)?;
    Ok(told)
}

/// The message of a place, and when the last of its hours is over, ms since 1970; `None` where all are over.
fn message(
    lake: &Lake,
    place: &str,
    issued_ms: i64,
    file: &str,
    now_ms: i64,
) -> Result<Option<(Vec<u8>, i64)>, WeatherError> {
    let hours = store::read(lake, file)?;
    let first = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let most = MOST_HOURS as i64 * HOUR_MS;
    let Some((last, _)) = hours.range(first..first + most).next_back() else { return Ok(None) };
    let starts: Vec<i64> = (first..=*last).step_by(HOUR_MS as usize).collect();
    let values = |of: fn(&Hour) -> Option<f32>| {
        let values: Vec<_> = starts.iter().map(|start| hours.get(start).and_then(of)).collect();
        if values.iter().all(Option::is_none) { Vec::new() } else { values }
    };
    let message = WeatherMessage {
        place: place.into(),
        issued: issued_ms.div_euclid(1000),
        start: first / 1000,
        irradiance_w_m2: values(|hour| hour.irradiance_w_m2),
        cloud_share: values(|hour| hour.cloud_share),
        temperature_c: values(|hour| hour.temperature_c),
    };
    let written = message.write();
    let written =
        written.map_err(|refused| WeatherError::Nothing(format!("{file}: a hub would refuse it: {refused}")));
    Ok(Some((written?, last + HOUR_MS)))
}
