//! Scenarios of the pure core, told as stories with leaps of time.
//!
//! A [`Story`] holds a home and its process image; `for_minutes` runs it one cycle every ten seconds. Each test says what
//! happens to the battery and what the household would see.

mod story;

use story::{Story, load};
use sunkeep_core::decision::{Alarm, Basis, Because};
use sunkeep_core::image::Request;
use sunkeep_core::settings::Tier;
use sunkeep_core::{State, step};
use sunkeep_models::quantity::{Seconds, Watts};

const LIGHTS: usize = 0;
const FRIDGE: usize = 1;
const TV: usize = 2;
const PUMP: usize = 3;

/// Lights and fridge critical, TV important, pump convenience.
fn home() -> Story {
    Story::new(vec![
        load("lights", Tier::Critical, 20.0),
        load("fridge", Tier::Critical, 60.0),
        load("tv", Tier::Important, 80.0),
        load("pump", Tier::Convenience, 200.0),
    ])
}

#[test]
fn a_full_battery_serves_everybody() {
    let mut story = home().charge(0.95).voltage(13.4);
    story.for_minutes(30);
    assert_eq!(story.on(), [true; 4]);
    assert_eq!(story.changes(), 0);
}

#[test]
fn without_a_plan_the_reserve_rule_sheds_the_pump_before_the_tv_and_never_the_lights() {
    let mut story = home().charge(0.95).voltage(13.2);
    story.for_minutes(10);
    story = story.charge(0.62);
    story.for_minutes(30);
    assert_eq!(story.on(), [true, true, true, false]);
    assert_eq!(story.decision().basis, Basis::ReserveRule);
    story = story.charge(0.40);
    story.for_minutes(60);
    assert_eq!(story.on(), [true, true, false, false]);
    assert!(matches!(story.decision().loads[TV].because, Because::Held { tier: Tier::Important, .. }));
    story = story.charge(0.30);
    story.for_minutes(120);
    assert_eq!(story.on(), [true, true, false, false]);
}

#[test]
fn what_was_shed_returns_most_vital_first_one_at_a_time_and_stays_off_for_its_minimum() {
    let mut story = home().charge(0.35).voltage(13.0);
    story.for_minutes(60);
    assert_eq!(story.on(), [true, true, false, false]);
    story = story.charge(1.0).voltage(13.6);
    let log = story.for_minutes(240);
    let returned: Vec<_> = log.iter().filter(|(_, change)| change.on).collect();
    assert_eq!(returned.iter().map(|(_, change)| usize::from(change.load)).collect::<Vec<_>>(), [TV, PUMP]);
    assert!(returned[0].0 < returned[1].0, "both returned in the same cycle");
}

#[test]
fn a_starting_motor_that_pulls_the_voltage_down_sheds_nothing() {
    let mut story = home().charge(0.85).voltage(13.2);
    story.for_minutes(10);
    story = story.voltage(11.0);
    story.for_seconds(4);
    story = story.voltage(13.2);
    story.for_minutes(10);
    assert_eq!(story.changes(), 0);
}

#[test]
fn low_voltage_that_lasts_leaves_the_critical_tier_and_empty_takes_it_too() {
    let mut story = home().charge(0.85).voltage(13.2);
    story.for_minutes(10);
    story = story.voltage(12.0);
    story.for_seconds(20);
    assert_eq!(story.on(), [true, true, false, false]);
    assert_eq!(story.decision().alarm, Some(Alarm::BatteryLow));
    story = story.voltage(11.0);
    story.for_seconds(20);
    assert_eq!(story.on(), [false; 4]);
    assert_eq!(story.decision().alarm, Some(Alarm::BatteryEmpty));
}

