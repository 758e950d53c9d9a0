//! The sun of an array of which nobody told anything and that was measured for less than a day.
//!
//! The zone tells roughly when it is noon. With that, what was measured so far in daylight tells roughly how
//! large the array is. The band is wide.

use super::DAY;
use crate::history::SlotHistory;
use crate::quantity::Watts;
use crate::sun::{Location, PvArray};
use crate::time::{HORIZON, Slot, Zone};

/// Parts of the highest clear-sky power measured so far that count as P10, P50 and P90.
const PARTS: [f64; 3] = [0.15, 0.7, 1.3];
/// Clear-sky power over its highest below which a measurement tells nothing of the size.
const DAYLIGHT: f64 = 0.15;

/// A wide forecast; `None` where no sun was measured yet.
pub(super) fn forecast(history: &SlotHistory, issued: Slot, zone: &Zone) -> Option<[Vec<f32>; 3]> {
    let local = zone.local(issued.start());
    let ahead = local.day * 86_400 + local.second_of_day - issued.start();
    // Four minutes of time are a degree. On the equator the day has twelve hours all year.
    let longitude = (ahead as f64 / 240.0).clamp(-180.0, 180.0);
    let array = PvArray::new(Location::new(0.0, longitude).ok()?, Watts(1.0), 10.0, 180.0).ok()?;
    let clear = |slot: Slot| array.clear_sky_mean(slot, None).0;
    let most = (-DAY..0).map(|back| clear(issued.plus(back))).fold(0.0, f64::max);
    let peak = history
        .iter()
        .filter(|(slot, _)| *slot < issued && clear(*slot) > DAYLIGHT * most)
        .filter_map(|(slot, watts)| Some(f64::from(watts?) / clear(slot)))
        .fold(0.0, f64::max);
    (peak > 0.0).then(|| {
        PARTS.map(|part| {
            (0..HORIZON as i64).map(|lead| (part * peak * clear(issued.plus(lead))) as f32).collect()
        })
    })
}
