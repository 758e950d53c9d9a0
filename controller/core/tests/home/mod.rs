//! Usual settings of a small home, for tests that are not about settings: each changes what it is about, and
//! takes the rest as it is. Included by path from the tests of other packages.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each user takes its own part")]

use sunkeep_core::care::Care;
use sunkeep_core::settings::{Load, Pace, Protection, Reserve, Settings, Tier};
use sunkeep_models::battery::{BatterySpec, Chemistry};
use sunkeep_models::quantity::{AmpHours, Celsius, Seconds, StateOfCharge, Volts, Watts};

/// A load behind a relay, with short minimum times.
pub fn load(name: &str, tier: Tier, nominal: f64) -> Load {
    Load {
        name: name.into(),
        label: name.into(),
        tier,
        nominal: Watts(nominal),
        standby: Watts(1.0),
        switchable: true,
        powers_hub: false,
        min_on: Seconds(30.0),
        min_off: Seconds(60.0),
    }
}

/// A 12 V LFP home with usual limits.
pub fn settings(loads: Vec<Load>) -> Settings {
    let percent = |value: f64| StateOfCharge::clamped(value / 100.0);
    Settings {
        battery: BatterySpec::new(Chemistry::Lfp, AmpHours(200.0), 4),
        efficiency: 0.95,
        reported_uncertainty: 0.10,
        protection: Protection {
            low_voltage: Volts(12.2),
            cutoff_voltage: Volts(11.6),
            reconnect_voltage: Volts(13.0),
            low_charge: percent(15.0),
            cutoff_charge: percent(8.0),
            reconnect_charge: percent(25.0),
            hold: Seconds(5.0),
            recovery_hold: Seconds(120.0),
            max_temperature: Celsius(55.0),
            overload: None,
            overload_wait: Seconds(300.0),
        },
        care: Care::none(),
        reserve: Reserve {
            floor: percent(20.0),
            important: percent(45.0),
            convenience: percent(70.0),
            hysteresis: 0.05,
        },
        pace: Pace { cap: 2, settle: Seconds(10.0) },
        loads,
        stale_after: Seconds(60.0),
    }
}
