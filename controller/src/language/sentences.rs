//! Decisions in sentences: what is off, until when, and the number that decided.

use fluent_bundle::FluentValue;
use sunkeep_core::care::Needs;
use sunkeep_core::decision::{Alarm, Because, LoadDecision};
use sunkeep_core::settings::{Load, Tier};
use sunkeep_core::wish::PinCost;
use sunkeep_models::quantity::{Seconds, Watts};

use super::Language;
use super::time::{Clock, days, moment, span};

/// Why a load is as it is, in one sentence that begins with its label.
pub fn sentence(language: Language, load: &Load, decision: &LoadDecision, clock: Clock) -> String {
    reason(language, &load.label, decision.on, decision.because, clock)
}

/// Why the load of this name is on or off, in one sentence that begins with the name.
pub fn reason(language: Language, name: &str, on: bool, because: Because, clock: Clock) -> String {
    let say = |message: &str, more: &[(&str, FluentValue<'_>)]| {
        let state = language.word(if on { "state-on" } else { "state-off" });
        let named = [("name", name.into()), ("state", state.into())];
        language.say(message, &[&named[..], more].concat())
    };
    let figure = |value: &dyn std::fmt::Display| FluentValue::from(language.figure(value));
    match because {
        Because::Free if on => say("reason-on", &[]),
        Because::Free => say("reason-returning", &[]),
        Because::NotSwitched => say("reason-always-on", &[]),
        Because::PowersHub => say("reason-powers-hub", &[]),
        Because::Pinned => say("reason-asked-for", &[]),
        Because::Surplus => say("reason-surplus", &[]),
        Because::Held { tier, left, keep, until } => {
            let held = [("left", figure(&left)), ("keep", figure(&keep)), ("tier", tier.word().into())];
            match until {
                None => say("reason-held", &held),
                Some(until) => {
                    let until = [("until", moment(language, until, clock).into())];
                    say("reason-held-until", &[&held[..], &until].concat())
                }
            }
        }
        Because::Waiting { at_least } => say("reason-waiting", &[("span", span(language, at_least).into())]),
        Because::LowVoltage { read, limit } => {
            say("reason-low-voltage", &[("read", figure(&read)), ("limit", figure(&limit))])
        }
        Because::LowCharge { left, limit } => {
            say("reason-low-charge", &[("left", figure(&left)), ("limit", figure(&limit))])
        }
        Because::Hot { read, limit } => {
            say("reason-hot", &[("read", figure(&read)), ("limit", figure(&limit))])
        }
        Because::Overload { read, limit } => {
            say("reason-overload", &[("read", figure(&read)), ("limit", figure(&limit))])
        }
        Because::NotFull { left, keep, since_full } => {
            let span = days(language, since_full).into();
            say("reason-not-full", &[("left", figure(&left)), ("keep", figure(&keep)), ("span", span)])
        }
    }
}

/// What an alarm means, in one sentence.
pub fn alarm(language: Language, alarm: Alarm) -> String {
    language.word(match alarm {
        Alarm::BatteryLow => "alarm-battery-low",
        Alarm::BatteryEmpty => "alarm-battery-empty",
        Alarm::BatteryHot => "alarm-battery-hot",
        Alarm::Overload => "alarm-overload",
    })
}

/// What the battery needs, in sentences.
pub fn needs(language: Language, needs: &Needs) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(since_full), Some(floor)) = (needs.since_full, needs.floors[Tier::Convenience.place()]) {
        let span = days(language, since_full);
        sentences.push(
            language.say("need-full", &[("span", span.into()), ("floor", language.figure(floor).into())]),
        );
    }
    if let Some((takes, read)) = needs.takes {
        let read = ("read", language.figure(read).into());
        sentences.push(if takes < Watts(0.5) {
            language.say("need-takes-nothing", &[read])
        } else {
            language.say("need-takes-little", &[read, ("takes", language.figure(takes).into())])
        });
    }
    sentences
}

