//! Which days of a series are scored, and when a local day begins.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sunkeep_models::time::{Slot, Zone};

use super::{BacktestError, Set};
use crate::series::Series;

/// Days of a site that a backtest needs.
const LEAST_DAYS: usize = 20;
/// The first slot of a set that is scored, of all its sites.
pub fn first_scored(sets: &[Set]) -> Result<Slot, BacktestError> {
    let mut first = Slot(i64::MAX);
    for set in sets {
        for series in &set.series {
            first = first.min(Slot::of(midnight(&set.zone, *tested_days(set, series)?.start())));
        }
    }
    Ok(first)
}

/// Start of a local day, seconds since 1970.
pub fn midnight(zone: &Zone, day: i64) -> i64 {
    let guess = day * 86_400;
    // Every offset in use is a multiple of a quarter of an hour and below a day.
    (-96..=96).map(|quarter| guess + quarter * 900).find(|time| zone.local(*time).day >= day).unwrap_or(guess)
}

/// The last fifth of the days from the first to the last of which more than half was measured.
pub(super) fn tested_days(set: &Set, series: &Series) -> Result<RangeInclusive<i64>, BacktestError> {
    let mut days: BTreeMap<i64, [usize; 2]> = BTreeMap::new();
    for (place, watts) in series.values.iter().enumerate() {
        let day = days.entry(set.zone.local(series.time(place)).day).or_default();
        day[0] += usize::from(watts.is_some());
        day[1] += 1;
    }
    let mut whole = days.iter().filter(|(_, [measured, all])| 2 * measured > *all).map(|(day, _)| *day);
    let first = whole.next().unwrap_or(0);
    let last = whole.next_back().unwrap_or(first - 1);
    let count = (last - first + 1) as usize;
    if count < LEAST_DAYS {
        let (set, site) = (set.name.clone(), series.site.clone());
        return Err(BacktestError::TooShort { set, site, days: count, wanted: LEAST_DAYS });
    }
    Ok(first + (count as f64 * 0.8) as i64..=last)
}
