//! Decisions in sentences: what is off, until when, and the number that decided.

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, WattHours, Watts};

use crate::care::Needs;
use crate::decision::{Alarm, Because, LoadDecision};
use crate::settings::{Load, Settings, Tier};

/// The wall clock as far as a sentence needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Seconds since 1970 now, where known.
    pub unix: Option<i64>,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset: i32,
}

/// Why a load is as it is, in one sentence.
pub fn sentence(load: &Load, decision: &LoadDecision, clock: Clock) -> String {
    reason(&load.label, decision.on, decision.because, clock)
}

/// Why the load of this name is on or off, in one sentence.
pub fn reason(name: &str, on: bool, because: Because, clock: Clock) -> String {
    let state = if on { "on" } else { "off" };
    match because {
        Because::Free if on => format!("{name} on."),
        Because::Free => format!("{name} off, about to return."),
        Because::NotSwitched => format!("{name} is always on: it has no relay."),
        Because::PowersHub => format!("{name} stays on: the hub lives from it."),
        Because::Pinned => format!("{name} {state}: somebody asked for it."),
        Because::Surplus => format!("{name} {state}: the battery is full and the sun brings more."),
        Because::Held { tier, left, keep, until } => {
            let until = until.map_or(String::new(), |until| format!(" until {}", moment(until, clock)));
            format!("{name} {state}{until}: {left} left, {keep} needed {}.", protected(tier))
        }
        Because::Waiting { at_least } => {
            format!("{name} {state}: waits {} more before it returns.", span(at_least))
        }
        Because::LowVoltage { read, limit } => {
            format!("{name} {state}: battery at {read}, returns above {limit}.")
        }
        Because::LowCharge { left, limit } => {
            format!("{name} {state}: {left} left in the battery, returns above {limit}.")
        }
        Because::Hot { read, limit } => format!("{name} {state}: battery at {read}, limit {limit}."),
        Because::Overload { read, limit } => format!("{name} {state}: {read} drawn, {limit} allowed."),
        Because::NotFull { left, keep, since_full } => {
            let when = days(since_full);
            format!(
                "{name} {state}: {left} left, {keep} needed for the battery, which was last full {when} ago."
            )
        }
    }
}

/// What an alarm means, in one sentence.
pub fn alarm(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::BatteryLow => "The battery is low: only critical loads are supplied.",
        Alarm::BatteryEmpty => "The battery is nearly empty: all loads are off to save it.",
        Alarm::BatteryHot => "The battery is too hot: only critical loads are supplied.",
        Alarm::Overload => "The loads drew too much: some were switched off.",
    }
}

/// What the battery needs, in sentences.
pub fn needs(needs: &Needs) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(since_full), Some(floor)) = (needs.since_full, needs.floors[Tier::Convenience.place()]) {
        sentences.push(format!(
            "The battery was last full {} ago: what can wait is held back below {floor} until it is full again, for \
             that wears it less.",
            days(since_full)
        ));
    }
    if let Some((takes, read)) = needs.takes {
        let takes = if takes < Watts(0.5) { "no charge".into() } else { format!("{takes} at most") };
        sentences.push(format!("The battery is at {read} and takes {takes}: the plan counts on no more."));
    }
    sentences
}

/// Days in words: `a day`, `9 days`; hours below that.
fn days(since: Seconds) -> String {
    match (since.0 / 86_400.0).floor() as i64 {
        0 => span(since),
        1 => "a day".into(),
        days => format!("{days} days"),
    }
}

/// What keeping a load on for a while costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinCost {
    /// Energy it will draw.
    pub energy: WattHours,
    /// As a share of the battery, 0 to 1.
    pub share: f64,
    /// How long that energy would feed the critical tier; `None` where that draws nothing.
    pub critical: Option<Seconds>,
    /// Whether the level that is kept for more vital loads will be touched.
    pub touches_reserve: bool,
}

/// What keeping load `number` on for `span` costs, given what it and the critical tier draw.
pub fn pin_cost(
    settings: &Settings,
    number: usize,
    span: Seconds,
    draws: Watts,
    critical: Watts,
    charge: ChargeBounds,
    keep: Option<f64>,
) -> PinCost {
    let load = &settings.loads[number];
    let power = if draws > load.standby { draws } else { load.nominal };
    let energy = power * span;
    let share = energy / settings.battery.nominal_energy();
    PinCost {
        energy,
        share,
        critical: (critical > Watts(0.5)).then(|| Seconds(energy.0 / critical.0 * 3600.0)),
        touches_reserve: keep.is_some_and(|keep| charge.low.ratio() - share < keep),
    }
}

/// The cost in a sentence.
pub fn cost_sentence(load: &Load, span_on: Seconds, cost: &PinCost) -> String {
    let mut text = format!(
        "{} on for {} takes {} ({:.0} % of the battery)",
        load.label,
        span(span_on),
        cost.energy,
        cost.share * 100.0
    );
    if let Some(critical) = cost.critical {
        text += &format!(", as much as the critical loads use in {}", span(critical));
    }
    text += if cost.touches_reserve { "; it comes out of their reserve." } else { "." };
    text
}

fn protected(tier: Tier) -> &'static str {
    match tier {
        Tier::Critical => "to keep the battery from cutting everything off",
        Tier::Important => "for the critical loads",
        Tier::Convenience | Tier::Background => "for the critical and important loads",
    }
}

/// A span in words: `40 s`, `25 min`, `an hour`, `3.5 h`.
pub fn span(span: Seconds) -> String {
    let seconds = span.0.max(0.0);
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if (seconds / 60.0).round() as i64 == 60 {
        "an hour".into()
    } else if seconds < 90.0 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

/// A moment on the wall clock of the home: `07:00`, or `07:00 tomorrow`.
fn moment(unix: i64, clock: Clock) -> String {
    let local = unix + i64::from(clock.utc_offset);
    let time = format!("{:02}:{:02}", local.rem_euclid(86_400) / 3600, local.rem_euclid(3600) / 60);
    let days = clock
        .unix
        .map_or(0, |now| local.div_euclid(86_400) - (now + i64::from(clock.utc_offset)).div_euclid(86_400));
    match days {
        i64::MIN..=0 => time,
        1 => format!("{time} tomorrow"),
        days => format!("{time} in {days} days"),
    }
}
