//! What a planner is told that has nothing to guess: that yesterday comes again, or what the next 48 hours bring.

use sunkeep_core::planner::Hour;
use sunkeep_models::time::Slot;

use super::Planner;
use crate::plant::Series;

/// Hours that are told.
const TOLD: i64 = 48;
const DAY: i64 = 24;

/// The hours that this planner is told at the start of a slot; `None` for one that has to find out itself.
///
/// As in the power benchmark's reference, yesterday is taken as it truly was, even where it was shed, and before a day has
/// passed the true first hours stand in.
pub(super) fn ahead(planner: Planner, series: &Series, slot: Slot) -> Option<Vec<Hour>> {
    let now = slot.start();
    let passed = now - series.start_unix;
    let hour = |ahead: i64| match planner {
        Planner::Persistence if passed >= DAY * 3600 => {
            Some(hour_from(series, now + (ahead % DAY - DAY) * 3600))
        }
        Planner::Persistence => Some(hour_from(series, series.start_unix + ahead * 3600)),
        Planner::Told => Some(hour_from(series, now + ahead * 3600)),
        Planner::Hub | Planner::Past | Planner::None => None,
    };
    (0..TOLD).map(hour).collect()
}

/// Energy of the hour that begins at `unix`, Wh, by the rows that hold in its two halves; nothing past the last row.
fn hour_from(series: &Series, unix: i64) -> Hour {
    let mut hour = Hour::default();
    for half in [unix, unix + 1800] {
        let place = usize::try_from((half - series.start_unix).div_euclid(series.row_seconds)).ok();
        let Some(row) = place.and_then(|place| series.rows.get(place)) else { continue };
        hour.sun += row.pv as f32 / 2.0;
        for (hour, watts) in hour.demand.iter_mut().zip(row.demand) {
            *hour += watts as f32 / 2.0;
        }
    }
    hour
}
