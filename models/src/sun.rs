//! Where the sun stands, and what an array of panels would give under a clear sky.
//!
//! Sines are fine here: forecasts are recorded as inputs of the decision and never computed again in a
//! replay. Clouds, and what this array really delivers, belong to [`crate::pv`].
//!
//! Sources:
//! - Position: the low-precision formulas of the Astronomical Almanac as given by Michalsky, "The
//!   Astronomical Almanac's Algorithm for Approximate Solar Position (1950-2050)", Solar Energy 40 (1988):
//!   0.01° in those years. Refraction: Bennett's formula as turned round by Sæmundsson, Sky & Telescope 1986.
//! - Clear sky: Haurwitz, Journal of Meteorology 2 (1945), with the constants of Reno, Hansen and Stein,
//!   "Global Horizontal Irradiance Clear Sky Models", Sandia SAND2012-2389, who found it the best of those
//!   that need the zenith angle only. It knows no altitude and no haze; the measured ratio of the array makes up.
//! - Diffuse part: Erbs, Klein and Duffie, Solar Energy 28 (1982). Tilted plane: isotropic sky, Liu and
//!   Jordan, Solar Energy 7 (1963), with a ground albedo of 0.2.
//! - Cell temperature: Ross' model with a nominal operating cell temperature of 45 °C.

use serde::{Deserialize, Serialize};

use crate::quantity::{Celsius, Watts};
use crate::time::{SLOT_SECONDS, Slot};

/// Seconds since 1970 of 2000-01-01T12:00:00Z, the epoch of the formulas.
const J2000: f64 = 946_728_000.0;
/// Solar constant, W/m² (Gueymard 2018).
const SOLAR_CONSTANT: f64 = 1361.1;
/// Part of the light that the ground sends back.
const ALBEDO: f64 = 0.2;
/// Nominal operating cell temperature, °C.
const NOCT: f64 = 45.0;
/// Air temperature taken where none is known, °C.
const USUAL_AIR: Celsius = Celsius(22.0);
/// Part of the panels' power that wiring, dirt, mismatch and converter leave: 14 % loss, the default of NREL's
/// `PVWatts`.
const SYSTEM_EFFICIENCY: f64 = 0.86;
/// Moments at which a slot is sampled for its mean.
const MOMENTS: i64 = 3;

/// A place or an array that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} is {value}, expected {expected}")]
pub struct SunError {
    /// Which figure.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What it may be.
    pub expected: &'static str,
}

fn inside(
    field: &'static str,
    value: f64,
    limits: (f64, f64),
    expected: &'static str,
) -> Result<(), SunError> {
    if (limits.0..=limits.1).contains(&value) { Ok(()) } else { Err(SunError { field, value, expected }) }
}

/// A place on Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Location {
    latitude: f64,
    longitude: f64,
}

impl Location {
    /// Latitude in degrees, north positive, and longitude in degrees, east positive.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, SunError> {
        inside("latitude", latitude, (-90.0, 90.0), "degrees from -90 (south) to 90 (north)")?;
        inside("longitude", longitude, (-180.0, 180.0), "degrees from -180 (west) to 180 (east)")?;
        Ok(Self { latitude, longitude })
    }

    /// Degrees, north positive.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees, east positive.
    pub fn longitude(self) -> f64 {
        self.longitude
    }
}

/// Where the sun stands, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SunPosition {
    /// Above the horizon as geometry has it, without the atmosphere's refraction; negative at night.
    pub elevation: f64,
    /// From north over east: 90 is east, 180 south.
    pub azimuth: f64,
    /// Declination, north positive.
    pub declination: f64,
}

impl SunPosition {
    /// Position at a moment (seconds since 1970), seen from a place. Within 0.02° from 1950 to 2050.
    pub fn at(unix: f64, place: Location) -> Self {
        let days = (unix - J2000) / 86_400.0;
        let (declination, ascension, _) = apparent_sun(days);
        // Greenwich mean sidereal time, in degrees, with the day's fraction inside `days`.
        let sidereal = 280.460_62 + 360.985_647_37 * days;
        let hour_angle = (sidereal + place.longitude).rem_euclid(360.0).to_radians() - ascension;
        let latitude = place.latitude.to_radians();
        let up = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
        let north =
            latitude.cos() * declination.sin() - latitude.sin() * declination.cos() * hour_angle.cos();
        let east = -declination.cos() * hour_angle.sin();
        Self {
            elevation: up.clamp(-1.0, 1.0).asin().to_degrees(),
            azimuth: east.atan2(north).to_degrees().rem_euclid(360.0),
            declination: declination.to_degrees(),
        }
    }

    /// Elevation as it is seen, refraction by a standard atmosphere included, degrees.
    pub fn apparent_elevation(self) -> f64 {
        if self.elevation < -1.0 {
            return self.elevation;
        }
        let argument = self.elevation + 10.3 / (self.elevation + 5.11);
        self.elevation + 1.02 / 60.0 / argument.to_radians().tan()
    }

