//! The features of load, defined once: the hub computes them to forecast and training computes them to
//! fit, with this code. What they mean to a model is tied down by [`feature_hash`].
//!
//! One row for each slot of the horizon, direct and not recursive: every feature of a row was measured
//! before the issue. All are relative to the level of the site (its mean power over seven days), so that
//! one model fits a hut and a village. A value nobody measured is never read as zero: each feature states
//! what stands in for it, and the rows say how much was missing. Nothing here fits, weighs or scores.

use crate::day_grid::DayGrid;
use crate::digest::sha256_hex;
use crate::history::SlotHistory;
use crate::sample::{by_slot, filled, mean, sorted_quantile};
use crate::time::{HORIZON, LocalTime, SLOTS_PER_DAY, Slot, Zone};

/// Names of the columns of a row, in their order.
pub const COLUMNS: [&str; 38] = [
    // Local slot of the day of the target, 0 to 47: a selector, not a quantity.
    "slot_of_day",
    // Same-slot profiles of the newest 7 and 28 days; `smooth` weighs in two slots on either side.
    "mean_7d",
    "mean_28d",
    "median_14d",
    "mean_7d_smooth",
    "mean_28d_smooth",
    // How the slot spreads: quantiles of 28 days with one slot on either side.
    "low_28d",
    "median_28d",
    "high_28d",
    "spread_7d",
    // The newest day that has this slot, the one before it, and the same weekday.
    "last_day",
    "last_day_smooth",
    "day_before_smooth",
    "week_before_smooth",
    "same_weekday_4w",
    "same_kind_of_day",
    // Levels: 28 days over 7 days; by how much the newest day and three days exceed their profile.
    "level_28d",
    "excess_24h",
    "excess_72h",
    "excess_24h_shaped",
    // By how much the last hours exceed their profile, fading with lead time.
    "excess_1h_fading",
    "excess_4h_fading",
    "excess_4h_shaped_fading",
    "excess_12h_fading",
    // By how much each three hours of the last day exceed their profile, newest first.
    "excess_0_to_3h_ago",
    "excess_3_to_6h_ago",
    "excess_6_to_9h_ago",
    "excess_9_to_12h_ago",
    "excess_12_to_15h_ago",
    "excess_15_to_18h_ago",
    "excess_18_to_21h_ago",
    "excess_21_to_24h_ago",
    // The target: time since the issue, weekend.
    "lead",
    "second_day",
    "weekend",
    "weekend_shaped",
    // What stood in for a measurement.
    "last_day_missing",
    "share_missing_28d",
];

/// Columns of a row.
pub const WIDTH: usize = COLUMNS.len();

/// Raised with every change of what a column means that its name does not show.
const DEFINITION: u32 = 2;

/// Measured slots below which there are no features: one day.
pub const LEAST_MEASURED: usize = SLOTS_PER_DAY;

/// Mean power below which a site counts as using nothing, W; it keeps the ratios finite.
const LEAST_LEVEL: f32 = 0.01;

/// Largest size of a feature: an hour at this many times the mean of a week tells no more.
const LARGEST: f32 = 50.0;

/// Fingerprint of what the columns mean: SHA-256 over definition, horizon and names, in hexadecimal. A
/// model fitted to other features has another one and is refused.
pub fn feature_hash() -> String {
    let mut meaning = format!("load features {DEFINITION}, horizon {HORIZON}\n");
    for name in COLUMNS {
        meaning.push_str(name);
        meaning.push('\n');
    }
    sha256_hex(meaning.as_bytes())
}

/// The rows of one issue.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRows {
    /// Mean power of the site over seven days, W: what the features were divided by and what a model's
    /// answer is to be multiplied with.
    pub level: f32,
    /// [`HORIZON`] rows of [`WIDTH`] values, one after the other.
    pub values: Vec<f32>,
}

/// Computes the rows for an issue; `None` where fewer than [`LEAST_MEASURED`] slots were measured in the
/// last weeks, or none in the last seven days.
pub fn load_rows(history: &SlotHistory, issued: Slot, zone: &Zone) -> Option<LoadRows> {
    let grid = DayGrid::before(history, issued, zone);
    let profiles = Profiles::of(&grid)?;
    let recent = Recent::of(history, issued, zone, &profiles);
    let mut values = Vec::with_capacity(HORIZON * WIDTH);
    for lead in 0..HORIZON {
        let target = zone.local(issued.plus(lead as i64).start());
        let row = row(&grid, &profiles, &recent, target, lead);
        values.extend(row.map(|value| value.clamp(-LARGEST, LARGEST)));
    }
    Some(LoadRows { level: profiles.level, values })
}

