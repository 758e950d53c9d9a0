//! What holds of every plan, whatever a home has lived through.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod lived;
mod story;

use lived::{MIDNIGHT, forecasts, outlook};
use proptest::prelude::*;
use story::{load, settings};
use sunkeep_core::care::Needs;
use sunkeep_core::evidence::History;
use sunkeep_core::image::ProcessImage;
use sunkeep_core::planner::{Outlook, PLAN_SLOTS};
use sunkeep_core::propose::propose;
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_core::{Plan, State};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::StateOfCharge;
use sunkeep_models::time::HORIZON;

fn home() -> Settings {
    settings(vec![
        load("fridge", Tier::Critical, 40.0),
        load("tv", Tier::Important, 40.0),
        load("pump", Tier::Convenience, 60.0),
        load("upload", Tier::Background, 5.0),
    ])
}

/// Days of anything: a power of each hour for the sun and three tiers, or nothing measured.
fn past() -> impl Strategy<Value = History> {
    let power = prop_oneof![
        3 => Just(None),
        6 => (0.0..800.0_f32).prop_map(Some),
        1 => prop_oneof![Just(0.0), Just(1e9), Just(f32::NAN), Just(-50.0)].prop_map(Some),
    ];
    (0_usize..12, prop::collection::vec(power, 4 * 24 * 2)).prop_map(|(days, powers)| {
        let mut history = History::default();
        for slot in 0..days as i64 * 48 {
            let at = MIDNIGHT.plus(slot - days as i64 * 48);
            // Two days of numbers, over and over, the columns out of step.
            let power = |column: i64| powers[((slot / 2 * 4 + column * 7) % powers.len() as i64) as usize];
            history.sun.record(at, power(0));
            for (tier, column) in history.tiers.iter_mut().zip(1..) {
                tier.record(at, power(column));
            }
        }
        history
    })
}

fn levels_are_in_order(outlook: &Outlook, settings: &Settings) {
    let ratio = |level: Option<StateOfCharge>| level.map_or(0.0, StateOfCharge::ratio);
    assert_eq!(outlook.plan.slots.len(), PLAN_SLOTS);
    assert_eq!((outlook.keep.len(), outlook.expected.len()), (HORIZON, HORIZON));
    assert!(outlook.expected.iter().all(|charge| (0.0..=1.0).contains(&charge.ratio())));
    for keep in &outlook.keep {
        let keep = keep.map(ratio);
        assert!(keep.iter().all(|level| (0.0..=1.0).contains(level)), "{keep:?}");
        assert!(keep.is_sorted(), "a more vital tier waits longer: {keep:?}");
        assert!(keep[0] <= settings.protection.low_charge.ratio(), "critical is held at {}", keep[0]);
        assert!(keep[1] >= settings.reserve.floor.ratio());
    }
    for slot in &outlook.plan.slots {
        for (keep, restore) in slot.keep.into_iter().zip(slot.restore) {
            assert!(ratio(restore) >= ratio(keep), "{slot:?}");
        }
        assert!(slot.restore.map(ratio).is_sorted(), "{slot:?}");
    }
}

/// What the plan would have on at a charge, all loads as in `state`.
fn proposed(settings: &Settings, state: &State, plan: &Plan, charge: f64) -> Vec<bool> {
    let mut image = ProcessImage::empty(plan.made, settings);
    image.plan = Some(plan.clone());
    let at = StateOfCharge::clamped(charge);
    let charge = ChargeBounds { low: at, best: at, high: at };
    let (_, proposals) = propose(settings, state, &image, charge, &Needs::default());
    proposals.iter().map(|proposal| proposal.on).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_always_feasible_in_order_and_lets_more_go_with_more_charge(
        history in past(),
        charge in 0.0..1.0_f64,
        sun in prop::option::of(0.0..900.0_f64),
        told in prop::option::of((0.0..500.0_f32, 0.0..500.0_f32)),
        on in prop::array::uniform4(any::<bool>()),
    ) {
        let settings = home();
        let told = told.map(|(demand, sun)| forecasts(MIDNIGHT, [demand; 3], [sun * 0.2, sun, sun * 1.5]));
        let Some(outlook) = outlook(&settings, &history, told, 0, charge, sun) else { return Ok(()) };
        levels_are_in_order(&outlook, &settings);

        let mut state = State::new(&settings);
        for (load, on) in state.loads.iter_mut().zip(on) {
            load.on = Some(on);
        }
        let mut before = vec![false; 4];
        for percent in 0..=100 {
            let now = proposed(&settings, &state, &outlook.plan, f64::from(percent) / 100.0);
            for (load, (before, now)) in before.iter().zip(&now).enumerate() {
                prop_assert!(!before || *now, "load {load} is shed at {percent} %, not below");
            }
            // With all on, or all off, nothing less vital is on while something more vital is off.
            if on == [true; 4] || on == [false; 4] {
                prop_assert!(now.is_sorted_by(|vital, other| vital >= other), "{now:?} at {percent} %");
            }
            before = now;
        }
    }
}
