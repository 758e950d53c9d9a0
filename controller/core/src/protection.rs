//! What the battery, its temperature and the wiring cannot bear. The last word of a cycle: it needs no
//! forecast and no clock, trips at once or after a short hold, and recovers late.
//!
//! Protection only switches off and bars returns. It never turns a load on.

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Celsius, Seconds, Volts, Watts};
use sunkeep_models::time::Uptime;

use crate::decision::{Alarm, Because};
use crate::estimate::draw_if_on;
use crate::image::ProcessImage;
use crate::settings::{Settings, Tier};
use crate::state::{Latch, State};

/// What protection demands of this cycle.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The gravest of what has tripped.
    pub alarm: Option<Alarm>,
    /// Loads that must be off, with the reason.
    pub off: Vec<(usize, Because)>,
}

/// Judges the loads as the earlier rules left them: `on[n]` says whether load `n` would be on.
pub fn judge(
    settings: &Settings,
    state: &mut State,
    image: &ProcessImage,
    charge: ChargeBounds,
    on: &[bool],
) -> Verdict {
    let mut verdict = Verdict::default();
    let voltage = image.fresh(settings, image.battery.voltage).map(Volts);
    battery_low(settings, state, image.now, voltage, charge, &mut verdict);
    battery_hot(settings, state, image, &mut verdict);
    overload(settings, state, image, on, &mut verdict);
    verdict
}

/// Two latches: the battery is low (everything but the critical tier goes), or nearly empty (all goes).
fn battery_low(
    settings: &Settings,
    state: &mut State,
    now: Uptime,
    voltage: Option<Volts>,
    charge: ChargeBounds,
    verdict: &mut Verdict,
) {
    let limits = &settings.protection;
    let recovered =
        voltage.is_none_or(|read| read >= limits.reconnect_voltage) && charge.best >= limits.reconnect_charge;
    let below = |volts: Volts, level| voltage.is_some_and(|read| read < volts) || charge.best < level;
    let low = below(limits.low_voltage, limits.low_charge);
    let empty = below(limits.cutoff_voltage, limits.cutoff_charge);
    state.low.advance(now, low, recovered, limits.hold, limits.recovery_hold);
    state.empty.advance(now, empty, recovered, limits.hold, limits.recovery_hold);
    for (latch, alarm, tier) in
        [(state.empty, Alarm::BatteryEmpty, Tier::Critical), (state.low, Alarm::BatteryLow, Tier::Important)]
    {
        if latch.tripped {
            verdict.alarm.get_or_insert(alarm);
            let because = match voltage {
                Some(read) if read < limits.reconnect_voltage => {
                    Because::LowVoltage { read, limit: limits.reconnect_voltage }
                }
                _ => Because::LowCharge { left: charge.best, limit: limits.reconnect_charge },
            };
            verdict.all_off(settings, tier, because);
        }
    }
}

/// A hot battery is relieved of everything but the critical tier until it has cooled by five kelvin.
fn battery_hot(settings: &Settings, state: &mut State, image: &ProcessImage, verdict: &mut Verdict) {
    let limits = &settings.protection;
    let Some(read) = image.fresh(settings, image.battery.temperature).map(Celsius) else { return };
    let cooled = read < limits.max_temperature - Celsius(5.0);
    state.hot.advance(image.now, read > limits.max_temperature, cooled, limits.hold, limits.recovery_hold);
    if state.hot.tripped {
        verdict.alarm.get_or_insert(Alarm::BatteryHot);
        verdict.all_off(settings, Tier::Important, Because::Hot { read, limit: limits.max_temperature });
    }
}

/// Sheds at once what brings the total under the limit: the least vital first, and of those the hungriest.
fn overload(
    settings: &Settings,
    state: &mut State,
    image: &ProcessImage,
    on: &[bool],
    verdict: &mut Verdict,
) {
    let Some(limit) = settings.protection.overload else { return };
    let Some(read) = image.fresh(settings, image.load).map(Watts) else { return };
    if read <= limit {
        return;
    }
    verdict.alarm.get_or_insert(Alarm::Overload);
    let mut candidates: Vec<_> = (0..on.len())
        .filter(|&load| on[load] && can_shed(settings, load) && !verdict.holds(load))
        .map(|load| (load, draw_if_on(settings, state, image, load)))
        .collect();
    candidates.sort_by(|(a, draws_a), (b, draws_b)| {
        let tier = |load: usize| settings.loads[load].tier;
        tier(*b).cmp(&tier(*a)).then(draws_b.0.total_cmp(&draws_a.0)).then(a.cmp(b))
    });
    let mut remaining = read;
    for (load, draws) in candidates {
        if remaining <= limit {
            break;
        }
        remaining -= draws;
        state.loads[load].barred_until = Some(image.now.after(settings.protection.overload_wait));
        verdict.off.push((load, Because::Overload { read, limit }));
    }
}

fn can_shed(settings: &Settings, load: usize) -> bool {
    let load = &settings.loads[load];
    load.switchable && !load.powers_hub
}

impl Verdict {
    /// Whether this load must be off.
    pub fn holds(&self, load: usize) -> bool {
        self.off.iter().any(|(held, _)| *held == load)
    }

    /// Demands that all loads of this tier and the less vital ones are off. The first reason stands.
    fn all_off(&mut self, settings: &Settings, from: Tier, because: Because) {
        for load in 0..settings.loads.len() {
            if settings.loads[load].tier >= from && can_shed(settings, load) && !self.holds(load) {
                self.off.push((load, because));
            }
        }
    }
}

impl Latch {
    /// Advances the latch; see its diagram.
    pub fn advance(
        &mut self,
        now: Uptime,
        exceeded: bool,
        recovered: bool,
        hold: Seconds,
        recovery: Seconds,
    ) {
        let (moving, wanted) =
            if self.tripped { (recovered && !exceeded, recovery) } else { (exceeded, hold) };
        if !moving {
            self.pending = None;
            return;
        }
        let since = *self.pending.get_or_insert(now);
        if now.since(since) >= wanted {
            self.tripped = !self.tripped;
            self.pending = None;
        }
    }
}
