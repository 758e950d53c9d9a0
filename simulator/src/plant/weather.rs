//! Clouds and air: days of three kinds that follow one another, clouds that come and go within them, and
//! the temperature. Drawn minute by minute, whatever the step of the plant.

use super::chance::{Chance, stream};

/// The kind of sky a day has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayKind {
    Clear,
    Broken,
    Overcast,
}

/// The climate of a place, as far as panels and batteries feel it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Climate {
    /// Share of days that are cloudless in the long run, 0 to 1.
    pub clear_days: f64,
    /// Share of days under a closed cover, 0 to 1.
    pub overcast_days: f64,
    /// Mean temperature of the year, °C.
    pub mean_temperature: f64,
    /// Half the way from the coldest to the warmest month, K.
    pub seasonal_swing: f64,
    /// Half the way from the night's low to the day's high, K.
    pub daily_swing: f64,
    /// Day of the year with the warmest weather, 1 to 366.
    pub warmest_day: f64,
}

/// Sky and air of one place, advancing minute by minute.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    climate: Climate,
    sky: Chance,
    air: Chance,
    day: i64,
    kind: DayKind,
    /// Slow wander of the index around the mean of the day's kind.
    wander: f64,
    /// Whether a cloud of a broken sky stands before the sun.
    shaded: bool,
    transmittance: f64,
    warmth: f64,
    humidity: f64,
    index: f64,
    temperature: f64,
}

/// Chance that the next day has the same kind as this one, beyond what the climate gives.
const PERSISTENCE: f64 = 0.45;

impl Weather {
    /// The weather of the home of this seed.
    pub(crate) fn new(seed: u64, climate: Climate) -> Self {
        let mut weather = Self {
            climate,
            sky: Chance::new(seed, stream::SKY),
            air: Chance::new(seed, stream::AIR),
            day: i64::MIN,
            kind: DayKind::Clear,
            wander: 0.0,
            shaded: false,
            transmittance: 0.7,
            warmth: 0.0,
            humidity: 55.0,
            index: 1.0,
            temperature: climate.mean_temperature,
        };
        weather.kind = weather.draw_kind();
        weather
    }

    fn draw_kind(&mut self) -> DayKind {
        let draw = self.sky.unit();
        if draw < self.climate.clear_days {
            DayKind::Clear
        } else if draw < self.climate.clear_days + self.climate.overcast_days {
            DayKind::Overcast
        } else {
            DayKind::Broken
        }
    }

    /// Moves on by one minute. `local_day` counts calendar days, `day_of_year` starts at 1,
    /// `hour` is 0..24.
    pub(crate) fn minute(&mut self, local_day: i64, day_of_year: f64, hour: f64) {
        if local_day != self.day {
            self.next_day(local_day);
        }
        self.wander = self.wander * 0.99 + 0.141 * self.sky.normal();
        let draw = self.sky.unit();
        let (mean, spread) = match self.kind {
            DayKind::Clear => (0.99, 0.015),
            DayKind::Overcast => (0.22, 0.09),
            DayKind::Broken => {
                // Clouds last about six minutes, gaps about nine.
                let turn = if self.shaded { 1.0 / 6.0 } else { 1.0 / 9.0 };
                if draw < turn {
                    self.shaded = !self.shaded;
                }
                if self.shaded { (0.38, 0.10) } else { (1.01, 0.04) }
            }
        };
        self.index = (mean + spread * self.wander).clamp(0.05, 1.12);
        self.warmth = self.warmth * 0.9995 + 0.0316 * 2.0 * self.air.normal();
        let season = (core::f64::consts::TAU * (day_of_year - self.climate.warmest_day) / 365.25).cos();
        let daily = (core::f64::consts::TAU * (hour - 14.5) / 24.0).cos();
        let damped = if self.kind == DayKind::Overcast { 0.5 } else { 1.0 };
        self.temperature = self.climate.mean_temperature
            + self.climate.seasonal_swing * season
            + self.climate.daily_swing * damped * daily
            + self.warmth.clamp(-5.0, 5.0);
        self.humidity = (75.0 - 2.0 * (self.temperature - self.climate.mean_temperature)
            + if self.kind == DayKind::Overcast { 12.0 } else { 0.0 })
        .clamp(10.0, 100.0);
    }

    fn next_day(&mut self, local_day: i64) {
        self.day = local_day;
        if self.sky.unit() >= PERSISTENCE {
            self.kind = self.draw_kind();
        }
        self.transmittance =
            (0.8 * self.transmittance + 0.2 * 0.71 + 0.012 * self.sky.normal()).clamp(0.55, 0.77);
    }

    /// Clear-sky index now.
    pub(crate) fn clear_sky_index(&self) -> f64 {
        self.index
    }

    /// Transmittance of today's air at one air mass.
    pub(crate) fn transmittance(&self) -> f64 {
        self.transmittance
    }

    /// Temperature of the air, °C.
    pub(crate) fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Relative humidity, %.
    pub(crate) fn humidity(&self) -> f64 {
        self.humidity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_of_the_kinds_the_climate_has() {
        let climate = Climate {
            clear_days: 0.5,
            overcast_days: 0.2,
            mean_temperature: 20.0,
            seasonal_swing: 5.0,
            daily_swing: 5.0,
            warmest_day: 200.0,
        };
        let mut weather = Weather::new(7, climate);
        let mut kinds = [0; 3];
        let (mut clear_mean, mut clear_minutes) = (0.0, 0.0);
        for day in 0..2000 {
            for minute in 0..24 {
                weather.minute(day, (day % 365) as f64, f64::from(minute));
                if weather.kind == DayKind::Clear {
                    clear_mean += weather.clear_sky_index();
                    clear_minutes += 1.0;
                }
            }
            kinds[weather.kind as usize] += 1;
        }
        assert!((900..1100).contains(&kinds[DayKind::Clear as usize]), "{kinds:?}");
        assert!((320..480).contains(&kinds[DayKind::Overcast as usize]), "{kinds:?}");
        assert!((clear_mean / clear_minutes - 0.99_f64).abs() < 0.02);
    }
}
