//! One cycle: estimate, propose, guard, protect. The whole policy in one signature.

use crate::decision::{Because, Change, Decision, LoadDecision};
use crate::image::{ProcessImage, Request};
use crate::settings::Settings;
use crate::state::State;
use crate::{care, estimate, guards, propose, protection, steps};

/// Decides one cycle. Pure: the same arguments give the same answer, bit for bit.
///
/// The image must list the loads of the settings in their order; loads it does not list count as unread.
pub fn step(settings: &Settings, mut state: State, image: &ProcessImage) -> (State, Decision) {
    let charge = estimate::advance(settings, &mut state, image);
    look_at_relays(settings, &mut state, image);
    take_requests(settings, &mut state, image);
    steps::observe(settings, &mut state, image);

    let needs = care::needs(settings, &state, image, charge);
    let (basis, proposals) = propose::propose(settings, &state, image, charge, &needs);
    let allowed = guards::strike(settings, &state, image, proposals);

    let mut wanted: Vec<(bool, Because)> =
        state.loads.iter().map(|load| (load.on.unwrap_or(true), load.because)).collect();
    for (load, because) in allowed.reasons {
        if tells_news(&wanted[load].1, &because) {
            wanted[load].1 = because;
        }
    }
    for proposal in &allowed.switch {
        wanted[proposal.load] = (proposal.on, proposal.because);
    }

    let on: Vec<bool> = wanted.iter().map(|(on, _)| *on).collect();
    let verdict = protection::judge(settings, &mut state, image, charge, &on);
    for (load, because) in &verdict.off {
        let reason_stands = !wanted[*load].0 && wanted[*load].1.word() == because.word();
        if !reason_stands {
            wanted[*load] = (false, *because);
        }
    }

    let changes = commit(&mut state, image, &wanted);
    steps::note(settings, &mut state, image, &changes);
    if changes.iter().any(|change| allowed.switch.iter().any(|pass| pass.load == usize::from(change.load))) {
        state.last_pass = Some(image.now);
    }
    state.last = Some(image.now);
    let loads = state.loads.iter().enumerate().map(|(number, load)| {
        let supplied = image.loads.get(number).and_then(|readings| readings.supplied);
        let supplied = image.fresh(settings, supplied);
        let on = load.on.unwrap_or(true);
        LoadDecision {
            on,
            since: load.since,
            because: load.because,
            pinned_until: load.pinned_until,
            confirmed: supplied.map(|supplied| (supplied > 0.5) == on),
            draws: steps::draw(&settings.loads[number], load).filter(|_| steps::is_unmetered(image, number)),
        }
    });
    let decision = Decision { charge, basis, needs, alarm: verdict.alarm, loads: loads.collect(), changes };
    (state, decision)
}

/// In the first cycle a load is taken to be as its relay is, so that start-up never pulses one. A relay
/// that cannot be read counts as on: its load may be drawing power.
fn look_at_relays(settings: &Settings, state: &mut State, image: &ProcessImage) {
    for (number, (load, memory)) in settings.loads.iter().zip(&mut state.loads).enumerate() {
        if memory.on.is_some() {
            continue;
        }
        let supplied = image.loads.get(number).and_then(crate::image::LoadReadings::is_supplied);
        let switched = load.switchable && !load.powers_hub;
        let on = !switched || supplied.unwrap_or(true);
        memory.on = Some(on);
        memory.since = image.now;
        if !load.switchable {
            memory.because = Because::NotSwitched;
        } else if load.powers_hub {
            memory.because = Because::PowersHub;
        } else if on {
            memory.because = Because::Free;
        } else if memory.because == Because::Free {
            memory.because = Because::Waiting { at_least: load.min_off };
        }
    }
}

/// Notes what persons asked for, and forgets wishes whose time is over.
fn take_requests(settings: &Settings, state: &mut State, image: &ProcessImage) {
    for request in &image.requests {
        let (load, until) = match *request {
            Request::KeepOn { load, span } => (load, Some(image.now.after(span))),
            Request::Release { load } => (load, None),
        };
        let number = usize::from(load);
        if let (Some(memory), Some(load)) = (state.loads.get_mut(number), settings.loads.get(number)) {
            memory.pinned_until = until.filter(|_| load.switchable);
            memory.touched = Some(image.now);
        }
    }
    for memory in &mut state.loads {
        memory.pinned_until = memory.pinned_until.filter(|until| *until > image.now);
    }
}

/// Whether a reason says something new to a reader; a number that moved by less than a percent does not.
fn tells_news(before: &Because, after: &Because) -> bool {
    match (before, after) {
        (Because::Held { keep: was, until: before, .. }, Because::Held { keep: is, until: after, .. }) => {
            before != after || (was.ratio() - is.ratio()).abs() > 0.01
        }
        (Because::NotFull { keep: was, .. }, Because::NotFull { keep: is, .. }) => {
            (was.ratio() - is.ratio()).abs() > 0.01
        }
        _ => before.word() != after.word(),
    }
}

/// Writes the outcome into the state and lists what changed.
fn commit(state: &mut State, image: &ProcessImage, wanted: &[(bool, Because)]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (number, (memory, (on, because))) in state.loads.iter_mut().zip(wanted).enumerate() {
        if memory.on != Some(*on) {
            memory.since = image.now;
            changes.push(Change {
                load: u16::try_from(number).unwrap_or(u16::MAX),
                on: *on,
                because: *because,
            });
        }
        memory.on = Some(*on);
        memory.because = *because;
    }
    changes
}