    /// Cosine of the angle between the sun and the normal of a plane; negative behind it.
    fn on_plane(self, tilt: f64, azimuth: f64) -> f64 {
        let elevation = self.apparent_elevation().to_radians();
        let tilt = tilt.to_radians();
        elevation.sin() * tilt.cos()
            + elevation.cos() * tilt.sin() * (self.azimuth - azimuth).to_radians().cos()
    }
}

/// Declination, right ascension and mean longitude of the sun, radians, so many days after [`J2000`].
fn apparent_sun(days: f64) -> (f64, f64, f64) {
    let longitude_mean = 280.460 + 0.985_647_4 * days;
    let anomaly = (357.528 + 0.985_600_3 * days).to_radians();
    let ecliptic = (longitude_mean + 1.915 * anomaly.sin() + 0.020 * (2.0 * anomaly).sin()).to_radians();
    let obliquity = (23.439 - 0.000_000_4 * days).to_radians();
    let ascension = (obliquity.cos() * ecliptic.sin()).atan2(ecliptic.cos());
    let declination = (obliquity.sin() * ecliptic.sin()).clamp(-1.0, 1.0).asin();
    (declination, ascension, longitude_mean.to_radians())
}

/// What the time of year tells of the sun, wherever one stands. Degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// Declination, north positive.
    pub declination: f64,
    /// How far the sun is ahead of a clock that shows mean solar time; 1° is four minutes.
    pub equation_of_time: f64,
}

impl Season {
    /// The season at a moment (seconds since 1970).
    pub fn at(unix: f64) -> Self {
        let (declination, ascension, mean) = apparent_sun((unix - J2000) / 86_400.0);
        let ahead = (mean - ascension).to_degrees();
        let equation_of_time = (ahead + 180.0).rem_euclid(360.0) - 180.0;
        Self { declination: declination.to_degrees(), equation_of_time }
    }
}

/// Irradiance of the clear sky on a horizontal plane, W/m²: everything, and the part that comes diffuse.
fn clear_sky_horizontal(sun: SunPosition, unix: f64) -> (f64, f64) {
    let height = sun.apparent_elevation().to_radians().sin();
    if height <= 0.0 {
        return (0.0, 0.0);
    }
    let global = 1098.0 * height * (-0.059 / height).exp();
    let of_year = std::f64::consts::TAU * ((unix - J2000) / 86_400.0 - 3.0) / 365.25;
    let outside = SOLAR_CONSTANT * (1.0 + 0.0334 * of_year.cos()) * height;
    let clearness = (global / outside).min(1.0);
    let part = if clearness <= 0.22 {
        1.0 - 0.09 * clearness
    } else if clearness <= 0.80 {
        let powers = [0.9511, -0.1604, 4.388, -16.638, 12.336];
        powers.iter().rev().fold(0.0, |sum, factor| sum * clearness + factor)
    } else {
        0.165
    };
    (global, global * part)
}

/// Global irradiance of the clear sky on a horizontal plane at a moment (seconds since 1970), W/m².
pub fn clear_sky_irradiance(unix: f64, place: Location) -> f64 {
    clear_sky_horizontal(SunPosition::at(unix, place), unix).0
}

/// An array of panels that face the same way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PvArray {
    location: Location,
    peak: Watts,
    tilt: f64,
    azimuth: f64,
    per_kelvin: f64,
}

impl PvArray {
    /// An array at a place: its peak power under standard test conditions (1,000 W/m², cells at 25 °C), its
    /// tilt from horizontal (0 to 90°) and the way it faces (degrees from north over east: 180 is south).
    /// Crystalline silicon is taken, which loses 0.4 % a kelvin.
    pub fn new(location: Location, peak: Watts, tilt: f64, azimuth: f64) -> Result<Self, SunError> {
        inside("peak power", peak.0, (1.0, 10_000_000.0), "watts, at least 1")?;
        inside("tilt", tilt, (0.0, 90.0), "degrees from 0 (flat) to 90 (upright)")?;
        inside("azimuth", azimuth, (0.0, 360.0), "degrees from 0 (north) over 90 (east) to 360")?;
        Ok(Self { location, peak, tilt, azimuth, per_kelvin: -0.004 })
    }

    /// Where it stands.
    pub fn location(&self) -> Location {
        self.location
    }

    /// Its rated peak power.
    pub fn peak(&self) -> Watts {
        self.peak
    }

