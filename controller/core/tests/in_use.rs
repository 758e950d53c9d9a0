//! Loads in use are kept before idle ones of their tier.

mod story;

use story::{Story, load};
use sunkeep_core::decision::Because;
use sunkeep_core::image::Request;
use sunkeep_core::settings::{Load, Tier};
use sunkeep_models::quantity::{Seconds, Watts};

/// A load of 80 W that draws up to 5 W when nobody uses it.
fn with_standby(name: &str, tier: Tier) -> Load {
    Load { standby: Watts(5.0), ..load(name, tier, 80.0) }
}

/// Lights, and these loads of the important tier, which goes below 45 %. The lower bound is a tenth below
/// what is reported.
fn home(names: [&str; 2]) -> Story {
    let [one, other] = names.map(|name| with_standby(name, Tier::Important));
    Story::new(vec![load("lights", Tier::Critical, 20.0), one, other])
}

/// Just below the level of the important tier, and further down.
const JUST_BELOW: f64 = 0.546;
const FAR_BELOW: f64 = 0.50;

#[test]
fn the_running_tv_stays_and_the_idle_charger_goes_whichever_comes_first() {
    for (names, tv, charger) in [(["tv", "charger"], 1, 2), (["charger", "tv"], 2, 1)] {
        let mut story = home(names).charge(0.95).voltage(13.3).power(tv, 70.0).power(charger, 2.0);
        story.for_minutes(10);
        story = story.charge(JUST_BELOW);
        story.for_minutes(30);
        assert!(story.on()[tv], "the running TV went");
        assert!(!story.on()[charger], "the idle charger stayed");
        assert!(matches!(story.decision().loads[charger].because, Because::Held { .. }));
        story = story.charge(FAR_BELOW);
        story.for_minutes(2);
        assert!(!story.on()[tv], "the TV is in use, and its tier is far below its level");
    }
}

#[test]
fn the_working_charger_stays_and_the_tv_that_waits_for_its_remote_control_goes() {
    for (names, tv, charger) in [(["tv", "charger"], 1, 2), (["charger", "tv"], 2, 1)] {
        let mut story = home(names).charge(0.95).voltage(13.3).power(tv, 2.0).power(charger, 70.0);
        story.for_minutes(10);
        story = story.charge(JUST_BELOW);
        story.for_minutes(30);
        assert!(story.on()[charger] && !story.on()[tv]);
    }
}

#[test]
fn far_below_its_level_the_idle_load_of_a_tier_still_goes_a_pass_before_the_one_in_use() {
    let mut story = home(["tv", "charger"]).charge(0.95).voltage(13.3).power(1, 70.0).power(2, 2.0);
    story.for_minutes(10);
    story = story.charge(0.40);
    let log = story.for_minutes(5);
    let order: Vec<_> = log.iter().map(|(_, change)| usize::from(change.load)).collect();
    assert_eq!(order, [2, 1]);
    assert!(log[1].0.since(log[0].0) >= story.settings.pace.settle);
}

#[test]
fn what_somebody_touched_in_the_last_half_hour_counts_as_in_use() {
    let mut story = home(["tv", "radio"]).charge(0.95).voltage(13.3).power(1, 2.0).power(2, 2.0);
    story.for_minutes(10);
    story.request(Request::KeepOn { load: 1, span: Seconds(300.0) });
    story.for_minutes(10);
    story = story.charge(JUST_BELOW);
    story.for_minutes(15);
    assert_eq!(story.on(), [true, true, false]);
    story.for_minutes(10);
    assert_eq!(story.on(), [true, false, false], "half an hour is over");
}

#[test]
fn without_a_meter_the_steps_of_its_switching_tell_whether_a_load_does_anything() {
    for (tv, charger) in [(1, 2), (2, 1)] {
        let mut story = home(["one", "other"]).charge(0.95).voltage(13.3);
        story.state.loads[tv].seen = vec![70.0; 3];
        story.state.loads[charger].seen = vec![3.0; 3];
        story.for_minutes(10);
        story = story.charge(JUST_BELOW);
        story.for_minutes(30);
        assert!(story.on()[tv] && !story.on()[charger]);
    }
}

#[test]
fn a_load_in_use_does_not_outstay_a_more_vital_one() {
    let loads = vec![
        with_standby("router", Tier::Important),
        with_standby("tv", Tier::Convenience),
        with_standby("charger", Tier::Convenience),
    ];
    let mut story = Story::new(loads).charge(0.95).voltage(13.3).power(0, 20.0).power(1, 70.0).power(2, 2.0);
    // Both tiers go at the same level.
    story.settings.reserve.convenience = story.settings.reserve.important;
    story.state = sunkeep_core::State::new(&story.settings);
    story = story.charge(0.95);
    story.for_minutes(10);
    story = story.charge(JUST_BELOW);
    let log = story.for_minutes(30);
    let order: Vec<_> = log.iter().map(|(_, change)| usize::from(change.load)).collect();
    assert!(story.on().iter().all(|on| !on), "{order:?}");
    assert_eq!(order.len(), 3);
    let place = |load: usize| order.iter().position(|other| *other == load);
    assert!(place(1) <= place(0).map(|place| place.max(1)), "{order:?}");
}
