//! What a load without a meter of its own draws: the step that its switching makes in the total.
//!
//! A step counts where nothing else was switched until power had settled, and where it stands out from how
//! much the total changes by itself. The last few steps of a load give a best estimate and bounds; before any
//! was seen its name plate counts. How the tiers share a total over a day is in [`crate::disaggregate`].

use serde::{Deserialize, Serialize};
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::time::Uptime;

use crate::decision::Change;
use crate::image::ProcessImage;
use crate::settings::{Load, Settings};
use crate::state::{LoadState, State};

/// Steps of a load that are remembered.
pub const MOST_SEEN: usize = 7;
/// With fewer steps than this the name plate counts as one.
const FEW_SEEN: usize = 3;
/// From so many on, the least and the greatest are left out.
const TRIMMED_FROM: usize = 5;
/// How far a step must stand out from the usual change of the total.
const STANDS_OUT: f64 = 3.0;
/// A step below this is nothing, W.
const NOTHING: f64 = 0.5;
/// No home has more power than this, W: a total beyond is an error of its meter.
pub(crate) const MOST: f64 = 1e6;
/// Part of the usual change that each new one makes up.
const NEWEST: f64 = 1.0 / 16.0;

/// What a load draws while it is on, W.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// Hardly ever less.
    pub low: Watts,
    /// Best estimate.
    pub best: Watts,
    /// Hardly ever more.
    pub high: Watts,
}

/// Memory of the total between two cycles.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Steps {
    /// A load that was switched, until power has settled.
    waiting: Option<Waiting>,
    /// When a load was last switched.
    changed: Option<Uptime>,
    /// A total and when it was read, to see how much it changes by itself.
    quiet: Option<(Uptime, f32)>,
    /// How much the total usually changes while power settles, W.
    noise: f32,
}

/// A load that was switched by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Waiting {
    load: u16,
    on: bool,
    since: Uptime,
    /// The total before, W.
    before: f32,
}

/// What the estimate of a load is, where it was seen to make steps.
pub fn draw(load: &Load, memory: &LoadState) -> Option<Draw> {
    if memory.seen.is_empty() {
        return None;
    }
    let mut seen: Vec<f64> = memory.seen.iter().map(|watts| f64::from(*watts)).collect();
    if seen.len() < FEW_SEEN {
        seen.push(load.nominal.0);
    }
    seen.sort_by(f64::total_cmp);
    let out = usize::from(seen.len() >= TRIMMED_FROM);
    let last = seen.len() - 1;
    let best = f64::midpoint(seen[last / 2], seen[last.div_ceil(2)]);
    Some(Draw { low: Watts(seen[out]), best: Watts(best), high: Watts(seen[last - out]) })
}

/// Looks at the total: a step that has settled is taken in, and else how much it changes by itself.
pub fn observe(settings: &Settings, state: &mut State, image: &ProcessImage) {
    let steps = &mut state.steps;
    let Some((at, watts)) = unmetered(settings, image) else {
        *steps = Steps { changed: steps.changed, noise: steps.noise, ..Steps::default() };
        return;
    };
    let settled = |since: Uptime| at >= since.after(settings.pace.settle);
    if let Some(waiting) = steps.waiting.filter(|waiting| settled(waiting.since)) {
        steps.waiting = None;
        let rose = watts - f64::from(waiting.before);
        let step = if waiting.on { rose } else { -rose };
        let stands_out = step > NOTHING && step > STANDS_OUT * f64::from(steps.noise);
        if let (true, Some(memory)) = (stands_out, state.loads.get_mut(usize::from(waiting.load))) {
            memory.seen.push(step as f32);
            let over = memory.seen.len().saturating_sub(MOST_SEEN);
            memory.seen.drain(..over);
        }
    }
    let steps = &mut state.steps;
    if steps.waiting.is_some() || !steps.changed.is_none_or(settled) {
        return;
    }
    match steps.quiet {
        Some((then, _)) if !settled(then) => {}
        before => {
            if let Some((_, before)) = before {
                let change = (watts - f64::from(before)).abs();
                steps.noise += ((change - f64::from(steps.noise)) * NEWEST) as f32;
            }
            steps.quiet = Some((at, watts as f32));
        }
    }
}

/// Notes what this cycle switches: one load by itself makes a step, several at once, or one while power has
/// not settled, tell nothing.
pub fn note(settings: &Settings, state: &mut State, image: &ProcessImage, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let before = unmetered(settings, image);
    let steps = &mut state.steps;
    let settle: Seconds = settings.pace.settle;
    let waiting = match (changes, before) {
        ([change], Some((at, watts)))
            if is_unmetered(image, usize::from(change.load))
                && steps.changed.is_none_or(|changed| at >= changed.after(settle)) =>
        {
            Some(Waiting { load: change.load, on: change.on, since: image.now, before: watts as f32 })
        }
        _ => None,
    };
    *steps = Steps { waiting, changed: Some(image.now), quiet: None, noise: steps.noise };
}

/// Whether nobody measures what this load draws: it has no reading, not even one that is too old.
pub fn is_unmetered(image: &ProcessImage, load: usize) -> bool {
    image.loads.get(load).is_none_or(|readings| readings.power.is_none())
}

/// What the loads without a meter draw together, W, and when that was read; `None` where the total, or a meter
/// that has to be taken off it, cannot be read.
fn unmetered(settings: &Settings, image: &ProcessImage) -> Option<(Uptime, f64)> {
    let total = image.load?;
    let mut watts = image.fresh(settings, Some(total))?;
    for load in &image.loads {
        if load.power.is_some() {
            watts -= image.fresh(settings, load.power)?;
        }
    }
    (watts.abs() <= MOST).then_some((total.at, watts))
}
