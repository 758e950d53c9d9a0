//! Strikes proposals that must not be carried out now: minimum times, the pace of switching, sheds that would
//! not help, and sheds of loads in use while an idle one of their tier can go. A guard never adds a proposal
//! and never turns one round.

use sunkeep_models::quantity::{Seconds, Watts};

use crate::decision::Because;
use crate::estimate::draw_if_on;
use crate::image::ProcessImage;
use crate::propose::Proposal;
use crate::settings::{Settings, Tier};
use crate::state::{LoadState, State};

/// A load that measurably draws less than this gives nothing back when it is shed.
const NOTHING: Watts = Watts(0.5);
/// A load counts as in use for so long after somebody asked anything of it.
const TOUCHED: Seconds = Seconds(1800.0);
/// Once an idle load of its tier has gone, a load in use is kept this far below the level of the tier.
const IN_USE: f64 = 0.01;

/// What remains of the proposals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Allowed {
    /// Loads to switch in this cycle, in order.
    pub switch: Vec<Proposal>,
    /// New reasons for loads that stay as they are.
    pub reasons: Vec<(usize, Because)>,
}

/// Strikes what must not be switched now.
pub fn strike(settings: &Settings, state: &State, image: &ProcessImage, proposals: Vec<Proposal>) -> Allowed {
    let mut allowed = Allowed::default();
    let (mut sheds, mut restores) = (Vec::new(), Vec::new());
    for proposal in proposals {
        let memory = &state.loads[proposal.load];
        if memory.on == Some(proposal.on) {
            allowed.reasons.push((proposal.load, proposal.because));
        } else if proposal.on {
            match wait_before_return(settings, memory, proposal.load, image) {
                Some(at_least) => allowed.reasons.push((proposal.load, Because::Waiting { at_least })),
                None => restores.push(proposal),
            }
        } else if may_shed(settings, state, &proposal, image) {
            sheds.push(proposal);
        }
    }
    let sheds = keep_in_use(settings, state, image, &sheds);
    let settled = state.last_pass.is_none_or(|pass| image.now.since(pass) >= settings.pace.settle);
    allowed.switch = if settled { pass(settings, state, image, sheds, restores) } else { Vec::new() };
    allowed
}

/// How much longer a load must stay off; `None` when it may return.
fn wait_before_return(
    settings: &Settings,
    memory: &LoadState,
    load: usize,
    image: &ProcessImage,
) -> Option<Seconds> {
    let off_for = image.now.since(memory.since);
    let barred = memory.barred_until.map_or(Seconds::ZERO, |until| until.since(image.now));
    let wait = (settings.loads[load].min_off - off_for).max(barred);
    (wait > Seconds::ZERO).then_some(wait)
}

/// Whether shedding is allowed yet and gives anything back.
fn may_shed(settings: &Settings, state: &State, proposal: &Proposal, image: &ProcessImage) -> bool {
    let memory = &state.loads[proposal.load];
    let on_long_enough = image.now.since(memory.since) >= settings.loads[proposal.load].min_on;
    on_long_enough && draw_if_on(settings, state, image, proposal.load) > NOTHING
}

/// Whether a load works, or somebody wanted something of it a moment ago.
fn in_use(settings: &Settings, state: &State, image: &ProcessImage, load: usize) -> bool {
    let touched = state.loads[load].touched.is_some_and(|at| image.now.since(at) < TOUCHED);
    touched || draw_if_on(settings, state, image, load) > settings.loads[load].standby
}

/// Of each tier the idle loads go first; those in use wait for the next pass, and below the critical tier
/// until some more charge is gone: the running TV stays, the idle charger goes. No load waits while one of a
/// more vital tier is off or about to go.
fn keep_in_use(
    settings: &Settings,
    state: &State,
    image: &ProcessImage,
    sheds: &[Proposal],
) -> Vec<Proposal> {
    let tier = |load: usize| settings.loads[load].tier;
    let held = |load: usize| {
        let memory = &state.loads[load];
        memory.on == Some(false) && matches!(memory.because, Because::Held { .. })
    };
    let waits = |shed: &Proposal| {
        let own = tier(shed.load);
        let goes = |load: usize| held(load) || sheds.iter().any(|other| other.load == load);
        if !in_use(settings, state, image, shed.load)
            || (0..state.loads.len()).any(|load| tier(load) < own && goes(load))
        {
            return false;
        }
        let idle = |other: &Proposal| tier(other.load) == own && !in_use(settings, state, image, other.load);
        let some_left = matches!(shed.because, Because::Held { left, keep, .. }
            if left.ratio() >= keep.ratio() - IN_USE && own != Tier::Critical);
        sheds.iter().any(idle)
            || (some_left && (0..state.loads.len()).any(|load| tier(load) == own && held(load)))
    };
    sheds.iter().filter(|shed| !waits(shed)).copied().collect()
}

/// Chooses what one pass switches: sheds before restores, the least vital first, and of those the idle and
/// the hungriest, at most `cap`; or one restore, the most vital first, so that loads return quietly.
fn pass(
    settings: &Settings,
    state: &State,
    image: &ProcessImage,
    mut sheds: Vec<Proposal>,
    mut restores: Vec<Proposal>,
) -> Vec<Proposal> {
    let tier = |proposal: &Proposal| settings.loads[proposal.load].tier;
    if sheds.is_empty() {
        restores.sort_by_key(|proposal| (proposal.because != Because::Pinned, tier(proposal), proposal.load));
        restores.truncate(1);
        return restores;
    }
    sheds.sort_by(|a, b| {
        let used = |proposal: &Proposal| in_use(settings, state, image, proposal.load);
        let hungry = |proposal: &Proposal| draw_if_on(settings, state, image, proposal.load).0;
        tier(b)
            .cmp(&tier(a))
            .then(used(a).cmp(&used(b)))
            .then(hungry(b).total_cmp(&hungry(a)))
            .then(a.load.cmp(&b.load))
    });
    sheds.truncate(settings.pace.cap);
    sheds
}
