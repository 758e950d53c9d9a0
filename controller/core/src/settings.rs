//! What the home is and what its owner wants: the part of a hub's configuration that decisions depend on.
//!
//! Wiring (buses, registers, pins) is the shell's and stays out of here.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sunkeep_models::battery::BatterySpec;
use sunkeep_models::quantity::{Celsius, Seconds, StateOfCharge, Volts, Watts};

use crate::care::Care;

/// How vital a load is. Ordered: the first is shed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Lights, radio, the medicine fridge: kept on while the battery can bear it.
    Critical,
    /// What a household misses within hours.
    Important,
    /// What can wait for the sun.
    Convenience,
    /// Work of the hub itself that can wait for the sun.
    Background,
}

impl Tier {
    /// All tiers, most vital first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Important, Self::Convenience, Self::Background];

    /// Place in [`Tier::ALL`].
    pub fn place(self) -> usize {
        self as usize
    }

    /// The word the household reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Important => "important",
            Self::Convenience => "convenience",
            Self::Background => "background",
        }
    }
}

/// Everything a decision depends on besides measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The battery.
    pub battery: BatterySpec,
    /// Share of the energy that survives the way into the battery, and again the way out: converter, wiring
    /// and cells, 0 to 1.
    pub efficiency: f64,
    /// How wrong a reported state of charge may be, as a part of the capacity.
    pub reported_uncertainty: f64,
    /// When the battery or the inverter must be spared, whatever anybody wants.
    pub protection: Protection,
    /// What is held back for the more vital tiers.
    pub reserve: Reserve,
    /// What is held back for the battery itself, and what it takes.
    pub care: Care,
    /// How fast switching may go.
    pub pace: Pace,
    /// The loads. Their order is their number everywhere.
    pub loads: Vec<Load>,
    /// A reading older than this counts as missing.
    pub stale_after: Seconds,
}

/// A load behind a relay, or one that is only measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Short name, unique: `fridge`.
    pub name: String,
    /// What the household calls it: `Medicine fridge`.
    pub label: String,
    /// How vital it is.
    pub tier: Tier,
    /// Power while it works, where no meter tells, W.
    pub nominal: Watts,
    /// Power below which it does nothing anybody would miss, W.
    pub standby: Watts,
    /// Whether a relay can switch it.
    pub switchable: bool,
    /// Whether the hub or its modem live from it: then it is never switched off.
    pub powers_hub: bool,
    /// Once on, it stays on this long, protection excepted.
    pub min_on: Seconds,
    /// Once off, it stays off this long.
    pub min_off: Seconds,
}

/// Limits that need no forecast and no clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protection {
    /// Below this, held for `hold`: everything but the critical tier goes off.
    pub low_voltage: Volts,
    /// Below this, held for `hold`: the critical tier goes off too, before the hardware cuts the hub itself.
    pub cutoff_voltage: Volts,
    /// Above this, held for `recovery_hold`: loads may return.
    pub reconnect_voltage: Volts,
    /// As `low_voltage`, by the estimated state of charge.
    pub low_charge: StateOfCharge,
    /// As `cutoff_voltage`, by the estimated state of charge.
    pub cutoff_charge: StateOfCharge,
    /// As `reconnect_voltage`; both must hold.
    pub reconnect_charge: StateOfCharge,
    /// How long a voltage must stay low, so that a starting motor sheds nothing.
    pub hold: Seconds,
    /// How long recovery must last before loads return.
    pub recovery_hold: Seconds,
    /// Above this battery temperature everything but the critical tier goes off.
    pub max_temperature: Celsius,
    /// Power all loads together may draw (inverter or load terminal); `None` where nothing limits it.
    pub overload: Option<Watts>,
    /// After an overload the load that was shed waits this long.
    pub overload_wait: Seconds,
}

/// The levels below which a tier is shed to hold energy back for the more vital ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reserve {
    /// No plan goes below this: the level the hardware's disconnect is expected at, with a margin.
    pub floor: StateOfCharge,
    /// Where no plan holds: the important tier is shed below this.
    pub important: StateOfCharge,
    /// Where no plan holds: the convenience tier and background work are shed below this.
    pub convenience: StateOfCharge,
    /// A tier that was shed returns this far above its level.
    pub hysteresis: f64,
}

/// How fast switching may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Loads the plan may shed in one pass.
    pub cap: usize,
    /// Time between passes, so that power and voltage settle before the next is judged.
    pub settle: Seconds,
}

/// A fingerprint of the settings: a plan made under others counts as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SettingsDigest(pub [u8; 16]);

impl Settings {
    /// Fingerprint of these settings (the first half of a SHA-256 of their encoding).
    pub fn digest(&self) -> SettingsDigest {
        // Encoding plain numbers, strings and lists into memory cannot fail; an empty encoding would only
        // make every plan count as missing.
        let encoded = postcard::to_stdvec(self).unwrap_or_default();
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(&encoded)[..16]);
        SettingsDigest(digest)
    }

    /// Level below which a tier is shed where no plan holds; `None` for the critical tier.
    pub fn reserve_level(&self, tier: Tier) -> Option<StateOfCharge> {
        match tier {
            Tier::Critical => None,
            Tier::Important => Some(self.reserve.important),
            Tier::Convenience | Tier::Background => Some(self.reserve.convenience),
        }
    }
}
