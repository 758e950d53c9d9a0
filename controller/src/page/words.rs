//! Figures in the words of a household.

use sunkeep_core::ProcessImage;
use sunkeep_core::explain::Clock;
use sunkeep_core::image::Reading;
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::time::{LocalTime, Zone};

/// Power that counts as none.
const NOTHING: f64 = 3.0;

/// Power as it is read aloud: `45 W`, `1.24 kW`.
pub(super) fn power(watts: f64) -> String {
    if watts.abs() < 999.5 {
        format!("{:.0} W", watts.abs())
    } else {
        format!("{:.2} kW", watts.abs() / 1000.0)
    }
}

/// A share in percent without decimals.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// The value of a reading, if it is fresh.
pub(super) fn fresh(settings: &Settings, image: &ProcessImage, reading: Option<Reading>) -> Option<f64> {
    reading?.fresh(image.now, settings.stale_after)
}

/// Power into the battery: read, or from voltage and current.
pub(super) fn battery_power(settings: &Settings, image: &ProcessImage) -> Option<f64> {
    let fresh = |reading| fresh(settings, image, reading);
    fresh(image.battery.power).or_else(|| Some(fresh(image.battery.voltage)? * fresh(image.battery.current)?))
}

/// Power of all loads: read, or put together from each load's meter or rating. The second is `true` where
/// it was put together.
pub(super) fn load_power(settings: &Settings, image: &ProcessImage, on: &[bool]) -> (f64, bool) {
    match fresh(settings, image, image.load) {
        Some(watts) => (watts, false),
        None => {
            let draws = (0..settings.loads.len())
                .map(|load| draws(settings, image, load, on.get(load) == Some(&true)));
            (draws.map(|watts| watts.0).sum(), true)
        }
    }
}

/// What a load draws, by its meter or its rating.
pub(super) fn draws(settings: &Settings, image: &ProcessImage, load: usize, on: bool) -> Watts {
    sunkeep_core::estimate::draw(settings, image, load, on)
}

/// What the battery does.
pub(super) fn flow(watts: Option<f64>) -> &'static str {
    match watts {
        None => "not measured",
        Some(watts) if watts > NOTHING => "charging",
        Some(watts) if watts < -NOTHING => "supplying",
        Some(_) => "at rest",
    }
}

/// How sure the state of charge is.
pub(super) fn bounds(charge: ChargeBounds) -> String {
    let (low, high) = (percent(charge.low.ratio()), percent(charge.high.ratio()));
    if low == high {
        "known exactly".into()
    } else if charge.width() > 0.6 {
        format!("very unsure: anything from {low} to {high}")
    } else if charge.width() > 0.25 {
        format!("unsure: somewhere from {low} to {high}")
    } else {
        format!("sure to lie between {low} and {high}")
    }
}

/// What a tier means to those who live with it.
pub(super) fn tier(tier: Tier) -> (&'static str, &'static str) {
    match tier {
        Tier::Critical => ("Critical", "kept on to the last"),
        Tier::Important => ("Important", "off when the critical loads need what is left"),
        Tier::Convenience => ("Convenience", "waits for the sun first"),
        Tier::Background => ("Background", "work of the hub that waits for the sun"),
    }
}

/// The clock for sentences of the core.
pub(super) fn clock(image: &ProcessImage) -> Clock {
    Clock { unix: image.wall.map(|wall| wall.unix), utc_offset: image.utc_offset }
}

/// A moment on the wall: `07:30`, `Sat 07:30` where it is another day than `now`.
pub(super) fn moment(zone: &Zone, now: i64, unix: i64) -> String {
    let (here, there) = (zone.local(now), zone.local(unix));
    if here.day == there.day { there.to_string() } else { format!("{} {there}", weekday(there)) }
}

/// Name of the day.
pub(super) fn weekday(local: LocalTime) -> &'static str {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::from(local.weekday) % 7]
}

/// An age or a wait: `8 s`, `3 min`, `2.0 h`.
pub(super) fn span(span: Seconds) -> String {
    sunkeep_core::explain::span(span)
}

/// Up to three names, then a count.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// A sentence begins with a capital.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
