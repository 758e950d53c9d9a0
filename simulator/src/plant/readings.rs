//! What instruments in the home could see at this moment; devices turn it into registers.

use super::charger::Stage;

/// State of a home as instruments could measure it. Battery current is positive into the battery.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    /// Wall time, seconds since 1970.
    pub unix: i64,
    /// Power taken from the panels, W.
    pub pv_power: f64,
    /// Voltage of the panels, V.
    pub pv_voltage: f64,
    /// Power the charge controller delivers, W.
    pub charge_power: f64,
    /// Stage of the charge controller.
    pub stage: Stage,
    /// Voltage at the battery's terminals, V.
    pub battery_voltage: f64,
    /// Nominal voltage of the system, V: 12, 24 or 48.
    pub nominal_voltage: f64,
    /// Capacity, Ah.
    pub battery_capacity: f64,
    /// Net current of the battery, A.
    pub battery_current: f64,
    /// Temperature of the battery, °C.
    pub battery_temperature: f64,
    /// True state of charge, 0 to 1; what devices report is their own estimate of it.
    pub charge: f64,
    /// Power the loads draw behind the hardware disconnect, inverter included, W.
    pub load_power: f64,
    /// Whether the hardware has cut the loads.
    pub disconnected: bool,
    /// Power on the three phases behind the inverter, one for each tier, W.
    pub phases: [f64; 3],
    /// Energy of those phases since the start, Wh.
    pub phase_energy: [f64; 3],
    /// Power of a generator or hand-switched charger, W.
    pub generator: f64,
    /// Temperature of the air, °C.
    pub air_temperature: f64,
    /// Relative humidity, %.
    pub humidity: f64,
    /// Energy taken from the panels since the start, today, Wh.
    pub pv_energy: [f64; 2],
    /// Energy delivered to the loads since the start, today, Wh.
    pub load_energy: [f64; 2],
    /// Greatest and least voltage of the panels today, V.
    pub pv_voltage_today: [f64; 2],
    /// Greatest and least voltage of the battery today, V.
    pub battery_voltage_today: [f64; 2],
}

/// Keeps the daily figures of [`Readings`].
#[derive(Debug, Clone, Default)]
pub(super) struct Today {
    day: Option<i64>,
    pv_at_midnight: f64,
    load_at_midnight: f64,
    pv_voltage: [f64; 2],
    battery_voltage: [f64; 2],
}

impl Today {
    /// Fills in the figures of the day; `local_day` counts calendar days.
    pub(super) fn note(&mut self, local_day: i64, readings: &mut Readings) {
        if self.day != Some(local_day) {
            *self = Self {
                day: Some(local_day),
                pv_at_midnight: readings.pv_energy[0],
                load_at_midnight: readings.load_energy[0],
                pv_voltage: [readings.pv_voltage; 2],
                battery_voltage: [readings.battery_voltage; 2],
            };
        }
        let widen = |[high, low]: [f64; 2], now: f64| [high.max(now), low.min(now)];
        self.pv_voltage = widen(self.pv_voltage, readings.pv_voltage);
        self.battery_voltage = widen(self.battery_voltage, readings.battery_voltage);
        readings.pv_energy[1] = readings.pv_energy[0] - self.pv_at_midnight;
        readings.load_energy[1] = readings.load_energy[0] - self.load_at_midnight;
        readings.pv_voltage_today = self.pv_voltage;
        readings.battery_voltage_today = self.battery_voltage;
    }
}