/// What a slot of the day is like, by slot of the day, over the level.
struct Profiles {
    /// W.
    level: f32,
    level_28d: f32,
    mean_7d: [f32; SLOTS_PER_DAY],
    mean_28d: [f32; SLOTS_PER_DAY],
    median_14d: [f32; SLOTS_PER_DAY],
    mean_7d_smooth: [f32; SLOTS_PER_DAY],
    mean_28d_smooth: [f32; SLOTS_PER_DAY],
    quantiles_28d: [[f32; 3]; SLOTS_PER_DAY],
    spread_7d: [f32; SLOTS_PER_DAY],
    share_missing: [f32; SLOTS_PER_DAY],
}

impl Profiles {
    fn of(grid: &DayGrid) -> Option<Self> {
        let raw_28d = by_slot(|slot| mean(grid.same_slot(slot, 28)));
        let raw_7d = by_slot(|slot| mean(grid.same_slot(slot, 7)));
        let measured: usize = (0..SLOTS_PER_DAY).map(|slot| grid.same_slot(slot, 28).count()).sum();
        if measured < LEAST_MEASURED {
            return None;
        }
        let watts_28d = mean(raw_28d.iter().copied().flatten())?;
        // A level over whole days: a slot that was missing all week is stood in for by its month, so that
        // a week without evenings does not read as a week of little use.
        raw_7d.iter().flatten().next()?;
        let watts_7d = mean((0..SLOTS_PER_DAY).filter_map(|slot| raw_7d[slot].or(raw_28d[slot])))?;
        let level = watts_7d.max(LEAST_LEVEL);
        let filled_28d = filled(&raw_28d.map(|value| value.map(|watts| watts / level)), watts_28d / level);
        let filled_7d: [f32; SLOTS_PER_DAY] =
            by_slot(|slot| raw_7d[slot].map_or(filled_28d[slot], |watts| watts / level));
        let pooled = |slot: usize| {
            let mut values: Vec<f32> = [slot + SLOTS_PER_DAY - 1, slot, slot + 1]
                .iter()
                .flat_map(|near| grid.same_slot(near % SLOTS_PER_DAY, 28))
                .collect();
            [0.1, 0.5, 0.9].map(|quantile| {
                sorted_quantile(&mut values, quantile).map_or(filled_28d[slot], |watts| watts / level)
            })
        };
        Some(Self {
            level,
            level_28d: watts_28d / level,
            mean_7d: filled_7d,
            mean_28d: filled_28d,
            median_14d: by_slot(|slot| {
                let mut values: Vec<f32> = grid.same_slot(slot, 14).collect();
                sorted_quantile(&mut values, 0.5).map_or(filled_28d[slot], |watts| watts / level)
            }),
            mean_7d_smooth: smoothed(&filled_7d),
            mean_28d_smooth: smoothed(&filled_28d),
            quantiles_28d: by_slot(pooled),
            spread_7d: by_slot(|slot| {
                mean(grid.same_slot(slot, 7).map(|watts| (watts / level - filled_7d[slot]).abs()))
                    .unwrap_or(0.0)
            }),
            share_missing: by_slot(|slot| 1.0 - grid.same_slot(slot, 28).count() as f32 / 28.0),
        })
    }
}

/// By how much the last slots exceeded the 28-day profile, over the level; zero ("as usual") where none of
/// them was measured.
struct Recent {
    hour: f32,
    four_hours: f32,
    /// As a share of what the profile expects.
    four_hours_share: f32,
    twelve_hours: f32,
    day: f32,
    three_days: f32,
    /// Each three hours of the last day, newest first.
    blocks: [f32; 8],
}

/// Slots of a block of [`Recent`].
const BLOCK: usize = SLOTS_PER_DAY / 8;