    /// Irradiance of the clear sky on the panels at a moment (seconds since 1970), W/m².
    pub fn clear_sky_irradiance(&self, unix: f64) -> f64 {
        let sun = SunPosition::at(unix, self.location);
        let (global, diffuse) = clear_sky_horizontal(sun, unix);
        if global <= 0.0 {
            return 0.0;
        }
        // Near the horizon the beam is the quotient of two small figures: bounded by a height of 2°.
        let height = sun.apparent_elevation().to_radians().sin().max(0.035);
        let beam = (global - diffuse) / height * sun.on_plane(self.tilt, self.azimuth).max(0.0);
        let tilt = self.tilt.to_radians().cos();
        beam + diffuse * f64::midpoint(1.0, tilt) + ALBEDO * global * f64::midpoint(1.0, -tilt)
    }

    /// Power of the array under irradiance on its panels (W/m²): cells warmed by it, losses of the system
    /// taken off. Without an air temperature 22 °C is taken.
    pub fn power(&self, irradiance: f64, air: Option<Celsius>) -> Watts {
        let air = air.filter(|at| at.is_finite()).unwrap_or(USUAL_AIR).0;
        let cells = air + (NOCT - 20.0) / 800.0 * irradiance;
        let derated = (1.0 + self.per_kelvin * (cells - 25.0)).clamp(0.0, 1.3);
        self.peak * (irradiance / 1000.0 * derated * SYSTEM_EFFICIENCY).max(0.0)
    }

    /// Power of the array under a clear sky at a moment (seconds since 1970).
    pub fn clear_sky_power(&self, unix: f64, air: Option<Celsius>) -> Watts {
        self.power(self.clear_sky_irradiance(unix), air)
    }

