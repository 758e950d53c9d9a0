//! The planner: what it holds back for the night, and when a plan stops to count.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod story;

use story::{Story, load, settings};
use sunkeep_core::decision::{Basis, Because};
use sunkeep_core::planner::{Outlook, PlanInput, plan};
use sunkeep_core::settings::{Settings, Tier};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{Seconds, StateOfCharge};
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY, Slot, Uptime};

const MIDNIGHT: Slot = Slot(48 * 20_000);

fn flat(watts: f32) -> Forecast {
    Forecast {
        issued: MIDNIGHT,
        p10: vec![watts * 0.8; HORIZON],
        p50: vec![watts; HORIZON],
        p90: vec![watts * 1.25; HORIZON],
    }
}

/// Sun from 07:00 to 17:00 of each day; P10 is what `dark` leaves of it.
fn sun(watts: f32, dark: f32) -> Forecast {
    let day = |slot: usize| (14..34).contains(&(slot % SLOTS_PER_DAY));
    let series = |scale: f32| (0..HORIZON).map(|slot| if day(slot) { watts * scale } else { 0.0 }).collect();
    Forecast { issued: MIDNIGHT, p10: series(dark), p50: series(0.8), p90: series(1.0) }
}

fn outlook(settings: &Settings, sun: Forecast, charge: f64) -> Outlook {
    let at = StateOfCharge::clamped(charge);
    plan(
        settings,
        &PlanInput {
            issued: MIDNIGHT,
            now: Uptime::from_seconds(5000),
            into_slot: Seconds(0.0),
            charge: ChargeBounds { low: at, best: at, high: at },
            demand: [flat(40.0), flat(40.0), flat(60.0)],
            sun,
        },
    )
}

fn home() -> Settings {
    settings(vec![
        load("lights", Tier::Critical, 40.0),
        load("tv", Tier::Important, 40.0),
        load("pump", Tier::Convenience, 60.0),
    ])
}

/// 200 Ah of LFP at 12.8 V hold 2560 Wh. At midnight the critical tier (P90: 50 W) needs seven hours of
/// 50 W until the sun returns: 350 Wh, 368 Wh with losses, 14 % of the battery on top of the floor of 20 %.
#[test]
fn the_reserve_at_midnight_is_what_the_critical_tier_needs_until_the_sun_returns() {
    let settings = home();
    let keep = outlook(&settings, sun(400.0, 0.9), 0.6).keep;
    let important = keep[0][Tier::Important.place()].expect("the important tier has a level").ratio();
    let expected = 0.20 + 7.0 * 50.0 / 0.95 / settings.battery.nominal_energy().0;
    assert!((important - expected).abs() < 1e-9, "{important}, expected {expected}");
    assert_eq!(keep[0][Tier::Critical.place()], None);
}

#[test]
fn the_reserve_shrinks_as_the_morning_comes_and_is_nothing_while_the_sun_shines() {
    let keep = outlook(&home(), sun(400.0, 0.9), 0.6).keep;
    let level = |slot: usize| keep[slot][Tier::Important.place()].expect("has a level").ratio();
    assert!(level(0) > level(6) && level(6) > level(13));
    assert!((level(20) - 0.20).abs() < 1e-9, "at 10:00 {}", level(20));
    assert!(level(33) > level(20), "the evening needs no reserve for the night to come");
}

#[test]
fn a_sky_that_may_stay_dark_holds_more_back() {
    let settings = home();
    let level = |dark| outlook(&settings, sun(400.0, dark), 0.6).keep[0][Tier::Important.place()];
    assert!(level(0.05) > level(0.9));
}

#[test]
fn convenience_waits_for_what_important_needs_too() {
    let keep = outlook(&home(), sun(400.0, 0.9), 0.6).keep;
    assert!(keep.iter().all(|slot| slot[Tier::Convenience.place()] >= slot[Tier::Important.place()]));
    assert!(keep[0][Tier::Convenience.place()] > keep[0][Tier::Important.place()]);
}

#[test]
fn no_sun_at_all_still_gives_a_plan_and_a_full_battery_serves_everybody() {
    let outlook = outlook(&home(), sun(0.0, 0.0), 1.0);
    assert!(outlook.keep.iter().flatten().flatten().all(|keep| keep.ratio() <= 0.9));
    assert_eq!(outlook.expected.len(), HORIZON);
}

#[test]
fn the_plan_sheds_the_tv_says_until_when_and_takes_it_back_with_the_sun() {
    let mut story = Story::new(home().loads).charge(0.38).voltage(13.0);
    story.for_minutes(4);
    let now = story.image.now;
    let mut outlook = outlook(&story.settings, sun(400.0, 0.9), 0.38);
    outlook.plan.made = now;
    story = story.plan(outlook.plan);
    story.for_minutes(2);
    assert_eq!(story.decision().basis, Basis::Plan);
    assert_eq!(story.on(), [true, false, false]);
    let Because::Held { keep, until: Some(until), .. } = story.decision().loads[1].because else {
        panic!("{:?}", story.decision().loads[1].because)
    };
    assert!((0.3..0.4).contains(&keep.ratio()), "{keep}");
    let slot = Slot::of(until).since(MIDNIGHT);
    assert!((14..24).contains(&slot), "expected back in slot {slot}, the sun rises in slot 14");
}

#[test]
fn a_plan_older_than_two_slots_or_of_other_settings_counts_as_missing() {
    let mut story = Story::new(home().loads).charge(0.9).voltage(13.3);
    let mut plan = outlook(&story.settings, sun(400.0, 0.9), 0.9).plan;
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
