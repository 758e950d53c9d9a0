//! Roughly where on Earth an array stands, from when its days begin and end.
//!
//! The middle of the daylight tells the longitude. Its length tells the latitude: the cosine of half of it,
//! as an angle, is less the tangent of the latitude times that of the sun's declination, plus a little for
//! the horizon and the faintest light that is noticed. Day by day that is a line, whose slope and offset are
//! found by least squares, held to what is likely. It is good to fifteen degrees, enough for what it is used for:
//! how fast a clear sky's power changes over some weeks.

use serde::{Deserialize, Serialize};

use super::DAY;
use crate::history::SlotHistory;
use crate::quantity::Watts;
use crate::sun::{Location, PvArray, Season};
use crate::time::{SLOT_SECONDS, Slot};

/// Share of what was learnt that is kept with every day: half is forgotten in five months.
const KEPT: f64 = 0.995;
/// Power from which on it is day, over the highest of the last days.
const LIGHT: f64 = 0.01;
/// Days that are looked back on for the highest power and energy.
const BACK: i64 = 30;
/// Energy over the highest of the last days from which on a day counts: the ends of a dull day are dark.
const BRIGHT: f64 = 0.5;
/// Likely offset of the line; how firmly it is held, in days; and how firmly the slope is held to zero.
const OFFSET: f64 = 0.05;
const OFFSET_DAYS: f64 = 4.0;
const SLOPE_DAYS: f64 = 0.01;
/// Bright days that must have been seen.
const LEAST_DAYS: f64 = 3.0;
/// Latitude beyond which no answer goes, degrees.
const FURTHEST: f64 = 65.0;

/// Sums over the bright days. Their size never changes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Daylight {
    days: f64,
    /// Of the tangent of the declination, its square, and of the cosine of half the day, and their product.
    tangent: f64,
    square: f64,
    cosine: f64,
    product: f64,
    /// Of the sine and cosine of the longitude.
    longitude: [f64; 2],
}

impl Daylight {
    /// Learns from the 24 hours from local midnight `first` on.
    pub(super) fn learn(&mut self, history: &SlotHistory, first: Slot) {
        let power = |place: i64| history.get(first.plus(place)).map(f64::from);
        let energy = |start: Slot| -> f64 {
            (0..DAY).filter_map(|place| history.get(start.plus(place))).map(f64::from).sum()
        };
        let days = || (0..BACK).map(|ago| first.plus(-ago * DAY));
        let most_energy = days().map(energy).fold(0.0, f64::max);
        let most = days()
            .flat_map(|start| (0..DAY).filter_map(move |place| history.get(start.plus(place))))
            .fold(0.0, f32::max);
        let lit = |place: &i64| power(*place).is_some_and(|watts| watts > LIGHT * f64::from(most));
        let (Some(dawn), Some(dusk)) = ((0..DAY).find(lit), (0..DAY).rev().find(lit)) else { return };
        // Where the slot before the first light or after the last is missing, nobody knows when it was.
        let known = power(dawn - 1).is_some() && power(dusk + 1).is_some();
        if !known || energy(first) < BRIGHT * most_energy {
            return;
        }
        let noon = first.start() as f64 + (dawn + dusk + 1) as f64 / 2.0 * SLOT_SECONDS as f64;
        let half = (dusk + 1 - dawn) as f64 / DAY as f64 * core::f64::consts::PI;
        let season = Season::at(noon);
        let tangent = season.declination.to_radians().tan();
        let cosine = half.cos();
        let hour_angle_at_greenwich = (noon / 86_400.0 - 0.5) * 360.0 + season.equation_of_time;
        let longitude = (-hour_angle_at_greenwich).rem_euclid(360.0).to_radians();
        for sum in self.sums() {
            *sum *= KEPT;
        }
        self.days += 1.0;
        self.tangent += tangent;
        self.square += tangent * tangent;
        self.cosine += cosine;
        self.product += tangent * cosine;
        self.longitude[0] += longitude.sin();
        self.longitude[1] += longitude.cos();
    }

    fn sums(&mut self) -> [&mut f64; 7] {
        let [sine, cosine] = &mut self.longitude;
        [
            &mut self.days,
            &mut self.tangent,
            &mut self.square,
            &mut self.cosine,
            &mut self.product,
            sine,
            cosine,
        ]
    }

    /// Where the array seems to stand; `None` before some bright days were seen.
    pub(super) fn place(&self) -> Option<Location> {
        if self.days < LEAST_DAYS {
            return None;
        }
        let (days, square) = (self.days + OFFSET_DAYS, self.square + SLOPE_DAYS);
        let cosine = self.cosine + OFFSET_DAYS * OFFSET;
        let slope = (days * self.product - self.tangent * cosine) / (days * square - self.tangent.powi(2));
        let latitude = (-slope).atan().to_degrees().clamp(-FURTHEST, FURTHEST);
        let longitude = self.longitude[0].atan2(self.longitude[1]).to_degrees();
        Location::new(latitude, longitude).ok()
    }

    /// An array there that faces the equator, as steep as is usual, and as large as what was measured.
    pub(super) fn array(&self, history: &SlotHistory, issued: Slot) -> Option<PvArray> {
        let place = self.place()?;
        let measured = history.iter().take_while(|(slot, _)| *slot < issued).filter_map(|(_, watts)| watts);
        let most = f64::from(measured.fold(0.0, f32::max));
        let azimuth = if place.latitude() < 0.0 { 0.0 } else { 180.0 };
        let tilt = place.latitude().abs().clamp(10.0, 35.0);
        PvArray::new(place, Watts(most), tilt, azimuth).ok()
    }

    /// Whether this holds numbers only.
    pub(super) fn is_sound(mut self) -> bool {
        self.sums().into_iter().all(|sum| sum.is_finite())
    }
}