#[test]
fn protection_recovers_late_and_loads_return_one_by_one_critical_first() {
    let mut story = home().charge(0.85).voltage(13.2);
    story.for_minutes(10);
    story = story.voltage(11.0);
    story.for_seconds(20);
    story = story.voltage(13.4);
    story.for_seconds(60);
    assert_eq!(story.on(), [false; 4], "recovered before the recovery hold was over");
    let log = story.for_minutes(60);
    let order: Vec<_> = log.iter().map(|(_, change)| usize::from(change.load)).collect();
    assert_eq!(order, [LIGHTS, FRIDGE, TV, PUMP]);
    assert!(log.windows(2).all(|pair| pair[0].0 < pair[1].0), "two loads returned in one cycle");
}

/// The state-of-charge sensor goes silent: the last value must not be kept for ever, and the limit must not
/// be lifted.
#[test]
fn a_silent_battery_monitor_lets_the_lower_bound_fall_until_the_convenience_is_shed() {
    let mut story = home().charge(0.9).voltage(13.3);
    story.for_minutes(10);
    assert_eq!(story.on(), [true; 4]);
    let before = story.decision().charge.low;
    story = story.battery_silent();
    story.for_minutes(10);
    assert!(story.decision().charge.low < before);
    story.for_minutes(120);
    assert_eq!(story.on(), [true, true, false, false]);
    assert!(story.decision().charge.high.ratio() > 0.8, "the upper bound fell without evidence");
}

#[test]
fn an_overload_sheds_the_hungriest_of_the_least_vital_at_once_and_bars_its_return() {
    let mut story = home().charge(0.95).voltage(13.4);
    story.settings.protection.overload = Some(Watts(300.0));
    story.for_minutes(10);
    story = story.total(360.0);
    story.for_seconds(1);
    assert_eq!(story.on(), [true, true, true, false]);
    assert!(matches!(story.decision().loads[PUMP].because, Because::Overload { .. }));
    story = story.total(160.0);
    story.for_seconds(200);
    assert!(!story.on()[PUMP], "returned before its time");
    story.for_seconds(400);
    assert!(story.on()[PUMP]);
}

#[test]
fn a_pinned_tv_stays_on_against_the_reserve_but_not_against_protection() {
    let mut story = home().charge(0.95).voltage(13.3);
    story.for_minutes(10);
    story.request(Request::KeepOn { load: TV as u16, span: Seconds(3600.0) });
    story = story.charge(0.35).voltage(13.0);
    story.for_minutes(50);
    assert_eq!(story.on(), [true, true, true, false]);
    assert_eq!(story.decision().loads[TV].because, Because::Pinned);
    story.for_minutes(20);
    assert!(!story.on()[TV], "the wish outlived its hour");
    story.request(Request::KeepOn { load: TV as u16, span: Seconds(3600.0) });
    story.for_minutes(5);
    assert!(story.on()[TV]);
    story = story.voltage(12.0);
    story.for_seconds(20);
    assert!(!story.on()[TV]);
}

#[test]
fn what_powers_the_hub_is_never_switched_off() {
    let mut modem = load("modem", Tier::Convenience, 5.0);
    modem.powers_hub = true;
    let mut story = Story::new(vec![modem, load("lights", Tier::Critical, 20.0)]).charge(0.3).voltage(10.5);
    story.for_minutes(30);
    assert_eq!(story.on(), [true, false]);
    assert_eq!(story.decision().loads[0].because, Because::PowersHub);
}

#[test]
fn a_load_that_draws_nothing_is_not_shed_for_nothing() {
    let mut story = home().charge(0.95).voltage(13.2);
    story.for_minutes(10);
    story = story.charge(0.40).power(PUMP, 0.0).power(TV, 80.0);
    story.for_minutes(60);
    assert_eq!(story.on(), [true, true, false, true]);
    story = story.power(PUMP, 200.0);
    story.for_minutes(1);
    assert!(!story.on()[PUMP], "a load that began to draw was let through");
}

#[test]
fn one_pass_sheds_no_more_than_the_cap_and_the_next_waits_until_that_has_settled() {
    let loads = (0..6).map(|n| load(&format!("load{n}"), Tier::Convenience, 50.0)).collect();
    let mut story = Story::new(loads).charge(0.95).voltage(13.2);
    story.for_minutes(10);
    story = story.charge(0.40);
    let log = story.for_minutes(60);
    for (at, _) in &log {
        assert!(log.iter().filter(|(other, _)| other == at).count() <= 2);
    }
    assert_eq!(log.len(), 6);
}

