//! The planner in plain numbers: what it holds back, what it lets go, and when a plan stops to count.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod lived;
mod story;

use lived::{MIDNIGHT, forecasts, lived, outlook};
use story::{Story, load, settings};
use sunkeep_core::decision::{Basis, Because};
use sunkeep_core::evidence::History;
use sunkeep_core::planner::Outlook;
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY, Slot};

/// W of the critical, important and convenience tiers, day and night.
const DEMAND: [f32; 3] = [40.0, 40.0, 60.0];
/// Sun at noon of a bright day, W: 5 kWh, of which the home wants 3.4.
const BRIGHT: f32 = 500.0;
/// That of a dark day: 0.5 kWh, half of what the critical tier wants.
const DARK: f32 = 50.0;

/// 200 Ah of LFP at 12.8 V hold 2560 Wh: 18 hours of all loads, from full to empty.
fn home() -> Settings {
    settings(vec![
        load("fridge", Tier::Critical, 40.0),
        load("tv", Tier::Important, 40.0),
        load("pump", Tier::Convenience, 60.0),
    ])
}

/// Four weeks in which a dark day brings another: the last days are `end`.
fn weather(end: &[f32]) -> Vec<f32> {
    let week = [BRIGHT, BRIGHT, BRIGHT, BRIGHT, BRIGHT, DARK, DARK];
    let mut days: Vec<f32> = week.iter().copied().cycle().take(28).collect();
    days.extend(end);
    days
}

fn level(outlook: &Outlook, slot: usize, tier: Tier) -> f64 {
    outlook.keep[slot][tier.place()].expect("the tier has a level").ratio()
}

#[test]
fn a_dark_day_ahead_holds_the_tv_back_for_the_fridge() {
    let planned = |end: &[f32]| {
        let history = lived(&weather(end), 0, DEMAND);
        outlook(&home(), &history, None, 0, 0.6, None).expect("a plan")
    };
    let after_sun = planned(&[BRIGHT, BRIGHT]);
    let after_dark = planned(&[BRIGHT, BRIGHT, BRIGHT, BRIGHT, DARK]);
    let (bright, dark) = (level(&after_sun, 0, Tier::Important), level(&after_dark, 0, Tier::Important));
    println!("the TV is kept above {bright:.2} after bright days, above {dark:.2} after a dark one");
    assert!(dark > 0.6, "with 60 % in the battery the TV goes");
    assert!(bright < 0.6, "with 60 % and bright days ahead the TV stays");
}

/// At 08:00 with little left in the battery: a bright sun gives the TV back, a dull one does not.
#[test]
fn a_sunny_morning_releases_the_tv() {
    let history = lived(&weather(&[BRIGHT, BRIGHT, BRIGHT, BRIGHT, DARK]), 16, DEMAND);
    let planned = |sun: f64| outlook(&home(), &history, None, 16, 0.4, Some(sun)).expect("a plan");
    let (bright, dull) = (planned(f64::from(BRIGHT)), planned(f64::from(DARK)));
    let back = |outlook: &Outlook| outlook.plan.slots[0].restore[1].expect("a level").ratio();
    println!("the TV returns above {:.2} in the sun, above {:.2} without", back(&bright), back(&dull));
    assert!(back(&bright) < 0.4, "returns with 40 %: {}", back(&bright));
    assert!(back(&dull) > 0.4, "stays off with 40 %: {}", back(&dull));
}

#[test]
fn with_a_full_battery_and_sun_nothing_is_shed() {
    for days in [weather(&[DARK]), weather(&[BRIGHT]), vec![DARK; 20]] {
        let history = lived(&days, 24, DEMAND);
        let outlook = outlook(&home(), &history, None, 24, 1.0, Some(f64::from(BRIGHT))).expect("a plan");
        let slot = &outlook.plan.slots[0];
        assert!(slot.restore.iter().flatten().all(|level| level.ratio() < 0.98), "{slot:?}");
    }
}

