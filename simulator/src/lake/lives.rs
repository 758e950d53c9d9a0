//! What a home measures, step by step, as its hub would record it.

use super::{Duration, HomeSpec, LakeSpec, LakeWriteError, MINUTE_MS, SolarHome};

/// Part of what the panels could give below which they count as throttled.
const THROTTLED: f64 = 0.98;

/// Means over a step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    /// Its length, ms.
    pub(super) span_ms: i64,
    /// Power that each tier got, W.
    pub(super) tiers: [f32; 3],
    /// Whether each tier got all it wanted.
    pub(super) supplied: [bool; 3],
    /// Power of the panels, W.
    pub(super) sun: f32,
    /// Whether they could have given more.
    pub(super) throttled: bool,
    /// Temperature of the air, °C.
    pub(super) celsius: f32,
}

/// A home through all its days.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) zone: String,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// Nameplate power of the panels, W; their slope and direction, degrees.
    pub(super) panels: [f64; 3],
    moments: Vec<Moment>,
}

impl Life {
    /// Simulates one of the homes of a lake.
    pub(super) fn simulate(spec: &LakeSpec, number: u32) -> Result<Self, LakeWriteError> {
        let seed = spec.seed + u64::from(number);
        let mut home_spec = HomeSpec::from_seed(seed, spec.start_unix);
        // Enough to be seldom dark and often full.
        home_spec.battery.capacity *= 2.0;
        home_spec.battery.resistance /= 2.0;
        let mut home = SolarHome::new(home_spec)
            .map_err(|source| LakeWriteError::Home { seed, source })?
            .with_grain(Duration::from_mins(1));
        let step = Duration::from_mins(u64::from(spec.step_minutes));
        let hours = step.as_secs_f64() / 3600.0;
        let count = spec.days * 24 * 60 / spec.step_minutes;
        let moments = (0..count).map(|_| {
            let before = home.ledger().clone();
            home.advance(step);
            let now = home.ledger();
            let (used, offered) = (now.pv_used - before.pv_used, now.pv_available - before.pv_available);
            Moment {
                span_ms: i64::from(spec.step_minutes) * MINUTE_MS,
                tiers: std::array::from_fn(|tier| ((now.served[tier] - before.served[tier]) / hours) as f32),
                supplied: std::array::from_fn(|tier| now.unserved[tier] - before.unserved[tier] <= 1e-9),
                sun: (used / hours) as f32,
                throttled: used < THROTTLED * offered,
                celsius: home.readings().air_temperature as f32,
            }
        });
        let moments = moments.collect();
        let spec = home.spec();
        let array = &spec.array;
        Ok(Self {
            zone: spec.zone.clone(),
            latitude: spec.latitude,
            longitude: spec.longitude,
            panels: [array.rated, array.tilt, array.azimuth],
            moments,
        })
    }

    /// A step of it; after the last day comes the first.
    pub(super) fn at(&self, step: i64) -> Moment {
        let count = (self.moments.len() as i64).max(1);
        self.moments.get(step.rem_euclid(count) as usize).copied().unwrap_or_default()
    }
}
