//! The question that everybody has: will the lights last the night? Answered from what the planner expects,
//! and only as surely as it may be.
//!
//! What the critical tier needs until the sun returns, at P90 demand and P10 sun, stands on top of the floor.
//! With the lower bound of the charge above it the answer is yes; with the best estimate above it, or if things come as expected, it is probably.

use sunkeep_core::decision::Alarm;
use sunkeep_core::settings::Tier;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::time::Slot;

use super::words;
use crate::language;
use crate::view::{Forecasts, View};

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Watch,
    Bad,
    Unknown,
}

impl Tone {
    /// Its word in the API and in class names.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Watch => "watch",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) tone: Tone,
    pub(super) headline: String,
    pub(super) detail: String,
}

/// The next stretch without sun, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Night {
    pub(super) from: i64,
    /// `None` where the forecast ends before it does.
    pub(super) until: Option<i64>,
}

/// A need that is as high as this may be more than a battery holds, so that having it proves nothing.
const CAPPED: f64 = 0.999;

/// Answers for this view.
pub(super) fn answer(view: &View) -> Answer {
    if view.decision.alarm == Some(Alarm::BatteryEmpty) {
        return Answer {
            tone: Tone::Bad,
            headline: view.language.word("night-empty"),
            detail: view.language.say(
                "night-empty-detail",
                &[("level", view.settings.protection.reconnect_charge.to_string().into())],
            ),
        };
    }
    match (&view.forecasts, view.image.wall) {
        (Some(forecasts), Some(wall)) => {
            expected(view, forecasts, wall.unix).unwrap_or_else(|| unknown(view, "night-forecast-old"))
        }
        (_, None) => unknown(view, "night-time-unknown"),
        (None, _) => unknown(view, "night-no-forecast"),
    }
}

fn unknown(view: &View, why: &str) -> Answer {
    let charge = view.decision.charge.best.to_string();
    Answer {
        tone: Tone::Unknown,
        headline: view.language.say("night-unknown", &[("charge", charge.into())]),
        detail: view.language.word(why),
    }
}

fn expected(view: &View, forecasts: &Forecasts, now: i64) -> Option<Answer> {
    let place = usize::try_from(Slot::of(now).since(forecasts.outlook.plan.issued)).ok()?;
    let need = forecasts.outlook.critical_need.get(place)?.ratio();
    let night = night(&forecasts.sun, now);
    let spoken = pinned_share(view); // spoken for: promised to loads that persons asked for
    let (low, best) = (view.decision.charge.low.ratio() - spoken, view.decision.charge.best.ratio() - spoken);
    let until = night.and_then(|night| night.until);
    let last = until
        .map_or(usize::MAX, |until| Slot::of(until).since(forecasts.outlook.plan.issued).max(0) as usize);
    let lowest = forecasts.outlook.expected.iter().take(last.saturating_add(1)).skip(place);
    let lowest = lowest.map(|charge| charge.ratio() - spoken).fold(best, f64::min);
    let floor = view.settings.reserve.floor.ratio();
    let tone = match () {
        () if low >= need && need < CAPPED => Tone::Good,
        () if best >= need || lowest > floor + 0.02 => Tone::Watch,
        () => Tone::Bad,
    };
    let speaks = view.language;
    let back = until.map_or_else(
        || speaks.word("night-back"),
        |until| {
            let moment = words::moment(speaks, &view.zone, now, until);
            speaks.say("night-back-at", &[("moment", moment.into())])
        },
    );
    let mut detail = detail(view, tone, need, &back);
    if spoken > 0.005 {
        let share = words::percent(spoken);
        detail = detail + " " + &speaks.say("night-asked-for", &[("share", share.into())]);
    }
    Some(Answer { tone, headline: headline(view, tone, night.is_some()), detail })
}

fn headline(view: &View, tone: Tone, night: bool) -> String {
    // What the hub lives from is nobody's lights.
    let critical = view.settings.loads.iter().filter(|load| load.tier == Tier::Critical && !load.powers_hub);
    let names: Vec<&str> = critical.map(|load| load.label.as_str()).collect();
    let speaks = view.language;
    let names = if names.is_empty() { speaks.word("night-loads") } else { words::list(speaks, &names) };
    let message = match tone {
        Tone::Good => "night-good",
        Tone::Watch => "night-watch",
        _ => "night-bad",
    };
    speaks.say(message, &[("loads", names.into()), ("span", if night { "night" } else { "days" }.into())])
}

fn detail(view: &View, tone: Tone, need: f64, back: &str) -> String {
    let charge = view.decision.charge;
    let message = match tone {
        Tone::Good => "night-good-detail",
        Tone::Watch => "night-watch-detail",
        _ => "night-bad-detail",
    };
    let values = [
        ("charge", charge.best.to_string().into()),
        ("low", charge.low.to_string().into()),
        ("need", words::percent(need).into()),
        ("back", back.into()),
    ];
    view.language.say(message, &values)
}

/// Share of the battery that wishes of persons will still take. A load that has not started yet is taken at
/// its rating.
fn pinned_share(view: &View) -> f64 {
    let (settings, image) = (&view.settings, &view.image);
    let loads = settings.loads.iter().zip(&view.decision.loads).enumerate();
    let energy = loads.map(|(number, (load, decision))| {
        let Some(until) = decision.pinned_until.filter(|_| load.tier != Tier::Critical) else { return 0.0 };
        let draws = words::draws(settings, image, number, decision, decision.on);
        let power = if draws > load.standby { draws } else { load.nominal };
        (power * until.since(image.now)).0
    });
    energy.sum::<f64>() / settings.battery.nominal_energy().0
}

/// When the sun is next gone, and back. Dark is what brings less than 3 % of the best slot's expectation.
pub(super) fn night(sun: &Forecast, now: i64) -> Option<Night> {
    let most = sun.p50.iter().copied().fold(0.0_f32, f32::max);
    let dark = |watts: f32| watts < (most * 0.03).max(2.0);
    let first = usize::try_from(Slot::of(now).since(sun.issued)).ok()?;
    let from = (first..sun.p50.len()).find(|&slot| dark(sun.p50[slot]))?;
    let until = (from..sun.p50.len()).find(|&slot| !dark(sun.p50[slot]));
    let start = |slot: usize| sun.issued.plus(slot as i64).start();
    Some(Night { from: start(from), until: until.map(start) })
}

/// What the battery needs, in sentences.
pub(super) fn needs(view: &View) -> Vec<String> {
    language::needs(view.language, &view.decision.needs)
}

/// What tripped, in a sentence.
pub(super) fn alarm(view: &View) -> Option<String> {
    view.decision.alarm.map(|alarm| language::alarm(view.language, alarm))
}