#[test]
fn without_a_day_to_go_by_there_is_no_plan_and_the_reserve_rule_holds() {
    assert_eq!(outlook(&home(), &History::default(), None, 0, 0.6, None), None);
    assert_eq!(outlook(&home(), &lived(&[], 40, DEMAND), None, 40, 0.6, None), None, "less than a day");
    let mut story = Story::new(home().loads).charge(0.6).voltage(13.1);
    story.for_minutes(2);
    assert_eq!(story.decision().basis, Basis::ReserveRule);
}

/// A home without a past, at noon of a day that will probably be bright: what can wait need not.
#[test]
fn a_new_home_does_not_shed_while_the_sun_brings_more_than_it_wants() {
    let noon = Some(forecasts(MIDNIGHT.plus(22), DEMAND, [200.0, 500.0, 600.0]));
    let plan = outlook(&home(), &History::default(), noon, 22, 0.6, Some(500.0)).expect("a plan");
    assert!(level(&plan, 0, Tier::Convenience) < 0.6, "{}", level(&plan, 0, Tier::Convenience));
    assert_eq!(plan.expected.len(), HORIZON);
}

/// Two bright days at whose sight everything could be served all night; a third may be another.
#[test]
fn in_a_home_that_is_hardly_known_the_reserve_is_kept_for_the_critical_loads() {
    let planned = |days: usize| {
        let history = lived(&vec![2.0 * BRIGHT; days], 0, [5.0, 5.0, 5.0]);
        outlook(&home(), &history, None, 0, 0.8, None).expect("a plan")
    };
    let reserve = home().reserve;
    for days in [1, 2, 3] {
        let (important, waits) = (planned(days).keep[0][1], planned(days).keep[0][2]);
        assert_eq!(important, Some(reserve.important), "after {days} days");
        assert_eq!(waits, important, "what can wait has no reserve of its own that says more");
        let back = planned(days).plan.slots[0].restore[1].expect("a level").ratio();
        assert!((back - reserve.important.ratio() - reserve.hysteresis).abs() < 1e-9, "{back}");
    }
    let later: Vec<f64> = [4, 5, 6].map(|days| level(&planned(days), 0, Tier::Important)).into();
    assert!(later.is_sorted_by(|one, other| one > other), "{later:?}");
    assert_eq!(planned(7).keep[0][1], Some(reserve.floor), "a week tells what a home is like");
}

/// After a week a forecast only tells what is expected to come of the plan.
#[test]
fn a_home_with_a_past_plans_the_same_with_forecasts_and_without() {
    let history = lived(&weather(&[DARK]), 0, DEMAND);
    let told = Some(forecasts(MIDNIGHT, DEMAND, [0.0, 10.0, 20.0]));
    let with = outlook(&home(), &history, told, 0, 0.5, None).expect("a plan");
    let without = outlook(&home(), &history, None, 0, 0.5, None).expect("a plan");
    assert_eq!(with.keep, without.keep);
    assert_ne!(with.expected, without.expected);
}

#[test]
fn the_same_inputs_give_the_same_plan_and_what_comes_later_does_not_matter() {
    let mut history = lived(&weather(&[DARK]), 0, DEMAND);
    let first = outlook(&home(), &history, None, 0, 0.5, None).expect("a plan");
    assert_eq!(outlook(&home(), &history, None, 0, 0.5, None).expect("a plan"), first);
    for slot in 0..96 {
        history.sun.record(MIDNIGHT.plus(slot), Some(7.0 * slot as f32));
        history.tiers[1].record(MIDNIGHT.plus(slot), Some(900.0));
    }
    assert_eq!(outlook(&home(), &history, None, 0, 0.5, None).expect("a plan"), first);
}

/// The TV was off for the last two weeks: that it was not seen to draw anything is no sign that nobody wants
/// it.
#[test]
fn demand_that_was_shed_is_not_read_as_none() {
    let whole = lived(&weather(&[DARK, DARK]), 0, DEMAND);
    let mut shed = whole.clone();
    for slot in 1..=14 * SLOTS_PER_DAY as i64 {
        shed.tiers[1].record(MIDNIGHT.plus(-slot), None);
    }
    let planned = |history: &History| outlook(&home(), history, None, 0, 0.5, None).expect("a plan");
    assert_eq!(planned(&shed).keep, planned(&whole).keep);
}

