//! Strikes proposals that must not be carried out now: minimum times, the pace of switching, and sheds
//! that would not help. A guard never adds a proposal and never turns one round.

use sunkeep_models::quantity::{Seconds, Watts};

use crate::decision::Because;
use crate::estimate::draw;
use crate::image::ProcessImage;
use crate::propose::Proposal;
use crate::settings::Settings;
use crate::state::{LoadState, State};

/// A load that measurably draws less than this gives nothing back when it is shed.
const NOTHING: Watts = Watts(0.5);

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
        } else if may_shed(settings, memory, &proposal, image) {
            sheds.push(proposal);
        }
    }
    let settled = state.last_pass.is_none_or(|pass| image.now.since(pass) >= settings.pace.settle);
    allowed.switch = if settled { pass(settings, image, sheds, restores) } else { Vec::new() };
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
fn may_shed(settings: &Settings, memory: &LoadState, proposal: &Proposal, image: &ProcessImage) -> bool {
    let on_long_enough = image.now.since(memory.since) >= settings.loads[proposal.load].min_on;
    on_long_enough && draw(settings, image, proposal.load, true) > NOTHING
}

/// Chooses what one pass switches: sheds before restores, the least vital and hungriest first, at most
/// `cap`; or one restore, the most vital first, so that loads return quietly.
fn pass(
    settings: &Settings,
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
        let hungry = |proposal: &Proposal| draw(settings, image, proposal.load, true).0;
        tier(b).cmp(&tier(a)).then(hungry(b).total_cmp(&hungry(a))).then(a.load.cmp(&b.load))
    });
    sheds.truncate(settings.pace.cap);
    sheds
}
