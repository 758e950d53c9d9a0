//! What one cycle hands to the next: the estimate, timers, latches and pins.

use serde::{Deserialize, Serialize};
use sunkeep_models::battery::{BatterySample, ChargeEstimator};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use crate::care::CareState;
use crate::decision::Because;
use crate::settings::{Settings, SettingsDigest};
use crate::steps::Steps;

/// How long a hub is taken to have been off where nobody can tell: a night, in which loads that the hub
/// does not switch went on drawing.
pub const UNKNOWN_OUTAGE: Seconds = Seconds(12.0 * 3600.0);

/// Memory of the decision core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Fingerprint of the settings it belongs to, worked out once.
    pub settings: SettingsDigest,
    /// The battery.
    pub charge: ChargeEstimator,
    /// When the last cycle ran; none since the hub was switched on.
    pub last: Option<Uptime>,
    /// Each load, in the order of the settings.
    pub loads: Vec<LoadState>,
    /// When the plan last switched anything: the next pass waits until that has settled.
    pub last_pass: Option<Uptime>,
    /// The battery's low-voltage latches.
    pub low: Latch,
    /// As `low`, for the critical tier.
    pub empty: Latch,
    /// The temperature latch.
    pub hot: Latch,
    /// When the battery was full last, and how empty it has been since.
    pub care: CareState,
    /// Whether the hub's own work that can wait may run, and what has begun to change that.
    pub background: Latch,
    /// The total, to see what the loads without a meter draw.
    pub steps: Steps,
}

/// Memory of one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadState {
    /// Whether it is to be supplied; `None` until the first cycle has looked at its relay.
    pub on: Option<bool>,
    /// Since when.
    pub since: Uptime,
    /// Why.
    pub because: Because,
    /// Until when a person's wish keeps it on.
    pub pinned_until: Option<Uptime>,
    /// Until when an overload keeps it off.
    pub barred_until: Option<Uptime>,
    /// When a person last asked anything of it.
    pub touched: Option<Uptime>,
    /// Steps that its switching made in the total, W, the newest last; at most [`crate::steps::MOST_SEEN`],
    /// none where it has a meter of its own.
    pub seen: Vec<f32>,
}

/// A limit that trips after it was exceeded for a while, and recovers after a longer while.
///
/// ```text
///            exceeded for `hold`
///   Closed ------------------------> Tripped
///     ^                                 |
///     +---------------------------------+
///            recovered for `recovery`
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Latch {
    /// Whether it has tripped.
    pub tripped: bool,
    /// Since when the opposite of `tripped` has been measured.
    pub pending: Option<Uptime>,
}

impl State {
    /// The state of a hub that knows nothing yet.
    pub fn new(settings: &Settings) -> Self {
        let load = LoadState {
            on: None,
            since: Uptime::default(),
            because: Because::Free,
            pinned_until: None,
            barred_until: None,
            touched: None,
            seen: Vec::new(),
        };
        Self {
            settings: settings.digest(),
            charge: ChargeEstimator::unknown(),
            last: None,
            loads: vec![load; settings.loads.len()],
            last_pass: None,
            low: Latch::default(),
            empty: Latch::default(),
            hot: Latch::default(),
            care: CareState::default(),
            background: Latch::default(),
            steps: Steps::default(),
        }
    }

    /// The state under other settings of the same loads: all of it stays, for nothing of the home has changed but what is
    /// wanted of it. With another number of loads nothing is known of them.
    #[must_use]
    pub fn under(self, settings: &Settings) -> Self {
        if self.loads.len() != settings.loads.len() {
            return Self { charge: self.charge, care: self.care, ..Self::new(settings) };
        }
        Self { settings: settings.digest(), ..self }
    }

    /// What is left of the state after the hub was off: latches and reasons stay, times of the earlier boot
    /// mean nothing, and the relays must be looked at again. A wish of a person ends with the power, for
    /// nobody can say how much of its hour was left. Under other settings only the estimate is kept, and what is
    /// known of the battery's care.
    ///
    /// `off_for` is how long nothing was measured; unknown counts as [`UNKNOWN_OUTAGE`].
    #[must_use]
    pub fn after_restart(mut self, settings: &Settings, off_for: Option<Seconds>) -> Self {
        let digest = settings.digest();
        if self.settings != digest {
            // Loads may have changed places: of the old state only the battery is still the same thing.
            self = Self { charge: self.charge, care: self.care, ..Self::new(settings) };
        }
        let off_for = off_for.unwrap_or(UNKNOWN_OUTAGE);
        self.charge.advance(&settings.battery, off_for, &BatterySample::default());
        self.care.advance(off_for, self.charge.bounds(), false);
        self.last = None;
        self.last_pass = None;
        self.steps = Steps::default();
        self.background = Latch::default();
        for latch in [&mut self.low, &mut self.empty, &mut self.hot] {
            latch.pending = None;
        }
        for load in &mut self.loads {
            load.on = None;
            load.since = Uptime::default();
            load.pinned_until = None;
            load.barred_until = None;
            load.touched = None;
        }
        self
    }
}