/// What keeping a load on for a while costs, in a sentence.
pub fn cost_sentence(language: Language, load: &Load, span_on: Seconds, cost: &PinCost) -> String {
    let values = [
        ("name", load.label.as_str().into()),
        ("span", span(language, span_on).into()),
        ("energy", language.figure(cost.energy).into()),
        ("share", format!("{:.0} %", cost.share * 100.0).into()),
        ("reserve", if cost.touches_reserve { "touched" } else { "whole" }.into()),
    ];
    match cost.critical {
        None => language.say("cost", &values),
        Some(critical) => {
            let critical = [("critical", span(language, critical).into())];
            language.say("cost-critical", &[&values[..], &critical].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use sunkeep_models::quantity::{Celsius, StateOfCharge, Volts, WattHours};

    use super::*;

    fn all() -> [Because; 12] {
        let at = StateOfCharge::clamped;
        let held = |tier, until| Because::Held { tier, left: at(0.42), keep: at(0.43), until };
        [
            Because::Free,
            Because::NotSwitched,
            Because::PowersHub,
            Because::Pinned,
            Because::Surplus,
            held(Tier::Critical, None),
            held(Tier::Convenience, Some(1_772_860_000)),
            Because::Waiting { at_least: Seconds(1500.0) },
            Because::LowVoltage { read: Volts(23.1), limit: Volts(24.5) },
            Because::Hot { read: Celsius(61.5), limit: Celsius(60.0) },
            Because::Overload { read: Watts(900.0), limit: Watts(800.0) },
            Because::NotFull { left: at(0.5), keep: at(0.6), since_full: Seconds(9.2 * 86_400.0) },
        ]
    }

    #[test]
    fn what_the_battery_needs_is_told_with_its_figures() {
        let mut what = Needs { takes: Some((Watts(0.0), Celsius(-2.0))), ..Needs::default() };
        let said = needs(Language::English, &what);
        assert_eq!(said, ["The battery is at -2.0 °C and takes no charge: the plan counts on no more."]);
        assert!(needs(Language::French, &what)[0].contains("-2,0 °C"));
        what.takes = Some((Watts(120.0), Celsius(-2.0)));
        what.since_full = Some(Seconds(11.3 * 86_400.0));
        what.floors[Tier::Convenience.place()] = Some(StateOfCharge::clamped(0.54));
        for language in Language::ALL {
            let said = needs(language, &what);
            assert_eq!(said.len(), 2);
            assert!(
                said[0].contains("11") && said[0].contains("54 %") && said[1].contains("120 W"),
                "{said:?}"
            );
        }
        let said = needs(Language::English, &what);
        assert!(said[0].starts_with("The battery was last full 11 days ago"), "{said:?}");
    }

    #[test]
    fn the_cost_of_a_wish_says_whose_reserve_it_takes() {
        let load = Load {
            name: "tv".into(),
            label: "TV".into(),
            tier: Tier::Convenience,
            nominal: Watts(60.0),
            standby: Watts(3.0),
            switchable: true,
            powers_hub: false,
            min_on: Seconds(0.0),
            min_off: Seconds(0.0),
        };
        let mut cost =
            PinCost { energy: WattHours(60.0), share: 0.1, critical: None, touches_reserve: false };
        let said = |cost: &PinCost| cost_sentence(Language::English, &load, Seconds(3600.0), cost);
        assert_eq!(said(&cost), "TV on for an hour takes 60 Wh (10 % of the battery).");
        cost = PinCost { critical: Some(Seconds(7200.0)), touches_reserve: true, ..cost };
        assert_eq!(
            said(&cost),
            "TV on for an hour takes 60 Wh (10 % of the battery), as much as the critical loads use in 2.0 h; \
             it comes out of their reserve."
        );
    }

    /// The page leaves the name out where it stands above, so each language puts it first.
    #[test]
    fn each_sentence_begins_with_the_name_and_holds_its_figures() {
        let clock = Clock { unix: Some(1_772_817_000), utc_offset: 0 };
        for language in Language::ALL {
            for because in all() {
                let said = reason(language, "TV", false, because, clock);
                assert!(said.starts_with("TV "), "{said}");
                assert!(!said.contains('{') && !said.contains("reason-"), "{said}");
                if let Because::Held { .. } = because {
                    assert!(said.contains("42 %") && said.contains("43 %"), "{said}");
                }
            }
        }
        let held = all()[6];
        let said = |language| reason(language, "TV", false, held, clock);
        assert_eq!(
            said(Language::English),
            "TV off until 05:06 tomorrow: 42 % left, 43 % needed for the critical and important loads."
        );
        assert_eq!(
            said(Language::French),
            "TV à l'arrêt jusqu'à 05:06 demain : il reste 42 %, il faut 43 % pour l'indispensable et l'important."
        );
        assert!(said(Language::Swahili).contains("hadi 05:06 kesho"));
        assert!(said(Language::Hindi).contains("कल 05:06"));
        let low = reason(Language::French, "TV", false, all()[8], clock);
        assert!(low.contains("23,10 V"), "a comma in French: {low}");
    }
}