/// Start-up never pulses a relay: what the relay board kept through the hub's death is taken as it is.
#[test]
fn the_first_cycle_takes_the_relays_as_they_are() {
    let mut story = home().charge(0.95).voltage(13.4).supplied(TV, false).supplied(LIGHTS, true);
    story.for_seconds(1);
    assert_eq!(story.changes(), 0);
    assert_eq!(story.on(), [true, true, false, true]);
}

#[test]
fn a_critical_load_that_was_off_when_the_hub_died_returns_by_rule() {
    let mut story = home().charge(0.5).voltage(11.0);
    story.for_minutes(2);
    assert_eq!(story.on(), [false; 4]);
    let state = story.state.clone().after_restart(&story.settings, None);
    let mut again = home().charge(0.9).voltage(13.4);
    for number in 0..4 {
        again = again.supplied(number, false);
    }
    again.state = state;
    again.for_seconds(5);
    assert_eq!(again.on(), [false; 4]);
    assert!(matches!(
        again.decision().loads[FRIDGE].because,
        Because::LowVoltage { .. } | Because::LowCharge { .. }
    ));
    let log = again.for_minutes(30);
    assert_eq!(log.first().map(|(_, change)| usize::from(change.load)), Some(LIGHTS));
    assert!(again.on()[FRIDGE]);
}

#[test]
fn a_hub_that_knows_nothing_at_all_still_decides() {
    let mut story = home();
    story.for_minutes(60);
    assert!(story.on()[LIGHTS] && story.on()[FRIDGE]);
    assert!(!story.on()[PUMP], "an unknown battery fed the pump");
}

#[test]
fn a_relay_that_does_not_obey_is_shown_as_unconfirmed() {
    let mut story = home().charge(0.95).voltage(13.4).supplied(TV, true);
    story.for_seconds(1);
    assert_eq!(story.decision().loads[TV].confirmed, Some(true));
    story = story.charge(0.3);
    story.for_minutes(60);
    assert!(!story.on()[TV]);
    assert_eq!(story.decision().loads[TV].confirmed, Some(false));
}

#[test]
fn a_hot_battery_is_relieved_until_it_has_cooled() {
    let mut story = home().charge(0.95).voltage(13.4).temperature(58.0);
    story.for_minutes(1);
    assert_eq!(story.on(), [true, true, false, false]);
    assert_eq!(story.decision().alarm, Some(Alarm::BatteryHot));
    story = story.temperature(53.0);
    story.for_minutes(30);
    assert_eq!(story.on(), [true, true, false, false], "cooled by less than five kelvin");
    story = story.temperature(45.0);
    story.for_minutes(30);
    assert_eq!(story.on(), [true; 4]);
}

/// The hub hung for six hours (stopped process, flat battery in the hub): nothing that was measured before
/// may count as known.
#[test]
fn a_leap_of_six_hours_widens_the_bounds() {
    let mut story = home().charge(0.9).voltage(13.3);
    story.for_minutes(30);
    let before = story.decision().charge;
    story = story.battery_silent();
    story.leap(Seconds(6.0 * 3600.0));
    story.for_seconds(1);
    let after = story.decision().charge;
    assert!(after.low.ratio() < before.low.ratio() - 0.3, "{after:?}");
}

#[test]
fn the_same_arguments_give_the_same_bits() {
    let mut story = home().charge(0.61).voltage(13.1);
    story.for_minutes(45);
    let (one, other) = (
        step(&story.settings, story.state.clone(), &story.image),
        step(&story.settings, story.state.clone(), &story.image),
    );
    assert_eq!(one, other);
    let fresh = step(&story.settings, State::new(&story.settings), &story.image);
    assert_ne!(fresh.0, one.0, "the state has no influence at all");
}
