//! Figures in the words of a household.

use sunkeep_core::decision::LoadDecision;
use sunkeep_core::explain::Clock;
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_core::{Decision, ProcessImage};
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

/// An amount of energy.
pub(super) fn energy(wh: f64) -> String {
    if wh.abs() < 1000.0 { format!("{wh:.0} Wh") } else { format!("{:.1} kWh", wh / 1000.0) }
}

/// A share in percent without decimals.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// Power into the battery: read, or from voltage and current.
pub(super) fn battery_power(settings: &Settings, image: &ProcessImage) -> Option<f64> {
    let fresh = |reading| image.fresh(settings, reading);
    fresh(image.battery.power).or_else(|| Some(fresh(image.battery.voltage)? * fresh(image.battery.current)?))
}

/// Power of all loads: read, or put together from each load's meter or rating. The second is `true` where
/// it was put together.
pub(super) fn load_power(settings: &Settings, image: &ProcessImage, decision: &Decision) -> (f64, bool) {
    match image.fresh(settings, image.load) {
        Some(watts) => (watts, false),
        None => {
            let decided = decision.loads.iter().enumerate();
            let draws = decided.map(|(load, decided)| draws(settings, image, load, decided, decided.on));
            (draws.map(|watts| watts.0).sum(), true)
        }
    }
}

/// What a load draws, by its meter, the steps it made in the total, or its rating.
pub(super) fn draws(
    settings: &Settings,
    image: &ProcessImage,
    load: usize,
    decided: &LoadDecision,
    on: bool,
) -> Watts {
    sunkeep_core::estimate::draw(settings, image, load, decided.draws, on)
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

/// A moment on the wall: `07:30`, `07:30 tomorrow`, `Sat 07:30` where it is another day.
pub(super) fn moment(zone: &Zone, now: i64, unix: i64) -> String {
    let (here, there) = (zone.local(now), zone.local(unix));
    match there.day - here.day {
        0 => there.to_string(),
        1 => format!("{there} tomorrow"),
        _ => format!("{} {there}", weekday(there)),
    }
}

/// The text with figures tied to their units, so that no line breaks between them.
pub(super) fn tied(text: &str) -> String {
    let mut tied = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let unit = rest.peek().is_some_and(|next| *next == '%' || next.is_ascii_alphabetic());
        let figure = before.is_ascii_digit() && letter == ' ' && unit;
        tied.push(if figure { '\u{a0}' } else { letter });
        before = letter;
    }
    tied
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

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A sentence begins with a capital.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunkeep_models::quantity::StateOfCharge;

    #[test]
    fn figures_stay_with_their_units_and_words_may_part() {
        assert_eq!(
            tied("42 % left, 60 Wh in 3 h at 06:30 tomorrow"),
            "42\u{a0}% left, 60\u{a0}Wh in 3\u{a0}h at 06:30\u{a0}tomorrow"
        );
        assert_eq!(tied("a b 4"), "a b 4");
    }

    #[test]
    fn the_wider_the_bounds_the_less_sure_the_words() {
        let said = |low, high| {
            let at = StateOfCharge::clamped;
            bounds(ChargeBounds { low: at(low), best: at(low), high: at(high) })
        };
        assert_eq!(said(0.5, 0.5), "known exactly");
        assert_eq!(said(0.42, 0.5), "sure to lie between 42 % and 50 %");
        assert_eq!(said(0.2, 0.6), "unsure: somewhere from 20 % to 60 %");
        assert_eq!(said(0.0, 1.0), "very unsure: anything from 0 % to 100 %");
    }

    #[test]
    fn a_moment_is_told_as_people_do() {
        let zone = Zone::utc();
        let now = 1_772_817_000; // Friday 17:10
        assert_eq!(moment(&zone, now, now + 3600), "18:10");
        assert_eq!(moment(&zone, now, now + 8 * 3600), "01:10 tomorrow");
        assert_eq!(moment(&zone, now, now + 40 * 3600), "Sun 09:10");
        assert_eq!(moment(&zone, now, now - 24 * 3600), "Thu 17:10");
    }

    #[test]
    fn names_are_listed_and_many_are_counted() {
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d"]), "a, b and 2 more");
        assert_eq!(power(1240.0), "1.24 kW");
        assert_eq!(power(-121.4), "121 W");
    }
}
