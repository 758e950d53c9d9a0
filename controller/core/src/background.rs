//! The hub's own work that can wait (uploads, downloads of models, trials, copies of content): a tier of its own, which
//! waits for sun. **Here it is said whether it may run now.** Whoever works asks for no relay; the modem and the
//! processor draw little, but a download at night is paid for by somebody's lights.

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, StateOfCharge};

use crate::evidence;
use crate::image::ProcessImage;
use crate::settings::Settings;
use crate::state::{Latch, State};

/// How long the sun must have carried the home before work begins, and have failed to before it rests: a cloud is no
/// reason to break off a download.
const STEADY: Seconds = Seconds(300.0);

/// Says whether such work may run: the charge is above the level of its tier (that of return, while it rests) or the
/// battery full, and it is not discharged. Never while protection holds anything off.
pub(crate) fn permit(
    settings: &Settings,
    state: &mut State,
    image: &ProcessImage,
    charge: ChargeBounds,
    level: Option<[StateOfCharge; 2]>,
    protecting: bool,
) -> bool {
    let works = state.background.tripped;
    let full = evidence::is_idle(settings, image, charge) == Some(true);
    let enough = full || level.is_none_or(|[keep, restore]| charge.low >= if works { keep } else { restore });
    if protecting || works && !enough {
        state.background = Latch::default();
        return false;
    }
    let carried = evidence::sun_carries(settings, image, charge).unwrap_or(false);
    state.background.advance(image.now, enough && carried, !carried, STEADY, STEADY);
    state.background.tripped
}