impl Recent {
    fn of(history: &SlotHistory, issued: Slot, zone: &Zone, profiles: &Profiles) -> Self {
        let mut excess = 0.0;
        let mut expected = 0.0;
        let mut count = 0.0_f32;
        let mut after = [[0.0; 2]; 145];
        let mut blocks = [[0.0_f32; 2]; 8];
        for (back, after) in after.iter_mut().enumerate().skip(1) {
            let slot = issued.plus(-(back as i64));
            if let Some(watts) = history.get(slot) {
                let usual = profiles.mean_28d[zone.local(slot.start()).slot_of_day()];
                excess += watts / profiles.level - usual;
                if let Some([sum, measured]) = blocks.get_mut((back - 1) / BLOCK) {
                    *sum += watts / profiles.level - usual;
                    *measured += 1.0;
                }
                expected += usual;
                count += 1.0;
            }
            let share: f32 = if expected > 0.0 { excess / expected } else { 0.0 };
            *after = [excess / count.max(1.0), share.min(3.0)];
        }
        Self {
            hour: after[2][0],
            four_hours: after[8][0],
            four_hours_share: after[8][1],
            twelve_hours: after[24][0],
            day: after[48][0],
            three_days: after[144][0],
            blocks: blocks.map(|[sum, measured]| sum / measured.max(1.0)),
        }
    }
}

/// One row, in the order of [`COLUMNS`].
fn row(grid: &DayGrid, profiles: &Profiles, recent: &Recent, target: LocalTime, lead: usize) -> [f32; WIDTH] {
    let slot = target.slot_of_day();
    let level = profiles.level;
    let newest = grid.newest(slot);
    let smooth = profiles.mean_28d_smooth[slot];
    let last = grid.get(newest, slot as i64).map(|watts| watts / level);
    let last_smooth = smooth_cell(grid, newest, slot).map_or(profiles.mean_7d[slot], |watts| watts / level);
    let before = smooth_cell(grid, newest + 1, slot).map_or(profiles.mean_7d[slot], |watts| watts / level);
    let ahead = target.day - grid.issue_day();
    let week = smooth_cell(grid, 7 - ahead, slot).map_or(profiles.mean_28d[slot], |watts| watts / level);
    let same_weekday =
        mean(grid.same_weekday(slot, target.day, 4)).map_or(profiles.mean_28d[slot], |watts| watts / level);
    let kind = mean(grid.same_kind(slot, target.weekday)).map_or(smooth, |watts| watts / level);
    let weekend = f32::from(u8::from(target.weekday >= 5));
    let [low, median, high] = profiles.quantiles_28d[slot];
    // Half of the excess is left after this many slots. Rational, not exponential: the same on every
    // processor.
    let fading = |half: f32| half / (half + lead as f32);
    let [b0, b1, b2, b3, b4, b5, b6, b7] = recent.blocks;
    [
        slot as f32,
        profiles.mean_7d[slot],
        profiles.mean_28d[slot],
        profiles.median_14d[slot],
        profiles.mean_7d_smooth[slot],
        smooth,
        low,
        median,
        high,
        profiles.spread_7d[slot],
        last.unwrap_or(last_smooth),
        last_smooth,
        before,
        week,
        same_weekday,
        kind,
        profiles.level_28d,
        recent.day,
        recent.three_days,
        recent.day * smooth,
        recent.hour * fading(2.0),
        recent.four_hours * fading(6.0),
        recent.four_hours_share * smooth * fading(8.0),
        recent.twelve_hours * fading(16.0),
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
        lead as f32 / HORIZON as f32,
        f32::from(u8::from(lead >= SLOTS_PER_DAY)),
        weekend,
        weekend * smooth,
        f32::from(u8::from(last.is_none())),
        profiles.share_missing[slot],
    ]
}

/// Mean of a cell (twice) and the cells beside it, W; `None` where none was measured.
fn smooth_cell(grid: &DayGrid, days: i64, slot: usize) -> Option<f32> {
    let slot = slot as i64;
    let near = [(slot - 1, 1.0), (slot, 2.0), (slot + 1, 1.0)];
    let measured = near.iter().filter_map(|(near, weight)| Some((grid.get(days, *near)?, *weight)));
    let (sum, weights) =
        measured.fold((0.0, 0.0), |(sum, weights), (watts, weight)| (sum + watts * weight, weights + weight));
    (weights > 0.0).then(|| sum / weights)
}

/// A profile smoothed over two slots on either side, around midnight as well.
fn smoothed(profile: &[f32; SLOTS_PER_DAY]) -> [f32; SLOTS_PER_DAY] {
    let kernel = [1.0, 2.0, 3.0, 2.0, 1.0];
    by_slot(|slot| {
        let sum: f32 = kernel
            .iter()
            .enumerate()
            .map(|(place, weight)| weight * profile[(slot + SLOTS_PER_DAY + place - 2) % SLOTS_PER_DAY])
            .sum();
        sum / kernel.iter().sum::<f32>()
    })
}