    /// Mean power of the array under a clear sky over a slot.
    pub fn clear_sky_mean(&self, slot: Slot, air: Option<Celsius>) -> Watts {
        let step = SLOT_SECONDS / MOMENTS;
        let sum: Watts = (0..MOMENTS)
            .map(|part| self.clear_sky_power((slot.start() + part * step + step / 2) as f64, air))
            .sum();
        sum / MOMENTS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2003-10-17T19:30:30Z.
    const SPA_EXAMPLE: f64 = 1_066_419_030.0;

    fn place(latitude: f64, longitude: f64) -> Location {
        Location::new(latitude, longitude).unwrap()
    }

    /// The worked example of Reda and Andreas, "Solar Position Algorithm for Solar Radiation Applications",
    /// NREL/TP-560-34302, table A5.1: zenith 50.11162°, azimuth 194.34024°, incidence on a plane tilted by
    /// 30° and turned 10° east of south 25.18700°.
    #[test]
    fn position_agrees_with_the_example_of_the_solar_position_algorithm() {
        let sun = SunPosition::at(SPA_EXAMPLE, place(39.742_476, -105.1786));
        assert!((90.0 - sun.apparent_elevation() - 50.111_62).abs() < 0.02, "{sun:?}");
        assert!((sun.azimuth - 194.340_24).abs() < 0.02, "{sun:?}");
        assert!((sun.declination - -9.314_34).abs() < 0.01, "{sun:?}");
        let incidence = sun.on_plane(30.0, 170.0).acos().to_degrees();
        assert!((incidence - 25.187).abs() < 0.02, "{incidence}");
    }

    /// Published times of sunrise and sunset (to the minute): there the sun's centre stands at -0.833°.
    #[test]
    fn the_sun_rises_and_sets_when_the_almanac_says() {
        let london = place(51.5074, -0.1278);
        let sydney = place(-33.8688, 151.2093);
        let cases = [
            ("London, 2024-06-20 03:43Z", london, 1_718_854_980.0),
            ("London, 2024-06-20 20:21Z", london, 1_718_914_860.0),
            ("London, 2024-12-21 08:04Z", london, 1_734_768_240.0),
            ("London, 2024-12-21 15:53Z", london, 1_734_796_380.0),
            ("Sydney, 2024-12-20 18:41Z", sydney, 1_734_720_060.0),
            ("Sydney, 2024-12-21 09:05Z", sydney, 1_734_771_900.0),
        ];
        for (name, at, unix) in cases {
            let elevation = SunPosition::at(unix, at).elevation;
            assert!((elevation - -0.833).abs() < 0.25, "{name}: {elevation}");
        }
    }

    #[test]
    fn the_year_has_its_solstices() {
        let noon_of = |unix: f64| SunPosition::at(unix, place(0.0, 0.0)).declination;
        assert!((noon_of(1_718_916_660.0) - 23.436).abs() < 0.01, "20 June 2024, 20:51Z");
        assert!((noon_of(1_734_772_860.0) - -23.436).abs() < 0.01, "21 December 2024, 09:21Z");
        assert!(noon_of(1_710_903_960.0).abs() < 0.01, "20 March 2024, 03:06Z");
    }

    /// Extremes of the equation of time in 2024, from almanacs: -14 min 14 s on 11 February, +16 min 25 s on
    /// 3 November.
    #[test]
    fn the_sundial_is_late_in_february_and_early_in_november() {
        let minutes = |unix: f64| Season::at(unix).equation_of_time * 4.0;
        assert!((minutes(1_707_652_800.0) - -14.23).abs() < 0.1, "{}", minutes(1_707_652_800.0));
        assert!((minutes(1_730_635_200.0) - 16.42).abs() < 0.1, "{}", minutes(1_730_635_200.0));
    }

    #[test]
    fn clear_sky_is_that_of_haurwitz_and_dark_at_night() {
        let equator = place(0.0, 0.0);
        // Equinox, about noon: 1098 exp(-0.059) = 1035 W/m².
        let noon = clear_sky_irradiance(1_710_936_000.0 + 440.0, equator);
        assert!((noon - 1035.1).abs() < 1.0, "{noon}");
        assert_eq!(clear_sky_irradiance(1_710_892_800.0, equator), 0.0);
    }

    #[test]
    fn a_tilted_array_gains_where_it_faces_the_sun() {
        let nairobi = place(-1.2864, 36.8172);
        let berlin = place(52.52, 13.405);
        let noon_in_december = 1_734_778_800.0;
        let array = |at, tilt, azimuth| PvArray::new(at, Watts(1000.0), tilt, azimuth).unwrap();
        let flat = array(berlin, 0.0, 180.0).clear_sky_irradiance(noon_in_december);
        let south = array(berlin, 60.0, 180.0).clear_sky_irradiance(noon_in_december);
        let north = array(berlin, 60.0, 0.0).clear_sky_irradiance(noon_in_december);
        assert!(south > 2.0 * flat && north < flat, "{south} {flat} {north}");
        let level = array(nairobi, 0.0, 180.0);
        let global = clear_sky_irradiance(noon_in_december, nairobi);
        assert!((level.clear_sky_irradiance(noon_in_december) - global).abs() < 0.01 * global);
    }

    #[test]
    fn an_upright_plane_that_faces_away_sees_half_the_sky_and_half_the_ground() {
        let berlin = place(52.52, 13.405);
        let noon = 1_734_778_800.0;
        let (global, diffuse) = clear_sky_horizontal(SunPosition::at(noon, berlin), noon);
        let north = PvArray::new(berlin, Watts(1000.0), 90.0, 0.0).unwrap().clear_sky_irradiance(noon);
        assert!((north - (diffuse / 2.0 + 0.1 * global)).abs() < 1e-9 && diffuse > 10.0, "{north}");
    }

    /// At the horizon a standard atmosphere lifts the sun by 28.98' (Sæmundsson's formula, 29' in almanacs).
    #[test]
    fn the_atmosphere_lifts_the_setting_sun() {
        let setting = SunPosition { elevation: 0.0, azimuth: 270.0, declination: 0.0 };
        assert!((setting.apparent_elevation() * 60.0 - 28.98).abs() < 0.05);
        let below = SunPosition { elevation: -5.0, ..setting };
        assert_eq!(below.apparent_elevation(), -5.0);
    }

    #[test]
    fn power_falls_with_heat_and_a_slot_is_the_mean_of_its_moments() {
        let array = PvArray::new(place(34.09, -117.44), Watts(2000.0), 20.0, 180.0).unwrap();
        let cool = array.power(800.0, Some(Celsius(0.0))).0;
        let hot = array.power(800.0, Some(Celsius(40.0))).0;
        // 800 W/m², cells at 25 °C: 2000 · 0.8 · 0.86.
        assert!((cool - 1376.0).abs() < 1e-6 && (hot - 1376.0 * 0.84).abs() < 1e-6, "{cool} {hot}");
        let slot = Slot::of(1_718_910_000);
        let mean = array.clear_sky_mean(slot, None).0;
        let ends = [0, SLOT_SECONDS].map(|s| array.clear_sky_power((slot.start() + s) as f64, None).0);
        assert!(mean > ends[0].min(ends[1]) && mean < ends[0].max(ends[1]), "{mean} {ends:?}");
    }

    #[test]
    fn impossible_places_and_arrays_are_refused_with_the_reason() {
        let wrong = Location::new(91.0, 0.0).unwrap_err().to_string();
        assert_eq!(wrong, "latitude is 91, expected degrees from -90 (south) to 90 (north)");
        assert!(Location::new(0.0, f64::NAN).is_err());
        let at = place(0.0, 0.0);
        assert!(PvArray::new(at, Watts(0.0), 0.0, 0.0).unwrap_err().to_string().contains("peak power is 0"));
        assert!(PvArray::new(at, Watts(10.0), 95.0, 0.0).unwrap_err().to_string().contains("tilt is 95"));
        assert!(PvArray::new(at, Watts(10.0), 9.0, -5.0).unwrap_err().to_string().contains("azimuth is -5"));
    }
}
