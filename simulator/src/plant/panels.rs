//! Panels: how much power they could deliver, and at what voltage they work.

/// An array of panels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArraySpec {
    /// Rated power under standard conditions (1000 W/m², 25 °C), W.
    pub rated: f64,
    /// Voltage at the maximum power point under standard conditions, V.
    pub mpp_voltage: f64,
    /// Open-circuit voltage under standard conditions, V.
    pub open_voltage: f64,
    /// From the horizontal, degrees.
    pub tilt: f64,
    /// Where it faces, degrees clockwise from north.
    pub azimuth: f64,
    /// Share that dust, cables and ageing leave, 0 to 1.
    pub condition: f64,
}

/// What an array can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Offer {
    /// Power at the maximum power point, W.
    pub(crate) power: f64,
    /// Voltage at the maximum power point, V.
    pub(crate) mpp_voltage: f64,
    /// Voltage when nothing is drawn, V.
    pub(crate) open_voltage: f64,
}

/// Change of power by temperature of the cell, 1/K.
const POWER_BY_KELVIN: f64 = -0.0038;
/// Change of voltage by temperature of the cell, 1/K.
const VOLTAGE_BY_KELVIN: f64 = -0.0029;
/// Temperature of the cell above the air at 800 W/m², K (nominal 45 °C in air of 20 °C).
const NOMINAL_RISE: f64 = 25.0;

impl ArraySpec {
    /// What the array can do under `irradiance` (plane of array, W/m²) in air of `temperature` °C.
    pub(crate) fn offer(&self, irradiance: f64, temperature: f64) -> Offer {
        if irradiance < 1.0 {
            return Offer::default();
        }
        let cell = temperature + NOMINAL_RISE * irradiance / 800.0;
        let suns = irradiance / 1000.0;
        let warm = 1.0 + POWER_BY_KELVIN * (cell - 25.0);
        // In weak light the voltage falls with the logarithm of the current.
        let light = 1.0 + 0.03 * suns.ln();
        let volts = (1.0 + VOLTAGE_BY_KELVIN * (cell - 25.0)) * light;
        Offer {
            power: (self.rated * suns * warm * light * self.condition).max(0.0),
            mpp_voltage: self.mpp_voltage * volts,
            open_voltage: self.open_voltage * volts,
        }
    }
}

impl Offer {
    /// Voltage at which the array delivers `used` W, above the maximum power point when it is throttled.
    pub(crate) fn voltage_at(&self, used: f64) -> f64 {
        if self.power <= 0.0 {
            return 0.0;
        }
        let free = (1.0 - used / self.power).clamp(0.0, 1.0);
        self.mpp_voltage + (self.open_voltage - self.mpp_voltage) * free.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_takes_power_and_throttling_raises_the_voltage() {
        let array = ArraySpec {
            rated: 400.0,
            mpp_voltage: 34.0,
            open_voltage: 41.0,
            tilt: 15.0,
            azimuth: 180.0,
            condition: 1.0,
        };
        let cold = array.offer(1000.0, -6.25);
        assert!((cold.power - 400.0).abs() < 1.0, "{cold:?}");
        let hot = array.offer(1000.0, 35.0);
        assert!(hot.power < 0.86 * cold.power && hot.mpp_voltage < cold.mpp_voltage, "{hot:?}");
        assert_eq!(hot.voltage_at(hot.power), hot.mpp_voltage);
        assert!(hot.voltage_at(0.5 * hot.power) > hot.mpp_voltage);
        assert_eq!(hot.voltage_at(0.0), hot.open_voltage);
    }
}
