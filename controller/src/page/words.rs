//! Figures in the words of a household.

use sunkeep_core::decision::LoadDecision;
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_core::{Decision, ProcessImage};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::Watts;
use sunkeep_models::time::Zone;

use crate::language::{Clock, Language, day};

/// Power that counts as none.
const NOTHING: f64 = 3.0;

/// Power as it is read aloud: `45 W`, `1.24 kW`.
pub(super) fn power(language: Language, watts: f64) -> String {
    if watts.abs() < 999.5 {
        format!("{:.0} W", watts.abs())
    } else {
        language.figure(format_args!("{:.2} kW", watts.abs() / 1000.0))
    }
}

/// An amount of energy.
pub(super) fn energy(language: Language, wh: f64) -> String {
    if wh.abs() < 1000.0 {
        format!("{wh:.0} Wh")
    } else {
        language.figure(format_args!("{:.1} kWh", wh / 1000.0))
    }
}

/// A share in percent without decimals.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
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
pub(super) fn flow(language: Language, watts: Option<f64>) -> String {
    language.word(match watts {
        None => "not-measured",
        Some(watts) if watts > NOTHING => "flow-charging",
        Some(watts) if watts < -NOTHING => "flow-supplying",
        Some(_) => "flow-at-rest",
    })
}

/// How sure the state of charge is.
pub(super) fn bounds(language: Language, charge: ChargeBounds) -> String {
    let (low, high) = (percent(charge.low.ratio()), percent(charge.high.ratio()));
    if low == high {
        return language.word("bounds-exact");
    }
    let message = if charge.width() > 0.6 {
        "bounds-very-unsure"
    } else if charge.width() > 0.25 {
        "bounds-unsure"
    } else {
        "bounds-sure"
    };
    language.say(message, &[("low", low.into()), ("high", high.into())])
}

/// What a tier means to those who live with it.
pub(super) fn tier(language: Language, tier: Tier) -> (String, String) {
    let (name, meaning) = match tier {
        Tier::Critical => ("tier-critical", "tier-critical-meaning"),
        Tier::Important => ("tier-important", "tier-important-meaning"),
        Tier::Convenience => ("tier-convenience", "tier-convenience-meaning"),
        Tier::Background => ("tier-background", "tier-background-meaning"),
    };
    (language.word(name), language.word(meaning))
}

/// The clock for sentences of the core.
pub(super) fn clock(image: &ProcessImage) -> Clock {
    Clock { unix: image.wall.map(|wall| wall.unix), utc_offset: image.utc_offset }
}

/// A moment on the wall: `07:30`, `07:30 tomorrow`, `Sat 07:30` where it is another day.
pub(super) fn moment(language: Language, zone: &Zone, now: i64, unix: i64) -> String {
    let (here, there) = (zone.local(now), zone.local(unix));
    match there.day - here.day {
        0 => there.to_string(),
        1 => language.say("moment-tomorrow", &[("time", there.to_string().into())]),
        _ => format!("{} {there}", day(language, there.weekday)),
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

/// Up to three names, then a count.
pub(super) fn list(language: Language, names: &[&str]) -> String {
    let [one, two, rest @ ..] = names else { return names.concat() };
    let named = [("one", (*one).into()), ("two", (*two).into())];
    match rest {
        [] => language.say("list-two", &named),
        [three] => language.say("list-three", &[&named[..], &[("three", (*three).into())]].concat()),
        more => language.say("list-more", &[&named[..], &[("more", more.len().into())]].concat()),
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
            bounds(Language::English, ChargeBounds { low: at(low), best: at(low), high: at(high) })
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
        assert_eq!(moment(Language::English, &zone, now, now + 3600), "18:10");
        assert_eq!(moment(Language::English, &zone, now, now + 8 * 3600), "01:10 tomorrow");
        assert_eq!(moment(Language::English, &zone, now, now + 40 * 3600), "Sun 09:10");
        assert_eq!(moment(Language::English, &zone, now, now - 24 * 3600), "Thu 17:10");
    }

    #[test]
    fn names_are_listed_and_many_are_counted() {
        assert_eq!(list(Language::English, &["a"]), "a");
        assert_eq!(list(Language::English, &["a", "b", "c"]), "a, b and c");
        assert_eq!(list(Language::English, &["a", "b", "c", "d"]), "a, b and 2 more");
        assert_eq!(power(Language::English, 1240.0), "1.24 kW");
        assert_eq!(power(Language::English, -121.4), "121 W");
        assert_eq!(power(Language::French, 1240.0), "1,24 kW");
    }
}