/// Panels that were throttled in the middle of bright days are not read as dark.
#[test]
fn sun_that_was_throttled_is_not_read_as_dark() {
    let whole = lived(&[BRIGHT; 20], 0, DEMAND);
    let mut throttled = whole.clone();
    for day in (1..=20).step_by(2) {
        for slot in 24..30 {
            throttled.sun.record(MIDNIGHT.plus(slot - 48 * day), None);
        }
    }
    let planned = |history: &History| outlook(&home(), history, None, 0, 0.5, None).expect("a plan");
    let (found, expected) = (planned(&throttled), planned(&whole));
    for (found, expected) in found.keep.iter().flatten().zip(expected.keep.iter().flatten()) {
        let ratio = |level: &Option<_>| level.map_or(0.0, sunkeep_models::quantity::StateOfCharge::ratio);
        assert!((ratio(found) - ratio(expected)).abs() < 1e-3);
    }
}

#[test]
fn the_need_of_the_critical_tier_is_what_it_lacks_until_the_sun_returns() {
    let settings = home();
    let told = Some(forecasts(MIDNIGHT, DEMAND, [300.0, 400.0, 500.0]));
    let need = outlook(&settings, &History::default(), told, 0, 0.5, None).expect("a plan").critical_need;
    // Seven hours of 50 W (P90), with losses, on top of the floor.
    let expected = 0.20 + 7.0 * 50.0 / 0.95 / settings.battery.nominal_energy().0;
    assert!((need[0].ratio() - expected).abs() < 1e-6, "{}, expected {expected}", need[0]);
    assert!((need[20].ratio() - 0.20).abs() < 1e-9, "at 10:00 {}", need[20]);
}

#[test]
fn the_plan_sheds_the_tv_says_until_when_and_takes_it_back_with_the_sun() {
    let mut story = Story::new(home().loads).charge(0.38).voltage(13.0);
    story.for_minutes(4);
    let told = Some(forecasts(MIDNIGHT, DEMAND, [20.0, 400.0, 600.0]));
    let history = lived(&[BRIGHT, DARK, BRIGHT, BRIGHT, BRIGHT, DARK, BRIGHT, BRIGHT], 0, DEMAND);
    let mut outlook = outlook(&home(), &history, told, 0, 0.38, None).expect("a plan");
    outlook.plan.made = story.image.now;
    story = story.plan(outlook.plan);
    story.for_minutes(2);
    assert_eq!(story.decision().basis, Basis::Plan);
    assert_eq!(story.on(), [true, false, false]);
    let Because::Held { keep, until: Some(until), .. } = story.decision().loads[1].because else {
        panic!("{:?}", story.decision().loads[1].because)
    };
    assert!((0.28..0.9).contains(&keep.ratio()), "{keep}");
    let slot = Slot::of(until).since(MIDNIGHT);
    assert!((8..24).contains(&slot), "expected back in slot {slot}, the sun rises in slot 14");
}

#[test]
fn a_plan_older_than_two_slots_or_of_other_settings_counts_as_missing() {
    let history = lived(&[BRIGHT; 9], 0, DEMAND);
    let mut story = Story::new(home().loads).charge(0.9).voltage(13.3);
    let mut plan = outlook(&story.settings, &history, None, 0, 0.9, None).expect("a plan").plan;
    plan.made = story.image.now;
    story = story.plan(plan.clone());
    story.for_minutes(89);
    assert_eq!(story.decision().basis, Basis::Plan);
    story.for_minutes(2);
    assert_eq!(story.decision().basis, Basis::ReserveRule);

    plan.made = story.image.now;
    story = story.plan(plan);
    story.for_minutes(1);
    assert_eq!(story.decision().basis, Basis::Plan);
    story.settings.reserve.hysteresis = 0.06;
    story.state = story.state.after_restart(&story.settings, Some(Seconds(60.0)));
    story.for_minutes(1);
    assert_eq!(story.decision().basis, Basis::ReserveRule);
}
