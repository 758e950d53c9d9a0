//! Means, quantiles and gaps of a handful of values: the arithmetic that features and baselines share.

use crate::time::SLOTS_PER_DAY;

/// The mean; `None` of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f32>) -> Option<f32> {
    let (sum, count) =
        values.fold((0.0_f64, 0_u32), |(sum, count), value| (sum + f64::from(value), count + 1));
    (count > 0).then(|| (sum / f64::from(count)) as f32)
}

/// The quantile (0 to 1) of finite values by linear interpolation, sorting them; `None` of nothing.
pub(crate) fn sorted_quantile(values: &mut [f32], quantile: f32) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let place = quantile.clamp(0.0, 1.0) * values.len().checked_sub(1)? as f32;
    let below = place.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    Some(values[below] + (values[above] - values[below]) * (place - below as f32))
}

/// One value for each slot of the day.
pub(crate) fn by_slot<T>(value: impl FnMut(usize) -> T) -> [T; SLOTS_PER_DAY] {
    core::array::from_fn(value)
}

/// Fills slots without a value from the nearest that has one, on either side; `otherwise` if none has.
pub(crate) fn filled(values: &[Option<f32>; SLOTS_PER_DAY], otherwise: f32) -> [f32; SLOTS_PER_DAY] {
    by_slot(|slot| {
        (0..=SLOTS_PER_DAY / 2)
            .find_map(|distance| {
                let near = [slot + SLOTS_PER_DAY - distance, slot + distance];
                mean(near.iter().filter_map(|near| values[near % SLOTS_PER_DAY]))
            })
            .unwrap_or(otherwise)
    })
}
