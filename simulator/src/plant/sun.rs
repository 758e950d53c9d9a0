//! Where the sun stands and what a cloudless sky sends down: the astronomy of the plant.
//!
//! Deliberately its own code: the hub estimates the same sun by other means, and an error made in one
//! place must not hide itself in the other.
//! Sources: J. Michalsky, "The Astronomical Almanac's algorithm for approximate solar position", Solar
//! Energy 40 (1988); A. and M. Meinel, "Applied Solar Energy" (1976) for the beam by air mass;
//! F. Kasten and A. Young (1989) for the air mass; D. Erbs, S. Klein and J. Duffie (1982) for the
//! diffuse share under clouds.

use core::f64::consts::PI;

/// Irradiance above the air at the mean distance of the sun, W/m².
const SOLAR_CONSTANT: f64 = 1361.0;
/// Diffuse share of a clear sky, of the beam on the horizontal.
const CLEAR_DIFFUSE: f64 = 0.11;
/// Share of light that the ground throws back.
const ALBEDO: f64 = 0.2;

/// Where the sun stands in the sky of a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Cosine of the angle from the zenith; negative at night.
    pub cos_zenith: f64,
    /// Clockwise from north, rad.
    pub azimuth: f64,
    /// Irradiance above the air today, W/m².
    pub extraterrestrial: f64,
}

/// How panels are mounted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation {
    /// From the horizontal, degrees.
    pub tilt: f64,
    /// Where they face, degrees clockwise from north.
    pub azimuth: f64,
}

/// Position of the sun at `unix` (seconds since 1970) seen from latitude and longitude in degrees, north
/// and east positive. Good to 0.02 degrees between 1950 and 2050.
pub fn position(unix: f64, latitude: f64, longitude: f64) -> Position {
    let days = unix / 86_400.0 - 10_957.5; // since 2000-01-01 12:00 UTC
    let mean_longitude = (280.460 + 0.985_647_4 * days).rem_euclid(360.0);
    let anomaly = (357.528 + 0.985_600_3 * days).rem_euclid(360.0).to_radians();
    let ecliptic = (mean_longitude + 1.915 * anomaly.sin() + 0.020 * (2.0 * anomaly).sin())
        .rem_euclid(360.0)
        .to_radians();
    let obliquity = (23.439 - 0.000_000_4 * days).to_radians();
    let ascension = (obliquity.cos() * ecliptic.sin()).atan2(ecliptic.cos());
    let declination = (obliquity.sin() * ecliptic.sin()).asin();
    let hours = (unix / 3600.0).rem_euclid(24.0);
    let sidereal_hours = (6.697_375 + 0.065_709_824_2 * days + hours).rem_euclid(24.0);
    let hour_angle = (sidereal_hours * 15.0 + longitude).to_radians() - ascension;
    let latitude = latitude.to_radians();
    let cos_zenith =
        latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    let east = -declination.cos() * hour_angle.sin();
    let north = declination.sin() * latitude.cos() - declination.cos() * latitude.sin() * hour_angle.cos();
    let distance = 1.000_14 - 0.016_71 * anomaly.cos() - 0.000_14 * (2.0 * anomaly).cos();
    Position {
        cos_zenith,
        azimuth: east.atan2(north).rem_euclid(2.0 * PI),
        extraterrestrial: SOLAR_CONSTANT / (distance * distance),
    }
}

/// Irradiance on the plane of the panels, W/m², under a sky of this clear-sky index (1 is cloudless, a
/// little more is possible at the edge of a cloud) and this clearness of the air (transmittance at one
/// air mass, 0.6 hazy to 0.75 clean).
pub fn plane_of_array(sun: &Position, panels: Orientation, clear_sky_index: f64, transmittance: f64) -> f64 {
    let mu = sun.cos_zenith;
    if mu <= 0.01 {
        return 0.0;
    }
    let zenith_degrees = mu.acos().to_degrees();
    let air_mass = 1.0 / (mu + 0.505_72 * (96.079_95 - zenith_degrees).powf(-1.6364));
    let clear_beam = sun.extraterrestrial * transmittance.powf(air_mass.powf(0.678));
    let global = clear_sky_index * clear_beam * mu * (1.0 + CLEAR_DIFFUSE);
    let clearness = (global / (sun.extraterrestrial * mu)).clamp(0.0, 1.0);
    let clear_share = CLEAR_DIFFUSE / (1.0 + CLEAR_DIFFUSE);
    let diffuse = global * diffuse_share(clearness).max(clear_share);
    let beam = (global - diffuse) / mu.max(0.05);
    let tilt = panels.tilt.to_radians();
    let towards = sun.azimuth - panels.azimuth.to_radians();
    let sine = (1.0 - mu * mu).max(0.0).sqrt();
    let incidence = (mu * tilt.cos() + sine * tilt.sin() * towards.cos()).max(0.0);
    let sky = f64::midpoint(1.0, tilt.cos());
    beam * incidence + diffuse * sky + global * ALBEDO * (1.0 - sky)
}

/// Diffuse share of the global irradiance by clearness index (Erbs and others, 1982).
fn diffuse_share(clearness: f64) -> f64 {
    let k = clearness;
    if k <= 0.22 {
        1.0 - 0.09 * k
    } else if k <= 0.80 {
        0.9511 - 0.1604 * k + 4.388 * k * k - 16.638 * k.powi(3) + 12.336 * k.powi(4)
    } else {
        0.165
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_stands_where_the_almanac_says() {
        // Greenwich, summer solstice of 2020 near noon: elevation 90 - 51.48 + 23.44 degrees, due south.
        let noon = position(1_592_654_520.0, 51.48, 0.0);
        let elevation = noon.cos_zenith.asin().to_degrees();
        assert!((elevation - 61.96).abs() < 0.05, "{elevation}");
        assert!((noon.azimuth.to_degrees() - 180.0).abs() < 1.0, "{noon:?}");
        // Equator at the March equinox of 2021, 6 h before and after noon the sun is on the horizon.
        let noon = 1_616_242_020.0 + 120.0;
        for (hours, azimuth) in [(-6.0, 90.0), (6.0, 270.0)] {
            let edge = position(noon + hours * 3600.0, 0.0, 0.0);
            assert!(edge.cos_zenith.abs() < 0.02, "{edge:?}");
            assert!((edge.azimuth.to_degrees() - azimuth).abs() < 1.0, "{edge:?}");
        }
    }

    #[test]
    fn a_cloudless_noon_brings_about_a_kilowatt_and_clouds_take_it() {
        let sun = position(1_616_242_140.0, 0.0, 0.0);
        let flat = Orientation { tilt: 0.0, azimuth: 180.0 };
        let clear = plane_of_array(&sun, flat, 1.0, 0.72);
        assert!((950.0..1100.0).contains(&clear), "{clear}");
        let overcast = plane_of_array(&sun, flat, 0.25, 0.72);
        assert!((overcast / clear - 0.25).abs() < 0.01, "{overcast}");
        let night = position(1_616_242_140.0 + 43_200.0, 0.0, 0.0);
        assert_eq!(plane_of_array(&night, flat, 1.0, 0.72), 0.0);
    }
}
